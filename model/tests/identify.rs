//! What files are, by their tensors: parts, namings, sizes; and what they are not.
#![cfg(unix)]

mod parity;

use std::collections::BTreeMap;
use std::fs;
use std::time::UNIX_EPOCH;

use flowline_model::flux::FluxConfig;
use flowline_model::sd3::Sd3Config;
use flowline_model::text::{ClipTextConfig, T5Config};
use flowline_model::vae::VaeConfig;
use flowline_model::weights::identify::{Found, Role, identify};
use flowline_model::weights::{Holding, TensorFile};
use flowline_model::{Draft, Error, MemoryPlan, Opening, Pipeline};
use parity::fixture;
use parity::lists::{header_only, shapes};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The parts of a file with these tensors.
fn parts(shapes: &BTreeMap<String, Vec<usize>>) -> Result<Vec<Found>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m/model.safetensors");
    fs::create_dir(folder.path().join("m")).unwrap();
    header_only(&path, shapes);
    identify(&[TensorFile::open(&path).unwrap()]).map_err(|error| {
        assert!(!error.hint().is_empty());
        error.to_string()
    })
}

fn only(shapes: &BTreeMap<String, Vec<usize>>) -> Found {
    let mut parts = parts(shapes).unwrap();
    assert_eq!(parts.len(), 1, "{parts:?}");
    parts.remove(0)
}

/// The configuration of a part as JSON.
fn inferred(part: &Found) -> (Vec<u8>, Vec<&'static str>) {
    let inferred = part.infer(part.layout).unwrap();
    (Value::Object(inferred.config).to_string().into_bytes(), inferred.guessed)
}

/// The published configurations: models.md 3.1 and 3.2, from the code of their authors.
fn published_sd3(layers: usize, positions: usize, dual: usize, norm: Option<&str>) -> Value {
    json!({
        "in_channels": 16, "out_channels": 16, "patch_size": 2, "num_layers": layers, "attention_head_dim": 64,
        "num_attention_heads": layers, "joint_attention_dim": 4096, "caption_projection_dim": 64 * layers,
        "pooled_projection_dim": 2048, "pos_embed_max_size": positions,
        "dual_attention_layers": (0..dual).collect::<Vec<_>>(), "qk_norm": norm
    })
}

#[test]
fn published_transformers_are_told_in_both_namings_and_so_are_their_sizes() {
    let flux = json!({
        "in_channels": 64, "num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128,
        "num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768, "guidance_embeds": true,
        "axes_dims_rope": [16, 56, 56]
    });
    for naming in ["bfl", "diffusers"] {
        let part = only(&shapes(&format!("flux1-dev.{naming}")));
        assert_eq!((part.role, part.naming.to_lowercase().as_str()), (Role::Transformer, naming));
        assert_eq!((part.layout.unwrap().name, part.encoding.as_str()), ("FLUX.1", "bf16"));
        let (config, guessed) = inferred(&part);
        let want = FluxConfig::parse("published", flux.to_string().as_bytes()).unwrap();
        assert_eq!(FluxConfig::parse("inferred", &config).unwrap(), want);
        assert!(guessed.is_empty(), "{guessed:?}");
    }
    for (model, published) in [
        ("sd3-medium", published_sd3(24, 192, 0, None)),
        ("sd3.5-medium", published_sd3(24, 384, 13, Some("rms_norm"))),
        ("sd3.5-large", published_sd3(38, 192, 0, Some("rms_norm"))),
    ] {
        for naming in ["sai", "diffusers"] {
            let part = only(&shapes(&format!("{model}.{naming}")));
            assert_eq!((part.role, part.naming.to_lowercase().as_str()), (Role::Transformer, naming), "{model}");
            assert_eq!(part.layout.unwrap().name, "SD3");
            let (config, guessed) = inferred(&part);
            let want = Sd3Config::parse("published", published.to_string().as_bytes()).unwrap();
            assert_eq!(Sd3Config::parse("inferred", &config).unwrap(), want, "{model}.{naming}");
            assert!(guessed.is_empty(), "{guessed:?}");
        }
    }
}

