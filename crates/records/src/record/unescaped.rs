//! Strings without their escapes.
//!
//! Text is nearly all of the input and has an escape every line, so looking for the next one and copying
//! what comes before it are one: sixteen bytes are copied at a time, and as many count as come before it.

use super::cursor::Span;
use super::refusal::{Reason, Refusal};

/// Bytes that are looked at together.
const CHUNK: usize = 16;

/// A string without its escapes, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Unescaped {
    bytes: Vec<u8>,
    /// Where the first half of a surrogate pair was replaced.
    half: Option<usize>,
}

impl Unescaped {
    /// Begins with `plain`; no more than `room` bytes of the input make up the string.
    pub(super) fn begin(&mut self, plain: &[u8], room: usize) {
        self.bytes.clear();
        // Escapes are never shorter than what they stand for. What isn't written takes no memory, and growing step by
        // step would copy a large text again and again.
        self.bytes.reserve(room + CHUNK);
        self.bytes.extend_from_slice(plain);
        self.half = None;
    }

    /// Appends the bytes before the first quote, backslash or control character, and returns how many they are.
    pub(super) fn push_plain(&mut self, from: &[u8]) -> usize {
        let start = self.bytes.len();
        let (chunks, rest) = from.as_chunks::<CHUNK>();
        for chunk in chunks {
            let end = self.bytes.len() + plain_in(chunk);
            self.bytes.extend_from_slice(chunk);
            if end < self.bytes.len() {
                self.bytes.truncate(end);
                return end - start;
            }
        }
        let plain = rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len());
        self.bytes.extend_from_slice(&rest[..plain]);
        self.bytes.len() - start
    }

    /// Appends what the escape stands for whose backslash stands before `bytes[at]`, and returns where it ends. Its
    /// grammar has been checked.
    pub(super) fn push_escape(&mut self, bytes: &[u8], at: usize) -> usize {
        let byte = match bytes[at] {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x8,
            b'f' => 0xc,
            b'u' => {
                let (character, used) = unicode_escape(&bytes[at + 1..]);
                if character.is_none() {
                    self.half.get_or_insert(self.bytes.len());
                }
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                self.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return at + 1 + used;
            }
            itself => itself,
        };
        self.bytes.push(byte);
        at + 1
    }

    /// The string, unless half of a surrogate pair was replaced.
    pub(super) fn whole(&self) -> Result<&str, Refusal> {
        if let Some(half) = self.half {
            let before = String::from_utf8_lossy(&self.bytes[..half]).chars().count();
            let detail = format!("half a surrogate pair at character {before}");
            return Err(Refusal::new(Reason::LoneSurrogate, detail));
        }
        Ok(self.text())
    }

    /// The string of `bytes` that stands at `span`, whose grammar has been checked.
    pub(super) fn of(&mut self, bytes: &[u8], span: Span) -> &str {
        let inside = &bytes[span.start..span.end];
        self.begin(&[], inside.len());
        let mut at = self.push_plain(inside);
        while at < inside.len() {
            at = self.push_escape(inside, at + 1);
            at += self.push_plain(&inside[at..]);
        }
        self.text()
    }

    fn text(&self) -> &str {
        // Parts of UTF-8 between ASCII bytes, and characters, make UTF-8.
        simdutf8::basic::from_utf8(&self.bytes).expect("it is UTF-8")
    }
}

/// The number of bytes before the first quote, backslash or control character.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks();
    for (index, chunk) in chunks.iter().enumerate() {
        let plain = plain_in(chunk);
        if plain < CHUNK {
            return index * CHUNK + plain;
        }
    }
    let plain = rest.iter().position(|&byte| !is_plain(byte));
    chunks.len() * CHUNK + plain.unwrap_or(rest.len())
}

/// [`plain_run`] of a chunk, without a branch: compilers make vector instructions of it.
#[inline]
fn plain_in(chunk: &[u8; CHUNK]) -> usize {
    let found = chunk.map(|byte| if is_plain(byte) { 0 } else { 0xff });
    u128::from_le_bytes(found).trailing_zeros() as usize / 8
}

#[inline]
const fn is_plain(byte: u8) -> bool {
    (byte != b'"') & (byte != b'\\') & (byte >= 0x20)
}

/// The character of `XXXX` or of the pair `XXXX\uXXXX`, none for half a pair, and the bytes it takes.
fn unicode_escape(digits: &[u8]) -> (Option<char>, usize) {
    let unit = |hex: &[u8]| {
        let hex = hex.get(..4)?;
        hex.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    };
    let Some(first) = unit(digits) else { return (None, 0) };
    if !(0xD800..0xDC00).contains(&first) {
        return (char::from_u32(first), 4);
    }
    let second =
        digits[4..].strip_prefix(b"\\u").and_then(unit).filter(|unit| (0xDC00..0xE000).contains(unit));
    match second {
        Some(second) => (char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)), 10),
        None => (None, 4),
    }
}
