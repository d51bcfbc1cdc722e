//! What becomes of a text before it is split into words: steps, each of which changes what the one before it left.
//!
//! Most texts need none of it, or are ASCII but for a few characters, so what is ASCII is taken in one go, and the tables of
//! Unicode are asked about the rest. They are those of the reference: its own libraries.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use onig::Regex;
use unicode_normalization_alignments::UnicodeNormalization;

use crate::bert::BertNormalizer;
use crate::categories::{self, COMPATIBLE, DECOMPOSED, MARK, has_none};
use crate::charsmap::Charsmap;
use crate::error::Error;
use crate::matches::{Matches, regex};
use crate::metaspace;
use crate::runs::{Along, beyond_ascii};
use crate::unicode;

/// The steps, if there are any.
#[derive(Debug, Default)]
pub(crate) struct Normalizer {
    steps: Vec<NormalizerStep>,
}

/// One change.
#[derive(Debug)]
pub(crate) enum NormalizerStep {
    /// One of Unicode's normalization forms.
    Form(Form),
    /// Letters to lower case, one by one.
    Lowercase,
    /// Combining marks are left out.
    StripAccents,
    /// White space at the ends is left out.
    Strip { left: bool, right: bool },
    /// As BERT has it.
    Bert(BertNormalizer),
    /// Matches become something else.
    Replace { replaced: Replaced, content: String },
    /// Something is put before a text that is not empty.
    Prepend(String),
    /// Control characters are left out, and white space becomes spaces, as in Google's neural machine translation.
    Nmt,
    /// What SentencePiece made of a table of replacements.
    Charsmap(Charsmap),
    /// SentencePiece's spaces ([`crate::metaspace`]), one more of them first if it `prepends`. It is the last step.
    Metaspace { prepends: bool },
}

/// Unicode's normalization forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// All of them, by the names that files have.
pub(crate) const FORMS: [(Form, &str); 4] =
    [(Form::Nfc, "NFC"), (Form::Nfd, "NFD"), (Form::Nfkc, "NFKC"), (Form::Nfkd, "NFKD")];

/// What is replaced.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// A string, which is not empty.
    String(String),
    /// Two spaces or more, one after another: ` {2,}`.
    Spaces,
    /// White space: `\s+`.
    WhiteSpace,
    /// What matches the regular expression that is spelled so.
    Regex(String, Regex),
}

const SPACES: &str = " {2,}";
const WHITE_SPACE: &str = r"\s+";

impl Normalizer {
    pub(crate) fn new(steps: Vec<NormalizerStep>) -> Self {
        Self { steps }
    }

    pub(crate) fn steps(&self) -> &[NormalizerStep] {
        &self.steps
    }

    /// Whether spaces stand for `▁` in what comes out.
    pub(crate) fn has_metaspace(&self) -> bool {
        matches!(self.steps.last(), Some(NormalizerStep::Metaspace { .. }))
    }

    /// Whether a text may lose its first character.
    pub(crate) fn may_remove_the_first(&self) -> bool {
        let keeps_it = |step: &NormalizerStep| {
            use NormalizerStep::{Form, Lowercase, Metaspace, Prepend};
            matches!(step, Form(_) | Lowercase | Prepend(_) | Metaspace { .. })
        };
        !self.steps.iter().all(keeps_it)
    }

    /// What becomes of `text`.
    ///
    /// # Errors
    /// [`Error::Regex`]: the library gives up over the text.
    pub(crate) fn normalized<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, Error> {
        let mut text = Cow::Borrowed(text);
        for step in &self.steps {
            let changed = match step.changed(&text)? {
                Cow::Owned(changed) => changed,
                // A part of it, or all.
                Cow::Borrowed(rest) if rest.len() == text.len() => continue,
                Cow::Borrowed(rest) => rest.to_owned(),
            };
            text = Cow::Owned(changed);
        }
        Ok(text)
    }
}

impl NormalizerStep {
    fn changed<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, Error> {
        Ok(match self {
            Self::Form(form) => form.of(text),
            Self::Lowercase => lowercase(text),
            Self::StripAccents if has_none(text, MARK) => Cow::Borrowed(text),
            Self::StripAccents => Cow::Owned(text.chars().filter(|c| !categories::has(*c, MARK)).collect()),
            Self::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { text };
                Cow::Borrowed(if *right { text.trim_end() } else { text })
            }
            Self::Bert(bert) => bert.normalized(text),
            Self::Replace { replaced, content } => replaced.replace(text, content)?,
            Self::Prepend(_) if text.is_empty() => Cow::Borrowed(text),
            Self::Prepend(prepended) => Cow::Owned([prepended, text].concat()),
            Self::Nmt => Cow::Owned(text.chars().filter_map(nmt).collect()),
            Self::Charsmap(charsmap) => charsmap.normalized(text)?,
            Self::Metaspace { prepends } => metaspace::spaced(text, *prepends),
        })
    }
}