#[test]
fn the_autoencoder_has_the_factors_of_its_family() {
    let factors = |family: &str| match family {
        "FLUX.1" => (0.3611, 0.1159),
        _ => (1.5305, 0.0609),
    };
    for naming in ["ldm-bfl", "diffusers"] {
        let part = only(&shapes(&format!("vae16.{naming}")));
        assert_eq!(part.role, Role::Vae);
        for model in ["flux1-dev.bfl", "sd3-medium.sai"] {
            let layout = only(&shapes(model)).layout.unwrap();
            let (scaling, shift) = factors(layout.name);
            let published = json!({
                "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16,
                "norm_num_groups": 32, "scaling_factor": scaling, "shift_factor": shift, "use_quant_conv": false,
                "use_post_quant_conv": false
            });
            let inferred = part.infer(Some(layout)).unwrap();
            assert!(inferred.guessed.is_empty());
            let config = Value::Object(inferred.config).to_string();
            let want = VaeConfig::parse("published", published.to_string().as_bytes()).unwrap();
            assert_eq!(VaeConfig::parse("inferred", config.as_bytes()).unwrap(), want, "{naming}, {model}");
        }
    }
}

/// The tensors of a published text encoder (models.md 3.0), with `begin` before their names.
fn clip(begin: &str, width: usize, layers: usize) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let mut put = |name: String, shape: &[usize]| drop(shapes.insert(format!("{begin}{name}"), shape.to_vec()));
    put("text_model.embeddings.token_embedding.weight".into(), &[49408, width]);
    put("text_model.embeddings.position_embedding.weight".into(), &[77, width]);
    for layer in 0..layers {
        put(format!("text_model.encoder.layers.{layer}.mlp.fc1.weight"), &[4 * width, width]);
    }
    put("text_projection.weight".into(), &[width, width]);
    shapes
}

fn t5(begin: &str) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let mut put = |name: String, shape: &[usize]| drop(shapes.insert(format!("{begin}{name}"), shape.to_vec()));
    put("shared.weight".into(), &[32128, 4096]);
    for block in 0..24 {
        put(format!("encoder.block.{block}.layer.0.SelfAttention.q.weight"), &[4096, 4096]);
        put(format!("encoder.block.{block}.layer.1.DenseReluDense.wi_0.weight"), &[10240, 4096]);
    }
    put("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight".into(), &[32, 64]);
    shapes
}

#[test]
fn text_encoders_are_told_apart_alone_and_all_in_one() {
    let published_clip = |hidden: usize, layers: usize, heads: usize, activation: &str| {
        let config = json!({
            "vocab_size": 49408, "hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "max_position_embeddings": 77, "projection_dim": hidden,
            "hidden_act": activation, "layer_norm_eps": 1e-5
        });
        ClipTextConfig::parse("published", config.to_string().as_bytes()).unwrap()
    };
    let published_t5 = json!({
        "vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64,
        "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6,
        "feed_forward_proj": "gated-gelu"
    });
    let check = |part: &Found| {
        let (config, guessed) = inferred(part);
        assert!(guessed.is_empty() && part.sure, "{guessed:?}");
        match part.role {
            Role::ClipL => {
                assert_eq!(ClipTextConfig::parse("", &config).unwrap(), published_clip(768, 12, 12, "quick_gelu"))
            }
            Role::ClipG => {
                assert_eq!(ClipTextConfig::parse("", &config).unwrap(), published_clip(1280, 32, 20, "gelu"));
            }
            Role::T5 => {
                let want = T5Config::parse("published", published_t5.to_string().as_bytes()).unwrap();
                assert_eq!(T5Config::parse("", &config).unwrap(), want);
            }
            other => panic!("{other:?}"),
        }
    };
    for (shapes, role) in [
        (clip("", 768, 12), Role::ClipL),
        (clip("", 1280, 32), Role::ClipG),
        (t5(""), Role::T5),
        (clip("conditioner.embedders.0.transformer.", 768, 12), Role::ClipL),
    ] {
        let part = only(&shapes);
        assert_eq!(part.role, role);
        check(&part);
    }
    let bare: BTreeMap<_, _> = clip("", 768, 12)
        .into_iter()
        .map(|(name, shape)| (name.strip_prefix("text_model.").map_or(name.clone(), str::to_owned), shape))
        .collect();
    check(&only(&bare));

    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let prefixed = |list: &str, begin: &str| -> BTreeMap<_, _> {
        shapes(list).into_iter().map(|(name, shape)| (format!("{begin}{name}"), shape)).collect()
    };
    all.extend(prefixed("sd3-medium.sai", "model.diffusion_model."));
    all.extend(prefixed("vae16.ldm-bfl", "first_stage_model."));
    all.extend(clip("text_encoders.clip_l.transformer.", 768, 12));
    all.extend(clip("text_encoders.clip_g.transformer.", 1280, 32));
    all.extend(t5("text_encoders.t5xxl.transformer."));
    all.insert("text_encoders.clip_l.logit_scale".into(), vec![]);
    let found = parts(&all).unwrap();
    assert_eq!(found.iter().map(|part| part.role).collect::<Vec<_>>(), Role::ALL);
    for part in found.iter().filter(|part| part.role.is_text()) {
        assert_eq!(part.prefix, format!("text_encoders.{}.transformer.", part.role.key().replace("t5", "t5xxl")));
        check(part);
    }
}

