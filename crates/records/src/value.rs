//! A foreign row's value, whatever format it came from, borrowing from the bytes it was read from.
//!
//! Every row has its own types: a column that is a number here and a string there is no failure.
//! A JSON string whose escapes are those that would be written anyway stays as it is spelled and
//! is copied to the output in one piece: most of a dataset's bytes are never unescaped and
//! escaped again.

use std::borrow::Cow;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number as it is spelled. Of Parquet's floats some are none that JSON has: see [`Value::write`].
    Number(Cow<'a, str>),
    /// A string.
    Text(Text<'a>),
    /// Bytes that are no UTF-8.
    Bytes(&'a [u8]),
    /// Values in order.
    List(Vec<Self>),
    /// Fields in order. Of a name given twice the last counts.
    Map(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Value<'a> {
    /// The value at `path`, whose names are parted by dots. A path through a list goes through its elements.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Cow<'_, Self>> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let found = self.field(name)?;
        match (found, rest) {
            (_, None) => Some(Cow::Borrowed(found)),
            (Value::List(items), Some(rest)) => {
                let inner = items.iter().filter_map(|item| Some(item.at(rest)?.into_owned()));
                Some(Cow::Owned(Value::List(inner.collect())))
            }
            (_, Some(rest)) => found.at(rest),
        }
    }

    /// A field of a map.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Value::Map(fields) = self else { return None };
        fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of a value that is one: a string, or a number or truth value as it is spelled.
    #[must_use]
    pub fn text(&self) -> Option<Text<'a>> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(Text::Plain(number.clone())),
            Value::Bool(value) => Some(Text::Plain(if *value { "true" } else { "false" }.into())),
            Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value as the text that labels a record, such as its id; none where it is null. Bytes are hexadecimal digits,
    /// lists and maps are JSON.
    #[must_use]
    pub fn label(&self) -> Option<Cow<'_, str>> {
        match self {
            Value::Null => None,
            Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Value::Number(number) => Some(Cow::Borrowed(number)),
            Value::Text(text) => Some(text.plain()),
            Value::Bytes(bytes) => Some(Cow::Owned(hexadecimal(bytes))),
            Value::List(_) | Value::Map(_) => {
                let mut out = Vec::new();
                self.write(&mut out);
                Some(Cow::Owned(String::from_utf8_lossy(&out).into_owned()))
            }
        }
    }

    /// Whether there are bytes in it that are no UTF-8.
    #[must_use]
    pub fn has_bytes(&self) -> bool {
        match self {
            Value::Bytes(_) => true,
            Value::List(items) => items.iter().any(Self::has_bytes),
            Value::Map(fields) => fields.iter().any(|(_, value)| value.has_bytes()),
            _ => false,
        }
    }

    /// The same value on its own.
    #[must_use]
    pub fn into_owned<'o>(self) -> Value<'o> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Number(number) => Value::Number(Cow::Owned(number.into_owned())),
            Value::Text(text) => Value::Text(Text::Plain(Cow::Owned(text.plain().into_owned()))),
            Value::Bytes(bytes) => Value::Text(Text::Plain(Cow::Owned(hexadecimal(bytes)))),
            Value::List(items) => Value::List(items.into_iter().map(Self::into_owned).collect()),
            Value::Map(fields) => {
                let fields = fields.into_iter();
                Value::Map(
                    fields.map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned())).collect(),
                )
            }
        }
    }

    /// What kind of value it is, for people.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Bytes(_) => "bytes that are no UTF-8",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// Appends the value as JSON: bytes as a string of hexadecimal digits, a number that JSON does not have as null.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_as(false, out);
    }

    /// Appends the value as it is read here and by Python: `NaN`, `Infinity` and `-Infinity` stay.
    pub(crate) fn write_spelled(&self, out: &mut Vec<u8>) {
        self.write_as(true, out);
    }

    fn write_as(&self, is_spelled: bool, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Number(number) if !is_spelled && number.ends_with(['N', 'y']) => {
                out.extend_from_slice(b"null");
            }
            Value::Number(number) => out.extend_from_slice(number.as_bytes()),
            Value::Bytes(bytes) => write_quoted(&hexadecimal(bytes), out),
            Value::Text(text) => text.write_quoted(out),
            Value::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    item.write_as(is_spelled, out);
                }
                out.push(b']');
            }
            Value::Map(fields) => {
                out.push(b'{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    write_quoted(name, out);
                    out.extend_from_slice(b": ");
                    value.write_as(is_spelled, out);
                }
                out.push(b'}');
            }
        }
    }
}

/// A string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text<'a> {
    /// As it stands between the quotes of JSON, with no escapes but those of [`write_escaped`], and how many.
    Escaped {
        /// What stands between the quotes.
        raw: &'a str,
        /// Its escapes.
        escapes: u32,
    },
    /// The characters themselves.
    Plain(Cow<'a, str>),
}

impl<'a> Text<'a> {
    /// The characters themselves.
    #[must_use]
    pub fn plain(&self) -> Cow<'_, str> {
        match self {
            Self::Escaped { raw, escapes: 0 } => Cow::Borrowed(raw),
            Self::Escaped { raw, escapes } => {
                let mut plain = String::with_capacity(raw.len() - *escapes as usize);
                let mut rest = *raw;
                while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
                    plain.push_str(&rest[..at]);
                    plain.push(escaped_by(rest.as_bytes()[at + 1]));
                    rest = &rest[at + 2..];
                }
                plain.push_str(rest);
                Cow::Owned(plain)
            }
            Self::Plain(text) => Cow::Borrowed(text),
        }
    }

    /// Appends the text as it stands between the quotes of JSON.
    pub fn write_escaped(&self, out: &mut Vec<u8>) {
        match self {
            Self::Escaped { raw, .. } => out.extend_from_slice(raw.as_bytes()),
            Self::Plain(text) => write_escaped(text, out),
        }
    }

    fn write_quoted(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.write_escaped(out);
        out.push(b'"');
    }

    /// Characters and bytes of UTF-8.
    #[must_use]
    pub fn lengths(&self) -> (u64, u64) {
        let (text, escapes) = match self {
            Self::Escaped { raw, escapes } => (*raw, u64::from(*escapes)),
            Self::Plain(text) => (text.as_ref(), 0),
        };
        // Each escape spells one character in two bytes.
        (text.chars().count() as u64 - escapes, text.len() as u64 - escapes)
    }

    /// Whether there is nothing but white space.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Escaped { raw, escapes: 0 } => raw.trim().is_empty(),
            Self::Escaped { raw, .. } => {
                // A first character that is neither white space nor an escape decides it at once.
                let first = raw.trim_start().bytes().next();
                (first.is_none() || first == Some(b'\\')) && self.plain().trim().is_empty()
            }
            Self::Plain(text) => text.trim().is_empty(),
        }
    }
}

/// The character that a backslash and this letter spell.
pub(crate) fn escaped_by(letter: u8) -> char {
    match letter {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        other => char::from(other),
    }
}

/// Two digits a byte.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Appends `text` as it stands between the quotes of JSON: as short as can be.
pub fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        start = at + 1;
        let letter = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\t' => b't',
            b'\r' => b'r',
            0x8 => b'b',
            0xc => b'f',
            _ => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
    out.extend_from_slice(&bytes[start..]);
}

/// Appends `text` as a JSON string.
pub fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}
