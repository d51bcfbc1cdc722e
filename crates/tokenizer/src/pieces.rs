//! Where tokens stand that are spelled in characters: SentencePiece's, WordPiece's and whole words.
//!
//! Such tokenizers put a space before a text, leave white space out, and change letters to lower case. Tokens are laid beside the
//! text one after another with that in mind. Where one does not fit, the text was changed otherwise, and the reference is asked.

use std::ops::Range;

use memchr::memmem;
use serde_json::Value;

use super::definition::{ModelDefinition, TokenizerJson, flattened};

/// What stands for a space.
const METASPACE: &str = "▁";

/// What becomes of a text before it is made of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pieces {
    prefix: Prefix,
    /// Tokens spell a space as `▁`.
    has_metaspace: bool,
    /// White space between tokens is left out.
    skips_white_space: bool,
    /// Spaces one after another become one.
    joins_spaces: bool,
    /// Letters of ASCII are in lower case.
    ignores_case: bool,
}

/// Where a space is put that the text does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Nowhere,
    /// Before the text, and behind each added token.
    Always,
    /// There, unless there is one.
    UnlessThereIs,
    /// Before the text alone, unless there is one.
    First,
    /// Before each word between white space.
    EachWord,
}

/// A token as it is spelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpelledToken<'a> {
    pub(super) bytes: &'a [u8],
    /// An added token: it is found in the text itself.
    pub(super) is_added: bool,
}

impl Pieces {
    /// Of a tokenizer whose words are not spelled in bytes; none where its steps are others than those known here.
    pub(super) fn of(definition: &TokenizerJson<'_>) -> Option<Self> {
        let model = &definition.model;
        let has_affix = |affix: &Option<String>| affix.as_ref().is_some_and(|affix| !affix.is_empty());
        let is_word_piece = model.kind.as_deref() == Some("WordPiece");
        if has_affix(&model.end_of_word_suffix)
            || has_affix(&model.continuing_subword_prefix) && !is_word_piece
            // Then what goes through normalizers is not each part between added tokens.
            || definition.added_tokens.iter().any(|token| token.normalized || token.lstrip || token.rstrip)
        {
            return None;
        }
        let mut pieces = Self {
            prefix: Prefix::Nowhere,
            has_metaspace: false,
            skips_white_space: false,
            joins_spaces: false,
            ignores_case: false,
        };
        for step in flattened(definition.normalizer.as_ref(), "normalizers") {
            pieces.note_normalizer(step)?;
        }
        for step in flattened(definition.pre_tokenizer.as_ref(), "pretokenizers") {
            pieces.note_pre_tokenizer(step)?;
        }
        Some(pieces)
    }

    fn note_normalizer(&mut self, step: &Value) -> Option<()> {
        match step["type"].as_str()? {
            // What these change does not fit.
            "NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt" | "Precompiled" | "Strip" | "StripAccents" => {}
            "Lowercase" => self.ignores_case = true,
            "BertNormalizer" => self.ignores_case |= step["lowercase"] == true,
            "Prepend" if step["prepend"] == METASPACE && self.prefix == Prefix::Nowhere => {
                (self.prefix, self.has_metaspace) = (Prefix::Always, true);
            }
            "Replace" if step["pattern"]["String"] == " " && step["content"] == METASPACE => {
                self.has_metaspace = true;
            }
            "Replace" if step["pattern"]["Regex"] == " {2,}" => self.joins_spaces = true,
            _ => return None,
        }
        Some(())
    }

