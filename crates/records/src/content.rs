//! A file's content as lines of UTF-8, whatever it is packed in and encoded with.
//!
//! The beginning is looked at first: what holds no lines is named rather than refused line by line.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mashbill_store::read_at::ReadAt;

use crate::array::ArrayLines;
use crate::container::unpacked;
use crate::foreign::{Foreign, begins, signature};
use crate::kind::Container;
use crate::read_error::ReadError;
use crate::shape::{FileShape, HEAD_BYTES, Head, packed, shape, utf16};
use crate::utf16::Utf16;

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 << 10;

/// The content of a file.
pub(crate) enum DecodedContent {
    /// Lines of the file as they are, which can be read by offset.
    AsItIs(File),
    /// Lines that are made of it.
    Streamed(Box<dyn Read + Send>),
}

/// What is counted while content is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadCounts {
    /// Bytes that were read from the file.
    pub(crate) disk_bytes: Arc<AtomicU64>,
    /// Bytes behind the end of packed content.
    pub(crate) ignored: Arc<AtomicU64>,
}

/// A file that counts the bytes that are read from it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                // A decoder that is interrupted could not go on.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.read.fetch_add(read as u64, Ordering::Relaxed);
                    return Ok(read);
                }
            }
        }
    }
}

/// The lines of `file`, of which `size` bytes are there, packed in `container`.
///
/// # Errors
/// [`ReadError::Io`], [`ReadError::Foreign`].
pub(crate) fn decoded(
    file: File,
    container: Container,
    size: u64,
    counts: &ReadCounts,
) -> Result<DecodedContent, ReadError> {
    let mut head = vec![0; usize::try_from(size).unwrap_or(HEAD_BYTES).min(HEAD_BYTES)];
    file.read_at(0, &mut head).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Changed,
        _ => error.into(),
    })?;
    if container == Container::Plain {
        if let Some(found) = signature(&head) {
            return Err(Foreign::OtherThanNamed { found, named: container }.into());
        }
        let whole = size <= head.len() as u64;
        if utf16(&head)?.is_none() && shape(Head { bytes: &head, whole })? == FileShape::Lines {
            return Ok(DecodedContent::AsItIs(file));
        }
    } else if head.is_empty() {
        let what = format!("it is empty, which no {} is", container.name());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what).into());
    } else if !begins(container, &head) {
        let found = signature(&head).unwrap_or(if utf16(&head).is_ok() && head.is_ascii() {
            "plain text"
        } else {
            "something else"
        });
        return Err(Foreign::OtherThanNamed { found, named: container }.into());
    }
    let file = Counted { file, read: Arc::clone(&counts.disk_bytes) };
    let source = BufReader::with_capacity(READ_BYTES, file);
    let content = unpacked(source, container, Some(Arc::clone(&counts.ignored)))?;
    lines(content, container).map(DecodedContent::Streamed)
}

/// The lines of unpacked content.
fn lines(content: Box<dyn Read + Send>, container: Container) -> Result<Box<dyn Read + Send>, ReadError> {
    let (head, _, content) = peek(content)?;
    if container != Container::Plain {
        packed(&head)?;
    }
    let content = match utf16(&head)? {
        Some(order) => Box::new(Utf16::new(content, order)),
        None => content,
    };
    let (head, whole, content) = peek(content)?;
    Ok(match shape(Head { bytes: &head, whole })? {
        FileShape::Lines => content,
        FileShape::Array => Box::new(ArrayLines::new(content)),
    })
}

/// The beginning of some content, whether there is no more, and all of it.
fn peek(mut content: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, bool, Box<dyn Read + Send>)> {
    let mut head = Vec::new();
    content.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let whole = head.len() < HEAD_BYTES;
    Ok((head.clone(), whole, Box::new(Cursor::new(head).chain(content))))
}
