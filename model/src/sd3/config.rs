//! The sizes of an SD3 transformer.

use serde::Deserialize;

use crate::mmdit::{Inputs, Sizes};
use crate::{Error, Result};

/// `transformer/config.json` of a diffusers folder. Fields we do not know are ignored; those that are not there have the
/// values of diffusers, `transformer_sd3.py`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sd3Config {
    /// Channels of the latents.
    pub in_channels: usize,
    /// Channels of the velocity, if they are not `in_channels`.
    #[serde(default)]
    pub out_channels: Option<usize>,
    /// Latents that a token covers along one side.
    #[serde(default = "two")]
    pub patch_size: usize,
    /// Blocks.
    pub num_layers: usize,
    /// Width of an attention head.
    #[serde(default = "sixty_four")]
    pub attention_head_dim: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of a text feature.
    pub joint_attention_dim: usize,
    /// Width of a text token in the blocks, which is that of an image token.
    pub caption_projection_dim: usize,
    /// Width of the pooled text vector.
    pub pooled_projection_dim: usize,
    /// Rows, and columns, of the grid of learned positions.
    pub pos_embed_max_size: usize,
    /// The blocks in which the image attends to itself once more (SD3.5 medium).
    #[serde(default)]
    pub dual_attention_layers: Vec<usize>,
    /// The norm of queries and keys; SD3 medium has none.
    #[serde(default)]
    pub qk_norm: Option<QkNorm>,
}

/// The norm of queries and keys; published models know one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// A head at a time, with a weight.
    RmsNorm,
}

fn two() -> usize {
    2
}

fn sixty_four() -> usize {
    64
}

impl Sd3Config {
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

    /// The sizes that its blocks share.
    pub(super) fn sizes(&self) -> Sizes {
        let qk_norm = matches!(self.qk_norm, Some(QkNorm::RmsNorm));
        Sizes { heads: self.num_attention_heads, head: self.attention_head_dim, qk_norm }
    }

    /// What it reads.
    pub(super) fn inputs(&self) -> Inputs {
        Inputs {
            channels: self.in_channels,
            patch: self.patch_size,
            context: self.joint_attention_dim,
            pooled: self.pooled_projection_dim,
            guidance: false,
        }
    }

    fn check(&self) -> Result<(), String> {
        /// Far above every published model, far below what overflows.
        const LARGEST: usize = 1 << 16;
        const MOST_LAYERS: usize = 1024;
        let sizes = [
            ("in_channels", self.in_channels, LARGEST),
            ("patch_size", self.patch_size, 64),
            ("num_layers", self.num_layers, MOST_LAYERS),
            ("attention_head_dim", self.attention_head_dim, LARGEST),
            ("num_attention_heads", self.num_attention_heads, LARGEST),
            ("joint_attention_dim", self.joint_attention_dim, LARGEST),
            ("pooled_projection_dim", self.pooled_projection_dim, LARGEST),
            ("pos_embed_max_size", self.pos_embed_max_size, LARGEST),
        ];
        for (name, size, largest) in sizes {
            if size == 0 || size > largest {
                return Err(format!("{name} is {size}; it must be between 1 and {largest}"));
            }
        }
        let hidden = self.hidden();
        if hidden > LARGEST {
            return Err(format!("the heads are {hidden} wide together; at most {LARGEST} are supported"));
        }
        if self.caption_projection_dim != hidden {
            let text = self.caption_projection_dim;
            return Err(format!("caption_projection_dim is {text}; it must be the width of the blocks, {hidden}"));
        }
        if let Some(out) = self.out_channels.filter(|out| *out != self.in_channels) {
            let channels = self.in_channels;
            return Err(format!("out_channels is {out}, in_channels {channels}; a velocity needs both equal"));
        }
        if let Some(layer) = self.dual_attention_layers.iter().find(|layer| **layer >= self.num_layers) {
            let last = self.num_layers - 1;
            return Err(format!("dual_attention_layers names layer {layer}; the last one is {last}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{QkNorm, Sd3Config};
    use crate::Error;

    fn sd35_medium() -> Value {
        json!({
            "_class_name": "SD3Transformer2DModel", "sample_size": 128, "patch_size": 2, "in_channels": 16,
            "num_layers": 24, "attention_head_dim": 64, "num_attention_heads": 24, "joint_attention_dim": 4096,
            "caption_projection_dim": 1536, "pooled_projection_dim": 2048, "out_channels": 16,
            "pos_embed_max_size": 384, "dual_attention_layers": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            "qk_norm": "rms_norm"
        })
    }

    fn parse(config: &Value) -> crate::Result<Sd3Config> {
        Sd3Config::parse("config.json", config.to_string().as_bytes())
    }

    #[test]
    fn a_published_configuration_is_read() {
        let config = parse(&sd35_medium()).unwrap();
        assert_eq!((config.hidden(), config.qk_norm), (1536, Some(QkNorm::RmsNorm)));
        assert_eq!(config.dual_attention_layers.len(), 13);
    }

    #[test]
    fn the_configuration_of_sd3_medium_does_without_what_came_later() {
        let mut config = sd35_medium();
        for field in ["dual_attention_layers", "qk_norm", "attention_head_dim", "patch_size", "out_channels"] {
            config.as_object_mut().unwrap().remove(field).unwrap();
        }
        let config = parse(&config).unwrap();
        assert_eq!((config.hidden(), config.patch_size), (1536, 2));
        assert_eq!((config.qk_norm, config.dual_attention_layers), (None, Vec::new()));
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused() {
        let faults = [
            ("in_channels", json!(0)),
            ("in_channels", json!(-4)),
            ("patch_size", json!(0)),
            ("num_layers", json!(0)),
            ("num_layers", json!(1_000_000_000_000u64)),
            ("num_attention_heads", json!(u64::MAX)),
            ("num_attention_heads", json!(23)),
            ("attention_head_dim", json!(65_536)),
            ("joint_attention_dim", Value::Null),
            ("caption_projection_dim", json!(1152)),
            ("pos_embed_max_size", json!(0)),
            ("out_channels", json!(32)),
            ("qk_norm", json!("layer_norm")),
            ("dual_attention_layers", json!([0, 24])),
        ];
        for (field, value) in faults {
            let mut config = sd35_medium();
            config[field] = value.clone();
            let error = parse(&config).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{field} = {value}: {error}");
        }
        assert!(Sd3Config::parse("config.json", b"{").is_err());
    }
}
