//! Where the queue lies.

use std::path::PathBuf;

use flowline_model::Warning;

use crate::places::{self, Kind};

/// The folder of the user's queue; it may not exist yet. A warning where this user has no place for it: then the queue
/// lasts as long as the program.
///
/// # Errors
/// The warning.
pub fn queue_folder() -> Result<PathBuf, Warning> {
    let off =
        |why: &str| Warning::new("queue-forgets", format!("the queue is forgotten when the window closes: {why}"));
    Ok(places::of_program(Kind::State).map_err(off)?.join("queue"))
}
