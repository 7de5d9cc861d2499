//! Schedules: which sigmas a run visits. All arithmetic is f64; a [`Schedule`] is validated once, when it is made.
//!
//! The grids start from `u_i = 1 - i/N`, `i = 0..=N`. Neighbouring sigmas that coincide are refused, never dropped: a
//! schedule has the number of steps that was asked for.

pub mod curve;
pub mod density;
pub mod ramp;

use std::ops::RangeInclusive;

use crate::path::Path;
use crate::{Error, Result};

/// The number of steps a schedule may have.
pub const STEPS: RangeInclusive<usize> = 1..=10_000;

/// Sequence lengths between which FLUX interpolates its shift: 256x256 and 1024x1024 pixels at 16 pixels a token
/// (black-forest-labs/flux `sampling.py:281-305`).
const FLUX_TOKENS: [f64; 2] = [256.0, 4096.0];

/// The lines of FLUX.2's empirical `mu`, `[slope, offset]` over the image tokens: for 10 steps and for 200
/// (black-forest-labs/flux2 `sampling.py`, `compute_empirical_mu`; diffusers `pipeline_flux2.py:159-174`).
const FLUX2_LINES: [[f64; 2]; 2] = [[8.738_095_24e-5, 1.898_333_33], [1.692_7e-4, 0.456_666_66]];

/// The image tokens beyond which FLUX.2 uses its line for 200 steps whatever the number of steps.
const FLUX2_MANY_TOKENS: usize = 4300;

/// The smallest sigma of SD3's training table, 1 of 1000 (Stability-AI/sd3.5 `sd3_infer.py:295-303`).
const SD3_SIGMA_MIN: f64 = 1.0 / 1000.0;

/// The sigmas of a run, from the noisiest to the cleanest: at least two, finite, strictly decreasing, inside `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Vec<f64>);

impl Schedule {
    /// Any list of sigmas. It may begin below 1 (a picture that is changed, not made) and end above 0.
    ///
    /// # Errors
    /// [`Error::Schedule`] saying which of the conditions fails where.
    pub fn new(sigmas: Vec<f64>) -> Result<Self> {
        let steps = sigmas.len().saturating_sub(1);
        if !STEPS.contains(&steps) {
            return Err(Error::Schedule(format!(
                "a schedule has {} to {} steps, this one has {steps}",
                STEPS.start(),
                STEPS.end()
            )));
        }
        if let Some((i, sigma)) = sigmas.iter().enumerate().find(|(_, sigma)| !(0.0..=1.0).contains(*sigma)) {
            return Err(Error::Schedule(format!("sigma {i} of the schedule is {sigma}, outside [0, 1]")));
        }
        let mut neighbours = sigmas.iter().zip(sigmas.iter().skip(1)).enumerate();
        if let Some((i, (sigma, next))) = neighbours.find(|(_, (sigma, next))| next >= sigma) {
            let relation = if next == sigma { "equal to" } else { "above" };
            let next_index = i + 1;
            return Err(Error::Schedule(format!(
                "sigma {next_index} of the schedule is {next}, {relation} sigma {i} ({sigma}): the schedule must fall"
            )));
        }
        Ok(Self(sigmas))
    }

    /// A list somebody wrote by hand: as [`Schedule::new`], and it must end at 0, where the picture is.
    ///
    /// # Errors
    /// [`Error::Schedule`].
    pub fn explicit(sigmas: Vec<f64>) -> Result<Self> {
        match sigmas.last() {
            Some(last) if *last != 0.0 => {
                Err(Error::Schedule(format!("the last sigma of the schedule is {last}, it must be 0")))
            }
            _ => Self::new(sigmas),
        }
    }

    /// `sigma = u`: equal steps.
    ///
    /// # Errors
    /// [`Error::Schedule`] unless `steps` is in [`STEPS`].
    pub fn uniform(steps: usize) -> Result<Self> {
        Self::new(grid(steps)?.collect())
    }

