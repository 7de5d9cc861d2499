//! What cannot be applied is refused in words that name the file, the tensor and what to do.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use flowline_model::weights::HashCache;
use flowline_model::{Error, Lora, LoraFile, LoraRecord};
use tempfile::TempDir;

use super::parity::fixture;
use super::{filled, lora, made, transformer_adapters, write};

/// A module of every FLUX.1 transformer, square and 32 wide in the fixture.
const MODULE: &str = "transformer.transformer_blocks.0.attn.to_out.0";

/// The error of adapters for the FLUX.1 fixture, as people read it.
#[track_caller]
fn refused(loras: &[Lora]) -> String {
    let Err(error) = transformer_adapters("flux_dev", loras) else { panic!("{loras:?} are applied") };
    assert!(!error.hint().is_empty(), "{error}");
    error.to_string()
}

/// The same for one file of these tensors.
#[track_caller]
fn refused_tensors(tensors: &[(&str, Tensor)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    refused(&[file_of(&folder, tensors)])
}

fn file_of(folder: &TempDir, tensors: &[(&str, Tensor)]) -> Lora {
    let path = folder.path().join("cats.safetensors");
    write(&path, tensors);
    // Whatever the folder is called.
    lora(path, 1.0)
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "'{word}' is not in: {said}");
    }
}

fn pair(module: &str) -> [(String, Tensor); 2] {
    [
        (format!("{module}.lora_A.weight"), filled(0.1, &[2, 32])),
        (format!("{module}.lora_B.weight"), filled(0.1, &[32, 2])),
    ]
}

#[test]
fn other_kinds_of_adapters_are_named() {
    for (file, kind) in [
        ("other/dora", "DoRA"),
        ("other/dora_by_diffusers.safetensors", "DoRA"),
        ("other/loha", "LoHa"),
        ("other/lokr", "LoKr"),
    ] {
        let said = refused(&[made(file, 1.0)]);
        assert_says(&said, &[kind, "transformer_blocks.0.attn.to_out.0", "plain LoRA"]);
        // Also at strength 0: what it would do at another is not known.
        assert_says(&refused(&[made(file, 0.0)]), &[kind]);
    }
    let [down, up] = pair(MODULE);
    let dora = (format!("{MODULE}.dora_scale"), filled(1.0, &[32, 1]));
    let said = refused_tensors(&[(&*down.0, down.1), (&*up.0, up.1), (&*dora.0, dora.1)]);
    assert_says(&said, &["cats.safetensors", "DoRA", "dora_scale"]);
}

#[test]
fn factors_that_do_not_fit_are_named_with_what_would() {
    let with = |down: &[usize], up: &[usize]| {
        let names = [format!("{MODULE}.lora_A.weight"), format!("{MODULE}.lora_B.weight")];
        refused_tensors(&[(&*names[0], filled(0.1, down)), (&*names[1], filled(0.1, up))])
    };
    assert_says(&with(&[2, 48], &[32, 2]), &["lora_A.weight' has shape [2, 48]", "32 columns"]);
    assert_says(&with(&[2, 32], &[48, 2]), &["lora_B.weight' has shape [48, 2]", "32 rows"]);
    assert_says(&with(&[2, 32], &[32, 3]), &["lora_B.weight' has shape [32, 3]", "does not fit", "[2, 32]"]);
    assert_says(&with(&[0, 32], &[32, 0]), &["[0, 32]", "no factor of a matrix"]);
    assert_says(&with(&[2], &[32, 2]), &["[2]", "no factor of a matrix"]);
    assert_says(&with(&[2, 32, 3], &[32, 2]), &["[2, 32, 3]", "no factor of a matrix"]);
    // A convolution's, of one pixel, is a matrix; one of nine pixels is another one.
    assert_says(&with(&[2, 32, 3, 3], &[32, 2, 1, 1]), &["[2, 32, 3, 3]", "32 columns"]);
    let whole = refused(&[made("sd3/kohya.safetensors", 1.0)]);
    assert_says(&whole, &["sd3/kohya.safetensors was made for SD3"]);
    let Err(flux) = transformer_adapters("sd3", &[made("flux_dev/diffusers.safetensors", 1.0)]) else {
        panic!("applied")
    };
    assert_says(&flux.to_string(), &["flux_dev/diffusers.safetensors was made for FLUX"]);
}

