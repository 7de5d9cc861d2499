//! How what is being made comes to its end before it is done.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::queue::JobId;

/// How to end what is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the best picture so far.
    Best,
    /// With no picture: it is thrown away.
    Nothing,
    /// Not at all: it waits where it stands, and goes on from there another time.
    Later,
}

/// What was asked for last, by entry: what comes late does not hit the next.
#[derive(Default)]
pub(super) struct Endings(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    /// Of one entry.
    one: Option<(JobId, Ending)>,
    /// Whether the program ends, and everything waits.
    all_later: bool,
}

impl Endings {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ask(&self, id: JobId, ending: Ending) {
        self.asked().one = Some((id, ending));
    }

    /// An entry begins or has ended: what was asked before is over.
    pub(super) fn forget(&self, id: JobId) {
        let mut asked = self.asked();
        asked.one = asked.one.filter(|(known, _)| *known != id);
    }

    pub(super) fn leave(&self) {
        self.asked().all_later = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.asked().all_later
    }

    /// How this entry is to end; `None` for by itself.
    pub(super) fn of(&self, id: JobId) -> Option<Ending> {
        let asked = self.asked();
        match asked.all_later {
            true => Some(Ending::Later),
            false => asked.one.filter(|(known, _)| *known == id).map(|(_, ending)| ending),
        }
    }
}
