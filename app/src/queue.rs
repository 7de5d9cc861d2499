//! The queue: what is to be made, one entry after the other, on the disk before it is on the screen.
//!
//! It is a folder with one append-only journal. Each line is something that happened, under a checksum, and is on the disk
//! before anybody acts on it. SQLite was weighed: it would bring a C compiler to every build and a file that only it can
//! read, for a few hundred short lines that are always read as a whole. The lines can be read and mended with any editor,
//! and damage costs the lines it hits and no other.
//!
//! ```text
//! journal            what happened
//! journal-damaged-1  lines that could not be read, set aside
//! lock               held by whoever reads or writes the journal
//! 7.lock             held by the program that makes entry 7, as long as it lives
//! 7.run              entry 7's unfinished picture after one of its steps
//! ```
//!
//! **One owner.** Any number of windows share a queue, and each makes entries of it. Who makes one holds its lock, which
//! the system gives back however the program ends. An entry that is being made and that nobody holds was left by a crash:
//! whoever finds it puts it back and pauses the queue, for the entry may have been the reason.
//!
//! **No picture twice, none lost.** A picture is written whole under a name of no meaning; then the journal says which
//! name it will get; then it gets it; then the journal says that it has. Whoever comes after a crash in between looks
//! whether that name is there with that picture's record, and knows.
//!
//! Without a folder the queue lasts as long as the program.

mod change;
mod entry;
mod journal;
mod owner;
mod place;
mod runs;
mod taken;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowline_model::{Request, Warning};

use crate::error::{Failure, Result};
use change::{Change, Entries};
pub use entry::{Ended, Entry, GridJob, Job, JobId, JobState, Pause, Reason, Snapshot, Task};
use journal::{Found, Journal};
use owner::{Asked, Owner};
pub use place::queue_folder;
pub use taken::is_whole_picture;

/// What somebody asks of the queue.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// These join at the end.
    Add(Vec<Task>),
    /// This one is put before another, or at the end.
    Move(JobId, Option<JobId>),
    /// This one is taken out; if it is being made, that is given up.
    Remove(JobId),
    /// What this one asked for is asked for once more.
    Repeat(JobId),
    /// Nothing new is begun.
    Pause,
    /// The queue goes on.
    GoOn,
    /// What is over is taken out.
    ClearFinished,
    /// Look what others have done.
    Look,
}

/// A queue, shared by the threads of a program and, through its folder, by programs.
pub struct Queue {
    state: Mutex<State>,
}

struct State {
    entries: Entries,
    journal: Option<Journal>,
    /// What this program makes.
    owned: BTreeMap<JobId, Option<Owner>>,
    /// What should be said.
    warnings: Vec<Warning>,
}

impl Queue {
    /// The queue in `folder`, which is created if need be. What a crash has left is put back, and the queue is paused
    /// then.
    ///
    /// # Errors
    /// A folder that cannot be read or written; the journal of a newer program.
    pub fn open(folder: &Path) -> Result<Self> {
        let queue = Self::of(Some(Journal::open(folder)?));
        queue.change(|state| state.orphans())?;
        // Half-written files of programs that were killed; what cannot be swept harms nobody.
        let _ = crate::library::atomic::sweep(folder);
        Ok(queue)
    }

    /// A queue that is forgotten with the program.
    pub fn fleeting() -> Self {
        Self::of(None)
    }

    fn of(journal: Option<Journal>) -> Self {
        let (entries, owned, warnings) = Default::default();
        Self { state: Mutex::new(State { entries, journal, owned, warnings }) }
    }

    /// The user's own queue; a fleeting one, and why, where that cannot be.
    pub fn usual() -> (Self, Option<Warning>) {
        let opened = queue_folder().and_then(|folder| {
            let forgets = |failure: Failure| {
                let message = format!("the queue is forgotten when the window closes: {}", failure.what);
                Warning::new("queue-forgets", message)
            };
            Self::open(&folder).map_err(forgets)
        });
        match opened {
            Ok(queue) => (queue, None),
            Err(warning) => (Self::fleeting(), Some(warning)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue as this program knows it.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let Entries { all, paused, .. } = &state.entries;
        Snapshot { entries: all.clone(), paused: *paused, ours: state.owned.keys().copied().collect() }
    }

    /// What should be said about the queue itself; each thing once.
    pub fn warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.state().warnings)
    }

