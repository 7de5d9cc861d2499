//! Tangential damping: guidance without the part of the negative prediction that points elsewhere.

use super::{Predictions, Rule};
use crate::{Measure, Result};

/// TCFG (Kwon et al. 2025, *Tangential Damping Classifier-free Guidance*, arXiv 2503.18137; diffusers
/// `tangential_classifier_free_guidance.py:132-151`): the negative velocity is projected, item by item, on the first
/// right singular vector of the two rows `[v_positive; v_negative]`, then guided as ever.
///
/// With `G` the 2 x 2 matrix of their dot products and `(a, b) = (cos p, sin p)` its first eigenvector, that singular
/// vector is `a v_positive + b v_negative` up to its length, and the projection is
///
/// ```text
/// v_negative' = b (a v_positive + b v_negative),      tan 2p = 2 <v_p, v_n> / (|v_p|^2 - |v_n|^2)
/// v = v_negative' + scale (v_positive - v_negative')
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tangential {
    /// How far to go; 1 is the positive field itself.
    pub scale: f64,
}

impl<T: Measure> Rule<T> for Tangential {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        let positive = at.positive()?;
        if self.scale == 1.0 {
            return Ok(positive);
        }
        let negative = at.negative()?;
        let squares = positive.dot(&positive)?.into_iter().zip(negative.dot(&negative)?);
        let products = positive.dot(&negative)?.into_iter().zip(squares);
        let (of_positive, of_negative): (Vec<f64>, Vec<f64>) =
            products.map(|(pn, (pp, nn))| shares(pp, pn, nn)).unzip();
        let damped = T::lincomb(&[(1.0, &positive.scaled(&of_positive)?), (1.0, &negative.scaled(&of_negative)?)])?;
        T::lincomb(&[(self.scale, &positive), (1.0 - self.scale, &damped)])
    }
}

/// `(a b, b^2)` by the double angle. Where both velocities are equally long and orthogonal no direction comes first,
/// and the negative one stays as it is.
fn shares(pp: f64, pn: f64, nn: f64) -> (f64, f64) {
    let length = libm::hypot(2.0 * pn, pp - nn);
    match length > 0.0 {
        true => (pn / length, 0.5 * (1.0 - (pp - nn) / length)),
        false => (0.0, 1.0),
    }
}
