//! Where what can be computed again is kept.

use std::path::PathBuf;

use flowline_model::Warning;

use crate::places::{self, Kind};

/// The folder for the hashes of weight files, created if need be; a warning where there is none: the program works
/// without, only slower with large models.
pub fn cache_folder() -> Result<PathBuf, Warning> {
    let off = |why: String| Warning::new("cache-off", format!("nothing is cached: {why}"));
    let folder = places::of_program(Kind::Cache).map_err(|why| off(why.into()))?;
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(e) => Err(off(format!("{}: {e}", folder.display()))),
    }
}
