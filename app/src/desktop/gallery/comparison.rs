//! Two pictures in one place: side by side along a line that can be moved, or one after the other.

use std::path::PathBuf;

use eframe::egui::accesskit::Role;
use eframe::egui::{
    self, Align2, Color32, CursorIcon, EventFilter, FontId, Id, Key, Modifiers, Rect, Response, RichText, Sense, Ui,
    WidgetInfo, pos2, vec2,
};

use super::picture_page::{Picture, SIDE};
use super::zoom::Zoom;
use super::{Action, Gallery, View};
use crate::desktop::controls::heading;
use crate::desktop::theme::{self, GRID};

/// Two pictures that are compared.
pub struct Comparison {
    /// The one on the left, or before.
    pub before: (PathBuf, Option<Picture>),
    /// The one on the right, or after.
    pub after: (PathBuf, Option<Picture>),
    /// How large both are shown.
    pub zoom: Zoom,
    /// How they are shown.
    pub shown: Shown,
}

/// How two pictures are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// Both, with the line at this part of the width.
    Line(f32),
    /// Only the first.
    Before,
    /// Only the second.
    After,
}

/// How far a key moves the line.
const STEP: f32 = 0.02;

impl Comparison {
    /// Two pictures that are being read.
    pub fn new(before: PathBuf, after: PathBuf) -> Self {
        Self { before: (before, None), after: (after, None), zoom: Zoom::default(), shown: Shown::Line(0.5) }
    }
}

/// Draws the page.
pub fn show(ui: &mut Ui, gallery: &mut Gallery, actions: &mut Vec<Action>) {
    let View::Comparison(comparison) = &mut gallery.view else { return };
    let palette = theme::of(ui);
    let margin = egui::Margin::same(2 * GRID as i8);
    let side = egui::Frame::new().fill(palette.panel).inner_margin(margin);
    egui::Panel::right("library comparison").exact_size(SIDE).resizable(false).frame(side).show(ui, |ui| {
        let scroll = egui::ScrollArea::vertical().auto_shrink(false);
        scroll.show(ui, |ui| differences(ui, comparison));
    });
    let bar = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin::symmetric(2 * GRID as i8, GRID as i8));
    egui::Panel::top("library comparison bar").resizable(false).frame(bar).show(ui, |ui| {
        ui.horizontal(|ui| {
            if ui.button("Back").on_hover_text("Back (Esc)").clicked() {
                actions.push(Action::Back);
            }
            let ways = [
                ("Slider", "Both, along a line (L)", Shown::Line(0.5)),
                ("Before", "Only the first; Space goes to and fro", Shown::Before),
                ("After", "Only the second; Space goes to and fro", Shown::After),
            ];
            for (name, hint, way) in ways {
                let here = std::mem::discriminant(&comparison.shown) == std::mem::discriminant(&way);
                if ui.selectable_label(here, name).on_hover_text(hint).clicked() && !here {
                    comparison.shown = way;
                }
            }
            if ui.button("Swap").on_hover_text("The first becomes the second").clicked() {
                std::mem::swap(&mut comparison.before, &mut comparison.after);
            }
        });
    });
    let middle = egui::Frame::new().fill(palette.canvas).inner_margin(margin);
    egui::CentralPanel::default().frame(middle).show(ui, |ui| canvas(ui, comparison));
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::Escape) {
        actions.push(Action::Back);
    }
    if pressed(Key::L) {
        comparison.shown = Shown::Line(0.5);
    }
    if pressed(Key::Space) {
        comparison.shown = if comparison.shown == Shown::After { Shown::Before } else { Shown::After };
    }
}

