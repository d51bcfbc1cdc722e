//! Template text to tokens, as Jinja 3.1 cuts it with `trim_blocks` and `lstrip_blocks`.
//!
//! White space is where chat templates differ by a character, so this follows Jinja's lexer rule by rule: what a `-` or
//! `+` at a tag does, which line break is dropped behind a block, which blanks before one, and the one at the end of the
//! template.

use std::borrow::Cow;

use memchr::memchr;

use crate::error::{Error, ErrorKind, Result};
use crate::unicode::is_white_space;

/// A token with its line, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) line: u32,
    pub(crate) kind: TokenKind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// Text to be printed.
    Data(String),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Text(String),
    Int(i64),
    /// Decimal digits that no `i64` holds.
    BigInt(String),
    Float(f64),
    /// An operator, a bracket or a comma, as it is spelled.
    Operator(&'static str),
}

/// The texts among `tokens`, with a null character behind each, so that nothing is found across two of them.
pub(crate) fn literals(tokens: &[Token]) -> String {
    let mut literals = String::new();
    for token in tokens {
        if let TokenKind::Data(text) | TokenKind::Text(text) = &token.kind {
            literals.push_str(text);
            literals.push('\0');
        }
    }
    literals
}

/// How many digits Python reads an integer of.
const DIGITS_MAX: usize = 4_300;

/// Operators, longer ones before those that they begin with.
const OPERATORS: &[&str] = &[
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";",
];

/// The tokens of a template.
///
/// # Errors
/// [`ErrorKind::Syntax`].
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>> {
    let source = with_plain_line_breaks(source);
    let source = source.strip_suffix('\n').unwrap_or(&source);
    Lexer { source, at: 0, line: 1, line_starts: true, tokens: Vec::new() }.run()
}

/// Every line break as `\n`.
fn with_plain_line_breaks(source: &str) -> Cow<'_, str> {
    if memchr(b'\r', source.as_bytes()).is_none() {
        return Cow::Borrowed(source);
    }
    Cow::Owned(source.replace("\r\n", "\n").replace('\r', "\n"))
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// Whether what was matched last ended with a line break: at the beginning, too.
    line_starts: bool,
    tokens: Vec<Token>,
}

