//! Two-dimensional convolution, with the cases that dominate an autoencoder on the CPU written as matrix products.
//!
//! candle's `conv2d` gathers its patches value by value, which at full resolution costs 3 to 30 times the product itself.
//! Here a band of rows at a time becomes a matrix by copying whole rows, and bands run in parallel.

use std::ops::Range;

use candle_core::{D, Tensor};

use super::bands::{BandShape, Banded, Tap, View, by_bands, map_bands};
use super::host::with_values;
use crate::Result;
use crate::weights::Reader;

/// What a convolution's weight file does not say.
#[derive(Debug, Clone, Copy)]
pub struct ConvConfig {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Step between output pixels, in input pixels.
    pub stride: usize,
    /// Zeros put above the input and to its left; below and to the right there are as many as make the output's sides the
    /// input's over the stride.
    pub padding: usize,
}

impl ConvConfig {
    /// A pixelwise map.
    pub fn one_by_one(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, kernel: 1, stride: 1, padding: 0 }
    }

    /// A 3 x 3 convolution that keeps height and width.
    pub fn same(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, kernel: 3, stride: 1, padding: 1 }
    }

    /// A 3 x 3 convolution that halves height and width, with zeros to the right and below only (diffusers
    /// `downsampling.py`, `Downsample2D` with padding 0).
    pub fn halving(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, kernel: 3, stride: 2, padding: 0 }
    }
}

/// y\[o, p\] = b\[o\] + sum over c and q of w\[o, c, q\] x\[c, stride p + q - padding\].
#[derive(Debug, Clone)]
pub struct Conv2d {
    /// w, (o, c, k, k).
    weight: Tensor,
    /// b, (o).
    bias: Tensor,
    config: ConvConfig,
}

impl Conv2d {
    /// A convolution with the given weight (o, c, k, k) and bias (o), as `config` says.
    pub fn new(weight: Tensor, bias: Tensor, config: ConvConfig) -> Self {
        Self { weight, bias, config }
    }

    /// Reads `weight`, (outputs, inputs, kernel, kernel), and `bias`, (outputs).
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(reader: &Reader<'_>, config: ConvConfig) -> Result<Self> {
        let ConvConfig { inputs, outputs, kernel, .. } = config;
        let weight = reader.tensor("weight", (outputs, inputs, kernel, kernel))?;
        Ok(Self::new(weight, reader.tensor("bias", outputs)?, config))
    }

    /// (b, c, h, w) -> (b, o, h', w').
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has other channels than the weight.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() { by_bands(self, x) } else { self.in_candle(x) }
    }

    fn in_candle(&self, x: &Tensor) -> Result<Tensor> {
        let ConvConfig { kernel, stride, padding, outputs, .. } = self.config;
        let beyond = kernel.saturating_sub(stride + 2 * padding);
        let x = x.pad_with_zeros(D::Minus1, 0, beyond)?.pad_with_zeros(D::Minus2, 0, beyond)?;
        let y = x.conv2d(&self.weight, padding, stride, 1, 1)?;
        Ok(y.broadcast_add(&self.bias.reshape((outputs, 1, 1))?)?)
    }

    /// Where the kernel looks, in the order of its weights.
    fn taps(&self) -> Vec<Tap> {
        let (kernel, padding) = (self.config.kernel as isize, self.config.padding as isize);
        let at = move |tap: isize| tap - padding;
        (0..kernel).flat_map(|row| (0..kernel).map(move |column| Tap { row: at(row), column: at(column) })).collect()
    }
}

impl Banded for Conv2d {
    fn shape(&self) -> BandShape {
        let ConvConfig { inputs, outputs, kernel, stride, padding } = self.config;
        // A kernel reaches `kernel - 1 - padding` beyond its own pixel.
        let (above, below) = (padding, kernel - 1 - padding.min(kernel - 1));
        BandShape { inputs, outputs, taps: kernel * kernel, stride, enlarge: 1, above, below }
    }

