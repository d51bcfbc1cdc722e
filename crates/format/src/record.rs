//! The raw record: one JSON object a line, of which a tokenizer needs four fields.
//!
//! A tree of every value would cost more than the tokens: the parser checks the
//! line's grammar in one pass, remembers where the wanted fields stand and
//! unescapes only those, into buffers that are used again. Nothing is allocated a
//! record. A differential property test holds it to `serde_json`'s verdict.
//!
//! It is wider than RFC 8259 in one point: `NaN`, `Infinity` and `-Infinity` are
//! let through in fields that are not read, because Python's `json.dumps` writes
//! them and the text beside them is good. A key given twice counts the last time,
//! as in Python.

mod beginning;
mod fields;
mod unescaped;

use serde::{Deserialize, Serialize};

pub(crate) use self::beginning::{Beginning, beginning};
pub use self::fields::{FIELD_NAME_BYTES_MAX, FIELDS_MAX, FieldCount, FieldCounts, Shape};
use self::unescaped::{Unescaped, plain_run};

/// What a tokenizer reads of a record. Strings are unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The text to be tokenized, from the field that was asked for.
    pub text: &'a str,
    /// `id`: a string, or a number as it is spelled.
    pub id: Option<&'a str>,
    /// `source`, where it is a string.
    pub source: Option<&'a str>,
    /// `category`, where it is a string.
    pub category: Option<&'a str>,
}

/// Why a line is not a record.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The line is not JSON.
    InvalidJson,
    /// The line is a JSON array, or the beginning of one.
    JsonArray,
    /// The line is JSON, but no object.
    NotAnObject,
    /// The object has no text field.
    NoText,
    /// The text field is no string.
    TextNotString,
    /// The line is not UTF-8.
    InvalidUtf8,
    /// The text has half of a UTF-16 surrogate pair, which is no character.
    LoneSurrogate,
    /// The text is longer than `--max-document`.
    TooLarge,
    /// The text spells special tokens and `--special-tokens-in-text reject` is set.
    SpecialTokens,
    /// The document has no token at all.
    NoTokens,
    /// The reference has no ids for the text: its library fails or gives up on it.
    NotEncoded,
}

impl Reason {
    /// Every reason, in the order in which summaries list them.
    pub const ALL: [Self; 11] = [
        Self::InvalidJson,
        Self::JsonArray,
        Self::NotAnObject,
        Self::NoText,
        Self::TextNotString,
        Self::InvalidUtf8,
        Self::LoneSurrogate,
        Self::TooLarge,
        Self::SpecialTokens,
        Self::NoTokens,
        Self::NotEncoded,
    ];

    /// The name in files, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::JsonArray => "json_array",
            Self::NotAnObject => "not_an_object",
            Self::NoText => "no_text",
            Self::TextNotString => "text_not_string",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::LoneSurrogate => "lone_surrogate",
            Self::TooLarge => "too_large",
            Self::SpecialTokens => "special_tokens",
            Self::NoTokens => "no_tokens",
            Self::NotEncoded => "not_encoded",
        }
    }
}

/// A line that is no record: why, and at which byte of the line it shows (0-based).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What was found, as a fragment for people.
    pub detail: String,
}

impl Refusal {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// A parser of records that keeps its buffers from line to line.
#[derive(Debug)]
pub struct RecordParser {
    /// In the order in which they are looked for, one or more.
    text_fields: Vec<String>,
    text: Unescaped,
    id: Unescaped,
    source: Unescaped,
    category: Unescaped,
    key: Unescaped,
    nesting: Vec<u8>,
}

impl RecordParser {
    /// A parser that takes the text from the first of `text_fields` that a record has: that is there, and is not null
    /// where there are others to look for.
    ///
    /// # Panics
    /// Panics where there is none.
    #[must_use]
    pub fn new<S: AsRef<str>>(text_fields: &[S]) -> Self {
        assert!(!text_fields.is_empty(), "a text is in some field");
        Self {
            text_fields: text_fields.iter().map(|field| field.as_ref().to_owned()).collect(),
            text: Unescaped::default(),
            id: Unescaped::default(),
            source: Unescaped::default(),
            category: Unescaped::default(),
            key: Unescaped::default(),
            nesting: Vec::new(),
        }
    }

