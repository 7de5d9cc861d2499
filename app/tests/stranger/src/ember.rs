//! A sampler of a stranger's: some of the noise glows on and the rest is fresh, `x' = (1 - s') D + s' (k N + f z)`.

use flowline_sampler::catalog::{About, Kind, Parameter};
use flowline_sampler::facts::{Bias, Evaluations, Facts, Group, LastStep};
use flowline_sampler::{Env, Latent, Prediction, Result, Sampler, Schedule, Step, Stepped, Stepper};

pub const ABOUT: About = About {
    name: "ember",
    aliases: &[],
    ve_names: &[],
    meaning: "part of the noise is renewed on every step, more at the beginning",
    formula: "x' = (1 - sigma') D + sigma' (k N + f z), k = exp(-heat (sigma - sigma'))",
    citation: "the documentation of Flowline",
    parameters: &[Parameter {
        key: "heat",
        meaning: "how much is renewed",
        kind: Kind::Number { default: 2.0, min: 0.0, max: 10.0 },
    }],
};

#[derive(Clone, Copy)]
pub struct Ember {
    pub heat: f64,
    /// How much fresh noise makes up for the part that is kept.
    pub fresh: fn(f64) -> f64,
}

impl<T: Latent> Sampler<T> for Ember {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let (group, bias, evaluations) = (Group::Variety, Bias::Shrinks, Evaluations::each(1));
        Facts { group, order: 1.0, bias, evaluations, last: LastStep::Denoised, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for Ember {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Prediction { data: denoised, noise } = env.predict(x, step.sigma)?;
        let kept = (-self.heat * (step.sigma - step.next)).exp();
        let fresh = env.increment(x, step.sigma, step.next)?;
        let parts =
            [(1.0 - step.next, &denoised), (step.next * kept, &noise), (step.next * (self.fresh)(kept), &fresh)];
        Ok(Stepped { x: T::lincomb(&parts)?, denoised })
    }
}
