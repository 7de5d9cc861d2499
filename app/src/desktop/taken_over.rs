//! The next picture, filled in from one that is there.

use flowline_model::{Draft, Request, Rng};
use flowline_sampler::catalog::Choice;

use super::gallery::Which;
use super::settings::{Saved, Selection, Settings};
use super::state::{Message, State, Tone};
use crate::engine::Offer;

/// Fills in what `which` says of `draft`. What was not chosen there is as the model likes it; what has no control here is
/// said.
pub fn take_over(state: &mut State, draft: &Draft, which: Which) {
    if which != Which::Seed {
        state.prompt.clone_from(&draft.prompt);
    }
    if which == Which::Prompt {
        return;
    }
    let Some((offer, before)) = state.offer.clone().zip(state.settings.clone()) else { return };
    let mut settings = match which {
        Which::All => all(draft, &offer).unwrap_or_else(|| before.clone()),
        Which::Prompt | Which::Seed => before.clone(),
    };
    settings.seed = before.seed;
    if let Some(seed) = draft.seeds.first() {
        settings.seed.text = seed.to_string();
        settings.seed.chosen();
    }
    state.settings = Some(settings);
    if which == Which::All {
        for text in left_out(draft, &offer) {
            state.say(Message { tone: Tone::Warning, text, hint: None });
        }
    }
}

fn all(draft: &Draft, offer: &Offer) -> Option<Settings> {
    let written = |choice: &Option<Choice>| choice.as_ref().map(Choice::to_string);
    let saved = Saved {
        negative_prompt: draft.negative_prompt.clone().unwrap_or_default(),
        sampler: written(&draft.sampler),
        schedule: written(&draft.schedule),
        steps: draft.steps,
        cfg: draft.cfg,
        guidance: draft.guidance,
        size: draft.width.zip(draft.height),
    };
    Some(Settings::new(offer, None)?.with(&saved, offer))
}

/// What a picture was made with and the window has no control for, a sentence each.
fn left_out(draft: &Draft, offer: &Offer) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut say = |is: bool, text: &str| sentences.extend(is.then(|| format!("Not taken over: {text}")));
    let sampler = draft.sampler.as_ref().filter(|sampler| Selection::chosen(sampler, &offer.samplers).is_none());
    say(sampler.is_some(), &format!("the sampler {}", sampler.map(|s| s.name.as_str()).unwrap_or_default()));
    let named = draft.schedule.as_ref().is_some_and(|schedule| schedule.name != Request::EXPLICIT);
    say(draft.sigmas.is_some() && !named, "the sigmas, which were given one by one");
    let rule = draft.rule.as_ref().filter(|rule| rule.name != "cfg");
    say(rule.is_some(), &format!("the guidance {}", rule.map(ToString::to_string).unwrap_or_default()));
    let rng = draft.rng.filter(|rng| *rng != Rng::default());
    say(rng.is_some(), &format!("the noise {}", rng.map(Rng::name).unwrap_or_default()));
    say(draft.start.is_some(), "the picture that it began at");
    say(draft.tilt.is_some(), "the picture that it was pulled towards");
    say(draft.branch.is_some(), "the run that it branched from");
    say(draft.stop_after.is_some(), "that it was stopped before its last step");
    sentences
}
