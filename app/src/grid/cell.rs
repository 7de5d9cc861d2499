//! One combination of the axes' values: a request, and the key it goes by.

use flowline_model::weights::sha256;
use flowline_model::{Opening, Request};
use serde::{Deserialize, Serialize};

use super::Axis;
use crate::{Failure, Result};

/// One place of a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Names the picture and the row. It follows from the request alone, so the same request has the same key in every
    /// grid, whatever its axes are. Where evaluations are aligned, two places may share a picture and thus a key.
    pub key: String,
    /// The value on each axis, in the axes' order.
    pub at: Vec<String>,
    /// How many evaluations there were to spend, where they are aligned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Model evaluations as the sampler declares them, guidance counted; the row says how many it were.
    pub evaluations: u64,
    /// The order that the sampler declares.
    pub order: f64,
    /// The key of the run that it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The model as it was named, and how it is opened; a folder's place is nothing to write down.
    #[serde(skip)]
    pub opening: Opening,
    /// Everything decided.
    pub request: Request,
}

/// Hexadecimal digits of the hash in a key: two of ten thousand cells share them once in five million grids, and then
/// the plan is refused.
const DIGITS: usize = 12;

/// The key of `request`: what people look for first, and a hash of everything that decides the picture but the program
/// and the processor.
///
/// # Errors
/// Never for requests, which have a JSON form.
pub fn key(request: &Request) -> Result<String> {
    let no_form = |e| Failure::new(format!("a request has no JSON form ({e})"), "this is a bug; please report it");
    let mut decided = serde_json::to_value(request).map_err(no_form)?;
    if let Some(decided) = decided.as_object_mut() {
        decided.shift_remove("made_with");
    }
    let hash = sha256(decided.to_string().as_bytes());
    let digits = hash.get(..DIGITS).unwrap_or(&hash);
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let sampler: String = request.sampler.name.chars().filter(plain).collect();
    let seed = request.seeds.first().copied().unwrap_or_default();
    Ok(format!("{sampler}-steps{}-seed{seed}-{digits}", request.steps))
}

/// A combination of values as people read it: `sampler=ab2 steps=8`.
pub fn label(axes: &[Axis], at: &[String]) -> String {
    let pairs =
        axes.iter().zip(at).map(|(axis, value)| match value.contains(char::is_whitespace) || value.is_empty() {
            true => format!("{}='{value}'", axis.name),
            false => format!("{}={value}", axis.name),
        });
    pairs.collect::<Vec<_>>().join(" ")
}
