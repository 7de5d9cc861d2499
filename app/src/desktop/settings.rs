//! What may be set beside the prompt: the values, and what they ask of the engine.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;

use flowline_model::Draft;
use flowline_sampler::catalog::{About, Choice, Kind, Value};
use serde::{Deserialize, Serialize};

use crate::engine::Offer;

/// The settings of the next picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What the picture does not show; used where `cfg` is not 1.
    pub negative_prompt: String,
    /// The sampler.
    pub sampler: Selection,
    /// The schedule; `None` is the sampler's or the model's own.
    pub schedule: Option<Selection>,
    /// The sigmas of a schedule that was shaped by hand, in place of schedule and steps.
    pub sigmas: Option<Vec<f64>>,
    /// Number of steps.
    pub steps: usize,
    /// Classifier-free guidance; 1 is off.
    pub cfg: f64,
    /// Distilled guidance; `None` for a model without.
    pub guidance: Option<f64>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The seed.
    pub seed: Seed,
}

/// Settings as they are written down: what is not said is as the model likes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// The negative prompt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// The sampler with its parameters, as on the command line.
    pub sampler: Option<String>,
    /// The schedule with its parameters.
    pub schedule: Option<String>,
    /// Number of steps.
    pub steps: Option<usize>,
    /// Classifier-free guidance.
    pub cfg: Option<f64>,
    /// Distilled guidance.
    pub guidance: Option<f64>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
}

/// A sampler or schedule with a value for each of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Its description.
    pub about: About,
    /// Its parameters' values, in the description's order.
    pub values: Vec<Value>,
}

/// The seed field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seed {
    /// As it stands in the field: the seed of the last picture, or one that was typed or rolled for the next.
    pub text: String,
    /// Whether every picture uses it.
    pub keep: Keep,
}

/// For how long a seed in the field is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The next picture gets a new random one.
    #[default]
    No,
    /// The next picture gets it, the one after that a new one: it was typed or rolled.
    Once,
    /// Every picture gets it: the lock is closed.
    Locked,
}

/// Largest width and height of the controls; the engine refuses what does not fit into memory.
pub const LARGEST_SIDE: u32 = 4096;
/// Most steps of the control.
pub const MOST_STEPS: usize = 1000;
/// The range of classifier-free guidance; 1 is off.
pub const CFG: RangeInclusive<f64> = 1.0..=30.0;
/// The range of distilled guidance.
pub const GUIDANCE: RangeInclusive<f64> = 0.0..=100.0;

impl Settings {
    /// What a model likes; the seed and the negative prompt are kept from `before`.
    pub fn new(offer: &Offer, before: Option<&Self>) -> Option<Self> {
        let sampler = offer.samplers.iter().find(|about| about.name == offer.sampler.name);
        let sampler = sampler.or_else(|| offer.samplers.first())?;
        Some(Self {
            negative_prompt: before.map(|before| before.negative_prompt.clone()).unwrap_or_default(),
            sampler: Selection::new(sampler),
            schedule: None,
            sigmas: None,
            steps: offer.steps,
            cfg: offer.cfg,
            guidance: offer.guidance,
            width: offer.size.0,
            height: offer.size.1,
            seed: before.map(|before| before.seed.clone()).unwrap_or_default(),
        })
    }

    /// Follows these sigmas from now on.
    pub fn follow(&mut self, sigmas: Vec<f64>) {
        self.steps = sigmas.len().saturating_sub(1).max(1);
        self.sigmas = Some(sigmas);
    }

    /// As they are written down.
    pub fn saved(&self) -> Saved {
        Saved {
            negative_prompt: self.negative_prompt.clone(),
            sampler: Some(self.sampler.choice().to_string()),
            schedule: self.schedule.as_ref().map(|schedule| schedule.choice().to_string()),
            steps: Some(self.steps),
            cfg: Some(self.cfg),
            guidance: self.guidance,
            size: Some((self.width, self.height)),
        }
    }

    /// These settings with what `saved` says in their place, as far as the model of `offer` has it.
    #[must_use]
    pub fn with(mut self, saved: &Saved, offer: &Offer) -> Self {
        let chosen = |written: &Option<String>, offered: &[About]| {
            let choice: Choice = written.as_ref()?.parse().ok()?;
            Selection::chosen(&choice, offered)
        };
        if let Some(sampler) = chosen(&saved.sampler, &offer.samplers) {
            self.sampler = sampler;
        }
        self.schedule = chosen(&saved.schedule, &offer.schedules);
        self.steps = saved.steps.unwrap_or(self.steps).clamp(1, MOST_STEPS);
        self.cfg = saved.cfg.filter(|cfg| cfg.is_finite()).unwrap_or(self.cfg).clamp(*CFG.start(), *CFG.end());
        if let (Some(guidance), Some(said)) = (&mut self.guidance, saved.guidance.filter(|said| said.is_finite())) {
            *guidance = said.clamp(*GUIDANCE.start(), *GUIDANCE.end());
        }
        if let Some((width, height)) = saved.size {
            let multiple = offer.size_multiple;
            (self.width, self.height) = (nearest_side(width, multiple), nearest_side(height, multiple));
        }
        self.negative_prompt.clone_from(&saved.negative_prompt);
        self
    }

