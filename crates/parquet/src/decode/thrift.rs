//! The few Thrift structures between pages, read: page headers and offset indexes.

use super::{Decoded, take, varint, zigzag};

/// Where a page stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLocation {
    /// The first byte of its header.
    pub offset: u64,
    /// Bytes, header included.
    pub bytes: usize,
    /// Its first row, counted within the row group.
    pub first_row: u64,
}

/// What a page's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageHeader {
    /// The number of its kind in `parquet.thrift`.
    pub kind: i64,
    /// Bytes of its body before compression.
    pub raw_bytes: usize,
    /// Bytes of its body as they stand in the file.
    pub compressed_bytes: usize,
    /// CRC-32 of the page's bytes as they stand in the file.
    pub checksum: Option<u32>,
    /// Values, nulls and repeated ones counted.
    pub values: usize,
    /// The number of their encoding in `parquet.thrift`.
    pub encoding: i64,
    /// The encoding of the definition levels, of a data page of the first version.
    pub definition_encoding: i64,
    /// The encoding of the repetition levels, of a data page of the first version.
    pub repetition_encoding: i64,
    /// Nulls, of a data page of the second version.
    pub nulls: usize,
    /// Rows, of a data page of the second version.
    pub rows: usize,
    /// Bytes of the definition levels, of a data page of the second version.
    pub definition_bytes: usize,
    /// Bytes of the repetition levels, of a data page of the second version.
    pub repetition_bytes: usize,
    /// Whether the values are compressed, of a data page of the second version.
    pub is_compressed: bool,
}

/// A field of a structure, as its head has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its number in the structure.
    pub number: i64,
    /// The number of its type in the compact protocol.
    pub kind: u8,
}

impl Field {
    /// Takes the field's value off the front of `bytes`.
    pub fn skip(self, bytes: &mut &[u8]) -> Decoded<()> {
        skip(self.kind, bytes, 0)
    }
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
pub fn page_header(bytes: &mut &[u8]) -> Decoded<PageHeader> {
    const DATA_PAGE_HEADER: i64 = 5;
    const DICTIONARY_PAGE_HEADER: i64 = 7;
    const DATA_PAGE_HEADER_V2: i64 = 8;
    let mut header = PageHeader {
        kind: -1,
        raw_bytes: 0,
        compressed_bytes: 0,
        checksum: None,
        values: 0,
        encoding: -1,
        definition_encoding: -1,
        repetition_encoding: -1,
        nulls: 0,
        rows: 0,
        definition_bytes: 0,
        repetition_bytes: 0,
        is_compressed: true,
    };
    fields(bytes, |field, bytes| {
        match field.number {
            1 => header.kind = integer(field.kind, bytes)?,
            2 => header.raw_bytes = size(field.kind, bytes)?,
            3 => header.compressed_bytes = size(field.kind, bytes)?,
            4 => {
                let checksum = i32::try_from(integer(field.kind, bytes)?);
                header.checksum = Some(checksum.map_err(|_| "a header has no checksum")?.cast_unsigned());
            }
            DATA_PAGE_HEADER | DICTIONARY_PAGE_HEADER if field.kind == STRUCT => {
                fields(bytes, |field, bytes| header.first_version(field, bytes))?;
            }
            DATA_PAGE_HEADER_V2 if field.kind == STRUCT => {
                fields(bytes, |field, bytes| header.second_version(field, bytes))?;
            }
            _ => field.skip(bytes)?,
        }
        Ok(())
    })?;
    Ok(header)
}

impl PageHeader {
    /// Takes a field of a data page of the first version, or of a dictionary.
    fn first_version(&mut self, field: Field, bytes: &mut &[u8]) -> Decoded<()> {
        match field.number {
            1 => self.values = size(field.kind, bytes)?,
            2 => self.encoding = integer(field.kind, bytes)?,
            // Of a dictionary this is a truth value.
            3 if !BOOLEANS.contains(&field.kind) => self.definition_encoding = integer(field.kind, bytes)?,
            4 => self.repetition_encoding = integer(field.kind, bytes)?,
            _ => field.skip(bytes)?,
        }
        Ok(())
    }

