//! A refused command line in this program's own words: `error: …` and `hint: …`.

use std::error::Error as _;
use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::Failure;

/// What is wrong with `words`, and what to do about it.
pub fn failure(error: &clap::Error, words: &[OsString]) -> Failure {
    // A value refused by one of our own parsers brings both sentences along.
    if let Some(own) = error.source().and_then(|source| source.downcast_ref::<Failure>()) {
        return Failure::usage(format!("{}: {}", option(error), own.what), own.hint.clone());
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    // The first paragraph may go on in a list: missing arguments, or the values that are allowed.
    let (what, allowed) = what.split_once("\n  [").map_or((what, None), |(what, allowed)| (what, Some(allowed)));
    let what = what.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let tips: Vec<&str> =
        paragraphs.flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("tip: ")).collect();
    let allowed = allowed.map(|allowed| allowed.trim_end().trim_end_matches(']'));
    let hints: Vec<&str> = tips.into_iter().chain(allowed).collect();
    let hint = match hints.is_empty() {
        false => hints.join("; "),
        true if error.kind() == ErrorKind::InvalidSubcommand => {
            "`flowline --help` lists the commands; a picture is made by `flowline generate \"a prompt\"`".to_owned()
        }
        true => format!("see `{} --help`", command(words)),
    };
    Failure::usage(what, hint)
}

/// The option whose value was refused, without its value's name.
fn option(error: &clap::Error) -> &str {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.split(' ').next().unwrap_or(argument),
        _ => "an option",
    }
}

/// The command that was meant, as far as one can tell.
fn command(words: &[OsString]) -> String {
    let typed = words.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    match super::Args::command().find_subcommand(typed) {
        Some(command) => format!("flowline {}", command.get_name()),
        None => "flowline".to_owned(),
    }
}
