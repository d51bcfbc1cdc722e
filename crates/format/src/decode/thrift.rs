//! The few Thrift structures between pages, read: page headers and offset indexes.

use super::{Decoded, take, varint, zigzag};

/// Where a page stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageLocation {
    /// The first byte of its header.
    pub(crate) offset: u64,
    /// Bytes, header included.
    pub(crate) bytes: usize,
    /// Its first row, counted within the row group.
    pub(crate) first_row: u64,
}

/// What a page's header says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) kind: i64,
    pub(super) raw_bytes: usize,
    pub(super) compressed_bytes: usize,
    /// The CRC-32 of the stored body.
    pub(super) checksum: Option<u32>,
    pub(super) values: usize,
    pub(super) encoding: i64,
}

/// Structures of structures end here: a file cannot make the reader recurse without end.
const DEPTH_MAX: usize = 8;

const BOOLEANS: std::ops::RangeInclusive<u8> = 1..=2;
const BYTE: u8 = 3;
const INTEGERS: std::ops::RangeInclusive<u8> = 4..=6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Takes a page header off the front of `bytes`.
pub(super) fn page_header(bytes: &mut &[u8]) -> Decoded<PageHeader> {
    const DATA_PAGE_HEADER: i64 = 5;
    const DICTIONARY_PAGE_HEADER: i64 = 7;
    let mut header = PageHeader::default();
    fields(bytes, |field, kind, bytes| {
        match field {
            1 => header.kind = integer(kind, bytes)?,
            2 => header.raw_bytes = size(kind, bytes)?,
            3 => header.compressed_bytes = size(kind, bytes)?,
            4 => {
                let checksum = i32::try_from(integer(kind, bytes)?);
                header.checksum = Some(checksum.map_err(|_| "a header has no checksum")?.cast_unsigned());
            }
            DATA_PAGE_HEADER | DICTIONARY_PAGE_HEADER if kind == STRUCT => {
                fields(bytes, |field, kind, bytes| {
                    match field {
                        1 => header.values = size(kind, bytes)?,
                        2 => header.encoding = integer(kind, bytes)?,
                        _ => skip(kind, bytes, 0)?,
                    }
                    Ok(())
                })?;
            }
            _ => skip(kind, bytes, 0)?,
        }
        Ok(())
    })?;
    Ok(header)
}

/// The pages that an offset index lists.
pub(crate) fn offset_index(mut bytes: &[u8]) -> Decoded<Vec<PageLocation>> {
    let mut pages = Vec::new();
    fields(&mut bytes, |field, kind, bytes| {
        if field != 1 || kind != LIST {
            return skip(kind, bytes, 0);
        }
        let (element, count) = list(bytes)?;
        if element != STRUCT {
            return Err("its offset index lists no pages");
        }
        for _ in 0..count {
            let mut page = PageLocation { offset: 0, bytes: 0, first_row: 0 };
            fields(bytes, |field, kind, bytes| {
                match field {
                    1 => page.offset = size(kind, bytes)? as u64,
                    2 => page.bytes = size(kind, bytes)?,
                    3 => page.first_row = size(kind, bytes)? as u64,
                    _ => skip(kind, bytes, 0)?,
                }
                Ok(())
            })?;
            pages.push(page);
        }
        Ok(())
    })?;
    Ok(pages)
}

/// Calls `each` with the number and type of each field of a structure; it takes the field's value off.
fn fields<'a>(
    bytes: &mut &'a [u8],
    mut each: impl FnMut(i64, u8, &mut &'a [u8]) -> Decoded<()>,
) -> Decoded<()> {
    let mut field = 0;
    loop {
        let head = take(bytes, 1)?[0];
        if head == 0 {
            return Ok(());
        }
        field = match head >> 4 {
            0 => zigzag(bytes)?,
            distance => field + i64::from(distance),
        };
        each(field, head & 0xf, bytes)?;
    }
}

fn integer(kind: u8, bytes: &mut &[u8]) -> Decoded<i64> {
    if !INTEGERS.contains(&kind) {
        return Err("a header has a field of another type");
    }
    zigzag(bytes)
}

fn size(kind: u8, bytes: &mut &[u8]) -> Decoded<usize> {
    usize::try_from(integer(kind, bytes)?).map_err(|_| "a header has a negative size")
}

fn list(bytes: &mut &[u8]) -> Decoded<(u8, u64)> {
    let head = take(bytes, 1)?[0];
    let count = if head >> 4 == 15 { varint(bytes)? } else { u64::from(head >> 4) };
    Ok((head & 0xf, count))
}

fn skip(kind: u8, bytes: &mut &[u8], depth: usize) -> Decoded<()> {
    if depth > DEPTH_MAX {
        return Err("a header is nested too deep");
    }
    match kind {
        _ if BOOLEANS.contains(&kind) => {}
        _ if INTEGERS.contains(&kind) => drop(varint(bytes)?),
        BYTE => drop(take(bytes, 1)?),
        DOUBLE => drop(take(bytes, 8)?),
        BINARY => {
            let length = varint(bytes)?;
            take(bytes, usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        LIST => {
            let (element, count) = list(bytes)?;
            for _ in 0..count {
                skip(element, bytes, depth + 1)?;
            }
        }
        STRUCT => fields(bytes, |_, kind, bytes| skip(kind, bytes, depth + 1))?,
        _ => return Err("a header has a field of an unknown type"),
    }
    Ok(())
}
