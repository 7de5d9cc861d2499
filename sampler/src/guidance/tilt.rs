//! Gaussian tilting: pulling a picture towards another, or away from it, without training.

use crate::{Latent, Meter, Result, State, Velocity};

/// The field of the tilted distribution `p(data) exp(-(strength/2) |data - target|^2)`, exactly, from the field of `p`:
/// completing the square in the posterior shows that the tilted denoiser is the original one at another time and
/// place. With
///
/// ```text
/// q^2 = (1 - sigma)^2 + strength sigma^2,      sigma_s = sigma / (sigma + q),
/// x_s = ((1 - sigma) x + strength sigma^2 target) / (q (sigma + q))
/// ```
///
/// it is `D_tilted(x, sigma) = D(x_s, sigma_s)`, and so, without dividing by sigma,
///
/// ```text
/// v_tilted = ((q - 1 + sigma + strength sigma) x - strength sigma target) / (q (sigma + q)) + v(x_s, sigma_s) / (sigma + q)
/// ```
///
/// (The idea is the flow book's chapter on reward tilting; in terms of `r = (1 - sigma)/sigma` the time is
/// `sigma_s = 1/(1 + sqrt(r^2 + strength))`.) One evaluation, as without tilting, but at another sigma.
///
/// A positive strength pulls, in units of one over the variance of the data. A negative one pushes away, and then the
/// tilted distribution of noisy states exists only while `q^2 > 0`, below `sigma = 1/(1 + sqrt(-strength))`: above it,
/// and where `q` is nearly 0 (`q < 1e-3`, where `x_s` would be far outside of anything a model has seen), the field is
/// left as it is. A run that begins there has drifted by the untilted field, so pushing away is approximate as a whole.
#[derive(Clone, Debug)]
pub struct Tilted<V, T> {
    /// The field of `p`.
    pub field: V,
    /// Where to, or from where away.
    pub target: T,
    /// How strongly; 0 is the field itself.
    pub strength: f64,
}

/// The smallest `q` that is tilted.
const LEAST_Q: f64 = 1e-3;

/// Another time and place, and the way back.
struct Elsewhere<T> {
    x: T,
    sigma: f64,
    /// What `v_tilted` has besides `v(x_s, sigma_s)`.
    offset: T,
    /// The factor of `v(x_s, sigma_s)`.
    slope: f64,
}

impl<V, T: Latent> Tilted<V, T> {
    fn elsewhere(&self, x: &T, sigma: f64) -> Result<Option<Elsewhere<T>>> {
        let alpha = 1.0 - sigma;
        let squared = alpha * alpha + self.strength * sigma * sigma;
        if self.strength == 0.0 || squared < LEAST_Q * LEAST_Q {
            return Ok(None);
        }
        let q = libm::sqrt(squared);
        let (scale, pull) = (q * (sigma + q), self.strength * sigma);
        Ok(Some(Elsewhere {
            x: T::lincomb(&[(alpha / scale, x), (pull * sigma / scale, &self.target)])?,
            sigma: sigma / (sigma + q),
            offset: T::lincomb(&[((q - alpha + pull) / scale, x), (-pull / scale, &self.target)])?,
            slope: 1.0 / (sigma + q),
        }))
    }
}

impl<T: Latent> Elsewhere<T> {
    fn back(&self, v: &T) -> Result<T> {
        T::lincomb(&[(1.0, &self.offset), (self.slope, v)])
    }
}

impl<T: Latent, V: Velocity<T>> Velocity<T> for Tilted<V, T> {
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        Ok(self.velocity_and_unconditional(x, sigma, meter)?.0)
    }

    /// Both are tilted alike.
    fn velocity_and_unconditional(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<(T, Option<T>)> {
        let Some(there) = self.elsewhere(x, sigma)? else {
            return self.field.velocity_and_unconditional(x, sigma, meter);
        };
        let (v, unconditional) = self.field.velocity_and_unconditional(&there.x, there.sigma, meter)?;
        Ok((there.back(&v)?, unconditional.map(|v| there.back(&v)).transpose()?))
    }

    fn save(&self) -> State<T> {
        self.field.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.field.restore(state)
    }
}
