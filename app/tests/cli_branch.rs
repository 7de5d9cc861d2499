//! Traces, kept trajectories, and going on from the middle of a run, with the real binary.

mod binary;

use std::fs;

use binary::{Sandbox, pixels};
use serde_json::Value;

const PROMPT: &str = "a red lighthouse by the sea at sunset";

/// A small picture in few steps, with more words.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let words = ["generate", PROMPT, "-s", "7", "-W", "64", "-H", "64", "--steps", "5", "--progress", "none"];
    words.into_iter().chain(more.iter().copied()).collect()
}

fn bytes(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    fs::read(sandbox.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_run_that_goes_on_from_the_middle_makes_the_same_file() {
    // Those that would not by luck: a history, a corrected step, noise on the way, guidance with a memory.
    for (sampler, rule) in [
        ("ab2", "cfg"),
        ("unipc", "cfg"),
        ("sa", "apg"),
        ("dpmpp2m-sde", "cfg+rescale"),
        ("heun+corrector:k=1", "apg:momentum=-0.75"),
    ] {
        let sandbox = Sandbox::new();
        let words =
            small(&["--sampler", sampler, "--rule", rule, "--keep-trajectory", "run.safetensors", "-o", "a.png"]);
        sandbox.run(words).ok();
        for at in [0, 2, 4, 5] {
            let point = format!("run.safetensors@{at}");
            sandbox.run(["generate", "--branch", &point, "-o", "b.png", "--force"]).ok();
            assert!(bytes(&sandbox, "a.png") == bytes(&sandbox, "b.png"), "{sampler} with {rule} after step {at}");
        }
    }
}

#[test]
fn a_branch_has_a_record_that_needs_no_file() {
    let sandbox = Sandbox::new();
    sandbox.run(small(&["--sampler", "ab2", "--keep-trajectory", "run.safetensors", "-o", "a.png"])).ok();
    let changes: [&[&str]; 7] = [
        &["--sampler", "heun"],
        &["--steps", "9"],
        &["--schedule", "karras"],
        &["a blue lighthouse by the sea at dawn"],
        &["--cfg", "4"],
        &["--rule", "apg"],
        &["--seed", "8", "--sampler", "langevin"],
    ];
    for change in changes {
        let words = ["generate", "--branch", "run.safetensors@2", "-o", "b.png", "--force", "--progress", "none"];
        let branched = sandbox.run(words.iter().chain(change));
        assert_eq!(branched.line("warning: postcard was trained"), Some(" at 256 x 256 only; 64 x 64 may look odd"));
        branched.ok();
        assert_ne!(pixels(&sandbox.path().join("a.png")), pixels(&sandbox.path().join("b.png")), "{change:?}");
        fs::rename(sandbox.path().join("run.safetensors"), sandbox.path().join("away")).unwrap();
        assert_eq!(sandbox.run(["verify", "b.png"]).ok(), "b.png: identical to what its record makes\n", "{change:?}");
        fs::rename(sandbox.path().join("away"), sandbox.path().join("run.safetensors")).unwrap();
    }
    let inspected = sandbox.run(["inspect", "b.png", "--json"]).json();
    assert_eq!(inspected["command"], "flowline generate --from b.png");
    assert_eq!(inspected["request"]["branch"]["at"], 2);
    assert_eq!(inspected["request"]["steps"], 3);
}

#[test]
fn every_picture_has_a_trajectory_of_its_own_and_none_is_overwritten() {
    let sandbox = Sandbox::new();
    let words =
        small(&["-b", "2", "-o", "out/", "--keep-trajectory", "run-{seed}.safetensors", "--trace", "{index}.json"]);
    sandbox.run(&words).ok();
    let first = bytes(&sandbox, "run-8.safetensors");
    sandbox.run(&words).ok();
    assert!(bytes(&sandbox, "run-8.safetensors") == first && bytes(&sandbox, "run-8-2.safetensors") == first);
    assert!(bytes(&sandbox, "run-7.safetensors") != first);
    bytes(&sandbox, "0001-2.json");
}

#[test]
fn a_trace_has_the_figures_of_every_step() {
    let sandbox = Sandbox::new();
    sandbox
        .run(small(&["--sampler", "heun", "--keep-trajectory", "run.safetensors", "--trace", "a.json", "-o", "a.png"]))
        .ok();
    let whole: Value = serde_json::from_slice(&bytes(&sandbox, "a.json")).unwrap();
    let steps = whole["steps"].as_array().unwrap();
    let column = |key: &str| steps.iter().map(|step| step[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("step"), [1, 2, 3, 4, 5].map(Value::from));
    // Two evaluations a step but for the last, each with and without the prompt.
    assert_eq!(column("evaluations"), [4, 4, 4, 4, 2].map(Value::from));
    assert_eq!(whole["request"]["sigmas"].as_array().unwrap()[..5], column("sigma"));
    assert!(column("turning")[0].is_null() && column("drift")[0].is_null());
    for step in steps {
        assert!(step["v"].as_f64().unwrap() > 0.0 && step["x"].as_f64().unwrap() > 0.0, "{step}");
        assert!((0.0..=1.0 + 1e-9).contains(&step["straightness"].as_f64().unwrap()), "{step}");
    }
    assert!(column("local_error")[..4].iter().all(|error| error.as_f64().unwrap() > 0.0));
    assert!(column("turning")[1..].iter().all(|angle| (0.0..=180.0).contains(&angle.as_f64().unwrap())));
    // Noise has size 1.
    assert!((steps[0]["x"].as_f64().unwrap() - 1.0).abs() < 0.1);
    // A run that goes on has the same figures from there on.
    sandbox.run(["generate", "--branch", "run.safetensors@3", "--trace", "b.json", "-o", "b.png"]).ok();
    let rest: Value = serde_json::from_slice(&bytes(&sandbox, "b.json")).unwrap();
    let timeless = |steps: &[Value]| {
        let mut steps = steps.to_vec();
        steps.iter_mut().for_each(|step| drop(step.as_object_mut().unwrap().remove("seconds")));
        steps
    };
    assert_eq!(timeless(rest["steps"].as_array().unwrap()), timeless(&steps[3..]));
}

#[test]
fn noise_guidance_and_sigmas_can_be_chosen_and_replay() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("sigmas.txt"), "1\n0.7, 0.4\n0.1\n0\n").unwrap();
    let changes: [&[&str]; 4] = [
        &["--rng", "torch-cpu"],
        &["--rng", "brownian", "--sampler", "langevin"],
        &["--rule", "cfg-zero-star+interval:low=0.3,high=0.9"],
        &["--schedule", "karras"],
    ];
    let mut seen = vec![];
    for change in changes {
        let words = small(&["-o", "a.png", "--force"]);
        sandbox.run(words.iter().chain(change)).ok();
        assert_eq!(sandbox.run(["verify", "a.png"]).ok(), "a.png: identical to what its record makes\n", "{change:?}");
        seen.push(pixels(&sandbox.path().join("a.png")).into_raw());
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "all differ");
    let plan = sandbox.run(["generate", PROMPT, "--sigmas", "sigmas.txt", "-s", "1", "--dry-run", "--json"]).json();
    assert_eq!(plan["request"]["sigmas"], serde_json::json!([1.0, 0.7, 0.4, 0.1, 0.0]));
}

#[test]
fn an_interval_costs_one_evaluation_where_it_does_not_guide() {
    let sandbox = Sandbox::new();
    let words = small(&["--rule", "cfg+interval:low=0.3,high=0.7", "--json", "-o", "a.png"]);
    // Sigmas 1, 0.8, 0.6, 0.4, 0.2: two of five steps are guided.
    assert_eq!(sandbox.run(words).json()["evaluations"], 7);
}

#[test]
fn a_tilt_pulls_the_picture_towards_another() {
    let sandbox = Sandbox::new();
    let made = |words: &[&str]| {
        let small = ["generate", PROMPT, "-W", "64", "-H", "64", "--steps", "5", "--progress", "none", "--force"];
        sandbox.run(small.iter().chain(words)).ok();
        pixels(&sandbox.path().join(words[1])).into_raw()
    };
    let target = made(&["-o", "target.png", "-s", "7"]);
    let [none, some, much] = ["0", "2", "50"].map(|strength| {
        let tilted = made(&["-o", "tilted.png", "-s", "9", "--tilt", &format!("target.png:{strength}")]);
        let apart = tilted.iter().zip(&target).map(|(a, b)| f64::from(a.abs_diff(*b)));
        apart.sum::<f64>() / target.len() as f64
    });
    assert!(some < none && much < some / 2.0, "{none} {some} {much}");
    // Its record names the image by its hash; the image itself must be given again.
    let again = sandbox.run(["generate", "--from", "tilted.png", "-o", "again.png"]);
    assert_eq!((again.code, again.line("hint: ")), (Some(1), Some("give it again: --tilt IMAGE:strength")));
    sandbox.run(["generate", "--from", "tilted.png", "--tilt", "target.png:50", "-o", "again.png"]).ok();
    assert!(bytes(&sandbox, "again.png") == bytes(&sandbox, "tilted.png"));
}
