//! What lies around a row: files, damaged pictures, damaged models. Each has a name that the tables use.

use std::fs;
use std::path::Path;

use flowline::record::{Chunk, write_png};
use image::RgbImage;
use serde_json::{Value, json};

use super::binary::{PNG_SIGNATURE, Sandbox, copy_folder};

const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";
const SHARD: &str = "diffusion_pytorch_model-00001-of-00002.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";

/// Puts what is called `name` into `dir`.
pub fn prepare(name: &str, dir: &Path) {
    let write = |file: &str, bytes: &[u8]| fs::write(dir.join(file), bytes).expect("a file");
    let grid = |json: &str| {
        fs::create_dir(dir.join("lab")).expect("a folder");
        write("lab/grid.json", json.as_bytes());
    };
    let model = |change: &dyn Fn(&Path)| {
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), &dir.join("model"));
        change(&dir.join("model"));
    };
    match name {
        "an-empty-file" => write("file", b""),
        "a-picture-folder" => fs::create_dir(dir.join("now.png")).expect("a folder"),
        "a-prompt-with-NUL" => write("prompt.txt", b"a\0b"),
        "a-prompt-in-UTF-16" => write("prompt.txt", b"\xff\xfea\0"),
        "a-prompt-in-Latin-1" => write("prompt.txt", b"caf\xe9"),
        "a-prompt-too-long" => write("prompt.txt", &vec![b'a'; (1 << 20) + 1]),
        "an-empty-line" => write("prompt.txt", b"\n"),

        "an-empty-picture" => write("a.png", b""),
        "a-GIF" => write("a.png", b"GIF89a"),
        "a-signature-alone" => write("a.png", PNG_SIGNATURE),
        "a-truncated-picture" => {
            picture(dir, &[]);
            let bytes = fs::read(dir.join("a.png")).expect("the picture");
            write("a.png", &bytes[..bytes.len() / 2]);
        }
        "a-decompression-bomb" => write("a.png", &header_alone(60_000, 60_000)),
        "a-picture-of-no-size" => write("a.png", &header_alone(0, 64)),
        "a-picture-without-record" => picture(dir, &[]),
        "a-foreign-text" => picture(dir, &[Chunk { keyword: "Comment", text: "made with love".into() }]),
        "a-broken-record" => own_record(dir, |_| "{\"schema\": 1, ".into()),
        "a-record-of-the-future" => own_record(dir, |record| with(record, "schema", json!(99))),
        "a-record-with-more" => own_record(dir, |record| with(record, "command", json!("rm -rf /"))),
        "a-record-with-NUL" => own_record(dir, |record| with(record, "prompt", json!("a\0b"))),
        "a-record-too-large" => own_record(dir, |record| with(record, "width", json!(4_294_967_264u32))),
        "a-record-with-rising-sigmas" => own_record(dir, |mut record| {
            record["steps"] = json!(2);
            with(record, "sigmas", json!([0.5, 1.0, 0.0]))
        }),
        "a-record-with-other-steps" => own_record(dir, |record| with(record, "steps", json!(1_000_000_000))),
        "a-record-with-an-unknown-sampler" => own_record(dir, |record| with(record, "sampler", json!("eulr"))),
        "a-record-without-seeds" => own_record(dir, |record| with(record, "seeds", json!([]))),
        "a-record-that-stops-late" => own_record(dir, |record| with(record, "stop_after", json!(9))),
        "a-record-of-a-folder-model" => own_record(dir, |mut record| {
            record["model"]["name"] = json!("my-model");
            record.to_string()
        }),

        "a-grid-of-the-future" => grid(r#"{"grid": 99, "cells": "all"}"#),
        "a-grid-without-its-cells" => grid(
            r#"{"grid": 1, "flowline": "0", "axes": [{"name": "steps", "values": ["1", "2"]}], "align": "steps",
                "reference": null, "seeds": [], "cells": [], "references": {}}"#,
        ),
        "a-grid-that-is-none" => grid(r#"{"grid": 1, "axes": [], "cells": [{}]}"#),

        "a-trajectory" => trajectory(dir, |bytes| bytes),
        "a-trajectory-cut-short" => trajectory(dir, |bytes| bytes[..bytes.len() / 2].to_vec()),
        "a-trajectory-cut-in-the-header" => trajectory(dir, |bytes| bytes[..100].to_vec()),
        "a-trajectory-of-the-future" => trajectory(dir, |bytes| swap(&bytes, r#"\"version\":1,"#, r#"\"version\":9,"#)),
        "a-trajectory-of-another-model" => trajectory(dir, |bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let hash = text.split(r#"sha256\":\""#).nth(1).and_then(|rest| rest.get(..64)).expect("a hash").to_owned();
            swap(&bytes, &hash, &"0".repeat(64))
        }),
        "no-sigmas" => write("sigmas.txt", b"a few\nwords"),
        "sigmas-that-rise" => write("sigmas.txt", b"0.5\n1\n0\n"),
        "tensors" => tensors(dir, "run.safetensors", &["x"]),
        "an-adapter" => adapter(dir, &pair("transformer.single_transformer_blocks.0.attn.to_q"), 0.01),
        "an-adapter-without-numbers" => {
            adapter(dir, &pair("transformer.single_transformer_blocks.0.attn.to_q"), f32::NAN);
        }
        "an-adapter-with-more" => {
            let [down, up] = pair("lora_unet_single_blocks_0_linear2");
            let more = (".diff_b", "lora_unet_single_blocks_0_linear2", vec![256]);
            adapter(dir, &[(down.0, down.1, vec![2, 1280]), up, more], 0.01);
        }
        "an-adapter-of-SDXL" => adapter(dir, &pair("lora_unet_input_blocks_4_1_proj_in"), 0.01),
        "an-adapter-of-FLUX" => {
            let [down, up] = pair("transformer.single_transformer_blocks.0.attn.to_q");
            adapter(dir, &[(down.0, down.1, vec![1, 3072]), (up.0, up.1, vec![3072, 1])], 0.01);
        }
        "half-an-adapter" => adapter(dir, &pair("transformer.x_embedder")[..1], 0.01),
        "a-DoRA" => {
            let module = "transformer.single_transformer_blocks.0.attn.to_q";
            let [down, up] = pair(module);
            adapter(dir, &[down, up, (".lora_magnitude_vector", module, vec![256])], 0.01);
        }
        "a-pickled-adapter" => write("cats.pt", b"\x80\x02}q\x00."),
        "a-table" => table(dir, "euler,4,0.5,1"),
        "an-empty-table" => write("results.csv", b" \n"),
        "a-table-without-rows" => write("results.csv", b"sampler,evaluations,distance,order\n"),
        "a-table-without-distances" => table(dir, "euler,4,,1"),
        "a-table-of-something-else" => write("results.csv", b"name,price\nbread,3\n"),
        "a-table-cut-in-a-row" => table(dir, "euler,4"),
        "a-table-with-NaN" => table(dir, "euler,4,NaN,1"),
        "a-table-with-a-negative-number" => table(dir, "euler,-4,0.5,1"),
        "a-table-without-evaluations" => table(dir, "euler,0,0.5,1"),
        "a-table-in-Latin-1" => write("results.csv", b"sampler,evaluations,distance\ncaf\xe9,4,0.5\n"),
        "JSON-of-something-else" => write("trace.json", br#"{"name": "bread"}"#),
        "a-JSON-table-of-numbers" => write("trace.json", b"[1, 2]"),
        "a-truncated-trace" => write("trace.json", br#"{"request": {"sampler": "euler"}, "steps": [{"sigma": 1"#),
        "a-trace-without-steps" => write("trace.json", br#"{"request": {"sampler": "euler"}, "steps": []}"#),
        "a-trace" => trace(dir, json!({ "sigma": 1.0, "next": 0.0, "v": 1.0, "x": 1.0, "straightness": 1.0 })),
        "a-trace-with-rising-sigmas" => {
            trace(dir, json!({ "sigma": 0.5, "next": 0.7, "v": 1.0, "x": 1.0, "straightness": 1.0 }));
        }
        "a-trace-without-numbers" => {
            trace(dir, json!({ "sigma": 1.0, "next": 0.0, "v": null, "x": 1.0, "straightness": 1.0 }));
        }

        "a-pickle" => write("old.ckpt", b"\x80\x02}q\0."),
        "an-archive-of-pickles" => write("old.pt", b"PK\x03\x04archive/data.pkl"),
        "a-web-page" => write("a.safetensors", b"<!DOCTYPE html><title>Access denied</title>"),
        "a-pointer" => write("a.gguf", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "a-poem" => write("a.safetensors", b"the sea is wide and the boat is small and we have come so far"),
        "a-LoRA" => tensors(dir, "a.safetensors", &["transformer.x_embedder.lora_A.weight"]),
        "SDXL" => tensors(dir, "a.safetensors", &["model.diffusion_model.label_emb.0.0.weight"]),
        "FLUX.2" => tensors(dir, "a.safetensors", &["double_stream_modulation_img.lin.weight", "img_in.weight"]),
        "an-autoencoder" => tensors(dir, "vae.safetensors", &["decoder.mid.block_1.conv1.weight"]),
        "two-autoencoders" => {
            let sign = "decoder.mid.block_1.conv1.weight";
            tensors(dir, "vae.safetensors", &[sign, &format!("first_stage_model.{sign}")]);
        }
        "half-a-transformer" => tensors(dir, "half.safetensors", &["vector_in.in_layer.weight"]),
        "a-piece" => tensors(dir, "a-00001-of-00002.safetensors", &["vector_in.in_layer.weight"]),
        "a-note" => write("home/notes.txt", b""),
        "a-model" => model(&|_| {}),
        "a-model-without-VAE" => model(&|model| fs::remove_file(model.join(VAE)).expect("the file")),
        "a-model-without-tokenizer" => {
            model(&|model| fs::remove_file(model.join("tokenizer/tokenizer.json")).expect("the file"));
        }
        "a-model-of-another-family" => model(&|model| {
            replace(&model.join("transformer/config.json"), "FluxTransformer2DModel", "HunyuanDiT2DModel");
        }),
        "a-model-with-HTML-for-its-index" => {
            model(&|model| fs::write(model.join("model_index.json"), b"<html>").expect("the file"));
        }
        "a-model-whose-GGUF-is-cut" => model(&|model| {
            // Version 3, one tensor, no keys.
            let header = [&b"GGUF"[..], &3u32.to_le_bytes(), &1u64.to_le_bytes(), &[0; 8]].concat();
            fs::write(model.join(TRANSFORMER), header).expect("the file");
        }),
        "a-model-that-is-a-pickle" => model(&|model| {
            fs::write(model.join(TRANSFORMER), b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl").expect("the file");
        }),
        "a-model-with-another-width" => model(&|model| {
            replace(
                &model.join("transformer/config.json"),
                "\"joint_attention_dim\": 256",
                "\"joint_attention_dim\": 128",
            );
        }),
        "a-model-cut-in-the-data" => model(&|model| cut(&model.join(TRANSFORMER), 100_000)),
        "a-model-cut-in-the-header" => model(&|model| cut(&model.join(TRANSFORMER), 4)),
        "a-model-cut-to-nothing" => model(&|model| cut(&model.join(TRANSFORMER), 0)),
        "a-model-with-an-endless-header" => model(&|model| {
            let path = model.join(TRANSFORMER);
            let mut bytes = fs::read(&path).expect("the file");
            bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
            fs::write(path, bytes).expect("the file");
        }),
        "a-model-whose-header-lies" => model(&|model| {
            let header = r#"{"x":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4]}}"#;
            let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat();
            fs::write(model.join(TRANSFORMER), bytes).expect("the file");
        }),
        "a-model-without-one-of-its-shards" => {
            indexed(dir, "x_embedder.bias", "diffusion_pytorch_model-00002-of-00002.safetensors");
        }
        "a-model-whose-index-leaves-the-folder" => indexed(dir, "x_embedder.bias", "../../secret.safetensors"),
        "a-model-whose-index-lies" => indexed(dir, "x_embedder.heavy", SHARD),
        "a-model-with-the-VAE-as-transformer" => {
            model(&|model| {
                fs::copy(model.join(VAE), model.join(TRANSFORMER)).expect("a copy");
            });
        }
        other => panic!("there are no surroundings called '{other}'"),
    }
}

/// A table of results with one row.
fn table(dir: &Path, row: &str) {
    let text = format!("sampler,evaluations,distance,order\n{row}\n");
    fs::write(dir.join("results.csv"), text).expect("a file");
}

/// A tensor of an adapter: what its name ends in, its module, its shape.
type Factor = (&'static str, &'static str, Vec<usize>);

/// The two factors of a module that is 256 wide.
fn pair(module: &'static str) -> [Factor; 2] {
    let [down, up] = match module.starts_with("lora_") {
        true => [".lora_down.weight", ".lora_up.weight"],
        false => [".lora_A.weight", ".lora_B.weight"],
    };
    [(down, module, vec![2, 256]), (up, module, vec![256, 2])]
}

/// An adapter of these factors, all of whose numbers are `value`.
fn adapter(dir: &Path, factors: &[Factor], value: f32) {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (ending, module, shape) in factors {
        let begin = end;
        end += 4 * shape.iter().product::<usize>();
        let said = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] });
        header.insert(format!("{module}{ending}"), said);
    }
    let header = Value::from(header).to_string();
    let numbers: Vec<u8> = (0..end / 4).flat_map(|_| value.to_le_bytes()).collect();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &numbers].concat();
    fs::write(dir.join("cats.safetensors"), bytes).expect("a file");
}

/// A trace with one step.
fn trace(dir: &Path, step: Value) {
    let trace = json!({ "flowline": "0.1.0", "request": { "sampler": "euler" }, "steps": [step] });
    fs::write(dir.join("trace.json"), trace.to_string()).expect("a file");
}

/// A small picture with these text chunks.
fn picture(dir: &Path, chunks: &[Chunk]) {
    let file = fs::File::create(dir.join("a.png")).expect("a file");
    write_png(file, &RgbImage::new(64, 64), chunks).expect("a picture");
}

/// A kept run of two steps whose bytes were changed.
fn trajectory(dir: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let sandbox = Sandbox::new();
    let words = ["generate", "a cabin", "-s", "1", "--steps", "2", "-W", "64", "-H", "64", "-o", "out/a.png"];
    sandbox.run(words.iter().chain(&["--keep-trajectory", "run.safetensors"])).ok();
    let bytes = fs::read(sandbox.path().join("run.safetensors")).expect("the trajectory");
    fs::write(dir.join("run.safetensors"), change(bytes)).expect("a file");
}

/// `bytes` with one text in the place of another of the same length.
fn swap(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).expect("the text");
    [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
}

/// A PNG that claims a size, and has no pixels.
fn header_alone(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    [PNG_SIGNATURE, &13u32.to_be_bytes(), &header, &crc.sum().to_be_bytes(), b"\0\0\0\0IDAT\x35\xaf\x06\x1e"].concat()
}

/// A file of tensors of these names, each of one number.
fn tensors(dir: &Path, file: &str, names: &[&str]) {
    let infos: serde_json::Map<String, Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let info = json!({ "dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4] });
            ((*name).to_owned(), info)
        })
        .collect();
    let header = Value::Object(infos).to_string();
    let data = vec![0; 4 * names.len()];
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    fs::write(dir.join(file), bytes).expect("a file");
}

/// A picture with a record of our own that was changed.
fn own_record(dir: &Path, change: impl FnOnce(Value) -> String) {
    let plan = Sandbox::new().run(["generate", "a cabin", "-s", "1", "--dry-run", "--json"]).json();
    picture(dir, &[Chunk { keyword: "flowline", text: change(plan["request"].clone()) }]);
}

fn with(mut record: Value, key: &str, value: Value) -> String {
    record[key] = value;
    record.to_string()
}

/// A model whose transformer is one shard with an index, which also says that `tensor` is in `shard`.
fn indexed(dir: &Path, tensor: &str, shard: &str) {
    prepare("a-model", dir);
    let path = dir.join("model").join(TRANSFORMER);
    fs::rename(&path, path.with_file_name(SHARD)).expect("a shard");
    let index = json!({ "weight_map": { "x_embedder.weight": SHARD, tensor: shard } });
    fs::write(dir.join("model").join(format!("{TRANSFORMER}.index.json")), index.to_string()).expect("an index");
}

fn cut(path: &Path, bytes: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("the file");
    file.set_len(bytes).expect("a shorter file");
}

fn replace(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).expect("text");
    assert!(text.contains(old), "{} does not say {old}", path.display());
    fs::write(path, text.replace(old, new)).expect("the file");
}