    fn rows(&self, view: &View<'_>, units: Range<usize>) -> Result<Vec<f32>> {
        let ConvConfig { inputs, outputs, kernel, stride, .. } = self.config;
        // (o, c, k, k) -> (o, c k k)
        let weight = self.weight.reshape((outputs, kernel * kernel * inputs))?;
        let (taps, bias) = (self.taps(), self.bias.to_vec1::<f32>()?);
        map_bands(view, self.shape(), units, |rows, planes| {
            let y = weight.matmul(&view.columns(rows, &taps, stride)?)?;
            with_values(&y, |y| {
                let sums = y.chunks(y.len() / outputs);
                for ((plane, sums), bias) in planes.iter_mut().zip(sums).zip(&bias) {
                    plane.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum + bias);
                }
                Ok(())
            })
        })
    }
}

/// Nearest-neighbour enlargement by two, then a 3 x 3 convolution, without ever making the enlarged input.
///
/// An output pixel sees at most 2 x 2 different input pixels; which, and how often, depends only on whether its row and
/// its column are even or odd. So this is four 2 x 2 convolutions of the small input whose weights are sums of the 3 x 3
/// ones, 4/9 of the work (the sub-pixel view of Shi et al. 2016, <https://arxiv.org/abs/1609.05158>).
#[derive(Debug, Clone)]
pub struct UpsampleConv2d {
    conv: Conv2d,
    /// For even rows even columns, even odd, odd even, odd odd: (o, 4 c).
    phases: [Tensor; 4],
}

impl UpsampleConv2d {
    /// Reads the convolution, `weight` (outputs, inputs, 3, 3) and `bias`.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(reader: &Reader<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        Self::new(Conv2d::load(reader, ConvConfig::same(inputs, outputs))?)
    }

    /// The enlargement before a [`ConvConfig::same`] convolution.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if the kernel is not 3 x 3.
    pub fn new(conv: Conv2d) -> Result<Self> {
        let ConvConfig { inputs, outputs, .. } = conv.config;
        // (o, c, 3, n) -> (o, c, 2, n): an even row sees the row above once and itself twice, an odd one the reverse.
        let fold = |weight: &Tensor, dim: usize, odd: bool| -> Result<Tensor> {
            let part = |at| weight.narrow(dim, at, 1);
            Ok(match odd {
                false => Tensor::cat(&[part(0)?, (part(1)? + part(2)?)?], dim)?,
                true => Tensor::cat(&[(part(0)? + part(1)?)?, part(2)?], dim)?,
            })
        };
        let phase = |row, column| -> Result<Tensor> {
            // (o, c, 2, 2) -> (o, 4 c)
            Ok(fold(&fold(&conv.weight, 2, row)?, 3, column)?.reshape((outputs, 4 * inputs))?)
        };
        let phases = [phase(false, false)?, phase(false, true)?, phase(true, false)?, phase(true, true)?];
        Ok(Self { conv, phases })
    }

    /// (b, c, h, w) -> (b, o, 2 h, 2 w).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has other channels than the weight.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() { by_bands(self, x) } else { self.in_candle(x) }
    }

    fn in_candle(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        self.conv.in_candle(&x.upsample_nearest2d(2 * h, 2 * w)?)
    }
}

impl Banded for UpsampleConv2d {
    fn shape(&self) -> BandShape {
        let ConvConfig { inputs, outputs, .. } = self.conv.config;
        BandShape { inputs, outputs, taps: 4, stride: 1, enlarge: 2, above: 1, below: 1 }
    }

