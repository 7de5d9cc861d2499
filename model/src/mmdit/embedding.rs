//! What all blocks are modulated by.

use candle_core::{Device, Tensor};

use super::Inputs;
use crate::conditioning::Conditioning;
use crate::ops::activation::silu;
use crate::ops::linear::Linear;
use crate::ops::timestep::timestep_embedding;
use crate::weights::Reader;
use crate::{Error, Result};

/// Width of the sinusoid that carries a time.
const TIME_WIDTH: usize = 256;
/// Times and guidance are embedded on the scale of 1000 training steps.
const TIME_SCALE: f64 = 1000.0;

/// Time, strength of guidance and the pooled prompt in one vector.
#[derive(Debug)]
pub(crate) struct TimeTextEmbed {
    timestep_embedder: Embedder,
    guidance_embedder: Option<Embedder>,
    text_embedder: Embedder,
}

impl TimeTextEmbed {
    /// `d` is the width of the residual stream.
    pub(crate) fn load(inputs: &Inputs, d: usize, reader: &Reader<'_>) -> Result<Self> {
        let guidance = reader.at("guidance_embedder");
        Ok(Self {
            timestep_embedder: Embedder::load(&reader.at("timestep_embedder"), TIME_WIDTH, d)?,
            guidance_embedder: match inputs.guidance {
                true => Some(Embedder::load(&guidance, TIME_WIDTH, d)?),
                false => None,
            },
            text_embedder: Embedder::load(&reader.at("text_embedder"), inputs.pooled, d)?,
        })
    }

    /// (b, d)
    pub(crate) fn forward(&self, sigma: f64, conditioning: &Conditioning) -> Result<Tensor> {
        let device = conditioning.pooled.device();
        let sinusoid = |value: f64, device: &Device| timestep_embedding(&[TIME_SCALE * value], TIME_WIDTH, device);
        let mut embedding = self.timestep_embedder.forward(&sinusoid(sigma, device)?)?;
        if let Some(embedder) = &self.guidance_embedder {
            let Some(guidance) = conditioning.guidance else {
                let what = "this model takes the strength of guidance as an input, and none was given";
                return Err(Error::invalid(what, "give a guidance, such as 3.5"));
            };
            embedding = (embedding + embedder.forward(&sinusoid(guidance, device)?)?)?;
        }
        Ok(embedding.broadcast_add(&self.text_embedder.forward(&conditioning.pooled)?)?)
    }
}

/// Two linear maps with SiLU between.
#[derive(Debug)]
struct Embedder {
    linear_1: Linear,
    linear_2: Linear,
}

impl Embedder {
    fn load(reader: &Reader<'_>, inputs: usize, d: usize) -> Result<Self> {
        Ok(Self {
            linear_1: Linear::load(&reader.at("linear_1"), inputs, d)?,
            linear_2: Linear::load(&reader.at("linear_2"), d, d)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.linear_2.forward(&silu(&self.linear_1.forward(x)?)?)
    }
}
