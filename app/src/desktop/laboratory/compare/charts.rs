//! What the runs see and measure, side by side.

use eframe::egui::{self, RichText, Stroke, Ui};
use egui_plot::{Legend, Line, PlotPoints, VLine};

use super::{Action, COLUMNS, Lane, SideBySide};
use crate::desktop::controls::row;
use crate::desktop::laboratory;
use crate::desktop::laboratory::chart::{Chart, Scale, ink};
use crate::desktop::theme::{self, GRID};
use crate::engine::laboratory::Compare;

impl SideBySide {
    /// The pictures, the slider, the charts.
    pub(super) fn runs(&self, ui: &mut Ui, actions: &mut Vec<laboratory::Action>) {
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
        if self.longest() < 1.0 {
            // Nothing to draw yet.
            return;
        }
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

    fn transport(&self, ui: &mut Ui, actions: &mut Vec<laboratory::Action>) {
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
                actions.push(laboratory::Action::Compare(Action::Seek(position)));
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
            legend: Some(Legend::default().follow_insertion_order(true)),
        };
        self.lines(ui, &chart, |lane| lane.distances());
    }

    fn figures(&self, ui: &mut Ui, height: f32, actions: &mut Vec<laboratory::Action>) {
        let (called, meaning) = self.figure.told();
        row(ui, "Figure", meaning, |ui| {
            let (response, picked) = self.figure.pick(ui);
            actions.extend(picked.map(|figure| laboratory::Action::Compare(Action::Figure(figure))));
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
            plot.vline(VLine::new("", here).stroke(Stroke::new(1.0, faint)).allow_hover(false));
            for (index, ((name, places), ink)) in lines.into_iter().zip(inks).enumerate() {
                let line = Line::new(name, PlotPoints::from(places)).id(index);
                plot.line(line.stroke(Stroke::new(1.75, ink)));
            }
        });
    }
}