#[test]
fn what_belongs_to_other_programs_is_refused_by_its_name() {
    for (list, is) in [
        ("flux2-klein-4b.bfl", "FLUX.2"),
        ("flux2-klein-4b.diffusers", "FLUX.2"),
        ("z-image.diffusers", "Z-Image"),
        ("z-image.comfy-gguf", "Z-Image"),
        ("flux3-klein.diffusers", "FLUX.3"),
        ("vae-flux2.diffusers", "the autoencoder of FLUX.2"),
    ] {
        assert_eq!(parts(&shapes(list)).unwrap_err(), format!("m/model.safetensors is {is}"), "{list}");
    }
    let one = |name: &str| parts(&BTreeMap::from([(name.to_owned(), vec![4, 4])])).unwrap_err();
    for (tensor, is) in [
        ("transformer.transformer_blocks.0.attn.to_q.lora_A.weight", "a LoRA adapter, not a model"),
        ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "a LoRA adapter, not a model"),
        ("model.diffusion_model.label_emb.0.0.weight", "SDXL"),
        ("model.diffusion_model.input_blocks.0.0.weight", "Stable Diffusion 1 or 2"),
        ("model.layers.0.self_attn.q_proj.weight", "a language model such as Qwen3"),
        ("distilled_guidance_layer.in_proj.weight", "Chroma"),
    ] {
        assert_eq!(one(tensor), format!("m/model.safetensors is {is}"));
    }
    // An autoencoder does not make SDXL one of ours, and neither does its text encoder.
    let mut sdxl = clip("conditioner.embedders.0.transformer.", 768, 12);
    sdxl.insert("model.diffusion_model.label_emb.0.0.weight".into(), vec![4, 4]);
    sdxl.insert("first_stage_model.decoder.mid.block_1.conv1.weight".into(), vec![4, 4, 3, 3]);
    assert_eq!(parts(&sdxl).unwrap_err(), "m/model.safetensors is SDXL");
    assert_eq!(one("weight"), "m/model.safetensors holds no part of a model that can be read (it holds weight, ...)");
    assert_eq!(parts(&BTreeMap::new()).unwrap_err(), "m/model.safetensors holds no tensor");
}