    /// Does what is asked, on the disk and then here.
    ///
    /// # Errors
    /// What the system says; nothing has changed then.
    pub fn ask(&self, ask: Ask) -> Result<()> {
        self.change(|state| {
            let Entries { all, last, .. } = &state.entries;
            let add = |tasks: Vec<Task>| {
                let ids = (last.saturating_add(1)..).map(JobId);
                ids.zip(tasks).map(|(id, task)| Change::Add { id, task }).collect()
            };
            Ok(match ask {
                Ask::Add(tasks) => {
                    tasks.iter().try_for_each(check)?;
                    add(tasks)
                }
                Ask::Repeat(id) => add(state.entries.find(id).map(|entry| entry.task.clone()).into_iter().collect()),
                Ask::Move(id, before) => vec![Change::Move { id, before }],
                Ask::Remove(id) => vec![Change::Remove { id }],
                Ask::Pause => vec![Change::Pause { why: Pause::Asked }],
                Ask::GoOn => vec![Change::GoOn],
                Ask::ClearFinished => {
                    all.iter().filter(|entry| entry.is_over()).map(|entry| Change::Remove { id: entry.id }).collect()
                }
                Ask::Look => state.orphans()?,
            })
        })
    }

    /// The next entry that waits, which is this program's to make from now on; `None` while the queue is paused or
    /// nothing waits.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(&self) -> Result<Option<Arc<Entry>>> {
        self.change(|state| state.orphans())?;
        let mut taken = None;
        self.change(|state| {
            if state.entries.paused.is_some() {
                return Ok(Vec::new());
            }
            let waiting = state.entries.all.iter().filter(|entry| entry.state == JobState::Waiting);
            for id in waiting.map(|entry| entry.id).collect::<Vec<_>>() {
                if state.own(id)? {
                    taken = Some(id);
                    return Ok(vec![Change::Take { id }]);
                }
            }
            Ok(Vec::new())
        })?;
        let state = self.state();
        Ok(taken.and_then(|id| state.entries.find(id).cloned()))
    }

    /// Everything about an entry that is this program's is decided.
    ///
    /// # Errors
    /// If it is not; what the system says.
    pub fn decide(&self, id: JobId, request: &Request) -> Result<()> {
        self.work(id, Change::Decide { id, request: Box::new(request.clone()) })
    }

    /// The picture at `index` is about to be called `path`, a name that nothing has.
    ///
    /// # Errors
    /// As [`Queue::decide`].
    pub fn naming(&self, id: JobId, index: usize, path: &Path) -> Result<()> {
        self.work(id, Change::Naming { id, index, path: path.to_owned() })
    }

    /// The picture at `index` is called `path`.
    ///
    /// # Errors
    /// As [`Queue::decide`].
    pub fn named(&self, id: JobId, index: usize, path: &Path) -> Result<()> {
        self.work(id, Change::Named { id, index, path: path.to_owned() })
    }

    /// Something happens to an entry that is this program's.
    fn work(&self, id: JobId, change: Change) -> Result<()> {
        self.change(|state| match state.is_ours(id) {
            true => Ok(vec![change]),
            false => Err(Failure::new("the picture was taken out of the queue", "ask for it again if you want it")),
        })
    }

    /// An entry that is this program's is done.
    ///
    /// # Errors
    /// What the system says. It counts as done all the same, and the queue is paused.
    pub fn finish(&self, id: JobId, how: Ended) -> Result<()> {
        self.end(id, Change::Finish { id, how })
    }

    /// An entry that is this program's cannot be made.
    ///
    /// # Errors
    /// As [`Queue::finish`].
    pub fn fail(&self, id: JobId, failure: &Failure) -> Result<()> {
        let reason = Reason { what: failure.what.clone(), hint: failure.hint.clone() };
        self.end(id, Change::Fail { id, reason })
    }

    /// An entry that is this program's is made another time, by whoever takes it.
    ///
    /// # Errors
    /// As [`Queue::finish`].
    pub fn release(&self, id: JobId) -> Result<()> {
        self.end(id, Change::Release { id })
    }

    /// An entry that is this program's is taken out: nothing of it is wanted.
    ///
    /// # Errors
    /// As [`Queue::finish`].
    pub fn give_up(&self, id: JobId) -> Result<()> {
        self.end(id, Change::Remove { id })
    }

    fn end(&self, id: JobId, change: Change) -> Result<()> {
        let ended = self.change(|state| Ok(if state.is_ours(id) { vec![change.clone()] } else { Vec::new() }));
        let mut state = self.state();
        if ended.is_err() {
            // Or it would be made again at once, and again.
            state.entries.apply(change);
            state.entries.apply(Change::Pause { why: Pause::Disk });
        }
        let State { entries, journal, owned, .. } = &mut *state;
        if let Some(journal) = journal.as_ref().filter(|_| ended.is_ok()) {
            if entries.find(id).is_none_or(|entry| entry.is_over()) {
                runs::remove(journal.folder(), id);
            }
            // Given back under the journal's lock, so that nobody asks for it halfway.
            let _locked = journal.lock();
            owned.remove(&id);
        } else {
            // Nobody else may make what this program could not write down; without a journal there is nobody else.
            if let Some(owner) = owned.remove(&id) {
                std::mem::forget(owner);
            }
        }
        ended
    }

    /// Keeps the unfinished picture of an entry that is this program's.
    ///
    /// # Errors
    /// What the system says; what was kept before is there still.
    pub fn keep_run(&self, id: JobId, run: &[u8]) -> Result<()> {
        let Some(folder) = self.folder_of(id) else { return Ok(()) };
        runs::write(&folder, id, run).map_err(|error| Failure::io(&folder, error))
    }

    /// The unfinished picture of an entry that is this program's.
    pub fn kept_run(&self, id: JobId) -> Option<Vec<u8>> {
        runs::read(&self.folder_of(id)?, id)
    }

    /// Forgets it: the picture is finished, or was not worth keeping.
    pub fn forget_run(&self, id: JobId) {
        if let Some(folder) = self.folder_of(id) {
            runs::remove(&folder, id);
        }
    }

    fn folder_of(&self, id: JobId) -> Option<PathBuf> {
        let state = self.state();
        let journal = state.journal.as_ref().filter(|_| state.owned.contains_key(&id))?;
        Some(journal.folder().to_owned())
    }

    /// Under the lock: reads what others did, and does what `decide` says then.
    fn change(&self, decide: impl FnOnce(&mut State) -> Result<Vec<Change>>) -> Result<()> {
        let mut state = self.state();
        let Some(mut journal) = state.journal.take() else {
            let changes = decide(&mut state)?;
            changes.into_iter().for_each(|change| state.entries.apply(change));
            return Ok(());
        };
        let locked = journal.lock();
        let caught_up = match &locked {
            Ok(_) => journal.catch_up(&mut state.entries),
            Err(failure) => Err(failure.clone()),
        };
        // Whoever decides may ask for locks in the journal's folder.
        state.journal = Some(journal);
        if let Found { damaged: Some(path) } = caught_up? {
            let message = format!(
                "the queue's journal was damaged; what could be read is here, and the rest was set aside in {}",
                path.display()
            );
            state.warnings.push(Warning::new("queue-damaged", message));
        }
        let changes = decide(&mut state)?;
        if changes.is_empty() {
            return Ok(());
        }
        let State { journal, entries, owned, .. } = &mut *state;
        let Some(journal) = journal else { return Ok(()) };
        let takes: Vec<JobId> = changes.iter().filter_map(taking).collect();
        journal.append(changes, entries).inspect_err(|_| takes.iter().for_each(|id| drop(owned.remove(id))))
    }
}

