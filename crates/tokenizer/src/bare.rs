//! Texts with nothing around them: those of chat templates, which write all control tokens themselves.
//!
//! A template's control tokens are encoded as such. What people said may spell one, too; such places can be encoded as text
//! like any other, which is done as `transformers` does it (`sanitize_control_tokens`): the text is cut there, and the parts
//! are encoded one by one.

use std::ops::Range;

use mashbill_subword::Scratch;

use super::error::Error;
use super::offsets::TokenBytes;
use super::options::SpecialTokensInText;
use super::reference::Reference;
use super::special::CONTROL_TOKENS;
use super::{ChatTokens, Tokenizer};

/// What stands before a part that is no beginning while it is encoded: else some tokenizers put a space there.
const NEWLINE: &str = "\n";

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    bytes: Range<usize>,
    is_plain: bool,
}

impl Part {
    const fn policy(&self) -> SpecialTokensInText {
        if self.is_plain { SpecialTokensInText::Split } else { SpecialTokensInText::Encode }
    }
}

impl Tokenizer {
    /// Appends the ids of a text, with nothing around it. Control tokens in the byte ranges `plain`, which are in order, are
    /// text like any other.
    ///
    /// # Errors
    /// [`Error::Encode`] where the reference has no ids for the text; [`Error::LiteralSpecialTokens`] where a control token in
    /// one of `plain` is a token wherever it stands. `ids` is then as it was.
    pub fn encode_bare(
        &self,
        scratch: &mut Scratch,
        text: &str,
        plain: &[Range<usize>],
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let start = ids.len();
        let encoded = match plain {
            [] => self.encode_text(scratch, text, SpecialTokensInText::Encode, ids),
            _ => self.encode_parts(scratch, text, plain, ids),
        };
        if encoded.is_err() {
            ids.truncate(start);
        }
        encoded
    }

    fn encode_parts(
        &self,
        scratch: &mut Scratch,
        text: &str,
        plain: &[Range<usize>],
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let mut newline = Vec::new();
        self.encode_text(scratch, NEWLINE, SpecialTokensInText::Encode, &mut newline)?;
        for part in parts(text, plain) {
            let (spelled, start) = (&text[part.bytes.clone()], ids.len());
            if part.bytes.start > 0 {
                self.encode_text(scratch, &format!("{NEWLINE}{spelled}"), part.policy(), ids)?;
                if ids[start..].starts_with(&newline) {
                    ids.drain(start..start + newline.len());
                } else {
                    ids.truncate(start);
                    self.encode_text(scratch, spelled, part.policy(), ids)?;
                }
            } else {
                self.encode_text(scratch, spelled, part.policy(), ids)?;
            }
            let itself = part.is_plain.then(|| self.outline.id_of(spelled)).flatten();
            if itself.is_some_and(|itself| ids[start..].contains(&itself)) {
                return Err(Error::LiteralSpecialTokens { count: 1 });
            }
        }
        Ok(())
    }

    /// Appends for each of `ids`, which [`Tokenizer::encode_bare`] gave for `text` with `plain`, the bytes of the text that it
    /// stands for. Those of one character that is several tokens may be the whole character for each.
    ///
    /// # Errors
    /// The reference is needed and can't load the file, or has other ids.
    pub fn token_ranges(
        &self,
        text: &str,
        plain: &[Range<usize>],
        ids: &[u32],
        ranges: &mut Vec<Range<usize>>,
    ) -> Result<(), Error> {
        if plain.is_empty() {
            return self.ranges_in_text(text, SpecialTokensInText::Encode, ids, ranges);
        }
        match self.are_bytes(text, ids, ranges)? {
            true => Ok(()),
            false => self.ranges_of_parts(text, plain, ids, ranges),
        }
    }

    /// The same for `ids` that [`Tokenizer::encode_text`] gave under this policy.
    ///
    /// # Errors
    /// [`Error::Encode`] where the reference has other ids for the text.
    pub fn ranges_in_text(
        &self,
        text: &str,
        policy: SpecialTokensInText,
        ids: &[u32],
        ranges: &mut Vec<Range<usize>>,
    ) -> Result<(), Error> {
        match self.are_bytes(text, ids, ranges)? {
            true => Ok(()),
            false => self.reference(policy)?.ranges(text, ids, ranges),
        }
    }

    /// Appends the ranges of tokens that are the text's bytes, one after another, if they are.
    fn are_bytes(&self, text: &str, ids: &[u32], ranges: &mut Vec<Range<usize>>) -> Result<bool, Error> {
        let bytes = match self.token_bytes.get() {
            Some(bytes) => bytes,
            None => {
                let bytes = TokenBytes::of(&self.tokenizer_json, &self.outline)?;
                self.token_bytes.get_or_init(|| bytes)
            }
        };
        Ok(bytes.as_ref().is_some_and(|bytes| bytes.ranges(text, ids, ranges)))
    }

