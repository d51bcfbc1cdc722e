//! Exit codes: part of the contract.

use std::io;

use mashbill_download::Error as DownloadError;
use mashbill_format::Error as FormatError;
use mashbill_format::open::WrongKind;
use mashbill_hub::Error as HubError;
use mashbill_load::Error as LoadError;
use mashbill_tokenize::Error as TokenizeError;

use crate::hints::{Usage, is_file_in_the_way};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// Something that should not happen.
    Unexpected,
    /// The command cannot be done as it was given.
    Usage,
    /// Part is done; the same command goes on.
    Incomplete,
    /// `verify` or `doctor` found problems.
    Problems,
    /// Interrupted by the user; the same command goes on.
    Interrupted,
    /// As another program did whose part it was.
    Of(u8),
}

impl Exit {
    /// How a command that failed with `error` ended.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let format = |error: &FormatError| match error {
            FormatError::DiskFull { .. } | FormatError::InUse { .. } => Self::Incomplete,
            FormatError::TooNew { .. } | FormatError::TooOld { .. } | FormatError::Records { .. } => {
                Self::Usage
            }
            FormatError::Io { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied
                    || is_file_in_the_way(source)
                    || WrongKind::is_behind(source) =>
            {
                Self::Usage
            }
            _ => Self::Unexpected,
        };
        for cause in error.chain() {
            if let Some(error) = cause.downcast_ref::<DownloadError>() {
                return match error {
                    DownloadError::Interrupted | DownloadError::Hub(HubError::Interrupted) => {
                        Self::Interrupted
                    }
                    DownloadError::Format(error) => format(error),
                    DownloadError::TooLittleSpace { .. } => Self::Incomplete,
                    DownloadError::Hub(
                        HubError::Unreachable { .. }
                        | HubError::RateLimited { .. }
                        | HubError::Status { .. }
                        | HubError::DiskFull { .. }
                        | HubError::InUse { .. },
                    ) => Self::Incomplete,
                    DownloadError::Read { .. } => Self::Unexpected,
                    _ => Self::Usage,
                };
            }
            if let Some(error) = cause.downcast_ref::<TokenizeError>() {
                return match error {
                    TokenizeError::Interrupted => Self::Interrupted,
                    TokenizeError::Format(error) => format(error),
                    TokenizeError::Changed { .. }
                    | TokenizeError::OutputChanged { .. }
                    | TokenizeError::TooLittleSpace { .. } => Self::Incomplete,
                    TokenizeError::Read { .. } | TokenizeError::InputDamaged { .. } => Self::Unexpected,
                    _ => Self::Usage,
                };
            }
            if let Some(error) = cause.downcast_ref::<LoadError>() {
                return match error {
                    LoadError::File(error) => format(error),
                    LoadError::Shard { .. } | LoadError::Table { .. } | LoadError::Thread { .. } => {
                        Self::Unexpected
                    }
                    _ => Self::Usage,
                };
            }
            if let Some(error) = cause.downcast_ref::<FormatError>() {
                return format(error);
            }
            if cause.is::<mashbill_hub::Error>() || cause.is::<mashbill_tokenize::tokenizer::Error>() {
                return Self::Usage;
            }
            if cause.is::<Usage>() {
                return Self::Usage;
            }
        }
        Self::Unexpected
    }
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => 0,
            Exit::Unexpected => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::Problems => 4,
            Exit::Interrupted => 130,
            Exit::Of(code) => code,
        }
    }
}
