//! The schedule editor: a sigma curve whose points are dragged, the spacing of its steps, and what the last run did there.

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui::{self, EventFilter, Key, Pos2, Response, RichText, Stroke, Ui};
use egui_plot::{Bar, BarChart, Line, PlotPoint, PlotTransform, Points};
use flowline_sampler::Schedule;
use flowline_sampler::catalog::{About, Plan};

use super::chart::{Chart, Scale, ink};
use super::{Surroundings, complain, controls, explain, stage};
use crate::desktop::controls::{choose, count, heading, number, primary, row, selection};
use crate::desktop::settings::Selection;
use crate::desktop::theme::{self, GRID};
use crate::engine::laboratory::Run;
use crate::laboratory::curve::Curve;
use crate::laboratory::errand::Errand;
use crate::playground::TOKENS;
use crate::trace::TracedStep;
use crate::{Failure, Result};

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Begin again with a schedule of the catalogue.
    Begin(Box<Beginning>),
    /// Take a point in hand.
    Select(usize),
    /// Put a point there, or as near as its neighbours let it.
    Move(usize, f64),
    /// A name, being typed.
    Name(String),
    /// Keep the curve under the name that was typed.
    Keep,
    /// Begin again with a schedule that was kept.
    Read(String),
    /// Show this figure of the last run.
    Figure(Figure),
}

/// Where a curve begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Beginning {
    /// A schedule of the catalogue; `None` for one that was kept.
    pub schedule: Option<Selection>,
    /// Number of steps.
    pub steps: usize,
}

/// A figure of the last run's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How far the denoised prediction moved.
    Drift,
    /// Degrees between one velocity and the next.
    Turning,
    /// What the sampler thinks its error is.
    LocalError,
}

/// What another thread found.
enum Told {
    Names(Vec<String>),
    Read(String, Schedule),
    Kept(PathBuf),
}

/// The bench.
pub struct ScheduleEditor {
    around: Surroundings,
    schedules: Vec<About>,
    beginning: Beginning,
    curve: Curve,
    /// The point in hand.
    point: usize,
    name: String,
    kept: Vec<String>,
    files: Option<Errand<Told>>,
    /// Whether the kept schedules are still to be listed.
    due: bool,
    note: Option<String>,
    failure: Option<Failure>,
    figure: Figure,
    /// The last run, for its figures.
    last: Option<Arc<Run>>,
}

/// Most steps of the control; more points than that cannot be told apart.
const MOST_STEPS: usize = 100;
/// How far an arrow key moves a point, and with Shift.
const STRIDES: [f64; 2] = [0.01, 0.001];
/// How near to a point it is taken, points of the screen.
const REACH: f32 = 24.0;

impl Figure {
    /// All, in the order of the list.
    pub const ALL: [Self; 3] = [Self::Drift, Self::Turning, Self::LocalError];

    /// What it is called, and what it means.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Drift => ("Drift", "How far the denoised prediction moved in a step"),
            Self::Turning => ("Turning", "Degrees between the velocity of a step and that of the one before"),
            Self::LocalError => {
                ("Local error", "The error that the sampler itself sees in a step, for those that tell")
            }
        }
    }

    fn of(self, step: &TracedStep) -> Option<f64> {
        match self {
            Self::Drift => step.figures.drift,
            Self::Turning => step.figures.turning,
            Self::LocalError => step.figures.local_error,
        }
    }
}

impl ScheduleEditor {
    /// The bench with the first schedule of the catalogue.
    pub fn new(around: Surroundings) -> Self {
        let schedules: Vec<About> = around.registry.schedules().iter().cloned().collect();
        let beginning = Beginning { schedule: schedules.first().map(Selection::new), steps: 12 };
        let mut editor = Self {
            around,
            schedules,
            beginning: beginning.clone(),
            curve: Curve::default(),
            point: 1,
            name: String::new(),
            kept: Vec::new(),
            files: None,
            due: true,
            note: None,
            failure: None,
            figure: Figure::Drift,
            last: None,
        };
        editor.begin(beginning);
        editor
    }

    /// A picture was made.
    pub fn ran(&mut self, run: Arc<Run>) {
        self.last = Some(run);
    }

    /// Takes in what another thread has found.
    pub fn poll(&mut self) {
        if let Some(errand) = &mut self.files {
            let heard = errand.heard();
            if !errand.is_running() {
                self.files = None;
            }
            for told in heard {
                self.hear(told);
            }
        }
        if self.due && self.files.is_none() {
            self.due = false;
            match self.around.schedules.clone() {
                Ok(schedules) => self.errand(move || Ok(Told::Names(schedules.names()?))),
                // Said when somebody wants to keep one.
                Err(_) => {}
            }
        }
    }

