//! The text encoders against transformers, hidden state by hidden state.

mod parity;

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flowline_model::text::t5::relative_position_bucket;
use flowline_model::text::{ClipText, ClipTextConfig, T5Config, T5Encoder, clip, t5};
use flowline_model::weights::Weights;
use flowline_model::{Error, Result};
use parity::{assert_agrees, fixture, relative_error, tensors};

const CPU: Device = Device::Cpu;

fn ids(io: &HashMap<String, Tensor>) -> Tensor {
    io["input_ids"].to_dtype(DType::U32).unwrap()
}

fn t5_config() -> T5Config {
    T5Config::parse("config.json", &fs::read(fixture("common/t5/config.json")).unwrap()).unwrap()
}

fn load_t5(path: &Path) -> Result<T5Encoder> {
    let weights = Weights::open(path)?;
    let encoder = T5Encoder::load(&t5_config(), &weights.reader(&CPU, &|_| ControlFlow::Continue(())))?;
    weights.finish(t5::OPTIONAL)?;
    Ok(encoder)
}

fn clip_config(folder: &str) -> ClipTextConfig {
    let json = fs::read(fixture(folder).join("config.json")).unwrap();
    ClipTextConfig::parse("config.json", &json).unwrap()
}

fn load_clip(config: &ClipTextConfig, path: &Path) -> Result<ClipText> {
    let weights = Weights::open(path)?;
    let encoder = ClipText::load(config, &weights.reader(&CPU, &|_| ControlFlow::Continue(())))?;
    weights.finish(clip::OPTIONAL)?;
    Ok(encoder)
}

/// A copy of a fixture's weights with changes, in a folder that lasts as long as the test.
fn changed(folder: &str, change: impl FnOnce(&mut HashMap<String, Tensor>)) -> (tempfile::TempDir, std::path::PathBuf) {
    let mut weights = tensors(&format!("{folder}/model.safetensors"));
    change(&mut weights);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&weights, &path).unwrap();
    (folder, path)
}

#[test]
fn t5_agrees_with_transformers_at_every_block() {
    let (encoder, io) =
        (load_t5(&fixture("common/t5/model.safetensors")).unwrap(), tensors("common/t5/io.safetensors"));
    let mut hidden = Vec::new();
    let mut keep = |h: &Tensor| {
        hidden.push(h.clone());
        ControlFlow::Continue(())
    };
    let last = encoder.forward_observed(&ids(&io), None, &mut keep).unwrap();
    assert_eq!(hidden.len(), 3, "the embeddings and two blocks");
    assert_agrees("t5 hidden_0", &hidden[0], &io["hidden_0"]);
    assert_agrees("t5 hidden_1", &hidden[1], &io["hidden_1"]);
    assert_agrees("t5 last_hidden_state", &last, &io["last_hidden_state"]);
}

#[test]
fn t5_with_a_mask_agrees_with_transformers() {
    let (encoder, io) =
        (load_t5(&fixture("common/t5/model.safetensors")).unwrap(), tensors("common/t5/io.safetensors"));
    let masked = encoder.forward(&ids(&io), Some(&io["attention_mask"])).unwrap();
    assert_agrees("t5 last_hidden_state_masked", &masked, &io["last_hidden_state_masked"]);
}

#[test]
fn t5_prompts_do_not_mind_their_neighbours_in_a_batch() {
    let (encoder, io) =
        (load_t5(&fixture("common/t5/model.safetensors")).unwrap(), tensors("common/t5/io.safetensors"));
    let second = ids(&io).narrow(0, 1, 1).unwrap();
    let want = io["last_hidden_state"].narrow(0, 1, 1).unwrap();
    assert_agrees("t5 second prompt alone", &encoder.forward(&second, None).unwrap(), &want);
}

#[test]
fn t5_distances_fall_into_the_buckets_of_transformers() {
    let want = &tensors("ops.safetensors")["t5.relative_position_bucket_140"];
    for (query, row) in QUERIES.iter().zip(want.to_dtype(DType::I64).unwrap().to_vec2::<i64>().unwrap()) {
        for (key, bucket) in row.iter().enumerate() {
            assert_eq!(relative_position_bucket(key as i64 - query, 32, 128) as i64, *bucket, "{query} to {key}");
        }
    }
}

/// The queries of the three rows of `t5.relative_position_bucket_140`.
const QUERIES: [i64; 3] = [0, 70, 139];

