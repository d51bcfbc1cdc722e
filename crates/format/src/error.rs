//! What can go wrong with a file of mashbill's, in terms a caller can act on.

use std::io;
use std::path::{Path, PathBuf};

use mashbill_records::{ReadError, escaped};
use mashbill_store::class::Class;
use mashbill_store::error::Error as StoreError;
use serde_json::error::Category;

/// An error of reading, writing or checking a file of mashbill's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refused, or the file is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A shard or a document table has other columns than such files of its folder.
    #[error("`{}` is damaged: it has other columns{more}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is known of them, to be put behind; or nothing.
        more: &'static str,
    },
    /// Records cannot be read from a file.
    #[error("cannot read `{path}`")]
    Records {
        /// The file, for people.
        path: String,
        /// Why.
        source: ReadError,
    },
    /// A file that should say what a loader was made with says something else.
    #[error("`{}` does not describe a loader: {what}", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file was written by a newer mashbill.
    #[error("`{}` has format_version {found}, this mashbill reads {supported}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A file was written in a format that is not read any more.
    #[error("`{}` has format_version {found}, this mashbill reads {supported}", path.display())]
    TooOld {
        /// The file.
        path: PathBuf,
        /// The version it carries.
        found: u32,
        /// The version that can be read.
        supported: u32,
    },
    /// A file can only be read rightly by who knows something that this mashbill does not know.
    #[error("`{}` needs {feature:?}, which this mashbill does not know", path.display())]
    Requires {
        /// The file.
        path: PathBuf,
        /// What has to be known.
        feature: String,
    },
}

impl Error {
    /// What it means for the caller of the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Columns { .. }
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::Requires { .. }
            | Self::Records { .. }
            | Self::Recipe { .. } => Class::Usage,
        }
    }

    /// An I/O error with the action and the path it befell.
    #[must_use]
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        StoreError::io(action, path, source).into()
    }

    /// A file that is not what its name promises.
    #[must_use]
    pub fn damaged(path: &Path, what: impl Into<String>) -> Self {
        StoreError::damaged(path, what).into()
    }

    /// A file of ours that is no JSON, or not the JSON that it should be.
    #[must_use]
    pub fn malformed(path: &Path, error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            Category::Eof => format!("it is cut off at line {}", error.line().max(1)),
            Category::Io | Category::Syntax | Category::Data => error.to_string(),
        };
        Self::damaged(path, what)
    }

    /// Whether a file is not what its name promises.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. }) | Self::Columns { .. })
    }

    /// Records that cannot be read.
    #[must_use]
    pub fn records(path: &Path, source: ReadError) -> Self {
        match source {
            ReadError::Io(source) => Self::io("read", path, source),
            source => Self::Records { path: escaped(path.as_os_str()), source },
        }
    }

    /// What is wrong with a file whose place is told beside it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Store(error) => error.detail(),
            Self::Columns { more, .. } => format!("it has other columns{more}"),
            Self::Records { .. }
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::Requires { .. }
            | Self::Recipe { .. } => self.to_string(),
        }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
