//! The T5 v1.1 encoder (Raffel et al. 2020, <https://arxiv.org/abs/1910.10683>; Shazeer 2020,
//! <https://arxiv.org/abs/2002.05202>, for its gated feed-forward; transformers `models/t5/modeling_t5.py`).

use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::OnHidden;
use super::attention::SelfAttention;
use super::embedding::Embedding;
use crate::ops::activation::gelu_tanh;
use crate::ops::linear::Linear;
use crate::ops::norm::rms_norm;
use crate::ops::weight::Weight;
use crate::weights::Reader;
use crate::{Error, Result};

/// Tensors a checkpoint may hold without being read (see [`crate::weights::Weights::finish`]): some files store the
/// embedding a second time under this name, and files of the whole of T5 hold its decoder.
pub const OPTIONAL: &[&str] = &["encoder.embed_tokens.weight", "decoder.", "dec.", "lm_head."];

/// The feed-forward of a [`T5Config`]; v1.1 has one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum FeedForwardKind {
    /// wo(gelu(wi_0 x) * wi_1 x), with the tanh form of GELU.
    #[serde(rename = "gated-gelu")]
    GatedGelu,
}

/// The sizes of an encoder, under the names of the `config.json` of transformers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct T5Config {
    /// Tokens.
    pub vocab_size: usize,
    /// Channels between the blocks.
    pub d_model: usize,
    /// Channels of one head; heads times this need not be `d_model`.
    pub d_kv: usize,
    /// Channels inside the feed-forward.
    pub d_ff: usize,
    /// Blocks.
    pub num_layers: usize,
    /// Heads.
    pub num_heads: usize,
    /// Rows of the table of relative position biases.
    pub relative_attention_num_buckets: usize,
    /// The distance in tokens from which on all positions share a bucket.
    #[serde(default = "default_max_distance")]
    pub relative_attention_max_distance: usize,
    /// Epsilon of the norms.
    pub layer_norm_epsilon: f64,
    /// The feed-forward.
    pub feed_forward_proj: FeedForwardKind,
}

/// What transformers assumes for the older files that do not say (`configuration_t5.py`).
fn default_max_distance() -> usize {
    128
}

/// Far above every published encoder, far below what overflows.
const LARGEST: usize = 1 << 16;

impl T5Config {
    /// Reads a `config.json`; `file` is the name errors print. Fields not needed here are ignored.
    ///
    /// # Errors
    /// [`Error::Config`] if a field is missing, or the encoder is not one that this code computes.
    pub fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let wrong = |what: String| Error::Config { file: file.to_owned(), what };
        let config: Self = serde_json::from_slice(json).map_err(|e| wrong(e.to_string()))?;
        let Self { d_model, d_kv, d_ff, num_heads, relative_attention_num_buckets: buckets, .. } = config;
        for (name, size) in [("d_model", d_model), ("d_kv", d_kv), ("d_ff", d_ff), ("num_heads", num_heads)] {
            if size == 0 || size > LARGEST {
                return Err(wrong(format!("{name} is {size}; it must be between 1 and {LARGEST}")));
            }
        }
        // A quarter of the buckets holds exact distances of one direction; the rest is logarithmic up to the maximum.
        if !buckets.is_multiple_of(4) || buckets == 0 || config.relative_attention_max_distance <= buckets / 4 {
            return Err(wrong(format!(
                "relative_attention_num_buckets {buckets} must be a multiple of 4, and a quarter of it below \
                 relative_attention_max_distance {}",
                config.relative_attention_max_distance
            )));
        }
        Ok(config)
    }
}

/// A T5 v1.1 encoder.
#[derive(Debug)]
pub struct T5Encoder {
    shared: Embedding,
    position_bias: RelativePositionBias,
    blocks: Vec<Block>,
    final_layer_norm: RmsNorm,
}

