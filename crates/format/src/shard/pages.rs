//! Shards read page by page, at random: fast, and for shards of our own layout only.
//!
//! A shard holds every token twice, in `input_ids` and, moved by one, in `labels`. So this reader never looks
//! at the mask: where the labels cease to be the next ids, padding begins. And since it compares the two
//! columns byte by byte, it finds a damaged page without a checksum over the whole file, for the price of a
//! second decompression.

use std::path::{Path, PathBuf};

use parquet::basic::CompressionCodec;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use super::{IGNORED, Piece, RowLayout};
use crate::decode::{
    Decoded, Page, PageKind, PageLocation, delta_binary_packed, list_lengths, offset_index, section, varint,
};
use crate::encode::{Compression, Encoding, index_width, levels_of_equal_lists};
use crate::error::{Error, Result};
use crate::open;
use crate::parquet_file::{damaged, reading};
use crate::read_at::ReadAt;

/// A shard open for reading at random, by many threads at a time. It keeps about 150 bytes a row group.
#[derive(Debug)]
pub struct ShardPages {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    size: u64,
    row_length: usize,
    rows_per_page: usize,
    codec: CompressionCodec,
    groups: Vec<Group>,
    rows: u64,
}

/// What is needed of a row group's metadata.
#[derive(Debug)]
struct Group {
    first_row: u64,
    rows: usize,
    columns: [Chunk; 6],
}

/// Where a column chunk's parts stand.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    start: u64,
    pages: u64,
    index: u64,
    index_bytes: u32,
}

/// What the pages of ids of one row group have in common.
#[derive(Debug)]
pub struct TokenGroup {
    group: usize,
    /// By index; filled up to the number of indices that fit into an index, so that looking up needs no bound.
    values: Vec<i32>,
    input_ids: Vec<PageLocation>,
    labels: Vec<PageLocation>,
}

/// The rows of one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenPage {
    /// Token ids, row after row.
    pub input_ids: Vec<i32>,
    /// One a row: the label of its last position, a token or [`IGNORED`].
    pub last_labels: Vec<i32>,
    /// One a row: its tokens before the padding.
    pub real_tokens: Vec<u32>,
}

/// The documents' pieces in the rows of one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PiecePage {
    /// The pieces of all rows in order.
    pub pieces: Vec<Piece>,
    /// One a row: the index after its last piece.
    pub ends: Vec<u32>,
}

/// The memory a thread reads pages in.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    first: Page,
    second: Page,
    levels: Vec<u8>,
}

const INPUT_IDS: usize = 0;
const LABELS: usize = 2;
const SEQ_LENS: usize = 3;
const DOC_IDS: usize = 4;
const DOC_OFFSETS: usize = 5;

/// What stands for an index outside the dictionary; ids are not negative.
const NO_ID: i32 = i32::MIN;

/// A footer larger than this is none: a shard of terabytes would need less.
const FOOTER_BYTES_MAX: u64 = 1 << 30;

impl ShardPages {
    /// Opens the shard at `path`, whose rows have `row_length` tokens and stand as `layout` says.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened or read, [`Error::Damaged`] where it is no complete shard of
    /// this layout.
    pub fn open(path: &Path, row_length: usize, layout: RowLayout) -> Result<Self> {
        let file = open::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::read(path, Box::new(file), row_length, layout)
    }

    /// The same for a shard that lies anywhere; `path` is its name in errors.
    ///
    /// # Errors
    /// As [`ShardPages::open`].
    pub fn read(path: &Path, file: Box<dyn ReadAt>, row_length: usize, layout: RowLayout) -> Result<Self> {
        let size = file.size().map_err(|error| Error::io("read", path, error))?;
        let mut shard = Self {
            path: path.to_owned(),
            file,
            size,
            row_length,
            rows_per_page: layout.rows_per_page.max(1),
            codec: CompressionCodec::UNCOMPRESSED,
            groups: Vec::new(),
            rows: 0,
        };
        let metadata = shard.footer()?;
        if metadata.file_metadata().schema() != super::schema(Compression::None).root() {
            return Err(shard.damaged("its columns are other ones"));
        }
        for group in metadata.row_groups() {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            let mut columns = [Chunk { start: 0, pages: 0, index: 0, index_bytes: 0 }; 6];
            for (chunk, column) in columns.iter_mut().zip(group.columns()) {
                shard.codec = column.compression_codec();
                *chunk = Chunk::of(column).ok_or_else(|| shard.damaged("it has no offset index"))?;
            }
            shard.groups.push(Group { first_row: shard.rows, rows, columns });
            shard.rows += rows as u64;
        }
        Ok(shard)
    }

