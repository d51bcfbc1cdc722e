//! Where a long document can be cut without a change of its ids.
//!
//! The fast engine starts threads of its own for texts of 64 KiB and more, needs
//! several times a document's size in memory, and half a microsecond a byte for a word
//! of megabytes. Cut into segments, a document of any length runs on the caller's
//! thread, in bounded memory, in linear time.
//!
//! # Borders
//! A cut at `p` changes nothing if, for the pattern that finds the words, (1) no word
//! spans `p`, (2) the words before `p` are the same when the text ends at `p`, and (3)
//! those behind it are the same when it begins there. (3) follows from (1), as no
//! pattern here looks behind. They look ahead in one place only, `\s+(?!\S)`: one
//! character past a run of white space. So these are borders:
//!
//! - **Before a space that follows a visible ASCII character.** White space stands in
//!   a word only as its first character, in a run of nothing else, or as the line ends
//!   behind punctuation, which no space is one of.
//! - **Between an ASCII letter or digit and ASCII punctuation other than `'`** (which
//!   begins contractions), and **between an ASCII letter or punctuation and a digit**:
//!   no word has the one before the other.
//! - **Between a Han, kana or Hangul letter and a full stop, comma or the like of
//!   theirs**, for the same reason; their texts may have no space for pages.
//! - **After a line end, where the white space behind it (maybe none) has no other and
//!   is followed by a visible character other than `/`** (patterns with `\s*[\r\n]+`).
//!   That alternative, and the line ends behind punctuation, take all they can, which
//!   ends at `p` whether the text goes on or not. (O200k's punctuation takes `/` too.)
//! - **Before a line end that follows a visible character** (GPT-2's pattern, where
//!   line ends are white space like any other).
//! - **After each three digits of a text that begins with digits** (patterns with
//!   `\p{N}{1,3}` or `\p{N}`), spaces before them aside.
//!
//! Characters are called letters, punctuation or visible only where all versions of
//! Unicode agree; white space is whatever any engine might call so.
//!
//! # Joints
//! A run of one class of characters has no border for as long as it goes on. A cut inside such
//! a run splits the word there and leaves the other words alone: patterns take a run
//! greedily, so its part before the cut is taken to its end, and the part behind it
//! like the rest of the run; at least [`MARGIN`] of the class stand on both sides, so
//! what stands before or behind the run has no say. (It has in one case: patterns that
//! end words by case take `中AAAb` for one word and `中AAA` for two. So upper case is
//! cut only behind ASCII.) Patterns with `\s*[\r\n]+` cut
//! white space in two at its last line end: there, the cut comes right behind a line
//! end, or the run has none before the cut; and the run begins with a space or follows
//! a letter or digit, as punctuation takes line ends that come right behind it.
//!
//! Whether the two parts' ids are then the word's ids, the caller has to find out:
//! byte-pair encoding gives the tokens `s1 … sk` for a word just when it gives `si sj`
//! for every two neighbors `si sj` alone. (If a merge crossed the border of neighbors,
//! take the first one that crosses any border. Until then each part was merged by
//! itself, in the same order as when the two are alone, since the next merge is the
//! one of lowest rank and leftmost; so the same merge would happen there.) So it is
//! enough to ask for the two tokens at the joint. For the same reason the tokens of a
//! word without the last ones are those of the word's beginning.
//!
//! # Added tokens
//! They are matched before words are. A cut is refused where a token spans it, or
//! where one that looks at its surroundings (`lstrip`, `rstrip`, `single_word`)
//! touches it or the white space around it. Normalizers other than NFC, which leaves
//! all these places alone, rule cuts out.

use fastokens::tiktoken::{
    CL100K_BASE_PATTERN, O200K_BASE_PATTERN, QWEN2_PATTERN, QWEN35_PATTERN, TEKKEN_PATTERN,
};
use serde_json::Value;
use tokenizers::AddedToken;

use super::definition::TokenizerJson;

/// Texts up to this size stay whole: the fast engine starts its threads at 64 KiB.
pub(super) const SEGMENT_BYTES: usize = 60 * 1024;

/// So many characters of a class stand on either side of a joint.
pub(super) const MARGIN: usize = 8;

/// So many characters of white space around a cut are looked at.
const AROUND: usize = 256;

/// Finds cuts for a tokenizer.
pub(super) struct Cutter {
    pattern: Pattern,
    added_tokens: Vec<Content>,
    longest_added_token: usize,
    /// Whether a token may match what the normalizer makes of other characters.
    matches_normalized: bool,
}

