//! Exponential methods of two evaluations a step: a trial to the middle, then the whole step.

use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::diffusion::Diffusion;
use crate::exponential::NoisyStep;
use crate::exponential_multistep::{Rule, TwoValues, Variable, Weighed};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::newton::Quadratic;
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// A kappa step to the middle `q` of the step in some [`Variable`], where the model is evaluated again, and a step over
/// the whole with `D` on a line through both values.
///
/// Where the middle is not defined (`sigma = 1` in [`Variable::LogSnr`], where nothing is known but the data's mean)
/// the whole is one kappa step; a step to `s' = 0` goes to `E[data | x]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialTwoStage {
    /// The noise along the way.
    pub diffusion: Diffusion,
    /// In which the middle is taken.
    pub variable: Variable,
    /// How the line is integrated.
    pub two: TwoValues,
    /// How the noises of the two stages belong together.
    pub noises: Noises,
    /// The order to declare.
    pub declared: f64,
}

/// How the noises of the two stages belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noises {
    /// One path: the whole step goes through the noise the trial saw.
    Path,
    /// Each stage has its own: that of the trial is forgotten and the whole step draws one. Along a Brownian path both
    /// are its increments, as in crowsonkb/k-diffusion `sampling.py:543-582`; the first is a part of the other.
    Independent,
}

impl<T: Latent> Sampler<T> for ExponentialTwoStage {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let evaluations = match self.variable.at(1.0).is_finite() {
            true => Evaluations::but_last(2),
            false => Evaluations { starting: 1, start: 1, ..Evaluations::but_last(2) },
        };
        let group = if self.diffusion.is_ode() { Group::Sharper } else { Group::Variety };
        let (order, bias, last) = (self.declared, Bias::Shrinks, LastStep::Denoised);
        Facts { group, order, bias, evaluations, last, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for ExponentialTwoStage {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        let (v, denoised) = env.denoise(x, sigma)?;
        if next == 0.0 {
            return Ok(Stepped { x: denoised.clone(), denoised });
        }
        let single = !self.variable.at(sigma).is_finite();
        let q = if single { next } else { self.variable.middle(sigma, next) };
        let stage = NoisyStep::kappa(self.diffusion, sigma, q);
        let noise = if stage.fresh > 0.0 { Some(env.increment(x, sigma, q)?) } else { None };
        let moved = [(stage.keep, x), (stage.along, &v)];
        let y = T::lincomb(&moved.into_iter().chain(noise.as_ref().map(|z| (stage.fresh, z))).collect::<Vec<_>>())?;
        if single {
            return Ok(Stepped { x: y, denoised });
        }
        let v_middle = env.velocity(&y, q)?;
        let at_middle = T::lincomb(&[(1.0, &y), (-q, &v_middle)])?;
        let kept = |from: f64| (next / from) * self.diffusion.kappa(from, next);
        let fresh = |from: f64| NoisyStep::kappa(self.diffusion, from, next).fresh;
        let (of_first, of_second, from) = match self.noises {
            Noises::Path => (stage.fresh * kept(q), fresh(q), q),
            Noises::Independent => (0.0, fresh(sigma), sigma),
        };
        let second = if of_second > 0.0 { Some(env.increment(x, from, next)?) } else { None };
        let mut terms = vec![(kept(sigma), x)];
        terms.extend(noise.as_ref().map(|z| (of_first, z)));
        terms.extend(second.as_ref().map(|z| (of_second, z)));
        let rule = Rule {
            diffusion: self.diffusion,
            variable: self.variable,
            two: self.two,
            quadratic: Quadratic::Interpolating,
        };
        let values = [(sigma, &denoised), (q, &at_middle)];
        let weighed = Weighed::new(rule, &values, next, false);
        let x = weighed.combine(&terms)?;
        // Two values of D that saw other noises differ by more than the error.
        let error = if self.noises == Noises::Path { weighed.last_term()? } else { None };
        if let Some(error) = error {
            env.tell_error(error);
        }
        Ok(Stepped { x, denoised })
    }
}

const ETA: Parameter = Parameter {
    key: "eta",
    meaning: "how much noise is replaced; 1 is the time reversal of the noising, 0 the flow",
    kind: Kind::Number { default: 1.0, min: 0.0, max: 1.0 },
};

/// RES 2S: the exponential Runge-Kutta method of second order, without noise.
pub fn res2s<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "res2s",
        aliases: &["dpmpp-2s"],
        ve_names: &[],
        meaning: "look at the middle of each step in log sigma: two evaluations, robust on any schedule",
        formula: "x' = (sigma'/sigma) x + sigma' int (D-line) d(1/q), the line through D at sigma and at sqrt(sigma \
                  sigma'); x' = D at sigma' = 0",
        citation: "Hochbruck, Ostermann 2005; Zhang et al. 2023, arXiv 2308.02157; Lu et al. 2022, arXiv 2211.01095",
        parameters: &[],
    };
    let res2s = ExponentialTwoStage {
        diffusion: Diffusion::Ode,
        variable: Variable::LogSigma,
        two: TwoValues::Exact,
        noises: Noises::Path,
        declared: 2.0,
    };
    Entry::sampler(about, move |_| Ok(res2s))
}

/// SEEDS-2: two stages along one path of noise.
pub fn seeds2<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "seeds2",
        aliases: &[],
        ve_names: &[],
        meaning: "fresh noise with two evaluations a step: second order in the spread",
        formula: "y = kappa step to q (lambda-middle), x' = (sigma'/sigma) kappa x + c D(y, q) + sigma' sqrt(1 - \
                  kappa^2) z, z continuing y's noise; kappa = e^(-eta h); x' = D at sigma' = 0",
        citation: "Gonzalez et al. 2023, arXiv 2305.14267; ComfyUI sample_seeds_2",
        parameters: &[ETA],
    };
    Entry::sampler(about, |values| {
        Ok(ExponentialTwoStage {
            diffusion: Diffusion::LogSnr { eta: values.number("eta") },
            variable: Variable::LogSnr,
            two: TwoValues::Middle,
            noises: Noises::Path,
            declared: 1.8,
        })
    })
}

/// DPM-Solver++ SDE: two stages with ancestral noises.
pub fn dpmpp_sde<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "dpmpp-sde",
        aliases: &[],
        ve_names: &["DPM++ SDE", "dpmpp_sde_gpu", "DPMSolverSDE"],
        meaning: "two evaluations a step with a fresh noise each, in the form that is right for flow models",
        formula: "y = kappa step to q (lambda-middle), x' = (sigma'/sigma) kappa x + c D(y, q) + sigma' sqrt(1 - \
                  kappa^2) z; kappa^2 = 1 - eta^2 (1 - (l'/l)^2), l = sigma/(1 - sigma); x' = D at sigma' = 0",
        citation: "Lu et al. 2022, arXiv 2211.01095; crowsonkb/k-diffusion sampling.py:543; ComfyUI sample_dpmpp_sde",
        parameters: &[ETA],
    };
    Entry::sampler(about, |values| {
        Ok(ExponentialTwoStage {
            diffusion: Diffusion::AncestralRatio { eta: values.number("eta") },
            variable: Variable::LogSnr,
            two: TwoValues::Middle,
            noises: Noises::Independent,
            declared: 1.0,
        })
    })
}
