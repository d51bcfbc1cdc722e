//! The table file: a definition, ready to use.
//!
//! Reading it takes a small part of the time that reading the `tokenizer.json` takes: nothing is
//! parsed, looked up or merged, only copied and put into hash tables. It is a cache of something
//! that can be made again, so any doubt (another version, a wrong checksum) is an error and the
//! cure is to delete it. Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `mbsubwd` and the version, [`VERSION`] |
//! | 8 | XXH3 of all that follows |
//! | list | steps of the normalizer |
//! | 4, list | how spaces are treated, as a number; steps of the pre-tokenizer |
//! | 4 | the model: 0 to 4 |
//! | | what the model has, see below |
//! | list | words that are one token; those that merging does not give have bit 31 in the id |
//! | list, list | added tokens, before and after normalization; special ones have bit 31 in the id, and what they do with their surroundings is in 30 to 28 |
//!
//! Byte pairs of bytes (0) and of characters (1) have:
//!
//! | bytes | what |
//! |---|---|
//! | 4 × 256 | token of each byte; 2^21 - 1 where there is none |
//! | 4, 4 × n | count of ids; the length in bytes of each |
//! | 4, 12 × n | count of merges; left, right and merged id of each |
//! | 4 × 6,656 | where words may be cut |
//! | 4, 4 | what becomes of characters without a token: 0 where bytes spell them, 1 nothing, 2 a token, 3 one for neighbors together; the token |
//!
//! WordPiece (2) has the unknown token (4 bytes), the most characters of a word (4) and a list of the tokens that continue
//! one; whole words (3) the unknown token. A unigram model (4) has the unknown token (4), whether spaces stand for `▁` and unknown
//! characters are spelled in bytes (bits 0 and 1 of 4), the token of each byte as above, a list of its tokens, marked as words are,
//! in place of the words, and the count of scores (4) and each of them (8).
//!
//! A list is a count, then the lengths in bytes, the ids, and the bytes of all members in turn.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::added::{AddedToken, Around};
use crate::bpe_definition::{Alphabet, BpeDefinition};
use crate::cuts::{self, Cuts};
use crate::definition::{Definition, ModelContent};
use crate::error::Error;
use crate::merges::{IDS_MAX, MERGES_MAX, Merge, NO_TOKEN};
use crate::normalizer::Normalizer;
use crate::pre_tokenizer::PreTokenizer;
use crate::splitting::Splitting;
use crate::table_steps::{
    SpacesNumber, normalizer_members, normalizer_steps, pre_tokenizer_member, pre_tokenizer_step,
};
use crate::unicode::is_in_texts;
use crate::unigram::UnigramTokens;
use crate::unknown::Unknown;
use crate::word_piece::WordPieceTokens;
use crate::words::Word;

/// The version of the tables and of the ids that come of them: what was kept under another one is to
/// be made again. It is raised with every change of either.
pub const VERSION: u32 = 8;

const MAGIC: [u8; 8] = [b'm', b'b', b's', b'u', b'b', b'w', b'd', VERSION as u8];
const HEADER_LEN: usize = 16;
const SPECIAL: u32 = 1 << 31;
const LSTRIP: u32 = 1 << 30;
const RSTRIP: u32 = 1 << 29;
const SINGLE_WORD: u32 = 1 << 28;
const NOT_MERGED: u32 = 1 << 31;
const BYTE_PAIRS: u32 = 0;
const CHARACTER_PAIRS: u32 = 1;
const WORD_PIECE: u32 = 2;
const WORD_LEVEL: u32 = 3;
const UNIGRAM: u32 = 4;
const HAS_METASPACE: u32 = 1;
const SPELLS_BYTES: u32 = 2;

