//! Rotary position embedding over several axes, interleaved pairs.

use candle_core::{Device, Tensor};
use candle_nn::rotary_emb::rope_i;

use crate::Result;

/// The rotation of every position of a sequence (Su et al. 2021, <https://arxiv.org/abs/2104.09864>).
#[derive(Debug, Clone)]
pub struct Rotary {
    /// cos of the angles, (l, d/2).
    pub cos: Tensor,
    /// sin of the angles, (l, d/2).
    pub sin: Tensor,
}

impl Rotary {
    /// A position has one coordinate an axis, and axis a turns its own `widths[a]` channels of a head: pair j by the
    /// angle position_a theta^(-2j / widths\[a\]). The widths add up to d. Angles are computed in f64 (diffusers
    /// `transformer_flux.py:512-526`), because f16 or bf16 positions ruin large pictures.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if the device refuses.
    pub fn new<const AXES: usize>(
        positions: &[[f64; AXES]],
        widths: [usize; AXES],
        theta: f64,
        device: &Device,
    ) -> Result<Self> {
        let pairs: usize = widths.iter().map(|width| width / 2).sum();
        let mut cos = Vec::with_capacity(positions.len() * pairs);
        let mut sin = Vec::with_capacity(positions.len() * pairs);
        for position in positions {
            for (coordinate, width) in position.iter().zip(widths) {
                for j in 0..width / 2 {
                    let angle = coordinate * theta.powf(-2.0 * j as f64 / width as f64);
                    cos.push(angle.cos() as f32);
                    sin.push(angle.sin() as f32);
                }
            }
        }
        let shape = (positions.len(), pairs);
        Ok(Self { cos: Tensor::from_vec(cos, shape, device)?, sin: Tensor::from_vec(sin, shape, device)? })
    }

    /// Turns the pairs (x_2k, x_2k+1): y_2k = cos x_2k - sin x_2k+1, y_2k+1 = sin x_2k + cos x_2k+1.
    /// `x` is (b, h, l, d) and contiguous, as is the result.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if the shapes do not agree.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(rope_i(x, &self.cos, &self.sin)?)
    }
}
