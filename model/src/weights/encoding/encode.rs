//! The way back: numbers to bytes. ggml's blocks are made by candle, whose choice of scales is the one of llama.cpp's
//! first versions; how good they are is not ours to improve, how they are read is.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;

use super::{Encoding, float8};
use crate::{Error, Result};

/// Numbers that one thread encodes at a time: whole blocks of every encoding.
const STRETCH: usize = 1 << 16;

impl Encoding {
    /// The bytes of `values`, whole blocks. Every block depends on its own numbers only, so that rows may be encoded
    /// together or apart.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `values` are no whole blocks, or if a block holds what is not a finite number.
    pub fn encode(self, values: &[f32]) -> Result<Vec<u8>> {
        if self.bytes(values.len()).is_none() {
            let (numbers, block, name) = (values.len(), self.block(), self.name());
            let what = format!("{numbers} numbers are no whole blocks of {block}, as {name} needs them");
            return Err(Error::invalid(what, "choose another encoding"));
        }
        if self.is_quantised() && values.iter().any(|value| !value.is_finite()) {
            let what = format!("a value that is not a finite number cannot be stored as {}", self.name());
            return Err(Error::invalid(what, "choose f32, f16 or bf16, or another checkpoint"));
        }
        let stretches: Vec<_> = values.par_chunks(STRETCH).map(|values| self.stretch(values)).collect::<Result<_>>()?;
        Ok(stretches.concat())
    }

    fn stretch(self, values: &[f32]) -> Result<Vec<u8>> {
        let all = values.iter();
        Ok(match self {
            Self::F64 => all.flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
            Self::F32 => all.flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => all.flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            Self::Bf16 => all.flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            Self::F8E4M3 => all.map(|v| float8::to_e4m3(*v)).collect(),
            Self::F8E5M2 => all.map(|v| float8::to_e5m2(*v)).collect(),
            _ => {
                let Some(dtype) = self.ggml() else { return Ok(Vec::new()) };
                let values = self.uneven(values);
                let values = Tensor::from_slice(&values, values.len(), &Device::Cpu)?;
                QTensor::quantize(&values, dtype)?.data()?.into_owned()
            }
        })
    }

    /// `values` with no group of equal ones in it. Where scale and minimum are chosen by group, candle takes equal numbers
    /// for zeros (candle-core 0.11.1 `quantized/utils.rs:239`); a millionth less of one of them shows it what they are.
    fn uneven(self, values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        let group = match self {
            Self::Q2K => 16,
            Self::Q4K | Self::Q5K => 32,
            _ => return values,
        };
        for group in values.chunks_mut(group) {
            if let [first, rest @ ..] = group
                && rest.iter().all(|value| value == first)
            {
                *first *= 1.0 - 1e-6;
            }
        }
        values
    }

    /// candle's name for it; `None` for those that are not ggml's blocks.
    pub(crate) fn ggml(self) -> Option<GgmlDType> {
        Some(match self {
            Self::F64 | Self::F32 | Self::F16 | Self::Bf16 | Self::F8E4M3 | Self::F8E5M2 => return None,
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::Q5_0 => GgmlDType::Q5_0,
            Self::Q5_1 => GgmlDType::Q5_1,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q2K => GgmlDType::Q2K,
            Self::Q3K => GgmlDType::Q3K,
            Self::Q4K => GgmlDType::Q4K,
            Self::Q5K => GgmlDType::Q5K,
            Self::Q6K => GgmlDType::Q6K,
        })
    }

    /// This encoding, or the next one in whose blocks rows of `width` numbers can be stored: where 256 do not divide
    /// them, the block of 32 that llama.cpp takes (ggml-org/llama.cpp `llama-quant.cpp`,
    /// `llama_tensor_get_type_fallback`; for its `iq4_nl`, which few programs read, `q4_0`); where 32 do not either, f16.
    pub fn for_width(self, width: usize) -> Self {
        let smaller = match self {
            _ if width.is_multiple_of(self.block()) => return self,
            Self::Q2K | Self::Q3K => Self::Q4_0,
            Self::Q4K => Self::Q5_0,
            Self::Q5K => Self::Q5_1,
            Self::Q6K => Self::Q8_0,
            _ => Self::F16,
        };
        smaller.for_width(width)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{QStorage, QTensor};
    use candle_core::{Device, Tensor};
    use std::borrow::Cow;

    use super::super::ENCODINGS;
    use super::Encoding;

    /// Bytes and numbers that look random and are the same everywhere (Knuth's MMIX generator).
    fn scrambled(seed: u64) -> impl Iterator<Item = u64> {
        let next =
            |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        std::iter::successors(Some(seed), next).skip(1).map(|state| state >> 33)
    }

    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        scrambled(seed).map(|v| (v as f32 / (1u64 << 30) as f32 - 1.0) * 0.3).take(count).collect()
    }

    /// What candle makes of the bytes.
    fn by_candle(encoding: Encoding, bytes: &[u8]) -> Vec<f32> {
        let numbers = bytes.len() / encoding.block_bytes() * encoding.block();
        // candle wants its blocks at even addresses.
        let mut apart = vec![0; bytes.len() + 4];
        let at = apart.as_ptr().align_offset(4);
        apart[at..at + bytes.len()].copy_from_slice(bytes);
        let data = Cow::Borrowed(&apart[at..at + bytes.len()]);
        let storage = QStorage::from_data(data, &Device::Cpu, encoding.ggml().unwrap()).unwrap();
        let tensor = QTensor::new(storage, numbers).unwrap().dequantize(&Device::Cpu).unwrap();
        tensor.to_vec1().unwrap()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        // A NaN is a NaN, whatever its payload.
        values.iter().map(|v| if v.is_nan() { u32::MAX } else { v.to_bits() }).collect()
    }

