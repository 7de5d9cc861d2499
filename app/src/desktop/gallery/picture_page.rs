//! One picture: large, with all that is known about it and what can be done with it.

use std::path::{Path, PathBuf};

use eframe::egui::{self, Key, Label, Modifiers, RichText, Sense, Ui, WidgetInfo, accesskit::Role};

use super::sheet::Sheet;
use super::zoom::Zoom;
use super::{Action, Gallery, View, Which, facts};
use crate::cli::verify::{self, Compared};
use crate::desktop::controls::heading;
use crate::desktop::state::sentence;
use crate::desktop::theme::{self, GRID};
use crate::error::Result;
use crate::library::Entry;
use crate::record::{Record, Source};

/// Width of the panel with what is known.
pub const SIDE: f32 = 42.0 * GRID;

/// A picture that is looked at.
pub struct Shown {
    /// Its file.
    pub path: PathBuf,
    /// What it is: `None` while it is being read.
    pub picture: Option<Picture>,
    /// How large it is shown.
    pub zoom: Zoom,
    /// How it compares with what its record makes.
    pub verdict: Verdict,
}

/// A picture that was read.
pub struct Picture {
    /// Its record.
    pub record: Result<Record>,
    /// Its pixels.
    pub sheet: Result<Sheet>,
}

/// Whether a picture was verified.
#[derive(Default)]
pub enum Verdict {
    /// Not yet.
    #[default]
    None,
    /// It is being made again.
    Waiting,
    /// How it compares.
    Done(Result<Compared>),
}

impl Shown {
    /// A picture that is being read.
    pub fn new(path: PathBuf) -> Self {
        Self { path, picture: None, zoom: Zoom::default(), verdict: Verdict::None }
    }

    fn record(&self) -> Option<&Record> {
        self.picture.as_ref()?.record.as_ref().ok()
    }
}

/// Draws the page.
pub fn show(ui: &mut Ui, gallery: &mut Gallery, actions: &mut Vec<Action>) {
    let View::Picture(shown) = &gallery.view else { return };
    let place = gallery.place_of(&shown.path);
    let entry = place.and_then(|place| gallery.found.entries.get(place)).cloned();
    let beside = |step: isize| {
        let place = place?.checked_add_signed(step)?;
        gallery.found.entries.get(place).map(|entry| entry.file.path.clone())
    };
    let (newer, older) = (beside(-1), beside(1));
    let position = place.map(|place| format!("{} of {}", place + 1, gallery.found.entries.len()));
    let undo = gallery.undo;
    let palette = theme::of(ui);
    let margin = egui::Margin::same(2 * GRID as i8);
    let View::Picture(shown) = &mut gallery.view else { return };
    let side = egui::Frame::new().fill(palette.panel).inner_margin(margin);
    egui::Panel::right("library picture").exact_size(SIDE).resizable(false).frame(side).show(ui, |ui| {
        let scroll = egui::ScrollArea::vertical().auto_shrink(false);
        scroll.show(ui, |ui| about(ui, shown, entry.as_deref(), actions));
    });
    let bar = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin::symmetric(2 * GRID as i8, GRID as i8));
    egui::Panel::top("library path").resizable(false).frame(bar).show(ui, |ui| {
        ui.horizontal(|ui| {
            if ui.button("Back").on_hover_text("Back to all pictures (Esc)").clicked() {
                actions.push(Action::Back);
            }
            let mut go = |ui: &mut Ui, name: &str, hint: &str, to: &Option<PathBuf>| {
                let button = ui.add_enabled(to.is_some(), egui::Button::new(name)).on_hover_text(hint);
                if let Some(to) = to.as_ref().filter(|_| button.clicked()) {
                    actions.push(Action::Open(to.clone()));
                }
            };
            go(ui, "Newer", "The next newer picture (Page up)", &newer);
            go(ui, "Older", "The next older picture (Page down)", &older);
            ui.weak(position.unwrap_or_else(|| "not in the library".into()));
            let fits = shown.zoom.fits();
            if ui.selectable_label(fits, "Fit").on_hover_text("The whole picture (0)").clicked() {
                shown.zoom.fit();
            }
            if ui.selectable_label(!fits, "1:1").on_hover_text("Pixel by pixel (1); + and - zoom").clicked() {
                shown.zoom.one_to_one();
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if let Some(older) = &older
                    && ui.button("Compare with older").on_hover_text("Both at once, or before and after (C)").clicked()
                {
                    actions.push(Action::Compare(older.clone(), shown.path.clone()));
                }
                if undo && ui.button("Undo delete").clicked() {
                    actions.push(Action::Restore);
                }
            });
        });
    });
    let middle = egui::Frame::new().fill(palette.canvas).inner_margin(margin);
    egui::CentralPanel::default().frame(middle).show(ui, |ui| canvas(ui, shown));
    if super::is_typing(ui) {
        return;
    }
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::Escape) {
        actions.push(Action::Back);
    }
    let fits = shown.zoom.fits();
    for (keys, to) in [([Key::PageUp, Key::ArrowLeft], &newer), ([Key::PageDown, Key::ArrowRight], &older)] {
        let [always, where_it_fits] = keys;
        if (pressed(always) || fits && pressed(where_it_fits))
            && let Some(to) = to
        {
            actions.push(Action::Open(to.clone()));
        }
    }
    if pressed(Key::C)
        && let Some(older) = &older
    {
        actions.push(Action::Compare(older.clone(), shown.path.clone()));
    }
    if let Some(entry) = &entry {
        if pressed(Key::S) {
            actions.push(Action::Star(vec![entry.file.path.clone()], super::opposite(entry)));
        }
        if pressed(Key::Delete) {
            actions.push(Action::Bin(vec![entry.file.path.clone()]));
        }
    }
}

