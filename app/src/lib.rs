//! How people use Flowline: the command line, the window, and the files they share.
//!
//! [`run`] is the whole program; `main` and a stranger's `main` call it with what may be chosen, a [`Registry`].
//! [`args`] is the command line as types and [`cli`] what it does; [`library`] is where pictures go and [`record`] what
//! they say about themselves. Pictures are made through [`flowline_model::Pipeline::generate`] and nowhere else.

#![deny(missing_docs)]

pub mod args;
pub mod cli;
pub mod command;
pub mod crash;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod drawing;
pub mod engine;
pub mod error;
pub mod grid;
pub mod laboratory;
pub mod library;
pub mod picture;
pub mod places;
pub mod playground;
pub mod plot;
pub mod queue;
pub mod record;
pub mod registry;
pub mod shelf;
pub mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

pub use error::{Exit, Failure, Result};
pub use registry::Registry;

/// The whole program: reads the command line, and shows the window without a command, else does what it says.
#[must_use]
pub fn run(registry: Registry) -> ExitCode {
    crash::watch(crash::usual_folder());
    let words: Vec<_> = std::env::args_os().collect();
    let exit = match face(&words, registry) {
        Ok(exit) => exit,
        Err(failure) => cli::progress::fail(&failure, args::wants_json_progress(&words)),
    };
    exit.into()
}

/// Which face: the window without a command, else the command line.
fn face(words: &[OsString], registry: Registry) -> Result<Exit> {
    let args = match args::parse(words, &registry)? {
        args::Asked::Run(args) => args,
        args::Asked::Print(help) => {
            // Nobody can be told that nobody reads.
            let _ = help.print();
            return Ok(Exit::Done);
        }
    };
    let threads = match &args.command {
        Some(command) => cli::threads(command),
        None => preferred_threads(),
    };
    // SAFETY: no other thread has been started.
    unsafe { flowline_model::threads::configure(threads) };
    match &args.command {
        Some(command) => cli::run(command, &registry),
        None => window(registry),
    }
}

/// How many threads the user of the window wants.
fn preferred_threads() -> Option<usize> {
    #[cfg(feature = "desktop")]
    return desktop::kept::usual().preferences.threads.filter(|threads| *threads > 0);
    #[cfg(not(feature = "desktop"))]
    None
}

#[cfg(feature = "desktop")]
fn window(registry: Registry) -> Result<Exit> {
    desktop::run(registry)
}

#[cfg(not(feature = "desktop"))]
fn window(_: Registry) -> Result<Exit> {
    let hint = "make a picture with `flowline generate \"a prompt\"`; `flowline --help` lists everything else";
    Err(Failure::usage("this flowline was built without its window", hint))
}
