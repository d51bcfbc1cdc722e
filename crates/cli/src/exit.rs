//! Exit codes: part of the contract.

use std::error::Error;

use mashbill_download::Error as DownloadError;
use mashbill_format::Error as FormatError;
use mashbill_hub::Error as HubError;
use mashbill_load::Error as LoadError;
use mashbill_report::Error as ReportError;
use mashbill_store::Error as StoreError;
use mashbill_store::class::Class;
use mashbill_tokenize::Error as TokenizeError;
use mashbill_tokenizer::Error as TokenizerError;

use crate::usage::Usage;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// Something that should not happen.
    Unexpected,
    /// The command cannot be done as it was given, or with what was given to it.
    Usage,
    /// Part is done; with what is named mended, the same command does the rest.
    Incomplete,
    /// `verify` or `doctor` found problems.
    Problems,
    /// Interrupted by the user; run the same command again to resume.
    Interrupted,
    /// As another program did whose part it was.
    Of(u8),
}

impl Exit {
    /// How a command that failed with `error` ended.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Unexpected)
    }

    fn of_cause(cause: &(dyn Error + 'static)) -> Option<Self> {
        let class = if let Some(error) = cause.downcast_ref::<DownloadError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<TokenizeError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<LoadError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<ReportError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<FormatError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<StoreError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<TokenizerError>() {
            error.class()
        } else if let Some(error) = cause.downcast_ref::<HubError>() {
            // By itself it is about the tokenizer that was asked for: without it nothing was done that could go on.
            match error.class() {
                Class::Interrupted => Class::Interrupted,
                Class::Usage | Class::Incomplete | Class::Unexpected => Class::Usage,
            }
        } else if cause.is::<Usage>() {
            Class::Usage
        } else {
            return None;
        };
        Some(match class {
            Class::Usage => Self::Usage,
            Class::Incomplete => Self::Incomplete,
            Class::Interrupted => Self::Interrupted,
            Class::Unexpected => Self::Unexpected,
        })
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
