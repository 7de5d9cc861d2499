//! Our own record: the canonical JSON of a [`Request`].

use flowline_model::Request;
use flowline_model::weights::Holding;
use flowline_sampler::catalog::Choice;

use super::reading::{Reading, printable};
use super::{Found, Texts};
use crate::error::{Failure, Result};

/// The keyword of our chunk.
pub(super) const KEYWORD: &str = "flowline";

/// The canonical JSON: fields in the order of [`Request`], no spaces, shortest numbers that read back the same.
pub(super) fn json(request: &Request) -> String {
    // Serialising fails only for maps with keys that are no strings, and there are none.
    serde_json::to_string(request).unwrap_or_default()
}

/// Reads our chunk, if there is one.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    Some(request(name, texts.get(KEYWORD)?).map(Found::own))
}

/// Reads [`json`]; `name` is what messages call the picture.
pub(super) fn request(name: &str, json: &str) -> Result<Request> {
    let hint = "the record is damaged or was made by a newer flowline; give the options on the command line instead";
    let refused = |what: String| Failure::new(format!("{name}: its record cannot be used: {what}"), hint);
    // The form's version first: a newer form may well have other fields.
    #[derive(serde::Deserialize)]
    struct Form {
        schema: u32,
    }
    let form: Form = serde_json::from_str(json).map_err(|error| refused(printable(&error.to_string())))?;
    if !(1..=Request::SCHEMA).contains(&form.schema) {
        return Err(refused(format!("it has form {}, this program knows 1 to {}", form.schema, Request::SCHEMA)));
    }
    let request = Request::from_json(json).map_err(|what| refused(printable(&what)))?;
    let numbers = request.sigmas.iter().chain(&request.guidance).chain([&request.cfg]);
    if !numbers.into_iter().all(|number| number.is_finite()) {
        return Err(refused("it holds a number that is not finite".into()));
    }
    if request.seeds.len() != 1 {
        return Err(refused(format!("it has {} seeds, a picture has one", request.seeds.len())));
    }
    Ok(request)
}

/// The request as people read it.
pub(super) fn understood(request: &Request) -> Reading {
    let mut lines: Vec<(&str, String)> = vec![("prompt", request.prompt.clone())];
    let mut line = |name, value: String| lines.push((name, value));
    if !request.negative_prompt.is_empty() {
        line("negative prompt", request.negative_prompt.clone());
    }
    line("size", format!("{} x {}", request.width, request.height));
    line("seed", request.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(","));
    line("steps", request.steps.to_string());
    line("sampler", request.sampler.to_string());
    line("schedule", schedule(&request.schedule, &request.sigmas));
    line("cfg", request.cfg.to_string());
    line("rule", request.rule.to_string());
    line("rng", request.rng.to_string());
    if let Some(tilt) = &request.tilt {
        line("tilt", format!("by {} towards the image {}", tilt.strength, tilt.sha256));
    }
    if let Some(start) = &request.start {
        line("start", format!("at strength {} of the image {}", start.strength, start.sha256));
    }
    if let Some(branch) = &request.branch {
        line("branch", branch.to_string());
    }
    if let Some(guidance) = request.guidance {
        line("guidance", guidance.to_string());
    }
    if let Some(stop) = request.stop_after {
        line("stopped", format!("after {stop} of {} steps", request.steps));
    }
    line("model", request.model.name.clone());
    for weights in &request.model.weights {
        line("weights", format!("{} sha256 {}", weights.file, weights.sha256));
    }
    if !request.model.holding.is_exact() {
        let Holding { weights, activations } = request.model.holding;
        line("held as", format!("{weights}, activations {}", activations.name()));
    }
    for lora in &request.model.loras {
        line("adapter", lora.to_string());
    }
    line("made with", format!("flowline {}", request.made_with.flowline));
    line("number format", request.made_with.dtype.clone());
    line("device", request.made_with.device.clone());
    let understood = lines.into_iter().map(|(name, value)| (name.to_owned(), printable(&value))).collect();
    Reading { draft: request.to_draft(), understood, unused: Vec::new() }
}

fn schedule(choice: &Choice, sigmas: &[f64]) -> String {
    match choice.name == Request::EXPLICIT {
        true => sigmas.iter().map(f64::to_string).collect::<Vec<_>>().join(","),
        false => choice.to_string(),
    }
}