/// The file's content.
pub(crate) fn write(definition: &Definition) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 << 20);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 8]);
    put_list(&mut out, normalizer_members(definition.normalizer.steps()).into_iter());
    let Splitting { steps, .. } = &*definition.splitting;
    put(&mut out, [SpacesNumber::of(&definition.splitting).0]);
    put_list(&mut out, steps.iter().flat_map(PreTokenizer::steps).map(pre_tokenizer_member));
    put_model(&mut out, &definition.model);
    let words: &[Word] = match definition.model {
        ModelContent::Unigram(_) => &[],
        _ => &definition.words,
    };
    put_list(&mut out, words.iter().map(word_member));
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

fn put_model(out: &mut Vec<u8>, model: &ModelContent) {
    match model {
        ModelContent::Bpe(bpe) => {
            let BpeDefinition { alphabet, bytes, merges, lens, cuts, unknown } = &**bpe;
            put(out, [if *alphabet == Alphabet::Bytes { BYTE_PAIRS } else { CHARACTER_PAIRS }]);
            put(out, *bytes);
            put(out, [lens.len() as u32]);
            put(out, lens.iter().copied());
            put(out, [merges.len() as u32]);
            put(out, merges.iter().flat_map(|m| [m.left, m.right, m.merged]));
            put(out, cuts.numbers().iter().copied());
            put(
                out,
                match *unknown {
                    None => [0, 0],
                    Some(Unknown::LeftOut) => [1, 0],
                    Some(Unknown::Token { id, fuses }) => [2 + u32::from(fuses), id],
                },
            );
        }
        ModelContent::WordPiece(WordPieceTokens { continuing, unknown, chars_max }) => {
            put(out, [WORD_PIECE, *unknown, *chars_max]);
            put_list(out, continuing.iter().map(word_member));
        }
        ModelContent::WordLevel { unknown } => put(out, [WORD_LEVEL, *unknown]),
        ModelContent::Unigram(UnigramTokens { pieces, scores, unknown, bytes, has_metaspace }) => {
            let flags = if *has_metaspace { HAS_METASPACE } else { 0 };
            let flags = flags | if bytes.is_some() { SPELLS_BYTES } else { 0 };
            put(out, [UNIGRAM, *unknown, flags]);
            put(out, bytes.as_ref().map_or([NO_TOKEN; 256], |bytes| **bytes));
            put_list(out, pieces.iter().map(word_member));
            put(out, [scores.len() as u32]);
            out.extend(scores.iter().flat_map(|score| score.to_le_bytes()));
        }
    }
}

fn word_member(word: &Word) -> (&[u8], u32) {
    (&word.bytes, word.id | if word.merges { 0 } else { NOT_MERGED })
}

fn word((bytes, id): (Vec<u8>, u32)) -> Word {
    Word { bytes, id: id & !NOT_MERGED, merges: id & NOT_MERGED == 0 }
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
    let normalizer = Arc::new(Normalizer::new(normalizer_steps(from.list()?)?));
    let spaces = SpacesNumber(from.number()?);
    let steps = from.list()?.into_iter().map(|(bytes, number)| pre_tokenizer_step(bytes, number));
    let splitting = Arc::new(spaces.splitting(steps.collect::<Option<_>>()?)?);
    let model = read_model(from)?;
    let words: Vec<Word> = from.list()?.into_iter().map(word).collect();
    let words = match &model {
        ModelContent::Unigram(tokens) => tokens.words(),
        _ => words,
    };
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
    let whole = from.0.is_empty();
    whole.then_some(Definition { normalizer, splitting, model, words, added, added_normalized })
}

