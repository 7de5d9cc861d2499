//! Processes that end half way: by their user's key, killed, with a full disk.

use std::process::{Command, Stdio};

use super::fake::Answer::{Good, Hold};
use super::fake::File;
use super::{Bench, Ran, WEIGHTS, assert_refused, noise};

#[test]
fn a_killed_process_leaves_what_has_come_and_no_lock() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Hold(600_000), Good]);
    let mut child = bench.command(&["models", "pull", "lab/flow"]).spawn().unwrap();
    bench.hub.wait_for_hold();
    bench.wait_for_bytes();
    child.kill().unwrap();
    child.wait().unwrap();
    let left = bench.unfinished().expect("what has come");
    assert!((1..=600_000).contains(&left), "{left}");
    assert!(!bench.repository().join("refs").exists(), "a branch leads nowhere before all is here");

    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    let last = bench.hub.asked_for(WEIGHTS).pop().unwrap();
    assert_eq!(last.range, Some(format!("bytes={left}-")));
    assert_eq!(bench.unfinished(), None);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_waiting_connection_at_once_and_keeps_what_has_come() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Hold(600_000), Good]);
    // A patience that the test would not survive.
    let mut command = bench.command(&["models", "pull", "lab/flow"]);
    let child = command.env("HF_HUB_DOWNLOAD_TIMEOUT", "3600").spawn().unwrap();
    bench.hub.wait_for_hold();
    bench.wait_for_bytes();
    let pressed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(pressed.success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    let said = ran.line("stopped; ").expect("what became of it");
    assert!(said.ends_with(" of 1 MB are here, and the same command goes on from there"), "{said}");
    bench.pull().ok();
    assert!(bench.hub.asked_for(WEIGHTS).pop().unwrap().range.is_some());
    assert_eq!(bench.fetched(), noise(1_000_000));
}

/// `/dev/full` in the place of the unfinished file: the system says what it says when a disk is full.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_said() {
    let bench = Bench::new();
    let file = File::large(WEIGHTS, noise(1_000_000));
    let blobs = bench.repository().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.flowline-part", file.hash()));
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let error =
        format!("the disk is full (No space left on device (os error 28)): 1 MB of '{WEIGHTS}' are still to come");
    let hint = "make room and run the same command again; it goes on from what is here";
    assert_refused(&bench.pull(), 1, &error, hint);
    std::fs::remove_file(part).unwrap();
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
}

/// A limit on the size of files, which the system enforces in the middle of a write.
#[cfg(target_os = "linux")]
#[test]
fn what_was_written_before_the_disk_was_full_is_gone_on_from() {
    let bench = Bench::new();
    let script = r#"trap "" XFSZ; ulimit -f 600; exec "$0" "$@""#;
    let words = ["-c", script, env!("CARGO_BIN_EXE_flowline"), "models", "pull", "lab/flow"];
    let mut command = bench.sandbox.program("/bin/sh", words);
    command.env("HF_ENDPOINT", &bench.hub.url).stdin(Stdio::null());
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let error = ran.line("error: ").expect("an error");
    assert!(error.starts_with("the disk is full (File too large (os error 27)): "), "{error}");
    let left = bench.unfinished().expect("what has come");
    assert!(left > 0 && left < 1_000_000, "{left}");
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    assert_eq!(bench.hub.asked_for(WEIGHTS).pop().unwrap().range, Some(format!("bytes={left}-")));
}
