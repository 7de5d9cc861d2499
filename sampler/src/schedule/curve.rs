//! Curves: sigma is a fixed function of the position, from 1 to 0, some with a shift behind it.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use super::{SD3_SIGMA_MIN, distinct, grid, inside, positive, shifted};
use crate::catalog::{About, BuildSchedule, Entry, Kind, Parameter};
use crate::{Result, Schedule};

/// The shift behind a curve: none unless asked for.
pub(super) const SHIFT: Parameter = Parameter {
    key: "shift",
    meaning: "above 1 moves the steps towards noise, below 1 towards the picture",
    kind: Kind::Number { default: 1.0, min: 0.01, max: 100.0 },
};

/// Where the arcs of [`Schedule::bong_tangent`] have their steepest points, as a part of the way.
const BONG_PIVOT: f64 = 0.6;

/// How steep those arcs are, times the number of points over 40.
const BONG_SLOPE: f64 = 0.2;

impl Schedule {
    /// `sigma_i = cos^2(pi i / 2N)`, shifted: equal steps of the angle on the quarter circle whose squares are the
    /// weights of data and noise.
    ///
    /// # Errors
    /// [`Error::Schedule`](crate::Error::Schedule) for a bad number of steps or shift.
    pub fn cosine(steps: usize, shift: f64) -> Result<Self> {
        let curve = |u: f64| libm::pow(libm::sin(FRAC_PI_2 * u), 2.0);
        curved(steps, shift, curve)
    }

    /// `sigma = u^2 (3 - 2 u)`, shifted: slow at both ends (leejet/stable-diffusion.cpp `denoiser.hpp:494`, without
    /// its rounding to a table of 1000).
    ///
    /// # Errors
    /// [`Error::Schedule`](crate::Error::Schedule) for a bad number of steps or shift.
    pub fn smoothstep(steps: usize, shift: f64) -> Result<Self> {
        curved(steps, shift, |u| u * u * (3.0 - 2.0 * u))
    }

    /// Half of the steps, `L = floor(N/2)`, go down linearly to `1 - threshold`, the others on a parabola to 0 that
    /// continues value and slope (Mochi 1, genmoai/mochi; diffusers `pipeline_mochi.py:61-80`):
    ///
    /// ```text
    /// 1 - sigma_i = i threshold/L                           i <= L
    /// 1 - sigma_i = threshold + l j + q j^2,  j = i - L     i > L,   l = threshold/L,  q = (1 - threshold - l Q)/Q^2
    /// ```
    ///
    /// with `Q = N - L`.
    ///
    /// # Errors
    /// [`Error::Schedule`](crate::Error::Schedule) for a bad number of steps or a threshold outside `(0, 1)`, or so
    /// large that the parabola would come back.
    pub fn linear_quadratic(steps: usize, threshold: f64) -> Result<Self> {
        let threshold = inside("a threshold", threshold)?;
        let (linear, all) = ((steps / 2) as f64, steps as f64);
        let quadratic = all - linear;
        // One step has no linear half; its parabola has the two ends 1 and 0 only.
        let slope = if linear > 0.0 { threshold / linear } else { 0.0 };
        let bend = (1.0 - threshold - slope * quadratic) / (quadratic * quadratic);
        let inner = grid(steps)?.take(steps).enumerate().skip(1).map(|(i, _)| {
            let j = i as f64 - linear;
            let way = if j <= 0.0 { i as f64 * slope } else { threshold + slope * j + bend * j * j };
            1.0 - way
        });
        Self::new([1.0].into_iter().chain(inner).chain([0.0]).collect())
    }

    /// Two arcs of the arctangent that meet at 1/2, steepest at 0.6 of the way (ClownsharkBatwing/RES4LYF
    /// `sigmas.py`, `bong_tangent_scheduler`, with its fixed pivots and slopes and its rounding of the meeting point
    /// to a whole step). One step, for which the original has no arcs, is 1 and 0.
    ///
    /// # Errors
    /// [`Error::Schedule`](crate::Error::Schedule) for a bad number of steps.
    pub fn bong_tangent(steps: usize) -> Result<Self> {
        let points: Vec<f64> = (grid(steps)?.enumerate().map(|(i, _)| i as f64)).collect();
        if steps == 1 {
            return Self::uniform(1);
        }
        let padded = steps as f64 + 2.0;
        let pivot = libm::floor(padded * BONG_PIVOT);
        let slope = BONG_SLOPE * 40.0 / padded;
        let arc = |x: f64| 0.5 - FRAC_2_PI / 2.0 * libm::atan(slope * (x - pivot));
        // The first arc spans the points 0..=pivot-1 of its own count, the second starts one later at the same 1/2.
        let between = |x: f64, [from, to]: [f64; 2]| (arc(x) - arc(to)) / (arc(from) - arc(to));
        let sigma = |i: f64| match i < pivot - 1.0 {
            true => 0.5 + 0.5 * between(i, [0.0, pivot - 1.0]),
            false => 0.5 * between(i + 1.0, [pivot, padded - 1.0]),
        };
        Self::new(points.into_iter().map(sigma).collect())
    }

