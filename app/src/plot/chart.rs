//! What plots look like: panels with axes, curves, marks, and a legend beside them.

use std::convert::Infallible;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::prelude::{
    ChartBuilder, Circle, DashedLineSeries, EmptyElement, FontFamily, FontStyle, IntoDrawingArea, LineSeries,
    PathElement, Polygon, RGBAColor, ShapeStyle, Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Scale};
use super::backend::{Backend, FINE};
use crate::drawing::{Canvas, Lettering};
use crate::{Failure, Result};

/// Behind everything.
pub const PAPER: [u8; 3] = [255, 255, 255];
/// Titles and numbers.
const TEXT: [u8; 3] = [38, 42, 51];
/// What is said in passing.
const FAINT: [u8; 3] = [108, 115, 128];
/// Lines through the numbers of an axis.
const GRID: [u8; 3] = [216, 220, 227];
/// Lines between them.
const FINE_GRID: [u8; 3] = [239, 241, 245];

/// Colours that people with any colour vision tell apart (Okabe and Ito 2008, "Color Universal Design"), without the
/// yellow, which is lost on white.
const COLOURS: [[u8; 3]; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [0, 0, 0]];

/// How the points of a curve are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
}

const MARKS: [Mark; 4] = [Mark::Disc, Mark::Square, Mark::Triangle, Mark::Diamond];

/// How one curve looks, and its place in the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    colour: [u8; 3],
    mark: Mark,
}

impl Look {
    /// The look of the `index`th curve: another colour each, and another mark where the colours begin again.
    pub fn nth(index: usize) -> Self {
        let pick = |index: usize, count: usize| index % count;
        Self { colour: COLOURS[pick(index, COLOURS.len())], mark: MARKS[pick(index / COLOURS.len(), MARKS.len())] }
    }
}

/// A curve in a panel.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Where it goes, in the axes' units.
    pub points: Vec<[f64; 2]>,
    /// A dashed straight line beside it, from one point to another.
    pub guide: Option<[[f64; 2]; 2]>,
    /// How it looks.
    pub look: Look,
}

/// One pair of axes with what is drawn in them.
#[derive(Clone, Debug)]
pub struct Panel {
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What x is; without it the numbers below are left out too.
    pub x_title: Option<String>,
    /// What y is.
    pub y_title: String,
    /// The curves, later ones on top.
    pub curves: Vec<Curve>,
}

/// The widest name in the legend, in pixels.
const NAME: f64 = 380.0;

/// A line of the legend, and what is said about it in passing.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of the curve.
    pub look: Look,
    /// What the curve is.
    pub name: String,
    /// More about it; may be empty.
    pub remark: String,
}

/// A whole plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// More about it; may be empty.
    pub remark: String,
    /// From top to bottom; all have the same x.
    pub panels: Vec<Panel>,
    /// What the curves are.
    pub legend: Vec<Entry>,
}

/// The most points that are marked one by one.
const MARKED: usize = 60;

/// Sizes in pixels.
const WIDTH: u32 = 620;
const MARGIN: u32 = 24;
const HEAD: u32 = 66;
const Y_LABELS: u32 = 66;
const X_LABELS: u32 = 50;
const LEGEND_GAP: u32 = 20;
const SWATCH: u32 = 40;
const LEGEND_LINE: u32 = 40;
/// Where a panel alone and one of many end.
const TALL: u32 = 440;
const LOW: u32 = 110;

type Area<'a> = DrawingArea<Backend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<Infallible>>;

impl Plot {
    /// The plot on a canvas that is as large as it must be.
    ///
    /// # Errors
    /// Axes without extent, which its callers do not give.
    pub fn draw(&self) -> Result<Canvas> {
        let widest = |text: &str, size| Lettering::new(size).width(text).ceil() as u32;
        let legend = self.legend.iter().map(|entry| widest(&entry.short(), 14.0).max(widest(&entry.remark, 12.0)));
        let legend = legend.max();
        let legend = legend.map_or(0, |legend| LEGEND_GAP + SWATCH + legend);
        let panel = if self.panels.len() > 1 { LOW } else { TALL };
        let panels = panel * self.panels.len() as u32 + X_LABELS;
        let body = panels.max(LEGEND_LINE * self.legend.len() as u32 + MARGIN);
        let head = widest(&self.title, 19.0).max(widest(&self.remark, 13.0)) + 2 * MARGIN;
        let width = (WIDTH + legend + 2 * MARGIN).max(head);
        let mut canvas = Canvas::new(width, HEAD + body + MARGIN, PAPER);
        self.draw_on(&mut canvas, panel, panels, WIDTH).map_err(|error| {
            Failure::new(format!("the plot cannot be drawn: {error}"), "this is a bug; please report it")
        })?;
        Ok(canvas)
    }

    fn draw_on(&self, canvas: &mut Canvas, panel: u32, panels: u32, width: u32) -> Drawn {
        let root = Backend(canvas).into_drawing_area();
        let (head, rest) = root.split_vertically(HEAD * FINE);
        let title = style(19.0, TEXT, FontStyle::Bold);
        head.draw(&Text::new(self.title.clone(), fine([MARGIN, MARGIN - 4]), title))?;
        let remark = style(13.0, FAINT, FontStyle::Normal);
        head.draw(&Text::new(self.remark.clone(), fine([MARGIN, MARGIN + 22]), remark))?;
        let (body, side) = rest.split_horizontally((MARGIN + width) * FINE);
        let (mut body, _) = body.split_vertically(panels * FINE);
        for (index, shown) in self.panels.iter().enumerate() {
            let last = index + 1 == self.panels.len();
            let height = if last { panel + X_LABELS } else { panel };
            let (here, below) = body.split_vertically(height * FINE);
            shown.draw(&here, last)?;
            body = below;
        }
        for (index, entry) in self.legend.iter().enumerate() {
            entry.draw(&side, index as u32)?;
        }
        Ok(())
    }
}