/// The pattern that finds the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    /// Cl100k (Llama 3), Qwen: line ends are words of their own.
    LineEnds,
    /// O200k, Tekken: so they are, and words end where lower case turns into upper case.
    LineEndsAndCase,
    /// GPT-2: line ends are white space.
    Gpt2,
}

/// What of an added token matters for a cut.
struct Content {
    text: String,
    looks_around: bool,
}

impl Cutter {
    /// A cutter for a tokenizer with these added tokens, or `None` where no cut is
    /// proven to be harmless.
    pub(super) fn new(definition: &TokenizerJson<'_>, added_tokens: &[(u32, AddedToken)]) -> Option<Self> {
        let normalizer = definition.normalizer.as_ref().map(|normalizer| &normalizer["type"]);
        if normalizer.is_some_and(|kind| kind != "NFC") {
            return None;
        }
        let normalized = || added_tokens.iter().filter(|(_, token)| normalizer.is_some() && token.normalized);
        if normalized().any(|(_, token)| !token.content.is_ascii()) {
            return None;
        }
        let content = |(_, token): &(u32, AddedToken)| Content {
            text: token.content.clone(),
            looks_around: token.lstrip || token.rstrip || token.single_word,
        };
        Some(Self {
            pattern: Pattern::of(definition.pre_tokenizer.as_ref()?)?,
            added_tokens: added_tokens.iter().map(content).collect(),
            longest_added_token: added_tokens.iter().map(|(_, token)| token.content.len()).max().unwrap_or(0),
            matches_normalized: normalized().next().is_some(),
        })
    }

    /// The last border of `text` at `limit` or before it.
    pub(super) fn last_border(&self, text: &str, limit: usize) -> Option<usize> {
        let limit = limit.min(text.len().saturating_sub(1));
        let border = (1..=limit).rev().find(|at| self.is_border(text, *at));
        border.or_else(|| self.after_digits(text, limit))
    }

    /// The first border of `text` behind `from`.
    pub(super) fn first_border(&self, text: &str, from: usize) -> Option<usize> {
        (from + 1..text.len()).find(|at| self.is_border(text, *at))
    }

    fn is_border(&self, text: &str, at: usize) -> bool {
        text.is_char_boundary(at) && self.ends_word(text, at) && self.spares_added_tokens(text, at)
    }

    fn ends_word(&self, text: &str, at: usize) -> bool {
        let bytes = text.as_bytes();
        match (bytes[at - 1], bytes[at]) {
            (b'\n', _) if self.pattern != Pattern::Gpt2 => ends_lines(text, at),
            (_, b'\n') if self.pattern == Pattern::Gpt2 => {
                text[..at].chars().next_back().is_some_and(is_visible)
            }
            (before, b' ') => before.is_ascii_graphic(),
            (before, after) if before.is_ascii_alphanumeric() && after.is_ascii_punctuation() => {
                after != b'\''
            }
            (before, after) if after.is_ascii_digit() => {
                before.is_ascii_alphabetic() || before.is_ascii_punctuation()
            }
            (_, after) => {
                !after.is_ascii()
                    && text[at..].starts_with(['、', '。', '，', '！', '？', '：', '；'])
                    && text[..at].ends_with(is_east_asian_letter)
            }
        }
    }

