//! The schedule editor: a sigma curve whose points are dragged, the spacing of its steps, and what the last run did there.

mod charts;

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui::{self, Ui};
use flowline_sampler::Schedule;
use flowline_sampler::catalog::{About, Plan};

use super::figure::Figure;
use super::{Surroundings, complain, controls, explain, stage};
use crate::desktop::controls::{choose, count, heading, number, primary, row, selection};
use crate::desktop::settings::Selection;
use crate::desktop::theme::GRID;
use crate::engine::laboratory::Run;
use crate::laboratory::curve::Curve;
use crate::laboratory::errand::Errand;
use crate::playground::TOKENS;
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
            figure: Figure::default(),
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
            // That there is no folder is said when somebody wants to keep one.
            if let Ok(schedules) = self.around.schedules.clone() {
                self.errand(move || Ok(Told::Names(schedules.names()?)));
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
            let room = (ui.available_height() - 8.0 * GRID).max(40.0 * GRID);
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
            let button = egui::vec2(8.0 * GRID, ui.spacing().interact_size.y);
            let width = ui.available_width() - button.x - GRID;
            let field = egui::TextEdit::singleline(&mut name).id_salt("schedule name").char_limit(64);
            let response = ui.add(field.hint_text("a name").margin(margin).desired_width(width));
            let named = !self.name.trim().is_empty() && self.files.is_none();
            let keep = ui.add_enabled_ui(named, |ui| ui.add_sized(button, egui::Button::new("Keep"))).inner;
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
}
