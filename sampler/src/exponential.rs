//! The kappa step: Euler and every first-order stochastic sampler in one formula.
//!
//! With `D = E[data | x]` and `N = E[noise | x]` frozen over a step from `s` to `s'`, the flow plus Langevin dynamics
//! of strength `g` that leaves every marginal unchanged,
//!
//! ```text
//! dx = v dsigma + (g^2 / 2) score dtau + g dW,      tau = 1 - sigma,   score = -N / sigma,
//! ```
//!
//! is solved exactly by keeping a part `kappa` of the predicted noise and replacing the rest (variation of constants):
//!
//! ```text
//! x' = (1 - s') D + s' (kappa N + sqrt(1 - kappa^2) z),      kappa = exp(-G),   G = int_{s'}^{s} g^2 / (2 q^2) dq
//! ```
//!
//! The noise level after the step is exactly `s'` whatever `g` is; there is no singularity at 0 and no limit on the
//! step size. `kappa = 1` is Euler.
//!
//! The flow: Liu, Gong, Liu 2022, arXiv 2209.03003. The scores: Tweedie's formula (Robbins 1956, Efron 2011). The
//! stochastic family: Song et al. 2020, arXiv 2011.13456; lqiang67/rectified-flow `sde_sampler.py:31-41`; the kappa
//! form is also known as coefficients-preserving sampling, arXiv 2509.05952.

use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// How much fresh noise there is along the way: the noise clock `G` of the kappa step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diffusion {
    /// None: `g = 0`, `kappa = 1`, the flow itself.
    Ode,
    /// `g^2 = 2 scale sigma^(1 + decay)`: `kappa = (s'/s)^scale` for `decay = 0`, else
    /// `exp(-scale (s^decay - s'^decay) / decay)`. The noise fades towards the data as `decay` grows.
    Power {
        /// Strength, at least 0; 0 is [`Diffusion::Ode`].
        scale: f64,
        /// Exponent, at least 0.
        decay: f64,
    },
}

impl Diffusion {
    /// `G = int_{next}^{sigma} g^2 / (2 q^2) dq`, at least 0, for `sigma > next > 0`.
    pub fn clock(self, sigma: f64, next: f64) -> f64 {
        match self {
            Self::Ode => 0.0,
            Self::Power { scale, decay } => {
                let span = libm::log(sigma / next);
                // (s^p - s'^p) / p = s'^p (e^(p ln(s/s')) - 1) / p, which tends to ln(s/s') without cancelling.
                let fade = if decay == 0.0 { span } else { libm::pow(next, decay) * libm::expm1(decay * span) / decay };
                scale * fade
            }
        }
    }

    /// `exp(-G)`: the part of the predicted noise that is kept.
    pub fn kappa(self, sigma: f64, next: f64) -> f64 {
        libm::exp(-self.clock(sigma, next))
    }
}

/// The first-order exponential sampler: one kappa step per interval, one evaluation each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The noise along the way.
    pub diffusion: Diffusion,
}

impl<T: Latent> Sampler<T> for Exponential {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }
}

impl<T: Latent> Stepper<T> for Exponential {
    /// In terms of `x` and `v` the kappa step is
    /// `x' = (1 - s'(1 - kappa)) x + ((s' - s) - s'(1 - kappa)(1 - s)) v + s' sqrt(1 - kappa^2) z`,
    /// written with `1 - kappa` so that `kappa = 1` is `x + (s' - s) v` to the last bit, without drawing any noise.
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        let v = env.velocity(x, sigma)?;
        let denoised = T::lincomb(&[(1.0, x), (-sigma, &v)])?;
        if next == 0.0 {
            return Ok(Stepped { x: denoised.clone(), denoised });
        }
        let clock = self.diffusion.clock(sigma, next);
        let replaced = -libm::expm1(-clock); // 1 - kappa
        let fresh = libm::sqrt(-libm::expm1(-2.0 * clock)); // sqrt(1 - kappa^2)
        let (keep, move_by) = (1.0 - next * replaced, (next - sigma) - next * replaced * (1.0 - sigma));
        let x = match clock > 0.0 {
            true => T::lincomb(&[(keep, x), (move_by, &v), (next * fresh, &env.normal(x)?)])?,
            false => T::lincomb(&[(keep, x), (move_by, &v)])?,
        };
        Ok(Stepped { x, denoised })
    }
}

/// Euler's method: the kappa step without noise.
pub fn euler<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "euler",
        aliases: &["flow-match-euler"],
        meaning: "follow the velocity in straight steps; the plain, predictable choice",
        formula: "x' = x + (sigma' - sigma) v",
        citation: "Liu, Gong, Liu 2022, arXiv 2209.03003; black-forest-labs/flux sampling.py:351",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(Exponential { diffusion: Diffusion::Ode }))
}

/// Langevin dynamics along the flow: the kappa step with [`Diffusion::Power`].
pub fn langevin<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "langevin",
        aliases: &["sde", "rf-sde"],
        meaning: "Euler with part of the noise replaced at every step, which forgives the model's errors",
        formula: "x' = (1 - sigma') D + sigma' (kappa N + sqrt(1 - kappa^2) z), kappa = exp(-scale (sigma^decay - \
                  sigma'^decay)/decay), (sigma'/sigma)^scale at decay 0",
        citation: "Song et al. 2020, arXiv 2011.13456; lqiang67/rectified-flow sde_sampler.py; arXiv 2509.05952",
        parameters: &[
            Parameter {
                key: "scale",
                meaning: "how much noise is replaced; 0 is euler",
                kind: Kind::Number { default: 1.0, min: 0.0, max: 10.0 },
            },
            Parameter {
                key: "decay",
                meaning: "how fast the fresh noise fades towards the picture",
                kind: Kind::Number { default: 0.0, min: 0.0, max: 4.0 },
            },
        ],
    };
    Entry::sampler(about, |values| {
        let (scale, decay) = (values.number("scale"), values.number("decay"));
        Ok(Exponential { diffusion: Diffusion::Power { scale, decay } })
    })
}
