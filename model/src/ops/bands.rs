//! Maps of pictures that are worked out a band of rows at a time, all at once or a strip of bands after the other.
//!
//! A band is a matrix product. Which rows make a band depends on the whole picture only, so a strip has the bits that
//! the whole has.

use std::ops::Range;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::host::with_values;
use crate::Result;

/// Channels, height and width of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Size {
    /// What it takes as f32, bytes.
    pub(crate) fn bytes(self) -> u64 {
        [self.channels, self.height, self.width].iter().fold(4, |bytes: u64, side| bytes.saturating_mul(*side as u64))
    }
}

/// Where a kernel looks, relative to its pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    pub(crate) row: isize,
    pub(crate) column: isize,
}

/// What decides the bands of a map. It works on a grid of units: with a stride, output pixels; else input pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BandShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) taps: usize,
    /// Input rows and columns a unit.
    pub(crate) stride: usize,
    /// Output rows and columns a unit.
    pub(crate) enlarge: usize,
    /// Input rows that are looked at above the unit's first.
    pub(crate) above: usize,
    /// The same below it.
    pub(crate) below: usize,
}

impl BandShape {
    /// Rows and columns of units.
    fn grid(&self, input: Size) -> (usize, usize) {
        (input.height / self.stride, input.width / self.stride)
    }

    /// The size of what it makes of a picture.
    pub(crate) fn output(&self, input: Size) -> Size {
        let (height, width) = self.grid(input);
        Size { channels: self.outputs, height: self.enlarge * height, width: self.enlarge * width }
    }

    /// Rows of units in all.
    pub(crate) fn units(&self, input: Size) -> usize {
        self.grid(input).0
    }

    /// Rows of units a band.
    pub(crate) fn band(&self, input: Size) -> usize {
        /// Values of a band's matrix: what a core's second-level cache holds.
        const BAND: usize = 1 << 18;
        /// Pixels of a band: below it, packing the weights anew for every band costs too much.
        const PIXELS: usize = 256;
        let (height, width) = self.grid(input);
        (BAND / (self.inputs * self.taps).max(1)).max(PIXELS).div_ceil(width.max(1)).min(height).max(1)
    }

    /// The input rows that rows of units look at.
    pub(crate) fn sees(&self, units: &Range<usize>, input: Size) -> Range<usize> {
        let first = (units.start * self.stride).saturating_sub(self.above);
        let last = (units.end.max(1) - 1) * self.stride + self.below + 1;
        first..last.min(input.height)
    }
}

/// A map that is worked out in bands.
pub(crate) trait Banded {
    /// What decides its bands.
    fn shape(&self) -> BandShape;

    /// Some rows of units of what it makes of a picture, (o, rows, w), beginning where a band begins.
    fn rows(&self, view: &View<'_>, units: Range<usize>) -> Result<Vec<f32>>;
}

/// (b, c, h, w) -> (b, o, h', w'), in the memory of the processor.
pub(crate) fn by_bands(map: &impl Banded, x: &Tensor) -> Result<Tensor> {
    let (b, channels, height, width) = x.dims4()?;
    let (shape, size) = (map.shape(), Size { channels, height, width });
    let output = shape.output(size);
    let mut y = Vec::new();
    if b > 0 && channels == shape.inputs {
        with_values(&x.contiguous()?, |x| {
            for values in x.chunks((x.len() / b).max(1)) {
                let rows = map.rows(&View::whole(values, size), 0..shape.units(size))?;
                if y.is_empty() { y = rows } else { y.extend(rows) }
            }
            Ok(())
        })?;
    } else {
        check_channels(shape, channels)?;
    }
    Ok(Tensor::from_vec(y, (b, output.channels, output.height, output.width), x.device())?)
}

fn check_channels(shape: BandShape, channels: usize) -> Result<()> {
    match channels == shape.inputs {
        true => Ok(()),
        false => {
            let what = format!("a convolution of {} channels got {channels}", shape.inputs);
            Err(candle_core::Error::Msg(what).bt().into())
        }
    }
}

/// Rows of a picture that follow on one another, in one or several pieces.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pieces: Vec<Piece<'a>>,
    /// Of the whole picture.
    size: Size,
}

