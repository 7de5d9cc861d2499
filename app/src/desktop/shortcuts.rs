//! The sheet of keys: everything that can be done without a mouse.

use eframe::egui::{self, Grid, Id, Key, Modal, Modifiers, RichText, Ui};

use super::page::Page;
use super::theme::{self, GRID};

/// What the keys do, beside those that lead to pages.
const KEYS: &[(&str, &str)] = &[
    ("Ctrl+Enter", "Make the picture"),
    ("Ctrl+.", "Finish it now with the best so far"),
    ("Escape", "Close what is open"),
    ("Up, Down", "Prompts of before, at the prompt's start and end"),
    ("Ctrl+Z, Ctrl+Shift+Z", "Take back what was typed, and not"),
    ("Tab, Shift+Tab", "The next control, the one before"),
    ("Space, Enter", "Press the control that has the cursor"),
    ("Left, Right", "Change the number that has the cursor"),
    ("Ctrl+Plus, Ctrl+Minus, Ctrl+0", "Larger, smaller, as it was"),
    ("Ctrl+F", "Library: search"),
    ("S, Delete, C", "Library: star, delete, compare two"),
    ("0, 1, +, -", "A picture: whole, pixel by pixel, larger, smaller"),
    ("Ctrl+Q", "Close the window"),
    ("?, F1", "This sheet"),
];

/// Whether the sheet was asked for: by F1, or by a question mark that nobody is typing.
pub fn asked(ui: &Ui) -> bool {
    let typing = ui.ctx().egui_wants_keyboard_input();
    ui.input_mut(|input| {
        let f1 = input.consume_key(Modifiers::NONE, Key::F1);
        let mark = input.events.iter().any(|event| matches!(event, egui::Event::Text(text) if text == "?"));
        f1 || (mark && !typing)
    })
}

/// Draws the sheet; whether it stays open.
pub fn show(ui: &Ui) -> bool {
    let frame = egui::Frame::popup(ui.style()).inner_margin(egui::Margin::same(3 * GRID as i8));
    let modal = Modal::new(Id::unique("shortcuts")).frame(frame).show(ui.ctx(), |ui| {
        ui.set_width(64.0 * GRID);
        ui.heading("Keys");
        ui.add_space(GRID);
        let muted = theme::of(ui).muted;
        Grid::new("keys").num_columns(2).spacing([3.0 * GRID, GRID]).min_row_height(2.0 * GRID).show(ui, |ui| {
            let mut row = |keys: &str, meaning: &str| {
                ui.label(RichText::new(keys).color(muted));
                ui.label(meaning);
                ui.end_row();
            };
            for page in Page::ALL {
                if let Some(keys) = page.keys() {
                    row(&keys.format(&egui::ModifierNames::NAMES, false), &format!("The page {}", page.name()));
                }
            }
            for (keys, meaning) in KEYS {
                row(keys, meaning);
            }
        });
        ui.add_space(GRID);
        ui.button("Close").clicked()
    });
    !(modal.inner || modal.should_close())
}
