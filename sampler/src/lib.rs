//! Following a velocity field from noise to data.
//!
//! # The convention
//! One for the whole program, stated here and converted at the borders only:
//!
//! * `sigma` runs in `[0, 1]`: **1 is noise, 0 is data**. Sampling walks it downwards.
//! * `x = (1 - sigma) data + sigma noise`, and the model predicts `v = dx/dsigma = noise - data`.
//! * One evaluation gives both ends: `denoised = x - sigma v = E[data | x]` and
//!   `noise = x + (1 - sigma) v = E[noise | x]` (Tweedie); the score is `-noise / sigma` and nobody needs it.
//!
//! The literature uses `x0` and `x1` for either end; here they are called `data` and `noise`, always.
//!
//! # The parts
//! A [`Velocity`] is the model (and guidance is a velocity that wraps others). A [`Sampler`] is an immutable
//! configuration; [`Sampler::start`] makes a single-use [`Stepper`] that carries the state of one run. A
//! [`Trajectory`] is the one driver loop. Everything is generic over [`Latent`], whose only operation is a linear
//! combination: the same code runs on tensors, on `Vec<f64>`, and on coefficient vectors that make the tests exact.

#![deny(missing_docs)]

mod env;
mod error;

pub mod adaptive;
pub mod bench;
mod builtin;
pub mod catalog;
mod choice;
pub mod churn;
pub mod corrector;
pub mod diffusion;
pub mod dpm_solver;
pub mod driver;
pub mod euler_cfg;
pub mod euler_maruyama;
pub mod exponential;
pub mod exponential_multistep;
pub mod exponential_two_stage;
pub mod facts;
pub mod fields;
pub mod guidance;
mod history;
pub mod linear_multistep;
pub mod metrics;
pub mod natural_euler;
mod newton;
pub mod noise;
pub mod path;
pub mod predictor_corrector;
pub mod proof;
pub mod runge_kutta;
pub mod schedule;
pub mod stochastic_multistep;

use catalog::Choice;
use facts::Facts;

pub use driver::{Report, Saved, Trajectory, integrate};
pub use env::{Env, Meter, Prediction};
pub use error::{BoxError, Error, Result};
pub use newton::Quadratic;
pub use noise::brownian::Span;
pub use noise::{Keyed, NoiseKey, Stream};
pub use schedule::Schedule;

/// What a sampler may ask of a state: linear combinations, nothing else.
///
/// Implementations accumulate in f32 or better, whatever the network computes in.
pub trait Latent: Clone + Send + 'static {
    /// `sum_i c_i x_i` over at least one term; all terms have the same shape.
    ///
    /// # Errors
    /// Whatever the arithmetic of the implementation can fail with, as [`Error::Velocity`].
    fn lincomb(terms: &[(f64, &Self)]) -> Result<Self>;
}

/// What metrics, some kinds of guidance and the adaptive sampler ask of a state, per item of the batch. Other samplers
/// must not.
pub trait Measure: Latent {
    /// `<a_i, b_i>` for every item `i` of the batch.
    ///
    /// # Errors
    /// As [`Latent::lincomb`].
    fn dot(&self, other: &Self) -> Result<Vec<f64>>;

    /// The mean over all elements of every item of the batch.
    ///
    /// # Errors
    /// As [`Latent::lincomb`].
    fn mean(&self) -> Result<Vec<f64>>;

    /// How many elements an item of the batch has.
    fn elements(&self) -> usize;

    /// Every item of the batch times a factor of its own, `c_i x_i`.
    ///
    /// # Errors
    /// As [`Latent::lincomb`]; also if there are not as many factors as items.
    fn scaled(&self, factors: &[f64]) -> Result<Self>;
}

/// A velocity field `v(x, sigma) = dx/dsigma = E[noise - data | x]`. Guidance wraps fields into a field.
pub trait Velocity<T> {
    /// Evaluates the field. Whoever runs the model calls [`Meter::evaluation`] once before each run of it; a wrapper
    /// passes the meter on, so two runs behind one wrapper count as two.
    ///
    /// # Errors
    /// [`Error::Cancelled`] from the meter, or the model's own error as [`Error::Velocity`].
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T>;

    /// The field together with the unconditional prediction it was made from, at no cost beyond
    /// [`Velocity::velocity`]'s; `None` where there is none, as without guidance. A wrapper that changes what it wraps
    /// gives the changed field and passes the unconditional one on.
    ///
    /// # Errors
    /// As [`Velocity::velocity`].
    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        Ok((self.velocity(x, sigma, meter)?, None))
    }

    /// What must be kept to continue later with the same bits (momentum, say); most fields have none.
    fn save(&self) -> State<T> {
        State::default()
    }

    /// Takes back what [`Velocity::save`] gave.
    ///
    /// # Errors
    /// [`Error::State`] if it is somebody else's.
    fn restore(&mut self, state: State<T>) -> Result<()> {
        state.expect_empty("this velocity field")
    }
}

