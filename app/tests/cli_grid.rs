//! `flowline grid` with the real binary and the built-in model, on pictures as small as they get.

mod binary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use binary::{Ran, Sandbox, files, pixels};
use flowline::record;
use serde_json::Value;

const PROMPT: &str = "a red lighthouse by the sea at sunset";

/// The words of a grid of small pictures, quick to make.
fn grid(more: &[&str]) -> Vec<String> {
    let common = ["grid", PROMPT, "-W", "32", "-H", "32", "--cfg", "1"];
    common.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

/// The rows of a folder's table, by `results.json`.
fn rows(folder: &Path) -> Vec<Value> {
    let text = std::fs::read(folder.join("results.json")).expect("a table");
    serde_json::from_slice::<Value>(&text).expect("JSON").as_array().expect("rows").clone()
}

/// The lines of `results.csv` under the names of the columns.
fn csv(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join("results.csv")).expect("a table");
    let rows = reader.deserialize().map(|row| row.expect("as many values as columns"));
    rows.collect()
}

/// The keys of the cells that are done, by the files that say so.
fn done(folder: &Path) -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    files(&folder.join("cells")).iter().map(stem).collect()
}

/// The cells of a dry run.
fn planned(sandbox: &Sandbox, words: &[&str]) -> Vec<Value> {
    let words = [words, &["--dry-run", "--json"]].concat();
    sandbox.run(words).json()["cells"].as_array().expect("cells").clone()
}

fn keys(cells: &[Value]) -> Vec<String> {
    cells.iter().map(|cell| cell["key"].as_str().expect("a key").to_owned()).collect()
}

#[test]
fn every_combination_becomes_a_picture_and_a_row() {
    let sandbox = Sandbox::new();
    let axes = ["--axis", "sampler=euler,langevin:scale=0.5,decay=1,heun", "--axis", "steps=2,3", "-s", "7"];
    let ran = sandbox.run(grid(&[&axes[..], &["-o", "lab"]].concat()));
    assert_eq!(ran.ok(), "lab/results.csv\nlab/results.json\nlab/sheet.png\n");
    let lines: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("cell ")).collect();
    assert_eq!(lines.len(), 6, "a line a cell: {}", ran.stderr);
    assert_eq!(lines[2], "cell 3/6 sampler=langevin:scale=0.5,decay=1 steps=2");
    assert!(!ran.stderr.contains("step 2/"), "steps are not told: {}", ran.stderr);

    let folder = sandbox.path().join("lab");
    let (json, csv) = (rows(&folder), csv(&folder));
    assert_eq!((json.len(), csv.len()), (6, 6));
    for (index, (json, csv)) in json.iter().zip(&csv).enumerate() {
        let steps = index % 2 + 2;
        let sampler = ["euler", "langevin:scale=0.5,decay=1", "heun"][index / 2];
        assert_eq!((json["steps"].as_u64(), &csv["steps"]), (Some(steps as u64), &steps.to_string()));
        assert_eq!((json["sampler"].as_str(), csv["sampler"].as_str()), (Some(sampler), sampler));
        assert_eq!((json["seed"].as_str(), csv["seed"].as_str()), (Some("7"), "7"));
        assert_eq!((json["prompt"].as_str(), csv["prompt"].as_str()), (Some(PROMPT), PROMPT));
        // Heun looks ahead in every step but the last.
        let evaluations = if sampler == "heun" { 2 * steps - 1 } else { steps };
        assert_eq!(json["evaluations"].as_u64(), Some(evaluations as u64));
        assert!(json["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!((&json["distance"], csv["distance"].as_str()), (&Value::Null, ""));
        assert_eq!(json["local_error_max"].is_null(), sampler != "heun", "{json}");
        let turning = ["turning_mean", "turning_max"].map(|name| json[name].as_f64().unwrap());
        // Two steps turn once.
        assert_eq!(turning[0] == turning[1], steps == 2, "{turning:?}");
        assert!(turning[0] > 0.0 && turning[0] <= turning[1], "{turning:?}");
        assert!((0.0..=1.0 + 1e-9).contains(&json["straightness"].as_f64().unwrap()));
        let names = json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names.len(), csv.len(), "the same columns");

        // The picture is the one that `generate` makes, record and all.
        let picture = folder.join(csv["picture"].as_str());
        let steps = steps.to_string();
        let common =
            ["generate", PROMPT, "-W", "32", "-H", "32", "--cfg", "1", "-s", "7", "-o", "out/a.png", "--force"];
        let alone = sandbox.run([&common[..], &["--sampler", sampler, "--steps", &steps]].concat()).paths();
        assert_eq!(std::fs::read(&picture).unwrap(), std::fs::read(sandbox.path().join(&alone[0])).unwrap());
    }
    let header = std::fs::read_to_string(folder.join("results.csv")).unwrap();
    assert_eq!(
        header.lines().next().unwrap(),
        "cell,model,prompt,negative_prompt,width,height,seed,sampler,schedule,steps,cfg,guidance,rule,rng,evaluations,\
         seconds,stopped,order,distance,reference,straightness,turning_mean,turning_max,drift_mean,drift_max,\
         local_error_max,picture"
    );

    // The sheet shows the pictures: steps from left to right, samplers from top to bottom.
    let sheet = pixels(&folder.join("sheet.png"));
    let places: Vec<_> = csv.iter().map(|row| place(&pixels(&folder.join(&row["picture"])), &sheet)).collect();
    for (index, (x, y)) in places.iter().enumerate() {
        assert_eq!((*x, *y), (places[index % 2].0, places[index / 2 * 2].1), "{places:?}");
    }
    assert!(places[0].0 + 32 < places[1].0 && places[0].1 + 32 < places[2].1 && places[2].1 + 32 < places[4].1);
}