#[test]
fn t5_embeddings_may_be_stored_under_either_name_or_both() {
    let io = tensors("common/t5/io.safetensors");
    let duplicate = "encoder.embed_tokens.weight".to_owned();
    let (_both, both) = changed("common/t5", |w| {
        let zeros = w["shared.weight"].zeros_like().unwrap();
        w.insert(duplicate.clone(), zeros);
    });
    let (_only, only) = changed("common/t5", |w| {
        let shared = w.remove("shared.weight").unwrap();
        w.insert(duplicate.clone(), shared);
    });
    for path in [both, only] {
        let last = load_t5(&path).unwrap().forward(&ids(&io), None).unwrap();
        assert_agrees("t5 with another name", &last, &io["last_hidden_state"]);
    }
}

#[test]
fn wrong_missing_and_unknown_tensors_are_named() {
    let norm = "encoder.block.1.layer.1.layer_norm.weight";
    let (_folder, path) = changed("common/t5", |w| {
        let wider = Tensor::zeros(49, DType::BF16, &CPU).unwrap();
        w.insert(norm.into(), wider);
    });
    let error = load_t5(&path).unwrap_err();
    assert!(
        matches!(&error, Error::TensorShape { tensor, expected, found, .. }
            if tensor == norm && expected == &[48] && found == &[49]),
        "{error}"
    );

    let wo = "encoder.block.0.layer.1.DenseReluDense.wo.weight";
    let (_folder, path) = changed("common/t5", |w| drop(w.remove(wo)));
    let error = load_t5(&path).unwrap_err();
    assert!(
        matches!(&error, Error::MissingTensor { tensor, expected, .. } if tensor == wo && expected == &[48, 96]),
        "{error}"
    );

    let (_folder, path) = changed("common/t5", |w| drop(w.remove("shared.weight")));
    let error = load_t5(&path).unwrap_err();
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor == "shared.weight"), "{error}");

    let (_folder, path) = changed("common/t5", |w| {
        let third_block = w[norm].clone();
        w.insert("encoder.block.2.layer.1.layer_norm.weight".into(), third_block);
    });
    let error = load_t5(&path).unwrap_err();
    assert!(
        matches!(&error, Error::UnknownTensor { tensor, found, others: 0, .. }
            if tensor == "encoder.block.2.layer.1.layer_norm.weight" && found == &[48]),
        "{error}"
    );
}

#[test]
fn t5_refuses_ids_beyond_its_vocabulary_and_can_be_cancelled() {
    let encoder = load_t5(&fixture("common/t5/model.safetensors")).unwrap();
    let ids = |ids: &[u32]| Tensor::new(ids, &CPU).unwrap().unsqueeze(0).unwrap();
    assert!(matches!(encoder.forward(&ids(&[3, 94]), None), Err(Error::Invalid { .. })));
    assert!(matches!(encoder.forward(&ids(&[]), None), Err(Error::Invalid { .. })));
    assert!(encoder.forward(&ids(&[93]), None).is_ok(), "one token, the last of the vocabulary");
    let mut seen = 0;
    let mut stop = |_: &Tensor| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(encoder.forward_observed(&ids(&[3, 1]), None, &mut stop), Err(Error::Cancelled)));
    assert_eq!(seen, 2);
}

#[test]
fn clip_agrees_with_transformers() {
    for folder in ["common/clip_l", "common/clip_g"] {
        let encoder = load_clip(&clip_config(folder), &fixture(folder).join("model.safetensors")).unwrap();
        let io = tensors(&format!("{folder}/io.safetensors"));
        let mut hidden = Vec::new();
        let mut keep = |h: &Tensor| {
            hidden.push(h.clone());
            ControlFlow::Continue(())
        };
        let out = encoder.forward_observed(&ids(&io), &mut keep).unwrap();
        assert_eq!(hidden.len(), 4, "the embeddings and three layers");
        assert_agrees(&format!("{folder} hidden_0"), &hidden[0], &io["hidden_0"]);
        assert_agrees(&format!("{folder} penultimate"), &out.penultimate, &io["penultimate"]);
        assert_agrees(&format!("{folder} last_hidden_state"), &out.last_hidden_state, &io["last_hidden_state"]);
        assert_agrees(&format!("{folder} pooled"), &out.pooled, &io["pooled_unprojected"]);
        assert_agrees(&format!("{folder} projected"), &out.projected.unwrap(), &io["text_embeds_projected"]);
    }
}

