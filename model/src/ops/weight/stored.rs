//! Matrices that stay as they are stored, most of them in a memory-mapped file, and are decoded a panel of rows at a
//! time whenever they are multiplied: a model of 12 billion weights runs straight from its file.
//!
//! The bits are those of decoding everything first. What decides the order in which a product is summed is the kernel
//! that the matrix library takes, and it looks at the number of rows only below 256 of them (gemm-common 0.19.0
//! `gemm.rs:199`, `:287`; from there on `cache.rs:514` takes the depth alone). Panels have at least that many, or all.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use gemm::Parallelism;
use rayon::prelude::*;

use super::refused;
use crate::Result;
use crate::ops::host::with_values;
use crate::weights::{Bytes, Encoding, Memory};

/// Rows of a panel, at least; no two panels of a matrix differ by more than one row.
const PANEL: usize = 320;
/// Rows that one thread decodes at a time.
const STRETCH: usize = 16;

/// W, (out, in), as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// From top to bottom.
    segments: Vec<Segment>,
    rows: usize,
    columns: usize,
}

/// Some rows of a matrix that lie together.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// What they lie in.
    pub(crate) bytes: Arc<Bytes>,
    /// Where in it.
    pub(crate) range: Range<usize>,
    /// How their numbers are stored.
    pub(crate) encoding: Encoding,
    /// Numbers in a row.
    pub(crate) columns: usize,
    /// What they are multiplied with.
    pub(crate) scale: Scale,
}

/// What stored numbers are multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    /// Nothing.
    One,
    /// One number.
    All(f32),
    /// A number a row.
    Rows(Vec<f32>),
}

impl Segment {
    /// How many numbers there are.
    pub(crate) fn numbers(&self) -> usize {
        self.range.len() / self.encoding.block_bytes() * self.encoding.block()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.numbers() / self.columns.max(1)
    }

    /// Whether rows begin where blocks begin, so that they can be read one by one.
    pub(crate) fn rows_are_blocks(&self) -> bool {
        self.columns.is_multiple_of(self.encoding.block())
    }

    /// The bytes themselves.
    pub(crate) fn stored(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }

    /// All numbers, side by side on as many threads as there are.
    pub(crate) fn decode_all(&self, values: &mut [f32]) {
        if !self.rows_are_blocks() || self.columns == 0 {
            return self.decode(0, values);
        }
        let stretches = values.par_chunks_mut(STRETCH * self.columns).enumerate();
        stretches.for_each(|(at, values)| self.decode(at * STRETCH, values));
    }

    /// The numbers from row `first` on, as many as there is room for.
    pub(crate) fn decode(&self, first: usize, values: &mut [f32]) {
        let from = first * self.columns / self.encoding.block() * self.encoding.block_bytes();
        self.encoding.decode_into(self.stored().get(from..).unwrap_or_default(), values);
        match &self.scale {
            Scale::One => {}
            Scale::All(scale) => values.iter_mut().for_each(|value| *value *= scale),
            Scale::Rows(scales) => {
                for (row, scale) in values.chunks_mut(self.columns.max(1)).zip(scales.iter().skip(first)) {
                    row.iter_mut().for_each(|value| *value *= scale);
                }
            }
        }
    }
}

impl Stored {
    /// The matrix of these segments, from top to bottom; `None` if they differ in width, or rows cannot be read one by
    /// one.
    pub(crate) fn new(segments: Vec<Segment>) -> Option<Self> {
        let columns = segments.first()?.columns;
        let fit = segments.iter().all(|segment| segment.columns == columns && segment.rows_are_blocks());
        let rows = segments.iter().map(Segment::rows).sum();
        (fit && columns > 0).then_some(Self { segments, rows, columns })
    }

