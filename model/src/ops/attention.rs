//! Softmax attention over whole sequences.

use candle_core::Tensor;
use candle_nn::ops::softmax_last_dim;

use crate::Result;

/// The largest score tensor that is held at once; longer sequences are worked through by blocks of queries. At 1024 x
/// 1024 pixels FLUX.1 has 24 heads x 4608^2 scores, 2 GB.
pub const SCORE_BYTES: usize = 256 << 20;

/// softmax(scale q k^T) v (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>, equation 1, where scale is
/// 1 / sqrt(d)). `q` is (b, h, l, d), `k` and `v` are (b, h, s, d), the result is (b, h, l, d).
///
/// # Errors
/// [`crate::Error::Tensor`] if the shapes do not agree.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    attention_within(q, k, v, scale, SCORE_BYTES)
}

/// [`attention`] that holds at most `score_bytes` of scores at once, and at least one query's.
///
/// # Errors
/// [`crate::Error::Tensor`] if the shapes do not agree.
pub fn attention_within(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, score_bytes: usize) -> Result<Tensor> {
    let (batch, heads, queries, _) = q.dims4()?;
    let bytes_per_query = batch * heads * k.dim(2)? * q.dtype().size_in_bytes();
    let block = (score_bytes / bytes_per_query.max(1)).max(1);
    let keys = k.t()?;
    if queries <= block {
        return attend(q, &keys, v, scale);
    }
    let blocks = (0..queries)
        .step_by(block)
        .map(|start| attend(&q.narrow(2, start, block.min(queries - start))?, &keys, v, scale))
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&blocks, 2)?)
}

/// `keys` are transposed, (b, h, d, s).
fn attend(q: &Tensor, keys: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    // Scaling the queries costs less than scaling the scores. (b, h, l, d) x (b, h, d, s) -> (b, h, l, s)
    let scores = (q * scale)?.matmul(keys)?;
    Ok(softmax_last_dim(&scores)?.matmul(v)?)
}
