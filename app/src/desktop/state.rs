//! Everything the window shows, as plain data. Events change it in [`State::hear`], the user's actions in
//! [`super::App`]; panels only read it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use flowline_model::{Event as Made, Picture, Request, StepDone, catalog};
use image::RgbImage;

use super::settings::{Saved, Settings};
use crate::cli::asked::counted_on;
use crate::engine::{Ending, Event, Job, Offer, Progress, Stocked};
use crate::error::Failure;
use crate::queue::{JobId, JobState, Snapshot, Task};

/// What the window shows.
#[derive(Debug, Default)]
pub struct State {
    /// The prompt.
    pub prompt: String,
    /// What the model offers; `None` until it is open.
    pub offer: Option<Arc<Offer>>,
    /// The settings; `None` until the model is open.
    pub settings: Option<Settings>,
    /// The queue, as it is on the disk.
    pub queue: Arc<Snapshot>,
    /// Settings to begin with, once the model of this name is open.
    pub restore: Option<(String, Saved)>,
    /// What the engine is doing for us; `None` when idle.
    pub work: Option<Work>,
    /// The last finished picture.
    pub picture: Option<Finished>,
    /// What the user should know, oldest first.
    pub messages: Vec<Message>,
    /// The answer to the last button: one short sentence.
    pub note: Option<String>,
    /// The models there are.
    pub models: Arc<[Stocked]>,
    /// The model that was chosen and is not the one at work: being opened, or not here.
    pub chosen: Option<String>,
    /// The model being fetched, and how far it is.
    pub fetch: Option<(String, Progress)>,
    /// Whether fetching was asked to stop.
    pub stopping_fetch: bool,
    /// The path being typed for a copy, while that field is open.
    pub copy_to: Option<String>,
}

/// A job on its way.
#[derive(Debug, Default)]
pub struct Work {
    /// How far it is.
    pub phase: Phase,
    /// The entry of the queue that it is; `None` until the engine has begun it.
    pub job: Option<JobId>,
    /// How it was asked to end.
    pub ending: Option<Ending>,
    /// What is being made; `None` until it is decided.
    pub request: Option<Box<Request>>,
}

/// How far a job is.
#[derive(Debug, Default)]
pub enum Phase {
    /// The engine has not said anything yet.
    #[default]
    Waiting,
    /// Weights are being read.
    Loading {
        /// Which.
        part: &'static str,
        /// Bytes read.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The prompt is being read.
    Encoding,
    /// The first step is being taken.
    Beginning,
    /// Steps are being taken; the last one, without its preview.
    Sampling(StepDone),
    /// The latents are being decoded.
    Decoding,
}

/// A picture that is there.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its pixels and its record.
    pub picture: Arc<Picture>,
    /// Where it was saved; `None` if that failed.
    pub path: Option<PathBuf>,
}

/// Something the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How serious it is.
    pub tone: Tone,
    /// One sentence.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The picture is made all the same.
    Warning,
    /// Something did not work.
    Error,
}

/// New pixels for the canvas.
#[derive(Debug)]
pub enum Shown {
    /// The denoised prediction, one pixel a latent.
    Preview(RgbImage),
    /// A finished picture.
    Picture(Arc<Picture>),
}

