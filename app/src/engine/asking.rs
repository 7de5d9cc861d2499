//! The thread that changes the queue as a face asks: writing to a disk may take its time, and a face does not wait.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use super::ending::Endings;
use super::mailbox::Mailbox;
use super::worker::Order;
use super::{Ending, Event, no_thread};
use crate::error::{Failure, Result};
use crate::queue::{Ask, Queue};

/// What the thread works with.
pub(super) struct Desk {
    pub(super) queue: Arc<Queue>,
    pub(super) endings: Arc<Endings>,
    pub(super) mailbox: Arc<Mailbox>,
    /// Wakes the engine's own thread.
    pub(super) orders: Sender<Order>,
    /// Held as long as the thread lives.
    pub(super) alive: Sender<()>,
}

/// The thread's address.
pub(super) struct Clerk {
    /// `None` once nothing more is taken.
    asks: Option<Sender<Asked>>,
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

enum Asked {
    Queue(Ask),
    Order(Order),
}

impl Clerk {
    pub(super) fn start(desk: Desk) -> Result<Self> {
        let (asks, inbox) = mpsc::channel();
        let mailbox = Arc::clone(&desk.mailbox);
        let run = move || {
            for asked in inbox {
                match asked {
                    Asked::Queue(ask) => desk.change(ask),
                    // The engine's thread has ended only if the program ends.
                    Asked::Order(order) => drop(desk.orders.send(order)),
                }
            }
            drop(desk.alive);
        };
        let thread = thread::Builder::new().name("queue".into()).spawn(run).map_err(no_thread)?;
        Ok(Self { asks: Some(asks), mailbox, thread: Some(thread) })
    }

    pub(super) fn ask(&self, ask: Ask) {
        self.send(Asked::Queue(ask));
    }

    /// Something for the engine's own thread.
    pub(super) fn order(&self, order: Order) {
        self.send(Asked::Order(order));
    }

    fn send(&self, asked: Asked) {
        let gone = self.asks.as_ref().is_none_or(|asks| asks.send(asked).is_err());
        if gone {
            let failure = Failure::new("the engine has ended", "close the window and open it again");
            self.mailbox.post(Event::Failed(failure));
        }
    }

    /// Does what was asked so far, and takes nothing more.
    pub(super) fn close(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and nothing is left to do.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn change(&self, ask: Ask) {
        let ours = self.queue.snapshot().ours;
        let ending = match ask {
            Ask::Remove(id) => Some((id, Ending::Nothing)),
            // The processor is free at once; what is at work goes on from there another time.
            Ask::Pause => ours.first().map(|id| (*id, Ending::Later)),
            _ => None,
        };
        let changed = self.queue.ask(ask);
        match changed {
            Ok(()) => {
                if let Some((id, ending)) = ending.filter(|(id, _)| ours.contains(id)) {
                    self.endings.ask(id, ending);
                }
            }
            Err(failure) => self.mailbox.post(Event::Failed(failure)),
        }
        self.mailbox.post_queue(&self.queue);
        // The engine's thread has ended only if the program ends.
        let _ = self.orders.send(Order::Look);
    }
}
