//! The real binary in a sandbox: an empty home, an empty folder for pictures, nothing else of the environment.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The first bytes of every PNG.
pub const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A place of its own for one run.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("home")).expect("an empty home");
        std::fs::create_dir(folder.path().join("out")).expect("a folder for pictures");
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside, as an argument.
    pub fn at(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// The files in the folder for pictures, by name.
    pub fn pictures(&self) -> Vec<PathBuf> {
        files(&self.path().join("out"))
    }

    /// The binary, to be run in the sandbox.
    pub fn flowline<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.program(env!("CARGO_BIN_EXE_flowline"), args)
    }

    /// Any program, to be run in the sandbox.
    pub fn program<S: AsRef<std::ffi::OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("HOME", self.path().join("home")).current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::from(self.flowline(args).output().expect("the binary runs"))
    }

    /// Runs it with something on standard input.
    pub fn run_with_stdin<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &[u8]) -> Ran {
        feed(self.flowline(args), input)
    }
}

/// Runs `command` with `input` on standard input.
pub fn feed(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
    // It may refuse the command line without reading.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    Ran::from(child.wait_with_output().expect("the binary runs"))
}

/// The files in `folder`, by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Copies a folder and everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for path in files(from) {
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => drop(std::fs::copy(&path, &target).expect("a copy")),
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("talk is text");
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

impl Ran {
    /// The text on stdout of a run that went well.
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        std::str::from_utf8(&self.stdout).expect("text on stdout")
    }

    /// The paths on stdout of a run that went well.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.ok().lines().map(PathBuf::from).collect()
    }

    /// The JSON on stdout of a run that went well.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.ok()).unwrap_or_else(|e| panic!("{e}: {}", self.ok()))
    }

    /// The line of stderr that begins with `start`, without it.
    pub fn line(&self, start: &str) -> Option<&str> {
        self.stderr.lines().find_map(|line| line.strip_prefix(start))
    }
}

/// The pixels of a picture.
pub fn pixels(path: &Path) -> image::RgbImage {
    image::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into_rgb8()
}

/// How far the samples of a picture spread: 0 for a flat one.
pub fn spread(image: &image::RgbImage) -> f64 {
    let samples = image.as_raw();
    let count = samples.len() as f64;
    let mean = samples.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    (samples.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count).sqrt()
}
