//! Drawing that comes out the same on every machine: shapes and text on a [`Canvas`], as pixels or as SVG.
//!
//! The letters are embedded outlines ([`lettering`]), so no font of the system is asked for; pixels are covered by the
//! portable code path of `vello_cpu`, whatever the processor offers.

pub mod lettering;

use std::fmt::Write as _;

use image::RgbImage;
use vello_cpu::color::{AlphaColor, Srgb};
use vello_cpu::kurbo::{Affine, BezPath, Cap, Circle, Join, PathEl, Point, Rect, Shape, Stroke};
use vello_cpu::{Level, Pixmap, RenderContext, RenderSettings, Resources};

pub use lettering::{Across, Lettering, Up, Weight};
pub use vello_cpu::kurbo;

/// The widest or highest canvas, in pixels.
pub const LARGEST: u32 = u16::MAX as u32;

/// How far a flattened curve may be from the curve, in pixels.
const TOLERANCE: f64 = 0.05;

/// A colour and how much it covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ink {
    /// sRGB.
    pub rgb: [u8; 3],
    /// 0 is invisible, 1 covers.
    pub opacity: f64,
}

impl Ink {
    /// A colour that covers.
    pub const fn new(rgb: [u8; 3]) -> Self {
        Self { rgb, opacity: 1.0 }
    }

    /// The same colour with another opacity.
    #[must_use]
    pub const fn faded(self, opacity: f64) -> Self {
        Self { rgb: self.rgb, opacity }
    }

    /// A colour between two: this one at 0, `other` at 1.
    #[must_use]
    pub fn towards(self, other: Self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let between = |a: f64, b: f64| a + (b - a) * share;
        let channel = |a: u8, b: u8| between(f64::from(a), f64::from(b)).round() as u8;
        let ([r, g, b], [red, green, blue]) = (self.rgb, other.rgb);
        let rgb = [channel(r, red), channel(g, green), channel(b, blue)];
        Self { rgb, opacity: between(self.opacity, other.opacity) }
    }
}

/// How a path is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pen {
    Fill,
    /// Along the path, so many pixels wide.
    Stroke(f64),
    /// Filled, with an edge so many pixels wide: letters.
    Letters(f64),
}

/// A shape on a canvas.
#[derive(Clone, Debug)]
struct Mark {
    path: BezPath,
    ink: Ink,
    pen: Pen,
    /// The text that the shape shows.
    says: Option<String>,
}

/// Shapes in the order they were drawn, later ones on top. The origin is the upper left corner, the unit a pixel.
#[derive(Clone, Debug)]
pub struct Canvas {
    width: u32,
    height: u32,
    background: [u8; 3],
    marks: Vec<Mark>,
}

