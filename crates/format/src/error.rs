//! What can go wrong with a file, in terms a caller can act on.

use crate::class::Class;
use crate::open::WrongKind;
use std::io;
use std::path::{Path, PathBuf};

use crate::records::{ReadError, escaped};

/// An error of reading, writing or checking a file of mashbill's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation on a path.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `create`.
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the disk while writing `{}`", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A file is not what its name promises.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Records cannot be read from a file.
    #[error("read `{path}`")]
    Records {
        /// The file, for people.
        path: String,
        /// Why.
        source: ReadError,
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
    /// Another process works on the same folder.
    #[error("`{}` is in use by process {pid} on {host}", path.display())]
    InUse {
        /// The output folder.
        path: PathBuf,
        /// The other process.
        pid: u32,
        /// The host it runs on.
        host: String,
    },
    /// A file that is created only if absent was already there.
    #[error("`{}` already exists", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// What it means for whoever gave the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::DiskFull { .. } | Self::InUse { .. } => Class::Incomplete,
            Self::TooNew { .. } | Self::TooOld { .. } | Self::Requires { .. } | Self::Records { .. } => {
                Class::Usage
            }
            Self::Io { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied
                    || is_file_in_the_way(source)
                    || WrongKind::is_behind(source) =>
            {
                Class::Usage
            }
            Self::Io { .. } | Self::Damaged { .. } | Self::AlreadyExists { .. } => Class::Unexpected,
        }
    }
}

impl Error {
    /// Records that cannot be read.
    #[must_use]
    pub fn records(path: &Path, source: ReadError) -> Self {
        match source {
            ReadError::Io(source) => Self::io("read", path, source),
            source => Self::Records { path: escaped(path.as_os_str()), source },
        }
    }

    /// An I/O error with the action and the path it befell; a full disk becomes [`Error::DiskFull`].
    #[must_use]
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }

    /// What is wrong with a file whose place is told beside it.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Damaged { what, .. } => what.clone(),
            Self::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Whether a folder was expected where a file is.
#[must_use]
pub fn is_file_in_the_way(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists)
}
