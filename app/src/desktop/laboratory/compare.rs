//! Side by side: samplers from one noise, what they see aligned by the evaluations it took.

use std::ops::ControlFlow;
use std::sync::Arc;

use eframe::egui::{self, RichText, Stroke, Ui};
use egui_plot::{Legend, Line, PlotPoints, VLine};
use flowline_sampler::catalog::About;
use image::RgbImage;

use super::chart::{Chart, Scale, ink};
use super::slide::Slide;
use super::{Surroundings, complain, controls, explain, stage};
use crate::Failure;
use crate::desktop::controls::{choose, count, heading, primary, row, selection};
use crate::desktop::settings::{MOST_STEPS, Selection};
use crate::desktop::state::State;
use crate::desktop::theme::{self, GRID};
use crate::engine::Job;
use crate::engine::laboratory::{Ask, Compare, Compared, Comparison, Contender, Reference};
use crate::trace::TracedStep;

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Compare something else.
    Choose(Box<Chosen>),
    /// Run them.
    Begin,
    /// Stop where they are.
    Stop,
    /// Show everybody after so many evaluations.
    Seek(f64),
    /// Show this figure.
    Figure(Figure),
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The samplers with their steps.
    pub lanes: Vec<(Selection, usize)>,
    /// What they are compared with; `None` is the first of them.
    pub reference: Option<(Selection, usize)>,
}

/// A figure of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How far the denoised prediction moved.
    Drift,
    /// Degrees between one velocity and the next.
    Turning,
    /// How straight the way was so far.
    Straightness,
    /// The size of the velocity.
    Velocity,
}

/// One sampler's run, as far as it has come.
#[derive(Default)]
struct Lane {
    /// As it is written.
    name: String,
    steps: Vec<Compare>,
    /// Once it has arrived.
    image: Option<Arc<RgbImage>>,
    /// The distances once it has arrived: of every prediction, and of the end.
    distances: Vec<f64>,
    lost: Option<Failure>,
    slide: Slide,
}

/// The bench.
pub struct SideBySide {
    around: Surroundings,
    samplers: Vec<About>,
    chosen: Chosen,
    lanes: Vec<Lane>,
    /// What the engine is doing for us; `None` when idle.
    running: Option<String>,
    stopping: bool,
    note: Option<String>,
    failure: Option<Failure>,
    /// After how many evaluations everybody is shown; `None` follows those that run.
    position: Option<f64>,
    figure: Figure,
}

/// How many there are at least and at most.
const LANES: [usize; 2] = [2, 8];
/// Columns of pictures.
const COLUMNS: usize = 4;
/// The steps of those that are there first, and of the reference.
const STEPS: [usize; 2] = [12, 60];

impl Figure {
    /// All, in the order of the list.
    pub const ALL: [Self; 4] = [Self::Drift, Self::Turning, Self::Straightness, Self::Velocity];

    /// What it is called, and what it means.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Drift => ("Drift", "How far the denoised prediction moved in a step"),
            Self::Turning => ("Turning", "Degrees between the velocity of a step and that of the one before"),
            Self::Straightness => ("Straightness", "How straight the way was so far; 1 is a straight line"),
            Self::Velocity => ("Velocity", "The size of the velocity"),
        }
    }

    fn of(self, step: &TracedStep) -> Option<f64> {
        match self {
            Self::Drift => step.figures.drift,
            Self::Turning => step.figures.turning,
            Self::Straightness => Some(step.figures.straightness),
            Self::Velocity => Some(step.figures.v),
        }
    }
}

impl Lane {
    /// The last step that was taken within so many evaluations.
    fn at(&self, evaluations: f64) -> Option<&Compare> {
        self.steps.iter().take_while(|step| step.evaluations as f64 <= evaluations).last()
    }

    fn evaluations(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.evaluations)
    }

    /// What is seen of it after so many evaluations.
    fn seen(&self, evaluations: f64) -> Option<&Arc<RgbImage>> {
        let arrived = self.image.as_ref().filter(|_| evaluations >= self.evaluations() as f64);
        arrived.or_else(|| self.at(evaluations)?.preview.as_ref())
    }

    /// How far it is from the reference after each step.
    fn distances(&self) -> Vec<[f64; 2]> {
        let told = |(step, distance): (&Compare, f64)| [step.evaluations as f64, distance];
        match self.distances.split_last() {
            // The end stands where its last step does, as the place where it arrived.
            Some((end, seen)) => {
                let mut places: Vec<_> = self.steps.iter().zip(seen.iter().copied()).map(told).collect();
                match places.last_mut() {
                    Some(last) => last[1] = *end,
                    None => places.push([self.evaluations() as f64, *end]),
                }
                places
            }
            None => self.steps.iter().filter_map(|step| Some(told((step, step.distance?)))).collect(),
        }
    }
}

