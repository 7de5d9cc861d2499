//! The text chunks of a PNG and its EXIF data, found without decoding a pixel (PNG specification, third edition, 5,
//! 11.3.3 and 11.3.4.5).
//!
//! Whoever wrote the file may be careless or hostile: lengths are checked against the file before anything is allocated,
//! checksums of text are verified, and all text together, packed or not, may not exceed [`TEXT_LIMIT`].

use std::io::{BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::ZlibDecoder;

use crate::error::{Failure, Result};

/// Bytes of text that are read at most, over all chunks, after unpacking.
pub(super) const TEXT_LIMIT: usize = 8 << 20;
/// Chunks that are looked at; 16 KiB a chunk makes this a picture of 16 GiB.
const CHUNK_LIMIT: usize = 1 << 20;
/// PNG 5.2.
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// What a PNG says beside its pixels.
pub(super) struct Contents {
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    /// Keyword and text, in file order.
    pub(super) text: Vec<(String, String)>,
    /// What the `eXIf` chunk holds; empty where there is none.
    pub(super) exif: Vec<u8>,
}

/// Length and type of a chunk.
struct Header {
    length: usize,
    kind: [u8; 4],
}

struct Scan<'a, R> {
    name: &'a str,
    input: BufReader<R>,
    /// Bytes from here to the end of the file.
    left: u64,
    /// Bytes of text that may still come.
    budget: usize,
}

/// Reads the text of the PNG in `input`, which messages call `name`.
pub(super) fn read<R: Read + Seek>(name: &str, mut input: R) -> Result<Contents> {
    let unreadable = |error: std::io::Error| Failure::new(format!("{name}: {error}"), "check the disk and the path");
    let left = input.seek(SeekFrom::End(0)).map_err(unreadable)?;
    input.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Scan { name, input: BufReader::new(input), left, budget: TEXT_LIMIT }.contents()
}

impl<R: Read + Seek> Scan<'_, R> {
    fn contents(mut self) -> Result<Contents> {
        if self.left == 0 {
            return Err(self.failure("is empty"));
        }
        let mut signature = [0; 8];
        if self.left < 8 || self.fill(&mut signature).is_err() || signature != SIGNATURE {
            let hint = "records are read from PNG files; give the picture as it was saved";
            return Err(Failure::new(format!("{} is not a PNG", self.name), hint));
        }
        let size = self.size()?;
        let (mut text, mut exif) = (Vec::new(), Vec::new());
        for _ in 0..CHUNK_LIMIT {
            let Header { length, kind } = self.header()?;
            match &kind {
                b"IEND" => return Ok(Contents { size, text, exif }),
                b"eXIf" => {
                    exif = self.checked_data(length, kind)?;
                    self.spend(exif.len())?;
                }
                b"tEXt" | b"zTXt" | b"iTXt" => {
                    let data = self.checked_data(length, kind)?;
                    let entry = match &kind {
                        b"tEXt" => Some(split(&data)).map(|(keyword, text)| Ok((keyword, latin1_or_utf8(text)))),
                        b"zTXt" => self.packed(&data),
                        _ => self.international(&data),
                    };
                    if let Some((keyword, value)) = entry.transpose()? {
                        let keyword = latin1(keyword);
                        self.spend(keyword.len() + value.len())?;
                        text.push((keyword, value));
                    }
                }
                _ => self.skip(length)?,
            }
        }
        Err(self.failure("has more chunks than any picture needs"))
    }

    /// The header chunk, which is always the first (PNG 11.2.1).
    fn size(&mut self) -> Result<(u32, u32)> {
        let header = self.header()?;
        let mut data = [0; 13];
        if header.kind != *b"IHDR" || header.length != data.len() {
            return Err(self.failure("does not begin as a PNG does"));
        }
        self.fill(&mut data)?;
        self.skip_checksum()?;
        let [w0, w1, w2, w3, h0, h1, h2, h3, ..] = data;
        Ok((u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3])))
    }

    /// The next chunk's header, once it is sure that the whole chunk is there.
    fn header(&mut self) -> Result<Header> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        let [l0, l1, l2, l3, kind @ ..] = bytes;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(self.failure("is damaged: between its chunks stands something else"));
        }
        // Four more for the checksum.
        if u64::from(length) + 4 > self.left {
            return Err(self.truncated());
        }
        Ok(Header { length: length as usize, kind })
    }

    /// The data of a chunk that is read, its checksum verified.
    fn checked_data(&mut self, length: usize, kind: [u8; 4]) -> Result<Vec<u8>> {
        if length > self.budget {
            return Err(self.too_much());
        }
        let mut data = vec![0; length];
        self.fill(&mut data)?;
        let mut stored = [0; 4];
        self.fill(&mut stored)?;
        let mut crc = Crc::new();
        crc.update(&kind);
        crc.update(&data);
        match crc.sum() == u32::from_be_bytes(stored) {
            true => Ok(data),
            false => Err(self.failure("is damaged: the checksum of its text is wrong")),
        }
    }

    /// `keyword 0 method data`, method 0 (zlib) being the only one.
    fn packed<'d>(&self, data: &'d [u8]) -> Option<Result<(&'d [u8], String)>> {
        let (keyword, rest) = split(data);
        let (0, packed) = rest.split_first()? else { return None };
        Some(self.unpack(packed).map(|text| (keyword, latin1_or_utf8(&text))))
    }

    /// `keyword 0 packed? method language 0 translated keyword 0 text`, in UTF-8.
    fn international<'d>(&self, data: &'d [u8]) -> Option<Result<(&'d [u8], String)>> {
        let (keyword, rest) = split(data);
        let [flag, method, rest @ ..] = rest else { return None };
        let (_language, rest) = split(rest);
        let (_translated, text) = split(rest);
        let text = match (flag, method) {
            (0, _) => Ok(text.to_vec()),
            (1, 0) => self.unpack(text),
            _ => return None,
        };
        Some(text.map(|text| (keyword, String::from_utf8_lossy(&text).into_owned())))
    }

    fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let limit = self.budget as u64 + 1;
        let done = ZlibDecoder::new(packed).take(limit).read_to_end(&mut text);
        match done {
            Ok(_) if text.len() > self.budget => Err(self.too_much()),
            Ok(_) => Ok(text),
            Err(_) => Err(self.failure("is damaged: its text cannot be unpacked")),
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(bytes).ok_or_else(|| self.too_much())?;
        Ok(())
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        let moved = self.input.seek_relative(length as i64);
        moved.map_err(|error| self.unreadable(&error))?;
        self.left = self.left.saturating_sub(length as u64);
        self.skip_checksum()
    }

    fn skip_checksum(&mut self) -> Result<()> {
        self.fill(&mut [0; 4])
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.truncated()),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::new(format!("{} {what}", self.name), "give the picture as it was saved")
    }

    fn truncated(&self) -> Failure {
        self.failure("is damaged: it ends before its last chunk does")
    }

    fn too_much(&self) -> Failure {
        self.failure(&format!("carries more than {} MiB of text", TEXT_LIMIT >> 20))
    }

    fn unreadable(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("{}: {error}", self.name), "check the disk and the path")
    }
}

/// What stands before and after the first zero byte.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// ISO 8859-1: every byte is the code point of the same number.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Text that should be Latin-1. Many programs put UTF-8 there; [`super::Chunk::is_plain`] keeps ours unambiguous.
fn latin1_or_utf8(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => latin1(bytes),
    }
}
