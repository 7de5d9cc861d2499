//! A grid's table as a picture: error against model evaluations, both logarithmic, with the order as the slope.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::chart::{Curve, Entry, Look, Panel, Plot};
use super::input::Record;
use crate::{Failure, Result};

/// The most curves that can be told apart.
pub const CURVES: usize = 28;

/// Columns that say what a cell is or what came of it, and those that are averaged over. Any other says how the cell was
/// made; where such a column differs within the table, each of its values gets a curve of its own.
const NO_SETTINGS: [&str; 21] = [
    "cell",
    "prompt",
    "negative_prompt",
    "seed",
    "sampler",
    "steps",
    "budget",
    "evaluations",
    "seconds",
    "stopped",
    "order",
    "distance",
    "reference",
    "straightness",
    "turning_mean",
    "turning_max",
    "drift_mean",
    "drift_max",
    "local_error_mean",
    "local_error_max",
    "picture",
];

/// What a row of the table says.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// As the table has it.
    pub sampler: String,
    /// Steps asked for; rows with as many are averaged.
    pub steps: String,
    /// Model calls, above 0.
    pub evaluations: f64,
    /// Root mean square distance to the reference's latents; `None` where it means nothing.
    pub distance: Option<f64>,
    /// The order that the sampler declares.
    pub order: Option<f64>,
    /// The reference.
    pub reference: String,
    /// Whether it stopped before its last step.
    stopped: bool,
    /// The other columns that say how it was made.
    settings: Vec<(String, String)>,
}

/// A sampler's error as it falls.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The sampler, and what else tells it from the others.
    pub name: String,
    /// `[evaluations, distance]` for each number of steps, geometric means, by evaluations.
    pub points: Vec<[f64; 2]>,
    /// The most rows that a point is the mean of.
    pub rows: usize,
    /// The slope of the least-squares line through the logarithms, turned positive: 2 means that twice the evaluations
    /// leave a quarter of the error. `None` for a single point.
    pub order: Option<f64>,
    /// What the sampler declares, unless it is 0 or unknown.
    pub declared: Option<f64>,
}

impl Row {
    /// Reads a row.
    ///
    /// # Errors
    /// A missing column, a number that is none.
    pub fn read(record: &Record) -> Result<Self> {
        let settings = record.cells().filter(|(column, _)| !NO_SETTINGS.contains(column));
        Ok(Self {
            sampler: record.text("sampler")?.to_owned(),
            steps: record.get("steps").unwrap_or_default().to_owned(),
            evaluations: record.positive("evaluations")?,
            distance: record.number("distance")?,
            order: record.get("order").map_or(Ok(None), |_| record.number("order"))?,
            reference: record.get("reference").unwrap_or_default().to_owned(),
            stopped: !matches!(record.get("stopped"), None | Some("" | "false")),
            settings: settings.map(|(column, value)| (column.to_owned(), value.to_owned())).collect(),
        })
    }

    /// What stands under `column`; nothing in a table without it.
    fn setting(&self, column: &str) -> &str {
        self.settings.iter().find_map(|(known, value)| (known == column).then_some(value.as_str())).unwrap_or_default()
    }
}

/// The curves of a table, in the order of its samplers.
///
/// Rows without a distance, or at no distance at all from the reference, have no place on a logarithmic axis and are
/// left out, and so are runs that were stopped.
pub fn measure(rows: &[Row]) -> Vec<Measured> {
    let shown = shown_settings(rows);
    let mut names: Vec<String> = Vec::new();
    let mut groups: BTreeMap<usize, BTreeMap<&str, Vec<[f64; 2]>>> = BTreeMap::new();
    let mut declared: BTreeMap<usize, Option<f64>> = BTreeMap::new();
    for row in rows {
        let Some(distance) = row.distance.filter(|distance| *distance > 0.0 && !row.stopped) else { continue };
        let parts = shown.iter().map(|column| format!("{column} {}", row.setting(column)));
        let name = std::iter::once(row.sampler.clone()).chain(parts).collect::<Vec<_>>().join(", ");
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        groups.entry(at).or_default().entry(&row.steps).or_default().push([row.evaluations, distance]);
        declared.insert(at, row.order.filter(|order| *order > 0.0));
    }
    let measured = names.into_iter().enumerate().map(|(at, name)| {
        let groups = groups.remove(&at).unwrap_or_default();
        let rows = groups.values().map(Vec::len).max().unwrap_or(0);
        let mut points: Vec<_> = groups.values().map(|points| geometric_mean(points)).collect();
        points.sort_by(|[a, _], [b, _]| a.total_cmp(b));
        Measured {
            name,
            order: slope(&points).map(|slope| -slope),
            points,
            rows,
            declared: declared.remove(&at).flatten(),
        }
    });
    measured.collect()
}

