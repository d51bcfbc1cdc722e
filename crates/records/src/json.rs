//! JSON text to a value, or to those fields of it that are wanted.
//!
//! One pass checks the grammar of the whole row and keeps only wanted fields, without making a
//! tree of the others. It accepts what RFC 8259 accepts, as `serde_json` does, which a property
//! test holds it to, and `NaN`, `Infinity` and `-Infinity`, which Python writes; and it leaves strings escaped where that is how they will be written.

use std::borrow::Cow;

use crate::record::{Reason, Refusal};
use crate::value::{Text, Value, escaped_by};

/// Brackets within brackets, at the most.
const DEPTH_MAX: u32 = 100;

/// Values in the wanted fields of a row, at the most: in memory each takes many times the two bytes that spell it.
pub(crate) const VALUES_MAX: u32 = 1 << 20;

/// Why a row is no JSON: what was expected, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// What was expected, or is too much.
    pub what: &'static str,
    /// At which byte of the text.
    pub at: usize,
}

impl Invalid {
    /// Why the row is refused.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let reason = if self.what == HALF_A_PAIR { Reason::LoneSurrogate } else { Reason::InvalidJson };
        Refusal::new(reason, format!("{} at byte {}", self.what, self.at))
    }
}

/// What is said of a character that is none.
const HALF_A_PAIR: &str = "half of a surrogate pair";

type Result<T> = std::result::Result<T, Invalid>;

/// Parses one value. Of an object only the fields for which `wanted` is true are kept, with all that is in them.
///
/// # Errors
/// [`Invalid`]: no JSON, brackets more than 100 deep, more than 2^20 values that are kept.
pub fn parse<'a>(text: &'a str, wanted: &dyn Fn(&str) -> bool) -> Result<Value<'a>> {
    Cursor::new(text).whole(Some(wanted))
}

/// The same, where a half of a surrogate pair in a string becomes U+FFFD.
pub(crate) fn parse_lossy<'a>(text: &'a str, wanted: &dyn Fn(&str) -> bool) -> Result<Value<'a>> {
    Cursor { is_lossy: true, ..Cursor::new(text) }.whole(Some(wanted))
}

/// Parses a value all of which is kept, and takes how many values there are in it from `left`: what is not there fails.
pub(crate) fn parse_within<'a>(text: &'a str, left: &mut u32) -> Result<Value<'a>> {
    let mut cursor = Cursor { values: VALUES_MAX.saturating_sub(*left), ..Cursor::new(text) };
    let value = cursor.whole(None);
    *left = VALUES_MAX.saturating_sub(cursor.values);
    value
}

struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    values: u32,
    is_lossy: bool,
}

