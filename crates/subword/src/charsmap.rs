//! Tables of replacements as SentencePiece makes them: a trie, each of whose entries leads to a place in a list of strings.
//!
//! The form is that of `precompiled_charsmap` in SentencePiece's models: the length of the trie in bytes (four bytes, least
//! significant first), the units of a double array (<https://github.com/s-yata/darts-clone>) of four bytes each, then the
//! strings, each of which a zero byte ends.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use unicode_segmentation::UnicodeSegmentation;

use crate::categories::{CLUSTERED, has_none};
use crate::error::Error;
use crate::runs::{Along, changed};

/// Clusters of characters of fewer bytes are looked up as a whole.
const CLUSTER_MAX: usize = 6;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Charsmap {
    /// As it is written.
    base64: String,
    units: Vec<u32>,
    strings: String,
    /// Characters of ASCII that stay as they are.
    is_kept: [bool; 128],
}

impl Charsmap {
    /// `base64` is the table as a `tokenizer.json` has it.
    pub(crate) fn new(base64: &str) -> Result<Self, Error> {
        let table = BASE64_STANDARD.decode(base64).ok();
        let split = |table: &'_ Vec<u8>| {
            let (len, rest) = table.split_first_chunk()?;
            let (units, strings) = rest.split_at_checked(u32::from_le_bytes(*len) as usize / 4 * 4)?;
            let units = units.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
            Some((units, String::from_utf8(strings.to_vec()).ok()?))
        };
        let (units, strings) = table.as_ref().and_then(split).ok_or_else(damaged)?;
        let mut this = Self { base64: base64.to_owned(), units, strings, is_kept: [false; 128] };
        for byte in 0..128_u8 {
            // A line break of two characters is looked up as one.
            let replaced = this.replacement(char::from(byte).encode_utf8(&mut [0]))?;
            this.is_kept[usize::from(byte)] = byte != b'\r' && replaced.is_none();
        }
        Ok(this)
    }

    pub(crate) fn base64(&self) -> &str {
        &self.base64
    }

    /// What becomes of `text`.
    ///
    /// # Errors
    /// The table leads out of itself.
    pub(crate) fn normalized<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, Error> {
        let is_kept = |byte: u8| byte < 0x80 && self.is_kept[usize::from(byte)];
        // Two neighbors in ASCII are never one cluster, but for line breaks.
        changed(text, is_kept, Along::Both, |part, out| self.replace_clusters(part, out))
    }

    fn replace_clusters(&self, text: &str, out: &mut String) -> Result<(), Error> {
        if has_none(text, CLUSTERED) && !text.contains('\r') {
            return self.replace_characters(text, out);
        }
        for cluster in text.graphemes(true) {
            let replaced = if cluster.len() < CLUSTER_MAX { self.replacement(cluster)? } else { None };
            match replaced {
                Some(replaced) => out.push_str(replaced),
                None => self.replace_characters(cluster, out)?,
            }
        }
        Ok(())
    }

    fn replace_characters(&self, text: &str, out: &mut String) -> Result<(), Error> {
        for c in text.chars() {
            match self.replacement(c.encode_utf8(&mut [0; 4]))? {
                Some(replaced) => out.push_str(replaced),
                None => out.push(c),
            }
        }
        Ok(())
    }

    /// What the shortest entry becomes that `text` begins with, as the reference has it.
    fn replacement(&self, text: &str) -> Result<Option<&str>, Error> {
        let unit = |at: u32| self.units.get(at as usize).copied().ok_or_else(damaged);
        let offset = |unit: u32| (unit >> 10) << ((unit & 1 << 9) >> 6);
        let mut at = offset(unit(0)?);
        for byte in text.bytes().take_while(|byte| *byte != 0) {
            at ^= u32::from(byte);
            let found = unit(at)?;
            if found & (1 << 31 | 0xff) != u32::from(byte) {
                return Ok(None);
            }
            at ^= offset(found);
            if found & 1 << 8 != 0 {
                let start = unit(at)? & !(1 << 31);
                let rest = self.strings.get(start as usize..).ok_or_else(damaged)?;
                return Ok(Some(rest.split('\0').next().unwrap_or(rest)));
            }
        }
        Ok(None)
    }
}

fn damaged() -> Error {
    Error::Unsupported { reason: "its table of replacements leads out of itself".to_owned() }
}
