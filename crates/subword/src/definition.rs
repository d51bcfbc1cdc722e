//! What defines an engine, apart from the tables that make it fast, and reading it from a
//! `tokenizer.json`.
//!
//! Whatever could make the reference give other ids than this engine is
//! refused, so every field that bears on encoding without special tokens is looked at; the
//! post-processor and the decoder don't, and truncation and padding are the caller's to do or not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::added::{AddedToken, Around};
use crate::cuts::Cuts;
use crate::error::{Error, refuse, unsupported};
use crate::merges::{IDS_MAX, MERGES_MAX, Merge, Merges, NO_TOKEN};
use crate::metaspace::METASPACE;
use crate::normalizer::Normalizer;
use crate::splitting::{Alphabet, Splitting};
use crate::tokenizer_json::{Added, File, TextPair};
use crate::unicode::is_in_texts;
use crate::words::{Word, WordHasher};

/// Longest token, in bytes: merging one alone takes quadratic time. Those in use are far shorter.
const TOKEN_BYTES_MAX: usize = 4096;

/// Everything that ids depend on.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) normalizer: Normalizer,
    pub(crate) splitting: Arc<Splitting>,
    pub(crate) alphabet: Alphabet,
    /// The token of each byte, or [`NO_TOKEN`] where no text has it.
    pub(crate) bytes: [u32; 256],
    /// All merges that can happen, in order of rank.
    pub(crate) merges: Vec<Merge>,
    /// The length in bytes of every id that occurs above, 0 for others.
    pub(crate) lens: Vec<u32>,
    /// Words that are one token, in order of id.
    pub(crate) words: Vec<Word>,
    pub(crate) cuts: Cuts,
    /// Added tokens that are searched for before normalization.
    pub(crate) added: Vec<AddedToken>,
    /// Added tokens that are searched for after normalization, normalized themselves.
    pub(crate) added_normalized: Vec<AddedToken>,
}

impl Definition {
    pub(crate) fn from_tokenizer_json(json: &str) -> Result<Self, Error> {
        let file = File::read(json)?;
        let normalizer = file.normalizer()?;
        let (splitting, alphabet) = file.splitting(normalizer)?;
        let model = &file.model;
        model.check(alphabet)?;
        let has_metaspace = matches!(normalizer, Normalizer::Metaspace { .. })
            || matches!(splitting, Splitting::Cuts { metaspace: Some(_) });
        let spelling = match alphabet {
            Alphabet::Bytes => Spelling::ByteLetters,
            Alphabet::Characters if has_metaspace => Spelling::Metaspace,
            Alphabet::Characters => Spelling::Plain,
        };

        let tokens = Tokens::new(&model.vocab, spelling)?;
        let (added, added_normalized) = added_tokens(&file.added_tokens, &tokens, normalizer)?;
        let merges = tokens.merges(&model.merges)?;
        let bytes = tokens.bytes()?;
        let mut lens = vec![0; model.vocab.iter().map(|(_, id)| *id as usize + 1).max().unwrap_or(0)];
        let mut words = Vec::with_capacity(model.vocab.len());
        for (token, id) in &model.vocab {
            if spelling != Spelling::ByteLetters && byte_token(token).is_some() {
                lens[*id as usize] = 1;
            } else if let Some(word) = spelling.word_of(token).filter(|word| !word.is_empty()) {
                refuse(word.len() > TOKEN_BYTES_MAX, "a token is too long")?;
                lens[*id as usize] = word.len() as u32;
                words.push(Word { bytes: word, id: *id, merges: false });
            }
        }
        words.sort_unstable_by_key(|word| word.id);
        // Before some words are left out: merging may give those, too.
        let cuts = Cuts::new(words.iter().map(|word| &*word.bytes));
        let characters = match alphabet {
            Alphabet::Bytes => HashMap::new(),
            Alphabet::Characters => characters(&words),
        };
        let merges = merges_that_happen(bytes, &characters, merges, &lens, &mut words);
        if !model.ignore_merges.unwrap_or(false) {
            words.retain(|word| word.merges);
        }
        let splitting = Arc::new(splitting);
        Ok(Self {
            normalizer,
            splitting,
            alphabet,
            bytes,
            merges,
            lens,
            words,
            cuts,
            added,
            added_normalized,
        })
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
        let last = engine.merge_alone(&mut ids);
        word.merges = ids == [word.id];
        if let Some(rank) = last.filter(|_| word.merges) {
            happens[rank as usize] = true;
        }
    }
    merges.into_iter().zip(happens).filter(|(_, happens)| *happens).map(|(merge, _)| merge).collect()
}

/// How a vocabulary spells what its tokens stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// A letter for each byte.
    ByteLetters,
    /// As it is, but for spaces, which are `▁`.
    Metaspace,
    /// As it is.
    Plain,
}

