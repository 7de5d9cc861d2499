//! A row of a table, as text, and what can be asked of it.

use crate::{Failure, Result};

/// What to do about a file that is none.
pub(super) const WHAT_CAN: &str =
    "give the results.csv or results.json of `flowline grid`, or traces of `generate --trace`";

/// A row of a table as text by column, and where it stands.
#[derive(Clone, Debug)]
pub struct Record {
    pub(super) file: String,
    /// From 1, the heading not counted.
    pub(super) row: usize,
    pub(super) cells: Vec<(String, String)>,
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
