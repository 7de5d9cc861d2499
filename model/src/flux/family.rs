//! FLUX.1 as the pipeline sees it: which files it reads, how its text becomes conditioning.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};

use super::packing::PATCH;
use super::{FluxConfig, FluxTransformer};
use crate::family::{Encoding, Family, Load, TextEncoder, Transformer};
use crate::model_index::Pooled;
use crate::spec::TRANSFORMER;
use crate::text::{ClipText, Frame, Place, T5Encoder, Tokenizer, row};
use crate::weights::ModelFiles;
use crate::{Conditioning, Result};

/// The configuration of a FLUX.1 model.
pub struct FluxFamily {
    config: FluxConfig,
    pooled: Pooled,
}

impl FluxFamily {
    /// Reads `transformer/config.json` (`file`) of a diffusers folder.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if it contradicts itself.
    pub fn open(files: &ModelFiles, file: &str, pooled: Pooled) -> Result<Self> {
        Ok(Self { config: FluxConfig::parse(file, &files.read(file)?)?, pooled })
    }

    /// Where T5 lives: FLUX.1 has CLIP in the first place and T5 in the second; without CLIP, T5 is the first.
    fn t5_place(&self) -> &'static Place {
        match self.pooled {
            Pooled::Clip => &Place::SECOND,
            Pooled::T5Mean => &Place::FIRST,
        }
    }
}

impl Family for FluxFamily {
    fn kind(&self) -> &'static str {
        if self.config.guidance_embeds { "flux-dev" } else { "flux-schnell" }
    }

    /// Krea's weights are dev's, trained further: nothing in their configuration tells.
    fn twin(&self) -> Option<&'static str> {
        self.config.guidance_embeds.then_some("flux-krea-dev")
    }

    fn latent_channels(&self) -> usize {
        self.config.latent_channels()
    }

    fn patch(&self) -> usize {
        PATCH
    }

    fn hidden(&self) -> usize {
        self.config.hidden()
    }

    fn heads(&self) -> usize {
        self.config.num_attention_heads
    }

    fn text_weights(&self) -> Vec<&'static str> {
        match self.pooled {
            Pooled::Clip => vec![Place::FIRST.weights, Place::SECOND.weights],
            Pooled::T5Mean => vec![Place::FIRST.weights],
        }
    }

    fn tokenizers(&self, files: &ModelFiles, text_length: usize) -> Result<Vec<(&'static str, Tokenizer)>> {
        let t5 = ("T5", self.t5_place().tokenizer(files, &Frame::t5(text_length))?);
        Ok(match self.pooled {
            Pooled::T5Mean => vec![t5],
            Pooled::Clip => vec![("CLIP-L", Place::FIRST.tokenizer(files, &Frame::clip_l())?), t5],
        })
    }

    fn load_text(&self, load: &Load<'_>, text_length: usize) -> Result<Box<dyn TextEncoder>> {
        let pooling = match self.pooled {
            Pooled::T5Mean => Pooling::T5Mean,
            Pooled::Clip => Pooling::Clip(Box::new(Place::FIRST.clip(load, &Frame::clip_l())?)),
        };
        let (tokenizer, t5) = self.t5_place().t5(load, text_length, self.config.joint_attention_dim)?;
        Ok(Box::new(FluxText { pooling, tokenizer, t5, device: load.device.clone() }))
    }

    fn load_transformer(&self, load: &Load<'_>) -> Result<Box<dyn Transformer>> {
        let transformer = load.part(TRANSFORMER, |reader| {
            let transformer = FluxTransformer::load(&self.config, reader)?;
            let optional = transformer.optional_tensors();
            Ok((transformer, optional))
        })?;
        Ok(Box::new(transformer))
    }
}

/// T5 features of every position, and one vector for the whole prompt.
struct FluxText {
    pooling: Pooling,
    tokenizer: Tokenizer,
    t5: T5Encoder,
    device: Device,
}

/// Where the pooled vector comes from.
enum Pooling {
    /// The end token's features in CLIP-L.
    Clip(Box<(Tokenizer, ClipText)>),
    /// The mean over all positions of the T5 features.
    T5Mean,
}

impl TextEncoder for FluxText {
    fn encode(&self, prompt: &str) -> Result<Encoding> {
        let encoded = self.tokenizer.encode(prompt)?;
        // No attention mask: FLUX.1 lets T5 see its own padding (black-forest-labs/flux conditioner.py:34).
        let context = self.t5.forward(&row(&encoded.ids, &self.device)?, None)?;
        let pooled = match &self.pooling {
            // (1, l, d) -> (1, d)
            Pooling::T5Mean => context.mean(1)?,
            Pooling::Clip(clip) => {
                let (tokenizer, clip) = clip.as_ref();
                clip.forward(&row(&tokenizer.encode(prompt)?.ids, &self.device)?)?.pooled
            }
        };
        Ok(Encoding { context, pooled, cut: encoded.cut })
    }

    fn unknown_words(&self, known: &BTreeSet<String>, prompt: &str) -> Result<Vec<String>> {
        self.tokenizer.unknown_words(known, prompt)
    }
}

impl Transformer for FluxTransformer {
    fn velocity(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        self.forward(latents, conditioning, sigma, tick)
    }
}