impl SideBySide {
    /// The bench before anything ran.
    pub fn new(around: Surroundings) -> Self {
        let samplers: Vec<About> = around.registry.samplers().iter().cloned().collect();
        let [steps, many] = STEPS;
        let lanes: Vec<_> = samplers.iter().take(3).map(|about| (Selection::new(about), steps)).collect();
        let reference = samplers.first().map(|about| (Selection::new(about), many));
        Self {
            around,
            samplers,
            chosen: Chosen { lanes, reference },
            lanes: Vec::new(),
            running: None,
            stopping: false,
            note: None,
            failure: None,
            position: None,
            figure: Figure::Drift,
        }
    }

    /// Puts on the screen what is seen now.
    pub fn poll(&mut self, ctx: &egui::Context) {
        let position = self.position();
        for lane in &mut self.lanes {
            let seen = lane.seen(position).cloned();
            lane.slide.put(ctx, seen.as_ref());
        }
    }

    /// Takes in what happened in a comparison.
    pub fn hear(&mut self, told: Compared) {
        match told {
            Compared::Reference { taken, steps } => self.running = Some(format!("Reference: step {taken} of {steps}")),
            Compared::Step(step) => {
                if let Some(lane) = self.lanes.get_mut(step.contender) {
                    self.running = Some(format!("{}: step {}", lane.name, step.step.step));
                    lane.steps.push(*step);
                }
            }
            Compared::Arrived { contender, image, distances } => {
                if let Some(lane) = self.lanes.get_mut(contender) {
                    (lane.image, lane.distances) = (Some(image), distances);
                }
            }
            Compared::Lost { contender, failure } => {
                if let Some(lane) = self.lanes.get_mut(contender) {
                    lane.lost = Some(failure);
                }
            }
            Compared::Finished(ended) => {
                (self.running, self.stopping) = (None, false);
                match ended {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => self.note = Some("Stopped".into()),
                    Err(failure) => self.failure = Some(failure),
                }
            }
        }
    }

    /// Does what was asked for; what the engine is to be asked is returned. `job` is what the next picture would be.
    pub fn apply(&mut self, action: Action, job: &Job) -> Option<Ask> {
        match action {
            Action::Choose(chosen) => self.chosen = *chosen,
            Action::Seek(position) => self.position = Some(position),
            Action::Figure(figure) => self.figure = figure,
            Action::Stop => {
                self.stopping = true;
                return Some(Ask::Stop);
            }
            Action::Begin => {
                let contender =
                    |(sampler, steps): &(Selection, usize)| Contender { sampler: sampler.choice(), steps: *steps };
                let contenders: Vec<_> = self.chosen.lanes.iter().map(contender).collect();
                let lane = |contender: &Contender| Lane {
                    name: format!("{}, {} steps", contender.sampler, contender.steps),
                    ..Lane::default()
                };
                self.lanes = contenders.iter().map(lane).collect();
                (self.note, self.failure, self.position) = (None, None, None);
                self.running = Some("Waiting for the engine…".into());
                return Some(Ask::Compare(Box::new(Comparison {
                    model: job.model.clone(),
                    // Every sampler has steps of its own, so no list of sigmas fits all.
                    draft: flowline_model::Draft { sigmas: None, ..job.draft.clone() },
                    contenders,
                    reference: self
                        .chosen
                        .reference
                        .as_ref()
                        .map_or(Reference::First, |run| Reference::Run(contender(run))),
                    registry: self.around.registry.clone(),
                })));
            }
        }
        None
    }

    /// Evaluations of the longest run so far.
    fn longest(&self) -> f64 {
        self.lanes.iter().map(Lane::evaluations).max().unwrap_or_default() as f64
    }

    fn position(&self) -> f64 {
        self.position.unwrap_or(f64::INFINITY).min(self.longest())
    }

    /// Draws the bench.
    pub fn show(&self, ui: &mut Ui, state: &State, actions: &mut Vec<super::Action>) {
        controls(ui, |ui| {
            self.begin(ui, state, actions);
            ui.add_space(GRID);
            let mut chosen = self.chosen.clone();
            self.choices(ui, &mut chosen);
            if chosen != self.chosen {
                actions.push(super::Action::Compare(Action::Choose(Box::new(chosen))));
            }
        });
        stage(ui, |ui| match self.lanes.is_empty() {
            true => {
                ui.add_space(GRID);
                let text = "What the samplers see appears here, side by side, as they go from the same noise.";
                ui.label(RichText::new(text).color(theme::of(ui).muted));
            }
            false => self.runs(ui, actions),
        });
    }

