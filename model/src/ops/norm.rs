//! Normalisation over the last dimension, in two passes.
//!
//! candle's fused layer norm takes the variance as E\[x^2\] - E\[x\]^2, which loses all digits once the mean is large
//! against the spread, and these networks have such channels. So it is not used here.

use candle_core::{D, Tensor};

use crate::Result;

/// RMSNorm, w x / sqrt(mean(x^2) + eps) (Zhang & Sennrich 2019, <https://arxiv.org/abs/1910.07467>; `T5LayerNorm` of
/// transformers, `RMSNorm` of black-forest-labs/flux). `x` is (..., c), `weight` is (c).
///
/// # Errors
/// [`crate::Error::Tensor`] if the shapes do not agree.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    // The order of the references: normalise first, then scale.
    Ok(normalize(x, eps)?.broadcast_mul(weight)?)
}

/// LayerNorm, (x - mean) / sqrt(var + eps), times weight plus bias if there are any (Ba, Kiros & Hinton 2016,
/// <https://arxiv.org/abs/1607.06450>). `x` is (..., c), `affine` is weight (c) and bias (c).
///
/// # Errors
/// [`crate::Error::Tensor`] if the shapes do not agree.
pub fn layer_norm(x: &Tensor, affine: Option<(&Tensor, &Tensor)>, eps: f64) -> Result<Tensor> {
    let normalized = normalize(&x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?, eps)?;
    Ok(match affine {
        Some((weight, bias)) => normalized.broadcast_mul(weight)?.broadcast_add(bias)?,
        None => normalized,
    })
}

/// x / sqrt(mean(x^2) + eps), the mean over the last dimension.
fn normalize(x: &Tensor, eps: f64) -> Result<Tensor> {
    let scale = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    Ok(x.broadcast_div(&scale)?)
}
