//! What defines a byte-pair encoding, and reading it from a `tokenizer.json`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

use crate::cuts::Cuts;
use crate::end_of_word::END_OF_WORD;
use crate::error::{Error, refuse};
use crate::ids::Ids;
use crate::merges::{IDS_MAX, MERGES_MAX, Merge, Merges, NO_TOKEN};
use crate::metaspace::METASPACE;
use crate::spelling::{Spelling, byte_chars, byte_token};
use crate::tokenizer_json::{ModelJson, TextPair};
use crate::unicode::is_in_texts;
use crate::unknown::Unknown;
use crate::words::{Word, WordHasher};

/// What merging begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// Bytes, each of which has a token.
    Bytes,
    /// Characters that have a token; others are spelled in bytes, whose tokens merge with nothing, or become what is said.
    Characters,
}

/// Everything of it that ids depend on, apart from the words that are tokens.
#[derive(Debug)]
pub(crate) struct BpeDefinition {
    pub(crate) alphabet: Alphabet,
    /// The token of each byte, or [`NO_TOKEN`] where no text has it, or its character may lack one.
    pub(crate) bytes: [u32; 256],
    /// All merges that can happen, in order of rank.
    pub(crate) merges: Vec<Merge>,
    /// The length in bytes of every id that occurs above, 0 for others.
    pub(crate) lens: Vec<u32>,
    pub(crate) cuts: Cuts,
    /// What becomes of characters without a token, where they are not spelled in bytes.
    pub(crate) unknown: Option<Unknown>,
}

impl BpeDefinition {
    /// Also returns the words that are one token, in order of id.
    ///
    /// Where words may divide characters they are never cut.
    pub(crate) fn new(
        model: &ModelJson<'_>,
        ids: &Ids<'_>,
        spelling: Spelling,
        divides_characters: bool,
    ) -> Result<(Self, Vec<Word>), Error> {
        let alphabet = match spelling {
            Spelling::ByteLetters => Alphabet::Bytes,
            Spelling::Metaspace | Spelling::Plain => Alphabet::Characters,
        };
        let unknown = match alphabet {
            Alphabet::Bytes => None,
            Alphabet::Characters if model.byte_fallback == Some(true) => None,
            Alphabet::Characters => Some(match &model.unk_token {
                Some(token) => Unknown::Token { id: ids.get(token)?, fuses: model.fuse_unk == Some(true) },
                None => Unknown::LeftOut,
            }),
        };
        let tokens = Tokens { ids, spelling, suffix: model.end_of_word(), unknown };
        let mut merges = tokens.merges(&model.merges)?;
        let mut bytes = tokens.bytes()?;
        let mut lens = vec![0; ids.max().map_or(0, |id| id as usize + 1)];
        if let Some(suffix) = model.end_of_word() {
            let end = lens.len() as u32;
            refuse(end >= IDS_MAX, "an id is too large")?;
            lens.push(1);
            merges.splice(0..0, tokens.ends(&bytes, end, suffix)?);
            bytes[usize::from(END_OF_WORD)] = end;
        }
        let mut words = Vec::with_capacity(ids.list().len());
        for (token, id) in ids.list() {
            if tokens.spells_bytes() && byte_token(token).is_some() {
                lens[*id as usize] = 1;
            } else if let Some(word) = tokens.word_of(token).filter(|word| !word.is_empty()) {
                lens[*id as usize] = word.len() as u32;
                words.push(Word { bytes: word, id: *id, merges: false });
            }
        }
        words.sort_unstable_by_key(|word| word.id);
        // Before some words are left out: merging may give those, too.
        let cuts = match divides_characters || unknown.is_some_and(Unknown::looks_far) {
            true => Cuts::none(),
            false => Cuts::new(words.iter().map(|word| &*word.bytes)),
        };
        let characters = match alphabet {
            Alphabet::Bytes => HashMap::new(),
            Alphabet::Characters => characters(&words),
        };
        let merges = merges_that_happen(bytes, &characters, merges, &lens, &mut words);
        if !model.ignore_merges.unwrap_or(false) {
            words.retain(|word| word.merges);
        }
        Ok((Self { alphabet, bytes, merges, lens, cuts, unknown }, words))
    }
}

/// The tokens of single characters beyond ASCII.
pub(crate) fn characters(words: &[Word]) -> HashMap<char, u32> {
    let character = |word: &Word| {
        let mut characters = std::str::from_utf8(&word.bytes).ok()?.chars();
        let first = characters.next().filter(|c| !c.is_ascii())?;
        characters.next().is_none().then_some((first, word.id))
    };
    words.iter().filter_map(character).collect()
}

/// Those of `merges` that happen in any text; notes which of all `words` merging gives.
///
/// When two neighbors merge, nothing around them has had a part in what led to them: merging what the new token
/// stands for, alone, takes the same steps and ends with the same merge. So of all merges that give a token only that
/// last one ever happens, and the others never have their turn. Vocabularies that were not made as a list of merges
/// have two or three for each token.
///
/// Merging begins with the tokens of `characters`, and of bytes where a character is none of them.
pub(crate) fn merges_that_happen(
    bytes: [u32; 256],
    characters: &HashMap<char, u32>,
    merges: Vec<Merge>,
    lens: &[u32],
    words: &mut [Word],
) -> Vec<Merge> {
    let engine = Merges::new(bytes, &merges, lens.to_vec());
    let mut happens = vec![false; merges.len()];
    let mut ids = Vec::new();
    for word in words {
        ids.clear();
        match std::str::from_utf8(&word.bytes).ok().filter(|_| !characters.is_empty()) {
            None => ids.extend(word.bytes.iter().map(|&byte| engine.byte(byte))),
            Some(text) => text.chars().for_each(|c| match characters.get(&c) {
                Some(id) => ids.push(*id),
                None => ids.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| engine.byte(byte))),
            }),
        }
        if ids.contains(&NO_TOKEN) {
            word.merges = false;
            continue;
        }
        let last = engine.merge_alone(&mut ids);
        word.merges = ids == [word.id];
        if let Some(rank) = last.filter(|_| word.merges) {
            happens[rank as usize] = true;
        }
    }
    merges.into_iter().zip(happens).filter(|(_, happens)| *happens).map(|(merge, _)| merge).collect()
}

