//! Numbers beside a matrix that belong to it: the scales of 8-bit floats.
//!
//! ComfyUI writes `X.scale_weight` for `X.weight` and an empty `scaled_fp8` for the file, newer files `X.weight_scale`
//! and `X.comfy_quant`, which names the format (comfyanonymous/ComfyUI `QUANTIZATION.md`, `comfy/ops.py`). Scales of
//! activations, `X.scale_input` and `X.input_scale`, are for processors that multiply 8-bit floats; nothing here does.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Encoding;
use super::file::TensorFile;
use super::header::Stored;
use super::naming::Rows;
use crate::ops::weight::Scale;
use crate::{Error, Result};

/// What a tensor that is scaled ends in.
const WEIGHT: &str = ".weight";
/// What its scale ends in.
const SCALES: [&str; 2] = [".weight_scale", ".scale_weight"];
/// What only other formats have: a second scale, of blocks.
const SECOND: &str = ".weight_scale_2";
/// What names the format.
const FORMAT: &str = ".comfy_quant";
/// What is beside a tensor and not needed.
const UNUSED: [&str; 2] = [".input_scale", ".scale_input"];
/// An empty tensor that says that there are scales.
const MARKER: &str = "scaled_fp8";
/// The formats that a scale a tensor or a row is enough for.
const PLAIN: [&str; 2] = ["float8_e4m3fn", "float8_e5m2"];

/// What the tensors beside others say, by the name of the other.
#[derive(Default)]
pub(super) struct Scales {
    of: BTreeMap<String, Beside>,
}

/// What is beside one tensor.
#[derive(Clone, Default)]
struct Beside {
    /// The scale: index of its file, its name, itself.
    scale: Option<(usize, String, Stored)>,
    /// A format that cannot be read.
    refused: Option<String>,
}

impl Scales {
    /// Those in `files`.
    pub(super) fn of(files: &[TensorFile]) -> Self {
        let mut found = Self::default();
        for (at, file) in files.iter().enumerate() {
            for (name, stored) in file.tensors() {
                let Some((module, kind)) = beside(name) else { continue };
                let beside = found.of.entry(format!("{module}{WEIGHT}")).or_default();
                if SCALES.contains(&kind) {
                    beside.scale = Some((at, name.clone(), stored.clone()));
                } else if kind == SECOND {
                    beside.refused = Some("nvfp4".into());
                } else if kind == FORMAT {
                    let format = format(file, stored);
                    beside.refused =
                        Some(format).filter(|format| !PLAIN.contains(&format.as_str())).or(beside.refused.take());
                }
            }
        }
        let there = |name: &String| files.iter().any(|file| file.tensors().contains_key(name));
        found.of.retain(|name, _| there(name));
        found
    }

    /// Whether a tensor is here for another one's sake.
    pub(super) fn has(&self, name: &str) -> bool {
        name.ends_with(MARKER)
            || beside(name).is_some_and(|(module, _)| self.of.contains_key(&format!("{module}{WEIGHT}")))
    }

    /// How a tensor is stored: as the header says, unless what is beside it says that this is not all.
    pub(super) fn encoding(&self, name: &str, header: &Stored) -> Stored {
        match self.of.get(name).and_then(|beside| beside.refused.clone()) {
            Some(format) => Stored { encoding: Err(format), ..header.clone() },
            None => header.clone(),
        }
    }

    /// Whether a tensor has a scale beside it.
    pub(super) fn scaled(&self, name: &str) -> bool {
        self.of.get(name).is_some_and(|beside| beside.scale.is_some())
    }

    /// What the rows `rows` of the tensor `name` are multiplied with, a scale for each share that is taken.
    ///
    /// # Errors
    /// [`Error::TensorDtype`] if it has neither one scale nor one a row.
    pub(super) fn taken(&self, files: &[TensorFile], name: &str, stored: &Stored, rows: Rows) -> Result<Vec<Scale>> {
        let shares = rows.taken.len();
        let scale = self.of.get(name).and_then(|beside| beside.scale.as_ref());
        let Some((file, scale_name, scale)) = scale.and_then(|(at, name, scale)| Some((files.get(*at)?, name, scale)))
        else {
            return Ok(vec![Scale::One; shares]);
        };
        let values = file.values(scale_name, scale)?;
        let height = stored.shape.first().copied().unwrap_or(1);
        match values.as_slice() {
            [scale] => Ok(vec![Scale::All(*scale); shares]),
            scales if scales.len() == height && height.is_multiple_of(rows.of) => {
                let share = height / rows.of;
                let cut =
                    rows.taken.iter().map(|taken| scales.iter().skip(taken * share).take(share).copied().collect());
                Ok(cut.map(Scale::Rows).collect())
            }
            scales => Err(Error::TensorDtype {
                file: file.name().to_owned(),
                tensor: name.to_owned(),
                dtype: format!("{} with {} scales", encoding_name(stored), scales.len()),
            }),
        }
    }
}

/// The module that a tensor beside another belongs to, and what it is.
fn beside(name: &str) -> Option<(&str, &'static str)> {
    let kinds = SCALES.into_iter().chain(UNUSED).chain([SECOND, FORMAT]);
    kinds.into_iter().find_map(|kind| Some((name.strip_suffix(kind)?, kind)))
}

/// The format that a `comfy_quant` tensor names: JSON, a byte a number.
fn format(file: &TensorFile, stored: &Stored) -> String {
    #[derive(Deserialize)]
    struct Format {
        format: String,
    }
    serde_json::from_slice(file.stored(stored))
        .map_or_else(|_| "an unknown quantised format".into(), |Format { format }| format)
}

fn encoding_name(stored: &Stored) -> &str {
    stored.encoding.as_ref().map_or_else(String::as_str, |encoding: &Encoding| encoding.name())
}
