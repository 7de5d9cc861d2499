//! `--lora`: adapters from the command line into the record and back, with the real binary.

mod binary;

use std::path::Path;

use binary::Sandbox;
use serde_json::{Value, json};

/// How a warning begins that a picture is not made again.
const DIFFERS: &str = "the picture may not come out the same";

/// An adapter for one matrix of the built-in model, at `sandbox/name`, all of whose numbers are `value`.
fn adapter(sandbox: &Sandbox, name: &str, value: f32) {
    let module = "transformer.single_transformer_blocks.0.attn.to_v";
    let header = json!({
        format!("{module}.lora_A.weight"): { "dtype": "F32", "shape": [1, 256], "data_offsets": [0, 1024] },
        format!("{module}.lora_B.weight"): { "dtype": "F32", "shape": [256, 1], "data_offsets": [1024, 2048] },
    });
    let header = header.to_string();
    let numbers: Vec<u8> = (0..512).flat_map(|_| value.to_le_bytes()).collect();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &numbers].concat();
    std::fs::write(sandbox.path().join(name), bytes).expect("a file");
}

/// A small picture with these options more.
fn generate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let words = ["generate", "a red lighthouse by the sea", "-s", "7", "--steps", "2", "-W", "64", "-H", "64"];
    words.into_iter().chain(more.iter().copied()).collect()
}

fn pixels(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    image::open(sandbox.path().join(name)).expect("a picture").to_rgb8().into_raw()
}

#[test]
fn an_adapter_changes_the_picture_is_told_recorded_and_found_again() {
    let sandbox = Sandbox::new();
    adapter(&sandbox, "cats=dogs.safetensors", 0.3);
    sandbox.run(generate(&["-o", "out/plain.png"])).ok();
    sandbox.run(generate(&["-o", "out/zero.png", "--lora", "cats=dogs.safetensors=0"])).ok();
    assert_eq!(pixels(&sandbox, "out/plain.png"), pixels(&sandbox, "out/zero.png"));

    let ran = sandbox.run(generate(&["-o", "out/cats.png", "--lora", "cats=dogs.safetensors=0.5"]));
    ran.ok();
    assert_eq!(ran.line("adapter "), Some("cats=dogs.safetensors: 1 of 1 applied, at 0.5"), "{}", ran.stderr);
    assert_ne!(pixels(&sandbox, "out/plain.png"), pixels(&sandbox, "out/cats.png"));
    let twice = ["-o", "out/twice.png", "--lora", "cats=dogs.safetensors=0.25", "--lora", "cats=dogs.safetensors=0.25"];
    sandbox.run(generate(&twice)).ok();
    assert_eq!(pixels(&sandbox, "out/cats.png"), pixels(&sandbox, "out/twice.png"), "two quarters are a half");

    let shown = sandbox.run(["inspect", "out/cats.png", "--json"]).json();
    let recorded = &shown["request"]["model"]["loras"][0];
    assert_eq!((&recorded["file"], &recorded["scale"]), (&Value::from("cats=dogs.safetensors"), &Value::from(0.5)));
    assert!(shown["command"].as_str().unwrap().contains("--lora cats=dogs.safetensors=0.5"), "{shown}");
    assert!(!shown.to_string().contains(&*sandbox.path().to_string_lossy()), "a path of this computer: {shown}");
    assert_eq!(sandbox.run(["inspect", "out/plain.png", "--json"]).json()["request"]["model"].get("loras"), None);

    let again = sandbox.run(["generate", "--from", "out/cats.png", "-o", "out/again.png"]);
    again.ok();
    assert!(!again.stderr.contains(DIFFERS), "{}", again.stderr);
    assert_eq!(pixels(&sandbox, "out/cats.png"), pixels(&sandbox, "out/again.png"));
    sandbox.run(["verify", "out/cats.png"]).ok();

    // Moved away: what is needed is said, and giving it is enough.
    std::fs::rename(sandbox.path().join("cats=dogs.safetensors"), sandbox.path().join("moved.safetensors")).unwrap();
    for words in [vec!["generate", "--from", "out/cats.png", "-o", "out/gone.png"], vec!["verify", "out/cats.png"]] {
        let gone = sandbox.run(words);
        assert_eq!(gone.code, Some(1), "{}", gone.stderr);
        assert!(gone.stderr.contains(recorded["sha256"].as_str().unwrap()), "{}", gone.stderr);
        assert_eq!(gone.line("hint: "), Some("say where it is: --lora path/to/cats=dogs.safetensors=0.5"));
    }
    let given = ["generate", "--from", "out/cats.png", "-o", "out/given.png", "--lora", "moved.safetensors=0.5"];
    let given = sandbox.run(given);
    given.ok();
    assert!(!given.stderr.contains(DIFFERS), "the bytes are the same: {}", given.stderr);
    assert_eq!(pixels(&sandbox, "out/cats.png"), pixels(&sandbox, "out/given.png"));
    sandbox.run(["verify", "out/cats.png"]).ok();

    let weaker =
        sandbox.run(["generate", "--from", "out/cats.png", "-o", "out/w.png", "--lora", "moved.safetensors=0.4"]);
    assert!(weaker.stderr.contains(&format!("{DIFFERS}: adapter cats=dogs.safetensors")), "{}", weaker.stderr);
}