#[test]
fn a_checkpoint_of_the_real_shapes_with_a_part_cut_out_is_refused_by_the_tensor() {
    for (list, tensor, role) in [
        ("flux1-dev.bfl", "img_in.weight", "x_embedder.weight"),
        ("flux1-dev.bfl", "single_blocks.0.norm.query_norm.scale", "single_transformer_blocks.0.attn.norm_q.weight"),
        ("sd3.5-large.sai", "pos_embed", "pos_embed.pos_embed"),
        ("vae16.ldm-bfl", "decoder.conv_in.weight", "decoder.conv_in.weight"),
    ] {
        let mut shapes = shapes(list);
        shapes.remove(tensor).unwrap();
        let part = only(&shapes);
        let error = part.infer(part.layout).unwrap_err().to_string();
        assert!(error.starts_with(&format!("m/model.safetensors: tensor '{role}' is missing from its ")), "{error}");
    }
    let mut odd = shapes("sd3-medium.sai");
    odd.insert("pos_embed".into(), vec![1, 36863, 1536]);
    let part = only(&odd);
    assert_eq!(
        part.infer(part.layout).unwrap_err().to_string(),
        "m/model.safetensors: 'pos_embed' has 36863 positions, which is no square"
    );
    let mut fill = shapes("flux1-dev.bfl");
    fill.insert("img_in.weight".into(), vec![3072, 384]);
    let part = only(&fill);
    assert_eq!(part.infer(part.layout).unwrap_err().to_string(), "m/model.safetensors reads 384 channels and makes 64");
}

/// A folder with a checkpoint of the published shapes and all it needs, and a cache that knows the hashes: nobody waits
/// for the zeros of 30 GB.
fn published(transformer: &str, file: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut known = Map::new();
    for (name, shapes) in [
        (file, shapes(transformer)),
        ("vae.safetensors", shapes("vae16.ldm-bfl")),
        ("clip_l.safetensors", clip("", 768, 12)),
        ("clip_g.safetensors", clip("", 1280, 32)),
        ("t5xxl.safetensors", t5("")),
    ] {
        let path = folder.path().join(name);
        header_only(&path, &shapes);
        let metadata = fs::metadata(&path).unwrap();
        let modified = metadata.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
        let hash = json!({ "size": metadata.len(), "modified": modified, "sha256": "0".repeat(64) });
        known.insert(path.to_str().unwrap().to_owned(), hash);
    }
    fs::create_dir(folder.path().join("cache")).unwrap();
    fs::write(folder.path().join("cache/weight-hashes.json"), Value::Object(known).to_string()).unwrap();
    for (tokenizer, from) in [("tokenizer", "tokenizer_clip_l"), ("tokenizer_2", "tokenizer_t5")] {
        let place = folder.path().join(tokenizer);
        fs::create_dir(&place).unwrap();
        fs::copy(fixture(&format!("common/{from}/tokenizer.json")), place.join("tokenizer.json")).unwrap();
    }
    folder
}

/// Opens a file of such a folder as a kind.
fn opened(folder: &TempDir, file: &str, kind: Option<&str>) -> flowline_model::Result<Pipeline> {
    let (path, cache) = (folder.path().join(file), folder.path().join("cache"));
    let opening = Opening { kind: kind.map(str::to_owned), ..Opening::named(path.to_str().unwrap(), Some(&cache)) };
    Pipeline::open_as(&opening)
}

/// What is warned of, by its code.
fn warned(pipeline: &Pipeline) -> Vec<&'static str> {
    pipeline.spec().warnings().iter().map(|warning| warning.code).collect()
}

#[test]
fn single_files_of_the_published_shapes_are_opened_as_what_they_are() {
    let found = |texts: usize| vec!["part-found"; texts + 1];
    for (list, file, name, texts, guessed) in [
        ("flux1-dev.bfl", "flux1-dev.safetensors", "flux-dev", 2, true),
        ("flux1-dev.diffusers", "flux1-krea-dev.safetensors", "flux-krea-dev", 2, true),
        ("sd3-medium.sai", "sd3_medium.safetensors", "sd3-medium", 3, false),
        ("sd3.5-medium.diffusers", "sd3.5_medium.safetensors", "sd3.5-medium", 3, false),
        ("sd3.5-large.sai", "sd3.5_large.safetensors", "sd3.5-large", 3, true),
        ("sd3.5-large.sai", "sd3.5_large_turbo.safetensors", "sd3.5-large-turbo", 3, true),
    ] {
        let folder = published(list, file);
        let pipeline = opened(&folder, file, None).unwrap();
        let spec = pipeline.spec();
        assert_eq!((spec.entry.name, spec.name.as_str()), (name, file.strip_suffix(".safetensors").unwrap()));
        let mut codes = found(texts);
        codes.extend(guessed.then_some("kind-guessed"));
        assert_eq!(warned(&pipeline), codes, "{file}");
        let transformer: u64 = shapes(list).values().map(|shape| shape.iter().product::<usize>() as u64).sum();
        assert!(spec.parameters() > transformer && spec.record().weights.len() == texts + 2, "{file}");
        let files: Vec<_> = spec.record().weights.into_iter().map(|weights| weights.file).collect();
        assert!(files.contains(&file.to_owned()) && files.contains(&"t5xxl.safetensors".to_owned()), "{files:?}");
    }
}

