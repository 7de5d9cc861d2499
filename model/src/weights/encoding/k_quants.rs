//! ggml's larger blocks, "K-quants" (ggml-org/llama.cpp pull request 1684): 256 numbers in groups of 16 or 32, whose
//! scales and minima are themselves small integers, with one scale d for the scales and one for the minima.

use super::legacy::scale;

/// Numbers in a block.
pub(super) const BLOCK: usize = 256;

/// Bytes of a block: 16 pairs of 4 bits, 2 bits a number, two scales.
pub(super) const Q2_K: usize = 16 + 64 + 4;
/// Bytes of a block: a third bit a number, 2 bits a number, 16 scales of 6 bits, d.
pub(super) const Q3_K: usize = 32 + 64 + 12 + 2;
/// Bytes of a block: two scales, 8 pairs of 6 bits, 4 bits a number.
pub(super) const Q4_K: usize = 4 + 12 + 128;
/// Bytes of a block: two scales, 8 pairs of 6 bits, a fifth bit a number, 4 bits a number.
pub(super) const Q5_K: usize = 4 + 12 + 32 + 128;
/// Bytes of a block: 4 bits a number, 2 bits a number, 16 scales of 8 bits, d.
pub(super) const Q6_K: usize = 128 + 64 + 16 + 2;

/// (d s) q - (dmin m), by 16
pub(super) fn q2_k(block: &[u8; Q2_K], values: &mut [f32; BLOCK]) {
    let (scales, block) = head::<16>(block);
    let (q, block) = head::<64>(block);
    let (d, dmin) = two_scales(block);
    // 32 bytes hold 128 numbers: those of the lowest two bits first.
    let groups = values.as_chunks_mut::<16>().0.iter_mut().zip(scales).enumerate();
    for (group, (values, pair)) in groups {
        let (s, m) = (d * f32::from(pair & 15), dmin * f32::from(pair >> 4));
        let (bytes, shift) = quarter(q, group);
        for (value, q) in values.iter_mut().zip(bytes) {
            *value = s * f32::from(q >> shift & 3) - m;
        }
    }
}

/// d (s - 32) (q - 4), by 16; the third bit says that 4 is not taken off
pub(super) fn q3_k(block: &[u8; Q3_K], values: &mut [f32; BLOCK]) {
    let (high, block) = head::<32>(block);
    let (q, block) = head::<64>(block);
    let (packed, block) = head::<12>(block);
    let d = scale(*head::<2>(block).0);
    for (group, values) in values.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let s = d * (f32::from(sixteen_of_six_bits(packed, group)) - 32.0);
        let (bytes, shift) = quarter(q, group);
        // One bit of each of the 32 bytes belongs to one run of 32 numbers.
        let bit = 1 << (group / 2);
        let high = high.as_chunks::<16>().0.iter().cycle().nth(group % 2).unwrap_or(&[0; 16]);
        for ((value, q), high) in values.iter_mut().zip(bytes).zip(high) {
            let missing = if high & bit == 0 { 4 } else { 0 };
            *value = s * f32::from((q >> shift & 3) as i8 - missing);
        }
    }
}

/// (d s) q - (dmin m), by 32
pub(super) fn q4_k(block: &[u8; Q4_K], values: &mut [f32; BLOCK]) {
    let (ds, block) = head::<4>(block);
    let (packed, block) = head::<12>(block);
    let (q, _) = head::<128>(block);
    let (d, dmin) = two_scales(ds);
    // 32 bytes hold 64 numbers: those of the lower 4 bits first.
    for (run, (values, q)) in values.as_chunks_mut::<64>().0.iter_mut().zip(q.as_chunks::<32>().0).enumerate() {
        let (low, high) = values.split_at_mut(32);
        let (s, m) = scaled_pair(packed, 2 * run, d, dmin);
        for (value, q) in low.iter_mut().zip(q) {
            *value = s * f32::from(q & 15) - m;
        }
        let (s, m) = scaled_pair(packed, 2 * run + 1, d, dmin);
        for (value, q) in high.iter_mut().zip(q) {
            *value = s * f32::from(q >> 4) - m;
        }
    }
}

