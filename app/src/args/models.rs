//! Options of `models` and its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use flowline_model::weights::Encoding;

use super::{Progress, values};

/// Options of `models`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Models {
    /// What to do; without it, list them.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// How the list is printed.
    #[command(flatten)]
    pub list: Json,
}

/// The commands of `models`.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List what is known and what is here, with sizes and licences
    List(Json),
    /// Tell all about one model
    Show(Show),
    /// Fetch a model from the Hub, or go on fetching it
    Pull(Pull),
    /// Give a folder or file of yours a name; nothing is copied
    Add(Add),
    /// Compare what was fetched with the hashes that the Hub promised
    Check(Check),
    /// Write a transformer anew: quantised, as GGUF or safetensors, in the names that other programs read
    Convert(Convert),
    /// Take a model off this machine, or forget one that was added
    Remove(Remove),
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `models show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A model's name, or owner/repo[:file]
    #[arg(value_parser = values::model_parser(), hide_possible_values = true)]
    pub model: String,
    /// How it is printed.
    #[command(flatten)]
    pub how: Json,
}

/// Options of `models pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// A model's name, or owner/repo[@revision][:file]
    #[arg(value_parser = values::model_parser(), hide_possible_values = true)]
    pub model: String,
    /// Hash what is here first, and fetch again what is damaged
    #[arg(long)]
    pub verify: bool,
    /// Say what is missing instead of fetching it; HF_HUB_OFFLINE=1 does the same
    #[arg(long)]
    pub offline: bool,
    /// How to tell what is going on, on standard error
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,
    /// How it is printed where the model is.
    #[command(flatten)]
    pub how: Json,
}

/// Options of `models add`.
#[derive(Debug, Args)]
pub struct Add {
    /// A diffusers folder, or a safetensors or GGUF file
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// What to call it; else as the folder or file is called
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub how: Json,
}

/// Options of `models check`.
#[derive(Debug, Args)]
pub struct Check {
    /// A model's name, or owner/repo[:file]; without it, all that is here
    #[arg(value_parser = values::model_parser(), hide_possible_values = true)]
    pub model: Option<String>,
    /// How to tell what is going on, on standard error
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,
    /// How it is printed.
    #[command(flatten)]
    pub how: Json,
}

/// Options of `models remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// A model's name, or owner/repo[:file]
    #[arg(value_parser = values::model_parser(), hide_possible_values = true)]
    pub model: String,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How it is printed.
    #[command(flatten)]
    pub how: Json,
}

/// Options of `models convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// A safetensors or GGUF file, a diffusers folder, or a model's name: its transformer
    #[arg(value_name = "IN", value_hint = ValueHint::AnyPath)]
    pub from: String,
    /// The new file; its ending says whether it is .gguf or .safetensors
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub to: PathBuf,
    /// How numbers are stored; without it, as they are
    #[arg(long, value_name = "TYPE", value_parser = values::encoding_parser(), hide_possible_values = true)]
    pub weights: Option<Encoding>,
    /// Whose names the tensors get
    #[arg(long, value_name = "WHOSE", default_value = "authors")]
    pub names: Names,
    /// How to tell what is going on, on standard error
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,
    /// How it is printed.
    #[command(flatten)]
    pub how: Json,
}

/// Whose names the tensors of a file have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Names {
    /// Those of the model's authors, which ComfyUI and stable-diffusion.cpp read
    Authors,
    /// Those of diffusers
    Diffusers,
}
