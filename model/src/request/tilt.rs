//! Pulling a picture towards another.

use serde::{Deserialize, Serialize};

use super::in_range;
use crate::{Error, Result};

/// A picture that another is pulled towards, or pushed away from, see [`flowline_sampler::guidance::Tilted`]. Its latents
/// travel beside the request: [`crate::Pipeline::hold_target`] takes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tilt {
    /// SHA-256 of the target's latents, f32 little-endian, lower-case hexadecimal.
    pub sha256: String,
    /// How strongly, in units of one over the variance of the data; below 0 pushes away, 0 does nothing.
    pub strength: f64,
}

impl Tilt {
    /// Refuses a strength that is none and a hash that is none.
    pub(super) fn check(&self) -> Result<()> {
        in_range("the strength of a tilt", self.strength, -1000.0, 1000.0)?;
        match self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(()),
            false => {
                let what = "the picture that this one is pulled towards is not named by a SHA-256";
                Err(Error::invalid(what, "give the picture itself: --tilt IMAGE:strength"))
            }
        }
    }
}
