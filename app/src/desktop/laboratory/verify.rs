//! The proof table: every sampler against closed forms, row by row as they are judged.

use eframe::egui::{self, RichText, Ui, Vec2};
use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::Choice;
use flowline_sampler::proof::STEPS;

use super::{Surroundings, complain, controls, explain, stage};
use crate::Failure;
use crate::desktop::controls::{heading, primary};
use crate::desktop::theme::{self, GRID};
use crate::laboratory::errand::Errand;
use crate::laboratory::proof::{Judged, USUAL_STEPS, judge};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Judge all samplers, from the first.
    Begin,
    /// Stop after the sampler at hand.
    Stop,
}

/// The bench.
pub struct Verify {
    around: Surroundings,
    judging: Option<Errand<Judged>>,
    judged: Vec<Judged>,
    /// How many samplers there are.
    all: usize,
    /// Whether the last run was stopped before its end.
    stopped: bool,
    failure: Option<Failure>,
}

impl Verify {
    /// The bench before anything was judged.
    pub fn new(around: Surroundings) -> Self {
        let all = around.registry.proof_samplers().iter().count();
        Self { around, judging: None, judged: Vec::new(), all, stopped: false, failure: None }
    }

    /// Takes in what was judged.
    pub fn poll(&mut self) {
        let Some(errand) = &mut self.judging else { return };
        for told in errand.heard() {
            match told {
                Ok(judged) => self.judged.push(judged),
                Err(failure) => self.failure = Some(failure),
            }
        }
        if !errand.is_running() {
            self.judging = None;
            self.stopped = self.failure.is_none() && self.judged.len() < self.all;
        }
    }

    /// Does what was asked for.
    pub fn apply(&mut self, action: Action) {
        match action {
            Action::Begin => {
                (self.judged, self.stopped, self.failure) = (Vec::new(), false, None);
                let registry = self.around.registry.clone();
                self.judging = Some(Errand::start(self.around.waker.clone(), move |tell| {
                    let bench = Bench::smooth()?;
                    for about in registry.proof_samplers().iter() {
                        if tell.ask().is_break()
                            || tell.tell(judge(&Choice::new(about.name), &registry, &bench)?).is_break()
                        {
                            break;
                        }
                    }
                    Ok(())
                }));
            }
            Action::Stop => {
                if let Some(errand) = &self.judging {
                    errand.stop();
                }
            }
        }
    }

    /// Draws the bench.
    pub fn show(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        controls(ui, |ui| {
            heading(ui, "Proof");
            explain(
                ui,
                "Every sampler follows Gaussian data in closed form, which gives the exact mean and spread of its results, \
                 and a smooth mixture, which tells how far it lands from where the flow ends. What comes out is compared \
                 with what the sampler declares. No model takes part.",
            );
            ui.add_space(GRID);
            match &self.judging {
                None => {
                    let text = if self.judged.is_empty() { "Prove all samplers" } else { "Prove again" };
                    if primary(ui, text, "", true).clicked() {
                        actions.push(super::Action::Verify(Action::Begin));
                    }
                }
                Some(errand) => {
                    if primary(ui, "Stop", "", !errand.is_stopping()).clicked() {
                        actions.push(super::Action::Verify(Action::Stop));
                    }
                }
            }
            ui.add_space(GRID);
            if let Some(summary) = self.summary() {
                ui.label(summary);
            }
            if let Some(failure) = &self.failure {
                complain(ui, failure);
            }
        });
        stage(ui, |ui| match self.judged.is_empty() {
            true => {
                ui.add_space(GRID);
                ui.label(RichText::new("The table fills row by row when the proof begins.").color(theme::of(ui).muted));
            }
            false => self.table(ui),
        });
    }

    /// How far it is, or how it ended.
    fn summary(&self) -> Option<String> {
        let (done, all) = (self.judged.len(), self.all);
        let failing = self.judged.iter().filter(|judged| !judged.holds).count();
        match (&self.judging, failing) {
            (Some(errand), _) if errand.is_stopping() => Some(format!("Stopping after {done} of {all}…")),
            (Some(_), _) => Some(format!("{done} of {all} judged…")),
            (None, _) if done == 0 => None,
            (None, _) if self.stopped => Some(format!("Stopped after {done} of {all}")),
            (None, 0) => Some(format!("All {done} are what they declare")),
            (None, 1) => Some(format!("1 of {done} is not what it declares")),
            (None, _) => Some(format!("{failing} of {done} are not what they declare")),
        }
    }

    fn table(&self, ui: &mut Ui) {
        let palette = theme::of(ui);
        let [few, many] = STEPS;
        let names = [
            ("Sampler".to_owned(), "As it is written on the command line"),
            ("Order".to_owned(), "Measured: doubling the steps divides the error by 2 to this power"),
            ("Declared".to_owned(), "The order that the sampler says of itself"),
            (format!("Spread, {few} steps"), "Relative error of the standard deviation of the results"),
            (format!("Spread, {many} steps"), "Relative error of the standard deviation of the results"),
            (format!("Runs, {USUAL_STEPS} steps"), "How often the model would run"),
            ("Verdict".to_owned(), "Whether it samples the model's distribution, as fast as it declares"),
        ];
        egui::ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            // Just enough to follow a row.
            ui.visuals_mut().faint_bg_color = palette.panel;
            let grid = egui::Grid::new("proof").striped(true).spacing(Vec2::new(3.0 * GRID, GRID)).num_columns(7);
            grid.show(ui, |ui| {
                for (name, meaning) in names {
                    ui.label(RichText::new(name).color(palette.muted).size(12.5)).on_hover_text(meaning);
                }
                ui.end_row();
                for judged in &self.judged {
                    ui.label(&judged.sampler);
                    let [coarse, fine] = judged.spread;
                    for figure in [
                        format!("{:.2}", judged.order),
                        format!("{}", judged.declared_order),
                        format!("{coarse:+.1e}"),
                        format!("{fine:+.1e}"),
                        judged.evaluations.to_string(),
                    ] {
                        ui.label(RichText::new(figure).monospace());
                    }
                    let ink = match (judged.holds, judged.labelled) {
                        (false, _) => palette.error,
                        (true, true) => palette.warning,
                        (true, false) => palette.text,
                    };
                    ui.label(RichText::new(super::sentence(&judged.verdict)).color(ink));
                    ui.end_row();
                }
            });
        });
    }
}
