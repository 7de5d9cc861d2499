//! What encoder and decoder share.

use candle_core::Tensor;

use super::strips::Map;
use super::tiling::Ledger;
use super::{SCORES, VaeConfig};
use crate::Result;
use crate::ops::attention::attention_within;
use crate::ops::conv::{Conv2d, ConvConfig, UpsampleConv2d};
use crate::ops::group_norm::GroupNorm;
use crate::ops::linear::Linear;
use crate::probe::Probe;
use crate::weights::Reader;

const NORM_EPS: f64 = 1e-6;

/// The group norm `name` of an autoencoder.
pub(super) fn group_norm(config: &VaeConfig, reader: &Reader<'_>, channels: usize) -> Result<GroupNorm> {
    GroupNorm::load(reader, channels, config.norm_num_groups, NORM_EPS)
}

/// x + conv(silu(norm(conv(silu(norm(x)))))), x mapped pixelwise if the channels change (He et al. 2016,
/// <https://arxiv.org/abs/1603.05027>).
#[derive(Debug)]
pub(super) struct ResnetBlock {
    pub(super) norm1: GroupNorm,
    pub(super) conv1: Conv2d,
    pub(super) norm2: GroupNorm,
    pub(super) conv2: Conv2d,
    pub(super) conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    pub(super) fn load(config: &VaeConfig, reader: &Reader<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            norm1: group_norm(config, &reader.at("norm1"), inputs)?,
            conv1: Conv2d::load(&reader.at("conv1"), ConvConfig::same(inputs, outputs))?,
            norm2: group_norm(config, &reader.at("norm2"), outputs)?,
            conv2: Conv2d::load(&reader.at("conv2"), ConvConfig::same(outputs, outputs))?,
            conv_shortcut: match inputs == outputs {
                true => None,
                false => Some(Conv2d::load(&reader.at("conv_shortcut"), ConvConfig::one_by_one(inputs, outputs))?),
            },
        })
    }

    /// (b, c, h, w) -> (b, o, h, w)
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let h = self.conv1.forward(&self.norm1.forward_silu(x)?)?;
        let h = self.conv2.forward(&self.norm2.forward_silu(&h)?)?;
        Ok(match &self.conv_shortcut {
            Some(conv) => (conv.forward(x)? + h)?,
            None => (x + h)?,
        })
    }
}

/// x + attention among all pixels, one head.
#[derive(Debug)]
struct AttentionBlock {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl AttentionBlock {
    fn load(config: &VaeConfig, reader: &Reader<'_>, channels: usize) -> Result<Self> {
        let linear = |name: &str| Linear::load(&reader.at(name), channels, channels);
        Ok(Self {
            group_norm: group_norm(config, &reader.at("group_norm"), channels)?,
            to_q: linear("to_q")?,
            to_k: linear("to_k")?,
            to_v: linear("to_v")?,
            to_out: linear("to_out.0")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        // (b, c, h, w) -> (b, h w, c)
        let normed = self.group_norm.forward(x)?.reshape((b, c, h * w))?.transpose(1, 2)?.contiguous()?;
        // (b, h w, c) -> (b, 1, h w, c)
        let head = |linear: &Linear| -> Result<Tensor> { Ok(linear.forward(&normed)?.unsqueeze(1)?) };
        let scale = (c as f64).sqrt().recip();
        let (q, k, v) = (head(&self.to_q)?, head(&self.to_k)?, head(&self.to_v)?);
        let attended = attention_within(&q, &k, &v, scale, SCORES)?;
        // (b, 1, h w, c) -> (b, c, h, w)
        let out = self.to_out.forward(&attended.squeeze(1)?)?.transpose(1, 2)?.reshape((b, c, h, w))?;
        Ok((x + out)?)
    }
}

/// Residual, attention, residual at the lowest resolution.
#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock,
    attention: Option<AttentionBlock>,
    second: ResnetBlock,
}

impl MidBlock {
    pub(super) fn load(config: &VaeConfig, reader: &Reader<'_>, channels: usize) -> Result<Self> {
        let resnet = |i: usize| ResnetBlock::load(config, &reader.at("resnets").at(i), channels, channels);
        Ok(Self {
            first: resnet(0)?,
            attention: match config.mid_block_add_attention {
                true => Some(AttentionBlock::load(config, &reader.at("attentions.0"), channels)?),
                false => None,
            },
            second: resnet(1)?,
        })
    }

