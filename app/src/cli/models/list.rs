//! `flowline models list` and `show`.

use super::described::Described;
use crate::Result;
use crate::args::models::Show;
use crate::cli::output;
use crate::shelf::Shelf;

/// Lists the models, the default first.
///
/// # Errors
/// Those of stdout.
pub(super) fn list(json: bool) -> Result<()> {
    let shelf = Shelf::usual(true);
    let models: Vec<_> = shelf.models().iter().map(|model| Described::of(model, &shelf)).collect();
    if json {
        return output::pretty(&models);
    }
    let paragraphs: Vec<_> = models.iter().map(|model| model.text(false)).collect();
    output::data(output::printable(&paragraphs.join("\n")).as_bytes())
}

/// Tells all about one.
///
/// # Errors
/// If there is no such model, and those of stdout.
pub(super) fn show(args: &Show) -> Result<()> {
    let shelf = Shelf::usual(true);
    let model = Described::of(&shelf.find(&args.model)?, &shelf);
    if args.how.json {
        return output::pretty(&model);
    }
    output::data(output::printable(&model.text(true)).as_bytes())
}
