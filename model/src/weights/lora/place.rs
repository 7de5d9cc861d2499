//! Where an adapter's file is.

use std::path::{Path, PathBuf};

use crate::opening::{Lora, LoraFile};
use crate::weights::HashCache;
use crate::{Error, Result};

/// What the file in an adapter's folder is called: by peft, and by diffusers.
const IN_FOLDERS: [&str; 2] = ["adapter_model.safetensors", "pytorch_lora_weights.safetensors"];
/// Strengths are between minus this and this: far above what anybody uses, and a product of two numbers stays one.
const STRONGEST: f64 = 100.0;

/// The file of an adapter.
///
/// # Errors
/// [`Error::Invalid`] for a folder without one, or a recorded file that is not known here.
pub(super) fn find(lora: &Lora, hashes: &mut HashCache) -> Result<PathBuf> {
    let path = match &lora.file {
        LoraFile::Path(path) => path,
        LoraFile::Recorded(record) => {
            return hashes.find(&record.sha256).ok_or_else(|| {
                let what = format!(
                    "the picture was made with the adapter {} (SHA-256 {}), which this computer has not seen",
                    record.file, record.sha256
                );
                Error::invalid(what, format!("say where it is: --lora path/to/{}={}", record.file, record.scale))
            });
        }
    };
    if path.is_dir() {
        let inside = IN_FOLDERS.iter().map(|name| path.join(name)).find(|path| path.is_file());
        return inside.ok_or_else(|| {
            let what = format!("there is no adapter in the folder {}", path.display());
            Error::invalid(what, format!("name its file; in a folder it must be called {}", IN_FOLDERS.join(" or ")))
        });
    }
    Ok(path.clone())
}

/// Refuses strengths that are no numbers, or far off.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn check_scale(path: &Path, scale: f64) -> Result<()> {
    if scale.abs() <= STRONGEST {
        return Ok(());
    }
    let what = format!("{} cannot be applied at {scale}", path.display());
    Err(Error::invalid(what, format!("strengths go from -{STRONGEST} to {STRONGEST}; 1 is as it was trained")))
}