    /// (b, c, h, w) -> (b, c, h, w)
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.first.forward(x)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
        }
        self.second.forward(&x)
    }
}

/// One level of the encoder.
#[derive(Debug)]
pub(super) struct DownBlock {
    resnets: Vec<ResnetBlock>,
    /// All levels but the last.
    downsampler: Option<Conv2d>,
}

/// Channels of one level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether height and width change at its end.
    pub(super) resample: bool,
}

impl Level {
    /// `layers` residual blocks, the first of which changes the channels.
    fn resnets(self, config: &VaeConfig, reader: &Reader<'_>, layers: usize) -> Result<Vec<ResnetBlock>> {
        (0..layers)
            .map(|i| {
                let inputs = if i == 0 { self.inputs } else { self.outputs };
                ResnetBlock::load(config, &reader.at("resnets").at(i), inputs, self.outputs)
            })
            .collect()
    }
}

impl DownBlock {
    pub(super) fn load(config: &VaeConfig, reader: &Reader<'_>, level: Level) -> Result<Self> {
        let halving = ConvConfig::halving(level.outputs, level.outputs);
        Ok(Self {
            resnets: level.resnets(config, reader, config.layers_per_block)?,
            downsampler: match level.resample {
                true => Some(Conv2d::load(&reader.at("downsamplers.0.conv"), halving)?),
                false => None,
            },
        })
    }

    /// (b, c, h, w) -> (b, o, h/2, w/2)
    pub(super) fn forward(&self, mut x: Tensor) -> Result<Tensor> {
        for resnet in &self.resnets {
            x = resnet.forward(&x)?;
        }
        match &self.downsampler {
            Some(conv) => conv.forward(&x),
            None => Ok(x),
        }
    }

    /// [`DownBlock::forward`] in strips; `tick` is called before every residual block.
    pub(super) fn forward_strips<'a>(
        &'a self,
        x: &mut Map<'a>,
        ledger: &mut Ledger,
        probe: &mut dyn Probe,
    ) -> Result<()> {
        for resnet in &self.resnets {
            probe.tick()?;
            x.resnet(resnet, ledger)?;
        }
        self.downsampler.as_ref().map_or(Ok(()), |conv| x.conv(conv, ledger))
    }
}

/// One level of the decoder.
#[derive(Debug)]
pub(super) struct UpBlock {
    resnets: Vec<ResnetBlock>,
    /// All levels but the last.
    upsampler: Option<UpsampleConv2d>,
}

impl UpBlock {
    pub(super) fn load(config: &VaeConfig, reader: &Reader<'_>, level: Level) -> Result<Self> {
        let upsampler = reader.at("upsamplers.0.conv");
        Ok(Self {
            resnets: level.resnets(config, reader, config.layers_per_block + 1)?,
            upsampler: match level.resample {
                true => Some(UpsampleConv2d::load(&upsampler, level.outputs, level.outputs)?),
                false => None,
            },
        })
    }

    /// (b, c, h, w) -> (b, o, 2 h, 2 w)
    pub(super) fn forward(&self, mut x: Tensor) -> Result<Tensor> {
        for resnet in &self.resnets {
            x = resnet.forward(&x)?;
        }
        match &self.upsampler {
            Some(conv) => conv.forward(&x),
            None => Ok(x),
        }
    }

    /// [`UpBlock::forward`] in strips; `tick` is called before every residual block.
    pub(super) fn forward_strips<'a>(
        &'a self,
        x: &mut Map<'a>,
        ledger: &mut Ledger,
        probe: &mut dyn Probe,
    ) -> Result<()> {
        for resnet in &self.resnets {
            probe.tick()?;
            x.resnet(resnet, ledger)?;
        }
        self.upsampler.as_ref().map_or(Ok(()), |conv| x.conv(conv, ledger))
    }
}
