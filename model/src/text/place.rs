//! Where the text encoders of a diffusers folder are, and how they are read.

use candle_core::{Device, Tensor};

use super::{ClipText, ClipTextConfig, Frame, T5Config, T5Encoder, Tokenizer, clip, t5};
use crate::family::Load;
use crate::weights::ModelFiles;
use crate::{Error, Result};

/// A text encoder's place in the folder.
pub(crate) struct Place {
    tokenizer: &'static str,
    /// Its weight file.
    pub(crate) weights: &'static str,
    /// Its configuration.
    pub(crate) config: &'static str,
}

impl Place {
    /// CLIP-L, in most families.
    pub(crate) const FIRST: Self =
        Self { tokenizer: "tokenizer", weights: "text_encoder/model.safetensors", config: "text_encoder/config.json" };
    /// T5 in FLUX.1, CLIP-G in SD3.
    pub(crate) const SECOND: Self = Self {
        tokenizer: "tokenizer_2",
        weights: "text_encoder_2/model.safetensors",
        config: "text_encoder_2/config.json",
    };
    /// T5 in SD3.
    pub(crate) const THIRD: Self = Self {
        tokenizer: "tokenizer_3",
        weights: "text_encoder_3/model.safetensors",
        config: "text_encoder_3/config.json",
    };

    /// The tokenizer of the encoder here, whose ids are put in `frame`.
    pub(crate) fn tokenizer(&self, files: &ModelFiles, frame: &Frame) -> Result<Tokenizer> {
        Tokenizer::of_folder(files, self.tokenizer, frame)
    }

    /// A CLIP encoder whose ids are put in `frame`.
    pub(crate) fn clip(&self, load: &Load<'_>, frame: &Frame) -> Result<(Tokenizer, ClipText)> {
        let config = ClipTextConfig::parse(self.config, &load.files.read(self.config)?)?;
        let tokenizer = self.tokenizer(load.files, frame)?;
        let encoder = load.part(self.weights, |reader| Ok((ClipText::load(&config, reader)?, clip::OPTIONAL)))?;
        Ok((tokenizer, encoder))
    }

    /// A T5 encoder that reads `length` tokens and gives features of `width`.
    pub(crate) fn t5(&self, load: &Load<'_>, length: usize, width: usize) -> Result<(Tokenizer, T5Encoder)> {
        let config = T5Config::parse(self.config, &load.files.read(self.config)?)?;
        if config.d_model != width {
            let what = format!("features are {} wide, but the transformer reads {width}", config.d_model);
            return Err(Error::Config { file: self.config.into(), what });
        }
        let tokenizer = self.tokenizer(load.files, &Frame::t5(length))?;
        let encoder = load.part(self.weights, |reader| Ok((T5Encoder::load(&config, reader)?, t5::OPTIONAL)))?;
        Ok((tokenizer, encoder))
    }
}

/// Ids as a batch of one, `(1, l)`.
pub(crate) fn row(ids: &[u32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(ids, (1, ids.len()), device)?)
}
