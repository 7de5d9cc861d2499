//! `flowline inspect PICTURE`: what a picture's record says, and what of it is understood.

use std::fmt::Write as _;
use std::path::Path;

use flowline_model::Request;
use serde::Serialize;
use serde_json::{Map, Value};

use super::output;
use crate::command::{command_line, quoted};
use crate::{Result, record};

#[derive(Serialize)]
struct Shown<'a> {
    picture: String,
    width: u32,
    height: u32,
    source: String,
    understood: Map<String, Value>,
    unused: Map<String, Value>,
    request: Option<&'a Request>,
    command: Option<String>,
    text: Map<String, Value>,
}

/// Shows the record of the picture at `path`.
///
/// # Errors
/// A file that is no picture, or has no record.
pub fn show(path: &Path, json: bool) -> Result<()> {
    let record = record::read(path)?;
    let name = path.display().to_string();
    record.replayable(&name)?;
    let command = record.request.as_ref().map(|request| match (&request.start, &request.tilt, &request.branch) {
        (None, None, None) => command_line(request),
        // Words cannot say these; the record can.
        (start, tilt, _) => {
            let start = start.as_ref().map_or("", |_| " -i PICTURE");
            let tilt = tilt.as_ref().map_or(String::new(), |tilt| format!(" --tilt IMAGE:{}", tilt.strength));
            format!("flowline generate --from {}{start}{tilt}", quoted(&name))
        }
    });
    if json {
        return output::pretty(&Shown {
            picture: name,
            width: record.size.0,
            height: record.size.1,
            source: record.source.to_string(),
            understood: object(&record.understood),
            unused: object(&record.unused),
            request: record.request.as_ref(),
            command,
            text: object(&record.text),
        });
    }
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Lines after the first stand under it. Writing to a string cannot fail.
        let value = output::printable(value).replace('\n', &format!("\n{:<18}", ""));
        let _ = writeln!(text, "{:<18}{value}", output::printable(name));
    };
    row("picture", &name);
    row("pixels", &format!("{} x {}", record.size.0, record.size.1));
    row("made by", &record.source.to_string());
    for (name, value) in &record.understood {
        row(name, value);
    }
    for (name, value) in &record.unused {
        row("not used", &format!("{name}: {value}"));
    }
    if let Some(command) = command {
        row("command", &command);
    }
    output::data(text.as_bytes())
}

/// Pairs as a JSON object; of equal names the values are listed.
fn object(pairs: &[(String, String)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in pairs {
        let value = Value::from(value.clone());
        match object.get_mut(name) {
            None => drop(object.insert(name.clone(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::from(vec![first.take(), value]),
        }
    }
    object
}
