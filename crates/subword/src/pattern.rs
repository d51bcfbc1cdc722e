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
    /// nanochat: as cl100k, but up to two digits.
    Nanochat,
    /// Qwen 2: as cl100k, but each digit is a piece.
    Qwen2,
    /// Qwen 3.5: as Qwen 2, but marks are like letters.
    Qwen35,
    /// o200k (GPT-4o): letters are told apart by case.
    O200k,
    /// Mistral's tekken: as o200k, without contractions, and each digit is a piece.
    Tekken,
    /// Kimi K2: as o200k, but Han characters are pieces apart.
    Kimi,
    /// DeepSeek V3: digits, Han and kana are split off first, then the rest is split.
    DeepSeek,
    /// BLOOM: words are all but white space and some punctuation.
    Bloom,
    /// CLIP: white space is between words, and each digit is one.
    Clip,
    /// As CLIP's, but its special tokens are words.
    ClipTokens,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const NANOCHAT: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const KIMI: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";
const CLIP: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
const CLIP_TOKENS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
const DEEPSEEK: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
];

/// All families, and the regular expressions that stand for them, each of which splits what the one before it gave.
pub(crate) const PATTERNS: [(Pattern, &[&str]); 12] = [
    (Pattern::Gpt2, &[GPT2]),
    (Pattern::Cl100k, &[CL100K]),
    (Pattern::Nanochat, &[NANOCHAT]),
    (Pattern::Qwen2, &[QWEN2]),
    (Pattern::Qwen35, &[QWEN35]),
    (Pattern::O200k, &[O200K]),
    (Pattern::Tekken, &[TEKKEN]),
    (Pattern::Kimi, &[KIMI]),
    (Pattern::DeepSeek, &DEEPSEEK),
    (Pattern::Bloom, &[BLOOM]),
    (Pattern::Clip, &[CLIP]),
    (Pattern::ClipTokens, &[CLIP_TOKENS]),
];

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

/// `[\p{L}\p{M}]`
const LETTERS_OR_MARKS: u8 = LETTERS | set(&[MARK]);
/// `[^\s\p{L}\p{M}\p{N}]`
const OTHERS: u8 = set(&[OTHER]);

/// What patterns with case differ in.
#[derive(Clone, Copy)]
struct Cased {
    digits: usize,
    has_contractions: bool,
    /// Whether slashes stay with the signs before them as line ends do.
    takes_slashes: bool,
    han_apart: bool,
}

const O200K_CASED: Cased = Cased { digits: 3, has_contractions: true, takes_slashes: true, han_apart: false };
const TEKKEN_CASED: Cased = Cased { digits: 1, has_contractions: false, ..O200K_CASED };
const KIMI_CASED: Cased = Cased { takes_slashes: false, han_apart: true, ..O200K_CASED };

impl Pattern {
    /// The family that splits as `regexes` do, each of which splits what the one before it gave.
    pub(crate) fn of(regexes: &[&str]) -> Option<Self> {
        // Some files spell line ends as they are.
        let spelled: Vec<String> =
            regexes.iter().map(|regex| regex.replace('\r', r"\r").replace('\n', r"\n")).collect();
        PATTERNS.iter().find(|(_, known)| *known == spelled).map(|&(pattern, _)| pattern)
    }

    /// Whether each character of a text is in a match.
    pub(crate) fn covers_texts(self) -> bool {
        !matches!(self, Self::DeepSeek | Self::Bloom) && !self.covers_words()
    }

    /// Whether each character of a text but white space is in a match, and none of that.
    pub(crate) fn covers_words(self) -> bool {
        matches!(self, Self::Clip | Self::ClipTokens)
    }