/// Published transformers: list, file, weights in 10^9 (models.md 1: instances of the published configurations) and the
/// width of the square of learned places and of each, which are no weights there.
const PUBLISHED: [(&str, &str, f64, (usize, usize)); 8] = [
    ("flux1-dev.bfl", "flux1-dev.safetensors", 11.90, (0, 0)),
    ("flux1-dev.diffusers", "flux1-dev.safetensors", 11.90, (0, 0)),
    ("sd3-medium.sai", "sd3_medium.safetensors", 2.03, (192, 1536)),
    ("sd3-medium.diffusers", "sd3_medium.safetensors", 2.03, (192, 1536)),
    ("sd3.5-medium.sai", "sd3.5_medium.safetensors", 2.24, (384, 1536)),
    ("sd3.5-medium.diffusers", "sd3.5_medium.safetensors", 2.24, (384, 1536)),
    ("sd3.5-large.sai", "sd3.5_large.safetensors", 8.06, (192, 2432)),
    ("sd3.5-large.diffusers", "sd3.5_large.safetensors", 8.06, (192, 2432)),
];

#[test]
fn checkpoints_of_the_published_shapes_are_planned_for_at_the_sizes_that_are_known_of_them() {
    // Bits a weight. In the last two, leejet/stable-diffusion.cpp `docs/flux.md` measures 12,068 and 6,395 MiB of FLUX.1-dev,
    // and city96 publishes 2.86 and 1.74 GB for SD3.5 medium.
    let forms = [("stored", 16.0), ("q8_0", 8.5), ("q4_0", 4.5)];
    for ((list, file, weights, (side, width)), (form, bits)) in
        PUBLISHED.into_iter().flat_map(|published| forms.map(|form| (published, form)))
    {
        let folder = published(list, file);
        let holding = Holding { weights: form.parse().unwrap(), ..Holding::DENSE };
        let plan = planned(&folder, file, holding, None).unwrap();
        let gigabytes = (plan.transformer.heap + plan.transformer.mapped) as f64 / 1e9;
        let known = weights * bits / 8.0 + (2 * side * side * width) as f64 / 1e9;
        println!("{list} {form}: {gigabytes:.2} GB, {known:.2} of weights and places");
        // Norms and biases are held as f32, and what stands before and after the blocks as it is stored.
        let most = known * if form == "stored" { 1.005 } else { 1.04 };
        assert!(gigabytes > 0.99 * known && gigabytes < most, "{list} {form}: {gigabytes} GB, not {known}");
        // Mapped files are never refused; what must be held is held within the peak.
        let held = plan.transformer.heap + plan.autoencoder.heap + plan.denoising.max(plan.decoding);
        assert!(plan.peak.heap >= held && plan.peak.heap <= held + plan.text_encoders.heap + plan.encoding);
        let refused = planned(&folder, file, holding, Some(256 << 20)).unwrap_err();
        assert!(matches!(refused, Error::Memory { needed, .. } if needed > 256 << 20), "{list}: {refused}");
    }
}

