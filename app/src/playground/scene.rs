//! What a moment looks like: panels side by side with particles, the trails behind them, and what was measured.

use super::{Carried, Place, crossing, on_line};
use crate::drawing::kurbo::{BezPath, Point, RoundedRect, Shape};
use crate::drawing::{Across, Canvas, Ink, Lettering, Up, circle};

/// Behind everything.
const NIGHT: [u8; 3] = [13, 16, 28];
/// Behind a panel.
const PANEL: Ink = Ink::new([20, 25, 41]);
/// Titles.
const TEXT: Ink = Ink::new([233, 236, 245]);
/// What is said in passing.
const FAINT: Ink = Ink::new([146, 155, 180]);
/// Particles of noise, on their way, and of data.
const COLOURS: [Ink; 3] = [Ink::new([84, 164, 240]), Ink::new([208, 110, 190]), Ink::new([255, 186, 88])];

/// The corner of the plane that is seen: from minus this to this, both ways.
pub const REACH: f64 = 3.1;

/// How far back a trail reaches in an animation, as a share of the whole way.
pub const TRAIL: f64 = 0.45;

/// A trail is drawn in so many pieces, each with a colour of its own.
const PIECES: usize = 16;

/// What a panel shows.
pub enum Ways<'a> {
    /// Straight lines between pairs.
    Lines(Vec<[Place; 2]>),
    /// The ways that particles took.
    Paths(&'a Carried),
}

/// Which pairs of noise and data are shown beside the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Coupling {
    /// Paired by chance: straight lines that cross
    Independent,
    /// Noise and where the flow carries it: lines that hardly cross
    Rectified,
    /// One on each side of the flow
    Both,
}

struct Panel<'a> {
    title: String,
    remark: String,
    ways: Ways<'a>,
}

/// Everything that does not change from one moment to the next.
pub struct Scene<'a> {
    title: String,
    panels: Vec<Panel<'a>>,
    /// Pixels along the side of a panel.
    size: f64,
}

/// How much of the trails is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trails {
    /// What lies shortly behind, fading.
    Fading,
    /// The whole way.
    Whole,
}

impl<'a> Scene<'a> {
    /// A scene with panels of `size` pixels; `title` says what carries what.
    pub fn new(carried: &'a Carried, coupling: Coupling, title: String, size: u32) -> Self {
        let lines = |title: &str, lines: Vec<[Place; 2]>| Panel {
            title: title.into(),
            remark: format!("crossing {:.2}", crossing(&lines)),
            ways: Ways::Lines(lines),
        };
        let mut panels = Vec::new();
        if let Coupling::Independent | Coupling::Both = coupling {
            panels.push(lines("independent pairs", carried.independent()));
        }
        panels.push(Panel {
            title: "the flow".into(),
            remark: format!("straightness {:.2}", carried.straightness()),
            ways: Ways::Paths(carried),
        });
        if let Coupling::Rectified | Coupling::Both = coupling {
            panels.push(lines("rectified pairs", carried.rectified()));
        }
        Self { title, panels, size: f64::from(size) }
    }

    /// The moment when the particles are at `sigma`.
    pub fn at(&self, sigma: f64, trails: Trails) -> Canvas {
        let unit = self.size / 320.0;
        let (gap, head, foot) = (14.0 * unit, 44.0 * unit, 40.0 * unit);
        let count = self.panels.len() as f64;
        let (width, height) = (count * self.size + (count + 1.0) * gap, head + self.size + foot + gap);
        let mut canvas = Canvas::new(width.ceil() as u32, height.ceil() as u32, NIGHT);
        let big = Lettering::new(16.0 * unit);
        let title = big.fitted(&self.title, width - 2.0 * gap - big.width("sigma 0.00") - gap);
        canvas.text(&title, big.bold().placed(Across::Left, Up::Middle), TEXT, Point::new(gap, head / 2.0));
        let right = Point::new(width - gap, head / 2.0);
        canvas.text(&format!("sigma {sigma:.2}"), big.placed(Across::Right, Up::Middle), colour(sigma), right);
        for (index, panel) in self.panels.iter().enumerate() {
            let corner = Point::new(gap + index as f64 * (self.size + gap), head);
            self.panel(&mut canvas, panel, corner, [sigma, unit], trails);
        }
        canvas
    }