impl T5Encoder {
    /// Reads the encoder; `reader` stands where `shared.weight` and `encoder.…` begin.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &T5Config, reader: &Reader<'_>) -> Result<Self> {
        let encoder = reader.at("encoder");
        let only_duplicate = !reader.has("shared.weight") && encoder.has("embed_tokens.weight");
        let shared = if only_duplicate { encoder.at("embed_tokens") } else { reader.at("shared") };
        let blocks = encoder.at("block");
        Ok(Self {
            shared: Embedding::load(&shared, config.vocab_size, config.d_model)?,
            position_bias: RelativePositionBias::load(config, &blocks.at("0.layer.0.SelfAttention"))?,
            blocks: (0..config.num_layers).map(|i| Block::load(config, &blocks.at(i))).collect::<Result<_>>()?,
            final_layer_norm: RmsNorm::load(config, &encoder.at("final_layer_norm"))?,
        })
    }

    /// ids (b, l) u32 -> last_hidden_state (b, l, d_model), for every token, padding included.
    ///
    /// `mask` (b, l) is 1 where a token may be looked at and 0 where not. FLUX.1 and SD3 pass none: they let padding
    /// be seen (black-forest-labs/flux `conditioner.py`).
    ///
    /// # Errors
    /// [`Error::Invalid`] if an id is not in the vocabulary, [`Error::Tensor`] if the shapes do not agree.
    pub fn forward(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        self.forward_observed(ids, mask, &mut |_| ControlFlow::Continue(()))
    }

    /// [`Self::forward`] that shows the hidden states before every block, and the last ones before the final norm.
    ///
    /// # Errors
    /// Those of [`Self::forward`], and [`Error::Cancelled`] if `observe` breaks.
    pub fn forward_observed(&self, ids: &Tensor, mask: Option<&Tensor>, observe: OnHidden<'_>) -> Result<Tensor> {
        let mut hidden = self.shared.forward(ids)?;
        let bias = self.position_bias.forward(ids.dims2()?.1, hidden.device())?;
        let bias = match mask {
            Some(mask) => bias.broadcast_add(&bias_from_mask(mask)?)?,
            None => bias,
        };
        for block in &self.blocks {
            if observe(&hidden).is_break() {
                return Err(Error::Cancelled);
            }
            hidden = block.forward(&hidden, &bias)?;
        }
        if observe(&hidden).is_break() {
            return Err(Error::Cancelled);
        }
        self.final_layer_norm.forward(&hidden)
    }
}

/// Self-attention and feed-forward, each behind a norm and beside a residual.
#[derive(Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: SelfAttention,
    feed_forward_norm: RmsNorm,
    feed_forward: GatedFeedForward,
}

impl Block {
    fn load(config: &T5Config, reader: &Reader<'_>) -> Result<Self> {
        let (first, second) = (reader.at("layer.0"), reader.at("layer.1"));
        let (width, inner) = (config.d_model, config.num_heads * config.d_kv);
        let attention = first.at("SelfAttention");
        Ok(Self {
            attention_norm: RmsNorm::load(config, &first.at("layer_norm"))?,
            attention: SelfAttention {
                q: Linear::load_no_bias(&attention.at("q"), width, inner)?,
                k: Linear::load_no_bias(&attention.at("k"), width, inner)?,
                v: Linear::load_no_bias(&attention.at("v"), width, inner)?,
                o: Linear::load_no_bias(&attention.at("o"), inner, width)?,
                heads: config.num_heads,
                // T5 folds 1/sqrt(d) into the initial weights instead.
                scale: 1.0,
            },
            feed_forward_norm: RmsNorm::load(config, &second.at("layer_norm"))?,
            feed_forward: GatedFeedForward::load(config, &second.at("DenseReluDense"))?,
        })
    }

    /// x (b, l, c), bias (1 or b, h, l, l) -> (b, l, c).
    fn forward(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention.forward(&self.attention_norm.forward(x)?, bias)?)?;
        Ok((&x + self.feed_forward.forward(&self.feed_forward_norm.forward(&x)?)?)?)
    }
}

