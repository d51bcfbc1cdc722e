//! The pages of a column chunk, each held against the limits before memory is taken for it.
//!
//! This stands in for the stock page reader, whose decoders then see pages whose sizes and counts are true as far as
//! they can be told from outside: what a page header claims, what its body unpacks to, how many values a dictionary or
//! a list of lengths has. Where a header carries a CRC, the page is held against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mashbill_store::read_at::ReadAt;
use parquet::basic::{CompressionCodec, Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescPtr;

use super::codec::decompress;
use super::deltas;
use crate::decode::{Decoded, PageHeader, page_header, take};

/// The largest page, in bytes of its values. Pages are about a megabyte where texts are short; a writer that closes
/// them after a thousand rows makes pages of hundreds of megabytes out of books.
pub const PAGE_BYTES_MAX: usize = 512 << 20;

/// Bytes of pages, as they stand in the file and unpacked, that may be in memory for the rows of a file that are
/// decoded at a time.
pub const HELD_BYTES_MAX: u64 = 768 << 20;

/// Values of a page of a column without lists: one that is nothing but nulls has those of a row group.
pub const PAGE_VALUES_MAX: usize = 1 << 27;

/// Values of a page whose values can't be told from their bytes: of a column in a list, or encoded as differences.
pub const DENSE_VALUES_MAX: usize = 1 << 23;

/// Texts in a dictionary.
pub const DICTIONARY_VALUES_MAX: usize = 1 << 22;

/// The largest page header, statistics included.
const HEADER_BYTES_MAX: usize = 16 << 20;

/// How much of a page's header is read at first.
const HEADER_BYTES: usize = 4 << 10;

/// What the pages of a file that are in memory come to, over all columns that are read together.
#[derive(Debug, Default)]
pub struct Held {
    bytes: AtomicU64,
    /// Which rows are decoded: what was delivered for earlier ones is gone, except each column's last page.
    round: AtomicU64,
}

impl Held {
    /// Says that the next rows are decoded.
    pub fn next_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }
}

/// The pages of one column chunk.
pub(super) struct Pages {
    file: Arc<dyn ReadAt>,
    column: ColumnDescPtr,
    codec: CompressionCodec,
    at: u64,
    end: u64,
    /// Values that the chunk has left, as the footer says.
    values_left: u64,
    /// The header of the next page, where it was looked at.
    peeked: Option<PageHeader>,
    /// The dictionary that was passed over, and whether one was seen.
    dictionary: Option<(PageHeader, u64)>,
    has_dictionary: bool,
    held: Arc<Held>,
    mine: Mine,
}

/// What a column has in memory.
#[derive(Default)]
struct Mine {
    round: u64,
    dictionary: u64,
    /// The pages of this round and their values, and the last page of the round before.
    pages: u64,
    values: usize,
    last: u64,
}

impl Pages {
    pub(super) fn new(
        file: Arc<dyn ReadAt>,
        file_bytes: u64,
        chunk: &ColumnChunkMetaData,
        held: Arc<Held>,
    ) -> ParquetResult<Self> {
        let (data, dictionary) = (chunk.data_page_offset(), chunk.dictionary_page_offset());
        let start = dictionary.filter(|&at| at > 0 && at < data).unwrap_or(data);
        let length = u64::try_from(chunk.compressed_size());
        let (Ok(at), Ok(length)) = (u64::try_from(start), length) else {
            return Err(error("a column chunk has a negative place or size"));
        };
        let end = at.checked_add(length).filter(|&end| end <= file_bytes);
        Ok(Self {
            file,
            column: chunk.column_descr_ptr(),
            codec: chunk.compression_codec(),
            at,
            end: end.ok_or_else(|| error("a column chunk would end after the file"))?,
            values_left: u64::try_from(chunk.num_values()).unwrap_or(0),
            peeked: None,
            dictionary: None,
            has_dictionary: false,
            held,
            mine: Mine::default(),
        })
    }

    /// The header of the next page, which begins at `self.at` then; none at the end.
    fn header(&mut self) -> ParquetResult<Option<PageHeader>> {
        const DATA_PAGES: [i64; 2] = [DATA_PAGE, DATA_PAGE_V2];
        if let Some(header) = self.peeked {
            return Ok(Some(header));
        }
        // Chunks of the oldest writers end in bytes of no page.
        while self.at < self.end && self.values_left > 0 {
            let header = self.read_header()?;
            let left = self.end - self.at;
            if header.compressed_bytes as u64 > left {
                return Err(error("a page would end after its column chunk"));
            }
            if header.kind == DICTIONARY_PAGE || DATA_PAGES.contains(&header.kind) {
                self.check(&header).map_err(error)?;
                self.peeked = Some(header);
                return Ok(Some(header));
            }
            // A page of an index, or of a kind to come, is passed over.
            self.at += header.compressed_bytes as u64;
        }
        Ok(None)
    }