    /// (out, in)
    pub(crate) fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Memory that it takes.
    pub(super) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for Segment { bytes, range, .. } in &self.segments {
            let size = range.len() as u64;
            memory += match **bytes {
                Bytes::Held(_) => Memory { heap: size, mapped: 0 },
                Bytes::Mapped(_) | Bytes::Embedded(_) => Memory { heap: 0, mapped: size },
            };
        }
        memory
    }

    /// Several on top of each other; `None` if they differ in width.
    pub(super) fn stacked(parts: &[&Self]) -> Option<Self> {
        Self::new(parts.iter().flat_map(|part| part.segments.clone()).collect())
    }

    /// Decodes the rows from `first` on, as many as there is room for, one after the other.
    fn decode_stretch(&self, mut first: usize, mut values: &mut [f32]) {
        for segment in &self.segments {
            let rows = segment.rows();
            if first >= rows {
                first -= rows;
                continue;
            }
            let here = values.len().min((rows - first) * self.columns);
            let (now, later) = values.split_at_mut(here);
            segment.decode(first, now);
            (first, values) = (0, later);
            if values.is_empty() {
                return;
            }
        }
    }

    /// Decodes the rows from `first` on, as many as there is room for.
    pub(crate) fn decode(&self, first: usize, values: &mut [f32]) {
        let stretches = values.par_chunks_mut(STRETCH * self.columns).enumerate();
        stretches.for_each(|(at, values)| self.decode_stretch(first + at * STRETCH, values));
    }

    /// x W^T, (n, in) -> (n, out).
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (n, width) = x.dims2()?;
        let (outputs, inputs) = self.dims();
        if width != inputs {
            return refused(format!("a matrix of {inputs} inputs was given {width}"));
        }
        let mut y = vec![0.0; n * outputs];
        let panels = (outputs / PANEL).max(1);
        let ends = |panel: usize| outputs * panel / panels;
        let mut room = vec![0.0; outputs.div_ceil(panels) * inputs];
        with_values(&x.contiguous()?, |x| {
            for panel in 0..panels {
                let (first, last) = (ends(panel), ends(panel + 1));
                let w = room.get_mut(..(last - first) * inputs).unwrap_or_default();
                self.decode(first, w);
                multiply(Product { n, inputs, outputs, first, rows: last - first }, x, w, &mut y);
            }
            Ok(())
        })?;
        Ok(Tensor::from_vec(y, (n, outputs), &Device::Cpu)?)
    }

    /// The rows of these numbers, (n) -> (n, in).
    pub(super) fn gathered(&self, numbers: &Tensor) -> Result<Tensor> {
        let numbers = numbers.to_vec1::<u32>()?;
        let mut values = vec![0.0; numbers.len() * self.columns];
        for (row, values) in numbers.iter().zip(values.chunks_mut(self.columns)) {
            if *row as usize >= self.rows {
                return refused(format!("row {row} of a table of {} was asked for", self.rows));
            }
            self.decode_stretch(*row as usize, values);
        }
        Ok(Tensor::from_vec(values, (numbers.len(), self.columns), &Device::Cpu)?)
    }
}

/// The sizes of one panel's product.
#[derive(Clone, Copy)]
struct Product {
    n: usize,
    inputs: usize,
    /// Of the whole matrix.
    outputs: usize,
    /// The panel's first output.
    first: usize,
    /// The panel's outputs.
    rows: usize,
}

