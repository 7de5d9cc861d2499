//! Damaged files without end, for `FLOWLINE_FUZZ_SECONDS` a kind (2 if not given): no panic, no memory for what a header
//! only claims. `FLOWLINE_FUZZ_SEED` repeats a run.

mod memory;
mod mutation;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::Device;
use flowline_model::text::{Frame, Tokenizer};
use flowline_model::weights::identify::identify;
use flowline_model::weights::{Adapters, HashCache, ModelFiles, Targets, TensorFile, Weights};
use flowline_model::{Lora, LoraFile};
use memory::{Counting, largest_piece};
use mutation::fuzz;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that may be asked for at once while a small file is read: several times the largest seed.
const LARGEST: usize = 8 << 20;

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn seeds(paths: &[&str]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| fs::read(fixture(path)).unwrap_or_else(|e| panic!("{path}: {e}"))).collect()
}

/// Reads every tensor of a weight file in the shape that it says it has, and what is said about the whole.
fn read_weights(path: &Path) {
    let Ok(weights) = Weights::open(path) else { return };
    let reader = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()));
    weights.parameters();
    for (name, shape) in weights.tensors() {
        // Whatever it says: what counts is that it says it.
        let _ = reader.tensor(name, shape);
        if let [rows, columns] = shape {
            let _ = reader.matrix(name, *rows, *columns);
        }
    }
    let _ = weights.finish(&[]);
    if let Ok(file) = TensorFile::open(path) {
        let _ = identify(&[file]).map(|found| found.iter().for_each(|found| drop(found.infer(None))));
    }
}

fn fuzz_weights(target: &str, files: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let good = seeds(files);
    for good in &good {
        fs::write(&path, good).unwrap();
        assert!(Weights::open(&path).is_ok(), "an undamaged file is refused");
    }
    fuzz(target, &good, |input| {
        fs::write(&path, input).unwrap();
        let ((), largest) = largest_piece(|| read_weights(&path));
        assert!(largest <= LARGEST, "{largest} bytes at once for a file of {}", input.len());
    });
}

#[test]
fn no_safetensors_file_stops_the_reader() {
    let files = [
        "common/clip_l/model.safetensors",
        "common/vae16/ae_ldm_names.safetensors",
        "flux_dev/flux1-dev_bfl_names.safetensors",
        "sd3/sd3_sai_names.safetensors",
    ];
    fuzz_weights("safetensors", &files);
}

#[test]
fn a_shape_that_only_an_empty_dimension_makes_small_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let header = r#"{"a":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#;
    fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    let refused = Weights::open(&path).err().unwrap().to_string();
    assert!(refused.ends_with("tensor 'a' has more values than can be counted"), "{refused}");
    read_weights(&path);
}

#[test]
fn no_adapter_stops_the_reader() {
    const PART: &str = "transformer/diffusion_pytorch_model.safetensors";
    let model = Weights::open(&fixture("flux_dev").join(PART)).unwrap();
    let mut targets = Targets::default();
    targets.add(PART, &model);
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("adapter_model.safetensors"), folder.path().join("adapter_config.json"));
    let good = seeds(&[
        "lora/flux_dev/kohya.safetensors",
        "lora/flux_dev/diffusers.safetensors",
        "lora/flux_dev/xlabs.safetensors",
        "lora/flux_dev/peft/adapter_model.safetensors",
        "lora/flux_dev/peft/adapter_config.json",
    ]);
    let (weights, settings) = (good[3].clone(), good[4].clone());
    fuzz("lora", &good, |input| {
        let is_config = input.first() == settings.first();
        fs::write(&path, if is_config { &weights } else { input }).unwrap();
        fs::write(&config, if is_config { input } else { &settings }).unwrap();
        let loras = [Lora { file: LoraFile::Path(path.clone()), scale: 0.8 }];
        let ((), largest) = largest_piece(|| {
            let Ok(adapters) = Adapters::open(&loras, &targets, &mut HashCache::default()) else { return };
            for (tensor, _) in model.tensors() {
                let _ = adapters.low_rank(PART, tensor, &Device::Cpu);
            }
        });
        assert!(largest <= LARGEST, "{largest} bytes at once for a file of {}", input.len());
    });
}

#[test]
fn no_gguf_stops_the_reader() {
    fuzz_weights("gguf", &["gguf/flux1-dev-tiny-Q4_0.gguf", "gguf/flux1-dev-tiny-Q8_0.gguf"]);
}

#[test]
fn no_sentencepiece_model_stops_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tokenizer");
    fs::create_dir(&place).unwrap();
    let files = ModelFiles::Folder(folder.path().to_owned());
    let good = seeds(&["spiece/spiece.model"]);
    fuzz("spiece.model", &good, |input| {
        fs::write(place.join("spiece.model"), input).unwrap();
        let (_, largest) = largest_piece(|| {
            let tokenizer = Tokenizer::of_folder(&files, "tokenizer", &Frame::t5(24))?;
            tokenizer.encode("a lovely cat holding a sign").map(drop)
        });
        // A token of odd characters may cost a table of all characters, 13 MB.
        assert!(largest <= 8 * LARGEST, "{largest} bytes at once for a file of {}", input.len());
    });
}

#[test]
fn no_tokenizer_stops_the_reader() {
    let prompt = "A lovely cat, holding <|endoftext|> a SIGN — ½ naïve 猫 🐈 </s> 1234!";
    let good = seeds(&["common/tokenizer_t5/tokenizer.json", "common/tokenizer_clip_l/tokenizer.json"]);
    fuzz("tokenizer.json", &good, |input| {
        let (_, largest) = largest_piece(|| {
            for frame in [Frame::t5(24), Frame::clip_g()] {
                if let Ok(tokenizer) = Tokenizer::from_bytes("tokenizer.json", input, &frame) {
                    let _ = tokenizer.encode(prompt);
                }
            }
        });
        // A regular expression may take what its library allows one, wherever it stands.
        assert!(largest <= 8 * LARGEST, "{largest} bytes at once for a file of {}", input.len());
    });
}

#[test]
fn no_vocabulary_stops_the_reader() {
    let good = seeds(&["common/tokenizer_clip_l/vocab.json", "common/tokenizer_clip_l/merges.txt"]);
    let (vocabulary, merges) = (good[0].clone(), String::from_utf8(good[1].clone()).unwrap());
    fuzz("vocab.json", &good, |input| {
        let (vocabulary, merges) = match input.starts_with(b"{") {
            true => (input.to_vec(), merges.clone()),
            false => (vocabulary.clone(), String::from_utf8_lossy(input).into_owned()),
        };
        if let Ok(tokenizer) = Tokenizer::from_clip_vocabulary("vocab.json", &vocabulary, &merges, &Frame::clip_l()) {
            let _ = tokenizer.encode("a lovely cat holding a sign");
        }
    });
}
