//! The pages of the window, and the rail on the left that leads to them.

use eframe::egui::accesskit::Role;
use eframe::egui::{self, Align2, FontId, Key, KeyboardShortcut, Modifiers, Rect, Sense, Ui, Vec2, WidgetInfo};

use super::Action;
use super::controls::{Icon, draw};
use super::theme::{self, GRID};

/// A page of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// Where pictures begin.
    #[default]
    Create,
    /// The pictures that were made.
    Library,
    /// Where samplers are experimented with.
    Laboratory,
    /// How the user likes the program.
    Settings,
}

/// Width of the rail.
pub const RAIL: f32 = 9.0 * GRID;

impl Page {
    /// All, in the order of the rail.
    pub const ALL: [Self; 4] = [Self::Create, Self::Library, Self::Laboratory, Self::Settings];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Library => "Library",
            Self::Laboratory => "Laboratory",
            Self::Settings => "Settings",
        }
    }

    fn icon(self) -> Icon {
        match self {
            Self::Create => Icon::Brush,
            Self::Library => Icon::Pictures,
            Self::Laboratory => Icon::Flask,
            Self::Settings => Icon::Sliders,
        }
    }

    /// The keys that lead to it: Ctrl+1 to the first, and so on.
    pub fn keys(self) -> Option<KeyboardShortcut> {
        const DIGITS: [Key; 5] = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
        let place = Self::ALL.iter().position(|page| *page == self)?;
        Some(KeyboardShortcut::new(Modifiers::COMMAND, *DIGITS.get(place)?))
    }
}

/// Draws the rail; `here` is the page that is shown.
pub fn rail(ui: &mut Ui, here: Page, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = GRID / 2.0;
    for page in Page::ALL {
        let keys = page.keys();
        if keys.is_some_and(|keys| ui.input_mut(|input| input.consume_shortcut(&keys))) || entry(ui, page, page == here)
        {
            actions.push(Action::Page(page));
        }
    }
}

/// One entry: an icon above its name, with the accent at the edge where it is shown. Whether it was clicked.
fn entry(ui: &mut Ui, page: Page, here: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 7.0 * GRID), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, here, page.name()));
    let palette = theme::of(ui);
    let ink = if here || response.hovered() { palette.text } else { palette.muted };
    let painter = ui.painter();
    if here {
        let edge = Rect::from_min_size(rect.min, Vec2::new(3.0, rect.height()));
        painter.rect_filled(edge.shrink2(Vec2::new(0.0, GRID)), 1.5, palette.accent_line);
    }
    if response.has_focus() {
        let ring = egui::Stroke::new(1.0, palette.accent_line);
        painter.rect_stroke(rect.shrink(4.0), 6.0, ring, egui::StrokeKind::Inside);
    }
    draw(ui, page.icon(), rect.center() - Vec2::new(0.0, GRID), ink);
    let below = rect.center() + Vec2::new(0.0, 1.75 * GRID);
    painter.text(below, Align2::CENTER_CENTER, page.name(), FontId::proportional(12.0), ink);
    let keys = page.keys().map(|keys| format!(" ({})", ui.ctx().format_shortcut(&keys))).unwrap_or_default();
    response.on_hover_text(format!("{}{keys}", page.name())).clicked()
}