impl Panel {
    fn draw(&self, area: &Area<'_>, last: bool) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin_left(MARGIN * FINE)
            .margin_top(10 * FINE)
            .y_label_area_size(Y_LABELS * FINE)
            .x_label_area_size(if last { X_LABELS * FINE } else { 0 })
            .build_cartesian_2d(self.x, self.y)?;
        let numbers = if last && area.dim_in_pixel().1 > TALL * FINE { 8 } else { 4 };
        let label = style(12.0, TEXT, FontStyle::Normal);
        let [x, y] = [self.x, self.y].map(|axis| move |value: &f64| axis.written(*value));
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(line(FINE_GRID, 1.0))
            .bold_line_style(line(GRID, 1.0))
            .axis_style(line(FAINT, 1.0))
            .x_labels(10)
            .y_labels(numbers)
            .x_label_formatter(&x)
            .y_label_formatter(&y)
            .label_style(label)
            .axis_desc_style(style(13.0, TEXT, FontStyle::Normal))
            .set_all_tick_mark_size(4 * FINE)
            .y_desc(self.y_title.clone());
        if let Some(title) = &self.x_title {
            mesh.x_desc(title.clone());
        }
        mesh.draw()?;
        for Curve { guide, look, .. } in &self.curves {
            if let Some(guide) = guide {
                let points = guide.map(|[x, y]| (x, y));
                let dashed = ShapeStyle { color: colour(look.colour, 0.55), ..line(look.colour, 1.2) };
                chart.draw_series(DashedLineSeries::new(points, 5 * FINE, 4 * FINE, dashed))?;
            }
        }
        for Curve { points, look, .. } in &self.curves {
            let places = || points.iter().map(|[x, y]| (*x, *y));
            chart.draw_series(LineSeries::new(places(), line(look.colour, 2.0)))?;
            // A white edge keeps marks apart where curves meet; a curve of many points needs no marks.
            let size = if self.y.scale == Scale::Log { 4.0 } else { 2.6 };
            let layers = if points.len() > MARKED { 0 } else { 2 };
            for (size, rgb) in [(size + 1.5, PAPER), (size, look.colour)].into_iter().take(layers) {
                match look.mark.corners(size) {
                    None => chart.draw_series(
                        places().map(|point| Circle::new(point, (size * f64::from(FINE)) as u32, filled(rgb))),
                    )?,
                    Some(corners) => chart.draw_series(
                        places().map(|point| EmptyElement::at(point) + Polygon::new(corners.clone(), filled(rgb))),
                    )?,
                };
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The name, cut if it is a whole story.
    fn short(&self) -> String {
        let start: String = self.name.chars().take(200).collect();
        Lettering::new(14.0).fitted(&start, NAME)
    }

    fn draw(&self, area: &Area<'_>, index: u32) -> Drawn {
        let middle = index * LEGEND_LINE + 22;
        let left = LEGEND_GAP;
        area.draw(&PathElement::new(
            vec![fine([left, middle]), fine([left + SWATCH - 12, middle])],
            line(self.look.colour, 2.0),
        ))?;
        let centre = fine([left + (SWATCH - 12) / 2, middle]);
        match self.look.mark.corners(4.0) {
            None => area.draw(&Circle::new(centre, 4 * FINE, filled(self.look.colour)))?,
            Some(corners) => {
                let moved = corners.into_iter().map(|(x, y)| (x + centre.0, y + centre.1)).collect::<Vec<_>>();
                area.draw(&Polygon::new(moved, filled(self.look.colour)))?;
            }
        }
        let middled = Pos::new(HPos::Left, VPos::Center);
        let up = if self.remark.is_empty() { 0 } else { 8 };
        let name = style(14.0, TEXT, FontStyle::Normal).pos(middled);
        area.draw(&Text::new(self.short(), fine([left + SWATCH, middle - up]), name))?;
        let remark = style(12.0, FAINT, FontStyle::Normal).pos(middled);
        area.draw(&Text::new(self.remark.clone(), fine([left + SWATCH, middle + 9]), remark))
    }
}

impl Mark {
    /// The corners around its middle, in the plotting crate's pixels; `None` for a disc.
    fn corners(self, radius: f64) -> Option<Vec<(i32, i32)>> {
        let corners: &[(f64, f64)] = match self {
            Self::Disc => return None,
            Self::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::Triangle => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            Self::Diamond => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        };
        let fine = |offset: f64| (offset * radius * f64::from(FINE)).round() as i32;
        Some(corners.iter().map(|(x, y)| (fine(*x), fine(*y))).collect())
    }
}

/// A place in the plotting crate's pixels.
fn fine([x, y]: [u32; 2]) -> (i32, i32) {
    ((x * FINE) as i32, (y * FINE) as i32)
}

fn colour([r, g, b]: [u8; 3], opacity: f64) -> RGBAColor {
    RGBAColor(r, g, b, opacity)
}

fn line(rgb: [u8; 3], width: f64) -> ShapeStyle {
    let stroke_width = (width * f64::from(FINE)).round() as u32;
    ShapeStyle { color: colour(rgb, 1.0), filled: false, stroke_width }
}

fn filled(rgb: [u8; 3]) -> ShapeStyle {
    ShapeStyle { filled: true, ..line(rgb, 1.0) }
}

fn style(size: f64, rgb: [u8; 3], weight: FontStyle) -> TextStyle<'static> {
    let mut style = TextStyle::from((FontFamily::SansSerif, size * f64::from(FINE), weight));
    style.color = plotters_backend::BackendColor { alpha: 1.0, rgb: (rgb[0], rgb[1], rgb[2]) };
    style
}
