//! What is going on, on stderr: a bar, plain lines, NDJSON, or warnings and errors alone.

mod transfer;

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use flowline_model::weights::Adapters;
use flowline_model::{Event, Outcome, Request, StepDone, Warning};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::dry_run::describe;
use super::events::Line;
use super::output;
use crate::args::Progress;
use crate::{Exit, Failure};
pub use transfer::Transfer;

/// Tells the user what happens.
pub struct Reporter {
    style: Style,
    /// Warnings told already: the pipeline repeats those that resolving gave.
    told: Vec<Warning>,
    /// Plain lines: whether reading was announced, and the tenth of the run that was told last.
    announced: bool,
    /// Whether cells are told, and steps are not.
    by_cells: bool,
    tenth: Option<(usize, usize)>,
    /// NDJSON: when the last event was told, and which part of the weights was being read.
    last: Option<Instant>,
    part: &'static str,
    /// Which picture a step was last heard of, and how many steps a kept run had taken of it already.
    last_step: Option<usize>,
    before: usize,
}

enum Style {
    Bar(ProgressBar),
    Plain,
    Json,
    Quiet,
}

/// Steps that a run of plain lines is divided into.
const LINES: usize = 10;

impl Reporter {
    /// A reporter of the kind that `progress` asks for.
    pub fn new(progress: Progress) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let style = match progress {
            Progress::Auto if std::io::stderr().is_terminal() && !dumb => Style::Bar(bar()),
            Progress::Auto | Progress::Plain => Style::Plain,
            Progress::Json => Style::Json,
            Progress::None => Style::Quiet,
        };
        Self {
            style,
            told: Vec::new(),
            announced: false,
            by_cells: false,
            tenth: None,
            last: None,
            part: "",
            last_step: None,
            before: 0,
        }
    }

    /// Everything is decided.
    pub fn resolved(&mut self, request: &Request, random_seed: bool, verbose: bool) {
        match self.style {
            Style::Json => json(&Line::Resolved { request, random_seed }),
            _ => {
                if let (true, Some(seed)) = (random_seed, request.seeds.first()) {
                    self.talk(&format!("seed: {seed} (random)"));
                }
                if verbose {
                    self.talk(describe(request).trim_end());
                }
            }
        }
    }

    /// What came of the adapters that the model was opened with.
    pub fn adapters(&self, adapters: &Adapters) {
        for applied in adapters.applied() {
            match self.style {
                Style::Json => json(&applied.into()),
                Style::Quiet => {}
                Style::Bar(_) | Style::Plain => self.talk(&format!("adapter {applied}")),
            }
        }
    }

    /// Something the user should know; once.
    pub fn warning(&mut self, warning: &Warning) {
        if self.told.contains(warning) {
            return;
        }
        match self.style {
            Style::Json => json(&warning.into()),
            _ => self.talk(&format!("warning: {warning}")),
        }
        self.told.push(warning.clone());
    }

    /// A cell of a grid begins: `text` for people, `line` for programs. Plain lines tell of cells from now on, and no
    /// longer of steps.
    pub fn cell(&mut self, text: &str, line: &Line<'_>) {
        (self.by_cells, self.last_step) = (true, None);
        match &self.style {
            Style::Json => json(line),
            Style::Quiet => {}
            Style::Bar(_) | Style::Plain => self.talk(text),
        }
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event) {
        if let Event::Step(step) = event
            && (self.last_step != Some(step.picture))
        {
            self.last_step = Some(step.picture);
            self.before = step.taken.saturating_sub(1);
        }
        match (&self.style, event) {
            (_, Event::Warning(warning)) => self.warning(warning),
            (Style::Json, event) => self.event_as_json(event),
            (Style::Plain, event) => self.event_as_line(event),
            (Style::Bar(bar), event) => move_bar(bar, event, self.before),
            (Style::Quiet, _) => {}
        }
    }

    /// A picture is on the disk, or on stdout.
    pub fn saved(&self, index: usize, seed: u64, path: Option<&Path>) {
        if let Style::Json = self.style {
            json(&Line::Saved { index, seed, path: path.map(|path| path.display().to_string()) });
        }
    }

    /// A line that is neither warning nor error. In JSON the events say it all.
    pub fn talk(&self, line: &str) {
        match &self.style {
            Style::Bar(bar) => bar.suspend(|| output::say(line)),
            Style::Plain | Style::Quiet => output::say(line),
            Style::Json => {}
        }
    }

    /// Where the time went.
    pub fn times(&self, outcome: &Outcome) {
        let share = |name, time: Duration| format!("{name} {:.2} s", time.as_secs_f64());
        let times = [
            share("reading weights", outcome.loading),
            share("text", outcome.encoding),
            share("steps", outcome.sampling),
            share("decoding", outcome.decoding),
        ];
        self.talk(&times.join(", "));
    }

    /// Writes to stdout without disturbing a bar.
    pub fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.style {
            Style::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// It could not be done.
    pub fn fail(&self, failure: &Failure) -> Exit {
        self.close();
        match self.style {
            Style::Json => json(&failure.into()),
            _ => output::failure(failure),
        }
        failure.exit
    }

    /// Takes the bar away.
    pub fn close(&self) {
        if let Style::Bar(bar) = &self.style {
            bar.finish_and_clear();
        }
    }

    /// Ticks and read bytes come in hundreds; a few a second are enough.
    fn event_as_json(&mut self, event: &Event) {
        let pause = match event {
            Event::Tick => Duration::from_secs(1),
            Event::Loading { part, .. } if *part == std::mem::replace(&mut self.part, part) => {
                Duration::from_millis(100)
            }
            _ => Duration::ZERO,
        };
        if self.last.is_none_or(|last| last.elapsed() >= pause) {
            self.last = Some(Instant::now());
            json(&event.into());
        }
    }

    fn event_as_line(&mut self, event: &Event) {
        match event {
            Event::Loading { total, .. } if !self.announced => {
                self.announced = true;
                output::say(&format!("reading {:.0} MB of weights", *total as f64 / 1e6));
            }
            Event::Step(step) if !self.by_cells => {
                let tenth = Some((step.picture, step.taken * LINES / step.steps.max(1)));
                if tenth != self.tenth {
                    self.tenth = tenth;
                    output::say(&position(step, self.before));
                }
            }
            _ => {}
        }
    }
}

