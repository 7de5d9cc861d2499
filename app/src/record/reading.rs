//! What the readers of all formats share: fields by the names that other programs give them.

use std::str::FromStr;

use flowline_model::Draft;
use serde_json::Value;

use super::names;

/// A record while it is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// What was asked.
    pub(super) draft: Draft,
    /// Name and value, for people.
    pub(super) understood: Vec<(String, String)>,
    /// Name, and value with the reason, for people.
    pub(super) unused: Vec<(String, String)>,
}

/// A field of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Prompt,
    NegativePrompt,
    Width,
    Height,
    /// Both, as `1024x1024` or `(1024, 1024)`.
    Size,
    Seed,
    Steps,
    Sampler,
    Schedule,
    Guidance,
    Cfg,
    /// Where the noise comes from.
    Rng,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::NegativePrompt => "negative prompt",
            Self::Width => "width",
            Self::Height => "height",
            Self::Size => "size",
            Self::Seed => "seed",
            Self::Steps => "steps",
            Self::Sampler => "sampler",
            Self::Schedule => "schedule",
            Self::Guidance => "guidance",
            Self::Cfg => "cfg",
            Self::Rng => "rng",
        }
    }
}

impl Reading {
    /// Takes what another program calls `name` for `field`, if it means something here.
    pub(super) fn take(&mut self, field: Field, name: &str, written: &str) {
        match self.put(field, written.trim()) {
            Ok(meaning) => self.understood.push((field.name().to_owned(), printable(&meaning))),
            Err(reason) => self.leave(name, written, reason),
        }
    }

    /// Reports something that is not used.
    pub(super) fn leave(&mut self, name: &str, written: &str, reason: &str) {
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        self.unused.push((printable(name), printable(written) + &reason));
    }

    /// Takes what `fields` names from a JSON object and reports the rest.
    pub(super) fn take_all(&mut self, object: &serde_json::Map<String, Value>, fields: &[(&str, Field)]) {
        // In the table's order: what matters to people first.
        for (name, field) in fields {
            if let Some(written) = object.get(*name).and_then(scalar) {
                self.take(*field, name, &written);
            }
        }
        for (name, value) in object {
            let taken = fields.iter().any(|(known, _)| known == name) && scalar(value).is_some();
            if !taken && !value.is_null() {
                self.leave(name, &scalar(value).unwrap_or_else(|| value.to_string()), "");
            }
        }
    }

    /// Returns what was understood, or why it is not used.
    fn put(&mut self, field: Field, written: &str) -> Result<String, &'static str> {
        let draft = &mut self.draft;
        match field {
            Field::Prompt => draft.prompt = written.to_owned(),
            Field::NegativePrompt if written.is_empty() => return Err("it is empty"),
            Field::NegativePrompt => draft.negative_prompt = Some(written.to_owned()),
            Field::Width => draft.width = Some(whole(written)?),
            Field::Height => draft.height = Some(whole(written)?),
            Field::Size => {
                let bare = written.trim_matches(['(', ')', '[', ']']);
                let (width, height) = bare.split_once(['x', '×', ',']).ok_or("it is no size")?;
                let (width, height) = (whole(width)?, whole(height)?);
                (draft.width, draft.height) = (Some(width), Some(height));
                return Ok(format!("{width} x {height}"));
            }
            Field::Seed => draft.seeds = vec![whole(written)?],
            Field::Steps => draft.steps = Some(whole(written)?),
            Field::Guidance => draft.guidance = Some(number(written)?),
            Field::Cfg => draft.cfg = Some(number(written)?),
            Field::Sampler => {
                let (sampler, schedule) = names::sampler(written)?;
                let meaning = sampler.to_string();
                draft.sampler = Some(sampler);
                if let Some(schedule) = schedule {
                    self.take(Field::Schedule, "schedule", schedule);
                }
                return Ok(meaning);
            }
            Field::Schedule => names::schedule(written)?,
            Field::Rng => {
                let rng = names::rng(written)?;
                draft.rng = Some(rng);
                return Ok(rng.to_string());
            }
        }
        Ok(written.to_owned())
    }
}

/// A JSON value as one would write it by hand; `None` for lists and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Text that can be shown on a terminal: no control characters but line breaks, and none that reorder it.
pub(super) fn printable(text: &str) -> String {
    let hides = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if (c.is_control() && c != '\n') || hides(c) { '\u{fffd}' } else { c }).collect()
}

/// A whole number, also written as `20.0`.
fn whole<T: FromStr>(written: &str) -> Result<T, &'static str> {
    let written = written.trim();
    let written = written.strip_suffix(".0").unwrap_or(written);
    written.parse().map_err(|_| "it is no whole number that fits")
}

fn number(written: &str) -> Result<f64, &'static str> {
    let number: f64 = written.trim().parse().map_err(|_| "it is no number")?;
    if number.is_finite() { Ok(number) } else { Err("it is no finite number") }
}
