//! The contact sheet `sheet.png`: every picture small, with the axes' values beside it.
//!
//! The last axis with several values runs from left to right. All axes before it make the rows, each with a label of its
//! own, the first changing slowest. What is too wide goes on in the next line, what is too long on the next sheet.

use std::path::Path;

use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};

use super::{Axis, Cell, Folder, Plan, Row};
use crate::drawing::lettering::LINE;
use crate::drawing::{Across, Lettering, Up};
use crate::{Result, record};

/// The file's name.
const SHEET: &str = "sheet.png";
/// The longest side of a picture on the sheet, pixels; less where there are many. None is enlarged.
const SIDES: std::ops::RangeInclusive<u32> = 48..=256;
/// About the widest and longest that a sheet may be, pixels; what is left goes on the next.
const WIDEST: u32 = 6144;
const LONGEST: u32 = 8192;
/// The narrowest that a column may be, for what stands under the pictures.
const NARROWEST: u32 = 120;
/// Between pictures, and around the sheet.
const GAP: u32 = 12;
/// The labels' size, and that of what stands under a picture.
const LABEL: f64 = 16.0;
const CAPTION: f64 = 12.0;
/// The widest that row labels may be.
const LABELS: f64 = 280.0;
/// Axes that change the prompt, or may.
const PROMPTS: [&str; 4] = ["prompt", "prompt-file", "from", "branch"];
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const MISSING: Rgb<u8> = Rgb([232, 232, 236]);
const DARK: [u8; 3] = [32, 32, 40];
const SOFT: [u8; 3] = [104, 104, 116];

/// Draws the sheets into `folder`, and returns their names: `sheet.png`, `sheet-2.png` where one would be too long.
///
/// # Errors
/// What the system says.
pub fn write(plan: &Plan, folder: &Folder) -> Result<Vec<String>> {
    let layout = Layout::of(plan);
    let mut names = Vec::new();
    for (number, first) in (1..).zip((0..layout.lines).step_by(layout.lines_a_sheet())) {
        let sheet = draw(plan, &layout, first, &mut |cell| {
            let row = folder.row(&cell.key)?;
            let picture = image::open(folder.at(&row.picture)).ok()?.into_rgb8();
            Some((row, picture))
        });
        let name = if number == 1 { SHEET.to_owned() } else { SHEET.replace('.', &format!("-{number}.")) };
        folder.write(Path::new(&name), |out| record::write_png(out, &sheet, &[]))?;
        names.push(name);
    }
    Ok(names)
}

/// Where things stand, in pixels. A line is a row of the axes, or a part of one that is too long.
struct Layout {
    /// Axes that make the rows.
    down: Vec<usize>,
    /// The axis that makes the columns.
    across: Option<usize>,
    /// How many values that has, and in how many columns they stand.
    values: usize,
    columns: usize,
    /// Lines in all.
    lines: usize,
    /// Longest side of a picture.
    side: u32,
    /// Width of a column.
    column: u32,
    /// The corner of the first picture.
    left: u32,
    top: u32,
    /// From one line to the next.
    pitch: u32,
}

impl Layout {
    fn of(plan: &Plan) -> Self {
        let several = |(_, axis): &(usize, &Axis)| axis.values.len() > 1;
        let mut down: Vec<usize> = plan.axes.iter().enumerate().filter(several).map(|(at, _)| at).collect();
        let across = down.pop();
        let values = across.and_then(|at| plan.axes.get(at)).map_or(1, |axis| axis.values.len()).max(1);
        let columns = values.min((WIDEST / (NARROWEST + GAP)) as usize);
        let lines = plan.cells.len().div_ceil(values) * values.div_ceil(columns);
        let room = WIDEST / u32::try_from(columns).unwrap_or(u32::MAX).max(1);
        let largest = plan.cells.iter().map(|cell| cell.request.width.max(cell.request.height)).max().unwrap_or(1);
        let side = room.saturating_sub(GAP).clamp(*SIDES.start(), *SIDES.end()).min(largest);
        let labels = plan.cells.iter().flat_map(|cell| labels(plan, cell, &down));
        let labels = labels.map(|label| Lettering::new(LABEL).width(&label)).fold(0.0, f64::max);
        let labels = labels.min(LABELS).ceil() as u32;
        let captions = 1 + u32::from(plan.reference.is_some());
        let line = (LABEL * LINE).ceil() as u32;
        // Every line has its own values above it where they do not fit into one.
        let above = if values > columns { line } else { 0 };
        let titles = 1 + u32::from(across.is_some());
        Self {
            left: GAP + labels + if labels > 0 { GAP } else { 0 },
            top: GAP + titles * line,
            pitch: above + side + captions * (CAPTION * LINE).ceil() as u32 + GAP,
            down,
            across,
            values,
            columns,
            lines,
            side,
            column: side.max(NARROWEST),
        }
    }