    fn begin(&self, ui: &mut Ui, state: &State, actions: &mut Vec<super::Action>) {
        let mut ask = |action| actions.push(super::Action::Compare(action));
        let prompt = state.prompt.trim();
        match &self.running {
            None => {
                if primary(ui, "Run side by side", "", !prompt.is_empty()).clicked() {
                    ask(Action::Begin);
                }
            }
            Some(_) => {
                if primary(ui, "Stop", "", !self.stopping).clicked() {
                    ask(Action::Stop);
                }
            }
        }
        match (&self.running, prompt.is_empty()) {
            (Some(doing), _) => explain(ui, doing),
            (None, true) => explain(ui, "Write first what the picture shows, on the page Create."),
            (None, false) => {
                explain(ui, &format!("Prompt, size, seed and guidance are those of the page Create: “{prompt}”"))
            }
        }
        if let Some(note) = &self.note {
            explain(ui, note);
        }
        if let Some(failure) = &self.failure {
            complain(ui, failure);
        }
    }

    fn choices(&self, ui: &mut Ui, chosen: &mut Chosen) {
        let [fewest, most] = LANES;
        let mut removed = None;
        let many = chosen.lanes.len();
        for (index, (sampler, steps)) in chosen.lanes.iter_mut().enumerate() {
            let number = index + 1;
            let mut picked = Some(sampler.clone());
            ui.push_id(index, |ui| {
                selection(ui, &format!("Sampler {number}"), &self.samplers, None, &mut picked);
                row(ui, &format!("Steps {number}"), "How many steps it takes", |ui| {
                    ui.horizontal(|ui| {
                        let button = if many > fewest { 9.0 * GRID } else { 0.0 };
                        let field = egui::DragValue::new(steps).range(1..=MOST_STEPS).speed(0.1);
                        let size = [ui.available_width() - button, ui.spacing().interact_size.y];
                        let response = ui.add_sized(size, field.update_while_editing(false));
                        if many > fewest {
                            let remove = ui.add_sized([8.0 * GRID, size[1]], egui::Button::new("Remove"));
                            let name = format!("Remove sampler {number}");
                            if remove.accessible_name(&name).on_hover_text(name).clicked() {
                                removed = Some(index);
                            }
                        }
                        response
                    })
                    .inner
                });
            });
            if let Some(picked) = picked {
                *sampler = picked;
            }
        }
        if let Some(index) = removed {
            chosen.lanes.remove(index);
        }
        let add = ui.add_enabled(many < most, egui::Button::new("Add a sampler"));
        if add.on_disabled_hover_text("Eight can be told apart").clicked() {
            chosen.lanes.extend(chosen.lanes.last().cloned());
        }
        ui.add_space(GRID);
        self.reference(ui, chosen);
    }

    fn reference(&self, ui: &mut Ui, chosen: &mut Chosen) {
        const OPTIONS: [(&str, &str); 2] =
            [("the first of them", "No further run"), ("a run of its own", "A run of many steps, which is made first")];
        heading(ui, "Distance to");
        let [first, own] = OPTIONS;
        let shown = if chosen.reference.is_none() { first.0 } else { own.0 };
        row(ui, "Reference", "Where the runs should end: latents are compared with its end", |ui| {
            let (response, picked) = choose(ui, "reference", shown, &OPTIONS);
            match picked {
                Some(0) => chosen.reference = None,
                Some(_) if chosen.reference.is_none() => {
                    chosen.reference = self.samplers.first().map(|about| (Selection::new(about), STEPS[1]));
                }
                _ => {}
            }
            response
        });
        if let Some((sampler, steps)) = &mut chosen.reference {
            let mut picked = Some(sampler.clone());
            selection(ui, "Its sampler", &self.samplers, None, &mut picked);
            if let Some(picked) = picked {
                *sampler = picked;
            }
            row(ui, "Its steps", "Many: the reference should be where the flow ends", |ui| {
                count(ui, steps, 1..=MOST_STEPS)
            });
        }
        explain(ui, "Of a sampler that draws noise no distance is told: it lands somewhere else on purpose.");
    }

    /// The pictures, the slider, the charts.
    fn runs(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        let room = ui.available_size();
        let columns = self.lanes.len().min(COLUMNS);
        let rows = self.lanes.len().div_ceil(columns.max(1));
        let words = 6.0 * GRID;
        let wide = (room.x - (columns as f32 - 1.0) * GRID) / columns as f32;
        let high = room.y * 0.55 / rows as f32 - words - GRID;
        let side = wide.min(high).max(8.0 * GRID).floor();
        for lanes in self.lanes.chunks(columns) {
            ui.horizontal(|ui| {
                for lane in lanes {
                    ui.vertical(|ui| {
                        ui.set_width(side);
                        self.lane(ui, lane, side, words);
                    });
                }
            });
        }
        self.transport(ui, actions);
        let height = (ui.available_height() - 6.0 * GRID).max(14.0 * GRID);
        ui.columns(2, |halves| {
            if let [left, right] = halves {
                self.distances(left, height);
                self.figures(right, height, actions);
            }
        });
    }

