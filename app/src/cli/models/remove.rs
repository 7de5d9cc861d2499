//! `flowline models remove`.

use flowline_model::weights::hub::Amount;
use serde::Serialize;

use crate::args::models::Remove;
use crate::cli::output;
use crate::shelf::{Model, Shelf};
use crate::{Failure, Result};

/// What was removed, or would be, in JSON.
#[derive(Serialize)]
struct Removed {
    model: String,
    /// Names in the repository's layout; none for a model that was only added.
    files: Vec<String>,
    /// Bytes that are free now.
    bytes: u64,
    /// Whether nothing was done.
    dry_run: bool,
}

/// Takes a model off this machine. What another model, or another version of it, uses stays; the user's own files stay
/// where they are.
///
/// # Errors
/// If there is no such model here, or it cannot be removed.
pub(super) fn remove(args: &Remove) -> Result<()> {
    let mut shelf = Shelf::usual(true);
    let model = shelf.find(&args.model)?;
    let name = model.name();
    let mut removed = Removed { model: name.clone(), files: Vec::new(), bytes: 0, dry_run: args.dry_run };
    let said = match &model {
        Model::BuiltIn(_) => {
            let what = format!("{name} is built in and cannot be removed");
            return Err(Failure::usage(what, "`flowline models` lists what is here"));
        }
        Model::Added(_, path) => {
            if !args.dry_run {
                shelf.forget(&name)?;
            }
            format!("forgets {name}; {} stays as it is", path.display())
        }
        Model::Hub(hub) => {
            let Some(removal) = shelf.hub.removal(&hub.reference, |file| hub.includes(file))? else {
                return Err(Failure::new(
                    format!("{name} is not on this machine"),
                    "`flowline models` lists what is here",
                ));
            };
            if !args.dry_run {
                removal.carry_out()?;
                shelf.forget(&name)?;
            }
            removed.bytes = removal.bytes;
            removed.files = removal.files;
            format!("removes {} files of {name} and frees {}", removed.files.len(), Amount(removed.bytes))
        }
    };
    if args.how.json {
        return output::pretty(&removed);
    }
    let said = if args.dry_run { format!("would: {said}\n") } else { format!("{said}\n") };
    output::data(output::printable(&said).as_bytes())
}
