//! Where what can be computed again is kept.

use std::path::PathBuf;

use flowline_model::Warning;

/// The folder for the hashes of weight files, created if need be; a warning where there is none: the program works
/// without, only slower with large models.
pub fn cache_folder() -> Result<PathBuf, Warning> {
    let off = |why: String| Warning::new("cache-off", format!("nothing is cached: {why}"));
    let given = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // Without HOME the system's user list might know a folder, but somebody took HOME away for a reason.
    if cfg!(unix) && !given("HOME") && !given("XDG_CACHE_HOME") {
        return Err(off("HOME is not set".into()));
    }
    let folder = dirs::cache_dir().ok_or_else(|| off("this user has no cache folder".into()))?.join("flowline");
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(e) => Err(off(format!("{}: {e}", folder.display()))),
    }
}
