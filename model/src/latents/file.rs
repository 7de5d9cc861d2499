//! Latents as files: safetensors, so that other programs read them.

use std::collections::HashMap;

use candle_core::{DType, Device};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::Latents;
use crate::{Error, Result};

/// The one tensor of a file that [`Latents::save`] wrote.
const NAME: &str = "latents";

impl Latents {
    /// The bytes of a safetensors file that holds them as `latents`.
    ///
    /// # Errors
    /// If the values cannot be read back.
    pub fn save(&self) -> Result<Vec<u8>> {
        write(&[(NAME.to_owned(), self)], None)
    }

    /// Reads what [`Latents::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the bytes are no such file or hold a value that is not a finite number.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: String| Error::invalid(what, "the file is damaged or holds something else; make it again");
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(format!("not a safetensors file ({e})")))?;
        let view = file.tensor(NAME).map_err(|_| damaged(format!("the file holds no tensor '{NAME}'")))?;
        of_view(&view).map_err(|what| damaged(format!("tensor '{NAME}' {what}")))
    }

    /// The values as they stand in a file: f32, little-endian.
    ///
    /// # Errors
    /// If the values cannot be read back.
    pub(crate) fn to_le_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.values()?.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// A safetensors file of `named` latents, and text under one key beside them: of several, the order would vary.
pub(crate) fn write(named: &[(String, &Latents)], text: Option<(&str, String)>) -> Result<Vec<u8>> {
    let refused = |e| Error::invalid(format!("the latents cannot be written ({e})"), "keep fewer steps");
    let bytes = named.iter().map(|(_, latents)| latents.to_le_bytes()).collect::<Result<Vec<_>>>()?;
    let views = named.iter().zip(&bytes).map(|((name, latents), bytes)| {
        let view = TensorView::new(Dtype::F32, latents.tensor().dims().to_vec(), bytes).map_err(refused)?;
        Ok((name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let text = text.map(|(key, text)| HashMap::from([(key.to_owned(), text)]));
    safetensors::serialize(views, text).map_err(refused)
}

/// The latents of a tensor in a file, or what is wrong with it.
pub(crate) fn of_view(view: &TensorView<'_>) -> Result<Latents, String> {
    let (dtype, shape) = (view.dtype(), view.shape());
    if dtype != Dtype::F32 {
        return Err(format!("is stored as {dtype:?}, not as f32"));
    }
    let &[b, c, h, w] = shape else {
        return Err(format!("has shape {shape:?}; latents have four dimensions"));
    };
    let values: Vec<f32> = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return Err("is empty or holds a value that is not a finite number".into());
    }
    debug_assert_eq!(DType::F32.size_in_bytes() * values.len(), view.data().len());
    Latents::from_values(values, (b, c, h, w), &Device::Cpu).map_err(|e| format!("cannot be read ({e})"))
}
