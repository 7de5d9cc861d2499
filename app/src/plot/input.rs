//! What can be plotted, read from files: tables of results as CSV or JSON, and traces. Nothing that is read is trusted.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::results::Row;
use super::traces::Trace;
use crate::{Failure, Result};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 28;

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Input {
    /// A grid's table.
    Results(Vec<Row>),
    /// One run.
    Trace(Trace),
}

/// A row of a table as text by column, and where it stands.
#[derive(Clone, Debug)]
pub struct Record {
    file: String,
    /// From 1, the heading not counted.
    row: usize,
    cells: Vec<(String, String)>,
}

const WHAT_CAN: &str = "give the results.csv or results.json of `flowline grid`, or traces of `generate --trace`";

impl Input {
    /// Reads a file by the ending of its name.
    ///
    /// # Errors
    /// A file that cannot be read, or is neither a table of results nor a trace.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        match ending.as_deref().and_then(|ending| ending.to_str()) {
            Some("csv") => csv_rows(&text(path)?, &file).map(Self::Results),
            Some("json") => {
                let damaged = |error| Failure::new(format!("{file} is damaged: {error}"), WHAT_CAN);
                match serde_json::from_str(&text(path)?).map_err(damaged)? {
                    Value::Array(rows) => json_rows(rows, &file).map(Self::Results),
                    Value::Object(trace) if trace.contains_key("steps") => {
                        Trace::read(Value::Object(trace), &file).map(Self::Trace)
                    }
                    _ => Err(Failure::new(format!("{file} is neither a table nor a trace"), WHAT_CAN)),
                }
            }
            _ => Err(Failure::new(format!("{file} is neither a table (.csv, .json) nor a trace (.json)"), WHAT_CAN)),
        }
    }
}

/// The text of a file that is not empty.
fn text(path: &Path) -> Result<String> {
    let file = path.display();
    if path.is_dir() {
        return Err(Failure::new(format!("{file} is a folder"), WHAT_CAN));
    }
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(|error| Failure::io(path, error))?;
    opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| Failure::io(path, error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::new(format!("{file} is larger than {} MiB", LARGEST >> 20), WHAT_CAN));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::new(format!("{file} is not text"), WHAT_CAN))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match text.trim().is_empty() {
        true => Err(Failure::new(format!("{file} is empty"), WHAT_CAN)),
        false => Ok(text.to_owned()),
    }
}

fn csv_rows(text: &str, file: &str) -> Result<Vec<Row>> {
    let damaged = |error: csv::Error| {
        let what = match error.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map(|pos| format!("line {}", pos.line())).unwrap_or_else(|| "a line".into());
                format!("{file} is damaged: {line} has {len} cells instead of {expected_len}")
            }
            _ => format!("{file} is damaged: {error}"),
        };
        Failure::new(what, WHAT_CAN)
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns: Vec<String> =
        reader.headers().map_err(damaged)?.iter().map(|column| column.trim().to_owned()).collect();
    let mut records = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let row = row.map_err(damaged)?;
        let cells = columns.iter().cloned().zip(row.iter().map(str::to_owned)).collect();
        records.push(Record { file: file.to_owned(), row: index + 1, cells });
    }
    rows(records, file)
}

fn json_rows(values: Vec<Value>, file: &str) -> Result<Vec<Row>> {
    let mut records = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let Value::Object(row) = value else {
            return Err(Failure::new(format!("{file}, row {}: it is no row of a table", index + 1), WHAT_CAN));
        };
        let text = |value: Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let cells = row.into_iter().map(|(column, value)| (column, text(value))).collect();
        records.push(Record { file: file.to_owned(), row: index + 1, cells });
    }
    rows(records, file)
}

fn rows(records: Vec<Record>, file: &str) -> Result<Vec<Row>> {
    match records.is_empty() {
        true => Err(Failure::new(format!("{file} is a table without rows"), WHAT_CAN)),
        false => records.iter().map(Row::read).collect(),
    }
}

impl Record {
    /// Every column with the text of its cell, in the table's order.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.cells.iter().map(|(column, cell)| (column.as_str(), cell.trim()))
    }

    /// The text of a cell; `None` if there is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.cells().find_map(|(known, cell)| (known == column).then_some(cell))
    }

    /// The text of a cell that every table has.
    ///
    /// # Errors
    /// There is no such column.
    pub fn text(&self, column: &str) -> Result<&str> {
        self.get(column).ok_or_else(|| {
            let what = format!("{} is no table of results: it has no column '{column}'", self.file);
            Failure::new(what, WHAT_CAN)
        })
    }

    /// The number in a cell; `None` for an empty one.
    ///
    /// # Errors
    /// There is no such column, or something else in it than a finite number of at least 0.
    pub fn number(&self, column: &str) -> Result<Option<f64>> {
        match self.text(column)? {
            "" => Ok(None),
            text => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
                number.map(Some).ok_or_else(|| self.refuse(column, "of 0 or more"))
            }
        }
    }

    /// The number in a cell that every row fills.
    ///
    /// # Errors
    /// As [`Record::number`]; also for 0 and for an empty cell.
    pub fn positive(&self, column: &str) -> Result<f64> {
        self.number(column)?.filter(|number| *number > 0.0).ok_or_else(|| self.refuse(column, "above 0"))
    }

    /// What is wrong with a cell that is no number in `range`.
    fn refuse(&self, column: &str, range: &str) -> Failure {
        let cell: String = self.get(column).unwrap_or_default().chars().take(40).collect();
        let what = format!("{}, row {}: {column} '{cell}' is not a number {range}", self.file, self.row);
        Failure::new(what, "the table may be damaged; give it as `flowline grid` wrote it")
    }
}
