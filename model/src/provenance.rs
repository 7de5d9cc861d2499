//! What decides the last bit of a picture beside the request itself: weights, version, processor.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::weights::Holding;

/// A model as a record names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Its name in the catalogue, or its folder's name.
    pub name: String,
    /// Its weight files, in the order of use.
    pub weights: Vec<WeightRecord>,
    /// How the weights are held, as far as it decides bits.
    #[serde(default, skip_serializing_if = "Holding::is_exact")]
    pub holding: Holding,
    /// The catalogue entry whose defaults apply, where somebody said so (`--kind`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The adapters it was opened with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<LoraRecord>,
}

/// An adapter as a record names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraRecord {
    /// Its file's own name.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// The same of the file beside it that says how strongly it works, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// What it adds is multiplied with this.
    pub scale: f64,
}

impl fmt::Display for LoraRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, sha256, config, scale } = self;
        write!(f, "{file} at {scale} sha256 {sha256}")?;
        config.as_ref().map_or(Ok(()), |config| write!(f, ", settings {config}"))
    }
}

/// A weight file as a record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightRecord {
    /// Path inside the model's folder; the name of a loose file.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// What else decides the last bit of a pixel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeWith {
    /// Version of Flowline.
    pub flowline: String,
    /// Number format of the computation.
    pub dtype: String,
    /// Device, and the processor features that choose the kernels.
    pub device: String,
}

impl MadeWith {
    /// This program on this processor.
    pub fn here() -> Self {
        Self { flowline: env!("CARGO_PKG_VERSION").into(), dtype: "f32".into(), device: cpu() }
    }
}

/// The processor as far as it decides which matrix kernels run.
fn cpu() -> String {
    let mut name = format!("cpu {}", std::env::consts::ARCH);
    #[cfg(target_arch = "x86_64")]
    for (feature, present) in [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ] {
        if present {
            name = format!("{name}+{feature}");
        }
    }
    name
}
