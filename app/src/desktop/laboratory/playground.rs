//! The playground: particles carried through the plane, at any moment of their way.

mod plane;

use eframe::egui::{self, Color32, FontId, Rect, Sense, TextStyle, Ui, Vec2, WidgetInfo};
use flowline_sampler::catalog::About;

use super::{Surroundings, complain, controls, explain, stage};
use crate::Failure;
use crate::desktop::controls::{Icon, choose, count, heading, icon_button, row, selection};
use crate::desktop::settings::Selection;
use crate::desktop::theme::GRID;
use crate::laboratory::errand::Errand;
use crate::playground::field::FIELDS;
use crate::playground::{Asked, Carried, Measured};

/// What can be asked of the playground.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Carry something else.
    Choose(Box<Chosen>),
    /// Let the particles move from where they are; from the beginning if they have arrived.
    Play,
    /// Let them rest at the nearest step.
    Pause,
    /// Let them rest after so many steps.
    Seek(f64),
}

/// What is carried, and what of it is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The name of the field.
    pub field: String,
    /// What carries.
    pub sampler: Option<Selection>,
    /// The schedule; `None` is what the sampler is meant for.
    pub schedule: Option<Selection>,
    /// Number of steps.
    pub steps: usize,
    /// How many particles.
    pub particles: usize,
    /// Decides the noise.
    pub seed: u64,
    /// Whether trails are seen from their beginning.
    pub whole_trails: bool,
}

/// The bench.
pub struct Playground {
    around: Surroundings,
    samplers: Vec<About>,
    schedules: Vec<About>,
    chosen: Chosen,
    /// What was carried last, and what it was.
    shown: Option<(Carried, Measured)>,
    failure: Option<Failure>,
    /// Whether something else is to be carried.
    due: bool,
    carrying: Option<Errand<(Carried, Measured)>>,
    /// How many steps the particles have moved.
    position: f64,
    /// When they were moved last, seconds, while they move by themselves.
    playing: Option<f64>,
}

/// Seconds from noise to data.
const WHOLE_WAY: f64 = 5.0;
/// Seconds between two moments: 20 a second, and the rest of the time is the sampler's.
const MOMENT: f64 = 0.05;
/// Most steps and particles of the controls.
const MOST: [usize; 2] = [200, 400];

impl Playground {
    /// The bench as it is seen first.
    pub fn new(around: Surroundings) -> Self {
        let samplers: Vec<About> = around.registry.proof_samplers().iter().cloned().collect();
        let schedules = around.registry.schedules().iter().cloned().collect();
        let [first, ..] = &FIELDS;
        let chosen = Chosen {
            field: first.name.to_owned(),
            sampler: samplers.first().map(Selection::new),
            schedule: None,
            steps: 24,
            particles: 160,
            seed: 0,
            whole_trails: false,
        };
        // A moment in the middle of the way says most at first sight.
        let (position, playing) = (14.0, None);
        let (shown, failure, carrying) = (None, None, None);
        Self { around, samplers, schedules, chosen, shown, failure, due: true, carrying, position, playing }
    }

    /// Takes in what was carried, begins what is due, and moves on what is playing.
    pub fn poll(&mut self, ctx: &egui::Context) {
        if let Some(errand) = &mut self.carrying {
            for told in errand.heard() {
                match told {
                    Ok(shown) => (self.shown, self.failure) = (Some(shown), None),
                    Err(failure) => (self.shown, self.failure) = (None, Some(failure)),
                }
            }
            if !errand.is_running() {
                self.carrying = None;
            }
        }
        // One thread at a time: what was asked meanwhile comes when the old one has heard its stop.
        if self.due && self.carrying.is_none() {
            self.due = false;
            self.carrying = Some(self.carry());
        }
        self.advance(ctx);
    }

    fn carry(&self) -> Errand<(Carried, Measured)> {
        let (registry, chosen) = (self.around.registry.clone(), &self.chosen);
        let asked = Asked {
            field: chosen.field.clone(),
            sampler: chosen.sampler.as_ref().map(Selection::choice),
            schedule: chosen.schedule.as_ref().map(Selection::choice),
            steps: chosen.steps,
            particles: chosen.particles,
            seed: chosen.seed,
        };
        Errand::start(self.around.waker.clone(), move |tell| {
            let (_, carried) = asked.carry(&registry, &mut || tell.ask())?;
            let measured = carried.measured();
            let _ = tell.tell((carried, measured));
            Ok(())
        })
    }

    fn advance(&mut self, ctx: &egui::Context) {
        let (Some(before), Some(last)) = (self.playing, self.last()) else { return };
        let now = ctx.input(|input| input.time);
        let since = now - before;
        if since < MOMENT {
            return ctx.request_repaint_after_secs((MOMENT - since) as f32);
        }
        // Whoever comes back after a while goes on from where it was.
        self.position = (self.position + since.min(2.0 * MOMENT) * last / WHOLE_WAY).min(last);
        self.playing = (self.position < last).then_some(now);
        if self.playing.is_some() {
            ctx.request_repaint_after_secs(MOMENT as f32);
        }
    }

    /// Does what was asked for.
    pub fn apply(&mut self, action: Action) {
        match action {
            Action::Choose(chosen) => {
                let looks = Chosen { whole_trails: chosen.whole_trails, ..self.chosen.clone() };
                if looks != *chosen {
                    self.due = true;
                    if let Some(errand) = &self.carrying {
                        errand.stop();
                    }
                }
                // The same moment of another number of steps.
                let share = self.position / self.chosen.steps.max(1) as f64;
                self.position = (share * chosen.steps as f64).round().min(chosen.steps as f64);
                self.chosen = *chosen;
            }
            Action::Play => {
                let last = self.last().unwrap_or_default();
                if self.position >= last {
                    self.position = 0.0;
                }
                self.playing = Some(f64::NEG_INFINITY);
            }
            Action::Pause => (self.position, self.playing) = (self.position.round(), None),
            Action::Seek(position) => (self.position, self.playing) = (position.round(), None),
        }
    }

