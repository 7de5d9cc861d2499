//! Fetching models with the real binary from a Hub that misbehaves, in every way that has been thought of.

#[path = "../binary/mod.rs"]
mod binary;
mod content;
mod fake;
mod faults;
mod models;
mod places;
mod sharing;
mod stopping;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use binary::{Ran, Sandbox};
use fake::{FakeHub, File};

/// Longer than the slowest machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A user, a Hub, and a repository with a small file and one large enough to come in several pieces.
struct Bench {
    sandbox: Sandbox,
    hub: FakeHub,
}

/// Bytes that do not repeat.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(&mut next).take(bytes).collect()
}

const WEIGHTS: &str = "flow.safetensors";

impl Bench {
    fn new() -> Self {
        Self::with(vec![File::small("README.md", "read me\n"), File::large(WEIGHTS, noise(1_000_000))])
    }

    fn with(files: Vec<File>) -> Self {
        Self { sandbox: Sandbox::new(), hub: FakeHub::new(files) }
    }

    /// The program, whose Hub is the one here. A proxy in the way would be asked too.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.flowline(args);
        command.env("HF_ENDPOINT", &self.hub.url).env("HF_HUB_DOWNLOAD_TIMEOUT", "20");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("the binary runs"))
    }

    fn pull(&self) -> Ran {
        self.run(&["models", "pull", "lab/flow"])
    }

    /// The repository in the cache.
    fn repository(&self) -> PathBuf {
        self.sandbox.path().join("home/.cache/huggingface/hub/models--lab--flow")
    }

    fn blobs(&self) -> Vec<PathBuf> {
        if self.repository().join("blobs").exists() {
            binary::files(&self.repository().join("blobs"))
        } else {
            Vec::new()
        }
    }

    /// The weights that were fetched, from under their name.
    fn fetched(&self) -> Vec<u8> {
        fs::read(self.repository().join("snapshots").join(fake::COMMIT).join(WEIGHTS)).expect("the weights")
    }

    /// Whatever the user has of the weights that is not whole.
    fn unfinished(&self) -> Option<u64> {
        let part = self.blobs().into_iter().find(|path| path.to_string_lossy().ends_with("part"))?;
        Some(fs::metadata(part).expect("a file").len())
    }

    /// Waits until some of the weights are on the disk.
    fn wait_for_bytes(&self) {
        let began = Instant::now();
        while self.unfinished().is_none_or(|bytes| bytes == 0) {
            assert!(began.elapsed() < PATIENCE, "nothing comes");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// That a run was refused: its exit code, its error and hint, and that it kept quiet about the token.
fn assert_refused(ran: &Ran, code: i32, error: &str, hint: &str) {
    assert_eq!(
        (ran.code, ran.line("error: "), ran.line("hint: ")),
        (Some(code), Some(error), Some(hint)),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("hf_secret"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

fn host(url: &str) -> &str {
    url.trim_start_matches("http://").split(':').next().unwrap_or_default()
}

/// A link's end, or nothing.
fn link(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok()
}