    /// The end of the piece that starts at `start`, which must be a character boundary before the
    /// end of `text`; `text` must be UTF-8. The end is a character boundary after `start`.
    pub(crate) fn end(self, text: &[u8], start: usize) -> usize {
        let Some(first) = Char::at(text, start) else { return text.len() };
        match self {
            Self::Gpt2 => gpt2(text, start, first),
            Self::Cl100k => cl100k(text, start, first, 3),
            Self::Nanochat => cl100k(text, start, first, 2),
            Self::Qwen2 => cl100k(text, start, first, 1),
            Self::Qwen35 => qwen35(text, start, first),
            Self::O200k => cased(text, start, first, O200K_CASED),
            Self::Tekken => cased(text, start, first, TEKKEN_CASED),
            Self::Kimi => cased(text, start, first, KIMI_CASED),
            Self::DeepSeek => deepseek(text, start, first),
            Self::Bloom => bloom(text, start, first),
            Self::Clip => clip(text, start, first),
            Self::ClipTokens => clip_tokens(text, start, first),
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

fn qwen35(text: &[u8], start: usize, first: Char) -> usize {
    if let Some(end) = contraction(text, start) {
        return end;
    }
    let second = start + first.len;
    // A mark may be the prefix or begin the word itself: both end where the word does.
    if first.is(LETTERS_OR_MARKS) {
        return run(text, second, LETTERS_OR_MARKS);
    }
    if first.is(NUMBERS) {
        return second;
    }
    let next = Char::at(text, second);
    if let Some(next) = next.filter(|next| next.is(LETTERS_OR_MARKS) && first.is(PREFIXES)) {
        return run(text, second + next.len, LETTERS_OR_MARKS);
    }
    if first.is(OTHERS) || text[start] == b' ' && next.is_some_and(|next| next.is(OTHERS)) {
        return run(text, run(text, second, OTHERS), NEWLINES);
    }
    spaces(text, start, first)
}

fn cased(text: &[u8], start: usize, first: Char, how: Cased) -> usize {
    let second = start + first.len;
    if how.han_apart && first.is_han() {
        return run_by(text, second, Char::is_han);
    }
    // A prefix is tried first; a mark may be the prefix or begin the word itself.
    let bodies = [first.is(PREFIXES).then_some(second), Some(start)];
    for word in [word_with_lower, word_with_upper] {
        let mut ends = bodies.into_iter().flatten();
        if let Some(end) = ends.find_map(|body| word(text, body, how.han_apart)) {
            return contraction(text, end).filter(|_| how.has_contractions).unwrap_or(end);
        }
    }
    if first.is(NUMBERS) {
        return numbers(text, second, how.digits - 1);
    }
    let next = Char::at(text, second);
    if first.is(SYMBOLS) || text[start] == b' ' && next.is_some_and(|next| next.is(SYMBOLS)) {
        let end = run(text, second, SYMBOLS);
        let is_tail = |byte: &&u8| matches!(byte, b'\r' | b'\n') || how.takes_slashes && **byte == b'/';
        return end + text[end..].iter().take_while(is_tail).count();
    }
    spaces(text, start, first)
}

/// Where a piece ends whose text `DEEPSEEK` splits, one expression after another: the last one sees neither numbers nor,
/// beside other characters, Han and kana; its text ends before them.
fn deepseek(text: &[u8], start: usize, first: Char) -> usize {
    let second = start + first.len;
    if first.is(NUMBERS) {
        return numbers(text, second, 2);
    }
    let is_inside = |c: Char| !c.is(NUMBERS) && c.is_han_or_kana() == first.is_han_or_kana();
    let inside = |at: usize| Char::at(text, at).filter(|c| is_inside(*c));
    let run = |at: usize, set: u8| run_by(text, at, |c| c.is(set) && is_inside(c));
    let next = inside(second);
    let is_letter = |byte: &&u8| byte.is_ascii_alphabetic();
    if text[start].is_ascii_punctuation() && text.get(second).as_ref().is_some_and(is_letter) {
        return second + text[second..].iter().take_while(is_letter).count();
    }
    if first.is(LETTERS_OR_MARKS) {
        return run(second, LETTERS_OR_MARKS);
    }
    let begins_word = |next: Option<Char>| next.is_some_and(|next| next.is(LETTERS_OR_MARKS));
    if begins_word(next) && !first.is(NEWLINES) && !first.is_sign() {
        return run(second, LETTERS_OR_MARKS);
    }
    if first.is_sign() || text[start] == b' ' && next.is_some_and(Char::is_sign) {
        let end = run_by(text, second, |c| c.is_sign() && is_inside(c));
        return run(end, NEWLINES);
    }
    if first.is(SPACES) {
        let end = run(second, SPACES);
        return match memchr::memrchr2(b'\r', b'\n', &text[start..end]) {
            Some(newline) => start + newline + 1,
            None if inside(end).is_none() => end,
            None => leave_one(text, start, first, end),
        };
    }
    // What no alternative takes, up to where one does: the last character may be a prefix.
    let is_left = |c: Char| !c.is(LETTERS_OR_MARKS) && !c.is_sign() && !c.is(SPACES);
    let mut at = second;
    while let Some(c) = inside(at).filter(|c| is_left(*c)) {
        if begins_word(inside(at + c.len)) {
            break;
        }
        at += c.len;
    }
    at
}

fn bloom(text: &[u8], start: usize, first: Char) -> usize {
    // Where a match would end its first character, if one begins at `at`.
    let begins = |at: usize, c: Char| match c.is_bloom_stop() {
        false => Some(at + c.len),
        true if text[at] == b' ' => {
            Char::at(text, at + 1).filter(|next| !next.is_bloom_stop()).map(|next| at + 1 + next.len)
        }
        true => None,
    };
    if let Some(second) = begins(start, first) {
        return run_by(text, second, |c| !c.is_bloom_stop());
    }
    // What is between two matches.
    let mut at = start + first.len;
    while let Some(c) = Char::at(text, at).filter(|c| begins(at, *c).is_none()) {
        at += c.len;
    }
    at
}

fn clip_tokens(text: &[u8], start: usize, first: Char) -> usize {
    let found = |token: &&&[u8]| text[start..].starts_with(token);
    let token = [&b"<|startoftext|>"[..], b"<|endoftext|>"].iter().find(found).copied();
    token.map_or_else(|| clip(text, start, first), |token| start + token.len())
}

fn clip(text: &[u8], start: usize, first: Char) -> usize {
    let second = start + first.len;
    let rest = |set: u8| run(text, second, set);
    match contraction_exact(text, start) {
        Some(end) => end,
        None if first.is(NUMBERS) => second,
        None if first.is(LETTERS) => rest(LETTERS),
        // What is between two matches.
        None if first.is(SPACES) => rest(SPACES),
        None => rest(SYMBOLS),
    }
}

/// `UPPERS*LOWERS+` with the backtracking of a regular expression: where no lower-case letter
/// follows the greedy `UPPERS*`, the match ends after its last character that is in both sets. Neither
/// set has Han characters where those are apart.
fn word_with_lower(text: &[u8], start: usize, han_apart: bool) -> Option<usize> {
    let is = |c: Char, set: u8| c.is(set) && !(han_apart && c.is_han());
    let (mut at, mut both) = (start, None);
    while let Some(c) = Char::at(text, at).filter(|c| is(*c, UPPERS)) {
        at += c.len;
        if c.is(LOWERS) {
            both = Some(at);
        }
    }
    let end = run_by(text, at, |c| is(c, LOWERS));
    if end > at { Some(end) } else { both }
}

/// `UPPERS+LOWERS*`
fn word_with_upper(text: &[u8], start: usize, han_apart: bool) -> Option<usize> {
    let is = |c: Char, set: u8| c.is(set) && !(han_apart && c.is_han());
    let at = run_by(text, start, |c| is(c, UPPERS));
    (at > start).then(|| run_by(text, at, |c| is(c, LOWERS)))
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
fn run(text: &[u8], at: usize, set: u8) -> usize {
    run_by(text, at, |c| c.is(set))
}

/// The end of the longest run of characters that are so from `at` on.
#[inline(always)]
fn run_by(text: &[u8], mut at: usize, is: impl Fn(Char) -> bool) -> usize {
    while let Some(c) = Char::at(text, at).filter(|c| is(*c)) {
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