    fn rows(&self, view: &View<'_>, units: Range<usize>) -> Result<Vec<f32>> {
        let (outputs, w) = (self.conv.config.outputs, view.size().width);
        let bias = self.conv.bias.to_vec1::<f32>()?;
        // An even row or column looks back, an odd one ahead.
        let taps = |row: isize, column: isize| {
            let tap = |down, right| Tap { row: row - 1 + down, column: column - 1 + right };
            [tap(0, 0), tap(0, 1), tap(1, 0), tap(1, 1)]
        };
        map_bands(view, self.shape(), units, |rows, planes| {
            for (row, phases) in self.phases.chunks(2).enumerate() {
                let [even, odd] = phases else { continue };
                let even = even.matmul(&view.columns(rows.clone(), &taps(row as isize, 0), 1)?)?;
                let odd = odd.matmul(&view.columns(rows.clone(), &taps(row as isize, 1), 1)?)?;
                with_values(&even, |even| {
                    with_values(&odd, |odd| {
                        let sums = even.chunks(even.len() / outputs).zip(odd.chunks(odd.len() / outputs));
                        for ((plane, (even, odd)), bias) in planes.iter_mut().zip(sums).zip(&bias) {
                            let lines = plane.chunks_mut(2 * w).skip(row).step_by(2);
                            for (line, (even, odd)) in lines.zip(even.chunks(w).zip(odd.chunks(w))) {
                                let pairs = line.as_chunks_mut::<2>().0.iter_mut();
                                pairs.zip(even.iter().zip(odd)).for_each(|(y, (e, o))| *y = [e + bias, o + bias]);
                            }
                        }
                        Ok(())
                    })
                })?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::{Conv2d, ConvConfig, UpsampleConv2d};
    use crate::Result;

    fn values(shape: &[usize], seed: usize) -> Result<Tensor> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0;
        Ok(Tensor::from_vec((0..shape.iter().product()).map(value).collect::<Vec<_>>(), shape, &Device::Cpu)?)
    }

    fn conv(config: ConvConfig) -> Result<Conv2d> {
        let weight = values(&[config.outputs, config.inputs, config.kernel, config.kernel], 1)?;
        Ok(Conv2d::new(weight, values(&[config.outputs], 2)?, config))
    }

    /// The convolution of the weights' magnitudes.
    fn magnitudes(conv: &Conv2d) -> Conv2d {
        Conv2d { weight: conv.weight.abs().unwrap(), bias: conv.bias.abs().unwrap(), ..conv.clone() }
    }

    fn largest(x: &Tensor) -> Result<f32> {
        Ok(x.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?)
    }

    /// Two orders of summation agree to rounding, a few 6e-8 of the sum of magnitudes.
    fn assert_close(fast: &Tensor, plain: &Tensor, magnitudes: &Tensor) -> Result<()> {
        assert_eq!(fast.dims(), plain.dims());
        let (difference, magnitude) = (largest(&(fast - plain)?)?, largest(magnitudes)?);
        assert!(difference <= 2e-7 * magnitude, "{difference} of {magnitude}");
        Ok(())
    }

    #[test]
    fn every_formulation_agrees_with_candle() -> Result<()> {
        // One band, several bands, a last band that is short, one column, one row, few and many channels.
        for (c, o, h, w) in [(3, 5, 7, 6), (40, 3, 70, 90), (300, 8, 33, 20), (4, 4, 9, 1), (4, 4, 1, 9), (1, 1, 1, 1)]
        {
            let x = values(&[2, c, h, w], 3)?;
            let halving = (h > 1 && w > 1).then(|| ConvConfig::halving(c, o));
            for config in [ConvConfig::same(c, o), ConvConfig::one_by_one(c, o)].into_iter().chain(halving) {
                let conv = conv(config)?;
                assert_close(&conv.forward(&x)?, &conv.in_candle(&x)?, &magnitudes(&conv).in_candle(&x.abs()?)?)?;
            }
            let conv = conv(ConvConfig::same(c, o))?;
            let (upsample, sizes) = (UpsampleConv2d::new(conv.clone())?, UpsampleConv2d::new(magnitudes(&conv))?);
            assert_close(&upsample.forward(&x)?, &upsample.in_candle(&x)?, &sizes.in_candle(&x.abs()?)?)?;
        }
        Ok(())
    }

    #[test]
    fn a_view_is_convolved_like_its_copy() -> Result<()> {
        let x = values(&[1, 8, 6, 5], 3)?.transpose(2, 3)?;
        let conv = conv(ConvConfig::same(8, 2))?;
        let copy = x.contiguous()?;
        assert_close(&conv.forward(&x)?, &conv.in_candle(&copy)?, &magnitudes(&conv).in_candle(&copy.abs()?)?)
    }

    #[test]
    fn other_channels_than_the_weight_are_refused() -> Result<()> {
        let conv = conv(ConvConfig::same(4, 2))?;
        let x = values(&[1, 5, 6, 5], 3)?;
        assert!(conv.forward(&x).is_err());
        assert!(UpsampleConv2d::new(conv)?.forward(&x).is_err());
        Ok(())
    }
}
