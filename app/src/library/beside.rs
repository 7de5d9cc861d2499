//! Files that lie beside the pictures: previews, traces, trajectories.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::atomic::{Named, Whole};
use super::destination::{Format, Pattern, Which, numbered};
use super::here;
use crate::error::{Failure, Result};

/// A file that is written, perhaps again and again, beside each picture of a run. It is always whole.
#[derive(Debug)]
pub struct Beside {
    /// What it is, for messages: `trace`.
    what: &'static str,
    pattern: Pattern,
    /// Whether a file that was there before is replaced.
    force: bool,
    /// The names that are this run's own, by the position of the picture.
    own: BTreeMap<usize, PathBuf>,
}

impl Beside {
    /// The file called `written`, which may hold `{seed}`, `{index}` and `{model}`. `what` is what messages call it.
    /// Unless `force`, a name that is taken is left alone for the next free one.
    ///
    /// # Errors
    /// A name of another format, a folder that is not there or cannot be written to, the name of a folder.
    pub fn new(what: &'static str, format: Format, written: &Path, force: bool) -> Result<Self> {
        let about = |failure: Failure| Failure { what: format!("the {what}: {}", failure.what), ..failure };
        let Some(text) = written.to_str().filter(|text| !text.is_empty()) else {
            let named = written.display();
            return Err(Failure::usage(format!("the {what} cannot be called '{named}'"), "give it a plain name"));
        };
        if written.is_dir() || text.ends_with(std::path::is_separator) {
            return Err(Failure::new(format!("the {what} {text} is a folder"), "name a file inside it"));
        }
        let pattern = Pattern::parse(text, format).map_err(about)?;
        // Without the slash at its end.
        let folder: PathBuf = here(pattern.folder()).components().collect();
        if !folder.is_dir() {
            let what = format!("the {what}'s folder {} is not there", folder.display());
            return Err(Failure::new(what, "create the folder, or choose another"));
        }
        super::atomic::probe(&folder).map_err(|error| about(super::unwritable(&folder, &error)))?;
        Ok(Self { what, pattern, force, own: BTreeMap::new() })
    }

    /// Refuses one name for several pictures.
    ///
    /// # Errors
    /// A usage error.
    pub fn serve(&self, pictures: usize) -> Result<()> {
        if pictures < 2 || self.pattern.tells_apart() {
            return Ok(());
        }
        let what = format!("one {} cannot serve {pictures} pictures", self.what);
        Err(Failure::usage(what, "put {seed} or {index} into its name"))
    }

    /// Lets `content` write the file of a picture, replacing what this run wrote for it before, and says where it is.
    ///
    /// # Errors
    /// What `content` or the system says; what was there is still there then.
    pub fn write(
        &mut self,
        which: Which<'_>,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<PathBuf> {
        let path = self.pattern.path(which);
        let failed = |path: &Path, error: io::Error| {
            let Failure { what, hint, exit } = Failure::io(path, error);
            Failure { what: format!("the {} could not be saved as {what}", self.what), hint, exit }
        };
        let mut file = Whole::write(here(self.pattern.folder()), content).map_err(|error| failed(&path, error))?;
        if let Some(own) = self.own.get(&which.index) {
            file.replace(own).map_err(|error| failed(own, error))?;
            return Ok(own.clone());
        }
        for n in 1.. {
            let name = numbered(&path, n);
            match self.force {
                true if self.own.values().any(|own| *own == name) => continue,
                true => file.replace(&name).map_err(|error| failed(&name, error))?,
                false => match file.name(&name).map_err(|error| failed(&name, error))? {
                    Named::Done => {}
                    Named::Taken(still) => {
                        file = still;
                        continue;
                    }
                },
            }
            self.own.insert(which.index, name.clone());
            return Ok(name);
        }
        Err(Failure::new(format!("{}: all names are taken", path.display()), "give another name"))
    }
}
