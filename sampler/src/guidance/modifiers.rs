//! Rules around rules: where guidance acts, how bright its result is, and what it turns away from.

use super::{Predictions, Rule};
use crate::{Latent, Measure, Result, State};

/// Guidance in an interval of sigma, `low <= sigma <= high`, and the positive field alone outside of it, where nothing
/// else is evaluated (Kynkäänniemi et al. 2024, *Applying Guidance in a Limited Interval*, arXiv 2404.07724).
///
/// A rule with a memory keeps it outside of the interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval<R> {
    /// The lowest sigma that is guided.
    pub low: f64,
    /// The highest sigma that is guided.
    pub high: f64,
    /// What happens inside.
    pub rule: R,
}

impl<T: Latent, R: Rule<T>> Rule<T> for Interval<R> {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        match (self.low..=self.high).contains(&at.sigma()) {
            true => self.rule.guide(at),
            false => at.positive(),
        }
    }

    fn needs_weakened(&self) -> bool {
        self.rule.needs_weakened()
    }

    fn save(&self) -> State<T> {
        self.rule.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.rule.restore(state)
    }
}

/// Gives the guided velocity back a share of the spread that the positive one has, item by item:
///
/// ```text
/// v' = share std(v_positive)/std(v) v + (1 - share) v
/// ```
///
/// with the standard deviation over all elements of an item (Lin et al. 2023, *Common Diffusion Noise Schedules and
/// Sample Steps Are Flawed*, arXiv 2305.08891, section 3.4; diffusers `guider_utils.py:374-396`). It acts on what
/// the model predicts, `v` here; on the predicted data it would be another rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescale<R> {
    /// How much of the spread is given back, 0 to 1; 0 changes nothing.
    pub share: f64,
    /// The rule whose result is rescaled.
    pub rule: R,
}

impl<T: Measure, R: Rule<T>> Rule<T> for Rescale<R> {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        let guided = self.rule.guide(at)?;
        if self.share == 0.0 {
            return Ok(guided);
        }
        let (wanted, present) = (deviations(&at.positive()?)?, deviations(&guided)?);
        let factor = |(wanted, present): (f64, f64)| match present > 0.0 {
            true => self.share * wanted / present + (1.0 - self.share),
            false => 1.0,
        };
        let factors: Vec<f64> = wanted.into_iter().zip(present).map(factor).collect();
        guided.scaled(&factors)
    }

    fn needs_weakened(&self) -> bool {
        self.rule.needs_weakened()
    }

    fn save(&self) -> State<T> {
        self.rule.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.rule.restore(state)
    }
}

/// The standard deviation of every item.
fn deviations<T: Measure>(x: &T) -> Result<Vec<f64>> {
    let count = x.elements() as f64;
    let squares = x.dot(x)?.into_iter().zip(x.mean()?);
    Ok(squares.map(|(square, mean)| libm::sqrt((square / count - mean * mean).max(0.0))).collect())
}

/// Turns away from a weakened model, for `low <= sigma <= high`, on top of another rule:
///
/// ```text
/// v' = v + scale (v_positive - v_weakened)
/// ```
///
/// With some layers of the transformer skipped this is the skip-layer guidance of SD3.5 medium (Stability-AI/sd3.5
/// `sd3_impls.py:219-268`: layers 7, 8, 9, scale 2.5, steps between 1 % and 20 % of the way, which are sigma 0.997 and
/// 0.923 at shift 3); with perturbed attention or a worse network it is PAG (Ahn et al. 2024, arXiv 2403.17377) or
/// autoguidance (Karras et al. 2024, arXiv 2406.02507). The reference counts calls and calls them steps; this looks
/// at sigma.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkipLayer<R> {
    /// How far to turn away; 0 evaluates nothing.
    pub scale: f64,
    /// The lowest sigma where it acts.
    pub low: f64,
    /// The highest sigma where it acts.
    pub high: f64,
    /// The rule it is added to.
    pub rule: R,
}

impl<T: Latent, R: Rule<T>> Rule<T> for SkipLayer<R> {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        let guided = self.rule.guide(at)?;
        if self.scale == 0.0 || !(self.low..=self.high).contains(&at.sigma()) {
            return Ok(guided);
        }
        let (positive, weakened) = (at.positive()?, at.weakened()?);
        T::lincomb(&[(1.0, &guided), (self.scale, &positive), (-self.scale, &weakened)])
    }

    fn needs_weakened(&self) -> bool {
        self.scale != 0.0 || self.rule.needs_weakened()
    }

    fn save(&self) -> State<T> {
        self.rule.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.rule.restore(state)
    }
}