/// What a tag does to the white space before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Strip,
    Keep,
    None,
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Token>> {
        while let Some(begin) = self.next_tag() {
            let data = self.source[self.at..begin].to_owned();
            let open = &self.source[begin..begin + 2];
            let (sign, inside) = self.sign(begin + 2);
            if let Some(end) = self.raw_begin(open, inside) {
                self.data(&data, sign, true);
                self.move_to(begin, end);
                self.raw()?;
                continue;
            }
            self.data(&data, sign, open != "{{");
            self.move_to(begin, inside);
            match open {
                "{#" => self.comment()?,
                "{{" => self.tag(TokenKind::PrintBegin, "}}")?,
                _ => self.tag(TokenKind::BlockBegin, "%}")?,
            }
        }
        let rest = self.source[self.at..].to_owned();
        self.push_data(&rest);
        Ok(self.tokens)
    }

    /// Where the next tag begins.
    fn next_tag(&self) -> Option<usize> {
        let bytes = self.source.as_bytes();
        let mut at = self.at;
        loop {
            at += memchr(b'{', &bytes[at..])?;
            if matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) {
                return Some(at);
            }
            at += 1;
        }
    }

    fn sign(&self, at: usize) -> (Sign, usize) {
        match self.source.as_bytes().get(at) {
            Some(b'-') => (Sign::Strip, at + 1),
            Some(b'+') => (Sign::Keep, at + 1),
            _ => (Sign::None, at),
        }
    }

    /// Text before a tag that has `sign`; `is_block` says whether blanks before it on its line go.
    fn data(&mut self, data: &str, sign: Sign, is_block: bool) {
        let kept = match sign {
            Sign::Strip => data.trim_end_matches(is_white_space),
            Sign::None if is_block => {
                let line = data.rfind('\n').map_or(0, |at| at + 1);
                let blank = !data[line..].is_empty() && data[line..].chars().all(is_white_space);
                if blank && (line > 0 || self.line_starts) { &data[..line] } else { data }
            }
            Sign::None | Sign::Keep => data,
        };
        self.push_data(kept);
        self.line += line_breaks(&data[kept.len()..]);
    }

    fn push_data(&mut self, data: &str) {
        if !data.is_empty() {
            self.tokens.push(Token { line: self.line, kind: TokenKind::Data(data.to_owned()) });
        }
        self.line += line_breaks(data);
    }

    /// Continues at `at`, behind a tag or a part of one that begins at `begin`.
    fn move_to(&mut self, begin: usize, at: usize) {
        self.line += line_breaks(&self.source[begin..at]);
        self.line_starts = self.source[..at].ends_with('\n');
        self.at = at;
    }

    /// Where the tag `{% raw %}` ends, if `inside` is its inside.
    fn raw_begin(&self, open: &str, inside: usize) -> Option<usize> {
        if open != "{%" {
            return None;
        }
        let after = skip_white_space(self.source, inside);
        let after =
            skip_white_space(self.source, after + self.source[after..].strip_prefix("raw").map(|_| 3)?);
        match &self.source[after..] {
            rest if rest.starts_with("-%}") => Some(skip_white_space(self.source, after + 3)),
            rest if rest.starts_with("%}") => Some(after + 2),
            _ => None,
        }
    }

    fn raw(&mut self) -> Result<()> {
        let mut from = self.at;
        loop {
            let Some(begin) = self.source[from..].find("{%").map(|found| from + found) else {
                return Err(Error::syntax(self.line, "the tag `raw` has no end"));
            };
            let (sign, inside) = self.sign(begin + 2);
            let name = skip_white_space(self.source, inside);
            if self.source[name..].starts_with("endraw") {
                let end = skip_white_space(self.source, name + 6);
                if let Some(end) = self.block_end(end) {
                    let data = self.source[self.at..begin].to_owned();
                    self.data(&data, sign, true);
                    self.move_to(begin, end);
                    return Ok(());
                }
            }
            from = begin + 2;
        }
    }

    fn comment(&mut self) -> Result<()> {
        let Some(end) = self.source[self.at..].find("#}").map(|found| self.at + found) else {
            return Err(Error::syntax(self.line, "a comment has no end"));
        };
        self.line += line_breaks(&self.source[self.at..end]);
        let sign = self.source[self.at..end].chars().next_back();
        let after = match sign {
            Some('-') => skip_white_space(self.source, end + 2),
            Some('+') => end + 2,
            _ => end + 2 + usize::from(self.source[end + 2..].starts_with('\n')),
        };
        self.move_to(end, after);
        Ok(())
    }

    /// Where a block's end at `at` ends, if there is one.
    fn block_end(&self, at: usize) -> Option<usize> {
        let rest = &self.source[at..];
        if rest.starts_with("-%}") {
            return Some(skip_white_space(self.source, at + 3));
        }
        if rest.starts_with("+%}") {
            return Some(at + 3);
        }
        rest.starts_with("%}").then(|| at + 2 + usize::from(rest[2..].starts_with('\n')))
    }

    fn print_end(&self, at: usize) -> Option<usize> {
        let rest = &self.source[at..];
        if rest.starts_with("-}}") {
            return Some(skip_white_space(self.source, at + 3));
        }
        rest.starts_with("}}").then_some(at + 2)
    }

    /// The tokens of a tag up to its end.
    fn tag(&mut self, begin: TokenKind, close: &str) -> Result<()> {
        let is_print = begin == TokenKind::PrintBegin;
        self.tokens.push(Token { line: self.line, kind: begin });
        let mut open = Vec::new();
        loop {
            if open.is_empty() {
                let end = if is_print { self.print_end(self.at) } else { self.block_end(self.at) };
                if let Some(end) = end {
                    let kind = if is_print { TokenKind::PrintEnd } else { TokenKind::BlockEnd };
                    self.tokens.push(Token { line: self.line, kind });
                    self.move_to(self.at, end);
                    return Ok(());
                }
            }
            let Some(character) = self.source[self.at..].chars().next() else {
                return Err(Error::syntax(self.line, format!("the template ends before `{close}`")));
            };
            if is_white_space(character) {
                let end = skip_white_space(self.source, self.at);
                self.line += line_breaks(&self.source[self.at..end]);
                self.at = end;
                continue;
            }
            let line = self.line;
            let kind = self.token(character)?;
            if let TokenKind::Operator(operator) = kind {
                balance(&mut open, operator, line)?;
            }
            self.tokens.push(Token { line, kind });
        }
    }

    fn token(&mut self, first: char) -> Result<TokenKind> {
        let rest = &self.source[self.at..];
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '_' || first.is_alphanumeric() {
            let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            let name = &rest[..length];
            if !name.chars().all(is_plain_in_names) {
                let detail = format!("the name `{}`", name.escape_debug());
                return Err(Error::unsupported(detail).at(self.line));
            }
            self.at += length;
            return Ok(TokenKind::Name(name.to_owned()));
        }
        if matches!(first, '\'' | '"') {
            return self.string(first);
        }
        match OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
            Some(operator) => {
                self.at += operator.len();
                Ok(TokenKind::Operator(operator))
            }
            None => Err(Error::syntax(self.line, format!("the character {first:?} has no meaning here"))),
        }
    }

    fn number(&mut self) -> Result<TokenKind> {
        let rest = &self.source[self.at..];
        let follows_dot = self.source[..self.at].ends_with('.');
        if let Some(length) = float_length(rest).filter(|_| !follows_dot) {
            self.at += length;
            let value = rest[..length].replace('_', "");
            let value: f64 = value.parse().map_err(|_| Error::syntax(self.line, "a number is malformed"))?;
            // Jinja spells it `inf` in the Python that it makes, which is a name there.
            if value.is_infinite() {
                return Err(Error::unsupported("a float without end").at(self.line));
            }
            return Ok(TokenKind::Float(value));
        }
        let bytes = rest.as_bytes();
        let (radix, start) = match bytes.get(1).map(u8::to_ascii_lowercase) {
            Some(b'b') if bytes[0] == b'0' => (2, 2),
            Some(b'o') if bytes[0] == b'0' => (8, 2),
            Some(b'x') if bytes[0] == b'0' => (16, 2),
            _ => (10, 0),
        };
        let mut length = start + digits(&rest[start..], radix, start > 0);
        if length == start {
            return Err(Error::syntax(self.line, "a number has no digits"));
        }
        if radix == 10 && bytes[0] == b'0' {
            length = rest.bytes().take_while(|byte| matches!(byte, b'0' | b'_')).count();
        }
        self.at += length;
        let spelled = rest[start..length].replace('_', "");
        match i64::from_str_radix(&spelled, radix) {
            Ok(value) => Ok(TokenKind::Int(value)),
            Err(_) if radix == 10 && spelled.len() > DIGITS_MAX => {
                Err(Error::syntax(self.line, format!("an integer has more than {DIGITS_MAX} digits")))
            }
            Err(_) if radix == 10 => Ok(TokenKind::BigInt(spelled)),
            Err(_) => {
                Err(Error { line: self.line, ..Error::unsupported("an integer beyond 2^63 in another base") })
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<TokenKind> {
        let inside = &self.source[self.at + 1..];
        let mut escaped = false;
        let end = inside.char_indices().find_map(|(at, c)| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(at)
        });
        let Some(end) = end else {
            return Err(Error::syntax(self.line, "a string has no end"));
        };
        let value = unescaped(&inside[..end]).map_err(|error| error.at(self.line))?;
        self.line += line_breaks(&inside[..end]);
        self.at += end + 2;
        Ok(TokenKind::Text(value))
    }
}

/// Whether a character of a name is one to Python, too, and no other spelling of another one.
const fn is_plain_in_names(character: char) -> bool {
    matches!(
        character,
        '_' | '0'..='9' | 'A'..='Z' | 'a'..='z' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ'
            | 'Α'..='Ω' | 'α'..='ω' | 'Ѐ'..='ҁ' | 'ぁ'..='ゖ' | 'ァ'..='ヺ'
            | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}'
    )
}