    fn errand(&mut self, work: impl FnOnce() -> Result<Told> + Send + 'static) {
        self.files = Some(Errand::start(self.around.waker.clone(), move |tell| {
            let _ = tell.tell(work()?);
            Ok(())
        }));
    }

    fn hear(&mut self, told: Result<Told>) {
        match told {
            Ok(Told::Names(names)) => self.kept = names,
            Ok(Told::Read(name, schedule)) => {
                self.curve = Curve::of(&schedule);
                self.beginning = Beginning { schedule: None, steps: schedule.steps() };
                (self.point, self.note, self.failure) = (1, Some(format!("This is '{name}'")), None);
            }
            Ok(Told::Kept(path)) => {
                (self.note, self.failure, self.due) = (Some(format!("Kept as {}", path.display())), None, true);
            }
            Err(failure) => (self.note, self.failure) = (None, Some(failure)),
        }
    }

    fn begin(&mut self, beginning: Beginning) {
        self.failure = None;
        let built = beginning.schedule.as_ref().map(|schedule| {
            let plan = Plan { steps: beginning.steps, image_tokens: TOKENS };
            self.around.registry.schedules().build(&schedule.choice(), plan)
        });
        match built {
            Some(Ok(schedule)) => {
                self.curve = Curve::of(&schedule);
                self.point = self.point.clamp(1, self.curve.steps().max(2) - 1);
            }
            Some(Err(error)) => self.failure = Some(error.into()),
            None => {}
        }
        (self.beginning, self.note) = (beginning, None);
    }

    /// Does what was asked for.
    pub fn apply(&mut self, action: Action) {
        match action {
            Action::Begin(beginning) => self.begin(*beginning),
            Action::Select(point) => self.point = point,
            Action::Move(point, sigma) => (self.curve, self.note) = (self.curve.moved(point, sigma), None),
            Action::Name(name) => self.name = name,
            Action::Figure(figure) => self.figure = figure,
            Action::Keep => match self.around.schedules.clone() {
                Ok(schedules) => {
                    let (name, sigmas) = (self.name.clone(), self.curve.sigmas().to_vec());
                    self.errand(move || Ok(Told::Kept(schedules.keep(&name, &sigmas)?)));
                }
                Err(failure) => self.failure = Some(failure),
            },
            Action::Read(name) => {
                if let Ok(schedules) = self.around.schedules.clone() {
                    self.errand(move || {
                        let schedule = schedules.read(&name)?;
                        Ok(Told::Read(name, schedule))
                    });
                }
            }
        }
    }

    /// Draws the bench.
    pub fn show(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        controls(ui, |ui| {
            self.start(ui, actions);
            ui.add_space(GRID);
            self.point(ui, actions);
            ui.add_space(GRID);
            self.keep(ui, actions);
        });
        stage(ui, |ui| {
            // Three charts, one above the other; what is under them are their axes.
            let room = (ui.available_height() - 2.0 * GRID).max(40.0 * GRID);
            self.curve(ui, room * 0.52, actions);
            ui.add_space(GRID);
            self.spacing(ui, room * 0.22);
            ui.add_space(GRID);
            self.figures(ui, room * 0.26, actions);
        });
    }

    fn start(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        let mut ask = |action| actions.push(super::Action::Schedule(action));
        heading(ui, "Start from");
        let mut beginning = self.beginning.clone();
        selection(ui, "Schedule", &self.schedules, Some("one that was kept"), &mut beginning.schedule);
        row(ui, "Steps", "How many steps the schedule has", |ui| count(ui, &mut beginning.steps, 1..=MOST_STEPS));
        if beginning.schedule.is_none() && self.beginning.schedule.is_some() {
            // That is chosen below, by its name.
            beginning.schedule = self.beginning.schedule.clone();
        }
        if beginning != self.beginning && beginning.schedule.is_some() {
            ask(Action::Begin(Box::new(beginning)));
        } else if let Some(schedule) = &self.beginning.schedule
            && ui.button("Start over").on_hover_text("As the catalogue has it").clicked()
        {
            let again = Beginning { schedule: Some(schedule.clone()), steps: self.beginning.steps };
            ask(Action::Begin(Box::new(again)));
        }
        if !self.kept.is_empty() {
            let options: Vec<(&str, &str)> = self.kept.iter().map(|name| (name.as_str(), "")).collect();
            row(ui, "Kept", "Schedules that were given a name", |ui| {
                let (response, picked) = choose(ui, "kept", "choose one", &options);
                if let Some((name, _)) = picked.and_then(|index| options.get(index)) {
                    ask(Action::Read((*name).to_owned()));
                }
                response
            });
        }
    }

