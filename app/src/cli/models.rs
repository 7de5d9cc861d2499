//! `flowline models`: the catalogue of models.

use std::fmt::Write as _;

use flowline_model::catalog::{Entry, MODELS, Source};
use serde::Serialize;

use super::output;
use crate::Result;

/// A model in the JSON listing.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
    about: &'a str,
    licence: &'a str,
    built_in: bool,
    /// Bytes of all its files; `null` for a folder of the user's.
    bytes: Option<usize>,
    defaults: ListedDefaults,
    trained_size: Option<(u32, u32)>,
    text_length: usize,
}

#[derive(Serialize)]
struct ListedDefaults {
    width: u32,
    height: u32,
    steps: usize,
    sampler: String,
    schedule: String,
    cfg: f64,
    guidance: Option<f64>,
}

impl<'a> From<&'a Entry> for Listed<'a> {
    fn from(entry: &'a Entry) -> Self {
        let (built_in, bytes) = match entry.source {
            Source::Embedded(files) => (true, Some(files.iter().map(|(_, bytes)| bytes.len()).sum())),
            Source::Folder => (false, None),
        };
        let defaults = &entry.defaults;
        Self {
            name: entry.name,
            aliases: entry.aliases,
            about: entry.about,
            licence: entry.licence,
            built_in,
            bytes,
            defaults: ListedDefaults {
                width: defaults.size.0,
                height: defaults.size.1,
                steps: defaults.steps,
                sampler: defaults.sampler().to_string(),
                schedule: defaults.schedule().to_string(),
                cfg: defaults.cfg,
                guidance: defaults.guidance,
            },
            trained_size: entry.trained_size,
            text_length: entry.text_length,
        }
    }
}

/// Lists the models, the default first.
///
/// # Errors
/// Those of stdout.
pub fn list(json: bool) -> Result<()> {
    let models: Vec<_> = MODELS.iter().map(Listed::from).collect();
    if json {
        return output::pretty(&models);
    }
    let mut text = String::new();
    for (index, model) in models.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{}  {}", if index == 0 { "" } else { "\n" }, model.name, model.about);
        if !model.aliases.is_empty() {
            let _ = writeln!(text, "    also      {}", model.aliases.join(", "));
        }
        let _ = match model.bytes {
            Some(bytes) => writeln!(text, "    files     built in, {:.0} MB", bytes as f64 / 1e6),
            None => writeln!(text, "    files     a diffusers folder of yours: -m path/to/folder"),
        };
        let _ = writeln!(text, "    licence   {}", model.licence);
        let ListedDefaults { width, height, steps, sampler, schedule, cfg, guidance } = &model.defaults;
        let guidance = guidance.map(|guidance| format!(", guidance {guidance}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "    defaults  {width} x {height}, {steps} steps, {sampler}, {schedule}, cfg {cfg}{guidance}"
        );
    }
    output::data(text.as_bytes())
}
