//! The finished picture's line and its buttons.

use eframe::egui::{self, Layout, RichText, Ui};

use super::progress::brief;
use super::state::{Finished, State};
use super::theme::{self, GRID};
use super::{Action, Once};

/// Draws what is known about the picture, or about the model before there is one.
pub fn line(ui: &mut Ui, state: &State) {
    ui.horizontal(|ui| {
        ui.set_min_height(ui.spacing().interact_size.y);
        match (&state.picture, &state.offer) {
            (Some(finished), _) => {
                ui.label(describe(finished));
            }
            (None, Some(offer)) => {
                let text = format!("{}: {}", offer.model, offer.about);
                ui.add(egui::Label::new(RichText::new(text).color(theme::of(ui).muted)).truncate());
            }
            (None, None) => {
                ui.weak("Opening the model…");
            }
        }
    });
}

/// Draws the buttons; they wait for a picture, and rest while the next one is made.
pub fn buttons(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let there = state.picture.as_ref().filter(|_| state.work.is_none());
    let saved = there.is_some_and(|finished| finished.path.is_some());
    ui.horizontal(|ui| {
        let mut button = |ui: &mut Ui, enabled: bool, name: &str, meaning: &str, action: Action| {
            if ui.add_enabled(enabled, egui::Button::new(name)).on_hover_text(meaning).clicked() {
                actions.push(action);
            }
        };
        let is_there = there.is_some();
        button(ui, saved, "Show folder", "Opens the folder and copies the picture's path", Action::ShowPlace);
        button(ui, is_there, "Copy picture", "Puts the picture on the clipboard", Action::CopyPicture);
        button(ui, is_there, "Save a copy…", "Writes the picture somewhere else", Action::CopyTo(suggestion(state)));
        button(
            ui,
            is_there,
            "Copy as command",
            "Copies the command that makes this picture again",
            Action::CopyCommand,
        );
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            let said = match (&state.note, there.and_then(|finished| finished.path.as_ref())) {
                (Some(note), _) => note.clone(),
                (None, Some(path)) => format!("Saved as {}", path.display()),
                (None, None) => return,
            };
            ui.add(egui::Label::new(RichText::new(&said).color(theme::of(ui).muted).size(12.5)).truncate())
                .on_hover_text(said);
        });
    });
}

/// Draws the field for a copy's path, while one is being typed. `focus` puts the cursor into it once.
pub fn copy_field(ui: &mut Ui, state: &State, focus: &mut Once, actions: &mut Vec<Action>) {
    let Some(before) = state.copy_to.as_ref().filter(|_| state.work.is_none()) else { return };
    ui.horizontal(|ui| {
        let label = ui.label("Save to");
        let mut path = before.clone();
        let room = ui.available_width() - 20.0 * GRID;
        let field = egui::TextEdit::singleline(&mut path).id_salt("copy").margin(egui::Margin::symmetric(8, 5));
        let response = ui.add(field.desired_width(room)).labelled_by(label.id);
        if focus.take() {
            response.request_focus();
        }
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        if path != *before {
            actions.push(Action::CopyTo(path.clone()));
        }
        let save = ui.add_enabled(!path.trim().is_empty(), egui::Button::new("Save")).clicked();
        if (save || entered) && !path.trim().is_empty() {
            actions.push(Action::SaveCopy(path));
        }
        if ui.button("Cancel").clicked() {
            actions.push(Action::CancelCopy);
        }
    });
}

/// A path to start from: the picture's own, whose next free name the library finds.
fn suggestion(state: &State) -> String {
    let path = state.picture.as_ref().and_then(|finished| finished.path.as_ref());
    path.map_or_else(|| "picture.png".into(), |path| path.display().to_string())
}

/// What is known about a picture.
fn describe(finished: &Finished) -> String {
    let picture = &finished.picture;
    let (w, h) = picture.image.dimensions();
    let steps = match picture.stopped {
        Some((taken, steps)) => format!("stopped after step {taken} of {steps}"),
        None => format!("{} steps", picture.request.steps),
    };
    let time = brief(picture.elapsed);
    format!("Seed {}  ·  {w} × {h}  ·  {}  ·  {steps}  ·  {time}", picture.seed, picture.request.sampler)
}
