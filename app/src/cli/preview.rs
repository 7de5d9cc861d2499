//! `--preview-path`: the newest preview as a PNG file, always whole.

use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, resize};

use crate::library::{Beside, PNG, Which};
use crate::{Result, record};

/// One pixel of a preview becomes so many along a side.
const SCALE: u32 = 8;

/// The one file that the newest preview is written to, whichever picture it is of.
#[derive(Debug)]
pub struct PreviewFile(Beside);

impl PreviewFile {
    /// The file at `path`, which is replaced if it is there.
    ///
    /// # Errors
    /// Those of [`Beside::new`].
    pub fn new(path: &Path) -> Result<Self> {
        Ok(Self(Beside::new("preview", PNG, path, true)?))
    }

    /// Replaces the file by `preview`, enlarged.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, preview: &RgbImage) -> Result<()> {
        let (width, height) = (preview.width().saturating_mul(SCALE), preview.height().saturating_mul(SCALE));
        let large = resize(preview, width, height, FilterType::Triangle);
        let newest = Which { model: "preview", seed: 0, index: 0 };
        // Whoever watches the file never sees half a picture.
        self.0.write(newest, |out| record::write_png(out, &large, &[])).map(drop)
    }
}
