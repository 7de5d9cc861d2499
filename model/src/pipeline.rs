//! Prompt -> conditioning -> velocity -> sampler -> decode. **Read this first.**
//!
//! [`Pipeline::generate`] is the one door: window, command line and tests all go through it. The stages are public
//! too, for experiments: [`Pipeline::encode`], [`Pipeline::denoise`], [`Pipeline::decode`].
//!
//! The stages by file: `loading` reads weights, `prompt` reads text, `guided` makes a velocity field of the networks,
//! `walk` carries latents along it, `held` keeps what travels beside a request, `observer` is the caller's ear.

mod guided;
mod held;
mod loading;
mod observer;
mod prompt;
mod walk;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::Device;
use image::RgbImage;

use crate::event::{Event, Outcome, Picture};
use crate::family::{Encoding, TextEncoder, Transformer};
use crate::locate::{Located, locate};
use crate::spec::Spec;
use crate::vae::Autoencoder;
use crate::weights::{HashCache, ModelFiles};
use crate::{Error, Latents, Opening, Request, Residency, Result, vae};
use held::Held;
use loading::Progress;
use observer::Observer;
use walk::{Begin, Walk};

/// A model, ready to make pictures. Weights are read when first needed and stay.
pub struct Pipeline {
    spec: Spec,
    files: ModelFiles,
    device: Device,
    parts: Parts,
    /// Which parts may be in memory together, as the plan of the last request says.
    residency: Residency,
    /// Features of the prompts used last: a batch, and the next picture of the same prompt, encode nothing.
    encoded: Vec<(String, Encoding)>,
    /// A run to go on with.
    held: Option<Held>,
    /// Latents of pictures that others begin at or are pulled towards, by their hash.
    pictures: Vec<(String, Latents)>,
    /// Whether runs are kept and told.
    keep: bool,
    /// Whether a picture that is stopped is given up, see [`Pipeline::give_up_with`].
    give_up: Arc<AtomicBool>,
}

/// The networks, in the order of use; those that have been read.
#[derive(Default)]
struct Parts {
    text: Option<Box<dyn TextEncoder>>,
    transformer: Option<Box<dyn Transformer>>,
    autoencoder: Option<Autoencoder>,
}

impl Pipeline {
    /// The model called `model` in the catalogue, or in the folder of that path. Hashes of weight files on disk are
    /// remembered in `cache`.
    ///
    /// # Errors
    /// Those of [`Pipeline::open_as`].
    pub fn open(model: &str, cache: Option<&Path>) -> Result<Self> {
        Self::open_as(&Opening::named(model, cache))
    }

    /// The model that `opening` names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such model, else what is wrong with its files.
    pub fn open_as(opening: &Opening) -> Result<Self> {
        let Located { files, entry, name, warnings } = locate(opening)?;
        let mut hashes = HashCache::open(opening.cache.as_deref());
        let spec = Spec::open(&files, entry, &mut hashes)?.held(&files, opening.holding, opening.memory)?;
        let mut spec = spec.adapted(&opening.loras, &files, &mut hashes)?;
        spec.opened_as(opening, name, warnings);
        Ok(Self {
            spec,
            files,
            device: Device::Cpu,
            parts: Parts::default(),
            residency: Residency::Whole,
            encoded: Vec::new(),
            held: None,
            pictures: Vec::new(),
            keep: false,
            give_up: Arc::default(),
        })
    }

    /// What the model is and can do.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The same, to add samplers of one's own.
    pub fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// Makes the pictures of `request`, telling `observe` everything. When it answers [`ControlFlow::Break`], the best
    /// denoised prediction so far is decoded and delivered, marked as stopped, and nothing further is begun.
    ///
    /// # Errors
    /// What is wrong with the request, the files, or the numbers; being stopped is no error.
    pub fn generate(&mut self, request: &Request, observe: impl FnMut(Event) -> ControlFlow<()>) -> Result<Outcome> {
        let observer = Observer::new(observe);
        let mut outcome = Outcome::default();
        match self.make(request, &observer, &mut outcome) {
            Ok(()) => {}
            Err(Error::Cancelled) if observer.stopped() => {}
            Err(error) => return Err(error),
        }
        outcome.stopped = observer.stopped();
        observer.tell(Event::Finished(outcome));
        Ok(outcome)
    }

