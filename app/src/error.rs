//! What the user sees when something cannot be done: `error: …`, `hint: …`, and an exit code.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// Result of this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Something that cannot be done, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened, one sentence without a full stop.
    pub what: String,
    /// What to do about it, one sentence without a full stop.
    pub hint: String,
    /// How the program ends because of it.
    pub exit: Exit,
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the picture is written.
    Done,
    /// 1: it could not be done.
    Failed,
    /// 2: the command line makes no sense.
    Usage,
    /// 130: stopped by the user.
    Cancelled,
}

impl Failure {
    /// Exit code 1.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), exit: Exit::Failed }
    }

    /// Exit code 2.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what, hint) }
    }

    /// A file that could not be read or written.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        flowline_model::Error::io(path, source).into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\nhint: {}", self.what, self.hint)
    }
}

impl std::error::Error for Failure {}

impl From<flowline_model::Error> for Failure {
    fn from(error: flowline_model::Error) -> Self {
        Self::new(error.to_string(), error.hint())
    }
}

impl From<flowline_sampler::Error> for Failure {
    fn from(error: flowline_sampler::Error) -> Self {
        Self::new(error.to_string(), error.hint())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::Cancelled => Self::from(130),
        }
    }
}