impl<'a> Cursor<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0, values: 0, is_lossy: false }
    }

    /// The only value of the text; of an object only what is wanted.
    fn whole(&mut self, wanted: Option<&dyn Fn(&str) -> bool>) -> Result<Value<'a>> {
        self.white_space();
        let value = match self.peek() {
            Some(b'{') => self.object(wanted)?,
            _ => self.value()?,
        };
        self.white_space();
        if self.at < self.text.len() { Err(self.invalid("the end expected")) } else { Ok(value) }
    }

    fn value(&mut self) -> Result<Value<'a>> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.invalid("more than 1,048,576 values in a row"));
        }
        Ok(match self.peek() {
            Some(b'"') => Value::Text(self.string()?),
            Some(b'{') => self.object(None)?,
            Some(b'[') => self.list()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b'N') => self.word("NaN", Value::Number(Cow::Borrowed("NaN")))?,
            Some(b'I') => self.word("Infinity", Value::Number(Cow::Borrowed("Infinity")))?,
            Some(b'-') if self.bytes.get(self.at + 1) == Some(&b'I') => {
                self.word("-Infinity", Value::Number(Cow::Borrowed("-Infinity")))?
            }
            Some(b'-' | b'0'..=b'9') => Value::Number(Cow::Borrowed(self.number()?)),
            _ => return Err(self.invalid("a value expected")),
        })
    }

    fn object(&mut self, wanted: Option<&dyn Fn(&str) -> bool>) -> Result<Value<'a>> {
        let mut fields = Vec::new();
        self.open()?;
        if !self.closes(b'}') {
            loop {
                self.white_space();
                if self.peek() != Some(b'"') {
                    return Err(self.invalid("a name in quotes expected"));
                }
                let name = match self.string()? {
                    Text::Escaped { raw, escapes: 0 } => Cow::Borrowed(raw),
                    other => Cow::Owned(other.plain().into_owned()),
                };
                self.white_space();
                self.expect(b':', "`:` expected")?;
                self.white_space();
                if wanted.is_none_or(|wanted| wanted(&name)) {
                    let value = self.value()?;
                    fields.push((name, value));
                } else {
                    self.skip()?;
                }
                if !self.goes_on(b'}', "`,` or `}` expected")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Map(fields))
    }

    fn list(&mut self) -> Result<Value<'a>> {
        let mut items = Vec::new();
        self.open()?;
        if !self.closes(b']') {
            loop {
                self.white_space();
                items.push(self.value()?);
                if !self.goes_on(b']', "`,` or `]` expected")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(Value::List(items))
    }

    /// Checks a value that is not needed.
    fn skip(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => {
                self.string_end()?;
            }
            Some(open @ (b'{' | b'[')) => {
                // In ASCII `}` and `]` stand two after `{` and `[`.
                let close = open + 2;
                self.open()?;
                if !self.closes(close) {
                    loop {
                        self.white_space();
                        if open == b'{' {
                            if self.peek() != Some(b'"') {
                                return Err(self.invalid("a name in quotes expected"));
                            }
                            self.string_end()?;
                            self.white_space();
                            self.expect(b':', "`:` expected")?;
                            self.white_space();
                        }
                        self.skip()?;
                        if !self.goes_on(close, "`,` or a closing bracket expected")? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
            }
            _ => {
                self.value()?;
                // It is not kept.
                self.values -= 1;
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Text<'a>> {
        let start = self.at + 1;
        let (escapes, canonical) = self.string_end()?;
        let raw = &self.text[start..self.at - 1];
        if canonical {
            return Ok(Text::Escaped { raw, escapes });
        }
        unescape(raw, self.is_lossy).map(|plain| Text::Plain(Cow::Owned(plain))).map_err(|mut invalid| {
            invalid.at += start;
            invalid
        })
    }

    /// Goes behind a string's end. How many escapes it has, and whether they are those that are written.
    fn string_end(&mut self) -> Result<(u32, bool)> {
        let start = self.at + 1;
        self.at = start;
        let (mut escapes, mut canonical) = (0, true);
        loop {
            let Some(step) = special(&self.bytes[self.at..]) else {
                self.at = self.bytes.len();
                return Err(self.invalid("a string that does not end"));
            };
            self.at += step;
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok((escapes, canonical));
                }
                b'\\' => {
                    match self.bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'n' | b't' | b'r' | b'b' | b'f') => self.at += 2,
                        Some(b'/') => {
                            canonical = false;
                            self.at += 2;
                        }
                        Some(b'u') => {
                            canonical = false;
                            let digits = self.bytes.get(self.at + 2..self.at + 6);
                            if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                                return Err(self.invalid("four hexadecimal digits expected"));
                            }
                            self.at += 6;
                        }
                        _ => return Err(self.invalid("an unknown escape")),
                    }
                    escapes += 1;
                }
                _ => return Err(self.invalid("a control character in a string")),
            }
        }
    }

    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        let digits = |cursor: &mut Self| -> Result<()> {
            let run = cursor.bytes[cursor.at..].iter().take_while(|b| b.is_ascii_digit()).count();
            cursor.at += run;
            if run == 0 { Err(cursor.invalid("a digit expected")) } else { Ok(()) }
        };
        self.takes(b'-');
        if !self.takes(b'0') {
            digits(self)?;
        }
        if self.takes(b'.') {
            digits(self)?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            if !self.takes(b'+') {
                self.takes(b'-');
            }
            digits(self)?;
        }
        Ok(&self.text[start..self.at])
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.invalid("a value expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn open(&mut self) -> Result<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            Err(self.invalid("more than 100 brackets within brackets"))
        } else {
            Ok(())
        }
    }

    /// Whether the object or list that was opened is empty; then it is left.
    fn closes(&mut self, close: u8) -> bool {
        self.white_space();
        self.takes(close)
    }

    /// After an element: whether another follows, or else the end.
    fn goes_on(&mut self, close: u8, what: &'static str) -> Result<bool> {
        self.white_space();
        if self.takes(b',') {
            return Ok(true);
        }
        self.expect(close, what)?;
        Ok(false)
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.takes(byte) { Ok(()) } else { Err(self.invalid(what)) }
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    const fn invalid(&self, what: &'static str) -> Invalid {
        Invalid { what, at: self.at }
    }
}

