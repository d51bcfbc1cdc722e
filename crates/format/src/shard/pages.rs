//! Shards read page by page, at random: fast, and for shards of our own layout only.
//!
//! A shard holds every token twice, in `input_ids` and, moved by one, in `labels`. So this reader never looks
//! at the mask: where the labels cease to be the next ids, padding begins. Where not all tokens are learned, `loss_spans` say
//! where it does, and labels are held against them.
//!
//! What it gives is what was written. The manifest has the checksum of a shard's tail, which is compared when the
//! shard is opened; the tail says where each page stands and what its checksum is, which is compared whenever the
//! page is read. So a page that is damaged, or is another one, is found without reading the whole file.

use std::path::{Path, PathBuf};

use mashbill_parquet::decode::{
    Decoded, Page, PageKind, PageLocation, delta_binary_packed, list_lengths, offset_index, section, varint,
};
use mashbill_parquet::encode::{Compression, Encoding, index_width, levels_of_equal_lists};
use mashbill_parquet::file::{CHECKSUM_BYTES, MAGIC, Tail};
use mashbill_parquet::reader::metadata_in;
use mashbill_store::checksum::Checksum;
use mashbill_store::open;
use mashbill_store::read_at::ReadAt;
use parquet::basic::CompressionCodec;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::column::{
    ATTENTION_MASK, COLUMNS_MAX, DOC_IDS, DOC_OFFSETS, INPUT_IDS, LABELS, LOSS_SPANS, SEQ_LENS, column_count,
};
use super::labels::tokens_of_spans;
use super::{IGNORED, Piece, RowLayout};
use crate::error::{Error, Result};
use crate::loss_spans::{Loss, LossSpans};

/// A shard open for reading at random, by many threads at a time. It keeps about 300 bytes a row group.
#[derive(Debug)]
pub struct ShardPages {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    size: u64,
    row_length: usize,
    rows_per_page: usize,
    loss: Loss,
    codec: CompressionCodec,
    groups: Vec<RowGroupPages>,
    rows: u64,
}

/// What is needed of a row group's metadata.
#[derive(Debug)]
struct RowGroupPages {
    first_row: u64,
    rows: usize,
    columns: [Chunk; COLUMNS_MAX],
    /// Where the checksums of its pages stand in the file.
    checksums: u64,
}

/// Where a column chunk's parts stand.
#[derive(Debug, Clone, Copy, Default)]
struct Chunk {
    start: u64,
    pages: u64,
    end: u64,
    index: u64,
    index_bytes: u32,
}

/// One page of a column: where it stands, and the checksum of its body as it is stored.
#[derive(Debug, Clone, Copy)]
struct PagePlace {
    offset: u64,
    bytes: usize,
    checksum: u32,
}

/// What the pages of one row group have in common.
#[derive(Debug)]
pub struct TokenGroup {
    group: usize,
    /// By index; filled up to the number of indices that fit into an index, so that looking up needs no bound.
    values: Vec<i32>,
    /// The data pages of each column.
    columns: [Vec<PagePlace>; COLUMNS_MAX],
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
    /// For each row which of its tokens are learned, where the shard has such a column.
    pub loss_spans: Option<LossSpans>,
}

/// The documents' pieces in the rows of one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PiecePage {
    /// The pieces of all rows in order.
    pub pieces: Vec<Piece>,
    /// One a row: the index after its last piece.
    pub ends: Vec<u32>,
}

impl PiecePage {
    /// Whether the pieces of each row are as long as its tokens in `page` are many.
    #[must_use]
    pub fn fill(&self, page: &TokenPage) -> bool {
        let mut start = 0;
        self.ends.len() == page.real_tokens.len()
            && self.ends.iter().zip(&page.real_tokens).all(|(&end, &real)| {
                let pieces = &self.pieces[start..end as usize];
                start = end as usize;
                pieces.iter().map(|piece| i64::from(piece.len)).sum::<i64>() == i64::from(real)
            })
    }
}

/// The memory a thread reads pages in.
#[derive(Debug, Default)]
pub struct PageScratch {
    bytes: Vec<u8>,
    first: Page,
    second: Page,
    levels: Vec<u8>,
}

/// The columns that begin with a dictionary.
const DICTIONARIES: [usize; 3] = [INPUT_IDS, ATTENTION_MASK, LABELS];

/// What stands for an index outside the dictionary; ids are not negative.
const NO_ID: i32 = i32::MIN;

/// A tail larger than this is none: a shard of terabytes would need less.
const TAIL_BYTES_MAX: u64 = 1 << 30;