#[test]
fn half_a_pair_and_a_pair_of_nothing_are_refused() {
    let [down, up] = pair(MODULE);
    assert_says(&refused_tensors(&[(&*down.0, down.1.clone())]), &[&down.0, "half a pair", "(up)"]);
    assert_says(&refused_tensors(&[(&*up.0, up.1.clone())]), &[&up.0, "half a pair", "(down)"]);
    let twice = format!("{MODULE}.lora_down.weight");
    let said = refused_tensors(&[(&*down.0, down.1.clone()), (&*up.0, up.1), (&*twice, down.1)]);
    assert_says(&said, &["the same factor", &twice]);
}

#[test]
fn a_file_that_is_no_adapter_says_what_it_is() {
    let model = fixture("flux_dev/transformer/diffusion_pytorch_model.safetensors");
    assert_says(&refused(&[lora(model, 1.0)]), &["is not a LoRA", "no pair of factors", "context_embedder.bias"]);
    assert_says(&refused_tensors(&[]), &["is not a LoRA", "no tensor"]);
    let [down, up] = pair("transformer.blocks.0.whatever");
    assert_says(&refused_tensors(&[(&*down.0, down.1), (&*up.0, up.1)]), &["0 of 1 applied", "blocks.0.whatever"]);
}

/// The text encoder of Stable Diffusion 1 is CLIP-L, which FLUX.1 has too.
#[test]
fn an_adapter_of_a_unet_is_refused_although_its_text_encoder_would_fit() {
    for module in ["lora_unet_down_blocks_0_attentions_0_proj_in", "unet.mid_block.attentions.0.proj_in"] {
        let ([down, up], [text_down, text_up]) = (pair(module), pair(MODULE));
        let said = refused_tensors(&[
            (&*down.0, down.1),
            (&*up.0, up.1),
            (&*text_down.0, text_down.1),
            (&*text_up.0, text_up.1),
        ]);
        assert_says(&said, &["was made for Stable Diffusion", "U-Net"]);
    }
}

#[test]
fn numbers_that_are_none_are_found_when_they_are_read() {
    for (factor, value) in [(0, f32::NAN), (1, f32::INFINITY), (1, 3e38)] {
        let folder = tempfile::tempdir().unwrap();
        let mut pair = pair(MODULE);
        pair[factor].1 = filled(value, pair[factor].1.dims());
        let tensors = pair.each_ref().map(|(name, tensor)| (name.as_str(), tensor.clone()));
        let lora = Lora { scale: 50.0, ..file_of(&folder, &tensors) };
        let adapters = transformer_adapters("flux_dev", &[lora]).unwrap();
        let tensor = "transformer_blocks.0.attn.to_out.0.weight";
        let error = adapters.low_rank(super::TRANSFORMER, tensor, &Device::Cpu).unwrap_err();
        assert_says(&error.to_string(), &[&pair[factor].0, "not finite numbers"]);
    }
    for alpha in [filled(f32::NAN, &[]), filled(f32::INFINITY, &[1]), filled(1.0, &[2]), filled(1.0, &[0])] {
        let [down, up] = pair(MODULE);
        let alpha = (format!("{MODULE}.alpha"), alpha);
        let said = refused_tensors(&[(&*down.0, down.1), (&*up.0, up.1), (&*alpha.0, alpha.1)]);
        assert_says(&said, &["alpha", MODULE, "not a finite number"]);
    }
}

#[test]
fn strengths_that_are_none_are_refused() {
    for scale in [f64::NAN, f64::INFINITY, 1e30, -101.0] {
        let said = refused(&[made("flux_dev/kohya.safetensors", scale)]);
        assert_says(&said, &["kohya.safetensors cannot be applied at"]);
    }
}

