//! SwarmUI's record, `docs/Image Metadata Format.md` there: `{"sui_image_params": {...}, ...}` under `parameters`.

use serde_json::Value;

use super::json_object::{found, parameters};
use super::reading::Field;
use super::{Found, Source, Texts};
use crate::error::Result;

const FIELDS: &[(&str, Field)] = &[
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

/// Reads SwarmUI's record.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let object = match parameters(name, texts)? {
        Ok(object) => object,
        Err(failure) => return Some(Err(failure)),
    };
    let Some(Value::Object(asked)) = object.get("sui_image_params") else { return None };
    let mut found = found(Source::SwarmUi, asked, FIELDS);
    for (name, value) in object.iter().filter(|(name, _)| *name != "sui_image_params") {
        found.reading.leave(name, &value.to_string(), "");
    }
    Some(Ok(found))
}
