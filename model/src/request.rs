//! From what was asked to what will be done: `Draft` -> [`Draft::resolve`] -> `Request`.
//!
//! A [`Draft`] holds what a person chose; everything else is left to the model's defaults. A [`Request`] leaves
//! nothing open: it is what the pipeline runs, what a picture's record carries and what replays it.

use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan};
use serde::{Deserialize, Serialize};

use crate::provenance::{MadeWith, ModelRecord};
use crate::spec::Spec;
use crate::{Error, MemoryPlan, Result, Warning};

/// What a person asked for. `None` means: as the model likes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show.
    pub negative_prompt: Option<String>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// One picture a seed; empty means one random seed.
    pub seeds: Vec<u64>,
    /// Number of steps.
    pub steps: Option<usize>,
    /// The sampler and its parameters.
    pub sampler: Option<Choice>,
    /// The schedule and its parameters.
    pub schedule: Option<Choice>,
    /// The schedule's shift, for those that have one.
    pub shift: Option<f64>,
    /// The sigmas themselves, from at most 1 down to 0.
    pub sigmas: Option<Vec<f64>>,
    /// Distilled guidance, for models with a guidance embedding.
    pub guidance: Option<f64>,
    /// Classifier-free guidance; 1 switches it off.
    pub cfg: Option<f64>,
    /// Stop after so many steps and decode the denoised prediction.
    pub stop_after: Option<usize>,
}

/// Everything decided. Its JSON form is the canonical record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    #[serde(with = "seeds")]
    pub seeds: Vec<u64>,
    /// Number of steps; one less than there are sigmas.
    pub steps: usize,
    /// The sampler with all its parameters.
    #[serde(with = "choice")]
    pub sampler: Choice,
    /// The schedule with all its parameters, or `explicit`.
    #[serde(with = "choice")]
    pub schedule: Choice,
    /// The sigmas that schedule gave.
    pub sigmas: Vec<f64>,
    /// Distilled guidance; `None` for models without.
    pub guidance: Option<f64>,
    /// Classifier-free guidance; 1 is off.
    pub cfg: f64,
    /// Stop after so many steps and decode the denoised prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<usize>,
    /// The model, down to the bytes of its weights.
    pub model: ModelRecord,
    /// The program and processor that the record was made with.
    pub made_with: MadeWith,
}

/// A request and what should be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The request.
    pub request: Request,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

impl Draft {
    /// Decides everything that was left open.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Sampler`] or [`Error::Memory`] for anything that cannot be done.
    pub fn resolve(&self, spec: &Spec) -> Result<Resolved> {
        let defaults = &spec.entry.defaults;
        let mut warnings = Vec::new();
        let sampler = self.sampler.clone().unwrap_or_else(|| defaults.sampler());
        let sampler = spec.samplers.complete(&sampler)?;
        let (width, height) = (self.width.unwrap_or(defaults.size.0), self.height.unwrap_or(defaults.size.1));
        spec.check_size(width, height)?;
        let (schedule, sigmas) = self.resolve_schedule(spec, &sampler, spec.image_tokens(width, height))?;
        let cfg = self.cfg.unwrap_or(defaults.cfg);
        let guidance = match (self.guidance, defaults.guidance) {
            (given, Some(default)) => Some(given.unwrap_or(default)),
            (None, None) => None,
            (Some(_), None) => {
                let message = format!("{} has no guidance embedding; --guidance is not used (--cfg is)", spec.name);
                warnings.push(Warning::new("guidance-unused", message));
                None
            }
        };
        let negative_prompt = self.negative_prompt.clone().unwrap_or_default();
        if cfg == 1.0 && !negative_prompt.is_empty() {
            let message = "the negative prompt is not used at cfg 1; give --cfg a larger value";
            warnings.push(Warning::new("negative-unused", message));
        }
        let request = Request {
            schema: Request::SCHEMA,
            prompt: self.prompt.clone(),
            negative_prompt,
            width,
            height,
            seeds: if self.seeds.is_empty() { vec![random_seed()?] } else { self.seeds.clone() },
            steps: sigmas.steps(),
            sampler,
            schedule,
            sigmas: sigmas.sigmas().to_vec(),
            guidance,
            cfg,
            stop_after: self.stop_after,
            model: spec.record(),
            made_with: MadeWith::here(),
        };
        warnings.extend(request.check(spec)?);
        Ok(Resolved { request, warnings })
    }