    /// Takes a field of a data page of the second version.
    fn second_version(&mut self, field: Field, bytes: &mut &[u8]) -> Decoded<()> {
        match field.number {
            1 => self.values = size(field.kind, bytes)?,
            2 => self.nulls = size(field.kind, bytes)?,
            3 => self.rows = size(field.kind, bytes)?,
            4 => self.encoding = integer(field.kind, bytes)?,
            5 => self.definition_bytes = size(field.kind, bytes)?,
            6 => self.repetition_bytes = size(field.kind, bytes)?,
            // A truth value is told by its type.
            7 => self.is_compressed = field.kind == *BOOLEANS.start(),
            _ => field.skip(bytes)?,
        }
        Ok(())
    }
}

/// The pages that an offset index lists.
pub fn offset_index(mut bytes: &[u8]) -> Decoded<Vec<PageLocation>> {
    let mut pages = Vec::new();
    fields(&mut bytes, |field, bytes| {
        if field.number != 1 {
            return field.skip(bytes);
        }
        for _ in 0..structures(field, bytes)? {
            let mut page = PageLocation { offset: 0, bytes: 0, first_row: 0 };
            fields(bytes, |field, bytes| {
                match field.number {
                    1 => page.offset = size(field.kind, bytes)? as u64,
                    2 => page.bytes = size(field.kind, bytes)?,
                    3 => page.first_row = size(field.kind, bytes)? as u64,
                    _ => field.skip(bytes)?,
                }
                Ok(())
            })?;
            pages.push(page);
        }
        Ok(())
    })?;
    Ok(pages)
}

/// Calls `each` with each field of a structure; it takes the field's value off.
pub fn fields<'a>(
    bytes: &mut &'a [u8],
    mut each: impl FnMut(Field, &mut &'a [u8]) -> Decoded<()>,
) -> Decoded<()> {
    let mut number = 0i64;
    loop {
        let head = take(bytes, 1)?[0];
        if head == 0 {
            return Ok(());
        }
        number = match head >> 4 {
            0 => zigzag(bytes)?,
            distance => number.wrapping_add(distance.into()),
        };
        each(Field { number, kind: head & 0xf }, bytes)?;
    }
}

/// Takes an integer off the front of `bytes`.
pub fn integer(kind: u8, bytes: &mut &[u8]) -> Decoded<i64> {
    if !INTEGERS.contains(&kind) {
        return Err("a header has a field of another type");
    }
    zigzag(bytes)
}

fn size(kind: u8, bytes: &mut &[u8]) -> Decoded<usize> {
    usize::try_from(integer(kind, bytes)?).map_err(|_| "a header has a negative size")
}

/// Takes the head of a list of structures off the front of `bytes` and gives their number.
pub fn structures(field: Field, bytes: &mut &[u8]) -> Decoded<u64> {
    if field.kind != LIST {
        return Err("a list is of another type");
    }
    match list(bytes)? {
        (_, 0) => Ok(0),
        (STRUCT, count) => Ok(count),
        _ => Err("a list has elements of another type"),
    }
}

/// Takes a text off the front of `bytes`.
pub fn binary<'a>(kind: u8, bytes: &mut &'a [u8]) -> Decoded<&'a [u8]> {
    if kind != BINARY {
        return Err("a text is of another type");
    }
    let length = varint(bytes)?;
    take(bytes, usize::try_from(length).unwrap_or(usize::MAX))
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
        BINARY => drop(binary(kind, bytes)?),
        LIST => {
            let (element, count) = list(bytes)?;
            for _ in 0..count {
                // In a list a truth value takes a byte, which also keeps a false count from being walked.
                let element = if BOOLEANS.contains(&element) { BYTE } else { element };
                skip(element, bytes, depth + 1)?;
            }
        }
        STRUCT => fields(bytes, |field, bytes| skip(field.kind, bytes, depth + 1))?,
        _ => return Err("a header has a field of an unknown type"),
    }
    Ok(())
}
