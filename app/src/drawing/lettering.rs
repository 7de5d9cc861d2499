//! Letters from an embedded font: Ubuntu Light, and Hack for what it lacks.
//!
//! A text is one line. Its outlines are the font's own, unhinted, without shaping: enough for Latin, Greek and Cyrillic
//! labels. A character that neither font has is shown as a box.

use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use image::RgbImage;
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider};
use vello_cpu::kurbo::{Affine, BezPath, Point};

use super::{Canvas, Ink};

/// From one line to the next, in sizes.
pub const LINE: f64 = 1.25;

/// How far letters such as `d` rise above the line they stand on, in sizes.
const ASCENT: f64 = 0.78;

/// How far letters such as `g` hang below it, in sizes.
const DESCENT: f64 = 0.2;

/// The height of digits and capitals, in sizes.
const CAPITAL: f64 = 0.693;

/// How heavy letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As most text is.
    Regular,
    /// For titles.
    Bold,
}

/// Which part of a text stands at its point, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    /// Its beginning.
    Left,
    /// Its middle.
    Middle,
    /// Its end.
    Right,
}

/// Which part of a text stands at its point, from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// The highest that letters rise.
    Top,
    /// The middle of digits and capitals.
    Middle,
    /// The line that letters stand on.
    Baseline,
    /// The lowest that letters hang.
    Bottom,
}

/// How a text looks and where it stands in relation to its point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lettering {
    /// Height of a line without leading, in pixels.
    pub size: f64,
    /// How heavy.
    pub weight: Weight,
    /// From left to right.
    pub across: Across,
    /// From top to bottom.
    pub up: Up,
}

impl Lettering {
    /// Regular letters that begin at their point and hang below it.
    pub const fn new(size: f64) -> Self {
        Self { size, weight: Weight::Regular, across: Across::Left, up: Up::Top }
    }

    /// The same in bold.
    #[must_use]
    pub const fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    /// The same, placed otherwise.
    #[must_use]
    pub const fn placed(self, across: Across, up: Up) -> Self {
        Self { across, up, ..self }
    }

    /// How wide `text` is, in pixels.
    pub fn width(&self, text: &str) -> f64 {
        Fonts::open().width(text, self.size)
    }

    /// `text`, or as much of it as fits into `width` pixels with an ellipsis behind it.
    pub fn fitted(&self, text: &str, width: f64) -> String {
        let fonts = Fonts::open();
        if fonts.width(text, self.size) <= width {
            return text.to_owned();
        }
        let mut kept = text.to_owned();
        while kept.pop().is_some() {
            let cut = format!("{}…", kept.trim_end());
            if fonts.width(&cut, self.size) <= width {
                return cut;
            }
        }
        String::new()
    }

    /// Writes `text` over the pixels of `image`, its point at `[x, y]`. What lies outside is cut off.
    pub fn write(&self, image: &mut RgbImage, text: &str, rgb: [u8; 3], [x, y]: [i64; 2]) {
        // Room on every side for what hangs over, and the point in whole pixels from the corner.
        let (room, offset) = (2.0, self.offset(text));
        let (left, top) = ((-offset.x).ceil() + room, (self.size * ASCENT - offset.y).ceil() + room);
        let (width, height) = (self.width(text) + 2.0 * room + 1.0, self.size * (ASCENT + DESCENT) + 2.0 * room + 1.0);
        let mut canvas = Canvas::new(width.ceil() as u32, height.ceil() as u32, [255; 3]);
        canvas.text(text, *self, Ink::new(rgb), Point::new(left, top));
        canvas.over(image, [x.saturating_sub(left as i64), y.saturating_sub(top as i64)]);
    }

    /// The outlines of `text` with its point at the origin, y pointing down.
    pub(super) fn outline(&self, text: &str) -> BezPath {
        Affine::translate(self.offset(text).to_vec2()) * Fonts::open().outline(text, self.size)
    }

    /// How wide the edge around letters is that makes them as heavy as this.
    pub(super) fn edge(&self) -> f64 {
        // The font is a light one: this much more makes it as heavy as text usually is.
        self.size
            * match self.weight {
                Weight::Regular => 0.018,
                Weight::Bold => 0.055,
            }
    }

    /// Where the line begins, seen from the text's point.
    fn offset(&self, text: &str) -> Point {
        let back = match self.across {
            Across::Left => 0.0,
            Across::Middle => 0.5,
            Across::Right => 1.0,
        };
        Point::new(-back * self.width(text), self.drop())
    }

    /// How far the line that letters stand on lies below the text's point.
    fn drop(&self) -> f64 {
        self.size
            * match self.up {
                Up::Top => ASCENT,
                Up::Middle => CAPITAL / 2.0,
                Up::Baseline => 0.0,
                Up::Bottom => -DESCENT,
            }
    }
}

/// The embedded fonts, the first one that has a character draws it.
struct Fonts([FontRef<'static>; 2]);

impl Fonts {
    fn open() -> Self {
        Self([UBUNTU_LIGHT, HACK_REGULAR].map(|bytes| FontRef::new(bytes).expect("the embedded fonts are sound")))
    }

    /// The font that draws `c`, and its glyph; the box of the first font if none has it.
    fn glyph(&self, c: char) -> (&FontRef<'static>, GlyphId) {
        let [first, _] = &self.0;
        let found = self.0.iter().find_map(|font| Some((font, font.charmap().map(c)?)));
        found.unwrap_or((first, GlyphId::NOTDEF))
    }

    /// Every glyph of `text` and where it stands, and how wide the whole is.
    fn glyphs(&self, text: &str, size: f64) -> (Vec<(&FontRef<'static>, GlyphId, f64)>, f64) {
        let mut x = 0.0;
        let mut glyphs = Vec::new();
        for c in text.chars().filter(|c| !c.is_control()) {
            let (font, glyph) = self.glyph(c);
            glyphs.push((font, glyph, x));
            let metrics = font.glyph_metrics(Size::new(size as f32), LocationRef::default());
            x += f64::from(metrics.advance_width(glyph).unwrap_or_default());
        }
        (glyphs, x)
    }

    fn width(&self, text: &str, size: f64) -> f64 {
        self.glyphs(text, size).1
    }

    fn outline(&self, text: &str, size: f64) -> BezPath {
        let mut outline = Outline { path: BezPath::new(), x: 0.0 };
        for (font, glyph, x) in self.glyphs(text, size).0 {
            outline.x = x;
            if let Some(shape) = font.outline_glyphs().get(glyph) {
                let settings = DrawSettings::unhinted(Size::new(size as f32), LocationRef::default());
                shape.draw(settings, &mut outline).expect("the embedded fonts are sound");
            }
        }
        outline.path
    }
}

/// Collects outlines; a font's y points up, a picture's down.
struct Outline {
    path: BezPath,
    x: f64,
}

impl Outline {
    fn point(&self, x: f32, y: f32) -> Point {
        Point::new(self.x + f64::from(x), -f64::from(y))
    }
}

impl OutlinePen for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.point(x, y));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.point(x, y));
    }

    fn quad_to(&mut self, cx0: f32, cy0: f32, x: f32, y: f32) {
        self.path.quad_to(self.point(cx0, cy0), self.point(x, y));
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        self.path.curve_to(self.point(cx0, cy0), self.point(cx1, cy1), self.point(x, y));
    }

    fn close(&mut self) {
        self.path.close_path();
    }
}
