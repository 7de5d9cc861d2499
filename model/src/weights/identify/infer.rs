//! The sizes of a part, from the shapes of its tensors: the `config.json` that diffusers or transformers would write.
//!
//! What shapes cannot tell has the published value where the shapes are published ones, and is a guess elsewhere.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Found, Layout, Role, layout};
use crate::{Error, Result};

/// What was inferred about a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inferred {
    /// The fields of its configuration.
    pub config: Map<String, Value>,
    /// What had to be guessed: fields of the configuration.
    pub guessed: Vec<&'static str>,
}

/// Width of an attention head in FLUX.1.
const FLUX_HEAD: usize = 128;
/// Width of an attention head in SD3 and CLIP.
const HEAD: usize = 64;
/// Width of a head in encoders too narrow for [`HEAD`].
const SMALL_HEAD: usize = 8;
/// Groups of the group norms in published autoencoders.
const GROUPS: usize = 32;

impl Found {
    /// The part's configuration, in a model of the family `layout` (which decides the factors of the autoencoder).
    ///
    /// # Errors
    /// [`Error::WeightFile`] naming a tensor that must be there, or whose shape contradicts itself.
    pub fn infer(&self, layout: Option<&Layout>) -> Result<Inferred> {
        match (self.role, self.layout) {
            (Role::Transformer, Some(family)) if *family == layout::SD3 => self.sd3(),
            (Role::Transformer, _) => self.flux(),
            (Role::Vae, _) => self.vae(layout.unwrap_or(&layout::FLUX)),
            (Role::ClipL, _) => self.clip("quick_gelu"),
            (Role::ClipG, _) => self.clip("gelu"),
            (Role::T5, _) => self.t5(),
        }
    }

    fn flux(&self) -> Result<Inferred> {
        let [hidden, channels] = self.dims("x_embedder.weight")?;
        let [_, context] = self.dims("context_embedder.weight")?;
        let [_, pooled] = self.dims("time_text_embed.text_embedder.linear_1.weight")?;
        let [out, _] = self.dims("proj_out.weight")?;
        if out != channels {
            let what = format!("{} reads {channels} channels and makes {out}", self.file);
            let hint = "it is made for inpainting or control (FLUX.1 Fill, Depth, Canny); use a text-to-image model";
            return Err(Error::invalid(what, hint));
        }
        let single = self.layers("single_transformer_blocks.");
        let [head] = self.dims("single_transformer_blocks.0.attn.norm_q.weight")?;
        let mut guessed = Vec::new();
        if head != FLUX_HEAD {
            guessed.push("axes_dims_rope");
        }
        // Rows and columns take 7/16 each, a whole number of pairs, the index the rest: 16, 56, 56 of 128.
        let side = head.saturating_mul(7) / 32 * 2;
        let axes = [head.saturating_sub(side.saturating_mul(2)), side, side];
        Ok(Inferred::new(
            guessed,
            json!({
                "_class_name": layout::FLUX.class, "in_channels": channels, "out_channels": null,
                "num_layers": self.layers("transformer_blocks."), "num_single_layers": single,
                "attention_head_dim": head, "num_attention_heads": self.divided(hidden, head, "heads")?,
                "joint_attention_dim": context, "pooled_projection_dim": pooled,
                "guidance_embeds": self.has("time_text_embed.guidance_embedder.linear_1.weight"),
                "axes_dims_rope": axes, "patch_size": 1,
            }),
        ))
    }

