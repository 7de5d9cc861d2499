//! What was asked, and how everything left open is decided.

use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan};
use serde::{Deserialize, Serialize};

use super::start::Cut;
use super::{Branch, Request, Start, Tilt, rule, written};
use crate::catalog::Preset;
use crate::provenance::MadeWith;
use crate::rng::Rng;
use crate::spec::Spec;
use crate::{Error, Result, Warning};

/// What a person asked for. `None` means: as the model likes it, or as the preset says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show.
    pub negative_prompt: Option<String>,
    /// Which of the model's sets of choices applies to all that is `None` here.
    pub preset: Preset,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// One picture a seed; empty means one random seed.
    #[serde(with = "written::seeds")]
    pub seeds: Vec<u64>,
    /// Number of steps; of a run that begins at a picture, those of the whole schedule.
    pub steps: Option<usize>,
    /// The sampler and its parameters.
    #[serde(with = "written::maybe_choice")]
    pub sampler: Option<Choice>,
    /// The schedule and its parameters.
    #[serde(with = "written::maybe_choice")]
    pub schedule: Option<Choice>,
    /// The schedule's shift, for those that have one.
    pub shift: Option<f64>,
    /// The sigmas themselves, from at most 1 down to 0.
    pub sigmas: Option<Vec<f64>>,
    /// Distilled guidance, for models with a guidance embedding.
    pub guidance: Option<f64>,
    /// Classifier-free guidance; 1 switches it off.
    pub cfg: Option<f64>,
    /// The rule of classifier-free guidance and its parameters. Its `scale` and `cfg` are one number.
    #[serde(with = "written::maybe_choice")]
    pub rule: Option<Choice>,
    /// The layers that skip-layer guidance skips, in place of [`Spec::skip_layers`].
    pub skip_layers: Option<Vec<usize>>,
    /// Where the noise comes from.
    pub rng: Option<Rng>,
    /// The picture to be pulled towards, which [`crate::Pipeline::hold_picture`] took.
    pub tilt: Option<Tilt>,
    /// The picture to begin at, which [`crate::Pipeline::hold_picture`] took.
    pub start: Option<Start>,
    /// The run to go on from. The schedule is that of a whole run then, of which the sigmas below the branch are
    /// walked; without one the branch keeps its parent's.
    pub branch: Option<Box<Branch>>,
    /// Stop after so many steps and decode the denoised prediction.
    pub stop_after: Option<usize>,
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
    /// The JSON form, which [`Draft::from_json`] reads again. A number that is not finite has none and is left open.
    pub fn to_json(&self) -> String {
        // Serialising fails only for maps with keys that are no strings, and there are none.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the JSON form; a field that is not there is left open. As with [`Request::from_json`], branches may hang on
    /// one another as deep as JSON may be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(json: &str) -> std::result::Result<Self, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// Decides everything that was left open.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Sampler`] or [`Error::Memory`] for anything that cannot be done.
    pub fn resolve(&self, spec: &Spec) -> Result<Resolved> {
        let defaults = spec.entry.preset(self.preset)?;
        let mut warnings = Vec::new();
        let sampler = self.sampler.clone().unwrap_or_else(|| defaults.sampler());
        if let Some(about) = spec.samplers.translated(&sampler) {
            let message = format!(
                "'{}' is a sampler for another kind of model elsewhere, and wrong for this one; {} is its form for it",
                sampler.name.trim(),
                about.name
            );
            warnings.push(Warning::new("sampler-translated", message));
        }
        let sampler = spec.samplers.complete(&sampler)?;
        let branch = self.branch.as_ref().map(|branch| branch.resolve(spec)).transpose()?;
        let size = branch.as_ref().map_or(defaults.size, |branch| (branch.parent.width, branch.parent.height));
        let (width, height) = (self.width.unwrap_or(size.0), self.height.unwrap_or(size.1));
        spec.check_size(width, height)?;
        let tokens = spec.image_tokens(width, height);
        let mut start = self.start.clone();
        let (schedule, sigmas) = match (&branch, &mut start) {
            (None, None) => {
                let (schedule, sigmas) = self.resolve_schedule(spec, &sampler, tokens)?;
                (schedule, sigmas.sigmas().to_vec())
            }
            (None, Some(start)) => {
                let Cut { schedule, sigmas, whole } = start.schedule(self, spec, &sampler, tokens)?;
                start.steps = whole;
                (schedule, sigmas)
            }
            (Some(branch), _) => {
                let timed = self.steps.is_some() || self.sigmas.is_some() || self.schedule.is_some();
                let own = match timed || self.shift.is_some() {
                    true => Some(self.resolve_schedule(spec, &sampler, tokens)?.1),
                    false => None,
                };
                let (schedule, sigmas) = branch.schedule(own)?;
                (schedule, sigmas.sigmas().to_vec())
            }
        };
        let (rule, cfg) = rule::resolve(self.rule.as_ref(), self.cfg, defaults, spec)?;
        let weakens = spec.rules.build(&rule)?.needs_weakened();
        let skip_layers = match &self.skip_layers {
            _ if !weakens => Vec::new(),
            Some(layers) => layers.clone(),
            None => spec.skip_layers.clone(),
        };
        if !weakens && self.skip_layers.is_some() {
            let message = format!("the guidance {rule} skips no layers; add +skip-layer for that");
            warnings.push(Warning::new("skip-layers-unused", message));
        }
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
        if rule::scale(&rule) == Some(1.0) && !negative_prompt.is_empty() {
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
            steps: sigmas.len().saturating_sub(1),
            sampler,
            schedule,
            sigmas,
            guidance,
            cfg,
            rule,
            skip_layers,
            rng: self.rng.unwrap_or_default(),
            tilt: self.tilt.clone(),
            start,
            branch: branch.map(Box::new),
            stop_after: self.stop_after,
            model: spec.record(),
            made_with: MadeWith::here(),
        };
        warnings.extend(request.check(spec)?);
        Ok(Resolved { request, warnings })
    }

    /// How many steps `sigmas` make, which is how many were asked for.
    pub(super) fn steps_of(&self, sigmas: &[f64]) -> Result<usize> {
        let made = sigmas.len().saturating_sub(1);
        match self.steps.filter(|steps| *steps != made) {
            None => Ok(made),
            Some(steps) => {
                let what = format!("{} sigmas make {made} steps, not {steps}", sigmas.len());
                Err(Error::invalid(what, "leave --steps out, or give one sigma more than steps"))
            }
        }
    }

    /// The schedule under its canonical name, and its sigmas.
    pub(super) fn resolve_schedule(
        &self,
        spec: &Spec,
        sampler: &Choice,
        image_tokens: usize,
    ) -> Result<(Choice, Schedule)> {
        let steps = match &self.sigmas {
            Some(sigmas) => self.steps_of(sigmas)?,
            None => self.steps.unwrap_or(spec.entry.preset(self.preset)?.steps),
        };
        let named = match (&self.schedule, self.shift) {
            (Some(choice), None) => choice.clone(),
            (None, None) => match spec.samplers.preferred_schedule(sampler)? {
                Some(own) => own,
                None => spec.entry.preset(self.preset)?.schedule(),
            },
            (choice, Some(shift)) => {
                let liked = spec.entry.preset(self.preset)?.schedule();
                shifted(choice.clone().unwrap_or(liked), shift, spec)?
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

/// A seed nobody chose; 32 bits, so that people can type it again.
fn random_seed() -> Result<u64> {
    let no_entropy = |e| Error::invalid(format!("the system gives no random numbers ({e})"), "choose a seed with -s");
    Ok(u64::from(getrandom::u32().map_err(no_entropy)?))
}
