//! The parts of the FLUX.1 transformer, in forward order.

use candle_core::{Device, Tensor};

use super::FluxConfig;
use crate::conditioning::Conditioning;
use crate::ops::activation::{gelu_tanh, silu};
use crate::ops::attention::attention;
use crate::ops::linear::Linear;
use crate::ops::norm::{layer_norm, rms_norm};
use crate::ops::rope::Rotary;
use crate::ops::timestep::timestep_embedding;
use crate::weights::Reader;
use crate::{Error, Result};

const NORM_EPS: f64 = 1e-6;
/// Width of the sinusoid that carries a time.
const TIME_WIDTH: usize = 256;
/// Times and guidance are embedded on the scale of 1000 training steps.
const TIME_SCALE: f64 = 1000.0;
/// Width of the feed-forward layers, in widths of the residual stream.
const MLP_RATIO: usize = 4;

/// What all blocks are modulated by: time, strength of guidance and the pooled prompt.
#[derive(Debug)]
pub(super) struct TimeTextEmbed {
    timestep_embedder: Embedder,
    guidance_embedder: Option<Embedder>,
    text_embedder: Embedder,
}

impl TimeTextEmbed {
    pub(super) fn load(config: &FluxConfig, reader: &Reader<'_>) -> Result<Self> {
        let d = config.hidden();
        let guidance = reader.at("guidance_embedder");
        Ok(Self {
            timestep_embedder: Embedder::load(&reader.at("timestep_embedder"), TIME_WIDTH, d)?,
            guidance_embedder: match config.guidance_embeds {
                true => Some(Embedder::load(&guidance, TIME_WIDTH, d)?),
                false => None,
            },
            text_embedder: Embedder::load(&reader.at("text_embedder"), config.pooled_projection_dim, d)?,
        })
    }

    /// (b, d)
    pub(super) fn forward(&self, sigma: f64, conditioning: &Conditioning) -> Result<Tensor> {
        let device = conditioning.pooled.device();
        let sinusoid = |value: f64, device: &Device| timestep_embedding(&[TIME_SCALE * value], TIME_WIDTH, device);
        let mut embedding = self.timestep_embedder.forward(&sinusoid(sigma, device)?)?;
        if let Some(embedder) = &self.guidance_embedder {
            let Some(guidance) = conditioning.guidance else {
                let what = "this model takes the strength of guidance as an input, and none was given";
                return Err(Error::invalid(what, "give a guidance, such as 3.5"));
            };
            embedding = (embedding + embedder.forward(&sinusoid(guidance, device)?)?)?;
        }
        Ok(embedding.broadcast_add(&self.text_embedder.forward(&conditioning.pooled)?)?)
    }
}

/// Two linear maps with SiLU between.
#[derive(Debug)]
struct Embedder {
    linear_1: Linear,
    linear_2: Linear,
}

