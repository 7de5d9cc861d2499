//! How far the picture is, and the buttons that end it.

use std::time::Duration;

use eframe::egui::{self, Layout, Rect, Ui, Vec2};
use flowline_model::StepDone;

use super::Action;
use super::state::{Phase, Work};
use super::theme;
use crate::engine::Ending;

/// Draws the line of progress: what is being done on the left, "Stop" and "Discard" on the right.
pub fn show(ui: &mut Ui, work: &Work, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.set_min_height(ui.spacing().interact_size.y);
        ui.label(describe(work));
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            // Nothing is left to stop once the last step is taken.
            let late = work.ending.is_some() || work.job.is_none() || matches!(work.phase, Phase::Decoding);
            for (name, meaning, ending) in [
                ("Discard", "End now and throw the picture away", Ending::Nothing),
                ("Stop", "Finish now with the best picture so far", Ending::Best),
            ] {
                let button = ui.add_enabled(!late, egui::Button::new(name)).on_hover_text(meaning);
                let keys = ending == Ending::Best && ui.input_mut(|input| input.consume_shortcut(&super::STOP));
                if button.clicked() || (keys && !late) {
                    actions.push(Action::End(ending));
                }
            }
        });
    });
}

/// Draws a thin bar along the top of `area`: still, so that it costs nothing between two events.
pub fn bar(ui: &Ui, area: Rect, work: Option<&Work>) {
    let line = Rect::from_min_size(area.min, Vec2::new(area.width(), 3.0));
    let Some(fraction) = work.map(fraction) else { return };
    ui.painter().rect_filled(line, 0.0, theme::of(ui).line);
    let done = Rect::from_min_size(line.min, Vec2::new(line.width() * fraction, line.height()));
    ui.painter().rect_filled(done, 0.0, theme::of(ui).accent_line);
}

/// How much is done, from 0 to 1.
pub fn fraction(work: &Work) -> f32 {
    let of = |done: f64, all: f64| if all > 0.0 { (done / all).clamp(0.0, 1.0) as f32 } else { 0.0 };
    match &work.phase {
        Phase::Waiting | Phase::Encoding | Phase::Beginning => 0.0,
        Phase::Loading { bytes, total, .. } => of(*bytes as f64, *total as f64),
        Phase::Sampling(step) => of(step.taken as f64, step.steps as f64),
        Phase::Decoding => 1.0,
    }
}

/// What is being done, in one line.
pub fn describe(work: &Work) -> String {
    match &work.phase {
        Phase::Decoding => "Decoding the picture…".into(),
        _ if work.ending == Some(Ending::Best) => "Stopping; the best picture so far is kept…".into(),
        _ if work.ending == Some(Ending::Nothing) => "Discarding…".into(),
        Phase::Waiting => "Starting…".into(),
        Phase::Loading { part, bytes, total } => {
            format!("Reading the {part}: {} of {} MB", bytes / 1_000_000, total / 1_000_000)
        }
        Phase::Encoding => "Reading the prompt…".into(),
        Phase::Beginning => "Taking the first step…".into(),
        Phase::Sampling(step) => describe_step(step),
    }
}

fn describe_step(step: &StepDone) -> String {
    let each = step.elapsed.checked_div(u32::try_from(step.taken).unwrap_or(u32::MAX)).unwrap_or_default();
    let left = each.saturating_mul(u32::try_from(step.steps.saturating_sub(step.taken)).unwrap_or(u32::MAX));
    format!("Step {} of {}  ·  {} a step  ·  {} left", step.taken, step.steps, brief(each), brief(left))
}

/// A duration as a person says it.
pub fn brief(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.095 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        _ if seconds < 119.5 => format!("{seconds:.0} s"),
        _ => format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use flowline_sampler::metrics::StepMetrics;

    #[test]
    fn durations_read_as_people_say_them() {
        let told = [0.0, 0.012, 0.31, 9.94, 9.96, 75.0, 605.0].map(|s| brief(Duration::from_secs_f64(s)));
        assert_eq!(told, ["0 ms", "12 ms", "0.3 s", "9.9 s", "10 s", "75 s", "10 min 05 s"]);
    }

    #[test]
    fn progress_survives_senseless_numbers() {
        let step = StepDone {
            picture: 0,
            pictures: 1,
            taken: 0,
            steps: 0,
            sigma: 1.0,
            next: 1.0,
            evaluations: 0,
            elapsed: Duration::MAX,
            metrics: StepMetrics::default(),
            preview: None,
            kept: None,
        };
        let work = Work { phase: Phase::Sampling(step), ..Work::default() };
        assert_eq!(fraction(&work), 0.0);
        assert_eq!(describe(&work), "Step 0 of 0  ·  0 ms a step  ·  0 ms left");
    }
}
