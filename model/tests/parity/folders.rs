//! Whole models in diffusers' layout, made of the fixtures' parts.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor, safetensors};
use flowline_model::{Draft, Event, Picture, Pipeline};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{copy_parts, fixture};

/// Tokens of text that T5 reads in the fixtures.
pub const T5: usize = 24;

/// A FLUX.1 folder made of the fixtures' parts.
pub fn flux_folder(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parts = [
        ("tokenizer", "common/tokenizer_clip_l"),
        ("text_encoder", "common/clip_l"),
        ("tokenizer_2", "common/tokenizer_t5"),
        ("text_encoder_2", "common/t5"),
        ("transformer", "flux_dev/transformer"),
        ("vae", "common/vae16"),
    ];
    copy_parts(folder.path(), &parts);
    let config = fixture(&format!("{model}/transformer/config.json"));
    fs::copy(config, folder.path().join("transformer/config.json")).unwrap();
    fs::write(
        folder.path().join("model_index.json"),
        json!({ "_class_name": "FluxPipeline", "text_length": T5 }).to_string(),
    )
    .unwrap();
    folder
}

/// An SD3 folder made of the fixtures' parts.
pub fn sd3_folder(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let transformer = format!("{model}/transformer");
    let parts = [
        ("tokenizer", "common/tokenizer_clip_l"),
        ("text_encoder", "common/clip_l"),
        ("tokenizer_2", "common/tokenizer_clip_g"),
        ("text_encoder_2", "common/clip_g"),
        ("tokenizer_3", "common/tokenizer_t5"),
        ("text_encoder_3", "common/t5"),
        ("transformer", &transformer),
        ("vae", "common/vae16"),
    ];
    copy_parts(folder.path(), &parts);
    // The autoencoder of the fixtures has FLUX.1's factors; those of SD3: Stability-AI/sd3.5 `sd3_impls.py:271-282`.
    set(&folder, "vae/config.json", "scaling_factor", json!(1.5305));
    set(&folder, "vae/config.json", "shift_factor", json!(0.0609));
    index(&folder, json!({}));
    folder
}

/// Writes `model_index.json`, as diffusers does and with `more`.
pub fn index(folder: &TempDir, more: Value) {
    let mut index = json!({
        "_class_name": "StableDiffusion3Pipeline", "text_length": T5,
        "text_encoder_3": ["transformers", "T5EncoderModel"]
    });
    index.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fs::write(folder.path().join("model_index.json"), index.to_string()).unwrap();
}

/// Changes one field of a JSON file of the folder.
pub fn set(folder: &TempDir, file: &str, field: &str, value: Value) {
    let path = folder.path().join(file);
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json[field] = value;
    fs::write(path, json.to_string()).unwrap();
}

/// The picture of a model in two steps, and the most bytes it told of reading with the bytes it said there are.
pub fn picture(pipeline: &mut Pipeline) -> (Picture, u64, u64) {
    let draft = Draft {
        prompt: "a lovely cat holding a sign".into(),
        width: Some(48),
        height: Some(64),
        seeds: vec![7],
        steps: Some(2),
        ..Draft::default()
    };
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    let (mut picture, mut read, mut there) = (None, 0, 0);
    let hear = |event: Event| {
        match event {
            Event::Picture(made) => picture = Some(*made),
            Event::Loading { bytes, total, .. } => {
                assert!(bytes >= read && bytes <= total, "{bytes} of {total} after {read}");
                (read, there) = (bytes, total);
            }
            _ => {}
        }
        super::quiet(Event::Encoding)
    };
    pipeline.generate(&request, hear).unwrap();
    (picture.unwrap(), read, there)
}

/// The picture of a model in two steps.
pub fn drawn(pipeline: &mut Pipeline) -> Picture {
    picture(pipeline).0
}

/// Splits a weight file into `count` files with an index, as diffusers does, and removes it.
pub fn split(file: &Path, count: usize) {
    let mut shards: Vec<HashMap<String, Tensor>> = vec![HashMap::new(); count];
    let (folder, name) = (file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap());
    let shard =
        |i: usize| format!("{}-{:05}-of-{count:05}.safetensors", name.strip_suffix(".safetensors").unwrap(), i + 1);
    let mut weight_map = BTreeMap::new();
    let whole: BTreeMap<_, _> = safetensors::load(file, &Device::Cpu).unwrap().into_iter().collect();
    for (i, (name, tensor)) in whole.into_iter().enumerate() {
        weight_map.insert(name.clone(), shard(i % count));
        shards[i % count].insert(name, tensor);
    }
    for (i, tensors) in shards.iter().enumerate() {
        safetensors::save(tensors, folder.join(shard(i))).unwrap();
    }
    let index = json!({ "metadata": { "total_size": 0 }, "weight_map": weight_map });
    fs::write(folder.join(format!("{name}.index.json")), index.to_string()).unwrap();
    fs::remove_file(file).unwrap();
}