impl Embedder {
    fn load(reader: &Reader<'_>, inputs: usize, d: usize) -> Result<Self> {
        Ok(Self {
            linear_1: Linear::load(&reader.at("linear_1"), inputs, d)?,
            linear_2: Linear::load(&reader.at("linear_2"), d, d)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.linear_2.forward(&silu(&self.linear_1.forward(x)?)?)
    }
}

/// One part of an adaptive layer norm (Peebles & Xie 2022, <https://arxiv.org/abs/2212.09748>, figure 3, adaLN-Zero):
/// each (b, 1, d).
struct Modulation {
    shift: Tensor,
    scale: Tensor,
    gate: Tensor,
}

impl Modulation {
    /// The modulation of a block with one branch: `linear` is d -> 3 d, `vector` SiLU of the embedding, (b, d).
    fn one(linear: &Linear, vector: &Tensor) -> Result<Self> {
        let (b, d) = vector.dims2()?;
        // (b, 3 d) -> (b, 3, d)
        Self::part(&linear.forward(vector)?.reshape((b, 3, d))?, 0)
    }

    /// The modulations of a block with two branches, one after the other: `linear` is d -> 6 d.
    fn two(linear: &Linear, vector: &Tensor) -> Result<(Self, Self)> {
        let (b, d) = vector.dims2()?;
        // (b, 6 d) -> (b, 6, d)
        let m = linear.forward(vector)?.reshape((b, 6, d))?;
        Ok((Self::part(&m, 0)?, Self::part(&m, 3)?))
    }

    /// (b, 3 n, d) -> 3 x (b, 1, d)
    fn part(m: &Tensor, at: usize) -> Result<Self> {
        Ok(Self { shift: m.narrow(1, at, 1)?, scale: m.narrow(1, at + 1, 1)?, gate: m.narrow(1, at + 2, 1)? })
    }

    /// The normalised x, (b, l, d), before a branch.
    fn before(&self, x: &Tensor) -> Result<Tensor> {
        modulate(x, &self.shift, &self.scale)
    }

    /// x plus what the branch made of it.
    fn after(&self, x: &Tensor, branch: &Tensor) -> Result<Tensor> {
        Ok((x + branch.broadcast_mul(&self.gate)?)?)
    }
}

/// LN(x) (1 + scale) + shift.
fn modulate(x: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
    Ok(layer_norm(x, None, NORM_EPS)?.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(shift)?)
}

/// Queries, keys and values of some tokens, each (b, h, l, d).
struct Qkv {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Qkv {
    /// This sequence, then the other.
    fn followed_by(&self, other: &Self) -> Result<Self> {
        let join = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 2);
        Ok(Self { q: join(&self.q, &other.q)?, k: join(&self.k, &other.k)?, v: join(&self.v, &other.v)? })
    }

    /// (b, l, h d)
    fn attend(&self, rotary: &Rotary) -> Result<Tensor> {
        let (b, h, l, d) = self.q.dims4()?;
        let scale = (d as f64).sqrt().recip();
        let x = attention(&rotary.apply(&self.q)?, &rotary.apply(&self.k)?, &self.v, scale)?;
        // (b, h, l, d) -> (b, l, h d)
        Ok(x.transpose(1, 2)?.reshape((b, l, h * d))?)
    }
}

/// The names of the tensors that make queries, keys and values.
struct QkvNames {
    linear: [&'static str; 3],
    norm_q: &'static str,
    norm_k: &'static str,
}

const QKV: QkvNames = QkvNames { linear: ["to_q", "to_k", "to_v"], norm_q: "norm_q", norm_k: "norm_k" };
const CONTEXT_QKV: QkvNames =
    QkvNames { linear: ["add_q_proj", "add_k_proj", "add_v_proj"], norm_q: "norm_added_q", norm_k: "norm_added_k" };

/// x -> queries, keys and values, the first two normalised a head at a time (Dehghani et al. 2023,
/// <https://arxiv.org/abs/2302.05442>).
#[derive(Debug)]
struct QkvProjection {
    /// The three maps on top of each other: one large product is faster than three.
    qkv: Linear,
    norm_q: Tensor,
    norm_k: Tensor,
    heads: usize,
}

impl QkvProjection {
    fn load(config: &FluxConfig, reader: &Reader<'_>, names: &QkvNames) -> Result<Self> {
        let d = config.hidden();
        let read = |tensor: &str, shape: &[usize]| -> Result<Tensor> {
            let parts = names.linear.map(|name| reader.at(name).tensor(tensor, shape));
            Ok(Tensor::cat(&parts.into_iter().collect::<Result<Vec<_>>>()?, 0)?)
        };
        Ok(Self {
            qkv: Linear::new(read("weight", &[d, d])?, Some(read("bias", &[d])?)),
            norm_q: reader.at(names.norm_q).tensor("weight", config.attention_head_dim)?,
            norm_k: reader.at(names.norm_k).tensor("weight", config.attention_head_dim)?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Qkv> {
        let (b, l, d) = x.dims3()?;
        // (b, l, 3 h d) -> 3 x (b, h, l, d)
        let qkv = self.qkv.forward(x)?.reshape((b, l, 3, self.heads, d / self.heads))?;
        let qkv = qkv.permute((2, 0, 3, 1, 4))?.contiguous()?;
        Ok(Qkv {
            q: rms_norm(&qkv.get(0)?, &self.norm_q, NORM_EPS)?,
            k: rms_norm(&qkv.get(1)?, &self.norm_k, NORM_EPS)?,
            v: qkv.get(2)?,
        })
    }
}

/// The text half or the image half of a double block.
#[derive(Debug)]
struct Stream {
    /// d -> 6 d: the modulations of attention and feed-forward.
    norm1: Linear,
    qkv: QkvProjection,
    to_out: Linear,
    ff_in: Linear,
    ff_out: Linear,
}

/// The names of the tensors of one stream.
struct StreamNames {
    norm1: &'static str,
    qkv: QkvNames,
    to_out: &'static str,
    ff: &'static str,
}

impl Stream {
    fn load(config: &FluxConfig, reader: &Reader<'_>, names: &StreamNames) -> Result<Self> {
        let d = config.hidden();
        let (attn, ff) = (reader.at("attn"), reader.at(names.ff));
        Ok(Self {
            norm1: Linear::load(&reader.at(names.norm1).at("linear"), d, 6 * d)?,
            qkv: QkvProjection::load(config, &attn, &names.qkv)?,
            to_out: Linear::load(&attn.at(names.to_out), d, d)?,
            ff_in: Linear::load(&ff.at("net.0.proj"), d, MLP_RATIO * d)?,
            ff_out: Linear::load(&ff.at("net.2"), MLP_RATIO * d, d)?,
        })
    }

    /// x after attention's answer, (b, l, d), and the feed-forward layer.
    fn finish(&self, x: &Tensor, attended: &Tensor, attn: &Modulation, ff: &Modulation) -> Result<Tensor> {
        let x = attn.after(x, &self.to_out.forward(attended)?)?;
        let hidden = gelu_tanh(&self.ff_in.forward(&ff.before(&x)?)?)?;
        ff.after(&x, &self.ff_out.forward(&hidden)?)
    }
}

/// Text and image with their own weights, attending to each other (Esser et al. 2024,
/// <https://arxiv.org/abs/2403.03206>, figure 2b).
#[derive(Debug)]
pub(super) struct DoubleBlock {
    text: Stream,
    image: Stream,
}

impl DoubleBlock {
    pub(super) fn load(config: &FluxConfig, reader: &Reader<'_>) -> Result<Self> {
        let text = StreamNames { norm1: "norm1_context", qkv: CONTEXT_QKV, to_out: "to_add_out", ff: "ff_context" };
        let image = StreamNames { norm1: "norm1", qkv: QKV, to_out: "to_out.0", ff: "ff" };
        Ok(Self { text: Stream::load(config, reader, &text)?, image: Stream::load(config, reader, &image)? })
    }

    /// (b, l, d) and (b, n, d), the new text and image; `vector` is SiLU of the embedding, (b, d).
    pub(super) fn forward(
        &self,
        text: &Tensor,
        image: &Tensor,
        vector: &Tensor,
        rotary: &Rotary,
    ) -> Result<(Tensor, Tensor)> {
        let (text_attn, text_ff) = Modulation::two(&self.text.norm1, vector)?;
        let (image_attn, image_ff) = Modulation::two(&self.image.norm1, vector)?;
        let text_qkv = self.text.qkv.forward(&text_attn.before(text)?)?;
        let image_qkv = self.image.qkv.forward(&image_attn.before(image)?)?;
        let attended = text_qkv.followed_by(&image_qkv)?.attend(rotary)?;
        let (l, n) = (text.dim(1)?, image.dim(1)?);
        Ok((
            self.text.finish(text, &attended.narrow(1, 0, l)?, &text_attn, &text_ff)?,
            self.image.finish(image, &attended.narrow(1, l, n)?, &image_attn, &image_ff)?,
        ))
    }
}

/// Text and image as one sequence, attention and feed-forward side by side (Dehghani et al. 2023).
#[derive(Debug)]
pub(super) struct SingleBlock {
    /// d -> 3 d
    norm: Linear,
    qkv: QkvProjection,
    proj_mlp: Linear,
    proj_out: Linear,
}

impl SingleBlock {
    pub(super) fn load(config: &FluxConfig, reader: &Reader<'_>) -> Result<Self> {
        let d = config.hidden();
        Ok(Self {
            norm: Linear::load(&reader.at("norm.linear"), d, 3 * d)?,
            qkv: QkvProjection::load(config, &reader.at("attn"), &QKV)?,
            proj_mlp: Linear::load(&reader.at("proj_mlp"), d, MLP_RATIO * d)?,
            proj_out: Linear::load(&reader.at("proj_out"), (1 + MLP_RATIO) * d, d)?,
        })
    }

    /// (b, l + n, d) -> (b, l + n, d); `vector` is SiLU of the embedding, (b, d).
    pub(super) fn forward(&self, x: &Tensor, vector: &Tensor, rotary: &Rotary) -> Result<Tensor> {
        let modulation = Modulation::one(&self.norm, vector)?;
        let normed = modulation.before(x)?;
        let attended = self.qkv.forward(&normed)?.attend(rotary)?;
        let mlp = gelu_tanh(&self.proj_mlp.forward(&normed)?)?;
        // (b, l + n, d) and (b, l + n, 4 d) -> (b, l + n, 5 d)
        modulation.after(x, &self.proj_out.forward(&Tensor::cat(&[attended, mlp], 2)?)?)
    }
}

/// The last norm, modulated without a gate.
#[derive(Debug)]
pub(super) struct NormOut {
    /// d -> 2 d
    linear: Linear,
}

impl NormOut {
    pub(super) fn load(config: &FluxConfig, reader: &Reader<'_>) -> Result<Self> {
        let d = config.hidden();
        Ok(Self { linear: Linear::load(&reader.at("linear"), d, 2 * d)? })
    }

    /// (b, n, d) -> (b, n, d); `vector` is SiLU of the embedding, (b, d).
    pub(super) fn forward(&self, x: &Tensor, vector: &Tensor) -> Result<Tensor> {
        let (b, d) = vector.dims2()?;
        // (b, 2 d) -> 2 x (b, 1, d). Scale first, unlike in the blocks and in the original files.
        let m = self.linear.forward(vector)?.reshape((b, 2, d))?;
        modulate(x, &m.narrow(1, 1, 1)?, &m.narrow(1, 0, 1)?)
    }
}