    /// Rows in the shard.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Where a row stands: its row group, its page in the group, and its place in the page.
    #[must_use]
    pub fn place(&self, row: u64) -> (usize, usize, usize) {
        let group = self.groups.partition_point(|group| group.first_row <= row).saturating_sub(1);
        let row = (row - self.groups[group].first_row) as usize;
        (group, row / self.rows_per_page, row % self.rows_per_page)
    }

    /// The number of pages in each row group, in order.
    pub fn pages(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().map(|group| group.rows.div_ceil(self.rows_per_page))
    }

    /// Reads what the pages of ids of row group `group` have in common.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Damaged`].
    pub fn token_group(&self, group: usize, scratch: &mut Scratch) -> Result<TokenGroup> {
        let Group { columns, rows, .. } = &self.groups[group];
        let Scratch { bytes, first, second, .. } = scratch;
        for (column, page) in [(INPUT_IDS, &mut *first), (LABELS, &mut *second)] {
            let chunk = columns[column];
            self.bytes(chunk.start, chunk.pages.saturating_sub(chunk.start), bytes)?;
            // Each token and its label may be new.
            let entries_max = 2 * rows * self.row_length + 2;
            page.decode(bytes, PageKind::Dictionary, Encoding::Plain, self.codec, 4 * entries_max)
                .map_err(|what| self.damaged(what))?;
        }
        if first.body() != second.body() {
            return Err(self.damaged("its ids and its labels have different dictionaries"));
        }
        let values = first.body().as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        let mut values: Vec<i32> = values.collect();
        if values.first() != Some(&IGNORED) || values[1..].iter().any(|&value| value < 0) {
            return Err(self.damaged("its dictionary is another one"));
        }
        let indices = 1 << (8 * index_width(values.len()).min(2));
        values.resize(indices.max(values.len()), NO_ID);
        Ok(TokenGroup {
            group,
            values,
            input_ids: self.locations(group, INPUT_IDS, bytes)?,
            labels: self.locations(group, LABELS, bytes)?,
        })
    }

    /// Reads the rows of a page.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Damaged`].
    pub fn token_page(&self, group: &TokenGroup, page: usize, scratch: &mut Scratch) -> Result<TokenPage> {
        let rows = self.rows_of(group.group, page);
        let values = rows * self.row_length;
        let Scratch { bytes, first, second, levels } = scratch;
        levels.clear();
        levels_of_equal_lists(levels, rows, self.row_length);
        let raw_bytes_max = levels.len() + 16 + 4 * values.next_multiple_of(8);
        for (locations, body) in [(&group.input_ids, &mut *first), (&group.labels, &mut *second)] {
            let location = locations[page];
            self.bytes(location.offset, location.bytes as u64, bytes)?;
            body.decode(bytes, PageKind::Data, Encoding::Dictionary, self.codec, raw_bytes_max)
                .map_err(|what| self.damaged(what))?;
        }
        let decoded = indices(first, levels, values).and_then(|(width, ids)| {
            let (label_width, labels) = indices(second, levels, values)?;
            if width != label_width {
                return Err("its ids and its labels have indices of different widths");
            }
            token_rows(ids, labels, width, self.row_length, &group.values)
        });
        decoded.map_err(|what| self.damaged(what))
    }

