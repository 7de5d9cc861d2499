//! The page of experiments: benches, chosen by tabs at the top.
//!
//! A bench is a file: what it shows as plain data, what can be asked of it as its `Action`, and how it is drawn. What
//! takes time happens on threads of its own ([`crate::laboratory::errand`]) or on the engine's; [`Laboratory::poll`]
//! takes in what they have found.

mod chart;
pub mod compare;
pub mod figure;
pub mod playground;
pub mod schedule;
pub mod scrubber;
mod slide;
pub mod verify;

use std::sync::Arc;

use eframe::egui::accesskit::Role;
use eframe::egui::{self, Align2, FontId, Rect, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo};

use super::state::State;
use super::theme::{self, GRID};
use crate::engine::laboratory::{Ask, Told};
use crate::engine::{Job, Waker};
use crate::laboratory::schedules::NamedSchedules;
use crate::{Failure, Registry, Result};
use compare::SideBySide;
use playground::Playground;
use schedule::ScheduleEditor;
use scrubber::Scrubber;
use verify::Verify;

/// A bench of the laboratory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bench {
    /// Particles in the plane.
    #[default]
    Playground,
    /// The proof of every sampler.
    Verify,
    /// A schedule shaped by hand.
    Schedule,
    /// Samplers from one noise.
    SideBySide,
    /// The last run, step by step.
    Scrubber,
}

impl Bench {
    /// All, in the order of the tabs.
    pub const ALL: [Self; 5] = [Self::Playground, Self::Verify, Self::Schedule, Self::SideBySide, Self::Scrubber];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Playground => "Playground",
            Self::Verify => "Verify",
            Self::Schedule => "Schedule editor",
            Self::SideBySide => "Side by side",
            Self::Scrubber => "Scrubber",
        }
    }
}

/// What the page asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Show this bench.
    Show(Bench),
    /// Something on the playground.
    Playground(playground::Action),
    /// Something about the proof.
    Verify(verify::Action),
    /// Something about the schedule.
    Schedule(schedule::Action),
    /// Something side by side.
    Compare(compare::Action),
    /// Something about the last run.
    Scrubber(scrubber::Action),
    /// Make the next picture along these sigmas: the shell's to do.
    UseSigmas(Vec<f64>),
    /// Make this picture: the shell's to do.
    Make(Box<Job>),
}

/// The page.
pub struct Laboratory {
    bench: Bench,
    playground: Playground,
    verify: Verify,
    schedule: ScheduleEditor,
    compare: SideBySide,
    scrubber: Scrubber,
}

/// What every bench may need.
#[derive(Clone)]
pub struct Surroundings {
    /// What may be chosen.
    pub registry: Registry,
    /// Where schedules with a name are; a failure where there is no such place.
    pub schedules: Result<NamedSchedules>,
    /// Called when something was found on another thread.
    pub waker: Waker,
}

impl Surroundings {
    /// What `registry` offers, and the user's own schedules.
    pub fn usual(ctx: &egui::Context, registry: Registry) -> Self {
        let ctx = ctx.clone();
        let waker: Waker = Arc::new(move || ctx.request_repaint());
        Self { registry, schedules: NamedSchedules::usual(), waker }
    }
}

impl Laboratory {
    /// The page with its first bench in front. Nothing is computed before it is shown.
    pub fn new(surroundings: Surroundings) -> Self {
        Self {
            bench: Bench::default(),
            playground: Playground::new(surroundings.clone()),
            verify: Verify::new(surroundings.clone()),
            scrubber: Scrubber::new(&surroundings),
            compare: SideBySide::new(surroundings.clone()),
            schedule: ScheduleEditor::new(surroundings),
        }
    }

    /// Takes in what was found on other threads and begins what is due; called once a frame while the page is shown.
    pub fn poll(&mut self, ctx: &egui::Context) {
        match self.bench {
            Bench::Playground => self.playground.poll(ctx),
            Bench::Verify => self.verify.poll(),
            Bench::Schedule => self.schedule.poll(),
            Bench::SideBySide => self.compare.poll(ctx),
            Bench::Scrubber => self.scrubber.poll(ctx),
        }
    }

    /// Takes in what the engine tells, whether the page is shown or not.
    pub fn hear(&mut self, told: Told) {
        match told {
            Told::Ran(run) => {
                self.schedule.ran(Arc::clone(&run));
                self.scrubber.ran(run);
            }
            Told::Compared(compared) => self.compare.hear(compared),
            Told::Decoded(moment, decoded) => self.scrubber.decoded(moment, decoded),
        }
    }

