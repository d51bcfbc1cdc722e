//! The few Thrift structures that stand between pages: page headers and offset indexes.
//!
//! Thrift's compact protocol writes a field as one byte (the distance from the
//! last field's number in the high half, the type in the low half), then its
//! value: integers as zigzag varints.

use super::levels::varint;

const I32: u8 = 5;
const I64: u8 = 6;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
const STOP: u8 = 0;

/// What every page's header begins with.
#[derive(Debug, Clone, Copy)]
pub struct PageBody {
    /// Bytes before compression.
    pub raw: usize,
    /// Bytes as they are stored.
    pub compressed: usize,
    /// The CRC-32 of the bytes as they are stored.
    pub checksum: u32,
}

impl PageBody {
    /// The body `stored`, which was `raw` bytes before compression.
    pub fn of(raw: usize, stored: &[u8]) -> Self {
        Self { raw, compressed: stored.len(), checksum: crc32fast::hash(stored) }
    }
}

/// Appends the header of a dictionary page.
pub fn dictionary_page_header(out: &mut Vec<u8>, body: PageBody, entries: usize) {
    const DICTIONARY_PAGE: i64 = 2;
    const PLAIN: i64 = 0;
    page_body(out, DICTIONARY_PAGE, body);
    out.push(field(3, STRUCT)); // 7: dictionary_page_header
    integer(out, 1, I32, entries as i64);
    integer(out, 1, I32, PLAIN);
    out.extend([STOP, STOP]);
}

/// Appends the header of a data page (V1) with so many values, and the number of their encoding.
pub fn data_page_header(out: &mut Vec<u8>, body: PageBody, values: usize, encoding: i64) {
    const DATA_PAGE: i64 = 0;
    const RLE: i64 = 3;
    page_body(out, DATA_PAGE, body);
    out.push(field(1, STRUCT)); // 5: data_page_header
    integer(out, 1, I32, values as i64);
    integer(out, 1, I32, encoding);
    integer(out, 1, I32, RLE); // definition levels
    integer(out, 1, I32, RLE); // repetition levels
    out.extend([STOP, STOP]);
}

/// What a page header of ours begins with; what follows is known to who reads the page. None where it is no such
/// header.
pub fn page_body_of(header: &[u8]) -> Option<PageBody> {
    /// Each field's number is one more than the last one's.
    const FIRST: u8 = field(1, I32);
    let mut rest = header;
    let mut next = || -> Option<i64> {
        let (&kind, after) = rest.split_first()?;
        let (value, after) = read_varint(after)?;
        rest = after;
        (kind == FIRST).then_some((value >> 1) as i64 ^ -((value & 1) as i64))
    };
    let (_, raw, compressed, checksum) = (next()?, next()?, next()?, next()?);
    Some(PageBody {
        raw: usize::try_from(raw).ok()?,
        compressed: usize::try_from(compressed).ok()?,
        checksum: i32::try_from(checksum).ok()?.cast_unsigned(),
    })
}

/// An unsigned LEB128 number of 32 bits or less, and what follows it.
fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(length);
    let value = number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, rest))
}

/// Appends an offset index: where each page begins, its bytes and its first row.
pub fn offset_index(out: &mut Vec<u8>, mut offset: u64, pages: &[u64], rows_per_page: u64) {
    const LONG_LIST: usize = 15;
    out.push(field(1, LIST));
    if pages.len() < LONG_LIST {
        out.push((pages.len() as u8) << 4 | STRUCT);
    } else {
        out.push(0xf0 | STRUCT);
        varint(out, pages.len() as u64);
    }
    for (page, &bytes) in pages.iter().enumerate() {
        integer(out, 1, I64, offset as i64);
        integer(out, 1, I32, bytes as i64);
        integer(out, 1, I64, (page as u64 * rows_per_page) as i64);
        out.push(STOP);
        offset += bytes;
    }
    out.push(STOP);
}

/// The first four fields of a page header.
fn page_body(out: &mut Vec<u8>, kind: i64, body: PageBody) {
    integer(out, 1, I32, kind);
    integer(out, 1, I32, body.raw as i64);
    integer(out, 1, I32, body.compressed as i64);
    // The format's integers have signs.
    integer(out, 1, I32, i64::from(body.checksum.cast_signed()));
}

fn integer(out: &mut Vec<u8>, distance: u8, kind: u8, value: i64) {
    out.push(field(distance, kind));
    varint(out, (value << 1 ^ value >> 63) as u64);
}

const fn field(distance: u8, kind: u8) -> u8 {
    distance << 4 | kind
}
