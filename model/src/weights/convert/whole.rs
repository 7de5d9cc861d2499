//! A file that is whole or not there: written beside its place, flushed to the disk, then named.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file in the making. Dropped before it has its name, it is gone.
pub(super) struct Whole {
    file: Option<BufWriter<File>>,
    beside: PathBuf,
    path: PathBuf,
    written: u64,
}

impl Whole {
    /// A file that will be at `path`, with `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if something is there already, or there is too little space; [`Error::Io`] if it cannot be
    /// written.
    pub(super) fn create(path: &Path, bytes: u64) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(|e| Error::io(path, e))?;
        let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(Error::invalid(format!("{} is no name for a file", path.display()), "name a file"));
        };
        if fs::symlink_metadata(&absolute).is_ok() {
            let what = format!("{} is there already", path.display());
            return Err(Error::invalid(what, "name another file, or remove it first"));
        }
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let free = fs4::available_space(folder).ok();
        if let Some(free) = free.filter(|free| *free < bytes) {
            let what = format!("{} needs {bytes} bytes, and {free} are free there", path.display());
            return Err(Error::invalid(what, "free some space, or choose a smaller encoding"));
        }
        let mut unfinished = std::ffi::OsString::from(".");
        unfinished.push(name);
        unfinished.push(format!(".{}.part", std::process::id()));
        let beside = folder.join(unfinished);
        let file = File::create(&beside).map_err(|e| Error::io(path, e))?;
        Ok(Self { file: Some(BufWriter::with_capacity(1 << 20, file)), beside, path: absolute, written: 0 })
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|e| Error::io(&self.path, e))?;
            self.written += bytes.len() as u64;
        }
        Ok(())
    }

    /// Adds zeros up to a multiple of `alignment`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn align(&mut self, alignment: usize) -> Result<()> {
        let missing = self.written.next_multiple_of(alignment as u64) - self.written;
        self.write(&vec![0; missing as usize])
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn name(mut self) -> Result<()> {
        let io = |e| Error::io(&self.path, e);
        if let Some(file) = self.file.take() {
            let file = file.into_inner().map_err(|e| io(e.into_error()))?;
            file.sync_all().map_err(io)?;
            drop(file);
            // A link is not made where something else is; a file system without links renames.
            match fs::hard_link(&self.beside, &self.path) {
                Ok(()) => fs::remove_file(&self.beside).map_err(io)?,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    let _ = fs::remove_file(&self.beside);
                    return Err(io(e));
                }
                Err(_) => fs::rename(&self.beside, &self.path).map_err(io)?,
            }
        }
        Ok(())
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.beside);
        }
    }
}
