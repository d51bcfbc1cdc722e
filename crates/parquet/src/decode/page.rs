//! One page: its header, decompressed.

use parquet::basic::CompressionCodec;

use super::thrift::{PageHeader, page_header};
use super::{Decoded, take};
use crate::encode::Encoding;

/// What kind of page is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// A page of values, of the first version.
    Data = 0,
    /// The values that indices stand for.
    Dictionary = 2,
}

/// A page's memory: it is used again from page to page.
#[derive(Debug, Default)]
pub struct Page {
    body: Vec<u8>,
    values: usize,
}

impl Page {
    /// Decodes the page that fills `bytes`: one of `kind`, encoded as `encoding`, whose body has `checksum` as it is
    /// stored and is not larger than `raw_bytes_max` afterwards.
    pub fn decode(
        &mut self,
        mut bytes: &[u8],
        kind: PageKind,
        encoding: Encoding,
        codec: CompressionCodec,
        checksum: u32,
        raw_bytes_max: usize,
    ) -> Decoded<()> {
        let PageHeader {
            kind: found,
            raw_bytes,
            compressed_bytes,
            checksum: said,
            values,
            encoding: encoded,
            ..
        } = page_header(&mut bytes)?;
        if found != kind as i64 || encoded != encoding as i64 {
            return Err("a page is of another kind");
        }
        if raw_bytes > raw_bytes_max {
            return Err("a page is larger than its rows");
        }
        let body = take(&mut bytes, compressed_bytes)?;
        if !bytes.is_empty() {
            return Err("a page has another size than its header says");
        }
        if said != Some(checksum) || crc32fast::hash(body) != checksum {
            return Err("a page has another checksum");
        }
        self.values = values;
        self.body.resize(raw_bytes, 0);
        let written = match codec {
            CompressionCodec::SNAPPY => {
                snap::raw::Decoder::new().decompress(body, &mut self.body).map_err(|_| CORRUPT)?
            }
            CompressionCodec::ZSTD => {
                zstd::bulk::decompress_to_buffer(body, &mut self.body).map_err(|_| CORRUPT)?
            }
            CompressionCodec::UNCOMPRESSED if body.len() == raw_bytes => {
                self.body.copy_from_slice(body);
                raw_bytes
            }
            _ => return Err("a page is compressed in an unknown way"),
        };
        if written == raw_bytes { Ok(()) } else { Err("a page has another size than its header says") }
    }

    /// The decompressed body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Values in the page, as its header says.
    pub const fn values(&self) -> usize {
        self.values
    }
}

const CORRUPT: &str = "a page cannot be decompressed";
