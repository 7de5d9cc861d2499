//! Pictures that people bring, of any kind and size: read with care, upright and opaque.

mod strips;

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use flowline_model::Warning;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::{FilterType, crop_imm, resize};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits, RgbImage};

use crate::{Failure, Result};
pub use strips::in_strips;

/// The most pixels that a picture may have: more than any camera's, and little enough to be unpacked.
const MOST_PIXELS: u64 = 1 << 28;
/// The longest side.
const LONGEST_SIDE: u32 = 1 << 16;
/// The most memory that reading may take, bytes.
const MOST_BYTES: u64 = 2 << 30;

/// What is wrong with a file whose header promises more than can follow.
const CLAIMS: &str = "its header claims more pixels than the file can hold";

/// A picture as it was found, and what should be said about it.
#[derive(Debug)]
pub struct Found {
    /// Its pixels, upright, over white where it was transparent.
    pub pixels: RgbImage,
    /// What was done to them.
    pub warnings: Vec<Warning>,
}

/// Reads the PNG, JPEG or WebP file at `path`. Of a moving picture the first frame is taken, an orientation in its EXIF
/// data is followed, and transparent parts show white, as in AUTOMATIC1111 (`modules/images.py`, `flatten`).
///
/// # Errors
/// A file that is not there, is no such picture, is damaged, or is larger than anybody needs.
pub fn read(path: &Path) -> Result<Found> {
    let name = path.display();
    let refused = |error: image::ImageError| match error {
        image::ImageError::Limits(_) => too_large(path),
        error => unreadable(path, &error.to_string()),
    };
    let file = File::open(path).map_err(|error| Failure::io(path, error))?;
    let bytes = file.metadata().map_err(|error| Failure::io(path, error))?.len();
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|e| Failure::io(path, e))?;
    let Unpacked { image, moves, cmyk } = unpack(reader, bytes).map_err(refused)?;
    let mut warnings = Vec::new();
    if moves {
        warnings.push(Warning::new("picture-moves", format!("{name} is a moving picture; its first frame is taken")));
    }
    if cmyk {
        let message = format!("{name} is made for print (CMYK); its colours are converted without its profile");
        warnings.push(Warning::new("picture-cmyk", message));
    }
    let (pixels, clear) = over_white(image);
    if clear {
        warnings
            .push(Warning::new("picture-transparent", format!("{name} is transparent in parts; they become white")));
    }
    Ok(Found { pixels, warnings })
}

fn unreadable(path: &Path, why: &str) -> Failure {
    let what = format!("{} cannot be read as a picture: {why}", path.display());
    Failure::new(what, "give a PNG, JPEG or WebP file that other programs can show")
}

fn too_large(path: &Path) -> Failure {
    let what = format!("{} cannot be read as a picture: it is too large to be unpacked", path.display());
    Failure::new(what, "scale it down first")
}

/// Whether a PNG file of `bytes` can hold `unpacked` bytes of pixels: zlib packs 1032 to one at the very best (zlib
/// Technical Details), so no memory is taken for what a header only claims.
fn holds(bytes: u64, unpacked: u64) -> bool {
    unpacked / 1032 <= bytes
}

/// A picture out of its file.
struct Unpacked {
    image: DynamicImage,
    /// Whether there are more frames.
    moves: bool,
    /// Whether its colours are those of ink.
    cmyk: bool,
}

fn unpack(reader: ImageReader<impl BufRead + Seek>, bytes: u64) -> ImageResult<Unpacked> {
    match reader.format() {
        Some(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(reader.into_inner(), limits())?;
            let moves = decoder.is_apng()?;
            if !holds(bytes, decoder.total_bytes()) {
                return Err(image::ImageError::IoError(std::io::Error::other(CLAIMS)));
            }
            Ok(Unpacked { moves, ..upright(decoder)? })
        }
        Some(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(reader.into_inner())?;
            let moves = decoder.has_animation();
            Ok(Unpacked { moves, ..upright(decoder)? })
        }
        Some(ImageFormat::Jpeg) => upright(JpegDecoder::new(reader.into_inner())?),
        // It knows no other, and says so.
        _ => reader.decode().map(|image| Unpacked { image, moves: false, cmyk: false }),
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    limits
}

fn upright(mut decoder: impl ImageDecoder) -> ImageResult<Unpacked> {
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS || decoder.total_bytes() > MOST_BYTES {
        let kind = image::error::LimitErrorKind::DimensionError;
        return Err(image::ImageError::Limits(image::error::LimitError::from_kind(kind)));
    }
    decoder.set_limits(limits())?;
    let orientation = decoder.orientation()?;
    let cmyk = matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(Unpacked { image, moves: false, cmyk })
}

/// The picture over white, and whether any white shows.
fn over_white(image: DynamicImage) -> (RgbImage, bool) {
    if !image.color().has_alpha() {
        return (image.into_rgb8(), false);
    }
    let image = image.into_rgba8();
    let mut clear = false;
    let (width, height) = image.dimensions();
    let mut opaque = RgbImage::new(width, height);
    for (to, from) in opaque.pixels_mut().zip(image.pixels()) {
        let [r, g, b, alpha] = from.0.map(u32::from);
        clear |= alpha < 255;
        // Rounded to the nearest: a level is at most 255 * 255 / 255.
        to.0 = [r, g, b].map(|level| ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    (opaque, clear)
}

/// The picture in the size `width` x `height`: the largest part around its middle that has this shape, scaled. And what
/// should be said about that; `name` is the picture's.
pub fn fitted(picture: RgbImage, name: &Path, (width, height): (u32, u32)) -> (RgbImage, Option<Warning>) {
    let (w, h) = picture.dimensions();
    if (w, h) == (width, height) {
        return (picture, None);
    }
    let (wide, high) = (f64::from(w) / f64::from(width.max(1)), f64::from(h) / f64::from(height.max(1)));
    let scale = wide.min(high);
    let part = |side: u32, all: u32| ((f64::from(side) * scale).round() as u32).clamp(1, all.max(1));
    let (part_w, part_h) = (part(width, w), part(height, h));
    let done = match (part_w, part_h) == (w, h) {
        true => "it is scaled to",
        false => "its middle is taken, scaled to",
    };
    let message = format!("{} is {w} x {h}; {done} {width} x {height}", name.display());
    let cropped = crop_imm(&picture, (w - part_w.min(w)) / 2, (h - part_h.min(h)) / 2, part_w, part_h).to_image();
    let scaled = resize(&cropped, width, height, FilterType::CatmullRom);
    (scaled, Some(Warning::new("picture-resized", message)))
}
