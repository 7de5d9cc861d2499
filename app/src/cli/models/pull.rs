//! `flowline models pull`.

use std::ops::ControlFlow;

use flowline_model::weights::hub::{HubModel, Verdict};
use serde::Serialize;

use super::check::examine;
use crate::args::models::Pull;
use crate::cli::progress::Reporter;
use crate::cli::{fetching, output};
use crate::shelf::{Model, Shelf};
use crate::{Exit, Failure, Result};

/// A fetched model in JSON.
#[derive(Serialize)]
struct Fetched<'a> {
    model: String,
    path: String,
    commit: &'a str,
    files: usize,
    bytes: u64,
    /// The bytes among them that had to be fetched.
    fetched: u64,
}

/// Fetches a model, and prints where it is.
///
/// # Errors
/// What went wrong.
pub(super) fn pull(args: &Pull, reporter: &mut Reporter) -> Result<Exit> {
    let shelf = Shelf::usual(args.offline);
    let model = match shelf.find(&args.model)? {
        Model::Hub(model) => model,
        Model::BuiltIn(entry) => {
            let hint = format!("flowline generate \"a prompt\" -m {}", entry.name);
            return Err(Failure::usage(format!("{} is built in; there is nothing to fetch", entry.name), hint));
        }
        Model::Added(name, path) => {
            let what = format!("{name} is a model of yours, at {}; there is nothing to fetch", path.display());
            return Err(Failure::usage(what, format!("flowline generate \"a prompt\" -m {name}")));
        }
    };
    if args.verify && discard_damaged(&model, &shelf, reporter)?.is_break() {
        return Ok(Exit::Cancelled);
    }
    if shelf.hub.is_offline() {
        let path = model.here(&shelf.hub)?;
        output::data(format!("{}\n", path.display()).as_bytes())?;
        return Ok(Exit::Done);
    }
    let ControlFlow::Continue(pulled) = fetching::pull(&model, &shelf.hub, reporter)? else {
        return Ok(Exit::Cancelled);
    };
    let fetched = Fetched {
        model: model.name(),
        path: pulled.path.display().to_string(),
        commit: &pulled.commit,
        files: pulled.files,
        bytes: pulled.bytes,
        fetched: pulled.fetched,
    };
    let printed = match args.how.json {
        true => output::document(&fetched)?,
        false => format!("{}\n", fetched.path),
    };
    reporter.beside(|| output::data(printed.as_bytes()))?;
    Ok(Exit::Done)
}

/// Throws away what is not what it should be.
fn discard_damaged(model: &HubModel, shelf: &Shelf, reporter: &mut Reporter) -> Result<ControlFlow<()>> {
    let ControlFlow::Continue(files) = examine(model, shelf, reporter)? else { return Ok(ControlFlow::Break(())) };
    for file in files.iter().filter(|file| file.verdict != Verdict::Good) {
        reporter.talk(&format!("{} is not what it should be, and is fetched again", file.file));
        shelf.hub.discard(&model.reference, &file.file)?;
    }
    Ok(ControlFlow::Continue(()))
}
