//! The page of settings: how the program looks, where files are, what it may take of the computer.

use std::path::PathBuf;

use eframe::egui::{self, RichText, TextEdit, Ui};

use super::Action;
use super::controls::{choose, row};
use super::preferences::{Look, Preferences, SCALES};
use super::theme::{self, GRID};

/// What the page keeps between two frames.
#[derive(Default)]
pub struct PreferencesPage {
    /// The folder for pictures, being typed.
    pictures: Option<String>,
    /// A folder with models, being typed.
    models: String,
    /// The token, being typed.
    token: String,
}

/// Width of the page's column.
const COLUMN: f32 = 72.0 * GRID;

/// What is known beside the preferences.
pub struct Known<'a> {
    /// Where pictures go now.
    pub pictures: &'a str,
    /// Whether there is a token.
    pub token: bool,
}

impl PreferencesPage {
    /// Draws the page.
    pub fn show(&mut self, ui: &mut Ui, preferences: &Preferences, known: &Known<'_>, actions: &mut Vec<Action>) {
        let frame = egui::Frame::new().fill(theme::of(ui).panel).inner_margin(egui::Margin::same(3 * GRID as i8));
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(COLUMN);
                ui.heading("Settings");
                let mut next = preferences.clone();
                section(ui, "Appearance", "");
                appearance(ui, &mut next);
                section(ui, "Files", "What is changed here is used from the next start on");
                self.files(ui, &mut next, known);
                section(ui, "Hugging Face", "Some models are given to people with an account only");
                self.token(ui, known, actions);
                section(ui, "Computer", "What is changed here is used from the next start on");
                computer(ui, &mut next);
                if next != *preferences {
                    actions.push(Action::Prefer(Box::new(next)));
                }
            });
        });
    }

    fn files(&mut self, ui: &mut Ui, next: &mut Preferences, known: &Known<'_>) {
        let shown = next.pictures.as_ref().map_or_else(String::new, |folder| folder.display().to_string());
        let typed = self.pictures.get_or_insert(shown);
        row(ui, "Pictures", "The folder that pictures are saved in", |ui| {
            let hint = format!("{} (as usual)", known.pictures);
            let response = ui.add(field(typed).hint_text(hint));
            if response.lost_focus() {
                let typed = typed.trim();
                next.pictures = (!typed.is_empty()).then(|| home(typed));
            }
            response
        });
        let mut gone = None;
        for (at, folder) in next.models.iter().enumerate() {
            let name = if at == 0 { "Models" } else { "" };
            row(ui, name, "", |ui| {
                let folder = folder.display().to_string();
                let remove = ui.button("Remove").on_hover_text(format!("Look no longer in {folder}"));
                if remove.clicked() {
                    gone = Some(at);
                }
                ui.add(egui::Label::new(folder).truncate())
            });
        }
        if let Some(at) = gone {
            next.models.remove(at);
        }
        let name = if next.models.is_empty() { "Models" } else { "One more" };
        row(ui, name, "A folder in which models and their parts are looked for, such as ComfyUI's", |ui| {
            let response = ui.add(field(&mut self.models).hint_text("a folder with models, such as ComfyUI's"));
            if response.lost_focus() && !self.models.trim().is_empty() {
                next.models.push(home(self.models.trim()));
                self.models.clear();
            }
            response
        });
    }

    fn token(&mut self, ui: &mut Ui, known: &Known<'_>, actions: &mut Vec<Action>) {
        row(ui, "Token", "It is kept in a file that only you can read, and sent to Hugging Face alone", |ui| {
            let hint = if known.token { "a token is kept" } else { "hf_…" };
            let width = ui.available_width() - 20.0 * GRID;
            let response = ui.add(field(&mut self.token).hint_text(hint).password(true).desired_width(width));
            let typed = !self.token.trim().is_empty();
            if ui.add_enabled(typed, egui::Button::new("Keep")).clicked() {
                actions.push(Action::KeepToken(std::mem::take(&mut self.token)));
            }
            let forget = ui.add_enabled(known.token, egui::Button::new("Forget"));
            if forget.on_hover_text("Takes the kept token away").clicked() {
                actions.push(Action::KeepToken(String::new()));
            }
            response
        });
        let page = "https://huggingface.co/settings/tokens";
        ui.hyperlink_to(RichText::new("Make a token (one that may read is enough)").size(12.5), page)
            .on_hover_text(page);
    }
}

fn appearance(ui: &mut Ui, next: &mut Preferences) {
    let options = Look::ALL.map(|(_, name)| (name, ""));
    let shown = Look::ALL.iter().find(|(look, _)| *look == next.theme).map_or("", |(_, name)| name);
    row(ui, "Theme", "", |ui| {
        let (response, chosen) = choose(ui, "theme", shown, &options);
        if let Some((look, _)) = chosen.and_then(|index| Look::ALL.get(index)) {
            next.theme = *look;
        }
        response
    });
    row(ui, "Scale", "How large everything is drawn; also Ctrl and plus, minus or 0", |ui| {
        let scale = egui::DragValue::new(&mut next.scale).range(SCALES).speed(0.01).max_decimals(2);
        ui.add_sized([14.0 * GRID, ui.spacing().interact_size.y], scale.update_while_editing(false))
    });
}

fn computer(ui: &mut Ui, next: &mut Preferences) {
    // 0 stands for "decide yourself": a field that can be empty would be one more control.
    let or = |zero: &'static str, unit: &'static str| {
        move |n: f64, _| if n == 0.0 { zero.to_owned() } else { format!("{}{unit}", (n * 10.0).round() / 10.0) }
    };
    row(ui, "Threads", "How many compute; 0 for one a core", |ui| {
        let mut threads = next.threads.unwrap_or(0);
        let field = egui::DragValue::new(&mut threads).range(0..=1024).speed(0.05);
        let response = amount(ui, field.custom_formatter(or("one a core", "")));
        next.threads = (threads > 0).then_some(threads);
        response
    });
    row(ui, "Memory", "The most memory the program takes, GiB; 0 for what the system can give", |ui| {
        let mut memory = next.memory.unwrap_or(0.0);
        let field = egui::DragValue::new(&mut memory).range(0.0..=4096.0).speed(0.1).max_decimals(1);
        let response = amount(ui, field.custom_formatter(or("all there is", " GiB")));
        next.memory = (memory > 0.0).then_some(memory);
        response
    });
}

fn amount(ui: &mut Ui, field: egui::DragValue<'_>) -> egui::Response {
    ui.add_sized([14.0 * GRID, ui.spacing().interact_size.y], field.update_while_editing(false))
}

fn section(ui: &mut Ui, name: &str, note: &str) {
    ui.add_space(2.0 * GRID);
    ui.label(RichText::new(name).size(15.0));
    if !note.is_empty() {
        ui.label(RichText::new(note).color(theme::of(ui).muted).size(12.5));
    }
}

fn field(text: &mut String) -> TextEdit<'_> {
    TextEdit::singleline(text).margin(egui::Margin::symmetric(8, 5)).desired_width(f32::INFINITY)
}

/// A typed folder; `~` is the home folder.
fn home(typed: &str) -> PathBuf {
    let rest = typed.strip_prefix("~").and_then(|rest| rest.strip_prefix('/').or(rest.is_empty().then_some("")));
    match rest.and_then(|rest| Some(dirs::home_dir()?.join(rest))) {
        Some(path) => path,
        None => PathBuf::from(typed),
    }
}
