//! What the parity tests share: fixtures and the measure of agreement.
#![allow(dead_code, reason = "every test file uses its own part")]

pub mod folders;
pub mod gguf;
pub mod lists;

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

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

/// max|a - b| / max|b|; infinite if the shapes differ or a value is not finite.
pub fn relative_error(got: &Tensor, want: &Tensor) -> f64 {
    flowline_model::probe::relative_error(got, want).unwrap()
}

/// Prints and checks the agreement of one tensor.
#[track_caller]
pub fn assert_agrees(name: &str, got: &Tensor, want: &Tensor) {
    let error = relative_error(got, want);
    println!("{name}: relative error {error:.1e}");
    assert!(error <= TOLERANCE, "{name}: relative error {error:.3e}, shapes {:?} and {:?}", got.dims(), want.dims());
}

/// Pixels within half a level, where rounding may fall either way, of a reference in [0, 1].
pub fn assert_pixels(name: &str, image: &image::RgbImage, reference: &Tensor) {
    let reference = reference.squeeze(0).unwrap().permute((1, 2, 0)).unwrap().contiguous().unwrap();
    let reference: Vec<f32> = reference.flatten_all().unwrap().to_vec1().unwrap();
    let worst = image.as_raw().iter().zip(&reference).map(|(ours, theirs)| (f32::from(*ours) - theirs * 255.0).abs());
    let worst = worst.fold(0f32, f32::max);
    println!("{name}: largest pixel difference {worst:.4} of 255");
    assert_eq!(image.as_raw().len(), reference.len());
    assert!(worst <= 0.51, "{name}: {worst} of 255");
}

/// Copies fixtures to their places in a model's folder: (place, fixture).
pub fn copy_parts(folder: &Path, parts: &[(&str, &str)]) {
    for (place, part) in parts {
        fs::create_dir_all(folder.join(place)).unwrap();
        for file in fs::read_dir(fixture(part)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join(place).join(file.file_name())).unwrap();
        }
    }
}

/// Hears everything and says nothing.
pub fn quiet(_: flowline_model::Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
