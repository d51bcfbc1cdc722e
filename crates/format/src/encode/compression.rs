//! The codecs a page may be compressed with.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    out: Vec<u8>,
}

enum Codec {
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
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
        Self { codec, out: Vec::new() }
    }

    /// `raw` compressed; the slice stands until the next call.
    ///
    /// # Panics
    /// Panics when `raw` is larger than a page may be (2 GiB).
    pub(crate) fn compress<'a>(&'a mut self, raw: &'a [u8]) -> &'a [u8] {
        assert!(i32::try_from(raw.len()).is_ok(), "a Parquet page is smaller than 2 GiB");
        let bound = match self.codec {
            Codec::Snappy(_) => snap::raw::max_compress_len(raw.len()),
            Codec::Zstd(_) => zstd::zstd_safe::compress_bound(raw.len()),
            Codec::None => return raw,
        };
        if self.out.len() < bound {
            self.out.resize(bound, 0);
        }
        let length = match &mut self.codec {
            Codec::Snappy(encoder) => {
                encoder.compress(raw, &mut self.out).expect("the output holds the largest result")
            }
            Codec::Zstd(compressor) => compressor
                .compress_to_buffer(raw, &mut self.out[..])
                .expect("the output holds the largest result"),
            Codec::None => unreachable!("returned above"),
        };
        &self.out[..length]
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
