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
    if let Some(meant) = mistyped(error, words) {
        return Failure::usage(what, format!("a similar argument exists: '--{meant}'"));
    }
    let hint = match hints.is_empty() {
        false => hints.join("; "),
        true if error.kind() == ErrorKind::InvalidSubcommand => {
            "`flowline --help` lists the commands; a picture is made by `flowline generate \"a prompt\"`".to_owned()
        }
        true => format!("see `{} --help`", command(words)),
    };
    Failure::usage(what, hint)
}

/// The option that was meant by an unknown one. clap compares beginnings, and misses swapped letters in short names.
fn mistyped(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let known = matches!(error.get(ContextKind::SuggestedArg), Some(ContextValue::String(_)));
    let (ErrorKind::UnknownArgument, false) = (error.kind(), known) else { return None };
    let typed = option(error).strip_prefix("--")?.split('=').next()?;
    let program = super::Args::command();
    let command = program.find_subcommand(words.get(1)?.to_str()?)?;
    let options =
        command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(|argument| argument.get_long());
    let (distance, nearest) = options.map(|name| (strsim::damerau_levenshtein(typed, name), name)).min()?;
    (distance <= 2 && distance < typed.chars().count()).then(|| nearest.to_owned())
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
