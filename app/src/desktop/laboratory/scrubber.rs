//! The scrubber: every moment of the last run, decoded in full where somebody wants to see it, and gone on from.

use std::sync::Arc;

use eframe::egui::{self, RichText, Stroke, Ui};
use egui_plot::{Line, Points, VLine};
use flowline_model::Draft;
use flowline_sampler::catalog::About;
use image::RgbImage;

use super::chart::{Chart, Scale, ink};
use super::slide::Slide;
use super::{Surroundings, complain, controls, explain, stage};
use crate::desktop::controls::{count, heading, number, primary, row, selection};
use crate::desktop::settings::{CFG, MOST_STEPS, Selection};
use crate::desktop::theme::{self, GRID};
use crate::engine::Job;
use crate::engine::laboratory::{Ask, LARGEST_RUN, Moment, Run, View};
use crate::laboratory::branch::{Timing, branched};
use crate::{Failure, Result};

/// What can be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Show the moment after so many steps.
    Seek(usize),
    /// Decode what is shown, in full.
    Decode(View),
    /// Other settings for a branch.
    Choose(Box<Chosen>),
}

/// What a branch does otherwise than its run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// The prompt.
    pub prompt: String,
    /// The sampler; `None` is the run's.
    pub sampler: Option<Selection>,
    /// Classifier-free guidance.
    pub cfg: f64,
    /// Steps of the whole schedule of its own that it follows below the branch; `None` keeps the run's sigmas.
    pub steps: Option<usize>,
}

/// The bench.
pub struct Scrubber {
    samplers: Vec<About>,
    run: Option<Arc<Run>>,
    /// After so many steps.
    at: usize,
    chosen: Chosen,
    decoded: Vec<(Moment, Arc<RgbImage>)>,
    /// Being decoded.
    waiting: Vec<Moment>,
    failure: Option<Failure>,
    /// The prediction, and what is carried.
    slides: [Slide; 2],
}

/// Pictures decoded in full that are remembered.
const REMEMBERED: usize = 12;

/// The two ways to look at a moment: what they are called, what they show, and the button that decodes them.
const VIEWS: [(View, &str, &str); 2] = [
    (View::Denoised, "Denoised prediction", "Decode the prediction in full"),
    (View::Noisy, "Noisy latents", "Decode the noisy latents in full"),
];

impl Scrubber {
    /// The bench before there is a run.
    pub fn new(around: &Surroundings) -> Self {
        let samplers = around.registry.samplers().iter().cloned().collect();
        Self {
            samplers,
            run: None,
            at: 0,
            chosen: Chosen::default(),
            decoded: Vec::new(),
            waiting: Vec::new(),
            failure: None,
            slides: Default::default(),
        }
    }

    /// A picture was made.
    pub fn ran(&mut self, run: Arc<Run>) {
        let request = &run.trace.request;
        self.chosen = Chosen { prompt: request.prompt.clone(), sampler: None, cfg: request.cfg, steps: None };
        // The last prediction: nearly the picture, and every step can be gone back to from there.
        self.at = run.trace.steps.len().saturating_sub(1);
        (self.decoded, self.waiting, self.failure) = (Vec::new(), Vec::new(), None);
        self.run = Some(run);
    }

