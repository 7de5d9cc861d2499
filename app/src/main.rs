//! The program `flowline`, with what the libraries bring.

use std::process::ExitCode;

use flowline::Registry;

fn main() -> ExitCode {
    flowline::run(Registry::builtin())
}
