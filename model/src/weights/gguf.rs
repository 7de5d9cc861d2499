//! The header of a GGUF file: magic, version, keys with values, tensors. Their bytes follow, aligned.
//!
//! Format: ggml-org/ggml `docs/gguf.md`. Versions 2 and 3, little-endian. Numbers in a header are believed only as far
//! as the file reaches: nothing is allocated by what one says.

use std::collections::BTreeMap;

use super::Encoding;
use super::header::{Fact, Header, Stored, count};

/// What a GGUF file begins with.
pub(super) const MAGIC: &[u8] = b"GGUF";
/// Where tensors may begin, unless the file says otherwise.
pub(super) const ALIGNMENT: usize = 32;
/// The key that says otherwise.
const ALIGNMENT_KEY: &str = "general.alignment";
/// Where ComfyUI-GGUF keeps a tensor's shape if it stored the tensor in another (city96/ComfyUI-GGUF `loader.py:14`).
const SHAPE_KEY: &str = "comfy.gguf.orig_shape.";

/// Most dimensions of a tensor; ggml has 4.
const MOST_DIMENSIONS: u32 = 8;
/// Most values in an array. The largest that are known are vocabularies, of some hundred thousand.
const MOST_VALUES: u64 = 1 << 24;

/// Reads and checks the header of a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn header(file: &[u8]) -> Result<Header, String> {
    let mut cursor = Cursor { file, at: MAGIC.len() };
    let version = cursor.u32("the version")?;
    if version.swap_bytes() < 1 << 16 && version != 0 {
        return Err("the numbers are big-endian, and only little-endian files are read".into());
    }
    if ![2, 3].contains(&version) {
        return Err(format!("GGUF version {version}; versions 2 and 3 are read"));
    }
    let (tensor_count, fact_count) = (cursor.u64("the number of tensors")?, cursor.u64("the number of keys")?);
    let mut facts = BTreeMap::new();
    for _ in 0..fact_count {
        let key = cursor.text("a key")?;
        let kind = cursor.u32(&key)?;
        let fact = cursor.fact(kind, &key)?;
        if facts.insert(key.clone(), fact).is_some() {
            return Err(format!("the key '{key}' is there twice"));
        }
    }
    let alignment = alignment(&facts)?;
    let mut entries = Vec::new();
    for _ in 0..tensor_count {
        entries.push(cursor.entry()?);
    }
    let start = cursor.at.checked_next_multiple_of(alignment).ok_or("the header is too long")?;
    let mut tensors = BTreeMap::new();
    for entry in entries {
        let stored = entry.stored(start, alignment, file.len(), &facts)?;
        if tensors.insert(entry.name.clone(), stored).is_some() {
            return Err(format!("tensor '{}' is there twice", entry.name));
        }
    }
    apart(&tensors)?;
    Ok(Header { tensors, facts })
}

/// Where tensors may begin: at multiples of this.
fn alignment(facts: &BTreeMap<String, Fact>) -> Result<usize, String> {
    match facts.get(ALIGNMENT_KEY) {
        None => Ok(ALIGNMENT),
        Some(Fact::Integer(alignment)) => usize::try_from(*alignment)
            .ok()
            .filter(|alignment| alignment.is_power_of_two() && *alignment <= 1 << 20)
            .ok_or_else(|| format!("{ALIGNMENT_KEY} is {alignment}, which is no power of two up to 2^20")),
        Some(_) => Err(format!("{ALIGNMENT_KEY} is not a whole number")),
    }
}

/// That no two tensors share bytes.
fn apart(tensors: &BTreeMap<String, Stored>) -> Result<(), String> {
    let mut by_place: Vec<_> = tensors.iter().filter(|(_, stored)| !stored.range.is_empty()).collect();
    by_place.sort_by_key(|(_, stored)| stored.range.start);
    for pair in by_place.windows(2) {
        if let [(first, a), (second, b)] = pair
            && a.range.end > b.range.start
        {
            return Err(format!("tensors '{first}' and '{second}' overlap"));
        }
    }
    Ok(())
}

