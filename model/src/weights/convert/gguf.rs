//! The header of a new GGUF file, as city96/ComfyUI-GGUF and leejet/stable-diffusion.cpp read it.

use super::Planned;
use crate::weights::Encoding;
use crate::weights::gguf::{ALIGNMENT, MAGIC, TYPES};

/// Kinds of values (ggml `docs/gguf.md`, `gguf_metadata_value_type`).
const U32: u32 = 4;
const TEXT: u32 = 8;

/// Version 3, what the model is, and the tensors in their order.
pub(super) fn header(architecture: &str, encoding: Option<Encoding>, tensors: &[Planned]) -> Vec<u8> {
    let mut facts = vec![("general.architecture", [&TEXT.to_le_bytes()[..], &text(architecture)].concat())];
    facts.push(("general.quantization_version", [U32.to_le_bytes(), 2u32.to_le_bytes()].concat()));
    if let Some(kind) = encoding.and_then(file_type) {
        facts.push(("general.file_type", [U32.to_le_bytes(), kind.to_le_bytes()].concat()));
    }
    let mut header = [MAGIC, &3u32.to_le_bytes()].concat();
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((facts.len() as u64).to_le_bytes());
    for (key, value) in facts {
        header.extend(text(key));
        header.extend(value);
    }
    let mut offset = 0usize;
    for tensor in tensors {
        header.extend(text(&tensor.composed.name));
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().rev().for_each(|size| header.extend((*size as u64).to_le_bytes()));
        let number = TYPES.iter().find(|(_, encoding)| *encoding == tensor.encoding).map_or(0, |(number, _)| *number);
        header.extend(number.to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset = (offset + tensor.bytes).next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
    header
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// llama.cpp's number for files of mostly this encoding (ggml-org/llama.cpp `include/llama.h`, `enum llama_ftype`; of
/// the K-quants those called small, which have one encoding for all).
fn file_type(encoding: Encoding) -> Option<u32> {
    Some(match encoding {
        Encoding::F32 => 0,
        Encoding::F16 => 1,
        Encoding::Q4_0 => 2,
        Encoding::Q4_1 => 3,
        Encoding::Q8_0 => 7,
        Encoding::Q5_0 => 8,
        Encoding::Q5_1 => 9,
        Encoding::Q2K => 10,
        Encoding::Q3K => 11,
        Encoding::Q4K => 14,
        Encoding::Q5K => 16,
        Encoding::Q6K => 18,
        Encoding::Bf16 => 32,
        Encoding::F64 | Encoding::F8E4M3 | Encoding::F8E5M2 => return None,
    })
}
