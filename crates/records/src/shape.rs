//! What a file holds, by its beginning: lines, an array, or something that is named and not read.
//!
//! A bad line is no reason to refuse a file, so nothing is said of a file that could hold good lines: what is named
//! here has none in the beginning that was looked at.

use memchr::memchr;

use crate::BYTE_ORDER_MARK;
use crate::foreign::{Foreign, signature};
use crate::record::{Beginning, Reason, RecordParser, beginning};
use crate::utf16::ByteOrder;

/// Bytes that are looked at.
pub(crate) const HEAD_BYTES: usize = 64 << 10;

/// Of so many lines one has to have letters that are no UTF-8 for a file to be called by another encoding.
const LINES_PER_FOREIGN_LINE: usize = 10;

/// How records stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileShape {
    Lines,
    Array,
}

/// The beginning of some content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether there is no more.
    pub(crate) whole: bool,
}

/// The order of the bytes where `head` begins with the mark of UTF-16; none for UTF-8.
pub(crate) fn utf16(head: &[u8]) -> Result<Option<ByteOrder>, Foreign> {
    let encoding = |name, iconv| Err(Foreign::Encoding { name, iconv: Some(iconv) });
    match head {
        [0xFF, 0xFE, 0, 0, ..] => encoding("UTF-32", "UTF-32"),
        [0, 0, 0xFE, 0xFF, ..] => encoding("UTF-32", "UTF-32"),
        [0xFF, 0xFE, ..] => Ok(Some(ByteOrder::Little)),
        [0xFE, 0xFF, ..] => Ok(Some(ByteOrder::Big)),
        // JSON begins with two characters of ASCII, so the zeros tell.
        [a, 0, 0, 0, ..] if *a != 0 => encoding("UTF-32 without a byte order mark", "UTF-32LE"),
        [0, 0, 0, a, ..] if *a != 0 => encoding("UTF-32 without a byte order mark", "UTF-32BE"),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => encoding("UTF-16 without a byte order mark", "UTF-16LE"),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => encoding("UTF-16 without a byte order mark", "UTF-16BE"),
        _ => Ok(None),
    }
}

/// How records stand in the content with this beginning, which is UTF-8 if it is text.
pub(crate) fn shape(head: Head<'_>) -> Result<FileShape, Foreign> {
    let bytes = head.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head.bytes);
    let Some(start) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else {
        return Ok(FileShape::Lines);
    };
    let bytes = &bytes[start..];
    if is_lfs_pointer(bytes) {
        return Err(Foreign::LfsPointer);
    }
    if ["<!doctype html", "<html"].iter().any(|tag| begins_with(bytes, tag)) {
        return Err(Foreign::Html);
    }
    other_encoding(bytes)?;
    let head = Head { bytes, ..head };
    match bytes[0] {
        b'[' => array(head),
        b'{' => object(head),
        _ => Ok(FileShape::Lines),
    }
}

/// The format of packed content that is none of text.
pub(crate) fn packed(head: &[u8]) -> Result<(), Foreign> {
    signature(head).map_or(Ok(()), |found| Err(Foreign::Packed { found }))
}

fn begins_with(bytes: &[u8], text: &str) -> bool {
    bytes.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
}

/// Refuses text in an encoding of single bytes, or of two, where no character of it is one of UTF-8.
fn other_encoding(bytes: &[u8]) -> Result<(), Foreign> {
    if bytes.is_ascii() {
        return Ok(());
    }
    let (mut invalid, mut beside_letters, mut foreign_lines, mut lines) = (0, 0, 0, 0);
    for line in bytes.split(|&byte| byte == b'\n' || byte == b'\r').filter(|line| !line.is_empty()) {
        lines += 1;
        let before = invalid;
        let mut letter = false;
        for chunk in line.utf8_chunks() {
            if !chunk.valid().is_ascii() {
                return Ok(());
            }
            let next_to = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
            if letter && next_to(chunk.valid().as_bytes().first()) {
                beside_letters += 1;
            }
            letter = !chunk.invalid().is_empty();
            if letter {
                invalid += chunk.invalid().len();
                beside_letters += usize::from(next_to(chunk.valid().as_bytes().last()));
            }
        }
        foreign_lines += usize::from(invalid > before);
    }
    if foreign_lines == 0 || foreign_lines * LINES_PER_FOREIGN_LINE < lines {
        return Ok(());
    }
    // A single strange byte between quotes is a bad record; among letters it is one of them.
    if 2 * beside_letters >= invalid {
        let name = "Latin-1 or another encoding of single bytes";
        return Err(Foreign::Encoding { name, iconv: Some("LATIN1") });
    }
    if invalid >= 8 {
        return Err(Foreign::Encoding { name: "in an unknown encoding", iconv: None });
    }
    Ok(())
}

