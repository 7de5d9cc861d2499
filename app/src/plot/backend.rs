//! Where the plotting crate draws: on a [`Canvas`], so that plots have smooth lines and the embedded letters.
//!
//! The crate counts in whole pixels. Here a pixel of the canvas has [`FINE`] of them, so curves stay curves.

use std::convert::Infallible;
use std::f64::consts::FRAC_PI_2;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle,
    FontTransform,
};

use crate::drawing::kurbo::{BezPath, Point, Rect};
use crate::drawing::{Across, Canvas, Ink, Lettering, Up, Weight, polyline};

/// How many of the plotting crate's pixels make one of ours.
pub const FINE: u32 = 8;

/// A canvas as the plotting crate sees it. Drawing on it cannot fail.
pub struct Backend<'a>(pub &'a mut Canvas);

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Our pixels.
fn point((x, y): BackendCoord) -> Point {
    Point::new(f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE))
}

fn ink(BackendColor { alpha, rgb: (r, g, b) }: BackendColor) -> Ink {
    Ink::new([r, g, b]).faded(alpha)
}

fn width(style: &impl BackendStyle) -> f64 {
    f64::from(style.stroke_width()) / f64::from(FINE)
}

fn lettering(style: &impl BackendTextStyle) -> Lettering {
    let weight = match style.style() {
        FontStyle::Bold => Weight::Bold,
        FontStyle::Normal | FontStyle::Oblique | FontStyle::Italic => Weight::Regular,
    };
    let across = match style.anchor().h_pos {
        HPos::Left => Across::Left,
        HPos::Center => Across::Middle,
        HPos::Right => Across::Right,
    };
    let up = match style.anchor().v_pos {
        VPos::Top => Up::Top,
        VPos::Center => Up::Middle,
        VPos::Bottom => Up::Bottom,
    };
    Lettering { size: style.size() / f64::from(FINE), weight, across, up }
}

impl Backend<'_> {
    fn shape(&mut self, path: BezPath, style: &impl BackendStyle, filled: bool) -> Drawn {
        match filled {
            true => self.0.fill(path, ink(style.color())),
            false => self.0.stroke(path, width(style), ink(style.color())),
        }
        Ok(())
    }
}

impl DrawingBackend for Backend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.0.width() * FINE, self.0.height() * FINE)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect(at, (at.0 + 1, at.1 + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let mut path = polyline(corners(Rect::from_points(point(upper_left), point(bottom_right))));
        path.close_path();
        self.shape(path, style, fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.shape(polyline(path.into_iter().map(point)), style, false)
    }

    fn draw_circle<S: BackendStyle>(&mut self, centre: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        let circle = crate::drawing::circle(point(centre), f64::from(radius) / f64::from(FINE));
        self.shape(circle, style, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, corners: I, style: &S) -> Drawn {
        let mut path = polyline(corners.into_iter().map(point));
        path.close_path();
        self.shape(path, style, true)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let angle = match style.transform() {
            FontTransform::None => 0.0,
            FontTransform::Rotate90 => FRAC_PI_2,
            FontTransform::Rotate180 => 2.0 * FRAC_PI_2,
            FontTransform::Rotate270 => -FRAC_PI_2,
        };
        self.0.turned_text(text, lettering(style), ink(style.color()), point(at), angle);
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let lettering = lettering(style);
        let fine = |pixels: f64| (pixels * f64::from(FINE)).ceil() as u32;
        Ok((fine(lettering.width(text)), fine(lettering.size)))
    }
}

fn corners(rect: Rect) -> [Point; 4] {
    [(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x1, rect.y1), (rect.x0, rect.y1)].map(Point::from)
}
