//! What defines an engine, apart from the tables that make it fast, and reading it from a
//! `tokenizer.json`.
//!
//! The JSON is read in one pass without building a tree: strings are borrowed from the text where
//! they have no escapes. Whatever could make the reference give other ids than this engine is
//! refused, so every field that bears on encoding without special tokens is looked at; the
//! post-processor and the decoder don't, and truncation and padding are the caller's to do or not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use unicode_normalization_alignments::UnicodeNormalization;

use crate::added::AddedToken;
use crate::cuts::Cuts;
use crate::error::Error;
use crate::merges::{IDS_MAX, MERGES_MAX, Merge, Merges, NO_TOKEN};
use crate::pattern::Pattern;
use crate::pre_tokenizer::{BEHAVIORS, Behavior, Delimiter, PreTokenizer, Step};
use crate::unicode::is_in_texts;
use crate::words::{Word, WordHasher};

/// Longest token, in bytes: merging one alone takes quadratic time. Those in use are far shorter.
const TOKEN_BYTES_MAX: usize = 4096;

/// Everything that ids depend on.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) pre_tokenizer: Arc<PreTokenizer>,
    /// Whether texts are brought to normalization form C first.
    pub(crate) nfc: bool,
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
        let file: File<'_> = serde_json::from_str(json).map_err(|source| match source.classify() {
            serde_json::error::Category::Data => Error::Unsupported { reason: source.to_string() },
            _ => Error::Json { source },
        })?;
        if let Some(normalizer) = file.normalizer.iter().find(|normalizer| !normalizer.is_nfc()) {
            return Err(unsupported(format!("its normalizer is {}", normalizer.kind)));
        }
        let nfc = file.normalizer.is_some();
        let pre_tokenizer = file.pre_tokenizer.ok_or_else(|| unsupported("it has no pre-tokenizer"))?;
        let pre_tokenizer = Arc::new(PreTokenizer::new(pre_tokenizer.steps()?));
        let model = file.model;
        model.check()?;

        let tokens = Tokens::new(&model.vocab)?;
        let (added, added_normalized) = added_tokens(&file.added_tokens, &tokens, nfc)?;
        let merges = tokens.merges(&model.merges)?;
        let bytes = tokens.bytes()?;
        let mut lens = vec![0; model.vocab.iter().map(|(_, id)| *id as usize + 1).max().unwrap_or(0)];
        let mut words = Vec::with_capacity(model.vocab.len());
        for (token, id) in &model.vocab {
            if let Some(word) = word_of(token).filter(|word| !word.is_empty()) {
                refuse(word.len() > TOKEN_BYTES_MAX, "a token is too long")?;
                lens[*id as usize] = word.len() as u32;
                words.push(Word { bytes: word, id: *id, merges: false });
            }
        }
        words.sort_unstable_by_key(|word| word.id);
        // Before some words are left out: merging may give those, too.
        let cuts = Cuts::new(words.iter().map(|word| &*word.bytes));
        let merges = merges_that_happen(bytes, merges, &lens, &mut words);
        if !model.ignore_merges.unwrap_or(false) {
            words.retain(|word| word.merges);
        }
        Ok(Self { pre_tokenizer, nfc, bytes, merges, lens, words, cuts, added, added_normalized })
    }
}

/// Those of `merges` that happen in any text; notes which of all `words` merging gives.
///
/// When two neighbors merge, nothing around them has had a part in what led to them: merging what the new token
/// stands for, alone, takes the same steps and ends with the same merge. So of all merges that give a token only that
/// last one ever happens, and the others never have their turn. Vocabularies that were not made as a list of merges
/// have two or three for each token.
pub(crate) fn merges_that_happen(
    bytes: [u32; 256],
    merges: Vec<Merge>,
    lens: &[u32],
    words: &mut [Word],
) -> Vec<Merge> {
    let engine = Merges::new(bytes, &merges, lens.to_vec());
    let mut happens = vec![false; merges.len()];
    let mut ids = Vec::new();
    for word in words {
        let last = engine.merge_alone(&word.bytes, &mut ids);
        word.merges = ids == [word.id];
        if let Some(rank) = last.filter(|_| word.merges) {
            happens[rank as usize] = true;
        }
    }
    merges.into_iter().zip(happens).filter(|(_, happens)| *happens).map(|(merge, _)| merge).collect()
}

fn unsupported(reason: impl Into<String>) -> Error {
    Error::Unsupported { reason: reason.into() }
}

fn refuse(condition: bool, reason: &str) -> Result<(), Error> {
    if condition { Err(unsupported(reason)) } else { Ok(()) }
}

/// Ids by token, and what follows from them.
struct Tokens<'a>(HashMap<&'a str, u32, BuildHasherDefault<WordHasher>>);

