//! The pictures as a grid. Only the rows that are seen are drawn, so ten thousand cost what fifty do.

use std::ops::Range;

use eframe::egui::accesskit::Role;
use eframe::egui::{
    self, Align2, Color32, EventFilter, FontId, Id, Key, Modifiers, PointerButton, Pos2, Rect, Sense, Shape, Stroke,
    StrokeKind, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::selection::{Layout, Reach, Step};
use super::thumbnails::{Thumbnail, Thumbnails};
use super::{Action, Gallery};
use crate::desktop::theme::{self, GRID};
use crate::library::{Content, Entry};

/// The least side of a picture's square.
const CELL: f32 = 21.0 * GRID;

/// What the grid knows of its last frame.
#[derive(Debug, Default)]
pub struct Frame {
    /// How the pictures lie.
    pub layout: Layout,
    /// How many pictures were drawn.
    pub drawn: usize,
}

/// Where the grid's keyboard focus is.
fn focus() -> Id {
    Id::unique("library grid")
}

/// Draws the pictures.
pub fn show(ui: &mut Ui, gallery: &mut Gallery, actions: &mut Vec<Action>) {
    let count = gallery.found.entries.len();
    // The bar of the scroll area has its own lane in the right margin.
    let room = ui.available_width() - GRID;
    let columns = (((room + GRID) / (CELL + GRID)) as usize).max(1);
    let side = ((room + GRID) / columns as f32 - GRID).max(GRID);
    let pitch = side + GRID;
    let rows = count.div_ceil(columns);
    let area = ui.available_rect_before_wrap();
    // Behind the pictures, so that clicks reach them first; it has the keyboard for all of them.
    let ground = ui.interact(area, focus(), Sense::click());
    ground.widget_info(|| WidgetInfo::labeled(Role::ListBox, true, "Pictures"));
    let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, escape: true, tab: false };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(focus(), filter));
    if gallery.focus_grid.take() {
        ground.request_focus();
    }
    // By the pointer: Space and Enter mean the picture where the keyboard is.
    if ground.clicked_by(PointerButton::Primary) && ui.input(|input| input.pointer.any_released()) {
        ground.request_focus();
        actions.push(Action::SelectNone);
    }
    if ground.has_focus() {
        steps(ui, gallery, actions);
    }
    if !super::is_typing(ui) {
        keys(ui, gallery, actions);
    }
    let cursor = gallery.selection.cursor().filter(|_| gallery.reveal.take());
    let has_focus = ground.has_focus();
    let scroll = egui::ScrollArea::vertical().id_salt("library").auto_shrink(false);
    scroll.show_viewport(ui, |ui, viewport| {
        ui.set_width(room);
        ui.set_height((rows as f32 * pitch - GRID).max(0.0));
        let top = ui.min_rect().min;
        let row = |y: f32| (y.max(0.0) / pitch) as usize;
        let seen = row(viewport.min.y).min(rows)..(row(viewport.max.y) + 1).min(rows);
        let places = |rows: Range<usize>| (rows.start * columns).min(count)..(rows.end * columns).min(count);
        let Gallery { found, selection, thumbnails, frame, backend, .. } = gallery;
        let per_page = (viewport.height() / pitch).max(1.0) as usize;
        frame.layout = Layout { count, columns, rows: per_page };
        frame.drawn = 0;
        let cell = |place: usize| {
            let (row, column) = (place / columns, place % columns);
            Rect::from_min_size(top + vec2(column as f32 * pitch, row as f32 * pitch), Vec2::splat(side))
        };
        for place in places(seen.clone()) {
            let Some(entry) = found.entries.get(place) else { break };
            let state =
                State { selected: selection.contains(place), here: has_focus && selection.cursor() == Some(place) };
            picture(ui, cell(place), Cell { entry, place, state }, thumbnails, actions);
            frame.drawn += 1;
        }
        if let Some(cursor) = cursor {
            ui.scroll_to_rect(cell(cursor), None);
        }
        // A page on each side, the side that people scroll to first.
        let after = places(seen.end..(seen.end + per_page).min(rows));
        let before = places(seen.start.saturating_sub(per_page)..seen.start);
        let at = |range: Range<usize>| found.entries.get(range).unwrap_or_default().iter();
        let wanted = thumbnails.end_frame(at(places(seen)), at(after).chain(at(before)));
        if let Some(wanted) = wanted {
            backend.send(crate::library::keeper::Command::Thumbnails(wanted));
        }
    });
}