/// Where `picture` stands on `sheet`, by its upper left corner.
fn place(picture: &image::RgbImage, sheet: &image::RgbImage) -> (u32, u32) {
    let (width, height) = picture.dimensions();
    let row = |image: &image::RgbImage, x: u32, y: u32| {
        let begin = (y * image.width() + x) as usize * 3;
        image.as_raw()[begin..begin + width as usize * 3].to_vec()
    };
    let here = |x: u32, y: u32| {
        row(sheet, x, y) == row(picture, 0, 0)
            && (1..height).all(|line| row(sheet, x, y + line) == row(picture, 0, line))
    };
    let places = (0..=sheet.height() - height).flat_map(|y| (0..=sheet.width() - width).map(move |x| (x, y)));
    let found: Vec<_> =
        places.filter(|(x, y)| sheet.get_pixel(*x, *y) == picture.get_pixel(0, 0) && here(*x, *y)).collect();
    assert_eq!(found.len(), 1, "it stands there once");
    found[0]
}

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
fn keys_do_not_depend_on_the_axes() {
    let sandbox = Sandbox::new();
    let one = ["grid", PROMPT, "-s", "3", "--axis", "sampler=euler,heun", "--axis", "steps=2,4"];
    let other = ["grid", PROMPT, "--axis", "seed=9,3", "--axis", "steps=4", "--sampler", "heun"];
    let turned = ["grid", PROMPT, "-s", "3", "--axis", "steps=4,2", "--axis", "sampler=heun,euler"];
    let (one, other, turned) = (planned(&sandbox, &one), planned(&sandbox, &other), planned(&sandbox, &turned));
    let sorted = |cells: &[Value]| std::collections::BTreeSet::from_iter(keys(cells));
    assert_eq!(sorted(&one), sorted(&turned));
    assert_eq!(sorted(&one).len(), 4);
    // heun, 4 steps, seed 3
    assert_eq!(keys(&one)[3], keys(&other)[1]);
    assert_ne!(keys(&other)[0], keys(&other)[1]);
    assert!(keys(&one)[3].starts_with("heun-steps4-seed3-"), "people can read them: {}", keys(&one)[3]);
}