/// The plan for a picture of 1024 x 1024 by a checkpoint in such a folder, in at most so many bytes.
fn planned(folder: &TempDir, file: &str, holding: Holding, memory: Option<u64>) -> Result<MemoryPlan, Error> {
    let (path, cache) = (folder.path().join(file), folder.path().join("cache"));
    let opening = Opening { holding, memory, ..Opening::named(path.to_str().unwrap(), Some(&cache)) };
    let pipeline = Pipeline::open_as(&opening).unwrap();
    let draft = Draft { prompt: "a cat".into(), width: Some(1024), height: Some(1024), ..Draft::default() };
    Ok(draft.resolve(pipeline.spec())?.request.memory_plan(pipeline.spec()))
}

#[test]
fn the_kind_that_shapes_cannot_tell_may_be_said_and_no_other() {
    let folder = published("sd3.5-large.sai", "merge.safetensors");
    let named = |kind: Option<&str>| opened(&folder, "merge.safetensors", kind);
    assert_eq!(named(None).unwrap().spec().entry.name, "sd3.5-large");
    let turbo = named(Some("sd35-large-turbo")).unwrap();
    assert_eq!((turbo.spec().entry.name, turbo.spec().entry.defaults.steps), ("sd3.5-large-turbo", 4));
    assert_eq!(turbo.spec().record().kind.as_deref(), Some("sd3.5-large-turbo"));
    assert!(!warned(&turbo).contains(&"kind-guessed"));
    let error = named(Some("flux-dev")).err().unwrap();
    assert_eq!(error.to_string(), "the model is no flux-dev, its tensors are those of sd3.5-large");
    assert_eq!(error.hint(), "leave --kind out, or give one of: sd3.5-large, sd3.5-large-turbo");
    assert_eq!(named(Some("sd9")).err().unwrap().to_string(), "there is no kind of model named 'sd9'");
    // What somebody wrote beside the file is as good.
    fs::write(folder.path().join("merge.json"), r#"{ "model": { "kind": "sd3.5-large-turbo" } }"#).unwrap();
    let pipeline = named(None).unwrap();
    assert_eq!((pipeline.spec().entry.name, pipeline.spec().record().kind), ("sd3.5-large-turbo", None));
}

#[test]
fn what_is_missing_is_named_with_the_places_where_it_may_be_put() {
    for (file, part, option, put) in [
        ("clip_l.safetensors", "text encoder CLIP-L", "clip-l", "models/text_encoders"),
        ("t5xxl.safetensors", "text encoder T5", "t5", "models/text_encoders"),
        ("vae.safetensors", "autoencoder", "vae", "models/vae"),
    ] {
        let folder = published("flux1-dev.bfl", "flux1-dev.safetensors");
        fs::remove_file(folder.path().join(file)).unwrap();
        let error = opened(&folder, "flux1-dev.safetensors", None).err().unwrap();
        assert_eq!(error.to_string(), format!("flux1-dev.safetensors brings no {part}, and none was found beside it"));
        let hint = error.hint();
        assert!(hint.contains(put) && hint.contains(&format!("--{option} FILE")), "{hint}");
    }
    let folder = published("flux1-dev.bfl", "flux1-dev.safetensors");
    fs::remove_dir_all(folder.path().join("tokenizer_2")).unwrap();
    let error = opened(&folder, "flux1-dev.safetensors", None).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the text encoder T5 (t5xxl.safetensors) has no tokenizer (tokenizer.json or spiece.model)"
    );
    assert!(error.hint().ends_with("tokenizer_2"), "{}", error.hint());
    // SD3 does without T5.
    let folder = published("sd3-medium.sai", "sd3_medium.safetensors");
    fs::remove_file(folder.path().join("t5xxl.safetensors")).unwrap();
    let pipeline = opened(&folder, "sd3_medium.safetensors", None).unwrap();
    assert_eq!(warned(&pipeline), ["part-found", "part-found", "part-found", "t5-missing"]);
    // Another family's autoencoder has the same shapes, and is not taken.
    let folder = published("sd3-medium.sai", "sd3_medium.safetensors");
    fs::rename(folder.path().join("vae.safetensors"), folder.path().join("ae.safetensors")).unwrap();
    let error = opened(&folder, "sd3_medium.safetensors", None).err().unwrap();
    assert_eq!(error.to_string(), "sd3_medium.safetensors brings no autoencoder, and none was found beside it");
}
