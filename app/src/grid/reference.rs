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
use flowline_sampler::{Env, Meter, Noise, NoiseKey, Sampler, Schedule, Span, Velocity, integrate};

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
        Ok(comparable(request, &reference, samplers)?.then_some(reference))
    }
}

/// Whether the distance between the ends of two whole runs from one noise says anything; `samplers` are the same as the
/// model's, for closed forms.
///
/// # Errors
/// Those of the samplers.
pub fn comparable(request: &Request, reference: &Request, samplers: &Samplers<Vec<f64>>) -> Result<bool> {
    Ok(match (drawn(request, samplers)?, drawn(reference, samplers)?) {
        (Drawn::Nothing, Drawn::Nothing) => true,
        (Drawn::Path, Drawn::Path) => request.rng == Rng::Brownian && request.sampler == reference.sampler,
        _ => false,
    })
}

/// What noise a sampler draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Drawn {
    /// None.
    Nothing,
    /// Increments of a path.
    Path,
    /// Other noise, which another number of steps does not meet again.
    Fresh,
}

/// What noise the request's sampler draws, found out by listening while it follows a closed form: along the request's
/// sigmas, and along a schedule of several steps, for a single one draws none.
fn drawn(request: &Request, samplers: &Samplers<Vec<f64>>) -> Result<Drawn> {
    if !request.walks() {
        return Ok(Drawn::Nothing);
    }
    let sampler = samplers.build(&request.sampler)?;
    let schedule = Schedule::explicit(request.sigmas.clone())?;
    let several = listen(sampler.as_ref(), Schedule::uniform(STEPS_TO_HEAR)?);
    // A sampler may refuse any schedule but its own.
    Ok(listen(sampler.as_ref(), schedule)?.max(several.unwrap_or(Drawn::Nothing)))
}

/// Steps enough for every sampler to draw what it draws.
const STEPS_TO_HEAR: usize = 8;

/// What noise `sampler` draws along `schedule`.
fn listen(sampler: &dyn Sampler<Vec<f64>>, schedule: Schedule) -> Result<Drawn> {
    let mut field = Guidable(AffineGaussian { mean: 1.0, variance: 0.25 });
    let (mut ear, mut on) = (Ear(Drawn::Nothing), || ControlFlow::Continue(()));
    integrate(sampler, schedule, vec![1.0], &mut Env::new(&mut field, &mut ear, &mut on), |_| {})?;
    Ok(ear.0)
}

/// A field that has an unconditional prediction for samplers that need one.
struct Guidable(AffineGaussian);

impl Velocity<Vec<f64>> for Guidable {
    fn velocity(&mut self, x: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> flowline_sampler::Result<Vec<f64>> {
        self.0.velocity(x, sigma, meter)
    }

    fn velocity_and_unconditional(
        &mut self,
        x: &Vec<f64>,
        sigma: f64,
        meter: &mut Meter<'_>,
    ) -> flowline_sampler::Result<(Vec<f64>, Option<Vec<f64>>)> {
        let v = self.0.velocity(x, sigma, meter)?;
        Ok((v.clone(), Some(v)))
    }
}

/// Noise that is none, and remembers what was asked for.
struct Ear(Drawn);

impl Noise<Vec<f64>> for Ear {
    fn normal(&mut self, like: &Vec<f64>, _: NoiseKey) -> flowline_sampler::Result<Vec<f64>> {
        self.0 = Drawn::Fresh;
        Ok(vec![0.0; like.len()])
    }

    fn increment(&mut self, like: &Vec<f64>, _: NoiseKey, _: Span) -> flowline_sampler::Result<Vec<f64>> {
        if self.0 == Drawn::Nothing {
            self.0 = Drawn::Path;
        }
        Ok(vec![0.0; like.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_sampler_with_its_steps() {
        let reference: Reference = "langevin:scale=1,steps=200,decay=0".parse().unwrap();
        assert_eq!(reference.to_string(), "langevin:scale=1,decay=0,steps=200");
        assert_eq!(reference, reference.to_string().parse().unwrap());
        for text in ["", "heun", "heun:steps=0", "heun:steps=x", "heun:200", "heun:steps=10001"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_distance_means_something_without_noise_or_along_the_same_path() {
        let registry = crate::Registry::builtin();
        let pipeline = registry.open(&flowline_model::Opening::named("postcard", None)).unwrap();
        let compared = |sampler: &str, rng: Rng, stop_after: Option<usize>, reference: &str| {
            let sampler = Some(sampler.parse().unwrap());
            let draft =
                Draft { sampler, rng: Some(rng), steps: Some(4), seeds: vec![1], stop_after, ..Draft::default() };
            let request = draft.resolve(pipeline.spec()).unwrap().request;
            let reference: Reference = reference.parse().unwrap();
            reference.of(&request, pipeline.spec(), registry.proof_samplers()).unwrap()
        };
        for (sampler, rng, reference, means) in [
            ("ab2", Rng::Flowline, "heun:steps=9", true),
            ("ab2", Rng::TorchCpu, "heun:steps=9", true),
            ("ab2", Rng::Brownian, "heun:steps=9", true),
            ("langevin", Rng::Brownian, "heun:steps=9", false),
            ("heun", Rng::Brownian, "langevin:steps=9", false),
            ("langevin", Rng::Brownian, "langevin:steps=9", true),
            ("langevin:scale=1", Rng::Brownian, "langevin:steps=9", true),
            ("langevin:scale=2", Rng::Brownian, "langevin:steps=9", false),
            ("langevin", Rng::Flowline, "langevin:steps=9", false),
            ("churn:churn=10", Rng::Brownian, "churn:churn=10,steps=9", false),
        ] {
            let found = compared(sampler, rng, None, reference);
            assert_eq!(found.is_some(), means, "{sampler} {rng} {reference}");
            if let Some(found) = found {
                assert_eq!((found.steps, found.rng, &found.seeds[..]), (9, rng, &[1][..]));
            }
        }
        assert_eq!(compared("ab2", Rng::Flowline, Some(2), "heun:steps=9"), None, "what stopped has not arrived");
    }

    #[test]
    fn samplers_are_told_apart_by_the_noise_they_draw() {
        let samplers = Samplers::builtin();
        let of = |written: &str| {
            let sampler = samplers.build(&written.parse::<Choice>().unwrap()).unwrap();
            listen(sampler.as_ref(), Schedule::uniform(8).unwrap()).unwrap()
        };
        for name in ["euler", "heun", "unipc", "adaptive", "euler-cfg-pp", "langevin:scale=0", "churn:churn=0"] {
            assert_eq!(of(name), Drawn::Nothing, "{name}");
        }
        for name in ["langevin:scale=1", "euler-maruyama", "ddpm", "er-sde"] {
            assert_eq!(of(name), Drawn::Path, "{name}");
        }
        for name in ["churn:churn=10", "heun+corrector:k=1", "langevin:scale=1+corrector:k=1"] {
            assert_eq!(of(name), Drawn::Fresh, "{name}");
        }
    }
}
