//! Latents to pictures.

use candle_core::Tensor;

use super::VaeConfig;
use super::blocks::{Level, MidBlock, UpBlock, group_norm};
use super::strips::{Map, item_by_item, values};
use super::tiling::Ledger;
use crate::Result;
use crate::ops::conv::{Conv2d, ConvConfig};
use crate::ops::group_norm::GroupNorm;
use crate::probe::Probe;
use crate::weights::Reader;

/// The second half of an autoencoder.
#[derive(Debug)]
pub struct Decoder {
    post_quant_conv: Option<Conv2d>,
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    /// Reads `decoder.*`, and `post_quant_conv.*` if the configuration has it.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &VaeConfig, reader: &Reader<'_>) -> Result<Self> {
        let (latent, channels) = (config.latent_channels, &config.block_out_channels);
        let (first, last) = (channels.first().copied().unwrap_or(0), channels.last().copied().unwrap_or(0));
        let post_quant_conv = match config.use_post_quant_conv {
            true => Some(Conv2d::load(&reader.at("post_quant_conv"), ConvConfig::one_by_one(latent, latent))?),
            false => None,
        };
        let reader = reader.at("decoder");
        let mut up_blocks = Vec::with_capacity(channels.len());
        let mut inputs = last;
        for (i, outputs) in channels.iter().rev().copied().enumerate() {
            let level = Level { inputs, outputs, resample: i + 1 < channels.len() };
            up_blocks.push(UpBlock::load(config, &reader.at("up_blocks").at(i), level)?);
            inputs = outputs;
        }
        Ok(Self {
            post_quant_conv,
            conv_in: Conv2d::load(&reader.at("conv_in"), ConvConfig::same(latent, last))?,
            mid_block: MidBlock::load(config, &reader.at("mid_block"), last)?,
            up_blocks,
            conv_norm_out: group_norm(config, &reader.at("conv_norm_out"), first)?,
            conv_out: Conv2d::load(&reader.at("conv_out"), ConvConfig::same(first, 3))?,
        })
    }

    /// (b, c, h, w), neither scaled nor shifted, to (b, 3, f h, f w).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] for other channels, the error of a tick.
    pub fn forward(&self, z: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        let mut x = self.middle(z, probe)?;
        for (i, block) in self.up_blocks.iter().enumerate() {
            probe.tick()?;
            x = block.forward(x)?;
            probe.tensor(&format!("decoder.up_blocks.{i}"), &x);
        }
        probe.tick()?;
        self.conv_out.forward(&self.conv_norm_out.forward_silu(&x)?)
    }

    /// What enters the first level.
    fn middle(&self, z: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        let z = match &self.post_quant_conv {
            Some(conv) => conv.forward(z)?,
            None => z.clone(),
        };
        let x = self.conv_in.forward(&z)?;
        probe.tensor("decoder.conv_in", &x);
        let x = self.mid_block.forward(&x)?;
        probe.tensor("decoder.mid_block", &x);
        Ok(x)
    }

    /// [`Decoder::forward`] in strips, holding at most `held` bytes of maps: the same bits. What lies behind the middle
    /// block is never whole, so `probe` is not shown it.
    ///
    /// # Errors
    /// Those of [`Decoder::forward`].
    pub(super) fn forward_strips(&self, z: &Tensor, held: u64, probe: &mut dyn Probe) -> Result<Tensor> {
        item_by_item(z, |z| {
            let (x, size) = values(self.middle(z, probe)?)?;
            let (mut x, mut ledger) = (Map::new(x, size), Ledger::new(held, size));
            for block in &self.up_blocks {
                block.forward_strips(&mut x, &mut ledger, probe)?;
            }
            probe.tick()?;
            let (y, size) = x.finish(&self.conv_norm_out, &self.conv_out)?;
            Ok(Tensor::from_vec(y, (1, size.channels, size.height, size.width), z.device())?)
        })
    }
}
