//! Ctrl-C: the first press stops after what is being computed, the second quits at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Whether the user has asked to stop (SIGINT, SIGTERM or SIGHUP).
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. Before, the system ends the program at the first press, which is right while there is
    /// nothing to save. Where no handler can be set, that stays so. Whoever listens later hears what was pressed before.
    pub fn listen() -> Self {
        static LISTENING: OnceLock<Interrupt> = OnceLock::new();
        let listen = || {
            let interrupt = Self::default();
            let pressed = Arc::clone(&interrupt.0);
            let _ = ctrlc::set_handler(move || {
                if pressed.swap(true, Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED);
                }
            });
            interrupt
        };
        LISTENING.get_or_init(listen).clone()
    }

    /// Whether it was pressed.
    pub fn pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
