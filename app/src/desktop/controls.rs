//! The few kinds of controls that panels are built from, each with an accessible name.

use std::ops::RangeInclusive;

use eframe::egui::accesskit::Role;
use eframe::egui::{
    self, Align2, Color32, FontId, Layout, Pos2, Rect, Response, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo,
};
use flowline_sampler::catalog::{About, Kind, Value};

use super::settings::Selection;
use super::theme::{self, GRID};

/// Width of the names left of the controls.
const NAMES: f32 = 88.0;

/// A small heading.
pub fn heading(ui: &mut Ui, text: &str) -> Response {
    ui.label(egui::RichText::new(text).color(theme::of(ui).muted).size(12.5))
}

/// A button that stays in the background.
pub fn quiet(ui: &mut Ui, text: &str) -> Response {
    let text = egui::RichText::new(text).size(12.5).color(theme::of(ui).accent_line);
    ui.scope(|ui| {
        ui.spacing_mut().button_padding.x = GRID / 2.0;
        ui.add(egui::Button::new(text).frame_when_inactive(false).min_size(Vec2::new(0.0, 3.0 * GRID)))
    })
    .inner
}

/// A name on the left and its control on the right.
pub fn row(ui: &mut Ui, name: &str, meaning: &str, control: impl FnOnce(&mut Ui) -> Response) {
    ui.horizontal(|ui| {
        let size = Vec2::new(NAMES, ui.spacing().interact_size.y);
        let left = Layout::left_to_right(egui::Align::Center);
        let label = ui.allocate_ui_with_layout(size, left, |ui| {
            ui.set_min_width(NAMES);
            ui.label(name)
        });
        let response = control(ui).labelled_by(label.inner.id);
        if !meaning.is_empty() {
            label.inner.on_hover_text(meaning);
            response.on_hover_text(meaning);
        }
    });
}

/// A whole number.
pub fn count(ui: &mut Ui, value: &mut usize, range: RangeInclusive<usize>) -> Response {
    let field = egui::DragValue::new(value).range(range).speed(0.1).update_while_editing(false);
    wide(ui, field, ui.available_width())
}

/// A number.
pub fn number(ui: &mut Ui, value: &mut f64, range: RangeInclusive<f64>) -> Response {
    let span = range.end() - range.start();
    let speed = (span / 400.0).clamp(0.005, 0.1);
    let field = egui::DragValue::new(value).range(range).speed(speed).max_decimals(3).update_while_editing(false);
    wide(ui, field, ui.available_width())
}

/// A side of the picture.
pub fn side(ui: &mut Ui, value: &mut u32, multiple: u32, width: f32) -> Response {
    let range = multiple..=super::settings::LARGEST_SIDE;
    let field = egui::DragValue::new(value).range(range).speed(f64::from(multiple) / 8.0).update_while_editing(false);
    wide(ui, field, width)
}

/// A number field of this width.
fn wide(ui: &mut Ui, field: egui::DragValue<'_>, width: f32) -> Response {
    ui.add_sized(Vec2::new(width, ui.spacing().interact_size.y), field)
}

/// How tall an open list may be before it scrolls, points.
const LIST: f32 = 480.0;

/// One of a list: what each is called, and what it means.
pub fn choose(ui: &mut Ui, id: &str, shown: &str, options: &[(&str, &str)]) -> (Response, Option<usize>) {
    let mut chosen = None;
    let combo = egui::ComboBox::from_id_salt(id).selected_text(shown).width(ui.available_width()).truncate();
    let combo = combo.height(LIST);
    let response = combo.show_ui(ui, |ui| {
        for (index, (name, meaning)) in options.iter().enumerate() {
            let mut option = ui.selectable_label(*name == shown, *name);
            if !meaning.is_empty() {
                option = option.on_hover_text(*meaning);
            }
            if option.clicked() {
                chosen = Some(index);
            }
        }
    });
    (response.response, chosen)
}

