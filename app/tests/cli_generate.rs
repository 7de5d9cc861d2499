//! `flowline generate` on the happy road, with the real binary and the built-in model.

mod binary;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use binary::{PNG_SIGNATURE, Ran, Sandbox, files, pixels, spread};
use flowline::record;
use serde_json::Value;

const PROMPT: &str = "a red lighthouse by the sea at sunset";

#[test]
fn a_prompt_becomes_a_picture_and_only_its_path_is_on_stdout() {
    let sandbox = Sandbox::new();
    let path = sandbox.at("out/lighthouse.png");
    let ran = sandbox.run(["generate", PROMPT, "-s", "7", "-o", &path]);
    assert_eq!(ran.ok(), format!("{path}\n"));
    assert!(ran.stderr.contains("step 8/8"), "plain lines where stderr is no terminal: {}", ran.stderr);
    let image = pixels(Path::new(&path));
    assert_eq!(image.dimensions(), (256, 256));
    assert!(spread(&image) > 20.0, "the picture is nearly flat: {}", spread(&image));
    assert_eq!(sandbox.pictures().len(), 1, "nothing but the picture is left behind");
}

#[test]
fn a_batch_gives_each_picture_as_it_is_alone_with_any_number_of_threads() {
    let sandbox = Sandbox::new();
    let common = ["generate", PROMPT, "--steps", "2", "--progress", "none"];
    let run = |more: &[&str]| sandbox.run(common.iter().chain(more)).paths();
    let batch = run(&["-s", "7", "-b", "2", "-t", "2", "-o", "out/batch.png"]);
    assert_eq!(batch, [Path::new("out/batch.png"), Path::new("out/batch-2.png")]);
    for (index, seed) in ["7", "8"].into_iter().enumerate() {
        let alone = run(&["-s", seed, "-t", "1", "-o", "out/alone.png", "--force"]);
        let read = |path: &Path| std::fs::read(sandbox.path().join(path)).unwrap();
        assert_eq!(read(&alone[0]), read(&batch[index]), "seed {seed}");
    }
}

#[test]
fn lists_and_ranges_of_seeds_are_made_in_their_order() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(["generate", PROMPT, "--steps", "1", "-s", "5,1..2", "-o", "out/{model}-{seed}-{index}.png"]);
    assert_eq!(ran.ok(), "out/postcard-5-0000.png\nout/postcard-1-0001.png\nout/postcard-2-0002.png\n");
}

#[test]
fn another_prompt_another_seed_and_another_sampler_make_another_picture() {
    let sandbox = Sandbox::new();
    let rows: [&[&str]; 5] = [
        &[PROMPT, "-s", "1"],
        &[PROMPT, "-s", "2"],
        &["a blue lighthouse by the sea at sunset", "-s", "1"],
        &[PROMPT, "-s", "1", "--sampler", "heun"],
        &[PROMPT, "-s", "1", "--cfg", "1"],
    ];
    let made: Vec<_> = rows
        .iter()
        .map(|row| {
            let common = ["generate", "--steps", "2", "--no-metadata", "--progress", "none", "-o", "out/"];
            let paths = sandbox.run(common.iter().chain(row.iter())).paths();
            pixels(&sandbox.path().join(&paths[0]))
        })
        .collect();
    for (i, one) in made.iter().enumerate() {
        assert!(made.iter().skip(i + 1).all(|other| one != other), "row {i}");
    }
}

#[test]
fn a_taken_name_gets_the_next_free_one_and_force_replaces() {
    let sandbox = Sandbox::new();
    let run = |more: &[&str]| {
        let common = ["generate", PROMPT, "--steps", "1", "--progress", "none", "-o", "out/a.png"];
        sandbox.run(common.iter().chain(more)).paths()
    };
    assert_eq!(run(&["-s", "1"]), [Path::new("out/a.png")]);
    let first = std::fs::read(sandbox.path().join("out/a.png")).unwrap();
    assert_eq!(run(&["-s", "2"]), [Path::new("out/a-2.png")]);
    assert_eq!(std::fs::read(sandbox.path().join("out/a.png")).unwrap(), first, "the first one is untouched");
    assert_eq!(run(&["-s", "2", "--force"]), [Path::new("out/a.png")]);
    assert_ne!(std::fs::read(sandbox.path().join("out/a.png")).unwrap(), first);
    assert_eq!(sandbox.pictures().len(), 2);
}

#[test]
fn without_an_output_the_picture_goes_to_the_pictures_folder_whose_path_is_printed() {
    let sandbox = Sandbox::new();
    let paths = sandbox.run(["generate", PROMPT, "--steps", "1", "-s", "3"]).paths();
    assert_eq!(paths, [sandbox.path().join("home/Pictures/Flowline/postcard-3.png")]);
    assert_eq!(pixels(&paths[0]).dimensions(), (256, 256));
}

