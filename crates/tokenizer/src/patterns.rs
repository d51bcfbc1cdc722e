//! Which regular expressions two libraries read alike.
//!
//! A split pattern in a `tokenizer.json` is written for Oniguruma, by which the reference finds words. `fastokens`
//! finds them by tables of its own for the patterns that it knows, else by PCRE2 or `fancy-regex`. A pattern that
//! means one thing here and another there passes a check of some texts and then fails on others: `\b` beside a letter
//! that only one library knows, `\h`, which is a digit here and a space there, `ß`, which is `ss` here in any case.
//! So a pattern goes to `fastokens` only if all of it is made of what the three libraries read alike:
//!
//! - characters as they are, and escapes of ASCII signs and of `\t \r \n \f`;
//! - `.`, `\s`, `\d` and `\p{…}` of general categories, and their opposites. Where the libraries' Unicode is of
//!   different versions, [`super::doubt`] knows the characters;
//! - bracketed classes of these and of ranges, not one inside another;
//! - groups without a name, `(?:…)`, looking ahead, alternatives, and the quantifiers that need no braces in any of
//!   their forms, those with braces in the plain one;
//! - `(?i:…)` around ASCII letters and classes of them, where no two of them together are a letter's other case
//!   (`ss` is one of `ß`, `st` of `ﬆ`);
//! - and it never matches nothing, since what happens then is each library's own.
//!
//! All else is left to the reference, which is always right.

use std::iter::Peekable;
use std::str::Chars;

/// Deeper than this groups are not read: patterns in use have two levels.
const DEPTH_MAX: usize = 32;

/// The categories of `\p{…}` that all libraries know by this name and take from Unicode.
pub(super) const CATEGORIES: &[&str] = &[
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp",
];

/// What a pattern that is read alike has besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Alike {
    /// Whether letters stand for both cases somewhere in it.
    pub(super) any_case: bool,
}

/// Whether all libraries read `pattern` alike; else what it is that they may not.
pub(super) fn read_alike(pattern: &str) -> Result<Alike, String> {
    // Its scanner in `fastokens` is made for just this pattern, whose classes cut each other.
    if pattern == fastokens::tiktoken::KIMI_PATTERN {
        return Ok(Alike { any_case: true });
    }
    let mut reader = PatternReader { rest: pattern.chars().peekable(), alike: Alike::default(), depth: 0 };
    let matched = reader.alternatives(false)?;
    match reader.rest.next() {
        Some(_) => Err("`)` without its `(`".to_owned()),
        None if matched.may_be_empty => Err("it may match nothing".to_owned()),
        None => Ok(reader.alike),
    }
}

/// What a part of a pattern matches.
#[derive(Debug, Clone, Copy)]
struct Matched {
    may_be_empty: bool,
}

/// Goes through a pattern from its beginning to its end.
struct PatternReader<'p> {
    rest: Peekable<Chars<'p>>,
    alike: Alike,
    depth: usize,
}

