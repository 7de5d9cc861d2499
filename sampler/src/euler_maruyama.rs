//! The method of Euler and Maruyama on Langevin dynamics along the flow.

use crate::catalog::{About, BuildSampler, Entry};
use crate::exponential::NoisyStep;
use crate::exponential::{DECAY, SCALE};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// Drift and noise of [`crate::exponential`]'s equation frozen over the step, with `g^2 = 2 scale sigma^(1 + decay)`:
///
/// ```text
/// x' = x + (s' - s) v - (g^2 / 2s) h N + g sqrt(h) z,      h = s - s'
/// ```
///
/// The kappa step solves the same equation without the limit `g^2 h <= 2 s s'`, beyond which this one turns the noise
/// it predicts around. What noise it leaves over makes up for part of what Euler loses. A step to `s' = 0` goes to
/// `E[data | x]`. Maruyama 1955; lqiang67/rectified-flow `sde_sampler.py` (`noise_method="euler"`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EulerMaruyama {
    /// Strength of the noise, at least 0.
    pub scale: f64,
    /// How fast it fades towards the data, at least 0.
    pub decay: f64,
}

impl<T: Latent> Sampler<T> for EulerMaruyama {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let (group, bias, last) = (Group::Variety, Bias::Shrinks, LastStep::Denoised);
        Facts { group, order: 1.0, bias, evaluations: Evaluations::each(1), last, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for EulerMaruyama {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        let (v, denoised) = env.denoise(x, sigma)?;
        if next == 0.0 {
            return Ok(Stepped { x: denoised.clone(), denoised });
        }
        let h = sigma - next;
        let pull = self.scale * libm::pow(sigma, self.decay) * h; // g^2 h / 2s
        let (keep, along) = (1.0 - pull, -h - pull * (1.0 - sigma));
        let x = NoisyStep { keep, along, fresh: libm::sqrt(2.0 * sigma * pull) }.take(step, x, &v, env)?;
        Ok(Stepped { x, denoised })
    }
}

/// [`EulerMaruyama`] for the catalogue.
pub fn euler_maruyama<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "euler-maruyama",
        aliases: &["em"],
        ve_names: &[],
        meaning: "the textbook step with noise: flatters at many steps, goes wrong at few",
        formula: "x' = x - h v - (g^2/2 sigma) h N + g sqrt(h) z, h = sigma - sigma', g^2 = 2 scale sigma^(1 + \
                  decay); x' = D at sigma' = 0",
        citation: "Maruyama 1955; lqiang67/rectified-flow sde_sampler.py; Liu et al. 2025 (Flow-GRPO), arXiv 2505.05470",
        parameters: &[SCALE, DECAY],
    };
    Entry::sampler(about, |values| {
        Ok(EulerMaruyama { scale: values.number(SCALE.key), decay: values.number(DECAY.key) })
    })
}