    /// The last place at `limit` or before it that whole words of three digits lead up
    /// to from the beginning.
    fn after_digits(&self, text: &str, limit: usize) -> Option<usize> {
        let bytes = &text.as_bytes()[..limit];
        let spaces = bytes.iter().take_while(|byte| **byte == b' ').count();
        let digits = bytes[spaces..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let at = spaces + digits / 3 * 3;
        (self.pattern != Pattern::Gpt2 && digits >= 3 && self.spares_added_tokens(text, at)).then_some(at)
    }

    /// A joint of `text` at `limit` or before it, where a long run lies at `limit`.
    pub(super) fn last_joint(&self, text: &str, limit: usize) -> Option<usize> {
        let limit = text.floor_char_boundary(limit);
        let line = text.as_bytes()[..limit].iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let behind_line_end = line.filter(|_| self.pattern != Pattern::Gpt2);
        [Some(limit), behind_line_end].into_iter().flatten().find(|at| self.is_joint(text, *at))
    }

    /// Whether a cut splits a word inside a run of one class, and changes no other.
    pub(super) fn is_joint(&self, text: &str, at: usize) -> bool {
        let (Some(before), Some(behind)) = (text.get(..at), text.get(at..)) else { return false };
        let Some(class) = behind.chars().next().map(Class::of) else { return false };
        let runs_on = |chars: &mut dyn Iterator<Item = char>| {
            chars.take(MARGIN).filter(|c| Class::of(*c) == class).count() == MARGIN
        };
        let splits_one_word = match (class, self.pattern) {
            (Class::Upper | Class::Lower | Class::Punctuation | Class::Symbol, _)
            | (Class::Digit, Pattern::Gpt2) => runs_on(&mut before.chars().rev()),
            (Class::Digit | Class::Other, _) => false,
            (Class::Space, pattern) => splits_white_space(text, at, pattern),
        };
        // Behind letters without case, which patterns with case take for upper case as
        // well as lower, the end of a run of upper case decides where words begin.
        let begins_word = class != Class::Upper
            || self.pattern != Pattern::LineEndsAndCase
            || before[..self.run_start(text, at)].chars().next_back().is_none_or(|c| c.is_ascii());
        splits_one_word && begins_word && runs_on(&mut behind.chars()) && self.spares_added_tokens(text, at)
    }

    /// Where the run of one class begins in which `at` lies.
    pub(super) fn run_start(&self, text: &str, at: usize) -> usize {
        let Some(class) = text[..at].chars().next_back().map(Class::of) else { return at };
        text[..at].trim_end_matches(|c| Class::of(c) == class).len()
    }

    /// Whether no added token spans a cut, or looks across it.
    fn spares_added_tokens(&self, text: &str, at: usize) -> bool {
        if self.matches_normalized {
            let from = at.saturating_sub(self.longest_added_token);
            let to = text.len().min(at + self.longest_added_token);
            if !text.as_bytes()[from..to].is_ascii() {
                return false;
            }
        }
        self.added_tokens.iter().all(|token| {
            if !token.looks_around {
                return !occurs(text, &token.text, at, at, 1);
            }
            let spaces = |space: &mut dyn Iterator<Item = char>| -> usize {
                space.take(AROUND).take_while(|c| !is_visible(*c)).map(char::len_utf8).sum()
            };
            let before = spaces(&mut text[..at].chars().rev());
            let behind = spaces(&mut text[at..].chars());
            before.max(behind) < AROUND && !occurs(text, &token.text, at - before, at + behind, 0)
        })
    }
}

/// Whether a cut in white space splits no more than one word (see the module's text).
fn splits_white_space(text: &str, at: usize, pattern: Pattern) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t', '\n', '\r']);
    let run = &text[before.len()..at];
    let last = before.chars().next_back();
    match pattern {
        Pattern::Gpt2 => last.is_none_or(is_visible) && !run.is_empty(),
        Pattern::LineEnds | Pattern::LineEndsAndCase => {
            let begins_word = last
                .is_none_or(|c| c.is_ascii_alphanumeric() || (is_visible(c) && run.starts_with([' ', '\t'])));
            begins_word && (run.ends_with('\n') || !(run.is_empty() || run.contains(['\n', '\r'])))
        }
    }
}

/// Whether `token` stands in `text` so that it ends at `start + overlap` or later and
/// begins at `end - overlap` or earlier.
fn occurs(text: &str, token: &str, start: usize, end: usize, overlap: usize) -> bool {
    let (text, token) = (text.as_bytes(), token.as_bytes());
    let first = (start + overlap).saturating_sub(token.len());
    (first..=end - overlap).any(|at| text[at..].starts_with(token))
}

impl Pattern {
    fn of(pre_tokenizer: &Value) -> Option<Self> {
        let spells_bytes = |step: &Value| step["type"] == "ByteLevel" && step["add_prefix_space"] == false;
        if spells_bytes(pre_tokenizer) && pre_tokenizer["use_regex"] != false {
            return Some(Self::Gpt2);
        }
        let [split, bytes] = pre_tokenizer["pretokenizers"].as_array()?.as_slice() else { return None };
        let keeps_all = match split["behavior"].as_str()? {
            "Isolated" => split["invert"] != true,
            "Removed" => split["invert"] == true,
            _ => false,
        };
        let pattern = match split["pattern"]["Regex"].as_str()? {
            CL100K_BASE_PATTERN | QWEN2_PATTERN | QWEN35_PATTERN => Self::LineEnds,
            O200K_BASE_PATTERN | TEKKEN_PATTERN => Self::LineEndsAndCase,
            _ => return None,
        };
        let splits = split["type"] == "Split" && keeps_all;
        (splits && spells_bytes(bytes) && bytes["use_regex"] == false).then_some(pattern)
    }
}

