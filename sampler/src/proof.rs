//! The proof: whether a sampler does what it declares, and whether it samples the model's distribution at all.
//!
//! Everything is in closed form. One-dimensional Gaussian data seen through coefficient vectors ([`AffineGaussian`])
//! give the exact mean and spread of a sampler's results at every sigma on its way, without Monte Carlo; the smooth
//! mixture of the [`Bench`] tells how far a sampler without noise lands from where the flow ends. Our own samplers,
//! a stranger's and known-wrong ones are judged by the same [`prove`].

use std::fmt;
use std::ops::ControlFlow;

use crate::bench::{Bench, basis};
use crate::facts::{Bias, Facts};
use crate::fields::AffineGaussian;
use crate::{Env, Result, Sampler, Schedule, Trajectory};

/// The data of the proof: mean 1.5, standard deviation 0.5.
pub const DATA: AffineGaussian = AffineGaussian { mean: 1.5, variance: 0.25 };

/// The numbers of uniform steps compared.
pub const STEPS: [usize; 2] = [32, 512];

/// How far off the mean may be; all correct samplers keep it to rounding.
const MEAN: f64 = 1e-9;

/// How much smaller errors must become from the first to the second of [`STEPS`].
const FALL: f64 = 1.0 / 8.0;

/// How far below the declared order the measured one may lie.
const SLACK: f64 = 0.25;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// What the sampler declares.
    pub facts: Facts,
    /// Along the way with each of [`STEPS`].
    pub walks: [Walk; 2],
    /// The distance of the end points from the flow's with each of [`STEPS`], for samplers that draw no noise.
    pub distances: Option<[f64; 2]>,
    /// `log2` of how much smaller the error becomes when the steps are doubled: of the end points, or of the spread if
    /// noise is drawn.
    pub order: f64,
    /// The judgement.
    pub verdict: Verdict,
}

/// Exact statistics along one way from noise to data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walk {
    /// The largest error of the mean at any sigma.
    pub mean: f64,
    /// The largest relative error of the variance at any sigma.
    pub marginal: f64,
    /// The relative error of the standard deviation at the end; negative if it is too small.
    pub spread: f64,
    /// Whether the sampler drew noise.
    pub noisy: bool,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It converges to the model's distribution as fast as it declares.
    Converges,
    /// It says itself that it does not.
    Labelled(&'static str),
    /// It does not, or not as declared: what is wrong, each with its figure.
    Fails(Vec<String>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Converges => f.write_str("converges"),
            Self::Labelled(label) => write!(f, "labelled, does not converge to the model's distribution: {label}"),
            Self::Fails(reasons) => write!(f, "fails: {}", reasons.join("; ")),
        }
    }
}

/// Walks the uniform schedule with `steps` steps.
///
/// # Errors
/// Those of the sampler, and if it draws more than 64 noises a step.
pub fn walk(sampler: &dyn Sampler<Vec<f64>>, steps: usize) -> Result<Walk> {
    let schedule = Schedule::uniform(steps)?;
    let (mut field, mut noise, mut on) = (DATA, basis(sampler, &schedule, DATA)?, || ControlFlow::Continue(()));
    let mut trajectory = Trajectory::start(sampler, schedule, noise.start(steps))?;
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let mut walk = Walk { mean: 0.0, marginal: 0.0, spread: 0.0, noisy: false };
    while let Some(report) = trajectory.step(&mut env)? {
        let [mean, variance] = AffineGaussian::moments(trajectory.x());
        let alpha = 1.0 - report.next;
        let exact = alpha * alpha * DATA.variance + report.next * report.next;
        walk.mean = walk.mean.max((mean - alpha * DATA.mean).abs());
        walk.marginal = walk.marginal.max((variance / exact - 1.0).abs());
        walk.spread = (variance / exact).sqrt() - 1.0;
        walk.noisy |= trajectory.x().iter().skip(2).any(|coefficient| *coefficient != 0.0);
    }
    Ok(walk)
}

/// How much of the noise in the state is fresh after each step along the uniform schedule with `steps` steps, from 0 to
/// 1: the variance that the step's own draws have in it, divided by that of all noise. The data are a single point, so
/// that whatever varies is noise; a kappa step then has `1 - kappa^2` to rounding, and a step to `sigma = 0`, where no
/// noise is left, has 0.
///
/// # Errors
/// As [`walk`].
pub fn fresh_noise(sampler: &dyn Sampler<Vec<f64>>, steps: usize) -> Result<Vec<f64>> {
    let (mut field, schedule) = (AffineGaussian { variance: 0.0, ..DATA }, Schedule::uniform(steps)?);
    let (mut noise, mut on) = (basis(sampler, &schedule, field)?, || ControlFlow::Continue(()));
    let draws = noise.draws as usize;
    let mut trajectory = Trajectory::start(sampler, schedule, noise.start(steps))?;
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let mut shares = Vec::new();
    while let Some(report) = trajectory.step(&mut env)? {
        let squares = || trajectory.x().iter().map(|coefficient| coefficient * coefficient);
        let own: f64 = squares().skip(2 + (report.taken - 1) * draws).take(draws).sum();
        let all: f64 = squares().skip(1).sum();
        shares.push(if report.next > 0.0 { own / all } else { 0.0 });
    }
    Ok(shares)
}

/// Judges a sampler.
///
/// # Errors
/// Those of the sampler.
pub fn prove(sampler: &dyn Sampler<Vec<f64>>, bench: &Bench) -> Result<Proof> {
    let facts = sampler.facts();
    let [few, many] = STEPS;
    let walks = [walk(sampler, few)?, walk(sampler, many)?];
    let noisy = walks.iter().any(|walk| walk.noisy);
    let distance = |steps| bench.error(sampler, Schedule::uniform(steps)?);
    let distances = if noisy { None } else { Some([distance(few)?, distance(many)?]) };
    let [coarse, fine] = distances.unwrap_or(walks.map(|walk| walk.spread.abs()));
    let order = (coarse / fine).log2() / (many as f64 / few as f64).log2();

    let mut reasons = Vec::new();
    for (walk, steps) in walks.iter().zip(STEPS) {
        // Asked so that a NaN is a failure; so below.
        let kept = walk.mean <= MEAN;
        if !kept {
            reasons.push(format!("the mean is off by {:.2e} at {steps} steps", walk.mean));
        }
    }
    if facts.label.is_none() {
        let falls = |coarse: f64, fine: f64| fine <= coarse * FALL;
        if !falls(coarse, fine) {
            let what = if noisy { "the spread" } else { "the end" };
            reasons.push(format!("{what} is off by {coarse:.3} at {few} steps and still by {fine:.3} at {many}"));
        }
        let [coarse, fine] = walks.map(|walk| walk.marginal);
        if !falls(coarse, fine) {
            reasons.push(format!("a variance on the way is off by {coarse:.3} at {few} steps, by {fine:.3} at {many}"));
        }
        let ordered = order >= facts.order - SLACK;
        if !ordered {
            reasons.push(format!("the order is {order:.2}, declared is {}", facts.order));
        }
        let [walk, _] = walks;
        let bias = if walk.spread > 0.0 { Bias::Widens } else { Bias::Shrinks };
        if bias != facts.bias {
            reasons
                .push(format!("the spread is off by {:.1e} at {few} steps, declared is {:?}", walk.spread, facts.bias));
        }
    }
    let verdict = match (reasons.is_empty(), facts.label) {
        (false, _) => Verdict::Fails(reasons),
        (true, Some(label)) => Verdict::Labelled(label),
        (true, None) => Verdict::Converges,
    };
    Ok(Proof { facts, walks, distances, order, verdict })
}
