//! A model whose parts are loose files, from the command line into the record and back, with the real binary.

mod binary;

use std::fs;
use std::path::Path;

use binary::Sandbox;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures")
}

/// The parts of a tiny FLUX.1-dev as people have them: files in some folder, the transformer in its authors' names.
fn parts(sandbox: &Sandbox) {
    for (from, to) in [
        ("flux_dev/flux1-dev_bfl_names.safetensors", "models/dev.safetensors"),
        ("common/vae16/ae_ldm_names.safetensors", "models/ae.safetensors"),
        ("common/vae16/config.json", "models/ae.json"),
        ("common/clip_l/model.safetensors", "models/clip_l.safetensors"),
        ("common/clip_l/config.json", "models/clip_l.json"),
        ("common/t5/model.safetensors", "models/t5.safetensors"),
        ("common/tokenizer_clip_l/tokenizer.json", "models/tokenizer/tokenizer.json"),
        ("common/tokenizer_t5/tokenizer.json", "models/tokenizer_2/tokenizer.json"),
    ] {
        let to = sandbox.path().join(to);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(fixtures().join(from), to).unwrap_or_else(|error| panic!("{from}: {error}"));
    }
}

const PARTS: [&str; 8] = [
    "--transformer",
    "models/dev.safetensors",
    "--vae",
    "models/ae.safetensors",
    "--clip-l",
    "models/clip_l.safetensors",
    "--t5",
    "models/t5.safetensors",
];

fn pixels(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    image::open(sandbox.path().join(name)).expect("a picture").to_rgb8().into_raw()
}

#[test]
fn a_picture_of_loose_files_is_made_again_from_its_record_where_they_were_last_seen() {
    let sandbox = Sandbox::new();
    parts(&sandbox);
    let words = ["generate", "a lovely cat", "-s", "7", "--steps", "2", "-W", "64", "-H", "64", "-o", "out/cat.png"];
    sandbox.run(words.iter().chain(&PARTS)).ok();
    let shown = sandbox.run(["inspect", "out/cat.png", "--json"]).json();
    assert!(!shown.to_string().contains(&*sandbox.path().to_string_lossy()), "a path of this computer: {shown}");
    let weights = shown["request"]["model"]["weights"].as_array().expect("a list");
    assert_eq!(weights.len(), 4, "{weights:?}");

    let again = sandbox.run(["generate", "--from", "out/cat.png", "-o", "out/again.png"]);
    again.ok();
    assert_eq!(pixels(&sandbox, "out/cat.png"), pixels(&sandbox, "out/again.png"));
    sandbox.run(["verify", "out/cat.png"]).ok();

    // Elsewhere, they must be named again; the same bytes are the same model.
    fs::rename(sandbox.path().join("models"), sandbox.path().join("elsewhere")).expect("moved");
    let gone = sandbox.run(["generate", "--from", "out/cat.png", "-o", "out/gone.png"]);
    assert_eq!(gone.code, Some(1), "{}", gone.stderr);
    assert!(gone.line("hint: ").is_some(), "{}", gone.stderr);
    let moved = PARTS.map(|word| word.replace("models/", "elsewhere/"));
    let from = ["generate", "--from", "out/cat.png", "-o", "out/moved.png"].map(str::to_owned);
    sandbox.run(from.iter().chain(&moved)).ok();
    assert_eq!(pixels(&sandbox, "out/cat.png"), pixels(&sandbox, "out/moved.png"));
}