/// A failure before there is a reporter.
pub fn fail(failure: &Failure, as_json: bool) -> Exit {
    match as_json {
        true => json(&failure.into()),
        false => output::failure(failure),
    }
    failure.exit
}

fn json(line: &Line<'_>) {
    // Lines of this crate always have a JSON form.
    if let Ok(line) = output::line(line) {
        output::say(&line);
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // A template that does not parse leaves indicatif's own.
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn move_bar(bar: &ProgressBar, event: &Event, before: usize) {
    match event {
        Event::Loading { part, bytes, total } => {
            bar.set_length(*total);
            bar.set_position(*bytes);
            bar.set_message(format!("reading the {part}, {:.0} of {:.0} MB", *bytes as f64 / 1e6, *total as f64 / 1e6));
        }
        Event::Encoding => bar.set_message("reading the prompt"),
        Event::Step(step) => {
            bar.set_length((step.steps * step.pictures) as u64);
            bar.set_position((step.steps * step.picture + step.taken) as u64);
            bar.set_message(position(step, before));
        }
        Event::Decoding { .. } => bar.set_message("developing the picture"),
        Event::Tick | Event::Warning(_) | Event::Picture(_) | Event::Finished(_) => {}
    }
}

/// `picture 2/3, step 4/8, 5.1 steps/s, 2 s left`; `before` steps were not taken now.
fn position(step: &StepDone, before: usize) -> String {
    let StepDone { picture, pictures, taken, steps, elapsed, .. } = step;
    let which = if *pictures > 1 { format!("picture {}/{pictures}, ", picture + 1) } else { String::new() };
    let pace = taken.saturating_sub(before) as f64 / elapsed.as_secs_f64().max(1e-9);
    let left = (steps.saturating_sub(*taken) + steps * pictures.saturating_sub(picture + 1)) as f64 / pace;
    format!("{which}step {taken}/{steps}, {pace:.1} steps/s, {} left", duration(left))
}

/// Seconds as people say them.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use flowline_sampler::metrics::StepMetrics;

    fn step(picture: usize, taken: usize) -> StepDone {
        StepDone {
            picture,
            pictures: 3,
            taken,
            steps: 8,
            sigma: 0.5,
            next: 0.25,
            evaluations: 4,
            elapsed: Duration::from_secs(2),
            metrics: StepMetrics::default(),
            preview: None,
            kept: None,
        }
    }

    #[test]
    fn a_position_counts_the_pictures_still_to_come() {
        // 4 steps in 2 s; 4 steps of this picture and 8 of the next are left.
        assert_eq!(position(&step(1, 4), 0), "picture 2/3, step 4/8, 2.0 steps/s, 6 s left");
        // Of a run that went on after its second step, 2 steps in 2 s.
        assert_eq!(position(&step(1, 4), 2), "picture 2/3, step 4/8, 1.0 steps/s, 12 s left");
    }

    #[test]
    fn durations_read_naturally() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(7260.0), "2 h 1 min");
    }
}
