//! Blocks beside the general matchers, and both beside the regular expressions that they stand for.

use super::*;
use crate::pattern::PATTERNS;

fn pieces(pattern: Pattern, text: &str, portable: bool) -> Vec<usize> {
    let mut blocks = PatternWalk::new(pattern, false, text.as_bytes());
    blocks.begin(0..text.len());
    let (mut all, mut ends) = (Vec::new(), [0; BATCH]);
    loop {
        let count = match portable {
            true => blocks.fill_by(&mut ends, 0, Masks::of),
            false => blocks.fill(&mut ends, 0),
        };
        if count == 0 {
            return all;
        }
        all.extend_from_slice(&ends[..count]);
    }
}

/// Texts made of `parts` at random; the same every time.
fn texts(parts: &[&str], count: usize) -> impl Iterator<Item = String> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let parts: Vec<String> = parts.iter().map(|part| part.to_string()).collect();
    (0..count).map(move |_| {
        let mut text = String::new();
        // Few kinds of parts in one text make long runs and odd meetings likely.
        let kinds: Vec<&String> = (0..1 + random(6)).map(|_| &parts[random(parts.len())]).collect();
        for _ in 0..1 + random(90) {
            let part = if random(10) == 0 { &parts[random(parts.len())] } else { kinds[random(kinds.len())] };
            text.push_str(part);
        }
        text
    })
}

const PARTS: &[&str] = &[
    "a",
    "b",
    "Z",
    "s",
    "S",
    "t",
    "re",
    "RE",
    "ve",
    "ll",
    "LL",
    "l",
    "d",
    "M",
    "'",
    "'s",
    "'LL",
    "'re",
    "0",
    "12",
    "345",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\0",
    "\u{1f}",
    "!",
    "/",
    "//",
    "-",
    "(",
    ".",
    "é",
    "É",
    "ſ",
    "ß",
    "ǅ",
    "ʰ",
    "中",
    "々〇",
    "か",
    "・",
    "、",
    "…",
    "۔",
    "|",
    "\u{3040}",
    "\u{2e80}",
    "\u{16ff0}",
    "\u{301}",
    "\u{20dd}",
    "\u{a0}",
    "\u{3000}",
    "\u{85}",
    "\u{2028}",
    "½",
    "٣",
    "😀",
    "ﬆ",
    "K",
    "\u{200d}",
    "\u{10ffff}",
    "word",
    " Word",
    "camelCase",
];

#[test]
fn blocks_split_as_the_matcher_does() {
    for text in texts(PARTS, 10_000) {
        for (pattern, _) in PATTERNS {
            let mut expected = Vec::new();
            while *expected.last().unwrap_or(&0) < text.len() {
                expected.push(pattern.end(text.as_bytes(), *expected.last().unwrap_or(&0)));
            }
            assert_eq!(pieces(pattern, &text, false), expected, "{pattern:?} {text:?}");
            assert_eq!(pieces(pattern, &text, true), expected, "portable {pattern:?} {text:?}");
        }
    }
}

/// Where pieces end, by the reference's regular expressions one after another: what one of them finds, and what is
/// between, is split by the next.
fn expected(regexes: &[onig::Regex], text: &str) -> Vec<usize> {
    let mut ends = vec![text.len()];
    for regex in regexes {
        let mut start = 0;
        let mut split = Vec::new();
        for end in ends {
            let found = regex.find_iter(&text[start..end]);
            let borders = found.flat_map(|(from, to)| [start + from, start + to]);
            split.extend(borders.chain([end]).filter(|border| *border > start));
            split.dedup();
            start = end;
        }
        ends = split;
    }
    ends
}

fn compiled(regexes: &[&str]) -> Vec<onig::Regex> {
    regexes.iter().map(|regex| onig::Regex::new(regex).unwrap()).collect()
}

#[test]
fn texts_split_as_the_regular_expressions_do() {
    for (pattern, regexes) in PATTERNS {
        let regexes = compiled(regexes);
        for text in texts(PARTS, 10_000) {
            assert_eq!(pieces(pattern, &text, false), expected(&regexes, &text), "{pattern:?} {text:?}");
        }
    }
}

/// All classes have many members below U+3400; of the rest some are tried here, and all in
/// [`crate::unicode`].
#[test]
fn characters_split_as_in_the_regular_expressions() {
    let codes = (0..0x3400).chain((0x3400..0x11_0000).step_by(37));
    let characters: Vec<char> = codes.filter_map(char::from_u32).collect();
    for (pattern, regexes) in PATTERNS {
        let regexes = compiled(regexes);
        for c in &characters {
            let text = format!("{c}a'{c}x'{c}e'l{c} {c}{c}Z{c}\n{c} \t{c}1{c}2!{c}");
            assert_eq!(pieces(pattern, &text, false), expected(&regexes, &text), "{pattern:?} {text:?}");
        }
    }
}
