//! A picture of any size on the screen: whole as one texture of a size that every driver takes, and, where that is too
//! coarse, the part that is seen as tiles of the full resolution.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use eframe::egui::{self, Color32, Painter, Pos2, Rect, TextureHandle, TextureOptions, Ui, Vec2, pos2, vec2};
use image::RgbImage;
use image::imageops::crop_imm;

use crate::desktop::canvas::color_image;
use crate::library::keeper::Unpacked;

/// The side of a tile, in pixels of the picture.
const TILE: u32 = 1024;
/// Tiles that are handed to the graphics card in one frame: more would be felt.
const AT_ONCE: usize = 2;

/// A picture, its texture, and the tiles that are on the graphics card.
pub struct Sheet {
    pixels: Unpacked,
    whole: TextureHandle,
    tiles: BTreeMap<(u32, u32), TextureHandle>,
}

impl Sheet {
    /// Brings a picture onto the graphics card.
    pub fn new(ctx: &egui::Context, pixels: Unpacked) -> Self {
        let limit = ctx.input(|input| u32::try_from(input.max_texture_side)).unwrap_or(u32::MAX);
        let (w, h) = pixels.small.dimensions();
        let image = match w.max(h) > limit {
            true => color_image(&crate::library::thumbnail::fit(&pixels.small, limit)),
            false => color_image(&pixels.small),
        };
        let whole = ctx.load_texture("picture", image, TextureOptions::LINEAR);
        Self { pixels, whole, tiles: BTreeMap::new() }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Vec2 {
        let (w, h) = self.pixels.full.dimensions();
        vec2(w.max(1) as f32, h.max(1) as f32)
    }

    /// How many tiles are on the graphics card.
    pub fn tiles(&self) -> usize {
        self.tiles.len()
    }

    /// Draws the picture as `place`, of which `seen` is visible.
    pub fn paint(&mut self, ui: &Ui, place: Rect, seen: Rect) {
        let painter = ui.painter().with_clip_rect(seen);
        draw(&painter, &self.whole, place);
        let Self { pixels, whole, tiles } = self;
        let full: &RgbImage = &pixels.full;
        let (width, height) = full.dimensions();
        let drawn = place.width() * ui.pixels_per_point();
        // The texture has as many pixels as are drawn, or there are no more.
        if whole.size_vec2().x >= drawn.min(width as f32) - 1.0 {
            tiles.clear();
            return;
        }
        let scale = place.width() / width.max(1) as f32;
        let visible = seen.intersect(place);
        let first = |from: f32| ((from / scale).max(0.0) as u32) / TILE;
        let last = |to: f32, side: u32| ((to / scale).max(0.0) as u32).min(side.saturating_sub(1)) / TILE;
        let columns = first(visible.min.x - place.min.x)..=last(visible.max.x - place.min.x, width);
        let rows = first(visible.min.y - place.min.y)..=last(visible.max.y - place.min.y, height);
        tiles.retain(|(column, row), _| columns.contains(column) && rows.contains(row));
        let mut new = 0;
        for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
            let tile = match tiles.entry((column, row)) {
                Entry::Occupied(tile) => tile.into_mut(),
                Entry::Vacant(_) if new == AT_ONCE => {
                    ui.ctx().request_repaint();
                    continue;
                }
                Entry::Vacant(place) => {
                    new += 1;
                    let (x, y) = (column * TILE, row * TILE);
                    let part = crop_imm(full, x, y, TILE.min(width - x), TILE.min(height - y)).to_image();
                    place.insert(ui.ctx().load_texture("tile", color_image(&part), TextureOptions::LINEAR))
                }
            };
            let corner = place.min + vec2(column as f32, row as f32) * (TILE as f32 * scale);
            draw(&painter, tile, Rect::from_min_size(corner, tile.size_vec2() * scale));
        }
    }
}

fn draw(painter: &Painter, texture: &TextureHandle, place: Rect) {
    painter.image(texture.id(), place, Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)), Color32::WHITE);
}
