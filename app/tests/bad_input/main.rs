//! Bad input, all of it: tables of command lines with their surroundings and their exact outcomes.
//!
//! *Refused*: the exit code, exactly this `error:` and this `hint:`, nothing on stdout, no panic, and no file that was
//! not there before. *Warned*: exit code 0, one whole picture, and exactly these warnings. How a table is written stands
//! in [`table`], the surroundings its rows name in [`surroundings`].

#[path = "../binary/mod.rs"]
mod binary;
mod surroundings;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use binary::{Ran, Sandbox, pixels};
use table::{Row, Stdin, rows};

fn run(row: &Row, sandbox: &Sandbox, more: &[&str]) -> Ran {
    let args = row.args.iter().map(|arg| arg.as_os_str()).chain(more.iter().map(AsRef::as_ref));
    let mut command = match row.stdin {
        // A shell in the binary's place, which closes the stream and hands over.
        Stdin::Closed => {
            let words = ["-c", r#"exec "$0" "$@" <&-"#, env!("CARGO_BIN_EXE_flowline")].map(AsRef::as_ref);
            sandbox.program("/bin/sh", words.into_iter().chain(args))
        }
        Stdin::Empty | Stdin::Bytes(_) => sandbox.flowline(args),
    };
    for (name, value) in &row.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    match &row.stdin {
        Stdin::Bytes(input) => binary::feed(command, input),
        Stdin::Empty | Stdin::Closed => Ran::from(command.output().expect("the binary runs")),
    }
}

/// All files below `folder`, but for the cache.
fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in binary::files(&folder) {
            match path.is_dir() {
                true if path.ends_with(".cache") => {}
                true => folders.push(path),
                false => drop(found.insert(path)),
            }
        }
    }
    found
}

/// Runs `check` on all rows, two at a time, and tells of all that fail.
fn check_all(rows: &[Row], check: impl Fn(&Row, &Sandbox) -> Result<(), String> + Sync) {
    let (failed, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let sandbox = Sandbox::new();
                    row.with.iter().for_each(|name| surroundings::prepare(name, sandbox.path()));
                    if let Err(what) = check(row, &sandbox) {
                        failed.lock().unwrap().push(format!("{} {:?}\n{what}", row.with.join(" "), row.args));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} rows failed:\n\n{}", failed.len(), rows.len(), failed.join("\n\n"));
    assert!(!rows.is_empty());
}

fn check_refused(rows: &[Row]) {
    check_all(rows, |row, sandbox| {
        let before = tree(sandbox.path());
        let ran = run(row, sandbox, &[]);
        // What was said before it came to the refusal is not part of it.
        let said: Vec<_> = ran
            .stderr
            .lines()
            .skip_while(|line| {
                ["warning: ", "seed: ", "reading ", "adapter "].iter().any(|talk| line.starts_with(talk))
            })
            .collect();
        if !row.expects(&said) || ran.code != Some(row.code) || !ran.stdout.is_empty() {
            let (said, expected) = (said.join("\n"), row.said.join("\n"));
            return Err(format!("exit {:?}\n{said}\ninstead of exit {}\n{expected}", ran.code, row.code));
        }
        match tree(sandbox.path()).difference(&before).next() {
            Some(left) => Err(format!("{} is left behind", left.display())),
            None => Ok(()),
        }
    });
}

fn check_warned(rows: &[Row]) {
    check_all(rows, |row, sandbox| {
        let ran = run(row, sandbox, &["-o", "out/", "--steps", "1", "-s", "1", "--progress", "none"]);
        let said: Vec<_> = ran.stderr.lines().collect();
        if !row.expects(&said) || ran.code != Some(row.code) {
            let (said, expected) = (said.join("\n"), row.said.join("\n"));
            return Err(format!("exit {:?}\n{said}\ninstead of exit {}\n{expected}", ran.code, row.code));
        }
        let [picture] = &sandbox.pictures()[..] else { return Err("there is not one picture".into()) };
        pixels(picture);
        Ok(())
    });
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    check_refused(&rows(include_str!("command_lines.txt")));
}

#[test]
fn numbers_that_are_none_are_refused_by_the_name_of_their_option() {
    let mut table = include_str!("numbers.txt").to_owned();
    let mut add = |option: &str, words: &[&str], what: &str, hint: &str| {
        for word in words {
            table += &format!(
                "\n$ generate x {option} '{word}'\nerror: {option}: '{word}' is not {what}\nhint: {hint}\nexit 2\n"
            );
        }
    };
    for (option, range) in [
        ("--steps", "1 to 10000"),
        ("--width", "1 to 4294967295"),
        ("--height", "1 to 4294967295"),
        ("--batch", "1 to 10000"),
        ("--threads", "1 to 1024"),
    ] {
        let words = ["0", "-1", "1.5", "1e9", "nan", "inf", "x", "", "99999999999999999999"];
        add(option, &words, &format!("a whole number from {range}"), "write it in digits only, such as 8");
    }
    for option in ["--cfg", "--guidance", "--shift"] {
        let words = ["nan", "NaN", "inf", "-inf", "infinity", "1e999", "x", "", "1,5", "--steps"];
        add(option, &words, "a number", "give a finite number, such as 2.5");
    }
    check_refused(&rows(&table));
}

#[test]
fn unknown_names_and_parameters_are_refused_with_the_nearest_name() {
    check_refused(&rows(include_str!("names.txt")));
}

#[test]
fn adapters_that_cannot_be_applied_are_refused() {
    check_refused(&rows(include_str!("adapters.txt")));
}

#[test]
fn prompts_that_are_no_text_are_refused() {
    check_refused(&rows(include_str!("prompts.txt")));
}

#[test]
fn places_where_no_picture_can_go_are_refused() {
    check_refused(&rows(include_str!("places.txt")));
}

#[test]
fn pictures_that_cannot_be_replayed_are_refused() {
    check_refused(&rows(include_str!("pictures.txt")));
}

#[test]
fn what_cannot_be_plotted_or_played_is_refused() {
    check_refused(&rows(include_str!("plots.txt")));
}

#[test]
fn model_folders_that_are_none_are_refused() {
    check_refused(&rows(include_str!("models.txt")));
}

#[test]
fn grids_that_make_no_sense_are_refused() {
    check_refused(&rows(include_str!("grids.txt")));
}

#[test]
fn experiments_that_cannot_be_are_refused() {
    check_refused(&rows(include_str!("experiments.txt")));
}

#[test]
fn odd_prompts_and_surroundings_make_a_picture_and_a_warning() {
    check_warned(&rows(include_str!("warned.txt")));
}

#[test]
fn a_picture_too_large_for_the_memory_is_refused_before_anything_is_allocated() {
    // How much memory there is differs from machine to machine; the plan says how much this picture needs.
    let sandbox = Sandbox::new();
    let ran = sandbox.run(["generate", "x", "--dry-run", "-W", "16384", "-H", "16384"]);
    match ran.code {
        Some(0) => assert!(ran.ok().contains("MiB are available")),
        code => {
            assert_eq!(code, Some(1));
            assert!(ran.line("error: this needs about ").is_some(), "{}", ran.stderr);
            assert_eq!(
                ran.line("hint: "),
                Some(
                    "ask for a smaller picture, hold the weights in fewer bits (--weights q8_0), or close other programs"
                )
            );
        }
    }
}

#[test]
fn words_the_model_does_not_know_are_named_and_what_it_draws_is_said() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run(["generate", "a zorble lighthouse", "--steps", "1", "-s", "1", "-o", "out/"]);
    assert_eq!(ran.ok(), "out/postcard-1.png\n");
    let warning = ran.line("warning: ").expect("a warning");
    assert!(warning.starts_with("postcard does not know 'zorble'; it draws a lighthouse, "), "{warning}");
}

