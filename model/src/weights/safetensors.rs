//! One safetensors file, memory-mapped or built in.
//!
//! Format: <https://github.com/huggingface/safetensors>, an 8-byte little-endian header length, a JSON header, the data.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};

use super::naming::Rows;
use crate::{Error, Result};

/// A file of tensors, its header read and checked.
pub(super) struct TensorFile {
    name: String,
    data: Bytes,
    /// Where the tensor data begins.
    start: usize,
    header: Metadata,
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

impl TensorFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::WeightFile`] if it is truncated or its header lies.
    pub(super) fn open(path: &Path) -> Result<Self> {
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
    /// [`Error::WeightFile`] if the bytes are not a safetensors file.
    pub(super) fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self> {
        Self::parse(name.to_owned(), Bytes::Embedded(bytes))
    }

    fn parse(name: String, data: Bytes) -> Result<Self> {
        let broken = |what: String| Error::WeightFile { file: name.clone(), what };
        let (header_len, header) = SafeTensors::read_metadata(&data).map_err(|error| match error {
            SafeTensorError::MetadataIncompleteBuffer => broken(format!(
                "the header promises other data than the {} bytes that are there; the file is truncated or was changed",
                data.len()
            )),
            error => broken(format!("not a safetensors file ({error})")),
        })?;
        let start = header_len + size_of::<u64>();
        Ok(Self { name, data, start, header })
    }

    /// Its name, as errors print it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its tensors, sorted by name.
    pub(super) fn tensors(&self) -> Vec<(String, &TensorInfo)> {
        let mut tensors: Vec<_> = self.header.tensors().into_iter().collect();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        tensors
    }

    /// Whether it holds this tensor.
    pub(super) fn has(&self, tensor: &str) -> bool {
        self.header.info(tensor).is_some()
    }

    /// The values of some rows of one of its tensors as f32, and the number of bytes they have here.
    ///
    /// # Errors
    /// [`Error::TensorDtype`].
    pub(super) fn values(&self, tensor: &str, info: &TensorInfo, rows: Rows) -> Result<(Vec<f32>, u64)> {
        let (from, to) = info.data_offsets;
        let bytes = &self.data[self.start + from..self.start + to];
        let share = bytes.len() / rows.of;
        let (mut values, mut read) = (Vec::new(), 0);
        values.reserve_exact(info.shape.iter().product::<usize>() / rows.of * rows.taken.len());
        for taken in rows.taken {
            let bytes = &bytes[taken * share..(taken + 1) * share];
            match info.dtype {
                Dtype::F32 => values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
                Dtype::BF16 => values.extend(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
                Dtype::F16 => values.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
                Dtype::F64 => values.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
                other => {
                    let (file, tensor) = (self.name.clone(), tensor.to_owned());
                    return Err(Error::TensorDtype { file, tensor, dtype: format!("{other:?}") });
                }
            }
            read += bytes.len() as u64;
        }
        Ok((values, read))
    }
}

/// The last two parts of a path: enough to know the file, without anybody's home folder.
fn display_name(path: &Path) -> String {
    let mut parts: Vec<_> = path.components().rev().take(2).map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.reverse();
    parts.join("/")
}