#[test]
fn files_that_lie_are_refused_before_anything_is_reserved() {
    let whole = fs::read(fixture("lora/flux_dev/kohya.safetensors")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cats.safetensors");
    let with = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        refused(&[lora(&path, 1.0)])
    };
    assert_says(&with(&whole[..whole.len() / 2]), &["truncated"]);
    assert_says(&with(&whole[..100]), &["cats.safetensors"]);
    assert_says(&with(b""), &["empty"]);
    assert_says(&with(b"PK\x03\x04 a zip"), &["cats.safetensors"]);
    let header = |header: &str| with(&[&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 8]].concat());
    let lie = r#"{"a.lora_A.weight":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#;
    assert_says(&header(lie), &["cats.safetensors"]);
    // No bytes at all, and dimensions whose product is too large for a number.
    let none = r#"{"a.lora_A.weight":{"dtype":"F32","shape":[0,4294967296,4294967296,4294967296],"data_offsets":[0,0]},
        "a.lora_B.weight":{"dtype":"F32","shape":[8,0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert_says(&header(none), &["cats.safetensors"]);
    let eights = r#"{"a.lora_A.weight":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]}}"#;
    assert_says(&header(eights), &["half a pair"]);
}

#[test]
fn places_where_no_adapter_is_are_told() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&refused(&[lora(folder.path(), 1.0)]), &["no adapter in the folder"]);
    fs::write(folder.path().join("cats.pt"), b"\x80\x02}q\x00.").unwrap();
    assert_says(&refused(&[lora(folder.path().join("cats.pt"), 1.0)]), &["cats.pt", "pickle"]);
    let nowhere = transformer_adapters("flux_dev", &[lora("nowhere.safetensors", 1.0)]).err().unwrap();
    assert!(matches!(nowhere, Error::Io { .. }), "{nowhere}");
    let record = LoraRecord { file: "cats.safetensors".into(), sha256: "0".repeat(64), config: None, scale: 0.8 };
    let Err(error) = transformer_adapters("flux_dev", &[Lora { file: LoraFile::Recorded(record), scale: 0.8 }]) else {
        panic!("a file that is not there is applied")
    };
    assert_says(&error.to_string(), &["cats.safetensors", &"0".repeat(64)]);
    assert_eq!(error.hint(), "say where it is: --lora path/to/cats.safetensors=0.8");
}

#[test]
fn settings_that_mean_another_computation_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        fs::copy(fixture("lora/flux_dev/peft").join(file), folder.path().join(file)).unwrap();
    }
    let config = folder.path().join("adapter_config.json");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut json = json.clone();
        json[key] = value;
        fs::write(&config, json.to_string()).unwrap();
        refused(&[lora(folder.path(), 1.0)])
    };
    assert_says(&with("use_dora", true.into()), &["DoRA", "use_dora"]);
    assert_says(&with("use_qalora", true.into()), &["use_qalora"]);
    assert_says(&with("use_bdlora", serde_json::json!({})), &["use_bdlora"]);
    assert_says(&with("peft_type", "OFT".into()), &["OFT"]);
    assert_says(&with("alpha_pattern", serde_json::json!({"blocks.\\d+.attn": 2})), &["alpha_pattern", "\\d+"]);
    assert_says(&with("lora_alpha", "many".into()), &["adapter_config.json"]);
    fs::write(&config, "{").unwrap();
    assert_says(&refused(&[lora(folder.path(), 1.0)]), &["adapter_config.json"]);
    fs::write(&config, vec![b' '; (1 << 20) + 1]).unwrap();
    assert_says(&refused(&[lora(folder.path(), 1.0)]), &["1048577 bytes"]);
}

#[test]
fn a_recorded_adapter_is_found_where_it_was_seen_and_not_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cats.safetensors");
    fs::copy(fixture("lora/flux_dev/kohya.safetensors"), &path).unwrap();
    let open = || HashCache::open(Some(&folder.path().join("cache")));
    let hash = open().sha256(&path).unwrap();
    assert_eq!(open().find(&hash).as_deref(), Some(Path::new(&path)));
    assert_eq!(open().find(&"0".repeat(64)), None);
    fs::write(&path, b"other").unwrap();
    assert_eq!(open().find(&hash), None, "the file is another");
    fs::remove_file(&path).unwrap();
    assert_eq!(open().find(&hash), None, "the file is gone");
}
