//! A grid that is killed, interrupted or runs out of disk goes on where it was, and ends as if nothing had happened.

#![cfg(unix)]

mod binary;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};

use binary::{Ran, Sandbox, files};
use serde_json::Value;

const PROMPT: &str = "a red lighthouse by the sea at sunset";

/// Four cells with a reference a seed, on pictures as small as they get.
const GRID: [&str; 20] = [
    "grid",
    PROMPT,
    "-W",
    "32",
    "-H",
    "32",
    "--cfg",
    "1",
    "--axis",
    "sampler=euler,langevin:scale=1",
    "--axis",
    "seed=1,2",
    "--steps",
    "4",
    "--reference",
    "heun:steps=6",
    "--progress",
    "json",
    "-o",
    "lab",
];

/// A grid at work, and what it says.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn begin(sandbox: &Sandbox, words: &[&str]) -> Self {
        let mut child = sandbox.flowline(words).spawn().expect("the binary starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, stderr }
    }

    /// The next thing that happens; `None` at the end.
    fn event(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("text");
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")))
    }

    /// Reads on until `wanted` happens for the `count`-th time.
    fn until(&mut self, wanted: &str, count: usize) {
        let mut seen = 0;
        while seen < count {
            let event = self.event().unwrap_or_else(|| panic!("it ended before {wanted}"));
            seen += usize::from(event["event"] == wanted);
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("it still runs");
        self.child.wait().expect("it is gone");
    }
}

/// When a run is killed.
enum Moment {
    /// So many cells or references have begun.
    Begun(usize),
    /// So many steps are done.
    Steps(usize),
    /// So many pictures are made; the last is about to be written.
    Pictures(usize),
    /// So many files of this kind lie in the folder.
    Files(&'static str, usize),
}

fn kill_at(moment: &Moment, sandbox: &Sandbox) {
    let mut run = Running::begin(sandbox, &GRID);
    match moment {
        Moment::Begun(count) => run.until("cell", *count),
        Moment::Steps(count) => run.until("step", *count),
        Moment::Pictures(count) => run.until("picture", *count),
        Moment::Files(ending, count) => {
            let there = || all(&sandbox.path().join("lab")).keys().filter(|name| name.ends_with(ending)).count();
            while there() < *count {
                assert!(run.child.try_wait().expect("a process").is_none(), "it ended before {count} {ending}");
                std::thread::yield_now();
            }
        }
    }
    run.kill();
}

/// Every file below `folder`, by its path in it.
fn all(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for inside in ["", "cells", "references"] {
        let entries = std::fs::read_dir(folder.join(inside)).into_iter().flatten();
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
            let name = path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
            found.insert(name, path);
        }
    }
    found
}

