//! The matrix of a linear map, however it is held.

use candle_core::Tensor;

use crate::Result;

/// W, (out, in): the matrix of a linear map, or a table of vectors.
#[derive(Debug, Clone)]
pub enum Weight {
    /// As f32.
    Dense(Tensor),
}

impl Weight {
    /// (out, in)
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if it is no matrix.
    pub fn dims(&self) -> Result<(usize, usize)> {
        let Self::Dense(weight) = self;
        Ok(weight.dims2()?)
    }

    /// Several matrices of the same inputs on top of each other.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if there is none, or their inputs differ.
    pub fn stacked(weights: &[Self]) -> Result<Self> {
        let dense: Vec<_> = weights.iter().map(|Self::Dense(weight)| weight).collect();
        Ok(Self::Dense(Tensor::cat(&dense, 0)?))
    }

    /// x W^T, (n, in) -> (n, out).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has another width.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let Self::Dense(weight) = self;
        Ok(x.matmul(&weight.t()?)?)
    }

    /// The rows of these numbers, (n) u32 -> (n, in).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] for a row that is not there.
    pub fn rows(&self, numbers: &Tensor) -> Result<Tensor> {
        let Self::Dense(weight) = self;
        Ok(weight.embedding(numbers)?)
    }
}