impl Form {
    fn of(self, text: &str) -> Cow<'_, str> {
        let is_itself = match self {
            Self::Nfc => text.is_ascii() || unicode::is_inert(text),
            Self::Nfd => has_none(text, DECOMPOSED),
            Self::Nfkc | Self::Nfkd => has_none(text, COMPATIBLE),
        };
        if is_itself {
            return Cow::Borrowed(text);
        }
        // No character of ASCII is composed with one before it, or changes places.
        beyond_ascii(text, Along::Before, |part, out| match self {
            Self::Nfc => out.extend(part.nfc().map(|(c, _)| c)),
            Self::Nfd => out.extend(part.nfd().map(|(c, _)| c)),
            Self::Nfkc => out.extend(part.nfkc().map(|(c, _)| c)),
            Self::Nfkd => out.extend(part.nfkd().map(|(c, _)| c)),
        })
    }
}

/// Each letter becomes what it is in lower case by itself, whatever stands around it.
fn lowercase(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let change = |part: &str, out: &mut String| out.extend(part.chars().flat_map(char::to_lowercase));
    let mut lower = beyond_ascii(text, Along::None, change).into_owned();
    lower.make_ascii_lowercase();
    Cow::Owned(lower)
}

/// The next run of white space from `at` on.
fn white_space(text: &str, mut at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    loop {
        at += bytes[at..].iter().position(|&byte| byte <= b' ' || byte >= 0x80)?;
        if bytes[at] == b' ' && bytes.get(at + 1).is_some_and(u8::is_ascii_graphic) {
            return Some(at..at + 1);
        }
        let rest = &text[at..];
        match rest.len() - rest.trim_start().len() {
            0 => at += unicode::length(bytes[at]),
            len => return Some(at..at + len),
        }
    }
}

fn nmt(c: char) -> Option<char> {
    match u32::from(c) {
        0x01..=0x08 | 0x0b | 0x0e..=0x1f | 0x7f | 0x8f | 0x9f => None,
        0x09 | 0x0a | 0x0c | 0x0d | 0x1680 | 0x200b..=0x200f | 0x2028 | 0x2029 | 0x2581 | 0xfeff | 0xfffd => {
            Some(' ')
        }
        _ => Some(c),
    }
}

impl Replaced {
    /// A regular expression, as the reference reads it.
    pub(crate) fn regex(spelled: &str) -> Result<Self, Error> {
        Ok(match spelled {
            SPACES => Self::Spaces,
            WHITE_SPACE => Self::WhiteSpace,
            _ => Self::Regex(spelled.to_owned(), regex(spelled)?),
        })
    }

    /// As it is spelled, and whether it is a regular expression.
    pub(crate) fn spelled(&self) -> (&str, bool) {
        match self {
            Self::String(string) => (string, false),
            Self::Spaces => (SPACES, true),
            Self::WhiteSpace => (WHITE_SPACE, true),
            Self::Regex(spelled, _) => (spelled, true),
        }
    }

    fn replace<'a>(&self, text: &'a str, content: &str) -> Result<Cow<'a, str>, Error> {
        let mut replaced = String::new();
        let mut end = 0;
        let mut put = |start: usize, behind: usize| {
            replaced.push_str(&text[end..start]);
            replaced.push_str(content);
            end = behind;
        };
        match self {
            Self::String(string) => {
                memmem::find_iter(text.as_bytes(), string).for_each(|start| put(start, start + string.len()))
            }
            Self::Spaces => {
                let mut at = 0;
                while let Some(found) = memmem::find(&text.as_bytes()[at..], b"  ") {
                    let start = at + found;
                    at = start + text.as_bytes()[start..].iter().take_while(|byte| **byte == b' ').count();
                    put(start, at);
                }
            }
            Self::WhiteSpace => {
                let mut at = 0;
                while let Some(found) = white_space(text, at) {
                    at = found.end;
                    // Most are what they become already.
                    if found.len() != content.len() || text[found.clone()] != *content {
                        put(found.start, found.end);
                    }
                }
            }
            Self::Regex(spelled, regex) => {
                let mut matches = Matches::new();
                if !text.is_empty() {
                    matches.begin(0);
                }
                while let Some(found) = matches.next(spelled, regex, text, 0)? {
                    put(found.start, found.end);
                }
            }
        }
        if end == 0 && replaced.is_empty() {
            return Ok(Cow::Borrowed(text));
        }
        replaced.push_str(&text[end..]);
        Ok(Cow::Owned(replaced))
    }
}
