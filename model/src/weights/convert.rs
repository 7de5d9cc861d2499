//! Weights written anew: another file format, another encoding, the names that other programs read.
//!
//! A tensor at a time: what is in memory is the largest tensor, whatever the size of the model. The file is whole or not
//! there.

mod gguf;
mod safetensors;
mod whole;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::holding::{Fallbacks, Form, HeldAs, Holding, Matrix, in_a_block, is_matrix};
use super::naming::{Authored, Composed, Share, authored};
use super::{Encoding, Weights};
use crate::ops::weight::{Scale, Segment};
use crate::{Error, Result, Warning};

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The new file.
    pub to: PathBuf,
    /// In which format.
    pub format: Format,
    /// In which names.
    pub names: Names,
    /// How numbers are stored; `None` as they are. A quantised encoding holds for the matrices of blocks, as with
    /// [`HeldAs::Encoded`]; the others keep theirs.
    pub encoding: Option<Encoding>,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For ggml's encodings and plain numbers.
    Gguf,
    /// For plain numbers and 8-bit floats.
    Safetensors,
}

impl Format {
    /// The format that a file of this name should have: the one its ending names.
    pub fn of(path: &std::path::Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_lowercase();
        match ending.as_str() {
            "gguf" => Some(Self::Gguf),
            "safetensors" | "sft" => Some(Self::Safetensors),
            _ => None,
        }
    }
}

/// The names of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Names {
    /// Those of the model's authors, which ComfyUI, ComfyUI-GGUF and stable-diffusion.cpp read.
    Authors,
    /// Those of diffusers.
    Diffusers,
}

