//! Encoding words a batch at a time, in stages.
//!
//! What a word costs is waiting for memory: the tables are larger than the processor's cache. Each
//! stage therefore goes through all words of the batch that are left and has the memory fetched
//! that the next stage will read, so that the waiting of many words overlaps:
//!
//! 1. all words: cut long ones into parts, if the model allows it, and make keys of the parts;
//! 2. find the entries of the vocabulary that may be theirs;
//! 3. compare those: nine of ten words are done;
//! 4. look up the cache: most others are done;
//! 5. encode the rest by the model, byte pairs side by side;
//! 6. append the tokens of all words in order.

use crate::cache::{self, CACHED_MAX, Cache, SHORT_TOKENS};
use crate::merging::SIDE_BY_SIDE_MAX;
use crate::model::{ModelScratch, SubwordModel};
use crate::word_ends::{ADDED, BATCH, LEFT_OUT};
use crate::words::{self, Entry, Key, SHORT_MAX, ShortWords, Vocabulary};

/// Most tokens of a part that are kept in its place.
const FEW: usize = SHORT_TOKENS;

/// Shortest word, in bytes, that is cut: shorter ones are mostly known as they are. Up to [`SHORT_MAX`] bytes
/// it must also end beyond ASCII.
const CUT_MIN: usize = 12;

/// A new word often comes again at once: it is looked for among so many that were new before it.
const AGAIN: usize = 64;

/// What words are looked up in, in this order.
#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) cache: Cache,
    pub(crate) model: SubwordModel,
}

/// Working memory of a batch. Arrays but the first have an element for each part.
#[derive(Debug)]
pub(crate) struct BatchScratch {
    /// Where words end in the text; each begins where the last ends. What is marked by [`LEFT_OUT`] is no word, and what is
    /// marked by [`ADDED`] is an added token.
    pub(crate) word_ends: [usize; BATCH],
    /// The ids of those, in order.
    pub(crate) added: Vec<u32>,
    /// Where parts end in the text: words, or what they are cut into.
    ends: [usize; BATCH],
    /// Whether a part is a word.
    whole: [bool; BATCH],
    /// Those of short parts, which have their lengths.
    keys: [Key; BATCH],
    /// Their hashes; where a longer part begins.
    hashes: [u64; BATCH],
    /// What the vocabulary may have for each.
    entries: [Entry; BATCH],
    tokens: Tokens,
    /// Parts that are added tokens, and their ids.
    added_parts: Vec<(u16, u32)>,
    /// Short parts that are not in the vocabulary, or not as parts.
    unseen: [u16; BATCH],
    unseen_count: usize,
    /// Longer parts.
    long: Vec<u16>,
    /// Parts to merge.
    new: Vec<u16>,
    /// Short parts that are the same as one of those, and which.
    again: Vec<[u16; 2]>,
    work: ModelScratch,
}

// A place in a batch must fit two bytes.
const _: () = assert!(BATCH <= 1 << 16);

/// The words of a batch that are still to be taken.
#[derive(Clone, Copy)]
struct Words {
    next: usize,
    count: usize,
    /// How many added tokens were taken.
    added: usize,
    /// Where the next one begins.
    start: usize,
    /// Where the next part of it begins.
    part_start: usize,
}

/// The tokens of all parts of a batch.
#[derive(Debug)]
struct Tokens {
    /// The tokens of parts that have at most [`FEW`]; for others, where in `many` they begin and
    /// end.
    few: [[u32; FEW]; BATCH],
    /// How many tokens there are; 0 for those in `many`, and where there are none.
    counts: [u8; BATCH],
    many: Vec<u32>,
    /// Where tokens are put in line.
    line: [u32; FEW * (BATCH + 1)],
}

impl Default for BatchScratch {
    fn default() -> Self {
        Self {
            word_ends: [0; BATCH],
            added: Vec::new(),
            added_parts: Vec::with_capacity(BATCH),
            ends: [0; BATCH],
            whole: [true; BATCH],
            keys: [[0; 2]; BATCH],
            hashes: [0; BATCH],
            entries: [Entry::NONE; BATCH],
            tokens: Tokens {
                few: [[0; FEW]; BATCH],
                counts: [0; BATCH],
                many: Vec::new(),
                line: [0; FEW * (BATCH + 1)],
            },
            unseen: [0; BATCH],
            unseen_count: 0,
            long: Vec::with_capacity(BATCH),
            new: Vec::with_capacity(BATCH),
            again: Vec::with_capacity(BATCH),
            work: ModelScratch::default(),
        }
    }
}

impl BatchScratch {
    /// Appends the tokens of the first `count` words to `out`. The first begins at `start`.
    pub(crate) fn encode(
        &mut self,
        lookups: &Lookups,
        text: &[u8],
        start: usize,
        count: usize,
        out: &mut Vec<u32>,
    ) {
        let mut words = Words { next: 0, count, added: 0, start, part_start: start };
        while words.next < count {
            let count = self.make_keys(lookups, text, &mut words);
            self.find_in_vocabulary(lookups, count);
            self.look_up_vocabulary(lookups, count);
            self.look_up_cache(lookups, text);
            self.encode_new(lookups, text);
            self.tokens.append(count, out);
        }
    }

