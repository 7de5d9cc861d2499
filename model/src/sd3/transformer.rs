//! The velocity field of SD3 and SD3.5.

use candle_core::Tensor;

use super::Sd3Config;
use super::blocks::JointBlock;
use super::positions::{PatchEmbed, latents as to_latents};
use crate::conditioning::Conditioning;
use crate::mmdit::{ModulatedNorm, TimeTextEmbed};
use crate::ops::activation::silu;
use crate::ops::linear::Linear;
use crate::probe::{OnTick, Probe};
use crate::weights::Reader;
use crate::{Error, Result};

/// Latents, time and prompt to velocity.
#[derive(Debug)]
pub struct Sd3Transformer {
    pos_embed: PatchEmbed,
    context_embedder: Linear,
    time_text_embed: TimeTextEmbed,
    transformer_blocks: Vec<JointBlock>,
    norm_out: ModulatedNorm,
    proj_out: Linear,
    config: Sd3Config,
}

impl Sd3Transformer {
    /// Reads all tensors that `config` asks for.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &Sd3Config, reader: &Reader<'_>) -> Result<Self> {
        let (d, blocks) = (config.hidden(), reader.at("transformer_blocks"));
        let token = config.in_channels * config.patch_size * config.patch_size;
        Ok(Self {
            pos_embed: PatchEmbed::load(config, &reader.at("pos_embed"))?,
            context_embedder: Linear::load(&reader.at("context_embedder"), config.joint_attention_dim, d)?,
            time_text_embed: TimeTextEmbed::load(&config.inputs(), d, &reader.at("time_text_embed"))?,
            transformer_blocks: (0..config.num_layers)
                .map(|i| JointBlock::load(config, i, &blocks.at(i)))
                .collect::<Result<_>>()?,
            norm_out: ModulatedNorm::load(d, &reader.at("norm_out"))?,
            proj_out: Linear::load(&reader.at("proj_out"), d, token)?,
            config: config.clone(),
        })
    }

    /// The sizes it was loaded with.
    pub fn config(&self) -> &Sd3Config {
        &self.config
    }

    /// The same network without some of its blocks.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has no such block.
    pub fn skipping(&self, layers: &[usize]) -> Result<Skipping<'_>> {
        match layers.iter().find(|layer| **layer >= self.transformer_blocks.len()) {
            None => Ok(Skipping { transformer: self, layers: layers.to_vec() }),
            Some(layer) => {
                let what = format!("layer {layer} cannot be skipped, there is none");
                Err(Error::invalid(what, format!("the last one is {}", self.transformer_blocks.len() - 1)))
            }
        }
    }

    /// The velocity dx/dsigma, (b, c, h, w), at latents x of the same shape and time sigma in \[0, 1\] (1 = noise).
    /// `tick` is called between blocks; its error ends the pass and is returned.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a height or width that cannot be cut into tokens or has more of them than the model knows
    /// places, and for conditioning of another model; the error of `tick`.
    pub fn forward(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        self.forward_probed(latents, conditioning, sigma, &mut OnTick(tick))
    }

    /// [`Sd3Transformer::forward`], watched: `probe` hears the ticks and every tensor on the way.
    ///
    /// # Errors
    /// Those of [`Sd3Transformer::forward`].
    pub fn forward_probed(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        probe: &mut dyn Probe,
    ) -> Result<Tensor> {
        self.skipping(&[])?.forward_probed(latents, conditioning, sigma, probe)
    }
}

/// A transformer without some of its blocks, for skip-layer guidance (Stability-AI/sd3.5 `sd3_impls.py`,
/// `SkipLayerCFGDenoiser`): what a skipped block would be given, the next one is given.
#[derive(Debug)]
pub struct Skipping<'a> {
    transformer: &'a Sd3Transformer,
    layers: Vec<usize>,
}

impl Skipping<'_> {
    /// As [`Sd3Transformer::forward_probed`].
    ///
    /// # Errors
    /// Those of [`Sd3Transformer::forward`].
    pub fn forward_probed(
        &self,
        latents: &Tensor,
        conditioning: &Conditioning,
        sigma: f64,
        probe: &mut dyn Probe,
    ) -> Result<Tensor> {
        let Sd3Transformer { config, .. } = self.transformer;
        let grid = config.inputs().grid(latents, conditioning, sigma)?;
        let mut image = self.transformer.pos_embed.forward(latents, grid)?;
        probe.tensor("pos_embed", &image);
        let mut text = self.transformer.context_embedder.forward(&conditioning.context)?;
        probe.tensor("context_embedder", &text);
        let embedding = self.transformer.time_text_embed.forward(sigma, conditioning)?;
        probe.tensor("time_text_embed", &embedding);
        let vector = silu(&embedding)?;

        for (i, block) in self.transformer.transformer_blocks.iter().enumerate() {
            if self.layers.contains(&i) {
                continue;
            }
            probe.tick()?;
            let (new_text, new_image) = block.forward(&text, &image, &vector)?;
            image = new_image;
            if let Some(new_text) = new_text {
                text = new_text;
                probe.tensor(&format!("transformer_blocks.{i}.0"), &text);
            }
            probe.tensor(&format!("transformer_blocks.{i}.1"), &image);
        }
        probe.tick()?;
        let x = self.transformer.norm_out.forward(&image, &vector)?;
        probe.tensor("norm_out", &x);
        to_latents(&self.transformer.proj_out.forward(&x)?, grid, config.patch_size)
    }
}
