//! Moments in a row, as one animated PNG (APNG, third edition of the PNG standard) that runs on for ever.

use std::io::{self, Write};

use image::RgbImage;

/// Moments a second.
const RATE: u16 = 20;

/// Moments from noise to data.
const MOVING: usize = 56;

/// Moments at which nothing moves, before and after.
const RESTING: [usize; 2] = [6, 18];

/// The sigmas of all moments, from 1 to 0.
pub fn moments() -> Vec<f64> {
    let [before, after] = RESTING;
    let moving = (0..=MOVING).map(|i| (MOVING - i) as f64 / MOVING as f64);
    std::iter::repeat_n(1.0, before).chain(moving).chain(std::iter::repeat_n(0.0, after)).collect()
}

/// Writes what `picture` shows at every sigma as an animation, each picture as soon as it is drawn; all have one size.
///
/// # Errors
/// Those of `out`.
pub fn write(out: impl Write, sigmas: &[f64], picture: impl Fn(f64) -> RgbImage) -> io::Result<()> {
    let mut pictures = sigmas.iter().map(|sigma| picture(*sigma));
    let Some(first) = pictures.next() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an animation has at least one picture"));
    };
    let mut encoder = png::Encoder::new(out, first.width(), first.height());
    encoder.set_color(png::ColorType::Rgb);
    // 0 plays are endless.
    encoder.set_animated(u32::try_from(sigmas.len()).unwrap_or(u32::MAX), 0)?;
    encoder.set_frame_delay(1, RATE)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(first.as_raw())?;
    for picture in pictures {
        writer.write_image_data(picture.as_raw())?;
    }
    writer.finish()?;
    Ok(())
}
