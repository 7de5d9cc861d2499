//! Memory-mapped (or embedded) safetensors files, read tensor by tensor, every mismatch one clear error.
//!
//! Format: <https://github.com/huggingface/safetensors>, an 8-byte little-endian header length, a JSON header, the data.
//! Networks read through a [`Reader`], which knows its place in the name tree and remembers what was read, so that
//! [`Weights::finish`] can name the tensors nobody asked for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::ops::{ControlFlow, Deref};
use std::path::Path;

use candle_core::{DType, Device, Shape, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};

use crate::{Error, Result};

/// Called with the bytes read so far; [`ControlFlow::Break`] cancels the load.
pub type OnRead<'a> = &'a dyn Fn(u64) -> ControlFlow<()>;

/// One safetensors file, open for reading.
pub struct Weights {
    file: String,
    data: Bytes,
    /// Where the tensor data begins.
    start: usize,
    header: Metadata,
    read: RefCell<BTreeSet<String>>,
    bytes_read: Cell<u64>,
}

enum Bytes {
    Mapped(Mmap),
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

impl Weights {
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

    /// Reads weights that are built into the program.
    ///
    /// # Errors
    /// [`Error::WeightFile`] if the bytes are not a safetensors file.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self> {
        Self::parse(name.to_owned(), Bytes::Embedded(bytes))
    }

    fn parse(file: String, data: Bytes) -> Result<Self> {
        let broken = |what: String| Error::WeightFile { file: file.clone(), what };
        let (header_len, header) = SafeTensors::read_metadata(&data).map_err(|error| match error {
            SafeTensorError::MetadataIncompleteBuffer => broken(format!(
                "the header promises other data than the {} bytes that are there; the file is truncated or was changed",
                data.len()
            )),
            error => broken(format!("not a safetensors file ({error})")),
        })?;
        let start = header_len + size_of::<u64>();
        Ok(Self { file, data, start, header, read: RefCell::default(), bytes_read: Cell::new(0) })
    }

    /// The file's name, as errors print it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// Number of values in the file.
    pub fn parameters(&self) -> u64 {
        self.header.tensors().values().map(|info| info.shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// The names in the file, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort();
        names
    }

    /// A reader at the root of the name tree. Tensors arrive on `device` as f32; `on_read` hears of the progress.
    pub fn reader<'a>(&'a self, device: &'a Device, on_read: OnRead<'a>) -> Reader<'a> {
        Reader { weights: self, device, on_read, prefix: String::new() }
    }

    /// Checks that every tensor of the file was read, except those whose name starts with one of `optional`.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`] naming the first one left over.
    pub fn finish(&self, optional: &[&str]) -> Result<()> {
        let read = self.read.borrow();
        let mut left = self.names();
        left.retain(|name| !read.contains(name) && !optional.iter().any(|prefix| name.starts_with(prefix)));
        match left.first() {
            None => Ok(()),
            Some(tensor) => Err(Error::UnknownTensor {
                file: self.file.clone(),
                tensor: tensor.clone(),
                found: self.header.info(tensor).map(|info| info.shape.clone()).unwrap_or_default(),
                others: left.len() - 1,
            }),
        }
    }

    /// The values of one tensor as f32.
    fn values(&self, name: &str, info: &TensorInfo) -> Result<Vec<f32>> {
        let (from, to) = info.data_offsets;
        let bytes = &self.data[self.start + from..self.start + to];
        Ok(match info.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => {
                let (file, tensor) = (self.file.clone(), name.to_owned());
                return Err(Error::TensorDtype { file, tensor, dtype: format!("{other:?}") });
            }
        })
    }
}

/// A place in the name tree of a weight file.
#[derive(Clone)]
pub struct Reader<'a> {
    weights: &'a Weights,
    device: &'a Device,
    on_read: OnRead<'a>,
    prefix: String,
}

impl<'a> Reader<'a> {
    /// The reader one level down: `reader.at("blocks").at(3)` reads `blocks.3.…`.
    #[must_use]
    pub fn at(&self, part: impl Display) -> Reader<'a> {
        Reader { prefix: self.full(part), ..self.clone() }
    }

    /// Where tensors are put.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// Whether the file holds this tensor.
    pub fn has(&self, name: &str) -> bool {
        self.weights.header.info(&self.full(name)).is_some()
    }

    /// Reads one tensor as f32.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`] or [`Error::TensorDtype`], each naming file and tensor;
    /// [`Error::Cancelled`] if the progress callback breaks.
    pub fn tensor(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        let weights = self.weights;
        let (name, shape) = (self.full(name), shape.into());
        let Some(info) = weights.header.info(&name) else {
            return Err(Error::MissingTensor {
                file: weights.file.clone(),
                tensor: name,
                expected: shape.dims().to_vec(),
            });
        };
        if info.shape != shape.dims() {
            let (expected, found) = (shape.dims().to_vec(), info.shape.clone());
            return Err(Error::TensorShape { file: weights.file.clone(), tensor: name, expected, found });
        }
        let values = weights.values(&name, info)?;
        let read = weights.bytes_read.get() + (info.data_offsets.1 - info.data_offsets.0) as u64;
        weights.bytes_read.set(read);
        weights.read.borrow_mut().insert(name);
        if (self.on_read)(read).is_break() {
            return Err(Error::Cancelled);
        }
        let tensor = Tensor::from_vec(values, shape, self.device)?;
        debug_assert_eq!(tensor.dtype(), DType::F32);
        Ok(tensor)
    }

    fn full(&self, name: impl Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}

/// The last two parts of a path: enough to know the file, without anybody's home folder.
fn display_name(path: &Path) -> String {
    let mut parts: Vec<_> = path.components().rev().take(2).map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.reverse();
    parts.join("/")
}
