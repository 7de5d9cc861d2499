//! Who makes an entry: whoever holds the lock of its file. The system gives the lock back when its holder is gone,
//! however it went.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::entry::JobId;

/// The lock on an entry. Dropped, the entry is nobody's.
pub(super) struct Owner {
    path: PathBuf,
    /// Kept open for its lock.
    _file: File,
}

/// What became of asking for an entry.
pub(super) enum Asked {
    /// It is ours now.
    Ours(Owner),
    /// Somebody else makes it.
    Theirs,
}

impl Owner {
    /// Asks for the entry `id` of the queue in `folder`. The journal's lock must be held, here and when an [`Owner`] is
    /// dropped. Where the file system has no locks, whoever asks gets it.
    pub(super) fn ask(folder: &Path, id: JobId) -> std::io::Result<Asked> {
        let path = folder.join(format!("{id}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(Asked::Theirs),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Asked::Ours(Self { path, _file: file })),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A lock file that stays behind harms nobody.
        let _ = fs::remove_file(&self.path);
    }
}
