//! The folder of a grid: going on, shards, merging, and what does not belong together.

mod binary;
mod lab;

use std::path::Path;

use binary::{Ran, Sandbox, copy_folder, files, pixels};
use lab::{done, grid, rows};
use serde_json::Value;

#[test]
fn a_grid_that_is_done_is_not_made_again_and_a_lost_cell_is() {
    let sandbox = Sandbox::new();
    let words = grid(&["--axis", "seed=1..3", "--steps", "1", "-o", "lab"]);
    sandbox.run(&words).ok();
    let folder = sandbox.path().join("lab");
    // The seconds differ from run to run: equal rows were not made again.
    let first = rows(&folder);
    let again = sandbox.run(&words);
    assert_eq!(again.ok(), "lab/results.csv\nlab/results.json\nlab/sheet.png\n");
    assert_eq!(again.line("cell "), None, "nothing is made: {}", again.stderr);
    assert_eq!(rows(&folder), first);

    let key = first[1]["cell"].as_str().unwrap();
    let picture = folder.join(format!("{key}.png"));
    let before = std::fs::read(&picture).unwrap();
    for lost in [picture.clone(), folder.join(format!("cells/{key}.json"))] {
        std::fs::remove_file(&lost).unwrap();
        let ran = sandbox.run(&words);
        assert_eq!(ran.line("cell "), Some("2/3 seed=2"), "only the lost one: {}", ran.stderr);
        assert_eq!(std::fs::read(&picture).unwrap(), before);
    }
    std::fs::write(folder.join(format!("cells/{key}.json")), "{\"cell\": ").unwrap();
    assert_eq!(sandbox.run(&words).line("cell "), Some("2/3 seed=2"), "a damaged row is no row");
}

#[test]
fn seeds_that_nobody_chose_are_drawn_once() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("lab");
    // Two shards, each of which might draw.
    let shard = |shard: &str| {
        let words = grid(&["--axis", "steps=1,2", "--axis", "seed=random,-1", "-o", "lab", "--shard", shard]);
        sandbox.run(words)
    };
    assert_eq!(shard("1/2").ok(), "", "the tables come when all is done");
    assert_eq!(done(&folder).len(), 2);
    shard("2/2").ok();
    let rows = rows(&folder);
    let seeds: Vec<_> = rows.iter().map(|row| row["seed"].as_str().unwrap()).collect();
    assert_eq!((seeds[0], seeds[1]), (seeds[2], seeds[3]), "both numbers of steps have the same seeds");
    assert_ne!(seeds[0], seeds[1], "and every draw is one of its own");

    // One seed for all where there is no axis of seeds, also for whoever comes later.
    let words = grid(&["--axis", "steps=1,2", "-o", "out"]);
    let first = sandbox.run(&words);
    let seed = first.line("seed: ").and_then(|line| line.strip_suffix(" (random)")).expect("it is told");
    assert!(lab::rows(&sandbox.path().join("out")).iter().all(|row| row["seed"] == seed));
    let again = sandbox.run(&words);
    assert_eq!((again.code, again.line("cell ")), (Some(0), None), "{}", again.stderr);
}

#[test]
fn shards_fill_one_folder_and_merge_says_what_is_missing() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("lab");
    let axes = ["--axis", "seed=1..5", "--steps", "1", "-o", "lab"];
    let first = sandbox.run(grid(&[&axes[..], &["--shard", "1/2"]].concat()));
    assert_eq!(first.ok(), "");
    assert_eq!(first.stderr.lines().filter(|line| line.starts_with("cell ")).count(), 3);
    assert!(first.stderr.contains("3 of 5 cells are done; when all shards are: flowline grid --merge lab"));
    assert!(!folder.join("results.csv").exists());

    let merged = sandbox.run(["grid", "--merge", "lab"]);
    assert_eq!(merged.ok(), "lab/results.csv\nlab/results.json\nlab/sheet.png\n");
    let warning = merged.line("warning: ").expect("a warning");
    assert!(warning.starts_with("2 of 5 cells are missing: euler-steps1-seed2-"), "{warning}");
    assert_eq!(rows(&folder).len(), 3);
    // The places of the two are grey on the sheet.
    let grey = pixels(&folder.join("sheet.png")).pixels().filter(|pixel| pixel.0 == [232, 232, 236]).count();
    assert_eq!(grey, 2 * 32 * 32);
    let told = sandbox.run(["grid", "--merge", "lab", "--json"]).json();
    assert_eq!((&told["cells"], &told["done"]), (&Value::from(5), &Value::from(3)));
    assert_eq!(told["missing"].as_array().unwrap().len(), 2);

    // The job of a Slurm array that makes the rest.
    let job = [("SLURM_ARRAY_TASK_ID", "11"), ("SLURM_ARRAY_TASK_MIN", "10"), ("SLURM_ARRAY_TASK_COUNT", "2")];
    let words = grid(&[&axes[..], &["--shard", "auto"]].concat());
    let second = Ran::from(sandbox.flowline(words).envs(job).output().unwrap());
    assert_eq!(second.ok(), "lab/results.csv\nlab/results.json\nlab/sheet.png\n", "the last one writes the tables");
    let seeds: Vec<_> = rows(&folder).iter().map(|row| row["seed"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seeds, ["1", "2", "3", "4", "5"]);
    assert_eq!(sandbox.run(["grid", "--merge", "lab"]).line("warning: "), None);
}