    /// Equal steps from 1 towards the smallest sigma of the training table, which is left out, then shifted, then 0:
    ///
    /// `u_i = 1 - (i/N) (1 - shift(1/1000))`, `sigma_i = shift(u_i)`, `i < N`
    ///
    /// (Stability-AI/generative-models; ComfyUI `normal_scheduler(sgm=True)`).
    ///
    /// # Errors
    /// [`Error::Schedule`](crate::Error::Schedule) for a bad number of steps or shift.
    pub fn sgm_uniform(steps: usize, shift: f64) -> Result<Self> {
        let least = shifted(SD3_SIGMA_MIN, positive(shift)?);
        let sigmas = grid(steps)?.take(steps).map(|u| shifted(u + (1.0 - u) * least, shift));
        distinct(shift, sigmas.chain([0.0]).collect())
    }
}

/// The uniform grid through `curve`, which keeps 0 and 1, then shifted.
pub(super) fn curved(steps: usize, shift: f64, curve: impl Fn(f64) -> f64) -> Result<Schedule> {
    Schedule::new(grid(steps)?.map(curve).collect())?.shifted(shift)
}

/// [`Schedule::cosine`] for the catalogue.
pub fn cosine() -> Entry<BuildSchedule> {
    let about = About {
        name: "cosine",
        aliases: &["cosine-squared"],
        ve_names: &[],
        meaning: "small steps at both ends, large ones in the middle",
        formula: "sigma_i = cos^2(pi i/(2 N)), then the shift",
        citation: "the squared cosine of Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17, for sigma",
        parameters: &[SHIFT],
    };
    Entry::schedule(about, |values, plan| Schedule::cosine(plan.steps, values.number("shift")))
}

/// [`Schedule::smoothstep`] for the catalogue.
pub fn smoothstep() -> Entry<BuildSchedule> {
    let about = About {
        name: "smoothstep",
        aliases: &[],
        ve_names: &[],
        meaning: "small steps at both ends by a cubic",
        formula: "sigma = u^2 (3 - 2 u), then the shift",
        citation: "leejet/stable-diffusion.cpp denoiser.hpp:494",
        parameters: &[SHIFT],
    };
    Entry::schedule(about, |values, plan| Schedule::smoothstep(plan.steps, values.number("shift")))
}

/// [`Schedule::linear_quadratic`] for the catalogue.
pub fn linear_quadratic() -> Entry<BuildSchedule> {
    let about = About {
        name: "linear-quadratic",
        aliases: &["mochi"],
        ve_names: &[],
        meaning: "half of the steps close to pure noise, then ever larger ones",
        formula: "1 - sigma is linear up to threshold in the first N/2 steps, then a parabola to 1",
        citation: "genmoai/mochi; diffusers pipeline_mochi.py:61-80",
        parameters: &[Parameter {
            key: "threshold",
            meaning: "how far the first half of the steps goes",
            kind: Kind::Number { default: 0.025, min: 0.001, max: 0.25 },
        }],
    };
    Entry::schedule(about, |values, plan| Schedule::linear_quadratic(plan.steps, values.number("threshold")))
}

/// [`Schedule::bong_tangent`] for the catalogue.
pub fn bong_tangent() -> Entry<BuildSchedule> {
    let about = About {
        name: "bong-tangent",
        aliases: &["bong"],
        ve_names: &[],
        meaning: "two arcs that meet at sigma 1/2, with small steps at both ends",
        formula: "sigma = 1/2 - atan(k (i - p))/pi on two pieces, each scaled to end at 1, 1/2 and 0",
        citation: "ClownsharkBatwing/RES4LYF sigmas.py, bong_tangent_scheduler",
        parameters: &[],
    };
    Entry::schedule(about, |_, plan| Schedule::bong_tangent(plan.steps))
}

/// [`Schedule::sgm_uniform`] for the catalogue.
pub fn sgm_uniform() -> Entry<BuildSchedule> {
    const SGM_SHIFT: Parameter = Parameter { kind: Kind::Number { default: 3.0, min: 0.01, max: 100.0 }, ..SHIFT };
    let about = About {
        name: "sgm-uniform",
        aliases: &["sgm"],
        ve_names: &[],
        meaning: "almost the shifted schedule, with a last step a little longer",
        formula: "u_i = 1 - (i/N) (1 - shift(1/1000)), sigma = shift(u), then 0",
        citation: "Stability-AI/generative-models; ComfyUI normal_scheduler(sgm=True)",
        parameters: &[SGM_SHIFT],
    };
    Entry::schedule(about, |values, plan| Schedule::sgm_uniform(plan.steps, values.number("shift")))
}