/// The picture itself.
fn canvas(ui: &mut Ui, shown: &mut Shown) {
    let (room, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let name = shown.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match &mut shown.picture {
        Some(Picture { sheet: Ok(sheet), .. }) => {
            let size = sheet.size();
            if !super::is_typing(ui) {
                shown.zoom.follow(ui, &response, size);
            }
            if response.double_clicked() {
                if shown.zoom.fits() { shown.zoom.one_to_one() } else { shown.zoom.fit() }
            }
            sheet.paint(ui, shown.zoom.place(room, size, ui.pixels_per_point()), room);
            let percent = shown.zoom.percent(room, size, ui.pixels_per_point());
            response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("{name}, {percent} %")));
        }
        Some(Picture { sheet: Err(failure), .. }) => super::notice(ui, room, "This file is damaged", &failure.what),
        None => super::notice(ui, room, "", ""),
    }
}

/// What is known, and what can be done.
fn about(ui: &mut Ui, shown: &Shown, entry: Option<&Entry>, actions: &mut Vec<Action>) {
    let palette = theme::of(ui);
    let name = shown.path.file_name().unwrap_or_default().to_string_lossy();
    ui.add(Label::new(RichText::new(name).size(18.0)).wrap());
    ui.add(Label::new(RichText::new(folder(&shown.path)).color(palette.muted).size(12.5)).truncate());
    ui.add_space(GRID);
    let Some(picture) = &shown.picture else {
        ui.weak("Reading the picture…");
        return;
    };
    if let Some(record) = shown.record().filter(|record| record.source != Source::Unknown) {
        reuse(ui, record, actions);
    }
    files(ui, shown, entry, actions);
    ui.add_space(GRID);
    match &picture.record {
        Ok(record) if record.source == Source::Unknown => {
            ui.add(Label::new("The file says nothing about how the picture was made.").wrap());
        }
        Ok(record) => {
            let title = match record.source {
                Source::Flowline => "How it was made".to_owned(),
                other => format!("Read from {other}"),
            };
            facts::table(ui, &title, "understood", &record.understood);
            facts::table(ui, "Not taken over", "unused", &record.unused);
        }
        Err(failure) => {
            ui.add(Label::new(RichText::new(&failure.what).color(palette.error)).wrap());
            ui.add(Label::new(RichText::new(&failure.hint).color(palette.muted)).wrap());
        }
    }
}

/// The buttons that make another picture from this one.
fn reuse(ui: &mut Ui, record: &Record, actions: &mut Vec<Action>) {
    heading(ui, "Make more like it");
    ui.horizontal_wrapped(|ui| {
        let mut button = |ui: &mut Ui, name: &str, hint: &str, enabled: bool, action: Action| {
            if ui.add_enabled(enabled, egui::Button::new(name)).on_hover_text(hint).clicked() {
                actions.push(action);
            }
        };
        let draft = || Box::new(record.draft.clone());
        let has_seed = !record.draft.seeds.is_empty();
        let prompt = !record.draft.prompt.is_empty();
        button(ui, "Use all", "Fills in prompt and settings", true, Action::Use(draft(), Which::All));
        button(ui, "Use prompt", "Fills in the prompt", prompt, Action::Use(draft(), Which::Prompt));
        button(ui, "Use seed", "Fills in the seed", has_seed, Action::Use(draft(), Which::Seed));
    });
    ui.add_space(GRID);
}

/// The buttons that do something with the file.
fn files(ui: &mut Ui, shown: &Shown, entry: Option<&Entry>, actions: &mut Vec<Action>) {
    heading(ui, "This picture");
    let request = shown.record().and_then(|record| record.request.as_ref());
    ui.horizontal_wrapped(|ui| {
        if let Some(request) = request {
            if ui.button("Copy as command").on_hover_text("Copies the command that makes it again").clicked() {
                actions.push(Action::CopyCommand(Box::new(request.clone())));
            }
            let waiting = matches!(shown.verdict, Verdict::Waiting);
            let hint = "Makes it again from its record and compares every pixel";
            if ui.add_enabled(!waiting, egui::Button::new("Verify")).on_hover_text(hint).clicked() {
                actions.push(Action::Verify(shown.path.clone()));
            }
        }
        if ui.button("Copy path").clicked() {
            actions.push(Action::CopyPath(shown.path.clone()));
        }
        if let Some(entry) = entry {
            let path = || vec![shown.path.clone()];
            if ui.button(if entry.starred { "Remove star" } else { "Star" }).on_hover_text("(S)").clicked() {
                actions.push(Action::Star(path(), super::opposite(entry)));
            }
            if ui.button("Delete").on_hover_text("Moves it to the system's bin (Delete)").clicked() {
                actions.push(Action::Bin(path()));
            }
        }
    });
    verdict(ui, &shown.verdict);
}

fn verdict(ui: &mut Ui, verdict: &Verdict) {
    let palette = theme::of(ui);
    match verdict {
        Verdict::None => {}
        Verdict::Waiting => {
            ui.weak("Making it again to compare…");
        }
        Verdict::Done(Ok(compared)) => {
            let text = verify::sentence(compared);
            // The file's name stands above.
            let text = text.strip_prefix(&format!("{}: ", compared.picture)).unwrap_or(&text).trim_end().to_owned();
            let ink = if compared.identical { palette.accent_line } else { palette.warning };
            ui.add(Label::new(RichText::new(sentence(&text)).color(ink)).wrap());
        }
        Verdict::Done(Err(failure)) => {
            ui.add(Label::new(RichText::new(sentence(&failure.what)).color(palette.error)).wrap());
            ui.add(Label::new(RichText::new(sentence(&failure.hint)).color(palette.muted)).wrap());
        }
    }
}

fn folder(path: &Path) -> String {
    path.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}
