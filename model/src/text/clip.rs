//! The text half of CLIP (Radford et al. 2021, <https://arxiv.org/abs/2103.00020>; transformers
//! `models/clip/modeling_clip.py`): CLIP-L, whose pooled vector conditions FLUX.1, and CLIP-G, which SD3 adds.

use std::ops::ControlFlow;

use candle_core::{IndexOp, Tensor};
use serde::Deserialize;

use super::OnHidden;
use super::attention::SelfAttention;
use super::embedding::Embedding;
use crate::ops::activation::{gelu_erf, quick_gelu};
use crate::ops::linear::Linear;
use crate::ops::norm::layer_norm;
use crate::weights::Reader;
use crate::{Error, Result};

/// Tensors a checkpoint may hold without being read (see [`crate::weights::Weights::finish`]): older files store the
/// numbers 0, 1, 2, ... as a tensor, and files of the whole of CLIP hold its other half.
pub const OPTIONAL: &[&str] = &[
    "text_model.embeddings.position_ids",
    "embeddings.position_ids",
    "vision_model.",
    "visual_projection.",
    "logit_scale",
];

/// The nonlinearity of the feed-forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// x sigmoid(1.702 x): CLIP-L.
    QuickGelu,
    /// The exact GELU: CLIP-G.
    Gelu,
}

/// The sizes of an encoder, under the names of the `config.json` of transformers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ClipTextConfig {
    /// Tokens.
    pub vocab_size: usize,
    /// Channels between the layers.
    pub hidden_size: usize,
    /// Channels inside the feed-forward.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads, a divisor of `hidden_size`.
    pub num_attention_heads: usize,
    /// Learned positions: the longest sequence.
    pub max_position_embeddings: usize,
    /// Channels of the projected pooled vector, where a checkpoint has the projection.
    #[serde(default = "default_projection_dim")]
    pub projection_dim: usize,
    /// The nonlinearity.
    pub hidden_act: HiddenAct,
    /// Epsilon of the norms.
    pub layer_norm_eps: f64,
}

/// What transformers assumes for files that do not say (`configuration_clip.py`).
fn default_projection_dim() -> usize {
    512
}

impl ClipTextConfig {
    /// Reads a `config.json`; `file` is the name errors print. Fields not needed here are ignored.
    ///
    /// # Errors
    /// [`Error::Config`] if a field is missing, or the encoder is not one that this code computes.
    pub fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let wrong = |what: String| Error::Config { file: file.to_owned(), what };
        let config: Self = serde_json::from_slice(json).map_err(|e| wrong(e.to_string()))?;
        let Self { hidden_size, num_attention_heads: heads, .. } = config;
        if hidden_size == 0 || heads == 0 || !hidden_size.is_multiple_of(heads) {
            return Err(wrong(format!("hidden_size {hidden_size} cannot be divided among {heads} attention heads")));
        }
        if config.num_hidden_layers == 0 {
            return Err(wrong("num_hidden_layers must not be zero".into()));
        }
        Ok(config)
    }
}

/// What a prompt becomes. Which part conditions a picture depends on the model.
#[derive(Debug, Clone)]
pub struct ClipTextOutput {
    /// After the final norm, (b, l, c).
    pub last_hidden_state: Tensor,
    /// What the last layer is given, (b, l, c), without the final norm (SD3).
    pub penultimate: Tensor,
    /// The row of the end token in `last_hidden_state`, (b, c) (FLUX.1).
    pub pooled: Tensor,
    /// `pooled` through the text projection, (b, projection_dim), if the checkpoint has one (SD3).
    pub projected: Option<Tensor>,
}

/// The text encoder of CLIP.
#[derive(Debug)]
pub struct ClipText {
    token_embedding: Embedding,
    /// (positions, c).
    position_embedding: Tensor,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<Linear>,
    config: ClipTextConfig,
}

