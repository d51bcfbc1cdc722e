//! The codecs a page may be compressed with.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::levels::{varint, varint_bytes};

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
    pub fn codec(self) -> parquet::basic::CompressionCodec {
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
pub struct Compressor {
    codec: Codec,
    /// Room for the largest result so far.
    out: Vec<u8>,
    first: Vec<u8>,
    second: Vec<u8>,
}

enum Codec {
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

/// Two pages, the second of which has the first one's values, moved to the front by one.
#[derive(Debug, Clone, Copy)]
pub struct Moved<'a> {
    /// A page whose values are plain bytes.
    pub first: &'a [u8],
    /// A page of the same length: the bytes before the values are the same, and its value `i` is the first
    /// page's value `i + 1`, with exceptions.
    pub second: &'a [u8],
    /// Where the values begin.
    pub values: usize,
    /// Bytes of a value, 4 at most.
    pub width: usize,
    /// The exceptions: ascending positions in the second page. Its last value is one, named or not.
    pub changed: &'a [usize],
}

impl Compressor {
    const ZSTD_LEVEL: i32 = 3;

    /// A compressor that has nothing to remember yet.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        let codec = match compression {
            Compression::Snappy => Codec::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd => Codec::Zstd(
                zstd::bulk::Compressor::new(Self::ZSTD_LEVEL).expect("level 3 is a level of zstd's"),
            ),
            Compression::None => Codec::None,
        };
        Self { codec, out: Vec::new(), first: Vec::new(), second: Vec::new() }
    }

    /// `raw` compressed.
    ///
    /// # Panics
    /// Panics when `raw` is larger than a page may be (2 GiB).
    pub fn compress<'a>(&'a mut self, raw: &'a [u8]) -> &'a [u8] {
        assert!(i32::try_from(raw.len()).is_ok(), "a Parquet page is smaller than 2 GiB");
        let (bound, out) = (self.codec.bound(raw.len()), &mut self.out);
        if out.len() < bound {
            out.resize(bound, 0);
        }
        let length = match &mut self.codec {
            Codec::Snappy(encoder) => {
                encoder.compress(raw, out).expect("there is room for the largest result")
            }
            Codec::Zstd(compressor) => compressor
                .compress_to_buffer(raw, &mut out[..])
                .expect("there is room for the largest result"),
            Codec::None => return raw,
        };
        &self.out[..length]
    }

    /// Both pages compressed, each given to one of the functions in turn.
    ///
    /// A Snappy stream is a row of operations that refer to what stands before them by distance. So what
    /// Snappy finds in a stretch that both pages have is found once and stands in both streams.
    pub fn compress_moved(
        &mut self,
        pages: Moved<'_>,
        take_first: impl FnOnce(&[u8]),
        take_second: impl FnOnce(&[u8]),
    ) {
        /// Repeats are not found across an exception, so with more than these it is better to search twice.
        const MOST_EXCEPTIONS: usize = 16;
        if matches!(self.codec, Codec::Snappy(_)) && pages.changed.len() <= MOST_EXCEPTIONS {
            self.snappy_moved(pages);
            take_first(&self.first);
            take_second(&self.second);
        } else {
            take_first(self.compress(pages.first));
            take_second(self.compress(pages.second));
        }
    }

    fn snappy_moved(&mut self, pages: Moved<'_>) {
        let (levels, first) = pages.first.split_at(pages.values);
        let second = &pages.second[pages.values..];
        let width = pages.width;
        self.first.clear();
        self.second.clear();
        varint(&mut self.first, pages.first.len() as u64);
        varint(&mut self.second, pages.second.len() as u64);
        self.snappy_both(levels);
        snappy_literal(&mut self.first, &first[..width]);
        let last = second.len() / width - 1;
        let mut begin = width;
        for &at in pages.changed.iter().chain((pages.changed.last() != Some(&last)).then_some(&last)) {
            let end = (at + 1) * width;
            self.snappy_both(&first[begin..end]);
            if at < last {
                snappy_literal(&mut self.first, &first[end..end + width]);
            }
            snappy_literal(&mut self.second, &second[at * width..end]);
            begin = end + width;
        }
    }

    /// Appends the operations that decode to `raw` to both streams.
    fn snappy_both(&mut self, raw: &[u8]) {
        if raw.is_empty() {
            return;
        }
        let compressed = self.compress(raw).len();
        let operations = &self.out[varint_bytes(raw.len())..compressed];
        self.first.extend_from_slice(operations);
        self.second.extend_from_slice(operations);
    }
}

