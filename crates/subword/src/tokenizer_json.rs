//! What of a `tokenizer.json` bears on ids, as it is written.
//!
//! The JSON is read in one pass without building a tree: strings are borrowed from the text where
//! they have no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, refuse, unsupported};
use crate::metaspace::{METASPACE, Metaspace, MetaspacePrefix};
use crate::normalizer::Normalizer;
use crate::pattern::Pattern;
use crate::pre_tokenizer::{BEHAVIORS, Behavior, Delimiter, PreTokenizer, SplitStep};
use crate::splitting::{Alphabet, Splitting};

/// The file.
#[derive(Deserialize)]
pub(crate) struct File<'a> {
    #[serde(borrow, default)]
    pub(crate) added_tokens: Vec<Added<'a>>,
    normalizer: Option<NormalizerPart>,
    pre_tokenizer: Option<PreTokenizerPart>,
    pub(crate) model: Model<'a>,
}

impl<'a> File<'a> {
    pub(crate) fn read(json: &'a str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|source| match source.classify() {
            serde_json::error::Category::Data => Error::Unsupported { reason: source.to_string() },
            _ => Error::Json { source },
        })
    }

    pub(crate) fn normalizer(&self) -> Result<Normalizer, Error> {
        let mut parts = Vec::new();
        self.normalizer.iter().for_each(|normalizer| normalizer.flatten(&mut parts));
        if !parts.is_empty() && parts.iter().all(|part| part.kind == "NFC") {
            return Ok(Normalizer::Nfc);
        }
        let (prepends, replaces): (Vec<&NormalizerPart>, Vec<_>) =
            parts.iter().copied().partition(|part| part.prepends_metaspace());
        match (&*prepends, &*replaces) {
            ([], []) => Ok(Normalizer::None),
            ([] | [_], [replace]) if replace.replaces_spaces() => {
                Ok(Normalizer::Metaspace { prepends: !prepends.is_empty() })
            }
            _ => {
                let kinds: Vec<&str> = parts.iter().map(|part| &*part.kind).collect();
                Err(unsupported(format!("its normalizer is {}", kinds.join(", then "))))
            }
        }
    }

    /// How texts are split, and whether words are then spelled in a letter for each byte.
    pub(crate) fn splitting(&self, normalizer: Normalizer) -> Result<(Splitting, Alphabet), Error> {
        let mut parts = Vec::new();
        self.pre_tokenizer.iter().for_each(|pre_tokenizer| pre_tokenizer.flatten(&mut parts));
        if matches!(normalizer, Normalizer::Metaspace { .. }) {
            // None is left.
            parts.retain(|part| !part.splits_at_spaces());
        }
        match &*parts {
            [] => Ok((Splitting::Cuts { metaspace: None }, Alphabet::Characters)),
            [part] if part.kind == "Metaspace" => {
                Ok((Splitting::Cuts { metaspace: Some(part.metaspace()?) }, Alphabet::Characters))
            }
            [parts @ .., last] if last.kind == "ByteLevel" && last.add_prefix_space == Some(false) => {
                Ok((Splitting::Steps(steps(parts, last.use_regex.unwrap_or(true))?), Alphabet::Bytes))
            }
            [.., last] => Err(unsupported(format!("its pre-tokenizer ends with {}", last.kind))),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Added<'a> {
    pub(crate) id: u32,
    #[serde(deserialize_with = "text", borrow)]
    pub(crate) content: Cow<'a, str>,
    pub(crate) single_word: bool,
    pub(crate) lstrip: bool,
    pub(crate) rstrip: bool,
    pub(crate) normalized: bool,
    pub(crate) special: bool,
}

/// A normalizer, which may be a list of them.
#[derive(Deserialize)]
struct NormalizerPart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    normalizers: Vec<Self>,
    pattern: Option<SplitPattern>,
    #[serde(default)]
    content: String,
    #[serde(default)]
    prepend: String,
}

impl NormalizerPart {
    fn flatten<'a>(&'a self, parts: &mut Vec<&'a Self>) {
        match &*self.kind {
            "Sequence" => self.normalizers.iter().for_each(|part| part.flatten(parts)),
            _ => parts.push(self),
        }
    }

    fn prepends_metaspace(&self) -> bool {
        self.kind == "Prepend" && self.prepend == METASPACE
    }

    fn replaces_spaces(&self) -> bool {
        let is_space = matches!(&self.pattern, Some(SplitPattern::String(string)) if string == " ");
        self.kind == "Replace" && is_space && self.content == METASPACE
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
    add_prefix_space: Option<bool>,
    use_regex: Option<bool>,
    replacement: Option<String>,
    prepend_scheme: Option<String>,
    split: Option<bool>,
}