    /// Parses one line, without its line end.
    ///
    /// # Errors
    /// A [`Refusal`] where the line is no JSON object with a string in the text field.
    pub fn parse<'a>(&'a mut self, line: &'a str) -> Result<Record<'a>, Refusal> {
        let mut cursor = Cursor { bytes: line.as_bytes(), at: 0, nesting: &mut self.nesting };
        let fields = cursor.object(&self.text_fields, &mut self.key, &mut self.text)?;
        let text = match fields.text {
            Some(Value::String(span)) if span.escaped => self.text.whole()?,
            Some(Value::String(span)) => &line[span.start..span.end],
            Some(value) => {
                let from =
                    self.text_fields.get(fields.rank).map_or(&self.text_fields[..], std::slice::from_ref);
                let detail = format!("{} is {}, not a string", listed(from), value.kind(line));
                return Err(Refusal::new(Reason::TextNotString, detail));
            }
            None => {
                return Err(Refusal::new(Reason::NoText, format!("no field {}", listed(&self.text_fields))));
            }
        };
        let id = match fields.id {
            Some(Value::Other { start, end }) if is_number(line.as_bytes()[start]) => Some(&line[start..end]),
            other => label_of(line, other, &mut self.id),
        };
        Ok(Record {
            text,
            id,
            source: label_of(line, fields.source, &mut self.source),
            category: label_of(line, fields.category, &mut self.category),
        })
    }

    /// Counts the fields of a line that is an object without a text: people want to know what it has instead.
    pub fn count_fields(&mut self, line: &str, counts: &mut FieldCounts) {
        let mut cursor = Cursor { bytes: line.as_bytes(), at: 0, nesting: &mut self.nesting };
        // What is counted before the line turns out to be none was there all the same.
        drop(cursor.each_field(&mut self.key, &mut |name, is_string| counts.count(name, is_string)));
    }
}

/// Names of fields for people.
fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// The wanted fields of one object, by where they stand in the line.
#[derive(Default)]
struct Fields {
    text: Option<Value>,
    /// Which of the fields that are looked for it is from.
    rank: usize,
    id: Option<Value>,
    source: Option<Value>,
    category: Option<Value>,
}

#[derive(Clone, Copy)]
enum Value {
    String(Span),
    Other { start: usize, end: usize },
}

impl Value {
    fn kind(self, line: &str) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Other { start, .. } => match line.as_bytes()[start] {
                b'{' => "an object",
                b'[' => "an array",
                b't' | b'f' => "a boolean",
                b'n' => "null",
                _ => "a number",
            },
        }
    }
}

/// The inside of a string, without its quotes.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    escaped: bool,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Open brackets of the value that is being skipped: `{` or `[` each.
    nesting: &'a mut Vec<u8>,
}

