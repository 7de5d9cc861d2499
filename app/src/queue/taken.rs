//! Whether a picture that was about to get its name got it.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use flowline_model::Request;

use crate::record;

/// The last bytes of every PNG: its chunk IEND (PNG specification, third edition, 11.2.5).
const END: &[u8; 12] = b"\0\0\0\0IEND\xaeB`\x82";

/// The record of the file at `path`, if that is a whole picture of the run that `request` makes: to its last byte, with
/// every pixel, and with that record. Where it was stopped, the record says so.
pub fn is_whole_picture(path: &Path, request: &Request) -> Option<Request> {
    let about = fs::symlink_metadata(path).ok()?;
    if !about.is_file() {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    let found = record::read_from("the picture", Cursor::new(&bytes)).ok()?;
    let made = found.request.filter(|made| made.same_run(request))?;
    if found.size != (request.width, request.height) || !bytes.ends_with(END) {
        return None;
    }
    let mut reader = png::Decoder::new(Cursor::new(&bytes)).read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut pixels).ok()?;
    reader.finish().ok()?;
    Some(made)
}
