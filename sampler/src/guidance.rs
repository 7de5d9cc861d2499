//! Guidance: fields that wrap fields.

use crate::{Error, Latent, Meter, Result, State, Velocity};

/// Classifier-free guidance,
///
/// ```text
/// v = v_negative + scale (v_positive - v_negative)
/// ```
///
/// (Ho and Salimans 2022, arXiv 2207.12598; the form of Stability-AI/sd3.5 `sd3_impls.py:214-216`, where `scale = 1`
/// is no guidance and evaluates the positive field only). On `v` or on the predicted data is the same: one is affine
/// in the other.
#[derive(Clone, Debug)]
pub struct Cfg<P, N> {
    /// The field of the prompt.
    pub positive: P,
    /// The field of the negative or empty prompt.
    pub negative: N,
    /// How far to go from the negative towards the positive field; 1 is the positive field itself.
    pub scale: f64,
}

impl<T: Latent, P: Velocity<T>, N: Velocity<T>> Velocity<T> for Cfg<P, N> {
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        Ok(self.velocity_and_unconditional(x, sigma, meter)?.0)
    }

    /// The negative field is the unconditional one; at `scale = 1` it is not evaluated and there is none.
    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        let positive = self.positive.velocity(x, sigma, meter)?;
        if self.scale == 1.0 {
            return Ok((positive, None));
        }
        let negative = self.negative.velocity(x, sigma, meter)?;
        Ok((T::lincomb(&[(self.scale, &positive), (1.0 - self.scale, &negative)])?, Some(negative)))
    }

    fn save(&self) -> State<T> {
        let inner = vec![self.positive.save(), self.negative.save()];
        State { inner, ..State::default() }
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        let State { numbers, latents, inner } = state;
        match <[State<T>; 2]>::try_from(inner) {
            Ok([positive, negative]) if numbers.is_empty() && latents.is_empty() => {
                self.positive.restore(positive)?;
                self.negative.restore(negative)
            }
            _ => Err(Error::State("guidance keeps the states of its two fields".into())),
        }
    }
}
