//! Karras churn: up to more noise, then down by Heun's method.

use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::runge_kutta::RungeKutta;
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// EDM's stochastic sampler as seen from the flow. With `gamma = min(churn / N, sqrt 2 - 1)` EDM raises its noise level
/// by `1 + gamma`; in the flow that is
///
/// ```text
/// s^ = s (1 + gamma) / (1 + gamma s),      x^ = r x + s r sqrt(gamma (2 + gamma)) z,      r = 1/(1 + gamma s)
/// ```
///
/// followed by Heun's step from `s^` to `s'`. The signal is scaled by `r`, which the form for variance-exploding
/// models does not do; used on a flow model that form samples another distribution.
/// Karras et al. 2022, arXiv 2206.00364, algorithm 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// How much noise is added over the whole way, at least 0.
    pub churn: f64,
    /// Between which sigmas.
    pub noisy: [f64; 2],
}

/// The most a single step may raise EDM's noise level by.
const MOST: f64 = std::f64::consts::SQRT_2 - 1.0;

impl<T: Latent> Sampler<T> for Churn {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let (group, bias, last) = (Group::Variety, Bias::Shrinks, LastStep::Denoised);
        Facts { group, order: 2.0, bias, evaluations: Evaluations::but_last(2), last, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for Churn {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let [low, high] = self.noisy;
        let inside = (low..=high).contains(&step.sigma);
        let gamma = if inside { (self.churn / step.schedule.steps() as f64).min(MOST) } else { 0.0 };
        if gamma == 0.0 {
            return RungeKutta::Heun.step(step, x, env);
        }
        let r = 1.0 / (1.0 + gamma * step.sigma);
        let noise = (step.sigma * r * libm::sqrt(gamma * (2.0 + gamma)), &env.normal(x)?);
        let x = T::lincomb(&[(r, x), noise])?;
        RungeKutta::Heun.step(&Step { sigma: step.sigma * (1.0 + gamma) * r, ..*step }, &x, env)
    }
}

/// [`Churn`] for the catalogue.
pub fn churn<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "churn",
        aliases: &["edm", "heun-churn"],
        ve_names: &[],
        meaning: "add a little noise before each step of heun, which mends earlier errors",
        formula: "s^ = sigma (1 + gamma)/(1 + gamma sigma), x^ = (x + sigma sqrt(gamma (2 + gamma)) z)/(1 + gamma \
                  sigma), then heun from s^ to sigma', gamma = min(churn/N, sqrt 2 - 1)",
        citation: "Karras et al. 2022, arXiv 2206.00364, algorithm 2",
        parameters: &[
            Parameter {
                key: "churn",
                meaning: "how much noise is added over the whole way; 0 is heun",
                kind: Kind::Number { default: 8.0, min: 0.0, max: 100.0 },
            },
            Parameter {
                key: "from",
                meaning: "the largest sigma at which noise is added",
                kind: Kind::Number { default: 1.0, min: 0.0, max: 1.0 },
            },
            Parameter {
                key: "to",
                meaning: "the smallest sigma at which noise is added",
                kind: Kind::Number { default: 0.0, min: 0.0, max: 1.0 },
            },
        ],
    };
    Entry::sampler(about, |values| {
        Ok(Churn { churn: values.number("churn"), noisy: [values.number("to"), values.number("from")] })
    })
}
