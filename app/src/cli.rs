//! The command line: data to stdout, talk to stderr, no questions asked.
//!
//! [`generate`] is the command everything else serves. Exit codes: 0 written, 1 error, 2 usage, 130 cancelled.

pub mod asked;
pub mod beside;
pub mod branch;
pub mod brought;
pub mod completions;
pub mod dry_run;
pub mod events;
pub mod fetching;
pub mod generate;
pub mod grid;
pub mod inspect;
pub mod interrupt;
pub mod models;
pub mod output;
pub mod playground;
pub mod plot;
pub mod preview;
pub mod progress;
pub mod samplers;
pub mod verify;

use crate::args::Command;
use crate::{Exit, Registry, Result};

/// Does what a command asks for. `generate`, `grid` and `models` tell their failures themselves, in the form
/// their progress has.
///
/// # Errors
/// What went wrong, to be told.
pub fn run(command: &Command, registry: &Registry) -> Result<Exit> {
    match command {
        Command::Generate(args) => return Ok(generate::run(args, registry)),
        Command::Grid(args) => return Ok(grid::run(args, registry)),
        Command::Samplers(args) => samplers::run(args, registry)?,
        Command::Models(args) => return Ok(models::run(args)),
        Command::Verify(args) => return verify::run(args, registry),
        Command::Plot(args) => return plot::run(args),
        Command::Playground(args) => return playground::run(args, registry),
        Command::Inspect(args) => inspect::show(&args.picture, args.json)?,
        Command::Completions { shell } => completions::print(*shell, registry)?,
    }
    Ok(Exit::Done)
}

/// How many threads a command wants to compute with.
pub fn threads(command: &Command) -> Option<usize> {
    match command {
        Command::Generate(args) => args.threads,
        Command::Grid(args) => args.all.generate.threads,
        _ => None,
    }
}
