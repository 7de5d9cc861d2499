//! The models of a grid, each opened once and let go of when its last cell is made.

use std::path::PathBuf;

use flowline_model::{Draft, Opening, Pipeline, Tilt, Warning};

use crate::args::TiltBy;
use crate::cli::tilt;
use crate::{Failure, Registry, Result};

/// Models that are looked at or at work.
pub struct Models<'a> {
    registry: &'a Registry,
    cache: Option<PathBuf>,
    open: Vec<(Opening, Pipeline)>,
    /// The pictures that models hold to be pulled towards.
    targets: Vec<(Target, Tilt, Option<Warning>)>,
}

/// What decides the latents of such a picture: the model, the file, the width and the height.
type Target = (Opening, PathBuf, Option<u32>, Option<u32>);

impl<'a> Models<'a> {
    /// None yet. Hashes of weights are remembered in `cache`.
    pub fn new(registry: &'a Registry, cache: Option<PathBuf>) -> Self {
        Self { registry, cache, open: Vec::new(), targets: Vec::new() }
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

    /// Has a model hold a picture, which is read and encoded once, in the size that `draft` will have.
    ///
    /// # Errors
    /// As [`tilt::hold`].
    pub(super) fn tilt(&mut self, opening: &Opening, by: &TiltBy, draft: &Draft) -> Result<(Tilt, Option<Warning>)> {
        let target: Target = (opening.clone(), by.picture.clone(), draft.width, draft.height);
        if let Some((_, tilt, warning)) = self.targets.iter().find(|(known, ..)| *known == target) {
            return Ok((Tilt { strength: by.strength, ..tilt.clone() }, warning.clone()));
        }
        let (tilt, warning) = tilt::hold(by, draft, self.open(opening)?)?;
        self.targets.push((target, tilt.clone(), warning.clone()));
        Ok((tilt, warning))
    }

    /// Lets go of a model and the memory of its weights.
    pub fn close(&mut self, opening: &Opening) {
        self.open.retain(|(known, _)| known != opening);
        self.targets.retain(|((model, ..), ..)| model != opening);
    }

    /// What everything is chosen from.
    pub(super) fn registry(&self) -> &'a Registry {
        self.registry
    }
}
