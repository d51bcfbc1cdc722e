//! A cursor through one line: its grammar checked, the wanted fields remembered by where they stand.

use super::refusal::{Reason, Refusal};
use super::unescaped::{Unescaped, plain_run};

/// The wanted fields of one object, by where they stand in the line.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) text: Option<RawValue>,
    /// Which of the fields that are looked for it is from.
    pub(super) rank: usize,
    pub(super) id: Option<RawValue>,
    pub(super) source: Option<RawValue>,
    pub(super) category: Option<RawValue>,
    /// Whether there are messages.
    pub(super) has_messages: bool,
    /// Which fields were met.
    met: u64,
}

const ID: u64 = 1;
const SOURCE: u64 = 2;
const CATEGORY: u64 = 4;
/// The first field that may hold the text; the others are beside it.
const TEXT: u64 = 8;
/// Where the bits end; nobody names so many fields.
const RANK_MAX: usize = 60;

impl Fields {
    /// Fails where the field was met before.
    fn once(&mut self, field: u64, name: &str) -> Result<(), Refusal> {
        if self.met & field != 0 && field != TEXT << RANK_MAX {
            return Err(Refusal::new(Reason::FieldTwice, format!("`{name}` stands twice")));
        }
        self.met |= field;
        Ok(())
    }
}

#[derive(Clone, Copy)]
pub(super) enum RawValue {
    String(Span),
    Other { start: usize, end: usize },
}

impl RawValue {
    pub(super) fn kind(self, line: &str) -> &'static str {
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
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Open brackets of the value that is being skipped: `{` or `[` each.
    pub(super) nesting: &'a mut Vec<u8>,
}

impl Cursor<'_> {
    /// Where the text has escapes, `text` has it without them.
    pub(super) fn object(
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
            self.field(key, text_fields, key_buffer, &mut fields, text)?;
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

    /// Takes the value of the field `key`; where one that is wanted stands is remembered.
    #[inline]
    fn field(
        &mut self,
        key: Span,
        text_fields: &[String],
        key_buffer: &mut Unescaped,
        fields: &mut Fields,
        text: &mut Unescaped,
    ) -> Result<(), Refusal> {
        match self.key(key, key_buffer)? {
            k if k == text_fields[0] => self.candidate(0, text_fields, fields, text)?,
            k if text_fields.len() > 1 && text_fields[1..].iter().any(|field| field == k) => {
                let rank = text_fields.iter().position(|field| field == k).unwrap_or_default();
                self.candidate(rank, text_fields, fields, text)?;
            }
            "id" => {
                fields.once(ID, "id")?;
                fields.id = Some(self.value()?);
            }
            "source" => {
                fields.once(SOURCE, "source")?;
                fields.source = Some(self.value()?);
            }
            "category" => {
                fields.once(CATEGORY, "category")?;
                fields.category = Some(self.value()?);
            }
            "messages" | "conversations" => {
                fields.has_messages |= self.peek() != Some(b'n');
                self.value()?;
            }
            _ => drop(self.value()?),
        }
        Ok(())
    }

    /// Takes the value of a field that may hold the text, the `rank`th of `text_fields`, if none that comes before has been met.
    /// Where it is a string with escapes, `out` has it without them. A null gives way to whatever comes.
    fn candidate(
        &mut self,
        rank: usize,
        text_fields: &[String],
        fields: &mut Fields,
        out: &mut Unescaped,
    ) -> Result<(), Refusal> {
        fields.once(TEXT << rank.min(RANK_MAX), &text_fields[rank])?;
        let count = text_fields.len();
        let is_null = count > 1 && self.peek() == Some(b'n');
        if fields.text.is_some() && (is_null || rank > fields.rank) {
            return self.value().map(drop);
        }
        fields.rank = if is_null { count } else { rank };
        fields.text = Some(match self.peek() {
            Some(b'"') => RawValue::String(self.string_into(out)?),
            _ => self.value()?,
        });
        Ok(())
    }

    /// Calls `each` with the name of each field of an object and whether its value is a string.
    pub(super) fn each_field(
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
    pub(super) fn value(&mut self) -> Result<RawValue, Refusal> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => return self.string().map(RawValue::String),
            Some(b'{' | b'[') => self.nested()?,
            Some(_) => self.scalar()?,
            None => return Err(self.invalid("a value expected")),
        }
        Ok(RawValue::Other { start, end: self.at })
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

    pub(super) fn white_space(&mut self) {
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
