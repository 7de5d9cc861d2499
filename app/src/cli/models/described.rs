//! A model with all that is known about it, as text and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use flowline_model::catalog::{Entry, Source};
use flowline_model::weights::hub::Amount;
use serde::Serialize;

use crate::shelf::{Model, Place, Shelf};

/// A model as it is listed.
#[derive(Serialize)]
pub(super) struct Described {
    pub(super) name: String,
    aliases: &'static [&'static str],
    about: Option<&'static str>,
    licence: Option<&'static str>,
    built_in: bool,
    /// Whether it is on this machine.
    here: bool,
    /// Its folder or file there.
    path: Option<String>,
    /// Bytes: what it takes here, else about what the Hub will send; `null` if that is not known.
    bytes: Option<u64>,
    repository: Option<String>,
    /// Where its licence stands, and is accepted if it is gated.
    page: Option<String>,
    /// `null` if only the Hub knows.
    gated: Option<bool>,
    alternatives: Vec<Other>,
    defaults: Option<Defaults>,
    trained_size: Option<(u32, u32)>,
    text_length: Option<usize>,
}

/// The same model from elsewhere.
#[derive(Serialize)]
struct Other {
    reference: &'static str,
    about: &'static str,
}

#[derive(Serialize)]
struct Defaults {
    width: u32,
    height: u32,
    steps: usize,
    sampler: String,
    schedule: String,
    cfg: f64,
    guidance: Option<f64>,
}

impl Described {
    /// All that `shelf` knows about `model`.
    pub(super) fn of(model: &Model, shelf: &Shelf) -> Self {
        let place = shelf.place(model);
        let entry = model.entry();
        let hub = match model {
            Model::Hub(hub) => Some(hub),
            _ => None,
        };
        let hosted = hub.and_then(|hub| hub.hosted());
        let alternatives = hosted.map(|hosted| hosted.alternatives).unwrap_or_default();
        let known = hosted.map(|hosted| hosted.bytes);
        Self {
            name: model.name(),
            aliases: entry.map_or(&[], |entry| entry.aliases),
            about: entry.map(|entry| entry.about),
            licence: entry.map(|entry| entry.licence),
            built_in: place == Place::BuiltIn,
            here: place != Place::Away,
            bytes: match &place {
                Place::BuiltIn => entry.and_then(embedded),
                Place::Here(path) => Some(size(path)),
                Place::Away => known,
            },
            path: match &place {
                Place::Here(path) => Some(path.display().to_string()),
                Place::BuiltIn | Place::Away => None,
            },
            repository: hub.map(|hub| hub.reference.repository().to_owned()),
            page: hub.map(|hub| shelf.hub.page(&hub.reference)),
            gated: match model {
                Model::Hub(_) => hosted.map(|hosted| hosted.gated),
                Model::BuiltIn(_) | Model::Added(..) => Some(false),
            },
            alternatives: alternatives
                .iter()
                .map(|other| Other { reference: other.reference, about: other.about })
                .collect(),
            defaults: entry.map(Defaults::of),
            trained_size: entry.and_then(|entry| entry.trained_size),
            text_length: entry.map(|entry| entry.text_length),
        }
    }

    /// A paragraph; with everything if `all`.
    pub(super) fn text(&self, all: bool) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {name:<9} {value}");
        };
        if !self.aliases.is_empty() {
            row("also", &self.aliases.join(", "));
        }
        let size = self.bytes.map(|bytes| Amount(bytes).to_string());
        let size = size.as_deref().unwrap_or("of unknown size");
        let files = match (&self.path, self.built_in) {
            (_, true) => format!("built in, {size}"),
            (Some(path), _) if self.repository.is_some() || all => format!("here, {size}: {path}"),
            (Some(path), _) => format!("yours, {size}: {path}"),
            (None, _) if self.repository.is_some() => {
                format!("not here, about {size}: flowline models pull {}", self.name)
            }
            (None, _) => "gone from where it was".to_owned(),
        };
        row("files", &files);
        let gate = match (self.gated, &self.page) {
            (Some(true), Some(page)) => format!(", to be accepted at {page}"),
            (_, Some(page)) if all => format!(", {page}"),
            _ => String::new(),
        };
        match (self.licence, &self.page) {
            (Some(licence), _) => row("licence", &format!("{licence}{gate}")),
            (None, Some(page)) => row("licence", &format!("as at {page}")),
            (None, None) => {}
        }
        for Other { reference, about } in self.alternatives.iter().filter(|_| all || self.path.is_none()) {
            row("or", &format!("-m {reference}: {about}"));
        }
        if let Some(defaults) = &self.defaults {
            row("defaults", &defaults.text());
        }
        let head = self.about.map_or_else(|| self.name.clone(), |about| format!("{}  {about}", self.name));
        format!("{head}\n{text}")
    }
}

impl Defaults {
    fn of(entry: &'static Entry) -> Self {
        let defaults = &entry.defaults;
        Self {
            width: defaults.size.0,
            height: defaults.size.1,
            steps: defaults.steps,
            sampler: defaults.sampler().to_string(),
            schedule: defaults.schedule().to_string(),
            cfg: defaults.cfg,
            guidance: defaults.guidance,
        }
    }

    fn text(&self) -> String {
        let Self { width, height, steps, sampler, schedule, cfg, guidance } = self;
        let guidance = guidance.map(|guidance| format!(", guidance {guidance}")).unwrap_or_default();
        format!("{width} x {height}, {steps} steps, {sampler}, {schedule}, cfg {cfg}{guidance}")
    }
}

fn embedded(entry: &'static Entry) -> Option<u64> {
    match entry.source {
        Source::Embedded(files) => Some(files.iter().map(|(_, bytes)| bytes.len() as u64).sum()),
        Source::Hub(_) => None,
    }
}

/// Bytes of a file, or of everything below a folder, whatever is behind its links.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir() {
                0
            } else {
                size(&entry.path())
            }
        })
        .sum()
}
