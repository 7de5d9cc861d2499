//! stable-diffusion.cpp's record, `examples/common/common.cpp` there: the web UI's text under `parameters`, at whose end
//! an object of the schema `sdcpp.image.params/v1` may stand, unquoted. Where it stands, it says everything, and better.

use serde_json::{Map, Value};

use super::json_object::flat;
use super::reading::{Field, Reading};
use super::{Found, Source, Texts, a1111};
use crate::error::Result;

/// The key of the object in the settings line.
pub(super) const OBJECT: &str = "SDCPP";
const SCHEMA: &str = "sdcpp.image.params/v1";

const FIELDS: &[(&str, Field)] = &[
    ("prompt.positive", Field::Prompt),
    ("prompt.negative", Field::NegativePrompt),
    ("width", Field::Width),
    ("height", Field::Height),
    ("seed", Field::Seed),
    ("sampling.steps", Field::Steps),
    ("sampling.method", Field::Sampler),
    ("sampling.scheduler", Field::Schedule),
    ("sampling.guidance.txt_cfg", Field::Cfg),
    ("sampling.guidance.distilled_guidance", Field::Guidance),
    ("rng", Field::Rng),
];

/// In the text, beside the web UI's names.
const TEXT_FIELDS: &[(&str, Field)] = &[("Guidance", Field::Guidance), ("RNG", Field::Rng)];

/// Reads stable-diffusion.cpp's record.
pub(super) fn read(_: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let text = a1111::Text::find(texts)?;
    text.setting("Version").filter(|version| version.starts_with("stable-diffusion.cpp"))?;
    let object = text.setting(OBJECT).and_then(|object| serde_json::from_str::<Map<String, Value>>(object).ok());
    let object = object.filter(|object| object.get("schema").and_then(Value::as_str) == Some(SCHEMA));
    let reading = match object {
        Some(object) => {
            let mut reading = Reading::default();
            reading.take_all(&flat(&object), FIELDS);
            reading
        }
        None => text.reading(TEXT_FIELDS),
    };
    Some(Ok(Found { source: Source::StableDiffusionCpp, request: None, reading }))
}
