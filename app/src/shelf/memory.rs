//! What is remembered about models, in a small file of the user's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::library::atomic::Whole;
use crate::{Failure, Result};

/// Names and paths that were added, repositories that were fetched.
#[derive(Debug, Default)]
pub(super) struct Memory {
    folder: Option<PathBuf>,
    known: Known,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    added: BTreeMap<String, PathBuf>,
    fetched: BTreeSet<String>,
}

/// The file's name.
const FILE: &str = "models.json";

impl Memory {
    /// What is remembered in `folder`; nothing where there is none, or what is there makes no sense.
    pub(super) fn at(folder: Option<PathBuf>) -> Self {
        let known = folder.as_deref().and_then(|folder| read(folder).ok()).unwrap_or_default();
        Self { folder, known }
    }

    /// The path that was added as `name`.
    pub(super) fn path(&self, name: &str) -> Option<&Path> {
        self.known.added.get(name).map(PathBuf::as_path)
    }

    /// The names and paths that were added.
    pub(super) fn added(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.known.added.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// What was fetched by its repository.
    pub(super) fn fetched(&self) -> impl Iterator<Item = &str> {
        self.known.fetched.iter().map(String::as_str)
    }

    pub(super) fn add(&mut self, name: &str, path: &Path) {
        self.known.added.insert(name.to_owned(), path.to_owned());
    }

    pub(super) fn fetch(&mut self, reference: &str) {
        self.known.fetched.insert(reference.to_owned());
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.known.added.remove(name);
        self.known.fetched.remove(name);
    }

    /// Changes what is remembered, as it is now and not as it was read: another program may have changed it.
    ///
    /// # Errors
    /// Where it cannot be kept, or what is there makes no sense.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<()> {
        let Some(folder) = self.folder.clone() else {
            let hint = "set HOME or XDG_DATA_HOME, or name the model by its path";
            return Err(Failure::new("this user has no folder to remember models in", hint));
        };
        let io = |error| Failure::io(&folder, error);
        fs::create_dir_all(&folder).map_err(io)?;
        let lock =
            File::options().write(true).create(true).truncate(false).open(folder.join("models.lock")).map_err(io)?;
        // A file system without locks: two changes at once are rare there.
        let _ = lock.lock();
        self.known = read(&folder)?;
        change(self);
        let file = folder.join(FILE);
        let text = serde_json::to_vec_pretty(&self.known)
            .map_err(|_| Failure::new("the model's path is no text", "give the folder another name"))?;
        let written = Whole::write(&folder, |to| to.write_all(&text)).and_then(|whole| whole.replace(&file));
        written.map_err(|error| Failure::io(&file, error))
    }
}

fn read(folder: &Path) -> Result<Known> {
    let file = folder.join(FILE);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Known::default()),
        Err(error) => return Err(Failure::io(&file, error)),
    };
    serde_json::from_slice(&text).map_err(|error| {
        let what = format!("{} is damaged ({error})", file.display());
        Failure::new(what, "remove it; the models themselves are not in it")
    })
}
