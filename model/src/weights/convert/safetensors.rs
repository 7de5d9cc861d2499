//! The header of a new safetensors file.

use serde_json::{Map, json};

use super::Planned;
use crate::weights::Encoding;
use crate::{Error, Result};

/// The length of the JSON, and the JSON, filled up with spaces so that the data begin at a multiple of 8.
pub(super) fn header(tensors: &[Planned]) -> Result<Vec<u8>> {
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut from = 0;
    for tensor in tensors {
        let dtype = dtype(tensor.encoding).ok_or_else(|| {
            let what = format!("a .safetensors file cannot hold {}", tensor.encoding.name());
            Error::invalid(what, "write a .gguf, or choose f16, bf16 or f32")
        })?;
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [from, from + tensor.bytes] });
        entries.insert(tensor.composed.name.clone(), entry);
        from += tensor.bytes;
    }
    let mut json = serde_json::Value::Object(entries).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok([&(json.len() as u64).to_le_bytes()[..], &json].concat())
}

fn dtype(encoding: Encoding) -> Option<&'static str> {
    Some(match encoding {
        Encoding::F64 => "F64",
        Encoding::F32 => "F32",
        Encoding::F16 => "F16",
        Encoding::Bf16 => "BF16",
        Encoding::F8E4M3 => "F8_E4M3",
        Encoding::F8E5M2 => "F8_E5M2",
        _ => return None,
    })
}
