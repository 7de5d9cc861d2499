//! Matrices in ggml's blocks that are multiplied without being decoded: activations are rounded to 8 bits, and whole
//! numbers are multiplied. candle's kernels do it, on processors that can (candle-core 0.11.1 `quantized/repack*.rs`).

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Tensor};

use crate::weights::Encoding;
use crate::{Error, Result};

/// W, (out, in), in blocks.
#[derive(Debug, Clone)]
pub struct Packed {
    blocks: Arc<QTensor>,
    encoding: Encoding,
    rows: usize,
    columns: usize,
}

impl Packed {
    /// Whether rows of `columns` numbers can be packed so. For q5_0 and q5_1 candle goes number by number, many times
    /// slower than decoding; for q4_1 it wants an even number of blocks (candle-core 0.11.1 `quantized/k_quants.rs:322`).
    pub(crate) fn can(encoding: Encoding, columns: usize) -> bool {
        let together = match encoding {
            Encoding::Q5_0 | Encoding::Q5_1 => return false,
            Encoding::Q4_1 => 2,
            _ => 1,
        };
        encoding.is_quantised() && columns.is_multiple_of(together * encoding.block())
    }

    /// A matrix of these blocks.
    ///
    /// # Errors
    /// [`Error::Tensor`] if `encoding` is none of ggml's, or the bytes are not so many numbers.
    pub(crate) fn new(encoding: Encoding, bytes: &[u8], (rows, columns): (usize, usize)) -> Result<Self> {
        let fits = Self::can(encoding, columns) && encoding.bytes(rows * columns) == Some(bytes.len());
        let Some(dtype) = encoding.ggml().filter(|_| fits) else {
            return super::refused(format!("a matrix of {rows} x {columns} cannot be packed as {}", encoding.name()));
        };
        // candle reads the blocks where they are before it copies them, and wants their 16-bit numbers at even addresses.
        const EVEN: usize = 4;
        let copied;
        let bytes = if bytes.as_ptr().addr().is_multiple_of(EVEN) {
            bytes
        } else {
            let mut room = vec![0; bytes.len() + EVEN];
            let at = room.as_ptr().align_offset(EVEN).min(EVEN);
            if let Some(place) = room.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            copied = room;
            copied.get(at..at + bytes.len()).unwrap_or_default()
        };
        let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?;
        Ok(Self { blocks: Arc::new(QTensor::new(storage, (rows, columns))?), encoding, rows, columns })
    }

    /// (out, in)
    pub(crate) fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Bytes that it takes once it has been multiplied.
    pub(super) fn bytes(&self) -> usize {
        packed_bytes(self.encoding, self.dims())
    }

    /// Several on top of each other; `None` if they differ in encoding or width.
    pub(super) fn stacked(parts: &[&Self]) -> Result<Option<Self>> {
        let Some(first) = parts.first() else { return Ok(None) };
        if parts.iter().any(|part| (part.encoding, part.columns) != (first.encoding, first.columns)) {
            return Ok(None);
        }
        let (mut bytes, mut rows) = (Vec::new(), 0);
        for part in parts {
            bytes.extend_from_slice(&part.blocks.data()?);
            rows += part.rows;
        }
        Self::new(first.encoding, &bytes, (rows, first.columns)).map(Some)
    }

    /// x W^T, (n, in) -> (n, out), with x rounded.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        // Not `QMatMul`, which decodes where an environment variable says so.
        x.contiguous()?.apply_op1_no_bwd(self.blocks.as_ref()).map_err(Error::from)
    }
}

/// Bytes that a packed matrix takes once it has been multiplied: its blocks, and the copy in another order that candle
/// makes at the first product and keeps (candle-core 0.11.1 `quantized/repack_x86.rs:15-60`; the two cannot be had
/// apart). An upper bound: where the processor has no kernel for such a copy, there is none.
pub(crate) fn packed_bytes(encoding: Encoding, (rows, columns): (usize, usize)) -> usize {
    let blocks = encoding.bytes(rows.saturating_mul(columns)).unwrap_or(0);
    // By 16 rows and 256 columns, 4096 numbers: scales and minima as f32, and 4 or 8 bits a number.
    let tile = match encoding {
        Encoding::Q4K => 2 * 8 * 16 * 4 + 4096 / 2,
        Encoding::Q6K => 16 * 16 * 4 + 4096,
        Encoding::Q8_0 => 8 * (16 * 2 + 16 * 32),
        _ => 0,
    };
    let tiled = rows.is_multiple_of(16) && columns.is_multiple_of(256);
    blocks + if tiled { rows / 16 * (columns / 256) * tile } else { 0 }
}
