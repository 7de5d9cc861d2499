//! Velocity fields in closed form: the ground truth samplers are judged against.
//!
//! For data made of Gaussians every posterior mean is known. With `alpha = 1 - sigma`, `beta = sigma` and the variance
//! `V = alpha^2 s^2 + beta^2` of the mixed state,
//!
//! ```text
//! D = mu + alpha s^2 / V (x - alpha mu),      N = beta / V (x - alpha mu),      v = N - D
//! ```
//!
//! and nothing is divided by sigma: the fields are finite at both ends. States are points of the data's dimension, one
//! after another in one `Vec<f64>`.

use crate::{Error, Latent, Measure, Meter, Noise, NoiseKey, Result, Velocity};

impl Latent for Vec<f64> {
    fn lincomb(terms: &[(f64, &Self)]) -> Result<Self> {
        let Some(((c, first), rest)) = terms.split_first() else {
            return Err(Error::Velocity("a linear combination needs at least one term".into()));
        };
        let mut sum: Self = first.iter().map(|value| c * value).collect();
        for (c, x) in rest {
            same_length(&sum, x)?;
            sum.iter_mut().zip(x.iter()).for_each(|(sum, value)| *sum += c * value);
        }
        Ok(sum)
    }
}

/// The whole vector is one item.
impl Measure for Vec<f64> {
    fn dot(&self, other: &Self) -> Result<Vec<f64>> {
        same_length(self, other)?;
        Ok(vec![self.iter().zip(other).map(|(a, b)| a * b).sum()])
    }

    fn mean(&self) -> Result<Vec<f64>> {
        Ok(vec![self.iter().sum::<f64>() / self.len() as f64])
    }

    fn elements(&self) -> usize {
        self.len()
    }

    fn scaled(&self, factors: &[f64]) -> Result<Self> {
        match factors {
            [factor] => Self::lincomb(&[(*factor, self)]),
            _ => Err(refuse("a vector is one item and takes one factor")),
        }
    }
}

fn same_length(a: &[f64], b: &[f64]) -> Result<()> {
    match a.len() == b.len() {
        true => Ok(()),
        false => Err(Error::Velocity(format!("vectors of {} and {} numbers do not fit", a.len(), b.len()).into())),
    }
}

fn refuse(what: &str) -> Error {
    Error::Velocity(what.into())
}

/// Data `N(mean, diag(variance))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Gaussian {
    /// Means and variances, one each per dimension.
    ///
    /// # Errors
    /// [`Error::Velocity`] unless both have the same positive length and all variances are positive numbers.
    pub fn new(mean: Vec<f64>, variance: Vec<f64>) -> Result<Self> {
        same_length(&mean, &variance)?;
        match !mean.is_empty() && variance.iter().all(|c2| c2.is_finite() && *c2 > 0.0) {
            true => Ok(Self { mean, variance }),
            false => Err(refuse("a Gaussian has at least one dimension and positive variances")),
        }
    }

    /// Where the exact flow carries the noise `z`: `mean + sqrt(variance) z`.
    pub fn transport(&self, z: &[f64]) -> Vec<f64> {
        let dimensions = self.mean.iter().zip(&self.variance).cycle();
        z.iter().zip(dimensions).map(|(z, (mean, c2))| mean + c2.sqrt() * z).collect()
    }
}

impl Velocity<Vec<f64>> for Gaussian {
    fn velocity(&mut self, x: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> Result<Vec<f64>> {
        meter.evaluation()?;
        let dimensions = self.mean.iter().zip(&self.variance).cycle();
        Ok(x.iter().zip(dimensions).map(|(x, (mean, c2))| affine(sigma, *mean, *c2).at(*x)).collect())
    }
}

/// A Gaussian of a [`Mixture`].
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its weight, positive; the weights need not sum to 1.
    pub weight: f64,
    /// Where it is.
    pub mean: Vec<f64>,
    /// How wide it is, the same in all directions; positive.
    pub std: f64,
}

/// Data from a mixture of isotropic Gaussians.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    components: Vec<Component>,
    dimension: usize,
}

impl Mixture {
    /// A mixture of at least one component, all of the same dimension.
    ///
    /// # Errors
    /// [`Error::Velocity`] if it is empty, the dimensions differ, or a weight or width is not a positive number.
    pub fn new(components: Vec<Component>) -> Result<Self> {
        let dimension = components.first().map_or(0, |component| component.mean.len());
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let sound = |c: &Component| c.mean.len() == dimension && positive(c.weight) && positive(c.std);
        match dimension > 0 && components.iter().all(sound) {
            true => Ok(Self { components, dimension }),
            false => Err(refuse("a mixture has components of one dimension with positive weights and widths")),
        }
    }

    /// All that does not depend on the point.
    fn at(&self, sigma: f64) -> Vec<Seen<'_>> {
        let alpha = 1.0 - sigma;
        let seen = self.components.iter().map(|component| {
            let Component { weight, mean, std } = component;
            let variance = alpha * alpha * std * std + sigma * sigma;
            let log_volume = self.dimension as f64 * libm::log(variance);
            let affine = mean.iter().map(|mean| affine(sigma, *mean, std * std)).collect();
            Seen { component, variance, log_weight: libm::log(*weight), log_volume, affine }
        });
        seen.collect()
    }
}