    fn make(&mut self, request: &Request, observer: &Observer<'_>, outcome: &mut Outcome) -> Result<()> {
        for warning in request.check(&self.spec)? {
            observer.proceed(Event::Warning(warning))?;
        }
        self.check_beside(request)?;
        self.residency = request.memory_plan(&self.spec).residency;
        let clock = Instant::now();
        let progress = Progress::new(observer, self.to_read(request));
        self.load_first(request, &progress)?;
        outcome.loading = clock.elapsed();

        let clock = Instant::now();
        observer.proceed(Event::Encoding)?;
        let guided = self.condition(request)?;
        for warning in self.prompt_warnings(&request.prompt)? {
            observer.proceed(Event::Warning(warning))?;
        }
        outcome.encoding = clock.elapsed();

        let clock = Instant::now();
        self.read_networks(&progress)?;
        progress.finish()?;
        outcome.loading += clock.elapsed();

        let clock = Instant::now();
        let origin = self.origin(request, observer)?;
        outcome.sampling += clock.elapsed();
        for (index, &seed) in request.seeds.iter().enumerate() {
            if observer.stopped() {
                break;
            }
            let begun = Instant::now();
            let begin = self.begin(request, seed, origin.as_ref(), observer)?;
            let walked = self.walk(Walk { request, guided: &guided, seed, picture: Some(index), begin }, observer)?;
            outcome.sampling += begun.elapsed();
            let wanted = walked.taken == request.steps || !self.give_up.load(Ordering::SeqCst);
            let Some(latents) = walked.best().filter(|_| wanted) else { break };

            let clock = Instant::now();
            observer.tell(Event::Decoding { index });
            let image = self.decode(latents)?;
            outcome.decoding += clock.elapsed();
            outcome.pictures += 1;
            let stopped = (walked.taken < request.steps).then_some((walked.taken, request.steps));
            let mut request = request.for_seed(seed);
            request.stop_after = stopped.map(|(taken, _)| taken);
            observer.tell(Event::Picture(Box::new(Picture {
                index,
                seed,
                image,
                latents: latents.clone(),
                request,
                stopped,
                evaluations: walked.evaluations,
                elapsed: begun.elapsed(),
                kept: walked.kept.map(Arc::new),
            })));
        }
        Ok(())
    }

    /// Integrates from `noise`, the state at the first of the request's sigmas, along the others. Returns the latents to
    /// decode.
    ///
    /// # Errors
    /// Those of the networks; [`Error::NotFinite`] if the numbers blow up.
    pub fn denoise(
        &mut self,
        request: &Request,
        noise: Latents,
        observe: impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Latents> {
        let observer = Observer::new(observe);
        let guided = self.condition(request)?;
        self.read_networks(&Progress::new(&Observer::silent(), 0))?;
        let seed = request.seeds.first().copied().unwrap_or_default();
        let walk = Walk { request, guided: &guided, seed, picture: Some(0), begin: Begin::New(noise) };
        self.walk(walk, &observer)?.best().cloned().ok_or(Error::Cancelled)
    }

    /// The picture of one item of latents.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if latents or pixels are not finite numbers.
    pub fn decode(&mut self, latents: &Latents) -> Result<RgbImage> {
        if !latents.is_finite()? {
            return Err(Error::NotFinite { stage: "transformer" });
        }
        let tensor = latents.tensor();
        let ((_, _, h, w), f) = (tensor.dims4()?, self.spec.vae.latent_factor());
        self.autoencoder()?;
        let tiling = self.spec.decode_tiling_now((w * f) as u32, (h * f) as u32);
        let pixels = self.autoencoder()?.decode_tiled(tensor, tiling, &mut ())?;
        vae::to_rgb(&pixels)?.into_iter().next().ok_or(Error::NotFinite { stage: "autoencoder" })
    }
}
