//! How large a picture is shown, and which part of it.

use eframe::egui::{Key, Modifiers, Rect, Response, Ui, Vec2, vec2};

use crate::desktop::theme::GRID;

/// How large, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Zoom {
    scale: Scale,
    /// Where the picture's middle lies from the middle of the room, in points.
    offset: Vec2,
}

/// How large.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Scale {
    /// The whole picture.
    #[default]
    Fit,
    /// So many pixels of the screen for one of the picture.
    Times(f32),
}

/// A small picture that fits is enlarged at most so much.
const LARGEST_FIT: f32 = 2.0;
/// The limits of zooming, screen pixels for a picture's.
const LIMITS: (f32, f32) = (1.0 / 32.0, 32.0);
/// One press of + or -.
const STEP: f32 = 1.25;

impl Zoom {
    /// Whether the whole picture is shown.
    pub fn fits(&self) -> bool {
        self.scale == Scale::Fit
    }

    /// Where a picture of `size` pixels lies in `room`.
    pub fn place(&self, room: Rect, size: Vec2, pixels_per_point: f32) -> Rect {
        let scale = self.points(room, size, pixels_per_point);
        Rect::from_center_size(room.center() + self.offset, size * scale)
    }

    /// Screen pixels for one of the picture, in percent.
    pub fn percent(&self, room: Rect, size: Vec2, pixels_per_point: f32) -> u32 {
        (self.points(room, size, pixels_per_point) * pixels_per_point * 100.0).round() as u32
    }

    /// Points for one pixel of the picture.
    fn points(&self, room: Rect, size: Vec2, pixels_per_point: f32) -> f32 {
        match self.scale {
            Scale::Fit => (room.width() / size.x).min(room.height() / size.y).clamp(1e-3, LARGEST_FIT),
            Scale::Times(times) => times / pixels_per_point,
        }
    }

    /// Shows the whole picture.
    pub fn fit(&mut self) {
        *self = Self::default();
    }

    /// Shows each pixel as one.
    pub fn one_to_one(&mut self) {
        self.scale = Scale::Times(1.0);
    }

    /// Follows wheel, pointer and keys: `+`, `-`, 0 for the whole, 1 for pixel by pixel, arrows where it is zoomed.
    pub fn follow(&mut self, ui: &Ui, response: &Response, size: Vec2) {
        let room = response.rect;
        let density = ui.pixels_per_point();
        let before = self.points(room, size, density);
        let mut factor = 1.0;
        // Where the picture stays in place: under the pointer, else in the middle.
        let mut still = Vec2::ZERO;
        if let Some(pointer) = response.hover_pos() {
            let (wheel, pinch) = ui.input(|input| (input.smooth_scroll_delta.y, input.zoom_delta()));
            factor *= pinch * (wheel / 240.0).exp();
            still = pointer - room.center();
        }
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let shifted = |key| ui.input_mut(|input| input.consume_key(Modifiers::SHIFT, key));
        if pressed(Key::Plus) || shifted(Key::Plus) || pressed(Key::Equals) || shifted(Key::Equals) {
            (factor, still) = (STEP, Vec2::ZERO);
        }
        if pressed(Key::Minus) {
            (factor, still) = (1.0 / STEP, Vec2::ZERO);
        }
        if pressed(Key::Num0) {
            self.fit();
            return;
        }
        if pressed(Key::Num1) {
            self.one_to_one();
        }
        if factor != 1.0 {
            let times = (before * density * factor).clamp(LIMITS.0, LIMITS.1);
            self.scale = Scale::Times(times);
        }
        let after = self.points(room, size, density);
        if after != before {
            self.offset = still + (self.offset - still) * (after / before);
        }
        if response.dragged() {
            self.offset += response.drag_delta();
        }
        if !self.fits() {
            let step = 8.0 * GRID;
            for (key, way) in [
                (Key::ArrowLeft, vec2(step, 0.0)),
                (Key::ArrowRight, vec2(-step, 0.0)),
                (Key::ArrowUp, vec2(0.0, step)),
                (Key::ArrowDown, vec2(0.0, -step)),
            ] {
                if pressed(key) {
                    self.offset += way;
                }
            }
        }
        self.keep_in(room, size * after);
    }

    /// No picture is ever out of sight: what is larger than the room covers it, what is smaller lies in its middle.
    fn keep_in(&mut self, room: Rect, drawn: Vec2) {
        let slack = ((drawn - room.size()) / 2.0).max(Vec2::ZERO);
        self.offset = self.offset.clamp(-slack, slack);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use eframe::egui::pos2;

    #[test]
    fn a_picture_fits_or_is_shown_pixel_by_pixel() {
        let room = Rect::from_min_size(pos2(100.0, 50.0), vec2(800.0, 600.0));
        let mut zoom = Zoom::default();
        assert_eq!(zoom.place(room, vec2(1600.0, 400.0), 1.0).size(), vec2(800.0, 200.0));
        assert_eq!(zoom.place(room, vec2(100.0, 100.0), 1.0).size(), vec2(200.0, 200.0), "twice at most");
        zoom.one_to_one();
        assert_eq!(zoom.place(room, vec2(1600.0, 400.0), 2.0).size(), vec2(800.0, 200.0));
        assert_eq!(zoom.percent(room, vec2(1600.0, 400.0), 2.0), 100);
        zoom.offset = vec2(1e9, -1e9);
        zoom.keep_in(room, vec2(1600.0, 400.0));
        assert_eq!(zoom.offset, vec2(400.0, 0.0));
    }
}
