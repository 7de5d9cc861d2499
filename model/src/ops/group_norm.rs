//! Group normalisation of pictures.

use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::host::with_values;
use crate::Result;
use crate::weights::Reader;

/// GroupNorm, (x - mean) / sqrt(var + eps) w + b with mean and variance over a group of channels and all pixels
/// (Wu & He 2018, <https://arxiv.org/abs/1803.08494>), in two passes.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    /// w, (c).
    weight: Tensor,
    /// b, (c).
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// A norm with the given weight (c) and bias (c); `groups` divides c.
    pub fn new(weight: Tensor, bias: Tensor, groups: usize, eps: f64) -> Self {
        Self { weight, bias, groups, eps }
    }

    /// Reads `weight` and `bias`, both (`channels`).
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(reader: &Reader<'_>, channels: usize, groups: usize, eps: f64) -> Result<Self> {
        Ok(Self::new(reader.tensor("weight", channels)?, reader.tensor("bias", channels)?, groups, eps))
    }

    /// (b, c, h, w) -> (b, c, h, w).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has other channels than the weight, or the groups do not divide them.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() { self.on_cpu(x) } else { self.in_candle(x) }
    }

    /// [`GroupNorm::forward`] one operation at a time: ten passes over memory.
    fn in_candle(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        // (b, c, h, w) -> (b, g, c/g h w)
        let x = x.reshape((b, self.groups, c / self.groups * h * w))?;
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?)?;
        let x = x.reshape((b, c, h, w))?.broadcast_mul(&self.weight.reshape((c, 1, 1))?)?;
        Ok(x.broadcast_add(&self.bias.reshape((c, 1, 1))?)?)
    }

    /// [`GroupNorm::forward`] a group at a time, on all cores.
    fn on_cpu(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        if c != self.weight.elem_count() || !c.is_multiple_of(self.groups) {
            let what = format!("group norm of {} channels in {} groups got {c}", self.weight.elem_count(), self.groups);
            return Err(candle_core::Error::Msg(what).bt().into());
        }
        let (weight, bias) = (self.weight.to_vec1::<f32>()?, self.bias.to_vec1::<f32>()?);
        let (per_group, pixels) = (c / self.groups, h * w);
        let mut y = vec![0f32; b * c * pixels];
        if y.is_empty() {
            return Ok(x.clone());
        }
        with_values(&x.contiguous()?, |x| {
            let group = per_group * pixels;
            y.par_chunks_mut(group).zip(x.par_chunks(group)).enumerate().for_each(|(n, (y, x))| {
                let first = n % self.groups * per_group;
                let channels = first..first + per_group;
                let mean = sum(x, |x| x) / group as f64;
                let variance = sum(x, |x| (x - mean as f32).powi(2)) / group as f64;
                let (mean, scale) = (mean as f32, (variance + self.eps).sqrt().recip());
                let affine = weight[channels.clone()].iter().zip(&bias[channels]);
                for ((y, x), (w, b)) in y.chunks_mut(pixels).zip(x.chunks(pixels)).zip(affine) {
                    let scale = (f64::from(*w) * scale) as f32;
                    y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale + b);
                }
            });
            Ok(())
        })?;
        Ok(Tensor::from_vec(y, (b, c, h, w), x.device())?)
    }
}

/// The sum of `f` over the values: short runs in f32, one lane a vector register's slot, the runs in f64.
fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    const LANES: usize = 16;
    const RUN: usize = 64 * LANES;
    let run = |run: &[f32]| {
        let (lanes, rest) = run.as_chunks::<LANES>();
        let mut sums = [0f32; LANES];
        for lane in lanes {
            sums.iter_mut().zip(lane).for_each(|(sum, x)| *sum += f(*x));
        }
        sums.into_iter().map(f64::from).sum::<f64>() + rest.iter().map(|x| f64::from(f(*x))).sum::<f64>()
    };
    values.chunks(RUN).map(run).sum()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::GroupNorm;

    #[test]
    fn the_kernel_agrees_with_plain_candle_even_on_a_large_mean() -> crate::Result<()> {
        let device = Device::Cpu;
        let ramp = |n: usize, scale: f32, shift: f32| -> Vec<f32> {
            (0..n).map(|i| ((i * 7919 + 13) % 101) as f32 / 101.0 * scale + shift).collect()
        };
        for (scale, shift) in [(1.0, 0.0), (1e-3, 0.0), (1.0, 100.0)] {
            let x = Tensor::from_vec(ramp(2 * 6 * 35 * 9, scale, shift), (2, 6, 35, 9), &device)?;
            let weight = Tensor::from_vec(ramp(6, 2.0, -1.0), 6, &device)?;
            let bias = Tensor::from_vec(ramp(6, 1.0, 0.5), 6, &device)?;
            let norm = GroupNorm::new(weight, bias, 3, 1e-6);
            let (fast, plain) = (norm.on_cpu(&x)?, norm.in_candle(&x)?);
            let difference = (fast - plain)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            assert!(difference < 1e-5 * (1.0 + shift), "scale {scale}, shift {shift}: {difference}");
        }
        Ok(())
    }
}
