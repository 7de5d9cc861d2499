//! How weights are held in memory, and what that costs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ENCODINGS, Encoding, Memory};
use crate::Warning;
use crate::ops::weight::{Packed, packed_bytes};

/// How the matrices of a model are held, and what they are multiplied with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holding {
    /// In which form.
    #[serde(default, skip_serializing_if = "HeldAs::is_auto")]
    pub weights: HeldAs,
    /// What they are multiplied with.
    #[serde(default, skip_serializing_if = "Activations::is_exact")]
    pub activations: Activations,
}

/// The form in which matrices are held. The first three give the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HeldAs {
    /// As f32 if half of the free memory is enough for it, else as stored.
    #[default]
    Auto,
    /// As the file stores them, decoded whenever they are multiplied.
    Stored,
    /// As f32.
    F32,
    /// The matrices of blocks encoded anew when they are read, the others as stored.
    Encoded(Encoding),
}

/// What weights are multiplied with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activations {
    /// Activations as they are.
    #[default]
    F32,
    /// Activations rounded to 8 bits, where the weights are in ggml's blocks other than q5_0 and q5_1: faster on
    /// some processors, about 1 % off.
    Q8,
}

impl HeldAs {
    /// All, as they are written, with what is worth encoding anew on load.
    pub fn all() -> impl Iterator<Item = Self> {
        let quantised = ENCODINGS.into_iter().filter(|encoding| encoding.is_quantised()).map(Self::Encoded);
        [Self::Auto, Self::Stored, Self::F32].into_iter().chain(quantised)
    }

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Stored => "stored",
            Self::F32 => "f32",
            Self::Encoded(encoding) => encoding.name(),
        }
    }

    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl Activations {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::Q8];

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Q8 => "q8",
        }
    }

    fn is_exact(&self) -> bool {
        *self == Self::F32
    }
}

impl Display for HeldAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HeldAs {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::all().find(|held| held.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            format!("'{name}' is no way to hold weights; there are {}", names.join(", "))
        })
    }
}

impl TryFrom<String> for HeldAs {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<HeldAs> for String {
    fn from(held: HeldAs) -> Self {
        held.name().into()
    }
}

/// How one matrix is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As f32.
    Dense,
    /// As stored.
    Stored,
    /// Encoded anew.
    Encoded(Encoding),
    /// In ggml's blocks, multiplied as they are.
    Packed(Encoding),
}

/// A matrix as far as its form depends on it.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    /// The network's name for it.
    pub(super) name: &'a str,
    /// (out, in)
    pub(super) dims: (usize, usize),
    /// How it is stored.
    pub(super) stored: Encoding,
    /// Whether there are scales beside it.
    pub(super) scaled: bool,
}

/// Tables, whose rows are looked up: of a large one few rows are ever needed.
const TABLES: [&str; 6] =
    ["shared", "embed_tokens", "token_embedding", "position_embedding", "relative_attention_bias", "pos_embed"];

impl Holding {
    /// All weights as f32, and activations as they are.
    pub const DENSE: Self = Self { weights: HeldAs::F32, activations: Activations::F32 };

    /// This holding with [`HeldAs::Auto`] decided, for weights of which `dense` bytes are needed as f32 while
    /// `available` are free. It is no matter of bits.
    #[must_use]
    pub fn settled(self, dense: u64, available: Option<u64>) -> Self {
        let fits = available.is_some_and(|available| dense <= available / 2);
        let weights = match self.weights {
            HeldAs::Auto if fits && self.activations == Activations::F32 => HeldAs::F32,
            HeldAs::Auto => HeldAs::Stored,
            decided => decided,
        };
        Self { weights, ..self }
    }

    /// This holding as far as it decides bits: whether exact weights are decoded before or while they are multiplied
    /// does not.
    #[must_use]
    pub fn recorded(self) -> Self {
        let weights = match self.weights {
            HeldAs::Auto | HeldAs::Stored | HeldAs::F32 if self.activations == Activations::F32 => HeldAs::Auto,
            // Rounded activations meet those weights only that are not decoded.
            HeldAs::Auto => HeldAs::Stored,
            decided => decided,
        };
        Self { weights, ..self }
    }

    /// Whether there is nothing to record.
    pub fn is_exact(&self) -> bool {
        self.recorded() == Self::default()
    }