    /// Draws the page.
    pub fn show(&self, ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
        let palette = theme::of(ui);
        let frame = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin::symmetric(2 * GRID as i8, 0));
        egui::Panel::top("benches").exact_size(6.0 * GRID).resizable(false).frame(frame).show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = 3.0 * GRID;
                for bench in Bench::ALL {
                    if tab(ui, bench.name(), bench == self.bench) {
                        actions.push(Action::Show(bench));
                    }
                }
            });
        });
        match self.bench {
            Bench::Playground => self.playground.show(ui, actions),
            Bench::Verify => self.verify.show(ui, actions),
            Bench::Schedule => self.schedule.show(ui, actions),
            Bench::SideBySide => self.compare.show(ui, state, actions),
            Bench::Scrubber => self.scrubber.show(ui, actions),
        }
    }

    /// Does what was asked for, but for what is the shell's to do; what the engine is to be asked is returned. `job` is
    /// what the next picture would be.
    pub fn apply(&mut self, action: Action, job: &Job) -> Option<Ask> {
        match action {
            Action::Show(bench) => self.bench = bench,
            Action::Playground(action) => self.playground.apply(action),
            Action::Verify(action) => self.verify.apply(action),
            Action::Schedule(action) => self.schedule.apply(action),
            Action::Compare(action) => return self.compare.apply(action, job),
            Action::Scrubber(action) => return self.scrubber.apply(action),
            Action::UseSigmas(_) | Action::Make(_) => {}
        }
        None
    }
}

/// A tab, underlined in the accent where it is in front. Whether it was clicked.
fn tab(ui: &mut Ui, name: &str, here: bool) -> bool {
    let palette = theme::of(ui);
    let font = FontId::proportional(14.0);
    let text = ui.painter().layout_no_wrap(name.to_owned(), font.clone(), palette.text);
    let (rect, response) = ui.allocate_exact_size(Vec2::new(text.size().x, 6.0 * GRID), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, here, name));
    let ink = if here || response.hovered() { palette.text } else { palette.muted };
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, name, font, ink);
    if here {
        let line = Rect::from_min_max(rect.left_bottom() - Vec2::new(0.0, 3.0), rect.right_bottom());
        ui.painter().rect_filled(line, 1.5, palette.accent_line);
    }
    if response.has_focus() {
        let ring = rect.shrink2(Vec2::new(0.0, 1.25 * GRID)).expand2(Vec2::new(6.0, 0.0));
        ui.painter().rect_stroke(ring, 6.0, Stroke::new(1.0, palette.accent_line), StrokeKind::Inside);
    }
    response.clicked()
}

/// The controls of a bench, on the left, and below the tabs.
fn controls(ui: &mut Ui, show: impl FnOnce(&mut Ui)) {
    let palette = theme::of(ui);
    let margin = egui::Margin { right: GRID as i8, ..egui::Margin::same(2 * GRID as i8) };
    // The bar of the scroll area has its own lane in the right margin.
    let lane = egui::Frame::new().inner_margin(egui::Margin { right: GRID as i8, ..egui::Margin::ZERO });
    let frame = egui::Frame::new().fill(palette.panel).inner_margin(margin);
    egui::Panel::left("bench").exact_size(theme::SIDE).resizable(false).frame(frame).show(ui, |ui| {
        let scroll = egui::ScrollArea::vertical().auto_shrink(false);
        scroll.show(ui, |ui| lane.show(ui, show));
    });
}

/// What a bench shows, in the rest of the page.
fn stage(ui: &mut Ui, show: impl FnOnce(&mut Ui)) {
    let palette = theme::of(ui);
    let frame = egui::Frame::new().fill(palette.canvas).inner_margin(egui::Margin::same(2 * GRID as i8));
    egui::CentralPanel::default().frame(frame).show(ui, show);
}

/// A sentence that explains.
fn explain(ui: &mut Ui, text: &str) {
    ui.label(egui::RichText::new(text).color(theme::of(ui).muted).size(12.5));
}

/// What went wrong, and what to do about it.
fn complain(ui: &mut Ui, failure: &Failure) {
    let palette = theme::of(ui);
    ui.label(egui::RichText::new(sentence(&failure.what)).color(palette.error));
    explain(ui, &sentence(&failure.hint));
}

/// What is written in lower case for the command line, as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
