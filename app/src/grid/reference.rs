//! `--reference SAMPLER:steps=N`: the run that cells are compared with, and when that means anything.
//!
//! A sampler that draws no noise follows the one trajectory that leads from the start to the data, so its distance to
//! a finer run of another such sampler is its error. A sampler that draws noise lands somewhere else on purpose. Its
//! distance to the end of that trajectory says nothing, and neither does that to a run of its own with other steps,
//! unless both follow one Brownian path (`--rng brownian`): then it is the strong error (Kloeden and Platen 1992,
//! section 9.6). That needs the same sampler with the same parameters, and one that takes all its noise from the path.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use flowline_model::{Draft, Request, Rng, Spec};
use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::fields::AffineGaussian;
use flowline_sampler::schedule::STEPS;
use flowline_sampler::{Env, Meter, Noise, NoiseKey, Schedule, Span, Velocity, integrate};

use crate::{Failure, Result};

/// The sampler and number of steps of the reference runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    sampler: Choice,
    steps: usize,
}

impl FromStr for Reference {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        const HINT: &str = "write it as heun:steps=200, a sampler with its number of steps";
        let mut sampler = Choice::from_str(text).map_err(|error| Failure::usage(error.to_string(), HINT))?;
        let steps = sampler.given.iter().position(|(key, _)| key.eq_ignore_ascii_case("steps"));
        let Some(steps) = steps.map(|at| sampler.given.remove(at).1) else {
            return Err(Failure::usage(format!("'{text}' does not say how many steps"), HINT));
        };
        match steps.parse().ok().filter(|steps| STEPS.contains(steps)) {
            Some(steps) => Ok(Self { sampler, steps }),
            None => {
                let what = format!("'{steps}' is not a whole number from {} to {}", STEPS.start(), STEPS.end());
                Err(Failure::usage(what, HINT))
            }
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written().fmt(f)
    }
}

impl Reference {
    /// As it is written, the steps behind the sampler's own parameters.
    pub(super) fn written(&self) -> Choice {
        self.sampler.clone().with("steps", self.steps)
    }

    /// The run that `request` is compared with, along the model's own schedule; `None` where that means nothing.
    /// `samplers` are the same as the model's, for closed forms.
    ///
    /// # Errors
    /// A sampler that does not exist, and what else cannot be done.
    pub(super) fn of(&self, request: &Request, spec: &Spec, samplers: &Samplers<Vec<f64>>) -> Result<Option<Request>> {
        let draft = Draft {
            sampler: Some(self.sampler.clone()),
            steps: Some(self.steps),
            schedule: None,
            shift: None,
            sigmas: None,
            stop_after: None,
            ..request.to_draft()
        };
        let reference = draft.resolve(spec)?.request;
        // What is stopped before its end is no sample.
        if request.stop_after.is_some_and(|stop| stop < request.steps) {
            return Ok(None);
        }
        let [ours, theirs] = [request, &reference].map(|request| Habits::of(request, samplers));
        let comparable = match (ours?.noise, theirs?.noise) {
            (Drawn::Nothing, Drawn::Nothing) => true,
            (Drawn::Path, Drawn::Path) => request.rng == Rng::Brownian && request.sampler == reference.sampler,
            _ => false,
        };
        Ok(comparable.then_some(reference))
    }
}

/// What a sampler does on its way, found out by watching it with a closed form in the model's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habits {
    /// What noise it draws.
    pub(super) noise: Drawn,
    /// Whether it asks for the unconditional prediction, which costs an evaluation even without guidance.
    pub(super) unconditional: bool,
}

/// What noise a sampler draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// None.
    Nothing,
    /// Increments of a path.
    Path,
    /// Other noise, which another number of steps does not meet again.
    Fresh,
}

impl Habits {
    /// Of the request's sampler along the request's sigmas.
    ///
    /// # Errors
    /// Those of the sampler.
    pub(super) fn of(request: &Request, samplers: &Samplers<Vec<f64>>) -> Result<Self> {
        let sampler = samplers.build(&request.sampler)?;
        let schedule = Schedule::explicit(request.sigmas.clone())?;
        let mut field = Watched { field: AffineGaussian { mean: 1.0, variance: 0.25 }, unconditional: false };
        let (mut ear, mut on) = (Ear { noise: Drawn::Nothing }, || ControlFlow::Continue(()));
        let mut env = Env::new(&mut field, &mut ear, &mut on);
        integrate(sampler.as_ref(), schedule, vec![1.0], &mut env, |_| {})?;
        Ok(Self { noise: ear.noise, unconditional: field.unconditional })
    }
}

/// A field that remembers whether its unconditional prediction was asked for.
struct Watched {
    field: AffineGaussian,
    unconditional: bool,
}

impl Velocity<Vec<f64>> for Watched {
    fn velocity(&mut self, x: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> flowline_sampler::Result<Vec<f64>> {
        self.field.velocity(x, sigma, meter)
    }

    fn velocity_and_unconditional(
        &mut self,
        x: &Vec<f64>,
        sigma: f64,
        meter: &mut Meter<'_>,
    ) -> flowline_sampler::Result<(Vec<f64>, Option<Vec<f64>>)> {
        self.unconditional = true;
        let v = self.field.velocity(x, sigma, meter)?;
        Ok((v.clone(), Some(v)))
    }
}

/// Noise that is none, and remembers what was asked for.
struct Ear {
    noise: Drawn,
}

impl Noise<Vec<f64>> for Ear {
    fn normal(&mut self, like: &Vec<f64>, _: NoiseKey) -> flowline_sampler::Result<Vec<f64>> {
        self.noise = Drawn::Fresh;
        Ok(vec![0.0; like.len()])
    }

    fn increment(&mut self, like: &Vec<f64>, _: NoiseKey, _: Span) -> flowline_sampler::Result<Vec<f64>> {
        if self.noise == Drawn::Nothing {
            self.noise = Drawn::Path;
        }
        Ok(vec![0.0; like.len()])
    }
}
