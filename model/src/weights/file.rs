//! One file of tensors, memory-mapped or built in, whatever its format: formats differ in their headers only.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use super::naming::Rows;
use super::{Encoding, safetensors};
use crate::{Error, Result};

/// A file of tensors, its header read and checked.
pub struct TensorFile {
    name: String,
    bytes: Arc<Bytes>,
    header: Header,
}

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
    pub encoding: std::result::Result<Encoding, String>,
    /// Where its bytes are in the file.
    pub(super) range: Range<usize>,
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

/// The bytes of a file.
pub(crate) enum Bytes {
    /// On disk.
    Mapped(Mmap),
    /// Built into the program.
    Embedded(&'static [u8]),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Embedded(bytes) => bytes,
        }
    }
}

impl TensorFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::WeightFile`] if it is truncated or its header lies.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
        if size == 0 {
            return Err(Error::WeightFile { file: display_name(path), what: "the file is empty".into() });
        }
        // SAFETY: the map is read-only and private; another program that shortens the file while we read would stop
        // us with a bus error, which is the accepted price of not copying tens of gigabytes.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Self::parse(display_name(path), Bytes::Mapped(map))
    }

    /// A file that is built into the program.
    ///
    /// # Errors
    /// [`Error::WeightFile`] if the bytes are not a weight file.
    pub(super) fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self> {
        Self::parse(name.to_owned(), Bytes::Embedded(bytes))
    }

    fn parse(name: String, bytes: Bytes) -> Result<Self> {
        match safetensors::header(&bytes) {
            Ok(header) => Ok(Self { name, bytes: Arc::new(bytes), header }),
            Err(what) => Err(Error::WeightFile { file: name, what }),
        }
    }

    /// Its name, as errors print it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tensors, sorted by name.
    pub fn tensors(&self) -> &BTreeMap<String, Stored> {
        &self.header.tensors
    }

    /// What it says about itself.
    pub fn facts(&self) -> &BTreeMap<String, Fact> {
        &self.header.facts
    }

    /// The bytes of some rows of one of its tensors, a slice a share that is taken.
    ///
    /// # Errors
    /// [`Error::TensorDtype`] for numbers that cannot be read.
    pub(super) fn rows(&self, tensor: &str, stored: &Stored, rows: Rows) -> Result<(Encoding, Vec<&[u8]>)> {
        let encoding = stored.encoding.clone().map_err(|dtype| Error::TensorDtype {
            file: self.name.clone(),
            tensor: tensor.to_owned(),
            dtype,
        })?;
        let bytes = self.bytes.get(stored.range.clone()).unwrap_or_default();
        let share = bytes.len() / rows.of;
        let taken = rows.taken.iter().map(|taken| bytes.get(taken * share..(taken + 1) * share).unwrap_or_default());
        Ok((encoding, taken.collect()))
    }

    /// The values of some rows of one of its tensors as f32, and the number of bytes they have here.
    ///
    /// # Errors
    /// [`Error::TensorDtype`].
    pub(super) fn values(&self, tensor: &str, stored: &Stored, rows: Rows) -> Result<(Vec<f32>, u64)> {
        let (encoding, shares) = self.rows(tensor, stored, rows)?;
        let (mut values, mut read) = (Vec::new(), 0);
        values.reserve_exact(stored.shape.iter().product::<usize>() / rows.of * rows.taken.len());
        for bytes in shares {
            encoding.decode(bytes, &mut values);
            read += bytes.len() as u64;
        }
        Ok((values, read))
    }
}

/// The last two parts of a path: enough to know the file, without anybody's home folder.
pub(super) fn display_name(path: &Path) -> String {
    let mut parts: Vec<_> = path.components().rev().take(2).map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.reverse();
    parts.join("/")
}