#[test]
fn a_dash_as_output_sends_the_png_and_nothing_else_to_stdout() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(["generate", PROMPT, "--steps", "1", "-s", "3", "-o", "-"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with(PNG_SIGNATURE) && ran.stdout.ends_with(b"IEND\xae\x42\x60\x82"));
    assert_eq!(files(&sandbox.path().join("out")).len(), 0);
    let file = sandbox.run(["generate", PROMPT, "--steps", "1", "-s", "3", "-o", "out/a.png"]).paths();
    assert_eq!(std::fs::read(sandbox.path().join(&file[0])).unwrap(), ran.stdout);
}

#[test]
fn the_prompt_may_come_from_an_option_a_file_or_standard_input() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("prompt.txt"), format!("{PROMPT}\n")).unwrap();
    let prompt = |ran: Ran| ran.json()["request"]["prompt"].as_str().unwrap().to_owned();
    let dry = ["generate", "--dry-run", "--json"];
    for more in [["-p", PROMPT], ["--prompt-file", "prompt.txt"]] {
        assert_eq!(prompt(sandbox.run(dry.iter().chain(&more))), PROMPT, "{more:?}");
    }
    for more in [&["-"][..], &["--prompt-file", "-"], &[]] {
        let ran = sandbox.run_with_stdin(dry.iter().chain(more), b"two\nlines\n");
        assert_eq!(prompt(ran), "two\nlines", "{more:?}");
    }
}

#[test]
fn several_prompts_are_one_run_numbered_through_and_each_picture_is_the_one_it_is_alone() {
    let sandbox = Sandbox::new();
    let others = "a blue cabin in the snow at night";
    std::fs::write(sandbox.path().join("prompts.txt"), format!("{PROMPT}\n\n{others}\n")).unwrap();
    let set = "--prompts prompts.txt --steps 1 -s 3 -b 2 -o out/{index}-{seed}.png";
    let ran = sandbox.run(["generate", "--progress", "json"].into_iter().chain(set.split(' ')));
    let paths = ran.paths();
    let names = ["out/0000-3.png", "out/0001-4.png", "out/0002-3.png", "out/0003-4.png"];
    assert_eq!(paths, names.map(std::path::PathBuf::from));
    // The weights are read before the first picture, and never again.
    let told: Vec<_> = ran.stderr.lines().map(|line| line.contains("\"event\":\"loading\"")).collect();
    let first_step = ran.stderr.lines().position(|line| line.contains("\"event\":\"step\"")).unwrap();
    assert!(told[..first_step].contains(&true) && !told[first_step..].contains(&true), "{}", ran.stderr);
    for (prompt, path) in [(PROMPT, &paths[1]), (others, &paths[3])] {
        let alone = sandbox.run(["generate", prompt, "--steps", "1", "-s", "4", "-o", "out/alone.png"]).paths();
        let bytes = |path: &std::path::PathBuf| std::fs::read(sandbox.path().join(path)).unwrap();
        assert_eq!(bytes(path), bytes(&alone[0]), "{prompt}");
    }
    let ran = sandbox.run_with_stdin(["generate", "--prompts", "-", "--dry-run", "--json"], b"a boat\na cabin");
    let prompts: Vec<_> = ran.json().as_array().unwrap().iter().map(|plan| plan["request"]["prompt"].clone()).collect();
    assert_eq!(prompts, ["a boat", "a cabin"]);
}

#[test]
fn names_that_people_already_type_are_understood() {
    let sandbox = Sandbox::new();
    let theirs = "--cfg-scale 3 --sampling-method flow-match-heun --scheduler shift --flow-shift 2 \
                  --num-inference-steps 5 --batch-count 2 --seeds 9 --negative fog";
    let ours = "--cfg 3 --sampler heun --schedule shift:shift=2 --steps 5 -b 2 -s 9 -n fog";
    let request = |flags: &str| {
        let words = ["generate", PROMPT, "--dry-run", "--json"].into_iter().chain(flags.split_whitespace());
        sandbox.run(words).json()["request"].clone()
    };
    assert_eq!(request(theirs), request(ours));
    let help = sandbox.run(["generate", "--help"]);
    assert!(!help.ok().contains("--cfg-scale"), "aliases are silent");
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would_do() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(["generate", PROMPT, "-s", "7", "--dry-run", "-o", "out/a.png"]);
    for part in ["postcard", PROMPT, "256 x 256", "euler", "uniform", "memory"] {
        assert!(ran.ok().contains(part), "{part} in {}", ran.ok());
    }
    assert_eq!(sandbox.pictures().len(), 0);
    let plan = sandbox.run(["generate", PROMPT, "--dry-run", "--json"]).json();
    assert!(plan["memory"]["peak"]["heap"].as_u64() > plan["memory"]["transformer"]["heap"].as_u64());
    assert_eq!(plan["request"]["steps"], 8);
}

