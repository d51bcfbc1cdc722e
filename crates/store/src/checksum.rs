//! The one checksum of the project: XXH3-128.
//!
//! It finds corruption at memory speed (over 10 GB/s on one core, where SHA-256
//! takes a tenth of a tokenizer's time); it is no proof against an adversary.
//! Files that come from elsewhere and are published with a SHA-256 (tokenizers,
//! Hub files) are identified by that instead.
//! Source: Yann Collet, xxHash 0.8 specification; `xxhash.xxh3_128_hexdigest` in
//! Python gives the same digits.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A 128-bit XXH3 digest, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Checksum(pub u128);

impl Checksum {
    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// The lower half of the digest, for choices that need fewer bits.
    #[must_use]
    pub const fn low64(self) -> u64 {
        self.0 as u64
    }

    /// The upper half of the digest: the first eight bytes of [`Self::to_bytes`].
    #[must_use]
    pub const fn high64(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The digest in the byte order of the xxHash canonical representation (big endian).
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// A checksum that is computed as bytes go by.
#[derive(Clone, Default)]
pub struct Hasher(Xxh3);

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Xxh3::new())
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes in what `reader` has, as much at a time as `chunk` holds, and tells `on_read` how much each time.
    ///
    /// # Errors
    /// What the reader says.
    pub fn update_from(
        &mut self,
        reader: &mut impl Read,
        chunk: &mut [u8],
        mut on_read: impl FnMut(usize),
    ) -> io::Result<()> {
        loop {
            match reader.read(chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.update(&chunk[..read]);
                    on_read(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> Checksum {
        Checksum(self.0.digest128())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.finish()).finish()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl FromStr for Checksum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("`{text}` is not a checksum of 32 hexadecimal digits"));
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|error| error.to_string())
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Checksum {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Checksum".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "XXH3-128 as 32 hexadecimal digits",
            "pattern": "^[0-9a-f]{32}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_survives_json_and_equals_the_published_test_vector() {
        // XXH3-128 of the empty input, from the xxHash specification's test vectors.
        let empty = Checksum::of(b"");
        assert_eq!(empty.to_string(), "99aa06d3014798d86001c324468d497f");
        let json = serde_json::to_string(&empty).expect("a checksum serializes");
        assert_eq!(serde_json::from_str::<Checksum>(&json).expect("and comes back"), empty);
        assert!(serde_json::from_str::<Checksum>("\"+9aa06d3014798d86001c324468d497\"").is_err());
    }

    #[test]
    fn hashing_in_pieces_equals_hashing_at_once() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
        let mut hasher = Hasher::new();
        for piece in bytes.chunks(777) {
            hasher.update(piece);
        }
        assert_eq!(hasher.finish(), Checksum::of(&bytes));
    }
}
