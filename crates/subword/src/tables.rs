//! The table file: a definition, ready to use.
//!
//! Reading it takes a small part of the time that reading the `tokenizer.json` takes: nothing is
//! parsed, looked up or merged, only copied and put into hash tables. It is a cache of something
//! that can be made again, so any doubt (another version, a wrong checksum) is an error and the
//! cure is to delete it. Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `mbpetab` and the version, [`VERSION`] |
//! | 8 | XXH3 of all that follows |
//! | 4, 4, 4 | the normalizer; what merging begins with; how spaces are treated, each as a number |
//! | 4, list | steps of the pre-tokenizer: what each splits by, as a number and as a regular expression |
//! | 4 × 256 | token of each byte; 2^21 - 1 where there is none |
//! | 4, 4 × n | count of ids; the length in bytes of each |
//! | 4, 12 × n | count of merges; left, right and merged id of each |
//! | list | words that are one token; those that merging does not give have bit 31 in the id |
//! | 4 × 6,656 | where words may be cut |
//! | list, list | added tokens, before and after normalization; special ones have bit 31 in the id, and what they do with their surroundings is in 30 to 28 |
//!
//! A list is a count, then the lengths in bytes, the ids, and the bytes of all members in turn.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::added::{AddedToken, Around};
use crate::cuts::{self, Cuts};
use crate::definition::Definition;
use crate::error::Error;
use crate::merges::{IDS_MAX, MERGES_MAX, Merge, NO_TOKEN};
use crate::metaspace::{Metaspace, PREFIXES};
use crate::normalizer::Normalizer;
use crate::pattern::PATTERNS;
use crate::pre_tokenizer::{BEHAVIORS, Delimiter, PreTokenizer, SplitStep};
use crate::splitting::{Alphabet, Splitting};
use crate::unicode::is_in_texts;
use crate::words::Word;

/// The version of the tables and of the ids that come of them: what was kept under another one is to
/// be made again. It is raised with every change of either.
pub const VERSION: u32 = 5;

const MAGIC: [u8; 8] = [b'm', b'b', b'p', b'e', b't', b'a', b'b', VERSION as u8];
const HEADER_LEN: usize = 16;
const SPECIAL: u32 = 1 << 31;
const LSTRIP: u32 = 1 << 30;
const RSTRIP: u32 = 1 << 29;
const SINGLE_WORD: u32 = 1 << 28;
const NOT_MERGED: u32 = 1 << 31;
const NORMALIZERS: [Normalizer; 4] = [
    Normalizer::None,
    Normalizer::Nfc,
    Normalizer::Metaspace { prepends: false },
    Normalizer::Metaspace { prepends: true },
];
const ALPHABETS: [Alphabet; 2] = [Alphabet::Bytes, Alphabet::Characters];
const SPLITS: u32 = 1 << 8;
// In the number of a step that is no pattern of ours: what it looks for, what becomes of that, and whether it is the other
// way round.
const KIND: u32 = 0xff00_0000;
const NUMBERS: u32 = 1 << 24;
const PUNCTUATION: u32 = 2 << 24;
const REGEX: u32 = 3 << 24;
const BEHAVIOR_SHIFT: u32 = 8;
const INVERTED: u32 = 1 << 16;

