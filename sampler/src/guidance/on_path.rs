//! Fields on other paths, kept apart from the straight ones by their type.

use std::f64::consts::FRAC_PI_2;

use crate::path::Path;
use crate::{Error, Latent, Meter, Result, State, Velocity};

/// A field on a path of its own: `w(y, t) = dy/dt = alpha' D + beta' N`, where `y = alpha data + beta noise`.
///
/// `x - sigma v` is the predicted data of a straight field only. A sampler takes a [`Velocity`], which is straight by
/// contract; this is another trait, so a curved field cannot be handed to a sampler by mistake. [`Straightened`] makes
/// a `Velocity` of it.
pub trait PathVelocity<T> {
    /// The path it lives on.
    fn path(&self) -> Path;

    /// Evaluates the field at the path's own state and time, and calls the meter as [`Velocity::velocity`] does.
    ///
    /// # Errors
    /// As [`Velocity::velocity`]; [`Error::Velocity`] where the path has no finite velocity ([`Path::Vp`] at `t = 0`).
    fn path_velocity(&mut self, y: &T, t: f64, meter: &mut Meter<'_>) -> Result<T>;

    /// As [`Velocity::save`].
    fn save(&self) -> State<T> {
        State::default()
    }

    /// As [`Velocity::restore`].
    ///
    /// # Errors
    /// [`Error::State`] if it is somebody else's.
    fn restore(&mut self, state: State<T>) -> Result<()> {
        state.expect_empty("this field")
    }
}

/// A straight model on another path, without retraining: `sigma = beta/(alpha + beta)`, `x = y/(alpha + beta)`, the
/// predictions `D` and `N` of the straight model there, and `w = alpha' D + beta' N` (lqiang67/rectified-flow
/// `interpolation_convertor.py:46-96`).
#[derive(Clone, Debug)]
pub struct OnPath<V> {
    /// The straight field.
    pub straight: V,
    /// The path to run it on.
    pub path: Path,
}

impl<T: Latent, V: Velocity<T>> PathVelocity<T> for OnPath<V> {
    fn path(&self) -> Path {
        self.path
    }

    fn path_velocity(&mut self, y: &T, t: f64, meter: &mut Meter<'_>) -> Result<T> {
        let (at, rates) = (self.path.coefficients(t), self.path.rates(t));
        finite(self.path, t, rates.noise)?;
        let (sigma, scale) = (at.sigma(), at.scale());
        let x = T::lincomb(&[(1.0 / scale, y)])?;
        let v = self.straight.velocity(&x, sigma, meter)?;
        // alpha' (x - sigma v) + beta' (x + (1 - sigma) v)
        let turned = rates.noise * (1.0 - sigma) - rates.data * sigma;
        T::lincomb(&[(rates.data + rates.noise, &x), (turned, &v)])
    }

    fn save(&self) -> State<T> {
        self.straight.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.straight.restore(state)
    }
}

/// The straight field of a model that was trained on another path, for every sampler: with `W = alpha' beta - alpha
/// beta'`,
///
/// ```text
/// D = (beta w - beta' y)/W,      N = (alpha' y - alpha w)/W,      v = N - D
/// ```
///
/// at the time where the path has the same ratio of data to noise. Noisier than the path ever gets ([`Path::Vp`] keeps
/// a trace of the data), its noisiest time answers.
#[derive(Clone, Debug)]
pub struct Straightened<F> {
    /// The field on its own path.
    pub field: F,
}

impl<T: Latent, F: PathVelocity<T>> Velocity<T> for Straightened<F> {
    fn velocity(&mut self, x: &T, sigma: f64, meter: &mut Meter<'_>) -> Result<T> {
        let path = self.field.path();
        let t = time(path, sigma);
        let (at, rates) = (path.coefficients(t), path.rates(t));
        finite(path, t, rates.noise)?;
        let y = T::lincomb(&[(at.scale(), x)])?;
        let w = self.field.path_velocity(&y, t, meter)?;
        let wronskian = rates.data * at.noise - at.data * rates.noise;
        T::lincomb(&[((rates.data + rates.noise) / wronskian, &y), (-at.scale() / wronskian, &w)])
    }

    fn save(&self) -> State<T> {
        self.field.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.field.restore(state)
    }
}

/// The time of the path where `beta/(alpha + beta) = sigma`, at most 1.
fn time(path: Path, sigma: f64) -> f64 {
    match path {
        Path::Linear => sigma,
        Path::Spherical => libm::atan2(sigma, 1.0 - sigma) / FRAC_PI_2,
        Path::Vp => {
            // ln(1/alpha) = a t^2 + b t, read off the path itself at t = 1 and in its slope at 0.
            let b = -path.rates(f64::MIN_POSITIVE).data;
            let a = -libm::log(path.coefficients(1.0).data) - b;
            let ratio = sigma / (1.0 - sigma);
            let depth = 0.5 * libm::log1p(ratio * ratio);
            // 2 d/(b + sqrt(b^2 + 4 a d)), which does not cancel near 0; without end at sigma = 1.
            let t = 2.0 * depth / (b + libm::sqrt(b * b + 4.0 * a * depth));
            if t < 1.0 { t } else { 1.0 }
        }
    }
}

fn finite(path: Path, t: f64, rate: f64) -> Result<()> {
    match rate.is_finite() {
        true => Ok(()),
        false => Err(Error::Velocity(format!("the {} path has no velocity at t = {t}", path.name()).into())),
    }
}