/// A component of a mixture as it is seen at some sigma.
struct Seen<'a> {
    component: &'a Component,
    variance: f64,
    log_weight: f64,
    /// The logarithm of the variance in all dimensions.
    log_volume: f64,
    /// Its velocity, one dimension after the other.
    affine: Vec<Affine>,
}

impl Seen<'_> {
    fn log_likelihood(&self, x: &[f64], alpha: f64) -> f64 {
        let apart = x.iter().zip(&self.component.mean).map(|(x, mean)| (x - alpha * mean) * (x - alpha * mean));
        self.log_weight - 0.5 * (apart.sum::<f64>() / self.variance + self.log_volume)
    }
}

/// Adds `v` at the point `x`: the components' velocities, weighted by how likely each is given `x` (log-sum-exp).
/// `shares` is room for a number per component.
fn mixed(x: &[f64], alpha: f64, components: &[Seen<'_>], shares: &mut [f64], v: &mut [f64]) {
    let mut largest = f64::NEG_INFINITY;
    for (share, component) in shares.iter_mut().zip(components) {
        *share = component.log_likelihood(x, alpha);
        largest = largest.max(*share);
    }
    shares.iter_mut().for_each(|share| *share = libm::exp(*share - largest));
    let total: f64 = shares.iter().sum();
    for (share, component) in shares.iter().zip(components) {
        for ((v, x), affine) in v.iter_mut().zip(x).zip(&component.affine) {
            *v += share / total * affine.at(*x);
        }
    }
}

impl Velocity<Vec<f64>> for Mixture {
    fn velocity(&mut self, x: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> Result<Vec<f64>> {
        meter.evaluation()?;
        if !x.len().is_multiple_of(self.dimension) {
            return Err(refuse("the state is not made of points of the mixture's dimension"));
        }
        let components = self.at(sigma);
        let (mut v, mut shares) = (vec![0.0; x.len()], vec![0.0; components.len()]);
        for (x, v) in x.chunks(self.dimension).zip(v.chunks_mut(self.dimension)) {
            mixed(x, 1.0 - sigma, &components, &mut shares, v);
        }
        Ok(v)
    }
}

/// `v(x) = slope x + offset`: the velocity of one Gaussian dimension.
#[derive(Clone, Copy)]
struct Affine {
    slope: f64,
    offset: f64,
}

impl Affine {
    fn at(self, x: f64) -> f64 {
        self.slope * x + self.offset
    }
}

/// `v = N - D = (beta - alpha s^2) / V (x - alpha mu) - mu`.
fn affine(sigma: f64, mean: f64, variance: f64) -> Affine {
    let alpha = 1.0 - sigma;
    let slope = (sigma - alpha * variance) / (alpha * alpha * variance + sigma * sigma);
    Affine { slope, offset: -(slope * alpha + 1.0) * mean }
}

/// One-dimensional data `N(mean, variance)` seen through coefficient vectors: exact statistics without sampling.
///
/// A state is its coefficients over `[1, z0, e_1, e_2, ..]`, where `z0` is the initial noise and `e_i` the draws of
/// the sampler ([`Basis`]), all independent standard normals. The field is affine, so a sampler generic over
/// [`Latent`] runs unchanged and the result's mean is its first coefficient, its variance the sum of the squares of
/// the others. No randomness is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineGaussian {
    /// The data's mean.
    pub mean: f64,
    /// The data's variance; positive, or 0 for a single point, whose field has no value at `sigma = 0`.
    pub variance: f64,
}

impl AffineGaussian {
    /// Mean and variance of the state `x`.
    pub fn moments(x: &[f64]) -> [f64; 2] {
        let mean = x.first().copied().unwrap_or_default();
        [mean, x.iter().skip(1).map(|coefficient| coefficient * coefficient).sum()]
    }
}

impl Velocity<Vec<f64>> for AffineGaussian {
    fn velocity(&mut self, x: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> Result<Vec<f64>> {
        meter.evaluation()?;
        let Affine { slope, offset } = affine(sigma, self.mean, self.variance);
        let mut v: Vec<f64> = x.iter().map(|coefficient| slope * coefficient).collect();
        if let Some(constant) = v.first_mut() {
            *constant += offset;
        }
        Ok(v)
    }
}

/// The noise of coefficient vectors: every (step, draw) is a basis vector of its own, the same whenever it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The most draws a step may make.
    pub draws: u32,
}

impl Basis {
    /// The state of pure noise, with room for the draws of `steps` steps.
    pub fn start(self, steps: usize) -> Vec<f64> {
        let mut x = vec![0.0; 2 + steps * self.draws as usize];
        if let Some(z0) = x.get_mut(1) {
            *z0 = 1.0;
        }
        x
    }
}

impl Noise<Vec<f64>> for Basis {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        let index = 2 + key.step as usize * self.draws as usize + key.draw as usize;
        let mut e = vec![0.0; like.len()];
        match e.get_mut(index) {
            Some(coefficient) if key.draw < self.draws => *coefficient = 1.0,
            _ => return Err(refuse("the coefficient vector has no room for another draw")),
        }
        Ok(e)
    }
}
