//! Events on their way from the engine to a face.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use flowline_model::Event as Made;

use super::{Event, Waker};
use crate::crash;
use crate::queue::Queue;

/// A queue that a slow reader cannot make grow: of previews and byte counts only the newest is kept.
pub(super) struct Mailbox {
    events: Mutex<VecDeque<Event>>,
    /// Held by whoever tells how the queue stands, so that what is told last is the newest.
    telling: Mutex<()>,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self { events: Mutex::new(VecDeque::new()), telling: Mutex::new(()), waker }
    }

    /// Adds an event and wakes the reader.
    pub(super) fn post(&self, event: Event) {
        crash::note(kind(&event));
        {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if events.back().is_some_and(|last| outdates(&event, last)) {
                events.pop_back();
            }
            events.push_back(event);
        }
        (self.waker)();
    }

    /// Tells how the queue stands, and what should be said about it.
    pub(super) fn post_queue(&self, queue: &Queue) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in queue.warnings() {
            self.post(Event::Made(Made::Warning(warning)));
        }
        self.post(Event::Queue(Arc::new(queue.snapshot())));
    }

    /// Takes everything that has arrived.
    pub(super) fn take(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// What kind of thing is said, in a word.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Made(Made::Warning(_)) => "warning",
        Event::Made(Made::Loading { .. }) => "loading",
        Event::Made(Made::Encoding) => "encoding",
        Event::Made(Made::Tick) => "tick",
        Event::Made(Made::Step(_)) => "step",
        Event::Made(Made::Decoding { .. }) => "decoding",
        Event::Made(Made::Picture(_)) | Event::Picture(..) => "picture",
        Event::Made(Made::Finished(_)) => "finished",
        Event::Ready(_) => "ready",
        Event::Started(_) => "started",
        Event::Failed(_) => "failed",
        _ => "other",
    }
}

/// Whether nobody needs `old` any more once `new` is there.
fn outdates(new: &Event, old: &Event) -> bool {
    match (new, old) {
        (Event::Made(Made::Step(new)), Event::Made(Made::Step(old))) => new.picture == old.picture,
        (Event::Queue(_), Event::Queue(_)) => true,
        (Event::Fetching(new, _), Event::Fetching(old, _)) => new == old,
        (Event::Made(Made::Loading { .. }), Event::Made(Made::Loading { .. })) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use flowline_model::{Outcome, StepDone};
    use flowline_sampler::metrics::StepMetrics;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn step(picture: usize, taken: usize) -> Event {
        Event::Made(Made::Step(StepDone {
            picture,
            pictures: 2,
            taken,
            steps: 9,
            sigma: 1.0,
            next: 0.5,
            evaluations: 1,
            elapsed: Duration::ZERO,
            metrics: StepMetrics::default(),
            preview: None,
            kept: None,
        }))
    }

    #[test]
    fn a_reader_that_sleeps_through_a_run_finds_only_the_newest_step_of_each_picture() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&wakes);
        let mailbox = Mailbox::new(Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        for bytes in 0..100 {
            mailbox.post(Event::Made(Made::Loading { part: "transformer", bytes, total: 100 }));
        }
        for (picture, taken) in [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)] {
            mailbox.post(step(picture, taken));
        }
        mailbox.post(Event::Made(Made::Finished(Outcome::default())));
        assert_eq!(wakes.load(Ordering::SeqCst), 106, "every event wakes the reader");
        let events = mailbox.take();
        let told = events.iter().map(|event| match event {
            Event::Made(Made::Loading { bytes, .. }) => format!("loading {bytes}"),
            Event::Made(Made::Step(step)) => format!("step {} of picture {}", step.taken, step.picture),
            Event::Made(Made::Finished(_)) => "finished".into(),
            other => format!("{other:?}"),
        });
        let told: Vec<String> = told.collect();
        assert_eq!(told, ["loading 99", "step 3 of picture 0", "step 2 of picture 1", "finished"]);
        assert!(mailbox.take().is_empty());
    }
}
