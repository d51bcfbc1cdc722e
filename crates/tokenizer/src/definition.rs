//! What a `tokenizer.json` says, read once and borrowed from its text.
//!
//! Llama 3's file is 8 MB with 128 thousand entries and 280 thousand merges. A tree
//! of JSON values costs 0.3 CPU-seconds and 100 MB; borrowing the strings costs a
//! tenth of that, and is enough to build each engine from. The merges, which most
//! starts need none of, are only passed over, and read one by one by who needs them;
//! who needs few entries, too, keeps the place of both ([`Lists`]) and nothing else.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

/// A `tokenizer.json`. Parts that are small are kept as they are.
#[derive(Deserialize)]
pub(super) struct TokenizerJson<'a> {
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
    #[serde(borrow, default, rename = "vocab")]
    entries: Option<&'a RawValue>,
    #[serde(borrow, default)]
    merges: Option<&'a RawValue>,
    /// What `vocab` has.
    #[serde(skip)]
    pub(super) vocab: ModelVocabulary<'a>,
    #[serde(default)]
    pub(super) dropout: Option<f32>,
    #[serde(default)]
    pub(super) unk_token: Option<Value>,
    #[serde(default)]
    pub(super) unk_id: Option<u32>,
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

impl<'a> TokenizerJson<'a> {
    /// Reads a definition from the text of a `tokenizer.json`.
    pub(super) fn parse(tokenizer_json: &'a str) -> Result<Self, serde_json::Error> {
        let mut definition = Self { json: tokenizer_json, ..serde_json::from_str(tokenizer_json)? };
        if let Some(entries) = definition.model.entries {
            definition.model.vocab = ModelVocabulary::parse(entries.get())?;
        }
        Ok(definition)
    }

    /// Where the model's lists are, if it has a map of entries and a list of merges, or a list of pieces with their scores.
    pub(super) fn lists(&self) -> Option<Lists> {
        let place = |list: &RawValue, opening: char| {
            let start = list.get().as_ptr().addr() - self.json.as_ptr().addr();
            list.get().starts_with(opening).then_some(start..start + list.get().len())
        };
        let entries = self.model.entries?;
        Some(match place(entries, '[') {
            Some(entries) => Lists { entries, merges: None },
            None => Lists { entries: place(entries, '{')?, merges: Some(place(self.model.merges?, '[')?) },
        })
    }

    /// Whether the model leaves merges out at random, so that the same text has other ids each time.
    pub(super) fn drops_merges(&self) -> bool {
        self.model.dropout.is_some_and(|share| share != 0.0)
    }

    /// The file without that.
    pub(super) fn without_dropout(&self) -> Result<String, serde_json::Error> {
        let mut file: Value = serde_json::from_str(self.json)?;
        file["model"]["dropout"] = Value::Null;
        Ok(file.to_string())
    }

    /// Whether the model gets words in which a letter stands for each byte.
    pub(super) fn spells_words_in_bytes(&self) -> bool {
        self.pre_tokenizer.as_ref().is_some_and(has_byte_level)
    }
}

/// Whether a pre-tokenizer is, or has in it, one that makes a letter of each byte.
pub(super) fn has_byte_level(pre_tokenizer: &Value) -> bool {
    flattened(Some(pre_tokenizer), "pretokenizers").iter().any(|step| step["type"] == "ByteLevel")
}

/// The steps of a normalizer or pre-tokenizer that may be a sequence, which has them in the member `list`.
pub(super) fn flattened<'v>(part: Option<&'v Value>, list: &str) -> Vec<&'v Value> {
    let steps = |step: &'v Value| match step[list].as_array() {
        Some(steps) => steps.iter().flat_map(|step| flattened(Some(step), list)).collect(),
        None => vec![step],
    };
    part.filter(|part| !part.is_null()).map(steps).unwrap_or_default()
}

/// The entries of a vocabulary in the file's order: a map to ids, or, for Unigram, pieces with their
/// scores, whose ids are their places.
#[derive(Default)]
pub(super) struct ModelVocabulary<'a>(pub(super) Vec<(Cow<'a, str>, u32)>);

impl<'a> ModelVocabulary<'a> {
    fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        let mut entries = Vec::new();
        if json.starts_with('[') {
            let pieces: Vec<(Text<'a>, IgnoredAny)> = serde_json::from_str(json)?;
            entries.extend((0..).zip(pieces).map(|(id, (Text(token), IgnoredAny))| (token, id)));
        } else {
            each_entry(json, |token, id| entries.push((token, id)))?;
        }
        Ok(Self(entries))
    }
}

