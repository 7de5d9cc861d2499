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
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

pub use crate::diffusion::Diffusion;

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

    fn facts(&self) -> Facts {
        let (group, label) = match self.diffusion {
            diffusion if diffusion.is_ode() => (Group::Start, None),
            Diffusion::Renew => {
                (Group::Special, Some("only for consistency-distilled checkpoints; others lose a third of the spread"))
            }
            Diffusion::Refresh { .. } => (Group::Special, Some("the result depends on the number of steps")),
            _ => (Group::Variety, None),
        };
        let order = if label.is_some() { 0.0 } else { 1.0 };
        let (bias, last) = (Bias::Shrinks, LastStep::Denoised);
        Facts { group, order, bias, evaluations: Evaluations::each(1), last, resolves: false, label }
    }
}

impl<T: Latent> Stepper<T> for Exponential {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        let (v, denoised) = env.denoise(x, sigma)?;
        if next == 0.0 {
            return Ok(Stepped { x: denoised.clone(), denoised });
        }
        let x = NoisyStep::kappa(self.diffusion, sigma, next).take(step, x, &v, env)?;
        Ok(Stepped { x, denoised })
    }
}

/// A step that is linear in `x`, `v` and fresh noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoisyStep {
    /// Of `x`.
    pub(crate) keep: f64,
    /// Of `v`.
    pub(crate) along: f64,
    /// Of fresh noise.
    pub(crate) fresh: f64,
}

impl NoisyStep {
    /// The kappa step from `sigma` to `next > 0` in terms of `x` and `v`,
    /// `x' = (1 - s'(1 - kappa)) x + ((s' - s) - s'(1 - kappa)(1 - s)) v + s' sqrt(1 - kappa^2) z`,
    /// written with `1 - kappa` so that `kappa = 1` is `x + (s' - s) v` to the last bit.
    pub(crate) fn kappa(diffusion: Diffusion, sigma: f64, next: f64) -> Self {
        let clock = diffusion.clock(sigma, next);
        let replaced = -libm::expm1(-clock); // 1 - kappa
        let fresh = next * libm::sqrt(-libm::expm1(-2.0 * clock)); // s' sqrt(1 - kappa^2)
        Self { keep: 1.0 - next * replaced, along: (next - sigma) - next * replaced * (1.0 - sigma), fresh }
    }

    /// `keep x + along v + fresh z`, where `z` is the step's part of the noise's path; where there is no fresh noise
    /// none is drawn.
    pub(crate) fn take<T: Latent>(self, step: &Step<'_>, x: &T, v: &T, env: &mut Env<'_, T>) -> Result<T> {
        let Self { keep, along, fresh } = self;
        match fresh > 0.0 {
            true => T::lincomb(&[(keep, x), (along, v), (fresh, &env.increment(x, step.sigma, step.next)?)]),
            false => T::lincomb(&[(keep, x), (along, v)]),
        }
    }
}

/// Euler's method: the kappa step without noise.
pub fn euler<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "euler",
        aliases: &["flow-match-euler"],
        ve_names: &[],
        meaning: "follow the velocity in straight steps; the plain, predictable choice",
        formula: "x' = x + (sigma' - sigma) v",
        citation: "Liu, Gong, Liu 2022, arXiv 2209.03003; black-forest-labs/flux sampling.py:351",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(Exponential { diffusion: Diffusion::Ode }))
}

/// The strength of Langevin dynamics.
pub(crate) const SCALE: Parameter = Parameter {
    key: "scale",
    meaning: "how much noise is replaced; 0 is euler",
    kind: Kind::Number { default: 1.0, min: 0.0, max: 10.0 },
};

/// How the strength of Langevin dynamics changes on the way.
pub(crate) const DECAY: Parameter = Parameter {
    key: "decay",
    meaning: "how fast the fresh noise fades towards the picture",
    kind: Kind::Number { default: 0.0, min: 0.0, max: 4.0 },
};