fn balance(open: &mut Vec<&'static str>, operator: &'static str, line: u32) -> Result<()> {
    let close = match operator {
        "(" => ")",
        "[" => "]",
        "{" => "}",
        ")" | "]" | "}" => {
            return match open.pop() {
                Some(expected) if expected == operator => Ok(()),
                _ => Err(Error::syntax(line, format!("`{operator}` closes nothing"))),
            };
        }
        _ => return Ok(()),
    };
    open.push(close);
    Ok(())
}

/// How long the float that `text` begins with is, if it does.
fn float_length(text: &str) -> Option<usize> {
    let whole = digits(text, 10, false);
    let fraction = text[whole..].strip_prefix('.').map_or(0, |after| digits(after, 10, false));
    let mantissa = if fraction > 0 { whole + 1 + fraction } else { whole };
    let rest = &text.as_bytes()[mantissa..];
    let exponent = match rest {
        [b'e' | b'E', b'+' | b'-', ..] => 2,
        [b'e' | b'E', ..] => 1,
        _ => 0,
    };
    let power = if exponent > 0 { digits(&text[mantissa + exponent..], 10, false) } else { 0 };
    match (fraction, power) {
        (0, 0) => None,
        (_, 0) => Some(mantissa),
        _ => Some(mantissa + exponent + power),
    }
}

