//! How far a check is.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happens in a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// How far it is; told ten times a second.
    Progress(Progress),
}

/// How far a check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes of all files that are to be read.
    pub bytes_total: u64,
    /// Rows, or lines, that were checked.
    pub rows: u64,
    /// Problems found so far.
    pub problems: u64,
}

/// What threads count.
#[derive(Debug, Default)]
pub(crate) struct CheckCounters {
    pub(crate) files: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) rows: AtomicU64,
}

impl CheckCounters {
    pub(crate) fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn now(&self, bytes_total: u64, problems: u64) -> Progress {
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total,
            rows: self.rows.load(Ordering::Relaxed),
            problems,
        }
    }
}