    fn note_pre_tokenizer(&mut self, step: &Value) -> Option<()> {
        match step["type"].as_str()? {
            "Split" | "Digits" | "Punctuation" => {}
            "WhitespaceSplit" | "Whitespace" | "BertPreTokenizer" => self.skips_white_space = true,
            "Metaspace" if step["replacement"] == METASPACE && self.prefix == Prefix::Nowhere => {
                let scheme = match step["add_prefix_space"] == false {
                    true => "never",
                    false => step["prepend_scheme"].as_str().unwrap_or("always"),
                };
                self.has_metaspace = true;
                self.prefix = match (scheme, self.skips_white_space) {
                    ("always", true) => Prefix::EachWord,
                    ("never", false) => Prefix::Nowhere,
                    ("always", false) => Prefix::UnlessThereIs,
                    ("first", false) => Prefix::First,
                    _ => return None,
                };
            }
            _ => return None,
        }
        Some(())
    }

    /// What a token of the vocabulary spells.
    pub(super) fn bytes_of(self, token: &str, model: &ModelDefinition<'_>) -> Vec<u8> {
        let prefix = model.continuing_subword_prefix.as_deref().unwrap_or_default();
        let byte = || u8::from_str_radix(token.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok();
        match byte().filter(|_| model.byte_fallback == Some(true)) {
            Some(byte) => vec![byte],
            None if self.has_metaspace => token.replace(METASPACE, " ").into_bytes(),
            None => token.strip_prefix(prefix).unwrap_or(token).as_bytes().to_vec(),
        }
    }

    /// Appends the bytes of `text` that each token stands for; `false`, with nothing appended, where they do not fit. A space
    /// that was put before a word stands for what the reference says: the word's first character.
    pub(super) fn ranges<'a>(
        self,
        text: &str,
        tokens: impl Iterator<Item = SpelledToken<'a>>,
        ranges: &mut Vec<Range<usize>>,
    ) -> bool {
        let before = ranges.len();
        let is_changed = self.has_metaspace && memmem::find(text.as_bytes(), METASPACE.as_bytes()).is_some()
            || self.joins_spaces && has_white_space_twice(text);
        let end = if is_changed { None } else { self.lay(text, tokens, ranges) };
        let fits = end.is_some_and(|end| self.behind_white_space(text, end) == text.len());
        if !fits {
            ranges.truncate(before);
        }
        fits
    }

    /// The end of the last token.
    fn lay<'a>(
        self,
        text: &str,
        tokens: impl Iterator<Item = SpelledToken<'a>>,
        ranges: &mut Vec<Range<usize>>,
    ) -> Option<usize> {
        let (mut at, mut begins_part) = (0, true);
        for SpelledToken { bytes, is_added } in tokens {
            let start = self.behind_white_space(text, at);
            let rest = &text.as_bytes()[start..];
            let has_prefix = !is_added
                && match self.prefix {
                    Prefix::Nowhere => false,
                    Prefix::Always => begins_part,
                    Prefix::UnlessThereIs => begins_part && rest.first() != Some(&b' '),
                    Prefix::First => begins_part && at == 0 && rest.first() != Some(&b' '),
                    Prefix::EachWord => bytes.first() == Some(&b' '),
                };
            let spelled = if has_prefix { bytes.strip_prefix(b" ")? } else { bytes };
            let found = rest.get(..spelled.len())?;
            let is_it =
                found == spelled || self.ignores_case && !is_added && found.eq_ignore_ascii_case(spelled);
            if bytes.is_empty() || !is_it {
                return None;
            }
            let len = match spelled {
                [] => text.get(start..)?.chars().next()?.len_utf8(),
                _ => spelled.len(),
            };
            ranges.push(start..start + len);
            at = start + spelled.len();
            begins_part = is_added;
        }
        Some(at)
    }

    fn behind_white_space(self, text: &str, at: usize) -> usize {
        match text.get(at..) {
            Some(rest) if self.skips_white_space => text.len() - rest.trim_start().len(),
            // Inside a character.
            _ => at,
        }
    }
}