impl ShardPages {
    /// Opens the shard at `path`, whose rows have `row_length` tokens and stand as `layout` says, of a folder with this loss;
    /// the manifest knows its tail.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io) where it cannot be opened or read, [`Damaged`](mashbill_store::Error::Damaged) where it is no complete shard of
    /// this layout, or another one.
    pub fn open(path: &Path, row_length: usize, layout: RowLayout, loss: Loss, tail: Tail) -> Result<Self> {
        let file = open::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::read(path, Box::new(file), row_length, layout, loss, tail)
    }

    /// The same for a shard that lies anywhere; `path` is its name in errors.
    ///
    /// # Errors
    /// As [`ShardPages::open`].
    pub fn read(
        path: &Path,
        file: Box<dyn ReadAt>,
        row_length: usize,
        layout: RowLayout,
        loss: Loss,
        tail: Tail,
    ) -> Result<Self> {
        let size = file.size().map_err(|error| Error::io("read", path, error))?;
        let mut shard = Self {
            path: path.to_owned(),
            file,
            size,
            row_length,
            rows_per_page: layout.rows_per_page.max(1),
            loss,
            codec: CompressionCodec::UNCOMPRESSED,
            groups: Vec::new(),
            rows: 0,
        };
        let (metadata, footer_start) = shard.footer(tail)?;
        loss.check(path, &metadata, |loss| super::schema(Compression::None, loss))?;
        for group in metadata.row_groups() {
            let rows = usize::try_from(group.num_rows()).ok().filter(|rows| *rows <= layout.rows_per_group);
            let rows = rows.ok_or_else(|| shard.damaged("it has a row group of another size"))?;
            let mut columns = [Chunk::default(); COLUMNS_MAX];
            for (chunk, column) in columns.iter_mut().zip(group.columns()) {
                shard.codec = column.compression_codec();
                *chunk = Chunk::of(column).ok_or_else(|| shard.damaged("it has no offset index"))?;
            }
            shard.groups.push(RowGroupPages { first_row: shard.rows, rows, columns, checksums: 0 });
            shard.rows += rows as u64;
        }
        shard.place_checksums(footer_start)?;
        Ok(shard)
    }

    /// Sets where the checksums of each row group's pages stand: behind all offset indexes, in front of the footer.
    fn place_checksums(&mut self, footer_start: u64) -> Result<()> {
        let columns = column_count(self.loss);
        let last = self.groups.last().map(|group| &group.columns[columns - 1]);
        let mut end = last.map_or(footer_start, |last| last.index.saturating_add(last.index_bytes.into()));
        for group in &mut self.groups {
            group.checksums = end;
            let pages = columns * group.rows.div_ceil(self.rows_per_page) + DICTIONARIES.len();
            end = end.saturating_add(CHECKSUM_BYTES * pages as u64);
        }
        if end == footer_start { Ok(()) } else { Err(self.damaged("it has no checksums of its pages")) }
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

    /// Reads what the pages of row group `group` have in common.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn token_group(&self, group: usize, scratch: &mut PageScratch) -> Result<TokenGroup> {
        let (dictionaries, pages) = self.places(group, &mut scratch.bytes)?;
        let rows = self.groups[group].rows;
        let PageScratch { bytes, first, second, .. } = scratch;
        for (column, page) in [(INPUT_IDS, &mut *first), (LABELS, &mut *second)] {
            let place = dictionaries[column];
            self.bytes(place.offset, place.bytes as u64, bytes)?;
            // Each token and its label may be new.
            let entries_max = 2 * rows * self.row_length + 2;
            let (kind, checksum) = (PageKind::Dictionary, place.checksum);
            page.decode(bytes, kind, Encoding::Plain, self.codec, checksum, 4 * entries_max)
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
        Ok(TokenGroup { group, values, columns: pages })
    }

    /// Reads the rows of a page.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn token_page(
        &self,
        group: &TokenGroup,
        page: usize,
        scratch: &mut PageScratch,
    ) -> Result<TokenPage> {
        let rows = self.rows_of(group.group, page);
        let values = rows * self.row_length;
        let spans = match self.loss {
            Loss::All => None,
            Loss::Spans => Some(self.spans_page(group, page, scratch)?),
        };
        let PageScratch { bytes, first, second, levels } = scratch;
        levels.clear();
        levels_of_equal_lists(levels, rows, self.row_length);
        let raw_bytes_max = levels.len() + 16 + 4 * values.next_multiple_of(8);
        for (column, body) in [(INPUT_IDS, &mut *first), (LABELS, &mut *second)] {
            let place = group.columns[column][page];
            self.bytes(place.offset, place.bytes as u64, bytes)?;
            let (kind, checksum) = (PageKind::Data, place.checksum);
            body.decode(bytes, kind, Encoding::Dictionary, self.codec, checksum, raw_bytes_max)
                .map_err(|what| self.damaged(what))?;
        }
        let decoded = indices(first, levels, values).and_then(|(width, ids)| {
            let (label_width, labels) = indices(second, levels, values)?;
            if width != label_width {
                return Err("its ids and its labels have indices of different widths");
            }
            token_rows(ids, labels, width, self.row_length, &group.values, spans)
        });
        decoded.map_err(|what| self.damaged(what))
    }

