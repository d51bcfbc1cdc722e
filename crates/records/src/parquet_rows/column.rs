//! A column that somebody may want.

use serde::Serialize;

/// A column at the top of a file's schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type for people: `string`, `int64`, `list`.
    pub kind: String,
    /// Whether its values are bytes, most of them UTF-8, or all of them null.
    pub is_text: bool,
}
