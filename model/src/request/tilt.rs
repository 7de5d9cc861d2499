//! Pulling a picture towards another.

use serde::{Deserialize, Serialize};

use super::in_range;
use crate::{Error, Result};

/// A picture that another is pulled towards, or pushed away from, see [`flowline_sampler::guidance::Tilted`]. Its latents
/// travel beside the request: [`crate::Pipeline::hold_picture`] takes them.
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
        check_name(&self.sha256, "is pulled towards", HOW)
    }
}

/// How the picture is given again.
pub(crate) const HOW: &str = "--tilt IMAGE:strength";

/// Refuses a name of latents that is no SHA-256: of a picture that this one `uses`, and that is given as `how` says.
pub(super) fn check_name(sha256: &str, uses: &str, how: &str) -> Result<()> {
    match sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(()),
        false => {
            let what = format!("the picture that this one {uses} is not named by a SHA-256");
            Err(Error::invalid(what, format!("give the picture itself: {how}")))
        }
    }
}
