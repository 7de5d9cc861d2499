//! Prompt -> conditioning -> velocity -> sampler -> decode. **Read this first.**
//!
//! [`Pipeline::generate`] is the one door: window, command line and tests all go through it. The stages are public
//! too, for experiments: [`Pipeline::encode`], [`Pipeline::denoise`], [`Pipeline::decode`].

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::Device;
use flowline_sampler::guidance::Cfg;
use flowline_sampler::{Env, Meter, NoiseKey, Schedule, Stream, Trajectory, Velocity};
use image::RgbImage;

use crate::event::{Event, Outcome, Picture, StepDone, Warning};
use crate::family::{Encoding, Load, TextEncoder, Transformer};
use crate::latents::{Seeds, foreign};
use crate::spec::Spec;
use crate::vae::Autoencoder;
use crate::weights::{HashCache, ModelFiles};
use crate::{Conditioning, Error, Latents, Request, Result, catalog, vae};

/// A model, ready to make pictures. Weights are read when first needed and stay.
pub struct Pipeline {
    spec: Spec,
    files: ModelFiles,
    device: Device,
    parts: Option<Parts>,
    /// Features of the prompts used last: a batch, and the next picture of the same prompt, encode nothing.
    encoded: Vec<(String, Encoding)>,
}

/// The networks, in the order of use.
struct Parts {
    text: Box<dyn TextEncoder>,
    transformer: Box<dyn Transformer>,
    autoencoder: Autoencoder,
}

/// How many prompts' features are kept.
const ENCODINGS_KEPT: usize = 8;

impl Pipeline {
    /// The model called `model` in the catalogue, or in the folder of that path. Hashes of weight files on disk are
    /// remembered in `cache`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such model, else what is wrong with its files.
    pub fn open(model: &str, cache: Option<&Path>) -> Result<Self> {
        let (files, entry) = match catalog::find(model) {
            Ok(entry) => match entry.source {
                catalog::Source::Embedded(files) => (ModelFiles::Embedded(files), Some(entry)),
                catalog::Source::Folder if !is_path(model) => {
                    let what = format!("{} is not built in, and this version does not download models", entry.name);
                    return Err(Error::invalid(what, "name its diffusers folder: -m path/to/folder"));
                }
                catalog::Source::Folder => (ModelFiles::folder(Path::new(model))?, None),
            },
            Err(_) if is_path(model) => (ModelFiles::folder(Path::new(model))?, None),
            Err(unknown) => return Err(unknown),
        };
        let spec = Spec::open(&files, entry, &mut HashCache::open(cache))?;
        Ok(Self { spec, files, device: Device::Cpu, parts: None, encoded: Vec::new() })
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
        let clock = Instant::now();
        self.load(observer)?;
        outcome.loading = clock.elapsed();

        let clock = Instant::now();
        observer.proceed(Event::Encoding)?;
        let guided = self.condition(request)?;
        for warning in self.prompt_warnings(&request.prompt)? {
            observer.proceed(Event::Warning(warning))?;
        }
        outcome.encoding = clock.elapsed();

        for (index, &seed) in request.seeds.iter().enumerate() {
            if observer.stopped() {
                break;
            }
            let begun = Instant::now();
            let (c, h, w) = self.spec.latent_shape(request.width, request.height);
            let initial = NoiseKey { stream: Stream::INITIAL, step: 0, draw: 0 };
            let noise = Latents::normal(&[seed], (c, h, w), initial, &self.device)?;
            let sampled = self.sample(request, &guided, (index, seed), noise, observer)?;
            outcome.sampling += begun.elapsed();
            let Some(sampled) = sampled else { break };

            let clock = Instant::now();
            observer.tell(Event::Decoding { index });
            let image = self.decode(&sampled.latents)?;
            outcome.decoding += clock.elapsed();
            outcome.pictures += 1;
            let stopped = (sampled.taken < request.steps).then_some((sampled.taken, request.steps));
            let mut request = request.for_seed(seed);
            request.stop_after = stopped.map(|(taken, _)| taken);
            let (evaluations, elapsed) = (sampled.evaluations, begun.elapsed());
            observer.tell(Event::Picture(Box::new(Picture {
                index,
                seed,
                image,
                request,
                stopped,
                evaluations,
                elapsed,
            })));
        }
        Ok(())
    }

