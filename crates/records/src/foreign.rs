//! Content that is recognised and not read: what it is, in words for people.

use serde::Serialize;

use crate::kind::Container;

/// What a file holds instead of records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// Another container, or another format, than the name says.
    #[error("it is {found}, but its name says {}", named.name())]
    OtherThanNamed {
        /// What it is.
        found: &'static str,
        /// What its name says.
        named: Container,
    },
    /// Another format within the container that the name says.
    #[error("there is {found} in it")]
    Packed {
        /// What it is.
        found: &'static str,
    },
    /// Text that is not UTF-8, nor UTF-16 with a byte order mark.
    #[error("its text is {name}, not UTF-8")]
    Encoding {
        /// What the encoding is called.
        name: &'static str,
        /// What `iconv` calls it, where that is known.
        iconv: Option<&'static str>,
    },
    /// Lines that end with a carriage return alone.
    #[error("its lines end with a carriage return and no line feed")]
    CarriageReturns,
    /// An object that goes over many lines, alone or one after another.
    #[error("it is JSON with an object over many lines{}", under(rows.as_deref()))]
    OverManyLines {
        /// The key of the first list of objects in it, if it has one.
        rows: Option<String>,
    },
    /// Several objects in a line, or commas between them, without an array around them.
    #[error("it has several objects a line, or commas between them")]
    SeveralALine,
    /// An array of something else.
    #[error("it is a JSON array of {elements}, not of objects")]
    ArrayOf {
        /// What is in it.
        elements: &'static str,
    },
    /// What Git keeps in the place of a large file.
    #[error("it is a Git LFS pointer to a file that was not fetched")]
    LfsPointer,
    /// A page of the web.
    #[error("it is an HTML page")]
    Html,
}

fn under(rows: Option<&str>) -> String {
    rows.map_or_else(String::new, |key| format!(", with a list of objects under `{}`", key.escape_default()))
}

/// Beginnings of files of other formats.
const SIGNATURES: [(&[u8], &str); 19] = [
    (b"\x1F\x8B", "gzip"),
    (b"\x28\xB5\x2F\xFD", "zstd"),
    (b"\xFD7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"PAR1", "Parquet"),
    (b"ARROW1\0\0", "an Arrow file"),
    (b"\xFF\xFF\xFF\xFF", "an Arrow stream"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"\x04\x22\x4D\x18", "lz4"),
    (b"Rar!\x1A\x07", "a rar archive"),
    (b"\xFF\x06\0\0sNaPpY", "snappy"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%PDF-", "a PDF file"),
];

/// Where a tar archive says what it is.
const TAR_MAGIC_AT: usize = 257;

/// The other format that `head`, the beginning of a file, is of, if it is of one that is known.
pub(crate) fn signature(head: &[u8]) -> Option<&'static str> {
    if is_skippable_frame(head) {
        return Some("zstd");
    }
    if head.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Some("a tar archive");
    }
    SIGNATURES.iter().find(|(magic, _)| head.starts_with(magic)).map(|&(_, name)| name)
}

/// Whether `head` is the beginning of a file in `container`.
pub(crate) fn begins(container: Container, head: &[u8]) -> bool {
    match container {
        Container::Plain => true,
        // The second and third are those of frames to be skipped and of older versions of zstd.
        Container::Zstd => {
            signature(head) == Some("zstd") || matches!(head, [0x22..=0x28, 0xB5, 0x2F, 0xFD, ..])
        }
        named => signature(head) == Some(named.name()),
    }
}

fn is_skippable_frame(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}
