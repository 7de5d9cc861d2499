//! `flowline models convert`: what it writes can be read, and what it cannot write is refused.

mod binary;

use std::fs;
use std::path::PathBuf;

use binary::Sandbox;
use flowline_model::weights::{Encoding, TensorFile};

/// A tiny FLUX.1 transformer in diffusers' names.
fn flux() -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures");
    fixtures.join("flux_dev/transformer/diffusion_pytorch_model.safetensors")
}

#[test]
fn a_converted_file_has_the_authors_names_and_the_encoding_that_was_asked_for() {
    let sandbox = Sandbox::new();
    let from = flux().display().to_string();
    let ran = sandbox.run(["models", "convert", &from, "out/x.gguf", "--weights", "q8_0"]);
    assert_eq!(ran.ok(), "out/x.gguf\n");
    let file = TensorFile::open(&sandbox.path().join("out/x.gguf")).unwrap();
    let matrix = &file.tensors()["double_blocks.0.img_attn.qkv.weight"];
    assert_eq!(matrix.encoding, Ok(Encoding::Q8_0));

    // And back, in the names of diffusers, from a folder.
    let folder = sandbox.path().join("model/transformer");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(flux(), folder.join("diffusion_pytorch_model.safetensors")).unwrap();
    let words =
        ["models", "convert", "model", "out/y.safetensors", "--weights", "bf16", "--names", "diffusers", "--json"];
    let told = sandbox.run(words).json();
    assert_eq!(
        (&told["path"], told["bytes"].as_u64()),
        (&"out/y.safetensors".into(), Some(fs::metadata(sandbox.path().join("out/y.safetensors")).unwrap().len()))
    );
    let back = TensorFile::open(&sandbox.path().join("out/y.safetensors")).unwrap();
    let original = TensorFile::open(&flux()).unwrap();
    assert!(back.tensors().keys().eq(original.tensors().keys()));
    assert!(back.tensors().values().all(|stored| stored.encoding == Ok(Encoding::Bf16)));
}

#[test]
fn what_cannot_be_written_is_refused_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let from = flux().display().to_string();
    for (words, code, error) in [
        (vec![from.as_str(), "out/x.ckpt"], 2, "the name out/x.ckpt does not say in which format to write"),
        (vec![&from, "out/x.gguf", "--weights", "q9"], 2, "--weights: 'q9' is no encoding"),
        (vec![&from, "out/x.safetensors", "--weights", "q8_0"], 1, "a .safetensors file cannot hold q8_0"),
        (vec!["./nowhere", "out/x.gguf"], 1, "./nowhere: No such file or directory (os error 2)"),
        (vec!["postcard", "out/x.gguf"], 2, "postcard is built in, and small already"),
        (vec!["schnell", "out/x.gguf"], 1, "flux-schnell is not on this machine"),
    ] {
        let ran = sandbox.run(["models", "convert"].iter().chain(&words));
        assert_eq!((ran.code, ran.line("error: ")), (Some(code), Some(error)), "{}", ran.stderr);
        assert!(ran.line("hint: ").is_some() && sandbox.pictures().is_empty());
    }
    sandbox.run(["models", "convert", &from, "out/x.gguf"]).ok();
    let again = sandbox.run(["models", "convert", &from, "out/x.gguf"]);
    assert_eq!(again.code, Some(1), "a name that is taken stays so: {}", again.stderr);
}