#[derive(Deserialize)]
enum SplitPattern {
    Regex(String),
    String(String),
}

/// The steps of a list of pre-tokenizers before `ByteLevel`, which is one, too, if it `splits`.
fn steps(mut parts: &[&PreTokenizerPart], splits: bool) -> Result<PreTokenizer, Error> {
    let mut steps = Vec::new();
    while let Some(first) = parts.first() {
        // The longest list of expressions that has a matcher.
        let known = (1..=parts.len()).rev().find_map(|count| {
            let regexes: Option<Vec<_>> = parts[..count].iter().map(|part| part.isolated()).collect();
            Some((Pattern::of(&regexes?)?, count))
        });
        let (step, count) = match known {
            Some((pattern, count)) => (SplitStep::Pattern(pattern), count),
            None => (first.step()?, 1),
        };
        steps.push(step);
        parts = &parts[count..];
    }
    if splits {
        steps.push(SplitStep::Pattern(Pattern::Gpt2));
    }
    refuse(steps.is_empty(), "its texts are not split")?;
    Ok(PreTokenizer::new(steps))
}

impl PreTokenizerPart {
    fn flatten<'a>(&'a self, parts: &mut Vec<&'a Self>) {
        match &*self.kind {
            "Sequence" => self.pretokenizers.iter().for_each(|part| part.flatten(parts)),
            _ => parts.push(self),
        }
    }

    fn splits_at_spaces(&self) -> bool {
        let is_space = matches!(&self.pattern, Some(SplitPattern::String(string)) if string == " ");
        self.kind == "Split" && is_space && !self.invert
    }

    fn metaspace(&self) -> Result<Metaspace, Error> {
        let prefix = match (self.prepend_scheme.as_deref(), self.add_prefix_space) {
            (Some("never"), _) | (_, Some(false)) => MetaspacePrefix::Never,
            (Some("first"), _) => MetaspacePrefix::First,
            (Some("always") | None, _) => MetaspacePrefix::Always,
            (Some(other), _) => return Err(unsupported(format!("its prepend scheme is {other:?}"))),
        };
        let replacement = self.replacement.as_deref().unwrap_or(METASPACE);
        refuse(replacement != METASPACE, &format!("spaces become {replacement:?}"))?;
        Ok(Metaspace { prefix, splits: self.split.unwrap_or(true) })
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
    fn step(&self) -> Result<SplitStep, Error> {
        let other = || unsupported(format!("its pre-tokenizer is a {} of another kind", self.kind));
        let (delimiter, behavior) = match (&*self.kind, &self.pattern) {
            ("Digits", _) if self.individual_digits => (Delimiter::Number, Behavior::Isolated),
            ("Digits", _) => (Delimiter::Number, Behavior::Contiguous),
            ("Punctuation", _) => (Delimiter::Punctuation, self.behavior().ok_or_else(other)?),
            ("Split", Some(SplitPattern::Regex(regex))) if self.behavior == "Removed" && self.invert => {
                // Where an expression covers texts completely, to isolate matches is to remove what is none.
                let pattern = Pattern::of(&[regex]).filter(|pattern| pattern.covers_texts());
                return pattern.map(SplitStep::Pattern).ok_or_else(other);
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
        Ok(SplitStep::Split { delimiter, inverted: self.invert, behavior })
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
pub(crate) struct Model<'a> {
    #[serde(rename = "type")]
    kind: String,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    byte_fallback: Option<bool>,
    pub(crate) ignore_merges: Option<bool>,
    #[serde(deserialize_with = "vocab", borrow)]
    pub(crate) vocab: Vec<(Cow<'a, str>, u32)>,
    #[serde(deserialize_with = "merges", borrow)]
    pub(crate) merges: Vec<TextPair<'a>>,
}

impl Model<'_> {
    /// What happens to characters without a token needs no further look: every byte that texts have must have one.
    pub(crate) fn check(&self, alphabet: Alphabet) -> Result<(), Error> {
        refuse(self.kind != "BPE", &format!("its model is {}", self.kind))?;
        refuse(self.dropout.is_some_and(|dropout| dropout != 0.0), "it drops merges at random")?;
        let affixes = [&self.continuing_subword_prefix, &self.end_of_word_suffix];
        refuse(affixes.into_iter().flatten().any(|affix| !affix.is_empty()), "it marks subwords")?;
        if alphabet == Alphabet::Characters {
            refuse(self.byte_fallback != Some(true), "characters without a token are not spelled in bytes")?;
            // All of a text is a word, which is looked up as a whole.
            refuse(self.ignore_merges == Some(true), "it ignores merges")?;
        }
        Ok(())
    }
}

/// The two tokens of a merge.
pub(crate) type TextPair<'a> = (Cow<'a, str>, Cow<'a, str>);

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
