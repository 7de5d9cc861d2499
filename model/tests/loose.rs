//! Models in loose files make the same bits as the diffusers folder of the same parts: all in one file, in ComfyUI's
//! folders, named one by one, and folders that are not quite whole.

mod parity;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use flowline_model::opening::Parts;
use flowline_model::weights::Encoding;
use flowline_model::{Opening, Pipeline};
use image::RgbImage;
use parity::folders::{flux_folder, picture, sd3_folder, split};
use parity::gguf::{Gguf, text};
use parity::{fixture, tensors};
use serde_json::Value;
use tempfile::TempDir;

/// The model, its transformer in its authors' names, and whether it is SD3.
const MODELS: [(&str, &str, bool); 3] = [
    ("flux_dev", "flux_dev/flux1-dev_bfl_names.safetensors", false),
    ("sd3", "sd3/sd3_sai_names.safetensors", true),
    ("sd35_medium", "sd35_medium/sd35_medium_sai_names.safetensors", true),
];
const VAE: &str = "common/vae16/ae_ldm_names.safetensors";

/// Latents and picture.
type Drawn = (Vec<f32>, RgbImage);

fn draw(opening: &Opening) -> Drawn {
    let mut pipeline = Pipeline::open_as(opening).unwrap_or_else(|error| panic!("{error}\n{}", error.hint()));
    let (picture, read, there) = picture(&mut pipeline);
    assert!(read <= there);
    (picture.latents.values().unwrap(), picture.image)
}

fn named(path: impl AsRef<Path>) -> Opening {
    Opening::named(path.as_ref().to_str().unwrap(), None)
}

/// The diffusers folder, which says nothing that loose files could not.
fn folder(model: &str, sd3: bool) -> TempDir {
    let folder = if sd3 { sd3_folder(model) } else { flux_folder(model) };
    fs::remove_file(folder.path().join("model_index.json")).unwrap();
    folder
}

/// Text encoders: file, name in ComfyUI, fixture, and tokenizer.
fn encoders(sd3: bool) -> Vec<(&'static str, &'static str, &'static str)> {
    let all = [
        ("clip_l", "common/clip_l", "common/tokenizer_clip_l"),
        ("clip_g", "common/clip_g", "common/tokenizer_clip_g"),
        ("t5xxl", "common/t5", "common/tokenizer_t5"),
    ];
    all.into_iter().filter(|(name, ..)| sd3 || *name != "clip_g").collect()
}

/// ComfyUI's folder with the vocabularies that its program brings.
fn comfyui() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let place = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(&path).unwrap();
        path
    };
    for folder in ["checkpoints", "diffusion_models", "vae", "text_encoders", "loras"] {
        place(&format!("models/{folder}"));
    }
    let clip = place("comfy/sd1_tokenizer");
    for file in ["vocab.json", "merges.txt"] {
        fs::copy(fixture(&format!("common/tokenizer_clip_l/{file}")), clip.join(file)).unwrap();
    }
    let t5 = place("comfy/text_encoders/t5_tokenizer");
    fs::copy(fixture("common/tokenizer_t5/tokenizer.json"), t5.join("tokenizer.json")).unwrap();
    root
}

