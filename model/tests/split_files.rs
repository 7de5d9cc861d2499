//! Weights in several files with an index, as large models are published.

mod parity;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use flowline_model::weights::{ModelFiles, sha256};
use flowline_model::{Draft, Error, Pipeline};
use parity::folders::{flux_folder, picture, sd3_folder, split};
use tempfile::TempDir;

const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";
const INDEX: &str = "transformer/diffusion_pytorch_model.safetensors.index.json";

fn shard(i: usize) -> String {
    format!("transformer/diffusion_pytorch_model-0000{i}-of-00003.safetensors")
}

fn open(folder: &TempDir) -> Pipeline {
    Pipeline::open(folder.path().to_str().unwrap(), None).unwrap()
}

/// Splits every part of a model.
fn split_all(folder: &Path, parts: &[&str]) {
    for part in parts {
        let name = if part.starts_with("text") { "model" } else { "diffusion_pytorch_model" };
        split(&folder.join(part).join(format!("{name}.safetensors")), 3);
    }
}

#[test]
fn a_model_whose_every_part_is_split_makes_the_same_bits() {
    type Folder = fn() -> TempDir;
    let models: [(Folder, &[&str]); 3] = [
        (|| flux_folder("flux_dev"), &["text_encoder", "text_encoder_2", "transformer", "vae"]),
        (|| sd3_folder("sd3"), &["text_encoder", "text_encoder_2", "text_encoder_3", "transformer", "vae"]),
        (|| sd3_folder("sd35_medium"), &["text_encoder", "text_encoder_2", "text_encoder_3", "transformer", "vae"]),
    ];
    for (folder, parts) in models {
        let (whole, pieces) = (folder(), folder());
        split_all(pieces.path(), parts);
        let (mut whole, mut split) = (open(&whole), open(&pieces));
        assert_eq!(split.spec().parameters(), whole.spec().parameters());
        let ((want, bytes, _), (got, split_bytes, there)) = (picture(&mut whole), picture(&mut split));
        assert_eq!(got.latents.values().unwrap(), want.latents.values().unwrap());
        assert_eq!(got.image, want.image);

        // The record names every file of every part, in the order of use, and the progress counts them all.
        let weights = split.spec().record().weights;
        assert_eq!(weights.len(), 3 * parts.len());
        let mut size = 0;
        for (i, weight) in weights.iter().enumerate() {
            let file = fs::read(pieces.path().join(&weight.file)).unwrap();
            assert!(weight.file.starts_with(parts[i / 3]), "{}", weight.file);
            assert!(weight.file.ends_with(&format!("-0000{}-of-00003.safetensors", i % 3 + 1)), "{}", weight.file);
            assert_eq!(weight.sha256, sha256(&file), "{}", weight.file);
            // What is read is behind the header.
            let header = u64::from_le_bytes(file[..8].try_into().unwrap());
            size += file.len() as u64 - 8 - header;
        }
        assert_eq!((split_bytes, there), (bytes, size));
    }
}

#[test]
fn where_a_whole_file_lies_beside_an_index_the_whole_one_counts() {
    let (folder, other) = (flux_folder("flux_dev"), flux_folder("flux_dev"));
    split(&folder.path().join(TRANSFORMER), 3);
    fs::copy(other.path().join(TRANSFORMER), folder.path().join(TRANSFORMER)).unwrap();
    fs::write(folder.path().join(INDEX), "not read").unwrap();
    assert_eq!(open(&folder).spec().record().weights, open(&other).spec().record().weights);
}

#[test]
fn only_what_is_split_or_whole_is_there() {
    let folder = flux_folder("flux_dev");
    split(&folder.path().join(TRANSFORMER), 3);
    let files = ModelFiles::folder(folder.path()).unwrap();
    assert!(files.has_weights(TRANSFORMER) && !files.has(TRANSFORMER) && files.has_weights(&shard(1)));
    assert!(!files.has_weights("transformer/model.safetensors"));
    assert_eq!(files.weight_files(TRANSFORMER).unwrap(), [1, 2, 3].map(shard));
    assert_eq!(files.weight_files("vae/model.safetensors").unwrap(), ["vae/model.safetensors"]);
}

/// Puts `new` for `old` in the index.
fn change(folder: &Path, old: &str, new: &str) {
    let index = fs::read_to_string(folder.join(INDEX)).unwrap();
    assert!(index.contains(old), "{index}");
    fs::write(folder.join(INDEX), index.replace(old, new)).unwrap();
}

