//! The window in front of a fake engine. One program, because linking a window takes longer than testing it.
#![cfg(feature = "desktop")]

mod asking;
mod choosing;
mod laboratory;
mod preferring;
mod prompting;
mod queueing;
mod showing;
#[path = "../stand_in/mod.rs"]
mod stand_in;
mod window;