impl Cursor<'_> {
    /// Where the text has escapes, `text` has it without them.
    fn object(
        &mut self,
        text_fields: &[String],
        key_buffer: &mut Unescaped,
        text: &mut Unescaped,
    ) -> Result<Fields, Refusal> {
        self.white_space();
        match self.peek() {
            Some(b'{') => self.at += 1,
            Some(b'[') => {
                return Err(Refusal::new(Reason::JsonArray, "a JSON array where an object should be"));
            }
            Some(_) => {
                // A lone value is JSON of the wrong shape; anything else is no JSON.
                self.value()?;
                self.end()?;
                return Err(Refusal::new(Reason::NotAnObject, "a JSON value that is no object"));
            }
            None => return Err(self.invalid("an empty line")),
        }
        let mut fields = Fields::default();
        self.white_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.end()?;
            return Ok(fields);
        }
        loop {
            self.white_space();
            let key = self.string()?;
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            match self.key(key, key_buffer)? {
                k if k == text_fields[0] => self.candidate(0, text_fields.len(), &mut fields, text)?,
                k if text_fields.len() > 1 && text_fields[1..].iter().any(|field| field == k) => {
                    let rank = text_fields.iter().position(|field| field == k).unwrap_or_default();
                    self.candidate(rank, text_fields.len(), &mut fields, text)?;
                }
                "id" => fields.id = Some(self.value()?),
                "source" => fields.source = Some(self.value()?),
                "category" => fields.category = Some(self.value()?),
                _ => drop(self.value()?),
            }
            self.white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    self.end()?;
                    return Ok(fields);
                }
                _ => return Err(self.invalid("`,` or `}` expected")),
            }
        }
    }

    /// Takes the value of a field that may hold the text, the `rank`th of `count`, if none that comes before has been met.
    /// Where it is a string with escapes, `out` has it without them. A null gives way to whatever comes.
    fn candidate(
        &mut self,
        rank: usize,
        count: usize,
        fields: &mut Fields,
        out: &mut Unescaped,
    ) -> Result<(), Refusal> {
        let is_null = count > 1 && self.peek() == Some(b'n');
        if fields.text.is_some() && (is_null || rank > fields.rank) {
            return self.value().map(drop);
        }
        fields.rank = if is_null { count } else { rank };
        fields.text = Some(match self.peek() {
            Some(b'"') => Value::String(self.string_into(out)?),
            _ => self.value()?,
        });
        Ok(())
    }

    /// Calls `each` with the name of each field of an object and whether its value is a string.
    fn each_field(
        &mut self,
        key_buffer: &mut Unescaped,
        each: &mut dyn FnMut(&str, bool),
    ) -> Result<(), Refusal> {
        self.white_space();
        self.expect(b'{')?;
        loop {
            self.white_space();
            if self.peek() != Some(b'"') {
                return Ok(());
            }
            let key = self.string()?;
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            each(self.key(key, key_buffer)?, self.peek() == Some(b'"'));
            self.value()?;
            self.white_space();
            if self.peek() != Some(b',') {
                return Ok(());
            }
            self.at += 1;
        }
    }

    fn key<'k>(&'k self, span: Span, buffer: &'k mut Unescaped) -> Result<&'k str, Refusal> {
        // The line is UTF-8 and a span ends at ASCII bytes, so this cannot fail.
        if span.escaped {
            return Ok(buffer.of(self.bytes, span));
        }
        str::from_utf8(&self.bytes[span.start..span.end]).map_err(|_| self.invalid("a key that is not UTF-8"))
    }

    /// Skips one value, checking its grammar; nested values are walked without recursion.
    fn value(&mut self) -> Result<Value, Refusal> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => return self.string().map(Value::String),
            Some(b'{' | b'[') => self.nested()?,
            Some(_) => self.scalar()?,
            None => return Err(self.invalid("a value expected")),
        }
        Ok(Value::Other { start, end: self.at })
    }

    fn nested(&mut self) -> Result<(), Refusal> {
        self.nesting.clear();
        loop {
            // Here a value is to begin.
            self.white_space();
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.white_space();
                    if self.peek() == Some(open + 2) {
                        self.at += 1;
                    } else {
                        self.nesting.push(open);
                        if open == b'{' {
                            self.member_key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(_) => self.scalar()?,
                None => return Err(self.invalid("the line ends inside a value")),
            }
            // Here a value has ended.
            loop {
                let Some(&open) = self.nesting.last() else { return Ok(()) };
                self.white_space();
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if open == b'{' {
                            self.member_key()?;
                        }
                        break;
                    }
                    // In ASCII `}` and `]` stand two after `{` and `[`.
                    Some(close) if close == open + 2 => {
                        self.at += 1;
                        self.nesting.pop();
                    }
                    Some(_) => return Err(self.invalid("`,` or a closing bracket expected")),
                    None => return Err(self.invalid("the line ends inside a value")),
                }
            }
            if self.nesting.is_empty() {
                return Ok(());
            }
        }
    }

    fn member_key(&mut self) -> Result<(), Refusal> {
        self.white_space();
        self.string()?;
        self.white_space();
        self.expect(b':')
    }

    fn scalar(&mut self) -> Result<(), Refusal> {
        for word in [&b"true"[..], b"false", b"null", b"NaN", b"Infinity", b"-Infinity"] {
            if self.bytes[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
        }
        self.number()
    }

    fn number(&mut self) -> Result<(), Refusal> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.invalid("a value expected")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.invalid("a digit expected")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Span, Refusal> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_run(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Span { start, end: self.at - 1, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.broken_string()),
            }
        }
    }

    /// [`Cursor::string`], which also writes the string without its escapes to `out`, if it has any.
    fn string_into(&mut self, out: &mut Unescaped) -> Result<Span, Refusal> {
        self.expect(b'"')?;
        let start = self.at;
        self.at += plain_run(&self.bytes[start..]);
        let escaped = self.peek() != Some(b'"');
        if escaped {
            out.begin(&self.bytes[start..self.at], self.bytes.len() - start);
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Span { start, end: self.at - 1, escaped });
                }
                Some(b'\\') => {
                    let from = self.at + 1;
                    self.escape()?;
                    self.at = out.push_escape(self.bytes, from);
                    self.at += out.push_plain(&self.bytes[self.at..]);
                }
                _ => return Err(self.broken_string()),
            }
        }
    }

    fn broken_string(&self) -> Refusal {
        self.invalid(match self.peek() {
            Some(_) => "a control character in a string",
            None => "the line ends inside a string",
        })
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.invalid("`\\u` without four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.invalid("an unknown escape in a string")),
        }
        Ok(())
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        self.white_space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.invalid("more after the end of the record"))
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.invalid(match byte {
            b'"' => "a string expected",
            _ => "`:` expected",
        }))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn invalid(&self, what: &str) -> Refusal {
        Refusal::new(Reason::InvalidJson, format!("{what} at byte {}", self.at))
    }
}