    /// Reads a header and goes behind it.
    fn read_header(&mut self) -> ParquetResult<PageHeader> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let mut length = HEADER_BYTES;
        loop {
            let mut window = vec![0; length.min(left)];
            self.file.read_at(self.at, &mut window)?;
            let mut rest = window.as_slice();
            match page_header(&mut rest) {
                Ok(header) => {
                    self.at += (window.len() - rest.len()) as u64;
                    return Ok(header);
                }
                // Statistics may make it longer.
                Err(_) if length < left && length < HEADER_BYTES_MAX => length *= 16,
                Err(what) => return Err(error(what)),
            }
        }
    }

    /// Holds what a header claims against the limits.
    fn check(&self, header: &PageHeader) -> Decoded<()> {
        let PageHeader { kind, raw_bytes, values, nulls, rows, .. } = *header;
        if raw_bytes > PAGE_BYTES_MAX {
            return Err("a page has more than 512 MiB");
        }
        if kind == DICTIONARY_PAGE {
            if self.has_dictionary {
                return Err("a column chunk has two dictionaries");
            }
            if values > DICTIONARY_VALUES_MAX {
                return Err("a dictionary has more than 4,194,304 values");
            }
            return Ok(());
        }
        let is_listed = self.column.max_rep_level() > 0;
        if values as u64 > self.values_left {
            return Err("its pages have more values than its footer says");
        }
        if values > if is_listed { DENSE_VALUES_MAX } else { PAGE_VALUES_MAX } {
            return Err("a page has more values than any writer makes");
        }
        let whole = kind == DATA_PAGE || nulls <= values && (rows == values || is_listed && rows <= values);
        if whole { Ok(()) } else { Err("a page header contradicts itself") }
    }

    /// Reads the page that `header` describes and goes behind it.
    fn page(&mut self, header: &PageHeader, at: u64) -> ParquetResult<Page> {
        self.hold(header)?;
        let mut body = vec![0; header.compressed_bytes];
        self.file.read_at(at, &mut body)?;
        if header.checksum.is_some_and(|checksum| checksum != crc32fast::hash(&body)) {
            return Err(error("a page's checksum is not that of its bytes"));
        }
        let page = self.decode(header, body).map_err(error)?;
        if header.kind == DICTIONARY_PAGE {
            self.has_dictionary = true;
        } else {
            self.values_left -= header.values as u64;
        }
        Ok(page)
    }

    /// Counts the page to what is in memory.
    fn hold(&mut self, header: &PageHeader) -> ParquetResult<()> {
        let round = self.held.round.load(Ordering::Relaxed);
        let mine = &mut self.mine;
        if mine.round != round {
            mine.round = round;
            let gone = mine.pages - mine.last;
            self.held.bytes.fetch_sub(gone, Ordering::Relaxed);
            (mine.pages, mine.values) = (mine.last, 0);
        }
        let bytes = header.raw_bytes as u64;
        let held = self.held.bytes.load(Ordering::Relaxed);
        if held + bytes + header.compressed_bytes as u64 > HELD_BYTES_MAX {
            return Err(error("a few rows take more than 768 MiB"));
        }
        if header.kind == DICTIONARY_PAGE {
            mine.dictionary += bytes;
        } else {
            if self.column.max_rep_level() > 0 && mine.values > DENSE_VALUES_MAX {
                return Err(error("a few rows have lists of more than 8,388,608 values"));
            }
            mine.values += header.values;
            mine.pages += bytes;
            mine.last = bytes;
        }
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn decode(&self, header: &PageHeader, body: Vec<u8>) -> Decoded<Page> {
        let PageHeader { kind, raw_bytes, values, definition_bytes, repetition_bytes, .. } = *header;
        let levels = if kind == DATA_PAGE_V2 { definition_bytes.saturating_add(repetition_bytes) } else { 0 };
        if levels > raw_bytes || levels > body.len() {
            return Err("a page's levels are longer than the page");
        }
        let is_compressed =
            self.codec != CompressionCodec::UNCOMPRESSED && (kind != DATA_PAGE_V2 || header.is_compressed);
        let buf = if is_compressed {
            let mut raw = Vec::with_capacity(raw_bytes);
            raw.extend_from_slice(&body[..levels]);
            decompress(self.codec, &body[levels..], raw_bytes - levels, &mut raw)?;
            raw
        } else if body.len() == raw_bytes {
            body
        } else {
            return Err("a page has another size than its header says");
        };
        let encoding = encoding(header.encoding)?;
        let num_values = values as u32;
        if kind == DICTIONARY_PAGE {
            self.check_dictionary(&buf, values)?;
            return Ok(Page::DictionaryPage { buf: buf.into(), num_values, encoding, is_sorted: false });
        }
        self.check_values(header, encoding, &buf)?;
        let buf = Bytes::from(buf);
        Ok(if kind == DATA_PAGE_V2 {
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls: header.nulls as u32,
                num_rows: header.rows as u32,
                def_levels_byte_len: definition_bytes as u32,
                rep_levels_byte_len: repetition_bytes as u32,
                is_compressed: header.is_compressed,
                statistics: None,
            }
        } else {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding: levels_encoding(header.definition_encoding, self.column.max_def_level())?,
                rep_level_encoding: levels_encoding(header.repetition_encoding, self.column.max_rep_level())?,
                statistics: None,
            }
        })
    }

    /// A dictionary has the bytes that its values take at least.
    fn check_dictionary(&self, raw: &[u8], values: usize) -> Decoded<()> {
        let least = match self.column.physical_type() {
            PhysicalType::BYTE_ARRAY | PhysicalType::INT32 | PhysicalType::FLOAT => 4,
            PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
            PhysicalType::INT96 => 12,
            PhysicalType::FIXED_LEN_BYTE_ARRAY => usize::try_from(self.column.type_length()).unwrap_or(0),
            PhysicalType::BOOLEAN => return Err("a column of truth values has a dictionary"),
        };
        if values * least <= raw.len() { Ok(()) } else { Err("a dictionary is shorter than its values") }
    }

    /// Values that are encoded as differences say themselves how many they are.
    fn check_values(&self, header: &PageHeader, encoding: Encoding, raw: &[u8]) -> Decoded<()> {
        let is_text = self.column.physical_type() == PhysicalType::BYTE_ARRAY;
        let is_listed = matches!(
            encoding,
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY
        );
        if !is_listed {
            return Ok(());
        }
        let mut bytes = raw;
        if header.kind == DATA_PAGE_V2 {
            take(&mut bytes, header.definition_bytes + header.repetition_bytes)?;
        } else {
            for (level, encoding) in [
                (self.column.max_rep_level(), header.repetition_encoding),
                (self.column.max_def_level(), header.definition_encoding),
            ] {
                if level > 0 {
                    skip_levels(&mut bytes, header.values, level, levels_encoding(encoding, level)?)?;
                }
            }
        }
        let values_max = header.values.min(DENSE_VALUES_MAX);
        match encoding {
            Encoding::DELTA_BYTE_ARRAY => deltas::check_prefixed(bytes, values_max, PAGE_BYTES_MAX),
            Encoding::DELTA_LENGTH_BYTE_ARRAY if is_text => deltas::check_count(bytes, values_max),
            _ => deltas::check_count(bytes, values_max),
        }
    }
}

