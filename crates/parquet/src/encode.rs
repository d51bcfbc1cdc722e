//! Parquet pages, written by hand.
//!
//! The stock writer hashes every value of every column; with it, encoding costs
//! more than tokenizing. Knowing the data, a page of ids is a table look-up and a
//! copy, and the labels need no look-up at all. The price is that this module
//! knows the page layout (data page V1) itself; the footer is left to the
//! `parquet` crate.
//!
//! All bytes are a function of the values alone. The one part that is not ours is
//! the compressor (`snap`, `zstd`), so its version is pinned by the lock file.
//! Source: Apache Parquet format 2.12, `Encodings.md` and `parquet.thrift`.

mod chunk;
mod compact;
mod compression;
mod delta;
mod indices;
mod levels;

pub use compression::Compression;

pub use chunk::{Chunk, Encoding, join};
pub use compact::{PageBody, data_page_header, dictionary_page_header, offset_index, page_body_of};
pub use compression::{Compressor, Decompressor, Moved};
pub use delta::delta_binary_packed;
pub use indices::{bit_packed_indices, index_width};
pub use levels::{Runs, levels_of_equal_lists, levels_of_lists, levels_of_options, varint};