    /// How many lines stand on one sheet.
    fn lines_a_sheet(&self) -> usize {
        (LONGEST.saturating_sub(self.top) / self.pitch.max(1)).max(1) as usize
    }

    /// The size of the sheet whose first line is `first`.
    fn size(&self, first: usize) -> (u32, u32) {
        let times = |count: usize, pitch: u32| u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(pitch);
        let lines = self.lines.saturating_sub(first).min(self.lines_a_sheet());
        let (width, height) = (times(self.columns, self.column + GAP), times(lines, self.pitch));
        (self.left.saturating_add(width), self.top.saturating_add(height).saturating_add(GAP))
    }

    /// Line and column of the cell in a place of the plan.
    fn at(&self, place: usize) -> (usize, usize) {
        let (row, value) = (place / self.values, place % self.values);
        (row * self.values.div_ceil(self.columns) + value / self.columns, value % self.columns)
    }
}

/// The labels of a cell on some of the axes, a line an axis. Words speak for themselves, numbers need a name.
fn labels(plan: &Plan, cell: &Cell, axes: &[usize]) -> Vec<String> {
    let label = |at: &usize| {
        let (axis, value) = (plan.axes.get(*at)?, cell.at.get(*at)?);
        Some(match (value.parse::<f64>(), cell.budget) {
            (Ok(_), Some(budget)) if axis.name == "steps" => format!("nfe={budget}"),
            (Ok(_), _) => format!("{}={value}", axis.name),
            (Err(_), _) => value.replace('\n', " "),
        })
    };
    axes.iter().filter_map(label).collect()
}

/// The sheet whose first line is `first`; `picture` finds what came of a cell.
fn draw(
    plan: &Plan,
    layout: &Layout,
    first: usize,
    picture: &mut dyn FnMut(&Cell) -> Option<(Row, RgbImage)>,
) -> RgbImage {
    let (width, height) = layout.size(first);
    let mut sheet = RgbImage::from_pixel(width, height, PAPER);
    let lettering = Lettering::new(LABEL);
    let gap = i64::from(GAP);
    let prompt = plan.cells.first().map(|cell| cell.request.prompt.as_str()).unwrap_or_default();
    let title = match plan.axes.iter().any(|axis| PROMPTS.contains(&axis.name.as_str())) {
        true => "",
        false => prompt,
    };
    let title = lettering.bold().fitted(&title.replace('\n', " "), f64::from(width.saturating_sub(2 * GAP)));
    lettering.bold().write(&mut sheet, &title, DARK, [gap, gap]);
    let shown = first..first.saturating_add(layout.lines_a_sheet());
    for (place, cell) in plan.cells.iter().enumerate() {
        let (line, column) = layout.at(place);
        if !shown.contains(&line) {
            continue;
        }
        let x = i64::from(layout.left) + column as i64 * i64::from(layout.column + GAP);
        let y = i64::from(layout.top) + (line - first) as i64 * i64::from(layout.pitch);
        if let Some(across) = layout.across.filter(|_| line == first || layout.values > layout.columns) {
            let above = lettering.placed(Across::Middle, Up::Bottom);
            let value = above.fitted(&labels(plan, cell, &[across]).concat(), f64::from(layout.column));
            above.write(&mut sheet, &value, DARK, [x + i64::from(layout.column / 2), y - 2]);
        }
        if column == 0 {
            let step = (LABEL * LINE).ceil() as i64;
            for (number, text) in (0..).zip(labels(plan, cell, &layout.down)) {
                let text = lettering.fitted(&text, LABELS);
                lettering.write(&mut sheet, &text, DARK, [gap, y + number * step]);
            }
        }
        // A picture stands in the middle of its column.
        let middle = x + i64::from(layout.column / 2);
        let mut put = |picture: &RgbImage| overlay(&mut sheet, picture, middle - i64::from(picture.width() / 2), y);
        let captions = match picture(cell) {
            None => {
                put(&RgbImage::from_pixel(layout.side, layout.side, MISSING));
                vec!["missing".to_owned()]
            }
            Some((row, picture)) => {
                put(&small(&picture, layout.side));
                captions(&row)
            }
        };
        let (below, step) = (Lettering::new(CAPTION).placed(Across::Middle, Up::Top), (CAPTION * LINE).ceil() as i64);
        for (number, caption) in (0..).zip(captions) {
            let caption = below.fitted(&caption, f64::from(layout.column));
            below.write(&mut sheet, &caption, SOFT, [middle, y + i64::from(layout.side) + 2 + number * step]);
        }
    }
    sheet
}