impl State {
    /// Takes in an event; returns what it brings for the canvas. Events may come in any order.
    pub fn hear(&mut self, event: Event) -> Option<Shown> {
        match event {
            Event::Ready(offer) => {
                self.chosen = self.chosen.take().filter(|chosen| *chosen != offer.model);
                let other = self.offer.as_ref().is_none_or(|known| *known != offer);
                if other {
                    let settings = Settings::new(&offer, self.settings.as_ref());
                    let restored = self.restore.take_if(|(model, _)| *model == offer.model);
                    self.settings = settings.map(|settings| match restored {
                        Some((_, saved)) => settings.with(&saved, &offer),
                        None => settings,
                    });
                    self.offer = Some(offer);
                }
            }
            Event::Queue(queue) => {
                self.queue = queue;
                // Another window may have taken what was just asked for.
                let unbegun = self.work.as_ref().is_some_and(|work| work.job.is_none());
                if unbegun && self.queue.ours.is_empty() && !self.lines_up() {
                    self.work = None;
                }
            }
            Event::Began(id) => self.work = Some(Work { job: Some(id), ..self.work.take().unwrap_or_default() }),
            Event::Started(request) => {
                if let (Some(settings), Some(&seed)) = (&mut self.settings, request.seeds.first()) {
                    settings.seed.used(seed);
                }
                if let Some(work) = &mut self.work {
                    work.request = Some(request);
                }
            }
            Event::Made(made) => return self.hear_made(made),
            Event::Picture(picture, saved) => {
                let path = match saved {
                    Ok(path) => Some(path),
                    Err(failure) => {
                        self.fail(&failure);
                        None
                    }
                };
                self.picture = Some(Finished { picture: Arc::clone(&picture), path });
                return Some(Shown::Picture(picture));
            }
            Event::Models(models) => self.models = models,
            Event::Fetching(name, progress) => {
                if self.fetch.as_ref().is_some_and(|(fetched, _)| *fetched == name) {
                    self.fetch = Some((name, progress));
                }
            }
            Event::Fetched(name, fetched) => {
                (self.fetch, self.stopping_fetch) = (None, false);
                match fetched {
                    Ok(ControlFlow::Continue(())) => self.note = Some(format!("{name} is here")),
                    Ok(ControlFlow::Break(())) => self.note = Some(format!("Stopped; what has come of {name} is kept")),
                    Err(failure) => self.fail(&failure),
                }
            }
            Event::Copied(Ok(path)) => self.note = Some(format!("Copy saved as {}", path.display())),
            Event::Copied(Err(failure)) => self.fail(&failure),
            // The laboratory's own.
            Event::Laboratory(_) => {}
            Event::Failed(failure) => {
                // Something else may have failed meanwhile.
                self.work = self.work.take().filter(|work| work.job.is_some_and(|job| self.queue.ours.contains(&job)));
                // What could not be opened is not waited for.
                self.chosen = self.chosen.take().filter(|chosen| !self.is_here(chosen));
                self.fail(&failure);
            }
        }
        None
    }

    fn hear_made(&mut self, made: Made) -> Option<Shown> {
        let phase = match made {
            // Said beside the size already, before anything was asked for.
            Made::Warning(warning) if warning.code == "size-untrained" && self.settings.is_some() => return None,
            Made::Warning(warning) => {
                self.say(Message { tone: Tone::Warning, text: sentence(&warning.message), hint: None });
                return None;
            }
            Made::Finished(outcome) => {
                let ending = self.work.take().and_then(|work| work.ending);
                if outcome.stopped && outcome.pictures == 0 {
                    self.note = match ending {
                        Some(Ending::Best) => Some("Stopped before the first step; there is no picture".into()),
                        Some(Ending::Nothing) => Some("Discarded".into()),
                        Some(Ending::Later) | None => None,
                    };
                }
                return None;
            }
            // The network runs for the first time.
            Made::Tick if self.work.as_ref().is_some_and(|work| matches!(work.phase, Phase::Encoding)) => {
                Phase::Beginning
            }
            // Pictures come as the engine's own event, when they are saved.
            Made::Tick | Made::Picture(_) => return None,
            Made::Loading { part, bytes, total } => Phase::Loading { part, bytes, total },
            Made::Encoding => Phase::Encoding,
            Made::Decoding { .. } => Phase::Decoding,
            Made::Step(mut step) => {
                let preview = step.preview.take();
                let work = self.work.as_mut()?;
                work.phase = Phase::Sampling(step);
                return preview.map(Shown::Preview);
            }
        };
        if let Some(work) = &mut self.work {
            work.phase = phase;
        }
        None
    }

    /// The name of the model that makes the pictures.
    pub fn model_name(&self) -> String {
        let default = || catalog::MODELS.first().map_or_else(String::new, |entry| entry.name.to_owned());
        self.offer.as_ref().map_or_else(default, |offer| offer.model.clone())
    }

