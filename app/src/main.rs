//! Which face: the window without a command, else the command line.

use std::process::ExitCode;

use flowline::args::{self, Asked};
use flowline::{Exit, Result, cli};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let exit = match run(&words) {
        Ok(exit) => exit,
        Err(failure) => cli::progress::fail(&failure, args::wants_json_progress(&words)),
    };
    exit.into()
}

fn run(words: &[std::ffi::OsString]) -> Result<Exit> {
    let args = match args::parse(words)? {
        Asked::Run(args) => args,
        Asked::Print(help) => {
            // Nobody can be told that nobody reads.
            let _ = help.print();
            return Ok(Exit::Done);
        }
    };
    cli::set_threads(args.command.as_ref());
    match &args.command {
        Some(command) => cli::run(command),
        None => window(),
    }
}

#[cfg(feature = "desktop")]
fn window() -> Result<Exit> {
    flowline::desktop::run()
}

#[cfg(not(feature = "desktop"))]
fn window() -> Result<Exit> {
    let hint = "make a picture with `flowline generate \"a prompt\"`; `flowline --help` lists everything else";
    Err(flowline::Failure::usage("this flowline was built without its window", hint))
}
