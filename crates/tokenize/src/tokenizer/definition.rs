//! What a `tokenizer.json` says, read once and borrowed from its text.
//!
//! Llama 3's file is 8 MB with 128 thousand entries and 280 thousand merges. A tree
//! of JSON values costs 0.3 CPU-seconds and 100 MB; borrowing the strings costs a
//! tenth of that, and is enough to build each engine from. The merges, which most
//! starts need none of, are only passed over, and read one by one by who needs them;
//! who needs few entries, too, has [`each_part`] hand out both and keeps nothing else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A `tokenizer.json`. Parts that are small are kept as they are.
#[derive(Deserialize)]
pub(super) struct Definition<'a> {
    /// The whole text.
    #[serde(skip)]
    json: &'a str,
    /// Tokens that are matched in the text before the model sees it.
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedTokenEntry>,
    /// Cuts every document after so many tokens.
    #[serde(default)]
    pub(super) truncation: Option<Value>,
    /// Fills every document up to a length.
    #[serde(default)]
    pub(super) padding: Option<Value>,
    #[serde(default)]
    pub(super) normalizer: Option<Value>,
    #[serde(default)]
    pub(super) pre_tokenizer: Option<Value>,
    #[serde(default)]
    pub(super) post_processor: Option<Value>,
    #[serde(borrow)]
    pub(super) model: ModelDefinition<'a>,
}

/// An entry of `added_tokens`. Its id is left out: the reference gives tokens ids of its own.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AddedTokenEntry {
    pub(super) content: String,
    pub(super) single_word: bool,
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) normalized: bool,
    pub(super) special: bool,
}

/// The model: for byte-pair encoding its whole content, for others what they are.
#[derive(Deserialize)]
pub(super) struct ModelDefinition<'a> {
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(borrow, default)]
    pub(super) vocab: Vocabulary<'a>,
    #[serde(default)]
    pub(super) dropout: Option<f32>,
    #[serde(default)]
    pub(super) unk_token: Option<Value>,
    #[serde(default)]
    pub(super) continuing_subword_prefix: Option<String>,
    #[serde(default)]
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) fuse_unk: Option<bool>,
    #[serde(default)]
    pub(super) byte_fallback: Option<bool>,
    #[serde(default)]
    pub(super) ignore_merges: Option<bool>,
}

impl<'a> Definition<'a> {
    /// Reads a definition from the text of a `tokenizer.json`.
    pub(super) fn parse(tokenizer_json: &'a str) -> Result<Self, serde_json::Error> {
        Ok(Self { json: tokenizer_json, ..serde_json::from_str(tokenizer_json)? })
    }

    /// Hands out the model's merges in their order.
    ///
    /// # Errors
    /// One of them isn't a merge.
    pub(super) fn each_merge(&self, mut each: impl FnMut(Merge<'a>)) -> Result<(), serde_json::Error> {
        each_part(self.json, |part| match part {
            Part::Entry(..) => {}
            Part::Merge(merge) => each(merge),
        })
    }

    /// Whether the model gets words in which a letter stands for each byte.
    pub(super) fn spells_words_in_bytes(&self) -> bool {
        let Some(last) = &self.pre_tokenizer else { return false };
        let last = last["pretokenizers"].as_array().map_or(Some(last), |steps| steps.last());
        last.is_some_and(|step| step["type"] == "ByteLevel")
    }
}

/// The entries of a vocabulary in the file's order: a map to ids, or, for Unigram, pieces with their
/// scores, whose ids are their places.
#[derive(Default)]
pub(super) struct Vocabulary<'a>(pub(super) Vec<(Cow<'a, str>, u32)>);

impl<'de: 'a, 'a> Deserialize<'de> for Vocabulary<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocabulary<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(token), id)) = map.next_entry()? {
                    entries.push((token, id));
                }
                Ok(Vocabulary(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(token), IgnoredAny)) = seq.next_element()? {
                    entries.push((token, entries.len() as u32));
                }
                Ok(Vocabulary(entries))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

/// What a model is made of.
pub(super) enum Part<'a> {
    /// A token and its id.
    Entry(Cow<'a, str>, u32),
    Merge(Merge<'a>),
}

/// Hands out the model's entries, then its merges, each in the order of the text of a `tokenizer.json`.
///
/// # Errors
/// There is no model with a list of merges, or an entry or a merge isn't what it should be.
pub(super) fn each_part<'a>(
    tokenizer_json: &'a str,
    mut each: impl FnMut(Part<'a>),
) -> Result<(), serde_json::Error> {
    let parts = Parts { of: Of::File, each: &mut each };
    parts.deserialize(&mut serde_json::Deserializer::from_str(tokenizer_json))
}

/// Passes over what isn't an entry or a merge.
struct Parts<'e, 'de> {
    of: Of,
    each: &'e mut dyn FnMut(Part<'de>),
}

