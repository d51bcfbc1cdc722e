//! How a text becomes words.

use std::borrow::Cow;

use crate::metaspace::Metaspace;
use crate::pre_tokenizer::PreTokenizer;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Splitting {
    /// Whether a space is put before a text that begins with none.
    pub(crate) prepends_space: bool,
    /// What becomes of spaces, first of all.
    pub(crate) metaspace: Option<Metaspace>,
    /// What finds words. Where there is none a word is all of a text, or each part of it that begins with a space, if
    /// `metaspace` splits there: byte pairs are then cut wherever no token reaches across.
    pub(crate) steps: Option<PreTokenizer>,
    /// Whether each word has its end behind it ([`crate::end_of_word`]).
    pub(crate) marks_ends: bool,
}

impl Splitting {
    /// What becomes of the spaces of a text without added tokens, which may be the first of a document.
    pub(crate) fn spaced<'t>(&self, text: &'t str, is_first: bool) -> Cow<'t, str> {
        let Self { prepends_space, metaspace, .. } = self;
        let spaced = metaspace.map_or(Cow::Borrowed(text), |metaspace| metaspace.spaced(text, is_first));
        match *prepends_space && !text.starts_with(' ') && !text.is_empty() {
            true => Cow::Owned([" ", text].concat()),
            false => spaced,
        }
    }
}