    /// As Stability-AI/sd3.5 `sd3_impls.py:74-110` does it: heads are 64 wide, and there are as many as blocks.
    fn sd3(&self) -> Result<Inferred> {
        let [hidden, channels, patch, _] = self.dims("pos_embed.proj.weight")?;
        let [_, context] = self.dims("context_embedder.weight")?;
        let [_, pooled] = self.dims("time_text_embed.text_embedder.linear_1.weight")?;
        let [_, positions, _] = self.dims("pos_embed.pos_embed")?;
        let layers = self.layers("transformer_blocks.");
        let mut guessed = Vec::new();
        let heads = match self.dims("transformer_blocks.0.attn.norm_q.weight") {
            Ok([head]) => self.divided(hidden, head, "heads")?,
            Err(_) if hidden.is_multiple_of(HEAD) && hidden > 0 => hidden / HEAD,
            Err(_) => {
                guessed.push("num_attention_heads");
                if layers > 0 && hidden.is_multiple_of(layers) { layers } else { 1 }
            }
        };
        let side = positions.isqrt();
        if side.checked_mul(side) != Some(positions) {
            return Err(self.broken(format!("'pos_embed' has {positions} positions, which is no square")));
        }
        let dual = (0..layers).filter(|layer| self.has(&format!("transformer_blocks.{layer}.attn2.to_q.weight")));
        let qk_norm = self.has("transformer_blocks.0.attn.norm_q.weight").then_some("rms_norm");
        Ok(Inferred::new(
            guessed,
            json!({
                "_class_name": layout::SD3.class, "in_channels": channels, "out_channels": channels,
                "patch_size": patch, "num_layers": layers, "attention_head_dim": self.divided(hidden, heads, "heads")?,
                "num_attention_heads": heads, "joint_attention_dim": context, "caption_projection_dim": hidden,
                "pooled_projection_dim": pooled, "pos_embed_max_size": side, "qk_norm": qk_norm,
                "dual_attention_layers": dual.collect::<Vec<_>>(),
            }),
        ))
    }

    fn vae(&self, family: &Layout) -> Result<Inferred> {
        let [_, latents, _, _] = self.dims("decoder.conv_in.weight")?;
        let levels = self.layers("decoder.up_blocks.");
        let mut channels = Vec::new();
        // The decoder's levels are numbered from the latents outwards.
        for level in (0..levels).rev() {
            let [out, ..] = self.dims::<4>(&format!("decoder.up_blocks.{level}.resnets.0.conv1.weight"))?;
            channels.push(out);
        }
        let residual = self.layers("decoder.up_blocks.0.resnets.");
        let layers = residual.checked_sub(1).ok_or_else(|| self.missing("decoder.up_blocks.0.resnets.0"))?;
        let mut guessed = Vec::new();
        let groups = match channels.iter().all(|channels| channels.is_multiple_of(4 * GROUPS)) {
            true => GROUPS,
            false => {
                guessed.push("norm_num_groups");
                // At least two channels a group: one alone would be another kind of norm.
                let common = channels.iter().copied().reduce(greatest_common_divisor).unwrap_or(1);
                (1..=GROUPS.min(common / 2)).rev().find(|groups| common.is_multiple_of(*groups)).unwrap_or(1)
            }
        };
        Ok(Inferred::new(
            guessed,
            json!({
                "_class_name": "AutoencoderKL", "block_out_channels": channels, "layers_per_block": layers,
                "latent_channels": latents, "norm_num_groups": groups,
                "scaling_factor": family.scaling_factor, "shift_factor": family.shift_factor,
                "use_quant_conv": self.has("quant_conv.weight"), "use_post_quant_conv": self.has("post_quant_conv.weight"),
                "mid_block_add_attention": self.has("decoder.mid_block.attentions.0.to_q.weight"),
            }),
        ))
    }