/// The settings that differ within the table. The scale of a guidance rule is not told twice.
fn shown_settings(rows: &[Row]) -> Vec<&str> {
    let mut columns: Vec<&str> = Vec::new();
    for (column, _) in rows.iter().flat_map(|row| &row.settings) {
        if !columns.contains(&column.as_str()) {
            columns.push(column);
        }
    }
    let differs = |column: &&str| {
        let mut values = rows.iter().map(|row| row.setting(column));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    columns.retain(differs);
    let rule = columns.contains(&"rule");
    columns.retain(|column| *column != "cfg" || !rule);
    columns
}

fn geometric_mean(points: &[[f64; 2]]) -> [f64; 2] {
    let count = points.len() as f64;
    [0, 1].map(|axis| (points.iter().map(|point| point[axis].ln()).sum::<f64>() / count).exp())
}

/// The slope of the line through the logarithms of `points` that has the least squares of errors; `None` unless they
/// lie over at least two numbers of evaluations.
pub fn slope(points: &[[f64; 2]]) -> Option<f64> {
    let logs: Vec<[f64; 2]> = points.iter().map(|point| point.map(f64::ln)).collect();
    let count = logs.len() as f64;
    let [x_mean, y_mean] = [0, 1].map(|axis| logs.iter().map(|log| log[axis]).sum::<f64>() / count);
    let spread: f64 = logs.iter().map(|[x, _]| (x - x_mean) * (x - x_mean)).sum();
    let common: f64 = logs.iter().map(|[x, y]| (x - x_mean) * (y - y_mean)).sum();
    (spread > 1e-12).then(|| common / spread)
}

/// The plot of a table's rows.
///
/// # Errors
/// No row with a distance, too many samplers to tell their curves apart.
pub fn plot(rows: &[Row]) -> Result<Plot> {
    let measured = measure(rows);
    if measured.is_empty() {
        let hint = "make the grid with one, such as: --reference heun:steps=200";
        return Err(Failure::new("no row has a distance to a reference", hint));
    }
    if measured.len() > CURVES {
        let what = format!("{} curves are too many to tell apart, {CURVES} can be drawn", measured.len());
        return Err(Failure::new(what, "plot tables with fewer samplers or settings"));
    }
    let all = || measured.iter().flat_map(|measured| &measured.points);
    let (x, y) = (Axis::log(all().map(|[x, _]| *x)), Axis::log(all().map(|[_, y]| *y)));
    let curves = measured.iter().enumerate().map(|(index, measured)| Curve {
        points: measured.points.clone(),
        guide: guide(measured, y),
        look: Look::nth(index),
    });
    let legend = measured.iter().enumerate().map(|(index, measured)| Entry {
        look: Look::nth(index),
        name: measured.name.clone(),
        remark: remark(measured),
    });
    let guided = measured.iter().any(|measured| guide(measured, y).is_some());
    Ok(Plot {
        title: "Error against model evaluations".into(),
        remark: about(rows, &measured, guided),
        legend: legend.collect(),
        panels: vec![Panel {
            x,
            y,
            x_title: Some("model evaluations".into()),
            y_title: "distance to the reference (latents, RMS)".into(),
            curves: curves.collect(),
        }],
    })
}

/// The declared order as a straight line that ends in the last point, as far as it stays inside the axis.
fn guide(measured: &Measured, y: Axis) -> Option<[[f64; 2]; 2]> {
    let (declared, [first, _]) = (measured.declared?, measured.points.first()?);
    let [last, error] = measured.points.last()?;
    // error (last / x)^order, backwards until it leaves the top of the axis.
    let top = last * (error / y.last).powf(1.0 / declared);
    let begin = first.max(top);
    (begin < *last).then(|| [[begin, error * (last / begin).powf(declared)], [*last, *error]])
}

fn remark(measured: &Measured) -> String {
    match (measured.order, measured.declared) {
        (Some(order), Some(declared)) => format!("order {order:.2} measured, {declared} declared"),
        (Some(order), None) => format!("order {order:.2} measured"),
        (None, Some(declared)) => format!("order {declared} declared"),
        (None, None) => String::new(),
    }
}

/// What the picture shows, in one line.
fn about(rows: &[Row], measured: &[Measured], guided: bool) -> String {
    let mut parts = Vec::new();
    let averaged = measured.iter().map(|measured| measured.rows).max().unwrap_or(0);
    if averaged > 1 {
        parts.push(format!("geometric mean of up to {averaged} runs a point"));
    }
    let mut references: Vec<&str> = rows.iter().map(|row| row.reference.as_str()).collect();
    references.sort_unstable();
    references.dedup();
    if let [reference] = references[..]
        && !reference.is_empty()
    {
        parts.push(format!("reference: {reference}"));
    }
    if guided {
        parts.push("dashed: the declared order".into());
    }
    parts.join("  ·  ")
}