#[test]
fn the_random_seed_is_printed_and_makes_the_picture_again() {
    let sandbox = Sandbox::new();
    for more in [&[][..], &["-s", "-1"], &["--seed=random"]] {
        let common = ["generate", PROMPT, "--steps", "1", "-o", "out/"];
        let ran = sandbox.run(common.iter().chain(more));
        let seed = ran.line("seed: ").and_then(|line| line.strip_suffix(" (random)")).expect("a seed is printed");
        assert_eq!(ran.paths(), [Path::new(&format!("out/postcard-{seed}.png"))]);
        let again = sandbox.run(common.iter().chain(&["-s", seed])).paths();
        let pair = [&ran.paths()[0], &again[0]].map(|path| pixels(&sandbox.path().join(path)));
        assert_eq!(pair[0], pair[1]);
    }
}

#[test]
fn json_prints_one_object_a_picture_that_says_how_it_was_made() {
    let sandbox = Sandbox::new();
    let seed = "9007199254740993"; // 2^53 + 1, which a JSON number would lose
    let ran = sandbox.run(["generate", PROMPT, "--steps", "2", "-s", seed, "-b", "2", "--json", "-o", "out/a.png"]);
    let objects: Vec<Value> = ran.ok().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["seed"], seed);
    assert_eq!(objects[1]["path"], "out/a-2.png");
    for object in &objects {
        assert_eq!((&object["width"], &object["height"]), (&Value::from(256), &Value::from(256)));
        assert_eq!((&object["steps"], &object["evaluations"]), (&Value::from(2), &Value::from(4)));
        assert_eq!(object["request"]["seeds"][0], object["seed"]);
        assert!(object["seconds"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn progress_as_json_is_one_event_a_line_from_the_decision_to_the_end() {
    let sandbox = Sandbox::new();
    let words = ["generate", "a zorble", "-W", "128", "--steps", "2", "-s", "1..2", "--progress", "json", "-o", "out/"];
    let ran = sandbox.run(words);
    let events: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    assert_eq!(of("step").len(), 4);
    assert_eq!(of("picture").len(), 2);
    let codes: Vec<_> = of("warning").iter().map(|event| event["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, ["size-untrained", "unknown-words"], "each warning once");
    let saved: Vec<_> = of("saved").iter().map(|event| event["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(saved.join("\n") + "\n", ran.ok());
    assert_eq!(of("saved")[1]["seed"], "2");
    assert_eq!(of("resolved")[0]["request"]["sigmas"], serde_json::json!([1.0, 0.5, 0.0]));
    assert!(!of("loading").is_empty() && !of("encoding").is_empty() && of("decoding").len() == 2);
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["pictures"]), (&Value::from("finished"), &Value::from(2)));

    let refused = sandbox.run(["generate", "x", "--steps", "0", "--progress", "json"]);
    assert_eq!(refused.code, Some(2));
    let error: Value = serde_json::from_str(&refused.stderr).expect("an error is an event too");
    assert_eq!((&error["event"], &error["exit"]), (&Value::from("error"), &Value::from(2)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_no_text_is_printed_byte_by_byte() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let path = std::ffi::OsStr::from_bytes(b"out/caf\xe9.png");
    let words = ["generate", PROMPT, "--steps", "1", "-s", "1", "-o"].map(AsRef::as_ref);
    let ran = sandbox.run(words.into_iter().chain([path]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, b"out/caf\xe9.png\n");
    assert!(sandbox.path().join(path).is_file());
}

#[test]
fn no_progress_means_only_warnings() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(["generate", PROMPT, "--steps", "1", "-s", "1", "--progress", "none", "-o", "out/"]);
    assert_eq!((ran.ok().lines().count(), ran.stderr.as_str()), (1, ""));
}

#[test]
fn the_preview_file_holds_the_newest_prediction() {
    let sandbox = Sandbox::new();
    let run = |more: &[&str]| {
        let common = ["generate", PROMPT, "-s", "1", "--steps", "2", "--preview-path", "out/now.png", "-o", "out/"];
        sandbox.run(common.iter().chain(more)).paths()
    };
    let picture = pixels(&sandbox.path().join(&run(&[])[0]));
    let preview = pixels(&sandbox.path().join("out/now.png"));
    assert_eq!(preview.dimensions(), (128, 128), "16 x 16 latents, eight times as large");
    // The preview is of the last step: the picture in small, within what a linear projection can do.
    let small = image::imageops::resize(&picture, 128, 128, image::imageops::FilterType::Triangle);
    let error = small.as_raw().iter().zip(preview.as_raw()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    let rms = (error.sum::<f64>() / small.as_raw().len() as f64).sqrt();
    assert!(rms < spread(&picture), "rms {rms}, spread {}", spread(&picture));
    assert_eq!(sandbox.pictures().len(), 2, "no half-written file is left");
}

#[test]
fn no_metadata_leaves_no_record_and_a_record_holds_no_path() {
    let sandbox = Sandbox::new();
    let common = ["generate", PROMPT, "-s", "1", "--steps", "1", "-o"];
    sandbox.run(common.iter().chain(&["out/bare.png", "--no-metadata"])).ok();
    sandbox.run(common.iter().chain(&["out/full.png"])).ok();
    let read = |name: &str| record::read(&sandbox.path().join(name)).expect("a PNG");
    assert!(read("out/bare.png").text.is_empty());
    let full = read("out/full.png");
    assert_eq!(full.request.expect("our record").prompt, PROMPT);
    let home = sandbox.path().display().to_string();
    assert!(full.text.iter().all(|(_, text)| !text.contains(&home)));
}

#[test]
fn a_closed_stdout_is_no_panic_and_the_picture_stays() {
    let sandbox = Sandbox::new();
    let mut child =
        sandbox.flowline(["generate", PROMPT, "-s", "1", "--steps", "1", "-o", "out/a.png"]).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(pixels(&sandbox.path().join("out/a.png")).dimensions(), (256, 256));
    let mut child = sandbox.flowline(["generate", PROMPT, "-s", "1", "--steps", "1", "-o", "-"]).spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "a picture that nobody took is not written: {}", ran.stderr);
    assert!(ran.line("error: ").is_some());
    for listing in [&["samplers"][..], &["models", "--json"], &["completions", "bash"], &["--help"]] {
        let mut child = sandbox.flowline(listing).spawn().unwrap();
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{listing:?}");
    }
}

/// Starts a long run that will not end by itself soon, and waits until it has taken a step.
#[cfg(unix)]
fn long_run(sandbox: &Sandbox, more: &[&str]) -> (std::process::Child, BufReader<std::process::ChildStderr>) {
    let words = ["generate", PROMPT, "-s", "7", "--steps", "5000", "--progress", "json", "-o", "out/a.png"];
    let mut child = sandbox.flowline(words.iter().chain(more)).spawn().expect("the binary starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("\"step\"") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "it ended before its first step");
    }
    (child, stderr)
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_the_best_so_far_marked_as_stopped_and_exits_with_130() {
    let sandbox = Sandbox::new();
    let (child, mut stderr) = long_run(&sandbox, &["-b", "3"]);
    interrupt(&child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{rest}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "out/a.png\n");
    assert_eq!(sandbox.pictures().len(), 1, "the rest of the batch is not begun");
    let path = sandbox.path().join("out/a.png");
    let request = record::read(&path).unwrap().request.expect("our record");
    let taken = request.stop_after.expect("it is marked as stopped");
    assert!((1..5000).contains(&taken));
    assert!(spread(&pixels(&path)) > 5.0);

    // What was stopped can be made again.
    let again = sandbox.run(["generate", "--from", "out/a.png", "-o", "out/b.png"]);
    assert_eq!(pixels(&sandbox.path().join(&again.paths()[0])), pixels(&path));
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_quits_at_once() {
    let sandbox = Sandbox::new();
    // The handler answers the first by finishing the step: two in a row leave it no time for a picture of this size.
    let (child, mut stderr) = long_run(&sandbox, &["-W", "768", "-H", "768"]);
    interrupt(&child);
    // A second signal that arrives while the first is pending is merged with it, so it is sent until one counts.
    let clock = std::time::Instant::now();
    let mut child = child;
    let status = loop {
        interrupt(&child);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(clock.elapsed().as_secs() < 30, "it does not quit");
    };
    assert_eq!(status.code(), Some(130));
    assert_eq!(sandbox.pictures().len(), 0);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("panicked"));
}

#[test]
fn a_finished_picture_of_a_stopped_batch_stays() {
    #[cfg(unix)]
    {
        let sandbox = Sandbox::new();
        let words = ["generate", PROMPT, "-s", "1", "-b", "10000", "--steps", "1", "-o", "out/"];
        let mut child = sandbox.flowline(words).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert_eq!(first, "out/postcard-1.png\n");
        interrupt(&child);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let printed: Vec<_> = std::iter::once(first.as_str()).chain(rest.lines()).collect();
        assert_eq!(
            sandbox.pictures().len(),
            printed.len(),
            "every path printed is a picture, and every picture is printed"
        );
        assert!(printed.len() < 100, "it went on");
    }
}
