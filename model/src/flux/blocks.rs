//! The blocks of the FLUX.1 transformer, in forward order.

use candle_core::Tensor;

use crate::Result;
use crate::mmdit::{IMAGE, MLP_RATIO, Modulations, Normed, QKV, QkvProjection, Sizes, Stream, TEXT};
use crate::ops::activation::gelu_tanh;
use crate::ops::linear::Linear;
use crate::ops::rope::Rotary;
use crate::weights::Reader;

/// Text and image with their own weights, attending to each other (Esser et al. 2024,
/// <https://arxiv.org/abs/2403.03206>, figure 2b).
#[derive(Debug)]
pub(super) struct DoubleBlock {
    text: Stream,
    image: Stream,
}

impl DoubleBlock {
    pub(super) fn load(sizes: Sizes, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self { text: Stream::load(sizes, 2, reader, &TEXT)?, image: Stream::load(sizes, 2, reader, &IMAGE)? })
    }

    /// (b, l, d) and (b, n, d), the new text and image; `vector` is SiLU of the embedding, (b, d).
    pub(super) fn forward(
        &self,
        text: &Tensor,
        image: &Tensor,
        vector: &Tensor,
        rotary: &Rotary,
    ) -> Result<(Tensor, Tensor)> {
        let (text_parts, image_parts) = (self.text.modulations(vector)?, self.image.modulations(vector)?);
        let (text_attn, text_ff) = (text_parts.of(0)?, text_parts.of(1)?);
        let (image_attn, image_ff) = (image_parts.of(0)?, image_parts.of(1)?);
        let text_qkv = self.text.qkv.forward(&text_attn.before(&Normed::new(text)?)?)?;
        let image_qkv = self.image.qkv.forward(&image_attn.before(&Normed::new(image)?)?)?;
        let attended = text_qkv.followed_by(&image_qkv)?.turned(rotary)?.attend()?;
        let (l, n) = (text.dim(1)?, image.dim(1)?);
        let text = self.text.attended(text, &attended.narrow(1, 0, l)?, &text_attn)?;
        let image = self.image.attended(image, &attended.narrow(1, l, n)?, &image_attn)?;
        Ok((self.text.fed_forward(&text, &text_ff)?, self.image.fed_forward(&image, &image_ff)?))
    }
}

/// Text and image as one sequence, attention and feed-forward side by side (Dehghani et al. 2023,
/// <https://arxiv.org/abs/2302.05442>).
#[derive(Debug)]
pub(super) struct SingleBlock {
    /// d -> 3 d
    norm: Linear,
    qkv: QkvProjection,
    proj_mlp: Linear,
    proj_out: Linear,
}

impl SingleBlock {
    pub(super) fn load(sizes: Sizes, reader: &Reader<'_>) -> Result<Self> {
        let d = sizes.hidden();
        Ok(Self {
            norm: Linear::load(&reader.at("norm.linear"), d, 3 * d)?,
            qkv: QkvProjection::load(sizes, &reader.at("attn"), &QKV)?,
            proj_mlp: Linear::load(&reader.at("proj_mlp"), d, MLP_RATIO * d)?,
            proj_out: Linear::load(&reader.at("proj_out"), (1 + MLP_RATIO) * d, d)?,
        })
    }

    /// (b, l + n, d) -> (b, l + n, d); `vector` is SiLU of the embedding, (b, d).
    pub(super) fn forward(&self, x: &Tensor, vector: &Tensor, rotary: &Rotary) -> Result<Tensor> {
        let modulation = Modulations::new(&self.norm, vector)?.of(0)?;
        let normed = modulation.before(&Normed::new(x)?)?;
        let attended = self.qkv.forward(&normed)?.turned(rotary)?.attend()?;
        let mlp = gelu_tanh(&self.proj_mlp.forward(&normed)?)?;
        // (b, l + n, d) and (b, l + n, 4 d) -> (b, l + n, 5 d)
        modulation.after(x, &self.proj_out.forward(&Tensor::cat(&[attended, mlp], 2)?)?)
    }
}
