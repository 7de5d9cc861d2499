//! What the program offers: the samplers and schedules of the libraries, and those of whoever builds on them.
//!
//! A program of one's own is a `main` of five lines: it adds to [`Registry::builtin`] and hands the result to
//! [`crate::run`]. Help, listings, `verify`, experiments, records and the window then know the new sampler.

use std::fmt;

use flowline_model::{Latents, Opening, Pipeline, Result};
use flowline_sampler::Sampler;
use flowline_sampler::catalog::{About, BuildSchedule, Entry, Samplers, Schedules, Values};

/// The samplers and schedules that may be chosen. Every sampler is there twice: for a model's latents, and for the
/// vectors that the proof follows.
#[derive(Clone)]
pub struct Registry {
    samplers: Samplers<Latents>,
    proof_samplers: Samplers<Vec<f64>>,
    schedules: Schedules,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.samplers.iter().chain(self.schedules.iter()).map(|about| about.name)).finish()
    }
}

impl Registry {
    /// What the libraries bring.
    pub fn builtin() -> Self {
        Self { samplers: Samplers::builtin(), proof_samplers: Samplers::builtin(), schedules: Schedules::builtin() }
    }

    /// Adds a sampler; one of the same name is replaced.
    pub fn add<S>(
        &mut self,
        about: About,
        build: impl Fn(&Values) -> flowline_sampler::Result<S> + Clone + Send + Sync + 'static,
    ) where
        S: Sampler<Latents> + Sampler<Vec<f64>> + 'static,
    {
        let built = build.clone();
        self.proof_samplers.add(Entry::sampler(about.clone(), built));
        self.samplers.add(Entry::sampler(about, build));
    }

    /// Adds a schedule; one of the same name is replaced.
    pub fn add_schedule(&mut self, entry: Entry<BuildSchedule>) {
        self.schedules.add(entry);
    }

    /// The samplers of latents.
    pub fn samplers(&self) -> &Samplers<Latents> {
        &self.samplers
    }

    /// The same samplers, of plain vectors: for the proof, and wherever there is no model.
    pub fn proof_samplers(&self) -> &Samplers<Vec<f64>> {
        &self.proof_samplers
    }

    /// The schedules.
    pub fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// Opens a model that may be sampled with all of these; see [`Pipeline::open_as`].
    ///
    /// # Errors
    /// Those of [`Pipeline::open_as`].
    pub fn open(&self, opening: &Opening) -> Result<Pipeline> {
        let mut pipeline = Pipeline::open_as(opening)?;
        let spec = pipeline.spec_mut();
        spec.samplers = self.samplers.clone();
        spec.schedules = self.schedules.clone();
        Ok(pipeline)
    }
}
