//! Where pictures go: names, folders, and files that are whole or not there.
//!
//! A [`Destination`] says where, a [`Library`] saves. The window and the command line use the same one. A file is written
//! beside its place under a name that begins with `.flowline-`, flushed, and only then given its name, so that nobody
//! ever sees half a picture; a name that is taken is never taken away without `--force`.
//!
//! What lies there is kept by a [`keeper::Keeper`]: every picture with what its record says, found by a [`Query`].

pub mod atomic;
mod beside;
pub mod bin;
mod cache_folder;
mod default_folder;
mod destination;
mod entry;
pub mod export;
pub mod keeper;
mod query;
mod remembered;
mod scan;
pub mod star;
pub mod thumbnail;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use atomic::{Named, Whole};
pub use beside::Beside;
pub use cache_folder::cache_folder;
pub use default_folder::{DefaultFolder, default_folder};
pub use destination::{Destination, Format, PNG, Pattern, Which};
pub use entry::{About, Content, Entry, File};
use flowline_model::Picture;
pub use query::{Age, Found, Query, Stars};

use crate::error::{Failure, Result};
use crate::record;

/// How pictures are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// Replace what has the name already; never what this library wrote itself.
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

/// Saves pictures to one destination.
#[derive(Debug)]
pub struct Library {
    destination: Destination,
    options: SaveOptions,
    /// Whether a missing folder is created with its parents.
    with_parents: bool,
    /// What was saved so far, kept where it could be replaced.
    written: Mutex<BTreeSet<PathBuf>>,
}

impl Library {
    /// A library that saves to `destination`.
    pub fn new(destination: Destination, options: SaveOptions) -> Self {
        // The user did not name the default folder, so cannot have mistyped it.
        let with_parents = destination == Destination::Folder(default_folder().path);
        Self { destination, options, with_parents, written: Mutex::default() }
    }

    /// Says before any work whether pictures can be saved. Leaves the disk as it is.
    ///
    /// # Errors
    /// A folder that is missing, cannot be written to or is no folder; a file name that a folder has; a terminal as
    /// stdout.
    pub fn check(&self) -> Result<()> {
        if self.destination == Destination::Stdout && io::stdout().is_terminal() {
            let hint = "send it to a file or a program: flowline generate ... -o - > picture.png";
            return Err(Failure::usage("a picture cannot be shown as text on the terminal", hint));
        }
        let Some(folder) = self.destination.folder() else { return Ok(()) };
        // Without the slash at its end, which would hide a file of that name.
        let folder: PathBuf = here(folder).components().collect();
        let folder = folder.as_path();
        if let Destination::File(path) = &self.destination
            && path.is_dir()
        {
            return Err(Failure::new(format!("{} is a folder", path.display()), "give another name for the picture"));
        }
        if folder.is_dir() {
            return atomic::probe(folder).map_err(|error| unwritable(folder, &error));
        }
        if folder.exists() {
            let what = format!("{} is a file, not a folder", folder.display());
            return Err(Failure::new(what, "give another folder after -o"));
        }
        let there = default_folder::existing(folder);
        let parent = folder.parent().map_or(there, here);
        let creates = matches!(self.destination, Destination::Folder(_)) && (self.with_parents || parent.is_dir());
        if !creates {
            let hint = match self.destination {
                Destination::Folder(_) => format!("create {} first", destination::shown(parent)),
                _ => format!(
                    "create it first, for example with: mkdir -p {}",
                    crate::command::quoted(&folder.to_string_lossy())
                ),
            };
            return Err(Failure::new(format!("the folder {} does not exist", folder.display()), hint));
        }
        let above = if self.with_parents { there } else { parent };
        if !above.is_dir() {
            let what = format!("{} is a file, not a folder", above.display());
            return Err(Failure::new(what, "give another folder after -o"));
        }
        atomic::probe(above).map_err(|error| unwritable(above, &error))
    }

    /// Takes away what programs that were killed left half-written where pictures go.
    pub fn sweep(&self) {
        if let Some(folder) = self.destination.folder() {
            // What cannot be taken away harms nobody.
            let _ = atomic::sweep(here(folder));
        }
    }

    /// Saves a picture and says where. The file is whole or not there.
    ///
    /// # Errors
    /// What the system says, with the path; nothing is left behind then.
    pub fn save(&self, picture: &Picture) -> Result<Saved> {
        self.save_named(picture, &mut |_| Ok(()))
    }

    /// As [`Library::save`]; when the file is on the disk, and before it has a name, `naming` hears which one is tried next
    /// and may refuse. Nothing has that name then.
    ///
    /// # Errors
    /// As [`Library::save`]; what `naming` says.
    pub fn save_named(&self, picture: &Picture, naming: &mut dyn FnMut(&Path) -> Result<()>) -> Result<Saved> {
        let chunks = if self.options.metadata { record::chunks(&picture.request) } else { Vec::new() };
        let encode = |out: &mut dyn Write| record::write_png(out, &picture.image, &chunks);
        let which = Which { model: &picture.request.model.name, seed: picture.seed, index: picture.index };
        let Some(path) = self.destination.path(which) else {
            let mut out = BufWriter::new(io::stdout().lock());
            let sent = encode(&mut out).and_then(|()| out.flush());
            sent.map_err(|error| Failure::new(format!("stdout: {error}"), "check the program that reads it"))?;
            return Ok(Saved { path: None });
        };
        self.write(&path, encode, naming).map(|path| Saved { path: Some(path) })
    }

    /// Lets `content` write the file `path`, or the next free one, and says which.
    ///
    /// # Errors
    /// What `content` or the system says, with the path; nothing is left behind then.
    pub fn store(&self, path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<PathBuf> {
        self.write(path, content, &mut |_| Ok(()))
    }

    fn write(
        &self,
        path: &Path,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        naming: &mut dyn FnMut(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let failed = |path: &Path, error: io::Error| {
            let Failure { what, hint, exit } = Failure::io(path, error);
            Failure { what: format!("the picture could not be saved as {what}"), hint, exit }
        };
        let folder = path.parent().map_or(Path::new("."), here);
        if let Destination::Folder(folder) = &self.destination
            && !folder.as_os_str().is_empty()
        {
            let made = match (folder.is_dir(), self.with_parents) {
                (true, _) => Ok(()),
                (false, true) => fs::create_dir_all(folder),
                (false, false) => fs::create_dir(folder),
            };
            made.map_err(|error| failed(folder, error))?;
        }
        let mut file = Whole::write(folder, content).map_err(|error| failed(path, error))?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for n in 1.. {
            let name = destination::numbered(path, n);
            if self.options.force {
                if written.contains(&name) {
                    continue;
                }
                naming(&name)?;
                file.replace(&name).map_err(|error| failed(&name, error))?;
                written.insert(name.clone());
                return Ok(name);
            }
            if name.symlink_metadata().is_ok() {
                continue;
            }
            naming(&name)?;
            match file.name(&name).map_err(|error| failed(&name, error))? {
                Named::Done => return Ok(name),
                Named::Taken(still) => file = still,
            }
        }
        Err(Failure::new(format!("{}: all names are taken", path.display()), "give another name after -o"))
    }
}

fn unwritable(folder: &Path, error: &io::Error) -> Failure {
    let what = format!("{} cannot be written to: {error}", folder.display());
    Failure::new(what, "check who may write there, or choose another place with -o")
}

/// The folder as the system understands it: a bare file name lies in the current one.
fn here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}
