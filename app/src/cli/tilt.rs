//! `--tilt IMAGE:STRENGTH`: the picture to be pulled towards.

use flowline_model::{Draft, Pipeline, Tilt, Warning};
use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageReader, RgbImage};

use crate::args::TiltBy;
use crate::{Failure, Result};

/// Has `pipeline` hold the picture, in the size that `draft` will have; and what should be said about it.
///
/// # Errors
/// A file that is no picture, a model that cannot encode one.
pub fn hold(by: &TiltBy, draft: &Draft, pipeline: &mut Pipeline) -> Result<(Tilt, Option<Warning>)> {
    let name = by.picture.display();
    let open = || ImageReader::open(&by.picture)?.with_guessed_format();
    let reader = open().map_err(|error| Failure::io(&by.picture, error))?;
    let picture = reader.decode().map_err(|error| {
        Failure::new(format!("{name} cannot be read as a picture: {error}"), "give a PNG file after --tilt")
    })?;
    let picture = picture.into_rgb8();
    let (width, height) = pipeline.spec().entry.defaults.size;
    let size = (draft.width.unwrap_or(width), draft.height.unwrap_or(height));
    let warning = (picture.dimensions() != size).then(|| {
        let ((w, h), (width, height)) = (picture.dimensions(), size);
        Warning::new("tilt-resized", format!("{name} is {w} x {h}; its middle is taken, scaled to {width} x {height}"))
    });
    let fitted = if warning.is_some() { middle(&picture, size) } else { picture };
    let sha256 = pipeline.hold_target(&fitted)?;
    Ok((Tilt { sha256, strength: by.strength }, warning))
}

/// The largest part around the middle of `picture` with the shape of `size`, scaled to it.
fn middle(picture: &RgbImage, (width, height): (u32, u32)) -> RgbImage {
    let (w, h) = picture.dimensions();
    let (wide, high) = (f64::from(w) / f64::from(width.max(1)), f64::from(h) / f64::from(height.max(1)));
    let scale = wide.min(high);
    let part = |side: u32, all: u32| ((f64::from(side) * scale).round() as u32).clamp(1, all.max(1));
    let (part_w, part_h) = (part(width, w), part(height, h));
    let cropped = crop_imm(picture, (w - part_w.min(w)) / 2, (h - part_h.min(h)) / 2, part_w, part_h).to_image();
    resize(&cropped, width, height, FilterType::CatmullRom)
}
