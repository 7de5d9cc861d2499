//! Settings that were given a name: kept, used again, taken away.

use std::collections::BTreeMap;

use eframe::egui::{self, Popup, PopupCloseBehavior, TextEdit, Ui};

use super::Action;
use super::controls::quiet;
use super::settings::Saved;
use super::theme::GRID;

/// What the panel keeps between two frames.
#[derive(Default)]
pub struct Presets {
    /// The name being typed.
    name: String,
}

/// Longest name.
const LONGEST: usize = 60;

impl Presets {
    /// Draws the button, and what opens below it.
    pub fn show(&mut self, ui: &mut Ui, presets: &BTreeMap<String, Saved>, actions: &mut Vec<Action>) {
        let button = quiet(ui, "Presets").on_hover_text("Settings by name");
        Popup::menu(&button).close_behavior(PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
            ui.set_width(34.0 * GRID);
            if presets.is_empty() {
                ui.weak("Settings that you give a name stand here.");
            }
            for name in presets.keys() {
                ui.horizontal(|ui| {
                    let width = ui.available_width() - 10.0 * GRID;
                    let use_it = egui::Button::new(name.as_str()).truncate().min_size(egui::Vec2::new(width, 0.0));
                    if ui.add(use_it).on_hover_text("Sets everything as it was").clicked() {
                        actions.push(Action::UsePreset(name.clone()));
                        ui.close();
                    }
                    let remove = ui.button("Remove");
                    if remove.on_hover_text(format!("Takes {name} away")).clicked() {
                        actions.push(Action::RemovePreset(name.clone()));
                    }
                });
            }
            ui.separator();
            ui.horizontal(|ui| {
                let width = ui.available_width() - 10.0 * GRID;
                let field = TextEdit::singleline(&mut self.name).hint_text("a name").char_limit(LONGEST);
                let response = ui.add(field.desired_width(width).margin(egui::Margin::symmetric(8, 5)));
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Name of the preset"));
                let name = self.name.trim();
                let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
                let save = ui.add_enabled(!name.is_empty(), egui::Button::new("Keep"));
                let save = save.on_hover_text("Keeps the settings under this name");
                if (save.clicked() || entered) && !name.is_empty() {
                    actions.push(Action::KeepPreset(name.to_owned()));
                    self.name.clear();
                    ui.close();
                }
            });
        });
    }
}
