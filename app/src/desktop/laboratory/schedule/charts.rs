//! The curve of a schedule, whose points are dragged, and what lies under it.

use eframe::egui::{self, EventFilter, Key, Pos2, Response, RichText, Stroke, Ui};
use egui_plot::{Bar, BarChart, Line, PlotPoint, PlotTransform, Points};

use super::{Action, REACH, STRIDES, ScheduleEditor};
use crate::desktop::controls::row;
use crate::desktop::laboratory::chart::{Chart, Scale, ink};
use crate::desktop::laboratory::{self, explain};
use crate::desktop::theme::{self, GRID};
use crate::trace::TracedStep;

impl ScheduleEditor {
    /// The curve, whose points follow the pointer and the arrow keys.
    pub(super) fn curve(&self, ui: &mut Ui, height: f32, actions: &mut Vec<laboratory::Action>) {
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
        actions.extend(asked.into_iter().flatten().map(laboratory::Action::Schedule));
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
        let sigma = transform.value_from_position(pointer).y;
        // A pointer that rests asks for nothing, so nothing is painted.
        (held && self.curve.moved(self.point, sigma) != self.curve).then(|| vec![Action::Move(self.point, sigma)])
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
    pub(super) fn spacing(&self, ui: &mut Ui, height: f32) {
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
    pub(super) fn figures(&self, ui: &mut Ui, height: f32, actions: &mut Vec<laboratory::Action>) {
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
            let size = egui::vec2(20.0 * GRID, ui.spacing().interact_size.y);
            let middle = egui::Layout::left_to_right(egui::Align::Center);
            let list = ui.allocate_ui_with_layout(size, middle, |ui| self.figure.pick(ui));
            let (response, picked) = list.inner;
            actions.extend(picked.map(|figure| laboratory::Action::Schedule(Action::Figure(figure))));
            ui.label(RichText::new(said).color(theme::of(ui).muted).size(12.5));
            response
        });
        chart.show(ui, |plot| {
            plot.line(Line::new(called, places.clone()).stroke(Stroke::new(1.5, colour)));
            plot.points(Points::new(called, places).radius(3.0).color(colour));
        });
    }
}
