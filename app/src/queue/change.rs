//! What may happen to the queue, one line of the journal each, and what it does.

use std::path::PathBuf;
use std::sync::Arc;

use flowline_model::Request;
use serde::{Deserialize, Serialize};

use super::entry::{Ended, Entry, JobId, JobState, Pause, Reason, Task};
use super::written;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Change {
    /// An entry joined at the end.
    Add { id: JobId, task: Task },
    /// An entry was put before another, or at the end.
    Move { id: JobId, before: Option<JobId> },
    /// An entry was taken out.
    Remove { id: JobId },
    /// Somebody began to make it, or goes on with it.
    Take { id: JobId },
    /// Everything is decided.
    Decide {
        id: JobId,
        #[serde(with = "written::request")]
        request: Box<Request>,
    },
    /// A picture is on the disk and about to get this name.
    Naming {
        id: JobId,
        index: usize,
        #[serde(with = "written::path")]
        path: PathBuf,
    },
    /// It has it.
    Named {
        id: JobId,
        index: usize,
        #[serde(with = "written::path")]
        path: PathBuf,
    },
    /// It is made another time.
    Release { id: JobId },
    /// It is done.
    Finish { id: JobId, how: Ended },
    /// It cannot be made.
    Fail { id: JobId, reason: Reason },
    /// Nothing new is begun.
    Pause { why: Pause },
    /// The queue goes on.
    GoOn,
}

/// The queue as its journal has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entries {
    pub(super) all: Vec<Arc<Entry>>,
    pub(super) paused: Option<Pause>,
    /// The last name that was given out.
    pub(super) last: u64,
}

/// Entries that are over and still remembered when the journal is written anew.
const REMEMBERED: usize = 200;

impl Entries {
    pub(super) fn find(&self, id: JobId) -> Option<&Arc<Entry>> {
        self.all.iter().find(|entry| entry.id == id)
    }

    /// Does what happened. What makes no sense, because a line before it was damaged, does nothing.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Add { id, task } => {
                self.last = self.last.max(id.0);
                if self.find(id).is_none() {
                    self.all.push(Arc::new(Entry::new(id, task)));
                }
            }
            Change::Move { id, before } => {
                let Some(from) = self.all.iter().position(|entry| entry.id == id) else { return };
                let entry = self.all.remove(from);
                let to = before.and_then(|before| self.all.iter().position(|entry| entry.id == before));
                self.all.insert(to.unwrap_or(self.all.len()), entry);
            }
            Change::Remove { id } => self.all.retain(|entry| entry.id != id),
            Change::Take { id } => self.alter(id, |entry| entry.state = JobState::Making),
            Change::Decide { id, request } => self.alter(id, |entry| entry.request = Some(request)),
            Change::Naming { id, index, path } => self.alter(id, |entry| entry.naming = Some((index, path))),
            Change::Named { id, index, path } => self.alter(id, |entry| {
                entry.naming = None;
                entry.pictures.insert(index, path);
            }),
            Change::Release { id } => self.alter(id, |entry| {
                if entry.state == JobState::Making {
                    entry.state = JobState::Waiting;
                }
            }),
            Change::Finish { id, how } => self.alter(id, |entry| entry.state = JobState::Done(how)),
            Change::Fail { id, reason } => self.alter(id, |entry| entry.state = JobState::Failed(reason)),
            Change::Pause { why } => self.paused = Some(why),
            Change::GoOn => self.paused = None,
        }
    }

    fn alter(&mut self, id: JobId, how: impl FnOnce(&mut Entry)) {
        // A line with the name alone still says that the name was given out.
        self.last = self.last.max(id.0);
        if let Some(entry) = self.all.iter_mut().find(|entry| entry.id == id) {
            how(Arc::make_mut(entry));
        }
    }

    /// The fewest changes that lead here from nothing, but for what was over long ago.
    pub(super) fn retold(&self) -> Vec<Change> {
        let over = self.all.iter().filter(|entry| entry.is_over()).count();
        let mut forgotten = over.saturating_sub(REMEMBERED);
        let mut changes = Vec::new();
        for entry in &self.all {
            if entry.is_over() && forgotten > 0 {
                forgotten -= 1;
                continue;
            }
            let Entry { id, task, state, request, pictures, naming } = entry.as_ref();
            let id = *id;
            changes.push(Change::Add { id, task: task.clone() });
            if let Some(request) = request.clone() {
                changes.push(Change::Decide { id, request });
            }
            changes.extend(pictures.iter().map(|(index, path)| Change::Named {
                id,
                index: *index,
                path: path.clone(),
            }));
            if let Some((index, path)) = naming.clone() {
                changes.push(Change::Naming { id, index, path });
            }
            changes.extend(match state {
                JobState::Waiting => None,
                JobState::Making => Some(Change::Take { id }),
                JobState::Done(how) => Some(Change::Finish { id, how: *how }),
                JobState::Failed(reason) => Some(Change::Fail { id, reason: reason.clone() }),
            });
        }
        changes.extend(self.paused.map(|why| Change::Pause { why }));
        changes
    }
}
