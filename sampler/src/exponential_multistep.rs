//! Exponential multistep methods: the kappa step with `D` extrapolated instead of frozen. DPM-Solver++, RES, UniPC,
//! SA-Solver and ER-SDE are one formula with different variables.
//!
//! With the noise clock `G` of a [`Diffusion`], variation of constants gives for a step from `s` to `s'` exactly
//!
//! ```text
//! x' = (s' kappa / s) x + int D dF + s' sqrt(1 - kappa^2) z,      F(q) = s' kappa(q -> s') (1 - q)/q
//! ```
//!
//! where `F` grows from `q = s` to `q = s'` by `c(s -> s')`, the weight of `D` in the kappa step. `D` is replaced by
//! the polynomial through its last values in a variable `u` ([`Variable`]); with Newton's basis `n_k(tau)`,
//! `tau = u - u(s)`, each term's weight is, after integrating by parts,
//!
//! ```text
//! int n_k dF = int_0^h n_k'(tau) c(q(tau) -> s') dtau
//! ```
//!
//! a smooth integral of scalars, which 24 points of Gauss and Legendre give to rounding. No formula is written per
//! method, and none has a singularity at 0 or 1.
//!
//! A method with a *corrector* takes every step twice: first with the polynomial through the values so far, then,
//! when the model has been evaluated at the point reached, with that value among them. It costs no evaluation.
//!
//! The error that is told ([`Env::tell_error`]) is what the oldest value changed in the step, the noise being the same;
//! where a cap holds that back, the error is held back with it. With a corrector it is what correcting changed in the
//! step before.

use crate::diffusion::{Diffusion, ratio};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::history::History;
use crate::newton::{self, Quadratic};
use crate::{Env, Error, Latent, Result, Sampler, Schedule, State, Step, Stepped, Stepper};

/// What `D` is a polynomial in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `sigma`.
    Sigma,
    /// `-ln sigma`: the logarithmic time of variance-exploding samplers; finite at `sigma = 1`.
    LogSigma,
    /// `lambda = ln((1 - sigma)/sigma)`, half the logarithmic signal-to-noise ratio; infinite at `sigma = 1`, where a
    /// value is therefore not used for extrapolation.
    LogSnr,
    /// `l = sigma/(1 - sigma)`; infinite at `sigma = 1`.
    Ratio,
}

impl Variable {
    /// `u(sigma)`.
    pub(crate) fn at(self, sigma: f64) -> f64 {
        match self {
            Self::Sigma => sigma,
            Self::LogSigma => -libm::log(sigma),
            Self::LogSnr => -libm::log(ratio(sigma)),
            Self::Ratio => ratio(sigma),
        }
    }

    /// The logarithm in which integrals over this variable are smooth: of `l` where `u` is infinite at pure noise, of
    /// `sigma` elsewhere.
    fn log(self, sigma: f64) -> f64 {
        match self {
            Self::Sigma | Self::LogSigma => libm::log(sigma),
            Self::LogSnr | Self::Ratio => libm::log(ratio(sigma)),
        }
    }

    /// From [`Variable::log`] back to sigma, and `du / dlog`.
    fn sigma_and_rate(self, log: f64) -> [f64; 2] {
        let e = libm::exp(log);
        match self {
            Self::Sigma => [e, e],
            Self::LogSigma => [e, -1.0],
            Self::LogSnr => [e / (1.0 + e), -1.0],
            Self::Ratio => [e / (1.0 + e), e],
        }
    }

    /// The sigma halfway between two in this variable.
    pub(crate) fn middle(self, sigma: f64, next: f64) -> f64 {
        match self {
            Self::Sigma => (sigma + next) / 2.0,
            Self::LogSigma => libm::sqrt(sigma * next),
            Self::LogSnr => {
                let l = libm::sqrt(ratio(sigma) * ratio(next));
                l / (1.0 + l)
            }
            Self::Ratio => {
                let l = (ratio(sigma) + ratio(next)) / 2.0;
                l / (1.0 + l)
            }
        }
    }
}

/// How a line through two values of `D` is integrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoValues {
    /// Exactly.
    Exact,
    /// By its value in the middle of the step, as DPM-Solver++ 2M and UniPC's second order have it.
    Middle,
}

/// How the order falls before a step to `sigma = 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It does not.
    Level,
    /// To `k` on the `k`-th step from the end (UniPC).
    Lowered,
    /// To `k - 1` on the `k`-th step from the end, and the corrector with it (SA-Solver).
    LoweredEarly,
}

/// The integrals of Newton's basis against `dF` on one step: how a step's rule is written down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) diffusion: Diffusion,
    pub(crate) variable: Variable,
    pub(crate) two: TwoValues,
    pub(crate) quadratic: Quadratic,
}

