//! Work on a thread of its own, so that a window never waits: it tells what it finds as it finds it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use crate::engine::Waker;
use crate::{Failure, Result};

/// Work that is on its way. Dropped, it is told to stop; nobody waits for it.
pub struct Errand<T> {
    told: Receiver<Result<T>>,
    stop: Arc<AtomicBool>,
    running: bool,
}

/// What the work itself holds.
pub struct Tell<T> {
    to: Sender<Result<T>>,
    stop: Arc<AtomicBool>,
    waker: Waker,
}

impl<T: Send + 'static> Errand<T> {
    /// Begins `work`. What it returns as a failure, and a panic, is told last; `waker` is called after everything told,
    /// and once more when the work has ended.
    pub fn start(waker: Waker, work: impl FnOnce(&Tell<T>) -> Result<()> + Send + 'static) -> Self {
        let (to, told) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let tell = Tell { to: to.clone(), stop: Arc::clone(&stop), waker: Arc::clone(&waker) };
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| work(&tell))).unwrap_or_else(|_| Err(stumbled()));
            let stopped = tell.stop.load(Ordering::SeqCst);
            if let Err(failure) = ended
                && !stopped
            {
                // Nobody listens any more if this fails.
                let _ = tell.to.send(Err(failure));
            }
            drop(tell);
            waker();
        };
        if let Err(error) = thread::Builder::new().name("errand".into()).spawn(run) {
            let what = format!("the system gives no thread ({error})");
            let _ = to.send(Err(Failure::new(what, "close other programs and try again")));
        }
        Self { told, stop, running: true }
    }

    /// What was told since the last call.
    pub fn heard(&mut self) -> Vec<Result<T>> {
        let mut heard = Vec::new();
        loop {
            match self.told.try_recv() {
                Ok(told) => heard.push(told),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.running = false;
                    break;
                }
            }
        }
        heard
    }

    /// Whether it goes on, as far as [`Errand::heard`] has heard.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.running && self.stop.load(Ordering::SeqCst)
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

impl<T> Drop for Errand<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

impl<T> Tell<T> {
    /// Tells what was found, and hears whether to go on.
    pub fn tell(&self, found: T) -> ControlFlow<()> {
        if self.to.send(Ok(found)).is_err() {
            return ControlFlow::Break(());
        }
        (self.waker)();
        self.ask()
    }

    /// Whether to go on.
    pub fn ask(&self) -> ControlFlow<()> {
        if self.stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn stumbled() -> Failure {
    Failure::new("the laboratory stumbled", "this is a bug in flowline; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything an errand tells until it has ended.
    fn told<T: Send + 'static>(mut errand: Errand<T>, woken: &Receiver<()>) -> Vec<Result<T>> {
        let mut all = Vec::new();
        while errand.is_running() {
            woken.recv().unwrap();
            all.extend(errand.heard());
        }
        all
    }

    fn waker() -> (Waker, Receiver<()>) {
        let (wake, woken) = mpsc::channel();
        let wake = std::sync::Mutex::new(wake);
        (Arc::new(move || drop(wake.lock().map(|wake| wake.send(())))), woken)
    }

    #[test]
    fn all_that_is_found_arrives_in_its_order_and_a_failure_comes_last() {
        let (waker, woken) = waker();
        let errand = Errand::start(waker, |tell| {
            for number in 0..3 {
                let _ = tell.tell(number);
            }
            Err(Failure::new("no fourth", "three are enough"))
        });
        let heard = told(errand, &woken);
        let numbers: Vec<i32> = heard.iter().filter_map(|told| told.as_ref().ok().copied()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(heard.last().unwrap().as_ref().unwrap_err().what, "no fourth");
    }

    #[test]
    fn who_is_told_to_stop_ends_without_a_complaint() {
        let (waker, woken) = waker();
        let errand = Errand::start(waker, |tell| {
            while tell.tell(()).is_continue() {}
            Err(Failure::new("cancelled", "try again"))
        });
        errand.stop();
        assert!(errand.is_stopping());
        assert!(told(errand, &woken).iter().all(Result::is_ok));
    }

    #[test]
    fn a_panic_is_a_failure() {
        let (waker, woken) = waker();
        let errand = Errand::<()>::start(waker, |_| panic!("a flask falls down"));
        let heard = told(errand, &woken);
        assert_eq!(heard.len(), 1);
        assert!(heard[0].is_err());
    }
}
