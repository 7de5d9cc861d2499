//! Looking into a network while it works, and comparing what is seen with a reference.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};

use crate::Result;

/// Hears what happens inside a forward pass: the moments where it may be stopped, and the tensors on the way.
pub trait Probe {
    /// Called between blocks; an error ends the forward pass and is handed to its caller.
    ///
    /// # Errors
    /// Whatever should end the pass, usually [`crate::Error::Cancelled`].
    fn tick(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called with the output of the submodule `name`, as the checkpoint names it. Where diffusers returns a pair from
    /// a block, `name.0` is the text stream and `name.1` the image stream.
    fn tensor(&mut self, name: &str, x: &Tensor) {
        let _ = (name, x);
    }
}

/// A probe that does nothing.
impl Probe for () {}

/// A probe that only hears the ticks.
pub struct OnTick<'a>(pub &'a mut dyn FnMut() -> Result<()>);

impl Probe for OnTick<'_> {
    fn tick(&mut self) -> Result<()> {
        (self.0)()
    }
}

/// A probe that keeps every tensor.
#[derive(Debug, Default)]
pub struct Record(pub BTreeMap<String, Tensor>);

impl Probe for Record {
    fn tensor(&mut self, name: &str, x: &Tensor) {
        self.0.insert(name.to_owned(), x.clone());
    }
}

/// How far `got` is from a reference: max|a - b| / max|b|, in f64; infinite if the shapes differ or a value is not a
/// finite number.
///
/// # Errors
/// [`crate::Error::Tensor`] for tensors without a numeric value.
pub fn relative_error(got: &Tensor, want: &Tensor) -> Result<f64> {
    if got.dims() != want.dims() {
        return Ok(f64::INFINITY);
    }
    let values = |x: &Tensor| -> Result<Vec<f64>> { Ok(x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?) };
    let (got, want) = (values(got)?, values(want)?);
    let largest = want.iter().fold(0f64, |most, b| most.max(b.abs()));
    let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs());
    // NaN is the smaller of two for `max`.
    let worst = worst.fold(0f64, |most, e| if e.is_finite() { most.max(e) } else { f64::INFINITY });
    Ok(if worst == 0.0 { 0.0 } else { worst / largest })
}
