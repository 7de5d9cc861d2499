//! The weights of one part of a model, read tensor by tensor, every mismatch one clear error.
//!
//! Networks read through a [`Reader`], which knows its place in the name tree and remembers what was read, so that
//! [`Weights::finish`] can name the tensors nobody asked for.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device, Shape, Tensor};
use safetensors::tensor::TensorInfo;

use super::safetensors::TensorFile;
use crate::{Error, Result};

/// Called with the bytes read so far; [`ControlFlow::Break`] cancels the load.
pub type OnRead<'a> = &'a dyn Fn(u64) -> ControlFlow<()>;

/// The tensors of one part of a model, in one file or in several.
pub struct Weights {
    name: String,
    files: Vec<TensorFile>,
    tensors: BTreeMap<String, Place>,
    read: RefCell<BTreeSet<String>>,
    bytes_read: Cell<u64>,
}

/// Where a tensor is.
struct Place {
    /// Index of its file.
    file: usize,
    info: TensorInfo,
}

impl Weights {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::WeightFile`] if it is truncated or its header lies.
    pub fn open(path: &Path) -> Result<Self> {
        Self::whole(TensorFile::open(path)?)
    }

    /// What is in one file.
    pub(super) fn whole(file: TensorFile) -> Result<Self> {
        Self::joined(file.name().to_owned(), vec![file])
    }

    /// What is in all of `files`, under one name.
    ///
    /// # Errors
    /// [`Error::WeightFile`] if two of them hold the same tensor.
    pub(super) fn joined(name: String, files: Vec<TensorFile>) -> Result<Self> {
        let mut tensors: BTreeMap<String, Place> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            for (tensor, info) in file.tensors() {
                if let Some(other) = tensors.get(&tensor).and_then(|place| files.get(place.file)) {
                    let what = format!("tensor '{tensor}' is here and in {}", other.name());
                    return Err(Error::WeightFile { file: file.name().to_owned(), what });
                }
                tensors.insert(tensor, Place { file: at, info: info.clone() });
            }
        }
        Ok(Self { name, files, tensors, read: RefCell::default(), bytes_read: Cell::new(0) })
    }

    /// Number of values.
    pub fn parameters(&self) -> u64 {
        self.tensors.values().map(|place| place.info.shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// A reader at the root of the name tree. Tensors arrive on `device` as f32; `on_read` hears of the progress.
    pub fn reader<'a>(&'a self, device: &'a Device, on_read: OnRead<'a>) -> Reader<'a> {
        Reader { weights: self, device, on_read, prefix: String::new() }
    }

    /// Checks that every tensor was read, except those whose name starts with one of `optional`.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`] naming the first one left over.
    pub fn finish(&self, optional: &[&str]) -> Result<()> {
        let read = self.read.borrow();
        let unread = |name: &str| !read.contains(name) && !optional.iter().any(|prefix| name.starts_with(prefix));
        let mut left = self.tensors.iter().filter(|(name, _)| unread(name));
        match left.next() {
            None => Ok(()),
            Some((tensor, place)) => Err(Error::UnknownTensor {
                file: self.file_of(place).to_owned(),
                tensor: tensor.clone(),
                found: place.info.shape.clone(),
                others: left.count(),
            }),
        }
    }

    /// The name of the file that holds a tensor.
    fn file_of(&self, place: &Place) -> &str {
        self.files.get(place.file).map_or(&self.name, TensorFile::name)
    }
}

/// A place in the name tree of some weights.
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

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(&self.full(name))
    }

    /// Reads one tensor as f32.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`] or [`Error::TensorDtype`], each naming file and tensor;
    /// [`Error::Cancelled`] if the progress callback breaks.
    pub fn tensor(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        let weights = self.weights;
        let (name, shape) = (self.full(name), shape.into());
        let expected = || shape.dims().to_vec();
        let place = weights.tensors.get(&name);
        let Some((place, file)) = place.and_then(|place| Some((place, weights.files.get(place.file)?))) else {
            return Err(Error::MissingTensor { file: weights.name.clone(), tensor: name, expected: expected() });
        };
        let info = &place.info;
        if info.shape != shape.dims() {
            let (file, found) = (file.name().to_owned(), info.shape.clone());
            return Err(Error::TensorShape { file, tensor: name, expected: expected(), found });
        }
        let values = file.values(&name, info)?;
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
