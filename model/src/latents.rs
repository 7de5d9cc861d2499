//! The production latent: a candle tensor as the sampler sees it.

pub(crate) mod file;

use candle_core::{DType, Device, Tensor};
use flowline_sampler::{BoxError, Latent, Measure};

use crate::{Error, Result};

/// Latents of shape `(b, c, h, w)` in f32. Linear combinations accumulate in f64 on the host and are rounded once, so
/// they give the same bits on every device; latents are small (1 MiB at 1024 x 1024).
#[derive(Clone, Debug)]
pub struct Latents(Tensor);

impl Latents {
    /// Wraps a tensor of shape `(b, c, h, w)`.
    ///
    /// # Errors
    /// If the tensor has another rank or cannot become f32.
    pub fn new(tensor: Tensor) -> Result<Self> {
        tensor.dims4()?;
        Ok(Self(tensor.to_dtype(DType::F32)?))
    }

    /// Latents of shape `(b, c, h, w)` with these values, the last index fastest.
    ///
    /// # Errors
    /// If there are not as many values.
    pub fn from_values(values: Vec<f32>, shape: (usize, usize, usize, usize), device: &Device) -> Result<Self> {
        Ok(Self(Tensor::from_vec(values, shape, device)?))
    }

    /// Latents of shape `(1, c, h, w)` in which every value is `value`.
    ///
    /// # Errors
    /// If the tensor cannot be made.
    pub fn flat((c, h, w): (usize, usize, usize), value: f32) -> Result<Self> {
        Self::from_values(vec![value; c * h * w], (1, c, h, w), &Device::Cpu)
    }

    /// Latents of the same shape whose values `fill` writes.
    pub(crate) fn filled_like(&self, fill: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<Self> {
        let mut values = vec![0f32; self.0.elem_count()];
        fill(&mut values)?;
        Ok(Self(Tensor::from_vec(values, self.0.dims(), self.0.device())?))
    }

    /// How far apart two latents are: the root mean square of their difference per element.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they have different shapes.
    pub fn distance(&self, other: &Self) -> Result<f64> {
        if self.0.dims() != other.0.dims() {
            let what = format!("latents of shapes {:?} and {:?} cannot be compared", self.0.dims(), other.0.dims());
            return Err(Error::invalid(what, "compare pictures of one size, made by one model"));
        }
        let (a, b) = (self.values()?, other.values()?);
        let squares = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
        Ok((squares / a.len().max(1) as f64).sqrt())
    }

    /// The tensor, `(b, c, h, w)`, f32.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// Whether every value is a finite number.
    ///
    /// # Errors
    /// If the values cannot be read back.
    pub fn is_finite(&self) -> Result<bool> {
        Ok(self.values()?.iter().all(|value| value.is_finite()))
    }

    /// All values, the last index fastest.
    ///
    /// # Errors
    /// If they cannot be read back.
    pub fn values(&self) -> Result<Vec<f32>> {
        Ok(self.0.flatten_all()?.to_vec1()?)
    }

    fn combine(terms: &[(f64, &Self)]) -> Result<Self> {
        let Some((_, first)) = terms.first() else {
            return Err(Error::invalid("a linear combination of nothing", "report this bug"));
        };
        let mut sum = vec![0f64; first.0.elem_count()];
        for (c, x) in terms {
            if x.0.dims() != first.0.dims() {
                let what = format!("latents of shapes {:?} and {:?} cannot be combined", first.0.dims(), x.0.dims());
                return Err(Error::invalid(what, "report this bug"));
            }
            for (sum, x) in sum.iter_mut().zip(x.values()?) {
                *sum += c * f64::from(x);
            }
        }
        let values = sum.into_iter().map(|value| value as f32).collect();
        Ok(Self(Tensor::from_vec(values, first.0.dims(), first.0.device())?))
    }

    /// Every item of the batch times its factor, in f64, rounded once.
    fn scale_items(&self, factors: &[f64]) -> Result<Self> {
        if factors.len() != self.0.dim(0)? {
            let what = format!("{} factors for latents of shape {:?}", factors.len(), self.0.dims());
            return Err(Error::invalid(what, "report this bug"));
        }
        let mut values = self.values()?;
        let item = (values.len() / factors.len().max(1)).max(1);
        for (item, factor) in values.chunks_mut(item).zip(factors) {
            item.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
        Ok(Self(Tensor::from_vec(values, self.0.dims(), self.0.device())?))
    }

    /// `reduce` over the elements of every item of the batch.
    fn per_item(&self, other: &Self, reduce: impl Fn(&[f32], &[f32]) -> f64) -> Result<Vec<f64>> {
        let (a, b) = (self.values()?, other.values()?);
        let item = (a.len() / self.0.dim(0)?.max(1)).max(1);
        Ok(a.chunks(item).zip(b.chunks(item)).map(|(a, b)| reduce(a, b)).collect())
    }
}

impl Latent for Latents {
    fn lincomb(terms: &[(f64, &Self)]) -> flowline_sampler::Result<Self> {
        Self::combine(terms).map_err(foreign)
    }
}

impl Measure for Latents {
    fn dot(&self, other: &Self) -> flowline_sampler::Result<Vec<f64>> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        self.per_item(other, dot).map_err(foreign)
    }

    fn mean(&self) -> flowline_sampler::Result<Vec<f64>> {
        let mean = |a: &[f32], _: &[f32]| a.iter().map(|a| f64::from(*a)).sum::<f64>() / a.len() as f64;
        self.per_item(self, mean).map_err(foreign)
    }

    fn elements(&self) -> usize {
        self.0.dims().iter().skip(1).product()
    }

    fn scaled(&self, factors: &[f64]) -> flowline_sampler::Result<Self> {
        self.scale_items(factors).map_err(foreign)
    }
}

/// An error of this crate on its way through a sampler; `Error::from` unpacks it on the other side.
pub(crate) fn foreign(error: Error) -> flowline_sampler::Error {
    match error {
        Error::Cancelled => flowline_sampler::Error::Cancelled,
        other => flowline_sampler::Error::Velocity(BoxError::from(other)),
    }
}
