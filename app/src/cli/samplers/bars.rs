//! A row of numbers as a picture of plain characters.

use std::fmt::Write as _;

/// Lines that the longest bar is high.
const LINES: usize = 8;

/// Upright bars, one a number from 0 to `top`, two characters wide; a line of `#` is at least half filled. `ends` says
/// what lies left and right.
pub fn bars(values: &[f64], top: f64, [left, right]: [&str; 2]) -> String {
    let mut text = String::new();
    for line in (0..LINES).rev() {
        let label = match line {
            line if line + 1 == LINES => format!("{top}"),
            line if line + 1 == LINES / 2 => format!("{}", top / 2.0),
            _ => String::new(),
        };
        let least = (line as f64 + 0.5) / LINES as f64 * top;
        let row: String = values.iter().map(|value| if *value >= least { " #" } else { "  " }).collect();
        // Writing to a string cannot fail; so below.
        let _ = writeln!(text, "{}", format!("{label:>9} |{row}").trim_end());
    }
    let width = 2 * values.len() + 1;
    let _ = writeln!(text, "{:>9} +{}", 0, "-".repeat(width));
    let _ = writeln!(text, "{:>10} {left}{right:>rest$}", "", rest = width.saturating_sub(left.chars().count()));
    text
}

/// The least of 1, 2, 5 times a power of ten that no value is above; 1 if all are 0.
pub fn top(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let tops = (-6..=0).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(power)));
    tops.into_iter().find(|top| largest > 0.0 && largest <= *top).unwrap_or(1.0)
}