/// Langevin dynamics along the flow: the kappa step with [`Diffusion::Power`].
pub fn langevin<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "langevin",
        aliases: &["sde", "rf-sde"],
        ve_names: &[],
        meaning: "Euler with part of the noise replaced at every step, which forgives the model's errors",
        formula: "x' = (1 - sigma') D + sigma' (kappa N + sqrt(1 - kappa^2) z), kappa = exp(-scale (sigma^decay - \
                  sigma'^decay)/decay), (sigma'/sigma)^scale at decay 0",
        citation: "Song et al. 2020, arXiv 2011.13456; lqiang67/rectified-flow sde_sampler.py; arXiv 2509.05952",
        parameters: &[SCALE, DECAY],
    };
    Entry::sampler(about, |values| {
        let (scale, decay) = (values.number(SCALE.key), values.number(DECAY.key));
        Ok(Exponential { diffusion: Diffusion::Power { scale, decay } })
    })
}

/// [`Diffusion::LogSnr`] of strength one.
pub fn ddpm<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ddpm",
        aliases: &[],
        ve_names: &[],
        meaning: "undo the noising as it was done, with as much fresh noise as fits",
        formula: "x' = (1 - sigma') D + sigma' (kappa N + sqrt(1 - kappa^2) z), kappa = (1 - sigma) sigma'/((1 - \
                  sigma') sigma)",
        citation: "Ho, Jain, Abbeel 2020, arXiv 2006.11239; Anderson 1982",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(Exponential { diffusion: Diffusion::LogSnr { eta: 1.0 } }))
}

/// [`Diffusion::Ancestral`].
pub fn ancestral<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ancestral",
        aliases: &["euler-a", "euler-ancestral", "euler-ancestral-rf"],
        ve_names: &[],
        meaning: "step a little too far along the flow and add noise back, in the form that is right for flow models",
        formula: "the langevin step with kappa = s_d (1 - sigma')/((1 - s_d) sigma'), s_d = sigma' (1 + (sigma'/sigma \
                  - 1) eta)",
        citation: "crowsonkb/k-diffusion sampling.py:130-150; ComfyUI sample_euler_ancestral_RF",
        parameters: &[Parameter {
            key: "eta",
            meaning: "how far too far; 0 is euler",
            kind: Kind::Number { default: 1.0, min: 0.0, max: 1.0 },
        }],
    };
    Entry::sampler(about, |values| Ok(Exponential { diffusion: Diffusion::Ancestral { eta: values.number("eta") } }))
}

/// [`Diffusion::Overshoot`].
pub fn overshoot<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "overshoot",
        aliases: &["overshooting", "amo"],
        ve_names: &[],
        meaning: "as ancestral, with an overshoot that grows with the step; made for legible text",
        formula: "the langevin step with kappa = s_d (1 - sigma')/((1 - s_d) sigma'), s_d = sigma' - c (sigma - \
                  sigma') sigma'",
        citation: "Hu et al. 2024 (AMO), arXiv 2411.19415; lqiang67/rectified-flow overshooting_sampler.py:51-77",
        parameters: &[Parameter {
            key: "c",
            meaning: "how far too far, in steps; 0 is euler",
            kind: Kind::Number { default: 2.0, min: 0.0, max: 10.0 },
        }],
    };
    Entry::sampler(about, |values| Ok(Exponential { diffusion: Diffusion::Overshoot { c: values.number("c") } }))
}

/// [`Diffusion::Renew`].
pub fn lcm<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "lcm",
        aliases: &["stochastic-sampling", "flow-match-lcm"],
        ve_names: &[],
        meaning: "all noise fresh on every step: only for consistency-distilled checkpoints",
        formula: "x' = (1 - sigma') D + sigma' z",
        citation: "Luo et al. 2023, arXiv 2310.04378; diffusers scheduling_flow_match_lcm.py:482-495",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(Exponential { diffusion: Diffusion::Renew }))
}

/// [`Diffusion::Refresh`].
pub fn noise_refresh<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "noise-refresh",
        aliases: &[],
        ve_names: &[],
        meaning: "a fixed part of the noise fresh on every step, so the result depends on the number of steps",
        formula: "x' = (1 - sigma') D + sigma' (sqrt(1 - rho^2) N + rho z)",
        citation: "lqiang67/rectified-flow noise_refresh_sampler.py",
        parameters: &[Parameter {
            key: "rho",
            meaning: "how much of the noise is fresh; 0 is euler, 1 is lcm",
            kind: Kind::Number { default: 0.5, min: 0.0, max: 1.0 },
        }],
    };
    Entry::sampler(about, |values| Ok(Exponential { diffusion: Diffusion::Refresh { rho: values.number("rho") } }))
}
