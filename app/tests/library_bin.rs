//! Pictures go to the system's bin and come back. A program of its own, because the bin's place is in the environment.
#![cfg(target_os = "linux")]

mod sample;

use std::fs;
use std::path::Path;
use std::process::Command;

use flowline::library::{bin, star};
use sample::file::written;
use sample::request;

/// What the inner run does.
const INNER: &str = "FLOWLINE_TEST_BIN";

/// Runs this file's `test` with a bin of its own, or without any.
fn with_bin(test: &str, home: &Path, data: Option<&Path>) {
    let mut inner = Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", test, "--nocapture"]).env(INNER, home).env("HOME", home).env_remove("XDG_DATA_HOME");
    if let Some(data) = data {
        inner.env("XDG_DATA_HOME", data);
    }
    let output = inner.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_picture_and_its_star_go_to_the_bin_and_come_back() {
    let Some(home) = std::env::var_os(INNER) else {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        return with_bin(
            "a_picture_and_its_star_go_to_the_bin_and_come_back",
            home.path(),
            Some(&home.path().join("data")),
        );
    };
    let folder = Path::new(&home).join("pictures");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a = b, caf\u{e9} 100%.png");
    let picture = written(&request("to the bin"));
    fs::write(&path, &picture).unwrap();
    star::set(&path, true).unwrap();
    let first = bin::put(&path).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // Another of the same name goes there as well.
    let second_picture = written(&request("another"));
    fs::write(&path, &second_picture).unwrap();
    let second = bin::put(&path).unwrap();
    bin::back(&second).unwrap();
    assert_eq!(fs::read(&path).unwrap(), second_picture);
    assert!(!star::is_set(&path));
    let taken = bin::back(&first).unwrap_err();
    assert!(taken.what.contains("could not be brought back") && !taken.hint.is_empty(), "{taken}");
    assert_eq!(fs::read(&path).unwrap(), second_picture, "nothing is overwritten");
    fs::remove_file(&path).unwrap();
    bin::back(&first).unwrap();
    assert_eq!(fs::read(&path).unwrap(), picture);
    assert!(star::is_set(&path));
    assert!(bin::put(&folder.join("gone.png")).is_err());
}

#[test]
fn where_there_is_no_bin_the_picture_stays_and_the_user_is_told() {
    let Some(home) = std::env::var_os(INNER) else {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // A file where the bin's folder should be.
        fs::write(home.path().join("data"), "no folder").unwrap();
        let data = home.path().join("data");
        return with_bin("where_there_is_no_bin_the_picture_stays_and_the_user_is_told", home.path(), Some(&data));
    };
    let path = Path::new(&home).join("a.png");
    let picture = written(&request("no bin"));
    fs::write(&path, &picture).unwrap();
    let refusal = bin::put(&path).unwrap_err();
    assert!(refusal.what.contains("could not be moved to the bin") && !refusal.hint.is_empty(), "{refusal}");
    assert_eq!(fs::read(&path).unwrap(), picture);
}
