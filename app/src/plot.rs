//! Plots of what experiments found: a grid's errors against model evaluations, traces over sigma.
//!
//! Axes, ticks and curves come from the crate `plotters`, pixels and letters from [`crate::drawing`], so a plot is the
//! same on every machine, as PNG and as SVG.

mod axis;
mod backend;
mod chart;
mod input;
pub mod results;
mod traces;

use std::path::PathBuf;

use crate::drawing::Canvas;
use crate::{Failure, Result};
pub use input::Input;

/// The plot of what the files hold: tables are joined, traces overlaid.
///
/// # Errors
/// A file that cannot be read or is neither a table nor a trace, tables and traces at once, nothing that can be shown.
pub fn draw(files: &[PathBuf]) -> Result<Canvas> {
    let (mut rows, mut traces) = (Vec::new(), Vec::new());
    for file in files {
        match Input::read(file)? {
            Input::Results(more) => rows.extend(more),
            Input::Trace(trace) => traces.push(trace),
        }
    }
    match (rows.is_empty(), traces.is_empty()) {
        (false, false) => {
            Err(Failure::new("tables of results and traces have no axes in common", "plot them one after the other"))
        }
        (_, true) => results::plot(&rows)?.draw(),
        (true, false) => traces::plot(&traces)?.draw(),
    }
}
