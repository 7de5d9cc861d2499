//! Group normalisation of pictures.

use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::activation::{silu, silu_of};
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
        if x.device().is_cpu() { self.on_cpu(x, |y| y) } else { self.in_candle(x) }
    }

    /// silu(norm(x)), (b, c, h, w) -> (b, c, h, w).
    ///
    /// # Errors
    /// Those of [`GroupNorm::forward`].
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() { self.on_cpu(x, silu_of) } else { silu(&self.in_candle(x)?) }
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

    /// [`GroupNorm::forward`] on all cores, and `then` of every value.
    fn on_cpu(&self, x: &Tensor, then: impl Fn(f32) -> f32 + Sync) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let mut y = Vec::new();
        with_values(&x.contiguous()?, |x| {
            for x in x.chunks((c * h * w).max(1)) {
                let mut moments = Moments::new(c, w);
                moments.add(x);
                let rows = self.scales(&moments)?.apply(x, &then);
                if y.is_empty() { y = rows } else { y.extend(rows) }
            }
            Ok(())
        })?;
        Ok(Tensor::from_vec(y, (b, c, h, w), x.device())?)
    }

    /// What a picture of these moments is normalised with.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if it has other channels than the weight, or the groups do not divide them.
    pub(crate) fn scales(&self, moments: &Moments) -> Result<Scales> {
        let c = moments.channels.len();
        if c != self.weight.elem_count() || !c.is_multiple_of(self.groups.max(1)) {
            let what = format!("group norm of {} channels in {} groups got {c}", self.weight.elem_count(), self.groups);
            return Err(candle_core::Error::Msg(what).bt().into());
        }
        let (weight, bias) = (self.weight.to_vec1::<f32>()?, self.bias.to_vec1::<f32>()?);
        let per_group = (c / self.groups.max(1)).max(1);
        let groups = moments.channels.chunks(per_group).zip(weight.chunks(per_group).zip(bias.chunks(per_group)));
        let channels = groups.flat_map(|(group, (weight, bias))| {
            let (mean, variance) = moments.of_group(group);
            let scale = (variance + self.eps).sqrt().recip();
            let channel = move |(w, b): (&f32, &f32)| Scale {
                mean: mean as f32,
                scale: (f64::from(*w) * scale) as f32,
                bias: *b,
            };
            weight.iter().zip(bias).map(channel)
        });
        Ok(Scales(channels.collect()))
    }
}

/// Mean and spread of every row of a picture, from which those of any group of channels follow. A row is summed up by
/// itself and rows are put together in their order, so it does not matter in what pieces they came.
#[derive(Debug)]
pub(crate) struct Moments {
    /// Every channel's rows from the top down.
    channels: Vec<Vec<RowMoments>>,
    width: usize,
}

/// Of one row: its mean, and the sum of squared differences from it.
#[derive(Debug, Clone, Copy)]
struct RowMoments {
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Of a picture that has no rows yet.
    pub(crate) fn new(channels: usize, width: usize) -> Self {
        Self { channels: vec![Vec::new(); channels], width }
    }

    /// Takes in the next rows, (c, rows, w).
    pub(crate) fn add(&mut self, rows: &[f32]) {
        let (width, plane) = (self.width.max(1), (rows.len() / self.channels.len().max(1)).max(1));
        let planes = rows.par_chunks(plane);
        self.channels.par_iter_mut().zip(planes).for_each(|(channel, plane)| {
            channel.extend(plane.chunks(width).map(|row| {
                let mean = sum(row, |x| x) / row.len() as f64;
                RowMoments { mean, squares: sum(row, |x| (x - mean as f32).powi(2)) }
            }));
        });
    }

    /// Mean and variance of some channels together (Chan, Golub & LeVeque 1983, *Algorithms for computing the sample
    /// variance*, equation 2.1).
    fn of_group(&self, channels: &[Vec<RowMoments>]) -> (f64, f64) {
        let rows = || channels.iter().flatten();
        let count = rows().count() as f64;
        let mean = rows().map(|row| row.mean).sum::<f64>() / count;
        let between = rows().map(|row| (row.mean - mean).powi(2)).sum::<f64>() / count;
        (mean, between + rows().map(|row| row.squares).sum::<f64>() / (count * self.width as f64))
    }
}

/// (x - mean) scale + bias for every channel.
#[derive(Debug, Clone)]
pub(crate) struct Scales(Vec<Scale>);

#[derive(Debug, Clone, Copy)]
struct Scale {
    mean: f32,
    scale: f32,
    bias: f32,
}

impl Scales {
    /// Normalises rows of a picture, (c, rows, w), and takes `then` of every value.
    fn apply(&self, x: &[f32], then: &(impl Fn(f32) -> f32 + Sync)) -> Vec<f32> {
        let plane = (x.len() / self.0.len().max(1)).max(1);
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(plane).zip(x.par_chunks(plane)).zip(&self.0).for_each(|((y, x), by)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = then((x - by.mean) * by.scale + by.bias));
        });
        y
    }

    /// silu of the normalised rows of a picture, (c, rows, w).
    pub(crate) fn apply_silu(&self, x: &[f32]) -> Vec<f32> {
        self.apply(x, &silu_of)
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
            let (fast, plain) = (norm.forward(&x)?, norm.in_candle(&x)?);
            let difference = (fast - plain)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
            assert!(difference < 1e-5 * (1.0 + shift), "scale {scale}, shift {shift}: {difference}");
        }
        Ok(())
    }
}
