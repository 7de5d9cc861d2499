//! A Runge-Kutta pair that chooses its own steps.

use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::{Env, Error, Measure, Result, Sampler, Schedule, State, Step, Stepped, Stepper};

/// Ralston's method of third order with the midpoint rule inside it: with `k1 = v(x, s)`, `k2 = v(x + (h/2) k1, s +
/// h/2)`, `k3 = v(x + (3h/4) k2, s + 3h/4)`,
///
/// ```text
/// x' = x + (h/9) (2 k1 + 3 k2 + 4 k3),      e = (h/9) (2 k1 - 6 k2 + 4 k3)
/// ```
///
/// where `e` is the difference to the midpoint rule. A step is taken if `|e| <= tolerance (|x| + |k1|)` for every
/// picture of the batch, and `h` follows `(tolerance / |e|)^(1/3)`; so the error at the end is proportional to the
/// tolerance. The sigmas of the schedule are met exactly, with as many steps between two as it takes, at least one; no
/// evaluation is at `sigma = 0`. The sum of `e` on the way to the next of them is told as the step's error. When the
/// evaluations run out, each remaining step of the schedule is taken in one. Ralston 1962; Hairer, Norsett, Wanner:
/// *Solving Ordinary Differential Equations I*, section II.4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// The largest error of a step, relative to the size of state and velocity.
    pub tolerance: f64,
    /// The largest number of evaluations; three for each step of the schedule are always made.
    pub most: u64,
}

/// Evaluations of a step of the pair.
const STAGES: u64 = 3;

/// One run of [`Adaptive`].
struct AdaptiveStepper {
    method: Adaptive,
    /// The step to try next, once one was taken.
    h: Option<f64>,
    /// Evaluations so far.
    used: u64,
}

impl<T: Measure> Sampler<T> for Adaptive {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(AdaptiveStepper { method: *self, h: None, used: 0 }))
    }

    fn facts(&self) -> Facts {
        let evaluations = Evaluations { most: Some(self.most), ..Evaluations::each(STAGES) };
        let (group, bias, last) = (Group::Special, Bias::Widens, LastStep::Own);
        Facts { group, order: 3.0, bias, evaluations, last, resolves: false, label: None }
    }
}

impl<T: Measure> Stepper<T> for AdaptiveStepper {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let (mut x, mut sigma, mut used) = (x.clone(), step.sigma, self.used);
        let mut h = self.h.unwrap_or(step.sigma - step.next);
        let mut v = env.velocity(&x, sigma)?;
        used += 1;
        let denoised = T::lincomb(&[(1.0, &x), (-sigma, &v)])?;
        let mut errors: Option<T> = None;
        // What the steps of the schedule behind this one will take at least.
        let reserved = STAGES * step.schedule.steps().saturating_sub(step.index + 1) as u64;
        loop {
            let left = sigma - step.next;
            // A refused or shortened step here must leave the means for the rest of the way: two more evaluations now,
            // three more then.
            let spent = used + 2 * STAGES + reserved > self.method.most;
            let length = if spent || h > left * (1.0 - 1e-9) { left } else { h };
            let y = T::lincomb(&[(1.0, &x), (-length / 2.0, &v)])?;
            let k2 = env.velocity(&y, sigma - length / 2.0)?;
            let y = T::lincomb(&[(1.0, &x), (-0.75 * length, &k2)])?;
            let k3 = env.velocity(&y, sigma - 0.75 * length)?;
            used += 2;
            let ninth = -length / 9.0;
            let error = T::lincomb(&[(2.0 * ninth, &v), (-6.0 * ninth, &k2), (4.0 * ninth, &k3)])?;
            let ratio = worst(&error, &x, &v)? / self.method.tolerance;
            h = length * (0.9 * libm::cbrt(1.0 / ratio)).clamp(0.2, 5.0);
            if !(spent || ratio <= 1.0) {
                continue;
            }
            errors = Some(match errors {
                Some(before) => T::lincomb(&[(1.0, &before), (1.0, &error)])?,
                None => error,
            });
            x = T::lincomb(&[(1.0, &x), (2.0 * ninth, &v), (3.0 * ninth, &k2), (4.0 * ninth, &k3)])?;
            if length == left {
                break;
            }
            sigma -= length;
            v = env.velocity(&x, sigma)?;
            used += 1;
        }
        (self.h, self.used) = (Some(h), used);
        if let Some(errors) = errors {
            env.tell_error(errors);
        }
        Ok(Stepped { x, denoised })
    }

    fn save(&self) -> State<T> {
        let numbers = self.h.map(|h| vec![h, self.used as f64]).unwrap_or_default();
        State { numbers, ..State::default() }
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        (self.h, self.used) = match (&state.numbers[..], &state.latents[..], &state.inner[..]) {
            ([], [], []) => (None, 0),
            ([h, used], [], []) if *h > 0.0 && *used >= 0.0 => (Some(*h), *used as u64),
            _ => return Err(Error::State("adaptive keeps its step and how often it evaluated".into())),
        };
        Ok(())
    }
}

/// The largest `|error| / (|x| + |v|)` of the batch; infinite if anything is not a number.
fn worst<T: Measure>(error: &T, x: &T, v: &T) -> Result<f64> {
    let norms = |a: &T| -> Result<Vec<f64>> { Ok(a.dot(a)?.into_iter().map(f64::sqrt).collect()) };
    let sizes = norms(x)?.into_iter().zip(norms(v)?).map(|(x, v)| x + v);
    let ratios = norms(error)?.into_iter().zip(sizes).map(|(error, size)| error / size.max(f64::MIN_POSITIVE));
    Ok(ratios.map(|ratio| if ratio.is_nan() { f64::INFINITY } else { ratio }).fold(f64::MIN_POSITIVE, f64::max))
}

/// [`Adaptive`] for the catalogue.
pub fn adaptive<T: Measure>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "adaptive",
        aliases: &["ralston", "rk23"],
        ve_names: &[],
        meaning: "choose the steps as it goes, to a tolerance; --steps only says where it must stop over",
        formula: "x' = x + (h/9)(2 k1 + 3 k2 + 4 k3), |h/9 (2 k1 - 6 k2 + 4 k3)| <= tolerance (|x| + |k1|)",
        citation: "Ralston 1962; Hairer, Norsett, Wanner, Solving ODEs I, II.4",
        parameters: &[
            Parameter {
                key: "tolerance",
                meaning: "the largest error of a step, relative to the state",
                kind: Kind::Number { default: 1e-3, min: 1e-8, max: 0.1 },
            },
            Parameter {
                key: "most",
                meaning: "the largest number of evaluations, where three a step are not more",
                kind: Kind::Number { default: 200.0, min: 3.0, max: 100_000.0 },
            },
        ],
    };
    Entry::sampler(about, |values| {
        Ok(Adaptive { tolerance: values.number("tolerance"), most: values.number("most") as u64 })
    })
}
