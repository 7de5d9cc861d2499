//! `flowline models add`.

use super::described::Described;
use crate::Result;
use crate::args::models::Add;
use crate::cli::output;
use crate::shelf::Shelf;

/// Gives a folder or a file a name.
///
/// # Errors
/// If it is no model, the name is none or taken, or it cannot be remembered.
pub(super) fn add(args: &Add) -> Result<()> {
    let mut shelf = Shelf::usual(true);
    let model = shelf.add(&args.path, args.name.as_deref())?;
    if args.how.json {
        return output::pretty(&Described::of(&model, &Shelf::usual(true)));
    }
    let name = model.name();
    output::say(&format!("{name} is {}", args.path.display()));
    output::data(output::printable(&format!("{name}\n")).as_bytes())
}