    /// The same schedule with every sigma shifted towards noise (`shift > 1`) or data (`shift < 1`):
    ///
    /// `sigma = s u / (1 + (s - 1) u)`
    ///
    /// which moves the log signal-to-noise ratio by `-ln s` everywhere (Esser et al. 2024, arXiv 2403.03206, eq. 23;
    /// Stability-AI/sd3.5 `sd3_impls.py:44-48`).
    ///
    /// # Errors
    /// [`Error::Schedule`] if `shift` is not a positive number, or so extreme that neighbouring sigmas coincide.
    pub fn shifted(&self, shift: f64) -> Result<Self> {
        let shift = positive(shift)?;
        distinct(shift, self.0.iter().map(|u| shifted(*u, shift)).collect())
    }

    /// FLUX's schedule: the uniform one shifted by `e^mu` with [`flux_mu`] of the picture's size
    /// (black-forest-labs/flux `sampling.py:277-305`; diffusers' `linspace(1, 1/N, N)` is the same grid).
    ///
    /// # Errors
    /// [`Error::Schedule`] for a bad number of steps or a `mu` so extreme that neighbouring sigmas coincide.
    pub fn flux(steps: usize, mu: f64) -> Result<Self> {
        Self::uniform(steps)?.shifted(libm::exp(mu))
    }

    /// The same schedule stretched around 1 so that its last sigma above 0 is `terminal`:
    ///
    /// `sigma' = 1 - (1 - sigma) (1 - terminal) / (1 - sigma_last)`
    ///
    /// (diffusers `scheduling_flow_match_euler_discrete.py:262-281`). A schedule whose only sigma above 0 is 1 has
    /// nothing to stretch and stays as it is.
    ///
    /// # Errors
    /// [`Error::Schedule`] unless `terminal` lies strictly between 0 and 1, or if neighbouring sigmas would coincide.
    pub fn stretched(&self, terminal: f64) -> Result<Self> {
        let terminal = inside("a terminal sigma", terminal)?;
        let last = self.0.iter().rev().copied().find(|sigma| *sigma > 0.0);
        let Some(last) = last.filter(|last| *last < 1.0) else { return Ok(self.clone()) };
        let scale = (1.0 - terminal) / (1.0 - last);
        let stretch = |sigma: f64| if sigma > 0.0 { 1.0 - (1.0 - sigma) * scale } else { 0.0 };
        Self::new(self.0.iter().copied().map(stretch).collect())
    }

    /// SD3's schedule, shifted twice: `N` equal steps from 1 down to `shift(1/1000)`, shifted again, then 0. The
    /// reference does this (Stability-AI/sd3.5 `sd3_infer.py:295-303`), and so does diffusers
    /// (`scheduling_flow_match_euler_discrete.py`, issue 13243); the late small sigma it gives makes cleaner pictures
    /// than the plain shift.
    ///
    /// # Errors
    /// [`Error::Schedule`] as [`Schedule::shifted`].
    pub fn sd3(steps: usize, shift: f64) -> Result<Self> {
        let shift = positive(shift)?;
        let least = shifted(SD3_SIGMA_MIN, shift);
        // `steps` points, ends included: u runs over 1, .., 0 in steps - 1 intervals; one step is the point 1 alone.
        let last = steps.saturating_sub(1).max(1) as f64;
        let points = grid(steps)?.take(steps).enumerate();
        let sigmas = points.map(|(i, _)| shifted(1.0 + (least - 1.0) * (i as f64 / last), shift));
        distinct(shift, sigmas.chain([0.0]).collect())
    }

    /// Equal steps in the time of an affine path, seen from the straight one: `sigma = beta/(alpha + beta)`, with the
    /// first sigma exactly 1 (a path that keeps a trace of the data at its noisy end is started from pure noise).
    ///
    /// # Errors
    /// [`Error::Schedule`] for a bad number of steps.
    pub fn path(steps: usize, path: Path) -> Result<Self> {
        let times = grid(steps)?.skip(1);
        Self::new([1.0].into_iter().chain(times.map(|t| path.coefficients(t).sigma())).collect())
    }