/// A vocabulary, and what follows from it.
struct Tokens<'a> {
    ids: &'a Ids<'a>,
    spelling: Spelling,
    /// What ends the tokens that end words.
    suffix: Option<&'a str>,
    unknown: Option<Unknown>,
}

impl Tokens<'_> {
    /// Whether characters without a token are spelled in bytes.
    fn spells_bytes(&self) -> bool {
        self.spelling != Spelling::ByteLetters && self.unknown.is_none()
    }

    /// The bytes that an entry of the vocabulary stands for, with the end of a word; none if no text has them.
    fn word_of(&self, token: &str) -> Option<Vec<u8>> {
        match self.suffix.and_then(|suffix| token.strip_suffix(suffix)) {
            None => self.spelling.word_of(token),
            Some(stem) => {
                let mut word = self.spelling.word_of(stem).filter(|word| !word.is_empty())?;
                word.push(END_OF_WORD);
                Some(word)
            }
        }
    }

    /// The merges of each byte that texts have with the `end` of a word.
    fn ends(&self, bytes: &[u32; 256], end: u32, suffix: &str) -> Result<Vec<Merge>, Error> {
        let in_texts = (0..=255).zip(byte_chars()).filter(|(byte, _)| is_in_texts(*byte));
        let merge = |(byte, letter): (u8, char)| {
            let merged = self.ids.get(&format!("{letter}{suffix}"))?;
            Ok(Merge { left: bytes[usize::from(byte)], right: end, merged })
        };
        in_texts.map(merge).collect()
    }

    /// The token of each byte. Vocabularies that were learned may lack those that no text has.
    fn bytes(&self) -> Result<[u32; 256], Error> {
        let mut bytes = [NO_TOKEN; 256];
        for ((byte, id), letter) in (0..=255).zip(&mut bytes).zip(byte_chars()) {
            let spelled = format!("<{byte:#04X}>");
            let found = match self.spelling {
                Spelling::ByteLetters => self.ids.get(letter.encode_utf8(&mut [0; 4])),
                // A character of ASCII is one byte, and mostly has a token as it is.
                Spelling::Metaspace if byte == b' ' => self.ids.get(METASPACE),
                Spelling::Metaspace | Spelling::Plain if byte.is_ascii() => {
                    let found = self.ids.get(char::from(byte).encode_utf8(&mut [0; 4]));
                    if self.spells_bytes() { found.or_else(|_| self.ids.get(&spelled)) } else { found }
                }
                Spelling::Metaspace | Spelling::Plain if self.spells_bytes() => self.ids.get(&spelled),
                Spelling::Metaspace | Spelling::Plain => continue,
            };
            match found {
                Ok(found) => *id = found,
                Err(error) if self.spells_bytes() || is_in_texts(byte) && self.unknown.is_none() => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(bytes)
    }

    /// The merges whose pairs can meet. Of merges of the same pair the reference heeds the last, and
    /// those of strings that no text has, or of nothing, never meet.
    fn merges(&self, list: &[TextPair<'_>]) -> Result<Vec<Merge>, Error> {
        refuse(list.len() >= MERGES_MAX, "there are too many merges")?;
        let mut merges: Vec<Merge> = Vec::with_capacity(list.len());
        let mut rank_of = HashMap::<_, _, BuildHasherDefault<WordHasher>>::with_capacity_and_hasher(
            list.len(),
            BuildHasherDefault::default(),
        );
        let mut replaced = Vec::new();
        let mut joined = String::new();
        for (left, right) in list {
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let merge = Merge {
                left: self.ids.get(left)?,
                right: self.ids.get(right)?,
                merged: self.ids.get(&joined)?,
            };
            if left.is_empty() || right.is_empty() || self.word_of(&joined).is_none() {
                continue;
            }
            if let Some(suffix) = self.suffix {
                let is_odd = left.ends_with(suffix) || joined.ends_with(suffix) != right.ends_with(suffix);
                refuse(is_odd, "it merges what ends a word with what comes behind")?;
            }
            if self.spells_bytes() {
                let is_byte = [&**left, &**right, &*joined].iter().any(|token| byte_token(token).is_some());
                refuse(is_byte, "it merges bytes that stand for characters")?;
            }
            if let Some(Unknown::Token { id, .. }) = self.unknown {
                refuse([merge.left, merge.right].contains(&id), "it merges its unknown token")?;
            }
            match rank_of.entry(u64::from(merge.left) << 32 | u64::from(merge.right)) {
                Entry::Vacant(entry) => {
                    entry.insert(merges.len());
                }
                Entry::Occupied(mut entry) => replaced.push(entry.insert(merges.len())),
            }
            merges.push(merge);
        }
        replaced.sort_unstable();
        for rank in replaced.into_iter().rev() {
            merges.remove(rank);
        }
        Ok(merges)
    }
}
