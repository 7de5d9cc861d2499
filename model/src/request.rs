//! From what was asked to what will be done: `Draft` -> [`Draft::resolve`] -> `Request`.
//!
//! A [`Draft`] holds what a person chose; everything else is left to the model's defaults. A [`Request`] leaves
//! nothing open: it is what the pipeline runs, what a picture's record carries and what replays it.

mod branch;
mod draft;
mod rule;
pub(crate) mod start;
pub(crate) mod tilt;
mod written;

use flowline_sampler::Schedule;
use flowline_sampler::catalog::Choice;
use serde::{Deserialize, Serialize};

use crate::catalog::Preset;
use crate::provenance::{LoraRecord, MadeWith, ModelRecord};
use crate::rng::Rng;
use crate::spec::Spec;
use crate::{Error, MemoryPlan, Result, Warning};

pub use branch::Branch;
pub use draft::{Draft, Resolved};
pub use start::Start;
pub use tilt::Tilt;

/// Everything decided. Its JSON form is the canonical record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Request {
    /// Version of this record's form: [`Request::SCHEMA`].
    pub schema: u32,
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show; empty for the plain unconditional prediction.
    pub negative_prompt: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// One picture a seed.
    #[serde(with = "written::seeds")]
    pub seeds: Vec<u64>,
    /// Number of steps; one less than there are sigmas. Of a branch, its own steps; of a run that begins at a picture, those
    /// that are walked.
    pub steps: usize,
    /// The sampler with all its parameters.
    #[serde(with = "written::choice")]
    pub sampler: Choice,
    /// The schedule with all its parameters, or `explicit`.
    #[serde(with = "written::choice")]
    pub schedule: Choice,
    /// The sigmas that schedule gave.
    pub sigmas: Vec<f64>,
    /// Distilled guidance; `None` for models without.
    pub guidance: Option<f64>,
    /// How far classifier-free guidance goes; 1 is off. It is the `scale` of the rule, where that has one.
    pub cfg: f64,
    /// The rule of classifier-free guidance with all its parameters.
    #[serde(with = "written::choice", default = "written::choice::absent")]
    pub rule: Choice,
    /// The layers that the rule's weakened prediction does without, see [`Spec::skip_layers`]; none where the rule makes
    /// no such prediction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip_layers: Vec<usize>,
    /// Where the noise comes from.
    #[serde(default)]
    pub rng: Rng,
    /// The picture that this one is pulled towards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tilt: Option<Tilt>,
    /// The picture that this one begins at; `None` for one that begins at pure noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The run that this one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Box<Branch>>,
    /// Stop after so many steps and decode the denoised prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// The model, down to the bytes of its weights.
    pub model: ModelRecord,
    /// The program and processor that the record was made with.
    pub made_with: MadeWith,
}

impl Request {
    /// The version of the record's form that this program writes.
    pub const SCHEMA: u32 = 2;
    /// The schedule's name when the sigmas were given one by one.
    pub const EXPLICIT: &'static str = "explicit";

    /// Reads the JSON form. A record may be a branch of a branch, as deep as JSON may be: this is done here, once, where
    /// it is compiled to need little stack.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(json: &str) -> std::result::Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Checks a request that may come from anywhere: ranges, sizes, names, memory.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Sampler`] or [`Error::Memory`] for anything that cannot be done.
    pub fn check(&self, spec: &Spec) -> Result<Vec<Warning>> {
        let mut warnings = spec.warnings.clone();
        if self.schema > Self::SCHEMA {
            let what = format!("the record has form {}, this program knows {}", self.schema, Self::SCHEMA);
            return Err(Error::invalid(what, "use a newer flowline"));
        }
        if self.prompt.contains('\0') || self.negative_prompt.contains('\0') {
            return Err(Error::invalid("the prompt contains a NUL character", "remove it; prompts are plain text"));
        }
        if self.seeds.is_empty() {
            return Err(Error::invalid("there is no seed", "give at least one seed"));
        }
        spec.check_size(self.width, self.height)?;
        rule::check(&self.rule, self.cfg, spec)?;
        rule::check_skip_layers(&self.rule, &self.skip_layers, spec)?;
        if let Some(guidance) = self.guidance {
            in_range("guidance", guidance, 0.0, 100.0)?;
        }
        self.start.as_ref().map_or(Ok(()), |start| start.check(self))?;
        if self.sigmas.len().saturating_sub(1) != self.steps {
            let what = format!("{} sigmas do not make {} steps", self.sigmas.len(), self.steps);
            return Err(Error::invalid(what, "give one sigma more than steps"));
        }
        if self.stop_after.is_some_and(|stop| stop == 0 || stop > self.steps) {
            let what = format!("cannot stop after {} of {} steps", self.stop_after.unwrap_or(0), self.steps);
            return Err(Error::invalid(what, "stop after at least one step and at most all"));
        }
        let sampler = spec.samplers.build(&self.sampler)?;
        if self.walks() {
            sampler.start(&Schedule::explicit(self.sigmas.clone())?)?;
        } else if self.sigmas[..] != [0.0] {
            let what = format!("a picture at strength 0 has no steps, and the sigmas make {}", self.steps);
            return Err(Error::invalid(what, "give the one sigma 0"));
        }
        self.tilt.as_ref().map_or(Ok(()), Tilt::check)?;
        self.branch.as_ref().map_or(Ok(()), |branch| branch.check(self, spec))?;
        let plan = self.memory_plan(spec);
        if plan.exceeds() {
            return Err(Error::Memory { needed: plan.peak.heap, available: plan.available.unwrap_or(0) });
        }
        if plan.thrashes() {
            let message = format!(
                "the weights of {} do not fit into the memory that is available and will be read from disk again in every \
                 step; --weights q8_0 or q4_k holds them in fewer bits",
                spec.name
            );
            warnings.push(Warning::new("weights-reread", message));
        }
        if let Some(trained) = spec.entry.trained_size.filter(|trained| *trained != (self.width, self.height)) {
            let message = format!(
                "{} was trained at {} x {} only; {} x {} may look odd",
                spec.name, trained.0, trained.1, self.width, self.height
            );
            warnings.push(Warning::new("size-untrained", message));
        }
        Ok(warnings)
    }