    /// The word at place `i`, which ends at `end`, is an added token.
    pub(crate) fn add_token(&mut self, i: usize, end: usize, id: u32) {
        self.word_ends[i] = end | ADDED;
        self.added.push(id);
    }

    /// Takes words, cut where they are long, as parts until there is no more word or no more room, and returns
    /// the count of the parts.
    #[inline(never)]
    fn make_keys(&mut self, lookups: &Lookups, text: &[u8], words: &mut Words) -> usize {
        self.long.clear();
        self.added_parts.clear();
        self.whole.fill(true);
        let known = lookups.vocabulary.short_words();
        let mut i = 0;
        while words.next < words.count && i < BATCH {
            if words.start == words.part_start {
                i = self.take_short(known, text, words, i);
            }
            if words.next < words.count && i < BATCH {
                self.take_part(lookups, text, words, i);
                i += 1;
            }
        }
        i
    }

    /// Takes the next words, as parts from place `i` on, as long as they are short, are not to be cut and don't stand in the
    /// last bytes of the text, and returns the place of the next part.
    #[inline(always)]
    fn take_short(&mut self, known: ShortWords<'_>, text: &[u8], words: &mut Words, mut i: usize) -> usize {
        let word_ends = &self.word_ends[..words.count];
        let Words { mut next, mut start, mut added, .. } = *words;
        while next < word_ends.len() && i < BATCH {
            let end = word_ends[next];
            let len = end.wrapping_sub(start);
            // What is marked seems to end far away.
            if len > SHORT_MAX {
                if end & (LEFT_OUT | ADDED) == 0 {
                    break;
                }
                start = end & !(LEFT_OUT | ADDED);
                next += 1;
                if end & ADDED != 0 {
                    (self.ends[i], self.keys[i], self.hashes[i]) = (start, [0; 2], 0);
                    self.added_parts.push((i as u16, self.added[added]));
                    added += 1;
                    i += 1;
                }
                continue;
            }
            let Some(bytes) = text.get(start..).and_then(<[u8]>::first_chunk::<16>) else { break };
            if len >= CUT_MIN && bytes[len - 1] >= 0x80 {
                break;
            }
            let key = words::key_of_first(bytes, len);
            let hash = words::hash(key);
            known.prefetch(hash);
            (self.ends[i], self.keys[i], self.hashes[i]) = (end, key, hash);
            start = end;
            next += 1;
            i += 1;
        }
        (words.next, words.added, words.start, words.part_start) = (next, added, start, start);
        i
    }

    /// Takes the next part, at place `i`: a word, or what is cut from it.
    fn take_part(&mut self, lookups: &Lookups, text: &[u8], words: &mut Words, i: usize) {
        let word_end = self.word_ends[words.next];
        let (start, len) = (words.part_start, word_end - words.start);
        let mut end = word_end;
        if len >= CUT_MIN
            && (len > SHORT_MAX || text[end - 1] >= 0x80)
            && let Some(bpe) = lookups.model.bpe()
        {
            end = bpe.cuts.end(&text[..word_end], start);
            self.whole[i] = end - start == len;
        }
        self.ends[i] = end;
        if end - start <= SHORT_MAX {
            self.keys[i] = words::key(text, start, end);
            self.hashes[i] = words::hash(self.keys[i]);
            lookups.vocabulary.short_words().prefetch(self.hashes[i]);
        } else {
            self.keys[i] = [0; 2];
            self.hashes[i] = start as u64;
            self.long.push(i as u16);
            if end - start <= CACHED_MAX {
                lookups.cache.prefetch_long(&text[start..end]);
            }
        }
        words.part_start = end;
        if end == word_end {
            words.next += 1;
            words.start = end;
        }
    }

    #[inline(never)]
    fn find_in_vocabulary(&mut self, lookups: &Lookups, count: usize) {
        let known = lookups.vocabulary.short_words();
        for (hash, entry) in self.hashes.iter().zip(&mut self.entries).take(count) {
            *entry = known.find(*hash);
            known.prefetch_key(*entry);
        }
    }

    #[inline(never)]
    fn look_up_vocabulary(&mut self, lookups: &Lookups, count: usize) {
        let known = lookups.vocabulary.short_words();
        let mut unseen = 0;
        for i in 0..count.min(BATCH) {
            let (key, hash) = (self.keys[i], self.hashes[i]);
            let entry = known.entry(key, hash, self.entries[i]);
            // What is not known is written over.
            self.tokens.few[i][0] = entry.id();
            self.tokens.counts[i] = 1;
            let is_known = !entry.is_none() & (entry.merges() | self.whole[i]);
            self.unseen[unseen] = i as u16;
            unseen += usize::from(!is_known & (words::length(key) != 0));
        }
        self.unseen_count = unseen;
        for &(i, id) in &self.added_parts {
            self.tokens.few[usize::from(i)][0] = id;
        }
        for &i in &self.unseen[..unseen] {
            lookups.cache.prefetch_short(self.hashes[usize::from(i)]);
        }
    }