/// A sampler or schedule, and controls for its parameters, made from its description.
pub fn selection(ui: &mut Ui, name: &str, offered: &[About], none: Option<&str>, value: &mut Option<Selection>) {
    let shown = value.as_ref().map_or(none.unwrap_or_default(), |selection| selection.about.name).to_owned();
    let mut options: Vec<(&str, &str)> = none.iter().map(|none| (*none, "")).collect();
    options.extend(offered.iter().map(|about| (about.name, about.meaning)));
    let meaning = value.as_ref().map_or("", |selection| selection.about.meaning);
    let mut picked = None;
    row(ui, name, meaning, |ui| {
        let (response, chosen) = choose(ui, name, &shown, &options);
        picked = chosen;
        response
    });
    if let Some(index) = picked {
        let about = index.checked_sub(options.len() - offered.len()).and_then(|index| offered.get(index));
        // Choosing what is chosen already keeps its parameters.
        if about.map(|about| about.name) != value.as_ref().map(|selection| selection.about.name) {
            *value = about.map(Selection::new);
        }
    }
    if let Some(selection) = value.as_mut().filter(|selection| !selection.values.is_empty()) {
        // A sampler and a schedule may have parameters of the same name.
        ui.push_id(name, |ui| parameters(ui, selection));
    }
}

/// Controls for the parameters of a sampler or schedule.
fn parameters(ui: &mut Ui, selection: &mut Selection) {
    for (parameter, value) in selection.about.parameters.iter().zip(&mut selection.values) {
        row(ui, &title(parameter.key), parameter.meaning, |ui| match (&parameter.kind, value) {
            (Kind::Number { min, max, .. }, Value::Number(value)) => number(ui, value, *min..=*max),
            (Kind::Word { options, .. }, Value::Word(value)) => {
                let options: Vec<(&str, &str)> = options.iter().map(|option| (*option, "")).collect();
                let (response, chosen) = choose(ui, parameter.key, value, &options);
                if let Some((option, _)) = chosen.and_then(|index| options.get(index)) {
                    *value = (*option).to_owned();
                }
                response
            }
            // A selection is only ever made from its description.
            (_, value) => ui.label(value.to_string()),
        });
    }
}

/// `base_shift` as a person reads it: `Base shift`.
fn title(key: &str) -> String {
    let words = key.replace('_', " ");
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// What an icon button shows; drawn here, because the bundled fonts have no such signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A die.
    Die,
    /// A closed lock.
    Closed,
    /// An open lock.
    Open,
    /// A brush.
    Brush,
    /// Four pictures.
    Pictures,
    /// Sliders.
    Sliders,
    /// Away to the right.
    Fold,
    /// Back from the right.
    Unfold,
    /// A flask.
    Flask,
    /// A triangle: begin.
    Play,
    /// Two bars: wait.
    Pause,
}

/// A square button with an icon. `on` is whether it is held down, for buttons that can be.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str, on: Option<bool>) -> Response {
    let side = ui.spacing().interact_size.y;
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| match on {
        Some(on) => WidgetInfo::selected(Role::Button, enabled, on, name),
        None => WidgetInfo::labeled(Role::Button, enabled, name),
    });
    let visuals = ui.style().interact(&response);
    let (fill, stroke, ink) = match on {
        Some(true) => (theme::of(ui).accent, Stroke::NONE, Color32::WHITE),
        _ => (visuals.weak_bg_fill, visuals.bg_stroke, visuals.fg_stroke.color),
    };
    ui.painter().rect(rect, visuals.corner_radius, fill, stroke, StrokeKind::Inside);
    if response.has_focus() {
        let ring = Stroke::new(1.0, theme::of(ui).accent_line);
        ui.painter().rect_stroke(rect, visuals.corner_radius, ring, StrokeKind::Inside);
    }
    draw(ui, icon, rect.center(), ink);
    response.on_hover_text(name)
}