/// A class of characters that patterns take runs of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Punctuation,
    Space,
    /// Symbols and punctuation beyond ASCII.
    Symbol,
    /// All others.
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            'A'..='Z' => Self::Upper,
            'a'..='z' => Self::Lower,
            '0'..='9' => Self::Digit,
            '!'..='~' => Self::Punctuation,
            ' ' | '\t' | '\n' | '\r' => Self::Space,
            // Dashes, arrows, box drawing, CJK marks, pictures: blocks of long standing
            // that have neither letters nor numbers.
            '\u{2010}'..='\u{2027}'
            | '\u{2030}'..='\u{205e}'
            | '\u{2190}'..='\u{23ff}'
            | '\u{2500}'..='\u{2767}'
            | '\u{3001}'..='\u{3003}'
            | '\u{3008}'..='\u{3020}'
            | '\u{1f300}'..='\u{1f64f}' => Self::Symbol,
            _ => Self::Other,
        }
    }
}

/// Whether the line end before `at` is the last of its run of white space, and what
/// follows can't belong to the same word.
fn ends_lines(text: &str, at: usize) -> bool {
    let behind = text.as_bytes()[at..].iter().take(AROUND);
    let indent = behind.take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match text[at + indent..].chars().next() {
        Some('/') => indent > 0,
        Some(next) => is_visible(next),
        None => false,
    }
}

/// Whether a character is white space in no version of Unicode and no engine.
fn is_visible(c: char) -> bool {
    !matches!(c,
        '\0'..=' ' | '\u{7f}'..='\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}')
}

/// Whether a character is a letter without case that has been in Unicode since 2.0.
fn is_east_asian_letter(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3094}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fa5}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutter(pattern: Pattern, added_tokens: &[(&str, bool)]) -> Cutter {
        let content = |(text, looks_around): &(&str, bool)| Content {
            text: (*text).to_owned(),
            looks_around: *looks_around,
        };
        Cutter {
            pattern,
            added_tokens: added_tokens.iter().map(content).collect(),
            longest_added_token: 16,
            matches_normalized: false,
        }
    }

    #[test]
    fn borders_lie_where_words_end() {
        let border = |text: &str| cutter(Pattern::LineEnds, &[]).last_border(text, 100);
        assert_eq!(border("ab cd"), Some(2));
        assert_eq!(border("ab\n\ncd"), Some(4));
        assert_eq!(border("ab\n \n\tcd"), Some(5));
        assert_eq!(border("ab\n cd"), Some(3));
        assert_eq!(border("b\n/b"), None);
        assert_eq!(border("b\n /b"), Some(2));
        assert_eq!(border("b\n\u{3000}b"), None);
        assert_eq!(border("ab'll"), None);
        assert_eq!(border("ab, "), Some(3));
        assert_eq!(border("ab.cd"), Some(2));
        assert_eq!(border("你好。你"), Some(6));
        assert_eq!(border("  1234567"), Some(8));
        let border = |text: &str| cutter(Pattern::Gpt2, &[]).last_border(text, 100);
        assert_eq!(border("ab\n\ncd"), Some(2));
        assert_eq!(border("\n\ncd"), None);
        assert_eq!(border("1234567"), None);
    }

    #[test]
    fn joints_lie_inside_runs() {
        let joint = |text: &str| cutter(Pattern::LineEnds, &[]).last_joint(text, 16);
        assert_eq!(joint(&"a".repeat(40)), Some(16));
        assert_eq!(joint(&"-".repeat(40)), Some(16));
        assert_eq!(joint(&" ".repeat(40)), Some(16));
        assert_eq!(joint(&" \n".repeat(40)), Some(16));
        assert_eq!(joint(&"\n ".repeat(40)), Some(15));
        assert_eq!(joint(&format!(".{}", "\n ".repeat(40))), None);
        assert_eq!(joint(&format!("x\n{}", " ".repeat(40))), Some(2));
        assert_eq!(joint(&"1".repeat(40)), None);
        assert_eq!(joint(&format!("{}{}", "a".repeat(12), "é".repeat(12))), None);
        assert_eq!(joint(&"é".repeat(40)), None);
        assert_eq!(cutter(Pattern::LineEnds, &[]).last_joint(&"─".repeat(40), 40), Some(39));
    }

    #[test]
    fn added_tokens_are_not_cut() {
        let cutter = cutter(Pattern::LineEnds, &[("<|a|>", false), ("<R>", true)]);
        let border = |text: &str| cutter.last_border(text, 100);
        assert_eq!(border("x<|a|>"), Some(1));
        assert_eq!(border("<|a|>"), None);
        assert_eq!(border("<|a|> b"), Some(5));
        assert_eq!(border("é <R>  b"), None);
        assert_eq!(border("a b <R>  b"), Some(1));
    }
}
