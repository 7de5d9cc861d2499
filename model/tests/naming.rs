//! Checkpoints in the names of their authors: the same tensors, bit for bit, under the names that networks ask for.

mod parity;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor};
use flowline_model::weights::Weights;
use flowline_model::{Draft, Error, Pipeline, Result};
use parity::folders::{flux_folder, picture, sd3_folder, split};
use parity::lists::{header_only, shapes};
use parity::{fixture, quiet, tensors};
use tempfile::TempDir;

/// In diffusers' names; in the authors'; what the authors' begin with in files of a whole model.
const PAIRS: [(&str, &str, &str); 4] = [
    (
        "flux_dev/transformer/diffusion_pytorch_model.safetensors",
        "flux_dev/flux1-dev_bfl_names.safetensors",
        "model.diffusion_model.",
    ),
    ("sd3/transformer/diffusion_pytorch_model.safetensors", "sd3/sd3_sai_names.safetensors", "model.diffusion_model."),
    (
        "sd35_medium/transformer/diffusion_pytorch_model.safetensors",
        "sd35_medium/sd35_medium_sai_names.safetensors",
        "model.diffusion_model.",
    ),
    ("common/vae16/diffusion_pytorch_model.safetensors", "common/vae16/ae_ldm_names.safetensors", "first_stage_model."),
];
const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";

/// Opens `tensors` as a file.
fn written(folder: &TempDir, tensors: &HashMap<String, Tensor>) -> Result<Weights> {
    let path = folder.path().join("model.safetensors");
    candle_core::safetensors::save(tensors, &path).unwrap();
    Weights::open(&path)
}

/// Reads every tensor of `want` and no other.
fn assert_same(weights: &Weights, want: &HashMap<String, Tensor>) {
    let reader = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()));
    let values = |x: &Tensor| x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (name, want) in want {
        assert!(values(&reader.tensor(name, want.dims()).unwrap()) == values(want), "{name}");
    }
    weights.finish(&[]).unwrap();
    assert_eq!(weights.parameters(), want.values().map(|x| x.elem_count() as u64).sum::<u64>());
}

#[test]
fn every_tensor_in_the_authors_names_is_the_one_in_diffusers_names_and_none_is_left_over() {
    for (diffusers, authors, begin) in PAIRS {
        let want = tensors(diffusers);
        assert_same(&Weights::open(&fixture(authors)).unwrap(), &want);
        let whole = tensors(authors).into_iter().map(|(name, x)| (format!("{begin}{name}"), x)).collect();
        assert_same(&written(&tempfile::tempdir().unwrap(), &whole).unwrap(), &want);
    }
}

#[test]
fn a_folder_whose_parts_have_the_authors_names_makes_the_same_bits_whole_and_split() {
    type Folder = fn() -> TempDir;
    let models: [(Folder, &str); 4] = [
        (|| flux_folder("flux_dev"), PAIRS[0].1),
        // Here the weights of the guidance are left unread.
        (|| flux_folder("flux_schnell"), PAIRS[0].1),
        (|| sd3_folder("sd3"), PAIRS[1].1),
        (|| sd3_folder("sd35_medium"), PAIRS[2].1),
    ];
    for (folder, authors) in models {
        let (diffusers, renamed) = (folder(), folder());
        let place = |file: &str| renamed.path().join(file);
        fs::copy(fixture(authors), place(TRANSFORMER)).unwrap();
        fs::copy(fixture(PAIRS[3].1), place(VAE)).unwrap();
        let draw = |folder: &TempDir| {
            let mut pipeline = Pipeline::open(folder.path().to_str().unwrap(), None).unwrap();
            let (picture, _, _) = picture(&mut pipeline);
            (picture.latents.values().unwrap(), picture.image)
        };
        let want = draw(&diffusers);
        assert!(draw(&renamed) == want, "{authors}");
        split(&place(TRANSFORMER), 3);
        split(&place(VAE), 2);
        assert!(draw(&renamed) == want, "{authors}, split");
    }
}

