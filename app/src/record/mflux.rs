//! mflux's record, `src/mflux/utils/generated_image.py` there: an object in the EXIF user comment. The XMP packet beside
//! it (`metadata_builder.py`) says less, and is read where a program took the EXIF data away.

use serde_json::{Map, Value};

use super::json_object::{found, object};
use super::reading::Field;
use super::{Found, Source, Texts, xmp};
use crate::error::Result;

/// It names no sampler and no schedule.
const FIELDS: &[(&str, Field)] = &[
    ("prompt", Field::Prompt),
    ("negative_prompt", Field::NegativePrompt),
    ("width", Field::Width),
    ("height", Field::Height),
    ("seed", Field::Seed),
    ("steps", Field::Steps),
    ("guidance", Field::Guidance),
];

/// What the packet calls them.
const PROPERTIES: &[(&str, &str)] = &[
    ("prompt", "dc:description"),
    ("seed", "mflux:seed"),
    ("steps", "mflux:steps"),
    ("guidance", "mflux:guidance"),
    ("model", "mflux:model"),
    ("lora_paths", "mflux:loras"),
];

/// Reads mflux's record.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let comment = texts.comment.filter(|comment| comment.contains("\"mflux_version\""));
    let object = match comment {
        Some(comment) => object(name, "EXIF UserComment", comment),
        None => Ok(packet(texts.get(xmp::KEYWORD)?)?),
    };
    Some(object.map(|object| found(Source::Mflux, &object, FIELDS)))
}

/// The record in an XMP packet; text that says `None` is Python's for nothing.
fn packet(packet: &str) -> Option<Map<String, Value>> {
    xmp::property(packet, "xmp:CreatorTool").filter(|tool| tool.starts_with("MFLUX"))?;
    let properties = PROPERTIES.iter().filter_map(|(name, property)| {
        let value = xmp::property(packet, property).filter(|value| value != "None")?;
        Some(((*name).to_owned(), Value::from(value)))
    });
    Some(properties.collect())
}