    /// Reads whatever has not been read yet.
    fn load(&mut self, observer: &Observer<'_>) -> Result<()> {
        if self.parts.is_some() {
            return Ok(());
        }
        let mut total = 0;
        for weights in &self.spec.record().weights {
            total += self.files.weights(&weights.file)?.bytes();
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
        let load = Load { files: &self.files, device: &self.device, on_read: &on_read };
        let text = self.spec.family.load_text(&load, self.spec.text_length)?;
        part.set("transformer");
        let transformer = self.spec.family.load_transformer(&load)?;
        part.set("autoencoder");
        let autoencoder = load.part("vae/diffusion_pytorch_model.safetensors", |reader| {
            let autoencoder = Autoencoder::load_decoder(&self.spec.vae, reader)?;
            let unread = autoencoder.optional_tensors();
            Ok((autoencoder, unread))
        })?;
        self.parts = Some(Parts { text, transformer, autoencoder });
        Ok(())
    }

    fn parts(&mut self) -> Result<&Parts> {
        self.load(&Observer::new(|_| ControlFlow::Continue(())))?;
        self.parts.as_ref().ok_or(Error::Cancelled)
    }

    /// A prompt's features.
    ///
    /// # Errors
    /// Those of the text encoders and their files.
    pub fn encode(&mut self, prompt: &str) -> Result<Encoding> {
        if let Some((_, encoding)) = self.encoded.iter().find(|(known, _)| known == prompt) {
            return Ok(encoding.clone());
        }
        let encoding = self.parts()?.text.encode(prompt)?;
        if self.encoded.len() == ENCODINGS_KEPT {
            self.encoded.remove(0);
        }
        self.encoded.push((prompt.to_owned(), encoding.clone()));
        Ok(encoding)
    }

    /// What `request` is conditioned on: the prompt, and the negative prompt where classifier-free guidance uses it.
    fn condition(&mut self, request: &Request) -> Result<Guided> {
        let mut conditioning = |prompt: &str| -> Result<Conditioning> {
            let Encoding { context, pooled, .. } = self.encode(prompt)?;
            Ok(Conditioning { context, pooled, guidance: request.guidance })
        };
        let positive = conditioning(&request.prompt)?;
        // At scale 1 the negative side has no weight and is never evaluated.
        let negative = match request.cfg == 1.0 {
            true => positive.clone(),
            false => conditioning(&request.negative_prompt)?,
        };
        Ok(Guided { positive, negative, cfg: request.cfg })
    }

    /// What should be said about a prompt: words the model does not know, an end that did not fit.
    ///
    /// # Errors
    /// Those of [`Pipeline::encode`].
    pub fn prompt_warnings(&mut self, prompt: &str) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        if prompt.trim().is_empty() {
            warnings.push(Warning::new("prompt-empty", "the prompt is empty; the model draws what it likes"));
        }
        self.parts()?;
        if let (Some(words), Some(parts)) = (&self.spec.words, &self.parts) {
            warnings.extend(unknown_words(&self.spec, &parts.text.unknown_words(words, prompt)?));
        }
        if let Some(cut) = self.encode(prompt)?.cut {
            let shown: String = cut.chars().take(60).collect();
            let more = if shown.len() < cut.len() { "…" } else { "" };
            let message = format!(
                "the prompt is too long for {} ({} tokens of text); from here on it was cut: \"{shown}{more}\"",
                self.spec.name, self.spec.text_length
            );
            warnings.push(Warning::new("prompt-cut", message));
        }
        Ok(warnings)
    }

