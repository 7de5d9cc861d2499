//! What the laboratory asks of the engine: samplers side by side, and the last run step by step.
//!
//! The window gets pictures and figures; latents stay here. Runs are made by [`flowline_model::Pipeline::generate`], one sampler after the
//! other: the field is the same network, which computes one evaluation at a time in any case, so taking turns would end
//! no sooner. What they saw is told with the evaluations it took, and the window sets runs side by side by these.

mod compare;

use std::ops::ControlFlow;
use std::sync::Arc;

use flowline_model::preview::LinearPreview;
use flowline_model::{Draft, Event, Kept, Latents, Request, Spec};
use flowline_sampler::catalog::Choice;
use image::RgbImage;

use super::Model;
use super::worker::Worker;
use crate::trace::{Trace, TracedStep, Tracing};
use crate::{Failure, Registry, Result};

/// What the laboratory asks for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Run samplers from one noise.
    Compare(Box<Comparison>),
    /// Decode a moment of the last run in full.
    Decode(Moment),
    /// Finish every comparison asked for so far.
    Stop,
}

/// Samplers to be run from one noise and one text encoding.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// A model's name or folder.
    pub model: String,
    /// What they have in common.
    pub draft: Draft,
    /// The samplers.
    pub contenders: Vec<Contender>,
    /// What they are compared with.
    pub reference: Reference,
    /// The samplers once more, which tell whether a distance means anything.
    pub registry: Registry,
}

/// A sampler with its number of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// The sampler.
    pub sampler: Choice,
    /// Its steps.
    pub steps: usize,
}

/// What runs are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Reference {
    /// The first of them.
    First,
    /// A run of its own, usually one of many steps.
    Run(Contender),
}

/// A moment of the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// [`Run::number`].
    pub run: u64,
    /// After so many steps.
    pub at: usize,
    /// What is looked at.
    pub view: View,
}

/// What a moment can be looked at as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The denoised prediction.
    #[default]
    Denoised,
    /// What the sampler carries, noise and all.
    Noisy,
}

/// What the engine tells the laboratory.
#[derive(Clone, Debug)]
pub enum Told {
    /// A picture's run is there to be looked at, in place of the one before.
    Ran(Arc<Run>),
    /// Something happened in a comparison.
    Compared(Compared),
    /// A moment, decoded.
    Decoded(Moment, Result<Arc<RgbImage>>),
}

/// What happens in a comparison. Each ends with exactly one [`Compared::Finished`].
#[derive(Clone, Debug)]
pub enum Compared {
    /// The reference takes its steps.
    Reference {
        /// Steps taken.
        taken: usize,
        /// Steps in all.
        steps: usize,
    },
    /// A contender took a step.
    Step(Box<Compare>),
    /// A contender has arrived.
    Arrived {
        /// Which, from 0.
        contender: usize,
        /// Its picture.
        image: Arc<RgbImage>,
        /// How far its prediction was from the reference's end at every step, and last its own end; empty where that says
        /// nothing.
        distances: Vec<f64>,
    },
    /// The numbers of a contender blew up; the others go on.
    Lost {
        /// Which, from 0.
        contender: usize,
        /// What happened.
        failure: Failure,
    },
    /// All is done; a failure that ended it, or whether it was stopped.
    Finished(Result<ControlFlow<()>>),
}

/// One step of a contender.
#[derive(Clone, Debug)]
pub struct Compare {
    /// Which, from 0.
    pub contender: usize,
    /// Its figures.
    pub step: TracedStep,
    /// Model evaluations of its run so far.
    pub evaluations: u64,
    /// How far its prediction is from where the reference ended; `None` where that says nothing, or nothing yet.
    pub distance: Option<f64>,
    /// The denoised prediction; `None` where a model brings no preview factors.
    pub preview: Option<Arc<RgbImage>>,
}

/// A run that can be looked at step by step.
#[derive(Clone, Debug)]
pub struct Run {
    /// Counts the runs of an engine.
    pub number: u64,
    /// What opens its model again.
    pub model: String,
    /// Its figures.
    pub trace: Trace,
    /// What it saw before each of its steps, and last where it ended; empty where the run was not kept.
    pub moments: Vec<Seen>,
}

/// What there is to see of a moment, a pixel a latent.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the sampler carries.
    pub noisy: Arc<RgbImage>,
    /// What it takes for the picture; of the end the same as what is carried.
    pub denoised: Arc<RgbImage>,
}

/// The largest run that is kept in memory, bytes: 28 steps of 1024 x 1024 pixels with 16 channels take 56 MiB.
pub const LARGEST_RUN: u64 = 256 << 20;

/// The last run, as it lives on the engine's thread.
#[derive(Default)]
pub(super) struct Bench {
    number: u64,
    tracing: Tracing,
    /// Of the model at work: from latents to small pictures.
    map: Option<LinearPreview>,
    last: Option<Arc<Kept>>,
    /// Whether the run at work may be kept in its place.
    keeps: bool,
}

