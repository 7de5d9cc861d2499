//! The whole command line as types. What is typed is parsed here and nowhere else; what it means for a model is decided
//! by `Draft::resolve`.

mod beginning;
pub mod grid;
mod model;
pub mod models;
mod playground;
mod plot;
mod refusal;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use flowline_model::Rng;
use flowline_model::catalog::Preset;
use flowline_sampler::catalog::Choice;

use crate::{Registry, Result};
pub use beginning::Beginning;
pub use grid::Grid;
pub use model::Model;
pub use models::Models;
pub use playground::Playground;
pub use plot::Plot;
pub use values::{BranchPoint, PICTURES_AT_ONCE, Seeds, Sigmas, TiltBy, listed_sigmas};

/// Pictures from text on your own machine
///
/// Without a command, the window opens.
#[derive(Debug, Parser)]
#[command(name = "flowline", bin_name = "flowline", version, max_term_width = 110)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make pictures of a prompt
    Generate(Box<Generate>),
    /// Make a picture in every combination of some options, with a table and a contact sheet
    Grid(Box<Grid>),
    /// List the samplers, schedules and guidance rules, or tell all that is known about one
    #[command(aliases = ["schedules", "guidances", "rules"])]
    Samplers(Samplers),
    /// List the models, fetch them, add your own, check and remove them
    Models(Models),
    /// Show what a picture's record says
    Inspect(Inspect),
    /// Judge the samplers against closed forms, or a picture against its record
    Verify(Verify),
    /// Draw what a grid or traces found: error against evaluations, metrics over sigma
    Plot(Plot),
    /// Watch particles flow from noise to data in the plane, carried by any sampler, without a model
    Playground(Box<Playground>),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Options of `samplers`.
#[derive(Debug, clap::Args)]
pub struct Samplers {
    /// A sampler, a schedule, a guidance rule or what can be put around one: its formula, its cost, what was measured
    #[arg(value_name = "NAME[:KEY=VALUE,..]", value_parser = values::choice)]
    pub name: Option<Choice>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// A PNG file
    #[arg(value_hint = ValueHint::FilePath)]
    pub picture: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// A PNG file: make it again from its record and compare
    #[arg(value_hint = ValueHint::FilePath)]
    pub picture: Option<PathBuf>,
    /// The picture that it began at, if it did
    #[arg(short, long, value_name = "PICTURE", value_hint = ValueHint::FilePath, requires = "picture")]
    pub init_image: Option<PathBuf>,
    /// Judge this sampler only; may be repeated
    #[arg(long, value_name = "NAME[:KEY=VALUE,..]", value_parser = values::choice, hide_possible_values = true, conflicts_with = "picture")]
    pub sampler: Vec<Choice>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `generate`.
#[derive(Debug, clap::Args)]
pub struct Generate {
    /// What the picture shows; `-` reads it from standard input
    #[arg(group = "words")]
    pub prompt: Option<String>,
    /// The same as an option
    #[arg(short = 'p', long = "prompt", value_name = "PROMPT", group = "words")]
    pub prompt_option: Option<String>,
    /// Read the prompt from a file; `-` is standard input
    ///
    /// The whole file is one prompt, without the line break at its end.
    #[arg(long, value_name = "FILE", group = "words", value_hint = ValueHint::FilePath)]
    pub prompt_file: Option<PathBuf>,
    /// Make the pictures of several prompts, one from every line of a file; `-` is standard input
    ///
    /// The model is loaded once, and every prompt gets all that the other options ask for.
    #[arg(long, value_name = "FILE", group = "words", conflicts_with = "branch", value_hint = ValueHint::FilePath)]
    pub prompts: Option<PathBuf>,
    /// What the picture does not show; needs a cfg above 1
    #[arg(short, long, value_name = "PROMPT", aliases = ["negative", "neg-prompt", "uncond-prompt"])]
    pub negative_prompt: Option<String>,
    /// Start from a picture's record: the same picture again, or with the options given here
    #[arg(long, value_name = "PICTURE", alias = "config-from-metadata", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// Go on from a kept trajectory after K of its steps, with the options given here; without @K from its end
    ///
    /// With no other option the picture is the one that the uninterrupted run made, bit for bit.
    #[arg(long, value_name = "FILE[@K]", value_hint = ValueHint::FilePath, conflicts_with = "from")]
    pub branch: Option<BranchPoint>,

    /// Which picture to begin at.
    #[command(flatten)]
    pub beginning: Beginning,

    /// Which model, and how it is opened.
    #[command(flatten)]
    pub model: Model,
    /// Width in pixels
    #[arg(short = 'W', long, value_name = "PIXELS", value_parser = values::pixels, allow_hyphen_values = true)]
    pub width: Option<u32>,
    /// Height in pixels
    #[arg(short = 'H', long, value_name = "PIXELS", value_parser = values::pixels, allow_hyphen_values = true)]
    pub height: Option<u32>,
    /// Seeds, such as 7 or 1,2,8..12 (both ends are made); random if not given or negative
    #[arg(short, long, alias = "seeds", value_name = "SEEDS", value_parser = values::seeds, allow_hyphen_values = true)]
    pub seed: Option<Seeds>,
    /// Number of pictures; the seed counts on from one to the next
    #[arg(short, long, value_name = "N", aliases = ["batch-count", "num-images"], value_parser = values::batch, allow_hyphen_values = true)]
    pub batch: Option<usize>,