/// How many bytes of `text` are digits of the base `radix`, with single `_` between them, and before them if `leading`.
fn digits(text: &str, radix: u32, leading: bool) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(|byte| char::from(*byte).is_digit(radix));
    let mut at = 0;
    loop {
        if is_digit(at) {
            at += 1;
        } else if bytes.get(at) == Some(&b'_') && (at > 0 || leading) && is_digit(at + 1) {
            at += 2;
        } else {
            return at;
        }
    }
}

/// A string literal's value: Python's `unicode-escape` of what stands between the quotes.
fn unescaped(inside: &str) -> Result<String> {
    if memchr(b'\\', inside.as_bytes()).is_none() {
        return Ok(inside.to_owned());
    }
    let mut value = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else { break };
        let simple = match escape {
            '\n' => Some(None),
            '\\' | '\'' | '"' => Some(Some(escape)),
            'a' => Some(Some('\x07')),
            'b' => Some(Some('\x08')),
            'f' => Some(Some('\x0C')),
            'n' => Some(Some('\n')),
            'r' => Some(Some('\r')),
            't' => Some(Some('\t')),
            'v' => Some(Some('\x0B')),
            _ => None,
        };
        if let Some(character) = simple {
            value.extend(character);
            rest = &rest[escape.len_utf8()..];
            continue;
        }
        let (length, radix, start) = match escape {
            'x' => (2, 16, 1),
            'u' => (4, 16, 1),
            'U' => (8, 16, 1),
            '0'..='7' => (rest.bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count(), 8, 0),
            'N' => return Err(Error::unsupported("a character by its name in a string")),
            // Python leaves other escapes alone, and spells what is no ASCII before it looks for them.
            _ if escape.is_ascii() => {
                value.push('\\');
                continue;
            }
            _ => return Err(Error::unsupported("a backslash before a character that is no ASCII")),
        };
        let code = rest.get(start..start + length).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = code.and_then(|code| u32::from_str_radix(code, radix).ok());
        let Some(character) = code.and_then(char::from_u32) else {
            return Err(Error::new(ErrorKind::Syntax, "an escape in a string that is no character"));
        };
        value.push(character);
        rest = &rest[start + length..];
    }
    value.push_str(rest);
    Ok(value)
}

fn skip_white_space(source: &str, at: usize) -> usize {
    source.len() - source[at..].trim_start_matches(is_white_space).len()
}

fn line_breaks(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}
