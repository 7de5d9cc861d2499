//! Moments in a row, as one animated PNG (APNG, third edition of the PNG standard) that runs on for ever.

use std::io::{self, Write};

use image::RgbImage;

/// Hundredths of a second that a moment lasts.
const MOMENT: u16 = 5;

/// Moments from noise to data.
const MOVING: usize = 56;

/// Hundredths of a second that the first and the last moment last.
const RESTING: [u16; 2] = [50, 150];

/// The sigmas of all moments, from 1 to 0.
pub fn moments() -> Vec<f64> {
    (0..=MOVING).map(|i| (MOVING - i) as f64 / MOVING as f64).collect()
}

/// Writes what `picture` shows at every sigma as an animation, each picture as soon as it is drawn; all have one size.
///
/// # Errors
/// Those of `out`.
pub fn write(out: impl Write, sigmas: &[f64], picture: impl Fn(f64) -> RgbImage) -> io::Result<()> {
    let [begin, end] = RESTING;
    let mut pictures = sigmas.iter().map(|sigma| picture(*sigma)).enumerate();
    let Some((_, first)) = pictures.next() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an animation has at least one picture"));
    };
    let mut encoder = png::Encoder::new(out, first.width(), first.height());
    encoder.set_color(png::ColorType::Rgb);
    // Flat colours and thin lines: a third smaller than with any filter.
    encoder.set_filter(png::Filter::NoFilter);
    // 0 plays are endless.
    encoder.set_animated(u32::try_from(sigmas.len()).unwrap_or(u32::MAX), 0)?;
    encoder.set_frame_delay(begin, 100)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&coarse(&first))?;
    for (index, picture) in pictures {
        let last = index + 1 == sigmas.len();
        writer.set_frame_delay(if last { end } else { MOMENT }, 100)?;
        writer.write_image_data(&coarse(&picture))?;
    }
    writer.finish()?;
    Ok(())
}

/// The pixels to 6 bits a channel, which nobody sees in motion and which makes files a third smaller. Black and white
/// stay what they are.
fn coarse(picture: &RgbImage) -> Vec<u8> {
    picture.as_raw().iter().map(|value| (value & 0b1111_1100) | (value >> 6)).collect()
}
