//! `flowline models convert`.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flowline_model::Error;
use flowline_model::weights::convert::{self, Conversion, Format, Progress};
use flowline_model::weights::hub::Amount;
use flowline_model::weights::{ModelFiles, Weights};
use serde::Serialize;

use crate::args::models::{Convert, Names};
use crate::cli::interrupt::Interrupt;
use crate::cli::output;
use crate::cli::progress::{Reporter, Transfer};
use crate::shelf::{Model, Place, Shelf};
use crate::{Exit, Failure, Result};

/// A converted file in JSON.
#[derive(Serialize)]
struct Converted {
    path: String,
    bytes: u64,
    /// How many tensors are stored how.
    tensors: serde_json::Map<String, serde_json::Value>,
}

/// The transformer of a diffusers folder.
const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";

/// Writes a transformer anew, and prints where it is.
///
/// # Errors
/// What is wrong with the files, or cannot be written.
pub(super) fn convert(args: &Convert, reporter: &mut Reporter) -> Result<Exit> {
    let Some(format) = Format::of(&args.to) else {
        let what = format!("the name {} does not say in which format to write", args.to.display());
        return Err(Failure::usage(what, "let it end in .gguf or .safetensors"));
    };
    let weights = transformer(&args.from)?;
    let names = match args.names {
        Names::Authors => convert::Names::Authors,
        Names::Diffusers => convert::Names::Diffusers,
    };
    let conversion = Conversion { to: args.to.clone(), format, names, encoding: args.weights };
    let (interrupt, told) = (Interrupt::listen(), RefCell::new((&mut *reporter, 0)));
    let progress = |Progress { written, total }| {
        let (reporter, next) = &mut *told.borrow_mut();
        if written >= *next || written == total {
            *next = written + (64 << 20);
            let bytes = written;
            reporter.transfer(&Transfer { work: "converting", file: None, bytes, total, rate: None, left: None });
        }
        if interrupt.pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let converted = match convert::convert(&weights, &conversion, &progress) {
        Ok(converted) => converted,
        Err(Error::Cancelled) => {
            reporter.talk("stopped; nothing was written");
            return Ok(Exit::Cancelled);
        }
        Err(error) => return Err(error.into()),
    };
    for warning in &converted.warnings {
        reporter.warning(warning);
    }
    let path = args.to.display().to_string();
    let counts = converted.tensors.iter().map(|(encoding, count)| (encoding.name().to_owned(), (*count).into()));
    let stored: Vec<_> =
        converted.tensors.iter().map(|(encoding, count)| format!("{count} {}", encoding.name())).collect();
    reporter.talk(&format!("{} in {}", Amount(converted.bytes), stored.join(", ")));
    let printed = match args.how.json {
        true => output::document(&Converted { path, bytes: converted.bytes, tensors: counts.collect() })?,
        false => format!("{path}\n"),
    };
    reporter.beside(|| output::data(printed.as_bytes()))?;
    Ok(Exit::Done)
}

/// The transformer that is meant: of a file, of a folder, or of a model that is here.
fn transformer(from: &str) -> Result<Weights> {
    let path = match Path::new(from).exists() {
        true => PathBuf::from(from),
        false => named(from)?,
    };
    Ok(match path.is_dir() {
        true => ModelFiles::folder(&path)?.weights(TRANSFORMER)?,
        false => Weights::open(&path)?,
    })
}

fn named(name: &str) -> Result<PathBuf> {
    // What reads as a path is one, and what is wrong with it is for the system to say.
    if name.starts_with(['.', '/', '~']) || name.contains('\\') {
        return Ok(PathBuf::from(name));
    }
    let shelf = Shelf::usual(true);
    let model = shelf.find(name)?;
    match (shelf.place(&model), &model) {
        (Place::Here(path), _) => Ok(path),
        (Place::Away, Model::Hub(hub)) => Ok(hub.here(&shelf.hub)?),
        (Place::Away, _) => Ok(PathBuf::from(name)),
        (Place::BuiltIn, _) => {
            let what = format!("{name} is built in, and small already");
            Err(Failure::usage(what, "name a file, a folder, or a model that was fetched"))
        }
    }
}
