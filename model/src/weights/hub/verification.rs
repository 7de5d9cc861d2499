//! Whether what is in the cache is what it should be.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;

use super::Hub;
use super::digest::Digest;
use super::layout::Folder;
use super::reference::Reference;
use super::removal::{blob_of, names};
use crate::{Error, Result};

/// A file that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its name in the repository.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// What was found.
    pub verdict: Verdict,
}

/// What a file's hash says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what the Hub promised.
    Good,
    /// It is something else.
    Damaged,
    /// Its name leads nowhere.
    Missing,
    /// Nothing here says what it should be.
    Unknown,
}

impl Hub {
    /// Hashes those files of `reference`'s snapshot that `wanted` chooses, and compares. `observe` is told how many bytes
    /// were read, and asked whether to go on.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read; [`Error::Cancelled`].
    pub fn verify(
        &self,
        reference: &Reference,
        wanted: impl Fn(&str) -> bool,
        observe: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Vec<Verified>> {
        let (Some(cache), Some(snapshot)) = (self.cache(), self.snapshot(reference)) else { return Ok(Vec::new()) };
        let folder = Folder::of(cache, reference.repository()).path();
        let (mut verified, mut before) = (Vec::new(), 0);
        for file in names(&snapshot)?.into_iter().filter(|name| wanted(name) && reference.includes(name)) {
            let path = snapshot.join(&file);
            let Ok(size) = fs::metadata(&path).map(|there| there.len()) else {
                verified.push(Verified { file, size: 0, verdict: Verdict::Missing });
                continue;
            };
            let verdict = verdict(&folder, &path, size, &mut |bytes| observe(before + bytes))?;
            before += size;
            verified.push(Verified { file, size, verdict });
        }
        Ok(verified)
    }
}

/// The name of a blob is its hash. Where there are no links, a file is right if a blob is called what it hashes to.
fn verdict(folder: &Path, path: &Path, size: u64, go_on: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Verdict> {
    let blob = blob_of(folder, path);
    let named = blob.as_deref().and_then(Path::file_name).and_then(|name| Digest::parse(name.to_str()?));
    if let Some(digest) = named {
        return Ok(if hashed(&digest, path, size, go_on)? == digest.text() { Verdict::Good } else { Verdict::Damaged });
    }
    for kind in [Digest::Sha256(String::new()), Digest::Git(String::new())] {
        if folder.join("blobs").join(hashed(&kind, path, size, go_on)?).is_file() {
            return Ok(Verdict::Good);
        }
    }
    Ok(Verdict::Unknown)
}

fn hashed(digest: &Digest, path: &Path, size: u64, go_on: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<String> {
    let mut hasher = digest.hasher(size);
    let read = File::open(path).and_then(|mut file| hasher.read(&mut file, go_on));
    match read.map_err(|error| Error::io(path, error))? {
        ControlFlow::Continue(_) => Ok(hasher.finish()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}