#[cfg(unix)]
#[test]
fn the_published_checkpoints_hold_what_diffusers_versions_of_them_hold_and_nothing_else() {
    let models = [
        ("flux1-dev", "bfl", 780, 1160),
        ("sd3-medium", "sai", 491, 683),
        ("sd3.5-medium", "sai", 665, 909),
        ("sd3.5-large", "sai", 923, 1227),
        ("vae16", "ldm-bfl", 244, 244),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (model, authors, stored, wanted) in models {
        let want = shapes(&format!("{model}.diffusers"));
        assert_eq!(want.len(), wanted, "{model}");
        for (naming, count) in [(authors, stored), ("diffusers", wanted)] {
            let shapes = shapes(&format!("{model}.{naming}"));
            assert_eq!(shapes.len(), count, "{model}.{naming}");
            let path = folder.path().join("model.safetensors");
            header_only(&path, &shapes);
            let weights = Weights::open(&path).unwrap();
            let got: BTreeMap<_, _> =
                weights.tensors().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
            assert!(got == want, "{model}.{naming}");
        }
    }
}

/// What is said about a checkpoint in the authors' names after `change`, read as FLUX.1's.
fn refused(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> String {
    let folder = flux_folder("flux_dev");
    let mut weights = tensors(PAIRS[0].1);
    change(&mut weights);
    candle_core::safetensors::save(&weights, folder.path().join(TRANSFORMER)).unwrap();
    let opened = Pipeline::open(folder.path().to_str().unwrap(), None);
    let draw = |mut pipeline: Pipeline| {
        let small = Draft { width: Some(16), height: Some(16), steps: Some(1), ..Draft::default() };
        let request = small.resolve(pipeline.spec())?.request;
        pipeline.generate(&request, quiet)
    };
    let error = opened.and_then(draw).unwrap_err();
    assert!(!matches!(error, Error::Tensor(_)) && !error.hint().is_empty(), "{error}");
    let error = error.to_string();
    let what = error.strip_prefix(&format!("{TRANSFORMER}: "));
    what.unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn a_damaged_checkpoint_in_the_authors_names_is_refused_in_words_of_both_names() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::BF16, &Device::Cpu).unwrap();
    let put = |name: &str, shape: &[usize]| {
        let (name, tensor) = (name.to_owned(), zeros(shape));
        refused(|weights| drop(weights.insert(name, tensor)))
    };
    assert_eq!(
        put("double_blocks.0.img_attn.qkv.weight", &[95, 32]),
        "tensor 'double_blocks.0.img_attn.qkv.weight' has shape [95, 32], which cannot be cut into 3 equal parts"
    );
    assert_eq!(
        put("single_blocks.1.linear1.bias", &[]),
        "tensor 'single_blocks.1.linear1.bias' has shape [], which cannot be cut into 7 equal parts"
    );
    assert_eq!(
        put("single_blocks.1.linear1.weight", &[231, 32]),
        "tensor 'single_blocks.1.linear1.weight (single_transformer_blocks.1.attn.to_q.weight)' has shape [33, 32], \
         expected [32, 32]"
    );
    assert_eq!(
        put("x_embedder.weight", &[32, 64]),
        "tensor 'x_embedder.weight' and 'img_in.weight' in transformer/diffusion_pytorch_model.safetensors are one to \
         the network: 'x_embedder.weight'"
    );
    assert_eq!(
        put("single_blocks.2.linear2.bias", &[32]),
        "unknown tensor 'single_blocks.2.linear2.bias (single_transformer_blocks.2.proj_out.bias)' of shape [32]"
    );
    assert_eq!(
        put("img_in.weight_offset", &[]),
        "unknown tensor 'img_in.weight_offset (x_embedder.weight_offset)' of shape []"
    );
    assert_eq!(
        put("double_stream_modulation_img.lin.weight", &[1]),
        "unknown tensor 'double_stream_modulation_img.lin.weight' of shape [1]"
    );
    assert_eq!(
        refused(|weights| drop(weights.remove("double_blocks.0.txt_attn.qkv.bias").unwrap())),
        "tensor 'transformer_blocks.0.attn.add_q_proj.bias' is missing (expected shape [32])"
    );
}

#[test]
fn absurd_names_are_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut weights = tensors(PAIRS[3].1);
    let absurd = [
        "decoder.up.18446744073709551616.block.0.conv1.weight",
        "decoder.up.x.block.0.conv1.weight",
        "decoder.up.0.block",
        "decoder.up..",
        "decoder.mid.attn_1.q.w.weight",
        "decoder.mid.attn_2.q.weight",
        "..",
        "decoder",
    ];
    for name in absurd {
        weights.insert(name.into(), Tensor::zeros(1, DType::BF16, &Device::Cpu).unwrap());
    }
    let weights = written(&folder, &weights).unwrap();
    for name in absurd {
        assert!(weights.tensors().any(|(known, _)| known == name), "{name}");
    }
    let asked = weights.tensors().filter(|(name, _)| tensors(PAIRS[3].0).contains_key(*name)).count();
    assert_eq!(asked, tensors(PAIRS[3].0).len());
}
