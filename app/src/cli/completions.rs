//! `flowline completions SHELL`.

use clap_complete::Shell;

use super::output;
use crate::{Registry, Result, args};

/// Prints the completion script for `shell`.
///
/// # Errors
/// Those of stdout.
pub fn print(shell: Shell, registry: &Registry) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(registry), "flowline", &mut script);
    output::data(&script)
}
