//! Where models are found: the cache that other programs filled, and the folders that variables name.

use std::fs;

use flowline_model::catalog::{self, Source};

use super::fake::{COMMIT, File};
use super::{Bench, Ran, Sandbox, WEIGHTS, noise};

/// The default model as a repository.
pub fn postcard() -> Vec<File> {
    let Source::Embedded(files) = catalog::MODELS[0].source else { panic!("the default model is built in") };
    let file = |(path, content): &(&str, &[u8])| File {
        path: (*path).to_owned(),
        large: path.ends_with(".safetensors"),
        content: content.to_vec(),
    };
    files.iter().map(file).collect()
}

#[test]
fn a_model_that_is_not_here_is_fetched_and_then_draws_without_the_network() {
    let bench = Bench::with(postcard());
    let words = ["generate", "a red lighthouse", "-m", "lab/flow", "--steps", "1", "-s", "3", "-o", "out/a.png"];
    let ran = bench.run(&words);
    assert_eq!(ran.ok(), "out/a.png\n");
    assert!(ran.stderr.starts_with("fetching lab/flow: ") && ran.stderr.contains("\nlicence: mit ("), "{}", ran.stderr);
    let connections = bench.hub.connections();

    // The same picture as the built-in model's, and again from its record, with nothing fetched.
    let own = ["generate", "a red lighthouse", "--steps", "1", "-s", "3", "-o", "out/b.png"];
    bench.run(&own).ok();
    let again = bench.run(&["generate", "--from", "out/a.png", "-o", "out/c.png", "--offline"]);
    again.ok();
    let pixels = |name: &str| super::binary::pixels(&bench.sandbox.path().join("out").join(name));
    assert_eq!(pixels("a.png"), pixels("b.png"));
    assert_eq!(pixels("a.png"), pixels("c.png"));
    let record = bench.run(&["inspect", "out/a.png", "--json"]).json();
    assert_eq!(record["request"]["model"]["name"], "lab/flow");
    assert_eq!(bench.hub.connections(), connections);
}

#[test]
fn a_grid_fetches_its_model_too() {
    let bench = Bench::with(postcard());
    let words = ["grid", "a red lighthouse", "-m", "lab/flow", "--axis", "steps=1,2", "-s", "3", "-o", "out/grid"];
    bench.run(&words).ok();
    assert!(bench.sandbox.path().join("out/grid/grid.json").exists());
}

#[test]
fn progress_is_told_as_json_too() {
    let bench = Bench::with(postcard());
    let pull = ["models", "pull", "lab/flow", "--progress", "json", "--json"];
    let ran = bench.run(&pull);
    let printed = ran.json();
    assert_eq!((&printed["model"], &printed["commit"]), (&"lab/flow".into(), &COMMIT.into()));
    assert_eq!(printed["fetched"], printed["bytes"]);
    let lines: Vec<serde_json::Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    let [first, .., last] = &lines[..] else { panic!("{}", ran.stderr) };
    assert_eq!((&first["event"], &first["licence"]), (&"pulling".into(), &"mit".into()));
    assert_eq!((&last["event"], &last["work"]), (&"transfer".into(), &"fetching".into()));
    assert_eq!((&last["bytes"], &last["total"]), (&printed["bytes"], &printed["bytes"]));
    let bytes: Vec<u64> = lines[1..].iter().map(|line| line["bytes"].as_u64().expect("bytes")).collect();
    assert!(bytes.is_sorted(), "{bytes:?}");
}

