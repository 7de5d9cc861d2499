//! FLUX.1 as the pipeline sees it: which files it reads, how its text becomes conditioning.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};

use super::{FluxConfig, FluxTransformer};
use crate::family::{Encoding, Family, Load, TextEncoder, Transformer};
use crate::model_index::Pooled;
use crate::text::{ClipText, ClipTextConfig, Frame, T5Config, T5Encoder, Tokenizer, clip, t5};
use crate::vae::VaeConfig;
use crate::weights::ModelFiles;
use crate::{Conditioning, Error, Result};

/// The configuration of a FLUX.1 model.
pub struct FluxFamily {
    config: FluxConfig,
    pooled: Pooled,
}

/// A text encoder's place in the folder.
struct Place {
    tokenizer: &'static str,
    weights: &'static str,
    config: &'static str,
}

const FIRST: Place =
    Place { tokenizer: "tokenizer", weights: "text_encoder/model.safetensors", config: "text_encoder/config.json" };
const SECOND: Place = Place {
    tokenizer: "tokenizer_2",
    weights: "text_encoder_2/model.safetensors",
    config: "text_encoder_2/config.json",
};

impl FluxFamily {
    /// Reads `transformer/config.json` (`file`) of a diffusers folder.
    ///
    /// # Errors
    /// [`Error::Config`] if it contradicts itself.
    pub fn open(files: &ModelFiles, file: &str, pooled: Pooled) -> Result<Self> {
        Ok(Self { config: FluxConfig::parse(file, &files.read(file)?)?, pooled })
    }

    /// Where T5 lives: FLUX.1 has CLIP in the first place and T5 in the second; without CLIP, T5 is the first.
    fn t5_place(&self) -> &'static Place {
        match self.pooled {
            Pooled::Clip => &SECOND,
            Pooled::T5Mean => &FIRST,
        }
    }
}

impl Family for FluxFamily {
    fn kind(&self) -> &'static str {
        if self.config.guidance_embeds { "flux-dev" } else { "flux-schnell" }
    }

    fn check(&self, vae: &VaeConfig) -> Result<()> {
        let (transformer, vae) = (self.config.latent_channels(), vae.latent_channels);
        if transformer == vae {
            return Ok(());
        }
        let what = format!("{vae} latent channels, but the transformer works on {transformer}");
        Err(Error::Config { file: "vae/config.json".into(), what })
    }

    fn patch(&self) -> usize {
        2
    }

    fn hidden(&self) -> usize {
        self.config.hidden()
    }

    fn heads(&self) -> usize {
        self.config.num_attention_heads
    }

    fn text_weights(&self) -> Vec<&'static str> {
        match self.pooled {
            Pooled::Clip => vec![FIRST.weights, SECOND.weights],
            Pooled::T5Mean => vec![FIRST.weights],
        }
    }

    fn load_text(&self, load: &Load<'_>, text_length: usize) -> Result<Box<dyn TextEncoder>> {
        let pooling = match self.pooled {
            Pooled::T5Mean => Pooling::T5Mean,
            Pooled::Clip => {
                let config = ClipTextConfig::parse(FIRST.config, &load.files.read(FIRST.config)?)?;
                let tokenizer = clip_tokenizer(load.files, &FIRST)?;
                let encoder =
                    load.part(FIRST.weights, |reader| Ok((ClipText::load(&config, reader)?, clip::OPTIONAL)))?;
                Pooling::Clip(Box::new((tokenizer, encoder)))
            }
        };
        let place = self.t5_place();
        let config = T5Config::parse(place.config, &load.files.read(place.config)?)?;
        if config.d_model != self.config.joint_attention_dim {
            let what = format!(
                "features are {} wide, but the transformer reads {}",
                config.d_model, self.config.joint_attention_dim
            );
            return Err(Error::Config { file: place.config.into(), what });
        }
        let file = format!("{}/tokenizer.json", place.tokenizer);
        let tokenizer = Tokenizer::from_bytes(&file, &load.files.read(&file)?, &Frame::t5(text_length))?;
        let encoder = load.part(place.weights, |reader| Ok((T5Encoder::load(&config, reader)?, t5::OPTIONAL)))?;
        Ok(Box::new(FluxText { pooling, tokenizer, t5: encoder, device: load.device.clone() }))
    }

    fn load_transformer(&self, load: &Load<'_>) -> Result<Box<dyn Transformer>> {
        let transformer = load.part("transformer/diffusion_pytorch_model.safetensors", |reader| {
            let transformer = FluxTransformer::load(&self.config, reader)?;
            let optional = transformer.optional_tensors();
            Ok((transformer, optional))
        })?;
        Ok(Box::new(transformer))
    }
}

/// CLIP's tokenizer: `tokenizer.json` where there is one, else the two files FLUX.1 ships.
fn clip_tokenizer(files: &ModelFiles, place: &Place) -> Result<Tokenizer> {
    let file = format!("{}/tokenizer.json", place.tokenizer);
    if files.has(&file) {
        return Tokenizer::from_bytes(&file, &files.read(&file)?, &Frame::clip_l());
    }
    let (vocab, merges) = (format!("{}/vocab.json", place.tokenizer), format!("{}/merges.txt", place.tokenizer));
    let (vocab_json, merges_txt) = (files.read(&vocab)?, files.read(&merges)?);
    let merges_txt = std::str::from_utf8(&merges_txt)
        .map_err(|e| Error::Tokenizer { file: merges.clone(), what: format!("not UTF-8 ({e})") })?;
    Tokenizer::from_clip_vocabulary(&vocab, &vocab_json, merges_txt, &Frame::clip_l())
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

/// Ids as a batch of one, `(1, l)`.
fn row(ids: &[u32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(ids, (1, ids.len()), device)?)
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
