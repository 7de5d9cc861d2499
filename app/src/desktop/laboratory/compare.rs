//! Side by side: samplers from one noise, what they see aligned by the evaluations it took.

mod charts;
mod choices;
mod lane;

use std::ops::ControlFlow;

use eframe::egui::{self, RichText, Ui};
use flowline_sampler::catalog::About;

use super::figure::Figure;
use super::{Surroundings, controls, stage};
use crate::Failure;
use crate::desktop::settings::Selection;
use crate::desktop::state::State;
use crate::desktop::theme::{self, GRID};
use crate::engine::Job;
use crate::engine::laboratory::{Ask, Compared, Comparison, Contender, Reference};
use lane::Lane;

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
            figure: Figure::default(),
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
}
