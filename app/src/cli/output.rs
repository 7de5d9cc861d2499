//! The two streams. A reader that has gone away is no reason to panic.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::{Failure, Result};

/// Data for stdout. That nobody reads it any more is no failure.
///
/// # Errors
/// A stdout that cannot take it, such as a file on a full disk.
pub fn data(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output: {e}"), "check where the output goes"))
        }
        _ => Ok(()),
    }
}

/// A value as JSON for people and programs, indented, on stdout.
///
/// # Errors
/// As [`data`].
pub fn pretty(value: &impl Serialize) -> Result<()> {
    data(document(value)?.as_bytes())
}

/// A value as JSON for people and programs, indented.
///
/// # Errors
/// As [`line()`].
pub fn document(value: &impl Serialize) -> Result<String> {
    Ok(json(serde_json::to_string_pretty(value))? + "\n")
}

/// A value as JSON on one line.
///
/// # Errors
/// Never for the values of this crate; they have string keys only.
pub fn line(value: &impl Serialize) -> Result<String> {
    json(serde_json::to_string(value))
}

fn json(written: serde_json::Result<String>) -> Result<String> {
    written.map_err(|e| Failure::new(format!("a value has no JSON form ({e})"), "this is a bug; please report it"))
}

/// A line for stderr. Nobody can be told that stderr is gone.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(line));
}

/// `error: …` and `hint: …` on stderr.
pub fn failure(failure: &Failure) {
    say(&format!("error: {}", failure.what.replace('\n', " ")));
    say(&format!("hint: {}", failure.hint.replace('\n', " ")));
}

/// Text for a terminal: control characters, which could move the cursor or change colours, are written out.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() && c != '\n' {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}