/// The other way round, with the memory it works in.
pub enum Decompressor {
    /// Of [`Compression::Snappy`].
    Snappy(Box<snap::raw::Decoder>),
    /// Of [`Compression::Zstd`].
    Zstd(zstd::bulk::Decompressor<'static>),
    /// Of [`Compression::None`].
    None,
}

impl Decompressor {
    /// A decompressor of what [`Compressor`] wrote.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        match compression {
            Compression::Snappy => Self::Snappy(Box::new(snap::raw::Decoder::new())),
            Compression::Zstd => {
                Self::Zstd(zstd::bulk::Decompressor::new().expect("a decompressor needs nothing but memory"))
            }
            Compression::None => Self::None,
        }
    }

    /// Sets `out` to the `raw` bytes that `body` is made of; false where it is not made of so many.
    pub fn decompress(&mut self, body: &[u8], raw: usize, out: &mut Vec<u8>) -> bool {
        // Bytes of an earlier page are written over; clearing them first would cost as much as the page.
        out.resize(raw, 0);
        match self {
            Self::Snappy(decoder) => {
                snap::raw::decompress_len(body).is_ok_and(|length| length == raw)
                    && decoder.decompress(body, out).is_ok_and(|length| length == raw)
            }
            Self::Zstd(decompressor) => {
                decompressor.decompress_to_buffer(body, &mut out[..]).is_ok_and(|length| length == raw)
            }
            Self::None => {
                let fits = body.len() == raw;
                if fits {
                    out.copy_from_slice(body);
                }
                fits
            }
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressor")
    }
}

impl Codec {
    /// The largest size `bytes` may take when compressed.
    fn bound(&self, bytes: usize) -> usize {
        match self {
            Self::Snappy(_) => snap::raw::max_compress_len(bytes),
            Self::Zstd(_) => zstd::zstd_safe::compress_bound(bytes),
            Self::None => 0,
        }
    }
}

/// Appends a literal of 1 to 60 bytes.
fn snappy_literal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push((bytes.len() as u8 - 1) << 2);
    out.extend_from_slice(bytes);
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compresses `values` without the last beside `values` without the first, changed at some places.
    fn check(levels: &[u8], values: &[u32], width: usize, changed: &[usize]) -> (usize, usize) {
        let page = |values: &[u32]| -> Vec<u8> {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec());
            levels.iter().copied().chain(bytes).collect()
        };
        let first = page(&values[..values.len() - 1]);
        let mut second = values[1..].to_vec();
        changed.iter().for_each(|&at| second[at] ^= 1);
        let second = page(&second);
        let mut sizes = (0, 0);
        Compressor::new(Compression::Snappy).compress_moved(
            Moved { first: &first, second: &second, values: levels.len(), width, changed },
            |compressed| {
                assert_eq!(snap::raw::Decoder::new().decompress_vec(compressed).unwrap(), first);
                sizes.0 = compressed.len();
            },
            |compressed| {
                assert_eq!(snap::raw::Decoder::new().decompress_vec(compressed).unwrap(), second);
                sizes.1 = compressed.len();
            },
        );
        sizes
    }

    proptest! {
        #[test]
        fn pages_that_share_operations_decode(
            levels in prop::collection::vec(any::<u8>(), 0..100),
            words in prop::collection::vec(prop::collection::vec(any::<u32>(), 1..30), 1..20),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..400),
            width in 1..=4usize,
            changed in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let values: Vec<u32> = order.iter().flat_map(|at| words[at.index(words.len())].clone()).collect();
            if values.len() > 1 {
                let mut changed: Vec<usize> = changed.iter().map(|at| at.index(values.len() - 1)).collect();
                changed.sort_unstable();
                changed.dedup();
                check(&levels, &values, width, &changed);
            }
        }
    }

    #[test]
    fn pages_that_share_operations_are_as_small_as_others() {
        let values: Vec<u32> =
            (0..200_000).map(|at: u32| (at % 1000).wrapping_mul(2_654_435_761) >> 7).collect();
        let (first, second) = check(&[7; 300], &values, 2, &[100, 70_000]);
        let alone: Vec<u8> = values.iter().flat_map(|value| (*value as u16).to_le_bytes()).collect();
        let alone = snap::raw::Encoder::new().compress_vec(&alone).unwrap().len();
        assert!(first.max(second) < alone + alone / 10, "{first}, {second}, {alone}");
    }
}
