//! The hashes by which the Hub names a file's content.
//!
//! Large files go by their SHA-256, small ones by the name git has for them, a
//! SHA-1 over a short header and the content. Which one it is shows in the length.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The hash of a file's content in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Digest {
    /// SHA-256 of the content, 64 digits.
    Sha256(String),
    /// SHA-1 of the git object that holds the content, 40 digits.
    GitSha1(String),
}

impl Digest {
    /// The digits alone.
    #[must_use]
    pub fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitSha1(digits) => digits,
        }
    }

    /// The hash that an ETag header, a blob's name in the cache or a list of files spells, of the kind that
    /// its length tells; `None` if it is something else.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        let digits = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_ascii_lowercase();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match digits.len() {
            64 => Some(Self::Sha256(digits)),
            40 => Some(Self::GitSha1(digits)),
            _ => None,
        }
    }

    /// The hash of the same kind over `contents`.
    pub(crate) fn of_same_kind(&self, contents: &[u8]) -> Self {
        let mut hasher = self.hasher(contents.len() as u64);
        hasher.update(contents);
        hasher.finish()
    }

    /// Takes the hash of the same kind over content of `size` bytes, piece by piece.
    #[must_use]
    pub fn hasher(&self, size: u64) -> DigestHasher {
        match self {
            Self::Sha256(_) => DigestHasher::Sha256(Sha256::new()),
            Self::GitSha1(_) => DigestHasher::GitSha1(Sha1::new().chain_update(format!("blob {size}\0"))),
        }
    }
}

/// A hash under way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DigestHasher {
    /// Becomes [`Digest::Sha256`].
    Sha256(Sha256),
    /// Becomes [`Digest::GitSha1`].
    GitSha1(Sha1),
}

impl DigestHasher {
    /// Adds the next piece of the content.
    pub fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(piece),
            Self::GitSha1(hash) => hash.update(piece),
        }
    }

    /// The hash of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::Sha256(hexadecimal(&hash.finalize())),
            Self::GitSha1(hash) => Digest::GitSha1(hexadecimal(&hash.finalize())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digits) => write!(f, "sha256 {digits}"),
            Self::GitSha1(digits) => write!(f, "git sha1 {digits}"),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_shows_in_the_length() {
        // `printf hello | sha256sum` and `printf hello | git hash-object --stdin`.
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        for tag in [sha256.to_owned(), format!("\"{sha256}\""), format!("W/\"{}\"", sha256.to_uppercase())] {
            let digest = Digest::parse(&tag).expect("a hash");
            assert_eq!(digest, Digest::Sha256(sha256.to_owned()));
            assert_eq!(digest.of_same_kind(b"hello"), digest);
        }
        let digest = Digest::parse(git).expect("a hash");
        assert_eq!(digest.of_same_kind(b"hello"), digest);
        assert_ne!(digest.of_same_kind(b"hellp"), digest);
        for tag in ["", "\"\"", "abc", &sha256[1..], &"g".repeat(64)] {
            assert_eq!(Digest::parse(tag), None, "{tag}");
        }
    }
}
