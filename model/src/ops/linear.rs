//! The affine map y = x W^T + b.

use candle_core::Tensor;

use super::low_rank::LowRank;
use super::weight::Weight;
use crate::Result;
use crate::weights::Reader;

/// y = x W^T + b on the last dimension, with what adapters add to W.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Weight,
    /// b, (out).
    bias: Option<Tensor>,
    low_rank: Vec<LowRank>,
}

impl Linear {
    /// A map with the given weight, (out, in), and bias, (out).
    pub fn new(weight: Weight, bias: Option<Tensor>) -> Self {
        Self { weight, bias, low_rank: Vec::new() }
    }

    /// The same map with what adapters add to it.
    #[must_use]
    pub fn adapted(self, low_rank: Vec<LowRank>) -> Self {
        Self { low_rank, ..self }
    }

    /// Reads `weight`, (outputs, inputs), and `bias`, (outputs).
    ///
    /// # Errors
    /// Those of [`Reader::matrix`].
    pub fn load(reader: &Reader<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let map = Self::load_no_bias(reader, inputs, outputs)?;
        Ok(Self { bias: Some(reader.tensor("bias", outputs)?), ..map })
    }

    /// Reads `weight`, (outputs, inputs), only.
    ///
    /// # Errors
    /// Those of [`Reader::matrix`].
    pub fn load_no_bias(reader: &Reader<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let weight = reader.matrix("weight", outputs, inputs)?;
        Ok(Self { weight, bias: None, low_rank: reader.low_rank("weight")? })
    }

    /// Several maps of the same inputs as one, whose outputs stand beside each other: one large product is faster than
    /// several. Either all have a bias or none.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if there is none, or their inputs differ.
    pub fn stacked(maps: &[Self]) -> Result<Self> {
        let weights: Vec<_> = maps.iter().map(|map| map.weight.clone()).collect();
        let biases: Vec<_> = maps.iter().filter_map(|map| map.bias.as_ref()).collect();
        let bias = if biases.is_empty() { None } else { Some(Tensor::cat(&biases, 0)?) };
        let (mut low_rank, mut first) = (Vec::new(), 0);
        for map in maps {
            low_rank.extend(map.low_rank.iter().map(|own| LowRank { first: first + own.first, ..own.clone() }));
            first += map.weight.dims()?.0;
        }
        Ok(Self { weight: Weight::stacked(&weights)?, bias, low_rank })
    }

    /// (..., in) -> (..., out).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] if `x` has another last dimension than the weight.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (outputs, inputs) = self.weight.dims()?;
        let mut shape = x.dims().to_vec();
        let Some(last) = shape.last_mut() else {
            return Err(candle_core::Error::Msg("a linear map needs at least one dimension".into()).bt().into());
        };
        *last = outputs;
        // One large product is faster than a batch of small ones: (..., in) -> (n, in).
        let rows = x.elem_count() / inputs.max(1);
        let x = x.reshape((rows, inputs))?;
        let mut y = self.weight.apply(&x)?;
        for low_rank in &self.low_rank {
            y = low_rank.add(&x, &y)?;
        }
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        // (n, out) -> (..., out)
        Ok(y.reshape(shape)?)
    }
}
