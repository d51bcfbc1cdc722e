//! How a text becomes words, and what merging makes of a word at first.

use crate::metaspace::Metaspace;
use crate::pre_tokenizer::PreTokenizer;

/// How a text becomes words.
#[derive(Debug)]
pub(crate) enum Splitting {
    /// By what its pre-tokenizer finds.
    Steps(PreTokenizer),
    /// All of it is one word, or each part of it that begins with a space: it is cut wherever no token reaches across.
    Cuts { metaspace: Option<Metaspace> },
}

/// What merging begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// Bytes, each of which has a token.
    Bytes,
    /// Characters that have a token; others are spelled in bytes, whose tokens merge with nothing.
    Characters,
}