    /// The model that was chosen, else the one at work.
    pub fn looked_at(&self) -> Option<&Stocked> {
        let name = self.chosen.clone().unwrap_or_else(|| self.model_name());
        self.models.iter().find(|model| model.name == name)
    }

    fn is_here(&self, name: &str) -> bool {
        self.models.iter().any(|model| model.name == name && model.here)
    }

    /// A model was chosen; whether it is to be opened now.
    pub fn choose(&mut self, name: String) -> bool {
        let here = self.is_here(&name);
        let other = name != self.model_name();
        self.chosen = other.then_some(name);
        here && other
    }

    /// The model to open, if `event` says that the one that was chosen has come.
    pub fn fetched(&self, event: &Event) -> Option<String> {
        match event {
            Event::Fetched(name, Ok(ControlFlow::Continue(()))) if self.chosen.as_ref() == Some(name) => {
                Some(name.clone())
            }
            _ => None,
        }
    }

    /// Whether an entry of the queue waits for its turn.
    pub fn lines_up(&self) -> bool {
        self.queue.paused.is_none() && self.queue.entries.iter().any(|entry| entry.state == JobState::Waiting)
    }

    /// Whether the next picture has to wait for others, or for the queue to go on.
    pub fn is_busy(&self) -> bool {
        self.work.is_some() || self.queue.paused.is_some() || self.lines_up()
    }

    /// What keeps the next picture from being made; `None` if nothing does.
    pub fn obstacle(&self) -> Option<&'static str> {
        if self.chosen.as_ref().is_some_and(|chosen| self.is_here(chosen)) {
            return Some("Another model is being opened");
        }
        if self.prompt.trim().is_empty() {
            return Some("Write first what the picture shows");
        }
        match &self.settings {
            Some(settings) if !settings.seed.is_valid() => Some("The seed is not a whole number"),
            _ => None,
        }
    }

    /// The next job, as set now.
    pub fn job(&self) -> Box<Job> {
        let model = self.model_name();
        let draft = match &self.settings {
            Some(settings) => settings.draft(&self.prompt),
            None => flowline_model::Draft { prompt: self.prompt.clone(), ..flowline_model::Draft::default() },
        };
        Box::new(Job { model, draft })
    }

    /// The next job with four seeds: those after the one that was chosen, else four random ones.
    pub fn four(&self) -> Vec<Task> {
        let job = self.job();
        let seeds = job.draft.seeds.first().and_then(|first| counted_on(*first, 4).ok());
        let of = |at: usize| {
            let mut job = job.clone();
            if let Some(seed) = seeds.as_ref().and_then(|seeds| seeds.get(at)) {
                job.draft.seeds = vec![*seed];
            }
            Task::Pictures(job)
        };
        (0..4).map(of).collect()
    }

    /// A job was sent off.
    pub fn begin(&mut self) {
        if let Some(settings) = &mut self.settings {
            settings.seed.sent();
        }
        if self.is_busy() {
            self.note = Some("Added to the queue".into());
            return;
        }
        self.work = Some(Work::default());
        self.messages.clear();
        self.note = None;
        self.copy_to = None;
    }

    /// Adds a message, once.
    pub fn say(&mut self, message: Message) {
        if !self.messages.contains(&message) {
            self.messages.push(message);
        }
    }

    /// Adds a failure's message.
    pub fn fail(&mut self, failure: &Failure) {
        self.say(Message { tone: Tone::Error, text: sentence(&failure.what), hint: Some(sentence(&failure.hint)) });
    }
}

/// Errors and warnings are written in lower case for the command line; here they stand alone.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        // A name that starts a message keeps its spelling; a plain word gets its capital.
        Some(first) if first.is_ascii_lowercase() && !is_name(text) => {
            first.to_ascii_uppercase().to_string() + characters.as_str()
        }
        _ => text.to_owned(),
    }
}

/// Whether a text begins with the name of a program, a file or a host.
fn is_name(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    first == "flowline" || first.trim_end_matches(['.', ',', ':']).contains(['.', '/', '-', '_'])
}
