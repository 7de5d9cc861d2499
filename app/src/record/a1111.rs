//! The text of AUTOMATIC1111's web UI and all who write as it does: Forge, stable-diffusion.cpp, Fooocus if asked to.
//!
//! ```text
//! <prompt, any number of lines>
//! Negative prompt: <only if there is one>
//! Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Seed: 42, Size: 1024x1024, ..., Version: f2.0.1
//! ```
//! `modules/processing.py create_infotext` and `modules/infotext_utils.py` of that program: a value with a comma, a colon
//! or a line break is written as a JSON string, and the last line counts as settings if three or more are found in it.

use flowline_model::Request;

use super::reading::{Field, Reading};
use super::{Found, Source, Texts, flowline, names, sd_cpp};
use crate::error::Result;

/// The keyword of the chunk, also used by programs that put JSON there.
pub(super) const KEYWORD: &str = "parameters";
/// Our own record's key in the settings line.
const OWN_KEY: &str = "Flowline";
/// Settings in a last line that is one.
const ENOUGH: usize = 3;
const NEGATIVE: &str = "Negative prompt:";

/// What the settings are called.
const FIELDS: &[(&str, Field)] = &[
    ("Size", Field::Size),
    ("Seed", Field::Seed),
    ("Steps", Field::Steps),
    ("Sampler", Field::Sampler),
    ("Schedule type", Field::Schedule),
    ("CFG scale", Field::Cfg),
    // Forge.
    ("Distilled CFG Scale", Field::Guidance),
    ("RNG", Field::Rng),
];

/// Writes `request`, with its canonical `json` as the last value. Quoted, that value can break out of nothing; unquoted,
/// as others have it, a prompt with `Seed: 7` in it would change the seed that readers see.
pub(super) fn write(request: &Request, json: &str) -> String {
    let mut lines = vec![request.prompt.clone()];
    if !request.negative_prompt.is_empty() {
        lines.push(format!("{NEGATIVE} {}", request.negative_prompt));
    }
    let mut settings: Vec<(&str, String)> = vec![
        ("Steps", request.steps.to_string()),
        ("Sampler", names::a1111_sampler(&request.sampler)),
        ("Schedule type", request.schedule.to_string()),
        ("CFG scale", request.cfg.to_string()),
    ];
    settings.extend(request.guidance.map(|guidance| ("Distilled CFG Scale", guidance.to_string())));
    settings.extend(request.seeds.first().map(|seed| ("Seed", seed.to_string())));
    settings.push(("Size", format!("{}x{}", request.width, request.height)));
    settings.extend(request.start.as_ref().map(|start| ("Denoising strength", start.strength.to_string())));
    let transformer = request.model.weights.iter().find(|weights| weights.file.starts_with("transformer/"));
    settings.extend(transformer.and_then(|t| t.sha256.get(..10)).map(|hash| ("Model hash", hash.to_owned())));
    settings.push(("Model", request.model.name.clone()));
    settings.push(("Version", format!("flowline {}", request.made_with.flowline)));
    let mut settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key}: {}", quoted(value))).collect();
    settings.push(format!("{OWN_KEY}: {}", json_string(json)));
    lines.push(settings.join(", "));
    // A chunk's text holds no zero byte; the JSON has it escaped.
    lines.join("\n").replace('\0', "")
}

