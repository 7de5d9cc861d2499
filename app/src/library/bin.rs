//! The system's bin: pictures go there with their stars, and come back.

use std::path::{Path, PathBuf};

use super::star;
use crate::error::{Failure, Result};

/// A picture that is in the bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned {
    /// Where it was.
    pub path: PathBuf,
    /// What the system calls it and its star there; empty where the system does not say.
    items: Vec<Item>,
}

/// Moves the picture at `path` to the bin, and its star with it.
///
/// # Errors
/// A system without a bin, or one that takes nothing; the picture is where it was then.
pub fn put(path: &Path) -> Result<Binned> {
    // The bin keeps whole paths.
    let path = std::path::absolute(path).map_err(|error| Failure::io(path, error))?;
    let mut items = Vec::new();
    items.extend(moved(&path)?);
    let star = star::beside(&path);
    if star.exists() {
        match moved(&star) {
            Ok(item) => items.extend(item),
            Err(failure) => {
                // Half is not moved.
                back(&Binned { path, items })?;
                return Err(failure);
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
    if binned.items.is_empty() {
        let what = format!("{} cannot be brought back by a program", binned.path.display());
        return Err(Failure::new(what, "bring it back in the system's bin"));
    }
    restored(&binned.items).map_err(|error| {
        let what = format!("{} could not be brought back from the bin: {}", binned.path.display(), said(&error));
        Failure::new(what, "look for it in the system's bin; if something has its place, move that away first")
    })
}

fn refused(path: &Path, error: &trash::Error) -> Failure {
    let what = format!("{} could not be moved to the bin: {}", path.display(), said(error));
    Failure::new(what, "it is where it was; delete it in a file manager if you do not need it")
}

/// What the bin said, without the name of the crate's types.
fn said(error: &trash::Error) -> String {
    match error {
        trash::Error::Unknown { description } | trash::Error::Os { description, .. } => description.clone(),
        trash::Error::CouldNotAccess { .. } => "it is not there, or may not be touched".into(),
        trash::Error::TargetedRoot => "it is the root of everything".into(),
        trash::Error::CanonicalizePath { .. } => "its path leads nowhere".into(),
        other => other.to_string(),
    }
}

#[cfg(not(target_os = "macos"))]
use limited::{Item, moved, restored};
#[cfg(target_os = "macos")]
use unlimited::{Item, moved, restored};

/// Systems whose bin says what is in it.
#[cfg(not(target_os = "macos"))]
mod limited {
    use std::collections::HashSet;
    use std::ffi::OsString;
    use std::path::Path;

    use trash::{TrashItem, os_limited};

    use super::refused;
    use crate::error::Result;

    pub(super) type Item = TrashItem;

    /// Moves a file to the bin and says what it is called there: what was not in it before, and came from `path`.
    pub(super) fn moved(path: &Path) -> Result<Option<Item>> {
        let from_there = || {
            let all = os_limited::list().unwrap_or_default();
            all.into_iter().filter(|item| item.original_path() == path)
        };
        let before: HashSet<OsString> = from_there().map(|item| item.id).collect();
        trash::delete(path).map_err(|error| refused(path, &error))?;
        Ok(from_there().find(|item| !before.contains(&item.id)))
    }

    pub(super) fn restored(items: &[Item]) -> std::result::Result<(), trash::Error> {
        os_limited::restore_all(items.iter().cloned())
    }
}

/// The system whose bin takes and does not give.
#[cfg(target_os = "macos")]
mod unlimited {
    use std::path::Path;

    use super::refused;
    use crate::error::Result;

    pub(super) type Item = std::convert::Infallible;

    pub(super) fn moved(path: &Path) -> Result<Option<Item>> {
        trash::delete(path).map_err(|error| refused(path, &error))?;
        Ok(None)
    }

    pub(super) fn restored(_: &[Item]) -> std::result::Result<(), trash::Error> {
        Ok(())
    }
}
