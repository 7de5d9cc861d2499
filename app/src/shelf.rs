//! The models this user has: those fetched from the Hub, and those added by their path.

mod memory;
mod pull;

use std::path::{Path, PathBuf};

use flowline_model::Opening;
use flowline_model::catalog::{self, Entry, Source};
use flowline_model::weights::hub::{Hub, HubModel};
use flowline_model::weights::{ModelFiles, TensorFile};

use crate::places::{self, Kind};
use crate::{Failure, Result};
use memory::Memory;
pub use pull::{Pulled, Pulling, Terms, pull};

/// All models that are known, and where they are.
#[derive(Debug)]
pub struct Shelf {
    /// The Hub as this user's environment has it.
    pub hub: Hub,
    memory: Memory,
}

/// A model that can be named.
#[derive(Clone, Debug)]
pub enum Model {
    /// Built into the program.
    BuiltIn(&'static Entry),
    /// On the Hub, here or not.
    Hub(HubModel),
    /// The user's own, by its name and path.
    Added(String, PathBuf),
}

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the program.
    BuiltIn,
    /// In this folder or file.
    Here(PathBuf),
    /// Not on this machine.
    Away,
}

impl Shelf {
    /// What the environment says, and what was added; without the network if `offline`.
    pub fn usual(offline: bool) -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let data = places::of_program(Kind::Data).ok();
        // As there: without HOME there is no home.
        let home =
            if cfg!(unix) && variable("HOME").is_none_or(|home| home.is_empty()) { None } else { dirs::home_dir() };
        let hub = Hub::from_surroundings(variable, home.as_deref()).offline(offline);
        Self { hub, memory: Memory::at(data) }
    }

    /// The path of the model that was added as `name`, else `name` itself.
    fn path_or(&self, name: String) -> String {
        // What is in the catalogue cannot be taken by an added model.
        match self.memory.path(&name).filter(|_| !Path::new(&name).exists()) {
            Some(path) => path.to_string_lossy().into_owned(),
            None => name,
        }
    }

    /// `opening` with this user's names and Hub.
    pub fn over(self, opening: Opening) -> Opening {
        Opening { model: self.path_or(opening.model), hub: self.hub, ..opening }
    }

    /// Every model: the catalogue's in its order, then those fetched by their repository, then those added.
    pub fn models(&self) -> Vec<Model> {
        let catalogue = catalog::MODELS.iter().filter_map(Self::of);
        let fetched = self.memory.fetched().filter_map(HubModel::named).filter(|model| model.entry.is_none());
        let added = self.memory.added().map(|(name, path)| Model::Added(name.to_owned(), path.to_owned()));
        catalogue.chain(fetched.map(Model::Hub)).chain(added).collect()
    }

    fn of(entry: &'static Entry) -> Option<Model> {
        match entry.source {
            Source::Embedded(_) => Some(Model::BuiltIn(entry)),
            Source::Hub(_) => HubModel::of(entry).map(Model::Hub),
        }
    }

    /// The model called `name`, as it is typed after `-m`.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, name: &str) -> Result<Model> {
        if let Some(path) = self.memory.path(name) {
            return Ok(Model::Added(name.to_owned(), path.to_owned()));
        }
        match (catalog::find(name), HubModel::named(name)) {
            (Ok(entry), None) => Ok(Model::BuiltIn(entry)),
            (_, Some(model)) => Ok(Model::Hub(model)),
            (Err(unknown), None) => Err(unknown.into()),
        }
    }

    /// Where a model is.
    pub fn place(&self, model: &Model) -> Place {
        match model {
            Model::BuiltIn(_) => Place::BuiltIn,
            Model::Hub(model) => model.here(&self.hub).map_or(Place::Away, Place::Here),
            Model::Added(_, path) if path.exists() => Place::Here(path.clone()),
            Model::Added(..) => Place::Away,
        }
    }

    /// Gives a folder or file a name; the model.
    ///
    /// # Errors
    /// If there is nothing at `path`, the name is none or taken, or it cannot be remembered.
    pub fn add(&mut self, path: &Path, name: Option<&str>) -> Result<Model> {
        let path = std::path::absolute(path).map_err(|error| Failure::io(path, error))?;
        let metadata = std::fs::metadata(&path).map_err(|error| Failure::io(&path, error))?;
        match metadata.is_dir() {
            true => drop(ModelFiles::folder(&path)?),
            // Its header is read, so that nothing is called a model that cannot be one.
            false => drop(TensorFile::open(&path)?),
        }
        let own = if path.is_dir() { path.file_name() } else { path.file_stem() };
        let own = own.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.unwrap_or(&own);
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) || name.starts_with(['.', '-', ' ']) {
            let what = format!("'{name}' cannot be the name of a model");
            return Err(Failure::usage(what, "give one of letters, digits, '-', '_' and '.': --name NAME"));
        }
        if catalog::find(name).is_ok() {
            let what = format!("'{name}' is a model of the catalogue");
            return Err(Failure::usage(what, "give another name: --name NAME"));
        }
        if self.memory.path(name).is_some_and(|there| there != path) {
            let what = format!("'{name}' is the name of another model");
            return Err(Failure::usage(what, format!("give another name, or `flowline models remove {name}` first")));
        }
        self.memory.change(|memory| memory.add(name, &path))?;
        Ok(Model::Added(name.to_owned(), path))
    }

    /// Remembers that a model was fetched, so that it is listed.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn fetched(&mut self, model: &HubModel) -> Result<()> {
        if model.entry.is_some() {
            return Ok(());
        }
        self.memory.change(|memory| memory.fetch(&model.name()))
    }

    /// Forgets a model that was fetched by its repository, or added.
    ///
    /// # Errors
    /// If that cannot be written down.
    pub fn forget(&mut self, name: &str) -> Result<()> {
        self.memory.change(|memory| memory.forget(name))
    }
}

impl Model {
    /// As it is typed after `-m`.
    pub fn name(&self) -> String {
        match self {
            Self::BuiltIn(entry) => entry.name.to_owned(),
            Self::Hub(model) => model.name(),
            Self::Added(name, _) => name.clone(),
        }
    }

    /// Its entry in the catalogue.
    pub fn entry(&self) -> Option<&'static Entry> {
        match self {
            Self::BuiltIn(entry) => Some(entry),
            Self::Hub(model) => model.entry,
            Self::Added(..) => None,
        }
    }
}
