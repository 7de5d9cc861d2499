//! What the header of a weight file says, whatever its format.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Encoding;

/// What the header of a file says, checked against the file's length.
pub(super) struct Header {
    /// The tensors by name.
    pub(super) tensors: BTreeMap<String, Stored>,
    /// What else is said about the file.
    pub(super) facts: BTreeMap<String, Fact>,
}

/// A tensor as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// How its numbers are stored; `Err` with the name of a format that this program cannot read.
    pub encoding: Result<Encoding, String>,
    /// Where its bytes are in the file.
    pub(super) range: Range<usize>,
}

/// How many numbers a tensor of this shape has. What its other dimensions would have without an empty one must be countable
/// too, as whoever multiplies some of them relies on.
///
/// # Errors
/// That there are too many.
pub(super) fn count(shape: &[usize]) -> Result<usize, &'static str> {
    let filled = shape.iter().try_fold(1usize, |filled, size| filled.checked_mul((*size).max(1)));
    let filled = filled.ok_or("has more values than can be counted")?;
    Ok(if shape.contains(&0) { 0 } else { filled })
}

impl Stored {
    /// Bytes it has in the file.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }
}

/// What a file says about itself beside its tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Several texts.
    Texts(Vec<String>),
    /// Several numbers.
    Numbers(Vec<f64>),
}