/// y\[.., first..first + rows\] = x w^T for x (n, inputs), w (rows, inputs), y (n, outputs).
fn multiply(sizes: Product, x: &[f32], w: &[f32], y: &mut [f32]) {
    let Product { n, inputs, outputs, first, rows } = sizes;
    let threads = candle_core::utils::get_num_threads();
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    let fits = x.len() == n * inputs && w.len() == rows * inputs && y.len() == n * outputs && first + rows <= outputs;
    assert!(fits, "the sizes of a product are those of its matrices");
    let columns = y.get_mut(first..).unwrap_or_default();
    // SAFETY: by the line above, each of the three matrices lies within its slice with the strides given: x (n, inputs)
    // and w^T (inputs, rows) as they are, y from its column `first` on, whose last value is at
    // (n - 1) outputs + first + rows - 1 < n outputs. Nothing else can see `y`, which is borrowed mutably.
    unsafe {
        gemm::gemm(
            n,
            rows,
            inputs,
            columns.as_mut_ptr(),
            1,
            outputs as isize,
            false,
            x.as_ptr(),
            1,
            inputs as isize,
            w.as_ptr(),
            inputs as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::weight::{Packed, Weight};
    use crate::weights::ENCODINGS;

    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        let mut state = seed as u64 * 2 + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn segment(encoding: Encoding, seed: usize, rows: usize, columns: usize) -> Segment {
        let bytes = encoding.encode(&numbers(seed, rows * columns)).unwrap();
        Segment { range: 0..bytes.len(), bytes: Arc::new(Bytes::Held(bytes)), encoding, columns, scale: Scale::One }
    }

    fn dense(stored: &Stored) -> Weight {
        let (rows, columns) = stored.dims();
        let mut values = vec![0.0; rows * columns];
        stored.decode(0, &mut values);
        Weight::Dense(Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap())
    }

    fn x(n: usize, inputs: usize) -> Tensor {
        Tensor::from_vec(numbers(n + 77, n * inputs), (n, inputs), &Device::Cpu).unwrap()
    }

    fn bits(t: &Tensor) -> Vec<u32> {
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn a_product_has_the_bits_of_decoding_everything_first_whatever_the_shapes() {
        for outputs in [1, 2, 15, 16, 31, 64, 65, 255, 256, 257, 319, 320, 639, 640, 641, 1000, 1024] {
            for inputs in [32, 64, 512, 544, 1056, 3072] {
                let stored = Stored::new(vec![segment(Encoding::Q8_0, outputs, outputs, inputs)]).unwrap();
                let dense = dense(&stored);
                for n in [1, 2, 3, 5, 8, 16, 17, 64, 65, 100] {
                    let x = x(n, inputs);
                    let (got, want) = (stored.apply(&x).unwrap(), dense.apply(&x).unwrap());
                    assert_eq!(got.dims(), [n, outputs]);
                    assert!(bits(&got) == bits(&want), "({n}, {inputs}) -> {outputs}");
                }
            }
        }
    }

    #[test]
    fn every_encoding_multiplies_and_looks_up_as_its_decoded_numbers_do() {
        for encoding in ENCODINGS {
            let stored = Stored::new(vec![segment(encoding, 5, 700, 512)]).unwrap();
            let dense = dense(&stored);
            let x = x(9, 512);
            assert_eq!(bits(&stored.apply(&x).unwrap()), bits(&dense.apply(&x).unwrap()), "{encoding:?}");
            let wanted = Tensor::new(&[0u32, 699, 3, 3], &Device::Cpu).unwrap();
            assert_eq!(bits(&stored.gathered(&wanted).unwrap()), bits(&dense.rows(&wanted).unwrap()), "{encoding:?}");
        }
        let stored = Stored::new(vec![segment(Encoding::Q4K, 5, 7, 512)]).unwrap();
        assert!(stored.gathered(&Tensor::new(&[7u32], &Device::Cpu).unwrap()).is_err());
    }

    #[test]
    fn mixed_encodings_and_scales_in_one_stack_have_the_bits_of_their_parts() {
        let mut parts: Vec<_> =
            [(Encoding::Q4K, 300), (Encoding::Q6K, 1), (Encoding::Bf16, 500), (Encoding::F8E4M3, 77)]
                .into_iter()
                .map(|(encoding, rows)| segment(encoding, rows, rows, 512))
                .collect();
        parts[2].scale = Scale::All(0.5);
        parts[3].scale = Scale::Rows(numbers(3, 77));
        let parts: Vec<_> = parts.into_iter().map(|part| Stored::new(vec![part]).unwrap()).collect();
        let apart: Vec<_> = parts.iter().map(dense).collect();
        let x = x(40, 512);
        let want = Weight::stacked(&apart).unwrap().apply(&x).unwrap();
        let weights: Vec<_> = parts.into_iter().map(Weight::Stored).collect();
        let stack = Weight::stacked(&weights).unwrap();
        assert_eq!(stack.dims().unwrap(), (878, 512));
        assert_eq!(bits(&stack.apply(&x).unwrap()), bits(&want));
        // Among them one that is held otherwise.
        let mixed = [&weights[..3], &[apart[3].clone()]].concat();
        let mixed = Weight::stacked(&mixed).unwrap().apply(&x).unwrap();
        assert_eq!(mixed.dims(), want.dims());
        let other = [weights[0].clone(), Weight::Stored(Stored::new(vec![segment(Encoding::F32, 1, 2, 32)]).unwrap())];
        assert!(Weight::stacked(&other).is_err());
    }

    #[test]
    fn packed_matrices_agree_within_the_rounding_of_activations_and_stack_to_the_same_bits() {
        for encoding in ENCODINGS.into_iter().filter(|encoding| encoding.is_quantised()) {
            for (rows, columns) in [(64, 512), (48, 256), (7, 768), (32, encoding.block() * 3)] {
                if !Packed::can(encoding, columns) {
                    assert!(Packed::new(encoding, &[0; 72], (1, 96)).is_err());
                    continue;
                }
                let part = segment(encoding, rows, rows, columns);
                // At an odd address too.
                let mut shifted = vec![0u8];
                shifted.extend_from_slice(part.stored());
                let packed = Weight::Packed(Packed::new(encoding, &shifted[1..], (rows, columns)).unwrap());
                let dense = dense(&Stored::new(vec![part]).unwrap());
                let x = x(33, columns);
                let (got, want) = (packed.apply(&x).unwrap(), dense.apply(&x).unwrap());
                let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
                let off = norm(&(&got - &want).unwrap()) / norm(&want);
                assert!(off < 1.5e-2, "{encoding:?} {rows} x {columns}: {off}");
                let twice = Weight::stacked(&[packed.clone(), packed.clone()]).unwrap().apply(&x).unwrap();
                let apart = Tensor::cat(&[&got, &got], 1).unwrap();
                assert_eq!(bits(&twice).len(), bits(&apart).len());
                let off = norm(&(&twice - &apart).unwrap()) / norm(&want);
                assert!(off < 1e-6, "{encoding:?} {rows} x {columns} stacked: {off}");
            }
        }
        assert!(Packed::new(Encoding::Bf16, &[0; 4], (1, 2)).is_err());
        assert!(Packed::new(Encoding::Q8_0, &[0; 33], (1, 32)).is_err());
    }
}
