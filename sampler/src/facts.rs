//! What a sampler declares about itself, for people to choose by and for the proof to hold it to.

/// The declared properties of a configured sampler. Every field must be stated, and the tests measure every field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// For whom it is.
    pub group: Group,
    /// How fast its error falls: doubling the steps divides it by `2^order` once there are many. Pathwise where no
    /// noise is drawn, in the spread of the results where it is. 0 for samplers with a [`Facts::label`].
    pub order: f64,
    /// What too few steps do to the spread of the results.
    pub bias: Bias,
    /// Runs of the model.
    pub evaluations: Evaluations,
    /// What it does on a step to `sigma = 0`.
    pub last: LastStep,
    /// Whether it takes its previous step again with what it learned since, which would undo whatever a
    /// [corrector](crate::corrector) changed in between.
    pub resolves: bool,
    /// A warning for samplers whose results do not tend to the model's distribution, however many steps there are.
    pub label: Option<&'static str>,
}

/// For whom a sampler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Good defaults.
    Start,
    /// More accurate for the same number of evaluations.
    Sharper,
    /// Fresh noise on the way.
    Variety,
    /// For particular models, and for experiments.
    Special,
}

impl Group {
    /// All groups, in display order.
    pub const ALL: [Self; 4] = [Self::Start, Self::Sharper, Self::Variety, Self::Special];

    /// One plain sentence for a heading.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Start => "start here",
            Self::Sharper => "sharper at few steps",
            Self::Variety => "adds variety: fresh noise on the way",
            Self::Special => "for particular models and experiments",
        }
    }
}

/// What too few steps do to the spread of the results (Gaussian data of standard deviation 0.5, 32 uniform steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// The spread comes out too small: flat pictures, lost detail.
    Shrinks,
    /// The spread comes out too large: noise that is left over.
    Widens,
}

/// Runs of the model along a schedule from 1 to 0, without guidance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluations {
    /// How many steps at the beginning cost [`Evaluations::start`]; the last step is never one of them.
    pub starting: usize,
    /// The cost of each of those.
    pub start: u64,
    /// The cost of any other step.
    pub step: u64,
    /// The cost of the last step.
    pub last: u64,
    /// How many more a sampler may make that decides on its way.
    pub most: Option<u64>,
}

impl Evaluations {
    /// Every step costs `step`, the last one too.
    pub const fn each(step: u64) -> Self {
        Self { starting: 0, start: step, step, last: step, most: None }
    }

    /// Every step costs `step` but the last, which costs one.
    pub const fn but_last(step: u64) -> Self {
        Self { starting: 0, start: step, step, last: 1, most: None }
    }

    /// Of `steps` steps in all; an upper bound where there is [`Evaluations::most`].
    pub fn total(self, steps: usize) -> u64 {
        let before = steps.saturating_sub(1);
        let starting = self.starting.min(before);
        starting as u64 * self.start + (before - starting) as u64 * self.step + self.last + self.most.unwrap_or(0)
    }
}

/// What a sampler does on a step to `sigma = 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastStep {
    /// It goes to `E[data | x]`.
    Denoised,
    /// It takes a step of its own, without evaluating the model at 0.
    Own,
}