    /// A moment was decoded.
    pub fn decoded(&mut self, moment: Moment, decoded: Result<Arc<RgbImage>>) {
        self.waiting.retain(|waiting| *waiting != moment);
        if self.run.as_ref().is_none_or(|run| run.number != moment.run) {
            return;
        }
        match decoded {
            Ok(picture) => {
                self.decoded.push((moment, picture));
                if self.decoded.len() > REMEMBERED {
                    self.decoded.remove(0);
                }
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// Puts on the screen what is seen now.
    pub fn poll(&mut self, ctx: &egui::Context) {
        let seen = VIEWS.map(|(view, ..)| self.seen(view).cloned());
        for (slide, seen) in self.slides.iter_mut().zip(seen) {
            slide.put(ctx, seen.as_ref());
        }
    }

    /// Does what was asked for; what the engine is to be asked is returned.
    pub fn apply(&mut self, action: Action) -> Option<Ask> {
        match action {
            Action::Seek(at) => self.at = at,
            Action::Choose(chosen) => self.chosen = *chosen,
            Action::Decode(view) => {
                let moment = self.moment(view)?;
                self.failure = None;
                self.waiting.push(moment);
                return Some(Ask::Decode(moment));
            }
        }
        None
    }

    fn moment(&self, view: View) -> Option<Moment> {
        Some(Moment { run: self.run.as_ref()?.number, at: self.at, view })
    }

    /// Decoded in full if that was asked for, else a pixel a latent.
    fn seen(&self, view: View) -> Option<&Arc<RgbImage>> {
        let moment = self.moment(view)?;
        if let Some((_, picture)) = self.decoded.iter().find(|(decoded, _)| *decoded == moment) {
            return Some(picture);
        }
        let seen = self.run.as_ref()?.moments.get(self.at)?;
        Some(match view {
            View::Denoised => &seen.denoised,
            View::Noisy => &seen.noisy,
        })
    }

    /// The branch from the moment that is shown; `None` where the run has ended.
    fn branch(&self, run: &Run) -> Option<Box<Job>> {
        let request = &run.trace.request;
        if self.at >= request.steps {
            return None;
        }
        let Chosen { prompt, sampler, cfg, steps } = &self.chosen;
        let own = request.to_draft();
        let draft = Draft {
            prompt: prompt.clone(),
            sampler: sampler.as_ref().map(Selection::choice).or_else(|| own.sampler.clone()),
            cfg: Some(*cfg),
            // The rule's scale is the guidance.
            rule: own.rule.clone().filter(|_| *cfg == request.cfg),
            steps: *steps,
            schedule: None,
            sigmas: None,
            stop_after: None,
            ..own
        };
        let timing = if steps.is_some() { Timing::Own } else { Timing::Parents };
        let parent = flowline_model::Request { stop_after: None, ..request.clone() };
        Some(Box::new(Job { model: run.model.clone(), draft: branched(draft, parent, self.at, timing) }))
    }

    /// Draws the bench.
    pub fn show(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        let Some(run) = &self.run else {
            controls(ui, |ui| {
                heading(ui, "Last run");
                explain(ui, "When a picture was made, every step of its run can be looked at here.");
            });
            stage(ui, |ui| {
                ui.add_space(GRID);
                ui.label(RichText::new("Make a picture first, on the page Create.").color(theme::of(ui).muted));
            });
            return;
        };
        controls(ui, |ui| {
            self.figures(ui, run);
            ui.add_space(GRID);
            self.branching(ui, run, actions);
        });
        stage(ui, |ui| {
            let room = ui.available_size();
            let side = ((room.x - 2.0 * GRID) / 2.0).min(room.y * 0.58).max(12.0 * GRID).floor();
            match run.moments.is_empty() {
                true => explain(ui, &not_kept()),
                false => self.moments(ui, side, actions),
            }
            self.transport(ui, run, actions);
            self.velocity(ui, run);
        });
    }

    fn figures(&self, ui: &mut Ui, run: &Run) {
        let request = &run.trace.request;
        heading(ui, "Last run");
        ui.add(egui::Label::new(format!("{}, {} steps", request.sampler, request.steps)).truncate());
        ui.add_space(GRID);
        heading(ui, "This moment");
        let sigma = request.sigmas.get(self.at).copied().unwrap_or_default();
        let mut told = vec![("Sigma", format!("{sigma:.4}"))];
        if let Some(step) = run.trace.steps.get(self.at) {
            let figures = &step.figures;
            told.push(("Velocity", format!("{:.4}", figures.v)));
            told.push(("Latents", format!("{:.4}", figures.x)));
            told.push(("Straightness", format!("{:.4}", figures.straightness)));
            let more = [
                ("Turning", figures.turning, "°"),
                ("Drift", figures.drift, ""),
                ("Local error", figures.local_error, ""),
            ];
            told.extend(
                more.into_iter().filter_map(|(name, value, unit)| Some((name, format!("{:.4}{unit}", value?)))),
            );
        }
        egui::Grid::new("moment").num_columns(2).spacing([2.0 * GRID, GRID / 2.0]).show(ui, |ui| {
            for (name, value) in told {
                ui.label(RichText::new(name).color(theme::of(ui).muted));
                ui.label(RichText::new(value).monospace());
                ui.end_row();
            }
        });
    }

    fn branching(&self, ui: &mut Ui, run: &Run, actions: &mut Vec<super::Action>) {
        heading(ui, "Branch here");
        let mut chosen = self.chosen.clone();
        let label = ui.label("Prompt");
        let field = egui::TextEdit::multiline(&mut chosen.prompt).id_salt("branch prompt").desired_rows(2);
        ui.add(field.desired_width(f32::INFINITY).margin(egui::Margin::same(GRID as i8))).labelled_by(label.id);
        selection(ui, "Sampler", &self.samplers, Some("as it was"), &mut chosen.sampler);
        row(ui, "CFG", "How strongly the picture follows the prompt; 1 is off", |ui| number(ui, &mut chosen.cfg, CFG));
        let mut own = chosen.steps.is_some();
        ui.checkbox(&mut own, "Another number of steps");
        chosen.steps = own.then(|| chosen.steps.unwrap_or(run.trace.request.steps));
        if let Some(steps) = &mut chosen.steps {
            row(ui, "Steps", "Of a whole schedule, of which the branch takes those below it", |ui| {
                count(ui, steps, 1..=MOST_STEPS)
            });
        }
        if chosen != self.chosen {
            actions.push(super::Action::Scrubber(Action::Choose(Box::new(chosen))));
        }
        let branch = self.branch(run).filter(|_| !self.chosen.prompt.trim().is_empty());
        let text = format!("Branch after step {}", self.at);
        if primary(ui, &text, "", branch.is_some()).clicked()
            && let Some(job) = branch
        {
            actions.push(super::Action::Make(job));
        }
        explain(ui, "The steps up to here stay as they are; from here on the branch goes its own way.");
        if let Some(failure) = &self.failure {
            complain(ui, failure);
        }
    }

    fn moments(&self, ui: &mut Ui, side: f32, actions: &mut Vec<super::Action>) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0 * GRID;
            for ((view, title, button), slide) in VIEWS.into_iter().zip(&self.slides) {
                ui.vertical(|ui| {
                    ui.set_width(side);
                    slide.show(ui, side, &format!("{title} after step {}", self.at));
                    ui.horizontal(|ui| {
                        ui.label(title);
                        let moment = self.moment(view);
                        let done = self.decoded.iter().any(|(decoded, _)| Some(*decoded) == moment);
                        let waiting = self.waiting.iter().any(|waiting| Some(*waiting) == moment);
                        let text = match (done, waiting) {
                            (true, _) => "Decoded in full",
                            (false, true) => "Decoding…",
                            (false, false) => "Decode in full",
                        };
                        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                            let decode = ui.add_enabled(!done && !waiting, egui::Button::new(text));
                            if decode
                                .accessible_name(button)
                                .on_hover_text("With the autoencoder, as pictures are")
                                .clicked()
                            {
                                actions.push(super::Action::Scrubber(Action::Decode(view)));
                            }
                        });
                    });
                });
            }
        });
    }

    fn transport(&self, ui: &mut Ui, run: &Run, actions: &mut Vec<super::Action>) {
        let last = run.trace.steps.len();
        ui.horizontal(|ui| {
            let mut at = self.at;
            ui.spacing_mut().slider_width = (ui.available_width() - 18.0 * GRID).max(8.0 * GRID);
            let slider = ui.add(egui::Slider::new(&mut at, 0..=last).show_value(false));
            slider.widget_info(|| egui::WidgetInfo::slider(true, at as f64, "Step"));
            if at != self.at {
                actions.push(super::Action::Scrubber(Action::Seek(at)));
            }
            ui.label(format!("after step {} of {last}", self.at));
        });
    }

    fn velocity(&self, ui: &mut Ui, run: &Run) {
        let places: Vec<[f64; 2]> =
            run.trace.steps.iter().enumerate().map(|(index, step)| [index as f64, step.figures.v]).collect();
        let chart = Chart {
            name: "Size of the velocity",
            axes: ["steps taken", "velocity"],
            height: (ui.available_height() - GRID).max(12.0 * GRID),
            reach: [[0.0, run.trace.steps.len() as f64], [0.0, 0.0]],
            scale: Scale::Plain,
            legend: None,
        };
        let (here, faint, colour) = (self.at as f64, theme::of(ui).muted.gamma_multiply(0.6), ink(ui, 0));
        chart.show(ui, |plot| {
            plot.vline(VLine::new("", here).stroke(Stroke::new(1.0, faint)).allow_hover(false));
            plot.line(Line::new("velocity", places.clone()).stroke(Stroke::new(1.75, colour)).allow_hover(false));
            plot.points(Points::new("velocity", places).radius(3.0).color(colour));
        });
    }
}

/// What is said of a run whose moments are not there.
fn not_kept() -> String {
    let limit = LARGEST_RUN >> 20;
    format!(
        "This run was not kept: up to {limit} MiB are, where there is memory for it. Its figures are here all the same."
    )
}
