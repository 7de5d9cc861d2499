//! Latents cut into square patches, one a token.

use candle_core::Tensor;

use crate::Result;

/// (b, c, h, w) -> (b, (h/p) (w/p), c p p), in reading order; in a patch channels come first, then rows, then columns,
/// as in a convolution's weight. p divides h and w.
///
/// # Errors
/// [`crate::Error::Tensor`] if it does not.
pub fn patches(latents: &Tensor, p: usize) -> Result<Tensor> {
    let (b, c, h, w) = latents.dims4()?;
    let (h, w) = (h / p, w / p);
    // (b, c, h, p, w, p) -> (b, h, w, c, p, p)
    let tokens = latents.reshape((b, c, h, p, w, p))?.permute((0, 2, 4, 1, 3, 5))?;
    Ok(tokens.reshape((b, h * w, c * p * p))?)
}
