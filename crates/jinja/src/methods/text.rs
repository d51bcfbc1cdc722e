//! Methods of strings.

use std::collections::HashSet;

use crate::access::characters;
use crate::arguments::{CallArguments, int, text as expect_text};
use crate::error::{Error, Result};
use crate::format;
use crate::letters;
use crate::machine::Machine;
use crate::padding::End;
use crate::text::{MarkedText, OriginMark, TextBuilder};
use crate::unicode::{is_line_break, is_printable, is_white_space};
use crate::value::TemplateValue;

impl<'a> Machine<'a> {
    pub(super) fn text_method(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        self.spend_bytes(text.as_str().len())?;
        match name {
            "strip" => self.stripped(text, name, arguments, End::Both),
            "lstrip" => self.stripped(text, name, arguments, End::Left),
            "rstrip" => self.stripped(text, name, arguments, End::Right),
            "split" | "rsplit" => self.split(text, name, arguments),
            "splitlines" => self.split_lines(text, arguments),
            "partition" | "rpartition" => self.partition(text, name, arguments),
            "startswith" | "endswith" => self.starts_or_ends(text, name, arguments),
            "removeprefix" | "removesuffix" => self.without(text, name, arguments),
            "replace" => {
                let [old, new, count] = arguments.bind(name, ["", "", ""], 2)?;
                let (old, new) = (
                    expect_text(old.unwrap_or(TemplateValue::None))?,
                    expect_text(new.unwrap_or(TemplateValue::None))?,
                );
                let count = count.map_or(Ok(-1), int)?;
                self.replaced(text, old.as_str(), new, count).map(TemplateValue::Text)
            }
            "find" | "rfind" | "index" | "rindex" | "count" => self.found(text, name, arguments),
            "join" => {
                let [items] = arguments.bind(name, [""], 1)?;
                let items = self.collect(items.unwrap_or(TemplateValue::None))?;
                self.check_values(2 * items.len())?;
                let mut texts = Vec::with_capacity(2 * items.len());
                for item in items {
                    if !texts.is_empty() {
                        texts.push(text);
                    }
                    texts.push(expect_text(*item)?);
                }
                self.joined(&texts).map(TemplateValue::Text)
            }
            "format" => format::format(self, text, arguments).map(TemplateValue::Text),
            "ljust" | "rjust" | "center" => {
                let [width, fill] = arguments.bind(name, ["", ""], 1)?;
                let width = int(width.unwrap_or(TemplateValue::None))?;
                let fill = fill.map_or(Ok(MarkedText::new(" ")), expect_text)?;
                let end = match name {
                    "ljust" => End::Right,
                    "rjust" => End::Left,
                    _ => End::Both,
                };
                self.padded(text, width, fill, end).map(TemplateValue::Text)
            }
            "zfill" => self.zero_filled(text, arguments),
            "expandtabs" => self.tabs_expanded(text, arguments),
            _ => {
                let [] = arguments.bind(name, [], 0)?;
                self.of_case(text, name)
            }
        }
    }

