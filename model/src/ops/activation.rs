//! Elementwise nonlinearities. Each keeps the shape of its input.

use candle_core::Tensor;

use crate::Result;

/// SiLU, x sigmoid(x) (Hendrycks & Gimpel 2016, <https://arxiv.org/abs/1606.08415>).
///
/// # Errors
/// [`crate::Error::Tensor`] if the tensor library refuses.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    Ok(x.silu()?)
}

/// [`silu`] of one value, to the same bits on the CPU.
pub(crate) fn silu_of(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// GELU, x Phi(x), by its tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
/// (Hendrycks & Gimpel 2016, section 2; `gelu_new` and `gelu_pytorch_tanh` of transformers).
///
/// # Errors
/// [`crate::Error::Tensor`] if the tensor library refuses.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    // candle's `gelu` is the tanh form (candle-core op.rs, `impl UnaryOpT for Gelu`).
    Ok(x.gelu()?)
}

/// GELU exactly, x Phi(x) = x/2 (1 + erf(x / sqrt(2))) (Hendrycks & Gimpel 2016; `gelu` of transformers).
///
/// # Errors
/// [`crate::Error::Tensor`] if the tensor library refuses.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    Ok(x.gelu_erf()?)
}

/// The sigmoid approximation of GELU, x sigmoid(1.702 x) (Hendrycks & Gimpel 2016, section 2; openai/CLIP `model.py`).
///
/// # Errors
/// [`crate::Error::Tensor`] if the tensor library refuses.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    const SLOPE: f64 = 1.702;
    // x sigmoid(a x) = silu(a x) / a, and silu runs on all cores where sigmoid does not.
    Ok(((x * SLOPE)?.silu()? / SLOPE)?)
}