#[test]
fn shards_that_begin_at_once_agree_on_the_seed_and_on_who_makes_what() {
    let sandbox = Sandbox::new();
    let begin = |shard: &str| {
        let words = grid(&["--axis", "steps=1,2,3,4", "-o", "lab", "--json", "--shard", shard]);
        sandbox.flowline(words).spawn().expect("the binary starts")
    };
    let shards = ["1/3", "2/3", "3/3"].map(begin);
    let ran = shards.map(|child| Ran::from(child.wait_with_output().unwrap()));
    let made: Vec<usize> = ran.iter().map(|ran| ran.ok().lines().count()).collect();
    assert_eq!(made, [2, 1, 1]);
    sandbox.run(["grid", "--merge", "lab"]).ok();
    let rows = rows(&sandbox.path().join("lab"));
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["seed"] == rows[0]["seed"]));
}

#[test]
fn models_and_prompts_are_made_one_after_the_other_whatever_the_order_of_the_axes() {
    let sandbox = Sandbox::new();
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), &sandbox.path().join("copy"));
    let axes = ["seed=1,2", "prompt=a red barn, at dusk", "prompt=a cabin", "model=postcard,./copy"];
    let words = ["grid", "-W", "32", "-H", "32", "--cfg", "1", "--steps", "1", "-o", "lab"];
    let ran = sandbox.run(words.into_iter().chain(axes.iter().flat_map(|axis| ["--axis", *axis])));
    ran.ok();
    let lines: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("cell ")).collect();
    let expected: Vec<String> = (0..8)
        .map(|index| {
            let model = ["postcard", "./copy"][index / 4];
            let prompt = ["a red barn, at dusk", "a cabin"][index / 2 % 2];
            format!("cell {}/8 seed={} prompt='{prompt}' model={model}", index + 1, index % 2 + 1)
        })
        .collect();
    assert_eq!(lines, expected);
    let rows = rows(&sandbox.path().join("lab"));
    let column = |name: &str| rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(column("model"), ["postcard", "copy"].repeat(4), "the table has the order of the axes");
    assert_eq!(column("seed").concat(), "11112222");
}

#[test]
fn a_cell_whose_numbers_blow_up_keeps_no_other_from_being_made() {
    let sandbox = Sandbox::new();
    let broken = sandbox.path().join("broken");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), &broken);
    let weights = broken.join("transformer/diffusion_pytorch_model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    // No number, in any format.
    let end = bytes.len();
    bytes[end / 2..].fill(0xff);
    std::fs::write(&weights, bytes).unwrap();
    let ran = sandbox.run(grid(&["--axis", "model=./broken,postcard", "--steps", "1", "-s", "1", "-o", "lab"]));
    assert_eq!((ran.code, ran.stdout.len()), (Some(1), 0), "{}", ran.stderr);
    assert_eq!(ran.line("error: "), Some("1 of 2 cells could not be made"));
    assert!(ran.stderr.contains("warning: the cell model=./broken cannot be made: "), "{}", ran.stderr);
    let done = done(&sandbox.path().join("lab"));
    assert_eq!(done.len(), 1);
    let merged = sandbox.run(["grid", "--merge", "lab"]);
    assert_eq!(merged.paths().len(), 3);
    assert_eq!(rows(&sandbox.path().join("lab"))[0]["model"], "postcard");
}

#[test]
fn force_puts_a_grid_among_other_files_and_leaves_them_alone() {
    let sandbox = Sandbox::new();
    let note = sandbox.path().join("out/.hidden");
    std::fs::write(&note, "x").unwrap();
    let words = |more: &[&str]| grid(&[&["--axis", "steps=1,2", "-s", "1", "-o", "out"], more].concat());
    std::fs::write(sandbox.path().join("out/notes.txt"), "mine").unwrap();
    let refused = sandbox.run(words(&[]));
    assert_eq!(refused.line("error: "), Some("out holds other files, such as notes.txt"));
    sandbox.run(words(&["--force"])).ok();
    assert_eq!(std::fs::read_to_string(sandbox.path().join("out/notes.txt")).unwrap(), "mine");
    // Once it is there it is a grid's folder.
    sandbox.run(words(&[])).ok();
}

#[test]
fn what_a_killed_run_left_half_written_is_swept_away_and_what_is_being_written_is_not() {
    let sandbox = Sandbox::new();
    let words = grid(&["--axis", "seed=1,2", "--steps", "1", "-o", "lab"]);
    sandbox.run(&words).ok();
    let folder = sandbox.path().join("lab");
    let [dead, live, other] =
        [".flowline-dead.part", "cells/.flowline-live.part", ".flowline-notes"].map(|name| folder.join(name));
    for path in [&dead, &live, &other] {
        std::fs::write(path, "half").unwrap();
    }
    let writer = std::fs::OpenOptions::new().write(true).open(&live).unwrap();
    writer.lock().unwrap();
    sandbox.run(&words).ok();
    assert_eq!([&dead, &live, &other].map(|path| path.exists()), [false, true, true]);
    drop(writer);
    sandbox.run(&words).ok();
    assert!(!live.exists());
}

#[test]
fn a_folder_with_another_grid_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.run(grid(&["--axis", "steps=1,2", "-s", "1", "-o", "lab"])).ok();
    let before: Vec<_> = files(&sandbox.path().join("lab"));
    let refused = |words: &[&str], what: &str| {
        let ran = sandbox.run(grid(words));
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert_eq!(ran.line("error: "), Some(format!("lab holds another grid: {what}").as_str()));
        assert_eq!(files(&sandbox.path().join("lab")), before);
    };
    refused(&["--axis", "steps=1,3", "-s", "1", "-o", "lab"], "axes: steps=1,2 here, steps=1,3 asked for");
    refused(
        &["--axis", "steps=1,2", "-s", "2", "-o", "lab"],
        "the cell steps=1: seeds [\"1\"] here, [\"2\"] asked for",
    );
    refused(
        &["--axis", "steps=1,2", "-s", "1", "-o", "lab", "--reference", "heun:steps=9"],
        "--reference: none here, heun:steps=9 asked for",
    );
}