    /// The schedule under its canonical name, and its sigmas.
    fn resolve_schedule(&self, spec: &Spec, sampler: &Choice, image_tokens: usize) -> Result<(Choice, Schedule)> {
        let steps = match (&self.sigmas, self.steps) {
            (Some(sigmas), Some(steps)) if steps != sigmas.len().saturating_sub(1) => {
                let what =
                    format!("{} sigmas make {} steps, not {steps}", sigmas.len(), sigmas.len().saturating_sub(1));
                return Err(Error::invalid(what, "leave --steps out, or give one sigma more than steps"));
            }
            (Some(sigmas), _) => sigmas.len().saturating_sub(1),
            (None, steps) => steps.unwrap_or(spec.entry.defaults.steps),
        };
        let named = match (&self.schedule, self.shift) {
            (Some(choice), None) => choice.clone(),
            (None, None) => match spec.samplers.preferred_schedule(sampler)? {
                Some(own) => own,
                None => spec.entry.defaults.schedule(),
            },
            (choice, Some(shift)) => {
                shifted(choice.clone().unwrap_or_else(|| spec.entry.defaults.schedule()), shift, spec)?
            }
        };
        let named = spec.schedules.complete(&named);
        match &self.sigmas {
            None => {
                let named = named?;
                let schedule = spec.schedules.build(&named, Plan { steps, image_tokens })?;
                Ok((named, schedule))
            }
            // A record brings both: it keeps the name where the name still means these sigmas.
            Some(sigmas) => {
                let schedule = Schedule::explicit(sigmas.clone())?;
                let same = |named: &Choice| match spec.schedules.build(named, Plan { steps, image_tokens }) {
                    Ok(built) => built == schedule,
                    Err(_) => false,
                };
                let named = named.ok().filter(|named| self.schedule.is_some() && same(named));
                Ok((named.unwrap_or_else(|| Choice::new(Request::EXPLICIT)), schedule))
            }
        }
    }
}

/// `--shift` put into the schedule it belongs to: a schedule with a shift of its own takes it, `uniform` becomes `shift`.
fn shifted(choice: Choice, shift: f64, spec: &Spec) -> Result<Choice> {
    let about = spec.schedules.about(&choice.name)?;
    if about.parameters.iter().any(|p| p.key == "shift") {
        let mut choice = choice;
        choice.given.retain(|(key, _)| !key.eq_ignore_ascii_case("shift"));
        return Ok(choice.with("shift", shift));
    }
    match about.name {
        "uniform" => Ok(Choice::new("shift").with("shift", shift)),
        name => {
            let hint = "use --schedule shift or sd3, or leave --shift out";
            Err(Error::invalid(format!("the schedule '{name}' takes no shift"), hint))
        }
    }
}

impl Request {
    /// The version of the record's form that this program writes.
    pub const SCHEMA: u32 = 1;
    /// The schedule's name when the sigmas were given one by one.
    pub const EXPLICIT: &'static str = "explicit";

    /// Checks a request that may come from anywhere: ranges, sizes, names, memory.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Sampler`] or [`Error::Memory`] for anything that cannot be done.
    pub fn check(&self, spec: &Spec) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
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
        in_range("cfg", self.cfg, 0.0, 100.0)?;
        if let Some(guidance) = self.guidance {
            in_range("guidance", guidance, 0.0, 100.0)?;
        }
        let schedule = Schedule::explicit(self.sigmas.clone())?;
        if schedule.steps() != self.steps {
            let what = format!("{} sigmas do not make {} steps", self.sigmas.len(), self.steps);
            return Err(Error::invalid(what, "give one sigma more than steps"));
        }
        if self.stop_after.is_some_and(|stop| stop == 0 || stop > self.steps) {
            let what = format!("cannot stop after {} of {} steps", self.stop_after.unwrap_or(0), self.steps);
            return Err(Error::invalid(what, "stop after at least one step and at most all"));
        }
        spec.samplers.build(&self.sampler)?.start(&schedule)?;
        let plan = self.memory_plan(spec);
        if plan.exceeds() {
            return Err(Error::Memory { needed: plan.peak, available: plan.available.unwrap_or(0) });
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
        MemoryPlan::new(spec.footprint(self.width, self.height))
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
            negative_prompt: Some(self.negative_prompt.clone()).filter(|text| !text.is_empty()),
            width: Some(self.width),
            height: Some(self.height),
            seeds: self.seeds.clone(),
            steps: Some(self.steps),
            sampler: Some(self.sampler.clone()),
            schedule: Some(self.schedule.clone()).filter(|choice| choice.name != Self::EXPLICIT),
            shift: None,
            sigmas: Some(self.sigmas.clone()),
            guidance: self.guidance,
            cfg: Some(self.cfg),
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
        found
    }
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

/// A seed nobody chose; 32 bits, so that people can type it again.
fn random_seed() -> Result<u64> {
    let no_entropy = |e| Error::invalid(format!("the system gives no random numbers ({e})"), "choose a seed with -s");
    Ok(u64::from(getrandom::u32().map_err(no_entropy)?))
}

/// Choices are written as people type them.
mod choice {
    use flowline_sampler::catalog::Choice;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(choice: &Choice, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(choice)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Choice, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Seeds are written as strings: JSON readers lose the low bits of large integers.
mod seeds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(seeds: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(seeds.iter().map(u64::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let written = Vec::<String>::deserialize(deserializer)?;
        written.iter().map(|seed| seed.parse().map_err(D::Error::custom)).collect()
    }
}
