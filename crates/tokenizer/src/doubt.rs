//! Characters over which another engine than the reference may give other ids.
//!
//! Which characters are letters, numbers or white space is a matter of Unicode's version, and each library has tables
//! of its own: Oniguruma, by which the reference finds words; `regex-syntax`, from which `fastokens` makes its
//! scanners; PCRE2, by which it finds words of other patterns. All that [`super::patterns`] lets through they class
//! alike (a test asks them about each code point), but for U+180E, once a space, which still is one to PCRE2's `\s`.
//! A text that has one goes to the reference.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The characters that the libraries put into different classes.
pub(super) const CLASSED_DIFFERENTLY: &[char] = &['\u{180e}'];

/// The letters beyond ASCII that are a case of an ASCII letter: `ſ` of `s`, and the Kelvin sign of `k`.
const CASES_OF_ASCII: &[char] = &['\u{17f}', '\u{212a}'];

/// What makes a text doubtful to an engine with a tokenizer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    /// Whether a pattern has letters that stand for both cases.
    pub(super) any_case: bool,
}

impl Doubt {
    /// Whether the engine may give other ids than the reference for `text`.
    pub(super) fn is_about(self, text: &str) -> bool {
        static FINDERS: LazyLock<[Finders; 2]> =
            LazyLock::new(|| [CLASSED_DIFFERENTLY, CASES_OF_ASCII].map(finders));
        let [classed_differently, cases_of_ascii] = &*FINDERS;
        let has = |finders: &Finders| finders.iter().any(|finder| finder.find(text.as_bytes()).is_some());
        !text.is_ascii() && (has(classed_differently) || self.any_case && has(cases_of_ascii))
    }
}

type Finders = Vec<Finder<'static>>;

fn finders(characters: &[char]) -> Finders {
    characters.iter().map(|c| Finder::new(&c.to_string()).into_owned()).collect()
}

/// Texts with such characters in the surroundings that patterns look at.
pub(super) fn texts() -> Vec<String> {
    CLASSED_DIFFERENTLY
        .iter()
        .chain(CASES_OF_ASCII)
        .flat_map(|c| {
            [
                format!("a{c}b {c} {c}'s '{c}1{c}2.{c}\n{c} \n {c}"),
                format!("{c}'s"),
                format!("{c}"),
                format!("x  {c}{c}  \n\n{c}\n{c}y {c}{c}z !{c}! 1{c}2"),
            ]
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use std::ops::RangeInclusive;

    use regex_syntax::hir::{Class, HirKind};

    use super::super::patterns::CATEGORIES;
    use super::*;

    /// Whether a class of one library has each code point.
    type Members = Vec<bool>;

    fn by(mut has: impl FnMut(&str) -> bool) -> Members {
        let mut buffer = [0; 4];
        (0..0x11_0000)
            .map(|code| char::from_u32(code).is_some_and(|c| has(c.encode_utf8(&mut buffer))))
            .collect()
    }

    fn oniguruma(class: &str) -> Members {
        let regex = onig::Regex::new(class).unwrap();
        by(|c| regex.find(c).is_some())
    }

    fn pcre2(class: &str) -> Members {
        let regex = pcre2::bytes::RegexBuilder::new().utf(true).ucp(true).build(class).unwrap();
        by(|c| regex.is_match(c.as_bytes()).unwrap())
    }

    fn regex_syntax(class: &str) -> Members {
        let hir = regex_syntax::parse(class).unwrap();
        let ranges: Vec<RangeInclusive<u32>> = match hir.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                class.iter().map(|range| range.start().into()..=range.end().into()).collect()
            }
            // A class of one character.
            HirKind::Literal(literal) => {
                let c = std::str::from_utf8(&literal.0).unwrap().chars().next().unwrap();
                vec![u32::from(c)..=u32::from(c)]
            }
            other => panic!("{class} is {other:?}"),
        };
        let is_in = |code| ranges.iter().any(|range| range.contains(&code));
        by(|c| is_in(u32::from(c.chars().next().unwrap())))
    }

    /// The characters that are in one class and not in the other.
    fn differing(here: &Members, there: &Members) -> Vec<char> {
        let differ = (0..).zip(here.iter().zip(there)).filter(|(_, (here, there))| here != there);
        differ.filter_map(|(code, _)| char::from_u32(code)).collect()
    }

    #[test]
    fn the_libraries_class_every_code_point_alike_but_for_what_is_listed() {
        let classes = CATEGORIES.iter().map(|name| format!(r"\p{{{name}}}"));
        let mut found = Vec::new();
        for class in classes.chain([r"\s", r"\d", "."].map(str::to_owned)) {
            let reference = oniguruma(&class);
            found.extend(differing(&reference, &regex_syntax(&class)));
            found.extend(differing(&reference, &pcre2(&class)));
        }
        // Kimi's pattern is found by a scanner, with the scripts of `regex-syntax`.
        found.extend(differing(&oniguruma(r"\p{Han}"), &regex_syntax(r"\p{Han}")));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, CLASSED_DIFFERENTLY);
        // Why `\w` and scripts are let through nowhere else.
        assert!(differing(&oniguruma(r"\w"), &pcre2(r"\w")).len() > 1_000);
        assert!(differing(&oniguruma(r"\p{Han}"), &pcre2(r"\p{Han}")).contains(&'\u{3001}'));
    }

    #[test]
    fn the_libraries_agree_which_letters_are_cases_of_ascii_letters() {
        for letter in 'a'..='z' {
            let pattern = format!("(?i:{letter})");
            let reference = oniguruma(&pattern);
            assert_eq!(reference, pcre2(&pattern), "{pattern}");
            let beyond = (0x80..).zip(&reference[0x80..]).filter(|(_, is)| **is);
            for (code, _) in beyond {
                assert!(CASES_OF_ASCII.contains(&char::from_u32(code).unwrap()), "{pattern}: U+{code:04X}");
            }
        }
    }

    #[test]
    fn texts_with_such_characters_are_doubtful() {
        let doubtful = |text: &str| [false, true].map(|any_case| Doubt { any_case }.is_about(text));
        assert_eq!(doubtful("plain, ñandú, 你好"), [false, false]);
        assert_eq!(doubtful("你\u{180e}好"), [true, true]);
        assert_eq!(doubtful("Waſſer"), [false, true]);
        assert_eq!(doubtful("300 \u{212a}"), [false, true]);
    }

    /// So a text without them has none after it was normalized, either.
    #[test]
    fn no_normalizer_makes_such_a_character_of_another_one() {
        use unicode_normalization_alignments::UnicodeNormalization as _;
        let listed = |c: char| CLASSED_DIFFERENTLY.contains(&c) || CASES_OF_ASCII.contains(&c);
        for c in (0..0x11_0000).filter_map(char::from_u32).filter(|c| !listed(*c)) {
            assert!(!c.to_lowercase().any(listed), "{c:?}");
            assert!(![c].into_iter().nfc().any(|(c, _)| listed(c)), "{c:?}");
        }
        // What composes of several characters comes apart again.
        for c in CLASSED_DIFFERENTLY.iter().chain(CASES_OF_ASCII) {
            assert!([*c].into_iter().nfd().count() == 1, "{c:?}");
        }
    }
}
