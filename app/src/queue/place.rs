//! Where the queue lies.

use std::path::PathBuf;

use flowline_model::Warning;

/// The folder of the user's queue; it may not exist yet. A warning where this user has no place for it: then the queue
/// lasts as long as the program.
///
/// # Errors
/// The warning.
pub fn queue_folder() -> Result<PathBuf, Warning> {
    let off =
        |why: &str| Warning::new("queue-forgets", format!("the queue is forgotten when the window closes: {why}"));
    let given = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    // As with the cache: whoever took HOME away did it for a reason.
    if cfg!(unix) && !given("HOME") && !given("XDG_STATE_HOME") {
        return Err(off("HOME is not set"));
    }
    let folder = dirs::state_dir().or_else(dirs::data_local_dir);
    Ok(folder.ok_or_else(|| off("this user has no folder for such things"))?.join("flowline").join("queue"))
}