impl<T, V: Velocity<T> + ?Sized> Velocity<T> for &mut V {
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        (**self).velocity(x, sigma, meter)
    }

    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        (**self).velocity_and_unconditional(x, sigma, meter)
    }

    fn save(&self) -> State<T> {
        (**self).save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        (**self).restore(state)
    }
}

impl<T, V: Velocity<T> + ?Sized> Velocity<T> for Box<V> {
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        (**self).velocity(x, sigma, meter)
    }

    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        (**self).velocity_and_unconditional(x, sigma, meter)
    }

    fn save(&self) -> State<T> {
        (**self).save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        (**self).restore(state)
    }
}

/// Gaussian noise that depends on its key and on nothing else: not on call order, batch, device or threads.
pub trait Noise<T> {
    /// Independent standard normal values in the shape of `like`.
    ///
    /// # Errors
    /// As [`Latent::lincomb`].
    fn normal(&mut self, like: &T, key: NoiseKey) -> Result<T>;

    /// Standard normal values that stand for the noise of the path between two sigmas: `(W(from) - W(to)) / sqrt(from -
    /// to)` of a source that has a Brownian path ([`noise::brownian`]), so that runs with other numbers of steps see
    /// the same path. A source without one gives [`Noise::normal`] under `key`.
    ///
    /// # Errors
    /// As [`Noise::normal`]; a source with a path refuses what is no interval of sigma.
    fn increment(&mut self, like: &T, key: NoiseKey, span: Span) -> Result<T> {
        let _ = span;
        self.normal(like, key)
    }
}

/// A sampler's configuration: immutable, shared freely.
pub trait Sampler<T: Latent>: Send + Sync {
    /// A fresh stepper for one run along `schedule`.
    ///
    /// # Errors
    /// If the sampler cannot follow this schedule.
    fn start(&self, schedule: &Schedule) -> Result<Box<dyn Stepper<T>>>;

    /// What this configuration declares about itself; the proof measures it.
    fn facts(&self) -> Facts;

    /// The schedule this configuration is meant for, used when nobody names one; `None` leaves it to the model. A
    /// path is a way of walking, so DDIM on a path asks for the grid of that path.
    fn preferred_schedule(&self) -> Option<Choice> {
        None
    }
}

/// The state of one run. It is used once, front to back.
pub trait Stepper<T: Latent>: Send {
    /// Moves `x` from `step.sigma` to `step.next`.
    ///
    /// On an error (a cancel among them) the stepper's own state must be what it was before the call, so that the
    /// same step can be taken again.
    ///
    /// # Errors
    /// Those of the field and the noise.
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>>;

    /// What must be kept to continue later with the same bits; one-step samplers have none.
    fn save(&self) -> State<T> {
        State::default()
    }

    /// Takes back what [`Stepper::save`] gave.
    ///
    /// # Errors
    /// [`Error::State`] if it is somebody else's.
    fn restore(&mut self, state: State<T>) -> Result<()> {
        state.expect_empty("this sampler")
    }
}

/// One interval of the schedule.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Position in the schedule, from 0.
    pub index: usize,
    /// Where `x` is.
    pub sigma: f64,
    /// Where it shall go; smaller than `sigma`, 0 on the last step of most schedules.
    pub next: f64,
    /// The whole way.
    pub schedule: &'a Schedule,
}

/// What a step gives.
#[derive(Clone, Debug)]
pub struct Stepped<T> {
    /// The state at the new sigma.
    pub x: T,
    /// `E[data | x]` as seen at the step's beginning: the honest preview, free of charge.
    pub denoised: T,
}

/// A serialisable state: what a stepper or a field needs to go on. Latents and numbers in an order its owner knows.
#[derive(Clone, Debug, PartialEq)]
pub struct State<T> {
    /// Times, counters, step sizes.
    pub numbers: Vec<f64>,
    /// Histories.
    pub latents: Vec<T>,
    /// States of what the owner wraps.
    pub inner: Vec<State<T>>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { numbers: Vec::new(), latents: Vec::new(), inner: Vec::new() }
    }
}

impl<T> State<T> {
    /// Refuses a state that holds anything.
    ///
    /// # Errors
    /// [`Error::State`] naming `owner`.
    pub fn expect_empty(self, owner: &str) -> Result<()> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(Error::State(format!("{owner} keeps no state"))),
        }
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.latents.is_empty() && self.inner.is_empty()
    }
}
