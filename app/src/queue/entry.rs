//! What stands in the queue.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use flowline_model::{Draft, Request};
use serde::{Deserialize, Serialize};

use super::written;

/// Names an entry; none is given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Pictures to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// A model's name or folder.
    pub model: String,
    /// What was asked for.
    #[serde(with = "written::draft")]
    pub draft: Draft,
}

/// A whole grid, as `flowline grid` makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridJob {
    /// The words after `flowline grid`, its folder (`-o`) among them. What is done lies in that folder, so the same words
    /// go on where they stopped.
    pub words: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One picture, or one a seed.
    Pictures(Box<Job>),
    /// A grid of pictures.
    Grid(GridJob),
}

/// How far an entry is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JobState {
    /// Its turn has not come; a part of it may be done.
    #[default]
    Waiting,
    /// Somebody makes it.
    Making,
    /// It is done.
    Done(Ended),
    /// It cannot be made.
    Failed(Reason),
}

/// How an entry came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// As it was asked for.
    Whole,
    /// Stopped: what there was by then is what there is.
    Stopped,
}

/// Why an entry cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// One sentence without a full stop.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// One entry of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub id: JobId,
    /// What is to be done.
    pub task: Task,
    /// How far it is.
    pub state: JobState,
    /// Everything decided, the seed above all; `None` until it was begun. What goes on after an interruption goes on with
    /// this.
    pub request: Option<Box<Request>>,
    /// Where its pictures are, by their position.
    pub pictures: BTreeMap<usize, PathBuf>,
    /// A picture that was about to get its name.
    pub naming: Option<(usize, PathBuf)>,
}

impl Entry {
    /// An entry that waits.
    pub fn new(id: JobId, task: Task) -> Self {
        let (state, pictures) = Default::default();
        Self { id, task, state, request: None, pictures, naming: None }
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.state, JobState::Done(_) | JobState::Failed(_))
    }
}

/// Why nothing new is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pause {
    /// Somebody asked for it.
    Asked,
    /// The program ended in the middle of a picture.
    Crash,
    /// The queue could not be written down.
    Disk,
}

/// The queue as it was at some moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Its entries, in the order they are made.
    pub entries: Vec<Arc<Entry>>,
    /// Why nothing new is begun; `None` where the queue goes on.
    pub paused: Option<Pause>,
    /// What is being made by this program.
    pub ours: Vec<JobId>,
}
