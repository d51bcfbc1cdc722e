//! A pre-tokenizer as a `tokenizer.json` has it.

use serde::Deserialize;

use crate::character_kind::CharacterKind;
use crate::error::{Error, refuse, unsupported};
use crate::metaspace::{METASPACE, Metaspace, MetaspacePrefix};
use crate::pattern::Pattern;
use crate::pre_tokenizer::PreTokenizer;
use crate::split_step::{BEHAVIORS, Behavior, Delimiter, SplitStep};
use crate::splitting::Splitting;
use crate::word_steps::WordStep;

/// A pre-tokenizer, which may be a list of them.
#[derive(Deserialize)]
pub(crate) struct PreTokenizerPart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    pretokenizers: Vec<Self>,
    pattern: Option<Sought>,
    #[serde(default)]
    behavior: String,
    #[serde(default)]
    invert: bool,
    #[serde(default)]
    individual_digits: bool,
    add_prefix_space: Option<bool>,
    use_regex: Option<bool>,
    replacement: Option<String>,
    prepend_scheme: Option<String>,
    split: Option<bool>,
    delimiter: Option<char>,
}

/// What is looked for in a text.
#[derive(Deserialize)]
pub(crate) enum Sought {
    Regex(String),
    String(String),
}

impl PreTokenizerPart {
    /// All of them, one after another.
    pub(crate) fn flatten<'a>(&'a self, parts: &mut Vec<&'a Self>) {
        match &*self.kind {
            "Sequence" => self.pretokenizers.iter().for_each(|part| part.flatten(parts)),
            _ => parts.push(self),
        }
    }

    /// Whether it splits at spaces, of which none is left where all are `▁`.
    pub(crate) fn splits_at_spaces(&self) -> bool {
        let is_space = matches!(&self.pattern, Some(Sought::String(string)) if string == " ");
        self.kind == "Split" && is_space && !self.invert
    }

    /// Whether words are spelled in a letter for each byte behind it.
    pub(crate) fn is_byte_level(&self) -> bool {
        self.kind == "ByteLevel"
    }

    fn metaspace(&self, collapses: bool) -> Result<Metaspace, Error> {
        let prefix = match (self.prepend_scheme.as_deref(), self.add_prefix_space) {
            (Some("never"), _) | (_, Some(false)) => MetaspacePrefix::Never,
            (Some("first"), _) => MetaspacePrefix::First,
            (Some("always") | None, _) => MetaspacePrefix::Always,
            (Some(other), _) => return Err(unsupported(format!("its prepend scheme is {other:?}"))),
        };
        let replacement = self.replacement.as_deref().unwrap_or(METASPACE);
        refuse(replacement != METASPACE, &format!("spaces become {replacement:?}"))?;
        let splits = self.split.unwrap_or(true);
        let is_odd = collapses && (!splits || prefix != MetaspacePrefix::Always);
        refuse(is_odd, "its words between white space begin with a space at times")?;
        Ok(Metaspace { collapses, prefix, splits })
    }

    /// The expression whose matches are pieces, as is what is between.
    fn isolated(&self) -> Option<&str> {
        match &self.pattern {
            Some(Sought::Regex(regex)) if self.kind == "Split" && self.behavior == "Isolated" => Some(regex),
            _ => None,
        }
    }

    /// The steps of one by itself.
    fn steps(&self) -> Result<Vec<SplitStep>, Error> {
        let other = || unsupported(format!("its pre-tokenizer is a {} of another kind", self.kind));
        let split = |delimiter, behavior| SplitStep::Split { delimiter, inverted: false, behavior };
        let white_space = || split(Delimiter::Character(CharacterKind::WhiteSpace), Behavior::Removed);
        Ok(match (&*self.kind, &self.pattern) {
            ("WhitespaceSplit", _) => vec![white_space()],
            ("Whitespace", _) => {
                vec![white_space(), split(Delimiter::Character(CharacterKind::Word), Behavior::Contiguous)]
            }
            ("BertPreTokenizer", _) => {
                vec![
                    white_space(),
                    split(Delimiter::Character(CharacterKind::Punctuation), Behavior::Isolated),
                ]
            }
            ("CharDelimiterSplit", _) => {
                vec![split(
                    Delimiter::Character(CharacterKind::one(self.delimiter.ok_or_else(other)?)),
                    Behavior::Removed,
                )]
            }
            ("Digits", _) if self.individual_digits => {
                vec![split(Delimiter::Character(CharacterKind::Number), Behavior::Isolated)]
            }
            ("Digits", _) => vec![split(Delimiter::Character(CharacterKind::Number), Behavior::Contiguous)],
            ("Punctuation", _) => {
                vec![split(
                    Delimiter::Character(CharacterKind::Punctuation),
                    self.behavior().ok_or_else(other)?,
                )]
            }
            ("Split", Some(Sought::Regex(regex)))
                if self.behavior == "Removed"
                    && self.invert
                    && let Some(pattern) = Pattern::of(&[regex])
                    && (pattern.covers_texts() || pattern.covers_words()) =>
            {
                // Where an expression covers texts completely, to isolate matches is to remove what is none.
                let between = if pattern.covers_words() { Some(white_space()) } else { None };
                between.into_iter().chain([SplitStep::Pattern(pattern)]).collect()
            }
            ("Split", Some(pattern)) => {
                let behavior = self.behavior().ok_or_else(other)?;
                let delimiter = match pattern {
                    Sought::Regex(regex) => Delimiter::regex(regex)?,
                    Sought::String(string) => Delimiter::regex(&escaped(string))?,
                };
                vec![SplitStep::Split { delimiter, inverted: self.invert, behavior }]
            }
            ("Split", None) => return Err(other()),
            (kind, _) => return Err(unsupported(format!("its pre-tokenizer is {kind}"))),
        })
    }

    /// The step of one that comes behind `ByteLevel`, where each byte is a letter.
    fn step_behind_byte_level(&self) -> Result<SplitStep, Error> {
        Ok(SplitStep::Word(match (&*self.kind, self.isolated()) {
            ("Digits", _) if self.individual_digits => WordStep::Number,
            ("Digits", _) => WordStep::Numbers,
            (_, Some("[0-9][0-9][0-9]" | "[0-9]{3}")) if !self.invert => WordStep::ThreeDigits,
            (kind, _) => {
                return Err(unsupported(format!("its pre-tokenizer goes on with {kind} behind ByteLevel")));
            }
        }))
    }

    fn behavior(&self) -> Option<Behavior> {
        BEHAVIORS.iter().find(|(_, name)| *name == self.behavior).map(|(behavior, _)| *behavior)
    }

    /// Whether it takes a space for what it takes a `▁` for.
    fn treats_metaspace_as_space(&self) -> bool {
        matches!(&*self.kind, "Digits" | "Punctuation")
    }
}