/// The file's content.
pub(crate) fn write(definition: &Definition) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 << 20);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 8]);
    let normalizer = NORMALIZERS.iter().position(|known| *known == definition.normalizer);
    let alphabet = ALPHABETS.iter().position(|known| *known == definition.alphabet);
    let (metaspace, steps) = match &*definition.splitting {
        Splitting::Steps(pre_tokenizer) => (0, pre_tokenizer.steps()),
        Splitting::Cuts { metaspace: None } => (0, &[][..]),
        Splitting::Cuts { metaspace: Some(metaspace) } => {
            let prefix = PREFIXES.iter().position(|known| *known == metaspace.prefix);
            let prefix = 1 + prefix.expect("all prefixes are listed") as u32;
            (prefix | if metaspace.splits { SPLITS } else { 0 }, &[][..])
        }
    };
    let number = |place: Option<usize>| place.expect("all are listed") as u32;
    put(&mut out, [number(normalizer), number(alphabet), metaspace]);
    put_list(&mut out, steps.iter().map(step_member));
    put(&mut out, definition.bytes);
    put(&mut out, [definition.lens.len() as u32]);
    put(&mut out, definition.lens.iter().copied());
    put(&mut out, [definition.merges.len() as u32]);
    put(&mut out, definition.merges.iter().flat_map(|m| [m.left, m.right, m.merged]));
    let member = |word: &'_ Word| word.id | if word.merges { 0 } else { NOT_MERGED };
    put_list(&mut out, definition.words.iter().map(|word| (&*word.bytes, member(word))));
    put(&mut out, definition.cuts.numbers().iter().copied());
    for added in [&definition.added, &definition.added_normalized] {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let member = |t: &'_ AddedToken| {
            let around = flag(t.around.lstrip, LSTRIP) | flag(t.around.rstrip, RSTRIP);
            t.id | flag(t.special, SPECIAL) | around | flag(t.around.single_word, SINGLE_WORD)
        };
        put_list(&mut out, added.iter().map(|token| (&*token.content, member(token))));
    }
    let checksum = xxh3_64(&out[HEADER_LEN..]);
    out[8..HEADER_LEN].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// A step as a member of a list: its regular expression, if it has one, and a number.
fn step_member(step: &SplitStep) -> (&[u8], u32) {
    match step {
        SplitStep::Pattern(pattern) => {
            let place = PATTERNS.iter().position(|(known, _)| known == pattern);
            (&[], place.expect("all patterns are listed") as u32)
        }
        SplitStep::Split { delimiter, inverted, behavior } => {
            let (regex, kind) = match delimiter {
                Delimiter::Number => (&[][..], NUMBERS),
                Delimiter::Punctuation => (&[][..], PUNCTUATION),
                Delimiter::Regex(spelled, _) => (spelled.as_bytes(), REGEX),
            };
            let place = BEHAVIORS.iter().position(|(known, _)| known == behavior);
            let behavior = place.expect("all behaviors are listed") as u32;
            (regex, kind | behavior << BEHAVIOR_SHIFT | if *inverted { INVERTED } else { 0 })
        }
    }
}

/// The step of a member.
fn step(bytes: Vec<u8>, number: u32) -> Option<SplitStep> {
    let delimiter = match number & KIND {
        NUMBERS => Delimiter::Number,
        PUNCTUATION => Delimiter::Punctuation,
        REGEX => Delimiter::regex(&String::from_utf8(bytes).ok()?).ok()?,
        _ => return PATTERNS.get(number as usize).map(|(pattern, _)| SplitStep::Pattern(*pattern)),
    };
    let (behavior, _) = *BEHAVIORS.get((number >> BEHAVIOR_SHIFT) as usize & 0xff)?;
    Some(SplitStep::Split { delimiter, inverted: number & INVERTED != 0, behavior })
}

fn put(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u32>) {
    out.extend(numbers.into_iter().flat_map(u32::to_le_bytes));
}

fn put_list<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a [u8], u32)> + Clone) {
    put(out, [members.clone().count() as u32]);
    put(out, members.clone().map(|(bytes, _)| bytes.len() as u32));
    put(out, members.clone().map(|(_, id)| id));
    members.for_each(|(bytes, _)| out.extend_from_slice(bytes));
}

/// The definition that `file` holds.
pub(crate) fn read(file: &[u8]) -> Result<Definition, Error> {
    let damaged = |reason| Error::Tables { reason };
    let (header, body) = file.split_at_checked(HEADER_LEN).ok_or(damaged("too short"))?;
    if header[..8] != MAGIC {
        return Err(damaged("not a table file, or of another version"));
    }
    if header[8..] != xxh3_64(body).to_le_bytes() {
        return Err(damaged("wrong checksum"));
    }
    let definition = read_body(&mut Reader(body)).ok_or(damaged("parts are missing"))?;
    if is_sound(&definition) { Ok(definition) } else { Err(damaged("parts contradict one another")) }
}