/// Draws an icon of about 20 points around `center`.
pub fn draw(ui: &Ui, icon: Icon, center: Pos2, ink: Color32) {
    let (painter, line) = (ui.painter(), Stroke::new(1.5, ink));
    match icon {
        Icon::Die => {
            painter.rect_stroke(Rect::from_center_size(center, Vec2::splat(14.0)), 3.0, line, StrokeKind::Inside);
            for (x, y) in [(-3.0, -3.0), (3.0, -3.0), (0.0, 0.0), (-3.0, 3.0), (3.0, 3.0)] {
                painter.circle_filled(center + Vec2::new(x, y), 1.25, ink);
            }
        }
        Icon::Brush => {
            let at = |x: f32, y: f32| center + Vec2::new(x, y);
            painter.line(vec![at(8.0, -8.0), at(-1.0, 1.0)], Stroke::new(2.5, ink));
            let tip = vec![at(-1.5, -1.0), at(1.0, 1.5), at(-3.0, 7.0), at(-8.0, 8.0), at(-6.0, 3.0)];
            painter.add(egui::Shape::convex_polygon(tip, ink, Stroke::NONE));
        }
        Icon::Pictures => {
            for (x, y) in [(-4.5, -4.5), (4.5, -4.5), (-4.5, 4.5), (4.5, 4.5)] {
                let square = Rect::from_center_size(center + Vec2::new(x, y), Vec2::splat(7.0));
                painter.rect_stroke(square, 1.5, line, StrokeKind::Inside);
            }
        }
        Icon::Sliders => {
            for (y, x) in [(-6.0, 3.0), (0.0, -4.0), (6.0, 1.0)] {
                painter.hline((center.x - 8.0)..=(center.x + 8.0), center.y + y, line);
                painter.circle_filled(center + Vec2::new(x, y), 2.75, ink);
            }
        }
        Icon::Fold | Icon::Unfold => {
            let x = if icon == Icon::Fold { 3.0 } else { -3.0 };
            let at = |x: f32, y: f32| center + Vec2::new(x, y);
            painter.line(vec![at(-x, -5.0), at(x, 0.0), at(-x, 5.0)], line);
        }
        Icon::Flask => {
            let at = |x: f32, y: f32| center + Vec2::new(x, y);
            let glass = [
                (-2.5, -8.0),
                (-2.5, -2.5),
                (-7.0, 6.0),
                (-5.5, 8.0),
                (5.5, 8.0),
                (7.0, 6.0),
                (2.5, -2.5),
                (2.5, -8.0),
            ];
            painter.line(glass.map(|(x, y)| at(x, y)).to_vec(), line);
            painter.line_segment([at(-4.0, -8.0), at(4.0, -8.0)], line);
            let filling = vec![at(-4.2, 2.5), at(4.2, 2.5), at(6.0, 6.5), at(5.0, 7.5), at(-5.0, 7.5), at(-6.0, 6.5)];
            painter.add(egui::Shape::convex_polygon(filling, ink, Stroke::NONE));
        }
        Icon::Play => {
            let corners = [(-4.0, -6.0), (6.0, 0.0), (-4.0, 6.0)].map(|(x, y)| center + Vec2::new(x, y));
            painter.add(egui::Shape::convex_polygon(corners.to_vec(), ink, Stroke::NONE));
        }
        Icon::Pause => {
            for x in [-3.5, 3.5] {
                let bar = Rect::from_center_size(center + Vec2::new(x, 0.0), Vec2::new(3.5, 11.0));
                painter.rect_filled(bar, 1.0, ink);
            }
        }
        Icon::Closed | Icon::Open => {
            let body = Rect::from_min_size(center + Vec2::new(-6.0, -1.0), Vec2::new(12.0, 8.0));
            painter.rect_filled(body, 1.5, ink);
            // The shackle, as a half circle; an open one is lifted and let go on the right.
            let lift = if icon == Icon::Open { -2.5 } else { 0.0 };
            let arc = (0..=12).map(|i| {
                let angle = std::f32::consts::PI * (1.0 + i as f32 / 12.0);
                center + Vec2::new(3.5 * angle.cos(), 3.5 * angle.sin() - 3.0 + lift)
            });
            let mut shackle: Vec<Pos2> = std::iter::once(center + Vec2::new(-3.5, -1.0)).chain(arc).collect();
            if icon == Icon::Closed {
                shackle.push(center + Vec2::new(3.5, -1.0));
            }
            painter.line(shackle, line);
        }
    }
}

/// The button that makes pictures: full width, in the accent, with its keys on the right.
pub fn primary(ui: &mut Ui, text: &str, keys: &str, enabled: bool) -> Response {
    ui.add_enabled_ui(enabled, |ui| {
        let size = Vec2::new(ui.available_width(), 5.0 * GRID);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, text));
        let fill = match (response.is_pointer_button_down_on(), response.hovered()) {
            (true, _) => theme::of(ui).accent.lerp_to_gamma(Color32::BLACK, 0.12),
            (_, true) => theme::of(ui).accent.lerp_to_gamma(Color32::WHITE, 0.08),
            _ => theme::of(ui).accent,
        };
        let painter = ui.painter();
        painter.rect_filled(rect, 6.0, fill);
        if response.has_focus() {
            painter.rect_stroke(rect, 6.0, Stroke::new(1.5, Color32::WHITE), StrokeKind::Inside);
        }
        let (font, small) = (FontId::proportional(15.0), FontId::proportional(12.5));
        painter.text(rect.center(), Align2::CENTER_CENTER, text, font, Color32::WHITE);
        let right = rect.right_center() - Vec2::new(1.5 * GRID, 0.0);
        painter.text(right, Align2::RIGHT_CENTER, keys, small, Color32::from_white_alpha(190));
        response
    })
    .inner
}
