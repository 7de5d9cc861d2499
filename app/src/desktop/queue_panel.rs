//! The queue beside the picture: what waits, what is being made, what is done. It can be folded away.

use std::collections::BTreeMap;
use std::path::Path;

use eframe::egui::accesskit::Role;
use eframe::egui::{
    self, Align, Color32, ColorImage, CornerRadius, Layout, Rect, RichText, Sense, Stroke, StrokeKind, TextureHandle,
    TextureOptions, Ui, Vec2, WidgetInfo,
};
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::canvas::color_image;
use super::controls::{Icon, heading, icon_button, quiet};
use super::progress::describe;
use super::state::State;
use super::theme::{self, GRID};
use crate::queue::{Ask, Ended, Entry, JobId, JobState, Pause, Task};

/// What the panel asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A change of the queue.
    Ask(Ask),
    /// What is set now, with four seeds.
    Four,
}

/// Width of the panel, and of what is left of it when it is folded away.
const WIDTH: f32 = 35.0 * GRID;
const FOLDED: f32 = 6.0 * GRID;
/// A narrower window has more need of the picture.
const ROOMY: f32 = 130.0 * GRID;
/// Side of the small pictures.
const THUMBNAIL: f32 = 5.0 * GRID;

/// What the panel keeps between two frames.
#[derive(Default)]
pub struct QueuePanel {
    /// Whether the user folded it away, or out.
    folded: Option<bool>,
    /// The entry whose buttons are shown.
    chosen: Option<JobId>,
    /// Small pictures of what was made since the window opened.
    thumbnails: BTreeMap<JobId, TextureHandle>,
}

impl QueuePanel {
    /// Takes in a picture of an entry.
    pub fn take(&mut self, ctx: &egui::Context, id: JobId, image: &RgbImage) {
        let small = thumbnail(image, ctx.pixels_per_point());
        let texture = ctx.load_texture(format!("entry {id}"), small, TextureOptions::LINEAR);
        self.thumbnails.insert(id, texture);
    }

    /// Draws the panel along the right side of `ui`.
    pub fn show(&mut self, ui: &mut Ui, state: &State, actions: &mut Vec<super::Action>) {
        self.thumbnails.retain(|id, _| state.queue.entries.iter().any(|entry| entry.id == *id));
        let folded = self.folded.unwrap_or(ui.ctx().content_rect().width() < ROOMY);
        let width = if folded { FOLDED } else { WIDTH };
        let sides = if folded { 1.25 * GRID } else { 2.0 * GRID };
        let margin = egui::Margin::symmetric(sides as i8, 2 * GRID as i8);
        let frame = egui::Frame::new().fill(theme::of(ui).panel).inner_margin(margin);
        let panel = egui::Panel::right("queue").exact_size(width).resizable(false).frame(frame);
        panel.show(ui, |ui| match folded {
            true => self.fold_button(ui, true),
            false => self.whole(ui, state, actions),
        });
    }

    fn fold_button(&mut self, ui: &mut Ui, folded: bool) {
        let (icon, name) = if folded { (Icon::Unfold, "Show the queue") } else { (Icon::Fold, "Hide the queue") };
        if icon_button(ui, icon, name, None).clicked() {
            self.folded = Some(!folded);
        }
    }