    fn point(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        let mut ask = |action| actions.push(super::Action::Schedule(action));
        heading(ui, "Point in hand");
        let Some(room) = self.curve.room(self.point) else {
            explain(ui, "A single step goes from noise to data at once: there is no point between them.");
            return;
        };
        let mut point = self.point;
        row(ui, "Point", "Which one; its neighbours keep it between them", |ui| {
            count(ui, &mut point, 1..=self.curve.steps().max(2) - 1)
        });
        if point != self.point {
            ask(Action::Select(point));
        }
        let Some(before) = self.curve.sigmas().get(self.point).copied() else { return };
        let mut sigma = before;
        row(ui, "Sigma", "How much noise there is after so many steps", |ui| number(ui, &mut sigma, room));
        if sigma != before {
            ask(Action::Move(self.point, sigma));
        }
        explain(ui, "Drag a point of the curve, or click the curve and use the arrow keys; Shift makes small moves.");
    }

    fn keep(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        heading(ui, "Use");
        if primary(ui, "Use for the next picture", "", true).clicked() {
            actions.push(super::Action::UseSigmas(self.curve.sigmas().to_vec()));
        }
        let mut name = self.name.clone();
        row(ui, "Name", "Under which it is kept", |ui| {
            let margin = egui::Margin::symmetric(8, 5);
            let button = 9.0 * GRID;
            let width = ui.available_width() - button;
            let field = egui::TextEdit::singleline(&mut name).id_salt("schedule name").char_limit(64);
            let response = ui.add(field.hint_text("a name").margin(margin).desired_width(width - 2.0 * GRID));
            let named = !self.name.trim().is_empty() && self.files.is_none();
            let keep = ui.add_enabled(named, egui::Button::new("Keep"));
            if keep.on_hover_text("Write it to a file that --sigmas reads").clicked() {
                actions.push(super::Action::Schedule(Action::Keep));
            }
            response
        });
        if name != self.name {
            actions.push(super::Action::Schedule(Action::Name(name)));
        }
        if let Some(note) = &self.note {
            explain(ui, note);
        }
        if let Some(failure) = &self.failure {
            complain(ui, failure);
        }
    }

    /// The curve, whose points follow the pointer and the arrow keys.
    fn curve(&self, ui: &mut Ui, height: f32, actions: &mut Vec<super::Action>) {
        let palette = theme::of(ui);
        let steps = self.curve.steps() as f64;
        let chart = Chart {
            name: "Sigma curve",
            axes: ["step", "sigma"],
            height,
            reach: [[0.0, steps], [0.0, 1.0]],
            scale: Scale::Plain,
            legend: None,
        };
        let places: Vec<[f64; 2]> = self.curve.sigmas().iter().enumerate().map(|(i, s)| [i as f64, *s]).collect();
        let hand = places.get(self.point).copied().filter(|_| self.curve.room(self.point).is_some());
        let shown = chart.show(ui, |plot| {
            plot.line(
                Line::new("sigma", places.clone()).stroke(Stroke::new(2.0, palette.accent_line)).allow_hover(false),
            );
            plot.points(Points::new("sigma", places).radius(4.0).color(palette.accent_line));
            if let Some(hand) = hand {
                plot.points(Points::new("in hand", vec![hand]).radius(7.0).filled(false).color(palette.text));
            }
        });
        let asked = self.dragged(&shown.response, &shown.transform).or_else(|| self.pressed(ui, &shown.response));
        actions.extend(asked.into_iter().flatten().map(super::Action::Schedule));
    }

    /// What the pointer asks for.
    fn dragged(&self, response: &Response, transform: &PlotTransform) -> Option<Vec<Action>> {
        let pointer = response.interact_pointer_pos()?;
        if response.clicked() || response.drag_started() {
            response.request_focus();
            // Where the button went down; the pointer may be further by now.
            let down = response.ctx.input(|input| input.pointer.press_origin()).unwrap_or(pointer);
            let point = self.curve.nearest(transform.value_from_position(down).x)?;
            let near = self.screen(point, transform).distance(down) <= REACH;
            return near.then(|| vec![Action::Select(point)]);
        }
        let held = response.dragged() && {
            let down = response.ctx.input(|input| input.pointer.press_origin())?;
            // What was not taken by its point is not dragged.
            (self.screen(self.point, transform).x - down.x).abs() <= REACH
        };
        held.then(|| vec![Action::Move(self.point, transform.value_from_position(pointer).y)])
    }

