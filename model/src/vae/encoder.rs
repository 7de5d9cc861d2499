//! Pictures to latents.

use candle_core::Tensor;

use super::VaeConfig;
use super::blocks::{DownBlock, Level, MidBlock, group_norm};
use super::strips::{Map, item_by_item, values};
use super::tiling::Ledger;
use crate::Result;
use crate::ops::conv::{Conv2d, ConvConfig};
use crate::ops::group_norm::GroupNorm;
use crate::probe::Probe;
use crate::weights::Reader;

/// The first half of an autoencoder.
#[derive(Debug)]
pub struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    quant_conv: Option<Conv2d>,
}

impl Encoder {
    /// Reads `encoder.*`, and `quant_conv.*` if the configuration has it.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &VaeConfig, reader: &Reader<'_>) -> Result<Self> {
        let (moments, channels) = (2 * config.latent_channels, &config.block_out_channels);
        let (first, last) = (channels.first().copied().unwrap_or(0), channels.last().copied().unwrap_or(0));
        let quant_conv = match config.use_quant_conv {
            true => Some(Conv2d::load(&reader.at("quant_conv"), ConvConfig::one_by_one(moments, moments))?),
            false => None,
        };
        let reader = reader.at("encoder");
        let mut down_blocks = Vec::with_capacity(channels.len());
        let mut inputs = first;
        for (i, outputs) in channels.iter().copied().enumerate() {
            let level = Level { inputs, outputs, resample: i + 1 < channels.len() };
            down_blocks.push(DownBlock::load(config, &reader.at("down_blocks").at(i), level)?);
            inputs = outputs;
        }
        Ok(Self {
            conv_in: Conv2d::load(&reader.at("conv_in"), ConvConfig::same(3, first))?,
            down_blocks,
            mid_block: MidBlock::load(config, &reader.at("mid_block"), last)?,
            conv_norm_out: group_norm(config, &reader.at("conv_norm_out"), last)?,
            conv_out: Conv2d::load(&reader.at("conv_out"), ConvConfig::same(last, moments))?,
            quant_conv,
        })
    }

    /// (b, 3, f h, f w) with values in \[-1, 1\] to mean and log variance on top of each other, (b, 2 c, h, w).
    ///
    /// # Errors
    /// [`crate::Error::Tensor`] for other channels, the error of a tick.
    pub fn forward(&self, picture: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        let mut x = self.conv_in.forward(picture)?;
        probe.tensor("encoder.conv_in", &x);
        for (i, block) in self.down_blocks.iter().enumerate() {
            probe.tick()?;
            x = block.forward(x)?;
            probe.tensor(&format!("encoder.down_blocks.{i}"), &x);
        }
        probe.tick()?;
        self.moments(x, probe)
    }

    /// [`Encoder::forward`] in strips, holding at most `held` bytes of maps: the same bits. What lies before the middle
    /// block is never whole, so `probe` is not shown it.
    ///
    /// # Errors
    /// Those of [`Encoder::forward`].
    pub(super) fn forward_strips(&self, picture: &Tensor, held: u64, probe: &mut dyn Probe) -> Result<Tensor> {
        item_by_item(picture, |picture| {
            let (x, size) = values(picture.clone())?;
            let (mut x, mut ledger) = (Map::new(x, size), Ledger::new(held, size));
            x.conv(&self.conv_in, &mut ledger)?;
            for block in &self.down_blocks {
                block.forward_strips(&mut x, &mut ledger, probe)?;
            }
            probe.tick()?;
            let (x, size) = x.into_values()?;
            let x = Tensor::from_vec(x, (1, size.channels, size.height, size.width), picture.device())?;
            self.moments(x, probe)
        })
    }

    /// What leaves the last level, to mean and log variance.
    fn moments(&self, x: Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        let x = self.mid_block.forward(&x)?;
        probe.tensor("encoder.mid_block", &x);
        let x = self.conv_out.forward(&self.conv_norm_out.forward_silu(&x)?)?;
        match &self.quant_conv {
            Some(conv) => conv.forward(&x),
            None => Ok(x),
        }
    }
}