#[test]
fn a_cell_asks_for_what_generate_asks_for_with_the_same_options() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("prompt.txt"), "from a file, with a comma\n").unwrap();
    let request = |words: &[&str]| {
        let words = [&["generate"], words, &["--dry-run", "--json"]].concat();
        sandbox.run(words).json()["request"].clone()
    };
    // The axis, how it is asked for, and the options that say the same to `generate`.
    let rows: [(&[&str], &[&[&str]]); 12] = [
        (&["prompt=a barn, at dusk", "prompt=a cat"], &[&["-p", "a barn, at dusk"], &["-p", "a cat"]]),
        (&["prompt-file=prompt.txt", "prompt-file=./prompt.txt"], &[]),
        (&["negative-prompt=fog, rain", "n=snow"], &[&["-n", "fog, rain"], &["-n", "snow"]]),
        (&["width=64,128"], &[&["-W", "64"], &["-W", "128"]]),
        (&["height=64,128"], &[&["-H", "64"], &["-H", "128"]]),
        (&["seed=4..5,18446744073709551615"], &[&["-s", "4"], &["-s", "5"], &["-s", "18446744073709551615"]]),
        (&["steps=3,5"], &[&["--steps", "3"], &["--steps", "5"]]),
        (&["cfg-scale=1,2.5"], &[&["--cfg", "1"], &["--cfg", "2.5"]]),
        (
            &["sampler=churn:churn=10,heun+corrector:k=2,snr=0.1", "sampler=ab2"],
            &[&["--sampler", "churn:churn=10"], &["--sampler", "heun+corrector:k=2,snr=0.1"], &["--sampler", "ab2"]],
        ),
        (&["schedule=uniform,sd3:shift=3"], &[&["--schedule", "uniform"], &["--schedule", "sd3:shift=3"]]),
        (&["shift=2,3"], &[&["--shift", "2"], &["--shift", "3"]]),
        (&["sigmas=1,0.5,0", "sigmas=1,0.2,0"], &[&["--sigmas", "1,0.5,0"], &["--sigmas", "1,0.2,0"]]),
    ];
    for (axes, alone) in rows {
        let mut words = vec!["grid", "-n", "clouds", "-s", "1", PROMPT];
        let mut common = vec!["-n", "clouds", "-s", "1", PROMPT];
        // What is an axis is not given for all.
        let changes = |name: &str| axes.iter().any(|axis| axis.starts_with(name));
        for list in [&mut words, &mut common] {
            if changes("n") {
                list.retain(|word| !["-n", "clouds"].contains(word));
            }
            if changes("seed") {
                list.retain(|word| !["-s", "1"].contains(word));
            }
            if changes("prompt") {
                list.retain(|word| *word != PROMPT);
            }
        }
        words.extend(axes.iter().flat_map(|axis| ["--axis", *axis]));
        if alone.is_empty() {
            // Two names of one file make one picture twice.
            let ran = sandbox.run([&words[..], &["--dry-run"]].concat());
            assert_eq!(ran.code, Some(2), "{}", ran.stderr);
            assert!(ran.line("error: ").unwrap().ends_with("are the same picture"), "{}", ran.stderr);
            continue;
        }
        let cells = planned(&sandbox, &words);
        assert_eq!(cells.len(), alone.len(), "{axes:?}");
        for (cell, alone) in cells.iter().zip(alone) {
            assert_eq!(cell["request"], request(&[&common[..], alone].concat()), "{axes:?}");
        }
    }
}

