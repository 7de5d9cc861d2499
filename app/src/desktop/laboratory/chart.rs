//! How the laboratory's charts look: one frame for all of them, quiet lines, the accent for what matters.

use eframe::egui::accesskit::Role;
use eframe::egui::{Color32, Response, Ui, WidgetInfo};
use egui_plot::{GridInput, HoverPosition, Legend, Plot, PlotPoint, PlotResponse, PlotUi, uniform_grid_spacer};

use crate::desktop::theme;

/// A chart, ready to be drawn.
pub struct Chart<'a> {
    /// What it shows, for those who do not see it.
    pub name: &'a str,
    /// What runs along its axes.
    pub axes: [&'a str; 2],
    /// How tall it is, points.
    pub height: f32,
    /// Values that the axes reach in any case: along, up.
    pub reach: [[f64; 2]; 2],
    /// How values are laid out from low to high.
    pub scale: Scale,
    /// Names the lines.
    pub legend: Option<Legend>,
}

/// How values are laid out from low to high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    Plain,
    /// By their powers of ten.
    Powers,
}

impl Scale {
    /// Where the values stand; those that a scale has no place for are left out.
    pub fn places(self, values: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
        match self {
            Self::Plain => values,
            Self::Powers => values.into_iter().filter(|[_, y]| *y > 0.0).map(|[x, y]| [x, y.log10()]).collect(),
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Plain => place,
            Self::Powers => 10_f64.powf(place),
        }
    }
}

impl Chart<'_> {
    /// Draws it. It stays where it is: nothing is dragged or zoomed by accident.
    pub fn show<'b, R>(&self, ui: &mut Ui, draw: impl FnOnce(&mut PlotUi<'b>) -> R + 'b) -> PlotResponse<R> {
        let [[left, right], [low, high]] = self.reach;
        let [along, up] = self.axes.map(str::to_owned);
        let (told, scale) = ([along.clone(), up.clone()], self.scale);
        let mut plot = Plot::new(self.name)
            .height(self.height)
            .allow_zoom(false)
            .allow_drag(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .allow_double_click_reset(false)
            .allow_axis_zoom_drag(false)
            .show_background(true)
            .grid_color(theme::of(ui).line)
            .cursor_color(theme::of(ui).line)
            .x_grid_spacer(uniform_grid_spacer(steps))
            .include_x(left)
            .include_x(right)
            .y_axis_min_width(48.0)
            .x_axis_label(along)
            .y_axis_label(up)
            .label_formatter(move |at| Some(label(at, &told, scale)));
        plot = match self.scale {
            Scale::Plain => plot.include_y(low).include_y(high),
            Scale::Powers => plot.y_axis_formatter(|mark, _| {
                // Whole powers only; what lies between has no round name.
                if mark.value.fract() == 0.0 { format!("1e{}", mark.value) } else { String::new() }
            }),
        };
        if let Some(legend) = &self.legend {
            plot = plot.legend(legend.clone());
        }
        let shown = plot.show(ui, draw);
        named(&shown.response, self.name);
        shown
    }
}

/// Round numbers of steps, about a dozen of them.
fn steps(GridInput { bounds: (left, right), .. }: GridInput) -> [f64; 3] {
    let each = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0].into_iter();
    let each = each.clone().find(|each| right - left <= 10.0 * each).unwrap_or(1000.0);
    [each; 3]
}

/// Gives a chart its accessible name.
fn named(response: &Response, name: &str) {
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, name));
}

/// What is said of the place under the pointer.
fn label(at: &HoverPosition<'_>, [along, up]: &[String; 2], scale: Scale) -> String {
    let say = |PlotPoint { x, y }: &PlotPoint| format!("{along} {x:.3}\n{up} {:.4}", scale.value(*y));
    match at {
        HoverPosition::NearDataPoint { plot_name, position, .. } => format!("{plot_name}\n{}", say(position)),
        HoverPosition::Elsewhere { position } => say(position),
    }
}

/// Colours that tell up to eight lines apart, in both themes: the accent first.
pub fn ink(ui: &Ui, index: usize) -> Color32 {
    const DARK: [Color32; 8] = [
        Color32::from_rgb(112, 170, 236),
        Color32::from_rgb(240, 168, 84),
        Color32::from_rgb(112, 200, 150),
        Color32::from_rgb(222, 132, 196),
        Color32::from_rgb(222, 212, 110),
        Color32::from_rgb(240, 128, 120),
        Color32::from_rgb(168, 152, 240),
        Color32::from_rgb(180, 186, 196),
    ];
    const LIGHT: [Color32; 8] = [
        Color32::from_rgb(36, 98, 173),
        Color32::from_rgb(184, 98, 12),
        Color32::from_rgb(22, 124, 78),
        Color32::from_rgb(164, 52, 130),
        Color32::from_rgb(126, 110, 0),
        Color32::from_rgb(190, 48, 40),
        Color32::from_rgb(98, 74, 196),
        Color32::from_rgb(86, 91, 101),
    ];
    let inks = if ui.visuals().dark_mode { DARK } else { LIGHT };
    inks.get(index % inks.len()).copied().unwrap_or(theme::of(ui).text)
}
