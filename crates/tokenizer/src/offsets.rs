//! Where in a text its tokens stand.
//!
//! Of a byte-level tokenizer each token is some bytes of the text, one token after another, so the ids say it themselves;
//! whether they do is checked. Most such tokenizers can only leave bytes out (white space around an added token), never put
//! any there: then the tokens are the text's bytes where they have as many. Where a normalizer may change the text they are
//! compared byte by byte. Tokens of characters are laid beside the text ([`super::pieces`]). Where tokens are not what the text
//! has, the reference says it.

use std::ops::Range;

use serde_json::Value;

use super::definition::{TokenizerJson, flattened};
use super::error::Error;
use super::id_set::IdSet;
use super::pieces::{Pieces, SpelledToken};
use super::reference::Outline;
use super::spell;

/// No vocabulary has ids above this.
const ID_MAX: u32 = 1 << 24;

/// The bytes that each token stands for, by id.
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// Where the bytes of each id begin; 0 for an id that there is none of.
    starts: Vec<u32>,
    /// How many they are.
    lengths: Vec<u32>,
    kind: Kind,
}

/// How tokens are found in a text.
enum Kind {
    /// As its bytes.
    ByteLevel(Additions),
    /// As its characters; with the added tokens.
    Pieces(Pieces, IdSet),
}

/// What a tokenizer may put into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Additions {
    /// Nothing: it only leaves bytes out.
    None,
    /// Nothing where the text is ASCII, which NFC leaves alone.
    BeyondAscii,
    Any,
}

impl Additions {
    fn of(definition: &TokenizerJson<'_>) -> Self {
        let model = &definition.model;
        let is_set = |affix: &Option<String>| affix.as_ref().is_some_and(|affix| !affix.is_empty());
        let is_spelled_otherwise = model.unk_token.as_ref().is_some_and(|token| !token.is_null())
            || is_set(&model.continuing_subword_prefix)
            || is_set(&model.end_of_word_suffix);
        let steps = flattened(definition.pre_tokenizer.as_ref(), "pretokenizers");
        let only_cuts = |step: &Value| match step["type"].as_str() {
            Some("ByteLevel") => step["add_prefix_space"] == false,
            Some("Split" | "Digits") => true,
            _ => false,
        };
        let normalizer = definition.normalizer.as_ref().filter(|normalizer| !normalizer.is_null());
        match normalizer {
            _ if is_spelled_otherwise || !steps.into_iter().all(only_cuts) => Self::Any,
            None => Self::None,
            Some(normalizer) if normalizer["type"] == "NFC" => Self::BeyondAscii,
            Some(_) => Self::Any,
        }
    }
}

impl TokenBytes {
    /// The bytes of the tokens; none where only the reference knows where they stand.
    ///
    /// # Errors
    /// The text of the `tokenizer.json` is none.
    pub(super) fn of(tokenizer_json: &str, outline: &Outline) -> Result<Option<Self>, Error> {
        let definition = TokenizerJson::parse(tokenizer_json)
            .map_err(|source| Error::Json { file: "tokenizer.json", source })?;
        let added = outline.added_tokens();
        let kind = match Pieces::of(&definition) {
            _ if definition.spells_words_in_bytes() => Kind::ByteLevel(Additions::of(&definition)),
            Some(pieces) => Kind::Pieces(pieces, IdSet::of_added(outline)),
            None => return Ok(None),
        };
        let ids = definition.model.vocab.0.iter().map(|(_, id)| *id).chain(added.iter().map(|(id, _)| *id));
        if ids.max().is_some_and(|id| id > ID_MAX) {
            return Ok(None);
        }
        let mut all = Self { bytes: Vec::new(), starts: Vec::new(), lengths: Vec::new(), kind };
        for (token, id) in &definition.model.vocab.0 {
            let bytes = match &all.kind {
                Kind::ByteLevel(_) => spell::bytes_of(token),
                Kind::Pieces(pieces, _) => Some(pieces.bytes_of(token, &definition.model)),
            };
            if let Some(bytes) = bytes {
                all.put(*id, &bytes);
            }
        }
        // An added token is the text that it is spelled as, whatever the vocabulary says of its id.
        for (id, token) in added {
            all.put(id, token.content.as_bytes());
        }
        Ok(Some(all))
    }

    fn put(&mut self, id: u32, bytes: &[u8]) {
        let fits = "a file of 50 MB has fewer than 2^32 bytes of tokens";
        let before = self.bytes_of(id);
        if !before.is_empty()
            && before != bytes
            && let Kind::ByteLevel(additions) = &mut self.kind
        {
            // Of which of them the id is a token says nothing.
            *additions = Additions::Any;
        }
        let id = id as usize;
        if self.starts.len() <= id {
            self.starts.resize(id + 1, 0);
            self.lengths.resize(id + 1, 0);
        }
        self.starts[id] = u32::try_from(self.bytes.len()).expect(fits);
        self.lengths[id] = u32::try_from(bytes.len()).expect(fits);
        self.bytes.extend_from_slice(bytes);
    }

    fn length(&self, id: u32) -> usize {
        self.lengths.get(id as usize).map_or(0, |length| *length as usize)
    }

    fn bytes_of(&self, id: u32) -> &[u8] {
        let start = self.starts.get(id as usize).map_or(0, |start| *start as usize);
        &self.bytes[start..start + self.length(id)]
    }

    /// Appends the bytes of `text` that each of `ids` stands for; `false`, with nothing appended, where they are not what it
    /// has.
    pub(super) fn ranges(&self, text: &str, ids: &[u32], ranges: &mut Vec<Range<usize>>) -> bool {
        match &self.kind {
            Kind::ByteLevel(additions) => self.ranges_of_bytes(*additions, text, ids, ranges),
            Kind::Pieces(pieces, added) => {
                let token = |id: &u32| SpelledToken { bytes: self.bytes_of(*id), is_added: added.has(*id) };
                pieces.ranges(text, ids.iter().map(token), ranges)
            }
        }
    }

    fn ranges_of_bytes(
        &self,
        additions: Additions,
        text: &str,
        ids: &[u32],
        ranges: &mut Vec<Range<usize>>,
    ) -> bool {
        let before = ranges.len();
        let mut end = 0;
        let mut has_empty = false;
        ranges.extend(ids.iter().map(|id| {
            let start = end;
            end += self.length(*id);
            has_empty |= start == end;
            start..end
        }));
        let only_cuts = match additions {
            Additions::None => true,
            Additions::BeyondAscii => text.is_ascii(),
            Additions::Any => false,
        };
        let are_equal = || {
            ids.iter()
                .zip(&ranges[before..])
                .all(|(id, range)| &text.as_bytes()[range.clone()] == self.bytes_of(*id))
        };
        let is_all = end == text.len() && !has_empty && (only_cuts || are_equal());
        if !is_all {
            ranges.truncate(before);
        }
        is_all
    }
}
