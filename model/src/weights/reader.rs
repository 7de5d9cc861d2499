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

use super::file::{Stored, TensorFile};
use super::lora::Adapters;
use super::naming::{Names, Rows, itself};
use crate::ops::low_rank::LowRank;
use crate::ops::weight::Weight;
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
    /// The matrices of which it was asked what adapters add.
    adapted: RefCell<BTreeSet<String>>,
}

/// Where a tensor is.
struct Place {
    /// Index of its file.
    file: usize,
    /// Its name there.
    name: String,
    stored: Stored,
    /// Which rows it is of what is stored.
    rows: Rows,
    shape: Vec<usize>,
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
    /// [`Error::WeightFile`] if two of them hold the same tensor, or one cannot be cut into what it should consist of.
    pub(super) fn joined(file_name: String, files: Vec<TensorFile>) -> Result<Self> {
        let names = Names::of(&files.iter().flat_map(|file| file.tensors().keys().map(String::as_str)).collect());
        let mut tensors: BTreeMap<String, Place> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            let broken = |what: String| Err(Error::WeightFile { file: file.name().to_owned(), what });
            for (name, stored) in file.tensors() {
                for part in names.as_ref().map_or_else(|| itself(name), |names| names.parts(name)) {
                    let (wanted, rows) = (&part.name, part.rows);
                    if let Some(other) = tensors.get(wanted) {
                        let there = files.get(other.file).map_or(&*file_name, TensorFile::name);
                        if other.name == *name {
                            return broken(format!("tensor '{name}' is here and in {there}"));
                        }
                        let other = &other.name;
                        return broken(format!(
                            "tensor '{name}' and '{other}' in {there} are one to the network: '{wanted}'"
                        ));
                    }
                    let Some(shape) = part.shape(&stored.shape) else {
                        let (found, of) = (&stored.shape, rows.of);
                        return broken(format!(
                            "tensor '{name}' has shape {found:?}, which cannot be cut into {of} equal parts"
                        ));
                    };
                    let (name, stored) = (name.clone(), stored.clone());
                    tensors.insert(part.name, Place { file: at, name, stored, rows, shape });
                }
            }
        }
        Ok(Self {
            name: file_name,
            files,
            tensors,
            read: RefCell::default(),
            bytes_read: Cell::new(0),
            adapted: RefCell::default(),
        })
    }

    /// The tensors by the names that networks ask for, and their shapes.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, place)| (name.as_str(), place.shape.as_slice()))
    }

    /// Number of values.
    pub fn parameters(&self) -> u64 {
        self.tensors.values().map(|place| place.shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// A reader at the root of the name tree. Tensors arrive on `device` as f32; `on_read` hears of the progress.
    pub fn reader<'a>(&'a self, device: &'a Device, on_read: OnRead<'a>) -> Reader<'a> {
        Reader { weights: self, device, on_read, prefix: String::new(), adapters: None }
    }

    /// Whether it was asked what adapters add to `tensor`.
    pub fn was_adapted(&self, tensor: &str) -> bool {
        self.adapted.borrow().contains(tensor)
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
                tensor: place.told(tensor),
                found: place.shape.clone(),
                others: left.count(),
            }),
        }
    }

    /// The name of the file that holds a tensor.
    fn file_of(&self, place: &Place) -> &str {
        self.files.get(place.file).map_or(&self.name, TensorFile::name)
    }
}

impl Place {
    /// A tensor's name as errors print it: that of the file, and the network's where it is another.
    fn told(&self, tensor: &str) -> String {
        if self.name == tensor { tensor.to_owned() } else { format!("{} ({tensor})", self.name) }
    }
}

/// A place in the name tree of some weights.
#[derive(Clone)]
pub struct Reader<'a> {
    weights: &'a Weights,
    device: &'a Device,
    on_read: OnRead<'a>,
    prefix: String,
    /// What adds to these weights, and what they are called there.
    adapters: Option<(&'a Adapters, &'a str)>,
}

impl<'a> Reader<'a> {
    /// The same reader, which also reads what `adapters` add to the part in `file`.
    #[must_use]
    pub fn adapted(self, adapters: &'a Adapters, file: &'a str) -> Self {
        Self { adapters: Some((adapters, file)), ..self }
    }

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
        if place.shape != shape.dims() {
            let (file, found) = (file.name().to_owned(), place.shape.clone());
            return Err(Error::TensorShape { file, tensor: place.told(&name), expected: expected(), found });
        }
        let (values, bytes) = file.values(&place.name, &place.stored, place.rows)?;
        let read = weights.bytes_read.get() + bytes;
        weights.bytes_read.set(read);
        weights.read.borrow_mut().insert(name);
        if (self.on_read)(read).is_break() {
            return Err(Error::Cancelled);
        }
        let tensor = Tensor::from_vec(values, shape, self.device)?;
        debug_assert_eq!(tensor.dtype(), DType::F32);
        Ok(tensor)
    }

    /// Reads a matrix, (rows, columns), that is only multiplied with, or whose rows are looked up.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Weight> {
        Ok(Weight::Dense(self.tensor(name, (rows, columns))?))
    }

    /// What adapters add to the matrix `name`.
    ///
    /// # Errors
    /// Those of the adapters' files.
    pub fn low_rank(&self, name: &str) -> Result<Vec<LowRank>> {
        let Some((adapters, file)) = self.adapters else { return Ok(Vec::new()) };
        let name = self.full(name);
        let added = adapters.low_rank(file, &name, self.device)?;
        self.weights.adapted.borrow_mut().insert(name);
        Ok(added)
    }

    fn full(&self, name: impl Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
