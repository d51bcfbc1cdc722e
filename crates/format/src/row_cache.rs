//! `<checksum>.rows`: the rows of one shard, decoded, on a local disk.
//!
//! Made once from a shard so that a row is one read of known place and size: a full shuffle then costs what
//! a shuffled array costs, for 4 bytes a token of disk. Every row carries its own checksum, which is compared
//! whenever the row is read, so no verdict about the file has to be
//! kept anywhere. All numbers are little endian.
//!
//! ```text
//! header   64 bytes: magic, row_length, rows, shard's checksum, checksum
//! rows     row_length ids (4), label of the last position (4), tokens before the padding (4), checksum (8)
//! ends     a row: index after its last piece (8), checksum of its pieces (8)
//! pieces   doc_id (8), doc_offset (4), len (4)
//! ```
//!
//! Where not all tokens are learned, the magic is another one, and in the place of the id of a token that is not learned stands its
//! bitwise complement, which is negative: the row is one read all the same, and not larger.
//!
//! Keys are the shard's own, counted from where its stretch of the input begins: equal shards of other places have one
//! file.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mashbill_store::atomic;
use mashbill_store::checksum::Checksum;
use mashbill_store::open;
use mashbill_store::read_at::ReadAt;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};
use crate::loss_spans::{Loss, SpansBuilder, runs};
use crate::shard::{Piece, PiecePage, TokenPage};

const MAGIC: [u8; 8] = *b"MBROWS\0\x01";
/// Of rows of which not all tokens are learned: whoever knows no complements must not read them.
const MAGIC_SPANS: [u8; 8] = *b"MBROWS\0\x02";
const HEADER_BYTES: u64 = 64;
const END_BYTES: usize = 16;
const PIECE_BYTES: usize = 16;

/// The name of the file with the rows of a shard.
#[must_use]
pub fn file_name(shard: Checksum) -> String {
    format!("{shard}.rows")
}

/// Decoded rows open for reading, by many threads at a time.
#[derive(Debug)]
pub struct RowCache {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    row_length: usize,
    rows: u64,
    loss: Loss,
}

/// One row as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct CachedRow<'a> {
    /// Token ids, four bytes each; complements where they are not learned.
    numbers: &'a [[u8; 4]],
    loss: Loss,
    /// The label of the last position.
    pub last_label: i32,
    /// Tokens before the padding.
    pub real_tokens: u32,
}

impl CachedRow<'_> {
    /// Replaces `input_ids` by the row's, padding included, and `loss_spans` by its spans, which are empty where all tokens of
    /// the dataset are learned.
    pub fn read_to(&self, input_ids: &mut Vec<i32>, loss_spans: &mut Vec<i32>) {
        let numbers = self.numbers.iter().map(|bytes| i32::from_le_bytes(*bytes));
        input_ids.clear();
        loss_spans.clear();
        match self.loss {
            Loss::All => input_ids.extend(numbers),
            Loss::Spans => {
                let mut spans = SpansBuilder::default();
                let tokens = numbers.clone().take(self.real_tokens as usize);
                tokens.for_each(|number| spans.push(number >= 0, 1));
                input_ids.extend(numbers.map(|number| if number < 0 { !number } else { number }));
                loss_spans.extend_from_slice(spans.spans());
            }
        }
    }
}

impl RowCache {
    /// Opens the file at `path` that was made of the shard with the checksum `shard`, of a folder with this loss.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io) where it cannot be opened or read, [`Damaged`](mashbill_store::Error::Damaged) where it is another file, or is cut off.
    pub fn open(path: &Path, shard: Checksum, row_length: usize, rows: u64, loss: Loss) -> Result<Self> {
        let file = open::open(path).map_err(|error| Error::io("open", path, error))?;
        let size = file.size().map_err(|error| Error::io("read", path, error))?;
        let cache = Self { path: path.to_owned(), file: Box::new(file), row_length, rows, loss };
        let ends = HEADER_BYTES + rows * row_bytes(row_length);
        let pieces = ends + rows * END_BYTES as u64;
        if size < pieces {
            return Err(cache.cut_off());
        }
        let mut header = [0; HEADER_BYTES as usize];
        cache.read(0, &mut header)?;
        if header != self::header(shard, row_length, rows, loss) {
            let what = "it was made from another shard".to_owned();
            return Err(Error::damaged(path, what));
        }
        // The last row's end says how many pieces there are.
        let mut count = [0; 8];
        if rows > 0 {
            cache.read(pieces - END_BYTES as u64, &mut count)?;
        }
        let end = u64::from_le_bytes(count).checked_mul(PIECE_BYTES as u64);
        if end.and_then(|bytes| bytes.checked_add(pieces)) != Some(size) {
            return Err(cache.cut_off());
        }
        Ok(cache)
    }

