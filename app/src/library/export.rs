//! Copies of pictures in another folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::atomic::{Named, Whole};
use super::destination::numbered;
use super::star;
use crate::error::{Failure, Result};

/// Copies the picture at `path` into `folder`, byte for byte and with its star, under its own name or the next free one,
/// and says where. The folder is created if its parent is there.
///
/// # Errors
/// What the system says; nothing is left behind then, and nothing is ever overwritten.
pub fn copy(path: &Path, folder: &Path) -> Result<PathBuf> {
    let failed = |about: &Path, error: io::Error| {
        let Failure { what, hint, exit } = Failure::io(about, error);
        Failure { what: format!("the picture could not be copied: {what}"), hint, exit }
    };
    if !folder.is_dir() {
        fs::create_dir(folder).map_err(|error| failed(folder, error))?;
    }
    let copy = named(path, &folder.join(path.file_name().unwrap_or_default())).map_err(|(at, e)| failed(&at, e))?;
    let star = star::beside(path);
    if star.exists() {
        named(&star, &star::beside(&copy)).map_err(|(at, error)| failed(&at, error))?;
    }
    Ok(copy)
}

/// Copies a file to `target`, or the next free name; an error comes with what it is about.
fn named(from: &Path, target: &Path) -> Result<PathBuf, (PathBuf, io::Error)> {
    let about = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let mut source = File::open(from).map_err(about(from))?;
    let folder = target.parent().map_or(Path::new("."), super::here);
    let copied = Whole::write(folder, |mut out| io::copy(&mut source, &mut out).map(drop));
    let mut file = copied.map_err(about(folder))?;
    for n in 1.. {
        let name = numbered(target, n);
        match file.name(&name).map_err(about(&name))? {
            Named::Done => return Ok(name),
            Named::Taken(still) => file = still,
        }
    }
    Err((target.to_owned(), io::Error::other("all names are taken")))
}