/// The entry that a change makes ours.
fn taking(change: &Change) -> Option<JobId> {
    if let Change::Take { id } = change { Some(*id) } else { None }
}

/// Refuses what would not be the same after it was written down and read again.
fn check(task: &Task) -> Result<()> {
    let same = match task {
        Task::Grid(_) => true,
        Task::Pictures(job) => flowline_model::Draft::from_json(&job.draft.to_json()).as_ref() == Ok(&job.draft),
    };
    match same {
        true => Ok(()),
        false => Err(Failure::new("the picture asks for a number that is none", "look through its settings")),
    }
}

impl State {
    fn is_ours(&self, id: JobId) -> bool {
        let making = self.entries.find(id).is_some_and(|entry| entry.state == JobState::Making);
        making && self.owned.contains_key(&id)
    }

    /// Asks for the lock of an entry; whether it is ours now.
    fn own(&mut self, id: JobId) -> Result<bool> {
        let owner = match &self.journal {
            None => None,
            Some(journal) => match Owner::ask(journal.folder(), id).map_err(|e| Failure::io(journal.folder(), e))? {
                Asked::Ours(owner) => Some(owner),
                Asked::Theirs => return Ok(false),
            },
        };
        self.owned.insert(id, owner);
        Ok(true)
    }

    /// Puts back what is being made by nobody. Then the queue is paused: the program that made it crashed.
    fn orphans(&mut self) -> Result<Vec<Change>> {
        let Some(journal) = &self.journal else { return Ok(Vec::new()) };
        let mut changes = Vec::new();
        for entry in self.entries.all.iter().filter(|entry| entry.state == JobState::Making) {
            let id = entry.id;
            if self.owned.contains_key(&id) {
                continue;
            }
            let asked = Owner::ask(journal.folder(), id).map_err(|e| Failure::io(journal.folder(), e))?;
            if let Asked::Ours(_) = asked {
                changes.push(Change::Release { id });
            }
        }
        if !changes.is_empty() {
            changes.push(Change::Pause { why: Pause::Crash });
        }
        Ok(changes)
    }
}