#[test]
fn programs_hear_of_adapters_and_the_dry_run_names_them() {
    let sandbox = Sandbox::new();
    adapter(&sandbox, "cats.safetensors", 0.3);
    let ran = sandbox.run(generate(&["--lora", "cats.safetensors", "-o", "out/a.png", "--progress", "json"]));
    ran.ok();
    let lines: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = lines.iter().find(|line| line["event"] == "adapter").expect("the adapter");
    assert_eq!(
        *told,
        json!({"event": "adapter", "file": "cats.safetensors", "scale": 1.0, "applied": 1, "modules": 1})
    );
    let dry = sandbox.run(generate(&["--lora", "cats.safetensors", "--dry-run"]));
    assert!(dry.ok().contains("adapter   cats.safetensors at 1 sha256 "), "{}", dry.ok());
}

#[test]
fn a_run_that_was_kept_goes_on_with_its_adapters_and_with_no_others() {
    let sandbox = Sandbox::new();
    adapter(&sandbox, "cats.safetensors", 0.3);
    let lora = ["--lora", "cats.safetensors=0.5"];
    let kept = [&lora[..], &["--keep-trajectory", "run.safetensors", "-o", "out/a.png"]].concat();
    sandbox.run(generate(&kept)).ok();
    sandbox.run(["generate", "--branch", "run.safetensors@1", "-o", "out/b.png"]).ok();
    assert_eq!(pixels(&sandbox, "out/a.png"), pixels(&sandbox, "out/b.png"));
    let other =
        sandbox.run(["generate", "--branch", "run.safetensors@1", "-o", "out/c.png", "--lora", "cats.safetensors=1"]);
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    assert_eq!(other.line("hint: "), Some("go on with the adapters that began it, at the same strengths"));
}

#[test]
fn adapters_are_an_axis_of_a_grid() {
    let sandbox = Sandbox::new();
    adapter(&sandbox, "cats.safetensors", 0.3);
    let words = ["grid", "a red lighthouse", "-s", "7", "--steps", "1", "-W", "64", "-H", "64", "-o", "lab"];
    let axis = ["--axis", "lora=cats.safetensors=0", "--axis", "lora=cats.safetensors=1"];
    sandbox.run(words.iter().chain(&axis)).ok();
    let plan = std::fs::read(sandbox.path().join("lab/grid.json")).expect("the plan");
    let plan: Value = serde_json::from_slice(&plan).unwrap();
    let scales =
        plan["cells"].as_array().unwrap().iter().map(|cell| cell["request"]["model"]["loras"][0]["scale"].clone());
    assert_eq!(scales.collect::<Vec<_>>(), [json!(0.0), json!(1.0)]);
    assert!(Path::new(&sandbox.at("lab")).is_dir());
}
