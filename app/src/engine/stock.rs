//! The models that a face can list and fetch.

use std::ops::ControlFlow;
use std::time::Duration;

use flowline_model::Error;
use flowline_model::weights::hub::{Fetching, HubModel};

use crate::shelf::{self, Model, Place, Pulling, Shelf};
use crate::{Failure, Result};

/// A model, as a face lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stocked {
    /// As it is opened and fetched.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// Its licence, where it is known.
    pub licence: Option<String>,
    /// Where its licence stands.
    pub page: Option<String>,
    /// Whether the licence must be accepted there first.
    pub gated: bool,
    /// About how many bytes are to be fetched; `None` where that is not known.
    pub bytes: Option<u64>,
    /// About how much memory it takes, bytes; `None` where that is not known.
    pub memory: Option<u64>,
    /// Whether it is on this machine.
    pub here: bool,
}

/// How far fetching is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Bytes here, of all files.
    pub bytes: u64,
    /// Bytes in all; 0 while that is not known.
    pub total: u64,
    /// Bytes a second, once that is known.
    pub rate: Option<f64>,
    /// How long the rest will take.
    pub left: Option<Duration>,
    /// What is waited for, if something is.
    pub waits: Option<String>,
}

/// Where models come from: the user's shelf, or a stand-in where a face is tested.
pub trait Stock: Send + Sync {
    /// All models.
    fn models(&self) -> Vec<Stocked>;

    /// Fetches one; a break means that `observe` stopped it, and what has come is kept.
    ///
    /// # Errors
    /// What went wrong.
    fn fetch(&self, name: &str, observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<ControlFlow<()>>;
}

/// The user's own models, and the catalogue's.
#[derive(Debug)]
pub struct UsersStock;

impl Stock for UsersStock {
    fn models(&self) -> Vec<Stocked> {
        let shelf = Shelf::usual(true);
        shelf.models().iter().map(|model| Stocked::of(model, &shelf)).collect()
    }

    fn fetch(&self, name: &str, observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let nothing = || Failure::new(format!("{name} cannot be fetched"), "choose a model that is on the Hub");
        let model = HubModel::named(name).ok_or_else(nothing)?;
        let mut progress = Progress::default();
        let pulled = shelf::pull(&Shelf::usual(false).hub, &model, &mut |told| {
            progress.hear(&told);
            observe(&progress)
        });
        match pulled {
            Ok(_) => Ok(ControlFlow::Continue(())),
            Err(Error::Cancelled) => Ok(ControlFlow::Break(())),
            Err(error) => Err(error.into()),
        }
    }
}

impl Stocked {
    fn of(model: &Model, shelf: &Shelf) -> Self {
        let entry = model.entry();
        let (hosted, page) = match model {
            Model::Hub(model) => (model.hosted(), Some(shelf.hub.page(&model.reference))),
            Model::BuiltIn(_) | Model::Added(..) => (None, None),
        };
        Self {
            name: model.name(),
            about: match (entry, model) {
                (Some(entry), _) => entry.about.to_owned(),
                (None, Model::Added(_, path)) => path.display().to_string(),
                (None, _) => "fetched from the Hub".to_owned(),
            },
            licence: entry.map(|entry| entry.licence.to_owned()),
            page,
            gated: hosted.is_some_and(|hosted| hosted.gated),
            bytes: hosted.map(|hosted| hosted.bytes),
            memory: hosted.map(|hosted| hosted.memory),
            here: shelf.place(model) != Place::Away,
        }
    }
}

impl Progress {
    fn hear(&mut self, told: &Pulling<'_>) {
        match told {
            Pulling::Begins(terms) => (self.bytes, self.total) = (terms.here, terms.total),
            Pulling::Fetching(Fetching::Begins { here, total, .. }) => (self.bytes, self.total) = (*here, *total),
            Pulling::Fetching(Fetching::Bytes { bytes, total, rate, left, .. }) => {
                *self = Self { bytes: *bytes, total: *total, rate: *rate, left: *left, waits: None };
            }
            Pulling::Fetching(Fetching::Retries { what, .. }) => self.waits = Some((*what).to_owned()),
            Pulling::Fetching(Fetching::Shared { .. }) => self.waits = Some("another program is fetching it".into()),
            Pulling::Fetching(Fetching::Tick) => {}
        }
    }
}
