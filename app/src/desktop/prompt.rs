//! The panel where a picture begins: the prompt and the button that makes it.

use eframe::egui::{self, Ui};

use super::controls::{heading, primary};
use super::state::State;
use super::theme::GRID;
use super::{Action, Once};

/// Draws the prompt and the button. `focus` puts the cursor into the prompt once, when the window opens.
pub fn show(ui: &mut Ui, state: &State, focus: &mut Once, actions: &mut Vec<Action>) {
    let label = heading(ui, "Prompt");
    let mut prompt = state.prompt.clone();
    let field = egui::TextEdit::multiline(&mut prompt)
        .id_salt("prompt")
        .hint_text("For example: a red lighthouse by the sea at sunset")
        .desired_rows(4)
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::same(GRID as i8));
    let response = ui.add(field).labelled_by(label.id);
    if focus.take() {
        response.request_focus();
    }
    if prompt != state.prompt {
        actions.push(Action::Prompt(prompt));
    }

    let obstacle = state.obstacle();
    let keys = ui.ctx().format_shortcut(&super::MAKE);
    let button = primary(ui, "Make picture", &keys, obstacle.is_none());
    if button.clicked() {
        actions.push(Action::Make);
    }
    if let Some(obstacle) = obstacle {
        button.on_disabled_hover_text(obstacle);
    }
}
