//! The models of a grid, each opened once and let go of when its last cell is made.

use std::path::PathBuf;

use flowline_model::{Opening, Pipeline, Spec};

use crate::cli::brought::{Brought, Held, Holder};
use crate::{Failure, Registry, Result};

/// Models that are looked at or at work.
pub struct Models<'a> {
    registry: &'a Registry,
    cache: Option<PathBuf>,
    open: Vec<(Opening, Pipeline)>,
    /// The pictures that models hold.
    pictures: Vec<(Opening, Brought, Held)>,
}

impl<'a> Models<'a> {
    /// None yet. Hashes of weights are remembered in `cache`.
    pub fn new(registry: &'a Registry, cache: Option<PathBuf>) -> Self {
        Self { registry, cache, open: Vec::new(), pictures: Vec::new() }
    }

    /// The model that `opening` names. Its weights are read when it makes its first picture.
    ///
    /// # Errors
    /// As [`Pipeline::open_as`].
    pub fn open(&mut self, opening: &Opening) -> Result<&mut Pipeline> {
        let at = match self.open.iter().position(|(known, _)| known == opening) {
            Some(at) => at,
            None => {
                let pipeline = self.registry.open(&Opening { cache: self.cache.clone(), ..opening.clone() })?;
                self.open.push((opening.clone(), pipeline));
                self.open.len() - 1
            }
        };
        let gone = || Failure::new(format!("the model {} is gone", opening.model), "this is a bug; please report it");
        self.open.get_mut(at).map(|(_, pipeline)| pipeline).ok_or_else(gone)
    }

    /// Lets go of a model and the memory of its weights.
    pub fn close(&mut self, opening: &Opening) {
        self.open.retain(|(known, _)| known != opening);
        self.pictures.retain(|(model, ..)| model != opening);
    }

    /// What everything is chosen from.
    pub(super) fn registry(&self) -> &'a Registry {
        self.registry
    }
}

/// One of the models, which reads and encodes every picture once.
pub(super) struct HolderOf<'m, 'a> {
    pub(super) models: &'m mut Models<'a>,
    pub(super) opening: &'m Opening,
}

impl Holder for HolderOf<'_, '_> {
    fn model(&mut self) -> Result<&Spec> {
        Ok(self.models.open(self.opening)?.spec())
    }

    fn bring(&mut self, brought: &Brought) -> Result<Held> {
        let Self { models, opening } = self;
        let known = |(model, known, _): &&(Opening, Brought, Held)| model == *opening && known == brought;
        if let Some((.., held)) = models.pictures.iter().find(known) {
            return Ok(held.clone());
        }
        let held = models.open(opening)?.bring(brought)?;
        models.pictures.push((opening.clone(), brought.clone(), held.clone()));
        Ok(held)
    }
}
