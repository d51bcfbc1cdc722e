//! Texts on which words begin and end in every way that a tokenizer's patterns know.
//!
//! Each code point stands in the surroundings that patterns look at, and pieces of the patterns themselves (their literals, the
//! ends of their ranges, members of their classes, some more repetitions than they count) are put together at random, the
//! same way each time.

use std::ops::RangeInclusive;

use serde_json::Value;

/// Code points in one text: few, since to some normalizers of the reference each change costs as much as the text is long.
const IN_A_TEXT: usize = 30;

/// Texts of pieces of patterns.
const TEXTS: usize = 3_000;

/// Most pieces that are taken from patterns, of which hostile ones have millions.
const TAKEN_MAX: usize = 4_096;

/// Most characters of a literal that is one piece.
const LITERAL_MAX: usize = 32;

/// Most pieces in one of them.
const PIECES_MAX: usize = 24;

/// Blocks of ideographs and syllables, those of scripts that are mostly history, and the planes that nothing is assigned in: what
/// stands there is mostly alike.
const ALIKE: [RangeInclusive<u32>; 6] = [
    0x3400..=0x9fff,
    0xac00..=0xd7a3,
    0xe000..=0xf8ff,
    0x1_0000..=0x1_cfff,
    0x2_0000..=0x3_ffff,
    0xe_0200..=0x10_ffff,
];

/// Planes of which a sample is enough.
const EMPTY: [RangeInclusive<u32>; 2] = [0x3_3500..=0xd_ffff, 0xe_0200..=0x10_ffff];

/// Code points in surroundings.
pub(super) fn characters() -> impl Iterator<Item = String> {
    let is_in =
        |ranges: &[RangeInclusive<u32>], c: char| ranges.iter().any(|range| range.contains(&u32::from(c)));
    let is_taken = move |c: &char| !is_in(&EMPTY, *c) || u32::from(*c).is_multiple_of(61);
    let mut all = ('\0'..=char::MAX).filter(is_taken).peekable();
    std::iter::from_fn(move || {
        all.peek()?;
        let mut text = String::new();
        for c in all.by_ref().take(IN_A_TEXT) {
            text.push_str(&match is_in(&ALIKE, c) {
                true => format!("a{c}1 {c}"),
                false => format!("a{c}b {c}1 {c}'s.{c}{c}\n"),
            });
        }
        Some(text)
    })
}

/// Pieces of all patterns that are in `steps`, put together.
pub(super) fn of_patterns(steps: &[&Value]) -> Vec<String> {
    let mut pieces: Vec<String> = ALWAYS.iter().map(|piece| (*piece).to_owned()).collect();
    let always = pieces.len();
    steps.iter().for_each(|step| each_pattern(step, &mut |pattern| take_apart(pattern, &mut pieces)));
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    };
    let text = |_| {
        let mut text = String::new();
        for _ in 0..=below(PIECES_MAX) {
            // Half of the pieces are the patterns' own, however few these are.
            let (start, end) =
                if below(2) == 0 && pieces.len() > always { (always, pieces.len()) } else { (0, always) };
            let piece = &pieces[start + below(end - start)];
            let times = if below(4) == 0 { 1 + below(5) } else { 1 };
            (0..times).for_each(|_| text.push_str(piece));
        }
        text
    };
    (0..TEXTS).map(text).collect()
}

/// What patterns of all tokenizers look at.
const ALWAYS: &[&str] = &[
    "a",
    "Z",
    "word",
    " Word",
    "iPhone",
    "XML",
    "s",
    "S",
    "t",
    "re",
    "LL",
    "é",
    "É",
    "ß",
    "ſ",
    "\u{212a}",
    "İ",
    "ı",
    "ǅ",
    "ʰ",
    "ª",
    "ا",
    "中",
    "々",
    "〇",
    "か",
    "ー",
    "ไทย",
    "한",
    "नि",
    "e\u{301}",
    "\u{301}",
    "\u{20dd}",
    "\u{903}",
    "0",
    "12",
    "345",
    "6789",
    "½",
    "²",
    "٣",
    "Ⅷ",
    "\u{1d7d8}",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{85}",
    "\u{a0}",
    "\u{180e}",
    "\u{2028}",
    "\u{200b}",
    "\u{200d}",
    "\u{3000}",
    "\u{feff}",
    "\u{ad}",
    "\0",
    "\u{1f}",
    "\u{7f}",
    "'",
    "''",
    "'s",
    "'S",
    "'ll",
    "'Re",
    "\u{2019}s",
    "!",
    "?!",
    "...",
    "…",
    "-",
    "--",
    "_",
    "/",
    "//",
    "\\",
    "(",
    "[",
    "{",
    "<|",
    "|>",
    "$",
    "+",
    "=",
    "^",
    "`",
    "~",
    "©",
    "€",
    "«",
    "、",
    "。",
    "，",
    "٫",
    "▁",
    "😀",
    "\u{1f1e9}\u{1f1ea}",
    "\u{fe0f}",
    "ﬁ",
    "Å",
    "\u{212b}",
    "\u{e000}",
    "\u{fffd}",
    "\u{10ffff}",
    "\u{16f00}",
    "\u{10400}",
];

