//! A picture's record: how it was made, written into its PNG and read back.
//!
//! Two text chunks are written ([`chunks`]): `parameters` in the form of AUTOMATIC1111's web UI, which every gallery
//! reads, and `flowline`, the canonical JSON of the [`Request`], which makes exactly this picture again. Reading
//! ([`read`]) is generous: the records of other programs become a [`Draft`] as far as they are understood. Nothing that
//! is read is trusted: the pipeline checks every request again.

mod a1111;
mod comfyui;
mod draw_things;
mod exif;
mod flowline;
mod fooocus;
mod invoke_ai;
mod json_object;
mod mflux;
mod names;
mod png_text;
mod reading;
mod sd_cpp;
mod swarm_ui;
mod xmp;

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use flowline_model::{Draft, Request};
use image::RgbImage;
use reading::Reading;

use crate::error::{Failure, Result};

/// What a picture's file says about how it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The program that wrote it.
    pub source: Source,
    /// The whole request; only Flowline's own pictures have one.
    pub request: Option<Request>,
    /// What was asked, as far as it is understood; for our own pictures it resolves to the request again.
    pub draft: Draft,
    /// What was understood, for people: name and value, safe to print.
    pub understood: Vec<(String, String)>,
    /// What was found and is not used: name, and value with the reason, safe to print.
    pub unused: Vec<(String, String)>,
    /// All text chunks as they stand in the file: keyword and text. Not safe to print: it may hold control characters.
    pub text: Vec<(String, String)>,
    /// Width and height of the picture itself.
    pub size: (u32, u32),
}

/// The program that wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This one.
    Flowline,
    /// AUTOMATIC1111's web UI, Forge and all that write as they do.
    A1111,
    /// stable-diffusion.cpp.
    StableDiffusionCpp,
    /// SwarmUI.
    SwarmUi,
    /// Fooocus.
    Fooocus,
    /// InvokeAI.
    InvokeAi,
    /// ComfyUI.
    ComfyUi,
    /// mflux.
    Mflux,
    /// Draw Things.
    DrawThings,
    /// There is no text, or none that is understood.
    Unknown,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flowline => "Flowline",
            Self::A1111 => "AUTOMATIC1111",
            Self::StableDiffusionCpp => "stable-diffusion.cpp",
            Self::SwarmUi => "SwarmUI",
            Self::Fooocus => "Fooocus",
            Self::InvokeAi => "InvokeAI",
            Self::ComfyUi => "ComfyUI",
            Self::Mflux => "mflux",
            Self::DrawThings => "Draw Things",
            Self::Unknown => "unknown",
        })
    }
}

/// One text chunk of a PNG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its keyword, 1 to 79 characters of Latin-1.
    pub keyword: &'static str,
    /// Its text.
    pub text: String,
}

/// The text chunks of the picture that `request` makes: `parameters` and `flowline`. One picture has one seed; of
/// several the first counts.
pub fn chunks(request: &Request) -> Vec<Chunk> {
    let alone = request.seeds.first().filter(|_| request.seeds.len() > 1).map(|seed| request.for_seed(*seed));
    let request = alone.as_ref().unwrap_or(request);
    let json = flowline::json(request);
    vec![
        Chunk { keyword: a1111::KEYWORD, text: a1111::write(request, &json) },
        Chunk { keyword: flowline::KEYWORD, text: json },
    ]
}

impl Chunk {
    /// Whether the text is written as `tEXt` (Latin-1) rather than `iTXt` (UTF-8). Readers take the bytes of `tEXt` for
    /// Latin-1 or for UTF-8, so it must not be readable as both with different results.
    pub fn is_plain(&self) -> bool {
        let latin1: Option<Vec<u8>> =
            self.text.chars().map(|c| u8::try_from(c).ok().filter(|byte| *byte != 0)).collect();
        latin1.is_some_and(|bytes| self.text.is_ascii() || std::str::from_utf8(&bytes).is_err())
    }
}

/// Writes `image` as an 8-bit sRGB PNG with `chunks` before its pixels.
///
/// # Errors
/// What `out` says.
pub fn write_png<W: Write>(out: W, image: &RgbImage, chunks: &[Chunk]) -> std::io::Result<()> {
    encode(out, image, chunks).map_err(|error| match error {
        png::EncodingError::IoError(error) => error,
        other => std::io::Error::other(other),
    })
}

