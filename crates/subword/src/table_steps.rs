//! Steps of normalizers and pre-tokenizers as members of the lists of a table file: some bytes, and a number that says what
//! they are.

use crate::bert::BertNormalizer;
use crate::character_kind::CharacterKind;
use crate::charsmap::Charsmap;
use crate::metaspace::{Metaspace, PREFIXES};
use crate::normalizer::{FORMS, NormalizerStep, Replaced};
use crate::pattern::PATTERNS;
use crate::pre_tokenizer::PreTokenizer;
use crate::split_step::{BEHAVIORS, Delimiter, SplitStep};
use crate::splitting::Splitting;
use crate::word_steps::WORD_STEPS;

/// What a step is: the highest byte of its number.
const KIND: u32 = 0xff00_0000;
const fn kind(number: u32) -> u32 {
    number << 24
}

const FORM: u32 = kind(1);
const LOWERCASE: u32 = kind(2);
const STRIP_ACCENTS: u32 = kind(3);
const STRIP: u32 = kind(4);
const BERT: u32 = kind(5);
const REPLACE_STRING: u32 = kind(6);
const REPLACE_REGEX: u32 = kind(7);
/// What is put in the place of what the member before it says.
const CONTENT: u32 = kind(8);
const PREPEND: u32 = kind(9);
const NMT: u32 = kind(10);
const CHARSMAP: u32 = kind(11);
const METASPACE: u32 = kind(12);

const PATTERN: u32 = kind(0);
const NUMBERS: u32 = kind(1);
const PUNCTUATION: u32 = kind(2);
const REGEX: u32 = kind(3);
const WHITE_SPACE: u32 = kind(4);
const WORD_CHARACTER: u32 = kind(5);
const CHARACTER: u32 = kind(6);
const WORD: u32 = kind(7);
const BEHAVIOR_SHIFT: u32 = 8;
const INVERTED: u32 = 1 << 16;

/// A number of up to four answers, the first one lowest.
fn bits<const N: usize>(answers: [bool; N]) -> u32 {
    answers.into_iter().rev().fold(0, |bits, answer| bits << 1 | u32::from(answer))
}

fn is_set(number: u32, bit: u32) -> bool {
    number >> bit & 1 != 0
}

/// The place of what is listed.
fn place<T: PartialEq>(list: &[(T, &str)], sought: &T) -> u32 {
    list.iter().position(|(known, _)| known == sought).expect("all are listed") as u32
}

pub(crate) fn normalizer_members(steps: &[NormalizerStep]) -> Vec<(&[u8], u32)> {
    let mut members: Vec<(&[u8], u32)> = Vec::new();
    for step in steps {
        let member: (&[u8], u32) = match step {
            NormalizerStep::Form(form) => (&[], FORM | place(&FORMS, form)),
            NormalizerStep::Lowercase => (&[], LOWERCASE),
            NormalizerStep::StripAccents => (&[], STRIP_ACCENTS),
            NormalizerStep::Strip { left, right } => (&[], STRIP | bits([*left, *right])),
            NormalizerStep::Bert(bert) => {
                let BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase } = *bert;
                (&[], BERT | bits([clean_text, handle_chinese_chars, strip_accents, lowercase]))
            }
            NormalizerStep::Replace { replaced, content } => {
                let (spelled, is_regex) = replaced.spelled();
                members.push((spelled.as_bytes(), if is_regex { REPLACE_REGEX } else { REPLACE_STRING }));
                (content.as_bytes(), CONTENT)
            }
            NormalizerStep::Prepend(prepended) => (prepended.as_bytes(), PREPEND),
            NormalizerStep::Nmt => (&[], NMT),
            NormalizerStep::Charsmap(charsmap) => (charsmap.base64().as_bytes(), CHARSMAP),
            NormalizerStep::Metaspace { prepends } => (&[], METASPACE | u32::from(*prepends)),
        };
        members.push(member);
    }
    members
}

pub(crate) fn normalizer_steps(members: Vec<(Vec<u8>, u32)>) -> Option<Vec<NormalizerStep>> {
    let mut members = members.into_iter();
    let mut steps = Vec::new();
    while let Some((bytes, number)) = members.next() {
        let string = String::from_utf8(bytes).ok()?;
        let mut content = || {
            let (content, _) = members.next().filter(|(_, kind)| *kind == CONTENT)?;
            String::from_utf8(content).ok()
        };
        steps.push(match number & KIND {
            FORM => NormalizerStep::Form(FORMS.get((number & !KIND) as usize)?.0),
            LOWERCASE => NormalizerStep::Lowercase,
            STRIP_ACCENTS => NormalizerStep::StripAccents,
            STRIP => NormalizerStep::Strip { left: is_set(number, 0), right: is_set(number, 1) },
            BERT => NormalizerStep::Bert(BertNormalizer {
                clean_text: is_set(number, 0),
                handle_chinese_chars: is_set(number, 1),
                strip_accents: is_set(number, 2),
                lowercase: is_set(number, 3),
            }),
            REPLACE_STRING => {
                let replaced = Some(string).filter(|string| !string.is_empty()).map(Replaced::String)?;
                NormalizerStep::Replace { replaced, content: content()? }
            }
            REPLACE_REGEX => {
                NormalizerStep::Replace { replaced: Replaced::regex(&string).ok()?, content: content()? }
            }
            PREPEND => NormalizerStep::Prepend(string),
            NMT => NormalizerStep::Nmt,
            CHARSMAP => NormalizerStep::Charsmap(Charsmap::new(&string).ok()?),
            METASPACE => NormalizerStep::Metaspace { prepends: is_set(number, 0) },
            _ => return None,
        });
    }
    Some(steps)
}