/// Some members of classes, by the name or letter that patterns have for them.
const MEMBERS: &[(&str, &str)] = &[
    ("L", "aZéßΩя中ʰªǅא"),
    ("Lu", "AÉΩ"),
    ("Ll", "aéя"),
    ("Lt", "ǅ"),
    ("Lm", "ʰー々"),
    ("Lo", "中ªא"),
    ("M", "\u{301}\u{20dd}\u{903}"),
    ("N", "1٣Ⅷ½²〇"),
    ("Nd", "1٣"),
    ("P", "!_-(«‿、。"),
    ("S", "$+^©€˄"),
    ("Z", " \u{a0}\u{2028}\u{3000}"),
    ("C", "\0\u{ad}\u{200d}\u{e000}\u{378}"),
    ("Han", "中々〇⺀\u{16ff0}"),
    ("s", " \t\n\r\u{b}\u{85}\u{a0}\u{180e}\u{2028}"),
    ("d", "1٣"),
    ("w", "a_1é\u{301}‿"),
    ("h", "aF0"),
    ("r", "\r"),
    ("n", "\n"),
    ("t", "\t"),
    ("f", "\u{c}"),
    ("v", "\u{b}"),
];

/// Calls `found` with each pattern, and each string that is looked for, in a part of a `tokenizer.json`.
fn each_pattern(part: &Value, found: &mut impl FnMut(&str)) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(pattern) if matches!(&**name, "Regex" | "String" | "delimiter") => found(pattern),
                    _ => each_pattern(value, found),
                }
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| each_pattern(part, found)),
        _ => {}
    }
}

/// Appends what a pattern is made of. It need not be read as a whole for that.
fn take_apart(pattern: &str, pieces: &mut Vec<String>) {
    let mut literal = String::new();
    let mut rest = pattern.chars().peekable();
    let end = |literal: &mut String, pieces: &mut Vec<String>| {
        if literal.chars().nth(1).is_some() {
            // The two letters beyond ASCII that are the same as one of ASCII's where case does not count.
            let folded = literal.to_lowercase().replace('s', "ſ").replace('k', "\u{212a}");
            pieces.extend([literal.to_uppercase(), folded, std::mem::take(literal)]);
        }
        literal.clear();
    };
    while let Some(c) = rest.next() {
        if pieces.len() >= TAKEN_MAX {
            return;
        }
        if literal.chars().nth(LITERAL_MAX).is_some() {
            end(&mut literal, pieces);
        }
        match c {
            '\\' => {
                let Some(class) = rest.next() else { break };
                let mut name = class.to_ascii_lowercase().to_string();
                if rest.next_if_eq(&'{').is_some() {
                    name = rest.by_ref().take_while(|c| *c != '}').collect();
                }
                let name = name.trim_start_matches('^');
                let known = MEMBERS.iter().find(|(known, _)| *known == name);
                let code = u32::from_str_radix(name, 16).ok().and_then(char::from_u32);
                match (known, code) {
                    (Some((_, members)), _) => pieces.extend(members.chars().map(String::from)),
                    (None, Some(code)) => pieces.extend(around(code)),
                    (None, None) => literal.push(class),
                }
            }
            '(' if rest.next_if_eq(&'?').is_some() => {
                // Flags, and what kind of a group it is.
                rest.by_ref().find(|c| ":)=!>".contains(*c));
                end(&mut literal, pieces);
            }
            '(' | ')' | '[' | ']' | '|' | '?' | '*' | '+' | '^' | '$' | '.' | '{' | '}' | '&' => {
                end(&mut literal, pieces)
            }
            '-' => pieces.extend(rest.peek().into_iter().flat_map(|last| around(*last))),
            c => {
                pieces.extend(around(c));
                literal.push(c);
            }
        }
    }
    end(&mut literal, pieces);
}

/// A character, and those before and behind it.
fn around(c: char) -> impl Iterator<Item = String> {
    let code = u32::from(c);
    [code.checked_sub(1), Some(code), Some(code + 1)]
        .into_iter()
        .flatten()
        .filter_map(char::from_u32)
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_apart() {
        let mut pieces = Vec::new();
        take_apart(r"(?i:'s|'ll)|[^\r\n\p{N}]?[a-f]{1,3}\x{180e}", &mut pieces);
        for expected in ["'s", "'LL", "'", "\r", "½", "a", "f", "g", "e", "\u{180e}", "\u{180f}"] {
            assert!(pieces.iter().any(|piece| piece == expected), "{expected:?} in {pieces:?}");
        }
        take_apart(&"\\,".repeat(500_000), &mut pieces);
        take_apart(&"ab".repeat(500_000), &mut pieces);
        assert!(pieces.iter().map(String::len).sum::<usize>() < 4 * TAKEN_MAX * LITERAL_MAX);
        for odd in [r"\", r"\p{", r"\x{110000}", r"\u{d800}", "[a-", "-", "\u{10ffff}-\0"] {
            take_apart(odd, &mut pieces);
        }
    }

    #[test]
    fn every_code_point_that_may_differ_is_there() {
        let all: String = characters().collect();
        let seen: std::collections::HashSet<char> = all.chars().collect();
        assert!(('\0'..'\u{33500}').all(|c| seen.contains(&c)));
        assert!(('\u{e0000}'..'\u{e0200}').all(|c| seen.contains(&c)));
        assert!(all.len() < 4_500_000, "{}", all.len());
    }

    #[test]
    fn texts_have_what_the_patterns_have() {
        let step: Value = serde_json::json!({"pretokenizers": [{"pattern": {"Regex": "xyzzy|\\p{Han}"}}]});
        let texts = of_patterns(&[&step, &Value::Null]);
        assert_eq!(texts.len(), TEXTS);
        for piece in ["xyzzy", "XYZZY", "⺀", "'S", "w"] {
            assert!(texts.iter().filter(|text| text.contains(piece)).count() > 20, "{piece}");
        }
        assert_eq!(texts, of_patterns(&[&step, &Value::Null]));
    }
}