#[test]
fn further_axes_have_columns_of_their_own() {
    let sandbox = Sandbox::new();
    let words = grid(&["--axis", "shift=1,3", "--axis", "negative-prompt=fog", "--steps", "2", "-s", "1", "-o", "lab"]);
    sandbox.run(words).ok();
    let rows = csv(&sandbox.path().join("lab"));
    assert_eq!(rows.iter().map(|row| row["shift"].as_str()).collect::<Vec<_>>(), ["1", "3"]);
    assert!(rows.iter().all(|row| row["negative_prompt"] == "fog"));
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
    assert!(self::rows(&sandbox.path().join("out")).iter().all(|row| row["seed"] == seed));
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

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for path in files(from) {
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
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
fn aligned_cells_spend_what_they_may_and_no_more() {
    let sandbox = Sandbox::new();
    let samplers = "sampler=euler,heun,rk4,langevin:scale=1";
    let words = [
        "grid",
        PROMPT,
        "-W",
        "64",
        "-H",
        "64",
        "-s",
        "1",
        "--align",
        "nfe",
        "--axis",
        samplers,
        "--axis",
        "steps=9,16",
    ];
    let plan = planned(&sandbox, &words);
    sandbox.run([&words[..], &["-o", "lab"]].concat()).ok();
    let rows = rows(&sandbox.path().join("lab"));
    assert_eq!(rows.len(), 8);
    for (index, (row, cell)) in rows.iter().zip(&plan).enumerate() {
        let budget = [9, 16][index % 2];
        assert_eq!(row["budget"].as_u64(), Some(budget));
        let (spent, steps) = (row["evaluations"].as_u64().unwrap(), row["steps"].as_u64().unwrap());
        assert_eq!(cell["evaluations"].as_u64(), Some(spent), "a dry run knows");
        assert!(spent <= budget, "{row}");
        // One step more would be too many: guidance doubles everything.
        let each = 2 * [1, 2, 4, 1][index / 2];
        assert!(spent + each > budget, "{row}");
        assert_eq!(steps, [[4, 8], [2, 4], [1, 2], [4, 8]][index / 2][index % 2], "{row}");
    }
}

#[test]
fn the_distance_falls_as_steps_are_added_and_is_empty_where_it_means_nothing() {
    let sandbox = Sandbox::new();
    let samplers = "sampler=euler,heun,langevin:scale=1";
    let axes = ["--axis", samplers, "--axis", "steps=2,6,18", "--axis", "seed=1,2", "-o", "lab"];
    let ran = sandbox.run(grid(&[&axes[..], &["--reference", "heun:steps=36"]].concat()));
    ran.ok();
    let folder = sandbox.path().join("lab");
    assert_eq!(files(&folder.join("references")).len(), 2, "one for every seed");
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("reference heun steps=36 for ")).count(), 2);
    let distances: Vec<Option<f64>> = rows(&folder).iter().map(|row| row["distance"].as_f64()).collect();
    // sampler x steps x seed
    for sampler in 0..2 {
        for seed in 0..2 {
            let [few, some, many] =
                [0, 1, 2].map(|steps| distances[sampler * 6 + steps * 2 + seed].expect("a distance"));
            assert!(few > some && some > many && many > 0.0, "{few} {some} {many}");
        }
    }
    assert!(distances[12..].iter().all(Option::is_none), "noise leads elsewhere on purpose: {distances:?}");
    let references: Vec<_> = rows(&folder).iter().map(|row| row["reference"].clone()).collect();
    assert_eq!((&references[0], &references[17]), (&Value::from("heun:steps=36"), &Value::Null));

    // A reference that cannot be read any more is made again.
    let reference = &files(&folder.join("references"))[0];
    let bytes = std::fs::read(reference).unwrap();
    std::fs::write(reference, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::remove_dir_all(folder.join("cells")).unwrap();
    sandbox.run(grid(&[&axes[..], &["--reference", "heun:steps=36"]].concat())).ok();
    assert_eq!(std::fs::read(reference).unwrap(), bytes);
    let again: Vec<Option<f64>> = rows(&folder).iter().map(|row| row["distance"].as_f64()).collect();
    assert_eq!(again, distances);
}

#[test]
fn a_run_that_is_the_reference_itself_is_at_no_distance() {
    let sandbox = Sandbox::new();
    let axes = ["--axis", "sampler=heun,ab2", "--steps", "4", "-s", "1", "-o", "lab"];
    sandbox.run(grid(&[&axes[..], &["--reference", "heun:steps=4"]].concat())).ok();
    let rows = rows(&sandbox.path().join("lab"));
    assert_eq!(rows[0]["distance"].as_f64(), Some(0.0));
    assert!(rows[1]["distance"].as_f64().unwrap() > 0.0);
}

#[test]
fn cells_are_told_as_json_as_they_are_done() {
    let sandbox = Sandbox::new();
    let words = grid(&["--axis", "steps=1,2", "-s", "1", "-o", "lab", "--json", "--progress", "json"]);
    let ran = sandbox.run(&words);
    let lines: Vec<Value> = ran.ok().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, rows(&sandbox.path().join("lab")));
    let events: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let cells: Vec<_> = events.iter().filter(|event| event["event"] == "cell").collect();
    assert_eq!((cells.len(), &cells[1]["number"], &cells[1]["cells"]), (2, &Value::from(2), &Value::from(2)));
    assert_eq!((&cells[1]["cell"], &cells[1]["at"]["steps"]), (&lines[1]["cell"], &Value::from("2")));
}

#[test]
fn a_dry_run_lists_the_cells_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let axes = ["--axis", "sampler=euler,heun", "--axis", "steps=4", "-s", "1", "--dry-run"];
    for more in [&[][..], &["-o", "lab"]] {
        let ran = sandbox.run(grid(&[&axes[..], more].concat()));
        let lines: Vec<_> = ran.ok().lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("euler-steps4-seed1-") && lines[0].ends_with("4 evaluations  sampler=euler steps=4")
        );
        assert!(lines[1].ends_with("7 evaluations  sampler=heun steps=4"), "{}", lines[1]);
        assert!(!sandbox.path().join("lab").exists());
    }
}

#[test]
fn the_pictures_carry_their_records_and_several_seeds_are_an_axis() {
    let sandbox = Sandbox::new();
    sandbox.run(grid(&["--axis", "steps=1", "-s", "1,2", "-o", "lab"])).ok();
    let folder = sandbox.path().join("lab");
    let rows = rows(&folder);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let request = record::read(&folder.join(row["picture"].as_str().unwrap())).unwrap().request.expect("a record");
        assert_eq!(request.seeds[0].to_string(), row["seed"].as_str().unwrap());
        assert_eq!((request.prompt.as_str(), request.steps), (PROMPT, 1));
    }
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
