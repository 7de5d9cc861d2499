//! Colours, type and spacing: one dark theme, one accent, everything on a grid of 8 points.

use eframe::egui::{self, Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, TextStyle, Vec2};

/// The grid.
pub const GRID: f32 = 8.0;
/// Width of the panel with prompt and settings.
pub const SIDE: f32 = 336.0;

/// Behind the picture.
pub const CANVAS: Color32 = Color32::from_rgb(15, 16, 19);
/// Behind the controls.
pub const PANEL: Color32 = Color32::from_rgb(24, 26, 30);
/// Behind text fields.
pub const FIELD: Color32 = Color32::from_rgb(17, 18, 21);
/// Controls at rest, hovered, pressed.
const CONTROL: [Color32; 3] =
    [Color32::from_rgb(42, 45, 52), Color32::from_rgb(54, 58, 67), Color32::from_rgb(64, 69, 80)];
/// Lines between things.
pub const LINE: Color32 = Color32::from_rgb(44, 47, 54);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(226, 227, 230);
/// Text that explains.
pub const MUTED: Color32 = Color32::from_rgb(154, 158, 168);
/// The one colour that asks to be clicked or says "this is going on".
pub const ACCENT: Color32 = Color32::from_rgb(47, 111, 186);
/// The accent as a line or as text on a panel.
pub const ACCENT_LIGHT: Color32 = Color32::from_rgb(112, 170, 236);
/// Text of warnings.
pub const WARNING: Color32 = Color32::from_rgb(222, 184, 112);
/// Text of errors.
pub const ERROR: Color32 = Color32::from_rgb(236, 138, 130);

/// Puts the theme in place.
pub fn install(ctx: &egui::Context) {
    ctx.set_theme(egui::Theme::Dark);
    ctx.all_styles_mut(|style| {
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
        visuals.dark_mode = true;
        visuals.panel_fill = PANEL;
        visuals.window_fill = PANEL;
        visuals.window_stroke = Stroke::new(1.0, LINE);
        visuals.extreme_bg_color = FIELD;
        visuals.text_edit_bg_color = Some(FIELD);
        visuals.faint_bg_color = CONTROL[0];
        visuals.weak_text_color = Some(MUTED);
        visuals.warn_fg_color = WARNING;
        visuals.error_fg_color = ERROR;
        visuals.hyperlink_color = ACCENT_LIGHT;
        visuals.selection.bg_fill = ACCENT;
        // Text on the accent, and the outline of the field that has the cursor.
        visuals.selection.stroke = Stroke::new(1.0, Color32::from_rgb(190, 216, 248));
        visuals.slider_trailing_fill = true;
        visuals.disabled_alpha = 0.45;
        // A blinking cursor would paint twice a second for ever.
        visuals.text_cursor.blink = false;
        visuals.text_cursor.stroke = Stroke::new(1.5, ACCENT_LIGHT);

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
            widget.fg_stroke = Stroke::new(1.0, TEXT);
        }
        widgets.noninteractive.bg_stroke = Stroke::new(1.0, LINE);
        widgets.inactive.bg_stroke = Stroke::new(1.0, LINE);
        for (widget, fill) in [
            (&mut widgets.inactive, CONTROL[0]),
            (&mut widgets.hovered, CONTROL[1]),
            (&mut widgets.active, CONTROL[2]),
            (&mut widgets.open, CONTROL[1]),
        ] {
            widget.bg_fill = fill;
            widget.weak_bg_fill = fill;
        }
        widgets.hovered.bg_stroke = Stroke::new(1.0, CONTROL[2]);
        // A focused control is outlined in the accent.
        widgets.active.bg_stroke = Stroke::new(1.0, ACCENT_LIGHT);
        widgets.open.bg_stroke = Stroke::new(1.0, CONTROL[2]);
    });
}
