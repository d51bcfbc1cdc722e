//! Spaces as SentencePiece has them.
//!
//! There a space becomes `▁`, so that a text that has one already has the same tokens as one with a space. Here it is the
//! other way round: `▁` becomes a space, in texts and in tokens alike, which takes one byte instead of three.

use std::borrow::Cow;

use memchr::memmem;

/// What a space is to SentencePiece.
pub(crate) const METASPACE: &str = "▁";

/// What the pre-tokenizer of this name does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metaspace {
    /// Whether white space is left out before, so that each piece between begins with a space of its own.
    pub(crate) collapses: bool,
    pub(crate) prefix: MetaspacePrefix,
    /// Whether each space begins a word.
    pub(crate) splits: bool,
}

/// Which texts get a space before them that begin with none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaspacePrefix {
    Always,
    /// Those at the beginning of a document, and not behind an added token.
    First,
    Never,
}

/// All of them, in the order of their numbers in a table file.
pub(crate) const PREFIXES: [MetaspacePrefix; 3] =
    [MetaspacePrefix::Always, MetaspacePrefix::First, MetaspacePrefix::Never];

impl Metaspace {
    /// A part of a text, which may be the first of a document.
    pub(crate) fn spaced<'a>(&self, text: &'a str, is_first: bool) -> Cow<'a, str> {
        if self.collapses {
            return Cow::Owned(collapsed(text));
        }
        let has_prefix = match self.prefix {
            MetaspacePrefix::Always => true,
            MetaspacePrefix::First => is_first,
            MetaspacePrefix::Never => false,
        };
        spaced(text, has_prefix && !text.starts_with([' ', '▁']))
    }
}

/// The pieces of a text between white space, each with a space before it, unless it begins with a `▁` already.
fn collapsed(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len() + 1);
    let has_metaspace = memmem::find(text.as_bytes(), METASPACE.as_bytes()).is_some();
    for piece in text.split_whitespace() {
        if has_metaspace {
            collapsed.push_str(if piece.starts_with(METASPACE) { "" } else { " " });
            collapsed.push_str(&spaced(piece, false));
        } else {
            collapsed.push(' ');
            collapsed.push_str(piece);
        }
    }
    collapsed
}

/// The text with a space for each `▁`, and one before it, unless it is empty, if that is so.
pub(crate) fn spaced(text: &str, prepends: bool) -> Cow<'_, str> {
    if text.is_empty() {
        return Cow::Borrowed(text);
    }
    // Most texts without it are told from others before a search is made ready.
    let has_metaspace = || !text.is_ascii() && memmem::find(text.as_bytes(), METASPACE.as_bytes()).is_some();
    if !(prepends || has_metaspace()) {
        return Cow::Borrowed(text);
    }
    let found = memmem::find_iter(text.as_bytes(), METASPACE);
    let mut spaced = String::with_capacity(text.len() + 1);
    spaced.push_str(if prepends { " " } else { "" });
    let mut start = 0;
    for at in found {
        spaced.push_str(&text[start..at]);
        spaced.push(' ');
        start = at + METASPACE.len();
    }
    spaced.push_str(&text[start..]);
    Cow::Owned(spaced)
}
