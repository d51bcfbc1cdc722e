//! A document's key, as people write it.

use std::fmt;
use std::str::FromStr;

/// Which document of a split: where its record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentKey {
    /// The group of files that it is of, where the split is many files.
    pub group: Option<usize>,
    /// The byte offset of its record in the decoded file, or in the group's files one after another; of Parquet input its
    /// row.
    pub offset: u64,
}

/// `128`, or `2/128` with a group.
impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            Some(group) => write!(f, "{group}/{}", self.offset),
            None => write!(f, "{}", self.offset),
        }
    }
}

/// It is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKey;

impl FromStr for DocumentKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let (group, offset) = match text.split_once('/') {
            Some((group, offset)) => (Some(number(group)?), offset),
            None => (None, text),
        };
        Ok(Self { group, offset: number(offset)? })
    }
}

/// Decimal digits alone: no sign, no space.
fn number<T: FromStr>(text: &str) -> Result<T, NoKey> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NoKey);
    }
    text.parse().map_err(|_| NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for key in [DocumentKey { group: None, offset: 0 }, DocumentKey { group: Some(2), offset: u64::MAX }]
        {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for none in ["", "/", "1/", "/1", "+1", "-1", "1/2/3", " 1", "18446744073709551616"] {
            assert_eq!(none.parse::<DocumentKey>(), Err(NoKey), "{none}");
        }
    }
}
