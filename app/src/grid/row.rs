//! What came of a cell: the row of the tables, and how a run's steps are summarised in it.

use flowline_model::{Picture, StepDone};
use serde::{Deserialize, Serialize};

use super::Cell;

/// One cell that is done. Numbers that mean nothing for it are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The cell's key.
    pub cell: String,
    /// The model's name.
    pub model: String,
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show.
    pub negative_prompt: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// As a string: readers of JSON lose the low bits of large numbers.
    pub seed: String,
    /// The sampler with all its parameters.
    pub sampler: String,
    /// The schedule with all its parameters, or `explicit`.
    pub schedule: String,
    /// Steps of the whole run.
    pub steps: usize,
    /// Classifier-free guidance.
    pub cfg: f64,
    /// Distilled guidance.
    pub guidance: Option<f64>,
    /// The rule of guidance with all its parameters.
    pub rule: String,
    /// Where the noise came from.
    pub rng: String,
    /// Model evaluations.
    pub evaluations: u64,
    /// From the first step to the last pixel.
    pub seconds: f64,
    /// After how many steps it was stopped, if its record says so.
    pub stopped: Option<usize>,
    /// The order that the sampler declares.
    pub order: f64,
    /// Root mean square between its final latents and those of its reference.
    pub distance: Option<f64>,
    /// The reference, where there is a distance.
    pub reference: Option<String>,
    /// Of the whole way; 1 is a straight line.
    pub straightness: Option<f64>,
    /// Degrees between the velocities of one step and the next, on average.
    pub turning_mean: Option<f64>,
    /// At most.
    pub turning_max: Option<f64>,
    /// How far the denoised prediction moved from one step to the next, on average.
    pub drift_mean: Option<f64>,
    /// At most.
    pub drift_max: Option<f64>,
    /// The largest error that the sampler itself saw in a step.
    pub local_error_max: Option<f64>,
    /// Name of the file in the grid's folder.
    pub picture: String,
}

/// The figures of a run's steps, gathered while it runs.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    straightness: Option<f64>,
    turning: Vec<f64>,
    drift: Vec<f64>,
    local_error: Vec<f64>,
}

impl Gathered {
    /// Takes the figures of the next step.
    pub fn step(&mut self, step: &StepDone) {
        self.straightness = Some(step.metrics.straightness);
        self.turning.extend(step.metrics.turning);
        self.drift.extend(step.metrics.drift);
        self.local_error.extend(step.metrics.local_error);
    }
}

impl Row {
    /// The row of `cell`, of which `picture` came; `distance` with the reference it was measured from.
    pub fn new(cell: &Cell, picture: &Picture, steps: &Gathered, distance: Option<(f64, String)>) -> Self {
        let request = &picture.request;
        let (distance, reference) = distance.unzip();
        Self {
            cell: cell.key.clone(),
            model: request.model.name.clone(),
            prompt: request.prompt.clone(),
            negative_prompt: request.negative_prompt.clone(),
            width: request.width,
            height: request.height,
            seed: picture.seed.to_string(),
            sampler: request.sampler.to_string(),
            schedule: request.schedule.to_string(),
            steps: request.steps,
            cfg: request.cfg,
            guidance: request.guidance,
            rule: request.rule.to_string(),
            rng: request.rng.to_string(),
            evaluations: picture.evaluations,
            seconds: picture.elapsed.as_secs_f64(),
            stopped: picture.stopped.map(|(taken, _)| taken),
            order: cell.order,
            distance,
            reference,
            straightness: steps.straightness,
            turning_mean: mean(&steps.turning),
            turning_max: largest(&steps.turning),
            drift_mean: mean(&steps.drift),
            drift_max: largest(&steps.drift),
            local_error_max: largest(&steps.local_error),
            picture: Self::picture(&cell.key),
        }
    }

    /// The file name of the picture of a cell.
    pub fn picture(key: &str) -> String {
        format!("{key}.png")
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn largest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summarised_and_of_none_nothing_is_said() {
        assert_eq!((mean(&[1.0, 2.0, 6.0]), largest(&[1.0, 6.0, 2.0])), (Some(3.0), Some(6.0)));
        assert_eq!((mean(&[]), largest(&[])), (None, None));
    }
}