const fn is_number(first: u8) -> bool {
    first == b'-' || first.is_ascii_digit()
}

/// A string that only labels a record: damage in it is no reason to lose the text.
fn label_of<'a>(line: &'a str, value: Option<Value>, buffer: &'a mut Unescaped) -> Option<&'a str> {
    let Some(Value::String(span)) = value else { return None };
    Some(if span.escaped { buffer.of(line.as_bytes(), span) } else { &line[span.start..span.end] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<(String, Option<String>, Option<String>), Reason> {
        let mut parser = RecordParser::new(&["text"]);
        let record = parser.parse(line).map_err(|refusal| refusal.reason)?;
        Ok((record.text.to_owned(), record.id.map(str::to_owned), record.source.map(str::to_owned)))
    }

    #[test]
    fn the_wanted_fields_are_found_wherever_they_stand() {
        let line = r#" { "n" : [1, {"text": "inner"}, []] , "text" : "a\u00e9\ud83d\ude00\n\"\/" , "id": 17, "source": "w\u0065b" } "#;
        assert_eq!(parse(line), Ok(("aé😀\n\"/".into(), Some("17".into()), Some("web".into()))));
        assert_eq!(
            parse(r#"{"text":"one","text":"two","id":"x"}"#),
            Ok(("two".into(), Some("x".into()), None))
        );
        assert_eq!(parse(r#"{"te\u0078t":"escaped key"}"#), Ok(("escaped key".into(), None, None)));
        assert_eq!(parse("{\"text\":\"crlf\"}\r"), Ok(("crlf".into(), None, None)));
        assert_eq!(
            parse(r#"{"score":NaN,"x":[-Infinity,Infinity],"text":""}"#),
            Ok((String::new(), None, None))
        );
    }

    #[test]
    fn each_kind_of_bad_line_has_its_reason() {
        for (line, reason) in [
            ("{", Reason::InvalidJson),
            ("{\"text\":\"a\"", Reason::InvalidJson),
            ("{\"text\":\"a}", Reason::InvalidJson),
            ("{\"text\":\"a\"},", Reason::InvalidJson),
            ("{\"text\":\"a\" \"b\":1}", Reason::InvalidJson),
            ("{\"text\":\"a\",}", Reason::InvalidJson),
            ("{\"text\":\"\\x\"}", Reason::InvalidJson),
            ("{\"text\":\"\\u12g4\"}", Reason::InvalidJson),
            ("{\"text\":\"a\tb\"}", Reason::InvalidJson),
            ("{\"n\":01,\"text\":\"a\"}", Reason::InvalidJson),
            ("{\"n\":[1,2}],\"text\":\"a\"}", Reason::InvalidJson),
            ("hello", Reason::InvalidJson),
            ("[", Reason::JsonArray),
            ("[{\"text\":\"a\"}]", Reason::JsonArray),
            ("\"text\"", Reason::NotAnObject),
            ("17", Reason::NotAnObject),
            ("{}", Reason::NoText),
            ("{\"Text\":\"a\"}", Reason::NoText),
            ("{\"text\":null}", Reason::TextNotString),
            ("{\"text\":[\"a\"]}", Reason::TextNotString),
            ("{\"text\":\"\\ud800\"}", Reason::LoneSurrogate),
            ("{\"text\":\"\\udc00x\"}", Reason::LoneSurrogate),
            ("{\"text\":\"\\ud800\\u0041\"}", Reason::LoneSurrogate),
        ] {
            assert_eq!(parse(line), Err(reason), "{line}");
        }
    }

    #[test]
    fn escapes_are_undone_wherever_they_stand() {
        let escapes = [
            ("", ""),
            ("\\n", "\n"),
            ("\\\"", "\""),
            ("\\u20ac", "€"),
            ("\\ud83d\\ude00", "😀"),
            ("é\\\\", "é\\"),
        ];
        for before in 0..40 {
            for (first, is) in escapes {
                for between in [0, 1, 14, 15, 16, 17, 33] {
                    for (second, is_too) in escapes {
                        let plain = |len: usize| "abcdefghij".repeat(4)[..len].to_owned();
                        let spelled = plain(before) + first + &plain(between) + second;
                        let line = format!("{{\"source\":\"{spelled}\",\"text\":\"{spelled}\"}}");
                        let text = plain(before) + is + &plain(between) + is_too;
                        assert_eq!(parse(&line), Ok((text.clone(), None, Some(text))), "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_an_earlier_text_had_is_forgotten() {
        assert_eq!(parse(r#"{"text":"\ud800","text":"two"}"#).map(|r| r.0), Ok("two".into()));
        assert_eq!(parse(r#"{"text":"\ud800","text":"\ttwo"}"#).map(|r| r.0), Ok("\ttwo".into()));
        assert_eq!(parse(r#"{"text":"two","text":"\ud800"}"#), Err(Reason::LoneSurrogate));
        let mut parser = RecordParser::new(&["text"]);
        for (line, text) in [(r#"{"text":"a\nlonger\none"}"#, "a\nlonger\none"), (r#"{"text":"\t"}"#, "\t")] {
            assert_eq!(parser.parse(line).map(|record| record.text), Ok(text));
        }
    }

    #[test]
    fn half_a_surrogate_in_a_label_does_not_lose_the_text() {
        assert_eq!(
            parse(r#"{"text":"a","source":"\ud800!"}"#),
            Ok(("a".into(), None, Some("\u{FFFD}!".into())))
        );
    }

    #[test]
    fn a_million_brackets_do_not_overflow_the_stack() {
        let deep = format!("{{\"n\":{}{},\"text\":\"a\"}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(parse(&deep).map(|r| r.0), Ok("a".into()));
    }

    /// JSON-like text: valid values with random damage.
    fn line() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            any::<String>().prop_map(|s| serde_json::to_string(&s).expect("a string is JSON")),
            "\"(\\\\u[0-9a-f]{4}|[ -!#-\\[\\]-~]|\\\\[\"\\\\/bfnrt]){0,12}\"",
        ];
        let value = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(" , "))),
                prop::collection::vec((r#""(text|id|source|b)""#, inner), 0..4).prop_map(|members| {
                    let members: Vec<_> = members.into_iter().map(|(k, v)| format!("{k}:{v}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        });
        let object = prop::collection::vec((r#""(text|id|source|b)""#, value), 0..5).prop_map(|members| {
            let members: Vec<_> = members.into_iter().map(|(k, v)| format!("{k}: {v}")).collect();
            format!("{{{}}}", members.join(", "))
        });
        (object, prop::option::weighted(0.4, (any::<prop::sample::Index>(), "[ -~é]?"))).prop_map(
            |(line, damage)| {
                let Some((at, with)) = damage else { return line };
                let characters: Vec<char> = line.chars().collect();
                let at = at.index(characters.len());
                let mut damaged: String = characters[..at].iter().collect();
                damaged.push_str(&with);
                damaged.extend(&characters[at + 1..]);
                damaged
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn the_verdict_equals_serde_json(line in line()) {
            let ours = parse(&line);
            // serde_json refuses half a surrogate anywhere; we refuse it in the text alone.
            match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&line) {
                Ok(object) => match object.get("text") {
                    Some(serde_json::Value::String(text)) => prop_assert_eq!(&ours.expect("a record").0, text),
                    Some(_) => prop_assert_eq!(ours, Err(Reason::TextNotString)),
                    None => prop_assert_eq!(ours, Err(Reason::NoText)),
                },
                Err(error) => {
                    let why = error.to_string();
                    let surrogate = why.contains("surrogate") || why.contains("hex escape");
                    let number = why.contains("out of range");
                    prop_assert!(ours.is_err() || surrogate || number, "{} but {:?}", why, ours);
                }
            }
        }
    }
}