impl ClipText {
    /// Reads the encoder, with or without `text_model.` before the names, and the projection if there is one.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &ClipTextConfig, reader: &Reader<'_>) -> Result<Self> {
        // transformers 5 saves a `CLIPTextModel` without the prefix.
        let bare = reader.has("embeddings.token_embedding.weight");
        let model = if bare { reader.clone() } else { reader.at("text_model") };
        let (embeddings, layers) = (model.at("embeddings"), model.at("encoder.layers"));
        let width = config.hidden_size;
        let projection = reader.at("text_projection");
        Ok(Self {
            token_embedding: Embedding::load(&embeddings.at("token_embedding"), config.vocab_size, width)?,
            position_embedding: embeddings
                .at("position_embedding")
                .tensor("weight", (config.max_position_embeddings, width))?,
            layers: (0..config.num_hidden_layers).map(|i| Layer::load(config, &layers.at(i))).collect::<Result<_>>()?,
            final_layer_norm: LayerNorm::load(config, &model.at("final_layer_norm"))?,
            text_projection: projection
                .has("weight")
                .then(|| Linear::load_no_bias(&projection, width, config.projection_dim))
                .transpose()?,
            config: config.clone(),
        })
    }

    /// The sizes it was loaded with.
    pub fn config(&self) -> &ClipTextConfig {
        &self.config
    }

    /// Whether the checkpoint has the text projection.
    pub fn has_projection(&self) -> bool {
        self.text_projection.is_some()
    }

    /// Channels of the pooled vector, projected if there is a projection.
    pub fn pooled_width(&self) -> usize {
        if self.has_projection() { self.config.projection_dim } else { self.config.hidden_size }
    }

    /// ids (b, l) u32, l at most `max_position_embeddings`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are too many ids or one is not in the vocabulary.
    pub fn forward(&self, ids: &Tensor) -> Result<ClipTextOutput> {
        self.forward_observed(ids, &mut |_| ControlFlow::Continue(()))
    }

    /// [`Self::forward`] that shows the hidden states before every layer, and the last ones before the final norm.
    ///
    /// # Errors
    /// Those of [`Self::forward`], and [`Error::Cancelled`] if `observe` breaks.
    pub fn forward_observed(&self, ids: &Tensor, observe: OnHidden<'_>) -> Result<ClipTextOutput> {
        let (_, l) = ids.dims2()?;
        let positions = self.position_embedding.dims2()?.0;
        if l > positions {
            return Err(Error::invalid(
                format!("{l} tokens are too many for CLIP, which reads {positions}"),
                "cut the prompt to the length of the model",
            ));
        }
        let mut hidden = self.token_embedding.forward(ids)?.broadcast_add(&self.position_embedding.narrow(0, 0, l)?)?;
        let mut penultimate = hidden.clone();
        let bias = causal_bias(l, &hidden)?;
        for layer in &self.layers {
            if observe(&hidden).is_break() {
                return Err(Error::Cancelled);
            }
            penultimate = hidden;
            hidden = layer.forward(&penultimate, &bias)?;
        }
        if observe(&hidden).is_break() {
            return Err(Error::Cancelled);
        }
        let last_hidden_state = self.final_layer_norm.forward(&hidden)?;
        let pooled = end_rows(&last_hidden_state, ids)?;
        let projected = self.text_projection.as_ref().map(|projection| projection.forward(&pooled)).transpose()?;
        Ok(ClipTextOutput { last_hidden_state, penultimate, pooled, projected })
    }
}

/// (b, l, c) -> (b, c): the row of the first token with the highest id, which is the end token (openai/CLIP `model.py`,
/// `encode_text`; the `eos_token_id` of old configuration files is wrong).
fn end_rows(hidden: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let mut rows = Vec::new();
    for (item, ids) in ids.to_vec2::<u32>()?.iter().enumerate() {
        let highest = ids.iter().max();
        let end = ids.iter().position(|id| Some(id) == highest).unwrap_or(0);
        rows.push(hidden.i((item, end))?);
    }
    Ok(Tensor::stack(&rows, 0)?)
}

/// (l, l): 0 where a token may look, at itself and before, and the lowest number elsewhere.
fn causal_bias(l: usize, like: &Tensor) -> Result<Tensor> {
    let bias: Vec<f32> = (0..l).flat_map(|q| (0..l).map(move |k| if k > q { f32::MIN } else { 0.0 })).collect();
    Ok(Tensor::from_vec(bias, (l, l), like.device())?)
}

/// Self-attention and feed-forward, each behind a norm and beside a residual.
#[derive(Debug)]
struct Layer {
    layer_norm1: LayerNorm,
    self_attn: SelfAttention,
    layer_norm2: LayerNorm,
    fc1: Linear,
    act: HiddenAct,
    fc2: Linear,
}

impl Layer {
    fn load(config: &ClipTextConfig, reader: &Reader<'_>) -> Result<Self> {
        let (attention, mlp) = (reader.at("self_attn"), reader.at("mlp"));
        let (width, inner, heads) = (config.hidden_size, config.intermediate_size, config.num_attention_heads);
        Ok(Self {
            layer_norm1: LayerNorm::load(config, &reader.at("layer_norm1"))?,
            self_attn: SelfAttention {
                q: Linear::load(&attention.at("q_proj"), width, width)?,
                k: Linear::load(&attention.at("k_proj"), width, width)?,
                v: Linear::load(&attention.at("v_proj"), width, width)?,
                o: Linear::load(&attention.at("out_proj"), width, width)?,
                heads,
                scale: ((width / heads) as f64).sqrt().recip(),
            },
            layer_norm2: LayerNorm::load(config, &reader.at("layer_norm2"))?,
            fc1: Linear::load(&mlp.at("fc1"), width, inner)?,
            act: config.hidden_act,
            fc2: Linear::load(&mlp.at("fc2"), inner, width)?,
        })
    }

    /// x (b, l, c), bias (l, l) -> (b, l, c).
    fn forward(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let x = (x + self.self_attn.forward(&self.layer_norm1.forward(x)?, bias)?)?;
        let inner = self.fc1.forward(&self.layer_norm2.forward(&x)?)?;
        let inner = match self.act {
            HiddenAct::QuickGelu => quick_gelu(&inner)?,
            HiddenAct::Gelu => gelu_erf(&inner)?,
        };
        Ok((&x + self.fc2.forward(&inner)?)?)
    }
}

/// Layer norm with weight and bias.
#[derive(Debug)]
struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    fn load(config: &ClipTextConfig, reader: &Reader<'_>) -> Result<Self> {
        let width = config.hidden_size;
        let (weight, bias) = (reader.tensor("weight", width)?, reader.tensor("bias", width)?);
        Ok(Self { weight, bias, eps: config.layer_norm_eps })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, Some((&self.weight, &self.bias)), self.eps)
    }
}
