//! Draw Things's record, as its pictures show it: an XMP packet by the tool `Draw Things` whose `exif:UserComment` is an
//! object with short names (`c` is the prompt, `uc` the negative one), or that object in the EXIF user comment.

use serde_json::{Map, Value};

use super::json_object::{flat, object};
use super::reading::{Field, Reading};
use super::{Found, Source, Texts, xmp};
use crate::error::Result;

const FIELDS: &[(&str, Field)] = &[
    ("c", Field::Prompt),
    ("uc", Field::NegativePrompt),
    ("size", Field::Size),
    ("seed", Field::Seed),
    ("steps", Field::Steps),
    ("sampler", Field::Sampler),
    ("scale", Field::Cfg),
];

/// With it, `scale` is the guidance that a distilled model was trained with, and classifier-free guidance is off; a model
/// that was not distilled knows nothing of it.
const SPEED_UP: &str = "v2.speedUpWithGuidanceEmbed";

/// Reads Draw Things's record.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let packet = texts.get(xmp::KEYWORD);
    let is_ours = |packet: &&str| xmp::property(packet, "xmp:CreatorTool").is_some_and(|tool| tool == "Draw Things");
    let object = match packet.filter(is_ours).and_then(|packet| xmp::property(packet, "exif:UserComment")) {
        Some(comment) => object(name, "exif:UserComment", &comment),
        None => {
            let object: Map<String, Value> = serde_json::from_str(texts.comment?).ok()?;
            let names = ["c", "size", "scale", "steps"];
            names.iter().all(|name| object.contains_key(*name)).then_some(Ok(object))?
        }
    };
    Some(object.map(|object| Found { source: Source::DrawThings, request: None, reading: reading(&flat(&object)) }))
}

fn reading(object: &Map<String, Value>) -> Reading {
    let mut reading = Reading::default();
    let mut object = object.clone();
    if object.get(SPEED_UP) == Some(&Value::Bool(true))
        && let Some(scale) = object.remove("scale")
    {
        let reason = "there it is cfg or distilled guidance, by the model; set the one that yours has";
        reading.leave("scale", &scale.to_string(), reason);
    }
    reading.take_all(&object, FIELDS);
    reading
}