    fn ranges_of_parts(
        &self,
        text: &str,
        plain: &[Range<usize>],
        ids: &[u32],
        ranges: &mut Vec<Range<usize>>,
    ) -> Result<(), Error> {
        let (mut newline, mut rest) = (Vec::new(), ids);
        self.reference(SpecialTokensInText::Encode)?.encode(NEWLINE, &mut newline)?;
        for part in parts(text, plain) {
            let (spelled, start) = (&text[part.bytes.clone()], part.bytes.start);
            let reference = self.reference(part.policy())?;
            let (mut own, mut places) = (Vec::new(), Vec::new());
            let before = if start == 0 { "" } else { NEWLINE };
            reference.encode_with_ranges(&format!("{before}{spelled}"), &mut own, &mut places)?;
            let mut cut = before.len();
            if start > 0 && own.starts_with(&newline) {
                own.drain(..newline.len());
                places.drain(..newline.len());
            } else if start > 0 {
                own.clear();
                places.clear();
                reference.encode_with_ranges(spelled, &mut own, &mut places)?;
                cut = 0;
            }
            rest = rest.strip_prefix(&own[..]).ok_or_else(Reference::has_other_ids)?;
            let place =
                |place: Range<usize>| start + place.start.max(cut) - cut..start + place.end.max(cut) - cut;
            ranges.extend(places.into_iter().map(place));
        }
        if rest.is_empty() { Ok(()) } else { Err(Reference::has_other_ids()) }
    }

    /// The spellings of all special tokens.
    #[must_use]
    pub fn special_tokens(&self) -> Vec<String> {
        let tokens = self.outline.added_tokens().into_iter();
        tokens.filter(|(_, token)| token.special).map(|(_, token)| token.content).collect()
    }

    /// The ids of a template's control tokens, sorted: special tokens, those that are put around documents, and added tokens
    /// that are found in `literals`, which is what the template spells.
    #[must_use]
    pub fn control_ids(&self, literals: &str) -> Vec<u32> {
        let spelled = self
            .outline
            .added_tokens()
            .into_iter()
            .filter(|(_, token)| !token.content.trim().is_empty() && literals.contains(&token.content));
        let mut ids: Vec<u32> = spelled.map(|(id, _)| id).chain(self.counted.ids().iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The control tokens in `literals`, which is what a template spells, that this tokenizer does not have: it would take
    /// them apart. They are those with well-known names, and whatever else is spelled as control tokens are.
    #[must_use]
    pub fn missing_control_tokens(&self, literals: &str) -> Vec<String> {
        let added = self.outline.added_tokens();
        let known = CONTROL_TOKENS.iter().flat_map(|tokens| tokens.iter()).copied();
        let known = known.filter(|token| literals.contains(token));
        let mut missing: Vec<String> = Vec::new();
        for token in known.chain(spelled_tokens(literals)) {
            let is_told = missing.iter().any(|told| told == token);
            if !is_told && !added.iter().any(|(_, added)| added.content == token) {
                missing.push(token.to_owned());
            }
        }
        missing
    }

    /// What chat templates are given of the tokenizer.
    #[must_use]
    pub const fn chat_tokens(&self) -> &ChatTokens {
        &self.chat_tokens
    }
}

/// What is spelled as control tokens are, whatever its name: `<|name|>`, and the same with wide bars. What a template puts
/// together of pieces, as in `'<|' + role + '|>'`, is none of it.
fn spelled_tokens(literals: &str) -> impl Iterator<Item = &str> {
    let of_name = |c: char| c.is_alphanumeric() || "_-.:/▁".contains(c);
    let token_at = move |at: usize| {
        let rest = &literals[at..];
        let bar = rest[1..].chars().next().filter(|bar| matches!(bar, '|' | '｜'))?;
        let name = &rest[1 + bar.len_utf8()..];
        let end = name.find(|c| !of_name(c))?;
        let is_name = name[..end].contains(char::is_alphanumeric);
        let behind = name[end..].strip_prefix(bar)?.strip_prefix('>')?;
        is_name.then(|| &rest[..rest.len() - behind.len()])
    };
    literals.match_indices('<').filter_map(move |(at, _)| token_at(at))
}

/// The parts of a text: those that are plain, and what is between them.
fn parts(text: &str, plain: &[Range<usize>]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * plain.len() + 1);
    let mut at = 0;
    for range in plain {
        parts.push(Part { bytes: at..range.start, is_plain: false });
        parts.push(Part { bytes: range.clone(), is_plain: true });
        at = range.end;
    }
    parts.push(Part { bytes: at..text.len(), is_plain: false });
    parts.retain(|part| !part.bytes.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_as_a_control_token_is_found_and_nothing_else() {
        let literals = "<|a_start|>x<|\0|>\0<|\0<｜b▁c｜>\0<|%s|>\0<|{}|>\0<|d｜>\0<||>\0<|...|>\0<|a<|/e|>\0a <| b |> c\0<|end";
        let found: Vec<_> = spelled_tokens(literals).collect();
        assert_eq!(found, ["<|a_start|>", "<｜b▁c｜>", "<|/e|>"]);
    }
}