    fn screen(&self, point: usize, transform: &PlotTransform) -> Pos2 {
        let sigma = self.curve.sigmas().get(point).copied().unwrap_or_default();
        transform.position_from_point(&PlotPoint::new(point as f64, sigma))
    }

    /// What the arrow keys ask for while the curve has the focus.
    fn pressed(&self, ui: &Ui, response: &Response) -> Option<Vec<Action>> {
        if !response.has_focus() {
            return None;
        }
        let palette = theme::of(ui);
        let ring = Stroke::new(1.0, palette.accent_line);
        ui.painter().rect_stroke(response.rect, 2.0, ring, egui::StrokeKind::Inside);
        let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, arrows));
        let [long, short] = STRIDES;
        let (pressed, stride) = ui.input(|input| {
            let keys = [Key::ArrowLeft, Key::ArrowRight, Key::ArrowUp, Key::ArrowDown];
            (keys.map(|key| input.num_presses(key) as f64), if input.modifiers.shift { short } else { long })
        });
        let [left, right, up, down] = pressed;
        let last = self.curve.steps().max(2) - 1;
        let point = ((self.point as f64 + right - left).max(1.0) as usize).min(last);
        let mut asked = Vec::new();
        if point != self.point {
            asked.push(Action::Select(point));
        }
        if up != down {
            let sigma = self.curve.sigmas().get(point)?;
            asked.push(Action::Move(point, sigma + stride * (up - down)));
        }
        Some(asked)
    }

    /// How long each step is.
    fn spacing(&self, ui: &mut Ui, height: f32) {
        let colour = theme::of(ui).accent_line.gamma_multiply(0.7);
        let steps = self.curve.steps() as f64;
        let chart = Chart {
            name: "Length of the steps",
            axes: ["step", "length"],
            height,
            reach: [[0.0, steps], [0.0, 0.0]],
            scale: Scale::Plain,
            legend: None,
        };
        let bars = self.curve.spacing().enumerate();
        let bars = bars.map(|(i, length)| Bar::new(i as f64 + 0.5, length).width(0.7).fill(colour)).collect();
        chart.show(ui, |plot| plot.bar_chart(BarChart::new("length", bars).color(colour)));
    }

    /// What the last run measured, where this curve has its sigmas.
    fn figures(&self, ui: &mut Ui, height: f32, actions: &mut Vec<super::Action>) {
        let (called, meaning) = self.figure.told();
        let Some(trace) = self.last.as_ref().map(|run| &run.trace) else {
            explain(ui, "When a picture was made, what its steps measured stands here.");
            return;
        };
        let middle = |step: &TracedStep| self.curve.place((step.sigma + step.next) / 2.0);
        let places: Vec<[f64; 2]> =
            trace.steps.iter().filter_map(|step| Some([middle(step), self.figure.of(step)?])).collect();
        let chart = Chart {
            name: "Figures of the last run",
            axes: ["step", called],
            height,
            reach: [[0.0, self.curve.steps() as f64], [0.0, 0.0]],
            scale: Scale::Plain,
            legend: None,
        };
        let colour = ink(ui, 1);
        let said = match places.is_empty() {
            true => {
                format!("The last run, with {}, does not tell its {}", trace.request.sampler, called.to_lowercase())
            }
            false => format!("The last run, with {}: {}", trace.request.sampler, meaning.to_lowercase()),
        };
        row(ui, "Last run", meaning, |ui| {
            let options = Figure::ALL.map(Figure::told);
            let (response, picked) =
                ui.allocate_ui(egui::vec2(20.0 * GRID, 0.0), |ui| choose(ui, "figure", called, &options)).inner;
            if let Some(figure) = picked.and_then(|index| Figure::ALL.get(index)) {
                actions.push(super::Action::Schedule(Action::Figure(*figure)));
            }
            ui.label(RichText::new(said).color(theme::of(ui).muted).size(12.5));
            response
        });
        chart.show(ui, |plot| {
            plot.line(Line::new(called, places.clone()).stroke(Stroke::new(1.5, colour)));
            plot.points(Points::new(called, places).radius(3.0).color(colour));
        });
    }
}
