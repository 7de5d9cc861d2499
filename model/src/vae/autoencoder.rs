//! Both halves, and the scale of the latents between them.

use candle_core::Tensor;

use super::{Decoder, Encoder, Tiling, VaeConfig};
use crate::probe::Probe;
use crate::weights::Reader;
use crate::{Error, Result};

/// An autoencoder, or only its decoder.
#[derive(Debug)]
pub struct Autoencoder {
    encoder: Option<Encoder>,
    decoder: Decoder,
    config: VaeConfig,
}

/// The Gaussian that a picture is encoded to, each (b, c, h, w), neither shifted nor scaled.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Its mean.
    pub mean: Tensor,
    /// The logarithm of its variance, within -30 .. 20.
    pub logvar: Tensor,
}

impl Moments {
    /// A sample: mean + exp(logvar / 2) noise, summed up in f64 and rounded once, so that its bits depend on no device.
    /// `noise` has the shape of the mean.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the shapes differ.
    pub fn sample(&self, noise: &Tensor) -> Result<Tensor> {
        if noise.dims() != self.mean.dims() {
            let what = format!("noise of shape {:?} for a mean of {:?}", noise.dims(), self.mean.dims());
            return Err(Error::invalid(what, "draw as much noise as there are latents"));
        }
        let values = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
        let (mean, logvar, noise) = (values(&self.mean)?, values(&self.logvar)?, values(noise)?);
        let spread = |logvar: f32| libm::exp(f64::from(logvar) / 2.0);
        let sample = mean.iter().zip(logvar.iter().zip(&noise));
        let sample: Vec<f32> = sample.map(|(m, (l, n))| (f64::from(*m) + spread(*l) * f64::from(*n)) as f32).collect();
        Ok(Tensor::from_vec(sample, self.mean.dims(), self.mean.device())?)
    }
}

impl Autoencoder {
    /// Reads both halves.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load(config: &VaeConfig, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self { encoder: Some(Encoder::load(config, reader)?), ..Self::load_decoder(config, reader)? })
    }

    /// Reads the decoder only, enough to make pictures; the file need not hold an encoder.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn load_decoder(config: &VaeConfig, reader: &Reader<'_>) -> Result<Self> {
        Ok(Self { encoder: None, decoder: Decoder::load(config, reader)?, config: config.clone() })
    }

    /// Whether the encoder was read too.
    pub fn can_encode(&self) -> bool {
        self.encoder.is_some()
    }

    /// Prefixes of tensors that a file may hold although they were not read, for
    /// [`crate::weights::Weights::finish`]: without the encoder, the encoder's.
    pub fn optional_tensors(&self) -> &'static [&'static str] {
        if self.encoder.is_some() { &[] } else { &["encoder.", "quant_conv."] }
    }

    /// The sizes it was loaded with.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Pixels a latent pixel, along either side: 8 for four levels, 16 for five.
    pub fn latent_factor(&self) -> usize {
        self.config.latent_factor()
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        self.config.latent_channels
    }

    /// Latents (b, c, h, w) to a picture (b, 3, f h, f w), where black is -1 and white 1; values are not clamped.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the latents have other channels.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        self.decode_probed(latents, &mut ())
    }

    /// [`Autoencoder::decode`], watched: `probe` hears a tick before every level and every tensor on the way.
    ///
    /// # Errors
    /// Those of [`Autoencoder::decode`]; the error of a tick.
    pub fn decode_probed(&self, latents: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        // z = latents / scaling + shift
        let z = latents.affine(self.config.scaling_factor.recip(), self.config.shift())?;
        self.decode_unscaled(&z, probe)
    }

    /// [`Autoencoder::decode`] in pieces, to the same bits. `probe` hears a tick before every residual block and, where
    /// maps are never whole, no tensors.
    ///
    /// # Errors
    /// Those of [`Autoencoder::decode_probed`].
    pub fn decode_tiled(&self, latents: &Tensor, tiling: Tiling, probe: &mut dyn Probe) -> Result<Tensor> {
        let z = latents.affine(self.config.scaling_factor.recip(), self.config.shift())?;
        match tiling {
            Tiling::Strips { held } if z.device().is_cpu() => {
                self.check_latents(&z)?;
                self.decoder.forward_strips(&z, held, probe)
            }
            _ => self.decode_unscaled(&z, probe),
        }
    }

    fn check_latents(&self, z: &Tensor) -> Result<()> {
        let (_, channels, _, _) = z.dims4()?;
        if channels != self.latent_channels() {
            let what = format!("the VAE has {} latent channels, the latents {channels}", self.latent_channels());
            return Err(Error::invalid(what, "use the VAE that belongs to this transformer"));
        }
        Ok(())
    }

    /// What the decoder makes of z, latents without scale and shift.
    ///
    /// # Errors
    /// Those of [`Autoencoder::decode_probed`].
    pub fn decode_unscaled(&self, z: &Tensor, probe: &mut dyn Probe) -> Result<Tensor> {
        self.check_latents(z)?;
        self.decoder.forward(z, probe)
    }

    /// The Gaussian of a picture (b, 3, f h, f w) with values in \[-1, 1\].
    ///
    /// # Errors
    /// [`Error::Invalid`] without an encoder, for other channels, or if f does not divide height and width; the error of
    /// a tick.
    pub fn encode_moments(&self, picture: &Tensor, probe: &mut dyn Probe) -> Result<Moments> {
        self.encode_tiled(picture, Tiling::None, probe)
    }

    /// [`Autoencoder::encode_moments`] in pieces, to the same bits.
    ///
    /// # Errors
    /// Those of [`Autoencoder::encode_moments`].
    pub fn encode_tiled(&self, picture: &Tensor, tiling: Tiling, probe: &mut dyn Probe) -> Result<Moments> {
        let Some(encoder) = &self.encoder else {
            let what = "only the decoder of this VAE was loaded, so it cannot encode a picture";
            return Err(Error::invalid(what, "load the whole VAE"));
        };
        let ((_, channels, h, w), f) = (picture.dims4()?, self.latent_factor());
        if channels != 3 || h == 0 || w == 0 || h % f != 0 || w % f != 0 {
            let what = format!("a picture of {w} x {h} pixels and {channels} channels cannot be encoded");
            return Err(Error::invalid(what, format!("give a colour picture whose sides are multiples of {f}")));
        }
        let moments = match tiling {
            Tiling::Strips { held } if picture.device().is_cpu() => encoder.forward_strips(picture, held, probe)?,
            _ => encoder.forward(picture, probe)?,
        };
        let c = self.latent_channels();
        // (b, 2 c, h, w) -> 2 x (b, c, h, w)
        let (mean, logvar) = (moments.narrow(1, 0, c)?, moments.narrow(1, c, c)?.clamp(-30f32, 20f32)?);
        Ok(Moments { mean, logvar })
    }

    /// The latents of a picture without noise: (mean - shift) scaling, (b, c, h, w).
    ///
    /// # Errors
    /// Those of [`Autoencoder::encode_moments`].
    pub fn encode_mean(&self, picture: &Tensor) -> Result<Tensor> {
        self.to_latents(&self.encode_moments(picture, &mut ())?.mean)
    }

    /// Latents as the transformer sees them, of what the encoder makes: (z - shift) scaling, (b, c, h, w).
    ///
    /// # Errors
    /// [`Error::Tensor`] if the tensor library refuses.
    pub fn to_latents(&self, z: &Tensor) -> Result<Tensor> {
        let scale = self.config.scaling_factor;
        Ok(z.affine(scale, -self.config.shift() * scale)?)
    }
}
