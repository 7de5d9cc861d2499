//! `flowline models`: what is known, what is here, fetching, adding, checking, removing.

mod add;
mod check;
mod convert;
mod described;
mod list;
mod pull;
mod remove;

use crate::args::Progress;
use crate::args::models::{Action, Models};
use crate::cli::progress::{Reporter, fail};
use crate::{Exit, Result};

/// Does what `args` ask for, and tells how it went.
pub fn run(args: &Models) -> Exit {
    let done = match &args.action {
        None => list::list(args.list.json),
        Some(Action::List(how)) => list::list(how.json),
        Some(Action::Show(args)) => list::show(args),
        Some(Action::Add(args)) => add::add(args),
        Some(Action::Remove(args)) => remove::remove(args),
        Some(Action::Pull(args)) => return telling(args.progress, |reporter| pull::pull(args, reporter)),
        Some(Action::Convert(args)) => return telling(args.progress, |reporter| convert::convert(args, reporter)),
        Some(Action::Check(args)) => return telling(args.progress, |reporter| check::check(args, reporter)),
    };
    done.map_or_else(|failure| fail(&failure, false), |()| Exit::Done)
}

/// Work that takes long enough to be told about.
fn telling(progress: Progress, work: impl FnOnce(&mut Reporter) -> Result<Exit>) -> Exit {
    let mut reporter = Reporter::new(progress);
    match work(&mut reporter) {
        Ok(exit) => {
            reporter.close();
            exit
        }
        Err(failure) => reporter.fail(&failure),
    }
}