impl PatternReader<'_> {
    /// Alternatives up to the end of a group or of the pattern. `any_case`: inside of `(?i:…)`.
    fn alternatives(&mut self, any_case: bool) -> Result<Matched, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("groups inside groups inside groups".to_owned());
        }
        let mut may_be_empty = false;
        loop {
            let branch = if any_case { self.letters()? } else { self.branch()? };
            may_be_empty |= branch.may_be_empty;
            match self.rest.peek() {
                Some('|') => drop(self.rest.next()),
                _ => break,
            }
        }
        self.depth -= 1;
        Ok(Matched { may_be_empty })
    }

    /// One alternative.
    fn branch(&mut self) -> Result<Matched, String> {
        let mut may_be_empty = true;
        let mut after_any_case = false;
        while let Some(&next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            self.rest.next();
            let group = if next == '(' { Some(self.group()?) } else { None };
            let (atom, is_any_case) = match group {
                Some(group) => group,
                None => (self.atom(next)?, false),
            };
            if is_any_case && after_any_case {
                return Err("`(?i:` behind `(?i:`".to_owned());
            }
            after_any_case = is_any_case;
            may_be_empty &= self.quantified(atom, is_any_case)?.may_be_empty;
        }
        Ok(Matched { may_be_empty })
    }

    /// A group whose `(` was read, up to its `)`, and whether it is one of any case.
    fn group(&mut self) -> Result<(Matched, bool), String> {
        let mut any_case = false;
        let mut looks_ahead = false;
        if self.rest.next_if_eq(&'?').is_some() {
            match self.rest.next() {
                Some(':') => {}
                Some('=' | '!') => looks_ahead = true,
                Some('i') if self.rest.next_if_eq(&':').is_some() => any_case = true,
                Some(other) => return Err(format!("`(?{other}`")),
                None => return Err("`(?` at its end".to_owned()),
            }
        }
        self.alike.any_case |= any_case;
        let inside = self.alternatives(any_case)?;
        if self.rest.next() != Some(')') {
            return Err("`(` without its `)`".to_owned());
        }
        Ok((Matched { may_be_empty: inside.may_be_empty || looks_ahead }, any_case))
    }

    /// Anything but a group, whose first character was read.
    fn atom(&mut self, first: char) -> Result<Matched, String> {
        match first {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '^' | '$' | '{' | '}' | ']' | '*' | '+' | '?' => return Err(format!("`{first}`")),
            _ => {}
        }
        Ok(Matched { may_be_empty: false })
    }

    /// An escape whose `\` was read.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some('s' | 'S' | 'd' | 'D' | 't' | 'r' | 'n' | 'f') => Ok(()),
            Some(letter @ ('p' | 'P')) => {
                let mut name = String::new();
                let braced = self.rest.next_if_eq(&'{').is_some();
                while braced && let Some(next) = self.rest.next_if(|next| *next != '}') {
                    name.push(next);
                }
                let closed = braced && self.rest.next() == Some('}');
                if closed && CATEGORIES.contains(&&*name) {
                    Ok(())
                } else {
                    Err(format!("`\\{letter}{{{name}}}`"))
                }
            }
            Some(sign) if sign.is_ascii_punctuation() || sign == ' ' => Ok(()),
            Some(other) => Err(format!("`\\{other}`")),
            None => Err("`\\` at its end".to_owned()),
        }
    }

    /// A bracketed class whose `[` was read.
    fn class(&mut self) -> Result<(), String> {
        self.rest.next_if_eq(&'^');
        let mut before: Option<char> = None;
        let mut members = 0;
        loop {
            let next = self.rest.next().ok_or("`[` without its `]`")?;
            match next {
                ']' if members > 0 => return Ok(()),
                ']' | '[' => return Err(format!("`{next}` in brackets")),
                '&' if before == Some('&') => return Err("`&&` in brackets".to_owned()),
                // The hyphens and tildes that other libraries read as operations on classes.
                '-' | '~' if before == Some(next) => return Err(format!("`{next}{next}` in brackets")),
                '\\' => self.escape()?,
                _ => {}
            }
            before = Some(next);
            members += 1;
        }
    }

    /// A quantifier of `atom`, if one follows.
    fn quantified(&mut self, atom: Matched, is_any_case: bool) -> Result<Matched, String> {
        let first = match self.rest.peek() {
            Some(&next @ ('?' | '*' | '+' | '{')) => next,
            _ => return Ok(atom),
        };
        self.rest.next();
        if is_any_case && first != '?' {
            return Err("`(?i:…)` several times".to_owned());
        }
        if atom.may_be_empty {
            // How often a match of nothing is repeated is each library's own.
            return Err(format!("`{first}` behind what may match nothing"));
        }
        let mut may_be_empty = matches!(first, '?' | '*');
        if first == '{' {
            let mut inside = String::new();
            while let Some(next) = self.rest.next_if(|next| *next != '}') {
                inside.push(next);
            }
            let closed = self.rest.next().is_some();
            let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
            let least: Option<u32> = least.parse().ok();
            let is_number = most.is_empty() || most.parse::<u32>().is_ok();
            let Some(least) = least.filter(|_| closed && is_number) else {
                return Err(format!("`{{{inside}}}`"));
            };
            may_be_empty |= least == 0;
        } else {
            self.rest.next_if(|next| matches!(next, '?' | '+'));
        }
        match self.rest.peek() {
            Some(next @ ('?' | '*' | '+' | '{')) => Err(format!("`{next}` behind a quantifier")),
            _ => Ok(Matched { may_be_empty }),
        }
    }

    /// One alternative of `(?i:…)`: ASCII letters, signs and classes of them, each once.
    fn letters(&mut self) -> Result<Matched, String> {
        let mut before: Vec<char> = Vec::new();
        let mut may_be_empty = true;
        while let Some(&next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            self.rest.next();
            let mut here = vec![next];
            match next {
                '[' => {
                    here.clear();
                    while let Some(letter) = self.rest.next_if(char::is_ascii_alphabetic) {
                        here.push(letter);
                    }
                    if here.is_empty() || self.rest.next() != Some(']') {
                        return Err("in `(?i:…)`, a class of something else than letters".to_owned());
                    }
                }
                '\'' | '-' | '_' | ' ' => {}
                letter if letter.is_ascii_alphabetic() => {}
                other => return Err(format!("`{other}` in `(?i:…)`")),
            }
            here.iter_mut().for_each(|letter| letter.make_ascii_lowercase());
            if before.iter().any(|first| here.iter().any(|second| is_one_letter(*first, *second))) {
                return Err("in `(?i:…)`, letters that are another letter's other case".to_owned());
            }
            before = here;
            may_be_empty = false;
        }
        Ok(Matched { may_be_empty })
    }
}

