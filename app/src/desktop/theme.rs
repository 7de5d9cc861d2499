//! Colours, type and spacing: a dark theme and a light one, one accent, everything on a grid of 8 points.

use eframe::egui::{
    self, Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, Style, TextStyle, Theme, Ui, Vec2,
};

/// The grid.
pub const GRID: f32 = 8.0;
/// Width of the panel with prompt and settings.
pub const SIDE: f32 = 336.0;

/// The colours of a theme. Text has a contrast of at least 4.5 on everything it stands on (WCAG 2.2, level AA).
#[derive(Debug)]
pub struct Palette {
    /// Behind the picture.
    pub canvas: Color32,
    /// Behind the controls.
    pub panel: Color32,
    /// Behind text fields.
    pub field: Color32,
    /// Controls at rest, hovered, pressed.
    pub control: [Color32; 3],
    /// Lines between things.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Text that explains.
    pub muted: Color32,
    /// The one colour that asks to be clicked or says "this is going on"; white text stands on it.
    pub accent: Color32,
    /// The accent as a line or as text on a panel.
    pub accent_line: Color32,
    /// What is selected: its text, which also outlines the field with the cursor, and what is behind it.
    pub selected: [Color32; 2],
    /// Text of warnings.
    pub warning: Color32,
    /// Text of errors.
    pub error: Color32,
}

const DARK: Palette = Palette {
    canvas: Color32::from_rgb(15, 16, 19),
    panel: Color32::from_rgb(24, 26, 30),
    field: Color32::from_rgb(17, 18, 21),
    control: [Color32::from_rgb(42, 45, 52), Color32::from_rgb(54, 58, 67), Color32::from_rgb(64, 69, 80)],
    line: Color32::from_rgb(44, 47, 54),
    text: Color32::from_rgb(226, 227, 230),
    muted: Color32::from_rgb(154, 158, 168),
    accent: Color32::from_rgb(47, 111, 186),
    accent_line: Color32::from_rgb(112, 170, 236),
    selected: [Color32::from_rgb(200, 222, 248), Color32::from_rgb(36, 84, 142)],
    warning: Color32::from_rgb(222, 184, 112),
    error: Color32::from_rgb(236, 138, 130),
};

const LIGHT: Palette = Palette {
    canvas: Color32::from_rgb(228, 230, 234),
    panel: Color32::from_rgb(247, 248, 249),
    field: Color32::WHITE,
    control: [Color32::from_rgb(234, 236, 240), Color32::from_rgb(224, 227, 232), Color32::from_rgb(211, 215, 222)],
    line: Color32::from_rgb(214, 217, 223),
    text: Color32::from_rgb(28, 30, 35),
    muted: Color32::from_rgb(86, 91, 101),
    accent: Color32::from_rgb(36, 98, 173),
    accent_line: Color32::from_rgb(36, 98, 173),
    selected: [Color32::from_rgb(24, 76, 140), Color32::from_rgb(208, 225, 246)],
    warning: Color32::from_rgb(124, 78, 0),
    error: Color32::from_rgb(170, 36, 28),
};

/// The colours of a theme.
fn palette(theme: Theme) -> &'static Palette {
    match theme {
        Theme::Dark => &DARK,
        Theme::Light => &LIGHT,
    }
}

/// The colours that `ui` is drawn in.
pub fn of(ui: &Ui) -> &'static Palette {
    palette(if ui.visuals().dark_mode { Theme::Dark } else { Theme::Light })
}

/// Puts both themes in place.
pub fn install(ctx: &egui::Context) {
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| paint(style, palette(theme)));
    }
}

fn paint(style: &mut Style, palette: &Palette) {
    let font = |size| FontId::new(size, FontFamily::Proportional);
    style.text_styles.insert(TextStyle::Body, font(14.0));
    style.text_styles.insert(TextStyle::Button, font(14.0));
    style.text_styles.insert(TextStyle::Small, font(12.5));
    style.text_styles.insert(TextStyle::Heading, font(18.0));
    style.text_styles.insert(TextStyle::Monospace, FontId::new(13.0, FontFamily::Monospace));

    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::splat(GRID);
    spacing.button_padding = Vec2::new(12.0, 4.0);
    spacing.interact_size = Vec2::new(40.0, 28.0);
    spacing.icon_spacing = GRID;
    spacing.combo_height = 320.0;
    spacing.menu_margin = Margin::same(4);

    let visuals = &mut style.visuals;
    visuals.panel_fill = palette.panel;
    visuals.window_fill = palette.panel;
    visuals.window_stroke = Stroke::new(1.0, palette.line);
    visuals.extreme_bg_color = palette.field;
    visuals.text_edit_bg_color = Some(palette.field);
    visuals.faint_bg_color = palette.control[0];
    visuals.weak_text_color = Some(palette.muted);
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.error;
    visuals.hyperlink_color = palette.accent_line;
    visuals.selection.bg_fill = palette.selected[1];
    // Text on the accent, and the outline of the field that has the cursor.
    visuals.selection.stroke = Stroke::new(1.0, palette.selected[0]);
    visuals.slider_trailing_fill = true;
    visuals.disabled_alpha = 0.45;
    // A blinking cursor would paint twice a second for ever.
    visuals.text_cursor.blink = false;
    visuals.text_cursor.stroke = Stroke::new(1.5, palette.accent_line);

    let widgets = &mut visuals.widgets;
    for widget in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(6);
        widget.expansion = 0.0;
        widget.bg_stroke = Stroke::NONE;
        widget.fg_stroke = Stroke::new(1.0, palette.text);
    }
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.line);
    widgets.inactive.bg_stroke = Stroke::new(1.0, palette.line);
    for (widget, fill) in [
        (&mut widgets.inactive, palette.control[0]),
        (&mut widgets.hovered, palette.control[1]),
        (&mut widgets.active, palette.control[2]),
        (&mut widgets.open, palette.control[1]),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
    }
    widgets.hovered.bg_stroke = Stroke::new(1.0, palette.control[2]);
    // A focused control is outlined in the accent.
    widgets.active.bg_stroke = Stroke::new(1.0, palette.accent_line);
    widgets.open.bg_stroke = Stroke::new(1.0, palette.control[2]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two colours (WCAG 2.2, "contrast ratio").
    fn contrast(a: Color32, b: Color32) -> f64 {
        let luminance = |colour: Color32| {
            let linear = |value: u8| {
                let value = f64::from(value) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn all_text_can_be_read_in_both_themes() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 1e-9);
        for palette in [&DARK, &LIGHT] {
            let Palette { canvas, panel, field, control, text, muted, accent, accent_line, .. } = palette;
            for ground in [canvas, panel, field] {
                for ink in [text, muted, accent_line, &palette.warning, &palette.error] {
                    assert!(contrast(*ink, *ground) >= 4.5, "{ink:?} on {ground:?}: {}", contrast(*ink, *ground));
                }
            }
            for ground in control {
                assert!(contrast(*text, *ground) >= 4.5, "{text:?} on {ground:?}");
            }
            assert!(contrast(Color32::WHITE, *accent) >= 4.5);
            let [ink, ground] = palette.selected;
            assert!(contrast(ink, ground) >= 4.5, "{ink:?} on {ground:?}");
            // What is no text: outlines of what has the cursor.
            assert!(contrast(*accent_line, *panel) >= 3.0 && contrast(ink, *field) >= 3.0);
        }
    }
}
