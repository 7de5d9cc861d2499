//! Token ids to vectors.

use candle_core::Tensor;

use crate::ops::weight::Weight;
use crate::weights::Reader;
use crate::{Error, Result};

/// A table of vectors, one a token.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    /// (vocabulary, c).
    weight: Weight,
}

impl Embedding {
    /// Reads `weight`, (vocabulary, width).
    pub(super) fn load(reader: &Reader<'_>, vocabulary: usize, width: usize) -> Result<Self> {
        Ok(Self { weight: reader.matrix("weight", vocabulary, width)? })
    }

    /// ids (b, l) u32 -> (b, l, c).
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no id, or one that is not in the table.
    pub(super) fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let (b, l) = ids.dims2()?;
        let (vocabulary, width) = self.weight.dims()?;
        let flat = ids.flatten_all()?;
        let Some(highest) = flat.to_vec1::<u32>()?.into_iter().max() else {
            return Err(Error::invalid("there are no tokens to encode", "pad the prompt to the length of the model"));
        };
        if highest as usize >= vocabulary {
            return Err(Error::invalid(
                format!("token {highest} is not among the {vocabulary} tokens the text encoder knows"),
                "take the tokenizer and the text encoder from the same model folder",
            ));
        }
        // (b l, c) -> (b, l, c)
        Ok(self.weight.rows(&flat)?.reshape((b, l, width))?)
    }
}
