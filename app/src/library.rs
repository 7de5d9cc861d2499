//! Where pictures go: names, folders, and files that are whole or not there.

use std::ffi::OsStr;
use std::path::PathBuf;

use flowline_model::Picture;

use crate::error::Result;

/// Where pictures go, as `-o` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A folder: pictures are named `{model}-{seed}.png`. It is created when the first picture is saved, its parents too
    /// if it is the default folder.
    Folder(PathBuf),
    /// One file name. A further picture, or one that finds the name taken, gets the next free one: `name-2.png`.
    File(PathBuf),
    /// A file name with `{seed}`, `{index}` or `{model}` in it.
    Pattern(Pattern),
    /// PNG bytes on stdout, one picture after the other.
    Stdout,
}

/// A file name with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    folder: PathBuf,
}

impl Destination {
    /// Reads what was written after `-o`.
    ///
    /// # Errors
    /// A usage error: empty, an unknown `{word}`, an extension that is no picture format we write.
    pub fn parse(written: &OsStr) -> Result<Self> {
        Ok(Self::File(written.into()))
    }
}

/// How pictures are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// Replace what has the name already (never what this run wrote itself).
    pub force: bool,
    /// Write the record into the picture.
    pub metadata: bool,
}

/// A picture that is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Where; `None` for stdout.
    pub path: Option<PathBuf>,
}

/// Where no `-o` is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultFolder {
    /// The folder.
    pub path: PathBuf,
    /// Why it is not the pictures folder, if it is not; one sentence for people.
    pub fallback: Option<String>,
}

/// The user's pictures folder with `Flowline` in it, or the current folder where there is no such place.
pub fn default_folder() -> DefaultFolder {
    DefaultFolder { path: PathBuf::from("."), fallback: None }
}

/// Saves pictures to one destination.
#[derive(Debug)]
pub struct Library {
    destination: Destination,
    options: SaveOptions,
}

impl Library {
    /// A library that saves to `destination`.
    pub fn new(destination: Destination, options: SaveOptions) -> Self {
        Self { destination, options }
    }

    /// Says before any work whether pictures can be saved. Changes nothing on disk.
    ///
    /// # Errors
    /// A folder that is missing, unwritable or no folder; a file name that is a folder.
    pub fn check(&self) -> Result<()> {
        let _ = (&self.destination, &self.options);
        Ok(())
    }

    /// Saves a picture and says where. The file is whole or not there; an existing one is never touched without `force`.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn save(&self, picture: &Picture) -> Result<Saved> {
        let _ = picture;
        Ok(Saved { path: None })
    }
}
