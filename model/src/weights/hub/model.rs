//! What a model's name stands for on the Hub, and whether that is here.

use std::path::PathBuf;

use super::amount::Amount;
use super::files::{Wanted, complete, means};
use super::{Hub, Reference};
use crate::catalog::{self, Entry, Hosted, Source};
use crate::{Error, Result};

/// A model that can be fetched from the Hub.
#[derive(Clone, Debug)]
pub struct HubModel {
    /// Its repository, and its file where one is named.
    pub reference: Reference,
    /// Its entry, where the catalogue has one.
    pub entry: Option<&'static Entry>,
    wanted: Wanted<'static>,
}

impl HubModel {
    /// What `name` stands for: a name of the catalogue, or `owner/repo[@revision][:file]`. `None` for what is built in and
    /// for what is neither.
    pub fn named(name: &str) -> Option<Self> {
        match catalog::find(name) {
            Ok(entry) => Self::of(entry),
            Err(_) => {
                let reference = Reference::parse(name).ok()?;
                Some(Self { reference, entry: None, wanted: Wanted::Model })
            }
        }
    }

    /// The model of a catalogue entry; `None` for what is built in.
    pub fn of(entry: &'static Entry) -> Option<Self> {
        let Source::Hub(hosted) = entry.source else { return None };
        Some(Self { reference: hosted.reference()?, entry: Some(entry), wanted: hosted.wanted() })
    }

    /// As it is typed after `-m`.
    pub fn name(&self) -> String {
        self.entry.map_or_else(|| self.reference.to_string(), |entry| entry.name.to_owned())
    }

    /// What the catalogue knows about its repository.
    pub fn hosted(&self) -> Option<&'static Hosted> {
        match self.entry?.source {
            Source::Hub(hosted) => Some(hosted),
            Source::Embedded(_) => None,
        }
    }

    /// What of the repository belongs to the model.
    pub fn wanted(&self) -> Wanted<'static> {
        self.wanted
    }

    /// Whether the file at `path` in the repository belongs to the model.
    pub fn includes(&self, path: &str) -> bool {
        let listed = match self.wanted {
            Wanted::Paths(paths) => paths.iter().any(|wanted| means(wanted, path)),
            Wanted::Model => true,
        };
        listed && self.reference.includes(path)
    }

    /// Its folder, or its file where one is named, if all of it is here. Opens no socket.
    ///
    /// # Errors
    /// [`Error::Hub`] naming what is missing, and how to fetch it.
    pub fn here(&self, hub: &Hub) -> Result<PathBuf> {
        let name = self.name();
        let missing = |what: String| {
            let size = self.hosted().map_or_else(String::new, |hosted| format!(" ({})", Amount(hosted.bytes)));
            let hint = format!(
                "`flowline models pull {name}` fetches it{size}; a folder or file of yours is named by its path"
            );
            Error::hub(what, hint)
        };
        let folder = hub.snapshot(&self.reference).ok_or_else(|| missing(format!("{name} is not on this machine")))?;
        if let Some(file) = self.reference.file() {
            let path = hub.cached(&self.reference, file);
            return path.ok_or_else(|| missing(format!("{name} is not on this machine")));
        }
        if let Wanted::Paths(paths) = self.wanted {
            complete(&folder, paths).map_err(|path| missing(format!("of {name}, {path} is not on this machine")))?;
        }
        Ok(folder)
    }
}
