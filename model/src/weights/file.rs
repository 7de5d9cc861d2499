//! One file of tensors, memory-mapped or built in, whatever its format: formats differ in their headers only.

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use super::header::{Fact, Header, Stored};
use super::naming::Rows;
use super::{Encoding, gguf, safetensors};
use crate::{Error, Result};

/// A file of tensors, its header read and checked.
pub struct TensorFile {
    name: String,
    bytes: Arc<Bytes>,
    header: Header,
}

/// The bytes of a file.
pub(crate) enum Bytes {
    /// On disk.
    Mapped(Mmap),
    /// Built into the program.
    Embedded(&'static [u8]),
    /// In memory: what was encoded anew.
    Held(Vec<u8>),
}

impl Debug for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Embedded(bytes) => bytes,
            Self::Held(bytes) => bytes,
        }
    }
}

/// What a file is by its first bytes, whatever its name.
enum Format {
    Safetensors,
    Gguf,
    /// A program for Python's unpickler, alone or in a zip archive, as `torch.save` writes it.
    Pickle,
}

impl Format {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [b'G', b'G', b'U', b'F', ..] => Self::Gguf,
            // The length of a safetensors header may look like anything, but then its JSON begins.
            [_, _, _, _, _, _, _, _, b'{', ..] => Self::Safetensors,
            [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => Self::Pickle,
            _ => Self::Safetensors,
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
        let header = match Format::of(&bytes) {
            Format::Safetensors => safetensors::header(&bytes),
            Format::Gguf => gguf::header(&bytes),
            Format::Pickle => {
                let what = format!("{name} is a pickled checkpoint, as .ckpt, .pt, .pth and .bin files are");
                let hint = "model files are data and pickles are programs, so flowline never opens them; \
                            take the same model as .safetensors or .gguf";
                return Err(Error::invalid(what, hint));
            }
        };
        match header {
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

    /// The bytes of the whole file, for as long as anybody needs them.
    pub(super) fn bytes(&self) -> Arc<Bytes> {
        self.bytes.clone()
    }

    /// How one of its tensors is stored.
    ///
    /// # Errors
    /// [`Error::TensorDtype`] for numbers that cannot be read.
    pub(super) fn encoding(&self, tensor: &str, stored: &Stored) -> Result<Encoding> {
        stored.encoding.clone().map_err(|dtype| {
            let (file, tensor) = (self.name.clone(), tensor.to_owned());
            Error::TensorDtype { file, tensor, dtype }
        })
    }

    /// Where in the file some rows of one of its tensors are, a range a share that is taken.
    ///
    /// # Errors
    /// [`Error::TensorDtype`] for numbers that cannot be read, [`Error::WeightFile`] if shares end within blocks.
    pub(super) fn rows(&self, tensor: &str, stored: &Stored, rows: Rows) -> Result<(Encoding, Vec<Range<usize>>)> {
        let encoding = self.encoding(tensor, stored)?;
        let share = stored.range.len() / rows.of;
        if !share.is_multiple_of(encoding.block_bytes()) {
            let what = format!("tensor '{tensor}' cannot be cut into {} parts between blocks", rows.of);
            return Err(Error::WeightFile { file: self.name.clone(), what });
        }
        let from = |taken: &usize| stored.range.start + taken * share;
        Ok((encoding, rows.taken.iter().map(|taken| from(taken)..from(taken) + share).collect()))
    }

    /// All values of one of its tensors as f32.
    ///
    /// # Errors
    /// [`Error::TensorDtype`].
    pub(super) fn values(&self, tensor: &str, stored: &Stored) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.encoding(tensor, stored)?.decode(self.stored(stored), &mut values);
        Ok(values)
    }

    /// The values of some rows of one of its tensors as f32.
    ///
    /// # Errors
    /// Those of [`TensorFile::rows`].
    pub(super) fn values_of(&self, tensor: &str, stored: &Stored, rows: Rows) -> Result<Vec<f32>> {
        let (encoding, ranges) = self.rows(tensor, stored, rows)?;
        let mut values = Vec::new();
        for range in ranges {
            encoding.decode(self.bytes.get(range).unwrap_or_default(), &mut values);
        }
        Ok(values)
    }

    /// The bytes of one of its tensors.
    pub(super) fn stored(&self, stored: &Stored) -> &[u8] {
        self.bytes.get(stored.range.clone()).unwrap_or_default()
    }
}

/// The last two parts of a path: enough to know the file, without anybody's home folder.
pub(super) fn display_name(path: &Path) -> String {
    let mut parts: Vec<_> = path.components().rev().take(2).map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.reverse();
    parts.join("/")
}
