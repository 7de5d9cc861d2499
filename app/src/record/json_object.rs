//! Records that are one flat JSON object: SwarmUI, Fooocus, InvokeAI.

use serde_json::{Map, Value};

use super::reading::{Field, Reading};
use super::{Found, Source, Texts, a1111};
use crate::error::{Failure, Result};

/// SwarmUI, `docs/Image Metadata Format.md`: `{"sui_image_params": {...}, ...}` under `parameters`.
const SWARM_UI: &[(&str, Field)] = &[
    ("prompt", Field::Prompt),
    ("negativeprompt", Field::NegativePrompt),
    ("width", Field::Width),
    ("height", Field::Height),
    ("seed", Field::Seed),
    ("steps", Field::Steps),
    ("sampler", Field::Sampler),
    ("scheduler", Field::Schedule),
    ("cfgscale", Field::Cfg),
    ("fluxguidancescale", Field::Guidance),
];

/// Fooocus, `modules/meta_parser.py`: an object under `parameters`, with `fooocus_scheme` beside it.
const FOOOCUS: &[(&str, Field)] = &[
    ("prompt", Field::Prompt),
    ("negative_prompt", Field::NegativePrompt),
    ("resolution", Field::Size),
    ("seed", Field::Seed),
    ("steps", Field::Steps),
    ("sampler", Field::Sampler),
    ("scheduler", Field::Schedule),
    ("guidance_scale", Field::Cfg),
];

/// InvokeAI, `invokeai/app/invocations/metadata.py`: an object under `invokeai_metadata`.
const INVOKE_AI: &[(&str, Field)] = &[
    ("positive_prompt", Field::Prompt),
    ("negative_prompt", Field::NegativePrompt),
    ("width", Field::Width),
    ("height", Field::Height),
    ("seed", Field::Seed),
    ("steps", Field::Steps),
    ("scheduler", Field::Sampler),
    ("cfg_scale", Field::Cfg),
    ("guidance", Field::Guidance),
];

/// Reads SwarmUI's record.
pub(super) fn swarm_ui(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let object = match parameters(name, texts)? {
        Ok(object) => object,
        Err(failure) => return Some(Err(failure)),
    };
    let Some(Value::Object(asked)) = object.get("sui_image_params") else { return None };
    Some(Ok(found(Source::SwarmUi, asked, SWARM_UI)))
}

/// Reads Fooocus's record.
pub(super) fn fooocus(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let object = parameters(name, texts)?;
    let is_fooocus = |object: &Map<String, Value>| {
        let version = object.get("version").and_then(Value::as_str).unwrap_or_default();
        texts.get("fooocus_scheme").is_some() || version.starts_with("Fooocus")
    };
    match object {
        Ok(object) if !is_fooocus(&object) => None,
        object => Some(object.map(|object| found(Source::Fooocus, &object, FOOOCUS))),
    }
}

/// Reads InvokeAI's record.
pub(super) fn invoke_ai(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let object = object(name, "invokeai_metadata", texts.get("invokeai_metadata")?);
    Some(object.map(|object| found(Source::InvokeAi, &object, INVOKE_AI)))
}

fn found(source: Source, object: &Map<String, Value>, fields: &[(&str, Field)]) -> Found {
    let mut reading = Reading::default();
    reading.take_all(object, fields);
    Found { source, request: None, reading }
}

/// The object under `parameters`, if it is one rather than a prompt that begins with a brace and its settings.
fn parameters(name: &str, texts: &Texts<'_>) -> Option<Result<Map<String, Value>>> {
    let text = texts.get(a1111::KEYWORD)?.trim();
    let object = text.starts_with('{').then(|| object(name, a1111::KEYWORD, text))?;
    (object.is_ok() || !a1111::has_settings(text)).then_some(object)
}

/// Parses the object under `keyword`.
pub(super) fn object(name: &str, keyword: &str, text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| {
        let what = format!("{name}: what stands under '{keyword}' is no JSON object ({error})");
        Failure::new(what, "the record is damaged; give the options on the command line instead")
    })
}
