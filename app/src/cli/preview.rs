//! `--preview-path`: the newest preview as a PNG file, always whole.

use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops::{FilterType, resize};

use crate::library::atomic::Whole;
use crate::{Failure, Result, record};

/// One pixel of a preview becomes so many along a side.
const SCALE: u32 = 8;

/// The file that the newest preview is written to.
#[derive(Debug)]
pub struct PreviewFile {
    path: PathBuf,
    folder: PathBuf,
}

impl PreviewFile {
    /// The file at `path`, which is replaced if it is there.
    ///
    /// # Errors
    /// A name that is no PNG file's, a folder that is not there.
    pub fn new(path: &Path) -> Result<Self> {
        let shown = path.display();
        if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            return Err(Failure::usage(
                format!("the preview {shown} is no PNG file"),
                "give it a name that ends in .png",
            ));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if path.is_dir() {
            return Err(Failure::new(format!("the preview {shown} is a folder"), "name a file inside it"));
        }
        if !folder.is_dir() {
            let hint = "create the folder, or choose another";
            return Err(Failure::new(format!("the preview's folder {} is not there", folder.display()), hint));
        }
        Ok(Self { path: path.to_owned(), folder })
    }

    /// Replaces the file by `preview`, enlarged.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, preview: &RgbImage) -> Result<()> {
        let (width, height) = (preview.width().saturating_mul(SCALE), preview.height().saturating_mul(SCALE));
        let large = resize(preview, width, height, FilterType::Triangle);
        let io = |e| Failure::io(&self.path, e);
        // Whoever watches the file never sees half a picture.
        let whole = Whole::write(&self.folder, |out| record::write_png(out, &large, &[])).map_err(io)?;
        whole.replace(&self.path).map_err(io)
    }
}
