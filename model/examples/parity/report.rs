//! What was compared, how far apart it was, and whether that is near enough.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use flowline_model::Result;
use flowline_model::probe::relative_error;
use serde_json::Value;

use super::{networks, pipelines};

/// The bar of f32 arithmetic.
pub const F32: f64 = 2e-5;

/// What every folder of fixtures must hold.
pub const KINDS: [&str; 9] = [
    "CLIP, quick GELU",
    "CLIP, GELU",
    "T5",
    "autoencoder",
    "FLUX.1 with guidance",
    "FLUX.1 without guidance",
    "SD3",
    "SD3.5",
    "pipeline",
];

/// Everything that was compared.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
    skipped: Vec<String>,
    kinds: BTreeSet<&'static str>,
}

/// One file against its reference.
struct Line {
    fixture: String,
    compared: std::result::Result<Compared, String>,
    bar: f64,
    /// Whether it decides anything.
    decides: bool,
}

/// How far some tensors are from their references.
#[derive(Default)]
pub struct Compared {
    worst: f64,
    /// The tensor that was worst.
    at: String,
    count: usize,
}

impl Compared {
    /// Compares one tensor.
    pub fn tensor(&mut self, name: impl Into<String>, got: &Tensor, want: &Tensor) -> Result<()> {
        let error = relative_error(got, want)?;
        if error >= self.worst {
            (self.worst, self.at) = (error, name.into());
        }
        self.count += 1;
        Ok(())
    }

    /// A tensor of the reference that there is no counterpart of.
    pub fn missing(&mut self, name: impl Into<String>) {
        (self.worst, self.at) = (f64::INFINITY, name.into());
        self.count += 1;
    }
}

impl Report {
    /// Takes the outcome of one comparison of a fixture of this kind.
    pub fn line(&mut self, fixture: impl Into<String>, kind: &'static str, bar: f64, compared: Result<Compared>) {
        self.kinds.insert(kind);
        let compared = compared.map_err(|error| error.to_string());
        self.lines.push(Line { fixture: fixture.into(), compared, bar, decides: true });
    }

    /// Takes the outcome of a comparison with what is near on purpose: it is told, and decides nothing.
    pub fn near(&mut self, fixture: impl Into<String>, bar: f64, compared: Result<Compared>) {
        let compared = compared.map_err(|error| error.to_string());
        self.lines.push(Line { fixture: fixture.into(), compared, bar, decides: false });
    }

    /// Notes something that nothing here can compare.
    pub fn skip(&mut self, fixture: impl Into<String>) {
        self.skipped.push(fixture.into());
    }

    /// Whether everything agrees, and everything that must be there was.
    pub fn holds(&self) -> bool {
        self.lines.iter().filter(|line| line.decides).all(Line::holds) && self.absent().is_empty()
    }

    fn absent(&self) -> Vec<&'static str> {
        KINDS.into_iter().filter(|kind| !self.kinds.contains(kind)).collect()
    }
}

impl Line {
    fn holds(&self) -> bool {
        self.compared.as_ref().is_ok_and(|compared| compared.count > 0 && compared.worst <= self.bar)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let verdict = match (line.holds(), line.decides) {
                (true, true) => "agrees",
                (false, true) => "DIFFERS",
                (true, false) => "is near",
                (false, false) => "is far",
            };
            match &line.compared {
                Ok(Compared { worst, at, count }) => writeln!(
                    f,
                    "{verdict:<8} {:<58} {worst:8.1e} of {:.0e}, worst of {count}: {at}",
                    line.fixture, line.bar
                )?,
                Err(error) => writeln!(f, "{verdict:<8} {:<58} {error}", line.fixture)?,
            }
        }
        for fixture in &self.skipped {
            writeln!(f, "skipped  {fixture}")?;
        }
        for kind in self.absent() {
            writeln!(f, "MISSING  there is no fixture of this kind: {kind}")?;
        }
        Ok(())
    }
}

/// Compares everything in `folder`.
pub fn of(folder: &Path) -> Report {
    let mut report = Report::default();
    let common = listed(&folder.join("common"));
    for place in listed(folder).iter().filter(|place| **place != folder.join("common")).chain(&common) {
        let name = place.strip_prefix(folder).unwrap_or(place).display().to_string();
        match (place.file_name().and_then(|name| name.to_str()), place.is_dir()) {
            (Some("pipelines"), true) => pipelines::compare(folder, &mut report),
            (Some("gguf"), true) => networks::gguf(folder, &mut report),
            (_, true) if place.join("io.safetensors").is_file() => networks::compare(folder, &name, &mut report),
            _ => report.skip(name),
        }
    }
    report
}

/// What lies in a folder, in the order of names; nothing if it is none.
pub fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// All tensors of a safetensors file.
pub fn tensors(path: &Path) -> Result<HashMap<String, Tensor>> {
    Ok(candle_core::safetensors::load(path, &Device::Cpu)?)
}

/// A JSON file; `null` if it cannot be read.
pub fn json(path: &Path) -> Value {
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}