    /// The number of steps of what is shown.
    fn last(&self) -> Option<f64> {
        let (carried, _) = self.shown.as_ref()?;
        Some(carried.sigmas.len().saturating_sub(1) as f64)
    }

    /// Where the particles are.
    fn sigma(&self, carried: &Carried) -> f64 {
        let (index, share) = (self.position.max(0.0) as usize, self.position.fract());
        let at = |index: usize| carried.sigmas.get(index).or_else(|| carried.sigmas.last()).copied().unwrap_or(1.0);
        at(index) + (at(index + 1) - at(index)) * share
    }

    /// Draws the bench.
    pub fn show(&self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        controls(ui, |ui| {
            let mut chosen = self.chosen.clone();
            self.choices(ui, &mut chosen);
            if chosen != self.chosen {
                actions.push(super::Action::Playground(Action::Choose(Box::new(chosen))));
            }
        });
        stage(ui, |ui| {
            if let Some(failure) = &self.failure {
                complain(ui, failure);
            }
            if let Some((carried, measured)) = &self.shown {
                self.plane(ui, carried, measured);
                ui.add_space(GRID);
                self.transport(ui, carried, actions);
            }
        });
    }

    fn choices(&self, ui: &mut Ui, chosen: &mut Chosen) {
        heading(ui, "Data");
        let options = FIELDS.each_ref().map(|field| (field.name, field.meaning));
        row(ui, "Field", "Where the flow leads", |ui| {
            let (response, picked) = choose(ui, "field", &chosen.field.clone(), &options);
            if let Some((name, _)) = picked.and_then(|index| options.get(index)) {
                chosen.field = (*name).to_owned();
            }
            response
        });
        let [most_steps, most_particles] = MOST;
        row(ui, "Particles", "How many are carried", |ui| count(ui, &mut chosen.particles, 1..=most_particles));
        row(ui, "Noise", "Where the particles begin", |ui| {
            let mut seed = chosen.seed as usize;
            let response = count(ui, &mut seed, 0..=9999);
            chosen.seed = seed as u64;
            response
        });
        ui.add_space(GRID);
        heading(ui, "Sampling");
        let mut sampler = chosen.sampler.clone();
        selection(ui, "Sampler", &self.samplers, None, &mut sampler);
        chosen.sampler = sampler;
        row(ui, "Steps", "More steps follow the flow more closely", |ui| count(ui, &mut chosen.steps, 1..=most_steps));
        selection(ui, "Schedule", &self.schedules, Some("the sampler's own"), &mut chosen.schedule);
        ui.checkbox(&mut chosen.whole_trails, "Trails from the beginning");
        ui.add_space(GRID);
        explain(
            ui,
            "Straight lines between noise and data that were paired by chance cross each other. A flow cannot cross \
             itself: where lines cross, its paths bend. The ends of the paths make new pairs, whose lines hardly cross \
             any more, and a flow fitted to them is nearly straight. That is rectified flow.",
        );
    }

    /// The play button, the slider over the steps, and where it stands.
    fn transport(&self, ui: &mut Ui, carried: &Carried, actions: &mut Vec<super::Action>) {
        let mut ask = |action| actions.push(super::Action::Playground(action));
        let last = carried.sigmas.len().saturating_sub(1) as f64;
        ui.horizontal(|ui| {
            match self.playing {
                Some(_) => {
                    if icon_button(ui, Icon::Pause, "Pause", None).clicked() {
                        ask(Action::Pause);
                    }
                }
                None => {
                    if icon_button(ui, Icon::Play, "Play", None).clicked() {
                        ask(Action::Play);
                    }
                }
            }
            let place = format!("step {:.1} of {last}  ·  sigma {:.2}", self.position.min(last), self.sigma(carried));
            let text = ui.painter().layout_no_wrap(place.clone(), TextStyle::Body.resolve(ui.style()), Color32::WHITE);
            // As wide as the widest, so that the slider's end stays where it is.
            let width = text.size().x.max(
                ui.painter()
                    .layout_no_wrap(
                        "step 000.0 of 000  ·  sigma 0.00".into(),
                        FontId::proportional(14.0),
                        Color32::WHITE,
                    )
                    .size()
                    .x,
            );
            ui.spacing_mut().slider_width = (ui.available_width() - width - 2.0 * GRID).max(8.0 * GRID);
            let mut position = self.position.min(last);
            let slider = egui::Slider::new(&mut position, 0.0..=last).show_value(false);
            // By whole steps, but for particles on their way: those would be moved to one.
            let slider = ui.add(if self.playing.is_some() { slider } else { slider.step_by(1.0) });
            slider.widget_info(|| WidgetInfo::slider(true, self.position, "Step"));
            if slider.changed() {
                ask(Action::Seek(position));
            }
            let (rect, _) = ui.allocate_exact_size(Vec2::new(width, ui.spacing().interact_size.y), Sense::hover());
            let right = egui::UiBuilder::new().max_rect(Rect::from_min_max(rect.min, rect.max));
            ui.scope_builder(right.layout(egui::Layout::right_to_left(egui::Align::Center)), |ui| ui.label(place));
        });
    }
}