impl Bench {
    /// A job goes on after so many model calls of a run that was kept.
    pub(super) fn go_on(&mut self, evaluations: u64) {
        self.tracing = Tracing::after(evaluations);
    }

    /// Before a job: says whether there is room for its run, and holds the last run if the job branches from that.
    ///
    /// # Errors
    /// What keeps the run from being held.
    pub(super) fn prepare(&mut self, model: &mut dyn Model, request: &Request) -> Result<()> {
        self.tracing = Tracing::default();
        let Some(pipeline) = model.pipeline() else { return Ok(()) };
        self.keeps = fits(request, pipeline.spec());
        self.map = pipeline.spec().preview().cloned();
        if let (Some(branch), Some(kept)) = (&request.branch, &self.last)
            && branch.parent.same_run(&kept.request)
        {
            pipeline.hold(kept.as_ref().clone())?;
        }
        Ok(())
    }

    /// Takes in what happens in a job of `model`; a picture's run is returned, to be told. Nobody else needs what is kept.
    pub(super) fn hear(&mut self, event: &mut Event, model: &str) -> Option<Run> {
        match event {
            Event::Step(step) => {
                self.tracing.step(step);
                step.kept = None;
            }
            Event::Picture(picture) => {
                let trace = self.tracing.finish(picture);
                self.last = picture.kept.take().filter(|_| self.keeps);
                self.number += 1;
                let seen = self.last.as_ref().zip(self.map.as_ref()).and_then(|(kept, map)| moments(kept, map).ok());
                let moments = seen.unwrap_or_default();
                return Some(Run { number: self.number, model: model.to_owned(), trace, moments });
            }
            _ => {}
        }
        None
    }

    /// After a job: a run that was held for it is let go, or the same picture again would be no run to look at.
    pub(super) fn done(&self, model: &mut dyn Model) {
        if let Some(pipeline) = model.pipeline() {
            pipeline.let_go();
            pipeline.keep(false);
        }
    }

    /// The latents of a moment of the last run.
    fn latents(&self, moment: Moment) -> Result<&Latents> {
        let gone = || Failure::new("this run is not kept any more", "look at the last run, or make the picture again");
        let kept = self.last.as_ref().filter(|_| moment.run == self.number).ok_or_else(gone)?;
        match (moment.view, kept.steps.get(moment.at)) {
            (View::Denoised, Some(step)) => Ok(&step.denoised),
            _ => Ok(&kept.state(moment.at)?.x),
        }
    }
}

/// Whether a run of `request` is small enough to be kept beside all that is in memory.
fn fits(request: &Request, spec: &Spec) -> bool {
    let (c, h, w) = spec.latent_shape(request.width, request.height);
    // A state and a prediction for each step.
    let bytes = (2 * size_of::<f32>() as u64).saturating_mul((c * h * w) as u64).saturating_mul(request.steps as u64);
    let plan = request.memory_plan(spec);
    let room = plan.available.is_none_or(|available| plan.peak.heap.saturating_add(bytes) <= available);
    bytes <= LARGEST_RUN && room
}

/// What a run saw, from its beginning to its end.
fn moments(kept: &Kept, map: &LinearPreview) -> Result<Vec<Seen>> {
    let small = |latents: &Latents| -> Result<Arc<RgbImage>> {
        let picture = map.apply(latents.tensor())?.into_iter().next();
        Ok(Arc::new(picture.ok_or_else(|| Failure::new("there is nothing to see", "make the picture again"))?))
    };
    (0..=kept.taken())
        .map(|at| {
            let noisy = small(&kept.state(at)?.x)?;
            let denoised = match kept.steps.get(at) {
                Some(step) => small(&step.denoised)?,
                None => Arc::clone(&noisy),
            };
            Ok(Seen { noisy, denoised })
        })
        .collect()
}

impl Worker {
    /// Works off what the laboratory asked for, the `number`th of it.
    pub(super) fn experiment(&mut self, number: u64, ask: Ask) {
        let tell = |worker: &Self, told| worker.mailbox.post(super::Event::Laboratory(told));
        match ask {
            Ask::Compare(comparison) => {
                let finished = self.guard(|worker| worker.compare(number, &comparison));
                tell(self, Told::Compared(Compared::Finished(finished)));
            }
            Ask::Decode(moment) => {
                let decoded = self.guard(|worker| worker.decode(moment));
                tell(self, Told::Decoded(moment, decoded));
            }
            // Heard where orders come in.
            Ask::Stop => {}
        }
    }

    fn decode(&mut self, moment: Moment) -> Result<Arc<RgbImage>> {
        let latents = self.bench.latents(moment)?.clone();
        let pipeline = self.model.as_mut().and_then(|(_, model)| model.pipeline()).ok_or_else(no_laboratory)?;
        Ok(Arc::new(pipeline.decode(&latents)?))
    }
}

fn no_laboratory() -> Failure {
    Failure::new("this model cannot be experimented with", "open one of the models that make pictures")
}