    /// How a matrix is held.
    pub(super) fn form(self, matrix: Matrix<'_>) -> Form {
        let Matrix { name, dims: (_, width), stored, scaled } = matrix;
        let target = match self.weights {
            _ if is_table(name) => return Form::Stored,
            HeldAs::F32 => return Form::Dense,
            HeldAs::Auto | HeldAs::Stored => stored,
            HeldAs::Encoded(wanted) => match wanted.for_width(width) {
                // Encoding what is as small already would only lose.
                target if in_a_block(name) && bits(target) < bits(stored) => target,
                _ => stored,
            },
        };
        match self.activations {
            Activations::Q8 if Packed::can(target, width) && !(scaled && target == stored) => Form::Packed(target),
            _ if target == stored => Form::Stored,
            _ => Form::Encoded(target),
        }
    }

    /// The encoding that was wanted for a matrix in vain, because its blocks do not divide the rows, and the one it has
    /// instead.
    pub(super) fn fallback(self, matrix: Matrix<'_>) -> Option<(Encoding, Encoding)> {
        let HeldAs::Encoded(wanted) = self.weights else { return None };
        let instead = wanted.for_width(matrix.dims.1);
        let encoded = matches!(self.form(matrix), Form::Encoded(to) | Form::Packed(to) if to == instead);
        let left = in_a_block(matrix.name) && bits(wanted) < bits(matrix.stored);
        (instead != wanted && left).then_some((wanted, if encoded { instead } else { matrix.stored }))
    }
}

/// What a tensor of shape `shape` costs. Matrices are those that networks read as such: two dimensions, named `weight`
/// or in a table.
pub(super) fn memory_of(holding: Holding, name: &str, shape: &[usize], stored: Encoding, scaled: bool) -> Memory {
    let numbers = shape.iter().product::<usize>();
    let bytes = |encoding: Encoding| encoding.bytes(numbers).unwrap_or(0) as u64;
    let dense = Memory { heap: bytes(Encoding::F32), mapped: 0 };
    let ([rows, columns] | [1, rows, columns]) = *shape else { return dense };
    if !(is_matrix(name) || is_table(name)) || !columns.is_multiple_of(stored.block()) {
        return dense;
    }
    match holding.form(Matrix { name, dims: (rows, columns), stored, scaled }) {
        Form::Dense => dense,
        Form::Stored => Memory { heap: 0, mapped: bytes(stored) },
        Form::Encoded(encoding) => Memory { heap: bytes(encoding), mapped: 0 },
        Form::Packed(encoding) => Memory { heap: packed_bytes(encoding, (rows, columns)) as u64, mapped: 0 },
    }
}

/// Matrices that are stored in another encoding than the one asked for: how many, by what was wanted and what is.
#[derive(Debug, Default)]
pub struct Fallbacks(RefCell<BTreeMap<(Encoding, Encoding), usize>>);

impl Fallbacks {
    pub(super) fn note(&self, wanted: Encoding, instead: Encoding) {
        *self.0.borrow_mut().entry((wanted, instead)).or_default() += 1;
    }

    /// Adds what `other` noted.
    pub(crate) fn add(&self, other: &Self) {
        for (kinds, count) in other.0.borrow().iter() {
            *self.0.borrow_mut().entry(*kinds).or_default() += count;
        }
    }

    /// The one warning about all of them, if there are any.
    pub(crate) fn warning(&self) -> Option<Warning> {
        let found = self.0.borrow();
        let (((wanted, _), _), all) = (found.first_key_value()?, found.values().sum::<usize>());
        let each: Vec<_> = found.iter().map(|((_, instead), count)| format!("{count} as {}", instead.name())).collect();
        let (wanted, block) = (wanted.name(), wanted.block());
        let matrices = if all == 1 { "matrix has rows" } else { "matrices have rows" };
        let message = format!(
            "{all} {matrices} that blocks of {block} do not divide, and are not held as {wanted}: {}",
            each.join(", ")
        );
        Some(Warning::new("weights-fallback", message))
    }
}

/// Whether networks read it as a matrix.
pub(super) fn is_matrix(name: &str) -> bool {
    name == "weight" || name.ends_with(".weight")
}

fn is_table(name: &str) -> bool {
    name.rsplit('.').nth(1).is_some_and(|module| TABLES.contains(&module))
}

/// Whether it belongs to one of many like blocks. What stands before and after them, the embeddings of pictures, text
/// and time and the last layer, is small and decides much; ComfyUI-GGUF keeps the same (city96/ComfyUI-GGUF
/// `tools/lcpp.patch`, "KEEP IN FP32" and "KEEP IN FP16").
pub(super) fn in_a_block(name: &str) -> bool {
    name.split('.').any(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())) && !is_table(name)
}

/// Bits a number, times 32.
fn bits(encoding: Encoding) -> usize {
    encoding.block_bytes() * 256 / encoding.block()
}
