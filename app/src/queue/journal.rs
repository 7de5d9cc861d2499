//! The file that the queue is: a line for everything that happened, each under a checksum.
//!
//! ```text
//! 5d1e0a3c {"queue":1,"edition":8812…,"last":0}      the head: form, a name for this writing of it, the last name given out
//! 9b27c1f0 {"add":{"id":1,"task":{…}}}               what happened, oldest first
//! ```
//! Whoever reads or writes holds the lock beside it, so half a line can only be what a computer that stopped has left.
//! Lines that are whole count, whatever lies between them; the others are set aside in a file of their own and the rest
//! is written anew. A journal that has grown is written anew too. That happens beside it, and the new one takes its name
//! when it is on the disk.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Crc;
use serde::{Deserialize, Serialize};

use super::change::{Change, Entries};
use crate::error::{Failure, Result};
use crate::library::atomic::{Named, Whole};

const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
/// The form that is written and read.
const FORM: u32 = 1;
/// A journal shorter than this is not worth writing anew, bytes.
const WORTH: u64 = 256 << 10;
/// The longest journal that is read, bytes.
const LONGEST: u64 = 64 << 20;

/// The first line.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Head {
    /// [`FORM`].
    queue: u32,
    /// Differs whenever the journal is written anew, so that who has read it knows.
    #[serde(default)]
    edition: u64,
    /// The last name that was given out.
    #[serde(default)]
    last: u64,
}

/// The journal of a folder.
pub(super) struct Journal {
    folder: PathBuf,
    lock: File,
    /// What was read: which edition, and how far.
    edition: Option<u64>,
    read: u64,
    /// Written anew when it is longer than this.
    limit: u64,
}

/// The lock on a journal; dropped, it is open again.
pub(super) struct Locked(Option<File>);

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(lock) = &self.0 {
            // The system takes it back with the file at the latest.
            let _ = lock.unlock();
        }
    }
}

/// What reading found beside the changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Where damaged lines were set aside.
    pub(super) damaged: Option<PathBuf>,
}

