//! WordPiece: the longest token that a word begins with, then the longest that continues it, and so on; a word that comes to
//! no end is one unknown token (Wu et al., "Google's Neural Machine Translation System", 2016, as BERT has it).

use crate::error::Error;
use crate::ids::Ids;
use crate::spelling::Spelling;
use crate::tokenizer_json::ModelJson;
use crate::trie::Trie;
use crate::words::Word;

/// Where nothing else is said, words of more characters are unknown.
const CHARS_MAX: u32 = 100;

/// What defines it, apart from the tokens that words may begin with.
#[derive(Clone, Debug)]
pub(crate) struct WordPieceTokens {
    /// Tokens that continue a word, without their prefix.
    pub(crate) continuing: Vec<Word>,
    pub(crate) unknown: u32,
    /// Longer words, in characters, are unknown.
    pub(crate) chars_max: u32,
}

impl WordPieceTokens {
    /// Also returns the words that are one token.
    pub(crate) fn new(
        model: &ModelJson<'_>,
        ids: &Ids<'_>,
        spelling: Spelling,
    ) -> Result<(Self, Vec<Word>), Error> {
        let prefix = model.continuing_prefix()?;
        let continuing = |(token, id): &(&str, u32)| {
            let bytes = spelling.word_of(token.strip_prefix(prefix)?).filter(|bytes| !bytes.is_empty())?;
            Some(Word { bytes, id: *id, merges: true })
        };
        let chars_max = model.max_input_chars_per_word.unwrap_or(CHARS_MAX);
        let tokens = Self {
            continuing: ids.list().iter().filter_map(continuing).collect(),
            unknown: ids.get(model.unknown_token()?)?,
            chars_max,
        };
        let mut words = spelling.words(ids);
        words.retain(|word| characters(&word.bytes) <= chars_max as usize);
        Ok((tokens, words))
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WordPiece {
    beginning: Trie,
    continuing: Trie,
    tokens: WordPieceTokens,
}

impl WordPiece {
    pub(crate) fn new(beginning: &[Word], tokens: WordPieceTokens) -> Self {
        Self { beginning: Trie::new(beginning), continuing: Trie::new(&tokens.continuing), tokens }
    }

    pub(crate) fn tokens(&self) -> &WordPieceTokens {
        &self.tokens
    }

    /// Appends the tokens of `word`, which is UTF-8.
    pub(crate) fn encode(&self, word: &[u8], out: &mut Vec<u32>) {
        let from = out.len();
        let is_too_long = || characters(word) > self.tokens.chars_max as usize;
        let mut at = 0;
        while at < word.len() {
            let trie = if at == 0 { &self.beginning } else { &self.continuing };
            let longest = if at == 0 && is_too_long() { None } else { trie.longest(&word[at..]) };
            let Some((len, id)) = longest else {
                out.truncate(from);
                out.push(self.tokens.unknown);
                return;
            };
            out.push(id);
            at += len;
        }
    }
}

/// How many characters a part of UTF-8 has.
pub(crate) fn characters(word: &[u8]) -> usize {
    word.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}
