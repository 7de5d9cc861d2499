//! How numbers are stored in weight files: plain numbers, 8-bit floats, and ggml's blocks of small integers.
//!
//! Decoding is ours and exact. It is the definition of ggml (ggml-org/llama.cpp `ggml-quants.c`), in the order of
//! operations that candle's `quantized/k_quants.rs` has, so that both give the same bits; a test compares them.

mod encode;
mod float8;
mod k_quants;
mod legacy;

use half::{bf16, f16};

/// How the numbers of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encoding {
    /// IEEE 754 double precision.
    F64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// 4 bits of exponent, 3 of mantissa, no infinities (Micikevicius et al. 2022, <https://arxiv.org/abs/2209.05433>;
    /// torch's `float8_e4m3fn`).
    F8E4M3,
    /// 5 bits of exponent, 2 of mantissa: the upper half of an f16 (torch's `float8_e5m2`).
    F8E5M2,
    /// 32 numbers of 4 bits, d q.
    Q4_0,
    /// 32 numbers of 4 bits, d q + m.
    Q4_1,
    /// 32 numbers of 5 bits, d q.
    Q5_0,
    /// 32 numbers of 5 bits, d q + m.
    Q5_1,
    /// 32 numbers of 8 bits, d q.
    Q8_0,
    /// 256 numbers of 2 bits, by 16 with scale and minimum of 4 bits.
    Q2K,
    /// 256 numbers of 3 bits, by 16 with a scale of 6 bits.
    Q3K,
    /// 256 numbers of 4 bits, by 32 with scale and minimum of 6 bits.
    Q4K,
    /// 256 numbers of 5 bits, by 32 with scale and minimum of 6 bits.
    Q5K,
    /// 256 numbers of 6 bits, by 16 with a scale of 8 bits.
    Q6K,
}

/// Every encoding, the widest first.
pub const ENCODINGS: [Encoding; 16] = [
    Encoding::F64,
    Encoding::F32,
    Encoding::F16,
    Encoding::Bf16,
    Encoding::F8E4M3,
    Encoding::F8E5M2,
    Encoding::Q8_0,
    Encoding::Q6K,
    Encoding::Q5_1,
    Encoding::Q5K,
    Encoding::Q5_0,
    Encoding::Q4_1,
    Encoding::Q4K,
    Encoding::Q4_0,
    Encoding::Q3K,
    Encoding::Q2K,
];

impl Encoding {
    /// Its name in lower case, as in `bf16` or `q4_k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F8E4M3 => "f8_e4m3",
            Self::F8E5M2 => "f8_e5m2",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Q2K => "q2_k",
            Self::Q3K => "q3_k",
            Self::Q4K => "q4_k",
            Self::Q5K => "q5_k",
            Self::Q6K => "q6_k",
        }
    }

    /// The encoding of this name.
    pub fn named(name: &str) -> Option<Self> {
        ENCODINGS.into_iter().find(|encoding| encoding.name() == name)
    }

    /// How many numbers are stored together; rows are whole blocks.
    pub fn block(self) -> usize {
        match self {
            Self::F64 | Self::F32 | Self::F16 | Self::Bf16 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => legacy::BLOCK,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => k_quants::BLOCK,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::Q4_0 => legacy::Q4_0,
            Self::Q4_1 => legacy::Q4_1,
            Self::Q5_0 => legacy::Q5_0,
            Self::Q5_1 => legacy::Q5_1,
            Self::Q8_0 => legacy::Q8_0,
            Self::Q2K => k_quants::Q2_K,
            Self::Q3K => k_quants::Q3_K,
            Self::Q4K => k_quants::Q4_K,
            Self::Q5K => k_quants::Q5_K,
            Self::Q6K => k_quants::Q6_K,
        }
    }

    /// Whether it is one of ggml's, with a scale a block.
    pub fn is_quantised(self) -> bool {
        self.block() > 1
    }

    /// Bytes of so many numbers; `None` if they are no whole blocks, or too many.
    pub fn bytes(self, numbers: usize) -> Option<usize> {
        let blocks = numbers.is_multiple_of(self.block()).then(|| numbers / self.block())?;
        blocks.checked_mul(self.block_bytes())
    }

    /// Appends the numbers stored in `bytes`, whole blocks, to `values`.
    pub fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        let (before, numbers) = (values.len(), bytes.len() / self.block_bytes() * self.block());
        values.resize(before + numbers, 0.0);
        self.decode_into(bytes, values.get_mut(before..).unwrap_or_default());
    }

    /// The numbers stored in `bytes`, whole blocks. What has no place in `values` is left out.
    pub fn decode_into(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::F64 => each(bytes, values, |b| f64::from_le_bytes(*b) as f32),
            Self::F32 => each(bytes, values, |b| f32::from_le_bytes(*b)),
            Self::F16 => each(bytes, values, |b| f16::from_le_bytes(*b).to_f32()),
            Self::Bf16 => each(bytes, values, |b| bf16::from_le_bytes(*b).to_f32()),
            Self::F8E4M3 => each(bytes, values, |[b]: &[u8; 1]| float8::e4m3(*b)),
            Self::F8E5M2 => each(bytes, values, |[b]: &[u8; 1]| float8::e5m2(*b)),
            Self::Q4_0 => blocks(bytes, values, legacy::q4_0),
            Self::Q4_1 => blocks(bytes, values, legacy::q4_1),
            Self::Q5_0 => blocks(bytes, values, legacy::q5_0),
            Self::Q5_1 => blocks(bytes, values, legacy::q5_1),
            Self::Q8_0 => blocks(bytes, values, legacy::q8_0),
            Self::Q2K => blocks(bytes, values, k_quants::q2_k),
            Self::Q3K => blocks(bytes, values, k_quants::q3_k),
            Self::Q4K => blocks(bytes, values, k_quants::q4_k),
            Self::Q5K => blocks(bytes, values, k_quants::q5_k),
            Self::Q6K => blocks(bytes, values, k_quants::q6_k),
        }
    }
}

/// Numbers that are stored one by one, in N bytes each.
fn each<const N: usize>(bytes: &[u8], values: &mut [f32], decode: impl Fn(&[u8; N]) -> f32) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = decode(bytes);
    }
}

/// Blocks of B numbers in N bytes.
fn blocks<const N: usize, const B: usize>(bytes: &[u8], values: &mut [f32], decode: impl Fn(&[u8; N], &mut [f32; B])) {
    for (values, bytes) in values.as_chunks_mut().0.iter_mut().zip(bytes.as_chunks().0) {
        decode(bytes, values);
    }
}
