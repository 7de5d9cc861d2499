//! Where a token is.

use candle_core::Device;

use crate::Result;
use crate::ops::rope::Rotary;

const THETA: f64 = 10_000.0;

/// The rotations of a sequence: `text` text tokens, all at (0, 0, 0), then the image tokens of `rows` x `columns` in
/// reading order at (0, row, column) (black-forest-labs/flux `sampling.py:41-60`). `axes` are the channels of a head
/// that each of the three turns.
///
/// # Errors
/// [`crate::Error::Tensor`] if the device refuses.
pub fn positions(axes: [usize; 3], text: usize, (rows, columns): (usize, usize), device: &Device) -> Result<Rotary> {
    let image = (0..rows).flat_map(|row| (0..columns).map(move |column| [0.0, row as f64, column as f64]));
    let positions: Vec<[f64; 3]> = std::iter::repeat_n([0.0; 3], text).chain(image).collect();
    Rotary::new(&positions, axes, THETA, device)
}
