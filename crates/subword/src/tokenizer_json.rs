//! What of a `tokenizer.json` bears on ids, as it is written.
//!
//! The JSON is read in one pass without building a tree: strings are borrowed from the text where
//! they have no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, refuse, unsupported};
use crate::metaspace::MetaspacePrefix;
use crate::normalizer::Normalizer;
use crate::normalizer_part::NormalizerPart;
use crate::pre_tokenizer_part::{PreTokenizerPart, splitting};
use crate::splitting::Splitting;

/// The file.
#[derive(Deserialize)]
pub(crate) struct File<'a> {
    #[serde(borrow, default)]
    pub(crate) added_tokens: Vec<Added<'a>>,
    normalizer: Option<NormalizerPart>,
    pre_tokenizer: Option<PreTokenizerPart>,
    pub(crate) model: ModelJson<'a>,
}

impl<'a> File<'a> {
    pub(crate) fn read(json: &'a str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|source| match source.classify() {
            serde_json::error::Category::Data => Error::Unsupported { reason: source.to_string() },
            _ => Error::Json { source },
        })
    }

    /// What becomes of texts, how they are split, and whether words are then spelled in a letter for each byte.
    pub(crate) fn steps(&self) -> Result<(Normalizer, Splitting, bool), Error> {
        let mut parts = Vec::new();
        self.pre_tokenizer.iter().for_each(|pre_tokenizer| pre_tokenizer.flatten(&mut parts));
        let is_byte_level = parts.iter().any(|part| part.is_byte_level());
        let spaces_may_stay = parts.iter().all(|part| part.splits_at_spaces());
        let normalizer = match &self.normalizer {
            Some(part) => part.normalizer(spaces_may_stay)?,
            None => Normalizer::default(),
        };
        if normalizer.has_metaspace() {
            // None is left.
            parts.clear();
        }
        let splitting = splitting(&parts)?;
        // To the reference the first of a text is what begins with the first character of the text as it was.
        let is_first_another = splitting.metaspace.is_some_and(|it| it.prefix == MetaspacePrefix::First)
            && normalizer.may_remove_the_first();
        refuse(is_first_another, "its normalizer decides which texts get a space before them")?;
        Ok((normalizer, splitting, is_byte_level))
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

/// The model. Which of the fields it has depends on its kind.
#[derive(Deserialize)]
pub(crate) struct ModelJson<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    pub(crate) byte_fallback: Option<bool>,
    pub(crate) ignore_merges: Option<bool>,
    pub(crate) unk_token: Option<String>,
    pub(crate) fuse_unk: Option<bool>,
    pub(crate) unk_id: Option<u32>,
    pub(crate) max_input_chars_per_word: Option<u32>,
    #[serde(borrow)]
    pub(crate) vocab: Vocab<'a>,
    #[serde(deserialize_with = "merges", borrow, default)]
    pub(crate) merges: Vec<TextPair<'a>>,
}

impl ModelJson<'_> {
    /// Whether byte pairs can be merged exactly, which are those of bytes, or of characters.
    ///
    /// What happens to bytes without a token is looked at where the tokens are.
    pub(crate) fn check_bpe(&self, is_byte_level: bool) -> Result<(), Error> {
        refuse(self.dropout.is_some_and(|dropout| dropout != 0.0), "it drops merges at random")?;
        let is_set = |affix: &Option<String>| affix.as_ref().is_some_and(|affix| !affix.is_empty());
        refuse(is_set(&self.continuing_subword_prefix), "it marks what continues a word")?;
        // Whole words would be looked up without it.
        let is_odd = is_set(&self.end_of_word_suffix) && (!is_byte_level || self.ignore_merges == Some(true));
        refuse(is_odd, "it marks the ends of words, which are not spelled in bytes, or ignores merges")?;
        if !is_byte_level {
            // All of a text may be a word, which is looked up as a whole.
            refuse(self.ignore_merges == Some(true), "it ignores merges")?;
        }
        Ok(())
    }

    /// What the tokens have behind them that end a word, if it is something.
    pub(crate) fn end_of_word(&self) -> Option<&str> {
        self.end_of_word_suffix.as_deref().filter(|suffix| !suffix.is_empty())
    }

    /// The prefix of tokens that continue a word.
    pub(crate) fn continuing_prefix(&self) -> Result<&str, Error> {
        self.continuing_subword_prefix.as_deref().ok_or_else(|| unsupported("it says no prefix of subwords"))
    }

    /// What unknown words become.
    pub(crate) fn unknown_token(&self) -> Result<&str, Error> {
        self.unk_token.as_deref().ok_or_else(|| unsupported("it says no unknown token"))
    }
}

/// The vocabulary.
pub(crate) enum Vocab<'a> {
    /// Tokens and their ids.
    Ids(Vec<(Cow<'a, str>, u32)>),
    /// Tokens in the order of their ids, and their scores.
    Scores(Vec<(Cow<'a, str>, f64)>),
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

impl<'de: 'a, 'a> Deserialize<'de> for Vocab<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct VocabVisitor;
        impl<'de> Visitor<'de> for VocabVisitor {
            type Value = Vocab<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tokens to ids, or a list of tokens and scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut vocab = Vec::new();
                while let Some((Text(token), id)) = map.next_entry()? {
                    vocab.push((token, id));
                }
                Ok(Vocab::Ids(vocab))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut vocab = Vec::new();
                while let Some((Text(token), score)) = seq.next_element()? {
                    vocab.push((token, score));
                }
                Ok(Vocab::Scores(vocab))
            }
        }
        deserializer.deserialize_any(VocabVisitor)
    }
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
