//! What can go wrong with a file, whatever is in it.

use std::io;
use std::path::{Path, PathBuf};

use crate::class::Class;
use crate::open::WrongKind;

/// An error of reading, writing or publishing a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation on a path.
    #[error("cannot {action} `{}`", path.display())]
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
    /// What it means for the caller of the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::DiskFull { .. } | Self::InUse { .. } => Class::Incomplete,
            Self::Io { source, .. } => of_io(source),
            Self::Damaged { .. } => Class::Usage,
            Self::AlreadyExists { .. } => Class::Unexpected,
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

    /// A file that is not what its name promises.
    #[must_use]
    pub fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// What is wrong with a file whose place is told beside it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Damaged { what, .. } => what.clone(),
            Self::Io { source, .. } => source.to_string(),
            Self::DiskFull { .. } | Self::InUse { .. } | Self::AlreadyExists { .. } => self.to_string(),
        }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What it means that the system refused an operation: what is not there, may not be read or is no file is foreseen, a disk
/// that fails is not.
#[must_use]
pub fn of_io(source: &io::Error) -> Class {
    let is_foreseen = matches!(
        source.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory
    ) || is_file_in_the_way(source)
        || WrongKind::is_behind(source);
    if is_foreseen { Class::Usage } else { Class::Unexpected }
}

/// Whether a folder was expected where a file is.
#[must_use]
pub fn is_file_in_the_way(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists)
}
