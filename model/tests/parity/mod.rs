//! What the parity tests share: fixtures and the measure of agreement.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use flowline_model::probe::Probe;

/// Largest relative error, max|a - b| / max|b|, at which we agree with the reference.
pub const TOLERANCE: f64 = 2e-5;

/// A file below `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// All tensors of a safetensors file below `tests/fixtures`.
pub fn tensors(path: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture(path), &Device::Cpu).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every tensor that a network shows.
#[derive(Default)]
pub struct Record(pub HashMap<String, Tensor>);

impl Probe for Record {
    fn tensor(&mut self, name: &str, x: &Tensor) {
        self.0.insert(name.to_owned(), x.clone());
    }
}

/// max|a - b| / max|b|; infinite if the shapes differ or a value is not finite.
pub fn relative_error(got: &Tensor, want: &Tensor) -> f64 {
    if got.dims() != want.dims() {
        return f64::INFINITY;
    }
    let values = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (got, want) = (values(got), values(want));
    let largest = want.iter().fold(0f64, |m, b| m.max(b.abs()));
    let difference = got
        .iter()
        .zip(&want)
        .fold(0f64, |m, (a, b)| if (a - b).is_nan() { f64::INFINITY } else { m.max((a - b).abs()) });
    difference / largest
}

/// Prints and checks the agreement of one tensor.
#[track_caller]
pub fn assert_agrees(name: &str, got: &Tensor, want: &Tensor) {
    let error = relative_error(got, want);
    println!("{name}: relative error {error:.1e}");
    assert!(error <= TOLERANCE, "{name}: relative error {error:.3e}, shapes {:?} and {:?}", got.dims(), want.dims());
}
