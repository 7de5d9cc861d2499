//! The figures of a step that charts show.

use eframe::egui::{Response, Ui};

use crate::desktop::controls::choose;
use crate::trace::TracedStep;

/// A figure of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Figure {
    /// How far the denoised prediction moved.
    #[default]
    Drift,
    /// Degrees between one velocity and the next.
    Turning,
    /// What the sampler thinks its error is.
    LocalError,
    /// How straight the way was so far.
    Straightness,
    /// The size of the velocity.
    Velocity,
}

impl Figure {
    /// All, in the order of the list.
    const ALL: [Self; 5] = [Self::Drift, Self::Turning, Self::LocalError, Self::Straightness, Self::Velocity];

    /// What it is called, and what it means.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Drift => ("Drift", "How far the denoised prediction moved in a step"),
            Self::Turning => ("Turning", "Degrees between the velocity of a step and that of the one before"),
            Self::LocalError => {
                ("Local error", "The error that the sampler itself sees in a step, for those that tell")
            }
            Self::Straightness => ("Straightness", "How straight the way was so far; 1 is a straight line"),
            Self::Velocity => ("Velocity", "The size of the velocity"),
        }
    }

    /// Its value; `None` where the step has none.
    pub fn of(self, step: &TracedStep) -> Option<f64> {
        match self {
            Self::Drift => step.figures.drift,
            Self::Turning => step.figures.turning,
            Self::LocalError => step.figures.local_error,
            Self::Straightness => Some(step.figures.straightness),
            Self::Velocity => Some(step.figures.v),
        }
    }

    /// A list of all, this one shown; another that was picked from it is returned.
    pub fn pick(self, ui: &mut Ui) -> (Response, Option<Self>) {
        let (called, _) = self.told();
        let (response, picked) = choose(ui, "figure", called, &Self::ALL.map(Self::told));
        (response, picked.and_then(|index| Self::ALL.get(index)).copied())
    }
}
