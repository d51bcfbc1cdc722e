//! A footer before the stock reader sees it.
//!
//! The stock reader believes the footer: it takes memory for as many columns and row groups as one claims, and walks a
//! schema by calling itself. So the footer's structures are walked here first, without taking memory, and what they
//! claim is held against the limits below. Source: Apache Parquet format 2.12, `parquet.thrift`.

use mashbill_store::read_at::ReadAt;

use crate::decode::{Decoded, Field, binary, fields, integer, structures};

/// The largest footer that is read, in bytes, or a thousandth of the file where that is more. A thousand row groups of
/// ten columns take about 2 MB.
pub const FOOTER_BYTES_MAX: u64 = 32 << 20;

/// Columns and groups of columns that a file may have.
pub const SCHEMA_ELEMENTS_MAX: u64 = 1 << 17;

/// How deep columns may be nested; a list takes two levels.
pub const NESTING_MAX: usize = 64;

/// Bytes of the names of all columns, the names of the groups around a column counted with it.
pub const NAME_BYTES_MAX: u64 = 64 << 20;

/// Column chunks that a file may have, its columns times its row groups, or one for each 64 KiB of the file where that is
/// more. Each takes half a kilobyte of memory.
pub const COLUMN_CHUNKS_MAX: u64 = 1 << 19;

/// Rows that a row group may have.
pub const GROUP_ROWS_MAX: u64 = (1 << 31) - 1;

/// The largest value of a type of fixed size, in bytes.
pub const FIXED_BYTES_MAX: i64 = 1 << 16;

/// Bytes behind the footer: its length and the magic number.
const TAIL_BYTES: u64 = 8;

