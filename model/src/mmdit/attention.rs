//! Queries, keys and values, of one sequence or of two that attend to each other.

use candle_core::Tensor;

use super::{NORM_EPS, Sizes};
use crate::Result;
use crate::ops::attention::attention;
use crate::ops::linear::Linear;
use crate::ops::norm::rms_norm;
use crate::ops::rope::Rotary;
use crate::weights::Reader;

/// Queries, keys and values of some tokens, each (b, h, l, d).
pub(crate) struct Qkv {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Qkv {
    /// This sequence, then the other.
    pub(crate) fn followed_by(&self, other: &Self) -> Result<Self> {
        let join = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 2);
        Ok(Self { q: join(&self.q, &other.q)?, k: join(&self.k, &other.k)?, v: join(&self.v, &other.v)? })
    }

    /// Queries and keys turned by their positions.
    pub(crate) fn turned(self, rotary: &Rotary) -> Result<Self> {
        Ok(Self { q: rotary.apply(&self.q)?, k: rotary.apply(&self.k)?, v: self.v })
    }

    /// (b, l, h d)
    pub(crate) fn attend(&self) -> Result<Tensor> {
        let (b, h, l, d) = self.q.dims4()?;
        let x = attention(&self.q, &self.k, &self.v, (d as f64).sqrt().recip())?;
        // (b, h, l, d) -> (b, l, h d)
        Ok(x.transpose(1, 2)?.reshape((b, l, h * d))?)
    }
}

/// The names of the tensors that make queries, keys and values.
pub(crate) struct QkvNames {
    linear: [&'static str; 3],
    norm_q: &'static str,
    norm_k: &'static str,
}

/// Of the image, or of the only sequence.
pub(crate) const QKV: QkvNames = QkvNames { linear: ["to_q", "to_k", "to_v"], norm_q: "norm_q", norm_k: "norm_k" };
/// Of the text beside an image.
pub(crate) const CONTEXT_QKV: QkvNames =
    QkvNames { linear: ["add_q_proj", "add_k_proj", "add_v_proj"], norm_q: "norm_added_q", norm_k: "norm_added_k" };

/// x -> queries, keys and values, the first two normalised a head at a time where the model does so (Dehghani et al.
/// 2023, <https://arxiv.org/abs/2302.05442>).
#[derive(Debug)]
pub(crate) struct QkvProjection {
    /// The three maps on top of each other: one large product is faster than three.
    qkv: Linear,
    norm_q: Option<Tensor>,
    norm_k: Option<Tensor>,
    heads: usize,
}

impl QkvProjection {
    pub(crate) fn load(sizes: Sizes, reader: &Reader<'_>, names: &QkvNames) -> Result<Self> {
        let d = sizes.hidden();
        let maps = names.linear.map(|name| Linear::load(&reader.at(name), d, d));
        let maps = maps.into_iter().collect::<Result<Vec<_>>>()?;
        let norm = |name: &str| match sizes.qk_norm {
            true => reader.at(name).tensor("weight", sizes.head).map(Some),
            false => Ok(None),
        };
        Ok(Self {
            qkv: Linear::stacked(&maps)?,
            norm_q: norm(names.norm_q)?,
            norm_k: norm(names.norm_k)?,
            heads: sizes.heads,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Qkv> {
        let (b, l, d) = x.dims3()?;
        // (b, l, 3 h d) -> 3 x (b, h, l, d)
        let qkv = self.qkv.forward(x)?.reshape((b, l, 3, self.heads, d / self.heads))?;
        let qkv = qkv.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let normed = |x: Tensor, weight: &Option<Tensor>| match weight {
            Some(weight) => rms_norm(&x, weight, NORM_EPS),
            None => Ok(x),
        };
        Ok(Qkv { q: normed(qkv.get(0)?, &self.norm_q)?, k: normed(qkv.get(1)?, &self.norm_k)?, v: qkv.get(2)? })
    }
}