/// A tensor as the header lists it.
struct Entry {
    name: String,
    /// Slowest dimension first, as everywhere but in GGUF.
    shape: Vec<usize>,
    kind: u32,
    /// From where the tensors begin.
    offset: u64,
}

impl Entry {
    /// The tensor, with tensors beginning at `start` in a file of `length` bytes.
    fn stored(
        &self,
        start: usize,
        alignment: usize,
        length: usize,
        facts: &BTreeMap<String, Fact>,
    ) -> Result<Stored, String> {
        let Self { name, shape, kind, offset } = self;
        let wrong = |what: &str| format!("tensor '{name}' {what}");
        let encoding = encoding(*kind);
        let numbers = count(shape).map_err(wrong)?;
        // How long a tensor of an unknown type is cannot be told; nobody reads it.
        let bytes = match encoding {
            Err(_) => 0,
            Ok(encoding) if shape.last().is_some_and(|width| !width.is_multiple_of(encoding.block())) => {
                return Err(wrong(&format!("has rows that are no whole blocks of {}", encoding.name())));
            }
            Ok(encoding) => encoding.bytes(numbers).ok_or_else(|| wrong("has more bytes than can be counted"))?,
        };
        let from = usize::try_from(*offset).ok().filter(|offset| offset.is_multiple_of(alignment));
        let from = from.ok_or_else(|| wrong(&format!("begins at {offset}, which is no multiple of {alignment}")))?;
        let range = start.checked_add(from).and_then(|from| Some(from..from.checked_add(bytes)?));
        let range = range.filter(|range| range.end <= length).ok_or_else(|| {
            wrong(&format!("lies beyond the {length} bytes that are there; the file is truncated or was changed"))
        })?;
        let shape = match facts.get(&format!("{SHAPE_KEY}{name}")) {
            None => shape.clone(),
            Some(Fact::Numbers(original)) => {
                let original: Vec<usize> = original.iter().map(|n| *n as usize).collect();
                if count(&original) != Ok(numbers) {
                    return Err(wrong(&format!("has shape {shape:?}, which cannot stand for {original:?}")));
                }
                original
            }
            Some(_) => return Err(wrong("has an original shape that is no list of numbers")),
        };
        Ok(Stored { shape, encoding, range })
    }
}

/// The encodings of ggml's types (ggml-org/ggml `include/ggml.h`, `enum ggml_type`).
pub(super) const TYPES: [(u32, Encoding); 14] = [
    (0, Encoding::F32),
    (1, Encoding::F16),
    (2, Encoding::Q4_0),
    (3, Encoding::Q4_1),
    (6, Encoding::Q5_0),
    (7, Encoding::Q5_1),
    (8, Encoding::Q8_0),
    (10, Encoding::Q2K),
    (11, Encoding::Q3K),
    (12, Encoding::Q4K),
    (13, Encoding::Q5K),
    (14, Encoding::Q6K),
    (28, Encoding::F64),
    (30, Encoding::Bf16),
];

/// The names of ggml's other types, so that a refusal says which it is.
const OTHERS: [(u32, &str); 19] = [
    (9, "q8_1"),
    (15, "q8_k"),
    (16, "iq2_xxs"),
    (17, "iq2_xs"),
    (18, "iq3_xxs"),
    (19, "iq1_s"),
    (20, "iq4_nl"),
    (21, "iq3_s"),
    (22, "iq2_s"),
    (23, "iq4_xs"),
    (24, "i8"),
    (25, "i16"),
    (26, "i32"),
    (27, "i64"),
    (29, "iq1_m"),
    (34, "tq1_0"),
    (35, "tq2_0"),
    (39, "mxfp4"),
    (40, "nvfp4"),
];

