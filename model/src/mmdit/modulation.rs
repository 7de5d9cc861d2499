//! Adaptive layer norms (Peebles & Xie 2022, <https://arxiv.org/abs/2212.09748>, figure 3, adaLN-Zero).

use candle_core::Tensor;

use super::NORM_EPS;
use crate::Result;
use crate::ops::linear::Linear;
use crate::ops::norm::layer_norm;
use crate::weights::Reader;

/// LN(x), (b, l, d): what every branch that reads x is given a modulation of.
pub(crate) struct Normed(Tensor);

impl Normed {
    pub(crate) fn new(x: &Tensor) -> Result<Self> {
        Ok(Self(layer_norm(x, None, NORM_EPS)?))
    }

    /// LN(x) (1 + scale) + shift.
    fn modulated(&self, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
        Ok(self.0.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(shift)?)
    }
}

/// The modulations of a block's branches, (b, 3 n, d).
pub(crate) struct Modulations(Tensor);

impl Modulations {
    /// `linear` is d -> 3 n d for a block with n branches, `vector` SiLU of the embedding, (b, d).
    pub(crate) fn new(linear: &Linear, vector: &Tensor) -> Result<Self> {
        let (b, d) = vector.dims2()?;
        // (b, 3 n d) -> (b, 3 n, d)
        Ok(Self(linear.forward(vector)?.reshape((b, (), d))?))
    }

    /// Those of one branch: shift, scale, gate.
    pub(crate) fn of(&self, branch: usize) -> Result<Modulation> {
        let row = |row: usize| self.0.narrow(1, 3 * branch + row, 1);
        Ok(Modulation { shift: row(0)?, scale: row(1)?, gate: row(2)? })
    }
}

/// How one branch is modulated: each (b, 1, d).
pub(crate) struct Modulation {
    shift: Tensor,
    scale: Tensor,
    gate: Tensor,
}

impl Modulation {
    /// The normalised x, (b, l, d), before a branch.
    pub(crate) fn before(&self, x: &Normed) -> Result<Tensor> {
        x.modulated(&self.shift, &self.scale)
    }

    /// x plus what the branch made of it.
    pub(crate) fn after(&self, x: &Tensor, branch: &Tensor) -> Result<Tensor> {
        Ok((x + branch.broadcast_mul(&self.gate)?)?)
    }
}

/// A norm that is modulated without a gate (`AdaLayerNormContinuous` of diffusers).
#[derive(Debug)]
pub(crate) struct ModulatedNorm {
    /// d -> 2 d
    linear: Linear,
}

impl ModulatedNorm {
    pub(crate) fn load(d: usize, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self { linear: Linear::load(&reader.at("linear"), d, 2 * d)? })
    }

    /// (b, l, d) -> (b, l, d); `vector` is SiLU of the embedding, (b, d).
    pub(crate) fn forward(&self, x: &Tensor, vector: &Tensor) -> Result<Tensor> {
        let (b, d) = vector.dims2()?;
        // (b, 2 d) -> 2 x (b, 1, d). Scale first, unlike in the blocks and in the original files.
        let m = self.linear.forward(vector)?.reshape((b, 2, d))?;
        Normed::new(x)?.modulated(&m.narrow(1, 1, 1)?, &m.narrow(1, 0, 1)?)
    }
}
