//! `flowline models`: what is listed, checked, added and removed.

use std::fs;

use super::fake::{COMMIT, File};
use super::places::postcard;
use super::{Bench, assert_refused, noise};

#[test]
fn what_was_fetched_is_listed_with_where_it_is() {
    let bench = Bench::new();
    let known = bench.run(&["models", "--json"]).json();
    bench.pull().ok();
    let listed = bench.run(&["models", "list", "--json"]).json();
    let [.., flow] = &listed.as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(listed.as_array().unwrap().len(), known.as_array().unwrap().len() + 1);
    assert_eq!((&flow["name"], &flow["here"], &flow["bytes"]), (&"lab/flow".into(), &true.into(), &1_000_000.into()));
    let snapshot = bench.repository().join("snapshots").join(COMMIT);
    assert_eq!(flow["path"], snapshot.display().to_string());
    let text = bench.run(&["models"]);
    assert!(text.ok().contains(&format!("    files     here, 1 MB: {}\n", snapshot.display())), "{}", text.ok());
    let schnell = "    files     not here, about 33.7 GB: flowline models pull flux-schnell\n";
    assert!(text.ok().contains(schnell), "{}", text.ok());
    assert!(text.ok().contains("Apache-2.0, to be accepted at "), "{}", text.ok());
    let shown = bench.run(&["models", "show", "lab/flow", "--json"]).json();
    assert_eq!(&shown, flow);
    assert_refused(
        &bench.run(&["models", "show", "postcrad"]),
        1,
        "there is no model named 'postcrad', and no such folder",
        "did you mean 'postcard'? `flowline models` lists them all; a folder is named by its path",
    );
}

#[test]
fn damage_is_found_and_mended() {
    let bench = Bench::with(postcard());
    bench.pull().ok();
    let good = bench.run(&["models", "check", "lab/flow", "--json"]).json();
    assert_eq!(good[0]["good"], true);
    assert_eq!(good[0]["files"].as_array().unwrap().len(), postcard().len());

    let weights = postcard().into_iter().find(|file| file.path.starts_with("transformer/d")).unwrap();
    let blob = bench.repository().join("blobs").join(weights.hash());
    let mut damaged = weights.content.clone();
    damaged[1000] ^= 1;
    fs::write(&blob, damaged).unwrap();
    for all in [&["models", "check"][..], &["models", "check", "lab/flow"]] {
        let ran = bench.run(all);
        assert_eq!(ran.code, Some(1));
        assert_eq!(ran.line("error: "), Some("lab/flow is not what the Hub promised"));
        let hint = "`flowline models pull lab/flow --verify` fetches again what is damaged";
        assert_eq!(ran.line("hint: "), Some(hint));
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(printed.contains(&format!("    damaged  {}\n", weights.path)), "{printed}");
    }
    let before = bench.hub.asked_for(&weights.path).len();
    bench.pull().ok();
    assert_eq!(bench.hub.asked_for(&weights.path).len(), before, "by size alone it looks whole");
    let ran = bench.run(&["models", "pull", "lab/flow", "--verify"]);
    ran.ok();
    assert!(ran.stderr.contains(&format!("{} is not what it should be", weights.path)), "{}", ran.stderr);
    assert_eq!(fs::read(&blob).unwrap(), weights.content);
    bench.run(&["models", "check"]).ok();
}

#[test]
fn removing_frees_what_nobody_else_uses_and_nothing_else() {
    let bench = Bench::with(postcard());
    bench.pull().ok();
    let snapshots = bench.repository().join("snapshots");
    // Another commit that shares one file, and a file of somebody else's in the cache.
    let shared = postcard().into_iter().find(|file| file.path == "vae/config.json").unwrap();
    let other = snapshots.join("f".repeat(40));
    fs::create_dir_all(&other).unwrap();
    let blob = bench.repository().join("blobs").join(shared.hash());
    #[cfg(unix)]
    std::os::unix::fs::symlink(format!("../../blobs/{}", shared.hash()), other.join("config.json")).unwrap();
    let theirs = bench.repository().join("blobs/theirs.incomplete");
    fs::write(&theirs, "x").unwrap();

    let bytes: usize = postcard().iter().map(|file| file.content.len()).sum::<usize>() - shared.content.len();
    let planned = bench.run(&["models", "remove", "lab/flow", "--dry-run", "--json"]).json();
    assert_eq!((&planned["bytes"], &planned["dry_run"]), (&bytes.into(), &true.into()));
    assert_eq!(planned["files"].as_array().unwrap().len(), postcard().len());
    assert!(snapshots.join(COMMIT).join("model_index.json").exists(), "nothing was done");

    let text = bench.run(&["models", "remove", "lab/flow"]);
    assert!(text.ok().starts_with("removes 9 files of lab/flow and frees "), "{}", text.ok());
    assert!(!snapshots.join(COMMIT).exists());
    assert!(blob.exists() && other.join("config.json").exists() && theirs.exists());
    assert_eq!(bench.blobs().len(), 2);
    assert!(!bench.repository().join("refs/main").exists());
    assert_refused(
        &bench.run(&["models", "remove", "lab/flow"]),
        1,
        "lab/flow is not on this machine",
        "`flowline models` lists what is here",
    );
    assert!(!bench.run(&["models", "--json"]).ok().contains("lab/flow"));
}

