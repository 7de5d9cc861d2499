//! GGUF files, written for tests: right ones, and wrong ones by what is written over them.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use flowline_model::weights::Encoding;

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub struct Gguf {
    /// Keys with the bytes of their kind and value.
    pub facts: Vec<(String, Vec<u8>)>,
    /// Name, shape with the slowest dimension first, ggml's number of the type, bytes.
    pub tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

/// ggml's numbers of its types.
const TYPES: [(Encoding, u32); 14] = [
    (Encoding::F32, 0),
    (Encoding::F16, 1),
    (Encoding::Q4_0, 2),
    (Encoding::Q4_1, 3),
    (Encoding::Q5_0, 6),
    (Encoding::Q5_1, 7),
    (Encoding::Q8_0, 8),
    (Encoding::Q2K, 10),
    (Encoding::Q3K, 11),
    (Encoding::Q4K, 12),
    (Encoding::Q5K, 13),
    (Encoding::Q6K, 14),
    (Encoding::F64, 28),
    (Encoding::Bf16, 30),
];

pub fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Gguf {
    /// Adds a key with a text.
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.facts.push((key.into(), [&8u32.to_le_bytes()[..], &text(value)].concat()));
        self
    }

    /// Adds a key with a whole number.
    pub fn whole(mut self, key: &str, value: u32) -> Self {
        self.facts.push((key.into(), [4u32.to_le_bytes(), value.to_le_bytes()].concat()));
        self
    }

    /// Adds a key with a list of whole numbers.
    pub fn list(mut self, key: &str, values: &[i32]) -> Self {
        let mut bytes = [&9u32.to_le_bytes()[..], &5u32.to_le_bytes(), &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.facts.push((key.into(), bytes));
        self
    }

    /// Adds a tensor of these numbers.
    pub fn tensor(mut self, name: &str, shape: &[usize], encoding: Encoding, values: &[f32]) -> Self {
        let kind = TYPES.iter().find(|(known, _)| *known == encoding).unwrap().1;
        self.tensors.push((name.into(), shape.to_vec(), kind, encoding.encode(values).unwrap()));
        self
    }

    /// All `tensors`: matrices in blocks as `encoding` if their rows can be, else as f16; all else as f32.
    pub fn of(tensors: &BTreeMap<String, Tensor>, encoding: Encoding) -> Self {
        tensors.iter().fold(Self::default(), |file, (name, x)| {
            let values: Vec<f32> = x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let encoding = match x.dims() {
                [_, width] if name.contains("blocks.") => encoding.for_width(*width),
                _ => Encoding::F32,
            };
            file.tensor(name, x.dims(), encoding, &values)
        })
    }

    /// The bytes of the file, its tensors at multiples of `alignment`.
    pub fn bytes(&self, alignment: usize) -> Vec<u8> {
        let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.facts.len() as u64).to_le_bytes());
        for (key, value) in &self.facts {
            bytes.extend([text(key), value.clone()].concat());
        }
        let mut offset = 0;
        for (name, shape, kind, data) in &self.tensors {
            bytes.extend(text(name));
            bytes.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|size| bytes.extend((*size as u64).to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend((offset as u64).to_le_bytes());
            offset = (offset + data.len()).next_multiple_of(alignment);
        }
        for (.., data) in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(alignment), 0);
            bytes.extend(data);
        }
        bytes
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes(32)).unwrap();
    }
}