    /// What applies to all that is not said: what the model likes, or what its authors' own program does
    #[arg(long, value_name = "PRESET", value_parser = values::preset_parser(), conflicts_with_all = ["from", "branch"])]
    pub preset: Option<Preset>,
    /// Number of steps
    #[arg(long, value_name = "N", aliases = ["num-inference-steps", "sampling-steps"], value_parser = values::steps, allow_hyphen_values = true)]
    pub steps: Option<usize>,
    /// Classifier-free guidance; 1 is off, above 1 follows the prompt more closely
    #[arg(long, value_name = "SCALE", aliases = ["cfg-scale", "cfg_scale"], value_parser = values::number, allow_hyphen_values = true)]
    pub cfg: Option<f64>,
    /// Distilled guidance, for models with a guidance embedding
    #[arg(long, value_name = "SCALE", aliases = ["distilled-guidance", "guidance-scale"], value_parser = values::number, allow_hyphen_values = true)]
    pub guidance: Option<f64>,
    /// The sampler
    #[arg(long, value_name = "NAME[:KEY=VALUE,..]", aliases = ["sampling-method", "sample-method"], value_parser = values::choice, hide_possible_values = true)]
    pub sampler: Option<Choice>,
    /// The schedule of the steps
    #[arg(long, value_name = "NAME[:KEY=VALUE,..]", alias = "scheduler", value_parser = values::choice, hide_possible_values = true)]
    pub schedule: Option<Choice>,
    /// The schedule's shift; above 1 spends more steps near noise
    #[arg(long, value_name = "SHIFT", aliases = ["flow-shift", "time-shift"], value_parser = values::number, allow_hyphen_values = true)]
    pub shift: Option<f64>,
    /// The sigmas themselves, such as 1,0.8,0.5,0.2,0, or a file that holds them
    #[arg(long, value_name = "LIST|FILE", value_parser = values::sigmas, allow_hyphen_values = true, conflicts_with_all = ["schedule", "shift"])]
    pub sigmas: Option<Sigmas>,
    /// The rule of guidance, such as apg or cfg+rescale:share=0.7+interval:low=0.2; its scale is --cfg
    #[arg(long, value_name = "NAME[:KEY=VALUE,..]", alias = "guidance-rule", value_parser = values::choice, hide_possible_values = true)]
    pub rule: Option<Choice>,
    /// Where the noise comes from
    #[arg(long, value_name = "SOURCE", value_parser = values::rng_parser())]
    pub rng: Option<Rng>,
    /// Pull the picture towards another by a strength; below 0 pushes away
    #[arg(long, value_name = "IMAGE:STRENGTH", value_parser = values::tilt, value_hint = ValueHint::FilePath)]
    pub tilt: Option<TiltBy>,

    /// Where the picture goes: a file, a folder, a pattern with {seed} {index} {model}, or `-` for standard output
    ///
    /// Without it, the user's pictures folder. A name that is taken gets the next free one.
    #[arg(short, long, value_name = "PATH", alias = "out", value_hint = ValueHint::AnyPath)]
    pub output: Option<PathBuf>,
    /// Replace a file of the same name
    #[arg(long)]
    pub force: bool,
    /// Write no record into the picture
    #[arg(long, alias = "disable-image-metadata")]
    pub no_metadata: bool,
    /// Write the newest preview to this PNG file after every step
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub preview_path: Option<PathBuf>,
    /// Write the figures of every step to this JSON file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trace: Option<PathBuf>,
    /// Keep every latent on the way in this safetensors file, to branch from with --branch
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keep_trajectory: Option<PathBuf>,

    /// Threads to compute with
    #[arg(short, long, value_name = "N", value_parser = values::threads, allow_hyphen_values = true)]
    pub threads: Option<usize>,
    /// How to tell what is going on, on standard error
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,
    /// Print a JSON object for every picture instead of its path
    #[arg(long)]
    pub json: bool,
    /// Decide everything, say what would be done and how much memory it takes, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Say more: what was decided, and where the time went
    #[arg(short, long)]
    pub verbose: bool,
}

/// How progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, else plain lines
    Auto,
    /// Plain lines
    Plain,
    /// One JSON object a line
    Json,
    /// Only warnings and errors
    None,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To do something.
    Run(Args),
    /// To print the help or the version.
    Print(clap::Error),
}

/// Reads the words of a command line, the program's name first.
///
/// # Errors
/// A usage failure that names the option.
pub fn parse(words: &[OsString], registry: &Registry) -> Result<Asked> {
    let read = command(registry).try_get_matches_from(words);
    match read.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => Ok(Asked::Run(args)),
        Err(error) if !error.use_stderr() => Ok(Asked::Print(error)),
        Err(error) => Err(refusal::failure(&error, words)),
    }
}

/// Whether the words ask for progress as JSON, even if they make no sense as a whole.
pub fn wants_json_progress(words: &[OsString]) -> bool {
    let pairs = words.iter().zip(words.iter().skip(1));
    words.iter().any(|word| word == "--progress=json")
        || pairs.into_iter().any(|(a, b)| a == "--progress" && b == "json")
}

/// The command line as `clap` knows it, with the names of what may be chosen.
pub fn command(registry: &Registry) -> clap::Command {
    let program = Args::command();
    let names: Vec<_> = program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names
        .into_iter()
        .fold(program, |program, name| program.mut_subcommand(name, |command| values::with_names(command, registry)))
}
