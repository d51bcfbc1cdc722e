//! One JSON array of records, as lines: in the same places, in no memory.
//!
//! What lies between the elements is checked and turned into a line's end; a line end within an element becomes a
//! carriage return, which is white space there as well, and as forbidden within a string. No byte moves, so a record
//! stands where it stands in the array, and everybody who reads lines reads arrays.

use std::io::{self, Read};

use memchr::memchr_iter;

use crate::BYTE_ORDER_MARK;
use crate::value_end::ValueEnd;

/// Bytes that are turned at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The content of an array, as lines.
pub(crate) struct ArrayLines<R> {
    inner: R,
    chunk: Vec<u8>,
    /// Bytes of the chunk that were given away, and that were turned.
    given: usize,
    turned: usize,
    /// Where the chunk begins in the content.
    offset: u64,
    state: ArrayState,
    ended: bool,
    /// What is wrong behind the bytes that were turned.
    broken: Option<String>,
}

#[derive(Debug)]
enum ArrayState {
    /// Before the array.
    Before,
    /// Behind its bracket.
    Opened,
    Within(ValueEnd),
    BehindElement,
    BehindComma,
    Closed,
}

impl<R: Read> ArrayLines<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            chunk: Vec::new(),
            given: 0,
            turned: 0,
            offset: 0,
            state: ArrayState::Before,
            ended: false,
            broken: None,
        }
    }

    /// Brings more bytes behind those that are not turned yet.
    fn fill(&mut self) -> io::Result<()> {
        self.offset += self.turned as u64;
        self.chunk.drain(..self.turned);
        (self.given, self.turned) = (0, 0);
        let kept = self.chunk.len();
        self.chunk.resize(kept + CHUNK_BYTES, 0);
        let read = self.inner.read(&mut self.chunk[kept..]);
        self.chunk.truncate(kept + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }

    /// Turns the chunk as far as that is known; nothing where something is wrong.
    fn turn(&mut self) {
        while self.turned < self.chunk.len() && self.broken.is_none() {
            let before = self.turned;
            match &mut self.state {
                ArrayState::Within(end) => {
                    let rest = &mut self.chunk[self.turned..];
                    let found = end.find(rest);
                    let length = found.unwrap_or_else(|| end.let_go());
                    let lines: Vec<usize> = memchr_iter(b'\n', &rest[..length]).collect();
                    lines.into_iter().for_each(|at| rest[at] = b'\r');
                    self.turned += length;
                    if found.is_some() {
                        self.state = ArrayState::BehindElement;
                    } else if self.turned == before {
                        // What a backslash escapes is not at hand.
                        return;
                    }
                }
                _ => self.turn_between(),
            }
        }
    }

    /// Turns one byte that is in no element.
    fn turn_between(&mut self) {
        let byte = self.chunk[self.turned];
        let position = self.offset + self.turned as u64;
        let (turned, state) = match (&self.state, byte) {
            (_, b'\n') => (b'\r', None),
            (_, b' ' | b'\r' | b'\t') => (byte, None),
            (ArrayState::Before, _) if BYTE_ORDER_MARK.get(position as usize) == Some(&byte) => (byte, None),
            (ArrayState::Before, b'[') => (b' ', Some(ArrayState::Opened)),
            (ArrayState::Opened | ArrayState::BehindElement, b']') => (b' ', Some(ArrayState::Closed)),
            (ArrayState::BehindElement, b',') => (b'\n', Some(ArrayState::BehindComma)),
            (ArrayState::Opened | ArrayState::BehindComma, byte)
                if !matches!(byte, b',' | b']' | b'}' | b':') =>
            {
                self.state = ArrayState::Within(ValueEnd::default());
                return;
            }
            (state, _) => {
                self.broken = Some(format!("{} at byte {position}", state.expected()));
                return;
            }
        };
        self.chunk[self.turned] = turned;
        self.turned += 1;
        if let Some(state) = state {
            self.state = state;
        }
    }

    /// Says what is missing at the end of the content.
    fn end(&mut self) {
        let at = self.offset + self.chunk.len() as u64;
        self.broken = match &self.state {
            ArrayState::Closed => None,
            ArrayState::Within(end) if !end.is_scalar() => {
                Some(format!("the content ends within a record at byte {at}"))
            }
            _ => Some(format!("the array has no end: the content stops at byte {at}")),
        };
    }
}

impl ArrayState {
    const fn expected(&self) -> &'static str {
        match self {
            Self::Before => "an array expected",
            Self::Opened | Self::BehindComma => "a record expected",
            Self::Within(_) | Self::BehindElement => "`,` or `]` expected between records",
            Self::Closed => "nothing expected behind the array",
        }
    }
}

impl<R: Read> Read for ArrayLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = &self.chunk[self.given..self.turned];
            if !ready.is_empty() || buffer.is_empty() {
                let length = ready.len().min(buffer.len());
                buffer[..length].copy_from_slice(&ready[..length]);
                self.given += length;
                return Ok(length);
            }
            if let Some(what) = &self.broken {
                return Err(io::Error::new(io::ErrorKind::InvalidData, what.clone()));
            }
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
            self.turn();
            if self.ended && self.broken.is_none() {
                self.end();
            }
        }
    }
}
