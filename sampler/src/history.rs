//! What multistep samplers remember: a few values with their sigmas.

use crate::{Error, Latent, Result, State, Step};

/// The most recent values, newest first.
#[derive(Clone)]
pub(crate) struct History<T> {
    owner: &'static str,
    kept: &'static str,
    room: usize,
    entries: Vec<(f64, T)>,
}

impl<T: Latent> History<T> {
    /// Room for `room` values of the sampler called `owner`; `kept` says in words what it keeps.
    pub(crate) fn new(owner: &'static str, kept: &'static str, room: usize) -> Self {
        Self { owner, kept, room, entries: Vec::new() }
    }

    /// Refuses a step that does not follow what is remembered.
    pub(crate) fn follows(&self, step: &Step<'_>) -> Result<()> {
        let (owner, Step { index, sigma, .. }) = (self.owner, *step);
        match self.entries.first() {
            None if index > 0 && self.room > 0 => {
                Err(Error::State(format!("step {index} of {owner} has no step before it")))
            }
            Some((before, _)) if *before <= sigma => {
                Err(Error::State(format!("{owner} is at sigma {sigma} and was at {before} before")))
            }
            _ => Ok(()),
        }
    }

    /// Sigmas and values, newest first.
    pub(crate) fn entries(&self) -> &[(f64, T)] {
        &self.entries
    }

    /// Adds a value and forgets what there is no room for.
    pub(crate) fn push(&mut self, sigma: f64, value: T) {
        self.entries.insert(0, (sigma, value));
        self.entries.truncate(self.room);
    }

    /// See [`crate::Stepper::save`].
    pub(crate) fn save(&self) -> State<T> {
        let (numbers, latents) = self.entries.iter().cloned().unzip();
        State { numbers, latents, inner: Vec::new() }
    }

    /// See [`crate::Stepper::restore`].
    pub(crate) fn restore(&mut self, state: State<T>) -> Result<()> {
        let State { numbers, latents, inner } = state;
        match numbers.len() == latents.len() && numbers.len() <= self.room && inner.is_empty() {
            true => self.entries = numbers.into_iter().zip(latents).collect(),
            false => return Err(Error::State(format!("{} keeps {}", self.owner, self.kept))),
        }
        Ok(())
    }
}
