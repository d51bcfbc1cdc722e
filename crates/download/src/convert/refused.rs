//! Why a row becomes no record.
//!
//! A bad row is counted by a word and set aside with what was found; it never stops the rest.

/// A row that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedRow {
    /// A word in snake case, by which rows are counted.
    pub(crate) reason: &'static str,
    /// What was found.
    pub(crate) detail: String,
}

impl RefusedRow {
    /// A row that is refused for `reason`.
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