fn canvas(ui: &mut Ui, comparison: &mut Comparison) {
    let (room, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "Two pictures"));
    let Comparison { before, after, zoom, shown } = comparison;
    let (Some(first), Some(second)) = (&mut before.1, &mut after.1) else { return };
    let (first, second) = match (&mut first.sheet, &mut second.sheet) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(failure), _) | (_, Err(failure)) => {
            return super::notice(ui, room, "One of the files is damaged", &failure.what);
        }
    };
    let size = first.size().max(second.size());
    // Drawn before the pictures, so that its keys are not theirs.
    let line = match shown {
        Shown::Line(part) => Some(follow_line(ui, room, part)),
        Shown::Before | Shown::After => None,
    };
    zoom.follow(ui, &response, size);
    let place = zoom.place(room, size, ui.pixels_per_point());
    let (left, right) = match (*shown, &line) {
        (Shown::Line(_), Some((x, _))) => room.split_left_right_at_x(*x),
        (Shown::Before, _) => (room, Rect::NOTHING),
        _ => (Rect::NOTHING, room),
    };
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if left.is_positive() {
        first.paint(ui, place, left);
        caption(ui, left.left_top(), Align2::LEFT_TOP, &name(&before.0), left);
    }
    if right.is_positive() {
        second.paint(ui, place, right);
        let (corner, align) = match line {
            Some(_) => (right.right_top(), Align2::RIGHT_TOP),
            None => (right.left_top(), Align2::LEFT_TOP),
        };
        caption(ui, corner, align, &name(&after.0), right);
    }
    if let Some((x, handle)) = line {
        let ink = if handle.has_focus() { theme::of(ui).accent_line } else { Color32::WHITE };
        let painter = ui.painter();
        painter.vline(x, room.y_range(), (4.0, Color32::from_black_alpha(110)));
        painter.vline(x, room.y_range(), (2.0, ink));
        painter.circle(pos2(x, room.center().y), 1.25 * GRID, ink, (1.5, Color32::from_black_alpha(160)));
    }
}

/// The line, moved by pointer and keys; where it is.
fn follow_line(ui: &Ui, room: Rect, part: &mut f32) -> (f32, Response) {
    let x = room.left() + *part * room.width();
    let grip = Rect::from_center_size(pos2(x, room.center().y), vec2(3.0 * GRID, room.height()));
    let id = Id::unique("library comparison line");
    let handle = ui.interact(grip, id, Sense::click_and_drag()).on_hover_cursor(CursorIcon::ResizeHorizontal);
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    if let Some(pointer) = handle.interact_pointer_pos().filter(|_| handle.dragged()) {
        *part = (pointer.x - room.left()) / room.width().max(1.0);
    }
    if handle.has_focus() {
        let pressed = |key| ui.input_mut(|input| input.count_and_consume_key(Modifiers::NONE, key)) as f32;
        *part += STEP * (pressed(Key::ArrowRight) - pressed(Key::ArrowLeft));
    }
    *part = part.clamp(0.0, 1.0);
    handle.widget_info(|| WidgetInfo::slider(true, f64::from(*part), "Line between the pictures"));
    (room.left() + *part * room.width(), handle)
}

/// The name of a picture in its corner, on a ground that lets it be read on any picture.
fn caption(ui: &Ui, corner: egui::Pos2, align: Align2, text: &str, clip: Rect) {
    let painter = ui.painter().with_clip_rect(clip);
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.5), Color32::WHITE);
    let inset = vec2(GRID, GRID) * vec2(if align == Align2::RIGHT_TOP { -1.0 } else { 1.0 }, 1.0);
    let rect = align.anchor_size(corner + inset, galley.size() + vec2(2.0 * GRID, GRID));
    painter.rect_filled(rect, 4.0, Color32::from_black_alpha(170));
    painter.galley(rect.min + vec2(GRID, GRID / 2.0), galley, Color32::WHITE);
}

/// What the records say differently.
fn differences(ui: &mut Ui, comparison: &Comparison) {
    let palette = theme::of(ui);
    heading(ui, "What differs");
    for (of, ink) in [(&comparison.before.0, palette.text), (&comparison.after.0, palette.accent_line)] {
        let name = of.file_name().unwrap_or_default().to_string_lossy();
        ui.add(egui::Label::new(RichText::new(name).color(ink).size(13.0)).truncate());
    }
    ui.add_space(GRID);
    let said = |picture: &Option<Picture>| {
        picture.as_ref().and_then(|picture| picture.record.as_ref().ok()).map(|record| record.understood.clone())
    };
    let (Some(before), Some(after)) = (said(&comparison.before.1), said(&comparison.after.1)) else {
        ui.weak("Nothing is known yet.");
        return;
    };
    let value = |facts: &[(String, String)], name: &str| {
        facts.iter().find(|(known, _)| known == name).map_or("nothing", |(_, value)| value).to_owned()
    };
    let mut names: Vec<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let differing: Vec<_> = names
        .into_iter()
        .map(|name| (name, value(&before, name), value(&after, name)))
        .filter(|(_, before, after)| before != after)
        .collect();
    if differing.is_empty() {
        ui.label("Their records say the same.");
    }
    for (name, before, after) in differing {
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(RichText::new(name).color(palette.muted).size(12.5));
            ui.add(egui::Label::new(RichText::new(before).size(13.0)).wrap());
            ui.add(egui::Label::new(RichText::new(after).color(palette.accent_line).size(13.0)).wrap());
        });
    }
}