/// A file as it must be after any run: the seconds it took are left out.
fn content(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("a file");
    let without_seconds = |mut row: Value| {
        row.as_object_mut().expect("a row").shift_remove("seconds").expect("it took time");
        row
    };
    match path.parent().is_some_and(|parent| parent.ends_with("cells")) {
        true => without_seconds(serde_json::from_slice(&bytes).expect("JSON")).to_string().into_bytes(),
        false => match path.file_name().and_then(|name| name.to_str()) {
            Some("results.json") => {
                let rows: Vec<Value> = serde_json::from_slice(&bytes).expect("JSON");
                Value::from_iter(rows.into_iter().map(without_seconds)).to_string().into_bytes()
            }
            Some("results.csv") => {
                let mut rows = csv::Reader::from_reader(&bytes[..]);
                let seconds = rows.headers().expect("a header").iter().position(|name| name == "seconds");
                let kept = rows.records().map(|row| {
                    let row = row.expect("as many values as columns");
                    row.iter()
                        .enumerate()
                        .filter(|(at, _)| Some(*at) != seconds)
                        .map(|(_, value)| value.to_owned())
                        .collect()
                });
                kept.collect::<Vec<Vec<String>>>().iter().flatten().flat_map(|value| value.bytes()).collect()
            }
            _ => bytes,
        },
    }
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (all(one), all(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, path) in &one {
        assert!(content(path) == content(&other[name]), "{name} differs");
    }
}

/// The keys of the cells that are done.
fn done(folder: &Path) -> Vec<String> {
    let rows =
        all(folder).into_keys().filter_map(|name| Some(name.strip_prefix("cells/")?.strip_suffix(".json")?.to_owned()));
    rows.collect()
}

#[test]
fn killed_at_any_moment_it_goes_on_and_ends_as_if_it_had_never_stopped() {
    let whole = Sandbox::new();
    whole.run(GRID).ok();
    let expected = whole.path().join("lab");
    assert_eq!(done(&expected).len(), 4);

    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("lab");
    let moments = [
        Moment::Files("grid.json", 1),
        Moment::Begun(1),
        Moment::Steps(3),
        Moment::Pictures(1),
        Moment::Files(".safetensors", 1),
        Moment::Pictures(1),
        Moment::Files(".png", 1),
        Moment::Steps(2),
        Moment::Begun(2),
        Moment::Files(".png", 2),
        Moment::Pictures(2),
        Moment::Files("csv", 1),
    ];
    let mut last = Vec::new();
    for (at, moment) in moments.iter().enumerate() {
        kill_at(moment, &sandbox);
        // What was done stays done, and what is there is whole.
        let now = done(&folder);
        assert!(last.iter().all(|key| now.contains(key)), "moment {at}: {last:?} {now:?}");
        for (name, path) in all(&folder).iter().filter(|(name, _)| !name.ends_with(".part") && *name != "results.csv") {
            assert!(content(path) == content(&expected.join(name)), "moment {at}: {name}");
        }
        last = now;
    }
    let mut run = Running::begin(&sandbox, &GRID);
    while let Some(event) = run.event() {
        let again = event["event"] == "cell" && last.iter().any(|key| *key == event["cell"]);
        assert!(!again, "{event} was done before");
    }
    let ran = Ran::from(run.child.wait_with_output().unwrap());
    assert_eq!(ran.ok(), "lab/results.csv\nlab/results.json\nlab/sheet.png\n");
    assert_same(&folder, &expected);
}

#[test]
fn ctrl_c_saves_nothing_of_the_cell_at_work_and_the_grid_goes_on() {
    let words = |output: &'static str| {
        let small = ["grid", PROMPT, "-W", "32", "-H", "32", "--cfg", "1", "-s", "1", "--axis", "steps=2,90"];
        [&small[..], &["--progress", "json", "-o", output]].concat()
    };
    let sandbox = Sandbox::new();
    let mut run = Running::begin(&sandbox, &words("lab"));
    run.until("cell", 2);
    run.until("step", 1);
    let sent = Command::new("kill").args(["-INT", &run.child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let mut rest = String::new();
    run.stderr.read_to_string(&mut rest).unwrap();
    let ran = Ran::from(run.child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.len()), (Some(130), 0), "{rest}");
    let folder = sandbox.path().join("lab");
    let names: Vec<String> = all(&folder).into_keys().collect();
    let [row, picture, plan] = &names[..] else { panic!("{names:?}") };
    assert!(row.starts_with("cells/euler-steps2-") && plan == "grid.json" && picture.starts_with("euler-steps2-"));

    sandbox.run(words("lab")).ok();
    sandbox.run(words("out")).ok();
    assert_same(&folder, &sandbox.path().join("out"));
}

#[test]
fn a_disk_that_is_full_in_the_middle_is_an_error_and_the_grid_goes_on_when_there_is_room() {
    let sandbox = Sandbox::new();
    let words = |output: &'static str| {
        ["grid", PROMPT, "--cfg", "1", "--steps", "1", "-s", "1", "--axis", "width=32,256", "-o", output]
    };
    // The system refuses files beyond 16 KiB (32, where the shell counts otherwise), as it does when there is no room:
    // the small picture fits.
    let limited = r#"trap '' XFSZ; ulimit -f 32; exec "$0" "$@""#;
    let shell = ["-c", limited, env!("CARGO_BIN_EXE_flowline")];
    let ran = Ran::from(sandbox.program("/bin/sh", shell.iter().copied().chain(words("lab"))).output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let error = ran.line("error: ").expect("an error");
    assert!(error.starts_with("lab/euler-steps1-seed1-") && error.contains("File too large"), "{error}");
    assert!(ran.line("hint: ").is_some());
    assert!(ran.stderr.contains("1 of 2 cells are done, and the same command goes on from here"), "{}", ran.stderr);
    let folder = sandbox.path().join("lab");
    assert_eq!(done(&folder).len(), 1, "what fitted is there: {}", ran.stderr);
    assert!(all(&folder).keys().all(|name| !name.ends_with(".part")), "nothing half-written is");

    sandbox.run(words("lab")).ok();
    sandbox.run(words("out")).ok();
    assert_same(&folder, &sandbox.path().join("out"));
    assert_eq!(files(&folder.join("cells")).len(), 2);
}
