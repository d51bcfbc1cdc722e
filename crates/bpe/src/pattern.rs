//! The split patterns, as hand-written matchers.
//!
//! Every byte-level BPE family splits a text by one of a handful of regular expressions, all of
//! which match somewhere at every position: a text is the concatenation of its pieces. Each
//! matcher answers one question, where the piece that starts here ends, and its branches follow
//! the alternatives of the expression in order. They handle any UTF-8; [`crate::blocks`] is the
//! fast path for ASCII and falls back to these. Run time is linear in the text even where the
//! expressions backtrack (long white space).

use crate::unicode::{
    CASELESS, Char, LETTERS, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, SPACES, UPPER, set,
};

/// A family of split patterns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    /// GPT-2: what the `ByteLevel` pre-tokenizer splits by on its own.
    Gpt2,
    /// cl100k (GPT-4), Llama 3, OLMo 2: up to three digits make a piece.
    Cl100k,
    /// Qwen 2: as cl100k, but each digit is a piece.
    Qwen2,
    /// o200k (GPT-4o): letters are told apart by case.
    O200k,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// All families and the regular expressions that stand for them.
pub(crate) const PATTERNS: [(Pattern, &str); 4] =
    [(Pattern::Gpt2, GPT2), (Pattern::Cl100k, CL100K), (Pattern::Qwen2, QWEN2), (Pattern::O200k, O200K)];

/// `[^\s\p{L}\p{N}]`
const SYMBOLS: u8 = set(&[OTHER, MARK]);
/// `[^\r\n\p{L}\p{N}]`
const PREFIXES: u8 = set(&[OTHER, MARK, SPACE]);
/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
const UPPERS: u8 = set(&[UPPER, CASELESS, MARK]);
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
const LOWERS: u8 = set(&[LOWER, CASELESS, MARK]);
const NUMBERS: u8 = set(&[NUMBER]);
const NEWLINES: u8 = set(&[NEWLINE]);

impl Pattern {
    /// The family whose regular expression is exactly `regex`.
    pub(crate) fn of(regex: &str) -> Option<Self> {
        PATTERNS.iter().find(|(_, known)| *known == regex).map(|&(pattern, _)| pattern)
    }

    /// The end of the piece that starts at `start`, which must be a character boundary before the
    /// end of `text`; `text` must be UTF-8. The end is a character boundary after `start`.
    pub(crate) fn end(self, text: &[u8], start: usize) -> usize {
        let Some(first) = Char::at(text, start) else { return text.len() };
        match self {
            Self::Gpt2 => gpt2(text, start, first),
            Self::Cl100k => cl100k(text, start, first, 3),
            Self::Qwen2 => cl100k(text, start, first, 1),
            Self::O200k => o200k(text, start, first),
        }
    }
}

fn gpt2(text: &[u8], start: usize, first: Char) -> usize {
    if let Some(end) = contraction_exact(text, start) {
        return end;
    }
    let body = start + usize::from(text[start] == b' ');
    if let Some(head) = Char::at(text, body) {
        for class in [LETTERS, NUMBERS, SYMBOLS] {
            if head.is(class) {
                return run(text, body + head.len, class);
            }
        }
    }
    let end = run(text, start + first.len, SPACES);
    leave_one(text, start, first, end)
}

fn cl100k(text: &[u8], start: usize, first: Char, digits: usize) -> usize {
    if let Some(end) = contraction(text, start) {
        return end;
    }
    let second = start + first.len;
    if first.is(LETTERS) {
        return run(text, second, LETTERS);
    }
    if first.is(NUMBERS) {
        return numbers(text, second, digits - 1);
    }
    let next = Char::at(text, second);
    if let Some(next) = next.filter(|next| next.is(LETTERS) && first.is(PREFIXES)) {
        return run(text, second + next.len, LETTERS);
    }
    if first.is(SYMBOLS) || text[start] == b' ' && next.is_some_and(|next| next.is(SYMBOLS)) {
        return run(text, run(text, second, SYMBOLS), NEWLINES);
    }
    spaces(text, start, first)
}

