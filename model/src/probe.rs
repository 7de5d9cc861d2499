//! Looking into a network while it works.

use candle_core::Tensor;

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
