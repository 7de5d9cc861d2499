//! A picture of the laboratory on its way to the screen.

use std::sync::Arc;

use eframe::egui::accesskit::Role;
use eframe::egui::{self, Rect, Sense, TextureHandle, TextureOptions, Ui, Vec2, WidgetInfo};
use image::RgbImage;

use crate::desktop::{canvas, theme};

/// A picture that is uploaded when it changes, and not before it is seen.
#[derive(Default)]
pub struct Slide(Option<(Arc<RgbImage>, TextureHandle)>);

impl Slide {
    /// Shows `picture` from now on.
    pub fn put(&mut self, ctx: &egui::Context, picture: Option<&Arc<RgbImage>>) {
        let Some(picture) = picture else {
            self.0 = None;
            return;
        };
        match &mut self.0 {
            Some((shown, _)) if Arc::ptr_eq(shown, picture) => {}
            Some((shown, texture)) => {
                texture.set(canvas::on_screen(ctx, picture), TextureOptions::LINEAR);
                shown.clone_from(picture);
            }
            None => {
                let texture = ctx.load_texture("slide", canvas::on_screen(ctx, picture), TextureOptions::LINEAR);
                self.0 = Some((Arc::clone(picture), texture));
            }
        }
    }

    /// Draws it as large as fits into a square of `side` points; `name` is for those who do not see it.
    pub fn show(&self, ui: &mut Ui, side: f32, name: &str) {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
        ui.painter().rect_filled(rect, 4.0, theme::of(ui).panel);
        let Some((picture, texture)) = &self.0 else { return };
        let (w, h) = (picture.width().max(1) as f32, picture.height().max(1) as f32);
        let inside = Rect::from_center_size(rect.center(), Vec2::new(w, h) * (side / w.max(h)));
        egui::Image::new(texture).corner_radius(4.0).paint_at(ui, inside);
    }
}
