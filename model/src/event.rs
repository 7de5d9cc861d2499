//! Everything that can happen while pictures are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flowline_sampler::metrics::StepMetrics;
use image::RgbImage;

use crate::{Kept, Latents, Request};

/// One thing that happened. The observer answers every event with "go on" or "stop"; the terminal's bar, the NDJSON
/// stream and the window are all views of this one list.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something the user should know; the picture is made all the same.
    Warning(Warning),
    /// Weights are being read.
    Loading {
        /// What is being read: `text encoder`, `transformer`, `autoencoder`.
        part: &'static str,
        /// Bytes read so far, of all parts.
        bytes: u64,
        /// Bytes of all parts.
        total: u64,
    },
    /// The prompt is on its way through the text encoders.
    Encoding,
    /// Nothing new; the place where a cancel is heard: between evaluations, and between a large model's blocks.
    Tick,
    /// A step of the sampler is done.
    Step(StepDone),
    /// A picture's latents are on their way through the autoencoder.
    Decoding {
        /// Position in the request, from 0.
        index: usize,
    },
    /// A picture is there. It must be saved now: the rest of the batch comes later or never.
    Picture(Box<Picture>),
    /// All is done, or stopped.
    Finished(Outcome),
}

impl Event {
    /// The same as an event of several requests that are worked off in a row: `before` pictures come before those of its
    /// own, and `pictures` are made in all.
    #[must_use]
    pub fn among(mut self, before: usize, pictures: usize) -> Self {
        match &mut self {
            Self::Step(step) => (step.picture, step.pictures) = (step.picture + before, pictures),
            Self::Decoding { index } => *index += before,
            Self::Picture(picture) => picture.index += before,
            Self::Warning(_) | Self::Loading { .. } | Self::Encoding | Self::Tick | Self::Finished(_) => {}
        }
        self
    }
}

/// A step of the sampler.
#[derive(Clone, Debug)]
pub struct StepDone {
    /// Which picture of the request, from 0.
    pub picture: usize,
    /// Pictures in the request.
    pub pictures: usize,
    /// Steps taken, from 1; of a branch, its own.
    pub taken: usize,
    /// Steps in all; of a branch, its own.
    pub steps: usize,
    /// Where the step began.
    pub sigma: f64,
    /// Where it ended.
    pub next: f64,
    /// Model evaluations for this picture so far.
    pub evaluations: u64,
    /// Time since this picture's first step began.
    pub elapsed: Duration,
    /// What can be said of the run: how straight, how steady.
    pub metrics: StepMetrics,
    /// The denoised prediction, one pixel a latent; `None` where a model brings no preview factors.
    pub preview: Option<RgbImage>,
    /// The run so far, if runs are to be [kept](crate::Pipeline::keep).
    pub kept: Option<Arc<Kept>>,
}

/// A finished picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Position in the request, from 0.
    pub index: usize,
    /// Its seed.
    pub seed: u64,
    /// Its pixels.
    pub image: RgbImage,
    /// The latents that were decoded, `(1, c, h, w)`.
    pub latents: Latents,
    /// The request that makes exactly this picture again: this seed alone, and `stop_after` if it was stopped.
    pub request: Request,
    /// `Some((k, n))` if it was stopped after `k` of `n` steps.
    pub stopped: Option<(usize, usize)>,
    /// Runs of the model that its own steps took, those of a run that was continued among them; not those of the run
    /// that it is a branch of.
    pub evaluations: u64,
    /// Time from its first step to its last pixel.
    pub elapsed: Duration,
    /// Its whole run, if runs are to be [kept](crate::Pipeline::keep).
    pub kept: Option<Arc<Kept>>,
}

/// How it ended, and where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Pictures delivered.
    pub pictures: usize,
    /// Whether the observer stopped it.
    pub stopped: bool,
    /// Time spent reading weights.
    pub loading: Duration,
    /// Time spent encoding text.
    pub encoding: Duration,
    /// Time spent in sampler steps, previews included.
    pub sampling: Duration,
    /// Time spent decoding.
    pub decoding: Duration,
}

/// Something the user should know although the picture is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable name for programs.
    pub code: &'static str,
    /// One sentence without a full stop, for people.
    pub message: String,
}

impl Warning {
    /// A warning.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
