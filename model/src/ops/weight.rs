//! The matrix of a linear map, however it is held.
//!
//! `Dense` and `Stored` give the same bits: the one decodes a matrix when it is read, the other a part of it at a time
//! whenever it is multiplied (`weight/stored.rs` says why the bits agree). `Packed` is faster on some processors and
//! rounds the activations to 8 bits.

mod packed;
mod stored;

use candle_core::Tensor;

pub use self::packed::Packed;
pub(crate) use self::packed::packed_bytes;
pub use self::stored::Stored;
pub(crate) use self::stored::{Scale, Segment};
use crate::Result;
use crate::weights::Memory;

/// W, (out, in): the matrix of a linear map, or a table of vectors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Weight {
    /// As f32.
    Dense(Tensor),
    /// As it is stored, in a file or encoded anew.
    Stored(Stored),
    /// In ggml's blocks, multiplied as they are.
    Packed(Packed),
    /// Matrices on top of each other that cannot be held as one.
    Stack(Vec<Weight>),
}

impl Weight {
    /// (out, in)
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if it is no matrix.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Dense(weight) => Ok(weight.dims2()?),
            Self::Stored(weight) => Ok(weight.dims()),
            Self::Packed(weight) => Ok(weight.dims()),
            Self::Stack(weights) => weights.iter().try_fold((0, 0), |(rows, _), weight| {
                let (more, columns) = weight.dims()?;
                Ok((rows + more, columns))
            }),
        }
    }

    /// Memory that it takes, that of a packed one once it has been multiplied.
    pub fn memory(&self) -> Memory {
        match self {
            Self::Dense(weight) => Memory { heap: (weight.elem_count() * size_of::<f32>()) as u64, mapped: 0 },
            Self::Stored(weight) => weight.memory(),
            Self::Packed(weight) => Memory { heap: weight.bytes() as u64, mapped: 0 },
            Self::Stack(weights) => {
                let mut memory = Memory::default();
                weights.iter().for_each(|weight| memory += weight.memory());
                memory
            }
        }
    }

    /// Several matrices of the same inputs on top of each other.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if there is none, or their inputs differ.
    pub fn stacked(weights: &[Self]) -> Result<Self> {
        let (mut dense, mut stored, mut packed, mut inputs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for weight in weights {
            inputs.push(weight.dims()?.1);
            match weight {
                Self::Dense(weight) => dense.push(weight),
                Self::Stored(weight) => stored.push(weight),
                Self::Packed(weight) => packed.push(weight),
                Self::Stack(_) => {}
            }
        }
        if inputs.is_empty() || inputs.windows(2).any(|pair| pair.first() != pair.last()) {
            return refused(format!("matrices of {inputs:?} inputs cannot be stacked"));
        }
        let all = |of_a_kind: usize| of_a_kind == weights.len();
        if let (true, Some(stack)) = (all(stored.len()), Stored::stacked(&stored)) {
            return Ok(Self::Stored(stack));
        }
        if let (true, Some(stack)) = (all(packed.len()), Packed::stacked(&packed)?) {
            return Ok(Self::Packed(stack));
        }
        if all(dense.len()) {
            return Ok(Self::Dense(Tensor::cat(&dense, 0)?));
        }
        Ok(Self::Stack(weights.to_vec()))
    }

    /// x W^T, (n, in) -> (n, out).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has another width.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(weight) => Ok(x.matmul(&weight.t()?)?),
            Self::Stored(weight) => weight.apply(x),
            Self::Packed(weight) => weight.apply(x),
            Self::Stack(weights) => {
                let parts = weights.iter().map(|weight| weight.apply(x)).collect::<Result<Vec<_>>>()?;
                Ok(Tensor::cat(&parts, 1)?)
            }
        }
    }

    /// The rows of these numbers, (n) u32 -> (n, in).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] for a row that is not there.
    pub fn rows(&self, numbers: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(weight) => Ok(weight.embedding(numbers)?),
            Self::Stored(weight) => weight.gathered(numbers),
            Self::Packed(_) | Self::Stack(_) => refused("the rows of a packed matrix cannot be looked up".into()),
        }
    }
}

fn refused<T>(what: String) -> Result<T> {
    Err(candle_core::Error::Msg(what).bt().into())
}