/// How far a conversion is, in bytes of the new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Written so far.
    pub written: u64,
    /// All of it.
    pub total: u64,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Converted {
    /// Bytes of the file.
    pub bytes: u64,
    /// Its tensors: how many, by encoding, the widest first.
    pub tensors: Vec<(Encoding, usize)>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// A tensor of the new file.
struct Planned {
    composed: Composed,
    /// Slowest dimension first.
    shape: Vec<usize>,
    encoding: Encoding,
    bytes: usize,
}

/// Writes `weights` as `conversion` says. `progress` hears of every tensor and may break.
///
/// # Errors
/// [`Error::Invalid`] if the file is there already, the model has no names of authors, or the format cannot hold the
/// encoding; [`Error::Io`] if it cannot be written, also for want of space; [`Error::Cancelled`] if `progress` breaks;
/// what is wrong with the weights. Nothing is left behind then.
pub fn convert(
    weights: &Weights,
    conversion: &Conversion,
    progress: &dyn Fn(Progress) -> ControlFlow<()>,
) -> Result<Converted> {
    let (architecture, tensors) = composed(weights, conversion)?;
    let fallbacks = Fallbacks::default();
    let planned: Vec<_> =
        tensors.into_iter().map(|tensor| plan(weights, conversion, tensor, &fallbacks)).collect::<Result<_>>()?;
    let (header, alignment) = match conversion.format {
        Format::Gguf => (gguf::header(architecture, conversion.encoding, &planned), super::gguf::ALIGNMENT),
        Format::Safetensors => (safetensors::header(&planned)?, 1),
    };
    let total = planned.iter().fold(header.len(), |end, tensor| end.next_multiple_of(alignment) + tensor.bytes) as u64;
    let mut file = whole::Whole::create(&conversion.to, total)?;
    file.write(&header)?;
    for tensor in &planned {
        if progress(Progress { written: file.written(), total }).is_break() {
            return Err(Error::Cancelled);
        }
        file.align(alignment)?;
        file.write(&bytes(weights, tensor)?)?;
    }
    file.name()?;
    // It is there; whoever breaks now comes too late.
    let _ = progress(Progress { written: total, total });
    let mut tensors: Vec<(Encoding, usize)> = Vec::new();
    for encoding in super::ENCODINGS {
        let count = planned.iter().filter(|tensor| tensor.encoding == encoding).count();
        tensors.extend((count > 0).then_some((encoding, count)));
    }
    Ok(Converted { bytes: total, tensors, warnings: fallbacks.warning().into_iter().collect() })
}

/// The tensors of the new file, and what GGUF calls the model.
fn composed(weights: &Weights, conversion: &Conversion) -> Result<(&'static str, Vec<Composed>)> {
    let names: BTreeSet<_> = weights.tensors().map(|(name, _)| name).collect();
    match (conversion.names, authored(&names)) {
        (Names::Authors, Some(Authored { architecture, tensors })) => Ok((architecture, tensors)),
        (Names::Diffusers, known) if conversion.format == Format::Safetensors || known.is_some() => {
            let architecture = known.map_or("", |known| known.architecture);
            Ok((architecture, names.into_iter().map(Composed::itself).collect()))
        }
        _ => Err(Error::invalid(
            format!("the names that other programs read are not known for {}", weights.name()),
            "they are for FLUX.1, SD3 and T5; write other parts as .safetensors in diffusers' names",
        )),
    }
}

/// How one tensor will be stored.
fn plan(weights: &Weights, conversion: &Conversion, composed: Composed, fallbacks: &Fallbacks) -> Result<Planned> {
    let (mut shape, mut rows, mut found) = (Vec::new(), 0, Vec::new());
    for Share { name, of, .. } in &composed.shares {
        let (part, encoding, scaled) = weights.stored(name)?;
        rows += part.first().copied().unwrap_or(1) / of;
        found.push((encoding, scaled));
        shape = part.to_vec();
    }
    if composed.shares.len() > 1
        && let Some(first) = shape.first_mut()
    {
        *first = rows;
    }
    let network = composed.shares.first().map_or("", |share| share.name.as_str());
    // Parts that are stored in several ways have none in common.
    let stored = match found.as_slice() {
        [(first, _), rest @ ..] if rest.iter().all(|(other, _)| other == first) => *first,
        _ => Encoding::F32,
    };
    let scaled = found.iter().any(|(_, scaled)| *scaled);
    let matrix = match *shape {
        [rows, columns] if is_matrix(network) => Some(Matrix { name: network, dims: (rows, columns), stored, scaled }),
        _ => None,
    };
    // With its scale a number has more bits than without.
    let kept = if scaled { Encoding::F32 } else { stored };
    let encoding = match (conversion.encoding, matrix) {
        (None, _) => kept,
        (Some(wanted), Some(matrix)) if wanted.is_quantised() => {
            let holding = Holding { weights: HeldAs::Encoded(wanted), ..Holding::default() };
            if let Some((wanted, instead)) = holding.fallback(matrix) {
                fallbacks.note(wanted, instead);
            }
            match holding.form(matrix) {
                Form::Encoded(encoding) => encoding,
                _ => kept,
            }
        }
        (Some(wanted), None) if wanted.is_quantised() => kept,
        (Some(Encoding::F8E4M3 | Encoding::F8E5M2), _) if matrix.is_none() || !in_a_block(network) => kept,
        (Some(wanted), _) => wanted,
    };
    let encoding = match conversion.format {
        // Few programs read others there, and what has one dimension is small (city96/ComfyUI-GGUF `tools/convert.py`).
        Format::Gguf if shape.len() < 2 || [Encoding::F64, Encoding::F8E4M3, Encoding::F8E5M2].contains(&encoding) => {
            Encoding::F32
        }
        Format::Safetensors if encoding.is_quantised() => {
            let what = format!("a .safetensors file cannot hold {}", encoding.name());
            return Err(Error::invalid(what, "write a .gguf, or choose f16, bf16 or f32"));
        }
        _ => encoding,
    };
    let numbers = shape.iter().product::<usize>();
    let whole = shape.last().is_none_or(|width| width.is_multiple_of(encoding.block()));
    let Some(bytes) = encoding.bytes(numbers).filter(|_| whole) else {
        let what = format!("tensor '{}' of shape {shape:?} cannot be stored as {}", composed.name, encoding.name());
        return Err(Error::invalid(what, "choose f16, bf16 or f32"));
    };
    Ok(Planned { composed, shape, encoding, bytes })
}

/// The bytes of one tensor: those that are there where they can stay, else encoded anew.
fn bytes(weights: &Weights, tensor: &Planned) -> Result<Vec<u8>> {
    let mut parts = Vec::new();
    for Share { name, at, of } in &tensor.composed.shares {
        parts.push((weights.segments(name)?, *at, *of));
    }
    let stays = |segment: &Segment| segment.encoding == tensor.encoding && segment.scale == Scale::One;
    let mut written = Vec::new();
    if parts.iter().all(|(segments, ..)| segments.iter().all(stays)) {
        for (segments, at, of) in &parts {
            let part: Vec<_> = segments.iter().map(Segment::stored).collect();
            written.extend_from_slice(share(&part.concat(), *at, *of));
        }
        return Ok(written);
    }
    let mut values = Vec::new();
    for (segments, at, of) in &parts {
        values.extend_from_slice(share(&super::reader::decoded(segments), *at, *of));
    }
    tensor.encoding.encode(&values).map_err(|error| match error {
        Error::Invalid { what, hint } => Error::invalid(format!("tensor '{}': {what}", tensor.composed.name), hint),
        other => other,
    })
}

/// One of several equal shares.
fn share<T>(all: &[T], at: usize, of: usize) -> &[T] {
    let size = all.len() / of.max(1);
    all.get(at * size..(at + 1) * size).unwrap_or_default()
}
