//! A model that is nowhere in one place: loose files, and parts of files, seen as the diffusers folder they could be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{TensorFile, display_name};
use super::{ModelFiles, Weights};
use crate::Result;

/// A virtual diffusers folder.
#[derive(Clone, Debug)]
pub struct Assembled {
    name: String,
    /// What the files call the model.
    title: String,
    /// Where everything is that is not listed in `entries`.
    base: Option<Box<ModelFiles>>,
    entries: BTreeMap<String, Entry>,
    /// The weight files by the names that records give them.
    recorded: BTreeMap<String, PathBuf>,
}

/// What is at a place of the folder.
#[derive(Clone, Debug)]
enum Entry {
    /// What was inferred.
    Text(Arc<[u8]>),
    /// A file on disk.
    File(PathBuf),
    /// The tensors of one file, or of the pieces of a split one, whose names begin with `prefix`.
    Tensors { files: Vec<PathBuf>, prefix: String },
    /// Nothing, whatever the base has.
    Nothing,
}

impl Assembled {
    /// A folder called `name` with nothing in it but what `base` has.
    pub fn new(name: impl Into<String>, base: Option<ModelFiles>) -> Self {
        Self {
            name: name.into(),
            title: String::new(),
            base: base.map(Box::new),
            entries: BTreeMap::new(),
            recorded: BTreeMap::new(),
        }
    }

    /// Puts text at a place.
    pub fn put_text(&mut self, place: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.entries.insert(place.into(), Entry::Text(text.into().into()));
    }

    /// Puts a file at a place.
    pub fn put_file(&mut self, place: impl Into<String>, file: impl Into<PathBuf>) {
        self.entries.insert(place.into(), Entry::File(file.into()));
    }

    /// Puts a part of a file, or of the pieces of a split one, at the place of a weight file.
    pub fn put_tensors(&mut self, place: impl Into<String>, files: Vec<PathBuf>, prefix: impl Into<String>) {
        for file in &files {
            if !self.recorded.values().any(|known| known == file) {
                let own = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                // Two files of one name are told apart by their folders.
                let with_folder = display_name(file);
                let free = [own, with_folder].into_iter().find(|name| !self.recorded.contains_key(name));
                self.recorded.insert(free.unwrap_or_else(|| file.display().to_string()), file.clone());
            }
        }
        self.entries.insert(place.into(), Entry::Tensors { files, prefix: prefix.into() });
    }

    /// Leaves a place empty, whatever the base has there.
    pub fn leave_out(&mut self, place: impl Into<String>) {
        self.entries.insert(place.into(), Entry::Nothing);
    }

    /// Notes what the files call the model.
    pub fn entitle(&mut self, title: impl Into<String>) {
        self.title = title.into();
    }

    /// What the files call the model.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where the files behind a weight file are; `None` if there is none on disk.
    pub(super) fn paths(&self, file: &str) -> Option<Result<Vec<PathBuf>>> {
        match self.entries.get(file) {
            Some(Entry::Tensors { files, .. }) => Some(Ok(files.clone())),
            Some(Entry::File(path)) => Some(Ok(vec![path.clone()])),
            Some(Entry::Text(_) | Entry::Nothing) => None,
            None => self.base.as_ref().map(|base| base.paths(file)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is a file at a place.
    pub fn has(&self, file: &str) -> bool {
        match self.entries.get(file) {
            Some(entry) => !matches!(entry, Entry::Nothing),
            None => self.base.as_ref().is_some_and(|base| base.has(file)),
        }
    }

    /// The bytes of a small file; `None` if there is none.
    pub(super) fn read(&self, file: &str) -> Option<Result<Cow<'static, [u8]>>> {
        match self.entries.get(file) {
            Some(Entry::Text(text)) => Some(Ok(Cow::Owned(text.to_vec()))),
            Some(Entry::File(path)) => Some(super::files::read_small(path, file)),
            Some(Entry::Tensors { .. } | Entry::Nothing) => None,
            None => self.base.as_ref().map(|base| base.read(file)),
        }
    }

    /// The names that records give the files behind a weight file.
    pub(super) fn weight_files(&self, file: &str) -> Option<Result<Vec<String>>> {
        match self.entries.get(file) {
            Some(Entry::Tensors { files, .. }) => {
                let name = |path: &PathBuf| self.recorded.iter().find(|(_, known)| *known == path);
                Some(Ok(files.iter().filter_map(name).map(|(name, _)| name.clone()).collect()))
            }
            Some(Entry::Nothing) => None,
            Some(Entry::Text(_) | Entry::File(_)) => Some(Ok(vec![file.to_owned()])),
            None => self.base.as_ref().map(|base| base.weight_files(file)),
        }
    }

    /// Opens a weight file; `None` if there is none.
    pub(super) fn weights(&self, file: &str) -> Option<Result<Weights>> {
        match self.entries.get(file) {
            Some(Entry::Tensors { files, prefix }) => Some(open_tensors(files, prefix)),
            Some(Entry::File(path)) => Some(TensorFile::open(path).and_then(Weights::whole)),
            Some(Entry::Text(_) | Entry::Nothing) => None,
            None => self.base.as_ref().map(|base| base.weights(file)),
        }
    }

    /// Where a file is on disk, by its place or by the name that records give it.
    pub(super) fn path(&self, file: &str) -> Option<&Path> {
        match self.entries.get(file) {
            Some(Entry::File(path)) => Some(path),
            _ => self.recorded.get(file).map(PathBuf::as_path),
        }
    }

    pub(super) fn base(&self) -> Option<&ModelFiles> {
        self.base.as_deref()
    }
}

/// The tensors whose names begin with `prefix`, of one file or of the pieces of a split one.
fn open_tensors(files: &[PathBuf], prefix: &str) -> Result<Weights> {
    let opened = files.iter().map(|file| TensorFile::open(file)).collect::<Result<Vec<_>>>()?;
    let name = opened.first().map_or_else(String::new, |file| file.name().to_owned());
    Weights::joined(name, opened, prefix)
}