/// Everything in one file: `sd3_medium_incl_clips_t5xxl.safetensors`, and its like for FLUX.1.
fn all_in_one(path: &Path, transformer: &str, sd3: bool) {
    let mut all: HashMap<String, Tensor> = HashMap::new();
    let mut add = |file: &str, begin: &str| {
        all.extend(tensors(file).into_iter().map(|(name, tensor)| (format!("{begin}{name}"), tensor)));
    };
    add(transformer, "model.diffusion_model.");
    add(VAE, if sd3 { "first_stage_model." } else { "vae." });
    for (name, encoder, _) in encoders(sd3) {
        add(&format!("{encoder}/model.safetensors"), &format!("text_encoders.{name}.transformer."));
    }
    all.insert(
        "text_encoders.clip_l.logit_scale".into(),
        Tensor::zeros((), DType::F32, &candle_core::Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&all, path).unwrap();
}

#[test]
fn one_file_with_all_parts_in_it_makes_the_same_bits_as_the_folder() {
    for (model, transformer, sd3) in MODELS {
        let want = draw(&named(folder(model, sd3).path()));
        let root = comfyui();
        let file = root.path().join("models/checkpoints/all.safetensors");
        all_in_one(&file, transformer, sd3);
        assert!(draw(&named(&file)) == want, "{model}");
        // One file is hashed once, whatever is in it.
        let record = Pipeline::open_as(&named(&file)).unwrap().spec().record();
        assert_eq!(record.weights.iter().map(|weights| weights.file.as_str()).collect::<Vec<_>>(), ["all.safetensors"]);
        assert_eq!(record.name, "all");
    }
}

#[test]
fn pieces_in_the_folders_of_comfyui_find_each_other_and_make_the_same_bits() {
    for (model, transformer, sd3) in MODELS {
        let want = draw(&named(folder(model, sd3).path()));
        let root = comfyui();
        let models = root.path().join("models");
        let file = models.join("diffusion_models/mine.safetensors");
        fs::copy(fixture(transformer), &file).unwrap();
        fs::copy(fixture(VAE), models.join("vae/some_vae.safetensors")).unwrap();
        // Deeper, and among others that do not fit.
        fs::create_dir(models.join("text_encoders/flux")).unwrap();
        fs::copy(fixture(transformer), models.join("text_encoders/a.safetensors")).unwrap();
        fs::write(models.join("text_encoders/clip_l_broken.safetensors"), "no model").unwrap();
        for (name, encoder, _) in encoders(sd3) {
            let place = models.join(format!("text_encoders/flux/{name}.safetensors"));
            fs::copy(fixture(&format!("{encoder}/model.safetensors")), place).unwrap();
        }
        assert!(draw(&named(&file)) == want, "{model}");
        // From anywhere, if ComfyUI's place is known.
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("mine.safetensors");
        fs::copy(fixture(transformer), &file).unwrap();
        let opening = Opening { places: vec![root.path().to_owned()], ..named(&file) };
        assert!(draw(&opening) == want, "{model} from elsewhere");
        assert!(Pipeline::open_as(&named(&file)).is_err());
    }
}

#[test]
fn parts_that_are_named_one_by_one_make_the_same_bits() {
    for (model, transformer, sd3) in MODELS {
        let whole = folder(model, sd3);
        let want = draw(&named(whole.path()));
        let part = |name: &str| Some(whole.path().join(name));
        let (second, third) = if sd3 { ("text_encoder_2", "text_encoder_3") } else { ("", "text_encoder_2") };
        let parts = Parts {
            transformer: Some(fixture(transformer)),
            vae: part("vae/diffusion_pytorch_model.safetensors"),
            clip_l: part("text_encoder"),
            clip_g: part(second).filter(|_| sd3),
            t5: part(&format!("{third}/model.safetensors")),
        };
        assert!(draw(&Opening { parts: parts.clone(), ..Opening::default() }) == want, "{model}, files and folders");
        // Diffusers folders, of which the part is taken.
        let parts = Parts {
            transformer: part(""),
            vae: part(""),
            clip_l: part(""),
            clip_g: part("").filter(|_| sd3),
            t5: part(""),
        };
        assert!(draw(&Opening { parts, ..Opening::default() }) == want, "{model}, whole folders");
        // A folder with some parts replaced by themselves.
        let parts = Parts { transformer: Some(fixture(transformer)), vae: part("vae"), ..Parts::default() };
        assert!(draw(&Opening { parts, ..named(whole.path()) }) == want, "{model}, over a folder");
    }
}

#[test]
fn a_part_that_is_replaced_is_used() {
    let whole = folder("flux_dev", false);
    let want = draw(&named(whole.path()));
    let mut other = tensors("common/clip_l/model.safetensors");
    for tensor in other.values_mut() {
        *tensor = (&*tensor * 0.5).unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("clip_l.safetensors");
    candle_core::safetensors::save(&other, &file).unwrap();
    let opening = Opening { parts: Parts { clip_l: Some(file), ..Parts::default() }, ..named(whole.path()) };
    assert!(draw(&opening).0 != want.0);
    let files: Vec<_> =
        Pipeline::open_as(&opening).unwrap().spec().record().weights.into_iter().map(|w| w.file).collect();
    let kept = [
        "clip_l.safetensors",
        "text_encoder_2/model.safetensors",
        TRANSFORMER,
        "vae/diffusion_pytorch_model.safetensors",
    ];
    assert_eq!(files, kept);
}

const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";

#[test]
fn folders_of_variants_and_split_files_make_the_same_bits() {
    for (model, _, sd3) in MODELS {
        let want = draw(&named(folder(model, sd3).path()));
        let variants = folder(model, sd3);
        let at = |file: &str| variants.path().join(file);
        fs::rename(at(TRANSFORMER), at("transformer/diffusion_pytorch_model.fp16.safetensors")).unwrap();
        fs::rename(at("text_encoder/model.safetensors"), at("text_encoder/model.bf16.safetensors")).unwrap();
        let last = if sd3 { "text_encoder_3" } else { "text_encoder_2" };
        split(&at(&format!("{last}/model.safetensors")), 2);
        for piece in ["-00001-of-00002", "-00002-of-00002"] {
            let (old, new) =
                (format!("{last}/model{piece}.safetensors"), format!("{last}/model.fp16{piece}.safetensors"));
            fs::rename(at(&old), at(&new)).unwrap();
        }
        fs::remove_file(at(&format!("{last}/model.safetensors.index.json"))).unwrap();
        assert!(draw(&named(variants.path())) == want, "{model}");

        let pieces = folder(model, sd3);
        split(&pieces.path().join(TRANSFORMER), 3);
        let begin = "transformer/diffusion_pytorch_model";
        for transformer in ["-00002-of-00003.safetensors", ".safetensors.index.json"] {
            let transformer: PathBuf = pieces.path().join(format!("{begin}{transformer}"));
            let parts = Parts { transformer: Some(transformer), ..Parts::default() };
            assert!(draw(&Opening { parts, ..named(pieces.path()) }) == want, "{model}");
        }
        fs::remove_file(pieces.path().join(format!("{begin}-00003-of-00003.safetensors"))).unwrap();
        let parts = Parts {
            transformer: Some(pieces.path().join(format!("{begin}-00001-of-00003.safetensors"))),
            ..Parts::default()
        };
        let error = Pipeline::open_as(&Opening { parts, ..named(pieces.path()) }).err().unwrap();
        assert!(error.to_string().contains("-00003-of-00003.safetensors is not there"), "{error}");
    }
}

#[test]
fn a_folder_without_its_t5_finds_one_beside() {
    let want = draw(&named(folder("flux_dev", false).path()));
    let without = folder("flux_dev", false);
    let at = |file: &str| without.path().join(file);
    fs::rename(at("text_encoder_2/model.safetensors"), at("t5xxl_fp16.safetensors")).unwrap();
    assert!(draw(&named(without.path())) == want);
    fs::remove_dir_all(at("text_encoder_2")).unwrap();
    assert!(draw(&named(without.path())) == want);
    // What is nowhere is missed in the words of the folder.
    fs::remove_file(at("t5xxl_fp16.safetensors")).unwrap();
    let error = Pipeline::open_as(&named(without.path())).err().unwrap();
    assert_eq!(error.to_string(), "text_encoder_2/model.safetensors: the file is missing from the model folder");
}

#[test]
fn what_is_said_beside_a_file_or_in_it_is_believed_over_what_its_shapes_tell() {
    let whole = folder("sd3", true);
    let heads = |said: &str| {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("mine.safetensors");
        let metadata = HashMap::from([
            ("transformer.num_attention_heads".to_owned(), "4".to_owned()),
            ("transformer.attention_head_dim".to_owned(), "8".to_owned()),
        ]);
        match said {
            "in" => {
                let tensors = candle_core::safetensors::load(fixture(MODELS[1].1), &candle_core::Device::Cpu).unwrap();
                safetensors::tensor::serialize_to_file(&tensors, Some(metadata), &file).unwrap();
            }
            _ => drop(fs::copy(fixture(MODELS[1].1), &file).unwrap()),
        }
        if said == "beside" {
            let json = r#"{ "transformer": { "num_attention_heads": 4, "attention_head_dim": 8 } }"#;
            fs::write(elsewhere.path().join("mine.json"), json).unwrap();
        }
        let parts = Parts { transformer: Some(file), ..Parts::default() };
        draw(&Opening { parts, ..named(whole.path()) })
    };
    let guessed = heads("nowhere");
    assert!(guessed == draw(&named(whole.path())));
    let (beside, inside) = (heads("beside"), heads("in"));
    assert!(beside == inside && beside.0 != guessed.0);
}

/// Tensors as a GGUF file, bit for bit: they are bf16.
fn gguf(tensors: HashMap<String, Tensor>) -> Gguf {
    let mut sorted: Vec<_> = tensors.into_iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.iter().fold(Gguf::default(), |file, (name, x)| {
        let values: Vec<f32> = x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        file.tensor(name, x.dims(), Encoding::Bf16, &values)
    })
}

/// T5 as llama.cpp converts it: its names, and its tokenizer in the metadata.
fn t5_gguf() -> Gguf {
    let modules = [
        ("layer.0.SelfAttention.q", "attn_q"),
        ("layer.0.SelfAttention.k", "attn_k"),
        ("layer.0.SelfAttention.v", "attn_v"),
        ("layer.0.SelfAttention.o", "attn_o"),
        ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
        ("layer.0.layer_norm", "attn_norm"),
        ("layer.1.DenseReluDense.wi_0", "ffn_gate"),
        ("layer.1.DenseReluDense.wi_1", "ffn_up"),
        ("layer.1.DenseReluDense.wo", "ffn_down"),
        ("layer.1.layer_norm", "ffn_norm"),
        ("shared", "token_embd"),
        ("encoder.final_layer_norm", "enc.output_norm"),
    ];
    let rename = |name: String| {
        let name = modules.iter().fold(name, |name, (theirs, ggml)| name.replace(theirs, ggml));
        name.replace("encoder.block.", "enc.blk.")
    };
    let renamed = tensors("common/t5/model.safetensors").into_iter().map(|(name, x)| (rename(name), x)).collect();
    let tokenizer: Value =
        serde_json::from_slice(&fs::read(fixture("common/tokenizer_t5/tokenizer.json")).unwrap()).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_array().unwrap();
    let list = |kind: u32, values: Vec<Vec<u8>>| {
        let head = [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &(values.len() as u64).to_le_bytes()].concat();
        [head, values.concat()].concat()
    };
    let tokens = vocabulary.iter().map(|piece| text(piece[0].as_str().unwrap())).collect();
    let scores = vocabulary.iter().map(|piece| (piece[1].as_f64().unwrap() as f32).to_le_bytes().to_vec()).collect();
    // Control, control, unknown, and normal ones.
    let kinds: Vec<i32> = (0..vocabulary.len()).map(|id| [3, 3, 2].get(id).copied().unwrap_or(1)).collect();
    let mut file = gguf(renamed).text("general.architecture", "t5encoder").text("tokenizer.ggml.model", "t5");
    file.facts.push(("tokenizer.ggml.tokens".into(), list(8, tokens)));
    file.facts.push(("tokenizer.ggml.scores".into(), list(6, scores)));
    file.list("tokenizer.ggml.token_type", &kinds)
}

#[test]
fn gguf_files_in_the_folders_of_comfyui_make_the_same_bits_and_t5_brings_its_words() {
    for (model, transformer, sd3) in MODELS {
        let want = draw(&named(folder(model, sd3).path()));
        let root = comfyui();
        fs::remove_dir_all(root.path().join("comfy/text_encoders")).unwrap();
        let models = root.path().join("models");
        fs::create_dir(models.join("unet")).unwrap();
        let file = models.join("unet/mine-BF16.gguf");
        let architecture = if sd3 { "sd3" } else { "flux" };
        gguf(tensors(transformer)).text("general.architecture", architecture).write(&file);
        gguf(tensors(VAE)).write(&models.join("vae/vae.gguf"));
        for (name, encoder, _) in encoders(sd3) {
            let place = models.join(format!("text_encoders/{name}.gguf"));
            match name {
                "t5xxl" => t5_gguf().write(&place),
                _ => gguf(tensors(&format!("{encoder}/model.safetensors"))).write(&place),
            }
        }
        assert!(draw(&named(&file)) == want, "{model}");
    }
}

#[test]
fn a_model_is_found_again_where_its_files_were_last_seen() {
    let (model, transformer, sd3) = MODELS[0];
    let cache = tempfile::tempdir().unwrap();
    let seen = |opening: &Opening| {
        let pipeline = Pipeline::open_as(&Opening { cache: Some(cache.path().to_owned()), ..opening.clone() }).unwrap();
        pipeline.spec().record()
    };
    let whole = folder(model, sd3);
    let record = seen(&named(whole.path()));
    let again = Opening::seen(&record, cache.path()).unwrap();
    assert_eq!(again.model, whole.path().to_str().unwrap());
    let want = draw(&again);

    let root = comfyui();
    let file = root.path().join("models/checkpoints/all.safetensors");
    all_in_one(&file, transformer, sd3);
    let again = Opening::seen(&seen(&named(&file)), cache.path()).unwrap();
    assert!(draw(&again) == want);
    let part = |name: &str| Some(whole.path().join(name));
    let parts = Parts {
        transformer: Some(fixture(transformer)),
        vae: part("vae"),
        clip_l: part("text_encoder"),
        t5: part("text_encoder_2"),
        ..Parts::default()
    };
    let record = seen(&Opening { parts, ..Opening::default() });
    let again = Opening::seen(&record, cache.path()).unwrap();
    assert_eq!(again.pieces.len(), 4);
    assert!(draw(&again) == want);
    // What was changed, or is gone, is no longer there.
    fs::remove_file(whole.path().join("vae/diffusion_pytorch_model.safetensors")).unwrap();
    assert!(Opening::seen(&record, cache.path()).is_none());
}