/// Where the text of a `tokenizer.json` has the model's entries and its merges, which pieces with scores have none of.
pub(super) struct Lists {
    entries: Range<usize>,
    merges: Option<Range<usize>>,
}

/// What a model is made of.
pub(super) enum ModelPart<'a> {
    /// A token and its id.
    Entry(Cow<'a, str>, u32),
    Merge(MergeRule<'a>),
    /// A piece and its score.
    Piece(Cow<'a, str>, f64),
}

impl Lists {
    /// Whether entries have scores in place of ids.
    pub(super) const fn are_scored(&self) -> bool {
        self.merges.is_none()
    }

    /// Hands out the model's entries, then its merges, each in the order of the text that the lists are of.
    ///
    /// # Errors
    /// An entry or a merge isn't what it should be.
    pub(super) fn each_part<'a>(
        &self,
        tokenizer_json: &'a str,
        mut each: impl FnMut(ModelPart<'a>),
    ) -> Result<(), serde_json::Error> {
        let entries = &tokenizer_json[self.entries.clone()];
        let Some(merges) = &self.merges else {
            let pieces: Vec<(Text<'a>, f64)> = serde_json::from_str(entries)?;
            pieces.into_iter().for_each(|(Text(token), score)| each(ModelPart::Piece(token, score)));
            return Ok(());
        };
        each_entry(entries, |token, id| each(ModelPart::Entry(token, id)))?;
        each_merge(&tokenizer_json[merges.clone()], |merge| each(ModelPart::Merge(merge)))
    }
}

fn each_entry<'a>(json: &'a str, mut each: impl FnMut(Cow<'a, str>, u32)) -> Result<(), serde_json::Error> {
    let mut strings = Strings::of(json, '{')?;
    while let Some(token) = strings.next()? {
        each(token, strings.number()?);
    }
    Ok(())
}

fn each_merge<'a>(json: &'a str, mut each: impl FnMut(MergeRule<'a>)) -> Result<(), serde_json::Error> {
    let mut strings = Strings::of(json, '[')?;
    let in_pairs = strings.is_followed_by('[');
    while let Some(rule) = strings.next()? {
        each(if in_pairs { strings.pair(rule)? } else { MergeRule::of(rule)? });
    }
    Ok(())
}

/// A merge rule: the two symbols that become one. Files hold `"a b"` or `["a", "b"]`.
pub(super) struct MergeRule<'a> {
    pub(super) left: Cow<'a, str>,
    pub(super) right: Cow<'a, str>,
}

impl<'a> MergeRule<'a> {
    fn of(rule: Cow<'a, str>) -> Result<Self, serde_json::Error> {
        // Byte by byte, which for symbols of a few letters is faster than a search made for long texts.
        let space = rule.bytes().position(|byte| byte == b' ');
        let space = space.ok_or_else(|| serde_json::Error::custom("a merge without a space"))?;
        Ok(match rule {
            Cow::Borrowed(rule) => Self { left: rule[..space].into(), right: rule[space + 1..].into() },
            Cow::Owned(rule) => {
                Self { left: rule[..space].to_owned().into(), right: rule[space + 1..].to_owned().into() }
            }
        })
    }
}

/// The strings of a list or map that a parser has found to be JSON, one after another.
///
/// Parsed once more, the 400 thousand of Llama 3 take 35 ms at the end of a run, when all else is done and waits:
/// so here only quotes are looked for.
struct Strings<'a> {
    text: &'a str,
    marks: memchr::Memchr2<'a>,
    /// Where the last string begins and ends, quotes included.
    last: Range<usize>,
}

impl<'a> Strings<'a> {
    fn of(text: &'a str, opening: char) -> Result<Self, serde_json::Error> {
        let inside = text.strip_prefix(opening).map(str::trim_start);
        if !inside.is_some_and(|inside| inside.starts_with(['"', '[', ']', '}'])) {
            return Err(serde_json::Error::custom("a vocabulary or merges of something else than strings"));
        }
        Ok(Self { text, marks: memchr::memchr2_iter(b'"', b'\\', text.as_bytes()), last: 0..1 })
    }

    fn next(&mut self) -> Result<Option<Cow<'a, str>>, serde_json::Error> {
        // Outside of strings there is no backslash.
        let Some(begin) = self.marks.next() else { return Ok(None) };
        let (bytes, mut escaped) = (self.text.as_bytes(), false);
        let end = loop {
            let mark = self.marks.next().expect("JSON ends its strings");
            if bytes[mark] == b'"' {
                break mark;
            }
            escaped = true;
            if matches!(bytes[mark + 1], b'"' | b'\\') {
                self.marks.next();
            }
        };
        self.last = begin..end + 1;
        if escaped {
            return serde_json::from_str(&self.text[self.last.clone()]).map(|text: String| Some(text.into()));
        }
        Ok(Some(Cow::Borrowed(&self.text[begin + 1..end])))
    }

    /// Whether this comes next after the last string.
    fn is_followed_by(&self, what: char) -> bool {
        self.text[self.last.end..].trim_start().starts_with(what)
    }

    /// The number after the last string.
    fn number(&self) -> Result<u32, serde_json::Error> {
        let after = self.text[self.last.end..].trim_start_matches([':', ' ', '\n', '\r', '\t']);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let ends = after[digits..].trim_start().starts_with([',', '}']);
        after[..digits]
            .parse()
            .ok()
            .filter(|_| ends)
            .ok_or_else(|| serde_json::Error::custom("an id is no number"))
    }

    /// The merge of two strings, of which the first is the last one.
    fn pair(&mut self, left: Cow<'a, str>) -> Result<MergeRule<'a>, serde_json::Error> {
        if self.is_followed_by(',')
            && let Some(right) = self.next()?
            && self.is_followed_by(']')
        {
            return Ok(MergeRule { left, right });
        }
        Err(serde_json::Error::custom("a merge is not of two symbols"))
    }
}

/// A string that is borrowed from the JSON text wherever it holds no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_before_merges_whatever_the_file_has_first() {
        let vocab = r#""vocab" : {"a":0,"\\":1 , "a\"b" : 2}"#;
        let rules = r#""merges":["a \\","\\\u0020a"]"#;
        let pairs = r#""merges":[ ["a", "\\"], ["\\","a"] ]"#;
        for model in [format!("{vocab},{rules}"), format!("{pairs},\"x\":[{{}}],{vocab}")] {
            let json = format!("{{\"more\":{{\"merges\":1}},\"model\":{{{model}}}}}");
            let mut parts = Vec::new();
            let take = |part: ModelPart<'_>| {
                parts.push(match part {
                    ModelPart::Entry(token, id) => format!("{token} {id}"),
                    ModelPart::Merge(MergeRule { left, right }) => format!("{left}+{right}"),
                    ModelPart::Piece(token, score) => format!("{token} {score:?}"),
                });
            };
            let definition = TokenizerJson::parse(&json).expect("it is a tokenizer");
            definition.lists().expect("it has both").each_part(&json, take).expect("they are lists");
            assert_eq!(parts, ["a 0", "\\ 1", "a\"b 2", "a+\\", "\\+a"]);
            assert_eq!(definition.model.vocab.0.len(), 3);
        }
    }

    #[test]
    fn lists_of_something_else_are_refused() {
        for broken in [r#"{"a":"1"}"#, r#"{"a":1.5}"#, r#"{"a":-1}"#, r#"{"a":[1]}"#, "1", r#""a""#] {
            let json = format!("{{\"model\":{{\"vocab\":{broken}}}}}");
            assert!(TokenizerJson::parse(&json).is_err(), "{broken}");
        }
        for broken in [r#"["ab"]"#, r#"[["a"]]"#, r#"[["a","b","c"]]"#, r#"{"a":"b"}"#, "[1]", "1"] {
            let json = format!("{{\"model\":{{\"vocab\":{{}},\"merges\":{broken}}}}}");
            let lists = TokenizerJson::parse(&json).expect("it is a tokenizer").lists();
            assert!(lists.is_none_or(|lists| lists.each_part(&json, |_| ()).is_err()), "{broken}");
        }
        let json = r#"{"model":{"vocab":[["a",-1.5],["\"",1]]}}"#;
        let (lists, mut parts) = (TokenizerJson::parse(json).expect("it is a tokenizer").lists(), Vec::new());
        let take = |part: ModelPart<'_>| match part {
            ModelPart::Piece(token, score) => parts.push((token.into_owned(), score)),
            ModelPart::Entry(..) | ModelPart::Merge(_) => panic!("pieces have scores"),
        };
        lists.expect("it has pieces").each_part(json, take).expect("they are pieces");
        assert_eq!(parts, [("a".to_owned(), -1.5), ("\"".to_owned(), 1.0)]);
        for without in [r#"{"model":{}}"#, r#"{"model":{"vocab":{}}}"#] {
            assert!(TokenizerJson::parse(without).expect("it is a tokenizer").lists().is_none(), "{without}");
        }
    }
}
