//! How a vocabulary spells what its tokens stand for.

use crate::ids::Ids;
use crate::metaspace::METASPACE;
use crate::words::Word;

/// See the [module](self).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// A letter for each byte.
    ByteLetters,
    /// As it is, but for spaces, which are `▁`.
    Metaspace,
    /// As it is.
    Plain,
}

impl Spelling {
    /// The bytes that an entry of the vocabulary stands for; none if no text has them.
    pub(crate) fn word_of(self, token: &str) -> Option<Vec<u8>> {
        match self {
            Self::ByteLetters => word_of(token),
            Self::Metaspace if token.contains(' ') => None,
            Self::Metaspace => Some(token.replace(METASPACE, " ").into_bytes()),
            Self::Plain => Some(token.as_bytes().to_vec()),
        }
    }

    /// What all tokens stand for, if it is something, in order of id.
    pub(crate) fn words(self, ids: &Ids<'_>) -> Vec<Word> {
        let word = |(token, id): &(&str, u32)| {
            let bytes = self.word_of(token).filter(|bytes| !bytes.is_empty())?;
            Some(Word { bytes, id: *id, merges: true })
        };
        let mut words: Vec<Word> = ids.list().iter().filter_map(word).collect();
        words.sort_unstable_by_key(|word| word.id);
        words
    }
}

/// The byte for which a token stands where a character has none.
pub(crate) fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (token == format!("<{byte:#04X}>")).then_some(byte)
}

/// The characters that stand for bytes 0 to 255 in vocabularies: printable Latin-1 stands for
/// itself, the rest is moved to U+0100 and on.
pub(crate) fn byte_chars() -> impl Iterator<Item = char> {
    let mut moved = 0x100;
    (0..=255).map(move |byte| {
        if matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte);
        }
        moved += 1;
        char::from_u32(moved - 1).expect("68 characters from U+0100 on")
    })
}

/// The byte that a character stands for.
fn byte_of(c: char) -> Option<u8> {
    match u32::from(c) {
        c @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(c as u8),
        c @ 0x100..=0x120 => Some((c - 0x100) as u8),
        c @ 0x121..=0x142 => Some((c - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The bytes that a token of the vocabulary stands for.
fn word_of(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_bytes_stand_for_each_other() {
        for (byte, c) in (0..=255).zip(byte_chars()) {
            assert_eq!(byte_of(c), Some(byte));
        }
        assert_eq!((0..0x400).filter_map(char::from_u32).filter_map(byte_of).count(), 256);
        assert_eq!(word_of("Ġhi"), Some(b" hi".to_vec()));
        assert_eq!(word_of("a b"), None);
    }
}
