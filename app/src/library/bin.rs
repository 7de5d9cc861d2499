//! The system's bin: pictures go there with their stars, and come back.

#[cfg(not(any(windows, target_os = "macos")))]
mod freedesktop;
#[cfg(any(windows, target_os = "macos"))]
mod other;

use std::path::{Path, PathBuf};

#[cfg(not(any(windows, target_os = "macos")))]
use freedesktop::{Item, moved, restored};
#[cfg(any(windows, target_os = "macos"))]
use other::{Item, moved, restored};

use super::star;
use crate::error::{Failure, Result};

/// A picture that is in the bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned {
    /// Where it was.
    pub path: PathBuf,
    /// The picture in the bin, and its star.
    items: Vec<Item>,
}

/// Moves the picture at `path` to the bin, and its star with it.
///
/// # Errors
/// A system without a bin, or one that takes nothing; the picture is where it was then.
pub fn put(path: &Path) -> Result<Binned> {
    // The bin keeps whole paths.
    let path = std::path::absolute(path).map_err(|error| Failure::io(path, error))?;
    let refused = |error: std::io::Error| {
        let what = format!("{} could not be moved to the bin: {error}", path.display());
        Failure::new(what, "it is where it was; delete it in a file manager if you do not need it")
    };
    let mut items = vec![moved(&path).map_err(refused)?];
    let star = star::beside(&path);
    if star.exists() {
        match moved(&star) {
            Ok(item) => items.push(item),
            Err(error) => {
                // Half is not moved.
                back(&Binned { path: path.clone(), items })?;
                return Err(refused(error));
            }
        }
    }
    Ok(Binned { path, items })
}

/// Brings a picture back to where it was.
///
/// # Errors
/// Something else has its place, it is no longer in the bin, or the system cannot bring it back.
pub fn back(binned: &Binned) -> Result<()> {
    for item in &binned.items {
        restored(item).map_err(|error| {
            let what = format!("{} could not be brought back from the bin: {error}", binned.path.display());
            Failure::new(what, "look for it in the system's bin; if something has its place, move that away first")
        })?;
    }
    Ok(())
}
