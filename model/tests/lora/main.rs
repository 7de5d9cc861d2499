//! Adapters: every naming does what the reference does, and nothing is applied that should not be.
//!
//! The fixtures are made by `tests/fixtures/lora/make.py`.

mod counts;
mod networks;
#[path = "../parity/mod.rs"]
mod parity;
mod refused;
mod whole;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use flowline_model::weights::{Adapters, HashCache, Targets, Weights};
use flowline_model::{Lora, LoraFile, Result};
use parity::fixture;

/// The weight file of a transformer in a model's folder.
const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";

/// The adapter in this file, at this strength.
fn lora(path: impl AsRef<Path>, scale: f64) -> Lora {
    Lora { file: LoraFile::Path(path.as_ref().to_owned()), scale }
}

/// A fixture of ours.
fn made(file: &str, scale: f64) -> Lora {
    lora(fixture("lora").join(file), scale)
}

/// The adapters for one part of a model, which is in `file` of its folder.
fn adapters(file: &str, weights: &Weights, loras: &[Lora]) -> Result<Adapters> {
    let mut targets = Targets::default();
    targets.add(file, weights);
    Adapters::open(loras, &targets, &mut HashCache::default())
}

/// The same for a fixture's transformer.
fn transformer_adapters(model: &str, loras: &[Lora]) -> Result<Adapters> {
    adapters(TRANSFORMER, &Weights::open(&fixture(&format!("{model}/{TRANSFORMER}"))).unwrap(), loras)
}

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The bits of a tensor.
fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// Writes tensors as a safetensors file.
fn write(path: &Path, tensors: &[(&str, Tensor)]) {
    let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
    candle_core::safetensors::save(&tensors, path).unwrap();
}

/// A tensor whose values all are this.
fn filled(value: f32, shape: &[usize]) -> Tensor {
    Tensor::full(value, shape, &Device::Cpu).unwrap()
}
