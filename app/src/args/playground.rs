//! Options of `playground`.

use std::path::PathBuf;

use clap::ValueHint;
use clap::builder::{PossibleValue, PossibleValuesParser};
use flowline_sampler::catalog::Choice;

use super::values::{choice, whole};
use crate::Result;
use crate::playground::field::FIELDS;
use crate::playground::scene::Coupling;

/// Options of `playground`.
#[derive(Debug, clap::Args)]
pub struct Playground {
    /// Where the animation goes: a name that ends in .png
    ///
    /// A name that is taken gets the next free one.
    #[arg(short, long, value_name = "PATH", alias = "out", value_hint = ValueHint::FilePath, required_unless_present = "frames")]
    pub output: Option<PathBuf>,
    /// Write every moment as a picture into this folder, which must be new or empty
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub frames: Option<PathBuf>,
    /// Draw one picture of the whole way instead of an animation
    #[arg(long)]
    pub still: bool,

    /// The data
    #[arg(long, value_name = "NAME", default_value = FIELDS[0].name, value_parser = PossibleValuesParser::new(FIELDS.iter().map(|field| PossibleValue::new(field.name).help(field.meaning))))]
    pub field: String,
    /// The sampler; without it, the first that `flowline samplers` lists
    #[arg(long, value_name = "NAME[:KEY=VALUE,..]", value_parser = choice, hide_possible_values = true)]
    pub sampler: Option<Choice>,
    /// The schedule of the steps; what the sampler is meant for, else uniform
    #[arg(long, value_name = "NAME[:KEY=VALUE,..]", value_parser = choice, hide_possible_values = true)]
    pub schedule: Option<Choice>,
    /// Number of steps, at most 1000
    #[arg(long, value_name = "N", default_value = "24", value_parser = steps, allow_hyphen_values = true)]
    pub steps: usize,
    /// Number of particles, at most 2000
    #[arg(long, value_name = "N", default_value = "256", value_parser = particles, allow_hyphen_values = true)]
    pub particles: usize,
    /// Which pairs of noise and data stand beside the flow
    #[arg(long, value_name = "WHICH", default_value = "both")]
    pub coupling: Coupling,
    /// The seed of noise and data
    #[arg(short, long, value_name = "SEED", default_value = "1")]
    pub seed: u64,
    /// Side of a panel in pixels, 64 to 1024
    #[arg(long, value_name = "PX", default_value = "280", value_parser = panel, allow_hyphen_values = true)]
    pub size: u32,
    /// Replace a file of the same name
    #[arg(long)]
    pub force: bool,
}

/// A number of steps; every particle takes them all.
fn steps(text: &str) -> Result<usize> {
    whole(text, 1..=1000)
}

/// A number of particles; with two, each has a neighbour.
fn particles(text: &str) -> Result<usize> {
    whole(text, 2..=2000)
}

/// The side of a panel.
fn panel(text: &str) -> Result<u32> {
    whole(text, 64..=1024).map(|pixels| pixels as u32)
}
