//! SD3 and SD3.5 as the pipeline sees them: which files they read, what they can do.

use candle_core::Tensor;

use super::text::{Reading, Sd3Text};
use super::{Sd3Config, Sd3Transformer, Skipping};
use crate::family::{Family, Load, TextEncoder, Transformer};
use crate::probe::OnTick;
use crate::spec::TRANSFORMER;
use crate::text::{Frame, Place, Tokenizer};
use crate::weights::ModelFiles;
use crate::{Conditioning, Result, Warning};

/// The configuration of an SD3 or SD3.5 model.
pub struct Sd3Family {
    config: Sd3Config,
    /// Whether the folder has the third text encoder, which is larger than most of the models.
    t5: bool,
}

impl Sd3Family {
    /// Reads `transformer/config.json` (`file`) of a diffusers folder.
    ///
    /// # Errors
    /// [`crate::Error::Config`] if it contradicts itself.
    pub fn open(files: &ModelFiles, file: &str) -> Result<Self> {
        let config = Sd3Config::parse(file, &files.read(file)?)?;
        // One of its two files alone is a damaged T5, which loading will say; without both it was left out on purpose.
        let t5 = files.has(Place::THIRD.config) || files.has_weights(Place::THIRD.weights);
        Ok(Self { config, t5 })
    }
}

/// The kind that turbo cannot be told from.
const LARGE: &str = "sd3.5-large";

impl Family for Sd3Family {
    fn kind(&self) -> &'static str {
        match (self.config.qk_norm, self.config.dual_attention_layers.is_empty()) {
            (None, _) => "sd3-medium",
            (Some(_), false) => "sd3.5-medium",
            (Some(_), true) => LARGE,
        }
    }

    /// Turbo is large with fewer steps: nothing in its configuration tells.
    fn twin(&self) -> Option<&'static str> {
        (self.kind() == LARGE).then_some("sd3.5-large-turbo")
    }

    fn warnings(&self) -> Vec<Warning> {
        let message = || {
            let tokens = Frame::CLIP_LENGTH;
            format!("the model has no T5 (text_encoder_3): only CLIP reads the prompt, {tokens} tokens of it")
        };
        if self.t5 { Vec::new() } else { vec![Warning::new("t5-missing", message())] }
    }

    fn latent_channels(&self) -> usize {
        self.config.in_channels
    }

    fn patch(&self) -> usize {
        self.config.patch_size
    }

    fn longest_side(&self) -> Option<usize> {
        Some(self.config.pos_embed_max_size)
    }

    fn hidden(&self) -> usize {
        self.config.hidden()
    }

    fn heads(&self) -> usize {
        self.config.num_attention_heads
    }

    fn layers(&self) -> usize {
        self.config.num_layers
    }

    fn text_tokens(&self, text_length: usize) -> usize {
        Frame::CLIP_LENGTH + text_length
    }

    fn prompt_tokens(&self, text_length: usize) -> usize {
        if self.t5 { text_length } else { Frame::CLIP_LENGTH }
    }

    fn text_weights(&self) -> Vec<&'static str> {
        let t5 = self.t5.then_some(Place::THIRD.weights);
        [Place::FIRST.weights, Place::SECOND.weights].into_iter().chain(t5).collect()
    }

    fn tokenizers(&self, files: &ModelFiles, text_length: usize) -> Result<Vec<(&'static str, Tokenizer)>> {
        let mut tokenizers = vec![
            ("CLIP-L", Place::FIRST.tokenizer(files, &Frame::clip_l())?),
            ("CLIP-G", Place::SECOND.tokenizer(files, &Frame::clip_g())?),
        ];
        if self.t5 {
            tokenizers.push(("T5", Place::THIRD.tokenizer(files, &Frame::t5(text_length))?));
        }
        Ok(tokenizers)
    }

    fn load_text(&self, load: &Load<'_>, text_length: usize) -> Result<Box<dyn TextEncoder>> {
        let reading = Reading { t5: self.t5, text_length };
        Ok(Box::new(Sd3Text::load(&self.config, &reading, load)?))
    }

    fn load_transformer(&self, load: &Load<'_>) -> Result<Box<dyn Transformer>> {
        let transformer =
            load.part(TRANSFORMER, |reader| Ok((Sd3Transformer::load(&self.config, reader)?, &[][..])))?;
        Ok(Box::new(transformer))
    }
}

impl Transformer for Sd3Transformer {
    fn velocity(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        self.forward(latents, conditioning, sigma, tick)
    }

    fn without(&self, layers: &[usize]) -> Result<Box<dyn Transformer + '_>> {
        Ok(Box::new(self.skipping(layers)?))
    }
}

impl Transformer for Skipping<'_> {
    fn velocity(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        self.forward_probed(latents, conditioning, sigma, &mut OnTick(tick))
    }
}
