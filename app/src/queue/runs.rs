//! The unfinished pictures of the queue: a kept run for each, as far as it went, under a checksum.
//!
//! A run that cannot be read whole is none: its picture begins anew and comes out the same, only later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flate2::Crc;

use super::entry::JobId;
use crate::library::atomic::Whole;

/// How the file begins; the checksum and the run follow.
const MARK: &[u8; 16] = b"flowline kept 1\n";

fn path(folder: &Path, id: JobId) -> PathBuf {
    folder.join(format!("{id}.run"))
}

/// Keeps the run of an entry in the place of an older one.
pub(super) fn write(folder: &Path, id: JobId, run: &[u8]) -> io::Result<()> {
    let whole = Whole::write(folder, |out| {
        out.write_all(MARK)?;
        out.write_all(&checksum(run))?;
        out.write_all(run)
    });
    whole?.replace(&path(folder, id))
}

/// The run of an entry; `None` if there is none that is whole.
pub(super) fn read(folder: &Path, id: JobId) -> Option<Vec<u8>> {
    let mut file = fs::read(path(folder, id)).ok()?;
    let (sum, run) = file.strip_prefix(MARK)?.split_first_chunk::<4>()?;
    if *sum != checksum(run) {
        return None;
    }
    file.drain(..MARK.len() + size_of::<u32>());
    Some(file)
}

/// Forgets the run of an entry.
pub(super) fn remove(folder: &Path, id: JobId) {
    // What cannot be removed is not gone on with: no other entry gets this name.
    let _ = fs::remove_file(path(folder, id));
}

fn checksum(run: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(run);
    crc.sum().to_le_bytes()
}
