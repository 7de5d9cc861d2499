//! What an adapter adds to a linear map (LoRA, Hu et al. 2021, <https://arxiv.org/abs/2106.09685>).

use candle_core::Tensor;

use crate::Result;

/// A matrix of low rank that is added to some rows of a larger one: W + up down.
#[derive(Debug, Clone)]
pub struct LowRank {
    /// (r, in)
    pub down: Tensor,
    /// (rows, r), with its strength.
    pub up: Tensor,
    /// The first of the outputs it is added to.
    pub first: usize,
}

impl LowRank {
    /// What it adds to y = x W^T: (n, in) and (n, out) -> (n, out).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if the shapes do not fit.
    pub fn add(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        // (n, in) -> (n, r) -> (n, rows) -> (n, out)
        let more = x.matmul(&self.down.t()?)?.matmul(&self.up.t()?)?;
        let after = y.dim(1)?.saturating_sub(self.first + more.dim(1)?);
        Ok((y + more.pad_with_zeros(1, self.first, after)?)?)
    }
}
