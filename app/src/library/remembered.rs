//! What was read from pictures, kept so that it need not be read again. It is a cache: the pictures know it all.

use std::collections::HashMap;
use std::fs::{self, File as OpenFile};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::atomic::Whole;
use super::entry::{Content, Entry, File};

/// The cache's file; its name says its form, so that another form reads nothing of this one.
const NAME: &str = "library-1.jsonl";
/// One picture's line is never longer: it holds no more than [`super::About`] keeps.
const LONGEST: u64 = 256 << 10;

/// Entries by the path of their picture.
#[derive(Debug, Default)]
pub(super) struct Remembered(HashMap<PathBuf, Entry>);

impl Remembered {
    /// What is kept in `folder`. What cannot be read is not remembered.
    pub(super) fn load(folder: &Path) -> Self {
        let Ok(file) = OpenFile::open(folder.join(NAME)) else { return Self::default() };
        let mut lines = BufReader::new(file);
        let (mut known, mut line) = (HashMap::new(), Vec::new());
        loop {
            line.clear();
            match io::Read::take(&mut lines, LONGEST).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return Self(known),
                Ok(_) => {}
            }
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                known.insert(entry.file.path.clone(), entry);
            }
        }
    }

    /// What was in `file`, if it is as it was then.
    pub(super) fn recall(&mut self, file: &File) -> Option<Content> {
        self.0.remove(&file.path).filter(|entry| entry.file == *file).map(|entry| entry.content)
    }

    /// Keeps what was read of `entries` in `folder`.
    ///
    /// # Errors
    /// What the system says; what was kept before is still kept then.
    pub(super) fn save(folder: &Path, entries: &[Arc<Entry>]) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let write = |out: &mut dyn Write| {
            for entry in entries.iter().filter(|entry| entry.content != Content::Unread) {
                // A path that is no Unicode has no JSON; it is read again next time.
                if let Ok(mut line) = serde_json::to_vec(&**entry) {
                    line.push(b'\n');
                    out.write_all(&line)?;
                }
            }
            Ok(())
        };
        Whole::write(folder, write)?.replace(&folder.join(NAME))
    }
}