    /// Reads the pieces in the rows of a page.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Damaged`].
    pub fn piece_page(&self, group: usize, page: usize, scratch: &mut Scratch) -> Result<PiecePage> {
        let rows = self.rows_of(group, page);
        let (mut columns, mut lengths) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
        for (index, column) in [SEQ_LENS, DOC_IDS, DOC_OFFSETS].into_iter().enumerate() {
            let Scratch { bytes, first, .. } = &mut *scratch;
            let location = self.locations(group, column, bytes)?[page];
            self.bytes(location.offset, location.bytes as u64, bytes)?;
            // A piece has a token, and a value takes less than 10 bytes and a bit.
            let raw_bytes_max = 1024 + 12 * rows * self.row_length;
            let decoded = first
                .decode(bytes, PageKind::Data, Encoding::DeltaBinaryPacked, self.codec, raw_bytes_max)
                .and_then(|()| lists(first, rows, rows * self.row_length));
            (columns[index], lengths[index]) = decoded.map_err(|what| self.damaged(what))?;
        }
        let [seq_lens, doc_ids, doc_offsets] = columns;
        let [counts, of_ids, of_offsets] = lengths;
        if counts != of_ids || counts != of_offsets {
            return Err(self.damaged("its piece columns have different lengths"));
        }
        let pieces = seq_lens.into_iter().zip(doc_ids).zip(doc_offsets);
        let pieces = pieces.map(|((len, doc_id), doc_offset)| {
            let (len, doc_offset) = (i32::try_from(len).ok()?, i32::try_from(doc_offset).ok()?);
            (len > 0 && doc_offset >= 0).then_some(Piece { doc_id, doc_offset, len })
        });
        let pieces: Vec<Piece> =
            pieces.collect::<Option<_>>().ok_or_else(|| self.damaged("it has a piece of impossible size"))?;
        let mut ends = counts;
        let mut end = 0;
        let fits = ends.iter_mut().all(|count| {
            let row = &pieces[end as usize..(end + *count) as usize];
            end += *count;
            *count = end;
            row.iter().map(|piece| piece.len as usize).sum::<usize>() <= self.row_length
        });
        if fits { Ok(PiecePage { pieces, ends }) } else { Err(self.damaged("its pieces fill no row")) }
    }

    /// Rows in a page.
    fn rows_of(&self, group: usize, page: usize) -> usize {
        self.groups[group].rows.saturating_sub(page * self.rows_per_page).min(self.rows_per_page)
    }

    /// Where the pages of a column stand; as many as the row group's rows fill.
    fn locations(&self, group: usize, column: usize, bytes: &mut Vec<u8>) -> Result<Vec<PageLocation>> {
        let Group { columns, rows, .. } = &self.groups[group];
        self.bytes(columns[column].index, columns[column].index_bytes.into(), bytes)?;
        let locations = offset_index(bytes).map_err(|what| self.damaged(what))?;
        let mut each = locations.iter().enumerate();
        let expected = each.all(|(page, location)| location.first_row == (page * self.rows_per_page) as u64);
        if !expected || locations.len() != rows.div_ceil(self.rows_per_page) {
            return Err(self.damaged("its pages have other rows than the manifest says"));
        }
        Ok(locations)
    }

    /// The file's metadata.
    fn footer(&self) -> Result<ParquetMetaData> {
        const TAIL: u64 = 8;
        let mut bytes = Vec::new();
        let start = self.size.checked_sub(TAIL).ok_or_else(|| self.damaged("it is too short"))?;
        self.bytes(start, TAIL, &mut bytes)?;
        let length = u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        if &bytes[4..] != b"PAR1" || length > start.min(FOOTER_BYTES_MAX) {
            return Err(self.damaged("it does not end as a Parquet file does"));
        }
        self.bytes(start - length, length, &mut bytes)?;
        let metadata = reading(|| ParquetMetaDataReader::decode_metadata(&bytes));
        metadata.map_err(|error| damaged(&self.path, &error))
    }

    /// Replaces `out` by `length` bytes from `offset` on.
    fn bytes(&self, offset: u64, length: u64, out: &mut Vec<u8>) -> Result<()> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(self.damaged("a part of it would lie behind its end"));
        }
        out.resize(length as usize, 0);
        self.file.read_at(offset, out).map_err(|error| Error::io("read", &self.path, error))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Damaged { path: self.path.clone(), what: what.to_owned() }
    }
}

impl Chunk {
    fn of(column: &ColumnChunkMetaData) -> Option<Self> {
        let pages = u64::try_from(column.data_page_offset()).ok()?;
        let start = column.dictionary_page_offset().map_or(Some(pages), |at| u64::try_from(at).ok())?;
        let index = u64::try_from(column.offset_index_offset()?).ok()?;
        let index_bytes = u32::try_from(column.offset_index_length()?).ok()?;
        Some(Self { start, pages, index, index_bytes })
    }
}

