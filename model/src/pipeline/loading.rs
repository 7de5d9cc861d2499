//! Reading the networks, when they are first needed, and letting go of them where memory is short.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::Pipeline;
use super::observer::Observer;
use crate::family::{Load, TextEncoder};
use crate::spec::AUTOENCODER;
use crate::vae::Autoencoder;
use crate::weights::{Fallbacks, Holding, OnRead};
use crate::{Error, Event, Request, Residency, Result};

/// A tensor that is there if there is an encoder.
const ENCODER: &str = "encoder.conv_in.weight";

/// How far the reading of several files is, told to an observer.
pub(super) struct Progress<'a, 'o> {
    observer: &'a Observer<'o>,
    total: u64,
    /// Bytes of the files before the current one, and of the current one.
    before: Cell<u64>,
    last: Cell<u64>,
    fallbacks: Fallbacks,
}

impl<'a, 'o> Progress<'a, 'o> {
    /// Nothing of `total` bytes has been read.
    pub(super) fn new(observer: &'a Observer<'o>, total: u64) -> Self {
        Self { observer, total, before: Cell::new(0), last: Cell::new(0), fallbacks: Fallbacks::default() }
    }

    /// Tells which matrices could not be held as they should.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the observer says so.
    pub(super) fn finish(&self) -> Result<()> {
        self.fallbacks.warning().map_or(Ok(()), |warning| self.observer.proceed(Event::Warning(warning)))
    }

    /// What hears of the bytes read from a file of this part.
    fn part(&self, part: &'static str) -> impl Fn(u64) -> ControlFlow<()> {
        move |bytes| {
            // A new file starts at zero again.
            if bytes < self.last.get() {
                self.before.set(self.before.get() + self.last.get());
            }
            self.last.set(bytes);
            self.observer.ask(Event::Loading { part, bytes: self.before.get() + bytes, total: self.total })
        }
    }
}

impl Pipeline {
    /// Bytes of the weights that will be read for `request`.
    pub(super) fn to_read(&self, request: &Request) -> u64 {
        let in_turn = self.residency == Residency::InTurn;
        let reads_text = self.parts.text.is_none() && !(in_turn && self.is_encoded(request));
        // Where parts take turns, reading text means reading everything again.
        let again = in_turn && reads_text;
        let reads = [reads_text, again || self.parts.transformer.is_none(), again || self.parts.autoencoder.is_none()];
        self.spec.bytes.iter().zip(reads).filter(|(_, reads)| *reads).map(|(bytes, _)| bytes).sum()
    }

    /// Reads what `request` needs first: everything where everything stays, else the text encoders if they have anything
    /// to read.
    pub(super) fn load_first(&mut self, request: &Request, progress: &Progress<'_, '_>) -> Result<()> {
        if self.residency == Residency::Whole {
            self.read_text(progress)?;
            return self.read_networks(progress);
        }
        if self.is_encoded(request) { Ok(()) } else { self.read_text(progress) }
    }

    /// The text encoders, read if need be.
    pub(super) fn text(&mut self) -> Result<&dyn TextEncoder> {
        self.read_text(&Progress::new(&Observer::silent(), 0))?;
        self.parts.text.as_deref().map(|text| text as &dyn TextEncoder).ok_or(Error::Cancelled)
    }

    /// The autoencoder, read if need be.
    pub(super) fn autoencoder(&mut self) -> Result<&Autoencoder> {
        self.read_autoencoder(&Progress::new(&Observer::silent(), 0))?;
        self.parts.autoencoder.as_ref().ok_or(Error::Cancelled)
    }

    /// The autoencoder with its encoder, which most pictures do without.
    pub(super) fn whole_autoencoder(&mut self) -> Result<&Autoencoder> {
        if !self.parts.autoencoder.as_ref().is_some_and(Autoencoder::can_encode) {
            let observer = Observer::silent();
            let progress = Progress::new(&observer, 0);
            let on_read = progress.part("autoencoder");
            let load = self.reading(Holding::DENSE, &progress, &on_read);
            let whole = load.part(AUTOENCODER, |reader| match reader.has(ENCODER) {
                true => Ok((Autoencoder::load(&self.spec.vae, reader)?, &[][..])),
                false => {
                    let what =
                        format!("the autoencoder of {} has no encoder, it cannot take pictures in", self.spec.name);
                    Err(Error::invalid(what, "use the autoencoder's whole file"))
                }
            })?;
            self.parts.autoencoder = Some(whole);
        }
        self.autoencoder()
    }

    fn reading<'a>(&'a self, holding: Holding, progress: &'a Progress<'_, '_>, on_read: OnRead<'a>) -> Load<'a> {
        let (files, device, adapters) = (&self.files, &self.device, self.spec.adapters());
        Load { files, device, holding, fallbacks: &progress.fallbacks, adapters, on_read }
    }

    fn read_text(&mut self, progress: &Progress<'_, '_>) -> Result<()> {
        if self.parts.text.is_some() {
            return Ok(());
        }
        if self.residency == Residency::InTurn {
            (self.parts.transformer, self.parts.autoencoder) = (None, None);
        }
        let on_read = progress.part("text encoder");
        let load = self.reading(self.spec.holding(), progress, &on_read);
        self.parts.text = Some(self.spec.family.load_text(&load, self.spec.text_length)?);
        Ok(())
    }

    /// Reads the transformer and the autoencoder.
    pub(super) fn read_networks(&mut self, progress: &Progress<'_, '_>) -> Result<()> {
        if self.residency == Residency::InTurn {
            self.parts.text = None;
        }
        if self.parts.transformer.is_none() {
            let on_read = progress.part("transformer");
            let load = self.reading(self.spec.holding(), progress, &on_read);
            self.parts.transformer = Some(self.spec.family.load_transformer(&load)?);
        }
        self.read_autoencoder(progress)
    }

    fn read_autoencoder(&mut self, progress: &Progress<'_, '_>) -> Result<()> {
        if self.parts.autoencoder.is_some() {
            return Ok(());
        }
        let on_read = progress.part("autoencoder");
        // Most of it is convolutions.
        let load = self.reading(Holding::DENSE, progress, &on_read);
        let autoencoder = load.part(AUTOENCODER, |reader| {
            let autoencoder = Autoencoder::load_decoder(&self.spec.vae, reader)?;
            let unread = autoencoder.optional_tensors();
            Ok((autoencoder, unread))
        })?;
        self.parts.autoencoder = Some(autoencoder);
        Ok(())
    }
}