fn has_white_space_twice(text: &str) -> bool {
    text.chars().zip(text.chars().skip(1)).any(|(one, next)| one.is_whitespace() && next.is_whitespace())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use serde_json::json;

    use super::*;

    fn pieces(normalizer: &Value, pre_tokenizer: &Value) -> Option<Pieces> {
        let file =
            json!({ "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": { "vocab": {} } });
        Pieces::of(&TokenizerJson::parse(&file.to_string()).unwrap())
    }

    /// Where tokens stand, if they fit.
    fn laid<'t>(pieces: Pieces, text: &str, tokens: &[&'t str]) -> Option<Vec<Range<usize>>> {
        let mut ranges: Vec<_> = std::iter::once(7..8).collect();
        let token =
            |token: &&'t str| SpelledToken { bytes: token.as_bytes(), is_added: token.starts_with('<') };
        let fits = pieces.ranges(text, tokens.iter().map(token), &mut ranges);
        assert!(fits || ranges.len() == 1, "nothing is appended");
        fits.then(|| ranges.split_off(1))
    }

    fn metaspace(scheme: &str) -> Value {
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true })
    }

    fn sequence(list: &str, steps: &[Value]) -> Value {
        json!({ "type": "Sequence", list: steps })
    }

    #[test]
    fn a_space_that_was_put_first_has_no_place_of_its_own() {
        let steps = [
            json!({ "type": "Prepend", "prepend": "▁" }),
            json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" }),
        ];
        let llama_2 = pieces(&sequence("normalizers", &steps), &Value::Null).unwrap();
        assert_eq!(laid(llama_2, "Hi you", &[" Hi", " you"]), Some(vec![0..2, 2..6]));
        assert_eq!(laid(llama_2, " Hi", &["  ", "Hi"]), Some(vec![0..1, 1..3]));
        assert_eq!(
            laid(llama_2, "é<s>é", &[" ", "é", "<s>", " ", "é"]),
            Some(vec![0..2, 0..2, 2..5, 5..7, 5..7])
        );
        let first = pieces(&Value::Null, &metaspace("first")).unwrap();
        assert_eq!(laid(first, "a<s>a a", &[" a", "<s>", "a", " a"]), Some(vec![0..1, 1..4, 4..5, 5..7]));
        let words = sequence("pretokenizers", &[json!({ "type": "WhitespaceSplit" }), metaspace("always")]);
        let xlm_r = pieces(&json!({ "type": "NFKC" }), &words).unwrap();
        assert_eq!(laid(xlm_r, "\tHi \n you ", &[" Hi", " y", "ou"]), Some(vec![1..3, 6..7, 7..9]));
    }

    #[test]
    fn white_space_and_case_may_differ_where_the_tokenizer_changes_them() {
        let bert = json!({ "type": "BertNormalizer", "lowercase": true });
        let bert = pieces(&bert, &json!({ "type": "BertPreTokenizer" })).unwrap();
        assert_eq!(
            laid(bert, "Hi, You! ", &["hi", ",", "yo", "u", "!"]),
            Some(vec![0..2, 2..3, 4..6, 6..7, 7..8])
        );
        let never = pieces(&Value::Null, &metaspace("never")).unwrap();
        assert_eq!(laid(never, "Hi", &["hi"]), None);
        assert_eq!(laid(never, "a  b", &["a", " b"]), None);
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_reference() {
        let t5 = json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "▁" });
        let t5 = pieces(&t5, &metaspace("always")).unwrap();
        assert_eq!(laid(t5, "a b", &[" a", " b"]), Some(vec![0..1, 1..3]));
        for (text, tokens) in [
            ("a  b", &[" a", " b"][..]),
            ("▁a", &[" a"]),
            ("ab", &[" a"]),
            ("a", &[" a", "b"]),
            ("é", &[" e"]),
            ("中", &[" ", "<unk>"]),
            ("a", &[""]),
        ] {
            assert_eq!(laid(t5, text, tokens), None, "{text}");
        }
        let other = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "" });
        assert!(pieces(&other, &metaspace("always")).is_none());
        assert!(pieces(&Value::Null, &json!({ "type": "ByteLevel" })).is_none());
    }
}