#[test]
fn of_one_file_of_a_repository_the_others_stay() {
    let files = ["a.safetensors", "b.safetensors"]
        .map(|name| File::large(name, noise(name.len() + usize::from(name.as_bytes()[0]))));
    let bench = Bench::with(files.to_vec());
    bench.run(&["models", "pull", "lab/flow:a.safetensors"]).ok();
    let ran = bench.run(&["models", "pull", "lab/flow:b.safetensors"]);
    let b = bench.repository().join("snapshots").join(COMMIT).join("b.safetensors");
    assert_eq!(ran.ok(), format!("{}\n", b.display()));
    bench.run(&["models", "remove", "lab/flow:a.safetensors"]).ok();
    assert!(b.exists() && bench.blobs().len() == 1);
    bench.run(&["models", "remove", "lab/flow:b.safetensors"]).ok();
    assert!(!bench.repository().exists(), "an empty repository leaves nothing behind");
}

#[test]
fn a_folder_of_the_users_gets_a_name_and_is_never_touched() {
    let bench = Bench::new();
    let folder = bench.sandbox.path().join("mine");
    super::binary::copy_folder(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), &folder);
    assert_eq!(bench.run(&["models", "add", "mine", "--name", "sea"]).ok(), "sea\n");
    let words = ["generate", "a red lighthouse", "-m", "sea", "--steps", "1", "-s", "3", "-o", "out/a.png"];
    assert_eq!(bench.run(&words).ok(), "out/a.png\n");
    let shown = bench.run(&["models", "show", "sea", "--json"]).json();
    assert_eq!((&shown["here"], &shown["path"]), (&true.into(), &folder.display().to_string().into()));
    let again = bench.run(&["models", "add", "out/a.png", "--name", "sea"]);
    assert_eq!(again.code, Some(1), "a picture is no model: {}", again.stderr);
    let other = bench.sandbox.path().join("other");
    super::binary::copy_folder(&folder, &other);
    let again = bench.run(&["models", "add", "other", "--name", "sea"]);
    let hint = "give another name, or `flowline models remove sea` first";
    assert_refused(&again, 2, "'sea' is the name of another model", hint);
    let ran = bench.run(&["models", "remove", "sea"]);
    assert_eq!(ran.ok(), format!("forgets sea; {} stays as it is\n", folder.display()));
    assert!(folder.join("model_index.json").exists());
    assert_eq!(bench.run(&words).code, Some(1));
    assert_eq!(bench.hub.connections(), 0);
}

#[test]
fn weights_under_a_name_that_is_taken_or_none_are_refused() {
    let bench = Bench::new();
    let folder = bench.sandbox.path().join("mine");
    super::binary::copy_folder(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), &folder);
    let add = |name: &str| bench.run(&["models", "add", "mine", "--name", name]);
    assert_refused(&add("schnell"), 2, "'schnell' is a model of the catalogue", "give another name: --name NAME");
    for name in ["", "a/b", "..", "-x", "a\nb"] {
        let ran = bench.run(&["models", "add", "mine", &format!("--name={name}")]);
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stderr);
    }
    fs::write(bench.sandbox.path().join("x.ckpt"), "pickle").unwrap();
    assert_eq!(bench.run(&["models", "add", "x.ckpt"]).code, Some(1));
    assert_eq!(bench.run(&["models", "add", "nowhere"]).code, Some(1));
    fs::create_dir_all(bench.sandbox.path().join("home/.local/share/flowline")).unwrap();
    let memory = bench.sandbox.path().join("home/.local/share/flowline/models.json");
    fs::write(&memory, "{").unwrap();
    bench.run(&["models"]).ok();
    let ran = add("sea");
    assert!(ran.line("error: ").is_some_and(|error| error.contains("models.json is damaged")), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(memory).unwrap(), "{", "it is not overwritten");
}