    #[inline(never)]
    fn look_up_cache(&mut self, lookups: &Lookups, text: &[u8]) {
        self.new.clear();
        self.again.clear();
        self.tokens.many.clear();
        for &place in &self.unseen[..self.unseen_count] {
            let i = usize::from(place);
            match lookups.cache.short(self.keys[i], self.hashes[i]) {
                Some(tokens) => {
                    self.tokens.few[i] = tokens;
                    self.tokens.counts[i] = cache::count(&tokens);
                }
                None => {
                    let mut recent = self.new.iter().rev().take(AGAIN);
                    match recent.find(|&&new| self.keys[usize::from(new)] == self.keys[i]) {
                        Some(&new) => self.again.push([place, new]),
                        None => self.new.push(place),
                    }
                }
            }
        }
        for &place in &self.long {
            let i = usize::from(place);
            let word = &text[self.hashes[i] as usize..self.ends[i]];
            let cached = if word.len() <= CACHED_MAX { lookups.cache.long(word) } else { None };
            if let Some(tokens) = cached {
                self.tokens.set(i, &tokens[..usize::from(cache::count(&tokens))]);
            } else if let Some(id) = lookups.vocabulary.long(word, self.whole[i]) {
                self.tokens.set(i, &[id]);
            } else if word.len() <= SIDE_BY_SIDE_MAX {
                self.new.push(place);
            } else {
                let from = self.tokens.many.len();
                lookups.model.encode(word, &mut self.work, &mut self.tokens.many);
                self.tokens.set_many(i, from);
            }
        }
    }

    #[inline(never)]
    fn encode_new(&mut self, lookups: &Lookups, text: &[u8]) {
        if self.new.is_empty() {
            return;
        }
        let Self { ends, keys, hashes, whole, tokens, new, work, .. } = self;
        let word = |i: usize| {
            let start = match words::length(keys[i]) {
                0 => hashes[i] as usize,
                len => ends[i] - len,
            };
            &text[start..ends[i]]
        };
        let mut done = |i: usize, found: &[u32]| {
            tokens.set(i, found);
            // The cache is asked for a long word before the vocabulary: it must not have one that is a token as a
            // whole, and others as a part.
            let word = word(i);
            let is_no_token =
                whole[i] || word.len() <= SHORT_MAX || lookups.vocabulary.long(word, true).is_none();
            if is_no_token && !found.is_empty() {
                lookups.cache.insert(word, found);
            }
        };
        let places = new.iter().map(|&place| usize::from(place));
        if let Some(bpe) = lookups.model.bpe().filter(|bpe| bpe.unknown.is_none()) {
            let words = places.map(|i| (i, word(i)));
            bpe.merges.encode_side_by_side(&bpe.atoms, words, &mut work.merging, done);
        } else {
            let mut found = Vec::new();
            for i in places {
                found.clear();
                lookups.model.encode(word(i), work, &mut found);
                done(i, &found);
            }
        }
        for &[place, new] in &self.again {
            let (i, new) = (usize::from(place), usize::from(new));
            self.tokens.few[i] = self.tokens.few[new];
            self.tokens.counts[i] = self.tokens.counts[new];
        }
    }
}

impl Tokens {
    fn set(&mut self, i: usize, tokens: &[u32]) {
        if (1..=FEW).contains(&tokens.len()) {
            self.few[i][..tokens.len()].copy_from_slice(tokens);
            self.counts[i] = tokens.len() as u8;
        } else {
            let from = self.many.len();
            self.many.extend_from_slice(tokens);
            self.set_many(i, from);
        }
    }

    /// The tokens of part `i` are those in `many` from `from` on.
    fn set_many(&mut self, i: usize, from: usize) {
        let (from, to) = (from as u32, self.many.len() as u32);
        self.few[i][..2].copy_from_slice(&[from, to]);
        self.counts[i] = 0;
    }

    /// Appends the tokens of the first `count` parts to `out`.
    #[inline(never)]
    fn append(&mut self, count: usize, out: &mut Vec<u32>) {
        // All four are written, and as many as are meant are kept: no branches.
        let Self { few, counts, many, line } = self;
        let mut len = 0;
        for (few, &count) in few.iter().zip(&*counts).take(count) {
            line[len..len + FEW].copy_from_slice(few);
            len += usize::from(count);
            if count == 0 {
                out.extend_from_slice(&line[..len]);
                len = 0;
                out.extend_from_slice(&many[few[0] as usize..few[1] as usize]);
            }
        }
        out.extend_from_slice(&line[..len]);
    }
}
