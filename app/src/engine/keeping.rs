//! The unfinished picture on the disk: how often it is written there, and that it can be, at any moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowline_model::Kept;

use crate::error::Result;
use crate::queue::{JobId, Queue};

/// How often an unfinished picture is written to the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeping {
    /// As often as this share of the time allows.
    Share(f64),
    /// After every step.
    EveryStep,
}

impl Default for Keeping {
    /// So that nobody waits longer than one part in fifty for it.
    fn default() -> Self {
        Self::Share(0.02)
    }
}

/// What writing is taken to cost before it was done once.
const FIRST_COST: Duration = Duration::from_millis(20);

/// Says when to write.
pub(super) struct Pace {
    keeping: Keeping,
    /// What writing cost last.
    cost: Duration,
}

impl Pace {
    pub(super) fn new(keeping: Keeping) -> Self {
        Self { keeping, cost: FIRST_COST }
    }

    /// Whether to write, so long after the last time.
    fn is_due(&self, since: Duration) -> bool {
        match self.keeping {
            Keeping::EveryStep => true,
            Keeping::Share(share) => self.cost.as_secs_f64() <= share * since.as_secs_f64(),
        }
    }
}

/// The entry at work and its run as far as it is; shared with whoever ends the program.
#[derive(Clone, Default)]
pub(super) struct AtWork(Arc<Mutex<Option<Unfinished>>>);

/// An entry at work.
pub(super) struct Unfinished {
    pub(super) id: JobId,
    pub(super) kept: Option<Arc<Kept>>,
}

impl AtWork {
    /// Locks it: as long as the lock is held, the program does not end in the middle.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Unfinished>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves what is at work to another time: writes its run and puts it back.
    ///
    /// # Errors
    /// What the system says. It is put back all the same.
    pub(super) fn leave(&self, queue: &Queue) -> Result<()> {
        let Some(Unfinished { id, kept }) = self.lock().take() else { return Ok(()) };
        let written = kept.map_or(Ok(()), |kept| write(queue, id, &kept));
        queue.release(id).and(written)
    }
}

/// Writes the runs of one entry.
pub(super) struct Keeper<'a> {
    pub(super) queue: &'a Queue,
    pub(super) at_work: &'a AtWork,
    pub(super) id: JobId,
    pub(super) pace: Pace,
    pub(super) last: Instant,
}

impl Keeper<'_> {
    /// A step is done; its run is written if it is time.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn step(&mut self, kept: Arc<Kept>) -> Result<()> {
        if let Some(unfinished) = self.at_work.lock().as_mut() {
            unfinished.kept = Some(Arc::clone(&kept));
        }
        let due = self.pace.is_due(self.last.elapsed());
        // A run that is at its end becomes a picture at once.
        if !due || kept.taken() >= kept.request.steps {
            return Ok(());
        }
        let begun = Instant::now();
        let written = write(self.queue, self.id, &kept);
        (self.pace.cost, self.last) = (begun.elapsed(), Instant::now());
        written
    }
}

fn write(queue: &Queue, id: JobId, kept: &Kept) -> Result<()> {
    queue.keep_run(id, &kept.to_bytes()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_takes_no_more_than_its_share_of_the_time() {
        let pace = |cost| Pace { keeping: Keeping::default(), cost: Duration::from_millis(cost) };
        for (cost, since, due) in [(20, 999, false), (20, 1000, true), (300, 14_000, false), (300, 15_000, true)] {
            assert_eq!(pace(cost).is_due(Duration::from_millis(since)), due, "{cost} {since}");
        }
        assert!(Pace::new(Keeping::EveryStep).is_due(Duration::ZERO));
        assert!(!Pace::new(Keeping::Share(0.0)).is_due(Duration::MAX), "no share, no writing");
    }
}
