//! Unigram language models: of all ways to make a text of tokens the one whose scores have the greatest sum (T. Kudo, "Subword
//! Regularization", 2018), found by going once through the text (Viterbi), in the reference's order of additions.

use crate::error::{Error, refuse, unsupported};
use crate::ids::Ids;
use crate::merges::NO_TOKEN;
use crate::metaspace::METASPACE;
use crate::spelling::Spelling;
use crate::tokenizer_json::{ModelJson, Vocab};
use crate::trie::Trie;
use crate::unicode::{is_in_texts, length};
use crate::words::Word;

/// What a character without a token costs more than the least probable token.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Shortest part, in bytes, that is done before the rest of a word: what is remembered of each byte takes sixteen.
const PART_MIN: usize = 256;

/// Most places that are remembered from one word to the next.
const KEPT_LEN_MAX: usize = 1 << 20;

/// What defines it, apart from the tokens that are their own best way.
#[derive(Clone, Debug)]
pub(crate) struct UnigramTokens {
    /// All that texts may have, and whether each is its own best way.
    pub(crate) pieces: Vec<Word>,
    /// The score of each id.
    pub(crate) scores: Vec<f64>,
    pub(crate) unknown: u32,
    /// The token of each byte, if unknown characters are spelled in bytes.
    pub(crate) bytes: Option<Box<[u32; 256]>>,
    /// Whether a space stands for `▁`.
    pub(crate) has_metaspace: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Unigram {
    trie: Trie,
    tokens: UnigramTokens,
    unknown_score: f64,
    /// The length in bytes of the longest token.
    longest: usize,
}

/// The best way to a place in a text.
#[derive(Clone, Copy, Debug)]
struct Step {
    score: f64,
    /// How long its last token is; 0 where no way leads to.
    len: u32,
    id: u32,
}

impl Step {
    const NONE: Self = Self { score: 0.0, len: 0, id: 0 };
}

/// Working memory.
#[derive(Debug, Default)]
pub(crate) struct UnigramScratch {
    steps: Vec<Step>,
}

impl UnigramTokens {
    /// Also returns the words that are one token.
    pub(crate) fn new(
        model: &ModelJson<'_>,
        ids: &Ids<'_>,
        spelling: Spelling,
    ) -> Result<(Self, Vec<Word>), Error> {
        let Vocab::Scores(scores) = &model.vocab else {
            return Err(unsupported("its tokens have no scores"));
        };
        let unknown = model.unk_id.ok_or_else(|| unsupported("it says no unknown token"))?;
        refuse(unknown as usize >= scores.len(), "its unknown token is not in the vocabulary")?;
        let mut bytes = Box::new([NO_TOKEN; 256]);
        let spells_bytes = model.byte_fallback == Some(true);
        for (byte, id) in (0..=255_u8).zip(&mut *bytes).filter(|_| spells_bytes) {
            match ids.find(&format!("<{byte:#04X}>")) {
                Some(found) => *id = found,
                None => refuse(is_in_texts(byte), &format!("the byte {byte:#04X} has no token"))?,
            }
        }
        let tokens = Self {
            pieces: spelling.words(ids),
            scores: scores.iter().map(|(_, score)| *score).collect(),
            unknown,
            bytes: spells_bytes.then_some(bytes),
            has_metaspace: spelling == Spelling::Metaspace,
        };
        let mut engine = Unigram::new(tokens);
        let (mut scratch, mut found) = (UnigramScratch::default(), Vec::new());
        let mut pieces = std::mem::take(&mut engine.tokens.pieces);
        for piece in &mut pieces {
            found.clear();
            engine.encode(&mut scratch, &piece.bytes, &mut found);
            piece.merges = found == [piece.id];
        }
        let tokens = Self { pieces, ..engine.tokens };
        let words = tokens.words();
        Ok((tokens, words))
    }

    /// The words that are one token.
    pub(crate) fn words(&self) -> Vec<Word> {
        self.pieces.iter().filter(|piece| piece.merges).cloned().collect()
    }