fn encoding(kind: u32) -> Result<Encoding, String> {
    if let Some((_, encoding)) = TYPES.iter().find(|(number, _)| *number == kind) {
        return Ok(*encoding);
    }
    let name = OTHERS.iter().find(|(number, _)| *number == kind).map(|(_, name)| (*name).to_owned());
    Err(name.unwrap_or_else(|| format!("ggml type {kind}")))
}

/// A place in a file, which reads from there on and never beyond the end.
struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next `count` bytes; `what` they are, in case they are not there.
    fn bytes(&mut self, count: u64, what: &str) -> Result<&'a [u8], String> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let bytes = end.and_then(|end| self.file.get(self.at..end));
        let bytes = bytes.ok_or_else(|| format!("the file ends within its header, at {what}"))?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let bytes = self.bytes(N as u64, what)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    fn u32(&mut self, what: &str) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A text: its length, and UTF-8.
    fn text(&mut self, what: &str) -> Result<String, String> {
        let length = self.u64(what)?;
        let bytes = self.bytes(length, what)?;
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// A value of the kind of this number.
    fn fact(&mut self, kind: u32, key: &str) -> Result<Fact, String> {
        Ok(match kind {
            7 => match self.array(key)? {
                [0] => Fact::Flag(false),
                [1] => Fact::Flag(true),
                [other] => return Err(format!("'{key}' should be yes or no and is {other}")),
            },
            8 => Fact::Text(self.text(key)?),
            9 => self.list(key)?,
            _ => match self.number(kind, key)? {
                Value::Whole(number) => Fact::Integer(number),
                Value::Other(number) => Fact::Number(number),
            },
        })
    }

    /// Several values of one kind.
    fn list(&mut self, key: &str) -> Result<Fact, String> {
        let (kind, count) = (self.u32(key)?, self.u64(key)?);
        if count > MOST_VALUES {
            return Err(format!("'{key}' claims to be a list of {count} values"));
        }
        if kind == 8 {
            let mut texts = Vec::new();
            for _ in 0..count {
                texts.push(self.text(key)?);
            }
            return Ok(Fact::Texts(texts));
        }
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.push(match self.number(if kind == 7 { 0 } else { kind }, key)? {
                Value::Whole(number) => number as f64,
                Value::Other(number) => number,
            });
        }
        Ok(Fact::Numbers(numbers))
    }

    /// A number of the kind of this number (ggml `docs/gguf.md`, `gguf_metadata_value_type`).
    fn number(&mut self, kind: u32, key: &str) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Whole(u8::from_le_bytes(self.array(key)?).into()),
            1 => Value::Whole(i8::from_le_bytes(self.array(key)?).into()),
            2 => Value::Whole(u16::from_le_bytes(self.array(key)?).into()),
            3 => Value::Whole(i16::from_le_bytes(self.array(key)?).into()),
            4 => Value::Whole(self.u32(key)?.into()),
            5 => Value::Whole(i32::from_le_bytes(self.array(key)?).into()),
            6 => Value::Other(f32::from_le_bytes(self.array(key)?).into()),
            10 => {
                let number = self.u64(key)?;
                i64::try_from(number).map_or(Value::Other(number as f64), Value::Whole)
            }
            11 => Value::Whole(i64::from_le_bytes(self.array(key)?)),
            12 => Value::Other(f64::from_le_bytes(self.array(key)?)),
            other => return Err(format!("'{key}' has a value of the unknown kind {other}")),
        })
    }

    /// The next tensor of the list.
    fn entry(&mut self) -> Result<Entry, String> {
        let name = self.text("the name of a tensor")?;
        let dimensions = self.u32(&name)?;
        if dimensions > MOST_DIMENSIONS {
            return Err(format!("tensor '{name}' claims to have {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = self.u64(&name)?;
            shape.push(usize::try_from(size).map_err(|_| format!("tensor '{name}' has a dimension of {size}"))?);
        }
        shape.reverse();
        Ok(Entry { kind: self.u32(&name)?, offset: self.u64(&name)?, name, shape })
    }
}

/// A number in a header.
enum Value {
    Whole(i64),
    Other(f64),
}
