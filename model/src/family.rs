//! The seam between the pipeline and the families of networks. A family is one folder that implements these traits and
//! one arm in [`open`].

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::model_index::ModelIndex;
use crate::text::Tokenizer;
use crate::weights::{Adapters, Fallbacks, Holding, ModelFiles, Reader};
use crate::{Conditioning, Error, Result, Warning, flux, sd3};

/// A family as far as its configuration files tell: what it needs, and how its parts are read.
pub trait Family: Send + Sync {
    /// The catalogue entry whose defaults suit this configuration.
    fn kind(&self) -> &'static str;

    /// Another catalogue entry whose models have the same configuration, so that a folder must say that it is one.
    fn twin(&self) -> Option<&'static str> {
        None
    }

    /// What the user should know about this configuration.
    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }

    /// Channels of the latents the transformer works on.
    fn latent_channels(&self) -> usize;

    /// Latents a token covers along one side.
    fn patch(&self) -> usize;

    /// Most tokens along one side, where there is a limit.
    fn longest_side(&self) -> Option<usize> {
        None
    }

    /// Width of the transformer.
    fn hidden(&self) -> usize;

    /// Attention heads.
    fn heads(&self) -> usize;

    /// Layers of the transformer of which some can be skipped, see [`Transformer::without`]; 0 if none can.
    fn layers(&self) -> usize {
        0
    }

    /// Tokens of text that the transformer is given, if the model's text length is `text_length`.
    fn text_tokens(&self, text_length: usize) -> usize {
        text_length
    }

    /// Tokens of a prompt that some encoder reads, if the model's text length is `text_length`.
    fn prompt_tokens(&self, text_length: usize) -> usize {
        text_length
    }

    /// Weight files of the text encoders, in the order of use.
    fn text_weights(&self) -> Vec<&'static str>;

    /// The tokenizers of the text encoders, each with its encoder's name; the last is of the one that reads most.
    ///
    /// # Errors
    /// Those of the tokenizers' files.
    fn tokenizers(&self, files: &ModelFiles, text_length: usize) -> Result<Vec<(&'static str, Tokenizer)>>;

    /// Reads the text encoders.
    ///
    /// # Errors
    /// Those of the weight files and tokenizers.
    fn load_text(&self, load: &Load<'_>, text_length: usize) -> Result<Box<dyn TextEncoder>>;

    /// Reads the transformer.
    ///
    /// # Errors
    /// Those of the weight file.
    fn load_transformer(&self, load: &Load<'_>) -> Result<Box<dyn Transformer>>;
}

/// Where weights come from and go to, and who hears of it.
pub struct Load<'a> {
    /// The model's files.
    pub files: &'a ModelFiles,
    /// Where tensors are put.
    pub device: &'a Device,
    /// How matrices are held.
    pub holding: Holding,
    /// Where it is noted which of them are not held as they should be.
    pub fallbacks: &'a Fallbacks,
    /// What is added to the weights.
    pub adapters: &'a Adapters,
    /// Called with the bytes read from the current file so far.
    pub on_read: &'a dyn Fn(u64) -> ControlFlow<()>,
}

impl Load<'_> {
    /// Reads one part from its weight file. `read` also says which prefixes of tensors the part may leave unread.
    ///
    /// # Errors
    /// Those of the file, of `read`, and [`Error::UnknownTensor`] for a tensor that nobody asked for.
    pub fn part<T>(
        &self,
        file: &str,
        read: impl FnOnce(&Reader<'_>) -> Result<(T, &'static [&'static str])>,
    ) -> Result<T> {
        let weights = self.files.weights(file)?;
        let reader = weights.reader(self.device, self.on_read).holding(self.holding).adapted(self.adapters, file);
        let (part, optional) = read(&reader)?;
        weights.finish(optional)?;
        self.fallbacks.add(weights.fallbacks());
        self.adapters.finish(file, |tensor| weights.was_adapted(tensor))?;
        Ok(part)
    }
}

/// A prompt's features.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// Features of every position, `(1, l, d)`.
    pub context: Tensor,
    /// One vector for the whole prompt, `(1, p)`.
    pub pooled: Tensor,
    /// The end of the prompt that did not fit, as typed.
    pub cut: Option<String>,
}

/// The text encoders of a family.
pub trait TextEncoder: Send {
    /// A prompt's features.
    ///
    /// # Errors
    /// Those of the tokenizers and the tensor library.
    fn encode(&self, prompt: &str) -> Result<Encoding>;

    /// The words of `prompt` that are not among the `known` ones, in order, each once.
    ///
    /// # Errors
    /// Those of the tokenizer.
    fn unknown_words(&self, known: &BTreeSet<String>, prompt: &str) -> Result<Vec<String>>;
}

/// The velocity network of a family.
pub trait Transformer: Send {
    /// `v = noise - data` for `latents` of shape `(b, c, h, w)` at `sigma`; `tick` is called between blocks.
    ///
    /// # Errors
    /// Those of the tensor library, and whatever `tick` says.
    fn velocity(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor>;

    /// The same network without some of its layers: a worse one, from which skip-layer guidance turns away.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has no such layer, or cannot do without any.
    fn without(&self, layers: &[usize]) -> Result<Box<dyn Transformer + '_>> {
        let what = format!("this model cannot skip layers, and {layers:?} should be skipped");
        Err(Error::invalid(what, "leave +skip-layer out, or set its scale to 0"))
    }
}

/// The family of the model in `files`.
///
/// # Errors
/// [`Error::Config`] if it is none that this program knows.
pub fn open(files: &ModelFiles, index: &ModelIndex) -> Result<Box<dyn Family>> {
    const FILE: &str = "transformer/config.json";
    #[derive(Deserialize)]
    struct Class {
        #[serde(rename = "_class_name")]
        name: String,
    }
    match files.json::<Class>(FILE)?.name.as_str() {
        "FluxTransformer2DModel" => Ok(Box::new(flux::FluxFamily::open(files, FILE, index.pooled)?)),
        "SD3Transformer2DModel" => Ok(Box::new(sd3::Sd3Family::open(files, FILE)?)),
        other => Err(Error::Config {
            file: FILE.into(),
            what: format!(
                "'{other}' is not a transformer this version knows; it knows FluxTransformer2DModel (FLUX.1) and \
                 SD3Transformer2DModel (SD3, SD3.5)"
            ),
        }),
    }
}