    #[test]
    fn any_bytes_decode_to_the_bits_that_candle_makes_of_them() {
        for encoding in ENCODINGS.into_iter().filter(|encoding| encoding.is_quantised()) {
            let bytes: Vec<u8> = scrambled(7).map(|v| v as u8).take(500 * encoding.block_bytes()).collect();
            let mut values = Vec::new();
            encoding.decode(&bytes, &mut values);
            assert_eq!(values.len(), 500 * encoding.block());
            assert!(values.iter().filter(|v| v.is_finite()).count() > values.len() / 2, "{encoding:?}");
            assert_eq!(bits(&values), bits(&by_candle(encoding, &bytes)), "{encoding:?}");
        }
    }

    #[test]
    fn plain_numbers_come_back_as_they_were_or_as_candle_rounds_them() {
        let values = numbers(3, 1000);
        let tensor = Tensor::from_slice(&values, 1000, &Device::Cpu).unwrap();
        for (encoding, dtype) in [
            (Encoding::F64, candle_core::DType::F64),
            (Encoding::F32, candle_core::DType::F32),
            (Encoding::F16, candle_core::DType::F16),
            (Encoding::Bf16, candle_core::DType::BF16),
            (Encoding::F8E4M3, candle_core::DType::F8E4M3),
        ] {
            let mut back = Vec::new();
            encoding.decode(&encoding.encode(&values).unwrap(), &mut back);
            let want: Vec<f32> =
                tensor.to_dtype(dtype).unwrap().to_dtype(candle_core::DType::F32).unwrap().to_vec1().unwrap();
            assert_eq!(bits(&back), bits(&want), "{encoding:?}");
        }
    }

    #[test]
    fn what_is_encoded_lies_as_near_as_so_many_bits_allow() {
        let values = numbers(5, 256 * 40);
        let size = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        for (encoding, largest) in [
            (Encoding::F16, 3e-4),
            (Encoding::Bf16, 3e-3),
            (Encoding::F8E4M3, 3e-2),
            (Encoding::F8E5M2, 6e-2),
            (Encoding::Q8_0, 5e-3),
            (Encoding::Q6K, 2e-2),
            (Encoding::Q5K, 4e-2),
            (Encoding::Q5_0, 4e-2),
            (Encoding::Q5_1, 4e-2),
            (Encoding::Q4K, 8e-2),
            (Encoding::Q4_0, 8e-2),
            (Encoding::Q4_1, 8e-2),
            (Encoding::Q3K, 0.2),
            (Encoding::Q2K, 0.4),
        ] {
            let bytes = encoding.encode(&values).unwrap();
            assert_eq!(Some(bytes.len()), encoding.bytes(values.len()));
            let mut back = Vec::new();
            encoding.decode(&bytes, &mut back);
            let off = values.iter().zip(&back).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            let off = (off / size).sqrt();
            println!("{}: {off:.1e}", encoding.name());
            assert!(off < largest && off > largest / 30.0, "{encoding:?}: {off}");
        }
    }

    #[test]
    fn rows_are_encoded_together_as_they_are_apart() {
        let values = numbers(11, 3 * super::STRETCH + 512);
        for encoding in ENCODINGS {
            let whole = encoding.encode(&values).unwrap();
            let apart: Vec<u8> = values.chunks(256).flat_map(|row| encoding.encode(row).unwrap()).collect();
            assert_eq!(whole, apart, "{encoding:?}");
        }
    }

    #[test]
    fn no_numbers_make_the_encoder_panic() {
        for hard in [0.0, -0.0, 1.0, -3.5, f32::MIN_POSITIVE, 1e-42, 1e30, f32::MAX, f32::MIN] {
            for encoding in ENCODINGS {
                let mut values = vec![hard; 512];
                assert!(encoding.encode(&values).is_ok());
                values[300] = f32::NAN;
                assert_eq!(encoding.encode(&values).is_ok(), !encoding.is_quantised(), "{encoding:?}");
            }
        }
        assert!(Encoding::Q4_0.encode(&[0.0; 31]).is_err());
    }

    #[test]
    fn equal_numbers_are_not_taken_for_zeros() {
        for value in [0.75, -0.3, 1e-3, -2000.0] {
            for encoding in ENCODINGS.into_iter().filter(|encoding| encoding.is_quantised()) {
                let mut back = Vec::new();
                encoding.decode(&encoding.encode(&vec![value; 512]).unwrap(), &mut back);
                let worst = back.iter().map(|got| (got - value).abs() / value.abs()).fold(0.0, f32::max);
                assert!(worst < 0.15, "{encoding:?} makes {} of {value}", back[0]);
            }
        }
    }

    #[test]
    fn a_width_that_the_blocks_do_not_divide_falls_back_as_llama_cpp_does() {
        for (encoding, width, falls) in [
            (Encoding::Q4K, 3072, Encoding::Q4K),
            (Encoding::Q2K, 2432, Encoding::Q4_0),
            (Encoding::Q3K, 2432, Encoding::Q4_0),
            (Encoding::Q4K, 2432, Encoding::Q5_0),
            (Encoding::Q5K, 2432, Encoding::Q5_1),
            (Encoding::Q6K, 2432, Encoding::Q8_0),
            (Encoding::Q6K, 48, Encoding::F16),
            (Encoding::Q8_0, 2432, Encoding::Q8_0),
            (Encoding::Q8_0, 16, Encoding::F16),
            (Encoding::F8E4M3, 7, Encoding::F8E4M3),
        ] {
            assert_eq!(encoding.for_width(width), falls);
        }
    }
}