    /// Number of steps, at least 1.
    pub fn steps(&self) -> usize {
        self.0.len() - 1
    }

    /// All sigmas, [`Schedule::steps`] + 1 of them.
    pub fn sigmas(&self) -> &[f64] {
        &self.0
    }

    /// Where step `index` begins and ends; `None` after the last.
    pub fn interval(&self, index: usize) -> Option<[f64; 2]> {
        Some([*self.0.get(index)?, *self.0.get(index + 1)?])
    }
}

/// FLUX's `mu` for a picture of `image_tokens` tokens: the line through `(256, base_shift)` and `(4096, max_shift)`
/// (black-forest-labs/flux `sampling.py:281-305`).
pub fn flux_mu(image_tokens: usize, base_shift: f64, max_shift: f64) -> f64 {
    mu_on_line(image_tokens, FLUX_TOKENS, [base_shift, max_shift])
}

/// The line through `(tokens[0], mu[0])` and `(tokens[1], mu[1])` at `image_tokens`: how FLUX, Qwen-Image and LTX
/// choose their shift `e^mu` (diffusers `calculate_shift`).
pub fn mu_on_line(image_tokens: usize, [few, many]: [f64; 2], [base, max]: [f64; 2]) -> f64 {
    base + (max - base) * (image_tokens as f64 - few) / (many - few)
}

/// FLUX.2's `mu`, fitted to the number of steps as well: between the lines for 10 and 200 steps, and on the latter
/// above 4300 image tokens (diffusers `pipeline_flux2.py:159-174`). The reference extrapolates beyond 200 steps until
/// nothing is left of the schedule; here 200 is the end of the fit.
pub fn flux2_mu(image_tokens: usize, steps: usize) -> f64 {
    let [mu_10, mu_200] = FLUX2_LINES.map(|[slope, offset]| slope * image_tokens as f64 + offset);
    match image_tokens > FLUX2_MANY_TOKENS {
        true => mu_200,
        false => mu_200 + (mu_10 - mu_200) * (200 - steps.min(200)) as f64 / 190.0,
    }
}

/// `u_0 = 1, .., u_N = 0`, both exact.
fn grid(steps: usize) -> Result<impl Iterator<Item = f64>> {
    if !STEPS.contains(&steps) {
        return Err(Error::Schedule(format!(
            "{steps} steps were asked for, {} to {} can be taken",
            STEPS.start(),
            STEPS.end()
        )));
    }
    Ok((0..=steps).map(move |i| (steps - i) as f64 / steps as f64))
}

fn positive(shift: f64) -> Result<f64> {
    above_zero("a shift", shift)
}

/// `value` if it lies strictly between 0 and 1.
fn inside(what: &str, value: f64) -> Result<f64> {
    match value > 0.0 && value < 1.0 {
        true => Ok(value),
        false => Err(Error::Schedule(format!("{what} lies strictly between 0 and 1, {value} does not"))),
    }
}

/// `value` if it is a positive number.
fn above_zero(what: &str, value: f64) -> Result<f64> {
    match value.is_finite() && value > 0.0 {
        true => Ok(value),
        false => Err(Error::Schedule(format!("{what} is a positive number, not {value}"))),
    }
}

/// A shifted schedule, if the shift leaves its sigmas apart.
fn distinct(shift: f64, sigmas: Vec<f64>) -> Result<Schedule> {
    Schedule::new(sigmas).map_err(|error| Error::Schedule(format!("a shift of {shift} is too extreme: {error}")))
}

/// `s u / (1 + (s - 1) u)`, written so that 0 and 1 stay exactly themselves for every `s`.
fn shifted(u: f64, s: f64) -> f64 {
    s * u / (s * u + (1.0 - u))
}
