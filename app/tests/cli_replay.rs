//! `--from PICTURE` and "copy as command": pictures that are made again, with the real binary.

mod binary;

use std::path::Path;

use binary::Sandbox;
use flowline::record::{Chunk, chunks, write_png};
use flowline_model::Request;
use image::RgbImage;
use serde_json::{Value, json};

const PROMPT: &str = "a red lighthouse by the sea at sunset";

fn write_picture(path: &Path, chunks: &[Chunk]) {
    write_png(std::fs::File::create(path).expect("a file"), &RgbImage::new(64, 64), chunks).expect("a picture");
}

#[test]
fn a_picture_replays_pixel_by_pixel_from_its_own_record() {
    let sandbox = Sandbox::new();
    let first = ["generate", PROMPT, "-s", "18446744073709551615", "--sampler", "langevin:scale=0.7", "--schedule"];
    let first = first.iter().chain(&["shift:shift=2", "--steps", "3", "--cfg", "3", "-n", "fog", "-o", "out/a.png"]);
    let made = sandbox.run(first).paths();
    let again = sandbox.run(["generate", "--from", "out/a.png", "-o", "out/b.png"]);
    let pair = [&made[0], &again.paths()[0]].map(|path| std::fs::read(sandbox.path().join(path)).unwrap());
    assert_eq!(pair[0], pair[1]);
    assert_eq!(again.line("warning: "), None, "nothing differs: {}", again.stderr);
}

#[test]
fn options_go_over_the_record_of_a_replayed_picture() {
    let sandbox = Sandbox::new();
    sandbox.run(["generate", PROMPT, "-s", "4", "--steps", "3", "--schedule", "shift:shift=2", "-o", "out/a.png"]).ok();
    let replay = |more: &[&str]| {
        let ran = sandbox.run(["generate", "--from", "out/a.png", "--dry-run", "--json"].iter().chain(more));
        ran.json()["request"].clone()
    };
    let same = replay(&[]);
    assert_eq!(same["schedule"], "shift:shift=2");
    let steps = replay(&["--steps", "5"]);
    assert_eq!((&steps["steps"], &steps["schedule"]), (&Value::from(5), &Value::from("shift:shift=2")));
    assert_eq!(steps["sigmas"].as_array().unwrap().len(), 6);
    assert_eq!(replay(&["--schedule", "uniform"])["sigmas"][1], 2.0 / 3.0);
    assert_eq!(replay(&["--sigmas", "1,0.5,0"])["steps"], 2);
    assert_eq!(replay(&["-b", "2"])["seeds"], serde_json::json!(["4", "5"]));
    assert_eq!(replay(&["a cabin"])["prompt"], "a cabin");
    assert_eq!(replay(&["--shift", "1.5"])["schedule"], "shift:shift=1.5");
}

#[test]
fn copying_a_picture_as_a_command_makes_the_same_request() {
    let sandbox = Sandbox::new();
    for options in [
        "-s 7",
        "-s 7 --steps 3 --sampler langevin:scale=0.5 --cfg 4",
        "-s 7 -W 128 --sampler ddim",
        "-s 7 --sigmas 1,0.7,0.1,0 -n fog",
        "-s 7 --shift 2",
        "-s 7 --cfg 1",
    ] {
        let words = ["generate", PROMPT, "--dry-run", "--json"].into_iter().chain(options.split_whitespace());
        let request = sandbox.run(words).json()["request"].clone();
        let parsed = serde_json::from_value(request.clone()).expect("a request");
        let command = flowline::command::command_words(&parsed);
        let again = command.iter().skip(1).map(String::as_str).chain(["--dry-run", "--json"]);
        assert_eq!(sandbox.run(again).json()["request"], request, "{command:?}");
    }
}

#[test]
fn what_differs_from_the_record_is_said() {
    let sandbox = Sandbox::new();
    let plan = sandbox.run(["generate", PROMPT, "-s", "4", "--dry-run", "--json"]).json();
    let mut request: Request = serde_json::from_value(plan["request"].clone()).expect("a request");
    request.made_with.flowline = "0.0.7".into();
    request.made_with.device = "cpu riscv64".into();
    request.model.weights[1].sha256 = "0".repeat(64);
    write_picture(&sandbox.path().join("a.png"), &chunks(&request));
    let ran = sandbox.run(["generate", "--from", "a.png", "--dry-run", "--json"]);
    assert_eq!(ran.json()["request"], plan["request"], "what is done is done with what is here");
    let said: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    for (line, part) in said.iter().zip(["version: the picture was made with 0.0.7", "cpu riscv64", "000000000000"]) {
        assert!(line.starts_with("warning: the picture may not come out the same: ") && line.contains(part), "{line}");
    }
}

#[test]
fn a_picture_of_another_program_is_made_anew_as_far_as_its_record_is_understood() {
    let sandbox = Sandbox::new();
    let text = "a blue cabin in snow\nNegative prompt: fog\nSteps: 3, Sampler: Euler, CFG scale: 3.5, Seed: 42, \
                Size: 128x64, Model: sd_xl_base_1.0, Clip skip: 2, Version: f2.0.1";
    write_picture(&sandbox.path().join("a.png"), &[Chunk { keyword: "parameters", text: text.into() }]);
    let ran = sandbox.run(["generate", "--from", "a.png", "--dry-run", "--json"]);
    let request = &ran.json()["request"];
    assert_eq!((&request["prompt"], &request["negative_prompt"]), (&json!("a blue cabin in snow"), &json!("fog")));
    assert_eq!((&request["width"], &request["height"]), (&json!(128), &json!(64)));
    assert_eq!((&request["seeds"], &request["steps"], &request["cfg"]), (&json!(["42"]), &json!(3), &json!(3.5)));
    assert!(ran.line("warning: the AUTOMATIC1111 record's ").is_some(), "what is not used is said: {}", ran.stderr);
    let inspected = sandbox.run(["inspect", "a.png"]);
    assert!(inspected.ok().contains("made by           AUTOMATIC1111"), "{}", inspected.ok());
    assert!(inspected.ok().contains("not used"), "{}", inspected.ok());
}
