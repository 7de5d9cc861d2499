//! Taking files out of the cache, and what that frees.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Hub;
use super::layout::Folder;
use super::partial::unwritable;
use super::reference::Reference;
use crate::{Error, Result};

/// What would be taken away.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    /// The names, in the repository's layout.
    pub files: Vec<String>,
    /// Bytes that become free; content that another commit uses stays.
    pub bytes: u64,
    /// Where they are named.
    snapshot: PathBuf,
    /// What goes with them.
    blobs: Vec<PathBuf>,
    folder: PathBuf,
}

impl Hub {
    /// What removing those files of `reference`'s snapshot that `wanted` chooses would take away; `None` if none of
    /// them is here.
    ///
    /// # Errors
    /// [`Error::Hub`] if the cache cannot be read.
    pub fn removal(&self, reference: &Reference, wanted: impl Fn(&str) -> bool) -> Result<Option<Removal>> {
        let (Some(cache), Some(snapshot)) = (self.cache(), self.snapshot(reference)) else { return Ok(None) };
        let folder = Folder::of(cache, reference.repository()).path();
        let (mut files, mut going, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
        let mut staying = BTreeSet::new();
        for name in names(&snapshot)? {
            let path = snapshot.join(&name);
            let blob = blob_of(&folder, &path);
            if !wanted(&name) || !reference.includes(&name) {
                staying.extend(blob);
                continue;
            }
            match blob {
                Some(blob) => drop(going.insert(blob)),
                // Where there are no links, the file is its own content.
                None => bytes += fs::symlink_metadata(&path).map_or(0, |there| there.len()),
            }
            files.push(name);
        }
        for other in folders(&folder.join("snapshots"))?.into_iter().filter(|other| *other != snapshot) {
            staying.extend(names(&other)?.iter().filter_map(|name| blob_of(&folder, &other.join(name))));
        }
        let mut blobs: Vec<PathBuf> = going.difference(&staying).cloned().collect();
        if files.len() == names(&snapshot)?.len() {
            blobs.extend(Folder::of(cache, reference.repository()).leftovers());
        }
        bytes += blobs.iter().map(|blob| fs::metadata(blob).map_or(0, |there| there.len())).sum::<u64>();
        Ok((!files.is_empty()).then_some(Removal { files, bytes, snapshot, blobs, folder }))
    }
}

impl Removal {
    /// Takes it all away.
    ///
    /// # Errors
    /// [`Error::Hub`] at the first file that cannot be removed; calling again goes on.
    pub fn carry_out(&self) -> Result<()> {
        // Names first: a name without content would be found and fail, content without a name only takes room.
        let named = self.files.iter().map(|name| self.snapshot.join(name));
        for path in named.chain(self.blobs.iter().cloned()) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritable(&path, error)),
                _ => {}
            }
        }
        for name in &self.files {
            let mut folder = self.snapshot.join(name);
            // Folders go when they are empty, which the system says.
            while folder.pop() && folder.starts_with(&self.snapshot) && fs::remove_dir(&folder).is_ok() {}
        }
        if !self.snapshot.exists() {
            self.forget();
        }
        Ok(())
    }

    /// Branches that led to the commit lead nowhere; an empty repository leaves nothing behind.
    fn forget(&self) {
        let commit = self.snapshot.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let refs = self.folder.join("refs");
        for name in names(&refs).unwrap_or_default() {
            let path = refs.join(name);
            if fs::read_to_string(&path).is_ok_and(|text| text.trim() == commit) {
                let _ = fs::remove_file(path);
            }
        }
        for empty in ["snapshots", "refs", "blobs", ""] {
            let _ = fs::remove_dir(self.folder.join(empty));
        }
    }
}

/// The names of all files below `folder`, with forward slashes; nothing where there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((path, before)) = open.pop() {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io(&path, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::io(&path, error))?;
            let name = format!("{before}{}", entry.file_name().to_string_lossy());
            // A link to a folder is a name like any other, and is not followed.
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => open.push((entry.path(), format!("{name}/"))),
                false => found.push(name),
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The folders in `folder`.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect())
}

/// The blob that a name links to, if it is one of the repository's `folder`.
pub(super) fn blob_of(folder: &Path, path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    let name = target.file_name()?;
    let blob = folder.join("blobs").join(name);
    let there = path.parent()?.join(&target);
    // Links may be written in many ways; what counts is where they end.
    let same = match (fs::canonicalize(&there), fs::canonicalize(&blob)) {
        (Ok(there), Ok(blob)) => there == blob,
        _ => target.parent()?.ends_with("blobs"),
    };
    same.then_some(blob)
}
