//! Self-attention of the text encoders.

use candle_core::{D, Tensor};
use candle_nn::ops::softmax_last_dim;

use crate::Result;
use crate::ops::linear::Linear;

/// softmax(scale q k^T + bias) v in several heads, between four linear maps
/// (Vaswani et al. 2017, section 3.2, <https://arxiv.org/abs/1706.03762>).
#[derive(Debug)]
pub(super) struct SelfAttention {
    /// Queries, (c, h d).
    pub(super) q: Linear,
    /// Keys, (c, h d).
    pub(super) k: Linear,
    /// Values, (c, h d).
    pub(super) v: Linear,
    /// Output, (h d, c).
    pub(super) o: Linear,
    /// How many heads.
    pub(super) heads: usize,
    /// What the logits are multiplied with: 1/sqrt(d) in most models, 1 in T5.
    pub(super) scale: f64,
}

impl SelfAttention {
    /// x (b, l, c) -> (b, l, c); `bias` is added to the logits and broadcasts to (b, h, l, l).
    pub(super) fn forward(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (b, l, _) = x.dims3()?;
        // (b, l, h d) -> (b, h, l, d)
        let split = |x: Tensor| x.reshape((b, l, self.heads, ()))?.transpose(1, 2)?.contiguous();
        let q = split((self.q.forward(x)? * self.scale)?)?;
        let k = split(self.k.forward(x)?)?;
        let v = split(self.v.forward(x)?)?;
        let logits = q.matmul(&k.t()?)?.broadcast_add(bias)?;
        let mixed = softmax_last_dim(&logits)?.matmul(&v)?;
        // (b, h, l, d) -> (b, l, h d)
        self.o.forward(&mixed.transpose(1, 2)?.flatten_from(D::Minus2)?)
    }
}
