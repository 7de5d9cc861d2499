//! A stranger's crate, outside the workspace: the whole program with a sampler of theirs in it.

mod binary;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use binary::{Ran, Sandbox};

/// Builds the stranger's two programs once, into the target folder of the tests, and gives their folder.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let app = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (root, stranger) = (app.parent().unwrap(), app.join("tests/stranger"));
        // The versions the tests were built with; and, through the profile, the same libraries need no second building.
        std::fs::copy(root.join("Cargo.lock"), stranger.join("Cargo.lock")).unwrap();
        let programs = Path::new(env!("CARGO_BIN_EXE_flowline")).parent().unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--bins", "--manifest-path"])
            .arg(stranger.join("Cargo.toml"))
            .arg("--config")
            .arg(root.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(programs.parent().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        programs.to_owned()
    })
}

fn run(sandbox: &Sandbox, program: &str, words: &[&str]) -> Ran {
    let program = built().join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    sandbox.program(program.to_str().unwrap(), words).output().unwrap().into()
}

#[test]
fn a_strangers_sampler_makes_a_picture_that_verifies() {
    let sandbox = Sandbox::new();
    let words = ["generate", "a pine tree in the snow", "-s", "3", "--steps", "4", "--sampler", "ember:heat=1"];
    let made = run(&sandbox, "stranger", &[&words[..], &["-o", "out/tree.png"]].concat());
    let [picture] = &made.paths()[..] else { panic!("{made:?}") };
    assert!(binary::spread(&binary::pixels(&sandbox.path().join(picture))) > 10.0);
    let verified = run(&sandbox, "stranger", &["verify", "out/tree.png"]);
    assert_eq!(verified.ok(), "out/tree.png: identical to what its record makes\n");
    let inspected = run(&sandbox, "stranger", &["inspect", "out/tree.png", "--json"]);
    assert!(inspected.ok().contains("ember:heat=1"), "{}", inspected.ok());
    // The program without it says so, and does not guess.
    let refused = sandbox.run(["verify", "out/tree.png"]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(refused.line("error: "), Some("there is no sampler named 'ember'"));
}

#[test]
fn a_strangers_sampler_is_in_the_help_the_listings_and_the_proof() {
    let sandbox = Sandbox::new();
    assert!(run(&sandbox, "stranger", &["generate", "--help"]).ok().contains("part of the noise is renewed"));
    assert!(run(&sandbox, "stranger", &["samplers"]).ok().contains("ember"));
    assert!(run(&sandbox, "stranger", &["completions", "bash"]).ok().contains("ember"));
    let verified = run(&sandbox, "stranger", &["verify"]);
    let row = verified.ok().lines().find(|line| line.starts_with("ember")).unwrap();
    assert!(row.ends_with("converges"), "{row}");
    assert!(!sandbox.run(["samplers"]).ok().contains("ember"));
}

#[test]
fn a_strangers_sampler_is_an_axis_of_a_grid_and_moves_particles() {
    let sandbox = Sandbox::new();
    let words = ["grid", "a pine tree in the snow", "-W", "64", "-H", "64", "-s", "3", "--steps", "2", "-o", "lab"];
    run(&sandbox, "stranger", &[&words[..], &["--axis", "sampler=ember:heat=1,euler"]].concat()).ok();
    let table = std::fs::read_to_string(sandbox.path().join("lab/results.csv")).unwrap();
    assert!(table.lines().count() == 3 && table.contains("ember:heat=1"), "{table}");
    let words = ["playground", "--still", "--particles", "20", "--steps", "3", "--sampler", "ember", "-o", "flow.png"];
    run(&sandbox, "stranger", &words).ok();
    assert!(binary::spread(&binary::pixels(&sandbox.path().join("flow.png"))) > 1.0);
}

#[test]
fn its_twin_with_a_wrong_noise_term_is_told_what_is_wrong() {
    let sandbox = Sandbox::new();
    let verified = run(&sandbox, "wrong", &["verify"]);
    assert_eq!(verified.code, Some(1));
    let table = String::from_utf8(verified.stdout).unwrap();
    let fallen: Vec<_> = table.lines().filter(|line| line.contains("fails: ")).collect();
    let [row] = fallen[..] else { panic!("{table}") };
    assert!(row.starts_with("ember "), "{row}");
    let reason = row.split_once("fails: ").unwrap().1;
    // Without fresh noise to make up for it, most of the spread is lost, and more steps do not help.
    assert!(reason.contains("the spread is off by 0.") && reason.contains("at 512"), "{reason}");
    assert_eq!(run(&sandbox, "wrong", &["verify", "--sampler", "ember"]).code, Some(1));
    assert_eq!(run(&sandbox, "wrong", &["verify", "--sampler", "euler"]).code, Some(0));
}