impl Journal {
    /// The journal of `folder`, which is created if need be.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let failed = |e| Failure::io(folder, e);
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|e| Failure::io(&path, e))?;
        Ok(Self { folder: folder.to_owned(), lock, edition: None, read: 0, limit: WORTH })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self) -> PathBuf {
        self.folder.join(JOURNAL)
    }

    /// Waits until nobody else reads or writes. Where the file system has no locks, nobody is waited for.
    pub(super) fn lock(&self) -> Result<Locked> {
        match self.lock.lock() {
            Ok(()) => Ok(Locked(self.lock.try_clone().ok())),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(Locked(None)),
            Err(error) => Err(Failure::io(&self.folder.join(LOCK), error)),
        }
    }

    /// Brings `entries` to what is written down. The lock must be held.
    pub(super) fn catch_up(&mut self, entries: &mut Entries) -> Result<Found> {
        let path = self.path();
        let failed = |e| Failure::io(&path, e);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // New, or somebody took it away: what is known is written down again.
                self.write_anew(entries)?;
                return Ok(Found::default());
            }
            Err(error) => return Err(failed(error)),
        };
        let length = file.metadata().map_err(failed)?.len();
        if length > LONGEST {
            let what = format!("{} is {} MB long, far too much for a queue", path.display(), length >> 20);
            return Err(Failure::new(what, "move it away; the queue then begins anew"));
        }
        let head = read_head(&mut file).map_err(failed)?;
        if let Some(head) = head.filter(|head| head.queue != FORM) {
            let what = format!("the queue in {} has form {}, this program knows {FORM}", path.display(), head.queue);
            return Err(Failure::new(what, "use the flowline that wrote it, or move the file away"));
        }
        let known = head.is_some_and(|head| self.edition == Some(head.edition)) && self.read <= length;
        if !known {
            *entries = Entries { last: head.map_or(0, |head| head.last), ..Entries::default() };
            (self.edition, self.read) = (head.map(|head| head.edition), 0);
        }
        file.seek(SeekFrom::Start(self.read)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let mut damaged = Vec::new();
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        if self.read == 0 && head.is_some() {
            lines.next();
        }
        for line in lines {
            match read_line(line) {
                Some(change) => entries.apply(change),
                None => damaged.extend_from_slice(line),
            }
        }
        self.read = self.read.saturating_add(bytes.len() as u64);
        if head.is_some() && damaged.is_empty() {
            return Ok(Found::default());
        }
        let damaged = match damaged.is_empty() {
            // Nothing but an empty file.
            true => None,
            false => Some(self.set_aside(&damaged)?),
        };
        self.write_anew(entries)?;
        Ok(Found { damaged })
    }

    /// Writes down what happened, and does it. The lock must be held, and nothing may be left to catch up with.
    pub(super) fn append(&mut self, changes: Vec<Change>, entries: &mut Entries) -> Result<()> {
        let mut lines = Vec::new();
        for change in &changes {
            lines.extend(line(change)?);
        }
        let path = self.path();
        let written = OpenOptions::new().append(true).open(&path).and_then(|mut file| {
            file.write_all(&lines).and_then(|()| file.sync_data()).inspect_err(|_| {
                // Half a line would be set aside later; better it is not there at all.
                let _ = file.set_len(self.read);
            })
        });
        written.map_err(|error| unwritten(&path, error))?;
        self.read = self.read.saturating_add(lines.len() as u64);
        for change in changes {
            entries.apply(change);
        }
        if self.read > self.limit {
            // What is written down is written down; if there is no room to do it shortly, it is done another time.
            let _ = self.write_anew(entries);
        }
        Ok(())
    }

    /// Writes the journal of `entries`, which takes the place of the old one when it is on the disk.
    fn write_anew(&mut self, entries: &mut Entries) -> Result<()> {
        let path = self.path();
        let edition = RandomState::new().hash_one(&path);
        let mut lines = line(&Head { queue: FORM, edition, last: entries.last })?;
        let mut kept = Entries { last: entries.last, ..Entries::default() };
        for change in entries.retold() {
            lines.extend(line(&change)?);
            kept.apply(change);
        }
        let written = Whole::write(&self.folder, |out| out.write_all(&lines)).and_then(|whole| whole.replace(&path));
        written.map_err(|error| unwritten(&path, error))?;
        *entries = kept;
        (self.edition, self.read) = (Some(edition), lines.len() as u64);
        self.limit = WORTH.max(self.read.saturating_mul(4));
        Ok(())
    }

    /// Keeps damaged lines in a file of their own.
    fn set_aside(&self, damaged: &[u8]) -> Result<PathBuf> {
        let failed = |e| unwritten(&self.folder, e);
        let mut file = Whole::write(&self.folder, |out| out.write_all(damaged)).map_err(failed)?;
        for n in 1_u64.. {
            let path = self.folder.join(format!("{JOURNAL}-damaged-{n}"));
            match file.name(&path).map_err(failed)? {
                Named::Done => return Ok(path),
                Named::Taken(still) => file = still,
            }
        }
        Err(failed(ErrorKind::AlreadyExists.into()))
    }
}

/// The failure of a journal that cannot be written.
fn unwritten(path: &Path, error: io::Error) -> Failure {
    let Failure { what, hint, exit } = Failure::io(path, error);
    Failure { what: format!("the queue cannot be written down: {what}"), hint, exit }
}

fn checksum(text: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(text);
    crc.sum()
}

/// `value` as a line of the journal.
fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let no_form = |e| Failure::new(format!("a job cannot be written down ({e})"), "change what it asks for");
    let json = serde_json::to_string(value).map_err(no_form)?;
    Ok(format!("{:08x} {json}\n", checksum(json.as_bytes())).into_bytes())
}

/// What a line says; `None` unless it is whole.
fn read_line<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, json) = text.split_at_checked(8)?;
    let json = json.strip_prefix(' ')?;
    // As it is written and no other way: no sign, no capitals.
    (sum == format!("{:08x}", checksum(json.as_bytes()))).then(|| serde_json::from_str(json).ok())?
}

/// The first line; `None` if it is no head.
fn read_head(file: &mut File) -> io::Result<Option<Head>> {
    const LONGEST_HEAD: u64 = 256;
    let mut bytes = Vec::new();
    file.take(LONGEST_HEAD).read_to_end(&mut bytes)?;
    Ok(bytes.split_inclusive(|byte| *byte == b'\n').next().and_then(read_line))
}