struct Cell<'e> {
    entry: &'e Entry,
    place: usize,
    state: State,
}

struct State {
    selected: bool,
    /// Whether the keyboard is here.
    here: bool,
}

/// One picture: its thumbnail, a star, and a ring if it is selected.
fn picture(ui: &mut Ui, rect: Rect, cell: Cell<'_>, thumbnails: &mut Thumbnails, actions: &mut Vec<Action>) {
    let Cell { entry, place, state } = cell;
    // Not reached by Tab, which would take sixty strokes: the arrows go from one to the next.
    let response = ui.interact(rect, Id::unique(("picture", &entry.file.path)), Sense::CLICK);
    let star = if entry.starred { ", starred" } else { "" };
    response.widget_info(|| {
        let name = format!("{}{star}", entry.title());
        WidgetInfo::selected(Role::ListBoxOption, true, state.selected, name)
    });
    let palette = theme::of(ui);
    let painter = ui.painter();
    painter.rect_filled(rect, 4.0, palette.control[if response.hovered() { 1 } else { 0 }]);
    let thumbnail = thumbnails.see(&entry.file);
    let inside = match thumbnail {
        Some(Thumbnail::There(texture)) => {
            let size = texture.size_vec2();
            let scale = (rect.width() / size.x).min(rect.height() / size.y);
            let inside = Rect::from_center_size(rect.center(), size * scale);
            let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
            let shape = egui::epaint::RectShape::filled(inside, 4.0, Color32::WHITE).with_texture(texture.id(), whole);
            painter.add(shape);
            inside
        }
        _ => rect,
    };
    let damaged = match (&entry.content, thumbnail) {
        (Content::Damaged(reason), _) | (_, Some(Thumbnail::Damaged(reason))) => Some(reason.clone()),
        _ => None,
    };
    if damaged.is_some() && !matches!(thumbnail, Some(Thumbnail::There(_))) {
        let font = FontId::proportional(12.5);
        painter.text(rect.center(), Align2::CENTER_CENTER, "Damaged", font, palette.error);
    }
    if entry.starred {
        let at = inside.right_top() + vec2(-1.75 * GRID, 1.75 * GRID);
        painter.circle_filled(at, 1.4 * GRID, Color32::from_black_alpha(120));
        draw_star(painter, at, GRID, Color32::from_rgb(255, 214, 102));
    }
    if state.selected {
        painter.rect_stroke(rect, 4.0, Stroke::new(3.0, palette.accent_line), StrokeKind::Inside);
        painter.rect_stroke(rect.shrink(3.0), 2.0, Stroke::new(1.0, palette.canvas), StrokeKind::Inside);
    }
    if state.here {
        painter.rect_stroke(rect.expand(2.0), 6.0, Stroke::new(1.5, palette.accent_line), StrokeKind::Inside);
    }
    if response.clicked() {
        ui.memory_mut(|memory| memory.request_focus(focus()));
        let reach = match ui.input(|input| input.modifiers) {
            modifiers if modifiers.shift => Reach::Range,
            modifiers if modifiers.command => Reach::Toggle,
            _ => Reach::Only,
        };
        actions.push(Action::Select(place, reach));
    }
    if response.double_clicked() {
        actions.push(Action::Open(entry.file.path.clone()));
    }
    if response.hovered() {
        response.on_hover_text(match &damaged {
            Some(reason) => format!("{}: {reason}", entry.name()),
            None => hint(entry),
        });
    }
}