/// What begins with `[`.
fn array(head: Head<'_>) -> Result<FileShape, Foreign> {
    let inside = head.bytes[1..].iter().find(|byte| !byte.is_ascii_whitespace());
    let found = beginning(head.bytes);
    let (is_alone, has_lines) = match found {
        Beginning::Value(end) => (is_blank(&head.bytes[end..]), memchr(b'\n', &head.bytes[..end]).is_some()),
        Beginning::CutOff => (!head.whole, memchr(b'\n', head.bytes.trim_ascii_end()).is_some()),
        Beginning::Broken => (false, false),
    };
    let elements = match inside {
        Some(b'{') if matches!(found, Beginning::Broken) => {
            // Of an array a line ends with a comma or a bracket.
            return Ok(if lines(head).skip(1).any(is_object) { FileShape::Lines } else { FileShape::Array });
        }
        Some(b'{') => {
            let is_array = is_alone || matches!(found, Beginning::CutOff);
            return Ok(if is_array { FileShape::Array } else { FileShape::Lines });
        }
        Some(b']') => return Ok(if is_alone { FileShape::Array } else { FileShape::Lines }),
        None => return Ok(if head.whole { FileShape::Lines } else { FileShape::Array }),
        Some(b'[') => "lists",
        Some(b'"') => "strings",
        Some(_) => "values",
    };
    if is_alone || has_lines { Err(Foreign::ArrayOf { elements }) } else { Ok(FileShape::Lines) }
}

/// What begins with `{`.
fn object(head: Head<'_>) -> Result<FileShape, Foreign> {
    let bytes = head.bytes;
    let (end, is_cut) = match beginning(bytes) {
        Beginning::Value(end) => (end, false),
        Beginning::CutOff => (bytes.trim_ascii_end().len(), true),
        Beginning::Broken => return Ok(FileShape::Lines),
    };
    if memchr(b'\n', &bytes[..end]).is_some() {
        // Other lines may be good where the first is cut off; a longer head would have shown the fault.
        let others =
            if is_cut { Head { whole: true, ..head } } else { Head { bytes: &bytes[end..], ..head } };
        let has_good_lines =
            (!is_cut || head.whole) && lines(others).skip(usize::from(is_cut)).any(is_object);
        let rows = || rows_key(&bytes[..end]);
        return if has_good_lines {
            Ok(FileShape::Lines)
        } else {
            Err(Foreign::OverManyLines { rows: rows() })
        };
    }
    if is_cut {
        return Ok(FileShape::Lines);
    }
    let blanks = bytes[end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &bytes[end + blanks..] {
        [] | [b'\n', ..] | [b'\r', b'\n', ..] => Ok(FileShape::Lines),
        [b'\r', ..] if memchr(b'\n', bytes).is_none() && !is_blank(&bytes[end..]) => {
            Err(Foreign::CarriageReturns)
        }
        // Behind the last of many there is no comma.
        [first @ (b'{' | b','), ..] => {
            let lines: Vec<&[u8]> = lines(head).collect();
            let looked_at = lines.len().saturating_sub(usize::from(*first == b',' && lines.len() > 1));
            let has_good_lines = lines[..looked_at].iter().any(|line| is_object(line));
            if has_good_lines { Ok(FileShape::Lines) } else { Err(Foreign::SeveralALine) }
        }
        _ => Ok(FileShape::Lines),
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

/// The lines that are in the head whole.
fn lines<'a>(head: Head<'a>) -> impl Iterator<Item = &'a [u8]> {
    let end = if head.whole { head.bytes.len() } else { memchr::memrchr(b'\n', head.bytes).unwrap_or(0) };
    head.bytes[..end].split(|&byte| byte == b'\n').filter(|line| !is_blank(line))
}

/// Whether a line is one JSON object, be it a record or not.
fn is_object(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let mut parser = RecordParser::new(&["text"]);
    let object = line.trim_ascii_start().starts_with('{');
    let valid = !matches!(parser.parse(line), Err(refusal) if refusal.reason == Reason::InvalidJson);
    // A lone pair of brackets is a part of a larger value more often than a record.
    object && valid && line.trim_ascii() != "{}"
}

/// The first key of an object under which a list of objects stands.
fn rows_key(object: &[u8]) -> Option<String> {
    let mut at = 1;
    loop {
        at += blanks(&object[at..]);
        let Beginning::Value(length) = beginning(object.get(at..)?) else { return None };
        let key = object.get(at + 1..at + length - 1)?;
        at += length;
        at += blanks(&object[at..]) + 1;
        let value = object.get(at..)?.trim_ascii_start();
        let is_list = value.first() == Some(&b'[');
        if is_list && value[1..].trim_ascii_start().first() == Some(&b'{') {
            return Some(String::from_utf8_lossy(key).into_owned());
        }
        let Beginning::Value(length) = beginning(&object[at..]) else { return None };
        at += length;
        at += blanks(&object[at..]);
        if object.get(at) != Some(&b',') {
            return None;
        }
        at += 1;
    }
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.len() - bytes.trim_ascii_start().len()
}
/// Whether a file that begins like this stands for another, which Git LFS did not fetch.
#[must_use]
pub fn is_lfs_pointer(beginning: &[u8]) -> bool {
    beginning.starts_with(b"version https://git-lfs.github.com/")
}
