//! Adaptive projected guidance: strong guidance without burnt colours.

use super::{Predictions, Rule};
use crate::{Error, Measure, Result, State};

/// APG (Sadat, Hilliges, Weber 2024, *Eliminating Oversaturation and Artifacts of High Guidance Scales*, arXiv
/// 2410.02416), on the predicted data `D = x - sigma v` as in the paper, item by item:
///
/// ```text
/// M  = (D_positive - D_negative) + momentum M_before
/// M' = M min(1, norm_threshold / |M|)
/// D  = D_positive + (scale - 1) (M'_orthogonal + eta M'_parallel)          to D_positive
/// ```
///
/// Projections and norms of `D` and of `v` differ, so the space is part of the definition; leejet/stable-diffusion.cpp
/// `guidance.cpp:209-296` takes `D` too, diffusers' guider whatever the model predicts. The arithmetic is done on `v`
/// with `M = -sigma M_v`, so nothing is divided by a small sigma unless there is momentum to carry.
///
/// The momentum is a memory of the evaluations of one run: a new run takes a new rule. With `eta = 1`, no momentum and
/// no threshold this is [`super::ClassifierFree`].
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveProjected<T> {
    /// How far to go; 1 is the positive field itself and evaluates nothing else.
    pub scale: f64,
    /// How much of the part along the prediction is kept, which is what saturates; 1 keeps all.
    pub eta: f64,
    /// How much of the difference before is added; negative values push away from it, the paper's are.
    pub momentum: f64,
    /// How long the difference may be, in the latent's units; infinity for no limit.
    pub norm_threshold: f64,
    /// `M_before`.
    before: Option<T>,
}

impl<T> AdaptiveProjected<T> {
    /// At `scale`, without the parallel part, without momentum and threshold: set those after.
    pub fn new(scale: f64) -> Self {
        Self { scale, eta: 0.0, momentum: 0.0, norm_threshold: f64::INFINITY, before: None }
    }
}

impl<T: Measure> Rule<T> for AdaptiveProjected<T> {
    fn guide(&mut self, at: &mut Predictions<'_, '_, T>) -> Result<T> {
        let (positive, sigma) = (at.positive()?, at.sigma());
        if self.scale == 1.0 {
            return Ok(positive);
        }
        let difference = T::lincomb(&[(1.0, &positive), (-1.0, &at.negative()?)])?;
        let carried = self.before.as_ref().filter(|_| self.momentum != 0.0);
        let (running, along) = match carried {
            // At sigma = 0 the prediction is x whatever v is: there is nothing for a memory of D to change.
            Some(before) if sigma > 0.0 => (
                T::lincomb(&[(-sigma, &difference), (self.momentum, before)])?,
                T::lincomb(&[(1.0, &difference), (-self.momentum / sigma, before)])?,
            ),
            Some(before) => (T::lincomb(&[(self.momentum, before)])?, difference),
            None => (T::lincomb(&[(-sigma, &difference)])?, difference),
        };
        let data = T::lincomb(&[(1.0, at.x()), (-sigma, &positive)])?;
        let clip = |square: f64| match libm::sqrt(square) * sigma {
            length if length > self.norm_threshold => self.norm_threshold / length,
            _ => 1.0,
        };
        let clips: Vec<f64> = along.dot(&along)?.into_iter().map(clip).collect();
        let products = along.dot(&data)?.into_iter().zip(data.dot(&data)?).zip(&clips);
        let projection = |((product, square), clip): ((f64, f64), &f64)| match square > 0.0 {
            true => clip * (self.eta - 1.0) * product / square,
            false => 0.0,
        };
        let parallel: Vec<f64> = products.map(projection).collect();
        let strength = self.scale - 1.0;
        let guided =
            T::lincomb(&[(1.0, &positive), (strength, &along.scaled(&clips)?), (strength, &data.scaled(&parallel)?)])?;
        // Last, so that an error above leaves the memory as it was.
        self.before = (self.momentum != 0.0).then_some(running);
        Ok(guided)
    }

    fn save(&self) -> State<T> {
        State { latents: self.before.iter().cloned().collect(), ..State::default() }
    }

    fn restore(&mut self, mut state: State<T>) -> Result<()> {
        let before = state.latents.pop();
        match state.is_empty() {
            true => self.before = before,
            false => return Err(Error::State("projected guidance keeps one difference of predictions".into())),
        }
        Ok(())
    }
}
