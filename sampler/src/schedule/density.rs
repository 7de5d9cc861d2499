//! Densities: sigma is the quantile of a distribution at `u`, so steps are as dense as the distribution says.
//!
//! The quantiles are computed here, a page of mathematics that would otherwise bring a statistics package along.

use super::curve::{SHIFT, curved};
use super::{above_zero, grid};
use crate::catalog::{About, BuildSchedule, Entry, Kind, Parameter};
use crate::{Error, Result, Schedule};

impl Schedule {
    /// `sigma = I^-1(u; alpha, beta)`, the quantile of the beta distribution, shifted (Lee et al. 2024, *Beta
    /// Sampling is All You Need*, arXiv 2407.12173; ComfyUI and stable-diffusion.cpp round to a table of 1000 and drop
    /// what coincides, this does neither).
    ///
    /// # Errors
    /// [`Error::Schedule`] for a bad number of steps, a parameter that is not a positive number, or parameters that
    /// make neighbouring sigmas coincide.
    pub fn beta(steps: usize, [alpha, beta]: [f64; 2], shift: f64) -> Result<Self> {
        let (alpha, beta) = (above_zero("alpha", alpha)?, above_zero("beta", beta)?);
        curved(steps, shift, |u| beta_quantile(u, alpha, beta))
    }

    /// `sigma = sigmoid(mean + std Phi^-1(u))`, the quantile of the logit-normal distribution that SD3 drew its
    /// training times from (Esser et al. 2024, arXiv 2403.03206, section 3.1); `e^mean` is a shift.
    ///
    /// # Errors
    /// [`Error::Schedule`] for a bad number of steps, a mean or width that is not a number, or parameters that make
    /// neighbouring sigmas coincide.
    pub fn logit_normal(steps: usize, mean: f64, std: f64) -> Result<Self> {
        let std = above_zero("a standard deviation", std)?;
        if !mean.is_finite() {
            return Err(Error::Schedule(format!("a mean is a number, not {mean}")));
        }
        // Phi^-1 is -infinity at 0 and infinity at 1, which the sigmoid turns into 0 and 1 exactly.
        Self::new(grid(steps)?.map(|u| 1.0 / (1.0 + libm::exp(-(mean + std * normal_quantile(u))))).collect())
    }
}

/// [`Schedule::beta`] for the catalogue.
pub fn beta() -> Entry<BuildSchedule> {
    let about = About {
        name: "beta",
        aliases: &[],
        ve_names: &[],
        meaning: "more steps at both ends, fewer in the middle; a good choice for multistep samplers",
        formula: "sigma = quantile of Beta(alpha, beta) at u, then the shift",
        citation: "Lee et al. 2024, arXiv 2407.12173; ComfyUI beta_scheduler, without its rounding",
        parameters: &[
            Parameter {
                key: "alpha",
                meaning: "below 1 crowds the steps near the picture",
                kind: Kind::Number { default: 0.6, min: 0.2, max: 5.0 },
            },
            Parameter {
                key: "beta",
                meaning: "below 1 crowds the steps near noise",
                kind: Kind::Number { default: 0.6, min: 0.2, max: 5.0 },
            },
            SHIFT,
        ],
    };
    Entry::schedule(about, |values, plan| {
        Schedule::beta(plan.steps, [values.number("alpha"), values.number("beta")], values.number("shift"))
    })
}

/// [`Schedule::logit_normal`] for the catalogue.
pub fn logit_normal() -> Entry<BuildSchedule> {
    let about = About {
        name: "logit-normal",
        aliases: &["lognorm"],
        ve_names: &[],
        meaning: "steps as dense as the times the model was trained on",
        formula: "sigma = sigmoid(mean + std Phi^-1(u))",
        citation: "Esser et al. 2024, arXiv 2403.03206, section 3.1",
        parameters: &[
            Parameter {
                key: "mean",
                meaning: "above 0 moves the steps towards noise; a shift of e^mean",
                kind: Kind::Number { default: 0.0, min: -5.0, max: 5.0 },
            },
            Parameter {
                key: "std",
                meaning: "larger spreads the steps to both ends",
                kind: Kind::Number { default: 1.0, min: 0.1, max: 3.0 },
            },
        ],
    };
    Entry::schedule(about, |values, plan| {
        Schedule::logit_normal(plan.steps, values.number("mean"), values.number("std"))
    })
}

/// The `z` with `Phi(z) = p`, infinite at 0 and 1.
fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // ln Phi is nearly a parabola in the tail, where Phi itself is too flat for Newton.
    increasing_root([-40.0, 0.0], 0.0, |z| {
        let below = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        let density = libm::exp(-0.5 * z * z) / libm::sqrt(std::f64::consts::TAU);
        [libm::log(below / p), density / below]
    })
}

/// The `x` with `I_x(a, b) = p`, the regularised incomplete beta function.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    match p <= libm::exp(log_incomplete_beta(0.5, a, b, log_beta)) {
        true => small_beta_quantile(p, a, b, log_beta),
        false => 1.0 - small_beta_quantile(1.0 - p, b, a, log_beta),
    }
}

/// [`beta_quantile`] where it is at most 1/2: Newton in `y = ln x`, in which `ln I` is close to the line `a y`.
fn small_beta_quantile(p: f64, a: f64, b: f64, log_beta: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    let log_p = libm::log(p);
    let guess = (log_p + libm::log(a) + log_beta) / a;
    let y = increasing_root([-745.0, -0.69], guess, |y| {
        let x = libm::exp(y);
        let log_below = log_incomplete_beta(x, a, b, log_beta);
        let slope = libm::exp(a * y + (b - 1.0) * libm::log1p(-x) - log_beta - log_below);
        [log_below - log_p, slope]
    });
    libm::exp(y)
}

/// `ln I_x(a, b)` for `0 < x` up to a little above 1/2, by the series of positive terms (NIST DLMF 8.17.8)
/// `I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) (1 + sum_n x^n prod_{k<n} (a + b + k)/(a + 1 + k))`.
fn log_incomplete_beta(x: f64, a: f64, b: f64, log_beta: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 0.0);
    while term > 1e-17 * sum && k < 1e4 {
        term *= x * (a + b + k) / (a + 1.0 + k);
        sum += term;
        k += 1.0;
    }
    a * libm::log(x) + b * libm::log1p(-x) - libm::log(a) - log_beta + libm::log(sum)
}

/// The root of an increasing function, given as `[value, slope]`: Newton's steps, or bisection where they leave the
/// bracket.
fn increasing_root([mut low, mut high]: [f64; 2], guess: f64, f: impl Fn(f64) -> [f64; 2]) -> f64 {
    let mut x = guess.clamp(low, high);
    for _ in 0..200 {
        let [value, slope] = f(x);
        if value > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let newton = x - value / slope;
        let next = if newton >= low && newton <= high { newton } else { 0.5 * (low + high) };
        if (next - x).abs() <= 1e-15 * x.abs().max(1e-300) {
            return next;
        }
        x = next;
    }
    x
}