    /// The score of a character that no token has.
    fn unknown_score(&self) -> f64 {
        self.scores.iter().copied().fold(f64::INFINITY, f64::min) - UNKNOWN_PENALTY
    }
}

impl Unigram {
    pub(crate) fn new(tokens: UnigramTokens) -> Self {
        let longest = tokens.pieces.iter().map(|piece| piece.bytes.len()).max().unwrap_or(0);
        Self { trie: Trie::new(&tokens.pieces), unknown_score: tokens.unknown_score(), longest, tokens }
    }

    pub(crate) fn tokens(&self) -> &UnigramTokens {
        &self.tokens
    }

    /// Appends the tokens of `word`, which is UTF-8.
    pub(crate) fn encode(&self, scratch: &mut UnigramScratch, word: &[u8], out: &mut Vec<u32>) {
        let steps = &mut scratch.steps;
        let (mut start, mut score) = (0, 0.0);
        while start < word.len() {
            let len = self.find(steps, &word[start..], score);
            self.trace(steps, &word[start..start + len], out);
            score = steps[len].score;
            start += len;
        }
        if steps.capacity() > KEPT_LEN_MAX {
            *steps = Vec::new();
        }
    }

    /// Fills `steps` with the best way to each place in `word`, or in the first part of it that no token crosses the end of,
    /// and returns the length of that. What leads to the word has the score `so_far`.
    #[inline(always)]
    fn find(&self, steps: &mut Vec<Step>, word: &[u8], so_far: f64) -> usize {
        steps.clear();
        steps.push(Step { score: so_far, ..Step::NONE });
        let (mut start, mut farthest) = (0, 0);
        while start < word.len() {
            // Unknown characters are one token with those behind them.
            if start == farthest && start >= PART_MIN && steps[start].id != self.tokens.unknown {
                break;
            }
            let character = length(word[start]).min(word.len() - start);
            let needed = (start + self.longest.max(character)).min(word.len()) + 1;
            if steps.len() < needed {
                steps.resize(needed, Step::NONE);
            }
            let so_far = steps[start].score;
            let mut is_token = false;
            self.trie.prefixes(&word[start..], |len, id| {
                is_token |= len == character;
                farthest = farthest.max(start + len);
                reach(&mut steps[start + len], so_far + self.tokens.scores[id as usize], len, id);
            });
            if !is_token {
                let score = so_far + self.unknown_score;
                farthest = farthest.max(start + character);
                reach(&mut steps[start + character], score, character, self.tokens.unknown);
            }
            start += character;
        }
        start
    }

    /// Appends the tokens of the way to the end of `word`.
    #[inline(always)]
    fn trace(&self, steps: &[Step], word: &[u8], out: &mut Vec<u32>) {
        let from = out.len();
        let mut end = word.len();
        while end > 0 {
            let mut start = end - steps[end].len as usize;
            if steps[end].id == self.tokens.unknown {
                while start > 0 && steps[start].id == self.tokens.unknown {
                    start -= steps[start].len as usize;
                }
                self.unknown(&word[start..end], out);
            } else {
                out.push(steps[end].id);
            }
            end = start;
        }
        out[from..].reverse();
    }

    /// Appends the tokens of unknown characters, the last one first.
    fn unknown(&self, text: &[u8], out: &mut Vec<u32>) {
        let Self { trie, tokens, .. } = self;
        if let Some(id) = trie.get(text) {
            return out.push(id);
        }
        let Some(bytes) = &tokens.bytes else { return out.push(tokens.unknown) };
        for byte in text.iter().rev() {
            match byte {
                b' ' if tokens.has_metaspace => {
                    out.extend(METASPACE.bytes().rev().map(|byte| bytes[usize::from(byte)]));
                }
                byte => out.push(bytes[usize::from(*byte)]),
            }
        }
    }
}

/// Takes the way if it is the first one or better than that which is known.
#[inline(always)]
fn reach(step: &mut Step, score: f64, len: usize, id: u32) {
    if step.len == 0 || score > step.score {
        *step = Step { score, len: len as u32, id };
    }
}
