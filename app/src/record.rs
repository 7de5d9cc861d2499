//! A picture's record: how it was made, written into its PNG and read back.
//!
//! Two text chunks are written ([`chunks`]): `parameters` in the form of AUTOMATIC1111's web UI, which every gallery
//! reads, and `flowline`, the canonical JSON of the [`Request`], which makes exactly this picture again. Reading
//! ([`read`]) is generous: the records of other programs become a [`Draft`] as far as they are understood. Nothing that
//! is read is trusted: the pipeline checks every request again.

use std::fmt;
use std::io::{Read, Seek, Write};
use std::path::Path;

use flowline_model::{Draft, Request};
use image::RgbImage;

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

/// The text chunks of the picture that `request` makes: `parameters` and `flowline`. One picture has one seed.
pub fn chunks(request: &Request) -> Vec<Chunk> {
    let _ = request;
    Vec::new()
}

/// Writes `image` as an 8-bit PNG with `chunks`.
///
/// # Errors
/// What `out` says.
pub fn write_png<W: Write>(out: W, image: &RgbImage, chunks: &[Chunk]) -> std::io::Result<()> {
    let _ = (out, image, chunks);
    Ok(())
}

/// The record of the picture at `path`, read without decoding its pixels. A picture without a record that is understood
/// comes back as [`Source::Unknown`]; see [`Record::replayable`].
///
/// # Errors
/// A file that cannot be read, is no PNG, or is damaged; a record of ours that is damaged.
pub fn read(path: &Path) -> Result<Record> {
    Err(Failure::new(path.display().to_string(), "soon"))
}

/// As [`read`], from anything; `name` is what messages call it.
///
/// # Errors
/// As [`read`].
pub fn read_from<R: Read + Seek>(name: &str, input: R) -> Result<Record> {
    let _ = input;
    Err(Failure::new(name, "soon"))
}

impl Record {
    /// Refuses a picture that says nothing about how it was made; `name` is what the message calls it.
    ///
    /// # Errors
    /// If the record is of [`Source::Unknown`].
    pub fn replayable(&self, name: &str) -> Result<()> {
        match self.source {
            Source::Unknown => Err(Failure::new(format!("{name} has no record of how it was made"), "soon")),
            _ => Ok(()),
        }
    }
}
