//! The sizes of an autoencoder.

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// `vae/config.json` of a diffusers folder. Fields we do not know are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VaeConfig {
    /// Channels at each level, full resolution first; between levels height and width halve.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks a level in the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// What latents are multiplied by after encoding, so that their spread is about one.
    pub scaling_factor: f64,
    /// What is subtracted from latents before that.
    #[serde(default)]
    pub shift_factor: Option<f64>,
    /// Whether a pixelwise map follows the encoder.
    #[serde(default = "yes")]
    pub use_quant_conv: bool,
    /// Whether a pixelwise map precedes the decoder.
    #[serde(default = "yes")]
    pub use_post_quant_conv: bool,
    /// Whether the middle blocks attend.
    #[serde(default = "yes")]
    pub mid_block_add_attention: bool,
    #[serde(default)]
    latents_mean: Value,
    #[serde(default)]
    latents_std: Value,
}

/// What diffusers assumes where an old configuration is silent.
fn yes() -> bool {
    true
}

impl VaeConfig {
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

    /// Pixels a latent pixel, along either side.
    pub fn latent_factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// What is subtracted from latents, 0 if the configuration says nothing.
    pub fn shift(&self) -> f64 {
        self.shift_factor.unwrap_or(0.0)
    }

    fn check(&self) -> Result<(), String> {
        /// Far above every published model, far below what overflows.
        const LARGEST: usize = 1 << 14;
        let levels = self.block_out_channels.len();
        if levels == 0 || levels > 8 {
            return Err(format!("block_out_channels has {levels} levels; it must have between 1 and 8"));
        }
        let channels = self.block_out_channels.iter().map(|channels| ("block_out_channels", *channels));
        let sizes = [("latent_channels", self.latent_channels), ("norm_num_groups", self.norm_num_groups)];
        for (name, size) in channels.chain(sizes) {
            if size == 0 || size > LARGEST {
                return Err(format!("{name} holds {size}; it must be between 1 and {LARGEST}"));
            }
        }
        if self.layers_per_block == 0 || self.layers_per_block > 64 {
            return Err(format!("layers_per_block is {}; it must be between 1 and 64", self.layers_per_block));
        }
        if let Some(odd) = self.block_out_channels.iter().find(|c| !c.is_multiple_of(self.norm_num_groups)) {
            return Err(format!("norm_num_groups is {}, which does not divide {odd} channels", self.norm_num_groups));
        }
        if !self.scaling_factor.is_finite() || self.scaling_factor == 0.0 || !self.shift().is_finite() {
            return Err(format!("scaling_factor is {}, shift_factor {}", self.scaling_factor, self.shift()));
        }
        if !self.latents_mean.is_null() || !self.latents_std.is_null() {
            return Err(
                "latents_mean and latents_std are not supported; only scaling_factor and shift_factor are".into()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::VaeConfig;
    use crate::Error;

    fn flux1() -> Value {
        json!({
            "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
            "latent_channels": 16, "norm_num_groups": 32, "scaling_factor": 0.3611, "shift_factor": null,
            "use_quant_conv": false, "use_post_quant_conv": false, "latents_mean": null, "latents_std": null
        })
    }

    #[test]
    fn a_published_configuration_is_read_and_a_null_shift_is_zero() {
        let config = VaeConfig::parse("config.json", flux1().to_string().as_bytes()).unwrap();
        assert_eq!((config.latent_factor(), config.shift(), config.mid_block_add_attention), (8, 0.0, true));
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused() {
        let faults = [
            ("block_out_channels", json!([])),
            ("block_out_channels", json!([128, 0])),
            ("block_out_channels", json!([32, 32, 32, 32, 32, 32, 32, 32, 32])),
            ("block_out_channels", json!([32, 48])),
            ("layers_per_block", json!(0)),
            ("latent_channels", json!(1u64 << 40)),
            ("norm_num_groups", json!(0)),
            ("scaling_factor", json!(0.0)),
            ("scaling_factor", Value::Null),
            ("latents_mean", json!([0.0])),
        ];
        for (field, value) in faults {
            let mut config = flux1();
            config[field] = value.clone();
            let error = VaeConfig::parse("config.json", config.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{field} = {value}: {error}");
        }
    }
}
