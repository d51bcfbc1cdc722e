//! UTF-16 as UTF-8, as it goes by.
//!
//! Half a surrogate pair is no character: it becomes bytes that are no UTF-8, so that whoever reads the line refuses
//! it rather than a text that was changed.

use std::io::{self, Read};

/// Bytes that are decoded at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// What stands where the content ends within a character: a byte that is in no UTF-8.
const HALF_A_CHARACTER: u8 = 0xFF;

/// In which order the two bytes of a unit stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// UTF-16 content, as UTF-8. A byte order mark stays one.
pub(crate) struct Utf16<R> {
    inner: R,
    order: ByteOrder,
    /// Bytes that are not decoded: less than a unit between two chunks.
    raw: Vec<u8>,
    /// The first half of a surrogate pair.
    first_half: Option<u16>,
    decoded: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf16<R> {
    pub(crate) const fn new(inner: R, order: ByteOrder) -> Self {
        Self { inner, order, raw: Vec::new(), first_half: None, decoded: Vec::new(), given: 0 }
    }

    /// Decodes the next chunk; false at the end of the content.
    fn decode(&mut self) -> io::Result<bool> {
        let kept = self.raw.len();
        self.raw.resize(kept + CHUNK_BYTES, 0);
        let read = self.inner.read(&mut self.raw[kept..]);
        self.raw.truncate(kept + *read.as_ref().unwrap_or(&0));
        self.decoded.clear();
        self.given = 0;
        if read? == 0 {
            self.first_half.take().into_iter().for_each(|half| push_half(half, &mut self.decoded));
            if !std::mem::take(&mut self.raw).is_empty() {
                self.decoded.push(HALF_A_CHARACTER);
            }
            return Ok(!self.decoded.is_empty());
        }
        let whole = self.raw.len() / 2 * 2;
        for pair in self.raw[..whole].chunks_exact(2) {
            let pair = [pair[0], pair[1]];
            let unit = match self.order {
                ByteOrder::Little => u16::from_le_bytes(pair),
                ByteOrder::Big => u16::from_be_bytes(pair),
            };
            push(unit, &mut self.first_half, &mut self.decoded);
        }
        self.raw.drain(..whole);
        Ok(true)
    }
}

/// Adds a unit to `decoded`, or keeps it until its other half is there.
fn push(unit: u16, first_half: &mut Option<u16>, decoded: &mut Vec<u8>) {
    if let Some(first) = first_half.take() {
        if let Some(Ok(character)) = char::decode_utf16([first, unit]).next() {
            push_character(character, decoded);
            return;
        }
        push_half(first, decoded);
    }
    match char::from_u32(unit.into()) {
        Some(character) => push_character(character, decoded),
        None if unit < 0xDC00 => *first_half = Some(unit),
        None => push_half(unit, decoded),
    }
}

fn push_character(character: char, decoded: &mut Vec<u8>) {
    decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Half a surrogate pair, in the three bytes that UTF-8 would have for it and forbids.
fn push_half(half: u16, decoded: &mut Vec<u8>) {
    let [high, low] = half.to_be_bytes();
    decoded.extend([0xE0 | high >> 4, 0x80 | (high & 0xF) << 2 | low >> 6, 0x80 | low & 0x3F]);
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            if buffer.is_empty() || !self.decode()? {
                return Ok(0);
            }
        }
        let ready = &self.decoded[self.given..];
        let length = ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ready[..length]);
        self.given += length;
        Ok(length)
    }
}
