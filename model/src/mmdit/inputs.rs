//! What a transformer is given, checked before it computes.

use candle_core::Tensor;

use crate::conditioning::Conditioning;
use crate::{Error, Result};

/// What a transformer reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs {
    /// Channels of the latents.
    pub(crate) channels: usize,
    /// Latents that a token covers along one side.
    pub(crate) patch: usize,
    /// Width of a text feature.
    pub(crate) context: usize,
    /// Width of the pooled text vector.
    pub(crate) pooled: usize,
    /// Whether the strength of guidance is an input.
    pub(crate) guidance: bool,
}

impl Inputs {
    /// The rows and columns of image tokens, if everything fits together.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what does not.
    pub(crate) fn grid(&self, latents: &Tensor, conditioning: &Conditioning, sigma: f64) -> Result<(usize, usize)> {
        let Self { channels, patch, context: d, pooled: p, .. } = *self;
        let (b, c, h, w) = latents.dims4()?;
        if h % patch != 0 || w % patch != 0 || h == 0 || w == 0 {
            let what = format!("latents of {w} x {h} cannot be cut into tokens of {patch} x {patch}");
            let hint = format!("ask for a width and height that are multiples of {patch} times the VAE's factor");
            return Err(Error::invalid(what, hint));
        }
        if c != channels {
            let what = format!("the transformer works on {channels} latent channels, got {c}");
            return Err(Error::invalid(what, "use the VAE that belongs to this transformer"));
        }
        let (context, pooled) = (conditioning.context.dims(), conditioning.pooled.dims());
        let fits = matches!(context, [n, l, width] if *n == b && *l > 0 && *width == d);
        if !fits || pooled != [b, p] {
            let what = format!(
                "the transformer needs text features ({b}, l, {d}) and a pooled vector ({b}, {p}), got {context:?} and {pooled:?}"
            );
            return Err(Error::invalid(what, "use the text encoders that belong to this transformer"));
        }
        if !sigma.is_finite() || conditioning.guidance.is_some_and(|guidance| !guidance.is_finite()) {
            let what = format!("sigma {sigma} and guidance {:?} must be finite numbers", conditioning.guidance);
            return Err(Error::invalid(what, "check the schedule and the guidance"));
        }
        Ok((h / patch, w / patch))
    }
}