/// (c, rows, w)
#[derive(Debug)]
struct Piece<'a> {
    first: usize,
    rows: usize,
    values: &'a [f32],
}

impl<'a> View<'a> {
    /// All of a picture, (c, h, w).
    pub(crate) fn whole(values: &'a [f32], size: Size) -> Self {
        Self { pieces: vec![Piece { first: 0, rows: size.height, values }], size }
    }

    /// Pieces (c, rows, w) of a picture from row `first` on, from the top down.
    pub(crate) fn pieces(first: usize, pieces: impl Iterator<Item = &'a [f32]>, size: Size) -> Self {
        let line = (size.channels * size.width).max(1);
        let mut next = first;
        let pieces = pieces.map(|values| {
            let (first, rows) = (next, values.len() / line);
            next += rows;
            Piece { first, rows, values }
        });
        Self { pieces: pieces.collect(), size }
    }

    /// The size of the whole picture.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// One row of one channel; `None` outside of the picture.
    fn line(&self, channel: usize, row: usize) -> Option<&'a [f32]> {
        let piece = self.pieces.iter().find(|piece| row >= piece.first && row < piece.first + piece.rows)?;
        let at = (channel * piece.rows + row - piece.first) * self.size.width;
        piece.values.get(at..at + self.size.width)
    }

    /// The picture moved by every tap, zeros from outside: rows r of units of (c, h, w) -> (c taps, r w).
    pub(crate) fn columns(&self, rows: Range<usize>, taps: &[Tap], stride: usize) -> Result<Tensor> {
        let width = self.size.width / stride;
        let band = rows.len() * width;
        let mut columns = vec![0f32; self.size.channels * taps.len() * band];
        let moved = (0..self.size.channels).flat_map(|channel| taps.iter().map(move |tap| (channel, tap)));
        for (column, (channel, tap)) in columns.chunks_mut(band).zip(moved) {
            // Line 0 of a plane that was moved by one row is line 1 of the plane, and so on.
            for (line, row) in column.chunks_mut(width).zip(rows.clone()) {
                let from = (row * stride).checked_add_signed(tap.row).and_then(|from| self.line(channel, from));
                let Some(from) = from else { continue };
                let by = tap.column.unsigned_abs().min(self.size.width);
                match (stride, tap.column) {
                    (1, ..0) => line[by..].copy_from_slice(&from[..width - by]),
                    (1, 0..) => line[..width - by].copy_from_slice(&from[by..]),
                    (_, column) => {
                        for (value, at) in line.iter_mut().zip((0..).step_by(stride)) {
                            let at = usize::checked_add_signed(at, column);
                            *value = at.and_then(|at| from.get(at)).copied().unwrap_or(0.0);
                        }
                    }
                }
            }
        }
        let shape = (self.size.channels * taps.len(), band);
        Ok(Tensor::from_vec(columns, shape, &Device::Cpu)?)
    }
}

/// Calls `work` in parallel for every band among `units`, with the part of each output plane that belongs to it; returns
/// the output, (o, enlarge rows, enlarge w).
pub(crate) fn map_bands(
    view: &View<'_>,
    shape: BandShape,
    units: Range<usize>,
    work: impl Fn(Range<usize>, &mut [&mut [f32]]) -> Result<()> + Sync,
) -> Result<Vec<f32>> {
    check_channels(shape, view.size.channels)?;
    let (output, rows) = (shape.output(view.size), shape.band(view.size));
    let line = shape.enlarge * output.width;
    let mut y = vec![0f32; shape.outputs * units.len() * line];
    if y.is_empty() {
        return Ok(y);
    }
    let mut bands: Vec<Vec<&mut [f32]>> = (0..units.len().div_ceil(rows)).map(|_| Vec::new()).collect();
    for plane in y.chunks_mut(units.len() * line) {
        bands.iter_mut().zip(plane.chunks_mut(rows * line)).for_each(|(band, part)| band.push(part));
    }
    bands.into_par_iter().enumerate().try_for_each(|(n, mut planes)| {
        let first = units.start + n * rows;
        work(first..(first + rows).min(units.end), &mut planes)
    })?;
    Ok(y)
}
