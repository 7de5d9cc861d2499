//! Options of `grid`: its own, and every option of `generate` for all cells.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, FromArgMatches, ValueEnum, ValueHint};

use super::{Generate, refusal};
use crate::Result;
use crate::grid::{Reference, Shard};

/// Options of `grid`.
#[derive(Debug, clap::Args)]
pub struct Grid {
    /// An option of `generate` and the values to try, such as steps=4,8,16; may be repeated
    ///
    /// Values are separated by commas. Parameters stay with their name: sampler=langevin:scale=1,decay=0,euler are two
    /// samplers. Seeds may be ranges: seed=1..4. Texts, files and lists (prompt, negative-prompt, prompt-file, from,
    /// branch, init-image, the parts of a model, sigmas, lora, tilt) are taken whole, commas and all: repeat --axis for
    /// every value. The first axis changes slowest.
    #[arg(long, value_name = "OPTION=VALUES", allow_hyphen_values = true)]
    pub axis: Vec<String>,
    /// What --steps counts: steps, or model evaluations (nfe) for a fair comparison
    ///
    /// With nfe, every cell takes as many steps as fit into so many evaluations, guidance counted; the table says how
    /// many were really spent.
    #[arg(long, value_name = "WHAT", default_value = "steps")]
    pub align: Align,
    /// Measure how far each cell lands from this run, such as heun:steps=200
    ///
    /// There is one reference for every prompt, seed, size, guidance and model, along the model's own schedule. The
    /// distance is the root mean square between final latents. It is left empty where it means nothing: for a sampler
    /// that adds noise, unless the reference is the same sampler and --rng brownian gives both the same path.
    #[arg(long, value_name = "SAMPLER:steps=N", value_parser = Reference::from_str)]
    pub reference: Option<Reference>,
    /// Make only every N-th cell, from the I-th: many machines fill one folder
    ///
    /// `auto` takes both numbers from a Slurm array; `auto/N` takes I from a Slurm array or a Kubernetes indexed job.
    #[arg(long, value_name = "I/N", value_parser = Shard::from_str)]
    pub shard: Option<Shard>,
    /// Write the tables and the sheet of a folder that several shards have filled, and say which cells are missing
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub merge: Option<PathBuf>,
    /// The options of `generate`.
    #[command(flatten)]
    pub all: ForAll,
}

/// What `--steps` counts in a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Align {
    /// Steps
    Steps,
    /// Model evaluations
    Nfe,
}

/// Options of `generate` that hold for all cells.
#[derive(Debug)]
pub struct ForAll {
    /// As they were understood.
    pub generate: Generate,
    /// As they were written: option and word for it, `steps` and `--steps=4`. The prompt and what is no option of a
    /// cell stand here too.
    pub written: Vec<(String, OsString)>,
}

impl FromArgMatches for ForAll {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let generate = Generate::from_arg_matches(matches)?;
        Ok(Self { generate, written: written(matches) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for ForAll {
    fn augment_args(command: clap::Command) -> clap::Command {
        let heading = "Options of `generate`, for all cells";
        Generate::augment_args(command.next_help_heading(heading)).mut_args(|argument| match argument.get_long() {
            Some("output") => argument
                .value_name("FOLDER")
                .help("The folder of the grid; the same command goes on where it stopped")
                .long_help(None::<&str>),
            Some("force") => argument.help("Begin a grid in a folder that holds other files"),
            Some("json") => {
                argument.help("Print a JSON object for every cell that is made instead of the tables' paths")
            }
            Some("dry-run") => argument.help("List the cells with their keys and evaluations, and stop"),
            Some(name) if NOT_HERE.contains(&name) => argument.hide(true),
            _ => argument,
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Options of `generate` that a grid has no use for.
pub const NOT_HERE: [&str; 5] = ["prompts", "batch", "preview-path", "trace", "keep-trajectory"];

/// The options of `generate` as clap knows them.
pub fn options() -> clap::Command {
    <Generate as clap::Args>::augment_args(clap::Command::new("generate"))
}

/// The options of `generate` among `matches` as a command line would have them again.
fn written(matches: &ArgMatches) -> Vec<(String, OsString)> {
    let generate = options();
    let mut found = Vec::new();
    for argument in generate.get_arguments() {
        let id = argument.get_id().as_str();
        // Help and version are no values.
        let Ok(true) = matches.try_contains_id(id) else { continue };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        let name = argument.get_long().unwrap_or(id);
        let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        if !takes_value {
            found.push((name.to_owned(), word(name, None)));
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            found.push((name.to_owned(), word(name, Some(value))));
        }
    }
    found
}

/// `--name=value`, in which no value is taken for an option.
pub fn word(name: &str, value: Option<&OsStr>) -> OsString {
    let mut word = OsString::from(format!("--{name}"));
    if let Some(value) = value {
        word.push("=");
        word.push(value);
    }
    word
}

/// Reads a command line of `generate`.
///
/// # Errors
/// As `generate` itself.
pub fn generate_from(words: impl IntoIterator<Item = OsString>) -> Result<Generate> {
    let words: Vec<OsString> = ["flowline", "generate"].map(OsString::from).into_iter().chain(words).collect();
    let read = options().try_get_matches_from(words.iter().skip(1));
    let generate = read.and_then(|matches| Generate::from_arg_matches(&matches));
    generate.map_err(|error| refusal::failure(&error, &words))
}

/// Reads a command line of `grid`: the words after that.
///
/// # Errors
/// As `grid` itself.
pub fn grid_from(words: impl IntoIterator<Item = OsString>) -> Result<Grid> {
    let words: Vec<OsString> = ["flowline", "grid"].map(OsString::from).into_iter().chain(words).collect();
    let command = <Grid as clap::Args>::augment_args(clap::Command::new("grid"));
    let read = command.try_get_matches_from(words.iter().skip(1));
    read.and_then(|matches| Grid::from_arg_matches(&matches)).map_err(|error| refusal::failure(&error, &words))
}