    /// The draft of the next picture.
    pub fn draft(&self, prompt: &str) -> Draft {
        let negative =
            (self.cfg != 1.0 && !self.negative_prompt.trim().is_empty()).then(|| self.negative_prompt.clone());
        Draft {
            prompt: prompt.to_owned(),
            negative_prompt: negative,
            width: Some(self.width),
            height: Some(self.height),
            seeds: self.seed.next().into_iter().collect(),
            steps: Some(self.steps),
            sampler: Some(self.sampler.choice()),
            schedule: self.schedule.as_ref().filter(|_| self.sigmas.is_none()).map(Selection::choice),
            sigmas: self.sigmas.clone(),
            guidance: self.guidance,
            cfg: Some(self.cfg),
            ..Draft::default()
        }
    }
}

impl Selection {
    /// With every parameter at its default.
    pub fn new(about: &About) -> Self {
        Self { about: about.clone(), values: about.parameters.iter().map(|p| p.kind.default()).collect() }
    }

    /// What was chosen, if it is `offered`; a parameter that makes no sense has its default.
    pub fn chosen(choice: &Choice, offered: &[About]) -> Option<Self> {
        let mut selection = Self::new(offered.iter().find(|about| about.name == choice.name)?);
        for (key, written) in &choice.given {
            let at = selection.about.parameters.iter().position(|parameter| parameter.key == *key);
            let value = at.and_then(|at| Some((at, read(&selection.about.parameters.get(at)?.kind, written)?)));
            if let Some((slot, value)) = value.and_then(|(at, value)| Some((selection.values.get_mut(at)?, value))) {
                *slot = value;
            }
        }
        Some(selection)
    }

    /// As the engine reads it.
    pub fn choice(&self) -> Choice {
        let parameters = self.about.parameters.iter().zip(&self.values);
        let changed = parameters.filter(|(parameter, value)| parameter.kind.default() != **value);
        changed.fold(Choice::new(self.about.name), |choice, (parameter, value)| choice.with(parameter.key, value))
    }
}

/// The value of a parameter that was written as `text`; `None` if it cannot be one.
fn read(kind: &Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Number { min, max, .. } => {
            text.parse().ok().filter(|number| (*min..=*max).contains(number)).map(Value::Number)
        }
        Kind::Word { options, .. } => options.contains(&text).then(|| Value::Word(text.to_owned())),
    }
}

impl Seed {
    /// A seed nobody chose, short enough to be typed again.
    pub fn roll(&mut self) {
        self.text = (random() as u32).to_string();
        self.chosen();
    }

    /// The field was changed by hand: the next picture uses it.
    pub fn chosen(&mut self) {
        if self.keep != Keep::Locked {
            self.keep = Keep::Once;
        }
    }

    /// The seed a picture was begun with. It is shown, unless somebody has chosen the next one meanwhile.
    pub fn used(&mut self, seed: u64) {
        if self.keep == Keep::No {
            self.text = seed.to_string();
        }
    }

    /// A picture was asked for: a seed that was to be used once has been.
    pub fn sent(&mut self) {
        if self.keep == Keep::Once {
            self.keep = Keep::No;
        }
    }

    /// The seed for the next picture; `None` for a random one.
    pub fn next(&self) -> Option<u64> {
        if self.keep == Keep::No { None } else { self.number() }
    }

    /// Whether the field can be used: a seed, or nothing.
    pub fn is_valid(&self) -> bool {
        self.text.trim().is_empty() || self.number().is_some()
    }

    fn number(&self) -> Option<u64> {
        self.text.trim().parse().ok()
    }
}

/// A number nobody chose. The standard library's hash keys come from the system's random numbers; a seed needs no better ones.
pub fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// `side` as a multiple of `multiple` inside the control's range.
pub fn nearest_side(side: u32, multiple: u32) -> u32 {
    let largest = LARGEST_SIDE / multiple * multiple;
    ((side.saturating_add(multiple / 2) / multiple) * multiple).clamp(multiple, largest.max(multiple))
}

/// Sizes of about as many pixels as the model likes, in the usual shapes: name, width, height.
pub fn size_presets(offer: &Offer) -> Vec<(&'static str, u32, u32)> {
    let pixels = f64::from(offer.size.0) * f64::from(offer.size.1);
    let mut presets = Vec::new();
    for (name, w, h) in [("Square", 1, 1), ("Portrait", 3, 4), ("Landscape", 4, 3), ("Tall", 9, 16), ("Wide", 16, 9)] {
        let width = (pixels * f64::from(w) / f64::from(h)).sqrt();
        let height = width * f64::from(h) / f64::from(w);
        let side = |side: f64| nearest_side(side.round() as u32, offer.size_multiple);
        let size = (side(width), side(height));
        if !presets.iter().any(|(_, w, h)| (*w, *h) == size) {
            presets.push((name, size.0, size.1));
        }
    }
    presets
}
