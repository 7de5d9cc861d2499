//! The sizes of a FLUX.1 transformer.

use serde::Deserialize;

use super::packing::PATCH;
use crate::mmdit::{Inputs, Sizes};
use crate::{Error, Result};

/// `transformer/config.json` of a diffusers folder. Fields we do not know are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FluxConfig {
    /// Width of an image token: 4 channels of latents a channel, see [`FluxConfig::latent_channels`].
    pub in_channels: usize,
    /// Width of an output token, if it is not `in_channels`.
    #[serde(default)]
    pub out_channels: Option<usize>,
    /// Blocks with separate weights for text and image.
    pub num_layers: usize,
    /// Blocks with one set of weights for both.
    pub num_single_layers: usize,
    /// Width of an attention head.
    pub attention_head_dim: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of a text feature.
    pub joint_attention_dim: usize,
    /// Width of the pooled text vector.
    pub pooled_projection_dim: usize,
    /// Whether the strength of guidance is an input (FLUX.1 \[dev\]) or not (\[schnell\]).
    #[serde(default)]
    pub guidance_embeds: bool,
    /// Channels of a head that each axis of the position turns: index, row, column.
    #[serde(default = "flux1_axes")]
    pub axes_dims_rope: [usize; 3],
}

/// The axes of all published FLUX.1 models, whose early configurations do not spell them out.
fn flux1_axes() -> [usize; 3] {
    [16, 56, 56]
}

impl FluxConfig {
    /// Reads and checks a configuration; `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not JSON, a field is missing, or the sizes contradict each other.
    pub fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let broken = |what: String| Error::Config { file: file.to_owned(), what };
        let config: Self = serde_json::from_slice(json).map_err(|e| broken(e.to_string()))?;
        config.check().map_err(broken)?;
        Ok(config)
    }

    /// Width of the residual stream.
    pub fn hidden(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    /// Channels of the latents; a token is 2 x 2 of their pixels.
    pub fn latent_channels(&self) -> usize {
        self.in_channels / 4
    }

    /// The sizes that its blocks share; queries and keys are always normalised.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes { heads: self.num_attention_heads, head: self.attention_head_dim, qk_norm: true }
    }

    /// What it reads.
    pub(super) fn inputs(&self) -> Inputs {
        Inputs {
            channels: self.latent_channels(),
            patch: PATCH,
            context: self.joint_attention_dim,
            pooled: self.pooled_projection_dim,
            guidance: self.guidance_embeds,
        }
    }

    fn check(&self) -> Result<(), String> {
        /// Far above every published model, far below what overflows.
        const LARGEST: usize = 1 << 16;
        let sizes = [
            ("in_channels", self.in_channels),
            ("attention_head_dim", self.attention_head_dim),
            ("num_attention_heads", self.num_attention_heads),
            ("joint_attention_dim", self.joint_attention_dim),
            ("pooled_projection_dim", self.pooled_projection_dim),
        ];
        for (name, size) in sizes {
            if size == 0 || size > LARGEST {
                return Err(format!("{name} is {size}; it must be between 1 and {LARGEST}"));
            }
        }
        for (name, layers) in [("num_layers", self.num_layers), ("num_single_layers", self.num_single_layers)] {
            if layers > 1024 {
                return Err(format!("{name} is {layers}; it must be at most 1024"));
            }
        }
        if self.hidden() > LARGEST {
            return Err(format!("the heads are {} wide together; at most {LARGEST} are supported", self.hidden()));
        }
        if !self.in_channels.is_multiple_of(4) {
            return Err(format!("in_channels is {}; a token is 2 x 2 pixels, so 4 must divide it", self.in_channels));
        }
        if let Some(out) = self.out_channels.filter(|out| *out != self.in_channels) {
            return Err(format!(
                "out_channels is {out}, in_channels {}; a velocity needs both equal",
                self.in_channels
            ));
        }
        let axes = self.axes_dims_rope;
        if axes.iter().any(|width| width % 2 != 0) {
            return Err(format!("axes_dims_rope is {axes:?}; positions turn pairs, so every axis must be even"));
        }
        if axes.iter().try_fold(0usize, |sum, width| sum.checked_add(*width)) != Some(self.attention_head_dim) {
            return Err(format!(
                "axes_dims_rope is {axes:?}; it must add up to attention_head_dim, which is {}",
                self.attention_head_dim
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::FluxConfig;
    use crate::Error;

    fn flux1_dev() -> Value {
        json!({
            "_class_name": "FluxTransformer2DModel", "patch_size": 1, "in_channels": 64, "num_layers": 19,
            "num_single_layers": 38, "attention_head_dim": 128, "num_attention_heads": 24,
            "joint_attention_dim": 4096, "pooled_projection_dim": 768, "guidance_embeds": true
        })
    }

    #[test]
    fn a_published_configuration_is_read_and_its_axes_default() {
        let config = FluxConfig::parse("config.json", flux1_dev().to_string().as_bytes()).unwrap();
        assert_eq!((config.hidden(), config.latent_channels(), config.axes_dims_rope), (3072, 16, [16, 56, 56]));
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused_by_the_name_of_the_field() {
        let faults = [
            ("in_channels", json!(0)),
            ("in_channels", json!(62)),
            ("in_channels", json!(-4)),
            ("num_layers", json!(1_000_000_000_000u64)),
            ("num_attention_heads", json!(u64::MAX)),
            ("num_attention_heads", json!(10_000)),
            ("joint_attention_dim", Value::Null),
            ("out_channels", json!(32)),
            ("axes_dims_rope", json!([16, 56, 54])),
            ("axes_dims_rope", json!([15, 57, 56])),
            ("axes_dims_rope", json!([u64::MAX - 1, 2, 128])),
        ];
        for (field, value) in faults {
            let mut config = flux1_dev();
            config[field] = value.clone();
            let error = FluxConfig::parse("config.json", config.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{field} = {value}: {error}");
        }
        assert!(FluxConfig::parse("config.json", b"{").is_err());
    }
}
