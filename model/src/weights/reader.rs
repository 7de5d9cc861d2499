//! The weights of one part of a model, read tensor by tensor, every mismatch one clear error.
//!
//! Networks read through a [`Reader`], which knows its place in the name tree and remembers what was read, so that
//! [`Weights::finish`] can name the tensors nobody asked for.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Shape, Tensor};

use super::Encoding;
use super::file::{Bytes, TensorFile};
use super::header::Stored;
use super::holding::{Fallbacks, Form, Holding, Matrix, is_matrix, memory_of};
use super::lora::Adapters;
use super::memory::Memory;
use super::naming::{Names, Rows, itself};
use super::scales::Scales;
use crate::ops::low_rank::LowRank;
use crate::ops::weight::{self, Packed, Scale, Segment, Weight};
use crate::{Error, Result};

/// Called with the bytes read so far; [`ControlFlow::Break`] cancels the load.
pub type OnRead<'a> = &'a dyn Fn(u64) -> ControlFlow<()>;

/// The tensors of one part of a model, in one file or in several.
pub struct Weights {
    name: String,
    files: Vec<TensorFile>,
    tensors: BTreeMap<String, Place>,
    scales: Scales,
    read: RefCell<BTreeSet<String>>,
    bytes_read: Cell<u64>,
    fallbacks: Fallbacks,
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
        Self::joined(file.name().to_owned(), vec![file], "")
    }

    /// What is in all of `files`, under one name: the tensors whose names begin with `prefix`, without it.
    ///
    /// # Errors
    /// [`Error::WeightFile`] if two of them hold the same tensor, or one cannot be cut into what it should consist of.
    pub(super) fn joined(file_name: String, files: Vec<TensorFile>, prefix: &str) -> Result<Self> {
        let scales = Scales::of(&files);
        let own = files.iter().flat_map(|file| file.tensors().keys().filter_map(|name| name.strip_prefix(prefix)));
        let names = Names::of(&own.collect());
        let mut tensors: BTreeMap<String, Place> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            let broken = |what: String| Err(Error::WeightFile { file: file.name().to_owned(), what });
            for (name, stored) in file.tensors().iter().filter(|(name, _)| !scales.has(name)) {
                let Some(own) = name.strip_prefix(prefix) else { continue };
                for part in names.as_ref().map_or_else(|| itself(own), |names| names.parts(own)) {
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
                    let (name, stored) = (name.clone(), scales.encoding(name, stored));
                    tensors.insert(part.name, Place { file: at, name, stored, rows, shape });
                }
            }
        }
        Ok(Self {
            name: file_name,
            files,
            tensors,
            scales,
            read: RefCell::default(),
            bytes_read: Cell::new(0),
            fallbacks: Fallbacks::default(),
            adapted: RefCell::default(),
        })
    }

    /// The tensors by the names that networks ask for, and their shapes.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, place)| (name.as_str(), place.shape.as_slice()))
    }

    /// Number of values.
    pub fn parameters(&self) -> u64 {
        // Of a tensor in a format that cannot be read nobody has checked the shape.
        let numbers = |place: &Place| place.shape.iter().fold(1u64, |product, &n| product.saturating_mul(n as u64));
        self.tensors.values().map(numbers).fold(0, u64::saturating_add)
    }

    /// Bytes of what is stored.
    pub fn bytes(&self) -> u64 {
        self.tensors
            .values()
            .map(|place| place.stored.bytes() as u64 / place.rows.of as u64 * place.rows.taken.len() as u64)
            .sum()
    }

    /// Memory that all tensors take, held so, as far as it is known before they are read.
    pub fn memory(&self, holding: Holding) -> Memory {
        let mut memory = Memory::default();
        for (name, place) in &self.tensors {
            if let Ok(stored) = place.stored.encoding {
                memory += memory_of(holding, name, &place.shape, stored, self.scales.scaled(&place.name));
            }
        }
        memory
    }

    /// Whether there are matrices that are multiplied as they are packed, held so.
    pub fn packs(&self, holding: Holding) -> bool {
        self.tensors.iter().any(|(name, place)| match (&place.stored.encoding, place.shape.as_slice()) {
            (Ok(stored), &[rows, columns]) if is_matrix(name) => {
                let scaled = self.scales.scaled(&place.name);
                let matrix = Matrix { name, dims: (rows, columns), stored: *stored, scaled };
                matches!(holding.form(matrix), Form::Packed(_))
            }
            _ => false,
        })
    }

    /// A reader at the root of the name tree. Tensors arrive on `device` as f32, also matrices unless
    /// [`Reader::holding`] says otherwise; `on_read` hears of the progress.
    pub fn reader<'a>(&'a self, device: &'a Device, on_read: OnRead<'a>) -> Reader<'a> {
        Reader { weights: self, device, on_read, holding: Holding::DENSE, prefix: String::new(), adapters: None }
    }

    /// The matrices that were read so far and have another encoding than the one asked for.
    pub fn fallbacks(&self) -> &Fallbacks {
        &self.fallbacks
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

    /// The name that errors print.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of a tensor, how it is stored, and whether there are scales beside it.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorDtype`].
    pub(super) fn stored(&self, tensor: &str) -> Result<(&[usize], Encoding, bool)> {
        let (place, file) = self.place(tensor, &[])?;
        let encoding = file.encoding(&place.name, &place.stored)?;
        Ok((&place.shape, encoding, self.scales.scaled(&place.name)))
    }

    /// The parts that a tensor consists of.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorDtype`], [`Error::WeightFile`].
    pub(super) fn segments(&self, tensor: &str) -> Result<Vec<Segment>> {
        let (place, file) = self.place(tensor, &[])?;
        self.segments_of(place, file, place.shape.iter().skip(1).product())
    }

    /// Where a tensor is.
    fn place(&self, tensor: &str, expected: &[usize]) -> Result<(&Place, &TensorFile)> {
        let place = self.tensors.get(tensor);
        place.and_then(|place| Some((place, self.files.get(place.file)?))).ok_or_else(|| {
            let (file, tensor) = (self.name.clone(), tensor.to_owned());
            Error::MissingTensor { file, tensor, expected: expected.to_vec() }
        })
    }

    fn segments_of(&self, place: &Place, file: &TensorFile, columns: usize) -> Result<Vec<Segment>> {
        let (encoding, ranges) = file.rows(&place.name, &place.stored, place.rows)?;
        let scales = self.scales.taken(&self.files, &place.name, &place.stored, place.rows)?;
        let segments = ranges.into_iter().zip(scales);
        let segments = segments.map(|(range, scale)| Segment { bytes: file.bytes(), range, encoding, columns, scale });
        Ok(segments.collect())
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
    holding: Holding,
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

    /// The same reader, which gives matrices as `holding` says.
    #[must_use]
    pub fn holding(self, holding: Holding) -> Reader<'a> {
        Reader { holding, ..self }
    }

    /// Reads one tensor as f32.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`] or [`Error::TensorDtype`], each naming file and tensor;
    /// [`Error::Cancelled`] if the progress callback breaks.
    pub fn tensor(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor> {
        let (name, shape) = (self.full(name), shape.into());
        let segments = self.take(&name, shape.dims())?;
        let tensor = Tensor::from_vec(decoded(&segments), shape, self.device)?;
        debug_assert_eq!(tensor.dtype(), DType::F32);
        Ok(tensor)
    }

    /// Reads a matrix, (rows, columns), that is only multiplied with, or whose rows are looked up: in the form that the
    /// reader's holding has for it.
    ///
    /// # Errors
    /// Those of [`Reader::tensor`].
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Weight> {
        let (name, dims) = (self.full(name), (rows, columns));
        let segments = self.take(&name, &[rows, columns])?;
        let dense =
            || -> Result<Weight> { Ok(Weight::Dense(Tensor::from_vec(decoded(&segments), dims, self.device)?)) };
        let Some(stored) = segments.first().map(|segment| segment.encoding) else { return dense() };
        let scaled = segments.iter().any(|segment| segment.scale != Scale::One);
        let matrix = Matrix { name: &name, dims, stored, scaled };
        if let Some((wanted, instead)) = self.holding.fallback(matrix) {
            self.weights.fallbacks.note(wanted, instead);
        }
        let anew = |encoding: Encoding| encoding.encode(&decoded(&segments));
        Ok(match self.holding.form(matrix) {
            Form::Dense => dense()?,
            Form::Stored => match weight::Stored::new(segments.clone()) {
                Some(stored) => Weight::Stored(stored),
                None => dense()?,
            },
            Form::Encoded(encoding) => {
                let bytes = anew(encoding).map_err(|error| self.told(&name, error))?;
                let (range, scale) = (0..bytes.len(), Scale::One);
                let segment = Segment { bytes: Arc::new(Bytes::Held(bytes)), range, encoding, columns, scale };
                weight::Stored::new(vec![segment]).map_or_else(dense, |stored| Ok(Weight::Stored(stored)))?
            }
            Form::Packed(encoding) if encoding == stored => {
                let bytes: Vec<_> = segments.iter().map(Segment::stored).collect();
                Weight::Packed(Packed::new(encoding, &bytes.concat(), dims)?)
            }
            Form::Packed(encoding) => {
                Weight::Packed(Packed::new(encoding, &anew(encoding).map_err(|error| self.told(&name, error))?, dims)?)
            }
        })
    }

    /// Notes that a tensor is read, and gives the parts it consists of.
    fn take(&self, name: &str, wanted: &[usize]) -> Result<Vec<Segment>> {
        let weights = self.weights;
        let (place, file) = weights.place(name, wanted)?;
        if significant(&place.shape) != significant(wanted) {
            let (file, found) = (file.name().to_owned(), place.shape.clone());
            return Err(Error::TensorShape { file, tensor: place.told(name), expected: wanted.to_vec(), found });
        }
        let columns = wanted.iter().skip(1).product();
        let segments = weights.segments_of(place, file, columns)?;
        let read = weights.bytes_read.get() + segments.iter().map(|segment| segment.range.len() as u64).sum::<u64>();
        weights.bytes_read.set(read);
        weights.read.borrow_mut().insert(name.to_owned());
        if (self.on_read)(read).is_break() {
            return Err(Error::Cancelled);
        }
        Ok(segments)
    }

    /// What went wrong with a tensor, with its name and that of its file.
    fn told(&self, tensor: &str, error: Error) -> Error {
        match error {
            Error::Invalid { what, hint } => {
                Error::Invalid { what: format!("{}: tensor '{tensor}': {what}", self.weights.name), hint }
            }
            other => other,
        }
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

/// The numbers of all segments.
pub(super) fn decoded(segments: &[Segment]) -> Vec<f32> {
    let mut values = vec![0.0; segments.iter().map(Segment::numbers).sum()];
    let mut rest = values.as_mut_slice();
    for segment in segments {
        let (here, later) = rest.split_at_mut(segment.numbers().min(rest.len()));
        segment.decode_all(here);
        rest = later;
    }
    values
}

/// A shape without its leading ones, which say nothing: ggml drops them.
fn significant(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|size| **size == 1).count();
    shape.get(ones.min(shape.len().saturating_sub(1))..).unwrap_or(shape)
}
