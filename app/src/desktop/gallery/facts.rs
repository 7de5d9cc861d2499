//! What a picture's record says, as a table.

use eframe::egui::{self, Label, RichText, Ui};

use crate::desktop::controls::heading;
use crate::desktop::theme::{self, GRID};

/// A line of a table that is longer is cut; the whole is said beside the pointer, and copied.
const LONGEST: usize = 600;

/// Draws names and values in two columns.
pub fn table(ui: &mut Ui, title: &str, id: &str, facts: &[(String, String)]) {
    if facts.is_empty() {
        return;
    }
    heading(ui, title);
    let palette = theme::of(ui);
    let (names, gap) = (12.0 * GRID, GRID);
    let values = (ui.available_width() - names - gap).max(8.0 * GRID);
    ui.push_id(id, |ui| {
        ui.spacing_mut().item_spacing = egui::vec2(gap, GRID / 2.0);
        for (name, value) in facts {
            ui.horizontal_top(|ui| {
                let label = |text: &str, ink| Label::new(RichText::new(text).color(ink).size(13.0));
                cell(ui, names, label(name, palette.muted).truncate());
                let shown: String = value.chars().take(LONGEST).collect();
                let cut = shown.len() < value.len();
                let shown = if cut { shown + "…" } else { shown };
                let said = cell(ui, values, label(&shown, palette.text).wrap());
                if cut {
                    said.on_hover_text(format!("{} characters in all", value.chars().count()));
                }
            });
        }
    });
    ui.add_space(GRID);
}

fn cell(ui: &mut Ui, width: f32, label: Label) -> egui::Response {
    let top = egui::Layout::top_down(egui::Align::Min);
    ui.allocate_ui_with_layout(egui::vec2(width, 0.0), top, |ui| {
        ui.set_width(width);
        ui.add(label)
    })
    .inner
}