#[derive(Clone, Copy)]
enum Of {
    File,
    Model,
    Vocabulary,
    Merges,
}

impl<'de> Parts<'_, 'de> {
    fn of(&mut self, of: Of) -> Parts<'_, 'de> {
        Parts { of, each: &mut *self.each }
    }

    fn file<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let mut model = None;
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "model" => model = Some(map.next_value_seed(self.of(Of::Model))?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        model.ok_or_else(|| A::Error::custom("no model"))
    }

    fn model<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut has_vocabulary, mut merges) = (false, None);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "vocab" => {
                    map.next_value_seed(self.of(Of::Vocabulary))?;
                    has_vocabulary = true;
                }
                "merges" if has_vocabulary => {
                    map.next_value_seed(self.of(Of::Merges))?;
                    merges = Some(Vec::new());
                }
                // Files have their entries first, but nothing says that they must: so these wait.
                "merges" => merges = Some(map.next_value::<Vec<Merge<'_>>>()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let waiting = merges.ok_or_else(|| A::Error::custom("no list of merges"))?;
        waiting.into_iter().for_each(|merge| (self.each)(Part::Merge(merge)));
        Ok(())
    }

    fn vocabulary<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(token), id)) = map.next_entry()? {
            (self.each)(Part::Entry(token, id));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Parts<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.of {
            Of::File | Of::Model | Of::Vocabulary => deserializer.deserialize_map(self),
            Of::Merges => deserializer.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Parts<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            Of::File => "a tokenizer",
            Of::Model => "a model",
            Of::Vocabulary => "a vocabulary",
            Of::Merges => "a list of merges",
        })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        match self.of {
            Of::File => self.file(map),
            Of::Model => self.model(map),
            Of::Vocabulary | Of::Merges => self.vocabulary(map),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(merge) = seq.next_element()? {
            (self.each)(Part::Merge(merge));
        }
        Ok(())
    }
}

/// A merge rule: the two symbols that become one. Files hold `"a b"` or `["a", "b"]`.
pub(super) struct Merge<'a> {
    pub(super) left: Cow<'a, str>,
    pub(super) right: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Merge<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rule;
        impl<'de> Visitor<'de> for Rule {
            type Value = Merge<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge, as `\"a b\"` or `[\"a\", \"b\"]`")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, rule: &'de str) -> Result<Self::Value, E> {
                let (left, right) =
                    rule.split_once(' ').ok_or_else(|| E::custom("a merge without a space"))?;
                Ok(Merge { left: Cow::Borrowed(left), right: Cow::Borrowed(right) })
            }

            fn visit_str<E: serde::de::Error>(self, rule: &str) -> Result<Self::Value, E> {
                let (left, right) =
                    rule.split_once(' ').ok_or_else(|| E::custom("a merge without a space"))?;
                Ok(Merge { left: Cow::Owned(left.to_owned()), right: Cow::Owned(right.to_owned()) })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let (Some(Text(left)), Some(Text(right))) = (seq.next_element()?, seq.next_element()?) else {
                    return Err(A::Error::custom("a merge of fewer than two symbols"));
                };
                if seq.next_element::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("a merge of more than two symbols"));
                }
                Ok(Merge { left, right })
            }
        }
        deserializer.deserialize_any(Rule)
    }
}

/// A string that is borrowed from the JSON text wherever it holds no escape.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_before_merges_whatever_the_file_has_first() {
        let (vocab, merges) = (r#""vocab":{"a":0,"b":1,"ab":2}"#, r#""merges":["a b",["ab","a"]]"#);
        for model in [format!("{vocab},{merges}"), format!("{merges},\"x\":[{{}}],{vocab}")] {
            let json = format!("{{\"added_tokens\":[{{\"merges\":1}}],\"model\":{{{model}}},\"more\":null}}");
            let mut parts = Vec::new();
            let take = |part: Part<'_>| {
                parts.push(match part {
                    Part::Entry(token, id) => format!("{token} {id}"),
                    Part::Merge(Merge { left, right }) => format!("{left}+{right}"),
                });
            };
            each_part(&json, take).expect("it is a tokenizer");
            assert_eq!(parts, ["a 0", "b 1", "ab 2", "a+b", "ab+a"]);
        }
        for broken in ["{}", r#"{"model":{"vocab":{}}}"#, r#"{"model":{"vocab":[],"merges":[]}}"#, "[]"] {
            assert!(each_part(broken, |_| ()).is_err(), "{broken}");
        }
    }
}
