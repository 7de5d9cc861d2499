//! What a program that was killed at the very end of an entry has left lying about.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::entry::JobId;
use super::owner::Owner;
use super::runs;

/// Takes away the locks and runs of entries that nobody needs any more. The journal's lock must be held.
pub(super) fn sweep(folder: &Path, is_needed: impl Fn(JobId) -> bool) {
    // What cannot be listed or taken away harms nobody.
    let Ok(files) = fs::read_dir(folder) else { return };
    for path in files.flatten().map(|file| file.path()) {
        let named = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).map(JobId);
        let Some(id) = named.filter(|id| !is_needed(*id)) else { continue };
        match path.extension().and_then(OsStr::to_str) {
            Some("run") => runs::remove(folder, id),
            // Its file goes with the lock, unless somebody holds it.
            Some("lock") => drop(Owner::ask(folder, id)),
            _ => {}
        }
    }
}
