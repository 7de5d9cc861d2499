//! Records that are JSON objects: what their readers share.

use serde_json::{Map, Value};

use super::reading::{Field, Reading};
use super::{Found, Source, Texts, a1111};
use crate::error::{Failure, Result};

/// What `source` says in an object whose fields are called as in `fields`; the rest is reported.
pub(super) fn found(source: Source, object: &Map<String, Value>, fields: &[(&str, Field)]) -> Found {
    let mut reading = Reading::default();
    reading.take_all(object, fields);
    Found { source, request: None, reading }
}

/// The object under `parameters`, if it is one rather than a prompt that begins with a brace and its settings.
pub(super) fn parameters(name: &str, texts: &Texts<'_>) -> Option<Result<Map<String, Value>>> {
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

/// An object without objects in it: `{"a": {"b": 1}}` is `{"a.b": 1}`. JSON that was parsed is not deep.
pub(super) fn flat(object: &Map<String, Value>) -> Map<String, Value> {
    let mut flattened = Map::new();
    for (name, value) in object {
        match value {
            Value::Object(inner) => {
                let inner = flat(inner).into_iter().map(|(inner, value)| (format!("{name}.{inner}"), value));
                flattened.extend(inner);
            }
            value => {
                flattened.insert(name.clone(), value.clone());
            }
        }
    }
    flattened
}
