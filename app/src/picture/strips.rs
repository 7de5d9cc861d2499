//! A large PNG made smaller while it is read, a row at a time: never more of it in memory than the small picture.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::{Rgb, RgbImage};
use png::{ColorType, Decoder, Limits, Reader, Transformations};

use super::{CLAIMS, LONGEST_SIDE, MOST_PIXELS, holds, too_large, unreadable};
use crate::{Failure, Result};

/// The least that is left of the longest side, in times of the side that is asked for: enough to be scaled well.
const LEFT: u32 = 2;

/// The PNG file at `path`, over white where it is transparent, reduced by a whole number so that its longest side is at
/// least twice `side`, if it was that long. Meant to be scaled down to `side`.
///
/// # Errors
/// A file that is not there, is no PNG, is damaged, or is larger than anybody needs.
pub fn in_strips(path: &Path, side: u32) -> Result<RgbImage> {
    let damaged = |error: png::DecodingError| match error {
        png::DecodingError::LimitsExceeded => too_large(path),
        error => unreadable(path, &error.to_string()),
    };
    let file = File::open(path).map_err(|error| Failure::io(path, error))?;
    let bytes = file.metadata().map_err(|error| Failure::io(path, error))?.len();
    // Text is not looked at here.
    let mut decoder = Decoder::new_with_limits(BufReader::new(file), Limits { bytes: 64 << 20 });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = reader.info().size();
    if u64::from(width) * u64::from(height) > MOST_PIXELS || width.max(height) > LONGEST_SIDE {
        return Err(too_large(path));
    }
    let unpacked = u64::from(height) * reader.info().raw_row_length() as u64;
    if !holds(bytes, unpacked) {
        return Err(unreadable(path, CLAIMS));
    }
    if reader.info().interlaced {
        // Its rows come in seven passes; few write such files.
        return super::read(path).map(|found| found.pixels);
    }
    let factor = (width.max(height) / (LEFT * side).max(1)).max(1);
    reduced(&mut reader, factor).map_err(damaged)
}

/// The mean of every `factor` x `factor` pixels; what is left over at the right and below counts as its own square.
fn reduced(reader: &mut Reader<BufReader<File>>, factor: u32) -> std::result::Result<RgbImage, png::DecodingError> {
    let (width, height) = reader.info().size();
    let (kind, _) = reader.output_color_type();
    let mut small = RgbImage::new(width.div_ceil(factor), height.div_ceil(factor));
    let mut sums = vec![[0u32; 3]; small.width() as usize];
    for y in 0..height {
        let Some(row) = reader.next_row()? else { break };
        for (x, pixel) in row.data().chunks_exact(kind.samples()).take(width as usize).enumerate() {
            if let Some(sum) = sums.get_mut(x / factor as usize) {
                let levels = over_white(kind, pixel);
                for (sum, level) in sum.iter_mut().zip(levels) {
                    *sum += u32::from(level);
                }
            }
        }
        let line = y / factor;
        if (y + 1) % factor == 0 || y + 1 == height {
            let rows = y + 1 - line * factor;
            for (x, sum) in sums.iter_mut().enumerate() {
                let x = x as u32;
                let count = rows * factor.min(width - x * factor);
                // A mean of levels is a level.
                small.put_pixel(x, line, Rgb(sum.map(|sum| (sum / count.max(1)) as u8)));
                *sum = [0; 3];
            }
        }
    }
    Ok(small)
}

fn over_white(kind: ColorType, pixel: &[u8]) -> [u8; 3] {
    let over = |level: u8, alpha: u8| {
        let (level, alpha) = (u32::from(level), u32::from(alpha));
        ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    match (kind, pixel) {
        (ColorType::Rgb, [r, g, b, ..]) => [*r, *g, *b],
        (ColorType::Rgba, [r, g, b, a, ..]) => [over(*r, *a), over(*g, *a), over(*b, *a)],
        (ColorType::GrayscaleAlpha, [level, a, ..]) => [over(*level, *a); 3],
        (_, [level, ..]) => [*level; 3],
        (_, []) => [0; 3],
    }
}
