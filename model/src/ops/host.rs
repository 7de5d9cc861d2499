//! CPU tensors as slices, for the few kernels that are written by hand.

use candle_core::{Storage, Tensor};

use crate::Result;

/// Gives `read` the f32 values of a contiguous CPU tensor, in order and without a copy.
///
/// # Errors
/// [`crate::Error::Tensor`] if the tensor is elsewhere, is not f32 or not contiguous; what `read` returns.
pub(crate) fn with_values<R>(x: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    let refuse = |what: &str| Err(candle_core::Error::Msg(what.into()).bt().into());
    let Storage::Cpu(storage) = &*storage else {
        return refuse("a CPU kernel was given a tensor of another device");
    };
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets().and_then(|(from, to)| values.get(from..to)) {
        Some(values) => read(values),
        None => refuse("a CPU kernel was given a tensor that is not contiguous"),
    }
}