impl Spelling {
    /// The bytes that an entry of the vocabulary stands for; none if no text has them.
    fn word_of(self, token: &str) -> Option<Vec<u8>> {
        match self {
            Self::ByteLetters => word_of(token),
            Self::Metaspace if token.contains(' ') => None,
            Self::Metaspace => Some(token.replace(METASPACE, " ").into_bytes()),
            Self::Plain => Some(token.as_bytes().to_vec()),
        }
    }
}

/// The byte for which a token stands where a character has none.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (token == format!("<{byte:#04X}>")).then_some(byte)
}

/// Ids by token, and what follows from them.
struct Tokens<'a> {
    ids: HashMap<&'a str, u32, BuildHasherDefault<WordHasher>>,
    spelling: Spelling,
}

impl<'a> Tokens<'a> {
    fn new(vocab: &'a [(Cow<'_, str>, u32)], spelling: Spelling) -> Result<Self, Error> {
        let mut ids = HashMap::with_capacity_and_hasher(vocab.len(), BuildHasherDefault::default());
        let mut seen = vec![false; vocab.len() * 2];
        for (token, id) in vocab {
            refuse(*id >= IDS_MAX, "an id is too large")?;
            if seen.len() <= *id as usize {
                seen.resize(*id as usize + 1, false);
            }
            let twice = std::mem::replace(&mut seen[*id as usize], true);
            refuse(twice || ids.insert(&**token, *id).is_some(), "a token or an id occurs twice")?;
        }
        Ok(Self { ids, spelling })
    }

    fn id(&self, token: &str) -> Result<u32, Error> {
        self.ids.get(token).copied().ok_or_else(|| unsupported(format!("{token:?} is not in the vocabulary")))
    }

    /// The token of each byte. Vocabularies that were learned may lack those that no text has.
    fn bytes(&self) -> Result<[u32; 256], Error> {
        let mut bytes = [NO_TOKEN; 256];
        for ((byte, id), letter) in (0..=255).zip(&mut bytes).zip(byte_chars()) {
            let spelled = format!("<{byte:#04X}>");
            let found = match self.spelling {
                Spelling::ByteLetters => self.id(letter.encode_utf8(&mut [0; 4])),
                // A character of ASCII is one byte, and mostly has a token as it is.
                Spelling::Metaspace if byte == b' ' => self.id(METASPACE),
                Spelling::Metaspace | Spelling::Plain if byte.is_ascii() => {
                    self.id(char::from(byte).encode_utf8(&mut [0; 4])).or_else(|_| self.id(&spelled))
                }
                Spelling::Metaspace | Spelling::Plain => self.id(&spelled),
            };
            match found {
                Ok(found) => *id = found,
                Err(error) if is_in_texts(byte) || self.spelling != Spelling::ByteLetters => {
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
            let merge = Merge { left: self.id(left)?, right: self.id(right)?, merged: self.id(&joined)? };
            if left.is_empty() || right.is_empty() || self.spelling.word_of(&joined).is_none() {
                continue;
            }
            if self.spelling != Spelling::ByteLetters {
                let is_byte = [&**left, &**right, &*joined].iter().any(|token| byte_token(token).is_some());
                refuse(is_byte, "it merges bytes that stand for characters")?;
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

/// The added tokens to search for before and after normalization, with the ids that the reference
/// would give them: those of the model's vocabulary, else the next free ones.
fn added_tokens(
    list: &[Added<'_>],
    tokens: &Tokens<'_>,
    normalizer: Normalizer,
) -> Result<(Vec<AddedToken>, Vec<AddedToken>), Error> {
    let first_free = tokens.ids.len() as u32;
    let known = |added: &Added<'_>| tokens.ids.get(&*added.content).copied();
    let has_holes = list.iter().filter_map(known).any(|id| id >= first_free);
    let mut next = first_free;
    let (mut before, mut after) = (Vec::new(), Vec::<AddedToken>::new());
    for added in list {
        let content = &*added.content;
        refuse(content.is_empty(), "an added token is empty")?;
        let id = known(added).unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        // Which id is free is another question where the vocabulary leaves some out.
        refuse(
            has_holes && id != added.id,
            &format!("{content:?} is said to have id {}, and would be given {id}", added.id),
        )?;
        let content =
            if added.normalized { normalizer.normalized(content).into_owned() } else { content.to_owned() };
        let list = if added.normalized { &mut after } else { &mut before };
        let around = Around { lstrip: added.lstrip, rstrip: added.rstrip, single_word: added.single_word };
        list.push(AddedToken { content: content.into_bytes(), id, special: added.special, around });
    }
    let mut all: Vec<_> = before.iter().chain(&after).map(|token| &token.content).collect();
    all.sort_unstable();
    refuse(all.windows(2).any(|pair| pair[0] == pair[1]), "two added tokens are the same")?;
    Ok((before, after))
}

/// The characters that stand for bytes 0 to 255 in vocabularies: printable Latin-1 stands for
/// itself, the rest is moved to U+0100 and on.
fn byte_chars() -> impl Iterator<Item = char> {
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
