//! A prompt as SD3 reads it: two CLIP encoders and T5 side by side.

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};

use super::Sd3Config;
use crate::family::{Encoding, Load, TextEncoder};
use crate::text::{ClipText, ClipTextOutput, Frame, Place, T5Encoder, Tokenizer, row};
use crate::{Error, Result};

/// CLIP-L and CLIP-G, whose features stand beside each other, and T5, whose features follow (Esser et al. 2024,
/// <https://arxiv.org/abs/2403.03206>, section 4 and figure 2a; diffusers `pipeline_stable_diffusion_3.py`).
pub(super) struct Sd3Text {
    clip_l: (Tokenizer, ClipText),
    clip_g: (Tokenizer, ClipText),
    t5: Option<(Tokenizer, T5Encoder)>,
    /// Tokens of the T5 part, also where there is no T5.
    text_length: usize,
    /// Width of a feature.
    width: usize,
    device: Device,
}

/// Which encoders a folder has, and how much they read.
pub(super) struct Reading {
    /// Whether there is T5.
    pub(super) t5: bool,
    /// Tokens of the T5 part.
    pub(super) text_length: usize,
}

impl Sd3Text {
    /// Reads the encoders, of which T5 may be missing.
    pub(super) fn load(config: &Sd3Config, reading: &Reading, load: &Load<'_>) -> Result<Self> {
        let (clip_l, clip_g) =
            (Place::FIRST.clip(load, &Frame::clip_l())?, Place::SECOND.clip(load, &Frame::clip_g())?);
        let (l, g) = (clip_l.1.config(), clip_g.1.config());
        let broken = |place: &Place, what| Err(Error::Config { file: place.config.into(), what });
        let width = config.joint_attention_dim;
        if l.hidden_size.saturating_add(g.hidden_size) > width {
            let (l, g) = (l.hidden_size, g.hidden_size);
            let what = format!("features are {g} wide, those of CLIP-L {l}, but the transformer reads {width}");
            return broken(&Place::SECOND, what);
        }
        // The projection of CLIP-L is left out where it is the identity; that of CLIP-G never is.
        if !clip_g.1.has_projection() {
            return Err(Error::MissingTensor {
                file: Place::SECOND.weights.into(),
                tensor: "text_projection.weight".into(),
                expected: vec![g.projection_dim, g.hidden_size],
            });
        }
        let pooled = [&clip_l.1, &clip_g.1].map(ClipText::pooled_width);
        if pooled[0].saturating_add(pooled[1]) != config.pooled_projection_dim {
            let what = format!(
                "pooled features are {} wide, those of CLIP-L {}, but the transformer reads {}",
                pooled[1], pooled[0], config.pooled_projection_dim
            );
            return broken(&Place::SECOND, what);
        }
        let t5 = reading.t5.then(|| Place::THIRD.t5(load, reading.text_length, width)).transpose()?;
        Ok(Self { clip_l, clip_g, t5, text_length: reading.text_length, width, device: load.device.clone() })
    }

    /// What one CLIP encoder makes of the prompt, and what it cut off.
    fn clip(
        &self,
        (tokenizer, clip): &(Tokenizer, ClipText),
        prompt: &str,
    ) -> Result<(ClipTextOutput, Option<String>)> {
        let encoded = tokenizer.encode(prompt)?;
        Ok((clip.forward(&row(&encoded.ids, &self.device)?)?, encoded.cut))
    }
}

impl TextEncoder for Sd3Text {
    fn encode(&self, prompt: &str) -> Result<Encoding> {
        let (l, clip_cut) = self.clip(&self.clip_l, prompt)?;
        let (g, _) = self.clip(&self.clip_g, prompt)?;
        // (1, 77, c_l) and (1, 77, c_g) -> (1, 77, d), filled up with zeros
        let clip = Tensor::cat(&[&l.penultimate, &g.penultimate], 2)?;
        let clip = clip.pad_with_zeros(2, 0, self.width - clip.dim(2)?)?;
        let (t5, cut) = match &self.t5 {
            // No attention mask: T5 sees its own padding.
            Some((tokenizer, t5)) => {
                let encoded = tokenizer.encode(prompt)?;
                (t5.forward(&row(&encoded.ids, &self.device)?, None)?, encoded.cut)
            }
            None => (Tensor::zeros((1, self.text_length, self.width), DType::F32, &self.device)?, clip_cut),
        };
        // (1, 77, d) and (1, l, d) -> (1, 77 + l, d)
        let context = Tensor::cat(&[clip, t5], 1)?;
        // (1, p_l) and (1, p_g) -> (1, p)
        let pooled = Tensor::cat(&[l.projected.unwrap_or(l.pooled), g.projected.unwrap_or(g.pooled)], 1)?;
        Ok(Encoding { context, pooled, cut })
    }

    fn unknown_words(&self, known: &BTreeSet<String>, prompt: &str) -> Result<Vec<String>> {
        let tokenizer = self.t5.as_ref().map_or(&self.clip_l.0, |(tokenizer, _)| tokenizer);
        tokenizer.unknown_words(known, prompt)
    }
}
