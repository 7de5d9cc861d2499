//! Euler with the noise taken from the unconditional prediction (CFG++).

use crate::catalog::{About, BuildSampler, Entry};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// Guidance decides what the picture becomes, the unconditional prediction what noise is left:
///
/// ```text
/// x' = (1 - s') D_guided + s' N_unconditional
/// ```
///
/// Chung et al. 2024, arXiv 2406.08070, in the form of the straight path. Where the field offers no unconditional
/// prediction (no guidance, or a scale of 1) the guided one serves, and this is Euler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EulerCfg;

impl<T: Latent> Sampler<T> for EulerCfg {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let (group, bias, last) = (Group::Special, Bias::Shrinks, LastStep::Denoised);
        Facts { group, order: 1.0, bias, evaluations: Evaluations::each(1), last, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for EulerCfg {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        let (v, unconditional) = env.velocity_and_unconditional(x, sigma)?;
        let denoised = T::lincomb(&[(1.0, x), (-sigma, &v)])?;
        let x = match unconditional {
            _ if next == 0.0 => denoised.clone(),
            None => T::lincomb(&[(1.0, x), (next - sigma, &v)])?,
            Some(u) => T::lincomb(&[(1.0, x), (-(1.0 - next) * sigma, &v), (next * (1.0 - sigma), &u)])?,
        };
        Ok(Stepped { x, denoised })
    }
}

/// [`EulerCfg`] for the catalogue.
pub fn euler_cfg<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "euler-cfg-pp",
        aliases: &[],
        ve_names: &[],
        meaning: "euler that guides the picture but not the noise, for small --cfg; without --cfg it is euler",
        formula: "x' = (1 - sigma') D_guided + sigma' N_unconditional",
        citation: "Chung et al. 2024, arXiv 2406.08070; ComfyUI sample_euler_ancestral_cfg_pp",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(EulerCfg))
}
