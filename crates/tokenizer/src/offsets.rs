//! Where in a text its tokens stand.
//!
//! Of a byte-level tokenizer each token is some bytes of the text, one token after another, so the ids say it themselves;
//! whether they do is checked byte by byte. Where they do not (a normalizer changed the text, a space was put before it) and
//! for other tokenizers, the reference says it.

use std::ops::Range;

use super::definition::TokenizerJson;
use super::error::Error;
use super::reference::Outline;
use super::spell;

/// The bytes of each token of a byte-level tokenizer, by id.
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// Where the bytes of each id are; nothing for an id that there is none of.
    places: Vec<Range<u32>>,
}

impl TokenBytes {
    /// The bytes of the tokens; none where tokens are not made of bytes.
    ///
    /// # Errors
    /// The text of the `tokenizer.json` is none.
    pub(super) fn of(tokenizer_json: &str, outline: &Outline) -> Result<Option<Self>, Error> {
        let definition = TokenizerJson::parse(tokenizer_json)
            .map_err(|source| Error::Json { file: "tokenizer.json", source })?;
        if !definition.spells_words_in_bytes() {
            return Ok(None);
        }
        let mut all = Self { bytes: Vec::new(), places: Vec::new() };
        for (token, id) in &definition.model.vocab.0 {
            if let Some(bytes) = spell::bytes_of(token) {
                all.put(*id, &bytes);
            }
        }
        // An added token is the text that it is spelled as, whatever the vocabulary says of its id.
        for (id, token) in outline.added_tokens() {
            all.put(id, token.content.as_bytes());
        }
        Ok(Some(all))
    }

    fn put(&mut self, id: u32, bytes: &[u8]) {
        let place =
            |at: usize| u32::try_from(at).expect("a file of 50 MB has fewer than 2^32 bytes of tokens");
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let id = id as usize;
        if self.places.len() <= id {
            self.places.resize(id + 1, 0..0);
        }
        self.places[id] = place(start)..place(self.bytes.len());
    }

    /// Appends the bytes of `text` that each of `ids` stands for; `false`, with nothing appended, where they are not its
    /// bytes one after another.
    pub(super) fn ranges(&self, text: &str, ids: &[u32], ranges: &mut Vec<Range<usize>>) -> bool {
        let before = ranges.len();
        let mut at = 0;
        for id in ids {
            let place = self.places.get(*id as usize).cloned().unwrap_or_default();
            let bytes = &self.bytes[place.start as usize..place.end as usize];
            if bytes.is_empty() || !text.as_bytes()[at..].starts_with(bytes) {
                break;
            }
            ranges.push(at..at + bytes.len());
            at += bytes.len();
        }
        let is_all = at == text.len() && ranges.len() - before == ids.len();
        if !is_all {
            ranges.truncate(before);
        }
        is_all
    }
}