/// The bytes of the footer of `file`, which has `size` bytes.
pub(super) fn read(file: &dyn ReadAt, size: u64) -> std::io::Result<Decoded<Vec<u8>>> {
    let mut tail = [0; TAIL_BYTES as usize];
    let Some(end) = size.checked_sub(TAIL_BYTES).filter(|&end| end >= 4) else {
        return Ok(Err("it is too short for a Parquet file"));
    };
    file.read_at(end, &mut tail)?;
    if &tail[4..] == b"PARE" {
        return Ok(Err("it is encrypted"));
    }
    if &tail[4..] != b"PAR1" {
        return Ok(Err("it does not end as a Parquet file does"));
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length > end - 4 {
        return Ok(Err("its footer would begin before the file"));
    }
    if let Err(what) = check_length(length, size) {
        return Ok(Err(what));
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(end - length, &mut bytes)?;
    Ok(Ok(bytes))
}

fn check_length(length: u64, size: u64) -> Decoded<()> {
    if length > FOOTER_BYTES_MAX.max(size / 1000) {
        return Err("its footer is larger than 32 MiB and a thousandth of the file");
    }
    Ok(())
}

/// What a footer claims, as far as it was walked.
struct Claims {
    /// For each group of columns that is open, how many of its members are to come, and the bytes of their names so far.
    open: Vec<(u64, u64)>,
    elements: u64,
    name_bytes: u64,
    chunks: u64,
    chunks_max: u64,
    /// Of the file, and of all row groups.
    rows: Option<i64>,
    group_rows: i64,
    groups: bool,
}

/// Walks the footer in `bytes`, of a file of `size` bytes: whether it is within all limits.
pub(super) fn check(mut bytes: &[u8], size: u64) -> Decoded<()> {
    check_length(bytes.len() as u64, size)?;
    let chunks_max = COLUMN_CHUNKS_MAX.max(size >> 16);
    let mut claims = Claims {
        open: Vec::new(),
        elements: 0,
        name_bytes: 0,
        chunks: 0,
        chunks_max,
        rows: None,
        group_rows: 0,
        groups: false,
    };
    fields(&mut bytes, |field, bytes| match field.number {
        2 => claims.schema(field, bytes),
        3 => {
            claims.rows = Some(integer(field.kind, bytes)?);
            Ok(())
        }
        4 => {
            claims.groups = true;
            each(field, bytes, |bytes| claims.row_group(bytes))
        }
        _ => field.skip(bytes),
    })?;
    if claims.elements == 0 || claims.open.iter().any(|&(left, _)| left > 0) {
        return Err("its schema is cut off");
    }
    if claims.rows.is_some_and(|rows| rows != claims.group_rows) {
        return Err("its footer says another number of rows than its row groups have");
    }
    if claims.groups || claims.rows == Some(0) { Ok(()) } else { Err("its footer lists no row groups") }
}

/// Calls `one` for each structure of a list.
fn each<'a>(
    field: Field,
    bytes: &mut &'a [u8],
    mut one: impl FnMut(&mut &'a [u8]) -> Decoded<()>,
) -> Decoded<()> {
    let count = structures(field, bytes)?;
    (0..count).try_for_each(|_| one(bytes))
}

impl Claims {
    fn schema(&mut self, field: Field, bytes: &mut &[u8]) -> Decoded<()> {
        each(field, bytes, |bytes| {
            let (mut children, mut length, mut name) = (0, 0, 0);
            fields(bytes, |field, bytes| {
                match field.number {
                    2 => length = integer(field.kind, bytes)?,
                    4 => name = binary(field.kind, bytes)?.len(),
                    5 => children = integer(field.kind, bytes)?,
                    _ => field.skip(bytes)?,
                }
                Ok(())
            })?;
            self.element(children, length, name as u64)
        })
    }

    /// Takes the next element of the schema, which stand as a walk through the tree meets them.
    fn element(&mut self, children: i64, length: i64, name: u64) -> Decoded<()> {
        // The bytes that a name takes in memory besides its own.
        const NAME_OVERHEAD: u64 = 24;
        self.elements += 1;
        while self.open.last().is_some_and(|&(left, _)| left == 0) {
            self.open.pop();
        }
        let above = match self.open.last_mut() {
            Some((left, above)) => {
                *left -= 1;
                *above
            }
            None if self.elements > 1 => return Err("its schema continues after its end"),
            None => 0,
        };
        let names = above.saturating_add(name).saturating_add(NAME_OVERHEAD);
        self.name_bytes = self.name_bytes.saturating_add(names);
        let children = u64::try_from(children).map_err(|_| "its schema has a negative number of columns")?;
        // The reader takes memory for them before it sees one.
        if self.elements > SCHEMA_ELEMENTS_MAX || children > SCHEMA_ELEMENTS_MAX {
            return Err("it has more than 131,072 columns");
        }
        if self.name_bytes > NAME_BYTES_MAX {
            return Err("the names of its columns take more than 64 MiB");
        }
        if children > 0 || self.elements == 1 {
            self.open.push((children, names));
        }
        if self.open.len() > NESTING_MAX {
            return Err("its columns are nested deeper than 64 levels");
        }
        if length > FIXED_BYTES_MAX {
            return Err("it has values of a fixed size beyond 65,536 bytes");
        }
        Ok(())
    }

    fn row_group(&mut self, bytes: &mut &[u8]) -> Decoded<()> {
        let mut rows = 0;
        // A row group takes memory of its own, too.
        self.chunks = self.chunks.saturating_add(1);
        fields(bytes, |field, bytes| match field.number {
            1 => {
                let mut rest = *bytes;
                self.chunks = self.chunks.saturating_add(structures(field, &mut rest)?);
                if self.chunks > self.chunks_max {
                    return Err("it has more column chunks than any writer makes");
                }
                field.skip(bytes)
            }
            3 => {
                rows = integer(field.kind, bytes)?;
                Ok(())
            }
            _ => field.skip(bytes),
        })?;
        if u64::try_from(rows).is_ok_and(|rows| rows <= GROUP_ROWS_MAX) {
            self.group_rows = self.group_rows.saturating_add(rows);
            return Ok(());
        }
        Err("a row group has a negative number of rows, or more than 2^31 - 1")
    }
}