    /// Reads row `row` through `bytes`.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn row<'a>(&self, row: u64, bytes: &'a mut Vec<u8>) -> Result<CachedRow<'a>> {
        let stride = row_bytes(self.row_length);
        bytes.resize(stride as usize, 0);
        self.read(HEADER_BYTES + row * stride, bytes)?;
        let (content, checksum) = bytes.split_last_chunk::<8>().expect("a row is longer");
        if xxh3_64_with_seed(content, row) != u64::from_le_bytes(*checksum) {
            return Err(self.damaged(row));
        }
        let (numbers, _) = content.as_chunks::<4>();
        let (numbers, [last_label, real_tokens]) = numbers.split_last_chunk().expect("a row is longer");
        Ok(CachedRow {
            numbers,
            loss: self.loss,
            last_label: i32::from_le_bytes(*last_label),
            real_tokens: u32::from_le_bytes(*real_tokens),
        })
    }

    /// Appends the pieces of row `row`, read through `bytes`.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn pieces(&self, row: u64, bytes: &mut Vec<u8>, pieces: &mut Vec<Piece>) -> Result<()> {
        let ends = HEADER_BYTES + self.rows * row_bytes(self.row_length);
        // The end of the row before is where this one begins.
        let before = row.saturating_sub(1);
        let entries = (row - before + 1) as usize;
        bytes.resize(entries * END_BYTES, 0);
        self.read(ends + before * END_BYTES as u64, bytes)?;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let start = if row == 0 { 0 } else { number(0) };
        let (end, checksum) = (number((entries - 1) * END_BYTES), number(entries * END_BYTES - 8));
        let count = end.checked_sub(start).filter(|&count| count <= self.row_length as u64);
        let count = count.ok_or_else(|| self.damaged(row))? as usize;
        bytes.resize(count * PIECE_BYTES, 0);
        self.read(ends + self.rows * END_BYTES as u64 + start * PIECE_BYTES as u64, bytes)?;
        if xxh3_64_with_seed(bytes, row) != checksum {
            return Err(self.damaged(row));
        }
        pieces.extend(bytes.as_chunks::<PIECE_BYTES>().0.iter().map(|bytes| {
            let [doc_id @ .., _, _, _, _, _, _, _, _] = *bytes;
            let [_, _, _, _, _, _, _, _, a, b, c, d, len @ ..] = *bytes;
            Piece {
                doc_id: i64::from_le_bytes(doc_id),
                doc_offset: i32::from_le_bytes([a, b, c, d]),
                len: i32::from_le_bytes(len),
            }
        }));
        Ok(())
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.file.read_at(offset, bytes).map_err(|error| Error::io("read", &self.path, error))
    }

    fn cut_off(&self) -> Error {
        Error::damaged(&self.path, "its size does not match its rows")
    }

    fn damaged(&self, row: u64) -> Error {
        Error::damaged(&self.path, format!("row {row} has another checksum"))
    }
}

/// Writes decoded rows under a temporary name and publishes them when they are complete.
#[derive(Debug)]
pub struct RowCacheWriter {
    temporary: Temporary,
    header: [u8; HEADER_BYTES as usize],
    row_length: usize,
    /// The three parts grow side by side; each knows its place, since the number of rows is known.
    rows: BufWriter<File>,
    ends: BufWriter<File>,
    pieces: BufWriter<File>,
    written: u64,
    pieces_written: u64,
    bytes: Vec<u8>,
}

/// A file that has this name until it is finished: where there was no room, or the shard is damaged, none stays.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Under its final name it is gone from here.
        drop(fs::remove_file(&self.0));
    }
}

