//! A file that is coming: what of it is here, hashed as it comes, and never taken for whole before its hash is right.

use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::amount::Amount;
use super::digest::Hasher;
use super::listing::RemoteFile;
use crate::{Error, Result};

/// An unfinished file.
pub(super) struct Partial<'a> {
    remote: &'a RemoteFile,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
    /// Whether some of it was there before.
    resumed: bool,
}

impl<'a> Partial<'a> {
    /// What of `remote` is at `path`, or nothing yet. `beat` is asked now and then whether to go on.
    pub(super) fn open(
        path: PathBuf,
        remote: &'a RemoteFile,
        mut beat: impl FnMut() -> ControlFlow<()>,
    ) -> Result<Self> {
        let io = |error| unwritable(&path, error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
        }
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        let there = file.metadata().map_err(io)?.len();
        let mut hasher = remote.digest.hasher(remote.size);
        let mut length = 0;
        if there > remote.size {
            file.set_len(0).map_err(io)?;
        } else if there > 0 {
            // Not trusted: it counts for the bytes that it holds, and these go into the hash like all others.
            match hasher.read(&mut file, |_| beat()).map_err(io)? {
                ControlFlow::Continue(bytes) => length = bytes,
                ControlFlow::Break(()) => return Err(Error::Cancelled),
            }
        }
        Ok(Self { remote, path, file, hasher, length, resumed: length > 0 })
    }

    /// How much is here.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether some of it was there before.
    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }

    /// Whether all of it is here.
    pub(super) fn is_full(&self) -> bool {
        self.length == self.remote.size
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|error| unwritable(&self.path, error))?;
        self.hasher = self.remote.digest.hasher(self.remote.size);
        (self.length, self.resumed) = (0, false);
        Ok(())
    }

    /// The next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| self.full(error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether what has come is what should have come; then it is at `place`. Else it is gone.
    pub(super) fn finish(self, place: &Path) -> Result<bool> {
        let Self { remote, path, file, hasher, .. } = self;
        if hasher.finish() != remote.digest.text() {
            fs::remove_file(&path).map_err(|error| unwritable(&path, error))?;
            return Ok(false);
        }
        file.sync_all().map_err(|error| unwritable(&path, error))?;
        fs::rename(&path, place).map_err(|error| unwritable(place, error))?;
        Ok(true)
    }

    fn full(&self, error: std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                let left = self.remote.size.saturating_sub(self.length);
                let what =
                    format!("the disk is full ({error}): {} of '{}' are still to come", Amount(left), self.remote.path);
                Error::hub(what, "make room and run the same command again; it goes on from what is here")
            }
            _ => unwritable(&self.path, error),
        }
    }
}

/// A place in the cache that cannot be used.
pub(super) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let what = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::hub(what, "make room on that disk"),
        _ => Error::hub(what, "check who may write there, or name another folder with HF_HUB_CACHE"),
    }
}