/// Whether two letters begin what is one letter's other case: `ß`, `ﬀ`, `ﬁ`, `ﬂ`, `ﬅ`.
fn is_one_letter(first: char, second: char) -> bool {
    matches!((first, second), ('s', 's' | 't') | ('f', 'f' | 'i' | 'l'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_in_use_are_read_alike() {
        use fastokens::tiktoken as known;
        let gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
        let clip = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
        for (pattern, any_case) in [
            (gpt2, false),
            (clip, false),
            (known::CL100K_BASE_PATTERN, true),
            (known::O200K_BASE_PATTERN, true),
            (known::QWEN2_PATTERN, true),
            (known::QWEN35_PATTERN, true),
            (known::TEKKEN_PATTERN, false),
            (known::KIMI_PATTERN, true),
            (known::DEEPSEEK_SPLIT1_PATTERN, false),
            (known::DEEPSEEK_SPLIT2_PATTERN, false),
            (known::DEEPSEEK_SPLIT3_PATTERN, false),
            (
                r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s+",
                true,
            ),
            (r"[0-9][0-9][0-9]", false),
            (r"\p{Nd}{3}(?=\P{Nd})", false),
            (" ", false),
            ("。", false),
            (r".|\.\[\]\{\}", false),
        ] {
            assert_eq!(read_alike(pattern), Ok(Alike { any_case }), "{pattern}");
        }
    }

    #[test]
    fn what_libraries_may_read_differently_is_named() {
        for (pattern, why) in [
            (r"\bfoo", r"`\b`"),
            (r"\w+|\s+", r"`\w`"),
            (r"\h+", r"`\h`"),
            (r"(a)\1", r"`\1`"),
            (r"\x{180e}", r"`\x`"),
            (r"\p{Han}+", r"`\p{Han}`"),
            (r"\p{^L}", r"`\p{^L}`"),
            (r"\pL", r"`\p{}`"),
            (r"\P{Alpha}", r"`\P{Alpha}`"),
            ("^a", "`^`"),
            ("a$", "`$`"),
            ("(?i)straße", "`(?i`"),
            ("(?i:straße)", "in `(?i:…)`, letters that are another letter's other case"),
            ("(?i:ß)", "`ß` in `(?i:…)`"),
            ("(?i:ss)", "in `(?i:…)`, letters that are another letter's other case"),
            ("(?i:[as][bT])", "in `(?i:…)`, letters that are another letter's other case"),
            ("(?i:s)(?i:s)", "`(?i:` behind `(?i:`"),
            ("(?i:s){2}", "`(?i:…)` several times"),
            ("(?i:[a-z])", "in `(?i:…)`, a class of something else than letters"),
            (r"(?i:\p{Lu})", r"`\` in `(?i:…)`"),
            ("(?<=a)b", "`(?<`"),
            ("(?>a)", "`(?>`"),
            ("(?x: a)", "`(?x`"),
            ("[[:alpha:]]", "`[` in brackets"),
            (r"[\p{L}&&\p{N}]", "`&&` in brackets"),
            ("[a--b]", "`--` in brackets"),
            ("[]a]", "`]` in brackets"),
            ("[^(\\s|[.,!?])]+", "`[` in brackets"),
            ("a{1,2}+", "`+` behind a quantifier"),
            ("a{,2}", "`{,2}`"),
            ("a**", "`*` behind a quantifier"),
            ("a*", "it may match nothing"),
            ("", "it may match nothing"),
            ("a|", "it may match nothing"),
            ("(?=a)", "it may match nothing"),
            ("(a?)*b", "`*` behind what may match nothing"),
            ("(a", "`(` without its `)`"),
            ("a)", "`)` without its `(`"),
            ("[a", "`[` without its `]`"),
            ("\\", "`\\` at its end"),
        ] {
            assert_eq!(read_alike(pattern), Err(why.to_owned()), "{pattern}");
        }
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(read_alike(&deep), Err("groups inside groups inside groups".to_owned()));
    }
}
