//! The block of the SD3 transformers.

use candle_core::Tensor;

use super::Sd3Config;
use crate::Result;
use crate::mmdit::{CONTEXT_QKV, IMAGE, ModulatedNorm, Normed, QKV, QkvProjection, Sizes, Stream, TEXT};
use crate::ops::linear::Linear;
use crate::weights::Reader;

/// Text and image with their own weights, attending to each other (Esser et al. 2024,
/// <https://arxiv.org/abs/2403.03206>, figure 2b). In the first blocks of SD3.5 medium the image also attends to itself,
/// and after the last block nobody looks at the text any more.
#[derive(Debug)]
pub(super) struct JointBlock {
    text: Text,
    image: Stream,
    attn2: Option<SelfAttention>,
}

impl JointBlock {
    /// Reads block number `layer`.
    pub(super) fn load(config: &Sd3Config, layer: usize, reader: &Reader<'_>) -> Result<Self> {
        let sizes = config.sizes();
        let dual = config.dual_attention_layers.contains(&layer);
        Ok(Self {
            text: match layer + 1 == config.num_layers {
                true => Text::Last(LastText::load(sizes, reader)?),
                false => Text::Whole(Box::new(Stream::load(sizes, 2, reader, &TEXT)?)),
            },
            image: Stream::load(sizes, if dual { 3 } else { 2 }, reader, &IMAGE)?,
            attn2: dual.then(|| SelfAttention::load(sizes, &reader.at("attn2"))).transpose()?,
        })
    }

    /// (b, l, d) and (b, n, d), the new text, if anybody needs it, and image; `vector` is SiLU of the embedding, (b, d).
    pub(super) fn forward(&self, text: &Tensor, image: &Tensor, vector: &Tensor) -> Result<(Option<Tensor>, Tensor)> {
        let image_parts = self.image.modulations(vector)?;
        let (image_attn, image_ff) = (image_parts.of(0)?, image_parts.of(1)?);
        let normed = Normed::new(image)?;
        let image_qkv = self.image.qkv.forward(&image_attn.before(&normed)?)?;
        let (l, n) = (text.dim(1)?, image.dim(1)?);
        let (text, attended) = match &self.text {
            Text::Last(last) => {
                let text_qkv = last.qkv.forward(&last.norm1.forward(text, vector)?)?;
                (None, text_qkv.followed_by(&image_qkv)?.attend()?)
            }
            Text::Whole(stream) => {
                let text_parts = stream.modulations(vector)?;
                let (text_attn, text_ff) = (text_parts.of(0)?, text_parts.of(1)?);
                let text_qkv = stream.qkv.forward(&text_attn.before(&Normed::new(text)?)?)?;
                let attended = text_qkv.followed_by(&image_qkv)?.attend()?;
                let text = stream.attended(text, &attended.narrow(1, 0, l)?, &text_attn)?;
                (Some(stream.fed_forward(&text, &text_ff)?), attended)
            }
        };
        let mut x = self.image.attended(image, &attended.narrow(1, l, n)?, &image_attn)?;
        if let Some(attn2) = &self.attn2 {
            // Both attentions read the same x: only their modulations differ.
            let modulation = image_parts.of(2)?;
            x = modulation.after(&x, &attn2.forward(&modulation.before(&normed)?)?)?;
        }
        Ok((text, self.image.fed_forward(&x, &image_ff)?))
    }
}

/// The text half of a block.
#[derive(Debug)]
enum Text {
    /// The text goes on to the next block.
    Whole(Box<Stream>),
    /// The text is only looked at (`context_pre_only` of diffusers).
    Last(LastText),
}

/// What the image needs to look at the text.
#[derive(Debug)]
struct LastText {
    norm1: ModulatedNorm,
    qkv: QkvProjection,
}

impl LastText {
    fn load(sizes: Sizes, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            norm1: ModulatedNorm::load(sizes.hidden(), &reader.at("norm1_context"))?,
            qkv: QkvProjection::load(sizes, &reader.at("attn"), &CONTEXT_QKV)?,
        })
    }
}

/// The image attending to itself alone (MMDiT-X).
#[derive(Debug)]
struct SelfAttention {
    qkv: QkvProjection,
    to_out: Linear,
}

impl SelfAttention {
    fn load(sizes: Sizes, reader: &Reader<'_>) -> Result<Self> {
        let d = sizes.hidden();
        Ok(Self { qkv: QkvProjection::load(sizes, reader, &QKV)?, to_out: Linear::load(&reader.at("to_out.0"), d, d)? })
    }

    /// (b, n, d) -> (b, n, d)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.to_out.forward(&self.qkv.forward(x)?.attend()?)
    }
}
