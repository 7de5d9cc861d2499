//! InvokeAI's record, `invokeai/app/invocations/metadata.py` there: an object under `invokeai_metadata`.

use super::json_object::{found, object};
use super::reading::Field;
use super::{Found, Source, Texts};
use crate::error::Result;

const KEYWORD: &str = "invokeai_metadata";

const FIELDS: &[(&str, Field)] = &[
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

/// Reads InvokeAI's record.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let object = object(name, KEYWORD, texts.get(KEYWORD)?);
    Some(object.map(|object| found(Source::InvokeAi, &object, FIELDS)))
}
