//! The velocity field of FLUX.1.

use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;

use super::blocks::{DoubleBlock, SingleBlock};
use super::packing::{PATCH, unpack};
use super::{FluxConfig, positions};
use crate::Result;
use crate::conditioning::Conditioning;
use crate::mmdit::{ModulatedNorm, TimeTextEmbed};
use crate::ops::activation::silu;
use crate::ops::linear::Linear;
use crate::ops::patches::patches;
use crate::ops::rope::Rotary;
use crate::probe::{OnTick, Probe};
use crate::weights::Reader;

/// Latents, time and prompt to velocity.
#[derive(Debug)]
pub struct FluxTransformer {
    x_embedder: Linear,
    context_embedder: Linear,
    time_text_embed: TimeTextEmbed,
    transformer_blocks: Vec<DoubleBlock>,
    single_transformer_blocks: Vec<SingleBlock>,
    norm_out: ModulatedNorm,
    proj_out: Linear,
    config: FluxConfig,
    /// The rotations of the last call: every step of a picture asks for the same.
    rotary: Mutex<Option<(Sequence, Rotary)>>,
}

/// What the rotations depend on: text tokens, and rows and columns of image tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sequence {
    text: usize,
    grid: (usize, usize),
}

impl FluxTransformer {
    /// Reads all tensors that `config` asks for.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &FluxConfig, reader: &Reader<'_>) -> Result<Self> {
        let (d, sizes) = (config.hidden(), config.sizes());
        let (double, single) = (reader.at("transformer_blocks"), reader.at("single_transformer_blocks"));
        Ok(Self {
            x_embedder: Linear::load(&reader.at("x_embedder"), config.in_channels, d)?,
            context_embedder: Linear::load(&reader.at("context_embedder"), config.joint_attention_dim, d)?,
            time_text_embed: TimeTextEmbed::load(&config.inputs(), d, &reader.at("time_text_embed"))?,
            transformer_blocks: (0..config.num_layers)
                .map(|i| DoubleBlock::load(sizes, &double.at(i)))
                .collect::<Result<_>>()?,
            single_transformer_blocks: (0..config.num_single_layers)
                .map(|i| SingleBlock::load(sizes, &single.at(i)))
                .collect::<Result<_>>()?,
            norm_out: ModulatedNorm::load(d, &reader.at("norm_out"))?,
            proj_out: Linear::load(&reader.at("proj_out"), d, config.in_channels)?,
            config: config.clone(),
            rotary: Mutex::default(),
        })
    }

    /// Prefixes of tensors that a file may hold although this model does not read them, for
    /// [`crate::weights::Weights::finish`]: without guidance the embedding of its strength is left unread.
    pub fn optional_tensors(&self) -> &'static [&'static str] {
        if self.config.guidance_embeds { &[] } else { &["time_text_embed.guidance_embedder."] }
    }

    /// The sizes it was loaded with.
    pub fn config(&self) -> &FluxConfig {
        &self.config
    }

    /// The velocity dx/dsigma, (b, c, h, w), at latents x of the same shape and time sigma in \[0, 1\] (1 = noise).
    /// `tick` is called between blocks; its error ends the pass and is returned.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an odd height or width, for conditioning of another model and for a missing guidance;
    /// the error of `tick`.
    pub fn forward(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        self.forward_probed(latents, conditioning, sigma, &mut OnTick(tick))
    }

    /// [`FluxTransformer::forward`], watched: `probe` hears the ticks and every tensor on the way.
    ///
    /// # Errors
    /// Those of [`FluxTransformer::forward`].
    pub fn forward_probed(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        probe: &mut dyn Probe,
    ) -> Result<Tensor> {
        let grid = self.config.inputs().grid(latents, conditioning, sigma)?;
        let mut image = self.x_embedder.forward(&patches(latents, PATCH)?)?;
        probe.tensor("x_embedder", &image);
        let mut text = self.context_embedder.forward(&conditioning.context)?;
        probe.tensor("context_embedder", &text);
        let embedding = self.time_text_embed.forward(sigma, conditioning)?;
        probe.tensor("time_text_embed", &embedding);
        let vector = silu(&embedding)?;

        let (l, n) = (text.dim(1)?, image.dim(1)?);
        let rotary = self.rotary(Sequence { text: l, grid }, latents)?;
        for (i, block) in self.transformer_blocks.iter().enumerate() {
            probe.tick()?;
            (text, image) = block.forward(&text, &image, &vector, &rotary)?;
            probe.tensor(&format!("transformer_blocks.{i}.0"), &text);
            probe.tensor(&format!("transformer_blocks.{i}.1"), &image);
        }
        // (b, l, d) and (b, n, d) -> (b, l + n, d)
        let mut x = Tensor::cat(&[text, image], 1)?;
        for (i, block) in self.single_transformer_blocks.iter().enumerate() {
            probe.tick()?;
            x = block.forward(&x, &vector, &rotary)?;
            probe.tensor(&format!("single_transformer_blocks.{i}.0"), &x.narrow(1, 0, l)?);
            probe.tensor(&format!("single_transformer_blocks.{i}.1"), &x.narrow(1, l, n)?);
        }
        probe.tick()?;
        let x = self.norm_out.forward(&x.narrow(1, l, n)?, &vector)?;
        probe.tensor("norm_out", &x);
        unpack(&self.proj_out.forward(&x)?, grid)
    }

    fn rotary(&self, sequence: Sequence, latents: &Tensor) -> Result<Rotary> {
        let mut last = self.rotary.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rotary)) = last.as_ref().filter(|(of, _)| *of == sequence) {
            return Ok(rotary.clone());
        }
        let rotary = positions(self.config.axes_dims_rope, sequence.text, sequence.grid, latents.device())?;
        *last = Some((sequence, rotary.clone()));
        Ok(rotary)
    }
}