/// What is said about a picture beside the pointer.
fn hint(entry: &Entry) -> String {
    let mut lines = vec![entry.name()];
    if let Some(about) = entry.about() {
        lines.splice(0..0, (!about.prompt.is_empty()).then(|| about.prompt.clone()));
        let seed = about.seed.map(|seed| format!("seed {seed}"));
        let size = Some(format!("{} × {}", about.size.0, about.size.1));
        let facts: Vec<String> =
            [about.model.clone(), about.sampler.clone(), seed, size].into_iter().flatten().collect();
        lines.push(facts.join("  ·  "));
    }
    lines.join("\n")
}

/// A star of five points around `center`.
pub fn draw_star(painter: &egui::Painter, center: Pos2, radius: f32, ink: Color32) {
    let point = |index: usize| {
        let angle = std::f32::consts::TAU * (index as f32 / 10.0 - 0.25);
        let radius = if index.is_multiple_of(2) { radius } else { radius * 0.45 };
        center + radius * Vec2::angled(angle)
    };
    // Not convex: five points, each a triangle with the middle's five sides.
    for tip in (0..10).step_by(2) {
        let corners = vec![point(tip + 9), point(tip), point(tip + 1)];
        painter.add(Shape::convex_polygon(corners, ink, Stroke::NONE));
    }
    let middle = (0..5).map(|index| point(2 * index + 1)).collect();
    painter.add(Shape::convex_polygon(middle, ink, Stroke::NONE));
}

/// The keys that go from picture to picture.
fn steps(ui: &Ui, gallery: &Gallery, actions: &mut Vec<Action>) {
    const STEPS: [(Key, Step); 8] = [
        (Key::ArrowLeft, Step::Left),
        (Key::ArrowRight, Step::Right),
        (Key::ArrowUp, Step::Up),
        (Key::ArrowDown, Step::Down),
        (Key::PageUp, Step::PageUp),
        (Key::PageDown, Step::PageDown),
        (Key::Home, Step::First),
        (Key::End, Step::Last),
    ];
    const REACHES: [(Modifiers, Reach); 3] =
        [(Modifiers::SHIFT, Reach::Range), (Modifiers::COMMAND, Reach::Move), (Modifiers::NONE, Reach::Only)];
    for (key, step) in STEPS {
        for (modifiers, reach) in REACHES {
            let pressed = ui.input_mut(|input| input.count_and_consume_key(modifiers, key));
            actions.extend((0..pressed).map(|_| Action::Step(step, reach)));
        }
    }
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if let Some(cursor) = gallery.selection.cursor() {
        if pressed(Modifiers::COMMAND, Key::Space) || pressed(Modifiers::NONE, Key::Space) {
            actions.push(Action::Select(cursor, Reach::Toggle));
        }
        if pressed(Modifiers::NONE, Key::Enter)
            && let Some(entry) = gallery.found.entries.get(cursor)
        {
            actions.push(Action::Open(entry.file.path.clone()));
        }
    }
}

/// The keys that do something with what is selected.
fn keys(ui: &Ui, gallery: &Gallery, actions: &mut Vec<Action>) {
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if pressed(Modifiers::COMMAND, Key::A) {
        actions.push(Action::SelectAll);
    }
    if pressed(Modifiers::NONE, Key::Escape) {
        actions.push(Action::SelectNone);
    }
    let chosen = gallery.chosen();
    if chosen.is_empty() {
        return;
    }
    if pressed(Modifiers::NONE, Key::S) {
        actions.push(Action::Star(chosen.clone(), gallery.next_star()));
    }
    if pressed(Modifiers::NONE, Key::Delete) {
        actions.push(Action::Bin(chosen.clone()));
    }
    // The older before, the newer after.
    if let [newer, older] = chosen.as_slice()
        && pressed(Modifiers::NONE, Key::C)
    {
        actions.push(Action::Compare(older.clone(), newer.clone()));
    }
}