/// How texts are split by a list of pre-tokenizers.
pub(crate) fn splitting(parts: &[&PreTokenizerPart]) -> Result<Splitting, Error> {
    let (metaspace, rest) = match parts {
        [first, second, rest @ ..] if first.kind == "WhitespaceSplit" && second.kind == "Metaspace" => {
            (Some(second.metaspace(true)?), rest)
        }
        [first, rest @ ..] if first.kind == "Metaspace" => (Some(first.metaspace(false)?), rest),
        _ => (None, parts),
    };
    let mut steps = Vec::new();
    if let Some(metaspace) = metaspace.filter(|_| !rest.is_empty()) {
        let are_alike = rest.iter().all(|part| part.treats_metaspace_as_space());
        refuse(!are_alike, "its pre-tokenizer goes on behind Metaspace")?;
        if metaspace.splits {
            let (delimiter, behavior) =
                (Delimiter::Character(CharacterKind::one(' ')), Behavior::MergedWithNext);
            steps.push(SplitStep::Split { delimiter, inverted: false, behavior });
        }
    }
    let (rest, byte_level, behind) = match rest.iter().position(|part| part.is_byte_level()) {
        Some(place) => (&rest[..place], Some(rest[place]), &rest[place + 1..]),
        None => (rest, None, &[][..]),
    };
    steps.extend(known_steps(rest)?);
    if let Some(byte_level) = byte_level {
        let prepends = byte_level.add_prefix_space.unwrap_or(true);
        refuse(prepends && !rest.is_empty(), "a space is put before each of its words")?;
        if byte_level.use_regex.unwrap_or(true) {
            steps.extend(match steps.last() {
                // Its words are GPT-2's, too.
                Some(SplitStep::Pattern(Pattern::Clip)) => None,
                Some(SplitStep::Pattern(Pattern::ClipTokens)) => Some(SplitStep::Word(WordStep::ClipTokens)),
                _ => Some(SplitStep::Pattern(Pattern::Gpt2)),
            });
        }
        for part in behind {
            steps.push(part.step_behind_byte_level()?);
        }
        refuse(steps.is_empty(), "its texts are not split")?;
        let steps = Some(PreTokenizer::new(steps));
        return Ok(Splitting { prepends_space: prepends, metaspace, steps, marks_ends: false });
    }
    let steps = if steps.is_empty() { None } else { Some(PreTokenizer::new(steps)) };
    Ok(Splitting { prepends_space: false, metaspace, steps, marks_ends: false })
}

/// The steps of a list, those that have a matcher together as one.
fn known_steps(mut parts: &[&PreTokenizerPart]) -> Result<Vec<SplitStep>, Error> {
    let mut steps = Vec::new();
    while let Some(first) = parts.first() {
        // The longest list of expressions that has a matcher.
        let known = (1..=parts.len()).rev().find_map(|count| {
            let regexes: Option<Vec<_>> = parts[..count].iter().map(|part| part.isolated()).collect();
            Some((Pattern::of(&regexes?)?, count))
        });
        let (found, count) = match known {
            Some((pattern, count)) => (vec![SplitStep::Pattern(pattern)], count),
            None => (first.steps()?, 1),
        };
        steps.extend(found);
        parts = &parts[count..];
    }
    Ok(steps)
}

/// The regular expression that matches `string` alone.
fn escaped(string: &str) -> String {
    let escape = |c: char| c.is_ascii_punctuation().then_some('\\').into_iter().chain([c]);
    string.chars().flat_map(escape).collect()
}
