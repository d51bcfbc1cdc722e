//! What makes tokens of a word that is none itself.

use crate::atoms::Atoms;
use crate::bpe_definition::Alphabet;
use crate::cuts::Cuts;
use crate::merges::Merges;
use crate::merging;
use crate::unigram::{Unigram, UnigramScratch};
use crate::unknown::Unknown;
use crate::word_piece::WordPiece;

/// See the [module](self).
#[derive(Debug)]
pub(crate) enum SubwordModel {
    Bpe(Box<Bpe>),
    WordPiece(WordPiece),
    Unigram(Unigram),
    /// All other words are this token.
    WordLevel {
        unknown: u32,
    },
}

/// A byte-pair encoding.
#[derive(Debug)]
pub(crate) struct Bpe {
    pub(crate) alphabet: Alphabet,
    pub(crate) merges: Merges,
    pub(crate) atoms: Atoms,
    /// Where words may be cut.
    pub(crate) cuts: Cuts,
    /// What becomes of characters without a token that are not spelled in bytes.
    pub(crate) unknown: Option<Unknown>,
}

impl Bpe {
    fn encode(&self, word: &[u8], work: &mut merging::Workspace, out: &mut Vec<u32>) {
        match self.unknown {
            None => self.merges.encode(&self.atoms, word, work, out),
            Some(unknown) => unknown.encode(&self.merges, &self.atoms, word, work, out),
        }
    }
}

/// Working memory.
#[derive(Debug, Default)]
pub(crate) struct ModelScratch {
    pub(crate) merging: merging::Workspace,
    unigram: UnigramScratch,
}

impl SubwordModel {
    /// Appends the tokens of `word` to `out`.
    ///
    /// # Panics
    /// If the word has 2³¹ bytes or more.
    pub(crate) fn encode(&self, word: &[u8], work: &mut ModelScratch, out: &mut Vec<u32>) {
        match self {
            Self::Bpe(bpe) => bpe.encode(word, &mut work.merging, out),
            Self::WordPiece(word_piece) => word_piece.encode(word, out),
            Self::Unigram(unigram) => unigram.encode(&mut work.unigram, word, out),
            Self::WordLevel { unknown } => out.push(*unknown),
        }
    }

    /// A byte-pair encoding, if it is one.
    #[inline(always)]
    pub(crate) fn bpe(&self) -> Option<&Bpe> {
        match self {
            Self::Bpe(bpe) => Some(bpe),
            _ => None,
        }
    }
}