/// A value as it may stand in the settings line.
fn quoted(value: &str) -> String {
    let plain = !value.contains([',', ':', '\n', '\r', '"']) && value.trim() == value && !value.is_empty();
    if plain { value.to_owned() } else { json_string(value) }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Reads such a text, if there is one.
pub(super) fn read(name: &str, texts: &Texts<'_>) -> Option<Result<Found>> {
    let text = Text::find(texts)?;
    if let Some(own) = text.setting(OWN_KEY) {
        return Some(flowline::request(name, own).map(Found::own));
    }
    Some(Ok(Found { source: Source::A1111, request: None, reading: text.reading(&[]) }))
}

/// Such a text, taken apart.
pub(super) struct Text {
    prompt: String,
    negative: String,
    /// In the order they stand there.
    settings: Vec<(String, String)>,
}

impl Text {
    /// The text under `parameters`, or in the EXIF user comment, where some converters put it.
    pub(super) fn find(texts: &Texts<'_>) -> Option<Self> {
        let text = texts.get(KEYWORD).or(texts.comment)?.trim();
        let (above, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let settings = settings(last);
        // A JSON record of another program may hold text of this form in its prompt.
        if settings.len() < ENOUGH || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
            return None;
        }
        let (prompt, negative) = prompts(above);
        Some(Self { prompt, negative, settings })
    }

    /// The setting of that name.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What it says; `more` are names that only its writer uses. What stands in a setting goes before what stands above.
    pub(super) fn reading(&self, more: &[(&str, Field)]) -> Reading {
        let mut reading = Reading::default();
        let fields = || more.iter().chain(FIELDS);
        let named = |field| fields().any(|(name, known)| *known == field && self.setting(name).is_some());
        if !named(Field::Prompt) {
            reading.take(Field::Prompt, "prompt", &self.prompt);
        }
        if !named(Field::NegativePrompt) && !self.negative.is_empty() {
            reading.take(Field::NegativePrompt, "negative prompt", &self.negative);
        }
        for (key, value) in &self.settings {
            match fields().find(|(name, _)| name == key) {
                Some((_, field)) => reading.take(*field, key, value),
                None => reading.leave(key, value, ""),
            }
        }
        for (field, name, text) in
            [(Field::Prompt, "prompt", &self.prompt), (Field::NegativePrompt, "negative prompt", &self.negative)]
        {
            if named(field) && !text.is_empty() {
                reading.leave(&format!("{name} with styles"), text, "");
            }
        }
        reading
    }
}

/// Whether the last line of `text` holds settings.
pub(super) fn has_settings(text: &str) -> bool {
    settings(text.rsplit('\n').next().unwrap_or_default()).len() >= ENOUGH
}

/// Prompt and negative prompt: everything from the first line that says so is the negative one.
fn prompts(above: &str) -> (String, String) {
    let (mut prompt, mut negative) = (Vec::new(), Vec::new());
    for line in above.split('\n').map(str::trim) {
        match line.strip_prefix(NEGATIVE) {
            Some(rest) => negative.push(rest.trim()),
            None if negative.is_empty() => prompt.push(line),
            None => negative.push(line),
        }
    }
    (prompt.join("\n"), negative.join("\n"))
}

/// The settings of a line, in order. A key is two or more word characters, spaces, dashes or slashes before a colon; a
/// value is a JSON string or everything to the next comma. As in the web UI's regular expression, text that is neither
/// is passed over.
fn settings(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let Some(begin) = rest.find(is_word) else { break };
        rest = rest.get(begin..).unwrap_or("");
        let end = rest.find(|c| !is_word(c) && !matches!(c, ' ' | '-' | '/')).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        rest = after;
        let Some(value) = after.strip_prefix(':').filter(|_| key.chars().count() > 1) else { continue };
        let value = value.trim_start();
        let (value, after) = match json_value(key, value) {
            Some(taken) => taken,
            None => {
                let (value, after) = value.split_once(',').unwrap_or((value, ""));
                (value.trim().to_owned(), after)
            }
        };
        found.push((key.to_owned(), value));
        rest = after;
    }
    found
}

/// A quoted value up to its closing quote, unquoted; or stable-diffusion.cpp's record, which is not quoted and reaches to
/// the end of the line. And what follows.
fn json_value<'t>(key: &str, value: &'t str) -> Option<(String, &'t str)> {
    if key == sd_cpp::OBJECT && value.starts_with('{') {
        return Some((value.to_owned(), ""));
    }
    if !value.starts_with('"') {
        return None;
    }
    let mut escaped = false;
    let mut closing = value.char_indices().skip(1).filter_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    });
    let (quoted, after) = value.split_at(closing.next()? + 1);
    let after = after.strip_prefix(',').or(after.is_empty().then_some(after))?;
    Some((serde_json::from_str(quoted).unwrap_or_else(|_| quoted.to_owned()), after))
}

/// `\w` of regular expressions.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