impl Canvas {
    /// An empty canvas; at least 1 and at most [`LARGEST`] pixels along a side.
    pub fn new(width: u32, height: u32, background: [u8; 3]) -> Self {
        Self { width: width.clamp(1, LARGEST), height: height.clamp(1, LARGEST), background, marks: Vec::new() }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Covers the inside of a path.
    pub fn fill(&mut self, path: BezPath, ink: Ink) {
        self.marks.push(Mark { path, ink, pen: Pen::Fill, says: None });
    }

    /// Covers a rectangle.
    pub fn rectangle(&mut self, rectangle: Rect, ink: Ink) {
        self.fill(rectangle.to_path(TOLERANCE), ink);
    }

    /// Covers a disc.
    pub fn disc(&mut self, centre: Point, radius: f64, ink: Ink) {
        self.fill(circle(centre, radius), ink);
    }

    /// Draws along a path, `width` pixels wide, with round ends.
    pub fn stroke(&mut self, path: BezPath, width: f64, ink: Ink) {
        self.marks.push(Mark { path, ink, pen: Pen::Stroke(width), says: None });
    }

    /// Draws straight lines from point to point.
    pub fn line(&mut self, points: impl IntoIterator<Item = Point>, width: f64, ink: Ink) {
        self.stroke(polyline(points), width, ink);
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str, lettering: Lettering, ink: Ink, at: Point) {
        self.turned_text(text, lettering, ink, at, 0.0);
    }

    /// Writes a text that is turned around the point where it stands, clockwise, by an angle in radians.
    pub fn turned_text(&mut self, text: &str, lettering: Lettering, ink: Ink, at: Point, angle: f64) {
        let path = Affine::translate(at.to_vec2()) * Affine::rotate(angle) * lettering.outline(text);
        self.marks.push(Mark { path, ink, pen: Pen::Letters(lettering.edge()), says: Some(text.to_owned()) });
    }

    /// The canvas as pixels, `scale` of them along a side for one of the canvas; at most [`LARGEST`] in all.
    pub fn to_image(&self, scale: f64) -> RgbImage {
        let pixels = self.pixels(scale, Some(Ink::new(self.background)));
        RgbImage::from_fn(pixels.width().into(), pixels.height().into(), |x, y| {
            let pixel = pixels.sample(x as u16, y as u16);
            image::Rgb([pixel.r, pixel.g, pixel.b])
        })
    }

    /// Draws everything but the background over `image`, the canvas's corner at `[x, y]`. What lies outside is cut off.
    pub fn over(&self, image: &mut RgbImage, [x, y]: [i64; 2]) {
        let pixels = self.pixels(1.0, None);
        for row in 0..self.height {
            for column in 0..self.width {
                let place = [x.saturating_add(column.into()), y.saturating_add(row.into())].map(u32::try_from);
                let [Ok(x), Ok(y)] = place else { continue };
                let Some(there) = image.get_pixel_mut_checked(x, y) else { continue };
                let pixel = pixels.sample(column as u16, row as u16);
                for (value, new) in there.0.iter_mut().zip([pixel.r, pixel.g, pixel.b]) {
                    let kept = u32::from(*value) * u32::from(255 - pixel.a);
                    *value = (u32::from(new) + (kept + 127) / 255).min(255) as u8;
                }
            }
        }
    }

    /// The marks with their opacity, multiplied in.
    fn pixels(&self, scale: f64, background: Option<Ink>) -> Pixmap {
        // The conversion stays within the type's range.
        let [width, height] = [self.width, self.height].map(|side| ((f64::from(side) * scale).round() as u16).max(1));
        // The same code on every processor of a kind, so the same pixels.
        let settings = RenderSettings { level: Level::baseline(), num_threads: 0 };
        let mut context = RenderContext::new_with(width, height, settings);
        if let Some(ink) = background {
            context.set_paint(colour(ink));
            context.fill_rect(&Rect::new(0.0, 0.0, f64::from(width), f64::from(height)));
        }
        context.set_transform(Affine::scale(scale));
        for Mark { path, ink, pen, .. } in &self.marks {
            context.set_paint(colour(*ink));
            if let Pen::Fill | Pen::Letters(_) = pen {
                context.fill_path(path);
            }
            if let Pen::Stroke(width) | Pen::Letters(width) = pen {
                context.set_stroke(Stroke::new(*width).with_caps(Cap::Round).with_join(Join::Round));
                context.stroke_path(path);
            }
        }
        let mut pixels = Pixmap::new(width, height);
        context.flush();
        context.render(&mut pixels, &mut Resources::new());
        pixels
    }

    /// The canvas as an SVG file. Texts are outlines, and say what they show as their label.
    pub fn to_svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        // Writing to a string cannot fail; so below.
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
            hex(self.background)
        );
        for Mark { path, ink, pen, says } in &self.marks {
            svg.push_str("<path d=\"");
            path.elements().iter().for_each(|element| svg_element(&mut svg, element));
            let colour = hex(ink.rgb);
            let _ = match pen {
                Pen::Fill => write!(svg, "\" fill=\"{colour}\""),
                Pen::Stroke(width) => write!(svg, "\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width:.2}\""),
                Pen::Letters(width) => {
                    write!(svg, "\" fill=\"{colour}\" stroke=\"{colour}\" stroke-width=\"{width:.2}\"")
                }
            };
            if ink.opacity < 1.0 {
                let _ = write!(svg, " opacity=\"{:.3}\"", ink.opacity.max(0.0));
            }
            if let Some(says) = says {
                let _ = write!(svg, " role=\"img\" aria-label=\"{}\"", escaped(says));
            }
            svg.push_str("/>\n");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Straight lines from point to point.
pub fn polyline(points: impl IntoIterator<Item = Point>) -> BezPath {
    let mut path = BezPath::new();
    for point in points {
        // A path that has only begun counts as empty.
        match path.elements().is_empty() {
            true => path.move_to(point),
            false => path.line_to(point),
        }
    }
    path
}

/// A circle.
pub fn circle(centre: Point, radius: f64) -> BezPath {
    Circle::new(centre, radius).to_path(TOLERANCE)
}

fn colour(Ink { rgb: [r, g, b], opacity }: Ink) -> AlphaColor<Srgb> {
    AlphaColor::from_rgba8(r, g, b, (opacity.clamp(0.0, 1.0) * 255.0).round() as u8)
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// One piece of a path, to a hundredth of a pixel.
fn svg_element(svg: &mut String, element: &PathEl) {
    let (letter, points): (char, &[Point]) = match element {
        PathEl::MoveTo(a) => ('M', &[*a]),
        PathEl::LineTo(a) => ('L', &[*a]),
        PathEl::QuadTo(a, b) => ('Q', &[*a, *b]),
        PathEl::CurveTo(a, b, c) => ('C', &[*a, *b, *c]),
        PathEl::ClosePath => ('Z', &[]),
    };
    svg.push(letter);
    for (index, number) in points.iter().flat_map(|point| [point.x, point.y]).enumerate() {
        let hundredths = (number * 100.0).round() / 100.0;
        // Adding zero makes -0 a plain 0.
        let _ = write!(svg, "{}{}", if index == 0 { "" } else { " " }, hundredths + 0.0);
    }
}

/// Text inside an attribute; characters that XML cannot hold become a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            c if c.is_control() => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
