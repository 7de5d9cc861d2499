//! The text half or the image half of a block with joint attention.

use candle_core::Tensor;

use super::attention::{CONTEXT_QKV, QKV, QkvNames, QkvProjection};
use super::modulation::{Modulation, Modulations, Normed};
use super::{MLP_RATIO, Sizes};
use crate::Result;
use crate::ops::activation::gelu_tanh;
use crate::ops::linear::Linear;
use crate::weights::Reader;

/// The text half or the image half: its part in the attention, and a feed-forward layer.
#[derive(Debug)]
pub(crate) struct Stream {
    /// d -> 3 n d: the modulations of attention, feed-forward and whatever else the block has.
    norm1: Linear,
    /// Its part in the joint attention.
    pub(crate) qkv: QkvProjection,
    to_out: Linear,
    ff_in: Linear,
    ff_out: Linear,
}

/// The names of the tensors of one stream.
pub(crate) struct StreamNames {
    norm1: &'static str,
    pub(super) qkv: QkvNames,
    to_out: &'static str,
    ff: &'static str,
}

/// Of the text.
pub(crate) const TEXT: StreamNames =
    StreamNames { norm1: "norm1_context", qkv: CONTEXT_QKV, to_out: "to_add_out", ff: "ff_context" };
/// Of the image.
pub(crate) const IMAGE: StreamNames = StreamNames { norm1: "norm1", qkv: QKV, to_out: "to_out.0", ff: "ff" };

impl Stream {
    /// `branches` is how many modulations `norm1` makes.
    pub(crate) fn load(sizes: Sizes, branches: usize, reader: &Reader<'_>, names: &StreamNames) -> Result<Self> {
        let d = sizes.hidden();
        let (attn, ff) = (reader.at("attn"), reader.at(names.ff));
        Ok(Self {
            norm1: Linear::load(&reader.at(names.norm1).at("linear"), d, 3 * branches * d)?,
            qkv: QkvProjection::load(sizes, &attn, &names.qkv)?,
            to_out: Linear::load(&attn.at(names.to_out), d, d)?,
            ff_in: Linear::load(&ff.at("net.0.proj"), d, MLP_RATIO * d)?,
            ff_out: Linear::load(&ff.at("net.2"), MLP_RATIO * d, d)?,
        })
    }

    /// How this block modulates: attention first, then feed-forward. `vector` is SiLU of the embedding, (b, d).
    pub(crate) fn modulations(&self, vector: &Tensor) -> Result<Modulations> {
        Modulations::new(&self.norm1, vector)
    }

    /// x plus attention's answer, (b, l, d).
    pub(crate) fn attended(&self, x: &Tensor, attended: &Tensor, attn: &Modulation) -> Result<Tensor> {
        attn.after(x, &self.to_out.forward(attended)?)
    }

    /// x plus the feed-forward layer's answer, (b, l, d).
    pub(crate) fn fed_forward(&self, x: &Tensor, ff: &Modulation) -> Result<Tensor> {
        let hidden = gelu_tanh(&self.ff_in.forward(&ff.before(&Normed::new(x)?)?)?)?;
        ff.after(x, &self.ff_out.forward(&hidden)?)
    }
}
