//! Options of `plot`.

use std::path::PathBuf;

use clap::ValueHint;

/// Options of `plot`.
#[derive(Debug, clap::Args)]
pub struct Plot {
    /// The results.csv or results.json of a grid, or traces of `generate --trace`; several are drawn together
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Where the plot goes: a name that ends in .svg or .png
    ///
    /// A name that is taken gets the next free one.
    #[arg(short, long, value_name = "PATH", alias = "out", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace a file of the same name
    #[arg(long)]
    pub force: bool,
}
