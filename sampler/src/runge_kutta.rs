//! Runge-Kutta methods: several evaluations a step, no memory.

use crate::catalog::{About, BuildSampler, Entry};
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// Heun's method (the explicit trapezoidal rule), second order:
///
/// ```text
/// y = x + (s' - s) v(x, s)
/// x' = x + (s' - s) (v(x, s) + v(y, s')) / 2
/// ```
///
/// and `x' = E[data | x]` when `s' = 0`, where models were never trained: `2N - 1` evaluations for `N` steps.
/// Karras et al. 2022, arXiv 2206.00364, algorithm 1; crowsonkb/k-diffusion `sampling.py:159-184`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heun;

impl<T: Latent> Sampler<T> for Heun {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }
}

impl<T: Latent> Stepper<T> for Heun {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        let h = next - sigma;
        let v = env.velocity(x, sigma)?;
        let denoised = T::lincomb(&[(1.0, x), (-sigma, &v)])?;
        if next == 0.0 {
            return Ok(Stepped { x: denoised.clone(), denoised });
        }
        let y = T::lincomb(&[(1.0, x), (h, &v)])?;
        let v_next = env.velocity(&y, next)?;
        Ok(Stepped { x: T::lincomb(&[(1.0, x), (h / 2.0, &v), (h / 2.0, &v_next)])?, denoised })
    }
}

/// [`Heun`] for the catalogue.
pub fn heun<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "heun",
        aliases: &["flow-match-heun"],
        meaning: "look ahead and average: two evaluations a step, second order",
        formula: "y = x + (sigma' - sigma) v, x' = x + (sigma' - sigma) (v + v(y, sigma'))/2; x' = D at sigma' = 0",
        citation: "Karras et al. 2022, arXiv 2206.00364, algorithm 1",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(Heun))
}