impl<'a> Tokens<'a> {
    fn new(vocab: &'a [(Cow<'_, str>, u32)]) -> Result<Self, Error> {
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
        Ok(Self(ids))
    }

    fn id(&self, token: &str) -> Result<u32, Error> {
        self.0.get(token).copied().ok_or_else(|| unsupported(format!("{token:?} is not in the vocabulary")))
    }

    /// The token of each byte. Vocabularies that were learned may lack those that no text has.
    fn bytes(&self) -> Result<[u32; 256], Error> {
        let mut bytes = [NO_TOKEN; 256];
        for ((byte, id), c) in (0..=255).zip(&mut bytes).zip(byte_chars()) {
            match self.id(c.encode_utf8(&mut [0; 4])) {
                Ok(found) => *id = found,
                Err(error) if is_in_texts(byte) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(bytes)
    }

    /// The merges whose pairs can meet. Of merges of the same pair the reference heeds the last, and
    /// those of strings beyond the byte alphabet, or of nothing, never meet.
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
            if left.is_empty() || right.is_empty() || !joined.chars().all(|c| byte_of(c).is_some()) {
                continue;
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
    nfc: bool,
) -> Result<(Vec<AddedToken>, Vec<AddedToken>), Error> {
    let mut next = tokens.0.len() as u32;
    let (mut before, mut after) = (Vec::new(), Vec::<AddedToken>::new());
    for added in list {
        let content = &*added.content;
        refuse(content.is_empty(), "an added token is empty")?;
        refuse(
            added.lstrip || added.rstrip || added.single_word,
            &format!("{content:?} takes its surroundings into account"),
        )?;
        let id = tokens.0.get(content).copied().unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        refuse(
            id != added.id,
            &format!("{content:?} is said to have id {}, and would be given {id}", added.id),
        )?;
        let content = if added.normalized && nfc {
            content.nfc().map(|(c, _)| c).collect()
        } else {
            content.to_owned()
        };
        let list = if added.normalized { &mut after } else { &mut before };
        list.push(AddedToken { content: content.into_bytes(), id, special: added.special });
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

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    added_tokens: Vec<Added<'a>>,
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizerPart>,
    model: Model<'a>,
}

#[derive(Deserialize)]
struct Added<'a> {
    id: u32,
    #[serde(deserialize_with = "text", borrow)]
    content: Cow<'a, str>,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(Deserialize)]
struct Normalizer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalizers: Vec<Self>,
}

impl Normalizer {
    fn is_nfc(&self) -> bool {
        match &*self.kind {
            "NFC" => true,
            "Sequence" => !self.normalizers.is_empty() && self.normalizers.iter().all(Self::is_nfc),
            _ => false,
        }
    }
}

/// A pre-tokenizer, which may be a list of them.
#[derive(Deserialize)]
struct PreTokenizerPart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    pretokenizers: Vec<Self>,
    pattern: Option<SplitPattern>,
    #[serde(default)]
    behavior: String,
    #[serde(default)]
    invert: bool,
    #[serde(default)]
    individual_digits: bool,
    #[serde(default)]
    add_prefix_space: bool,
    use_regex: Option<bool>,
}

#[derive(Deserialize)]
enum SplitPattern {
    Regex(String),
    String(String),
}

impl PreTokenizerPart {
    /// The steps of it.
    fn steps(&self) -> Result<Vec<Step>, Error> {
        let mut parts = Vec::new();
        self.flatten(&mut parts);
        let (last, mut parts) =
            parts.split_last().ok_or_else(|| unsupported("its pre-tokenizer is empty"))?;
        let is_byte_level = last.kind == "ByteLevel" && !last.add_prefix_space;
        refuse(!is_byte_level, &format!("its pre-tokenizer ends with {}", last.kind))?;
        let mut steps = Vec::new();
        while let Some(first) = parts.first() {
            // The longest list of expressions that has a matcher.
            let known = (1..=parts.len()).rev().find_map(|count| {
                let regexes: Option<Vec<_>> = parts[..count].iter().map(|part| part.isolated()).collect();
                Some((Pattern::of(&regexes?)?, count))
            });
            let (step, count) = match known {
                Some((pattern, count)) => (Step::Pattern(pattern), count),
                None => (first.step()?, 1),
            };
            steps.push(step);
            parts = &parts[count..];
        }
        if last.use_regex.unwrap_or(true) {
            steps.push(Step::Pattern(Pattern::Gpt2));
        }
        refuse(steps.is_empty(), "its texts are not split")?;
        Ok(steps)
    }

    fn flatten<'a>(&'a self, parts: &mut Vec<&'a Self>) {
        match &*self.kind {
            "Sequence" => self.pretokenizers.iter().for_each(|part| part.flatten(parts)),
            _ => parts.push(self),
        }
    }

    /// The expression whose matches are pieces, as is what is between.
    fn isolated(&self) -> Option<&str> {
        match &self.pattern {
            Some(SplitPattern::Regex(regex)) if self.kind == "Split" && self.behavior == "Isolated" => {
                Some(regex)
            }
            _ => None,
        }
    }

    /// One step by itself.
    fn step(&self) -> Result<Step, Error> {
        let other = || unsupported(format!("its pre-tokenizer is a {} of another kind", self.kind));
        let (delimiter, behavior) = match (&*self.kind, &self.pattern) {
            ("Digits", _) if self.individual_digits => (Delimiter::Number, Behavior::Isolated),
            ("Digits", _) => (Delimiter::Number, Behavior::Contiguous),
            ("Punctuation", _) => (Delimiter::Punctuation, self.behavior().ok_or_else(other)?),
            ("Split", Some(SplitPattern::Regex(regex))) if self.behavior == "Removed" && self.invert => {
                // Where an expression covers texts completely, to isolate matches is to remove what is none.
                let pattern = Pattern::of(&[regex]).filter(|pattern| pattern.covers_texts());
                return pattern.map(Step::Pattern).ok_or_else(other);
            }
            ("Split", Some(pattern)) => {
                let behavior = self.behavior().ok_or_else(other)?;
                let delimiter = match pattern {
                    SplitPattern::Regex(regex) => Delimiter::regex(regex)?,
                    SplitPattern::String(string) => Delimiter::regex(&escaped(string))?,
                };
                (delimiter, behavior)
            }
            _ => return Err(other()),
        };
        Ok(Step::Split { delimiter, inverted: self.invert, behavior })
    }

    fn behavior(&self) -> Option<Behavior> {
        BEHAVIORS.iter().find(|(_, name)| *name == self.behavior).map(|(behavior, _)| *behavior)
    }
}