#[test]
fn a_split_file_that_is_damaged_is_refused_by_what_is_wrong_with_it() {
    type Damage = fn(&Path);
    let index = |what: &str| format!("{INDEX}: {what}");
    let damages: [(Damage, String); 14] = [
        (
            |f| fs::remove_file(f.join(shard(2))).unwrap(),
            format!("{}: the file is missing from the model folder", shard(2)),
        ),
        (|f| fs::write(f.join(shard(3)), "").unwrap(), format!("{}: the file is empty", shard(3))),
        (
            |f| fs::copy(f.join(shard(1)), f.join(shard(2))).map(drop).unwrap(),
            index(&format!("the index says that tensor 'context_embedder.weight' is in {}, and it is not", shard(2))),
        ),
        (
            |f| change(f, "\"context_embedder.weight\"", "\"context_embedder.heavy\""),
            index(&format!("the index says that tensor 'context_embedder.heavy' is in {}, and it is not", shard(2))),
        ),
        (
            |f| {
                let mut tensors = candle_core::safetensors::load(f.join(shard(3)), &Device::Cpu).unwrap();
                let bias = candle_core::safetensors::load(f.join(shard(2)), &Device::Cpu).unwrap();
                tensors.insert("context_embedder.weight".into(), bias["context_embedder.weight"].clone());
                candle_core::safetensors::save(&tensors, f.join(shard(3))).unwrap();
            },
            format!("{}: tensor 'context_embedder.weight' is here and in {}", shard(3), shard(2)),
        ),
        (
            |f| change(f, "diffusion_pytorch_model-00002", "../transformer/diffusion_pytorch_model-00002"),
            index(
                "'../transformer/diffusion_pytorch_model-00002-of-00003.safetensors' is not the name of a safetensors file beside the index",
            ),
        ),
        (
            |f| change(f, "diffusion_pytorch_model-00002", "/etc/diffusion_pytorch_model-00002"),
            index(
                "'/etc/diffusion_pytorch_model-00002-of-00003.safetensors' is not the name of a safetensors file beside the index",
            ),
        ),
        (
            |f| change(f, "-of-00003.safetensors", "-of-00003.bin"),
            index(
                "'diffusion_pytorch_model-00001-of-00003.bin' is not the name of a safetensors file beside the index",
            ),
        ),
        (|f| fs::write(f.join(INDEX), "{").unwrap(), index("EOF while parsing")),
        (|f| fs::write(f.join(INDEX), "{}").unwrap(), index("missing field `weight_map`")),
        (|f| fs::write(f.join(INDEX), r#"{"weight_map": {}}"#).unwrap(), index("the index names no tensor")),
        (|f| fs::write(f.join(INDEX), r#"{"weight_map": {"a": 3}}"#).unwrap(), index("invalid type: integer `3`")),
        (|f| fs::write(f.join(INDEX), r#"{"weight_map": ["a"]}"#).unwrap(), index("invalid type: sequence")),
        (
            |f| fs::File::create(f.join(INDEX)).and_then(|file| file.set_len(65 << 20)).unwrap(),
            index("68157440 bytes is far too large"),
        ),
    ];
    for (damage, expected) in damages {
        let folder = flux_folder("flux_dev");
        split(&folder.path().join(TRANSFORMER), 3);
        damage(folder.path());
        let Err(error) = Pipeline::open(folder.path().to_str().unwrap(), None) else { panic!("{expected}") };
        assert!(error.to_string().starts_with(&expected), "{error}\nis not\n{expected}");
        assert!(matches!(error, Error::Config { .. } | Error::WeightFile { .. }) && !error.hint().is_empty());
    }
}

/// What is said when a picture is asked for.
fn refused(folder: &TempDir) -> Error {
    let mut pipeline = open(folder);
    let draft = Draft { width: Some(48), height: Some(64), steps: Some(1), ..Draft::default() };
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    pipeline.generate(&request, |_| ControlFlow::Continue(())).unwrap_err()
}

#[test]
fn a_tensor_that_does_not_fit_is_told_with_the_file_it_is_in() {
    let folder = flux_folder("flux_dev");
    split(&folder.path().join(TRANSFORMER), 3);
    let path = folder.path().join(shard(2));
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let extra = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap();
    // The index need not name a tensor; the network must know it.
    tensors.insert("extra".into(), extra.clone());
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let error = refused(&folder);
    assert_eq!(error.to_string(), format!("{}: unknown tensor 'extra' of shape [3]", shard(2)));

    tensors.remove("extra");
    tensors.remove("context_embedder.weight");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let entry = format!("\"context_embedder.weight\":\"{}\",", shard(2).trim_start_matches("transformer/"));
    change(folder.path(), &entry, "");
    let error = refused(&folder);
    assert_eq!(
        error.to_string(),
        format!("{INDEX}: tensor 'context_embedder.weight' is missing (expected shape [32, 48])")
    );

    tensors.insert("context_embedder.weight".into(), extra);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let error = refused(&folder).to_string();
    assert!(error.starts_with(&format!("{}: tensor 'context_embedder.weight' has shape [3]", shard(2))), "{error}");
}