    fn whole(&mut self, ui: &mut Ui, state: &State, actions: &mut Vec<super::Action>) {
        let mut ask = |ask: Ask| actions.push(super::Action::Queue(Action::Ask(ask)));
        let entries = &state.queue.entries;
        ui.horizontal(|ui| {
            heading(ui, "Queue");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                self.fold_button(ui, false);
                let something = entries.iter().any(|entry| !entry.is_over());
                let meaning = "Nothing is made until you go on; an unfinished picture waits too";
                if state.queue.paused.is_none()
                    && ui.add_enabled_ui(something, |ui| quiet(ui, "Pause")).inner.on_hover_text(meaning).clicked()
                {
                    ask(Ask::Pause);
                }
            });
        });
        if let Some(sentence) = state.queue.paused.map(paused) {
            ui.label(RichText::new(sentence).color(theme::of(ui).warning));
            if ui.button("Go on").on_hover_text("What waits is made, one after the other").clicked() {
                ask(Ask::GoOn);
            }
        }
        if entries.is_empty() {
            ui.add_space(GRID);
            ui.label(
                RichText::new("What you ask for while a picture is being made lines up here, and is kept on the disk.")
                    .color(theme::of(ui).muted),
            );
            return;
        }
        let over = entries.iter().any(|entry| entry.is_over());
        let foot = if over { 4.0 * GRID } else { 0.0 };
        let room = (ui.available_height() - foot).max(THUMBNAIL);
        egui::ScrollArea::vertical().max_height(room).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = GRID / 2.0;
            for (place, entry) in entries.iter().enumerate() {
                self.entry(ui, state, entry);
                if self.chosen == Some(entry.id) {
                    buttons(ui, state, place, &mut ask);
                }
            }
        });
        if over && quiet(ui, "Clear finished").on_hover_text("The pictures stay where they are").clicked() {
            ask(Ask::ClearFinished);
        }
    }

    /// One entry: a small picture or a mark, and two lines. A click shows its buttons.
    fn entry(&mut self, ui: &mut Ui, state: &State, entry: &Entry) {
        let palette = theme::of(ui);
        let chosen = self.chosen == Some(entry.id);
        let size = Vec2::new(ui.available_width(), THUMBNAIL + GRID);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let (title, below) = (title(entry), below(state, entry));
        response.widget_info(|| {
            WidgetInfo::selected(Role::Button, true, chosen, format!("{title}, {}{}", below.state, below.text))
        });
        if response.clicked() {
            self.chosen = if chosen { None } else { Some(entry.id) };
        }
        if !ui.is_rect_visible(rect) {
            return;
        }
        let fill = match (chosen, response.hovered()) {
            (true, _) => palette.control[1],
            (_, true) => palette.control[0],
            _ => Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, 6.0, fill);
        if response.has_focus() {
            ui.painter().rect_stroke(rect, 6.0, Stroke::new(1.0, palette.accent_line), StrokeKind::Inside);
        }
        let inner = rect.shrink(GRID / 2.0);
        let small = Rect::from_min_size(inner.min, Vec2::splat(THUMBNAIL));
        match self.thumbnails.get(&entry.id) {
            Some(texture) => {
                egui::Image::new(texture).corner_radius(4.0).paint_at(ui, small);
            }
            None => mark(ui, small, &entry.state),
        }
        let text = Rect::from_min_max(small.right_top() + Vec2::new(GRID, 0.0), inner.max);
        let mut lines = ui.new_child(egui::UiBuilder::new().max_rect(text).layout(Layout::top_down(Align::Min)));
        lines.spacing_mut().item_spacing.y = 2.0;
        lines.add(egui::Label::new(RichText::new(&title).color(palette.text)).truncate().selectable(false));
        let color = if below.bad { palette.error } else { palette.muted };
        let line = RichText::new(&below.text).color(color).size(12.5);
        lines.add(egui::Label::new(line).truncate().selectable(false));
        if let Some(done) = below.done {
            let bar =
                Rect::from_min_size(rect.left_bottom() - Vec2::new(0.0, 2.0), Vec2::new(rect.width() * done, 2.0));
            ui.painter().rect_filled(bar, CornerRadius::ZERO, palette.accent_line);
        }
        response.on_hover_text(hover(entry));
    }
}

/// What can be done with the entry at `place`.
fn buttons(ui: &mut Ui, state: &State, place: usize, ask: &mut impl FnMut(Ask)) {
    let entries = &state.queue.entries;
    let Some(entry) = entries.get(place) else { return };
    let (id, waits) = (entry.id, entry.state == JobState::Waiting);
    let waiting = |entry: &&std::sync::Arc<Entry>| entry.state == JobState::Waiting;
    let before = entries.iter().take(place).rev().find(waiting).map(|entry| entry.id).filter(|_| waits);
    // Before the one after the next, or at the end.
    let mut after = entries.iter().skip(place + 1).filter(waiting);
    let next = after.next().filter(|_| waits);
    let beyond = after.next().map(|entry| entry.id);
    ui.horizontal(|ui| {
        ui.add_space(GRID / 2.0);
        let mut button = |ui: &mut Ui, name: &str, meaning: &str, asks: Option<Ask>| {
            let response = ui.add_enabled_ui(asks.is_some(), |ui| quiet(ui, name)).inner.on_hover_text(meaning);
            if let Some(asks) = asks.filter(|_| response.clicked()) {
                ask(asks);
            }
        };
        ui.spacing_mut().item_spacing.x = GRID / 2.0;
        ui.spacing_mut().button_padding.x = GRID;
        button(ui, "Up", "Make it earlier", before.map(|before| Ask::Move(id, Some(before))));
        button(ui, "Down", "Make it later", next.map(|_| Ask::Move(id, beyond)));
        button(ui, "Repeat", "Ask for it once more", Some(Ask::Repeat(id)));
        button(ui, "Remove", "Take it out; pictures that are made stay", Some(Ask::Remove(id)));
    });
}

/// Why the queue stands still, for people.
fn paused(why: Pause) -> &'static str {
    match why {
        Pause::Asked => "The queue is paused.",
        Pause::Crash => {
            "Flowline ended in the middle of a picture. Nothing is lost: it goes on from its last step when you go on."
        }
        Pause::Disk => "The queue cannot be written to the disk, so it stands still.",
    }
}

