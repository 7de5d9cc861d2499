//! Traces as a picture: what happened along the way, over sigma from noise to data.

use serde::Deserialize;

use super::axis::Axis;
use super::chart::{Curve, Entry, Look, Panel, Plot};
use super::results::CURVES;
use crate::{Failure, Result};

/// What `generate --trace` tells about one run; what else the file says is not needed here.
#[derive(Clone, Debug, Deserialize)]
pub struct Trace {
    request: Asked,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    sampler: String,
    #[serde(default)]
    schedule: String,
    #[serde(default)]
    seeds: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Step {
    sigma: f64,
    next: f64,
    v: f64,
    x: f64,
    straightness: f64,
    turning: Option<f64>,
    drift: Option<f64>,
    local_error: Option<f64>,
}

/// A metric with its panel's title and where along a step it belongs.
type Metric = (&'static str, fn(&Step) -> Option<[f64; 2]>);

/// The distance covered over the length of the way; 1 is a straight line.
const STRAIGHTNESS: &str = "straightness";

/// All metrics, from top to bottom. What is measured where a step begins stands at its sigma, what needs the whole step
/// where it ends.
const METRICS: [Metric; 6] = [
    ("|v|", |step| Some([step.sigma, step.v])),
    ("|x|", |step| Some([step.sigma, step.x])),
    (STRAIGHTNESS, |step| Some([step.next, step.straightness])),
    ("turning (°)", |step| Some([step.sigma, step.turning?])),
    ("drift", |step| Some([step.sigma, step.drift?])),
    ("local error", |step| Some([step.next, step.local_error?])),
];

impl Trace {
    /// Reads a trace from JSON; `file` is its name.
    ///
    /// # Errors
    /// A trace that is none, one without steps, sigmas that do not fall from 1 to 0.
    pub fn read(json: serde_json::Value, file: &str) -> Result<Self> {
        let hint = "give the file as `flowline generate --trace` wrote it";
        let trace: Self =
            serde_json::from_value(json).map_err(|error| Failure::new(format!("{file} is no trace: {error}"), hint))?;
        let falls = |step: &Step| step.sigma <= 1.0 && step.next >= 0.0 && step.next < step.sigma;
        if trace.steps.is_empty() {
            return Err(Failure::new(format!("{file} is a trace without steps"), hint));
        }
        match trace.steps.iter().enumerate().find(|(_, step)| !falls(step)) {
            Some((index, Step { sigma, next, .. })) => {
                let what = format!("{file} is no trace: step {} goes from sigma {sigma} to {next}", index + 1);
                Err(Failure::new(what, hint))
            }
            None => Ok(trace),
        }
    }

    /// What tells it from others; the second part is said in passing.
    fn names(&self) -> (String, String) {
        let seed = self.request.seeds.first().map(|seed| format!(", seed {seed}")).unwrap_or_default();
        (self.request.sampler.clone(), format!("{}, {} steps{seed}", self.request.schedule, self.steps.len()))
    }
}

/// The plot of traces, one curve each.
///
/// # Errors
/// Too many traces to tell their curves apart.
pub fn plot(traces: &[Trace]) -> Result<Plot> {
    if traces.len() > CURVES {
        let what = format!("{} traces are too many to tell apart, {CURVES} can be drawn", traces.len());
        return Err(Failure::new(what, "plot fewer at a time"));
    }
    let mut panels = Vec::new();
    for (title, metric) in METRICS {
        let points: Vec<Vec<[f64; 2]>> =
            traces.iter().map(|trace| trace.steps.iter().filter_map(metric).collect()).collect();
        let values = || points.iter().flatten().map(|[_, value]| *value);
        if values().next().is_none() {
            continue;
        }
        let curves = points.iter().enumerate().filter(|(_, points)| !points.is_empty());
        let curves =
            curves.map(|(index, points)| Curve { points: points.clone(), guide: None, look: Look::nth(index) });
        // All but nothing happens far below a straightness of 1.
        let y = if title == STRAIGHTNESS { Axis::up_to(1.0, values()) } else { Axis::from_zero(values()) };
        panels.push(Panel {
            x: Axis::linear(1.0, 0.0),
            y,
            x_title: None,
            y_title: title.into(),
            curves: curves.collect(),
        });
    }
    if let Some(last) = panels.last_mut() {
        last.x_title = Some("sigma, from noise to data".into());
    }
    let legend = traces.iter().enumerate().map(|(index, trace)| {
        let (name, remark) = trace.names();
        Entry { look: Look::nth(index), name, remark }
    });
    Ok(Plot {
        title: "Along the way from noise to data".into(),
        remark: "|v|, |x|, drift of the denoised prediction and local error: root mean squares over the latents".into(),
        panels,
        legend: legend.collect(),
    })
}