impl Rule {
    /// The weights of `D` at `sigmas` on the step from `sigma = sigmas[0]` to `next`; `capped` holds old values
    /// back where the steps grow.
    pub(crate) fn weights(&self, sigmas: &[f64], next: f64, capped: bool) -> Vec<f64> {
        let Some(sigma) = sigmas.first().copied() else { return Vec::new() };
        let total = self.diffusion.data_weight(sigma, next);
        let mut weights = vec![0.0; sigmas.len()];
        let nodes: Vec<f64> =
            sigmas.iter().map(|sigma| self.variable.at(*sigma)).take_while(|u| u.is_finite()).collect();
        let middle = self.two == TwoValues::Middle;
        let weighed = match (sigmas, &nodes[..]) {
            // From pure noise the variable may be infinite; the corrector still has the value at the end.
            ([_, _], []) if middle => vec![total / 2.0; 2],
            ([_, end, ..], []) => {
                let rule = Self { variable: Variable::Sigma, ..*self };
                return rule.weights(&[sigma, *end], next, capped);
            }
            (_, [] | [_]) => vec![total],
            (_, [start, ..]) => {
                let h = self.variable.at(next) - start;
                let nodes = if capped { newton::stretched(&nodes, h) } else { nodes };
                let mut integrals = match (middle, nodes.len()) {
                    (true, 2) => vec![0.0, total * h / 2.0],
                    _ => self.integrals(&nodes, sigma, next),
                };
                if let Some(first) = integrals.first_mut() {
                    *first = total;
                }
                newton::weights(&nodes, &integrals)
            }
        };
        weights.iter_mut().zip(weighed).for_each(|(weight, value)| *weight = value);
        weights
    }

    /// `int n_k'(tau) c(q -> s') dtau`.
    fn integrals(&self, nodes: &[f64], sigma: f64, next: f64) -> Vec<f64> {
        let (u, start) = (self.variable, nodes.first().copied().unwrap_or_default());
        newton::integrate(u.log(sigma), u.log(next), nodes.len(), |log, add| {
            let [q, rate] = u.sigma_and_rate(log);
            let density = self.diffusion.data_weight(q, next) * rate;
            let basis = newton::basis(nodes, u.at(q) - start, self.quadratic);
            basis.enumerate().for_each(|(k, [_, slope])| add(k, slope * density));
        })
    }
}

/// An exponential multistep method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialMultistep {
    /// Its name in messages.
    pub name: &'static str,
    /// The noise along the way.
    pub diffusion: Diffusion,
    /// On steps to a sigma inside these bounds; outside there is no noise.
    pub noisy: [f64; 2],
    /// What `D` is a polynomial in.
    pub variable: Variable,
    /// How many values of `D` are used, from 1 to 4.
    pub order: usize,
    /// How a line is integrated.
    pub two: TwoValues,
    /// How a parabola is laid.
    pub quadratic: Quadratic,
    /// Whether extrapolation is held back where the steps grow: old values then weigh no more than on an even grid.
    pub capped: bool,
    /// Whether each step is taken again with the value at its end.
    pub corrector: bool,
    /// How the order falls at the end.
    pub ending: Ending,
    /// The order to declare.
    pub declared: f64,
    /// The bias to declare.
    pub bias: Bias,
}

impl ExponentialMultistep {
    /// The method of order `order` in `variable`, without noise, cap, corrector.
    pub const fn new(name: &'static str, variable: Variable, order: usize) -> Self {
        Self {
            name,
            diffusion: Diffusion::Ode,
            noisy: [0.0, 1.0],
            variable,
            order,
            two: TwoValues::Exact,
            quadratic: Quadratic::Interpolating,
            capped: false,
            corrector: false,
            ending: Ending::Level,
            declared: 2.0,
            bias: Bias::Shrinks,
        }
    }

    /// The rule of a step to `next`.
    fn rule(&self, next: f64) -> Rule {
        let [low, high] = self.noisy;
        let diffusion = if (low..=high).contains(&next) { self.diffusion } else { Diffusion::Ode };
        Rule { diffusion, variable: self.variable, two: self.two, quadratic: self.quadratic }
    }

    /// How many values predictor and corrector may use on step `index`.
    fn values(&self, step: &Step<'_>) -> [usize; 2] {
        let left = step.schedule.steps().saturating_sub(step.index);
        let ends_clean = step.schedule.sigmas().last() == Some(&0.0);
        match self.ending {
            Ending::Lowered => [self.order.min(left), (self.order + 1).min(left + 2)],
            Ending::LoweredEarly if ends_clean => [self.order.min(left - 1).max(1), (self.order + 1).min(left)],
            Ending::Level | Ending::LoweredEarly => [self.order, self.order + 1],
        }
    }
}

/// One run of [`ExponentialMultistep`].
struct ExponentialMultistepStepper<T> {
    method: ExponentialMultistep,
    history: History<T>,
    /// What the step before made of `x` and of the noise, for the corrector.
    carried: Option<T>,
}

