//! A run with everything that is needed to go on from any of its steps, kept in memory or in a file.

mod file;

use std::sync::Arc;

use flowline_sampler::metrics::Metrics;
use flowline_sampler::{Report, Saved};

use crate::request::Branch;
use crate::spec::Spec;
use crate::{Draft, Error, Latents, Request, Result};

/// One picture's run as far as it went: the state at its first sigma and after every step.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What makes the whole run; one seed, and no `stop_after`.
    pub request: Request,
    /// The state before the first step.
    pub start: Saved<Latents>,
    /// What each step gave, in order.
    pub steps: Vec<Arc<KeptStep>>,
}

/// What one step of a kept run gave.
#[derive(Clone, Debug)]
pub struct KeptStep {
    /// Where the run stood after it: the latents, and the memories of sampler and guidance.
    pub state: Saved<Latents>,
    /// The denoised prediction as seen at the step's beginning.
    pub denoised: Latents,
}

impl Kept {
    /// Steps that were taken.
    pub fn taken(&self) -> usize {
        self.steps.len()
    }

    /// The state after `at` steps: `@at` of a file, the latents at the run's `sigmas[at]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] beyond the last step that was kept.
    pub fn state(&self, at: usize) -> Result<&Saved<Latents>> {
        let state = match at.checked_sub(1) {
            None => Some(&self.start),
            Some(before) => self.steps.get(before).map(|step| &step.state),
        };
        state.ok_or_else(|| {
            let what = format!("the trajectory holds {} steps, there is no @{at}", self.taken());
            Error::invalid(what, format!("give @0, the noise, to @{}", self.taken()))
        })
    }

    /// A draft of the run itself, unchanged.
    pub fn draft(&self) -> Draft {
        self.request.to_draft()
    }

    /// A draft that goes on from the state after `at` steps in every respect as the run did, to be changed. (Resolved
    /// as it is, it is a branch all the same: its sampler begins anew. The run itself goes on with
    /// [`crate::Pipeline::hold_at`].)
    ///
    /// # Errors
    /// As [`Kept::state`].
    pub fn branch_draft(&self, at: usize) -> Result<Draft> {
        self.state(at)?;
        let branch = Some(Box::new(Branch { parent: self.request.clone(), at }));
        Ok(Draft { branch, ..self.draft() })
    }

    /// The same run as it was after `at` steps.
    pub(crate) fn until(&self, at: usize) -> Self {
        let steps = self.steps.iter().take(at).cloned().collect();
        Self { request: self.request.clone(), start: self.start.clone(), steps }
    }

    /// The metrics of the run as they stand after its last step: those of its steps, taken once more.
    pub(crate) fn metrics(&self) -> Result<Metrics<Latents>> {
        let mut metrics = Metrics::new(&self.start.x);
        let mut before = &self.start;
        for step in &self.steps {
            let KeptStep { state, denoised } = step.as_ref();
            let report = Report {
                taken: state.taken,
                steps: self.request.steps,
                sigma: before.sigma,
                next: state.sigma,
                evaluations: state.evaluations,
                denoised: denoised.clone(),
                local_error: None,
            };
            metrics.step(&before.x, &report, &state.x)?;
            before = state;
        }
        Ok(metrics)
    }

    /// Refuses a run that a model cannot go on with: it was made by another, or is of another size than it says.
    pub(crate) fn check(&self, spec: &Spec) -> Result<()> {
        let (ours, theirs) = (spec.record(), &self.request.model);
        if ours.loras != theirs.loras {
            let what = format!("the trajectory was made with other adapters (--lora) of {}", theirs.name);
            return Err(Error::invalid(what, "go on with the adapters that began it, at the same strengths"));
        }
        if ours.weights != theirs.weights {
            let what = match ours.name == theirs.name {
                true => format!("the trajectory was made with other weights of {}", theirs.name),
                false => format!("the trajectory was made with {}, this is {}", theirs.name, ours.name),
            };
            return Err(Error::invalid(what, "go on with the model and the weights that began it"));
        }
        self.request.check(spec)?;
        let (c, h, w) = spec.latent_shape(self.request.width, self.request.height);
        let found = self.start.x.tensor().dims();
        match found == [1, c, h, w] {
            true => Ok(()),
            false => {
                let what = format!("the trajectory's latents have shape {found:?}, its size needs {:?}", [1, c, h, w]);
                Err(Error::Trajectory { what, hint: DAMAGED })
            }
        }
    }
}

/// What to do about a file that says one thing and holds another.
const DAMAGED: &str = "the file is damaged or was changed; make it again with --keep-trajectory";
