//! Beginning at a picture instead of at noise.

use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan};
use serde::{Deserialize, Serialize};

use super::tilt::check_name;
use super::{Draft, Request, in_range};
use crate::spec::Spec;
use crate::{Error, Result};

/// A picture to begin with, under noise: `x = (1 - strength) data + strength noise`, from where the part of the schedule
/// below `strength` is walked (Meng et al. 2021, *SDEdit*, <https://arxiv.org/abs/2108.01073>). Its latents travel beside
/// the request: [`crate::Pipeline::hold_picture`] takes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// SHA-256 of the picture's latents, f32 little-endian, lower-case hexadecimal.
    pub sha256: String,
    /// The sigma to begin at: 0 leaves the picture as the autoencoder sees it, 1 leaves nothing of it.
    pub strength: f64,
    /// Steps of the whole schedule, in a request whose schedule has a name; a draft leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
}

/// A schedule cut off at a strength.
pub(super) struct Cut {
    pub(super) schedule: Choice,
    /// From the strength on.
    pub(super) sigmas: Vec<f64>,
    /// Steps of the whole.
    pub(super) whole: Option<usize>,
}

impl Start {
    /// The strength of a picture that nobody gave one for (AUTOMATIC1111 `modules/processing.py`,
    /// `StableDiffusionProcessingImg2Img`; leejet/stable-diffusion.cpp `examples/cli/main.cpp`, `--strength`).
    pub const STRENGTH: f64 = 0.75;

    /// The sigmas of a run that begins at the picture: where it begins, then those of the whole schedule that lie below.
    /// At strength 1 the schedule is the whole, at 0 there is nothing to walk.
    fn cut(&self, whole: &[f64]) -> Vec<f64> {
        match self.strength {
            1.0 => whole.to_vec(),
            strength => [strength].into_iter().chain(whole.iter().copied().filter(|sigma| *sigma < strength)).collect(),
        }
    }

    /// Decides the schedule of `draft`, and where it is cut off. A record's sigmas are cut off already and stay as they
    /// are; they keep the name of a schedule that gives them.
    pub(super) fn schedule(&self, draft: &Draft, spec: &Spec, sampler: &Choice, image_tokens: usize) -> Result<Cut> {
        in_range("the strength of a start", self.strength, 0.0, 1.0)?;
        let Some(sigmas) = &draft.sigmas else {
            let (schedule, whole) = draft.resolve_schedule(spec, sampler, image_tokens)?;
            let sigmas = self.cut(whole.sigmas());
            return Ok(Cut { schedule, sigmas, whole: Some(whole.steps()) });
        };
        if self.steps.is_none() {
            draft.steps_of(sigmas)?;
        }
        if sigmas[..] != [0.0] {
            Schedule::explicit(sigmas.clone())?;
        }
        let sigmas = self.cut(sigmas);
        let named = draft.schedule.as_ref().and_then(|choice| spec.schedules.complete(choice).ok());
        let plan = |steps| Plan { steps, image_tokens };
        let kept = named.zip(self.steps).filter(|(named, steps)| {
            spec.schedules.build(named, plan(*steps)).is_ok_and(|whole| self.cut(whole.sigmas()) == sigmas)
        });
        Ok(match kept {
            Some((schedule, steps)) => Cut { schedule, sigmas, whole: Some(steps) },
            None => Cut { schedule: Choice::new(Request::EXPLICIT), sigmas, whole: None },
        })
    }

    /// Refuses a start that does not fit `request`.
    pub(super) fn check(&self, request: &Request) -> Result<()> {
        in_range("the strength of a start", self.strength, 0.0, 1.0)?;
        check_name(&self.sha256, "begins at", HOW)?;
        if request.branch.is_some() {
            let what = "a branch begins in the middle of a run, not at a picture";
            return Err(Error::invalid(what, "leave one of them out"));
        }
        let first = request.sigmas.first().copied().unwrap_or_default();
        if self.strength < 1.0 && first != self.strength {
            let what = format!("the schedule begins at sigma {first}, the picture at strength {}", self.strength);
            return Err(Error::invalid(what, "begin the sigmas at the strength"));
        }
        Ok(())
    }
}

/// How the picture is given again.
pub(crate) const HOW: &str = "-i PICTURE";

impl Request {
    /// Whether there is a step to walk: at strength 0 there is none.
    pub fn walks(&self) -> bool {
        self.start.as_ref().is_none_or(|start| start.strength > 0.0)
    }
}
