//! Why a file cannot be read as records.

use std::ffi::OsStr;
use std::io;

use crate::foreign::Foreign;
use crate::parquet_rows::Column;

/// Why the lines of a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read, or not be decoded.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not the file any more that it was.
    #[error("it changed while it was read")]
    Changed,
    /// Its content is recognised and not read.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// It is no file that can be read by offset.
    #[error("it is {what}, not a regular file")]
    NotRegular {
        /// What it is.
        what: &'static str,
    },
    /// Its bytes contradict themselves, or go beyond a limit.
    #[error("it is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: String,
    },
    /// It is a Parquet file without a text column.
    #[error("it has no text column `{column}`; its columns are: {}", listed(columns))]
    NoTextColumn {
        /// The column that was looked for.
        column: String,
        /// The columns that are there.
        columns: Vec<Column>,
    },
    /// It is a Parquet file without a column that something is said in.
    #[error(
        "it has no column that a conversation is made of: `messages`, `conversations`, `prompt`, `instruction`, `question`, \
         `problem` or `query`; its columns are: {}",
        listed(columns)
    )]
    NoChatColumn {
        /// The columns that are there.
        columns: Vec<Column>,
    },
    /// It is a Parquet file with two columns of a name that is looked for.
    #[error("two of its columns are called `{column}`, and nothing says which one counts")]
    ColumnTwice {
        /// The name.
        column: String,
    },
    /// Its name is not UTF-8, so no split can be called after it.
    #[error("its name is not UTF-8")]
    NameNotUtf8,
}

/// Names and types of columns for people.
#[must_use]
pub fn listed(columns: &[Column]) -> String {
    let each = columns.iter().map(|column| format!("{} ({})", column.name, column.kind));
    each.collect::<Vec<_>>().join(", ")
}

/// A name in which what is no UTF-8 is spelled as `\\xE9`.
#[must_use]
pub fn escaped(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}