#[test]
fn clip_is_read_without_prefix_and_projection_and_with_stored_positions() {
    let folder = "common/clip_l";
    let io = tensors("common/clip_l/io.safetensors");
    let (_folder, path) = changed(folder, |w| {
        w.remove("text_projection.weight").unwrap();
        *w = w.drain().map(|(name, t)| (name.replace("text_model.", ""), t)).collect();
        w.insert("embeddings.position_ids".into(), Tensor::arange(0i64, 77, &CPU).unwrap());
    });
    let out = load_clip(&clip_config(folder), &path).unwrap().forward(&ids(&io)).unwrap();
    assert_agrees("clip_l without prefix", &out.pooled, &io["pooled_unprojected"]);
    assert!(out.projected.is_none());
}

#[test]
fn clip_names_missing_and_unknown_tensors_and_refuses_long_prompts() {
    let folder = "common/clip_l";
    let config = clip_config(folder);
    let name = "text_model.embeddings.token_embedding.weight";
    let (_folder, path) = changed(folder, |w| drop(w.remove(name)));
    let error = load_clip(&config, &path).unwrap_err();
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor == name), "{error}");

    let (_folder, path) = changed(folder, |w| {
        w.insert("text_model.logit_scale".into(), Tensor::zeros(1, DType::F32, &CPU).unwrap());
    });
    let error = load_clip(&config, &path).unwrap_err();
    assert!(matches!(&error, Error::UnknownTensor { tensor, .. } if tensor == "text_model.logit_scale"), "{error}");

    let encoder = load_clip(&config, &fixture(folder).join("model.safetensors")).unwrap();
    let long = Tensor::zeros((1, 78), DType::U32, &CPU).unwrap();
    assert!(matches!(encoder.forward(&long), Err(Error::Invalid { .. })));
}

#[test]
fn the_epsilon_is_the_one_of_the_configuration() {
    // The fixtures' activations are too large to notice; a large epsilon cannot go unnoticed.
    let path = fixture("common/t5/model.safetensors");
    let weights = Weights::open(&path).unwrap();
    let config = T5Config { layer_norm_epsilon: 10.0, ..t5_config() };
    let encoder = T5Encoder::load(&config, &weights.reader(&CPU, &|_| ControlFlow::Continue(()))).unwrap();
    let io = tensors("common/t5/io.safetensors");
    assert!(relative_error(&encoder.forward(&ids(&io), None).unwrap(), &io["last_hidden_state"]) > 0.1);

    let folder = "common/clip_l";
    let config = ClipTextConfig { layer_norm_eps: 10.0, ..clip_config(folder) };
    let encoder = load_clip(&config, &fixture(folder).join("model.safetensors")).unwrap();
    let io = tensors("common/clip_l/io.safetensors");
    assert!(relative_error(&encoder.forward(&ids(&io)).unwrap().pooled, &io["pooled_unprojected"]) > 0.1);
}

#[test]
fn configurations_that_are_not_computed_here_are_refused() {
    let t5 = |from: &str, to: &str| {
        let json = fs::read_to_string(fixture("common/t5/config.json")).unwrap();
        assert!(json.contains(from));
        T5Config::parse("text_encoder/config.json", json.replace(from, to).as_bytes())
    };
    let relu = t5("\"gated-gelu\"", "\"relu\"").unwrap_err();
    assert!(relu.to_string().contains("text_encoder/config.json") && relu.to_string().contains("gated-gelu"), "{relu}");
    for (from, to) in [
        ("\"d_kv\": 8", "\"d_kv\": 0"),
        ("\"d_kv\": 8,", ""),
        ("\"num_heads\": 6", "\"num_heads\": -6"),
        ("num_buckets\": 32", "num_buckets\": 0"),
        ("num_buckets\": 32", "num_buckets\": 30"),
        ("max_distance\": 128", "max_distance\": 8"),
    ] {
        assert!(matches!(t5(from, to), Err(Error::Config { .. })), "{to}");
    }
    assert_eq!(t5("\"relative_attention_max_distance\": 128,", "").unwrap().relative_attention_max_distance, 128);

    let clip = |from: &str, to: &str| {
        let json = fs::read_to_string(fixture("common/clip_l/config.json")).unwrap();
        assert!(json.contains(from));
        ClipTextConfig::parse("text_encoder/config.json", json.replace(from, to).as_bytes())
    };
    for (from, to) in [
        ("\"quick_gelu\"", "\"swish\""),
        ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3"),
        ("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 0"),
    ] {
        assert!(matches!(clip(from, to), Err(Error::Config { .. })), "{to}");
    }
}