/// wo(gelu(wi_0 x) * wi_1 x) (Shazeer 2020, GEGLU).
#[derive(Debug)]
struct GatedFeedForward {
    wi_0: Linear,
    wi_1: Linear,
    wo: Linear,
}

impl GatedFeedForward {
    fn load(config: &T5Config, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            wi_0: Linear::load_no_bias(&reader.at("wi_0"), config.d_model, config.d_ff)?,
            wi_1: Linear::load_no_bias(&reader.at("wi_1"), config.d_model, config.d_ff)?,
            wo: Linear::load_no_bias(&reader.at("wo"), config.d_ff, config.d_model)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.wo.forward(&(gelu_tanh(&self.wi_0.forward(x)?)? * self.wi_1.forward(x)?)?)
    }
}

/// `T5LayerNorm`: no mean, no bias.
#[derive(Debug)]
struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    fn load(config: &T5Config, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self { weight: reader.tensor("weight", config.d_model)?, eps: config.layer_norm_epsilon })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        rms_norm(x, &self.weight, self.eps)
    }
}

/// A learned number for every head and every bucket of distances, stored in block 0 and added in all blocks.
#[derive(Debug)]
struct RelativePositionBias {
    /// (buckets, h).
    weight: Weight,
    max_distance: usize,
}

impl RelativePositionBias {
    fn load(config: &T5Config, reader: &Reader<'_>) -> Result<Self> {
        let (buckets, heads) = (config.relative_attention_num_buckets, config.num_heads);
        let weight = reader.at("relative_attention_bias").matrix("weight", buckets, heads)?;
        Ok(Self { weight, max_distance: config.relative_attention_max_distance })
    }

    /// (1, h, l, l) for a sequence of `l` tokens.
    fn forward(&self, l: usize, device: &Device) -> Result<Tensor> {
        let (buckets, heads) = self.weight.dims()?;
        // The bucket depends only on key - query, from -(l - 1) to l - 1.
        let reach = l as i64 - 1;
        let by_distance: Vec<u32> =
            (-reach..=reach).map(|d| relative_position_bucket(d, buckets, self.max_distance) as u32).collect();
        // Row q holds the distances -q ..= l - 1 - q, a window of `l` that starts at l - 1 - q.
        let indices: Vec<u32> = by_distance.windows(l.max(1)).rev().flatten().copied().collect();
        let indices = Tensor::from_vec(indices, l * l, device)?;
        // (l l, h) -> (1, h, l, l)
        let bias = self.weight.rows(&indices)?.reshape((l, l, heads))?.permute((2, 0, 1))?;
        Ok(bias.unsqueeze(0)?.contiguous()?)
    }
}

/// The bucket of a distance key - query, in tokens: half of the `buckets` for keys that come later; of each half the
/// first half for the exact distances, the second one logarithmic up to `max_distance`, beyond which all share the
/// last (Raffel et al. 2020, section 2.1; transformers `T5Attention._relative_position_bucket`, bidirectional).
pub fn relative_position_bucket(distance: i64, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let later = if distance > 0 { half } else { 0 };
    let distance = distance.unsigned_abs() as usize;
    if distance < exact {
        return later + distance;
    }
    // In f32 as the reference, because the result is cut to a whole number.
    let ratio = (distance as f32 / exact as f32).ln() / (max_distance as f64 / exact as f64).ln() as f32;
    let logarithmic = exact + (ratio * (half - exact) as f32) as usize;
    later + logarithmic.min(half - 1)
}

/// (b, l) of 1 and 0 -> (b, 1, 1, l) of 0 and the lowest number: finite, so that a row that masks everything stays
/// a number.
fn bias_from_mask(mask: &Tensor) -> Result<Tensor> {
    // (1 - mask) * lowest
    let mask = mask.to_dtype(DType::F32)?.affine(f64::from(f32::MAX), f64::from(f32::MIN))?;
    // (b, l) -> (b, 1, 1, l)
    Ok(mask.unsqueeze(1)?.unsqueeze(1)?)
}
