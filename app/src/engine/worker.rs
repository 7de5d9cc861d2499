//! What lives on the engine's own thread: the model, and one entry of the queue after the other.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Receiver;

use flowline_model::Outcome;

use super::ending::Endings;
use super::keeping::AtWork;
use super::mailbox::Mailbox;
use super::making::{End, unfinished};
use super::{Event, Keeping, MakeGrid, Model, Offer, Open, laboratory};
use crate::error::{Failure, Result};
use crate::library::Library;
use crate::queue::{Entry, Queue, Task};

/// What the thread is asked for.
pub(super) enum Order {
    /// Open this model, and say what it offers.
    Open(String),
    /// Something for the laboratory, counted.
    Experiment(u64, laboratory::Ask),
    /// Look into the queue.
    Look,
}

/// What lives on the thread.
pub(super) struct Worker {
    pub(super) open: Open,
    pub(super) make_grid: MakeGrid,
    pub(super) library: Arc<Library>,
    pub(super) queue: Arc<Queue>,
    pub(super) keeping: Keeping,
    /// The model that is warm, and the name it was opened by.
    pub(super) model: Option<(String, Box<dyn Model>)>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) endings: Arc<Endings>,
    pub(super) at_work: AtWork,
    /// Whether a picture that is stopped is not wanted.
    pub(super) give_up: Arc<AtomicBool>,
    /// Experiments up to this one are to be finished.
    pub(super) halted: Arc<AtomicU64>,
    /// The last run.
    pub(super) bench: laboratory::Bench,
}

impl Worker {
    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self, inbox: &Receiver<Order>) {
        self.library.sweep();
        while !self.endings.is_leaving() {
            // Whoever chooses a model does not wait for the whole queue.
            while let Ok(order) = inbox.try_recv() {
                self.follow(order);
            }
            if let Some(entry) = self.take() {
                self.make(&entry);
            } else if let Ok(order) = inbox.recv() {
                self.follow(order);
            } else {
                return;
            }
        }
    }

    pub(super) fn tell(&self, event: Event) {
        self.mailbox.post(event);
    }

    fn follow(&mut self, order: Order) {
        let name = match order {
            Order::Open(name) => name,
            Order::Experiment(number, ask) => return self.experiment(number, ask),
            Order::Look => return,
        };
        let opened = self.guard(|worker| {
            // By the name that opens it again; a folder in the Hub's cache, say, is called otherwise.
            let offer = Offer { model: name.clone(), ..worker.open(&name)?.offer() };
            worker.tell(Event::Ready(Arc::new(offer)));
            Ok(())
        });
        if let Err(failure) = opened {
            self.tell(Event::Failed(failure));
        }
    }

    /// The next entry; what keeps it from being taken is said.
    fn take(&mut self) -> Option<Arc<Entry>> {
        let taken = self.queue.take();
        self.mailbox.post_queue(&self.queue);
        taken.unwrap_or_else(|failure| {
            self.tell(Event::Failed(failure));
            None
        })
    }

    /// Makes an entry; whatever happens, the next one can be made.
    fn make(&mut self, entry: &Entry) {
        let id = entry.id;
        self.endings.forget(id);
        *self.at_work.lock() = Some(unfinished(id));
        self.tell(Event::Began(id));
        let made = self.guard(|worker| match &entry.task {
            // Somebody paused between taking it and here.
            _ if worker.queue.snapshot().paused.is_some() => Ok(worker.nothing_made(End::Later)),
            Task::Pictures(job) => worker.pictures(entry, job),
            Task::Grid(grid) => worker.grid(entry.id, grid),
        });
        // From here on the queue alone knows about it.
        let ours = self.at_work.lock().take().is_some();
        let noted = match &made {
            // It was put back by whoever ends the program.
            _ if !ours => Ok(()),
            Ok(End::Done(how)) => self.queue.finish(id, *how),
            Ok(End::GivenUp) => self.queue.give_up(id),
            Ok(End::Later) => self.queue.release(id),
            Ok(End::Failed(failure)) | Err(failure) => self.queue.fail(id, failure),
        };
        self.endings.forget(id);
        self.mailbox.post_queue(&self.queue);
        for failure in [made.err(), noted.err()].into_iter().flatten() {
            self.tell(Event::Failed(failure));
        }
    }

    /// An entry that ends before anything of it is made.
    pub(super) fn nothing_made(&self, end: End) -> End {
        let outcome = Outcome { stopped: true, ..Outcome::default() };
        self.tell(Event::Made(flowline_model::Event::Finished(outcome)));
        end
    }

    /// Runs a piece of work; a panic is a failure too.
    pub(super) fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|panic| {
            // Whatever the model was doing, it is not used again.
            self.model = None;
            Err(stumbled(panic.as_ref()))
        })
    }

    /// The model called `name`, opened now unless it is warm.
    pub(super) fn open(&mut self, name: &str) -> Result<&mut dyn Model> {
        let warm = self.model.take().filter(|(warm, _)| warm == name);
        let model = match warm {
            Some((_, model)) => model,
            None => {
                let mut model = (self.open)(name)?;
                model.give_up_with(Arc::clone(&self.give_up));
                model
            }
        };
        Ok(self.model.insert((name.to_owned(), model)).1.as_mut())
    }
}

/// A panic, as a person should hear of it.
pub(super) fn stumbled(panic: &(dyn Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let report = crate::crash::last_report().map(|file| format!(" with {}", file.display())).unwrap_or_default();
    let hint = format!("this is a bug in flowline; please report it{report}. You can go on making pictures");
    Failure::new(format!("the engine stumbled: {said}"), hint)
}
