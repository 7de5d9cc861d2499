//! `flowline plot`: what experiments found, as a picture.

use std::path::Path;

use super::output;
use crate::args::Plot;
use crate::library::{Destination, Library, SaveOptions};
use crate::{Exit, Failure, Result, plot, record};

/// How many pixels of a PNG stand for one of the plot, along a side: enough for paper and for fine screens.
const FINER: f64 = 2.0;

/// How the plot is written.
#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

/// Draws the files and says where the plot is.
///
/// # Errors
/// Files that cannot be plotted, a name that is no plot's, a place that cannot be written to.
pub fn run(args: &Plot) -> Result<Exit> {
    let format = format(&args.output)?;
    let options = SaveOptions { force: args.force, metadata: false };
    let library = Library::new(Destination::File(args.output.clone()), options);
    library.check()?;
    let canvas = plot::draw(&args.files)?;
    let path = library.store(&args.output, |out| match format {
        Format::Svg => out.write_all(canvas.to_svg().as_bytes()),
        Format::Png => record::write_png(out, &canvas.to_image(FINER), &[]),
    })?;
    output::data(format!("{}\n", path.display()).as_bytes())?;
    Ok(Exit::Done)
}

fn format(path: &Path) -> Result<Format> {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_deref().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(Format::Svg),
        Some("png") => Ok(Format::Png),
        _ => {
            let what = format!("{} is no name of a plot", path.display());
            Err(Failure::usage(what, "end it in .svg or .png"))
        }
    }
}
