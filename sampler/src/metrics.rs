//! What can be said of a run while it runs: how straight its way is, and how steady what it sees.
//!
//! All figures are those of the first item of the batch. A norm is the root mean square per element, so that pictures
//! of different sizes compare.

use crate::{Error, Measure, Report, Result, State};

/// Watches one run, step by step.
#[derive(Clone, Debug)]
pub struct Metrics<T> {
    /// Where the run began.
    first: T,
    /// The length of the way so far, as the plain norm of its steps added up.
    length: f64,
    /// Velocity and denoised prediction at the beginning of the step before.
    before: Option<(T, T)>,
}

/// The figures of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepMetrics {
    /// The size of the velocity `v = (x - denoised)/sigma` at the step's beginning.
    pub v: f64,
    /// The size of the state at the step's beginning.
    pub x: f64,
    /// The distance from the run's beginning to the step's end, divided by the length of the way that was gone: 1 is a
    /// straight line.
    pub straightness: f64,
    /// The angle between this velocity and that of the step before in degrees, 0 to 180; `None` for the first step and
    /// where one of them is 0.
    pub turning: Option<f64>,
    /// How far the denoised prediction moved since the step before; `None` for the first step.
    pub drift: Option<f64>,
    /// The size of the sampler's own [estimate](crate::Env::tell_error), if it has one.
    pub local_error: Option<f64>,
}

impl<T: Measure> Metrics<T> {
    /// For a run that begins at `x_first`.
    pub fn new(x_first: &T) -> Self {
        Self { first: x_first.clone(), length: 0.0, before: None }
    }

    /// The figures of a step from `x` to `x_next`, of which `report` tells. Steps come in their order, each once.
    ///
    /// # Errors
    /// Those of the arithmetic. The metrics are then as they were.
    pub fn step(&mut self, x: &T, report: &Report<T>, x_next: &T) -> Result<StepMetrics> {
        let Report { sigma, denoised, local_error, .. } = report;
        let v = T::lincomb(&[(1.0 / sigma, x), (-1.0 / sigma, denoised)])?;
        let length = self.length + norm(&difference(x_next, x)?)?;
        let straightness = match length > 0.0 {
            true => norm(&difference(x_next, &self.first)?)? / length,
            // Who stays where he is has left no line.
            false => 1.0,
        };
        let (turning, drift) = match &self.before {
            Some((before, seen)) => (angle(&v, before)?, Some(size(&difference(denoised, seen)?)?)),
            None => (None, None),
        };
        let local_error = local_error.as_ref().map(size).transpose()?;
        let metrics = StepMetrics { v: size(&v)?, x: size(x)?, straightness, turning, drift, local_error };
        (self.length, self.before) = (length, Some((v, denoised.clone())));
        Ok(metrics)
    }

    /// What must be kept so that a run continued elsewhere has the same figures.
    pub fn save(&self) -> State<T> {
        let before = self.before.iter().flat_map(|(v, denoised)| [v, denoised]);
        let latents = [&self.first].into_iter().chain(before).cloned().collect();
        State { numbers: vec![self.length], latents, inner: Vec::new() }
    }

    /// Metrics as they were when `state` was saved.
    ///
    /// # Errors
    /// [`Error::State`] if it is somebody else's.
    pub fn restore(state: State<T>) -> Result<Self> {
        let State { numbers, latents, inner } = state;
        let mut latents = latents.into_iter();
        let kept = (latents.next(), latents.next(), latents.next(), latents.next());
        match (&numbers[..], kept, inner.is_empty()) {
            ([length], (Some(first), v, denoised, None), true)
                if length.is_finite() && *length >= 0.0 && v.is_some() == denoised.is_some() =>
            {
                Ok(Self { first, length: *length, before: v.zip(denoised) })
            }
            _ => Err(Error::State("metrics keep a length, the first state, a velocity and a prediction".into())),
        }
    }
}

fn difference<T: Measure>(a: &T, b: &T) -> Result<T> {
    T::lincomb(&[(1.0, a), (-1.0, b)])
}

/// The norm of the first item.
fn norm<T: Measure>(a: &T) -> Result<f64> {
    Ok(a.dot(a)?.first().copied().unwrap_or_default().sqrt())
}

/// The root mean square of the first item's elements.
fn size<T: Measure>(a: &T) -> Result<f64> {
    Ok(norm(a)? / (a.elements() as f64).sqrt())
}

/// The angle between the first items in degrees, if both point somewhere; by `2 atan2(|a - b|, |a + b|)` of the unit
/// vectors, which is exact for small angles too (Kahan, *How futile are mindless assessments of roundoff*, section 12).
fn angle<T: Measure>(a: &T, b: &T) -> Result<Option<f64>> {
    let (of_a, of_b) = (norm(a)?, norm(b)?);
    if !(of_a > 0.0 && of_b > 0.0) {
        return Ok(None);
    }
    let unit = |sign: f64| T::lincomb(&[(1.0 / of_a, a), (sign / of_b, b)]);
    Ok(Some((2.0 * libm::atan2(norm(&unit(-1.0)?)?, norm(&unit(1.0)?)?)).to_degrees()))
}
