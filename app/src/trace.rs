//! `--trace`: the figures of every step of a picture's run, as JSON.

use flowline_model::{Picture, Request, StepDone};
use flowline_sampler::metrics::StepMetrics;
use serde::{Deserialize, Serialize};

/// What one run did, step by step. `flowline plot` draws it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The version of the program that wrote it.
    pub flowline: String,
    /// What was made.
    pub request: Request,
    /// From the first step to the last pixel.
    pub seconds: f64,
    /// The steps, in their order.
    pub steps: Vec<TracedStep>,
}

/// One step of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TracedStep {
    /// From 1.
    pub step: usize,
    /// Where it began.
    pub sigma: f64,
    /// Where it ended.
    pub next: f64,
    /// Model calls of this step.
    pub evaluations: u64,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// How long it took.
    pub seconds: f64,
}

/// [`StepMetrics`] as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Size of the velocity.
    pub v: f64,
    /// Size of the state.
    pub x: f64,
    /// 1 is a straight line so far.
    pub straightness: f64,
    /// Degrees between this velocity and the last.
    pub turning: Option<f64>,
    /// How far the denoised prediction moved.
    pub drift: Option<f64>,
    /// The sampler's own estimate of its error.
    pub local_error: Option<f64>,
}

impl From<StepMetrics> for Figures {
    fn from(metrics: StepMetrics) -> Self {
        let StepMetrics { v, x, straightness, turning, drift, local_error } = metrics;
        Self { v, x, straightness, turning, drift, local_error }
    }
}

/// Collects the steps of one picture after the other.
#[derive(Debug, Default)]
pub struct Tracing {
    steps: Vec<TracedStep>,
    /// Model calls and seconds at the end of the step before.
    before: (u64, f64),
}

impl Tracing {
    /// For a run that goes on after `evaluations` model calls.
    pub fn after(evaluations: u64) -> Self {
        Self { steps: Vec::new(), before: (evaluations, 0.0) }
    }

    /// Takes in a step.
    pub fn step(&mut self, step: &StepDone) {
        let now = (step.evaluations, step.elapsed.as_secs_f64());
        let (evaluations, seconds) = std::mem::replace(&mut self.before, now);
        self.steps.push(TracedStep {
            step: step.taken,
            sigma: step.sigma,
            next: step.next,
            evaluations: now.0.saturating_sub(evaluations),
            figures: step.metrics.into(),
            seconds: now.1 - seconds,
        });
    }

    /// The last step that was taken in.
    pub fn last(&self) -> Option<&TracedStep> {
        self.steps.last()
    }

    /// The whole trace of `picture`; the next step begins another.
    pub fn finish(&mut self, picture: &Picture) -> Trace {
        let Self { steps, .. } = std::mem::take(self);
        Trace {
            flowline: env!("CARGO_PKG_VERSION").to_owned(),
            request: picture.request.clone(),
            seconds: picture.elapsed.as_secs_f64(),
            steps,
        }
    }
}
