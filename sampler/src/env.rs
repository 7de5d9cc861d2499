//! What a stepper may touch.

use std::ops::ControlFlow;

use crate::{Error, Latent, Noise, NoiseKey, Result, Span, Stream, Velocity};

/// All a stepper may touch: the field, the noise, the meter.
pub struct Env<'a, T> {
    pub(crate) velocity: &'a mut dyn Velocity<T>,
    noise: &'a mut dyn Noise<T>,
    meter: Meter<'a>,
    step: u32,
    draws: u32,
    /// What the stepper told of its error in this step.
    error: Option<T>,
}

/// Both ends as one evaluation sees them.
#[derive(Clone, Debug)]
pub struct Prediction<T> {
    /// `E[data | x] = x - sigma v`.
    pub data: T,
    /// `E[noise | x] = x + (1 - sigma) v`.
    pub noise: T,
}

impl<'a, T: Latent> Env<'a, T> {
    /// Puts field, noise and the question "shall I go on?" together.
    pub fn new(
        velocity: &'a mut dyn Velocity<T>,
        noise: &'a mut dyn Noise<T>,
        ask: &'a mut dyn FnMut() -> ControlFlow<()>,
    ) -> Self {
        Self { velocity, noise, meter: Meter::new(ask), step: 0, draws: 0, error: None }
    }

    /// `v(x, sigma)`, counted.
    ///
    /// # Errors
    /// Those of the field, [`Error::Cancelled`] among them.
    pub fn velocity(&mut self, x: &T, sigma: f64) -> Result<T> {
        self.velocity.velocity(x, sigma, &mut self.meter)
    }

    /// `v(x, sigma)` and the unconditional prediction, if the field offers one; see
    /// [`Velocity::velocity_and_unconditional`].
    ///
    /// # Errors
    /// Those of the field, [`Error::Cancelled`] among them.
    pub fn velocity_and_unconditional(&mut self, x: &T, sigma: f64) -> Result<(T, Option<T>)> {
        self.velocity.velocity_and_unconditional(x, sigma, &mut self.meter)
    }

    /// `v` and the denoised prediction `x - sigma v` from one evaluation: what most samplers need.
    ///
    /// # Errors
    /// Those of the field, [`Error::Cancelled`] among them.
    pub fn denoise(&mut self, x: &T, sigma: f64) -> Result<(T, T)> {
        let v = self.velocity(x, sigma)?;
        let denoised = T::lincomb(&[(1.0, x), (-sigma, &v)])?;
        Ok((v, denoised))
    }

    /// Both predictions from one evaluation, for samplers that think in them.
    ///
    /// # Errors
    /// Those of the field, [`Error::Cancelled`] among them.
    pub fn predict(&mut self, x: &T, sigma: f64) -> Result<Prediction<T>> {
        let v = self.velocity(x, sigma)?;
        Ok(Prediction {
            data: T::lincomb(&[(1.0, x), (-sigma, &v)])?,
            noise: T::lincomb(&[(1.0, x), (1.0 - sigma, &v)])?,
        })
    }

    /// The next independent noise of this step, in the shape of `like`.
    ///
    /// # Errors
    /// Those of the noise source.
    pub fn normal(&mut self, like: &T) -> Result<T> {
        let key = self.next_key();
        self.noise.normal(like, key)
    }

    /// The standardised noise of the path from `sigma` down to `next`, for samplers that follow one: noise that is
    /// added once over an interval. What is asked for again in parts is the same noise again. Everything else is
    /// [`Env::normal`], and from a source without a path this is the same as that.
    ///
    /// # Errors
    /// Those of the noise source.
    pub fn increment(&mut self, like: &T, sigma: f64, next: f64) -> Result<T> {
        let key = self.next_key();
        self.noise.increment(like, key, Span { from: sigma, to: next })
    }

    fn next_key(&mut self) -> NoiseKey {
        let key = NoiseKey { stream: Stream::SAMPLER, step: self.step, draw: self.draws };
        self.draws += 1;
        key
    }

    /// Tells how far off the step may be: what an embedded rule of lower order would have made of the same evaluations,
    /// subtracted from the step. Told at most once a step; the driver hands it on as
    /// [`Report::local_error`](crate::Report::local_error).
    pub fn tell_error(&mut self, error: T) {
        self.error = Some(error);
    }

    /// What was told in this step.
    pub(crate) fn told_error(&mut self) -> Option<T> {
        self.error.take()
    }

    /// Runs of the model since this environment was made.
    pub fn evaluations(&self) -> u64 {
        self.meter.evaluations()
    }

    /// Begins a step: its draws are numbered from 0, so a repeated step draws the same noise.
    pub(crate) fn begin(&mut self, index: usize) -> Result<()> {
        self.step = u32::try_from(index).map_err(|_| Error::Schedule(format!("step {index} is beyond 2^32")))?;
        (self.draws, self.error) = (0, None);
        Ok(())
    }
}

/// Counts model evaluations and asks, before each, whether to go on.
pub struct Meter<'a> {
    ask: &'a mut dyn FnMut() -> ControlFlow<()>,
    evaluations: u64,
}

impl<'a> Meter<'a> {
    /// A meter that asks `ask`; [`ControlFlow::Break`] means stop.
    pub fn new(ask: &'a mut dyn FnMut() -> ControlFlow<()>) -> Self {
        Self { ask, evaluations: 0 }
    }

    /// To be called once before every run of the model.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the caller wants to stop.
    pub fn evaluation(&mut self) -> Result<()> {
        self.tick()?;
        self.evaluations += 1;
        Ok(())
    }

    /// May be called at any time in between, by large models between their blocks. Counts nothing.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the caller wants to stop.
    pub fn tick(&mut self) -> Result<()> {
        match (self.ask)() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }

    /// Runs of the model so far.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }
}