    /// Reads the pieces in the rows of a page.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn piece_page(
        &self,
        group: &TokenGroup,
        page: usize,
        scratch: &mut PageScratch,
    ) -> Result<PiecePage> {
        let rows = self.rows_of(group.group, page);
        let (mut columns, mut lengths) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
        // A piece has a token.
        let values_max = rows * self.row_length;
        for (index, column) in [SEQ_LENS, DOC_IDS, DOC_OFFSETS].into_iter().enumerate() {
            let place = group.columns[column][page];
            (columns[index], lengths[index]) = self.list_page(place, rows, values_max, scratch)?;
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

    /// Reads which tokens in the rows of a page are learned.
    fn spans_page(&self, group: &TokenGroup, page: usize, scratch: &mut PageScratch) -> Result<LossSpans> {
        let rows = self.rows_of(group.group, page);
        // A span has a token, but for the first.
        let values_max = rows * (self.row_length + 1);
        let place = group.columns[LOSS_SPANS][page];
        let (lengths, in_row) = self.list_page(place, rows, values_max, scratch)?;
        let lengths: Option<Vec<i32>> =
            lengths.into_iter().map(|length| i32::try_from(length).ok()).collect();
        let lengths = lengths.ok_or_else(|| self.damaged("it has a span of impossible size"))?;
        let spans = LossSpans::from_parts(lengths, &in_row);
        spans.ok_or_else(|| self.damaged("its spans are not as many as its rows have"))
    }

    /// Reads a page of `rows` lists that have `values_max` elements at the most: the elements and the lists' lengths.
    fn list_page(
        &self,
        place: PagePlace,
        rows: usize,
        values_max: usize,
        scratch: &mut PageScratch,
    ) -> Result<(Vec<i64>, Vec<u32>)> {
        let PageScratch { bytes, first, .. } = scratch;
        self.bytes(place.offset, place.bytes as u64, bytes)?;
        // A value takes less than 10 bytes and a bit.
        let raw_bytes_max = 1024 + 12 * values_max;
        let (kind, encoding, checksum) = (PageKind::Data, Encoding::DeltaBinaryPacked, place.checksum);
        let decoded = first
            .decode(bytes, kind, encoding, self.codec, checksum, raw_bytes_max)
            .and_then(|()| lists(first, rows, values_max));
        decoded.map_err(|what| self.damaged(what))
    }

    /// Rows in a page.
    fn rows_of(&self, group: usize, page: usize) -> usize {
        self.groups[group].rows.saturating_sub(page * self.rows_per_page).min(self.rows_per_page)
    }

    /// Where the dictionaries and the data pages of a row group's columns stand.
    fn places(
        &self,
        group: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<([PagePlace; COLUMNS_MAX], [Vec<PagePlace>; COLUMNS_MAX])> {
        let here = column_count(self.loss);
        let RowGroupPages { columns, rows, checksums, .. } = &self.groups[group];
        let pages = rows.div_ceil(self.rows_per_page);
        self.bytes(*checksums, CHECKSUM_BYTES * (here * pages + DICTIONARIES.len()) as u64, bytes)?;
        let checksums: Vec<u32> =
            bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let mut checksums = checksums.into_iter();
        let mut next = || checksums.next().expect("there is one for each page, and so many were read");
        let mut dictionaries = [PagePlace { offset: 0, bytes: 0, checksum: 0 }; COLUMNS_MAX];
        let mut places = [const { Vec::new() }; COLUMNS_MAX];
        for (column, chunk) in columns.iter().take(here).enumerate() {
            if DICTIONARIES.contains(&column) {
                let length = chunk.pages.checked_sub(chunk.start).and_then(|length| length.try_into().ok());
                let length = length.ok_or_else(|| self.damaged("its pages are in another order"))?;
                dictionaries[column] = PagePlace { offset: chunk.start, bytes: length, checksum: next() };
            }
            self.bytes(chunk.index, chunk.index_bytes.into(), bytes)?;
            let locations = offset_index(bytes).map_err(|what| self.damaged(what))?;
            let mut end = chunk.pages;
            let in_order = locations.iter().enumerate().all(|(page, location)| {
                let here = location.offset == end && location.first_row == (page * self.rows_per_page) as u64;
                end = end.saturating_add(location.bytes as u64);
                here
            });
            if !in_order || end != chunk.end || locations.len() != pages {
                return Err(self.damaged("its pages have other rows than the manifest says"));
            }
            let place = |PageLocation { offset, bytes, .. }| PagePlace { offset, bytes, checksum: next() };
            places[column] = locations.into_iter().map(place).collect();
        }
        Ok((dictionaries, places))
    }

    /// The file's metadata, and where it begins in the file.
    fn footer(&self, tail: Tail) -> Result<(ParquetMetaData, u64)> {
        const END: usize = 8;
        let start = self.size.checked_sub(tail.bytes).filter(|_| tail.bytes <= TAIL_BYTES_MAX);
        let start = start.ok_or_else(|| self.damaged("it is too short"))?;
        let mut bytes = Vec::new();
        self.bytes(start, tail.bytes, &mut bytes)?;
        if Checksum::of(&bytes) != tail.checksum {
            return Err(self.damaged("its index or footer has another checksum than the manifest says"));
        }
        let footer = bytes.split_last_chunk::<END>().and_then(|(before, end)| {
            let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
            before.len().checked_sub(length).filter(|_| &end[4..] == MAGIC).map(|at| (at, &before[at..]))
        });
        let (at, footer) = footer.ok_or_else(|| self.damaged("it does not end as a Parquet file does"))?;
        Ok((metadata_in(&self.path, footer, self.size)?, start + at as u64))
    }

    /// Replaces `out` by `length` bytes from `offset` on.
    fn bytes(&self, offset: u64, length: u64, out: &mut Vec<u8>) -> Result<()> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(self.damaged("a part of it would lie after its end"));
        }
        out.resize(length as usize, 0);
        self.file.read_at(offset, out).map_err(|error| Error::io("read", &self.path, error))
    }

    fn damaged(&self, what: &str) -> Error {
        Error::damaged(&self.path, what)
    }
}