/// Takes a section of levels of a page of the first version off the front of `bytes`.
fn skip_levels(bytes: &mut &[u8], values: usize, level_max: i16, encoding: Encoding) -> Decoded<()> {
    if encoding == Encoding::RLE {
        return crate::decode::section(bytes).map(drop);
    }
    let bits = usize::try_from(16 - level_max.leading_zeros()).unwrap_or(16);
    take(bytes, (values * bits).div_ceil(8)).map(drop)
}

const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;
const DATA_PAGE_V2: i64 = 3;

impl PageReader for Pages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let Some(header) = self.header()? else { return Ok(None) };
        self.peeked = None;
        let at = self.at;
        self.at += header.compressed_bytes as u64;
        self.page(&header, at).map(Some)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        Ok(self.header()?.map(|header| match header.kind {
            DICTIONARY_PAGE => PageMetadata { num_rows: None, num_levels: None, is_dict: true },
            DATA_PAGE_V2 => {
                PageMetadata { num_rows: Some(header.rows), num_levels: Some(header.values), is_dict: false }
            }
            _ => PageMetadata { num_rows: None, num_levels: Some(header.values), is_dict: false },
        }))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        if let Some(header) = self.header()? {
            self.peeked = None;
            if header.kind == DICTIONARY_PAGE {
                self.dictionary = Some((header, self.at));
                self.has_dictionary = true;
            } else {
                self.values_left -= header.values as u64;
            }
            self.at += header.compressed_bytes as u64;
        }
        Ok(())
    }

    fn supports_deferred_dictionary(&self) -> bool {
        true
    }

    fn take_deferred_dictionary(&mut self) -> ParquetResult<Option<Page>> {
        let Some((header, at)) = self.dictionary.take() else { return Ok(None) };
        self.page(&header, at).map(Some)
    }
}

impl Iterator for Pages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.held.bytes.fetch_sub(self.mine.pages + self.mine.dictionary, Ordering::Relaxed);
    }
}

fn encoding(number: i64) -> Decoded<Encoding> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err("a page is encoded in an unknown way"),
    })
}

#[expect(deprecated, reason = "the oldest files have their levels so")]
fn levels_encoding(number: i64, level_max: i16) -> Decoded<Encoding> {
    match number {
        3 => Ok(Encoding::RLE),
        // Where there are no levels it does not matter, and writers put anything.
        _ if level_max == 0 => Ok(Encoding::RLE),
        4 => Ok(Encoding::BIT_PACKED),
        _ => Err("a page's levels are encoded in an unknown way"),
    }
}

fn error(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}
