//! The house stays in order: the arrow of dependencies, readable files, honest names, reasons for every exception.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowline_sampler::catalog::Samplers;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// Every file of ours below `folder` with this extension.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files(&path, extension, found);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for part in ["sampler", "model", "app"] {
        files(&root().join(part), "rs", &mut found);
    }
    assert!(found.len() > 50, "the sources are not where they were: {found:?}");
    found
}

/// The names of all packages that `package` is built from.
fn built_from(package: &str, more: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{lib}", "-p", package])
        .args(more)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().replace('_', "-")).collect()
}

fn assert_free_of(package: &str, more: &[&str], unwanted: &[&str]) {
    let built_from = built_from(package, more);
    assert!(built_from.len() > 1, "{package}: {built_from:?}");
    for name in unwanted {
        let found =
            built_from.iter().find(|package| package.as_str() == *name || package.starts_with(&format!("{name}-")));
        assert_eq!(found, None, "{package} must not be built from {name}");
    }
}

#[test]
fn the_sampler_knows_no_tensors_and_no_model() {
    assert_free_of("flowline-sampler", &[], &["candle", "gemm", "serde"]);
    assert_free_of("flowline-sampler", &[], &["flowline-model", "safetensors", "tokenizers", "image", "clap", "egui"]);
}

#[test]
fn the_model_knows_no_window_and_no_command_line() {
    assert_free_of("flowline-model", &[], &["clap", "egui", "eframe", "winit", "indicatif", "ctrlc"]);
}

/// `hf-hub` brings `dirs`, and would look for the user's home itself; what the environment means is the app's to say.
#[test]
fn the_model_looks_for_no_folders_of_the_user() {
    let mut paths = Vec::new();
    files(&root().join("model/src"), "rs", &mut paths);
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["dirs::", "Cache::default", "Cache::from_env"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn without_the_desktop_feature_no_window_library_is_built() {
    assert_free_of("flowline", &["--no-default-features"], &["eframe", "egui", "winit", "glow", "glutin", "accesskit"]);
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    for path in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines; 500 is the limit", path.display());
    }
}

#[test]
fn no_file_or_module_is_a_drawer() {
    for path in sources() {
        for part in path.strip_prefix(root()).unwrap().components() {
            let name = part.as_os_str().to_string_lossy().to_lowercase();
            let stem = name.trim_end_matches(".rs");
            assert!(
                !["util", "utils", "common", "helper", "helpers", "core", "misc", "lib2", "stuff"].contains(&stem)
                    || path.to_string_lossy().contains("/tests/fixtures/"),
                "{}: a name that attracts everything",
                path.display()
            );
        }
    }
}

/// Where else than in its own file a sampler's name is written, and why.
const NAMED_ELSEWHERE: [(&str, &str, &str); 4] = [
    ("euler", "model/src/catalog.rs", "what models come with"),
    ("euler", "app/src/record/names.rs", "what other programs write into pictures"),
    ("heun", "app/src/record/names.rs", "what other programs write into pictures"),
    ("rk4", "sampler/src/linear_multistep.rs", "a word for how ab3 and ab4 begin"),
];

/// So a new sampler touches the file it stands in, and one line of `builtin.rs` that names its function.
#[test]
fn the_name_of_a_sampler_is_written_in_one_file() {
    let mut paths = Vec::new();
    for part in ["sampler/src", "model/src", "app/src"] {
        files(&root().join(part), "rs", &mut paths);
    }
    let sources: Vec<(String, String)> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            // Tests at the end of a file may name what they please.
            let program = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: Vec<_> = program.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            (path, code.join("\n"))
        })
        .collect();
    let samplers = Samplers::<Vec<f64>>::builtin();
    let mut places: Vec<(&str, &str)> = Vec::new();
    for about in samplers.iter() {
        // As it is, with parameters, with something put around it.
        let written = ['"', ':', '+'].map(|after| format!("\"{}{after}", about.name));
        let naming = sources.iter().filter(|(_, code)| written.iter().any(|name| code.contains(name.as_str())));
        places.extend(naming.map(|(path, _)| (about.name, path.as_str())));
        let entry = format!("name: \"{}\",", about.name);
        let own: Vec<_> =
            sources.iter().filter(|(_, code)| code.contains(&entry)).map(|(path, _)| path.as_str()).collect();
        let [own] = own[..] else { panic!("{} has entries in {own:?}", about.name) };
        assert!(own.starts_with("sampler/src/"), "{} stands in {own}", about.name);
        places.retain(|place| *place != (about.name, own));
    }
    let mut expected = NAMED_ELSEWHERE.map(|(name, path, _)| (name, path));
    places.sort_unstable();
    expected.sort_unstable();
    assert_eq!(places, expected);
    let builtin = fs::read_to_string(root().join("sampler/src/builtin.rs")).unwrap();
    let listed = builtin.split_once("let entries = vec![").unwrap().1.split_once("];").unwrap().0;
    assert_eq!(listed.lines().filter(|line| line.trim_end().ends_with("(),")).count(), samplers.iter().count());
}

#[test]
fn both_libraries_refuse_public_items_without_documentation() {
    for library in ["sampler", "model"] {
        let text = fs::read_to_string(root().join(library).join("src/lib.rs")).unwrap();
        assert!(text.contains("#![deny(missing_docs)]"), "{library}");
    }
}

#[test]
fn every_exception_to_a_lint_has_a_reason() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let allows = ["allow", "expect"].iter().any(|word| line.contains(&format!("[{word}(")));
            let reasoned = text.lines().skip(number).take(4).any(|line| line.contains("reason ="));
            assert!(!allows || reasoned, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn nothing_is_left_unfinished_and_no_test_is_switched_off() {
    let marks =
        [["todo", "!("].concat(), ["unimplemented", "!("].concat(), ["#[ign", "ore"].concat(), ["FIX", "ME"].concat()];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{}: {mark}", path.display());
        }
    }
}

#[test]
fn the_top_level_shows_the_architecture_and_nothing_else() {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    // A source archive has no git; its top level cannot be told from what was built into it.
    let Ok(listed) = listed else { return println!("skipped: there is no git") };
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut folders: Vec<_> =
        listed.lines().filter_map(|file| file.split_once('/')).map(|(folder, _)| folder).collect();
    folders.sort_unstable();
    folders.dedup();
    assert_eq!(folders, [".ci", "app", "assets", "model", "sampler"]);
}