/// The regular expression that matches `string` alone.
fn escaped(string: &str) -> String {
    let escape = |c: char| c.is_ascii_punctuation().then_some('\\').into_iter().chain([c]);
    string.chars().flat_map(escape).collect()
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: String,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    ignore_merges: Option<bool>,
    #[serde(deserialize_with = "vocab", borrow)]
    vocab: Vec<(Cow<'a, str>, u32)>,
    #[serde(deserialize_with = "merges", borrow)]
    merges: Vec<TextPair<'a>>,
}

impl Model<'_> {
    /// What happens to characters without a token needs no look: every byte that texts have must have one.
    fn check(&self) -> Result<(), Error> {
        refuse(self.kind != "BPE", &format!("its model is {}", self.kind))?;
        refuse(self.dropout.is_some_and(|dropout| dropout != 0.0), "it drops merges at random")?;
        let affixes = [&self.continuing_subword_prefix, &self.end_of_word_suffix];
        refuse(affixes.into_iter().flatten().any(|affix| !affix.is_empty()), "it marks subwords")
    }
}

/// The two tokens of a merge.
type TextPair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A string, borrowed if it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer).map(Text)
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct TextVisitor;
    impl<'de> Visitor<'de> for TextVisitor {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }
    }
    deserializer.deserialize_str(TextVisitor)
}

fn vocab<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Cow<'de, str>, u32)>, D::Error> {
    struct VocabVisitor;
    impl<'de> Visitor<'de> for VocabVisitor {
        type Value = Vec<(Cow<'de, str>, u32)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map from tokens to ids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut vocab = Vec::new();
            while let Some((Text(token), id)) = map.next_entry()? {
                vocab.push((token, id));
            }
            Ok(vocab)
        }
    }
    deserializer.deserialize_map(VocabVisitor)
}

/// Merges are written as `"left right"` or as `["left", "right"]`.
fn merges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TextPair<'de>>, D::Error> {
    struct Pair<'a>(Cow<'a, str>, Cow<'a, str>);
    impl<'de> Deserialize<'de> for Pair<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(PairVisitor)
        }
    }

    struct PairVisitor;
    impl<'de> Visitor<'de> for PairVisitor {
        type Value = Pair<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a merge: two tokens")
        }

        fn visit_borrowed_str<E: de::Error>(self, line: &'de str) -> Result<Self::Value, E> {
            let (left, right) = parts(line)?;
            Ok(Pair(Cow::Borrowed(left), Cow::Borrowed(right)))
        }

        fn visit_str<E: de::Error>(self, line: &str) -> Result<Self::Value, E> {
            let (left, right) = parts(line)?;
            Ok(Pair(Cow::Owned(left.to_owned()), Cow::Owned(right.to_owned())))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let missing = || de::Error::custom("a merge needs two tokens");
            let Text(left) = seq.next_element()?.ok_or_else(missing)?;
            let Text(right) = seq.next_element()?.ok_or_else(missing)?;
            if seq.next_element::<IgnoredAny>()?.is_some() {
                return Err(missing());
            }
            Ok(Pair(left, right))
        }
    }

    fn parts<E: de::Error>(line: &str) -> Result<(&str, &str), E> {
        line.split_once(' ')
            .filter(|(_, right)| !right.contains(' ') && !line.starts_with("#version"))
            .ok_or_else(|| E::custom("a merge is not two tokens with a space between them"))
    }

    let pairs = Vec::<Pair<'de>>::deserialize(deserializer)?;
    Ok(pairs.into_iter().map(|Pair(left, right)| (left, right)).collect())
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
