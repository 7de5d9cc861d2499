//! CFG-Zero*: guidance for flow models that are not perfectly trained.

use super::{Predictions, Rule};
use crate::{Measure, Result};

/// What keeps a vanishing negative velocity from dividing by zero (diffusers
/// `classifier_free_zero_star_guidance.py:160-165`).
const EPSILON: f64 = 1e-8;

/// CFG-Zero* (Fan et al. 2025, arXiv 2503.18886): the negative velocity is first scaled to
/// come as close to the positive one as it can, item by item,
///
/// ```text
/// s = <v_positive, v_negative> / (|v_negative|^2 + 1e-8)
/// v = s v_negative + scale (v_positive - s v_negative)
/// ```
///
/// and the first steps, where a model knows least, are not taken at all: `v = 0`, so the predicted data is `x` itself.
/// The original counts steps; here it is sigma that decides, and at `sigma >= zero_from` nothing is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CfgZeroStar {
    /// How far to go; 1 is the positive field itself.
    pub scale: f64,
    /// From which sigma up the velocity is zero: 1 for the first step from pure noise, infinity for none.
    pub zero_from: f64,
}

impl<T: Measure> Rule<T> for CfgZeroStar {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        if at.sigma() >= self.zero_from {
            return T::lincomb(&[(0.0, at.x())]);
        }
        let positive = at.positive()?;
        if self.scale == 1.0 {
            return Ok(positive);
        }
        let negative = at.negative()?;
        let products = positive.dot(&negative)?.into_iter().zip(negative.dot(&negative)?);
        let factors: Vec<f64> = products.map(|(product, square)| product / (square + EPSILON)).collect();
        T::lincomb(&[(self.scale, &positive), (1.0 - self.scale, &negative.scaled(&factors)?)])
    }
}