fn read_body(from: &mut Reader<'_>) -> Option<Definition> {
    let normalizer = *NORMALIZERS.get(from.number()? as usize)?;
    let alphabet = *ALPHABETS.get(from.number()? as usize)?;
    let metaspace = match from.number()? {
        0 => None,
        number => {
            let prefix = *PREFIXES.get((number & !SPLITS) as usize - 1)?;
            Some(Metaspace { prefix, splits: number & SPLITS != 0 })
        }
    };
    let steps = from.list()?.into_iter().map(|(bytes, number)| step(bytes, number));
    let steps: Vec<SplitStep> = steps.collect::<Option<_>>()?;
    let splitting = Arc::new(match &*steps {
        [] => Splitting::Cuts { metaspace },
        _ => Splitting::Steps(PreTokenizer::new(steps)),
    });
    let bytes = from.numbers(256)?.collect::<Vec<_>>().try_into().ok()?;
    let count = from.number()? as usize;
    let lens = from.numbers(count)?.collect();
    let count = from.number()? as usize;
    let mut numbers = from.numbers(count.checked_mul(3)?)?;
    let merges = std::iter::from_fn(|| {
        Some(Merge { left: numbers.next()?, right: numbers.next()?, merged: numbers.next()? })
    })
    .collect();
    let word = |(bytes, id)| Word { bytes, id: id & !NOT_MERGED, merges: id & NOT_MERGED == 0 };
    let words = from.list()?.into_iter().map(word).collect();
    let cuts = Cuts::from_numbers(from.numbers(cuts::NUMBERS)?)?;
    let mut added = || {
        let token = |(content, member)| AddedToken {
            content,
            id: member & !(SPECIAL | LSTRIP | RSTRIP | SINGLE_WORD),
            special: member & SPECIAL != 0,
            around: Around {
                lstrip: member & LSTRIP != 0,
                rstrip: member & RSTRIP != 0,
                single_word: member & SINGLE_WORD != 0,
            },
        };
        Some(from.list()?.into_iter().map(token).collect())
    };
    let (added, added_normalized) = (added()?, added()?);
    from.0.is_empty().then_some(Definition {
        normalizer,
        splitting,
        alphabet,
        bytes,
        merges,
        lens,
        words,
        cuts,
        added,
        added_normalized,
    })
}

/// Whether the engine can rely on the numbers: ids are in range and lengths add up.
fn is_sound(definition: &Definition) -> bool {
    let Definition { lens, merges, .. } = definition;
    let len = |id: u32| lens.get(id as usize).copied().unwrap_or(0);
    let adds_up = |m: &Merge| {
        let (left, right) = (len(m.left), len(m.right));
        left > 0 && right > 0 && left.checked_add(right) == Some(len(m.merged))
    };
    lens.len() <= IDS_MAX as usize
        && merges.len() < MERGES_MAX
        && (0..=255)
            .zip(definition.bytes)
            .all(|(byte, id)| len(id) == 1 || id == NO_TOKEN && !is_in_texts(byte))
        && merges.iter().all(adds_up)
        && definition.words.iter().all(|word| !word.bytes.is_empty() && (word.id as usize) < lens.len())
        && definition.added.iter().chain(&definition.added_normalized).all(|t| !t.content.is_empty())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.numbers(1)?.next()
    }

    fn numbers(&mut self, count: usize) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let (numbers, _) = self.take(count.checked_mul(4)?)?.as_chunks();
        Some(numbers.iter().map(|&bytes| u32::from_le_bytes(bytes)))
    }

    fn list(&mut self) -> Option<Vec<(Vec<u8>, u32)>> {
        let count = self.number()? as usize;
        let lens = self.numbers(count)?;
        let ids = self.numbers(count)?;
        lens.zip(ids).map(|(len, id)| Some((self.take(len as usize)?.to_vec(), id))).collect()
    }
}
