//! The header of a safetensors file.
//!
//! Format: <https://github.com/huggingface/safetensors>, an 8-byte little-endian header length, a JSON header, the data.

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors};

use super::Encoding;
use super::header::{Fact, Header, Stored, count};

/// Reads and checks the header of a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn header(file: &[u8]) -> Result<Header, String> {
    let (header_len, header) = SafeTensors::read_metadata(file).map_err(|error| match error {
        SafeTensorError::MetadataIncompleteBuffer => format!(
            "the header promises other data than the {} bytes that are there; the file is truncated or was changed",
            file.len()
        ),
        error => format!("not a safetensors file ({error})"),
    })?;
    let start = header_len + size_of::<u64>();
    let stored = header.tensors().into_iter().map(|(name, info)| {
        let (from, to) = info.data_offsets;
        count(&info.shape).map_err(|what| format!("tensor '{name}' {what}"))?;
        let encoding = encoding(info.dtype).ok_or_else(|| format!("{:?}", info.dtype));
        Ok((name, Stored { shape: info.shape.clone(), encoding, range: start + from..start + to }))
    });
    let facts = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), Fact::Text(value.clone())));
    Ok(Header { tensors: stored.collect::<Result<_, String>>()?, facts: facts.collect() })
}

fn encoding(dtype: Dtype) -> Option<Encoding> {
    Some(match dtype {
        Dtype::F64 => Encoding::F64,
        Dtype::F32 => Encoding::F32,
        Dtype::F16 => Encoding::F16,
        Dtype::BF16 => Encoding::Bf16,
        Dtype::F8_E4M3 => Encoding::F8E4M3,
        Dtype::F8_E5M2 => Encoding::F8E5M2,
        _ => return None,
    })
}
