//! What becomes of a text before it is split into words.

use std::borrow::Cow;

use unicode_normalization_alignments::UnicodeNormalization;

use crate::metaspace;
use crate::unicode;

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Normalizer {
    None,
    /// Unicode's normalization form C.
    Nfc,
    /// SentencePiece's spaces ([`crate::metaspace`]), one more of them first if it `prepends`.
    Metaspace {
        prepends: bool,
    },
}

impl Normalizer {
    pub(crate) fn normalized(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(text),
            Self::Nfc if unicode::is_inert(text) => Cow::Borrowed(text),
            Self::Nfc => Cow::Owned(text.nfc().map(|(c, _)| c).collect()),
            Self::Metaspace { prepends } => metaspace::spaced(text, prepends),
        }
    }
}