impl<T: Latent> Sampler<T> for ExponentialMultistep {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        let room = if self.corrector { self.order } else { self.order - 1 };
        let history =
            History::new(self.name, "as many sigmas as denoised predictions, and no more than it needs", room);
        Ok(Box::new(ExponentialMultistepStepper { method: *self, history, carried: None }))
    }

    fn facts(&self) -> Facts {
        Facts {
            group: if self.diffusion.is_ode() { Group::Sharper } else { Group::Variety },
            order: self.declared,
            bias: self.bias,
            evaluations: Evaluations::each(1),
            last: LastStep::Denoised,
            resolves: self.corrector,
            label: None,
        }
    }
}

impl<T: Latent> Stepper<T> for ExponentialMultistepStepper<T> {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let (Step { sigma, next, .. }, method) = (*step, self.method);
        self.history.follows(step)?;
        let (_, denoised) = env.denoise(x, sigma)?;
        if next == 0.0 {
            return Ok(Stepped { x: denoised.clone(), denoised });
        }
        let [predicting, correcting] = method.values(step);
        let before = self.history.entries();
        let corrected = match (&self.carried, before.split_first()) {
            (Some(carried), Some(((start, at_start), older))) => {
                let older = older.iter().take(correcting.saturating_sub(2));
                let values = [(*start, at_start), (sigma, &denoised)].into_iter().chain(older.map(|(s, d)| (*s, d)));
                let values: Vec<_> = values.collect();
                Some(Weighed::new(method.rule(sigma), &values, sigma, false).combine(&[(1.0, carried)])?)
            }
            _ => None,
        };
        if let Some(corrected) = &corrected {
            env.tell_error(T::lincomb(&[(1.0, corrected), (-1.0, x)])?);
        }
        let x = corrected.as_ref().unwrap_or(x);
        let older = before.iter().take(predicting.saturating_sub(1)).map(|(sigma, data)| (*sigma, data));
        let values: Vec<_> = [(sigma, &denoised)].into_iter().chain(older).collect();
        let rule = method.rule(next);
        let clock = rule.diffusion.clock(sigma, next);
        let kept = (next / sigma) * libm::exp(-clock);
        let fresh = next * libm::sqrt(-libm::expm1(-2.0 * clock));
        let noise = if clock > 0.0 { Some(env.increment(x, sigma, next)?) } else { None };
        let terms: Vec<_> = [(kept, x)].into_iter().chain(noise.as_ref().map(|z| (fresh, z))).collect();
        let weighed = Weighed::new(rule, &values, next, method.capped);
        let stepped = weighed.combine(&terms)?;
        let error = if method.corrector { None } else { weighed.last_term()? };
        if let Some(error) = error {
            env.tell_error(error);
        }
        let carried = if method.corrector { Some(T::lincomb(&terms)?) } else { None };
        self.carried = carried;
        self.history.push(sigma, denoised.clone());
        Ok(Stepped { x: stepped, denoised })
    }

    fn save(&self) -> State<T> {
        let mut state = self.history.save();
        state.latents.extend(self.carried.clone());
        state
    }

    fn restore(&mut self, mut state: State<T>) -> Result<()> {
        let carried = match self.method.corrector && !state.numbers.is_empty() {
            true => {
                Some(state.latents.pop().ok_or_else(|| Error::State(format!("{} keeps a latent", self.method.name)))?)
            }
            false => None,
        };
        self.history.restore(state)?;
        self.carried = carried;
        Ok(())
    }
}

/// The last values of `D` with their weights on one step, which goes from the first of their sigmas.
pub(crate) struct Weighed<'a, T> {
    values: &'a [(f64, &'a T)],
    weights: Vec<f64>,
    rule: Rule,
    next: f64,
    capped: bool,
}

impl<'a, T: Latent> Weighed<'a, T> {
    /// For a step to `next` by `rule`.
    pub(crate) fn new(rule: Rule, values: &'a [(f64, &'a T)], next: f64, capped: bool) -> Self {
        let sigmas: Vec<f64> = values.iter().map(|(sigma, _)| *sigma).collect();
        Self { values, weights: rule.weights(&sigmas, next, capped), rule, next, capped }
    }

    /// `sum of terms + sum_j w_j D_j`.
    pub(crate) fn combine(&self, terms: &[(f64, &T)]) -> Result<T> {
        let weighed = self.weights.iter().zip(self.values).map(|(weight, (_, data))| (*weight, *data));
        let all: Vec<_> = terms.iter().copied().chain(weighed.filter(|(weight, _)| *weight != 0.0)).collect();
        T::lincomb(&all)
    }

    /// What `D` at the last of the values changes: the step minus the same step without it. `None` where it is the only
    /// one or counts for nothing.
    pub(crate) fn last_term(&self) -> Result<Option<T>> {
        let Some((_, fewer @ [_, ..])) = self.values.split_last() else { return Ok(None) };
        let without = Self::new(self.rule, fewer, self.next, self.capped).weights.into_iter().chain([0.0]);
        let changes = self.weights.iter().zip(without).map(|(with, without)| with - without);
        let terms: Vec<_> = changes.zip(self.values).map(|(change, (_, data))| (change, *data)).collect();
        match terms.iter().any(|(change, _)| *change != 0.0) {
            true => T::lincomb(&terms).map(Some),
            false => Ok(None),
        }
    }
}
