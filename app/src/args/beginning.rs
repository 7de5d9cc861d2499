//! Which picture to begin at, and under how much noise.

use std::path::PathBuf;

use clap::ValueHint;

use super::values;

/// Options that say where a run begins.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Beginning {
    /// Begin at this picture instead of at noise, PNG, JPEG or WebP; without -W and -H it decides the size
    #[arg(id = "init-image", short = 'i', long = "init-image", value_name = "PICTURE", aliases = ["init-img", "image"], value_hint = ValueHint::FilePath)]
    pub picture: Option<PathBuf>,
    /// How much of that picture is noise at the beginning, from 0 to 1; 0.75 if not given
    ///
    /// The part of the schedule below this sigma is walked: 20 steps at strength 0.75 are about 15. 0 gives the picture
    /// back, 1 keeps nothing of it.
    #[arg(long, value_name = "S", aliases = ["denoising-strength", "image-strength"], value_parser = values::number, allow_hyphen_values = true)]
    pub strength: Option<f64>,
}