/// The first line of an entry.
fn title(entry: &Entry) -> String {
    match &entry.task {
        Task::Pictures(job) => job.draft.prompt.split_whitespace().collect::<Vec<_>>().join(" "),
        Task::Grid(grid) => format!("Grid: {}", grid.words.join(" ")),
    }
}

/// The second line of an entry.
struct Below {
    /// What its mark says, for those who do not see it.
    state: &'static str,
    text: String,
    /// Whether something is wrong.
    bad: bool,
    /// How much is done, from 0 to 1, while it is made.
    done: Option<f32>,
}

fn below(state: &State, entry: &Entry) -> Below {
    let plain = |state: &'static str, text: String| Below { state, text, bad: false, done: None };
    match &entry.state {
        JobState::Waiting if entry.request.is_some() => plain("waiting, ", format!("Begun  ·  {}", what(entry))),
        JobState::Waiting => plain("waiting, ", what(entry)),
        JobState::Making => match state.work.as_ref().filter(|work| work.job == Some(entry.id)) {
            Some(work) => Below { done: Some(super::progress::fraction(work)), ..plain("", describe(work)) },
            None if state.queue.ours.contains(&entry.id) => plain("", "Starting…".into()),
            None => plain("", "Another window makes it".into()),
        },
        JobState::Done(Ended::Whole) => plain("done, ", what(entry)),
        JobState::Done(Ended::Stopped) => plain("", format!("Stopped  ·  {}", what(entry))),
        JobState::Failed(reason) => Below { bad: true, ..plain("failed, ", super::state::sentence(&reason.what)) },
    }
}

/// Model, size and seeds of an entry.
fn what(entry: &Entry) -> String {
    let Task::Pictures(job) = &entry.task else { return String::from("a grid") };
    let model = Path::new(&job.model).file_name().map_or(job.model.as_str().into(), |name| name.to_string_lossy());
    let size = match &entry.request {
        Some(request) => Some((request.width, request.height)),
        None => job.draft.width.zip(job.draft.height),
    };
    let seeds = entry.request.as_ref().map_or(&job.draft.seeds, |request| &request.seeds);
    let mut parts = vec![model.into_owned()];
    parts.extend(size.map(|(width, height)| format!("{width} × {height}")));
    parts.push(match &seeds[..] {
        [] => "any seed".into(),
        [seed] => format!("seed {seed}"),
        seeds => format!("{} seeds", seeds.len()),
    });
    parts.join("  ·  ")
}

/// All that is known of an entry.
fn hover(entry: &Entry) -> String {
    let mut lines = vec![title(entry), what(entry)];
    if let JobState::Failed(reason) = &entry.state {
        lines.push(super::state::sentence(&reason.what));
        lines.push(super::state::sentence(&reason.hint));
    }
    lines.extend(entry.pictures.values().map(|path| path.display().to_string()));
    lines.join("\n")
}

/// What stands for a picture that is not there: a dash while it waits, a ring while it is made, a tick, a cross.
fn mark(ui: &Ui, rect: Rect, state: &JobState) {
    let palette = theme::of(ui);
    let (painter, center) = (ui.painter(), rect.center());
    painter.rect_filled(rect, 4.0, palette.field);
    let at = |x: f32, y: f32| center + Vec2::new(x, y);
    match state {
        JobState::Waiting => {
            painter.line_segment([at(-5.0, 0.0), at(5.0, 0.0)], Stroke::new(1.5, palette.muted));
        }
        JobState::Making => {
            painter.circle_stroke(center, 6.0, Stroke::new(2.0, palette.accent_line));
        }
        JobState::Done(_) => {
            painter.line(vec![at(-6.0, 0.0), at(-2.0, 4.0), at(6.0, -5.0)], Stroke::new(1.5, palette.text));
        }
        JobState::Failed(_) => {
            let line = Stroke::new(1.5, palette.error);
            painter.line_segment([at(-5.0, -5.0), at(5.0, 5.0)], line);
            painter.line_segment([at(-5.0, 5.0), at(5.0, -5.0)], line);
        }
    }
}

/// The middle of a picture as a small square.
fn thumbnail(image: &RgbImage, scale: f32) -> ColorImage {
    let (width, height) = image.dimensions();
    let short = width.min(height);
    let square = imageops::crop_imm(image, (width - short) / 2, (height - short) / 2, short, short).to_image();
    let side = (THUMBNAIL * scale).clamp(1.0, 256.0) as u32;
    color_image(&imageops::resize(&square, side, side, FilterType::Triangle))
}
