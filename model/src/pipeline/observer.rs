//! Who is told what happens, and asked whether to go on.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use crate::{Error, Event, Result};

/// The caller's ear. Once it has answered "stop" it is still told what happens, and no longer asked.
pub(super) struct Observer<'a> {
    observe: RefCell<Box<dyn FnMut(Event) -> ControlFlow<()> + 'a>>,
    stopped: Cell<bool>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(observe: impl FnMut(Event) -> ControlFlow<()> + 'a) -> Self {
        Self { observe: RefCell::new(Box::new(observe)), stopped: Cell::new(false) }
    }

    /// Nobody's.
    pub(super) fn silent() -> Self {
        Self::new(|_| ControlFlow::Continue(()))
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Tells; a "stop" is remembered.
    pub(super) fn tell(&self, event: Event) {
        if (self.observe.borrow_mut())(event).is_break() {
            self.stopped.set(true);
        }
    }

    /// Tells, and says whether to go on.
    pub(super) fn ask(&self, event: Event) -> ControlFlow<()> {
        self.tell(event);
        if self.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Tells, and turns "stop" into [`Error::Cancelled`].
    pub(super) fn proceed(&self, event: Event) -> Result<()> {
        if self.ask(event).is_break() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
