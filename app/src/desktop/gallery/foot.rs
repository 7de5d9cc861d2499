//! What can be done with the selected pictures, and what was done last.

use eframe::egui::{self, Align, Button, Layout, RichText, Ui};

use super::{Action, Gallery, Typed};
use crate::desktop::state::sentence;
use crate::desktop::theme::{self, GRID};
use crate::library::keeper::Star;

/// Draws the foot.
pub fn show(ui: &mut Ui, gallery: &mut Gallery, actions: &mut Vec<Action>) {
    messages(ui, gallery, actions);
    ui.horizontal(|ui| {
        let chosen = gallery.chosen();
        let any = !chosen.is_empty();
        let mut button = |ui: &mut Ui, enabled: bool, name: &str, hint: &str, action: &dyn Fn() -> Action| {
            if ui.add_enabled(enabled, Button::new(name)).on_hover_text(hint).clicked() {
                actions.push(action());
            }
        };
        let one = chosen.first().filter(|_| chosen.len() == 1).cloned();
        button(ui, one.is_some(), "Open", "Large, with all that is known (Enter)", &|| {
            Action::Open(one.clone().unwrap_or_default())
        });
        let star = gallery.next_star();
        let name = if any && star == Star::Take { "Remove star" } else { "Star" };
        button(ui, any, name, "A star to find it again (S)", &|| Action::Star(chosen.clone(), star));
        let two = <&[_; 2]>::try_from(chosen.as_slice()).ok().cloned();
        button(ui, two.is_some(), "Compare", "Two pictures in one place (C)", &|| {
            let [newer, older] = two.clone().unwrap_or_default();
            Action::Compare(older, newer)
        });
        button(ui, any, "Copy to…", "Copies the files to a folder; overwrites nothing", &|| {
            Action::Type(Typed::Export(String::new()))
        });
        button(ui, any, "Delete", "Moves them to the system's bin (Delete)", &|| Action::Bin(chosen.clone()));
        button(ui, gallery.undo, "Undo delete", "Brings them back from the bin (Ctrl+Z)", &|| Action::Restore);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = gallery.note.clone().unwrap_or_else(|| count(gallery));
            let text = RichText::new(text).color(theme::of(ui).muted).size(12.5);
            ui.add(egui::Label::new(text).truncate());
        });
    });
    typed(ui, gallery, actions);
}

/// How many there are.
fn count(gallery: &Gallery) -> String {
    let found = &gallery.found;
    let pictures = |count: usize| if count == 1 { "1 picture".to_owned() } else { format!("{count} pictures") };
    let all = match found.entries.len() == found.total {
        true => pictures(found.total),
        false => format!("{} of {}", found.entries.len(), pictures(found.total)),
    };
    let selected = match gallery.selection.len() {
        0 => String::new(),
        count => format!("  ·  {count} selected"),
    };
    let unread = if found.unread > 0 { format!("  ·  reading {}", found.unread) } else { String::new() };
    format!("{all}{selected}{unread}")
}

/// The field for a path, while one is being typed.
fn typed(ui: &mut Ui, gallery: &mut Gallery, actions: &mut Vec<Action>) {
    let Some(before) = gallery.typed.clone() else { return };
    ui.horizontal(|ui| {
        let (what, go, mut path) = match &before {
            Typed::Export(folder) => ("Copy to folder", "Copy", folder.clone()),
            Typed::Open(path) => ("Open the picture", "Open it", path.clone()),
        };
        let label = ui.label(what);
        let field = egui::TextEdit::singleline(&mut path).id_salt("library path").margin(egui::Margin::symmetric(8, 5));
        let room = ui.available_width() - 20.0 * GRID;
        let response = ui.add(field.desired_width(room)).labelled_by(label.id);
        if gallery.focus_typed.take() {
            response.request_focus();
        }
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let changed = match &before {
            Typed::Export(_) => Typed::Export(path.clone()),
            Typed::Open(_) => Typed::Open(path.clone()),
        };
        let there = !path.trim().is_empty();
        if changed != before {
            actions.push(Action::Type(changed.clone()));
        }
        if (ui.add_enabled(there, Button::new(go)).clicked() || entered) && there {
            actions.push(Action::Typed(changed));
        }
        let escaped = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Escape));
        if ui.button("Cancel").clicked() || escaped {
            actions.push(Action::StopTyping);
        }
    });
}

/// What went wrong, as calm text.
fn messages(ui: &mut Ui, gallery: &Gallery, actions: &mut Vec<Action>) {
    if gallery.failures.is_empty() {
        return;
    }
    let palette = theme::of(ui);
    ui.horizontal_top(|ui| {
        let room = ui.available_width() - 12.0 * GRID;
        ui.vertical(|ui| {
            ui.set_max_width(room);
            ui.spacing_mut().item_spacing.y = 2.0;
            for failure in &gallery.failures {
                ui.label(RichText::new(sentence(&failure.what)).color(palette.error));
                ui.label(RichText::new(sentence(&failure.hint)).color(palette.muted));
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            if ui.button("Dismiss").clicked() {
                actions.push(Action::Dismiss);
            }
        });
    });
}