    fn panel(&self, canvas: &mut Canvas, panel: &Panel<'_>, corner: Point, [sigma, unit]: [f64; 2], trails: Trails) {
        let frame = RoundedRect::new(corner.x, corner.y, corner.x + self.size, corner.y + self.size, 8.0 * unit);
        canvas.fill(frame.to_path(0.05), PANEL);
        let seen = |place: Place| {
            let [across, up] = place.map(|value| (value / REACH).clamp(-0.985, 0.985));
            Point::new(corner.x + (1.0 + across) * self.size / 2.0, corner.y + (1.0 - up) * self.size / 2.0)
        };
        let oldest = match trails {
            Trails::Fading => (sigma + TRAIL).min(1.0),
            Trails::Whole => 1.0,
        };
        for piece in 0..PIECES {
            let from = |piece: usize| oldest + (sigma - oldest) * piece as f64 / PIECES as f64;
            let (begin, end) = (from(piece), from(piece + 1));
            if begin <= end {
                continue;
            }
            let mut trail = BezPath::new();
            for particle in 0..panel.ways.count() {
                let places = panel.ways.between(particle, [begin, end]);
                let mut places = places.into_iter().map(seen);
                if let Some(first) = places.next() {
                    trail.move_to(first);
                }
                places.for_each(|place| trail.line_to(place));
            }
            let fresh = (piece + 1) as f64 / PIECES as f64;
            let opacity = match trails {
                Trails::Fading => 0.55 * fresh * fresh,
                Trails::Whole => 0.4,
            };
            canvas.stroke(trail, unit, colour((begin + end) / 2.0).faded(opacity));
        }
        if trails == Trails::Whole {
            canvas.fill(discs(&panel.ways, 1.0, 1.4 * unit, seen), colour(1.0).faded(0.5));
        }
        // A glow around each particle.
        for (radius, opacity) in [(4.5, 0.16), (1.9, 0.95)] {
            canvas.fill(discs(&panel.ways, sigma, radius * unit, seen), colour(sigma).faded(opacity));
        }
        let below = corner.y + self.size + 20.0 * unit;
        let small = Lettering::new(13.5 * unit);
        let left = small.placed(Across::Left, Up::Middle);
        canvas.text(&panel.title, left, TEXT, Point::new(corner.x + 4.0 * unit, below));
        let right = small.placed(Across::Right, Up::Middle);
        canvas.text(&panel.remark, right, FAINT, Point::new(corner.x + self.size - 4.0 * unit, below));
    }
}

/// A disc around every particle at `sigma`.
fn discs(ways: &Ways<'_>, sigma: f64, radius: f64, seen: impl Fn(Place) -> Point) -> BezPath {
    let mut discs = BezPath::new();
    for particle in 0..ways.count() {
        if let Some(place) = ways.between(particle, [sigma, sigma]).first() {
            discs.extend(circle(seen(*place), radius));
        }
    }
    discs
}

impl Ways<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len(),
            Self::Paths(carried) => carried.paths.len(),
        }
    }

    /// The places of a particle from one sigma down to another, with those of its steps in between.
    pub fn between(&self, particle: usize, [begin, end]: [f64; 2]) -> Vec<Place> {
        match self {
            Self::Lines(lines) => match lines.get(particle) {
                Some(line) if begin == end => vec![on_line(line, begin)],
                Some(line) => vec![on_line(line, begin), on_line(line, end)],
                None => Vec::new(),
            },
            Self::Paths(Carried { sigmas, paths, .. }) => {
                let Some(path) = paths.get(particle) else { return Vec::new() };
                let inside = sigmas.iter().zip(path).filter(|(sigma, _)| **sigma < begin && **sigma > end);
                let inside = inside.map(|(_, place)| *place);
                let ends = if begin == end { None } else { on_path(sigmas, path, end) };
                on_path(sigmas, path, begin).into_iter().chain(inside).chain(ends).collect()
            }
        }
    }
}

/// The colour of what is at `sigma`.
pub fn colour(sigma: f64) -> Ink {
    let [noise, between, data] = COLOURS;
    match sigma > 0.5 {
        true => between.towards(noise, 2.0 * sigma - 1.0),
        false => data.towards(between, 2.0 * sigma),
    }
}

/// Where a path is at `sigma`: between two of its places in a straight line.
fn on_path(sigmas: &[f64], path: &[Place], sigma: f64) -> Option<Place> {
    let after = sigmas.iter().position(|at| *at <= sigma).unwrap_or(sigmas.len().saturating_sub(1));
    let before = after.saturating_sub(1);
    let ([high, low], [from, to]) =
        ([*sigmas.get(before)?, *sigmas.get(after)?], [*path.get(before)?, *path.get(after)?]);
    let share = if high > low { ((high - sigma) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
    Some([0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * share))
}
