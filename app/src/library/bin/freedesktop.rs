//! The bin of Linux and the BSDs: a folder, described by freedesktop.org's Trash specification 1.0. Written here because
//! it is short and because what was moved is brought back by its own name in the bin, which the `trash` crate does not
//! tell; that crate would also build the matrix kernels anew.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file in the bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Where it was.
    from: PathBuf,
    /// Where it is.
    file: PathBuf,
    /// What tells the bin where it was.
    info: PathBuf,
}

/// A bin that files can be renamed into.
struct Bin {
    folder: PathBuf,
    /// What the paths in it are relative to; `None` where they are whole.
    top: Option<PathBuf>,
}

/// Moves a file to the bin.
pub(super) fn moved(path: &Path) -> io::Result<Item> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    fs::symlink_metadata(path)?;
    let bin = Bin::of(path)?;
    let within = bin.top.as_ref().and_then(|top| path.strip_prefix(top).ok()).unwrap_or(path);
    let about = format!("[Trash Info]\nPath={}\nDeletionDate={}\n", written(within), date(SystemTime::now()));
    for n in 1.. {
        let mut own = name.to_owned();
        if n > 1 {
            own.push(format!(".{n}"));
        }
        let file = bin.folder.join("files").join(&own);
        let info = bin.folder.join("info").join(with_info(own));
        // Whoever makes the description has the name.
        match OpenOptions::new().write(true).create_new(true).open(&info) {
            Ok(mut open) => {
                let taken = fs::symlink_metadata(&file).is_ok();
                let moved = match taken {
                    true => Err(ErrorKind::AlreadyExists.into()),
                    false => open.write_all(about.as_bytes()).and_then(|()| fs::rename(path, &file)),
                };
                match moved {
                    Ok(()) => return Ok(Item { from: path.to_owned(), file, info }),
                    Err(error) => {
                        fs::remove_file(&info)?;
                        if !taken {
                            return Err(error);
                        }
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Brings a file back; what has its place keeps it.
pub(super) fn restored(item: &Item) -> io::Result<()> {
    match fs::hard_link(&item.file, &item.from) {
        Ok(()) => fs::remove_file(&item.file)?,
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => return Err(error),
        // A file system without links.
        Err(_) if fs::symlink_metadata(&item.from).is_ok() => return Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(&item.file, &item.from)?,
    }
    fs::remove_file(&item.info)
}

impl Bin {
    /// The bin for the file at `path`: the user's, or that of the disk it lies on.
    fn of(path: &Path) -> io::Result<Self> {
        let home = home_bin()?;
        let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
        let disk = fs::metadata(folder)?.dev();
        let own = Self { folder: home, top: None };
        own.create()?;
        if fs::metadata(&own.folder)?.dev() == disk {
            return Ok(own);
        }
        let on_it = |above: &&Path| fs::metadata(above).is_ok_and(|about| about.dev() == disk);
        let top = folder.ancestors().take_while(on_it).last().ok_or(ErrorKind::NotFound)?;
        let user = fs::metadata(&own.folder)?.uid();
        let there = Self { folder: top.join(format!(".Trash-{user}")), top: Some(top.to_owned()) };
        there.create()?;
        Ok(there)
    }

    /// Creates what is missing of it, for nobody else to look into.
    fn create(&self) -> io::Result<()> {
        for part in ["files", "info"] {
            DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join(part))?;
        }
        Ok(())
    }
}

/// The user's own bin.
fn home_bin() -> io::Result<PathBuf> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = given("XDG_DATA_HOME").or_else(|| given("HOME").map(|home| home.join(".local/share")));
    let none = || io::Error::new(ErrorKind::NotFound, "there is no bin: HOME is not set");
    Ok(data.ok_or_else(none)?.join("Trash"))
}

fn with_info(mut name: OsString) -> OsString {
    name.push(".trashinfo");
    name
}

/// A path as a URL has it (RFC 2396): all but letters, digits and a few signs as `%XX`.
fn written(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(*byte)),
            // Writing to a string cannot fail.
            byte => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// `2026-11-21T22:05:00`, in UTC: nothing here knows the user's time zone.
fn date(when: SystemTime) -> String {
    let seconds = when.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = crate::library::entry::calendar(day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}
