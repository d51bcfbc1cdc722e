//! A page's bytes without their compression: never more than its header says.
//!
//! The stock decoders of gzip and brotli read to the end of what they are given, whatever the header says, so that a
//! kilobyte becomes gigabytes before anybody counts. Here the header's size is the bound, and memory that is taken for
//! it is touched only as far as bytes come.

use std::io::Read;

use parquet::basic::CompressionCodec;

use crate::decode::{Decoded, take};

/// What a byte of LZ4 can stand for at most.
const LZ4_RATIO_MAX: usize = 255;

const CORRUPT: &str = "a page cannot be decompressed";
const OTHER_SIZE: &str = "a page has another size than its header says";

/// Appends what `body` stands for, which has to be `size` bytes, to `out`.
pub(super) fn decompress(
    codec: CompressionCodec,
    body: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Decoded<()> {
    if size == 0 {
        return Ok(());
    }
    let start = out.len();
    match codec {
        CompressionCodec::UNCOMPRESSED => {
            if body.len() != size {
                return Err(OTHER_SIZE);
            }
            out.extend_from_slice(body);
        }
        CompressionCodec::SNAPPY => {
            if snap::raw::decompress_len(body) != Ok(size) {
                return Err(OTHER_SIZE);
            }
            out.resize(start + size, 0);
            snap::raw::Decoder::new().decompress(body, &mut out[start..]).map_err(|_| CORRUPT)?;
        }
        CompressionCodec::ZSTD => {
            let frames = zstd::stream::read::Decoder::with_buffer(body).map_err(|_| CORRUPT)?;
            bounded(frames, size, out)?;
        }
        CompressionCodec::GZIP => bounded(flate2::bufread::MultiGzDecoder::new(body), size, out)?,
        CompressionCodec::BROTLI => {
            const BUFFER_BYTES: usize = 1 << 16;
            bounded(brotli::Decompressor::new(body, BUFFER_BYTES), size, out)?;
        }
        CompressionCodec::LZ4_RAW => lz4_block(body, size, out)?,
        CompressionCodec::LZ4 => {
            // The same name has stood for three formats; they are tried as other readers do.
            let begin = |out: &mut Vec<u8>| out.truncate(start);
            lz4_hadoop(body, size, out)
                .or_else(|_| {
                    begin(out);
                    bounded(lz4_flex::frame::FrameDecoder::new(body), size, out)
                })
                .or_else(|_| {
                    begin(out);
                    lz4_block(body, size, out)
                })?;
        }
        _ => return Err("a page is compressed in a way that is not known (LZO)"),
    }
    if out.len() - start == size { Ok(()) } else { Err(OTHER_SIZE) }
}

/// Appends all of `content`, which has to be `size` bytes; `out` has room for them and takes no more memory.
fn bounded(mut content: impl Read, size: usize, out: &mut Vec<u8>) -> Decoded<()> {
    let read = content.by_ref().take(size as u64).read_to_end(out).map_err(|_| CORRUPT)?;
    let more = content.read(&mut [0]).map_err(|_| CORRUPT)?;
    if read == size && more == 0 { Ok(()) } else { Err(OTHER_SIZE) }
}

fn lz4_block(body: &[u8], size: usize, out: &mut Vec<u8>) -> Decoded<()> {
    if size > body.len().saturating_mul(LZ4_RATIO_MAX) {
        return Err(OTHER_SIZE);
    }
    let start = out.len();
    out.resize(start + size, 0);
    match lz4_flex::block::decompress_into(body, &mut out[start..]) {
        Ok(written) if written == size => Ok(()),
        Ok(_) => Err(OTHER_SIZE),
        Err(_) => Err(CORRUPT),
    }
}

/// Blocks behind their sizes, raw and compressed, in four bytes each with the highest first.
fn lz4_hadoop(mut body: &[u8], size: usize, out: &mut Vec<u8>) -> Decoded<()> {
    let mut left = size;
    while left > 0 {
        let mut number = || -> Decoded<usize> {
            let bytes = take(&mut body, 4)?.try_into().expect("four bytes were taken");
            Ok(u32::from_be_bytes(bytes) as usize)
        };
        let (raw, compressed) = (number()?, number()?);
        if raw == 0 || raw > left {
            return Err(OTHER_SIZE);
        }
        lz4_block(take(&mut body, compressed)?, raw, out)?;
        left -= raw;
    }
    if body.is_empty() { Ok(()) } else { Err(OTHER_SIZE) }
}
