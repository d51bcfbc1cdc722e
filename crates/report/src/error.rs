//! What can go wrong.

use std::path::PathBuf;

use mashbill_store::class::Class;

/// An error of looking at a folder to report on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing, damaged or cannot be read.
    #[error(transparent)]
    File(#[from] mashbill_format::Error),
    /// The folder holds nothing of which there is a page.
    #[error("`{}` holds nothing to report on: no manifest.json, no JSON Lines, no Parquet, no metrics.jsonl", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}

impl From<mashbill_store::Error> for Error {
    fn from(error: mashbill_store::Error) -> Self {
        Self::File(error.into())
    }
}

impl Error {
    /// What it means for the caller of the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::File(error) => error.class(),
            Self::Nothing { .. } => Class::Usage,
        }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
