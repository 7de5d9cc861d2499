//! Ramps: sigma falls from 1 to a smallest one along a power, an exponential or an arc, and from there to 0.
//!
//! With `r_i = i/(N - 1)`, `i = 0..N`, so `N` points include both ends, and 0 is appended. The formulas are those of
//! diffusion models in sigma/(1 - sigma); programs for flow models apply them to sigma itself (diffusers
//! `scheduling_flow_match_euler_discrete.py:525`, leejet/stable-diffusion.cpp `denoiser.hpp:285`), and so do we.

use super::{above_zero, grid, inside};
use crate::catalog::{About, BuildSchedule, Entry, Kind, Parameter};
use crate::{Result, Schedule};

/// Where a ramp ends before the last step. The default is SD3's smallest sigma, shift 3 of 1/1000.
const SIGMA_MIN: Parameter = Parameter {
    key: "sigma_min",
    meaning: "the last sigma before 0; smaller keeps finer detail",
    kind: Kind::Number { default: 0.003, min: 1e-6, max: 0.5 },
};

impl Schedule {
    /// `sigma_i = (1 + r_i (sigma_min^(1/rho) - 1))^rho`, then 0 (Karras et al. 2022, arXiv 2206.00364, eq. 5, with
    /// `sigma_max = 1`).
    ///
    /// # Errors
    /// [`Error::Schedule`](crate::Error::Schedule) for a bad number of steps, a `sigma_min` outside `(0, 1)`, or a
    /// `rho` that is not a positive number or makes neighbouring sigmas coincide.
    pub fn karras(steps: usize, sigma_min: f64, rho: f64) -> Result<Self> {
        let (sigma_min, rho) = (inside("sigma_min", sigma_min)?, above_zero("rho", rho)?);
        let low = libm::pow(sigma_min, 1.0 / rho);
        ramp(steps, |r| libm::pow(1.0 + r * (low - 1.0), rho))
    }

    /// `sigma_i = sigma_min^(1 - (1 - r_i)^rho)`, then 0; `rho = 1` is the exponential schedule, equal steps in
    /// `log sigma` (crowsonkb/k-diffusion `sampling.py:26-36`, with `sigma_max = 1`).
    ///
    /// # Errors
    /// As [`Schedule::karras`].
    pub fn polyexponential(steps: usize, sigma_min: f64, rho: f64) -> Result<Self> {
        let (sigma_min, rho) = (inside("sigma_min", sigma_min)?, above_zero("rho", rho)?);
        let depth = libm::log(sigma_min);
        ramp(steps, |r| libm::exp((1.0 - libm::pow(1.0 - r, rho)) * depth))
    }

    /// `sigma_i = tan((1 - r_i) atan(1) + r_i atan(sigma_min))`, then 0: the grid that minimises a bound on the
    /// Kullback-Leibler divergence of the steps for Gaussian data (Sabour, Fidler, Kreis 2024, *Align Your Steps*, arXiv
    /// 2404.14507; ComfyUI `kl_optimal_scheduler`).
    ///
    /// # Errors
    /// As [`Schedule::karras`].
    pub fn kl_optimal(steps: usize, sigma_min: f64) -> Result<Self> {
        let [high, low] = [1.0, inside("sigma_min", sigma_min)?].map(libm::atan);
        ramp(steps, |r| libm::tan((1.0 - r) * high + r * low))
    }
}

/// 1, then `sigma(r)` for the `r` above 0, then 0.
fn ramp(steps: usize, sigma: impl Fn(f64) -> f64) -> Result<Schedule> {
    let last = steps.saturating_sub(1) as f64;
    let inner = grid(steps)?.take(steps).enumerate().skip(1).map(|(i, _)| sigma(i as f64 / last));
    Schedule::new([1.0].into_iter().chain(inner).chain([0.0]).collect())
}

/// [`Schedule::karras`] for the catalogue.
pub fn karras() -> Entry<BuildSchedule> {
    const RHO: Parameter = Parameter {
        key: "rho",
        meaning: "larger spends more steps near the picture",
        kind: Kind::Number { default: 7.0, min: 1.0, max: 100.0 },
    };
    let about = About {
        name: "karras",
        aliases: &[],
        ve_names: &[],
        meaning: "many small steps near the picture, as in Karras' diffusion models",
        formula: "sigma_i = (1 + i/(N-1) (sigma_min^(1/rho) - 1))^rho, then 0",
        citation: "Karras et al. 2022, arXiv 2206.00364, eq. 5; applied to sigma as diffusers does",
        parameters: &[SIGMA_MIN, RHO],
    };
    Entry::schedule(about, |values, plan| {
        Schedule::karras(plan.steps, values.number("sigma_min"), values.number("rho"))
    })
}

/// [`Schedule::polyexponential`] with `rho = 1` for the catalogue.
pub fn exponential() -> Entry<BuildSchedule> {
    let about = About {
        name: "exponential",
        aliases: &["log-linear"],
        ve_names: &[],
        meaning: "every step divides sigma by the same factor",
        formula: "sigma_i = sigma_min^(i/(N-1)), then 0",
        citation: "crowsonkb/k-diffusion sampling.py:26-29",
        parameters: &[SIGMA_MIN],
    };
    Entry::schedule(about, |values, plan| Schedule::polyexponential(plan.steps, values.number("sigma_min"), 1.0))
}

/// [`Schedule::polyexponential`] for the catalogue.
pub fn polyexponential() -> Entry<BuildSchedule> {
    const RHO: Parameter = Parameter {
        key: "rho",
        meaning: "above 1 hurries through the noise, below 1 lingers there; 1 is exponential",
        kind: Kind::Number { default: 1.0, min: 0.2, max: 3.0 },
    };
    let about = About {
        name: "polyexponential",
        aliases: &[],
        ve_names: &[],
        meaning: "the exponential schedule with a bend",
        formula: "sigma_i = sigma_min^(1 - (1 - i/(N-1))^rho), then 0",
        citation: "crowsonkb/k-diffusion sampling.py:32-36",
        parameters: &[SIGMA_MIN, RHO],
    };
    Entry::schedule(about, |values, plan| {
        Schedule::polyexponential(plan.steps, values.number("sigma_min"), values.number("rho"))
    })
}

/// [`Schedule::kl_optimal`] for the catalogue.
pub fn kl_optimal() -> Entry<BuildSchedule> {
    let about = About {
        name: "kl-optimal",
        aliases: &[],
        ve_names: &[],
        meaning: "equal steps in the angle of sigma, the best grid for Gaussian data by a bound of its authors",
        formula: "sigma_i = tan((1 - r) atan(1) + r atan(sigma_min)), r = i/(N-1), then 0",
        citation: "Sabour, Fidler, Kreis 2024, arXiv 2404.14507; ComfyUI kl_optimal_scheduler",
        parameters: &[SIGMA_MIN],
    };
    Entry::schedule(about, |values, plan| Schedule::kl_optimal(plan.steps, values.number("sigma_min")))
}
