//! A star for a picture: the rating in an XMP packet beside it, `picture.png.xmp`.
//!
//! The picture itself stays as it is, byte for byte: its date, and all that was ever computed from it, would change with
//! it, and a full disk could harm it. The packet is the place where darktable and digiKam keep ratings (`xmp:Rating`, 1
//! to 5), so a star is seen there too; what they wrote besides is kept.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::atomic::Whole;
use super::here;
use crate::error::{Failure, Result};

/// The packet of a star; its one property is replaced in packets of other programs.
const PACKET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Flowline">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/>
 </rdf:RDF>
</x:xmpmeta>
"#;
/// Packets are small; a file that is not is none.
const LONGEST: u64 = 4 << 20;

/// Where the star of the picture at `path` is kept.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".xmp");
    name.into()
}

/// Whether the picture at `path` has a star.
pub fn is_set(path: &Path) -> bool {
    read(&beside(path)).ok().flatten().is_some_and(|packet| rating(&packet).is_some_and(|rating| rating.stars > 0))
}

/// Gives the picture at `path` a star, or takes it away.
///
/// # Errors
/// What the system says; a packet of another program that cannot be changed.
pub fn set(path: &Path, starred: bool) -> Result<()> {
    let beside = beside(path);
    let failed = |error: io::Error| Failure::io(&beside, error);
    let packet = read(&beside).map_err(failed)?;
    match (packet, starred) {
        (None, false) => Ok(()),
        (None, true) => write(&beside, PACKET).map_err(failed),
        (Some(packet), false) if packet == PACKET => fs::remove_file(&beside).map_err(failed),
        (Some(packet), starred) => {
            let Some(Rating { at, length, stars }) = rating(&packet) else {
                let what = format!("{} is another program's and has no rating", beside.display());
                return Err(Failure::new(what, "give the picture a rating there, or move that file away"));
            };
            if (stars > 0) == starred {
                return Ok(());
            }
            let (before, rest) = packet.split_at_checked(at).unwrap_or((&packet, ""));
            let after = rest.get(length..).unwrap_or_default();
            write(&beside, &format!("{before}{}{after}", if starred { 5 } else { 0 })).map_err(failed)
        }
    }
}

/// A rating in a packet: where its number stands.
struct Rating {
    at: usize,
    length: usize,
    stars: i32,
}

/// The rating, as an attribute or an element. Rejected pictures are rated -1.
fn rating(packet: &str) -> Option<Rating> {
    let (_, after) = packet.split_once("xmp:Rating")?;
    let number = after.strip_prefix("=\"").or_else(|| after.strip_prefix("='")).or_else(|| after.strip_prefix('>'))?;
    let length = number.find(['"', '\'', '<'])?;
    let stars = number.get(..length)?.trim().parse::<f32>().ok()?;
    Some(Rating { at: packet.len() - number.len(), length, stars: stars as i32 })
}

/// The packet at `path`; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    let length = match fs::metadata(path) {
        Ok(about) if !about.is_file() => return Err(io::Error::other("it is no regular file")),
        Ok(about) => about.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > LONGEST {
        return Err(io::Error::other("it is too large for an XMP packet"));
    }
    fs::read_to_string(path).map(Some)
}

fn write(path: &Path, packet: &str) -> io::Result<()> {
    let folder = path.parent().map_or(Path::new("."), here);
    Whole::write(folder, |out: &mut dyn Write| out.write_all(packet.as_bytes()))?.replace(path)
}
