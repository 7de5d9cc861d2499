//! Runge-Kutta methods: several evaluations a step, no memory. Each tells its difference to the method of lower order
//! inside it ([`Env::tell_error`]).

use crate::catalog::{About, BuildSampler, Entry};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// An explicit Runge-Kutta method on `dx/dsigma = v`. None of them evaluates the model at `sigma = 0`, where it was
/// never trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RungeKutta {
    /// Heun's method (the explicit trapezoidal rule), second order:
    ///
    /// ```text
    /// y = x + (s' - s) v(x, s)
    /// x' = x + (s' - s) (v(x, s) + v(y, s')) / 2
    /// ```
    ///
    /// and `x' = E[data | x]` when `s' = 0`: `2N - 1` evaluations for `N` steps.
    /// Karras et al. 2022, arXiv 2206.00364, algorithm 1; crowsonkb/k-diffusion `sampling.py:159-184`.
    Heun,
    /// The midpoint rule, second order: `x' = x + h v(x + (h/2) v, s + h/2)`, also on the last step.
    Midpoint,
    /// The midpoint rule with the geometric mean `sqrt(s s')` as its middle, and `x' = E[data | x]` when `s' = 0`.
    /// Karras et al. 2022; crowsonkb/k-diffusion `sampling.py:188-216`.
    Dpm2,
    /// The classical method of fourth order. The step to `s' = 0` is Ralston's of third order, whose stages lie at
    /// `s`, `s/2` and `s/4`; one step of order three leaves the whole at four.
    /// Hairer, Norsett, Wanner: *Solving Ordinary Differential Equations I*, section II.1.
    Rk4,
}

/// Stages after the first, each with its place in the step and the weights of the stages before; then the weights of
/// all of them, and the stage that alone is the embedded method of lower order: Euler's is the first, the midpoint
/// rule's the second.
struct Tableau<'a> {
    stages: &'a [(f64, &'a [f64])],
    weights: &'a [f64],
    embedded: usize,
}

const HEUN: Tableau<'_> = Tableau { stages: &[(1.0, &[1.0])], weights: &[0.5, 0.5], embedded: 0 };
const MIDPOINT: Tableau<'_> = Tableau { stages: &[(0.5, &[0.5])], weights: &[0.0, 1.0], embedded: 0 };
const RALSTON: Tableau<'_> = Tableau {
    stages: &[(0.5, &[0.5]), (0.75, &[0.0, 0.75])],
    weights: &[2.0 / 9.0, 3.0 / 9.0, 4.0 / 9.0],
    embedded: 1,
};
const CLASSICAL: Tableau<'_> = Tableau {
    stages: &[(0.5, &[0.5]), (0.5, &[0.0, 0.5]), (1.0, &[0.0, 0.0, 1.0])],
    weights: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    embedded: 1,
};

impl Tableau<'_> {
    /// From `x` at the step's beginning, where the velocity is `v`, to its end.
    fn advance<T: Latent>(&self, step: &Step<'_>, x: &T, v: T, env: &mut Env<'_, T>) -> Result<T> {
        let h = step.next - step.sigma;
        let mut slopes = vec![v];
        for (at, weights) in self.stages {
            let y = along(x, h, weights, &slopes)?;
            let sigma = if *at == 1.0 { step.next } else { step.sigma + at * h };
            slopes.push(env.velocity(&y, sigma)?);
        }
        let terms = self.weights.iter().zip(&slopes).enumerate();
        let embedded = |stage| if stage == self.embedded { 1.0 } else { 0.0 };
        let error: Vec<_> = terms.map(|(stage, (weight, v))| (h * (weight - embedded(stage)), v)).collect();
        env.tell_error(T::lincomb(&error)?);
        along(x, h, self.weights, &slopes)
    }
}

/// `x + h sum_i w_i v_i`.
fn along<T: Latent>(x: &T, h: f64, weights: &[f64], slopes: &[T]) -> Result<T> {
    let moved = weights.iter().zip(slopes).filter(|(weight, _)| **weight != 0.0);
    let terms: Vec<_> = [(1.0, x)].into_iter().chain(moved.map(|(weight, v)| (h * weight, v))).collect();
    T::lincomb(&terms)
}