    /// Methods without arguments.
    fn of_case(&self, text: MarkedText<'a>, name: &'static str) -> Result<TemplateValue<'a>> {
        self.spend_letters(text.as_str().len())?;
        let all = |is: fn(char) -> bool| {
            TemplateValue::Bool(!text.as_str().is_empty() && text.as_str().chars().all(is))
        };
        Ok(match name {
            "lower" => TemplateValue::Text(self.lower(text)?),
            "upper" => TemplateValue::Text(self.upper(text)?),
            "capitalize" => TemplateValue::Text(letters::capitalized(self, text)?),
            "title" => TemplateValue::Text(letters::title(self, text)?),
            "swapcase" => TemplateValue::Text(letters::swapped(self, text)?),
            "casefold" => TemplateValue::Text(letters::folded(self, text)?),
            "isspace" => all(is_white_space),
            "isalpha" => letters::all_ascii(text, name, |c| c.is_ascii_alphabetic())?,
            "isalnum" => letters::all_ascii(text, name, |c| c.is_ascii_alphanumeric())?,
            "isdigit" | "isdecimal" | "isnumeric" => letters::all_ascii(text, name, |c| c.is_ascii_digit())?,
            "isascii" => TemplateValue::Bool(text.as_str().is_ascii()),
            "isprintable" => TemplateValue::Bool(text.as_str().chars().all(is_printable)),
            "islower" => TemplateValue::Bool(letters::is_lower(text.as_str())),
            "isupper" => TemplateValue::Bool(letters::is_upper(text.as_str())),
            "istitle" => TemplateValue::Bool(letters::is_title(text.as_str())),
            _ => return Err(Error::unsupported(format!("the method `{name}` of a string"))),
        })
    }

    fn stripped(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
        end: End,
    ) -> Result<TemplateValue<'a>> {
        let [chars] = arguments.bind(name, [""], 0)?;
        let chars = match chars {
            None | Some(TemplateValue::None) => None,
            Some(chars) => Some(expect_text(chars)?.as_str()),
        };
        self.strip(text, chars, end).map(TemplateValue::Text)
    }

    /// A text without white space, or without `chars`, at its ends.
    pub(crate) fn strip(
        &self,
        text: MarkedText<'a>,
        chars: Option<&str>,
        end: End,
    ) -> Result<MarkedText<'a>> {
        let chars: Option<HashSet<char>> = chars.map(|chars| chars.chars().collect());
        let goes = |c: char| chars.as_ref().map_or_else(|| is_white_space(c), |chars| chars.contains(&c));
        let string = text.as_str();
        let start = match end {
            End::Right => 0,
            End::Left | End::Both => string.len() - string.trim_start_matches(goes).len(),
        };
        let stop = match end {
            End::Left => string.len(),
            End::Right | End::Both => start + string[start..].trim_end_matches(goes).len(),
        };
        self.cut(text, start, stop)
    }

    fn texts(&self, text: MarkedText<'a>, borders: &[(usize, usize)]) -> Result<TemplateValue<'a>> {
        let parts = borders.iter().map(|(start, end)| self.cut(text, *start, *end).map(TemplateValue::Text));
        self.alloc_all(parts).map(TemplateValue::List)
    }

    fn split(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let [separator, most] = arguments.bind(name, ["sep", "maxsplit"], 0)?;
        let most = usize::try_from(most.map_or(Ok(-1), int)?).unwrap_or(usize::MAX);
        let string = text.as_str();
        let is_right = name == "rsplit";
        let mut borders = match separator {
            None | Some(TemplateValue::None) => {
                self.check_parts(string, |text| text.matches(is_white_space).count())?;
                words(string, most, is_right)
            }
            Some(separator) => {
                let separator = expect_text(separator)?.as_str();
                if separator.is_empty() {
                    return Err(Error::operation("an empty separator"));
                }
                self.check_parts(string, |text| text.matches(separator).count())?;
                let places: Vec<usize> = if is_right {
                    string.rmatch_indices(separator).take(most).map(|(at, _)| at).collect()
                } else {
                    string.match_indices(separator).take(most).map(|(at, _)| at).collect()
                };
                let mut places = places;
                places.sort_unstable();
                let starts = std::iter::once(0).chain(places.iter().map(|at| at + separator.len()));
                starts.zip(places.iter().copied().chain([string.len()])).collect()
            }
        };
        borders.sort_unstable();
        self.texts(text, &borders)
    }

    fn split_lines(&self, text: MarkedText<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [keep] = arguments.bind("splitlines", ["keepends"], 0)?;
        self.check_parts(text.as_str(), |text| text.matches(is_line_break).count())?;
        let borders = lines(text.as_str(), keep.is_some_and(TemplateValue::is_true));
        self.texts(text, &borders)
    }

    /// The lines of a text, without their ends.
    pub(crate) fn lines(&self, text: MarkedText<'a>) -> Result<Vec<MarkedText<'a>>> {
        self.check_parts(text.as_str(), |text| text.matches(is_line_break).count())?;
        let borders = lines(text.as_str(), false);
        let mut lines = Vec::with_capacity(borders.len());
        for (start, end) in borders {
            lines.push(self.cut(text, start, end)?);
        }
        Ok(lines)
    }

    /// Checks that a text may be cut in as many `parts` as are counted.
    fn check_parts(&self, text: &str, parts: impl Fn(&str) -> usize) -> Result<()> {
        // What is shorter has few enough in any case.
        const SHORT: usize = 1 << 16;
        if text.len() <= SHORT {
            return Ok(());
        }
        self.check_values(2 * parts(text))
    }

    fn partition(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let [separator] = arguments.bind(name, [""], 1)?;
        let separator = expect_text(separator.unwrap_or(TemplateValue::None))?.as_str();
        if separator.is_empty() {
            return Err(Error::operation("an empty separator"));
        }
        let string = text.as_str();
        let is_right = name == "rpartition";
        let found = if is_right { string.rfind(separator) } else { string.find(separator) };
        let cuts = match found {
            Some(at) => [(0, at), (at, at + separator.len()), (at + separator.len(), string.len())],
            None if is_right => [(0, 0), (0, 0), (0, string.len())],
            None => [(0, string.len()), (string.len(), string.len()), (string.len(), string.len())],
        };
        let parts = cuts.iter().map(|(start, end)| self.cut(text, *start, *end).map(TemplateValue::Text));
        self.alloc_all(parts).map(TemplateValue::Tuple)
    }

    fn starts_or_ends(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let [part, start, stop] = arguments.bind(name, ["", "", ""], 1)?;
        if start.is_some() || stop.is_some() {
            return Err(Error::unsupported(format!("`{name}` within a part of a string")));
        }
        let part = part.unwrap_or(TemplateValue::None);
        let parts = if let TemplateValue::Tuple(parts) = part { parts } else { &[part] };
        let string = text.as_str();
        for part in parts {
            let part = expect_text(*part)?.as_str();
            self.spend_bytes(64 + part.len().min(string.len()))?;
            let found = if name == "startswith" { string.starts_with(part) } else { string.ends_with(part) };
            if found {
                return Ok(TemplateValue::Bool(true));
            }
        }
        Ok(TemplateValue::Bool(false))
    }

    fn without(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let [part] = arguments.bind(name, [""], 1)?;
        let part = expect_text(part.unwrap_or(TemplateValue::None))?.as_str();
        let string = text.as_str();
        let (start, end) = if name == "removeprefix" {
            (string.strip_prefix(part).map_or(0, |_| part.len()), string.len())
        } else {
            (0, string.strip_suffix(part).map_or(string.len(), str::len))
        };
        self.cut(text, start, end).map(TemplateValue::Text)
    }

    /// A text with `new` for the first `count` of `old`, for all if that is negative.
    pub(crate) fn replaced(
        &self,
        text: MarkedText<'a>,
        old: &str,
        new: MarkedText<'a>,
        count: i64,
    ) -> Result<MarkedText<'a>> {
        let string = text.as_str();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut out = TextBuilder::default();
        let mut from = 0;
        for (at, _) in string.match_indices(old).take(count) {
            out.push(self.cut(text, from, at)?);
            out.push(new);
            from = at + old.len();
            self.spend(1)?;
            self.check_growth(&out, 0)?;
        }
        if from == 0 && out.is_empty() && !string.starts_with(old) {
            return Ok(text);
        }
        out.push(self.cut(text, from, string.len())?);
        self.finish(&mut out)
    }

    fn found(
        &self,
        text: MarkedText<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let [part, start, stop] = arguments.bind(name, ["", "", ""], 1)?;
        let part = expect_text(part.unwrap_or(TemplateValue::None))?.as_str();
        let (from, within) = match bounds(text, start, stop)? {
            Some((from, to)) => (from, self.characters(text, from, to)?.as_str()),
            None if name == "count" => return Ok(TemplateValue::Int(0)),
            None if name.ends_with("find") => return Ok(TemplateValue::Int(-1)),
            None => return Err(Error::operation(format!("`{name}` of what is not there"))),
        };
        if name == "count" {
            let count =
                if part.is_empty() { within.chars().count() + 1 } else { within.matches(part).count() };
            return Ok(TemplateValue::Int(count as i64));
        }
        let found = if name.starts_with('r') { within.rfind(part) } else { within.find(part) };
        match found {
            Some(at) => Ok(TemplateValue::Int((from + within[..at].chars().count()) as i64)),
            None if name.ends_with("find") => Ok(TemplateValue::Int(-1)),
            None => Err(Error::operation(format!("`{name}` of what is not there"))),
        }
    }

    fn zero_filled(&self, text: MarkedText<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [width] = arguments.bind("zfill", [""], 1)?;
        let width = int(width.unwrap_or(TemplateValue::None))?;
        let sign = usize::from(text.as_str().starts_with(['+', '-']));
        let digits = self.cut(text, sign, text.as_str().len())?;
        let filled =
            self.padded(digits, width.saturating_sub(sign as i64), MarkedText::new("0"), End::Left)?;
        self.joined(&[self.cut(text, 0, sign)?, filled]).map(TemplateValue::Text)
    }

    fn tabs_expanded(
        &self,
        text: MarkedText<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let [size] = arguments.bind("expandtabs", ["tabsize"], 0)?;
        let size = size.map_or(Ok(8), int)?;
        let mut out = TextBuilder::default();
        let mut column = 0;
        for (character, mark) in text.chars() {
            match character {
                '\t' => {
                    let blanks = if size > 0 { size - column % size } else { 0 };
                    self.check_growth(&out, usize::try_from(blanks).unwrap_or(usize::MAX))?;
                    (0..blanks).for_each(|_| out.push_char(' ', mark));
                    column += blanks;
                }
                '\n' | '\r' => {
                    out.push_char(character, mark);
                    column = 0;
                }
                _ => {
                    out.push_char(character, mark);
                    column += 1;
                }
            }
        }
        self.finish(&mut out).map(TemplateValue::Text)
    }

    /// A text in lower case.
    pub(crate) fn lower(&self, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
        let string = text.as_str();
        if !string.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            return Ok(text);
        }
        // The letter sigma depends on what is beside it, so Rust has to see all of it.
        if string.is_ascii() || !string.contains('Σ') {
            return letters::mapped(self, text, |c, out, mark| {
                c.to_lowercase().for_each(|c| out.push_char(c, mark))
            });
        }
        let lowered = string.to_lowercase();
        let mut rest = lowered.chars();
        letters::mapped(self, text, move |c, out: &mut TextBuilder, mark: OriginMark| {
            c.to_lowercase().zip(rest.by_ref()).for_each(|(_, c)| out.push_char(c, mark));
        })
    }

    /// A text in upper case.
    pub(crate) fn upper(&self, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
        letters::mapped(self, text, |c, out, mark| c.to_uppercase().for_each(|c| out.push_char(c, mark)))
    }
}