    /// Integrates from `noise` along the request's sigmas. Returns the latents to decode.
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
        self.parts()?;
        let seed = request.seeds.first().copied().unwrap_or_default();
        match self.sample(request, &guided, (0, seed), noise, &observer)? {
            Some(sampled) => Ok(sampled.latents),
            None => Err(Error::Cancelled),
        }
    }

    /// One picture's trajectory; `None` if it was stopped before its first step was done.
    fn sample(
        &self,
        request: &Request,
        guided: &Guided,
        (index, seed): (usize, u64),
        noise: Latents,
        observer: &Observer<'_>,
    ) -> Result<Option<Sampled>> {
        let transformer = self.parts.as_ref().ok_or(Error::Cancelled)?.transformer.as_ref();
        let schedule = Schedule::explicit(request.sigmas.clone())?;
        let sampler = self.spec.samplers.build(&request.sampler)?;
        let mut trajectory = Trajectory::start(sampler.as_ref(), schedule, noise)?;
        let conditioned = |conditioning| Conditioned { transformer, conditioning };
        let mut velocity =
            Cfg { positive: conditioned(&guided.positive), negative: conditioned(&guided.negative), scale: guided.cfg };
        let (mut seeds, mut ask) = (Seeds(vec![seed]), || observer.ask(Event::Tick));
        let mut env = Env::new(&mut velocity, &mut seeds, &mut ask);

        let clock = Instant::now();
        let mut denoised = None;
        while request.stop_after != Some(trajectory.taken()) && !observer.stopped() {
            let report = match trajectory.step(&mut env) {
                Ok(Some(report)) => report,
                Ok(None) => break,
                Err(flowline_sampler::Error::Cancelled) => break,
                Err(error) => return Err(error.into()),
            };
            let preview = match &self.spec.preview {
                Some(preview) => preview.apply(report.denoised.tensor())?.into_iter().next(),
                None => None,
            };
            observer.tell(Event::Step(StepDone {
                picture: index,
                pictures: request.seeds.len(),
                taken: report.taken,
                steps: report.steps,
                sigma: report.sigma,
                next: report.next,
                evaluations: report.evaluations,
                elapsed: clock.elapsed(),
                preview,
            }));
            denoised = Some(report.denoised);
        }
        let (taken, evaluations) = (trajectory.taken(), trajectory.evaluations());
        let latents = if taken == request.steps { Some(trajectory.x().clone()) } else { denoised };
        Ok(latents.map(|latents| Sampled { latents, taken, evaluations }))
    }

    /// The picture of one item of latents.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if latents or pixels are not finite numbers.
    pub fn decode(&mut self, latents: &Latents) -> Result<RgbImage> {
        if !latents.is_finite()? {
            return Err(Error::NotFinite { stage: "transformer" });
        }
        let pixels = self.parts()?.autoencoder.decode(latents.tensor())?;
        vae::to_rgb(&pixels)?.into_iter().next().ok_or(Error::NotFinite { stage: "autoencoder" })
    }
}

/// Whether `model` reads as a path rather than as a name.
fn is_path(model: &str) -> bool {
    model.contains(['/', '\\']) || model.starts_with('.') || PathBuf::from(model).exists()
}

fn unknown_words(spec: &Spec, unknown: &[String]) -> Option<Warning> {
    if unknown.is_empty() {
        return None;
    }
    let shown = unknown.iter().take(12).map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    let more = if unknown.len() > 12 { format!(" and {} more", unknown.len() - 12) } else { String::new() };
    let draws = spec.draws.as_ref().map(|draws| format!("; it draws {draws}")).unwrap_or_default();
    let message = format!("{} does not know {shown}{more}{draws}", spec.name);
    Some(Warning::new("unknown-words", message))
}

/// What a picture is conditioned on.
struct Guided {
    positive: Conditioning,
    negative: Conditioning,
    cfg: f64,
}

/// Latents ready to decode.
struct Sampled {
    latents: Latents,
    taken: usize,
    evaluations: u64,
}

/// The transformer under one conditioning, as a velocity field.
struct Conditioned<'a> {
    transformer: &'a dyn Transformer,
    conditioning: &'a Conditioning,
}

impl Velocity<Latents> for Conditioned<'_> {
    fn velocity(&mut self, x: &Latents, sigma: f64, meter: &mut Meter<'_>) -> flowline_sampler::Result<Latents> {
        meter.evaluation()?;
        let mut tick = || meter.tick().map_err(Error::from);
        let v = self.transformer.velocity(x.tensor(), self.conditioning, sigma, &mut tick);
        v.and_then(Latents::new).map_err(foreign)
    }
}

/// The caller's ear. Once it has answered "stop" it is still told what happens, and no longer asked.
struct Observer<'a> {
    observe: RefCell<Box<dyn FnMut(Event) -> ControlFlow<()> + 'a>>,
    stopped: Cell<bool>,
}

impl<'a> Observer<'a> {
    fn new(observe: impl FnMut(Event) -> ControlFlow<()> + 'a) -> Self {
        Self { observe: RefCell::new(Box::new(observe)), stopped: Cell::new(false) }
    }

    fn stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Tells; a "stop" is remembered.
    fn tell(&self, event: Event) {
        if (self.observe.borrow_mut())(event).is_break() {
            self.stopped.set(true);
        }
    }

    /// Tells, and says whether to go on.
    fn ask(&self, event: Event) -> ControlFlow<()> {
        self.tell(event);
        if self.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Tells, and turns "stop" into [`Error::Cancelled`].
    fn proceed(&self, event: Event) -> Result<()> {
        if self.ask(event).is_break() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