pub(crate) fn pre_tokenizer_member(step: &SplitStep) -> (&[u8], u32) {
    match step {
        SplitStep::Pattern(pattern) => {
            let place = PATTERNS.iter().position(|(known, _)| known == pattern);
            (&[], PATTERN | place.expect("all patterns are listed") as u32)
        }
        SplitStep::Word(step) => {
            let place = WORD_STEPS.iter().position(|known| known == step);
            (&[], WORD | place.expect("all steps are listed") as u32)
        }
        SplitStep::Split { delimiter, inverted, behavior } => {
            let (bytes, kind) = match delimiter {
                Delimiter::Character(kind) => match kind {
                    CharacterKind::Number => (&[][..], NUMBERS),
                    CharacterKind::Punctuation => (&[][..], PUNCTUATION),
                    CharacterKind::WhiteSpace => (&[][..], WHITE_SPACE),
                    CharacterKind::Word => (&[][..], WORD_CHARACTER),
                    CharacterKind::One(spelled, _) => (spelled.as_bytes(), CHARACTER),
                },
                Delimiter::Regex(spelled, _) => (spelled.as_bytes(), REGEX),
            };
            let behavior = place(&BEHAVIORS, behavior);
            (bytes, kind | behavior << BEHAVIOR_SHIFT | if *inverted { INVERTED } else { 0 })
        }
    }
}

pub(crate) fn pre_tokenizer_step(bytes: Vec<u8>, number: u32) -> Option<SplitStep> {
    let string = String::from_utf8(bytes).ok()?;
    let delimiter = match number & KIND {
        PATTERN => return PATTERNS.get(number as usize).map(|(pattern, _)| SplitStep::Pattern(*pattern)),
        WORD => {
            let step = WORD_STEPS.get((number & !KIND) as usize)?;
            return Some(SplitStep::Word(*step));
        }
        NUMBERS => Delimiter::Character(CharacterKind::Number),
        PUNCTUATION => Delimiter::Character(CharacterKind::Punctuation),
        WHITE_SPACE => Delimiter::Character(CharacterKind::WhiteSpace),
        WORD_CHARACTER => Delimiter::Character(CharacterKind::Word),
        CHARACTER => Delimiter::Character(CharacterKind::one(string.chars().next()?)),
        REGEX => Delimiter::regex(&string).ok()?,
        _ => return None,
    };
    let (behavior, _) = *BEHAVIORS.get((number >> BEHAVIOR_SHIFT) as usize & 0xff)?;
    Some(SplitStep::Split { delimiter, inverted: number & INVERTED != 0, behavior })
}

/// How spaces are treated before a text is split, and the ends of words behind.
pub(crate) struct SpacesNumber(pub(crate) u32);

impl SpacesNumber {
    const MARKS_ENDS: u32 = 1 << 11;
    const PREPENDS: u32 = 1 << 10;
    const COLLAPSES: u32 = 1 << 9;
    const SPLITS: u32 = 1 << 8;

    pub(crate) fn of(Splitting { prepends_space, metaspace, marks_ends, .. }: &Splitting) -> Self {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let metaspace = metaspace.map_or(0, |Metaspace { collapses, prefix, splits }| {
            let prefix = PREFIXES.iter().position(|known| *known == prefix);
            let prefix = 1 + prefix.expect("all prefixes are listed") as u32;
            prefix | flag(splits, Self::SPLITS) | flag(collapses, Self::COLLAPSES)
        });
        Self(metaspace | flag(*prepends_space, Self::PREPENDS) | flag(*marks_ends, Self::MARKS_ENDS))
    }

    pub(crate) fn splitting(self, steps: Vec<SplitStep>) -> Option<Splitting> {
        let has = |flag: u32| self.0 & flag != 0;
        let metaspace = match self.0 & 0xff {
            0 => None,
            number => Some(Metaspace {
                collapses: has(Self::COLLAPSES),
                prefix: *PREFIXES.get(number as usize - 1)?,
                splits: has(Self::SPLITS),
            }),
        };
        let steps = if steps.is_empty() { None } else { Some(PreTokenizer::new(steps)) };
        let (prepends_space, marks_ends) = (has(Self::PREPENDS), has(Self::MARKS_ENDS));
        Some(Splitting { prepends_space, metaspace, steps, marks_ends })
    }
}
