//! The bins of Windows and macOS, through the `trash` crate. Windows says what is in it; macOS only takes.

use std::io;
use std::path::Path;

use trash::TrashItem;

/// A file in the bin, as the system knows it.
pub(super) type Item = Option<TrashItem>;

/// Moves a file to the bin and says what it is called there: what was not in it before, and came from `path`.
pub(super) fn moved(path: &Path) -> io::Result<Item> {
    let before = from_there(path);
    trash::delete(path).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(from_there(path).into_iter().find(|item| !before.contains(item)))
}

#[cfg(windows)]
fn from_there(path: &Path) -> Vec<TrashItem> {
    let all = trash::os_limited::list().unwrap_or_default();
    all.into_iter().filter(|item| item.original_path() == path).collect()
}

#[cfg(not(windows))]
fn from_there(_: &Path) -> Vec<TrashItem> {
    Vec::new()
}

/// Brings a file back.
pub(super) fn restored(item: &Item) -> io::Result<()> {
    let item =
        item.clone().ok_or_else(|| io::Error::other("programs cannot take anything out of this system's bin"))?;
    #[cfg(windows)]
    return trash::os_limited::restore_all([item]).map_err(|error| io::Error::other(error.to_string()));
    #[cfg(not(windows))]
    return Err(io::Error::other(item.original_path().display().to_string()));
}
