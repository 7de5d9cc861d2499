//! The field that finds pictures, and the lists that narrow what it finds.

use eframe::egui::{self, Key, Modifiers, Ui};

use super::{Action, Gallery, Typed};
use crate::desktop::controls::choose;
use crate::desktop::theme::GRID;
use crate::library::{Age, Query, Stars};

/// Width of a list.
const LIST: f32 = 17.0 * GRID;
/// Width of a star's button and of the path's.
const BUTTONS: f32 = 20.0 * GRID;

/// Draws the bar.
pub fn show(ui: &mut Ui, gallery: &mut Gallery, actions: &mut Vec<Action>) {
    let mut query = gallery.query.clone();
    ui.horizontal(|ui| {
        let lists = 3.0 * (LIST + GRID) + BUTTONS;
        let field = egui::TextEdit::singleline(&mut query.words)
            .id_salt("library search")
            .hint_text("Search prompts and parameters")
            .margin(egui::Margin::symmetric(8, 5))
            .desired_width((ui.available_width() - lists).max(16.0 * GRID));
        let response = ui.add(field).accessible_name("Search prompts and parameters");
        let find = egui::KeyboardShortcut::new(Modifiers::COMMAND, Key::F);
        if ui.input_mut(|input| input.consume_shortcut(&find)) {
            response.request_focus();
        }
        if response.has_focus() && ui.input(|input| input.key_pressed(Key::ArrowDown)) {
            actions.push(Action::FocusGrid);
        }
        let found = &gallery.found;
        one_of(ui, "Model", "Any model", &found.models, &mut query.model);
        one_of(ui, "Sampler", "Any sampler", &found.samplers, &mut query.sampler);
        let ages: Vec<(&str, &str)> = Age::ALL.iter().map(|age| (age.name(), "")).collect();
        let chosen = list(ui, "Date", query.age.name(), &ages);
        query.age = chosen.and_then(|index| Age::ALL.get(index)).copied().unwrap_or(query.age);
        let starred = query.stars == Stars::Starred;
        if ui.selectable_label(starred, "Starred").on_hover_text("Only pictures with a star").clicked() {
            query.stars = if starred { Stars::All } else { Stars::Starred };
        }
        if ui.button("Open…").on_hover_text("A picture of any program, by its path; or drop it here").clicked() {
            actions.push(Action::Type(Typed::Open(String::new())));
        }
    });
    if query != gallery.query {
        actions.push(Action::Search(query));
    }
}

/// A list of what occurs, and `any` for no choice.
fn one_of(ui: &mut Ui, name: &str, any: &str, all: &[String], chosen: &mut Option<String>) {
    let options: Vec<(&str, &str)> =
        std::iter::once((any, "")).chain(all.iter().map(|known| (known.as_str(), ""))).collect();
    let shown = chosen.clone().unwrap_or_else(|| any.to_owned());
    match list(ui, name, &shown, &options) {
        Some(0) => *chosen = None,
        Some(index) => *chosen = all.get(index - 1).cloned(),
        None => {}
    }
}

fn list(ui: &mut Ui, name: &str, shown: &str, options: &[(&str, &str)]) -> Option<usize> {
    let room = egui::vec2(LIST, ui.spacing().interact_size.y);
    let left = egui::Layout::left_to_right(egui::Align::Center);
    ui.allocate_ui_with_layout(room, left, |ui| {
        let (response, chosen) = choose(ui, &format!("library {name}"), shown, options);
        // Its value is what is chosen.
        response.accessible_name(name);
        chosen
    })
    .inner
}

/// What stands where nothing is found.
pub fn nothing(query: &Query, total: usize) -> (&'static str, &'static str) {
    match (total, query.is_any()) {
        (0, _) => ("No pictures yet", "Every picture that you make appears here. Drop one of any program to read it."),
        (_, false) => ("Nothing found", "No picture says all of that. Search for less, or clear the filters."),
        (_, true) => ("", ""),
    }
}
