//! Reading the networks, when they are first needed.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::observer::Observer;
use super::{Parts, Pipeline};
use crate::family::Load;
use crate::vae::Autoencoder;
use crate::{Error, Event, Result};

/// The autoencoder's weights.
const AUTOENCODER: &str = "vae/diffusion_pytorch_model.safetensors";
/// A tensor that is there if there is an encoder.
const ENCODER: &str = "encoder.conv_in.weight";

impl Pipeline {
    /// Reads whatever has not been read yet.
    pub(super) fn load(&mut self, observer: &Observer<'_>) -> Result<()> {
        if self.parts.is_some() {
            return Ok(());
        }
        let mut total = 0;
        for weights in &self.spec.record().weights {
            total += self.files.size(&weights.file)?;
        }
        let (before, last) = (Cell::new(0), Cell::new(0));
        let part = Cell::new("text encoder");
        let on_read = |bytes: u64| {
            // A new file starts at zero again.
            if bytes < last.get() {
                before.set(before.get() + last.get());
            }
            last.set(bytes);
            observer.ask(Event::Loading { part: part.get(), bytes: before.get() + bytes, total })
        };
        let load = Load { files: &self.files, device: &self.device, adapters: self.spec.adapters(), on_read: &on_read };
        let text = self.spec.family.load_text(&load, self.spec.text_length)?;
        part.set("transformer");
        let transformer = self.spec.family.load_transformer(&load)?;
        part.set("autoencoder");
        let autoencoder = load.part(AUTOENCODER, |reader| {
            let autoencoder = Autoencoder::load_decoder(&self.spec.vae, reader)?;
            let unread = autoencoder.optional_tensors();
            Ok((autoencoder, unread))
        })?;
        self.parts = Some(Parts { text, transformer, autoencoder });
        Ok(())
    }

    /// The networks, read if need be.
    pub(super) fn parts(&mut self) -> Result<&Parts> {
        self.load(&Observer::new(|_| ControlFlow::Continue(())))?;
        self.parts.as_ref().ok_or(Error::Cancelled)
    }

    /// The autoencoder with its encoder, which most pictures do without.
    pub(super) fn whole_autoencoder(&mut self) -> Result<&Autoencoder> {
        if !self.parts()?.autoencoder.can_encode() {
            let load = Load {
                files: &self.files,
                device: &self.device,
                adapters: self.spec.adapters(),
                on_read: &|_| ControlFlow::Continue(()),
            };
            let whole = load.part(AUTOENCODER, |reader| match reader.has(ENCODER) {
                true => Ok((Autoencoder::load(&self.spec.vae, reader)?, &[][..])),
                false => {
                    let what =
                        format!("the autoencoder of {} has no encoder, it cannot take pictures in", self.spec.name);
                    Err(Error::invalid(what, "use the autoencoder's whole file"))
                }
            })?;
            if let Some(parts) = &mut self.parts {
                parts.autoencoder = whole;
            }
        }
        Ok(&self.parts()?.autoencoder)
    }
}