/// (d s) q - (dmin m), by 32
pub(super) fn q5_k(block: &[u8; Q5_K], values: &mut [f32; BLOCK]) {
    let (ds, block) = head::<4>(block);
    let (packed, block) = head::<12>(block);
    let (fifth, block) = head::<32>(block);
    let (q, _) = head::<128>(block);
    let (d, dmin) = two_scales(ds);
    for (run, (values, q)) in values.as_chunks_mut::<64>().0.iter_mut().zip(q.as_chunks::<32>().0).enumerate() {
        let (low, high) = values.split_at_mut(32);
        // Two bits of each of the 32 bytes belong to one run of 64 numbers.
        let (s, m) = scaled_pair(packed, 2 * run, d, dmin);
        for ((value, q), fifth) in low.iter_mut().zip(q).zip(fifth) {
            *value = s * f32::from(q & 15 | (fifth >> (2 * run) & 1) << 4) - m;
        }
        let (s, m) = scaled_pair(packed, 2 * run + 1, d, dmin);
        for ((value, q), fifth) in high.iter_mut().zip(q).zip(fifth) {
            *value = s * f32::from(q >> 4 | (fifth >> (2 * run + 1) & 1) << 4) - m;
        }
    }
}

/// (d s) (q - 32), by 16
pub(super) fn q6_k(block: &[u8; Q6_K], values: &mut [f32; BLOCK]) {
    let (low, block) = head::<128>(block);
    let (high, block) = head::<64>(block);
    let (scales, block) = head::<16>(block);
    let d = scale(*head::<2>(block).0);
    let halves = values.as_chunks_mut::<128>().0.iter_mut().zip(low.as_chunks::<64>().0);
    let halves = halves.zip(high.as_chunks::<32>().0).zip(scales.as_chunks::<8>().0);
    for (((values, low), high), scales) in halves {
        let (first, second) = low.split_at(32);
        // Four runs of 32: the lower 4 bits of the first and second 32 bytes, then the upper ones.
        for (run, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low = if run % 2 == 0 { first } else { second };
            let (low_shift, high_shift) = (run / 2 * 4, run * 2);
            let scales = scales.iter().skip(2 * run);
            let groups = values.as_chunks_mut::<16>().0.iter_mut().zip(low.as_chunks::<16>().0);
            for (((values, low), high), s) in groups.zip(high.as_chunks::<16>().0).zip(scales) {
                let s = d * f32::from(*s as i8);
                for ((value, low), high) in values.iter_mut().zip(low).zip(high) {
                    let q = low >> low_shift & 15 | (high >> high_shift & 3) << 4;
                    *value = s * f32::from(q as i8 - 32);
                }
            }
        }
    }
}

/// The first bytes of a block, and the others. A block's layout adds up to its length.
fn head<const N: usize>(bytes: &[u8]) -> (&[u8; N], &[u8]) {
    bytes.split_first_chunk().unwrap_or((&[0; N], &[]))
}

/// d and dmin.
fn two_scales(bytes: &[u8]) -> (f32, f32) {
    let (d, rest) = head::<2>(bytes);
    (scale(*d), scale(*head::<2>(rest).0))
}

/// The 16 bytes that a group of 16 numbers has two bits in, and where in each byte: 32 bytes hold 128 numbers, those of
/// the lowest two bits first.
fn quarter(q: &[u8; 64], group: usize) -> (&[u8], usize) {
    let first = group / 8 * 32 + group % 2 * 16;
    (q.get(first..first + 16).unwrap_or_default(), group % 8 / 2 * 2)
}

/// One of 16 numbers of 6 bits in 12 bytes: 4 bits each in the first 8 bytes, 2 bits each in the last 4.
fn sixteen_of_six_bits(packed: &[u8; 12], at: usize) -> u8 {
    let low = packed[at % 8] >> (at / 8 * 4) & 15;
    let high = packed[8 + at % 4] >> (at / 4 * 2) & 3;
    low | high << 4
}

/// One of 8 pairs of 6 bits in 12 bytes, a scale and a minimum, scaled. The first four pairs have 6 bits in one byte;
/// the upper 2 bits of those bytes belong to the others, which have their lower 4 in the last four bytes.
fn scaled_pair(packed: &[u8; 12], at: usize, d: f32, dmin: f32) -> (f32, f32) {
    let (scales, minima, both) = (&packed[..4], &packed[4..8], &packed[8..]);
    let (s, m) = match at {
        0..4 => (scales[at] & 63, minima[at] & 63),
        _ => {
            let at = at % 4;
            (both[at] & 15 | scales[at] >> 6 << 4, both[at] >> 4 | minima[at] >> 6 << 4)
        }
    };
    (d * f32::from(s), dmin * f32::from(m))
}
