//! The plane at one moment: particles, and the trails behind them, in three panels.

use eframe::egui::accesskit::Role;
use eframe::egui::{self, Color32, Pos2, RichText, Sense, Shape, Stroke, Ui, Vec2, WidgetInfo, pos2};

use super::Playground;
use crate::desktop::theme::{self, GRID};
use crate::playground::scene::{REACH, TRAIL, Ways, colour};
use crate::playground::{Carried, Measured, Place};

/// A trail is drawn in so many pieces, each with a colour of its own.
const PIECES: usize = 8;

impl Playground {
    /// Three panels side by side.
    pub(super) fn plane(&self, ui: &mut Ui, carried: &Carried, measured: &Measured) {
        let gap = 2.0 * GRID;
        let room = ui.available_size();
        let foot = 9.0 * GRID;
        let side = ((room.x - 2.0 * gap) / 3.0).min(room.y - foot - 3.0 * GRID).max(8.0 * GRID).floor();
        let panels = [
            ("Independent pairs", format!("crossing {:.2}", measured.independent), Ways::Lines(carried.independent())),
            ("The flow", format!("straightness {:.2}", measured.straightness), Ways::Paths(carried)),
            ("Rectified pairs", format!("crossing {:.2}", measured.rectified), Ways::Lines(carried.rectified())),
        ];
        // In the middle of the stage, the transport below.
        ui.add_space(((room.y - side - foot - 3.0 * GRID) / 2.0).max(0.0));
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            ui.add_space(((room.x - 3.0 * side - 2.0 * gap) / 2.0).max(0.0));
            for (title, remark, ways) in &panels {
                ui.vertical(|ui| self.panel(ui, side, [title, remark.as_str()], ways, self.sigma(carried)));
            }
        });
    }

    fn panel(&self, ui: &mut Ui, side: f32, [title, remark]: [&str; 2], ways: &Ways<'_>, sigma: f64) {
        let palette = theme::of(ui);
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("{title}: {remark}")));
        let painter = ui.painter().with_clip_rect(rect);
        painter.rect_filled(rect, GRID, palette.panel);
        let seen = |place: Place| -> Pos2 {
            let [across, up] = place.map(|value| (value / REACH).clamp(-1.0, 1.0) as f32);
            pos2(rect.center().x + across * side / 2.0, rect.center().y - up * side / 2.0)
        };
        let ink = |sigma: f64| {
            let [red, green, blue] = colour(sigma).rgb;
            let bright = Color32::from_rgb(red, green, blue);
            // The same colours can be told from a light ground when they are a little darker.
            if ui.visuals().dark_mode { bright } else { bright.lerp_to_gamma(Color32::BLACK, 0.22) }
        };
        let oldest = if self.chosen.whole_trails { 1.0 } else { (sigma + TRAIL).min(1.0) };
        let from = |piece: usize| oldest + (sigma - oldest) * piece as f64 / PIECES as f64;
        for piece in 0..PIECES {
            let (begin, end) = (from(piece), from(piece + 1));
            if begin <= end {
                continue;
            }
            let fresh = (piece + 1) as f32 / PIECES as f32;
            let opacity = if self.chosen.whole_trails { 0.45 } else { 0.65 * fresh * fresh };
            let stroke = Stroke::new(1.0, ink((begin + end) / 2.0).gamma_multiply(opacity));
            let trails = (0..ways.count()).map(|particle| {
                Shape::line(ways.between(particle, [begin, end]).into_iter().map(seen).collect(), stroke)
            });
            painter.extend(trails);
        }
        let dots = (0..ways.count()).filter_map(|particle| ways.between(particle, [sigma, sigma]).first().copied());
        painter.extend(dots.map(|place| Shape::circle_filled(seen(place), 2.0, ink(sigma))));
        let size = Vec2::new(side, ui.spacing().interact_size.y);
        ui.allocate_ui(size, |ui| {
            egui::Sides::new().show(
                ui,
                |ui| ui.label(title),
                |ui| ui.label(RichText::new(remark).color(palette.muted).size(12.5)),
            )
        });
    }
}