#[test]
fn hostile_prompts_make_a_picture() {
    let prompts = ["🦄🌈", "海辺の赤い灯台", "a\u{7}b\u{1b}[31m\u{202e}", "\u{feff}\u{200b}", "e\u{301}", "<pad></s>"];
    for prompt in prompts {
        let sandbox = Sandbox::new();
        let ran = sandbox.run(["generate", prompt, "--steps", "1", "-s", "1", "-o", "out/"]);
        assert_eq!(ran.ok(), "out/postcard-1.png\n", "{prompt:?}");
        assert!(!ran.stderr.contains(['\u{1b}', '\u{7}']), "it cannot command the terminal: {}", ran.stderr);
    }
}

#[test]
fn of_a_prompt_of_100_000_characters_is_said_what_was_cut() {
    let sandbox = Sandbox::new();
    let long = "lighthouse ".repeat(100_000 / 11 + 1);
    let ran = sandbox.run_with_stdin(["generate", "-", "--steps", "1", "-s", "1", "-o", "out/"], long.as_bytes());
    assert_eq!(ran.ok(), "out/postcard-1.png\n");
    let cut = "the prompt is too long for postcard (24 tokens of text); from here on it was cut: \"";
    let warning = ran.line("warning: ").expect("a warning");
    assert!(warning.starts_with(cut) && warning.len() < 200, "{warning}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_cannot_take_the_picture_is_an_error() {
    let sandbox = Sandbox::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.flowline(["generate", "lighthouse", "--steps", "1", "-s", "1", "-o", "-"]);
    let ran = Ran::from(command.stdout(full()).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("error: "), Some("stdout: No space left on device (os error 28)"));
    let ran = Ran::from(sandbox.flowline(["models"]).stdout(full()).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.line("error: "), Some("standard output: No space left on device (os error 28)"));
}