    /// How much memory one picture of this request needs.
    pub fn memory_plan(&self, spec: &Spec) -> MemoryPlan {
        MemoryPlan::new(spec.footprint(self.width, self.height), spec.limit)
    }

    /// Whether guidance looks at the negative prompt: at scale 1 it has no weight and is never evaluated.
    pub fn uses_negative(&self) -> bool {
        rule::scale(&self.rule) != Some(1.0)
    }

    /// The request for one of its pictures alone.
    #[must_use]
    pub fn for_seed(&self, seed: u64) -> Self {
        Self { seeds: vec![seed], ..self.clone() }
    }

    /// What was asked, as a draft that resolves to this request again.
    pub fn to_draft(&self) -> Draft {
        Draft {
            prompt: self.prompt.clone(),
            preset: Preset::Default,
            negative_prompt: Some(self.negative_prompt.clone()).filter(|text| !text.is_empty()),
            width: Some(self.width),
            height: Some(self.height),
            seeds: self.seeds.clone(),
            steps: Some(self.start.as_ref().and_then(|start| start.steps).unwrap_or(self.steps)),
            sampler: Some(self.sampler.clone()),
            schedule: Some(self.schedule.clone()).filter(|choice| choice.name != Self::EXPLICIT),
            shift: None,
            sigmas: Some(self.sigmas.clone()),
            guidance: self.guidance,
            cfg: Some(self.cfg),
            rule: Some(self.rule.clone()),
            skip_layers: Some(self.skip_layers.clone()).filter(|layers| !layers.is_empty()),
            rng: Some(self.rng),
            tilt: self.tilt.clone(),
            start: self.start.clone(),
            branch: self.branch.clone(),
            stop_after: self.stop_after,
        }
    }

    /// Why `other`, made elsewhere or earlier, may differ from this one in its last bits: weights, version, processor.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, here: &str, there: &str| {
            if here != there {
                found.push(format!("{what}: the picture was made with {there}, this is {here}"));
            }
        };
        compare("model", &self.model.name, &other.model.name);
        compare("version", &self.made_with.flowline, &other.made_with.flowline);
        compare("number format", &self.made_with.dtype, &other.made_with.dtype);
        compare("device", &self.made_with.device, &other.made_with.device);
        for theirs in &other.model.weights {
            let ours = self.model.weights.iter().find(|ours| ours.file == theirs.file);
            let ours = ours.map_or("not there", |ours| ours.sha256.as_str());
            compare(&theirs.file, short(ours), short(&theirs.sha256));
        }
        let (ours, theirs) = (self.model.holding, other.model.holding);
        compare("form of the weights", ours.weights.name(), theirs.weights.name());
        compare("form of the activations", ours.activations.name(), theirs.activations.name());
        for theirs in &other.model.loras {
            let ours = self.model.loras.iter().find(|ours| ours.sha256 == theirs.sha256);
            let ours = ours.or(self.model.loras.iter().find(|ours| ours.file == theirs.file));
            compare(&format!("adapter {}", theirs.file), &ours.map_or("not there".into(), told), &told(theirs));
        }
        for ours in self.model.loras.iter().skip(other.model.loras.len()) {
            compare(&format!("adapter {}", ours.file), &told(ours), "none");
        }
        if let (Some(ours), Some(theirs)) = (&self.branch, &other.branch) {
            let deeper = ours.parent.differences(&theirs.parent);
            found.extend(deeper.into_iter().filter(|difference| !found.contains(difference)).collect::<Vec<_>>());
        }
        found
    }
}

/// What decides an adapter's work, in words.
fn told(lora: &LoraRecord) -> String {
    let LoraRecord { sha256, config, scale, .. } = lora;
    let config = config.as_deref().map(|config| format!(" with settings {}", short(config))).unwrap_or_default();
    format!("{}{config} at {scale}", short(sha256))
}

/// The first characters of a hash.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn in_range(what: &str, value: f64, min: f64, max: f64) -> Result<()> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} cannot be {value}"), format!("{what} goes from {min} to {max}")))
}
