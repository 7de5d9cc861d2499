//! A model as the engine sees it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flowline_model::text::PromptReader;
use flowline_model::{Draft, Error, Event, Kept, Opening, Outcome, Pipeline, Request, Resolved, Spec};
use flowline_sampler::catalog::{About, Choice};

use crate::Registry;
use crate::error::Result;
use crate::shelf::Shelf;

/// What the engine asks of a model: a [`Pipeline`], or a stand-in where the engine itself is tested.
pub trait Model: Send {
    /// What people may choose.
    fn offer(&self) -> Offer;

    /// As [`Draft::resolve`].
    ///
    /// # Errors
    /// As [`Draft::resolve`].
    fn resolve(&self, draft: &Draft) -> Result<Resolved>;

    /// As [`Pipeline::generate`].
    ///
    /// # Errors
    /// As [`Pipeline::generate`].
    fn generate(&mut self, request: &Request, observe: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<Outcome>;

    /// As [`Pipeline::keep`]. What cannot keep its runs begins anew after an interruption.
    fn keep(&mut self, _keep: bool) {}

    /// As [`Pipeline::hold`].
    ///
    /// # Errors
    /// As [`Pipeline::hold`].
    fn hold(&mut self, _kept: Kept) -> Result<()> {
        Ok(())
    }

    /// As [`Pipeline::give_up_with`].
    fn give_up_with(&mut self, _give_up: Arc<AtomicBool>) {}

    /// The pipeline itself, for experiments; a stand-in has none.
    fn pipeline(&mut self) -> Option<&mut Pipeline> {
        None
    }
}

/// How a model is opened, by its name or folder.
pub type Open = Box<dyn FnMut(&str) -> Result<Box<dyn Model>> + Send>;

/// Opens pipelines with what `registry` offers, each as `opening` says but for its name.
pub fn open_pipeline(registry: Registry, opening: Opening) -> Open {
    Box::new(move |model| {
        let opening = Opening { model: model.to_owned(), ..opening.clone() };
        Ok(Box::new(registry.open(&Shelf::usual(true).over(opening))?))
    })
}

impl Model for Pipeline {
    fn offer(&self) -> Offer {
        // Without one, prompts are read all the same when a picture is made, and what is wrong is said then.
        let reader = self.prompt_reader().ok().map(|reader| Reader(Arc::new(reader)));
        Offer { reader, ..Offer::of(self.spec()) }
    }

    fn resolve(&self, draft: &Draft) -> Result<Resolved> {
        Ok(draft.resolve(self.spec())?)
    }

    fn generate(&mut self, request: &Request, observe: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<Outcome> {
        let made = match Self::generate(self, request, &mut *observe) {
            // Refused before anything was made: the picture may well fit where its run does not.
            Err(Error::Memory { .. }) => {
                Self::keep(self, false);
                let made = Self::generate(self, request, observe);
                Self::keep(self, true);
                made
            }
            made => made,
        };
        Ok(made?)
    }

    fn keep(&mut self, keep: bool) {
        Self::keep(self, keep);
    }

    fn hold(&mut self, kept: Kept) -> Result<()> {
        Ok(Self::hold(self, kept)?)
    }

    fn give_up_with(&mut self, give_up: Arc<AtomicBool>) {
        Self::give_up_with(self, give_up);
    }

    fn pipeline(&mut self) -> Option<&mut Pipeline> {
        Some(self)
    }
}

/// What may be chosen with a model, and what it likes: the controls of a face are made from this.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its name.
    pub model: String,
    /// What it is, one line.
    pub about: &'static str,
    /// What a narrow model draws, as the end of a sentence.
    pub draws: Option<String>,
    /// The samplers.
    pub samplers: Vec<About>,
    /// The schedules.
    pub schedules: Vec<About>,
    /// The sampler it likes.
    pub sampler: Choice,
    /// The number of steps it likes.
    pub steps: usize,
    /// The classifier-free guidance it likes; 1 is off.
    pub cfg: f64,
    /// The distilled guidance it likes; `None` for a model without.
    pub guidance: Option<f64>,
    /// The size it likes: width and height in pixels.
    pub size: (u32, u32),
    /// Width and height must be multiples of this.
    pub size_multiple: u32,
    /// The only size it was trained at, if there is only one.
    pub trained_size: Option<(u32, u32)>,
    /// What its text encoders see of a prompt; `None` where nobody can say.
    pub reader: Option<Reader>,
}

/// A model's reader of prompts, which answers at once. Those of models with the same words are equal.
#[derive(Clone, Debug)]
pub struct Reader(pub Arc<PromptReader>);

impl PartialEq for Reader {
    fn eq(&self, other: &Self) -> bool {
        self.0.words() == other.0.words()
    }
}

impl Offer {
    /// What the model of `spec` offers.
    pub fn of(spec: &Spec) -> Self {
        let likes = &spec.entry.defaults;
        Self {
            model: spec.name.clone(),
            about: spec.entry.about,
            draws: spec.draws.clone(),
            samplers: spec.samplers.iter().cloned().collect(),
            schedules: spec.schedules.iter().cloned().collect(),
            sampler: likes.sampler(),
            steps: likes.steps,
            cfg: likes.cfg,
            guidance: likes.guidance,
            size: likes.size,
            size_multiple: spec.size_multiple().max(1),
            trained_size: spec.entry.trained_size,
            reader: None,
        }
    }
}
