//! ggml's first blocks: 32 numbers with one scale d, and in those called `_1` also a minimum m.

use half::f16;

/// Numbers in a block.
pub(super) const BLOCK: usize = 32;

/// Bytes of a block: d, 4 bits a number.
pub(super) const Q4_0: usize = 18;
/// Bytes of a block: d, m, 4 bits a number.
pub(super) const Q4_1: usize = 20;
/// Bytes of a block: d, a fifth bit a number, 4 bits a number.
pub(super) const Q5_0: usize = 22;
/// Bytes of a block: d, m, a fifth bit a number, 4 bits a number.
pub(super) const Q5_1: usize = 24;
/// Bytes of a block: d, 8 bits a number.
pub(super) const Q8_0: usize = 34;

/// d (q - 8)
pub(super) fn q4_0([d0, d1, q @ ..]: &[u8; Q4_0], values: &mut [f32; BLOCK]) {
    let d = scale([*d0, *d1]);
    halves(q, values, |q, _| f32::from(q as i8 - 8) * d);
}

/// d q + m
pub(super) fn q4_1([d0, d1, m0, m1, q @ ..]: &[u8; Q4_1], values: &mut [f32; BLOCK]) {
    let (d, m) = (scale([*d0, *d1]), scale([*m0, *m1]));
    halves(q, values, |q, _| f32::from(q) * d + m);
}

/// d (q - 16)
pub(super) fn q5_0([d0, d1, h0, h1, h2, h3, q @ ..]: &[u8; Q5_0], values: &mut [f32; BLOCK]) {
    let (d, high) = (scale([*d0, *d1]), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
    halves(q, values, |q, at| f32::from((q | fifth(high, at)) as i8 - 16) * d);
}

/// d q + m
pub(super) fn q5_1([d0, d1, m0, m1, h0, h1, h2, h3, q @ ..]: &[u8; Q5_1], values: &mut [f32; BLOCK]) {
    let (d, m, high) = (scale([*d0, *d1]), scale([*m0, *m1]), u32::from_le_bytes([*h0, *h1, *h2, *h3]));
    halves(q, values, |q, at| f32::from(q | fifth(high, at)) * d + m);
}

/// d q
pub(super) fn q8_0([d0, d1, q @ ..]: &[u8; Q8_0], values: &mut [f32; BLOCK]) {
    let d = scale([*d0, *d1]);
    for (value, q) in values.iter_mut().zip(q) {
        *value = f32::from(*q as i8) * d;
    }
}

/// A number of 16 bits, of which blocks have one or two.
pub(super) fn scale(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

/// The lower 4 bits of every byte are the numbers of the first half, the upper ones those of the second. `value` is
/// given the 4 bits and the number's place.
fn halves(q: &[u8; BLOCK / 2], values: &mut [f32; BLOCK], value: impl Fn(u8, usize) -> f32) {
    let (first, second) = values.split_at_mut(BLOCK / 2);
    for (at, ((first, second), q)) in first.iter_mut().zip(second).zip(q).enumerate() {
        *first = value(q & 0x0f, at);
        *second = value(q >> 4, at + BLOCK / 2);
    }
}

/// The fifth bit of the number at a place, where a fifth bit belongs.
fn fifth(high: u32, at: usize) -> u8 {
    ((high >> at & 1) << 4) as u8
}
