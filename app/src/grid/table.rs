//! The tables: `results.csv` and `results.json`, a row for every cell that is done.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Cell, Folder, Plan, Row};
use crate::{Failure, Result};

/// The tables of what is done, and what is not.
#[derive(Clone, Debug)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows in the order of the plan: a value for every column, or null.
    pub rows: Vec<Map<String, Value>>,
    /// Keys of cells that are not done, in the order of the plan.
    pub missing: Vec<String>,
}

/// Axes whose values are columns of every row, by the option's name.
const COLUMNS: [&str; 12] = [
    "prompt",
    "negative-prompt",
    "model",
    "width",
    "height",
    "seed",
    "sampler",
    "schedule",
    "steps",
    "cfg",
    "guidance",
    "rule",
];
/// The column behind which those stand that are this grid's own.
const LAST_PARAMETER: &str = "rng";
/// The column for evaluations to spend, where they are aligned.
const BUDGET: &str = "budget";

impl Table {
    /// The table of what `folder` holds.
    ///
    /// # Errors
    /// Never for rows, which have a JSON form.
    pub fn read(plan: &Plan, folder: &Folder) -> Result<Self> {
        let (mut rows, mut missing) = (Vec::new(), Vec::new());
        for cell in &plan.cells {
            match folder.row(&cell.key) {
                Some(row) => rows.push(whole(plan, cell, &row)?),
                None => missing.push(cell.key.clone()),
            }
        }
        let columns = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
        Ok(Self { columns, rows, missing })
    }

    /// Writes `results.csv` and `results.json`, and returns their names.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, folder: &Folder) -> Result<[&'static str; 2]> {
        let [csv, json] = ["results.csv", "results.json"];
        folder.write(Path::new(csv), |out| self.csv(out))?;
        folder.write(Path::new(json), |out| {
            serde_json::to_writer_pretty(&mut *out, &self.rows)?;
            out.write_all(b"\n")
        })?;
        Ok([csv, json])
    }

    fn csv(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(&self.columns)?;
        for row in &self.rows {
            csv.write_record(row.values().map(plain))?;
        }
        csv.flush()
    }
}

/// The row with the columns that only this grid has: further axes, and the budget.
fn whole(plan: &Plan, cell: &Cell, row: &Row) -> Result<Map<String, Value>> {
    let no_form = |e| Failure::new(format!("a row has no JSON form ({e})"), "this is a bug; please report it");
    let Value::Object(row) = serde_json::to_value(row).map_err(no_form)? else { return Ok(Map::new()) };
    let mut own = Map::new();
    for (axis, value) in plan.axes.iter().zip(&cell.at) {
        if !COLUMNS.contains(&axis.name.as_str()) && axis.name != LAST_PARAMETER {
            own.insert(axis.name.replace('-', "_"), Value::String(value.clone()));
        }
    }
    if let Some(budget) = cell.budget {
        own.insert(BUDGET.into(), budget.into());
    }
    let mut whole = Map::new();
    for (name, value) in row {
        let last = name == LAST_PARAMETER;
        whole.insert(name, value);
        if last {
            whole.append(&mut own);
        }
    }
    Ok(whole)
}

/// A value as it stands in a cell of the table: nothing for null, numbers as JSON writes them.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