impl RungeKutta {
    /// One step where the velocity at its beginning, `v`, is known already; `None` where the method goes to the
    /// denoised prediction.
    pub(crate) fn advance<T: Latent>(self, step: &Step<'_>, x: &T, v: T, env: &mut Env<'_, T>) -> Result<Option<T>> {
        let last = step.next == 0.0;
        Ok(Some(match self {
            Self::Heun | Self::Dpm2 if last => return Ok(None),
            Self::Heun => HEUN.advance(step, x, v, env)?,
            Self::Midpoint => MIDPOINT.advance(step, x, v, env)?,
            Self::Dpm2 => {
                let at = (step.sigma - libm::sqrt(step.sigma * step.next)) / (step.sigma - step.next);
                Tableau { stages: &[(at, &[at])], ..MIDPOINT }.advance(step, x, v, env)?
            }
            Self::Rk4 if last => RALSTON.advance(step, x, v, env)?,
            Self::Rk4 => CLASSICAL.advance(step, x, v, env)?,
        }))
    }
}

impl<T: Latent> Sampler<T> for RungeKutta {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        let (group, order) = match self {
            Self::Rk4 => (Group::Special, 4.0),
            _ => (Group::Sharper, 2.0),
        };
        let (evaluations, last) = match self {
            Self::Heun | Self::Dpm2 => (Evaluations::but_last(2), LastStep::Denoised),
            Self::Midpoint => (Evaluations::each(2), LastStep::Own),
            Self::Rk4 => (Evaluations { last: 3, ..Evaluations::each(4) }, LastStep::Own),
        };
        Facts { group, order, bias: Bias::Shrinks, evaluations, last, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for RungeKutta {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let (v, denoised) = env.denoise(x, step.sigma)?;
        let x = self.advance(step, x, v, env)?.unwrap_or_else(|| denoised.clone());
        Ok(Stepped { x, denoised })
    }
}

/// [`RungeKutta::Heun`] for the catalogue.
pub fn heun<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "heun",
        aliases: &["flow-match-heun"],
        ve_names: &[],
        meaning: "look ahead and average: two evaluations a step, second order",
        formula: "y = x + (sigma' - sigma) v, x' = x + (sigma' - sigma) (v + v(y, sigma'))/2; x' = D at sigma' = 0",
        citation: "Karras et al. 2022, arXiv 2206.00364, algorithm 1",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(RungeKutta::Heun))
}

/// [`RungeKutta::Midpoint`] for the catalogue.
pub fn midpoint<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "midpoint",
        aliases: &["rk2"],
        ve_names: &[],
        meaning: "take each step with the velocity found at its middle: two evaluations, second order",
        formula: "x' = x + h v(x + (h/2) v, sigma + h/2), h = sigma' - sigma",
        citation: "Runge 1895; Hairer, Norsett, Wanner, Solving ODEs I, II.1",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(RungeKutta::Midpoint))
}

/// [`RungeKutta::Dpm2`] for the catalogue.
pub fn dpm2<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "dpm2",
        aliases: &["k-dpm-2"],
        ve_names: &[],
        meaning: "the midpoint rule with the middle taken in log sigma",
        formula: "q = sqrt(sigma sigma'), x' = x + h v(x + (q - sigma) v, q); x' = D at sigma' = 0",
        citation: "Karras et al. 2022, arXiv 2206.00364; crowsonkb/k-diffusion sampling.py:188-216",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(RungeKutta::Dpm2))
}

/// [`RungeKutta::Rk4`] for the catalogue.
pub fn rk4<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "rk4",
        aliases: &["runge-kutta"],
        ve_names: &[],
        meaning: "four evaluations a step, fourth order: the reference others are measured against",
        formula: "x' = x + (h/6)(k1 + 2 k2 + 2 k3 + k4); to sigma' = 0 with three stages at sigma, sigma/2, sigma/4",
        citation: "Kutta 1901; Ralston 1962; Hairer, Norsett, Wanner, Solving ODEs I, II.1",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(RungeKutta::Rk4))
}
