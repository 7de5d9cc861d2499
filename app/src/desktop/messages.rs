//! Warnings and errors, as calm text that blocks nothing.

use eframe::egui::{self, Layout, RichText, Ui};

use super::Action;
use super::state::{State, Tone};
use super::theme::{self, GRID};

/// Draws the messages; nothing where there are none.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if state.messages.is_empty() {
        return;
    }
    ui.horizontal_top(|ui| {
        let room = ui.available_width() - 12.0 * GRID;
        ui.vertical(|ui| {
            ui.set_max_width(room);
            ui.spacing_mut().item_spacing.y = 2.0;
            for message in &state.messages {
                let color = match message.tone {
                    Tone::Warning => theme::of(ui).warning,
                    Tone::Error => theme::of(ui).error,
                };
                ui.label(RichText::new(&message.text).color(color));
                if let Some(hint) = &message.hint {
                    ui.label(RichText::new(hint).color(theme::of(ui).muted));
                }
            }
        });
        ui.with_layout(Layout::right_to_left(egui::Align::Min), |ui| {
            if ui.button("Dismiss").clicked() {
                actions.push(Action::Dismiss);
            }
        });
    });
}
