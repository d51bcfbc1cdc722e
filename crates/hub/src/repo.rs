//! Names on the Hub: repositories, revisions and commits.
//!
//! Each becomes part of an address and of a path on disk, so it is checked once,
//! here, and trusted afterwards: none of them can climb out of a folder. The rules
//! for ids are those of the official client.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

const ID_LENGTH_MAX: usize = 96;

/// What a repository holds. The Hub keeps each kind under names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepoKind {
    /// A model, tokenizers among them.
    Model,
    /// A dataset.
    Dataset,
}

impl RepoKind {
    /// What stands before an id in the address of a page or a file.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }

    /// The kind as it stands in addresses of the API and in the names of cache folders.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// The id of a repository: `name` or `org/name`, and of which kind it is. Parsed from text it is a model's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepoId {
    kind: RepoKind,
    name: String,
}

impl RepoId {
    /// The id of a dataset.
    ///
    /// # Errors
    /// [`Error::InvalidRepoId`].
    pub fn dataset(id: &str) -> Result<Self> {
        Ok(Self { kind: RepoKind::Dataset, ..id.parse()? })
    }

    /// What the repository holds.
    #[must_use]
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// The id as the Hub writes it, without the kind.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The folder of this repository in a cache: `models--org--name`.
    pub fn folder(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.name.replace('/', "--"))
    }
}

impl FromStr for RepoId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        let invalid = |why| Err(Error::InvalidRepoId { id: id.to_owned(), why });
        let parts: Vec<&str> = id.split('/').collect();
        if parts.len() > 2 {
            return invalid("it has the form `name` or `org/name`");
        }
        for part in parts {
            if part.is_empty() {
                return invalid("a name is empty");
            }
            if part.len() > ID_LENGTH_MAX {
                return invalid("a name has at most 96 characters");
            }
            if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
                return invalid("a name has only letters, digits, `-`, `_` and `.`");
            }
            if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
                return invalid("a name does not begin or end with `-` or `.`");
            }
        }
        if id.contains("--") || id.contains("..") {
            return invalid("`--` and `..` are not allowed");
        }
        if id.ends_with(".git") {
            return invalid("it does not end with `.git`");
        }
        Ok(Self { kind: RepoKind::Model, name: id.to_owned() })
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A branch (`main`), a tag, a reference (`refs/pr/1`) or a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The branch that is meant where none is named.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// The revision as the Hub writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Commit> for Revision {
    fn from(commit: &Commit) -> Self {
        Self(commit.0.clone())
    }
}

impl FromStr for Revision {
    type Err = Error;

    /// Git's rules for a name of a reference, without the rare ones.
    fn from_str(revision: &str) -> Result<Self> {
        let invalid = |why| Err(Error::InvalidRevision { revision: revision.to_owned(), why });
        if revision.is_empty() {
            return invalid("it is empty");
        }
        if revision.chars().any(|c| c.is_control() || c.is_whitespace() || r"~^:?*[\".contains(c)) {
            return invalid(r"spaces, control characters and any of `~^:?*[\` are not allowed");
        }
        if revision.split('/').any(|part| part.is_empty() || part.starts_with('.')) || revision.contains("..")
        {
            return invalid("a part of it is empty, begins with `.` or contains `..`");
        }
        Ok(Self(revision.to_owned()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A commit: 40 hexadecimal digits in lower case. Unlike a branch it never moves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit(String);

impl Commit {
    /// `text` as a commit, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_commit = text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_commit.then(|| Self(text.to_owned()))
    }

    /// The 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_follow_the_official_rules() {
        for id in ["gpt2", "meta-llama/Llama-3.2-1B", "Foo-BAR_foo.bar123", "_a/b_"] {
            assert_eq!(id.parse::<RepoId>().expect(id).as_str(), id);
        }
        let long = "a".repeat(97);
        for id in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "datasets/a/b",
            ".a",
            "a.",
            "-a",
            "a--b",
            "a..b",
            "../a",
            "a b",
            "ä",
            &long,
            "a.git",
        ] {
            assert!(matches!(id.parse::<RepoId>(), Err(Error::InvalidRepoId { .. })), "{id}");
        }
    }

    #[test]
    fn revisions_may_have_slashes_but_not_climb() {
        for revision in ["main", "refs/pr/1", "v1.0", "feature/ä", "4e20de362430cd3b72f300e6b0f18e50e7166e08"]
        {
            assert_eq!(revision.parse::<Revision>().expect(revision).as_str(), revision);
        }
        for revision in ["", "..", "a/../b", "/etc", "a/", "a//b", "a b", "a\nb", r"a\b", ".git", "a/.b"] {
            assert!(matches!(revision.parse::<Revision>(), Err(Error::InvalidRevision { .. })), "{revision}");
        }
    }

    #[test]
    fn only_forty_lower_case_digits_are_a_commit() {
        assert!(Commit::parse("4e20de362430cd3b72f300e6b0f18e50e7166e08").is_some());
        for text in [
            "main",
            "4e20de3",
            "4E20DE362430CD3B72F300E6B0F18E50E7166E08",
            "../de362430cd3b72f300e6b0f18e50e7166e08a",
        ] {
            assert!(Commit::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_never_leaves_its_folder(text in any::<String>()) {
            let folders = [
                text.parse::<RepoId>().map(|id| id.folder()).ok(),
                text.parse::<Revision>().map(|revision| revision.to_string()).ok(),
            ];
            for folder in folders.into_iter().flatten() {
                let normal = std::path::Path::new(&folder).components().all(|c| matches!(c, std::path::Component::Normal(_)));
                prop_assert!(normal, "{folder}");
            }
        }
    }
}
