//! Files that are whole or not there: written beside their place, flushed to the disk, then named.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// A file with all its content on the disk and no name yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Whole(NamedTempFile);

/// What became of naming a file.
#[derive(Debug)]
pub enum Named {
    /// It has the name.
    Done,
    /// Something else has the name; the file is still whole.
    Taken(Whole),
}

/// How the names of unfinished files begin and end.
const PREFIX: &str = ".flowline-";
const SUFFIX: &str = ".part";

/// A file in `folder` that will be gone unless it is named. It is locked as long as somebody writes it, where the file
/// system has locks, so that [`sweep`] knows it from one whose writer was killed.
fn nameless(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Temporary files are private unless told; a picture is as open as the user's other files (less the umask).
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    loop {
        let file = builder.tempfile_in(folder).map_err(reason)?;
        let locked = file.as_file().try_lock();
        // Between the two lines above the file looked abandoned, and may have been swept away.
        if !matches!(locked, Err(TryLockError::WouldBlock)) && file.path().exists() {
            return Ok(file);
        }
    }
}

/// Takes away the unfinished files in `folder` whose writers are gone, killed before they could do it themselves.
/// Where the file system has no locks, nothing is taken away.
///
/// # Errors
/// What the system says; a file that is gone already is no error.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if !(name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())) {
            continue;
        }
        let Ok(file) = OpenOptions::new().read(true).write(true).open(entry.path()) else { continue };
        if file.try_lock().is_ok()
            && let Err(error) = fs::remove_file(entry.path())
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

/// What the system said, without the name of a file that nobody asked for.
fn reason(error: io::Error) -> io::Error {
    let said = error.get_ref().and_then(|wrapped| wrapped.source()?.downcast_ref::<io::Error>()?.raw_os_error());
    said.map_or(error, io::Error::from_raw_os_error)
}

/// Whether files can be made in `folder`, by making one.
///
/// # Errors
/// What the system says.
pub fn probe(folder: &Path) -> io::Result<()> {
    nameless(folder).map(drop)
}

impl Whole {
    /// Lets `content` write a file in `folder` and brings it to the disk.
    ///
    /// # Errors
    /// What `content` or the system says; nothing is left behind then.
    pub fn write(folder: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let whole = Self::quickly(folder, content)?;
        whole.0.as_file().sync_all()?;
        Ok(whole)
    }

    /// As [`Whole::write`], but the system brings it to the disk when it likes: for what can be made again.
    ///
    /// # Errors
    /// As [`Whole::write`].
    pub fn quickly(folder: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let file = nameless(folder)?;
        let mut buffer = BufWriter::new(file.as_file());
        content(&mut buffer)?;
        buffer.flush()?;
        drop(buffer);
        Ok(Self(file))
    }

    /// Gives the file the name `path` unless something has it. Two programs that want the same name at once never
    /// overwrite each other.
    ///
    /// # Errors
    /// What the system says; nothing is left behind then.
    pub fn name(self, path: &Path) -> io::Result<Named> {
        match self.0.persist_noclobber(path) {
            Ok(_) => Ok(named(path)),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => Ok(Named::Taken(Self(refused.file))),
            Err(refused) => Self(refused.file).reserve(path),
        }
    }

    /// As [`Whole::name`], for file systems that can neither link nor rename without overwriting (FAT, some network
    /// ones): the name is taken by an empty file first, which only one can create.
    ///
    /// # Errors
    /// What the system says; nothing is left behind then.
    pub fn reserve(self, path: &Path) -> io::Result<Named> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(reserved) => drop(reserved),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Named::Taken(self)),
            Err(error) => return Err(error),
        }
        self.replace(path).inspect_err(|_| drop(fs::remove_file(path)))?;
        Ok(Named::Done)
    }

    /// Gives the file the name `path`, replacing what has it.
    ///
    /// # Errors
    /// What the system says; what was there is still there then.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        self.0.persist(path)?;
        named(path);
        Ok(())
    }
}

/// Brings the name itself to the disk, where the system can do that; the picture is there either way.
fn named(path: &Path) -> Named {
    if cfg!(unix)
        && let Some(Ok(folder)) = path.parent().map(|folder| File::open(super::here(folder)))
    {
        drop(folder.sync_all());
    }
    Named::Done
}