fn read_model(from: &mut Reader<'_>) -> Option<ModelContent> {
    Some(match from.number()? {
        kind @ (BYTE_PAIRS | CHARACTER_PAIRS) => {
            let bytes = from.bytes()?;
            let count = from.number()? as usize;
            let lens = from.numbers(count)?.collect();
            let count = from.number()? as usize;
            let mut numbers = from.numbers(count.checked_mul(3)?)?;
            let merges = std::iter::from_fn(|| {
                Some(Merge { left: numbers.next()?, right: numbers.next()?, merged: numbers.next()? })
            })
            .collect();
            let cuts = Cuts::from_numbers(from.numbers(cuts::NUMBERS)?)?;
            let unknown = match (from.number()?, from.number()?) {
                (0, _) => None,
                (1, _) => Some(Unknown::LeftOut),
                (kind, id) => Some(Unknown::Token { id, fuses: kind == 3 }),
            };
            let alphabet = if kind == BYTE_PAIRS { Alphabet::Bytes } else { Alphabet::Characters };
            ModelContent::Bpe(Box::new(BpeDefinition { alphabet, bytes, merges, lens, cuts, unknown }))
        }
        WORD_PIECE => {
            let (unknown, chars_max) = (from.number()?, from.number()?);
            let continuing = from.list()?.into_iter().map(word).collect();
            ModelContent::WordPiece(WordPieceTokens { continuing, unknown, chars_max })
        }
        WORD_LEVEL => ModelContent::WordLevel { unknown: from.number()? },
        UNIGRAM => {
            let (unknown, flags, bytes) = (from.number()?, from.number()?, from.bytes()?);
            let pieces = from.list()?.into_iter().map(word).collect();
            let count = from.number()? as usize;
            let (scores, _) = from.take(count.checked_mul(8)?)?.as_chunks();
            ModelContent::Unigram(UnigramTokens {
                pieces,
                scores: scores.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
                unknown,
                bytes: (flags & SPELLS_BYTES != 0).then(|| Box::new(bytes)),
                has_metaspace: flags & HAS_METASPACE != 0,
            })
        }
        _ => return None,
    })
}

/// Whether the engine can rely on the numbers: ids are in range and lengths add up.
fn is_sound(definition: &Definition) -> bool {
    let are_sound = |words: &[Word], ids: usize| {
        words.iter().all(|word| !word.bytes.is_empty() && (word.id as usize) < ids)
    };
    let ids_max = IDS_MAX as usize;
    let (is_sound, ids) = match &definition.model {
        ModelContent::Bpe(bpe) => (is_sound_bpe(bpe), bpe.lens.len()),
        ModelContent::WordPiece(tokens) => (are_sound(&tokens.continuing, ids_max), ids_max),
        ModelContent::WordLevel { .. } => (true, ids_max),
        ModelContent::Unigram(tokens) => {
            (are_sound(&tokens.pieces, tokens.scores.len()), tokens.scores.len())
        }
    };
    is_sound
        && ids <= ids_max
        && are_sound(&definition.words, ids)
        && definition.added.iter().chain(&definition.added_normalized).all(|t| !t.content.is_empty())
}

fn is_sound_bpe(BpeDefinition { bytes, merges, lens, unknown, .. }: &BpeDefinition) -> bool {
    let len = |id: u32| lens.get(id as usize).copied().unwrap_or(0);
    let adds_up = |m: &Merge| {
        let (left, right) = (len(m.left), len(m.right));
        left > 0 && right > 0 && left.checked_add(right) == Some(len(m.merged))
    };
    let may_lack = |byte: u8| !is_in_texts(byte) || unknown.is_some();
    merges.len() < MERGES_MAX
        && (0..=255).zip(bytes).all(|(byte, &id)| len(id) == 1 || id == NO_TOKEN && may_lack(byte))
        && merges.iter().all(adds_up)
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

    /// The token of each byte.
    fn bytes(&mut self) -> Option<[u32; 256]> {
        self.numbers(256)?.collect::<Vec<_>>().try_into().ok()
    }

    fn list(&mut self) -> Option<Vec<(Vec<u8>, u32)>> {
        let count = self.number()? as usize;
        let lens = self.numbers(count)?;
        let ids = self.numbers(count)?;
        lens.zip(ids).map(|(len, id)| Some((self.take(len as usize)?.to_vec(), id))).collect()
    }
}
