//! Where pictures go when nobody says.

use std::env;
use std::path::{Path, PathBuf};

use super::{atomic, here};

/// Where pictures go when nobody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultFolder {
    /// The folder. It may not exist yet: the first picture creates it.
    pub path: PathBuf,
    /// Why it is the current folder instead of the pictures folder, if it is: one sentence without a full stop.
    pub fallback: Option<String>,
}

/// `Flowline` in the user's pictures folder; the current folder, and why, where there is no such place.
pub fn default_folder() -> DefaultFolder {
    // Without HOME, `dirs` asks the password database; whoever unset it does not want files there.
    let unset = cfg!(unix) && env::var_os("HOME").is_none_or(|home| home.is_empty());
    let home = if unset { None } else { dirs::home_dir() };
    DefaultFolder::of(home.as_deref(), dirs::picture_dir())
}

impl DefaultFolder {
    /// The default folder of a user with this home and this pictures folder, as far as they are known.
    pub fn of(home: Option<&Path>, pictures: Option<PathBuf>) -> Self {
        match in_pictures(home, pictures) {
            Ok(path) => Self { path, fallback: None },
            Err(why) => {
                let fallback = format!("{why}; pictures go to the current folder");
                Self { path: PathBuf::from("."), fallback: Some(fallback) }
            }
        }
    }
}

/// `Flowline` in the user's pictures folder, or why there is no such place.
fn in_pictures(home: Option<&Path>, pictures: Option<PathBuf>) -> Result<PathBuf, String> {
    let home = home.ok_or("HOME is not set")?;
    if !home.is_dir() {
        return Err(format!("the home folder {} does not exist", home.display()));
    }
    let folder = pictures.unwrap_or_else(|| home.join("Pictures")).join("Flowline");
    let there = existing(&folder);
    match atomic::probe(there) {
        Ok(()) => Ok(folder),
        Err(_) => Err(format!("{} cannot be written to", there.display())),
    }
}

/// The nearest folder above `path`, or itself, that is there.
pub(super) fn existing(path: &Path) -> &Path {
    path.ancestors().map(here).find(|folder| folder.exists()).unwrap_or(path)
}
