//! Fooocus's record, `modules/meta_parser.py` there, under `parameters` with the name of its scheme under
//! `fooocus_scheme`: an object (`fooocus`), or text as AUTOMATIC1111's web UI writes it (`a1111`). Both hold the user's
//! words and what styles made of them; styles are Fooocus's own, so the user's words are taken.

use serde_json::{Map, Value};

use super::json_object::{found, parameters};
use super::reading::Field;
use super::{Found, Source, Texts, a1111};
use crate::error::Result;

const FIELDS: &[(&str, Field)] = &[
    ("prompt", Field::Prompt),
    ("negative_prompt", Field::NegativePrompt),
    ("resolution", Field::Size),
    ("seed", Field::Seed),
    ("steps", Field::Steps),
    ("sampler", Field::Sampler),
    ("scheduler", Field::Schedule),
    ("guidance_scale", Field::Cfg),
];

/// In the text: what the user wrote, and the schedule, which stands there twice.
const TEXT_FIELDS: &[(&str, Field)] =
    &[("Raw prompt", Field::Prompt), ("Raw negative prompt", Field::NegativePrompt), ("Scheduler", Field::Schedule)];

/// Reads Fooocus's record in either scheme.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    if let Some(object) = parameters(name, texts) {
        return match object {
            Ok(object) if !is_ours(&object, texts) => None,
            object => Some(object.map(|object| found(Source::Fooocus, &object, FIELDS))),
        };
    }
    let text = a1111::Text::find(texts)?;
    text.setting("Version").filter(|version| version.starts_with("Fooocus"))?;
    // The schedule is also put behind the sampler's name, where the web UI would look for it.
    Some(Ok(Found { source: Source::Fooocus, request: None, reading: text.reading(TEXT_FIELDS) }))
}

fn is_ours(object: &Map<String, Value>, texts: &Texts<'_>) -> bool {
    let version = object.get("version").and_then(Value::as_str).unwrap_or_default();
    texts.get("fooocus_scheme").is_some() || version.starts_with("Fooocus")
}
