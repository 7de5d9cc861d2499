//! The contact sheet `sheet.png`: every picture small, with the axes' values beside it.
//!
//! The last axis with several values runs from left to right. All axes before it make the rows, each with a label of its
//! own, the first changing slowest.

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
/// The sheet is about so wide at most, pixels.
const WIDEST: u32 = 8192;
/// The narrowest that a column may be, for what stands under the pictures.
const NARROWEST: u32 = 120;
/// Between pictures, and around the sheet.
const GAP: u32 = 12;
/// The labels' size, and that of what stands under a picture.
const LABEL: f64 = 16.0;
const CAPTION: f64 = 12.0;
/// The widest that row labels may be.
const LABELS: f64 = 280.0;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const MISSING: Rgb<u8> = Rgb([232, 232, 236]);
const DARK: [u8; 3] = [32, 32, 40];
const SOFT: [u8; 3] = [104, 104, 116];

/// Draws the sheet into `folder`, and returns its name.
///
/// # Errors
/// What the system says.
pub fn write(plan: &Plan, folder: &Folder) -> Result<&'static str> {
    let sheet = draw(plan, &mut |cell| {
        let row = folder.row(&cell.key)?;
        let picture = image::open(folder.at(&row.picture)).ok()?.into_rgb8();
        Some((row, picture))
    });
    folder.write(Path::new(SHEET), |out| record::write_png(out, &sheet, &[]))?;
    Ok(SHEET)
}

/// Where things stand, in pixels.
struct Layout {
    /// Axes that make the rows.
    down: Vec<usize>,
    /// The axis that makes the columns.
    across: Option<usize>,
    rows: usize,
    columns: usize,
    /// Longest side of a picture.
    side: u32,
    /// Width of a column.
    column: u32,
    /// The corner of the first picture.
    left: u32,
    top: u32,
    /// From one row to the next.
    pitch: u32,
}

impl Layout {
    fn of(plan: &Plan) -> Self {
        let several = |(_, axis): &(usize, &Axis)| axis.values.len() > 1;
        let mut down: Vec<usize> = plan.axes.iter().enumerate().filter(several).map(|(at, _)| at).collect();
        let across = down.pop();
        let count = |at: usize| plan.axes.get(at).map_or(1, |axis| axis.values.len());
        let (rows, columns) = (down.iter().map(|at| count(*at)).product::<usize>(), across.map_or(1, count));
        let room = WIDEST / u32::try_from(columns).unwrap_or(u32::MAX).max(1);
        let largest = plan.cells.iter().map(|cell| cell.request.width.max(cell.request.height)).max().unwrap_or(1);
        let side = room.saturating_sub(GAP).clamp(*SIDES.start(), *SIDES.end()).min(largest);
        let labels =
            plan.cells.iter().flat_map(|cell| lines(plan, cell, &down)).map(|line| Lettering::new(LABEL).width(&line));
        let captions = 1 + u32::from(plan.reference.is_some());
        let labels = labels.fold(0.0, f64::max).min(LABELS).ceil() as u32;
        let line = (LABEL * LINE).ceil() as u32;
        let titles = 1 + u32::from(across.is_some());
        Self {
            left: GAP + labels + if labels > 0 { GAP } else { 0 },
            top: GAP + titles * line,
            pitch: side + captions * (CAPTION * LINE).ceil() as u32 + GAP,
            down,
            across,
            rows,
            columns,
            side,
            column: side.max(NARROWEST),
        }
    }

    fn size(&self) -> (u32, u32) {
        let times = |count: usize, pitch: u32| u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(pitch);
        let (width, height) = (times(self.columns, self.column + GAP), times(self.rows, self.pitch));
        (self.left.saturating_add(width), self.top.saturating_add(height).saturating_add(GAP))
    }

    /// The corner of the picture in a row and column.
    fn corner(&self, row: usize, column: usize) -> [i64; 2] {
        let at = |from: u32, count: usize, pitch: u32| i64::from(from) + count as i64 * i64::from(pitch);
        [at(self.left, column, self.column + GAP), at(self.top, row, self.pitch)]
    }
}

/// The labels of a cell on some of the axes, a line an axis. Words speak for themselves, numbers need a name.
fn lines(plan: &Plan, cell: &Cell, axes: &[usize]) -> Vec<String> {
    let line = |at: &usize| {
        let (axis, value) = (plan.axes.get(*at)?, cell.at.get(*at)?);
        Some(match (value.parse::<f64>(), cell.budget) {
            (Ok(_), Some(budget)) if axis.name == "steps" => format!("nfe={budget}"),
            (Ok(_), _) => format!("{}={value}", axis.name),
            (Err(_), _) => value.replace('\n', " "),
        })
    };
    axes.iter().filter_map(line).collect()
}

/// The sheet; `picture` finds what came of a cell.
fn draw(plan: &Plan, picture: &mut dyn FnMut(&Cell) -> Option<(Row, RgbImage)>) -> RgbImage {
    let layout = Layout::of(plan);
    let (width, height) = layout.size();
    let mut sheet = RgbImage::from_pixel(width, height, PAPER);
    let lettering = Lettering::new(LABEL);
    let gap = i64::from(GAP);
    let prompt = plan.cells.first().map(|cell| cell.request.prompt.as_str()).unwrap_or_default();
    let title =
        match plan.axes.iter().any(|axis| ["prompt", "prompt-file", "from", "branch"].contains(&axis.name.as_str())) {
            true => "",
            false => prompt,
        };
    let title = lettering.bold().fitted(&title.replace('\n', " "), f64::from(width.saturating_sub(2 * GAP)));
    lettering.bold().write(&mut sheet, &title, DARK, [gap, gap]);
    let columns = layout.columns.max(1);
    for (place, cell) in plan.cells.iter().enumerate() {
        let (row, column) = (place / columns, place % columns);
        let [x, y] = layout.corner(row, column);
        if row == 0
            && let Some(across) = layout.across
        {
            let value = lines(plan, cell, &[across]).concat();
            let above = lettering.placed(Across::Middle, Up::Bottom);
            let value = above.fitted(&value, f64::from(layout.column));
            above.write(&mut sheet, &value, DARK, [x + i64::from(layout.column / 2), y - 2]);
        }
        if column == 0 {
            let step = (LABEL * LINE).ceil() as i64;
            for (line, text) in (0..).zip(lines(plan, cell, &layout.down)) {
                let text = lettering.fitted(&text, LABELS);
                lettering.write(&mut sheet, &text, DARK, [gap, y + line * step]);
            }
        }
        let captions = match picture(cell) {
            None => {
                overlay(&mut sheet, &RgbImage::from_pixel(layout.side, layout.side, MISSING), x, y);
                vec!["missing".to_owned()]
            }
            Some((row, picture)) => {
                overlay(&mut sheet, &small(&picture, layout.side), x, y);
                captions(&row)
            }
        };
        let (below, step) = (Lettering::new(CAPTION), (CAPTION * LINE).ceil() as i64);
        for (line, caption) in (0..).zip(captions) {
            let caption = below.fitted(&caption, f64::from(layout.column));
            below.write(&mut sheet, &caption, SOFT, [x, y + i64::from(layout.side) + 2 + line * step]);
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
