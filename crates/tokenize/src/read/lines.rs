//! JSON Lines, plain and compressed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use mashbill_format::checksum::Hasher;
use memchr::{memchr, memrchr};

use super::{BORDER_WINDOW_BYTES, Content, Cut, Cutting, EXCERPT_BYTES, changed};
use crate::error::{Error, Result};
use crate::input::{Input, Kind};

/// A plain file, of which only the borders of blocks are read here.
#[derive(Debug)]
pub(super) struct PlainLines {
    file: Arc<File>,
    path: PathBuf,
    size: u64,
    at: u64,
    block_bytes: u64,
    line_bytes_max: u64,
    window: Vec<u8>,
    /// A line that is too long and follows the block that was handed out last.
    too_long: Option<Cut>,
}

impl PlainLines {
    pub(super) fn new(file: File, input: &Input, cutting: &Cutting<'_>, key: u64) -> Self {
        Self {
            file: Arc::new(file),
            path: input.path.clone(),
            size: input.size,
            at: key,
            block_bytes: cutting.block_bytes(),
            line_bytes_max: cutting.line_bytes_max,
            window: vec![0; BORDER_WINDOW_BYTES],
            too_long: None,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Cut>> {
        if let Some(cut) = self.too_long.take() {
            return Ok(Some(cut));
        }
        if self.at >= self.size {
            return Ok(None);
        }
        let start = self.at;
        let wanted = start + self.block_bytes;
        let end = if wanted >= self.size { self.size } else { self.line_end(wanted - 1)? };
        self.at = end;
        if end - start > self.line_bytes_max {
            return self.with_long_line(start, wanted.min(end), end).map(Some);
        }
        Ok(Some(self.cut(start, end)))
    }

    fn cut(&self, start: u64, end: u64) -> Cut {
        Cut { key: start, next_key: end, bytes: end - start, content: Content::Range(Arc::clone(&self.file)) }
    }

    /// The end of the line that holds the byte at `from`, its line feed included.
    fn line_end(&mut self, from: u64) -> Result<u64> {
        let mut at = from;
        while at < self.size {
            let wanted = usize::try_from(self.size - at).unwrap_or(usize::MAX).min(self.window.len());
            let window = &mut self.window[..wanted];
            read_at(&self.file, window, at).map_err(|source| read_failed(&self.path, source))?;
            if let Some(found) = memchr(b'\n', window) {
                return Ok(at + found as u64 + 1);
            }
            at += wanted as u64;
        }
        Ok(self.size)
    }

    /// Bytes `start..end` end with a long line that begins before `wanted`. Where it is too long, the block
    /// ends before it and the line comes next, by itself.
    fn with_long_line(&mut self, start: u64, wanted: u64, end: u64) -> Result<Cut> {
        let head = read_range(&self.file, start, wanted).map_err(|source| read_failed(&self.path, source))?;
        let line_start = match memrchr(b'\n', &head) {
            Some(at) => start + at as u64 + 1,
            None => start,
        };
        if end - line_start <= self.line_bytes_max {
            return Ok(self.cut(start, end));
        }
        let mut hasher = Hasher::new();
        let mut at = line_start;
        while at < end {
            let upto = end.min(at + self.block_bytes);
            let bytes = read_range(&self.file, at, upto).map_err(|source| read_failed(&self.path, source))?;
            hasher.update(&bytes);
            at = upto;
        }
        let excerpt_end = end.min(line_start + EXCERPT_BYTES as u64);
        let excerpt = read_range(&self.file, line_start, excerpt_end)
            .map_err(|source| read_failed(&self.path, source))?;
        let content = Content::TooLong { checksum: hasher.finish(), excerpt };
        let line = Cut { key: line_start, next_key: end, bytes: end - line_start, content };
        if line_start == start {
            return Ok(line);
        }
        self.too_long = Some(line);
        Ok(self.cut(start, line_start))
    }
}

/// Bytes `start..end` of a file.
///
/// # Errors
/// An I/O error; `UnexpectedEof` where the file has become shorter.
pub(crate) fn read_range(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_range_into(file, start, end, &mut bytes)?;
    Ok(bytes)
}

/// [`read_range`] into memory that is used again; what was in it is gone.
pub(crate) fn read_range_into(file: &File, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = usize::try_from(end - start).map_err(|_| io::ErrorKind::FileTooLarge)?;
    bytes.resize(length, 0);
    read_at(file, bytes, start)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// A plain file that ends too early was cut off while it was read.
fn read_failed(path: &std::path::Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => changed(path),
        _ => Error::read(path, source),
    }
}

/// A file that counts the bytes that are read from it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A compressed file, read from its beginning.
pub(super) struct StreamedLines {
    /// Bytes that were read from the file.
    disk_bytes: Arc<AtomicU64>,
    decoder: Box<dyn Read + Send>,
    path: PathBuf,
    /// The key of the first byte in `buffer`.
    at: u64,
    /// Bytes that were decoded and not handed out.
    buffer: Vec<u8>,
    ended: bool,
    block_bytes: usize,
    line_bytes_max: usize,
    too_long: Option<Cut>,
}

impl std::fmt::Debug for StreamedLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamedLines")
            .field("path", &self.path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl StreamedLines {
    pub(super) fn new(file: File, input: &Input, cutting: &Cutting<'_>, key: u64) -> Result<Self> {
        let failed = |source| Error::read(&input.path, source);
        let disk_bytes = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, read: Arc::clone(&disk_bytes) };
        let file = BufReader::with_capacity(256 << 10, counted);
        let mut decoder: Box<dyn Read + Send> = match input.kind {
            Kind::JsonLinesZstd => {
                let mut decoder = zstd::Decoder::with_buffer(file).map_err(failed)?;
                // Corpora are packed with long windows (`zstd --long=31`), which decoders refuse unless told.
                decoder.window_log_max(31).map_err(failed)?;
                Box::new(decoder)
            }
            _ => Box::new(MultiGzDecoder::new(file)),
        };
        // There is no way into the middle of a stream but through it.
        let skipped = io::copy(&mut decoder.by_ref().take(key), &mut io::sink()).map_err(failed)?;
        if skipped < key {
            return Err(changed(&input.path));
        }
        Ok(Self {
            disk_bytes,
            decoder,
            path: input.path.clone(),
            at: key,
            buffer: Vec::new(),
            ended: false,
            block_bytes: usize::try_from(cutting.block_bytes()).expect("a block fits in memory"),
            line_bytes_max: usize::try_from(cutting.line_bytes_max).unwrap_or(usize::MAX),
            too_long: None,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Cut>> {
        if let Some(cut) = self.too_long.take() {
            return Ok(Some(cut));
        }
        // Everything before `searched` is known to have no border for this block.
        let mut searched = self.block_bytes - 1;
        loop {
            if let Some(found) = self.buffer.get(searched..).and_then(|rest| memchr(b'\n', rest)) {
                return Ok(Some(self.hand_out(searched + found + 1)));
            }
            searched = searched.max(self.buffer.len());
            if self.ended {
                let all = self.buffer.len();
                return Ok((all > 0).then(|| self.hand_out(all)));
            }
            if self.buffer.len() - self.line_start() > self.line_bytes_max {
                return self.past_long_line().map(Some);
            }
            self.fill()?;
        }
    }

    /// Bytes of the file that were read.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    /// Where the last line in the buffer begins.
    fn line_start(&self) -> usize {
        if self.buffer.len() <= self.line_bytes_max {
            return 0;
        }
        let head = &self.buffer[..self.block_bytes.min(self.buffer.len())];
        memrchr(b'\n', head).map_or(0, |at| at + 1)
    }

    fn fill(&mut self) -> Result<()> {
        let missing = self.block_bytes.saturating_sub(self.buffer.len()).max(BORDER_WINDOW_BYTES) as u64;
        let read = (&mut self.decoder).take(missing).read_to_end(&mut self.buffer);
        self.ended = read.map_err(|source| Error::read(&self.path, source))? == 0;
        Ok(())
    }

    fn hand_out(&mut self, length: usize) -> Cut {
        let rest = self.buffer.split_off(length);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let key = self.at;
        self.at += length as u64;
        Cut { key, next_key: self.at, bytes: length as u64, content: Content::Bytes(bytes) }
    }

    /// Reads past the line that fills the buffer's end, keeping its checksum and its beginning.
    fn past_long_line(&mut self) -> Result<Cut> {
        let start = self.line_start();
        let before = (start > 0).then(|| self.hand_out(start));
        let excerpt = self.buffer[..EXCERPT_BYTES.min(self.buffer.len())].to_vec();
        let mut hasher = Hasher::new();
        let mut length = 0;
        loop {
            let line_end = memchr(b'\n', &self.buffer).map(|at| at + 1);
            let upto = line_end.unwrap_or(self.buffer.len());
            hasher.update(&self.buffer[..upto]);
            length += upto as u64;
            self.buffer.drain(..upto);
            if line_end.is_some() || self.ended {
                break;
            }
            self.fill()?;
        }
        let key = self.at;
        self.at += length;
        let content = Content::TooLong { checksum: hasher.finish(), excerpt };
        let line = Cut { key, next_key: self.at, bytes: length, content };
        let Some(before) = before else { return Ok(line) };
        self.too_long = Some(line);
        Ok(before)
    }
}