/// Where the words are that white space parts, with at most `most` cuts.
fn words(text: &str, most: usize, from_right: bool) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let (mut start, mut end) = (0, text.len());
    loop {
        let rest = &text[start..end];
        let trimmed = if from_right {
            rest.trim_end_matches(is_white_space)
        } else {
            rest.trim_start_matches(is_white_space)
        };
        if trimmed.is_empty() {
            return words;
        }
        if from_right {
            end = start + trimmed.len();
        } else {
            start = end - trimmed.len();
        }
        if words.len() == most {
            // What is left keeps its other end as it is.
            words.push((start, end));
            return words;
        }
        let rest = &text[start..end];
        if from_right {
            let word = rest
                .rfind(is_white_space)
                .map_or(start, |at| start + at + rest[at..].chars().next().map_or(1, char::len_utf8));
            words.push((word, end));
            end = word;
        } else {
            let word = rest.find(is_white_space).map_or(end, |at| start + at);
            words.push((start, word));
            start = word;
        }
    }
}

/// Where lines are.
fn lines(text: &str, keep_ends: bool) -> Vec<(usize, usize)> {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let Some((at, character)) = rest.char_indices().find(|(_, c)| is_line_break(*c)) else {
            lines.push((start, text.len()));
            break;
        };
        let length = if rest[at..].starts_with("\r\n") { 2 } else { character.len_utf8() };
        lines.push((start, start + at + if keep_ends { length } else { 0 }));
        start += at + length;
    }
    lines
}

/// The characters between optional bounds, by their numbers; none where the first is behind the end.
fn bounds(
    text: MarkedText<'_>,
    start: Option<TemplateValue<'_>>,
    stop: Option<TemplateValue<'_>>,
) -> Result<Option<(usize, usize)>> {
    let length = characters(text) as i64;
    let bound = |bound: Option<TemplateValue<'_>>, default: i64| match bound {
        None | Some(TemplateValue::None) => Ok(default),
        Some(value) => {
            let at = int(value)?;
            Ok(if at < 0 { at.saturating_add(length).max(0) } else { at })
        }
    };
    let (start, stop) = (bound(start, 0)?, bound(stop, length)?.min(length));
    Ok((start <= stop).then_some((start as usize, stop as usize)))
}