/// What stands under a picture, line by line.
fn captions(row: &Row) -> Vec<String> {
    let distance = row.distance.map(|distance| format!("distance {distance:.4}"));
    [format!("{} evaluations", row.evaluations)].into_iter().chain(distance).collect()
}

/// A picture whose longest side is `side` at most.
fn small(picture: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let longest = width.max(height).max(1);
    if longest <= side {
        return picture.clone();
    }
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    resize(picture, scaled(width), scaled(height), FilterType::CatmullRom)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use flowline_model::Draft;

    use super::*;
    use crate::Registry;

    /// A plan of axes with so many values, all of whose cells are one request.
    fn plan(axes: &[(&str, usize)]) -> Plan {
        let pipeline = Registry::builtin().open(&flowline_model::Opening::named("postcard", None)).unwrap();
        let request = Draft { seeds: vec![1], ..Draft::default() }.resolve(pipeline.spec()).unwrap().request;
        let axis = |(name, count): &(&str, usize)| Axis {
            name: (*name).to_owned(),
            values: (0..*count).map(|value| value.to_string()).collect(),
        };
        let axes: Vec<Axis> = axes.iter().map(axis).collect();
        let count: usize = axes.iter().map(|axis| axis.values.len()).product();
        let at = |mut place: usize| {
            let mut at: Vec<String> = Vec::new();
            for axis in axes.iter().rev() {
                at.insert(0, axis.values[place % axis.values.len()].clone());
                place /= axis.values.len();
            }
            at
        };
        let cell = |place| Cell {
            key: String::new(),
            at: at(place),
            budget: None,
            evaluations: 8,
            order: 1.0,
            reference: None,
            opening: flowline_model::Opening::named("postcard", None),
            request: request.clone(),
        };
        let cells = (0..count).map(cell).collect();
        let (align, references) = ("steps".into(), BTreeMap::new());
        Plan { grid: 1, flowline: String::new(), axes, align, reference: None, seeds: Vec::new(), cells, references }
    }

    #[test]
    fn every_cell_has_a_place_of_its_own_however_many_there_are() {
        // Axes, columns, lines, sheets.
        for (axes, columns, lines, sheets) in [
            (&[("steps", 1), ("seed", 1)][..], 1, 1, 1),
            (&[("seed", 5)], 5, 1, 1),
            (&[("sampler", 3), ("steps", 1), ("seed", 5)], 5, 3, 1),
            (&[("a", 2), ("b", 3), ("c", 4)], 4, 6, 1),
            (&[("seed", 100)], 46, 3, 1),
            (&[("steps", 2), ("seed", 100)], 46, 6, 1),
            (&[("seed", 400), ("steps", 2)], 2, 400, 15),
        ] {
            let plan = plan(axes);
            let layout = Layout::of(&plan);
            assert_eq!((layout.columns, layout.lines), (columns, lines), "{axes:?}");
            let places: BTreeSet<_> = (0..plan.cells.len()).map(|place| layout.at(place)).collect();
            assert_eq!(places.len(), plan.cells.len(), "{axes:?}");
            assert!(places.iter().all(|(line, column)| *line < lines && *column < columns), "{axes:?}");
            let firsts: Vec<usize> = (0..lines).step_by(layout.lines_a_sheet()).collect();
            assert_eq!(firsts.len(), sheets, "{axes:?}");
            for first in firsts {
                let (width, height) = layout.size(first);
                assert!(
                    width <= WIDEST + LABELS as u32 + 3 * GAP && height <= LONGEST + 2 * GAP,
                    "{axes:?}: {width} x {height}"
                );
            }
        }
    }
}
