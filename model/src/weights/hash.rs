//! SHA-256 of weight files, remembered by path, size and modification time: hashing 24 GB takes a minute.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Hashes of files on disk, kept in a JSON file if there is a place for it.
#[derive(Debug, Default)]
pub struct HashCache {
    file: Option<PathBuf>,
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    size: u64,
    /// Nanoseconds since 1970, as a string: JSON readers lose the low bits of large integers.
    modified: String,
    sha256: String,
}

impl HashCache {
    /// The cache kept in `folder`; without one, or where it cannot be read, an empty cache that is not kept.
    pub fn open(folder: Option<&Path>) -> Self {
        let file = folder.map(|folder| folder.join("weight-hashes.json"));
        let known = file.as_ref().and_then(|file| serde_json::from_slice(&std::fs::read(file).ok()?).ok());
        Self { file, known: known.unwrap_or_default() }
    }

    /// SHA-256 of the file at `path`, lower-case hexadecimal.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn sha256(&mut self, path: &Path) -> Result<String> {
        let io = |e| Error::io(path, e);
        let metadata = std::fs::metadata(path).map_err(io)?;
        let modified = metadata.modified().map_err(io)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (size, modified) = (metadata.len(), modified.as_nanos().to_string());
        let key = std::path::absolute(path).map_err(io)?.to_string_lossy().into_owned();
        if let Some(known) = self.known.get(&key).filter(|known| known.size == size && known.modified == modified) {
            return Ok(known.sha256.clone());
        }
        let mut hasher = Sha256::new();
        std::io::copy(&mut File::open(path).map_err(io)?, &mut hasher).map_err(io)?;
        let sha256 = hex(&hasher.finalize());
        self.known.insert(key, Known { size, modified, sha256: sha256.clone() });
        self.keep();
        Ok(sha256)
    }

    /// A file whose SHA-256 is this, among those seen before, if it still is.
    pub fn find(&mut self, sha256: &str) -> Option<PathBuf> {
        let seen = self.known.iter().filter(|(_, known)| known.sha256 == sha256).map(|(path, _)| PathBuf::from(path));
        let mut seen = seen.collect::<Vec<_>>().into_iter();
        seen.find(|path| self.sha256(path).is_ok_and(|found| found == sha256))
    }

    /// Writes the cache beside itself and renames it, so that a reader never sees half of one. A cache that cannot be
    /// written costs time, not correctness.
    fn keep(&self) {
        let Some(file) = &self.file else { return };
        let Ok(text) = serde_json::to_vec_pretty(&self.known) else { return };
        let beside = file.with_extension(format!("json.{}", std::process::id()));
        let written = file.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok())
            && std::fs::write(&beside, text).is_ok()
            && std::fs::rename(&beside, file).is_ok();
        if !written {
            let _ = std::fs::remove_file(&beside);
        }
    }
}

/// SHA-256 of `bytes`, lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