    fn lane(&self, ui: &mut Ui, lane: &Lane, side: f32, words: f32) {
        let position = self.position();
        let step = lane.at(position);
        let place = match step {
            None => "not begun".to_owned(),
            Some(step) => format!("step {}, {} evaluations", step.step.step, step.evaluations),
        };
        lane.slide.show(ui, side, &format!("{}: {place}", lane.name));
        let palette = theme::of(ui);
        ui.allocate_ui(egui::vec2(side, words), |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.add(egui::Label::new(&lane.name).truncate());
            let distance = lane.distances().into_iter().take_while(|[evaluations, _]| *evaluations <= position).last();
            let said = match (&lane.lost, distance) {
                (Some(failure), _) => {
                    return ui.add(egui::Label::new(RichText::new(&failure.what).color(palette.error)));
                }
                (None, Some([_, distance])) => format!("{place}  ·  {distance:.4} away"),
                (None, None) => place,
            };
            ui.add(egui::Label::new(RichText::new(said).color(palette.muted).size(12.5)).truncate())
        });
    }

    fn transport(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        let longest = self.longest();
        if longest < 1.0 {
            return;
        }
        ui.horizontal(|ui| {
            let mut position = self.position();
            let told = format!("{position:.0} of {longest} evaluations");
            ui.spacing_mut().slider_width = (ui.available_width() - 22.0 * GRID).max(8.0 * GRID);
            let slider = egui::Slider::new(&mut position, 0.0..=longest).show_value(false).step_by(1.0);
            let slider = ui.add(slider);
            slider.widget_info(|| egui::WidgetInfo::slider(true, position, "Evaluations"));
            if slider.changed() {
                actions.push(super::Action::Compare(Action::Seek(position)));
            }
            ui.label(told);
        });
    }

    fn distances(&self, ui: &mut Ui, height: f32) {
        ui.horizontal(|ui| {
            ui.set_min_height(ui.spacing().interact_size.y);
            ui.label("Distance to the reference");
        });
        let chart = Chart {
            name: "Distance to the reference",
            axes: ["evaluations", "distance"],
            height,
            reach: [[0.0, self.longest()], [0.0, 0.0]],
            scale: Scale::Powers,
            legend: Some(Legend::default()),
        };
        self.lines(ui, &chart, |lane| lane.distances());
    }

    fn figures(&self, ui: &mut Ui, height: f32, actions: &mut Vec<super::Action>) {
        let (called, meaning) = self.figure.told();
        row(ui, "Figure", meaning, |ui| {
            let options = Figure::ALL.map(Figure::told);
            let (response, picked) = choose(ui, "figure", called, &options);
            if let Some(figure) = picked.and_then(|index| Figure::ALL.get(index)) {
                actions.push(super::Action::Compare(Action::Figure(*figure)));
            }
            response
        });
        let chart = Chart {
            name: "Figures of the steps",
            axes: ["evaluations", called],
            height,
            reach: [[0.0, self.longest()], [0.0, 0.0]],
            scale: Scale::Plain,
            legend: None,
        };
        let figure = self.figure;
        self.lines(ui, &chart, |lane| {
            let told = |step: &Compare| Some([step.evaluations as f64, figure.of(&step.step)?]);
            lane.steps.iter().filter_map(told).collect()
        });
    }

    fn lines(&self, ui: &mut Ui, chart: &Chart<'_>, places: impl Fn(&Lane) -> Vec<[f64; 2]>) {
        let lines: Vec<_> =
            self.lanes.iter().map(|lane| (lane.name.clone(), chart.scale.places(places(lane)))).collect();
        let inks: Vec<_> = (0..lines.len()).map(|index| ink(ui, index)).collect();
        let (here, faint) = (self.position(), theme::of(ui).muted.gamma_multiply(0.6));
        chart.show(ui, move |plot| {
            plot.vline(VLine::new("shown", here).stroke(Stroke::new(1.0, faint)).allow_hover(false));
            for (index, ((name, places), ink)) in lines.into_iter().zip(inks).enumerate() {
                let line = Line::new(name, PlotPoints::from(places)).id(index);
                plot.line(line.stroke(Stroke::new(1.75, ink)));
            }
        });
    }
}
