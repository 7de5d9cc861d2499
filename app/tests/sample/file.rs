//! PNG files made by hand and taken apart by hand.

use std::io::{Cursor, Write};

use flowline::record::{self, Record};
use flowline_model::Request;

use super::picture;

/// Kind and data, in order.
pub type Chunks = Vec<([u8; 4], Vec<u8>)>;

/// A PNG of these chunks, with right checksums.
pub fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = [0, 0, 0, 48, 0, 0, 0, 32, 8, 2, 0, 0, 0];
    let all = [(b"IHDR", &size[..])].into_iter().chain(chunks.iter().copied()).chain([(b"IEND", &[][..])]);
    for (kind, data) in all {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(data);
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

/// A PNG with one plain text chunk.
pub fn png_with_text(keyword: &str, text: &str) -> Vec<u8> {
    png(&[(b"tEXt", format!("{keyword}\0{text}").as_bytes()), (b"IDAT", b"not even pixels")])
}

/// Text as zlib packs it.
pub fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The chunks of a PNG, in order.
pub fn chunks_of(file: &[u8]) -> Chunks {
    let (mut chunks, mut at) = (Vec::new(), 8);
    while at < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        chunks.push((file[at + 4..at + 8].try_into().unwrap(), file[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    chunks
}

/// The picture of a request, with its record.
pub fn written(request: &Request) -> Vec<u8> {
    let mut file = Vec::new();
    record::write_png(&mut file, &picture(request.clone()).image, &record::chunks(request)).unwrap();
    file
}

/// Reads a file's record.
pub fn read(file: &[u8]) -> flowline::error::Result<Record> {
    record::read_from("picture.png", Cursor::new(file))
}

/// Reads a text under a keyword as another program's record.
pub fn foreign(keyword: &str, text: &str) -> Record {
    read(&png_with_text(keyword, text)).unwrap()
}

/// The value of that name.
pub fn field<'r>(fields: &'r [(String, String)], name: &str) -> Option<&'r str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
