//! `flowline grid`: what becomes of axes and options, with the real binary and the built-in model.

mod binary;
mod lab;

use binary::{Sandbox, files, pixels};
use flowline::record;
use lab::{PROMPT, csv, grid, keys, planned, rows};
use serde_json::Value;

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
    let rows: [(&[&str], &[&[&str]]); 14] = [
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
        (&["rng=brownian,torch-cpu"], &[&["--rng", "brownian"], &["--rng", "torch-cpu"]]),
        (
            &["rule=cfg:scale=2+interval:low=0.2,high=0.9,apg:scale=3"],
            &[&["--rule", "cfg:scale=2+interval:low=0.2,high=0.9"], &["--rule", "apg:scale=3"]],
        ),
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
    let axes = ["--axis", samplers, "--axis", "steps=1,3,9", "--axis", "seed=1,2", "-o", "lab"];
    let ran = sandbox.run(grid(&[&axes[..], &["--reference", "heun:steps=18"]].concat()));
    ran.ok();
    let folder = sandbox.path().join("lab");
    assert_eq!(files(&folder.join("references")).len(), 2, "one for every seed");
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("reference heun steps=18 for ")).count(), 2);
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
    assert_eq!((&references[0], &references[17]), (&Value::from("heun:steps=18"), &Value::Null));

    // A reference that cannot be read any more is made again when a cell needs it.
    let reference = &files(&folder.join("references"))[0];
    let bytes = std::fs::read(reference).unwrap();
    std::fs::write(reference, &bytes[..bytes.len() / 2]).unwrap();
    let row = &files(&folder.join("cells"))[0];
    std::fs::remove_file(row).unwrap();
    let ran = sandbox.run(grid(&[&axes[..], &["--reference", "heun:steps=18"]].concat()));
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("cell ")).count(), 1, "{}", ran.stderr);
    assert!(reference.to_string_lossy().contains("seed1-") && row.to_string_lossy().contains("seed1-"));
    assert_eq!(std::fs::read(reference).unwrap(), bytes);
    let again: Vec<Option<f64>> = rows(&folder).iter().map(|row| row["distance"].as_f64()).collect();
    assert_eq!(again, distances);
}

#[test]
fn along_one_brownian_path_a_stochastic_sampler_comes_nearer_to_itself() {
    let sandbox = Sandbox::new();
    let axes = ["--axis", "sampler=langevin:scale=1,langevin:scale=2,euler", "--axis", "steps=1,3,9", "-s", "1"];
    let reference = ["--reference", "langevin:scale=1,steps=27", "--rng", "brownian", "-o", "lab"];
    sandbox.run(grid(&[&axes[..], &reference].concat())).ok();
    let distances: Vec<Option<f64>> =
        rows(&sandbox.path().join("lab")).iter().map(|row| row["distance"].as_f64()).collect();
    let [few, some, many] = [0, 1, 2].map(|steps| distances[steps].expect("a distance"));
    assert!(few > some && some > many && many > 0.0, "{few} {some} {many}");
    assert!(distances[3..].iter().all(Option::is_none), "another equation has another solution: {distances:?}");
}

#[test]
fn a_grid_may_pull_towards_pictures_and_go_on_from_a_run() {
    let sandbox = Sandbox::new();
    let small = ["-W", "32", "-H", "32", "--cfg", "1", "-s", "1"];
    let alone = |words: &[&str]| {
        let words = [&["generate", "-o", "out/alone.png", "--force"], words].concat();
        std::fs::read(sandbox.path().join(&sandbox.run(words).paths()[0])).unwrap()
    };
    let run = "out/run.safetensors";
    let target = alone(&[&[PROMPT, "--steps", "4", "--keep-trajectory", run], &small[..]].concat());
    std::fs::write(sandbox.path().join("out/target.png"), target).unwrap();
    let pictures = |folder: &str| {
        let folder = sandbox.path().join(folder);
        let rows = csv(&folder).into_iter();
        rows.map(|row| (std::fs::read(folder.join(&row["picture"])).unwrap(), row)).collect::<Vec<_>>()
    };

    let tilts = ["out/target.png:0.5", "out/target.png:2"];
    let axes = tilts.map(|tilt| format!("tilt={tilt}"));
    sandbox.run(grid(&["--axis", &axes[0], "--axis", &axes[1], "--steps", "2", "-s", "1", "-o", "tilted"])).ok();
    for (tilt, (picture, row)) in tilts.iter().zip(pictures("tilted")) {
        assert_eq!(row["tilt"], *tilt);
        assert!(picture == alone(&[&[PROMPT, "--steps", "2", "--tilt", tilt], &small[..]].concat()), "{tilt}");
    }

    let points = ["out/run.safetensors@1", "out/run.safetensors@2"];
    let axes = points.map(|point| format!("branch={point}"));
    // With the sampler of the run itself it would be the run itself, from wherever it goes on.
    let words = ["grid", "--axis", "sampler=ab2,heun", "--axis", &axes[0], "--axis", &axes[1], "-o", "branched"];
    sandbox.run(words).ok();
    for (index, (picture, row)) in pictures("branched").into_iter().enumerate() {
        let (sampler, point) = (["ab2", "heun"][index / 2], points[index % 2]);
        assert_eq!((row["sampler"].as_str(), row["branch"].as_str()), (sampler, point));
        assert!(picture == alone(&["--branch", point, "--sampler", sampler]), "{sampler} {point}");
    }
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
