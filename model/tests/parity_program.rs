//! The program that compares a folder of fixtures: it agrees with ours, and sees one wrong weight.

#[path = "../examples/parity/networks.rs"]
mod networks;
#[path = "../examples/parity/pipelines.rs"]
mod pipelines;
#[path = "../examples/parity/report.rs"]
mod report;

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, safetensors};
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in report::listed(from) {
        let to = to.join(entry.file_name().unwrap());
        match entry.is_dir() {
            true => copy(&entry, &to),
            false => drop(fs::copy(&entry, &to).unwrap()),
        }
    }
}

/// A copy of the parts of our fixtures that the program compares.
fn copied() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["common", "flux_dev", "flux_schnell", "gguf", "pipelines", "sd3", "sd35_medium"] {
        copy(&fixtures().join(part), &folder.path().join(part));
    }
    folder
}

/// Turns one value of one tensor around.
fn corrupt(file: &Path, tensor: &str) {
    let mut tensors = safetensors::load(file, &Device::Cpu).unwrap();
    let x = tensors.get(tensor).unwrap_or_else(|| panic!("{tensor} is not in {}", file.display()));
    let (shape, dtype) = (x.shape().clone(), x.dtype());
    let mut values = x.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values[1] = -values[1] - 0.5;
    let wrong = candle_core::Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    tensors.insert(tensor.to_owned(), wrong);
    safetensors::save(&tensors, file).unwrap();
}

#[test]
fn every_fixture_of_ours_agrees() {
    let report = report::of(&fixtures());
    print!("{report}");
    assert!(report.holds(), "{report}");
}

#[test]
fn one_wrong_weight_is_seen_in_every_network() {
    let (names, whole) = ("_names.safetensors", "diffusion_pytorch_model.safetensors");
    let wrong = [
        ("common/clip_l/model.safetensors".to_owned(), "text_model.encoder.layers.1.mlp.fc1.weight"),
        ("common/clip_g/model.safetensors".to_owned(), "text_projection.weight"),
        ("common/t5/model.safetensors".to_owned(), "encoder.block.1.layer.0.SelfAttention.q.weight"),
        (format!("common/vae16/{whole}"), "decoder.up_blocks.2.resnets.0.conv1.weight"),
        (format!("flux_dev/transformer/{whole}"), "single_transformer_blocks.1.proj_out.weight"),
        (format!("flux_dev/flux1-dev_bfl{names}"), "double_blocks.0.txt_attn.qkv.weight"),
        (format!("sd3/sd3_sai{names}"), "final_layer.adaLN_modulation.1.weight"),
        (format!("sd35_medium/transformer/{whole}"), "transformer_blocks.0.attn2.to_v.weight"),
    ];
    for (file, tensor) in wrong {
        let folder = copied();
        corrupt(&folder.path().join(&file), tensor);
        let report = report::of(folder.path());
        let seen = report.to_string();
        let (stem, _) = file.rsplit_once('.').unwrap();
        assert!(!report.holds() && seen.lines().any(|line| line.contains("DIFFERS") && line.contains(stem)), "{seen}");
    }
}

#[test]
fn a_folder_without_a_family_or_without_anything_fails() {
    let folder = copied();
    fs::remove_dir_all(folder.path().join("sd3")).unwrap();
    let report = report::of(folder.path());
    assert!(
        !report.holds() && report.to_string().contains("MISSING  there is no fixture of this kind: SD3\n"),
        "{report}"
    );

    let empty = tempfile::tempdir().unwrap();
    let report = report::of(empty.path());
    assert!(!report.holds());
    assert_eq!(report.to_string().matches("MISSING").count(), report::KINDS.len(), "{report}");
}