impl Chunk {
    fn of(column: &ColumnChunkMetaData) -> Option<Self> {
        let pages = u64::try_from(column.data_page_offset()).ok()?;
        let start = column.dictionary_page_offset().map_or(Some(pages), |at| u64::try_from(at).ok())?;
        let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
        let index = u64::try_from(column.offset_index_offset()?).ok()?;
        let index_bytes = u32::try_from(column.offset_index_length()?).ok()?;
        Some(Self { start, pages, end, index, index_bytes })
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

/// The rows whose ids and labels have these indices of `width` bytes, and of whose tokens those are learned that `spans` say.
fn token_rows(
    ids: &[u8],
    labels: &[u8],
    width: usize,
    row_length: usize,
    values: &[i32],
    spans: Option<LossSpans>,
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
    for (row, (ids, labels)) in ids.chunks_exact(row_bytes).zip(labels.chunks_exact(row_bytes)).enumerate() {
        let last = &labels[row_bytes - width..];
        page.real_tokens.push(match &spans {
            None => real_tokens(&ids[width..], labels, width)?,
            Some(spans) => tokens_of_spans(ids, labels, width, spans.of(row))?,
        });
        let mut index = [0; 4];
        index[..width].copy_from_slice(last);
        let label = values.get(u32::from_le_bytes(index) as usize).copied().unwrap_or(NO_ID);
        if label == NO_ID {
            return Err("a page has an index outside its dictionary");
        }
        page.last_labels.push(label);
    }
    page.loss_spans = spans;
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

/// The tokens before the padding in a row with the indices `labels`, the next ids being `next`: all, where the last id
/// is a label; else up to where the labels cease to be the next ids, if nothing but [`IGNORED`] follows there.
fn real_tokens(next: &[u8], labels: &[u8], width: usize) -> Decoded<u32> {
    let row_length = labels.len() / width;
    let last = next.len().saturating_sub(width)..next.len();
    // The pages are as they were written, so one label says it; nothing else is compared.
    if labels[last.clone()] == next[last] {
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