/// Where the first byte stands that ends a run of a string's plain characters: a quote, a backslash, a control
/// character. Eight bytes are looked at together, since most of a dataset's bytes pass here.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The high bit of each byte that is less than `limit`, of which the lowest is exact: a borrow only goes up.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & (ONES << 7);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = less(word ^ (ONES * u64::from(b'"')), 1)
            | less(word ^ (ONES * u64::from(b'\\')), 1)
            | less(word, 0x20);
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20)?;
    Some(8 * words.len() + at)
}

/// The characters of a string whose escapes are known to be well-formed.
fn unescape(raw: &str, is_lossy: bool) -> Result<String> {
    let mut plain = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(step) = memchr::memchr(b'\\', &raw.as_bytes()[at..]) {
        plain.push_str(&raw[at..at + step]);
        at += step;
        let letter = raw.as_bytes()[at + 1];
        if letter != b'u' {
            plain.push(escaped_by(letter));
            at += 2;
            continue;
        }
        let half = Invalid { what: HALF_A_PAIR, at };
        let first = hexadecimal(raw, at).ok_or(half)?;
        at += 6;
        let second = hexadecimal(raw, at).filter(|code| (0xDC00..0xE000).contains(code));
        let code = match (first, second) {
            (0xD800..0xDC00, Some(second)) => {
                at += 6;
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            (other, _) => other,
        };
        match char::from_u32(code) {
            Some(character) => plain.push(character),
            None if is_lossy => plain.push(char::REPLACEMENT_CHARACTER),
            None => return Err(half),
        }
    }
    plain.push_str(&raw[at..]);
    Ok(plain)
}

/// The code of an escape `\uXXXX` at `at`.
fn hexadecimal(raw: &str, at: usize) -> Option<u32> {
    u32::from_str_radix(raw.get(at..at + 6)?.strip_prefix("\\u")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Value<'_>> {
        parse(text, &|_| true)
    }

    /// What a value is for `serde_json`.
    fn tree(value: &Value<'_>) -> serde_json::Value {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => serde_json::from_str(number).expect("a number"),
            Value::Text(text) => text.plain().into_owned().into(),
            Value::Bytes(_) => unreachable!("JSON has no bytes"),
            Value::List(items) => items.iter().map(tree).collect(),
            Value::Map(fields) => {
                fields.iter().map(|(name, value)| (name.to_string(), tree(value))).collect()
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f32>().prop_map(|x| serde_json::json!(x)),
            any::<String>().prop_map(Into::into),
            "[a-c\"\\\\\n\t/\u{8}\u{1}é😀]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[a-d]{0,3}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn a_row_of_very_many_values_is_refused_and_one_that_is_not_wanted_is_none() {
        let row = format!("{{\"a\": [{}0]}}", "0,".repeat(VALUES_MAX as usize));
        assert_eq!(all(&row).expect_err("too many").what, "more than 1,048,576 values in a row");
        assert_eq!(parse(&row, &|_| false), Ok(Value::Map(Vec::new())));
        assert!(all(&format!("[{}0]", "0,".repeat(VALUES_MAX as usize / 2))).is_ok());
    }

    proptest! {
        #[test]
        fn a_run_of_plain_characters_ends_where_it_should(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            prop_assert_eq!(special(&bytes), expected);
        }

        #[test]
        fn values_are_what_serde_json_reads(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("JSON");
            let parsed = all(&text).map_err(|e| TestCaseError::fail(format!("{e:?} {text}")))?;
            prop_assert_eq!(tree(&parsed), serde_json::from_str::<serde_json::Value>(&text).expect("JSON"));
            let mut written = Vec::new();
            parsed.write(&mut written);
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).expect("JSON"), tree(&parsed));
        }

        #[test]
        fn the_verdict_is_serde_jsons(text in "[\\[\\]{}:,\"\\\\/ \nnultrefasbu0-9dD8cC.eE+\\-]{0,24}") {
            let ours = all(&text);
            let wanted_nothing = parse(&text, &|_| false);
            // `1e999` is a number of JSON that no float holds, which is no concern of ours.
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(value) => prop_assert_eq!(tree(&ours.expect("valid")), value),
                Err(error) if error.to_string().starts_with("number out of range") => {}
                Err(_) => prop_assert!(ours.is_err()),
            }
            if ours_is_ok(&text) {
                prop_assert!(wanted_nothing.is_ok());
            }
        }

        #[test]
        fn strings_are_escaped_as_serde_json_does(text in any::<String>()) {
            let mut ours = Vec::new();
            crate::value::write_quoted(&text, &mut ours);
            prop_assert_eq!(String::from_utf8(ours).expect("UTF-8"), serde_json::to_string(&text).expect("JSON"));
        }

        #[test]
        fn lengths_are_those_of_the_characters(text in "[ab\"\\\\\n\té😀]{0,30}", ascii in any::<bool>()) {
            let mut json = serde_json::to_string(&text).expect("JSON");
            if ascii {
                json = json.replace('é', "\\u00e9");
            }
            let Ok(Value::Text(found)) = all(&json) else { panic!("{json}") };
            prop_assert_eq!(found.plain(), text.as_str());
            prop_assert_eq!(found.lengths(), (text.chars().count() as u64, text.len() as u64));
            prop_assert_eq!(found.is_blank(), text.trim().is_empty());
        }
    }

    fn ours_is_ok(text: &str) -> bool {
        all(text).is_ok()
    }

    #[test]
    fn halves_of_surrogate_pairs_and_deep_nesting_are_refused() {
        assert_eq!(all(r#""\ud83d\ude00""#).map(|v| tree(&v)), Ok("😀".into()));
        for text in [r#""\ud83d""#, r#""\ude00 a""#, r#""\ud83dA""#] {
            assert_eq!(all(text).expect_err(text).what, "half of a surrogate pair");
        }
        assert!(
            all(&"[".repeat(100_000)).is_err()
                && parse(&format!("{{\"a\":{}", "[".repeat(9999)), &|_| false).is_err()
        );
    }

    #[test]
    fn what_python_writes_for_no_number_is_read_and_becomes_null() {
        let row = r#"{"a": NaN, "b": [-Infinity, Infinity, -1]}"#;
        assert!(parse(row, &|_| false).is_ok());
        let mut written = Vec::new();
        all(row).expect("a row").write(&mut written);
        assert_eq!(written, br#"{"a": null, "b": [null, null, -1]}"#);
        for text in ["nan", "Nan", "-NaN", "+Infinity", "Inf", "-", "--Infinity", "NaNs"] {
            assert!(all(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_wanted_fields_are_kept() {
        let row = r#"{"a": {"x": [1, 2]}, "b": "text", "a": 3}"#;
        let value = parse(row, &|name| name == "a").expect("JSON");
        assert_eq!(value.field("a").map(tree), Some(3.into()));
        assert_eq!(value.field("b"), None);
    }
}