fn encode<W: Write>(out: W, image: &RgbImage, chunks: &[Chunk]) -> Result<(), png::EncodingError> {
    let (width, height) = image.dimensions();
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    // Packing better saves 14 % and takes five to eight times as long.
    encoder.set_compression(png::Compression::Fast);
    for chunk in chunks {
        let (keyword, text) = (chunk.keyword.to_owned(), chunk.text.clone());
        match chunk.is_plain() {
            true => encoder.add_text_chunk(keyword, text)?,
            false => encoder.add_itxt_chunk(keyword, text)?,
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(image.as_raw())?;
    writer.finish()
}

/// The record of the picture at `path`, read without decoding its pixels. A picture without a record that is understood
/// comes back as [`Source::Unknown`]; see [`Record::replayable`].
///
/// # Errors
/// A file that cannot be read, is no PNG, or is damaged; a record of ours that is damaged.
pub fn read(path: &Path) -> Result<Record> {
    let about = std::fs::metadata(path).map_err(|error| Failure::io(path, error))?;
    let name = path.display().to_string();
    if !about.is_file() {
        // Opening a pipe would wait for its writer.
        let kind = if about.is_dir() { "a folder" } else { "no regular file" };
        return Err(Failure::new(format!("{name} is {kind}, not a picture"), "give a PNG file"));
    }
    read_from(&name, File::open(path).map_err(|error| Failure::io(path, error))?)
}

/// As [`read`], from anything; `name` is what messages call it.
///
/// # Errors
/// As [`read`].
pub fn read_from<R: Read + Seek>(name: &str, input: R) -> Result<Record> {
    let contents = png_text::read(name, input)?;
    let comment = exif::user_comment(&contents.exif);
    let texts = Texts { chunks: &contents.text, comment: comment.as_deref() };
    let found = FORMATS.iter().find_map(|read| read(name, &texts)).transpose()?;
    let Found { source, request, reading } =
        found.unwrap_or(Found { source: Source::Unknown, request: None, reading: Reading::default() });
    let Reading { draft, understood, unused } = reading;
    Ok(Record { source, request, draft, understood, unused, text: contents.text, size: contents.size })
}

/// Reads one program's record; `None` if there is none of that kind.
type Format = fn(name: &str, texts: &Texts<'_>) -> Option<Result<Found>>;

/// All records that are read, the surest first. A new one is one more line.
const FORMATS: &[Format] = &[
    flowline::read,
    swarm_ui::read,
    fooocus::read,
    sd_cpp::read,
    a1111::read,
    invoke_ai::read,
    comfyui::read,
    comfyui::read_workflow,
    mflux::read,
    draw_things::read,
];

/// What a picture says in words.
struct Texts<'a> {
    /// Its text chunks, keyword and text.
    chunks: &'a [(String, String)],
    /// The user comment of its EXIF data.
    comment: Option<&'a str>,
}

impl Texts<'_> {
    /// The text under `keyword`; the first, if it stands there twice.
    fn get(&self, keyword: &str) -> Option<&str> {
        self.chunks.iter().find(|(known, _)| known == keyword).map(|(_, text)| text.as_str())
    }
}

/// What a [`Format`] found.
struct Found {
    source: Source,
    request: Option<Request>,
    reading: Reading,
}

impl Found {
    /// A record of ours.
    fn own(request: Request) -> Self {
        Self { source: Source::Flowline, reading: flowline::understood(&request), request: Some(request) }
    }
}

impl Record {
    /// Refuses a picture that says nothing about how it was made; `name` is what the message calls it.
    ///
    /// # Errors
    /// If the record is of [`Source::Unknown`].
    pub fn replayable(&self, name: &str) -> Result<()> {
        if self.source != Source::Unknown {
            return Ok(());
        }
        let what = match self.text.is_empty() {
            true => format!("{name} has no record of how it was made"),
            false => format!("{name} has no record that is understood, only other text"),
        };
        Err(Failure::new(what, "use a picture as Flowline saved it, not one that another program saved again"))
    }
}
