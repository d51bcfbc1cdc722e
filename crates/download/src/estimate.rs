//! The one estimate of tokens: before a download, after it, in the status and in a budget.
//!
//! Tokens that nobody has counted are bytes of text over the category's `bytes_per_token`. Bytes of text are counted
//! where records were made, and else told from a file's size by what of it is text, as a rule.

use mashbill_format::catalog::{CatalogDataset, Category, FileFormat};
use mashbill_format::lock::PinnedFile;

/// Bytes of text for a byte of rows in JSON or CSV: the rest is names, quotes and other fields.
pub const TEXT_OF_ROWS: f64 = 0.9;

/// Bytes of text for a byte of Parquet, which is compressed.
pub const TEXT_OF_PARQUET: f64 = 2.0;

/// Bytes of text for a byte of rows that are compressed.
pub const TEXT_OF_COMPRESSED: f64 = 3.0;

/// Tokens of so many bytes of text.
#[must_use]
pub fn tokens(text_bytes: u64, bytes_per_token: f64) -> u64 {
    (text_bytes as f64 / bytes_per_token) as u64
}

/// Tokens of so many bytes of a category's text.
pub(crate) fn tokens_of(text_bytes: u64, category: &Category) -> u64 {
    tokens(text_bytes, category.bytes_per_token)
}

/// Bytes of text in a file of a dataset.
pub(crate) fn text_of_file(dataset: &CatalogDataset, file: &PinnedFile) -> u64 {
    let format = dataset.format.or_else(|| FileFormat::of_name(&file.path));
    let name = file.path.to_ascii_lowercase();
    let compressed = name.ends_with(".gz") || name.ends_with(".zst");
    let ratio = match format {
        Some(FileFormat::Parquet) => TEXT_OF_PARQUET,
        _ if compressed => TEXT_OF_COMPRESSED,
        _ => TEXT_OF_ROWS,
    };
    (file.size as f64 * ratio) as u64
}

/// Bytes of text in a plain file of records that no download made.
pub(crate) fn text_of_records(bytes: u64) -> u64 {
    (bytes as f64 * TEXT_OF_ROWS) as u64
}
