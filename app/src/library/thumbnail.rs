//! Small pictures of pictures, made once and kept.

use std::fs::{self, File as OpenFile};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageDecoder, RgbImage};

use super::atomic::Whole;
use super::entry::File;
use crate::error::{Failure, Result};
use crate::picture;

/// The longest side of a thumbnail.
pub const SIDE: u32 = 256;
/// How well a thumbnail is kept, of 100.
const QUALITY: u8 = 85;

/// The thumbnail of `file`: the one kept in `folder`, if the file is as it was then, else a new one. Without a folder
/// nothing is kept.
///
/// # Errors
/// A picture that is damaged, or is not there.
pub fn thumbnail(file: &File, folder: Option<&Path>) -> Result<RgbImage> {
    let kept = folder.map(|folder| place(file, folder));
    if let Some(found) = kept.as_deref().and_then(read) {
        return Ok(found);
    }
    let small = make(&file.path)?;
    // It can be made again: a cache that takes nothing is no reason to show nothing.
    if let Some(kept) = &kept {
        let _ = keep(&small, kept);
    }
    Ok(small)
}

/// Where the thumbnail of `file` is kept; every change of the file leads to another place.
fn place(file: &File, folder: &Path) -> PathBuf {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, SIDE, file.path.as_os_str(), file.bytes, file.modified).hash(&mut hasher);
        hasher.finish()
    };
    // Two hashes of 64 bits: nobody sees another picture's thumbnail.
    folder.join(format!("{:016x}{:016x}.jpg", hash(0), hash(1)))
}

fn make(path: &Path) -> Result<RgbImage> {
    let strips = picture::in_strips(path, SIDE)?;
    Ok(fit(&strips, SIDE))
}

/// `image` with its longest side at most `side`.
pub fn fit(image: &RgbImage, side: u32) -> RgbImage {
    let (w, h) = image.dimensions();
    let longest = w.max(h).max(1);
    if longest <= side {
        return image.clone();
    }
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    resize(image, scaled(w), scaled(h), FilterType::Triangle)
}

fn keep(small: &RgbImage, place: &Path) -> std::io::Result<()> {
    let folder = place.parent().map_or(Path::new("."), super::here);
    fs::create_dir_all(folder)?;
    let write = |out: &mut dyn Write| {
        JpegEncoder::new_with_quality(out, QUALITY).encode_image(small).map_err(std::io::Error::other)
    };
    // Not flushed to the disk as pictures are: half a thumbnail is no loss, and ten thousand would take minutes.
    Whole::quickly(folder, write)?.replace(place)
}

/// The thumbnail at `path`, if a whole one is there.
fn read(path: &Path) -> Option<RgbImage> {
    let decoder = JpegDecoder::new(BufReader::new(OpenFile::open(path).ok()?)).ok()?;
    let (w, h) = decoder.dimensions();
    (w.max(h) <= SIDE).then(|| DynamicImage::from_decoder(decoder).ok().map(DynamicImage::into_rgb8)).flatten()
}

/// What a picture that cannot be shown says.
pub(super) fn stumbled(path: &Path) -> Failure {
    let what = format!("{} stopped its reader", path.display());
    Failure::new(what, "this is a bug in flowline; please report it with the picture")
}