#[test]
fn a_cache_that_another_program_filled_is_used() {
    let bench = Bench::new();
    let root = bench.sandbox.path().join("elsewhere");
    let repository = root.join("hub/models--lab--flow");
    let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots").join(COMMIT));
    let file = File::large(WEIGHTS, noise(1_000_000));
    for folder in [&blobs, &snapshot, &repository.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(blobs.join(file.hash()), &file.content).unwrap();
    fs::write(repository.join("refs/main"), COMMIT).unwrap();
    // A copy, as it is where there are no links.
    fs::write(snapshot.join(WEIGHTS), &file.content).unwrap();
    let run = |variable: &str, value: &std::path::Path, args: &[&str]| {
        Ran::from(bench.command(args).env(variable, value).output().unwrap())
    };
    let path = format!("{}\n", snapshot.display());
    for (variable, value) in [("HF_HOME", root.clone()), ("HF_HUB_CACHE", root.join("hub"))] {
        assert_eq!(run(variable, &value, &["models", "pull", "lab/flow", "--offline"]).ok(), path);
        assert_eq!(run(variable, &value, &["models", "pull", "lab/flow"]).ok(), path);
        run(variable, &value, &["models", "check", "lab/flow"]).ok();
    }
    assert!(bench.hub.asked_for(WEIGHTS).is_empty(), "nothing comes that is here");
    assert!(!bench.repository().exists());
}

#[test]
fn a_user_without_a_home_is_told_where_to_put_models() {
    let bench = Bench::new();
    let ran = Ran::from(bench.command(&["models", "pull", "lab/flow"]).env_remove("HOME").output().unwrap());
    super::assert_refused(&ran, 1, "there is no place for fetched files", "set HF_HOME or HF_HUB_CACHE to a folder");
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_is_said() {
    let bench = Bench::new();
    let file = bench.sandbox.path().join("file");
    fs::write(&file, "").unwrap();
    let ran = Ran::from(bench.command(&["models", "pull", "lab/flow"]).env("HF_HUB_CACHE", &file).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert!(ran.line("error: ").is_some_and(|error| error.contains("Not a directory")), "{}", ran.stderr);
    let hint = "check who may write there, or name another folder with HF_HUB_CACHE";
    assert_eq!(ran.line("hint: "), Some(hint));
}

#[test]
fn a_folder_goes_before_a_repository_of_the_same_name() {
    let bench = Bench::new();
    let sandbox: &Sandbox = &bench.sandbox;
    fs::create_dir_all(sandbox.path().join("lab/flow")).unwrap();
    let ran = bench.run(&["generate", "x", "-m", "lab/flow"]);
    assert_eq!(ran.line("error: "), Some("the model folder lab/flow is empty"));
    assert_eq!(bench.hub.connections(), 0);
}

/// FLUX.1 in loose files without CLIP's vocabulary, with what their tiny shapes do not tell beside them.
fn loose_files(bench: &Bench) {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures");
    let files = [
        ("flux.safetensors", "flux_dev/flux1-dev_bfl_names.safetensors"),
        ("flux.json", "flux_dev/transformer/config.json"),
        ("ae.safetensors", "common/vae16/ae_ldm_names.safetensors"),
        ("ae.json", "common/vae16/config.json"),
        ("clip_l.safetensors", "common/clip_l/model.safetensors"),
        ("clip_l.json", "common/clip_l/config.json"),
        ("t5xxl.safetensors", "common/t5/model.safetensors"),
        ("t5xxl.json", "common/t5/config.json"),
        ("tokenizer_2/tokenizer.json", "common/tokenizer_t5/tokenizer.json"),
    ];
    fs::create_dir_all(bench.sandbox.path().join("models/tokenizer_2")).unwrap();
    for (to, from) in files {
        fs::copy(fixtures.join(from), bench.sandbox.path().join("models").join(to)).unwrap();
    }
}

#[test]
fn a_vocabulary_that_loose_files_lack_is_fetched_once() {
    let vocabulary = include_str!("../../../model/tests/fixtures/common/tokenizer_clip_l/tokenizer.json");
    let bench = Bench::with(vec![File::small("tokenizer.json", vocabulary)]);
    loose_files(&bench);
    let words = |more: &'static str| {
        let all = "generate boat -m models/flux.safetensors --vae models/ae.safetensors --clip-l models/clip_l.safetensors \
                   --t5 models/t5xxl.safetensors --kind flux-dev -W 48 -H 64 --steps 1 -s 3 -o out/a.png";
        all.split_whitespace().chain(more.split_whitespace()).collect::<Vec<_>>()
    };
    let alone = bench.run(&words("--offline"));
    assert_eq!(alone.code, Some(1), "{}", alone.stderr);
    let said = alone.line("error:").unwrap();
    assert!(said.contains("CLIP-L") && said.contains("has no tokenizer"), "{}", alone.stderr);
    assert!(alone.stderr.contains("models pull openai/clip-vit-large-patch14:tokenizer.json"), "{}", alone.stderr);
    assert_eq!(bench.hub.connections(), 0);

    bench.run(&words("")).ok();
    assert_eq!(bench.hub.asked_for("tokenizer.json").len(), 1);
    let connections = bench.hub.connections();
    bench.run(&words("--offline --force")).ok();
    assert_eq!(bench.hub.connections(), connections);
}
