//! Files of any kind to records: which lines there are, whatever they are packed in and encoded with, and what is in each.
//!
//! One room for every command, so that a file means the same to all of them. A record's place is where it begins in
//! the *decoded content*: the file unpacked, as UTF-8.
//!
//! ```text
//! kind     what a file's name says
//! content  container ──▶ utf16 ──▶ array ──▶ lines of UTF-8     shape: what the beginning shows;
//! blocks   whole lines a megabyte: plain (by offset), streamed         foreign: what is named and not read
//! border   where files are cut into stretches
//! lines    one at a time
//! rows     of Parquet: blocks of them, read as records (parquet_rows, value)
//! record   one line, checked and parsed
//! json     a line as a value; conversation: what is said in it, whatever shape it has
//! writer   lines written, resumably
//! pool     the threads of a stage
//! ```

pub mod record;
pub mod value;
pub mod json;
pub mod conversation;
pub mod parquet_rows;
pub mod pool;
mod kind;
mod foreign;
mod shape;
mod container;
mod utf16;
mod value_end;
mod array;
mod read_error;
mod content;
mod border;
mod blocks;
mod plain;
mod streamed;
mod lines;
mod rows;
mod writer;

pub use blocks::{
    Block, BlockLines, Blocks, DOCUMENT_BYTES_MAX, EXCERPT_BYTES, LineCutting, changed_ns, line_bytes_max,
    not_regular, open_regular, read_range, read_range_into, stamp,
};
pub use border::{Border, Strides};
pub use container::{XZ_MEMORY_KIB_MAX, ZSTD_WINDOW_LOG_MAX, unpacked};
pub use foreign::Foreign;
pub use kind::{Container, FileKind, describes_data, is_about_data, is_unread_data};
pub use lines::{Line, Lines};
pub use read_error::{ReadError, escaped, listed};
pub use rows::{Row, RowBlock, RowBlocks, RowCutting, RowStretches};
pub use shape::is_lfs_pointer;
pub use value_end::ValueEnd;
pub use writer::RecordsWriter;

/// The mark that some editors put before the first character of a UTF-8 file.
pub const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
