//! `flowline models check`.

use std::ops::ControlFlow;

use flowline_model::Error;
use flowline_model::weights::hub::{HubModel, Verdict, Verified};
use serde::Serialize;

use super::described;
use crate::args::models::Check;
use crate::cli::interrupt::Interrupt;
use crate::cli::output;
use crate::cli::progress::{Reporter, Transfer};
use crate::shelf::{Model, Place, Shelf};
use crate::{Exit, Failure, Result};

/// What was found about a model, in JSON.
#[derive(Serialize)]
struct Checked {
    model: String,
    /// Whether every file with a known hash has it.
    good: bool,
    files: Vec<CheckedFile>,
}

#[derive(Serialize)]
struct CheckedFile {
    file: String,
    size: u64,
    /// `good`, `damaged`, `missing` or `unknown`.
    verdict: &'static str,
}

/// Hashes what was fetched and compares it with what the Hub promised.
///
/// # Errors
/// If there is no such model, a file cannot be read, or one is damaged.
pub(super) fn check(args: &Check, reporter: &mut Reporter) -> Result<Exit> {
    let shelf = Shelf::usual(true);
    let models = match &args.model {
        Some(name) => vec![shelf.find(name)?],
        None => shelf.models().into_iter().filter(|model| shelf.place(model) != Place::Away).collect(),
    };
    let mut checked = Vec::new();
    for model in &models {
        let files = match model {
            // What is part of the program is as good as the program; what was added nobody made a promise about.
            Model::BuiltIn(_) | Model::Added(..) if args.model.is_none() => continue,
            Model::BuiltIn(entry) => {
                let what = format!("{} is built in; there is nothing to check", entry.name);
                return Err(Failure::usage(what, "name a model that was fetched"));
            }
            Model::Added(name, path) => {
                let what = format!("nobody has said what {name} ({}) should be", path.display());
                return Err(Failure::usage(what, "only models that were fetched can be checked"));
            }
            Model::Hub(hub) => match examine(hub, &shelf, reporter)? {
                ControlFlow::Continue(files) => files,
                ControlFlow::Break(()) => return Ok(Exit::Cancelled),
            },
        };
        if files.is_empty() {
            let what = format!("{} is not on this machine", model.name());
            return Err(Failure::new(what, format!("`flowline models pull {}` fetches it", model.name())));
        }
        let good = files.iter().all(|file| matches!(file.verdict, Verdict::Good | Verdict::Unknown));
        let files = files.into_iter().map(CheckedFile::from).collect();
        checked.push(Checked { model: model.name(), good, files });
    }
    let printed = match args.how.json {
        true => output::document(&checked)?,
        false => checked.iter().map(Checked::text).collect(),
    };
    reporter.beside(|| output::data(output::printable(&printed).as_bytes()))?;
    match checked.iter().find(|checked| !checked.good) {
        None => Ok(Exit::Done),
        Some(Checked { model, .. }) => {
            let what = format!("{model} is not what the Hub promised");
            Err(Failure::new(what, format!("`flowline models pull {model} --verify` fetches again what is damaged")))
        }
    }
}

/// Hashes a model's files. A break means that the user stopped it.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn examine(
    model: &HubModel,
    shelf: &Shelf,
    reporter: &mut Reporter,
) -> Result<ControlFlow<(), Vec<Verified>>> {
    let interrupt = Interrupt::listen();
    let total = shelf.hub.snapshot(&model.reference).map_or(0, |folder| described::size(&folder));
    let mut told = 0;
    let verified = shelf.hub.verify(&model.reference, |file| model.includes(file), &mut |bytes| {
        if bytes >= told {
            told = bytes + (64 << 20);
            reporter.transfer(&Transfer { work: "checking", file: None, bytes, total, rate: None, left: None });
        }
        if interrupt.pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match verified {
        Ok(files) => Ok(ControlFlow::Continue(files)),
        Err(Error::Cancelled) => Ok(ControlFlow::Break(())),
        Err(error) => Err(error.into()),
    }
}

impl From<Verified> for CheckedFile {
    fn from(verified: Verified) -> Self {
        let verdict = match verified.verdict {
            Verdict::Good => "good",
            Verdict::Damaged => "damaged",
            Verdict::Missing => "missing",
            Verdict::Unknown => "unknown",
        };
        Self { file: verified.file, size: verified.size, verdict }
    }
}

impl Checked {
    fn text(&self) -> String {
        let lines = self.files.iter().map(|file| format!("    {:<8} {}\n", file.verdict, file.file));
        format!("{}\n{}", self.model, lines.collect::<String>())
    }
}