/// The bytes of a page's indices and the width of one, where its levels are `levels`.
fn indices<'a>(page: &'a Page, levels: &[u8], values: usize) -> Decoded<(usize, &'a [u8])> {
    let body = page.body().strip_prefix(levels).ok_or("a page has rows of another length")?;
    let (&bits, rest) = body.split_first().ok_or("a page has no values")?;
    let width = usize::from(bits / 8);
    let groups = values.div_ceil(8);
    let mut rest = rest;
    let head = varint(&mut rest)?;
    if head != (groups as u64) << 1 | 1
        || bits % 8 != 0
        || !(1..=4).contains(&width)
        || rest.len() != groups * 8 * width
    {
        return Err("a page has another number of values");
    }
    if page.values() != values {
        return Err("a page has another number of values");
    }
    Ok((width, &rest[..values * width]))
}

/// The rows whose ids and labels have these indices of `width` bytes.
fn token_rows(
    ids: &[u8],
    labels: &[u8],
    width: usize,
    row_length: usize,
    values: &[i32],
) -> Decoded<TokenPage> {
    let mut page = TokenPage { input_ids: Vec::with_capacity(ids.len() / width), ..TokenPage::default() };
    let worst = match width {
        1 => look_up::<1>(ids, values, &mut page.input_ids),
        2 => look_up::<2>(ids, values, &mut page.input_ids),
        3 => look_up::<3>(ids, values, &mut page.input_ids),
        _ => look_up::<4>(ids, values, &mut page.input_ids),
    };
    if worst < 0 {
        return Err("a page has an index outside its dictionary");
    }
    let row_bytes = row_length * width;
    for (ids, labels) in ids.chunks_exact(row_bytes).zip(labels.chunks_exact(row_bytes)) {
        let last = &labels[row_bytes - width..];
        page.real_tokens.push(real_tokens(&ids[width..], labels, width)?);
        let mut index = [0; 4];
        index[..width].copy_from_slice(last);
        let label = values.get(u32::from_le_bytes(index) as usize).copied().unwrap_or(NO_ID);
        if label == NO_ID {
            return Err("a page has an index outside its dictionary");
        }
        page.last_labels.push(label);
    }
    Ok(page)
}

/// Appends the value of each index and returns the bitwise or of all: negative where one is no id.
fn look_up<const WIDTH: usize>(indices: &[u8], values: &[i32], out: &mut Vec<i32>) -> i32 {
    let mut worst = 0;
    out.extend(indices.as_chunks::<WIDTH>().0.iter().map(|bytes| {
        let mut index = [0; 4];
        index[..WIDTH].copy_from_slice(bytes);
        let value = values.get(u32::from_le_bytes(index) as usize).copied().unwrap_or(NO_ID);
        worst |= value;
        value
    }));
    worst
}

/// The tokens before the padding in a row with the indices `labels`, the next ids being `next`: all, where the
/// labels are the next ids; else up to where they cease to be, if nothing but [`IGNORED`] follows there.
fn real_tokens(next: &[u8], labels: &[u8], width: usize) -> Decoded<u32> {
    let row_length = labels.len() / width;
    if labels[..next.len()] == *next {
        return Ok(row_length as u32);
    }
    let mut pairs = next.chunks_exact(width).zip(labels.chunks_exact(width));
    let last_real = pairs.position(|(next, label)| next != label).expect("they differ somewhere");
    if labels[last_real * width..].iter().all(|&byte| byte == 0) {
        Ok(last_real as u32 + 1)
    } else {
        Err("its ids and its labels contradict each other")
    }
}

/// The values of a page of lists and the lists' lengths.
fn lists(page: &Page, rows: usize, values_max: usize) -> Decoded<(Vec<i64>, Vec<u32>)> {
    if page.values() > values_max {
        return Err("a page has more pieces than tokens");
    }
    let mut body = page.body();
    let lengths = list_lengths(section(&mut body)?, page.values(), rows)?;
    section(&mut body)?;
    Ok((delta_binary_packed(body, page.values())?, lengths))
}
