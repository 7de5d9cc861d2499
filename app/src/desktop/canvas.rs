//! The picture: the live preview while it is made, and the finished one.

use eframe::egui::{self, Align, Color32, ColorImage, Layout, RichText, TextureHandle, TextureOptions, Ui, Vec2};
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::state::{Shown, State};
use super::theme::{self, GRID};

/// What is on the canvas.
#[derive(Default)]
pub struct Canvas {
    texture: Option<TextureHandle>,
    /// The size it is drawn as, in pixels: a preview takes the room of the picture it becomes.
    size: (u32, u32),
    /// What it is, for those who do not see it.
    name: String,
}

/// Longest side of a preview after it was smoothed; the graphics driver stretches the rest of the way.
const PREVIEW_SIDE: u32 = 256;
/// Longest side of a picture on the screen: large ones are reduced before they are uploaded.
const SCREEN_SIDE: u32 = 2048;
/// Small pictures are enlarged at most so much.
const LARGEST_SCALE: f32 = 2.0;

impl Canvas {
    /// Takes in new pixels. `size` is the size of the picture that a preview belongs to.
    pub fn take(&mut self, ctx: &egui::Context, shown: Shown, size: Option<(u32, u32)>) {
        let (pixels, drawn, name) = match shown {
            // One pixel a latent: stretched by the driver alone it would show its squares.
            Shown::Preview(small) => {
                let (w, h) = small.dimensions();
                (fit(&small, PREVIEW_SIDE, FilterType::CatmullRom), size.unwrap_or((16 * w, 16 * h)), "Preview")
            }
            Shown::Picture(picture) => {
                let (w, h) = picture.image.dimensions();
                let image = reduced(ctx, &picture.image);
                self.set(ctx, image);
                (self.size, self.name) = ((w, h), format!("Picture: {}", picture.request.prompt));
                return;
            }
        };
        self.set(ctx, color_image(&pixels));
        (self.size, self.name) = (drawn, name.to_owned());
    }

    fn set(&mut self, ctx: &egui::Context, image: ColorImage) {
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::LINEAR),
            None => self.texture = Some(ctx.load_texture("canvas", image, TextureOptions::LINEAR)),
        }
    }

    /// Draws the canvas.
    pub fn show(&self, ui: &mut Ui, state: &State) {
        let Some(texture) = &self.texture else { return placeholder(ui, state) };
        ui.centered_and_justified(|ui| {
            let (w, h) = (self.size.0.max(1) as f32, self.size.1.max(1) as f32);
            let room = ui.available_size();
            let scale = (room.x / w).min(room.y / h).clamp(0.0, LARGEST_SCALE);
            let image = egui::Image::new(texture).fit_to_exact_size(Vec2::new(w, h) * scale);
            ui.add(image.maintain_aspect_ratio(false).corner_radius(4.0).alt_text(self.name.as_str()));
        });
    }
}

/// What stands where no picture is yet: what can be asked for.
fn placeholder(ui: &mut Ui, state: &State) {
    if state.work.is_some() {
        return;
    }
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.4);
        ui.label(RichText::new("Your picture appears here").color(theme::of(ui).text).size(18.0));
        if let Some((offer, draws)) = state.offer.as_ref().and_then(|offer| Some((offer, offer.draws.as_ref()?))) {
            let size = Vec2::new(ui.available_width().min(60.0 * GRID), 0.0);
            ui.allocate_ui_with_layout(size, Layout::top_down(Align::Center), |ui| {
                ui.label(RichText::new(format!("{} draws {draws}.", offer.model)).color(theme::of(ui).muted));
            });
        }
    });
}

/// `image` with no side longer than a texture may be.
fn reduced(ctx: &egui::Context, image: &RgbImage) -> ColorImage {
    let limit = ctx.input(|input| u32::try_from(input.max_texture_side)).unwrap_or(SCREEN_SIDE).min(SCREEN_SIDE);
    match image.width().max(image.height()) > limit {
        true => color_image(&fit(image, limit, FilterType::Triangle)),
        false => color_image(image),
    }
}

/// `image` as it is uploaded, whatever its size: small ones are smoothed first, as previews are.
pub fn on_screen(ctx: &egui::Context, image: &RgbImage) -> ColorImage {
    match image.width().max(image.height()) < PREVIEW_SIDE {
        true => color_image(&fit(image, PREVIEW_SIDE, FilterType::CatmullRom)),
        false => reduced(ctx, image),
    }
}

/// `image` with its longest side brought to `side`.
fn fit(image: &RgbImage, side: u32, filter: FilterType) -> RgbImage {
    let (w, h) = image.dimensions();
    let longest = w.max(h).max(1);
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    imageops::resize(image, scaled(w), scaled(h), filter)
}

/// `image` as the toolkit wants it.
pub fn color_image(image: &RgbImage) -> ColorImage {
    let (w, h) = image.dimensions();
    let pixels = image.pixels().map(|pixel| Color32::from_rgb(pixel.0[0], pixel.0[1], pixel.0[2])).collect();
    ColorImage::new([w as usize, h as usize], pixels)
}
