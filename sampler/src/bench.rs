//! The bench: how far a sampler lands from where the mathematics says it should.
//!
//! Works for every [`Sampler`] over `Vec<f64>`, one's own included; `flowline verify` and the tests run it on the whole
//! catalogue.

use std::ops::ControlFlow;

use crate::fields::{AffineGaussian, Basis, Component, Mixture};
use crate::{
    Env, Error, Keyed, Latent, Meter, Noise, NoiseKey, Result, Sampler, Schedule, Stream, Velocity, integrate,
};

/// Points that are carried from noise to data, and where the exact flow carries them.
#[derive(Clone, Debug)]
pub struct Bench {
    field: Mixture,
    start: Vec<f64>,
    end: Vec<f64>,
    dimension: usize,
}

/// Steps of the reference solution; it is accurate to 1e-11 on the smooth mixture, to 1e-7 on the sharp one.
const REFERENCE_STEPS: usize = 1024;

impl Bench {
    /// 64 points flowing into a smooth mixture of four Gaussians in the plane, widths 0.25 to 0.5. The exact end
    /// points come from the classical Runge-Kutta method in 1024 steps.
    ///
    /// # Errors
    /// None in practice; the signature is that of the parts.
    pub fn smooth() -> Result<Self> {
        let component = |weight, mean: [f64; 2], std| Component { weight, mean: mean.to_vec(), std };
        let field = Mixture::new(vec![
            component(0.2, [1.5, 0.5], 0.35),
            component(0.3, [-1.0, 1.2], 0.25),
            component(0.1, [0.3, -1.4], 0.5),
            component(0.4, [-0.8, -0.9], 0.3),
        ])?;
        let start = Keyed { seed: 3 }.normal(&vec![0.0; 128], NoiseKey::first(Stream::INITIAL))?;
        let end = exact(&mut field.clone(), start.clone())?;
        Ok(Self { field, start, end, dimension: 2 })
    }

    /// 48 points flowing into 24 narrow modes in four dimensions, widths 0.03, which is more like pictures: early steps
    /// decide for a mode, the last ones for the place in it.
    ///
    /// # Errors
    /// As [`Bench::smooth`].
    pub fn sharp() -> Result<Self> {
        let normals = |seed, count| Keyed { seed }.normal(&vec![0.0; count], NoiseKey::first(Stream::INITIAL));
        let means = normals(42, 24 * 4)?;
        let component = |mean: &[f64]| Component { weight: 1.0, mean: mean.to_vec(), std: 0.03 };
        let field = Mixture::new(means.chunks(4).map(component).collect())?;
        let start = normals(4, 48 * 4)?;
        let end = exact(&mut field.clone(), start.clone())?;
        Ok(Self { field, start, end, dimension: 4 })
    }

    /// The field the points flow in.
    pub fn field(&self) -> &Mixture {
        &self.field
    }

    /// Where the points start: noise.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// The root mean square distance of the points from their exact ends, after a run along `schedule`, which must
    /// lead from 1 to 0.
    ///
    /// # Errors
    /// Those of the sampler.
    pub fn error(&self, sampler: &dyn Sampler<Vec<f64>>, schedule: Schedule) -> Result<f64> {
        let (mut field, mut noise, mut on) = (self.field.clone(), Keyed { seed: 4 }, || ControlFlow::Continue(()));
        let mut env = Env::new(&mut field, &mut noise, &mut on);
        let end = integrate(sampler, schedule, self.start.clone(), &mut env, |_| ())?;
        let squared: f64 = end.iter().zip(&self.end).map(|(a, b)| (a - b) * (a - b)).sum();
        Ok((squared / (end.len() / self.dimension) as f64).sqrt())
    }

    /// The measured order: `log2` of how much smaller the error becomes when 128 steps become 256.
    ///
    /// # Errors
    /// Those of the sampler and of `schedule`.
    pub fn order(&self, sampler: &dyn Sampler<Vec<f64>>, schedule: impl Fn(usize) -> Result<Schedule>) -> Result<f64> {
        Ok((self.error(sampler, schedule(128)?)? / self.error(sampler, schedule(256)?)?).log2())
    }
}

/// Exact statistics of where a sampler lands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation.
    pub std: f64,
}

/// The most draws per step that coefficient vectors have room for.
const DRAWS: u32 = 64;

/// The exact mean and standard deviation of a sampler's results for one-dimensional Gaussian data, by coefficient
/// vectors ([`AffineGaussian`]): no Monte Carlo.
///
/// # Errors
/// Those of the sampler; [`Error::Velocity`] if it draws more than 64 noises a step.
pub fn moments(sampler: &dyn Sampler<Vec<f64>>, schedule: Schedule, data: AffineGaussian) -> Result<Moments> {
    let (mut field, mut noise) = (data, basis(sampler, &schedule, data)?);
    let (start, mut on) = (noise.start(schedule.steps()), || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let [mean, variance] = AffineGaussian::moments(&integrate(sampler, schedule, start, &mut env, |_| ())?);
    Ok(Moments { mean, std: variance.sqrt() })
}

/// Coefficient vectors with room for what `sampler` draws along `schedule`, found by a run whose noise is zero.
///
/// # Errors
/// As [`moments`].
pub(crate) fn basis(sampler: &dyn Sampler<Vec<f64>>, schedule: &Schedule, data: AffineGaussian) -> Result<Basis> {
    let (mut field, mut noise, mut on) = (data, Counted { draws: 0 }, || ControlFlow::Continue(()));
    let start = Basis { draws: 0 }.start(0);
    integrate(sampler, schedule.clone(), start, &mut Env::new(&mut field, &mut noise, &mut on), |_| ())?;
    Ok(Basis { draws: noise.draws })
}

/// No noise at all, and how often it was asked for in a step at most.
struct Counted {
    draws: u32,
}

impl Noise<Vec<f64>> for Counted {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        self.draws = self.draws.max(key.draw + 1);
        match self.draws <= DRAWS {
            true => Ok(vec![0.0; like.len()]),
            false => Err(Error::Velocity(format!("more than {DRAWS} noises are drawn in a step").into())),
        }
    }
}

/// The classical Runge-Kutta method from sigma 1 to 0 (fields in closed form may be evaluated at both ends).
fn exact(field: &mut Mixture, mut x: Vec<f64>) -> Result<Vec<f64>> {
    let mut on = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut on);
    let schedule = Schedule::uniform(REFERENCE_STEPS)?;
    for index in 0..schedule.steps() {
        let Some([sigma, next]) = schedule.interval(index) else {
            return Err(Error::Schedule(format!("there is no step {index}")));
        };
        let (h, middle) = (next - sigma, (sigma + next) / 2.0);
        let k1 = field.velocity(&x, sigma, &mut meter)?;
        let k2 = field.velocity(&Vec::lincomb(&[(1.0, &x), (h / 2.0, &k1)])?, middle, &mut meter)?;
        let k3 = field.velocity(&Vec::lincomb(&[(1.0, &x), (h / 2.0, &k2)])?, middle, &mut meter)?;
        let k4 = field.velocity(&Vec::lincomb(&[(1.0, &x), (h, &k3)])?, next, &mut meter)?;
        x = Vec::lincomb(&[(1.0, &x), (h / 6.0, &k1), (h / 3.0, &k2), (h / 3.0, &k3), (h / 6.0, &k4)])?;
    }
    Ok(x)
}