impl RowCacheWriter {
    /// Creates `temporary` for the `rows` rows of the shard with the checksum `shard`, of a folder with this loss.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`DiskFull`](mashbill_store::Error::DiskFull).
    #[expect(
        clippy::disallowed_methods,
        reason = "a temporary name, which means nothing until it is published"
    )]
    pub fn create(
        temporary: &Path,
        shard: Checksum,
        row_length: usize,
        rows: u64,
        loss: Loss,
    ) -> Result<Self> {
        let failed = |error| Error::io("create", temporary, error);
        let file = File::create(temporary).map_err(failed)?;
        drop(file);
        let temporary = Temporary(temporary.to_owned());
        let part = |offset| -> Result<BufWriter<File>> {
            let mut file = File::options().write(true).open(&temporary.0).map_err(failed)?;
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            Ok(BufWriter::with_capacity(1 << 16, file))
        };
        let ends = HEADER_BYTES + rows * row_bytes(row_length);
        let parts = (part(HEADER_BYTES)?, part(ends)?, part(ends + rows * END_BYTES as u64)?);
        Ok(Self {
            temporary,
            header: header(shard, row_length, rows, loss),
            row_length,
            rows: parts.0,
            ends: parts.1,
            pieces: parts.2,
            written: 0,
            pieces_written: 0,
            bytes: Vec::new(),
        })
    }

    /// Appends the rows of a page, with their spans where the folder has such.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`DiskFull`](mashbill_store::Error::DiskFull).
    pub fn append(&mut self, tokens: &TokenPage, pieces: &PiecePage) -> Result<()> {
        let mut start = 0;
        for (index, input_ids) in tokens.input_ids.chunks_exact(self.row_length).enumerate() {
            let bytes = &mut self.bytes;
            bytes.clear();
            bytes.extend(input_ids.iter().flat_map(|id| id.to_le_bytes()));
            if let Some(spans) = &tokens.loss_spans {
                complement(bytes, spans.of(index), tokens.real_tokens[index] as usize);
            }
            bytes.extend(tokens.last_labels[index].to_le_bytes());
            bytes.extend(tokens.real_tokens[index].to_le_bytes());
            let checksum = xxh3_64_with_seed(bytes, self.written);
            bytes.extend(checksum.to_le_bytes());
            write(&mut self.rows, bytes, &self.temporary.0)?;

            let end = pieces.ends[index] as usize;
            bytes.clear();
            for piece in &pieces.pieces[start..end] {
                bytes.extend(piece.doc_id.to_le_bytes());
                bytes.extend(piece.doc_offset.to_le_bytes());
                bytes.extend(piece.len.to_le_bytes());
            }
            self.pieces_written += (end - start) as u64;
            start = end;
            write(&mut self.pieces, bytes, &self.temporary.0)?;
            let checksum = xxh3_64_with_seed(bytes, self.written);
            write(&mut self.ends, &self.pieces_written.to_le_bytes(), &self.temporary.0)?;
            write(&mut self.ends, &checksum.to_le_bytes(), &self.temporary.0)?;
            self.written += 1;
        }
        Ok(())
    }

    /// Completes the file and gives it its name `path`.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`DiskFull`](mashbill_store::Error::DiskFull).
    pub fn finish(mut self, path: &Path) -> Result<()> {
        // The header comes last: without it the rest means nothing.
        let sought = self.rows.seek(SeekFrom::Start(0));
        sought.map_err(|error| Error::io("write", &self.temporary.0, error))?;
        write(&mut self.rows, &self.header, &self.temporary.0)?;
        for part in [self.pieces, self.ends, self.rows] {
            let file = part.into_inner().map_err(|error| error.into_error());
            let synced = file.and_then(|file| file.sync_all());
            synced.map_err(|error| Error::io("write", &self.temporary.0, error))?;
        }
        Ok(atomic::publish(&self.temporary.0, path)?)
    }
}

fn write(file: &mut BufWriter<File>, bytes: &[u8], path: &Path) -> Result<()> {
    file.write_all(bytes).map_err(|error| Error::io("write", path, error))
}

/// Turns the ids in `bytes` of those of the first `tokens` that are not learned into their complements.
fn complement(bytes: &mut [u8], spans: &[i32], tokens: usize) {
    for (_, run) in runs(spans, tokens).filter(|(is_learned, _)| !is_learned) {
        bytes[4 * run.start..4 * run.end].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Bytes of a row in the file.
const fn row_bytes(row_length: usize) -> u64 {
    row_length as u64 * 4 + 16
}

fn header(shard: Checksum, row_length: usize, rows: u64, loss: Loss) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(match loss {
        Loss::All => &MAGIC,
        Loss::Spans => &MAGIC_SPANS,
    });
    header[8..16].copy_from_slice(&(row_length as u64).to_le_bytes());
    header[16..24].copy_from_slice(&rows.to_le_bytes());
    header[24..40].copy_from_slice(&shard.to_bytes());
    let checksum = xxh3_64_with_seed(&header[..40], 0);
    header[40..48].copy_from_slice(&checksum.to_le_bytes());
    header
}