fn o200k(text: &[u8], start: usize, first: Char) -> usize {
    let second = start + first.len;
    // A prefix is tried first; a mark may be the prefix or begin the word itself.
    let bodies = [first.is(PREFIXES).then_some(second), Some(start)];
    for word in [word_with_lower, word_with_upper] {
        if let Some(end) = bodies.into_iter().flatten().find_map(|body| word(text, body)) {
            return contraction(text, end).unwrap_or(end);
        }
    }
    if first.is(NUMBERS) {
        return numbers(text, second, 2);
    }
    let next = Char::at(text, second);
    if first.is(SYMBOLS) || text[start] == b' ' && next.is_some_and(|next| next.is(SYMBOLS)) {
        let end = run(text, second, SYMBOLS);
        let tail = text[end..].iter().take_while(|b| matches!(b, b'\r' | b'\n' | b'/'));
        return end + tail.count();
    }
    spaces(text, start, first)
}

/// `UPPERS*LOWERS+` with the backtracking of a regular expression: where no lower-case letter
/// follows the greedy `UPPERS*`, the match ends after its last character that is in both sets.
fn word_with_lower(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut both) = (start, None);
    while let Some(c) = Char::at(text, at).filter(|c| c.is(UPPERS)) {
        at += c.len;
        if c.is(LOWERS) {
            both = Some(at);
        }
    }
    let end = run(text, at, LOWERS);
    if end > at { Some(end) } else { both }
}

/// `UPPERS+LOWERS*`
fn word_with_upper(text: &[u8], start: usize) -> Option<usize> {
    let at = run(text, start, UPPERS);
    (at > start).then(|| run(text, at, LOWERS))
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`
fn spaces(text: &[u8], start: usize, first: Char) -> usize {
    let end = run(text, start, SPACES);
    match memchr::memrchr2(b'\r', b'\n', &text[start..end]) {
        Some(newline) => start + newline + 1,
        None => leave_one(text, start, first, end),
    }
}

/// `\s+(?!\S)|\s+` on the white space `start..end`: its last character is left to the word that
/// follows, unless it is the only one.
fn leave_one(text: &[u8], start: usize, first: Char, end: usize) -> usize {
    if end == text.len() {
        return end;
    }
    let mut last = end - 1;
    while text[last] & 0xc0 == 0x80 {
        last -= 1;
    }
    last.max(start + first.len)
}

/// The end of the longest run of characters of `set` from `at` on.
#[inline(always)]
fn run(text: &[u8], mut at: usize, set: u8) -> usize {
    while let Some(c) = Char::at(text, at).filter(|c| c.is(set)) {
        at += c.len;
    }
    at
}

fn numbers(text: &[u8], mut at: usize, most: usize) -> usize {
    for _ in 0..most {
        let Some(c) = Char::at(text, at).filter(|c| c.is(NUMBERS)) else { break };
        at += c.len;
    }
    at
}

/// `'s|'t|'re|'ve|'m|'ll|'d`
fn contraction_exact(text: &[u8], start: usize) -> Option<usize> {
    match *text.get(start..)? {
        [b'\'', b's' | b't' | b'm' | b'd', ..] => Some(start + 2),
        [b'\'', b'r' | b'v', b'e', ..] | [b'\'', b'l', b'l', ..] => Some(start + 3),
        _ => None,
    }
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)`. The long s, U+017F, is the one character beyond ASCII that
/// folds to a letter of these.
#[inline(always)]
fn contraction(text: &[u8], start: usize) -> Option<usize> {
    match *text.get(start..)? {
        [b'\'', a, ..] if matches!(a | 32, b's' | b't' | b'm' | b'd') => Some(start + 2),
        [b'\'', 0xc5, 0xbf, ..] => Some(start + 3),
        [b'\'', a, b, ..] if matches!((a | 32, b | 32), (b'r' | b'v', b'e') | (b'l', b'l')) => {
            Some(start + 3)
        }
        _ => None,
    }
}
