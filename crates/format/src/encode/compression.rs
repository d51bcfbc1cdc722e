//! The codecs a page may be compressed with.

use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::levels::{varint, varint_bytes};
use super::snappy::move_operations;

/// How the pages of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Snappy: fast, read by everybody.
    #[default]
    Snappy,
    /// Zstandard, level 3: smaller, slower to write.
    Zstd,
    /// No compression.
    None,
}

impl Compression {
    /// All codecs, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::Snappy, Self::Zstd, Self::None];

    /// The name used in the manifest and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }

    /// The codec as the `parquet` crate names it.
    pub(crate) fn codec(self) -> parquet::basic::CompressionCodec {
        use parquet::basic::CompressionCodec;
        match self {
            Self::Snappy => CompressionCodec::SNAPPY,
            Self::Zstd => CompressionCodec::ZSTD,
            Self::None => CompressionCodec::UNCOMPRESSED,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A codec with the memory it works in.
pub(crate) struct Compressor {
    codec: Codec,
    /// What stands before `body`: a Snappy stream may be put together from parts.
    head: Vec<u8>,
    /// Room for the largest result so far; `body_range` is the last one.
    body: Vec<u8>,
    body_range: Range<usize>,
    moved: Vec<u8>,
}

enum Codec {
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

/// Compressed bytes, in two parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compressed<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Compressor {
    const ZSTD_LEVEL: i32 = 3;

    pub(crate) fn new(compression: Compression) -> Self {
        let codec = match compression {
            Compression::Snappy => Codec::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd => Codec::Zstd(
                zstd::bulk::Compressor::new(Self::ZSTD_LEVEL).expect("level 3 is a level of zstd's"),
            ),
            Compression::None => Codec::None,
        };
        Self { codec, head: Vec::new(), body: Vec::new(), body_range: 0..0, moved: Vec::new() }
    }

    /// `page` compressed.
    ///
    /// # Panics
    /// Panics when `page` is larger than a page may be (2 GiB).
    pub(crate) fn compress<'a>(&'a mut self, page: &'a [u8]) -> Compressed<'a> {
        self.head.clear();
        match self.compress_body(page) {
            Some(()) => Compressed { head: &self.head, body: &self.body[self.body_range.clone()] },
            None => Compressed { head: &[], body: page },
        }
    }

    /// `page` compressed so that [`Compressor::compress_moved`] may follow; its values begin at `values`.
    pub(crate) fn compress_movable<'a>(&'a mut self, page: &'a [u8], values: usize) -> Compressed<'a> {
        if !matches!(self.codec, Codec::Snappy(_)) {
            return self.compress(page);
        }
        // The length of all; then the operations of what stands before the values, and of the values.
        self.compress_body(&page[..values]);
        self.head.clear();
        varint(&mut self.head, page.len() as u64);
        self.head.extend_from_slice(&self.body[varint_bytes(values)..self.body_range.end]);
        self.compress_body(&page[values..]);
        self.body_range.start = varint_bytes(page.len() - values);
        Compressed { head: &self.head, body: &self.body[self.body_range.clone()] }
    }

    /// `page` compressed with what was found in the page before, which was given to
    /// [`Compressor::compress_movable`]: of the same length, with the same bytes before the values, and values
    /// of `width` bytes of which each is the next one's of that page, except those at `changed` (ascending
    /// positions of values) and the last.
    pub(crate) fn compress_moved<'a>(
        &'a mut self,
        page: &'a [u8],
        values: usize,
        width: usize,
        changed: &[usize],
    ) -> Compressed<'a> {
        if !matches!(self.codec, Codec::Snappy(_)) {
            return self.compress(page);
        }
        self.moved.clear();
        let operations = &self.body[self.body_range.clone()];
        move_operations(&mut self.moved, operations, &page[values..], width, changed);
        Compressed { head: &self.head, body: &self.moved }
    }

    /// Compresses `raw` to `body[body_range]`; none where it stays as it is.
    fn compress_body(&mut self, raw: &[u8]) -> Option<()> {
        assert!(i32::try_from(raw.len()).is_ok(), "a Parquet page is smaller than 2 GiB");
        let bound = match self.codec {
            Codec::Snappy(_) => snap::raw::max_compress_len(raw.len()),
            Codec::Zstd(_) => zstd::zstd_safe::compress_bound(raw.len()),
            Codec::None => return None,
        };
        if self.body.len() < bound {
            self.body.resize(bound, 0);
        }
        let length = match &mut self.codec {
            Codec::Snappy(encoder) => {
                encoder.compress(raw, &mut self.body).expect("there is room for the largest result")
            }
            Codec::Zstd(compressor) => compressor
                .compress_to_buffer(raw, &mut self.body[..])
                .expect("there is room for the largest result"),
            Codec::None => return None,
        };
        self.body_range = 0..length;
        Some(())
    }
}

impl Compressed<'_> {
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.codec {
            Codec::Snappy(_) => "snappy",
            Codec::Zstd(_) => "zstd",
            Codec::None => "none",
        };
        f.debug_tuple("Compressor").field(&name).finish()
    }
}
