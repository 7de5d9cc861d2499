//! Where this user's programs keep what is not the user's own: caches, settings, data, state.

use std::env;
use std::path::PathBuf;

/// A kind of such things, as the XDG base directory specification tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What can be computed again.
    Cache,
    /// What the user has set.
    Config,
    /// What the program has been given or has made.
    Data,
    /// What is going on.
    State,
}

/// The program's folder for things of this `kind`, which may not exist yet; or why there is none.
///
/// # Errors
/// One clause: HOME is not set, or the system knows no such folder.
pub fn of_program(kind: Kind) -> Result<PathBuf, &'static str> {
    let (variable, folder) = match kind {
        Kind::Cache => ("XDG_CACHE_HOME", dirs::cache_dir()),
        Kind::Config => ("XDG_CONFIG_HOME", dirs::config_dir()),
        Kind::Data => ("XDG_DATA_HOME", dirs::data_dir()),
        Kind::State => ("XDG_STATE_HOME", dirs::state_dir().or_else(dirs::data_local_dir)),
    };
    let given = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    // Without HOME the system's user list might know a folder, but somebody took HOME away for a reason.
    if cfg!(unix) && !given("HOME") && !given(variable) {
        return Err("HOME is not set");
    }
    Ok(folder.ok_or("this user has no folder for such things")?.join("flowline"))
}
