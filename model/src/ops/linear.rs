//! The affine map y = x W^T + b.

use candle_core::Tensor;

use crate::Result;
use crate::weights::Reader;

/// y = x W^T + b on the last dimension.
#[derive(Debug, Clone)]
pub struct Linear {
    /// W, (out, in).
    weight: Tensor,
    /// b, (out).
    bias: Option<Tensor>,
}

impl Linear {
    /// A map with the given weight, (out, in), and bias, (out).
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// Reads `weight`, (outputs, inputs), and `bias`, (outputs).
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(reader: &Reader<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let weight = reader.tensor("weight", (outputs, inputs))?;
        let bias = reader.tensor("bias", outputs)?;
        Ok(Self::new(weight, Some(bias)))
    }

    /// Reads `weight`, (outputs, inputs), only.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load_no_bias(reader: &Reader<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self::new(reader.tensor("weight", (outputs, inputs))?, None))
    }

    /// (..., in) -> (..., out).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has another last dimension than the weight.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (outputs, inputs) = self.weight.dims2()?;
        let mut shape = x.dims().to_vec();
        let Some(last) = shape.last_mut() else {
            return Err(candle_core::Error::Msg("a linear map needs at least one dimension".into()).bt().into());
        };
        *last = outputs;
        // One large product is faster than a batch of small ones: (..., in) -> (n, in).
        let rows = x.elem_count() / inputs.max(1);
        let y = x.reshape((rows, inputs))?.matmul(&self.weight.t()?)?;
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        // (n, out) -> (..., out)
        Ok(y.reshape(shape)?)
    }
}