    fn clip(&self, activation: &str) -> Result<Inferred> {
        let begin = if self.has("text_model.embeddings.token_embedding.weight") { "text_model." } else { "" };
        let at = |name: &str| format!("{begin}{name}");
        let [vocabulary, hidden] = self.dims(&at("embeddings.token_embedding.weight"))?;
        let [positions, _] = self.dims(&at("embeddings.position_embedding.weight"))?;
        let [inner, _] = self.dims(&at("encoder.layers.0.mlp.fc1.weight"))?;
        let projection = self.dims("text_projection.weight").map_or(hidden, |[out, _]: [usize; 2]| out);
        let mut guessed = Vec::new();
        let head = match hidden.is_multiple_of(HEAD) {
            true => HEAD,
            false => {
                guessed.push("num_attention_heads");
                if hidden.is_multiple_of(SMALL_HEAD) { SMALL_HEAD } else { hidden }
            }
        };
        if !self.sure && hidden != 768 && hidden != 1280 {
            guessed.push("hidden_act");
        }
        Ok(Inferred::new(
            guessed,
            json!({
                "model_type": "clip_text_model", "vocab_size": vocabulary, "hidden_size": hidden,
                "intermediate_size": inner, "num_hidden_layers": self.layers(&at("encoder.layers.")),
                "num_attention_heads": self.divided(hidden, head, "heads")?, "max_position_embeddings": positions,
                "projection_dim": projection, "hidden_act": activation, "layer_norm_eps": 1e-5,
            }),
        ))
    }

    fn t5(&self) -> Result<Inferred> {
        let shared = ["shared.weight", "encoder.embed_tokens.weight"].into_iter().find(|name| self.has(name));
        let [vocabulary, width] = self.dims(shared.unwrap_or("shared.weight"))?;
        let at = |name: &str| format!("encoder.block.0.layer.{name}.weight");
        let [inner, _] = self.dims(&at("0.SelfAttention.q"))?;
        let [buckets, heads] = self.dims(&at("0.SelfAttention.relative_attention_bias"))?;
        let [feed_forward, _] = self.dims(&at("1.DenseReluDense.wi_0"))?;
        Ok(Inferred::new(
            Vec::new(),
            json!({
                "model_type": "t5", "vocab_size": vocabulary, "d_model": width,
                "d_kv": self.divided(inner, heads, "heads")?, "d_ff": feed_forward, "num_heads": heads,
                "num_layers": self.layers("encoder.block."), "relative_attention_num_buckets": buckets,
                "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6, "feed_forward_proj": "gated-gelu",
            }),
        ))
    }

    fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    /// The shape of a tensor that must be there.
    fn dims<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let shape = self.shapes.get(name).ok_or_else(|| self.missing(name))?;
        let dims = shape.as_slice().try_into();
        dims.map_err(|_| self.broken(format!("tensor '{name}' has shape {shape:?}; {N} dimensions were expected")))
    }

    /// How many numbers follow `begin` in the names.
    fn layers(&self, begin: &str) -> usize {
        let number = |name: &String| name.strip_prefix(begin)?.split_once('.')?.0.parse::<usize>().ok();
        self.shapes.keys().filter_map(number).collect::<BTreeSet<_>>().len()
    }

    fn divided(&self, width: usize, by: usize, what: &str) -> Result<usize> {
        match by > 0 && width.is_multiple_of(by) {
            true => Ok(width / by),
            false => Err(self.broken(format!("a width of {width} cannot be divided into {what} ({by})"))),
        }
    }

    fn missing(&self, name: &str) -> Error {
        self.broken(format!("tensor '{name}' is missing from its {}", self.role.name()))
    }

    fn broken(&self, what: String) -> Error {
        Error::WeightFile { file: self.file.clone(), what }
    }
}

impl Inferred {
    fn new(guessed: Vec<&'static str>, config: Value) -> Self {
        let config = if let Value::Object(config) = config { config } else { Map::new() };
        Self { config, guessed }
    }

    /// Puts what somebody says about the part over what its shapes tell.
    pub fn overlay(&mut self, said: &Map<String, Value>) {
        self.guessed.retain(|field| !said.contains_key(*field));
        self.config.extend(said.iter().map(|(field, value)| (field.clone(), value.clone())));
    }

    /// A whole number of the configuration; 0 if it is not there.
    pub fn size(&self, field: &str) -> usize {
        self.config.get(field).and_then(Value::as_u64).map_or(0, |size| size as usize)
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
