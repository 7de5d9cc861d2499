//! The user comment of EXIF data, where programs without a place of their own put their records (EXIF 2.32, 4.6).
//!
//! EXIF is a TIFF file: an order of bytes, then directories of entries, each a tag, a type, a count and a place. Only
//! two directories are ever looked at, and no place is believed further than the data reaches.

/// The comment's tag.
const USER_COMMENT: u16 = 0x9286;
/// The entry that says where the second directory is.
const EXIF_DIRECTORY: u16 = 0x8769;
/// Entries of a directory that are looked at.
const ENTRIES: u16 = 512;

/// Which end of a number comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

struct Tiff<'a> {
    data: &'a [u8],
    order: Order,
}

/// The user comment in `exif`.
pub(super) fn user_comment(exif: &[u8]) -> Option<String> {
    // Some writers leave the head in that JPEG files need.
    let data = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let order = match data.get(..4)? {
        b"MM\0*" => Order::Big,
        b"II*\0" => Order::Little,
        _ => return None,
    };
    let tiff = Tiff { data, order };
    let first = tiff.long(4)?;
    let second = || tiff.entry(first, EXIF_DIRECTORY).and_then(|at| tiff.long(at + 8));
    let at =
        second().and_then(|second| tiff.entry(second, USER_COMMENT)).or_else(|| tiff.entry(first, USER_COMMENT))?;
    text(tiff.bytes(at)?, order)
}

impl Tiff<'_> {
    /// Where the entry of `tag` begins in the directory at `directory`.
    fn entry(&self, directory: usize, tag: u16) -> Option<usize> {
        let count = self.short(directory)?.min(ENTRIES);
        let mut places = (0..usize::from(count)).map(|index| directory.saturating_add(2 + 12 * index));
        places.find(|at| self.short(*at) == Some(tag))
    }

    /// The bytes that the entry at `at` speaks of: inside it where there are four or fewer. The kinds that occur here,
    /// ASCII and undefined, have one byte an item.
    fn bytes(&self, at: usize) -> Option<&[u8]> {
        let length = self.long(at + 4)?;
        let begin = if length <= 4 { at + 8 } else { self.long(at + 8)? };
        self.data.get(begin..begin.checked_add(length)?)
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.data.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self.order {
            Order::Big => u16::from_be_bytes(bytes),
            Order::Little => u16::from_le_bytes(bytes),
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = self.data.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let value = match self.order {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        };
        usize::try_from(value).ok()
    }
}

/// A comment in the encoding that its first eight bytes name. Many who say ASCII write UTF-8.
fn text(comment: &[u8], order: Order) -> Option<String> {
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let Some((code, rest)) = comment.split_at_checked(8) else { return Some(utf8(comment)) };
    match code {
        b"ASCII\0\0\0" | b"\0\0\0\0\0\0\0\0" => Some(utf8(rest)),
        b"UNICODE\0" => Some(utf16(rest, order).trim_end_matches('\0').to_owned()),
        b"JIS\0\0\0\0\0" => None,
        _ => Some(utf8(comment)),
    }
}

/// UTF-16 in the order that the text itself shows: records begin with Latin letters or braces, whose high byte is zero.
fn utf16(bytes: &[u8], order: Order) -> String {
    let (bytes, order) = match bytes {
        [0xfe, 0xff, rest @ ..] => (rest, Order::Big),
        [0xff, 0xfe, rest @ ..] => (rest, Order::Little),
        [0, low, ..] if *low != 0 => (bytes, Order::Big),
        [low, 0, ..] if *low != 0 => (bytes, Order::Little),
        _ => (bytes, order),
    };
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.try_into().ok())
        .map(|pair| if order == Order::Big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
        .collect();
    String::from_utf16_lossy(&units)
}
