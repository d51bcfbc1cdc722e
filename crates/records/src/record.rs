//! The raw record: one JSON object a line, of which a tokenizer needs four fields.
//!
//! A tree of every value would cost more than the tokens: the parser checks the
//! line's grammar in one pass, remembers where the wanted fields stand and
//! unescapes only those, into buffers that are used again. Nothing is allocated a
//! record. A differential property test holds it to `serde_json`'s verdict.
//!
//! It is wider than RFC 8259 in one point: `NaN`, `Infinity` and `-Infinity` are
//! let through in fields that are not read, because Python's `json.dumps` writes
//! them and the text beside them is good. A line in which a wanted field stands
//! twice is refused: readers differ in which one counts.

mod beginning;
mod refusal;
mod cursor;
mod fields;
mod unescaped;

pub(crate) use self::beginning::{Beginning, beginning};
use self::cursor::{Cursor, RawValue};
pub use self::fields::{FIELD_NAME_BYTES_MAX, FIELDS_MAX, FieldCount, FieldCounts, Shape};
pub use self::refusal::{Reason, Refusal};
use self::unescaped::Unescaped;

/// The fields that label a record.
pub(crate) const LABELS: [&str; 3] = ["id", "source", "category"];

/// What a tokenizer reads of a record. Strings are unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The text to be tokenized, from the field that was asked for.
    pub text: &'a str,
    /// `id`: a string, or another value than null as it is spelled.
    pub id: Option<&'a str>,
    /// `source`, likewise.
    pub source: Option<&'a str>,
    /// `category`, likewise.
    pub category: Option<&'a str>,
    /// Whether something is said in it: there are `messages` or `conversations`, or the text is made of such fields.
    pub has_messages: bool,
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

    /// Where the text is looked for, in order.
    #[must_use]
    pub fn text_fields(&self) -> &[String] {
        &self.text_fields
    }

    /// Parses one line, without its line end.
    ///
    /// # Errors
    /// A [`Refusal`] where the line is no JSON object with a string in the text field.
    pub fn parse<'a>(&'a mut self, line: &'a str) -> Result<Record<'a>, Refusal> {
        let mut cursor = Cursor { bytes: line.as_bytes(), at: 0, nesting: &mut self.nesting };
        let fields = cursor.object(&self.text_fields, &mut self.key, &mut self.text)?;
        let text = match fields.text {
            Some(RawValue::String(span)) if span.escaped => self.text.whole()?,
            Some(RawValue::String(span)) => &line[span.start..span.end],
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
        Ok(Record {
            text,
            id: label_of(line, fields.id, &mut self.id),
            source: label_of(line, fields.source, &mut self.source),
            category: label_of(line, fields.category, &mut self.category),
            has_messages: fields.has_messages,
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

/// What only labels a record: damage in a string is no reason to lose the text, and what is no string is as it is spelled.
fn label_of<'a>(line: &'a str, value: Option<RawValue>, buffer: &'a mut Unescaped) -> Option<&'a str> {
    match value? {
        RawValue::String(span) if span.escaped => Some(buffer.of(line.as_bytes(), span)),
        RawValue::String(span) => Some(&line[span.start..span.end]),
        RawValue::Other { start, .. } if line.as_bytes()[start] == b'n' => None,
        RawValue::Other { start, end } => Some(&line[start..end]),
    }
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
        // What is not read may stand twice.
        assert_eq!(
            parse(r#"{"n":1,"text":"one","n":2,"id":"x"}"#),
            Ok(("one".into(), Some("x".into()), None))
        );
        assert_eq!(parse(r#"{"te\u0078t":"escaped key"}"#), Ok(("escaped key".into(), None, None)));
        assert_eq!(parse("{\"text\":\"crlf\"}\r"), Ok(("crlf".into(), None, None)));
        assert_eq!(
            parse(r#"{"score":NaN,"x":[-Infinity,Infinity],"text":""}"#),
            Ok((String::new(), None, None))
        );
    }

    #[test]
    fn labels_that_are_no_strings_are_kept_as_they_are_spelled() {
        for (spelled, label) in [
            ("17", Some("17")),
            ("-1.50e3", Some("-1.50e3")),
            ("12345678901234567890123", Some("12345678901234567890123")),
            ("true", Some("true")),
            ("NaN", Some("NaN")),
            (r#"["x", {"y": 1}]"#, Some(r#"["x", {"y": 1}]"#)),
            ("null", None),
        ] {
            let line = format!(r#"{{"text":"t","id":{spelled} ,"source":{spelled},"category": {spelled}}}"#);
            let mut parser = RecordParser::new(&["text"]);
            let record = parser.parse(&line).expect("a record");
            assert_eq!([record.id, record.source, record.category], [label; 3], "{spelled}");
        }
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
            ("{\"text\":\"a\",\"text\":\"a\"}", Reason::FieldTwice),
            ("{\"text\":null,\"te\\u0078t\":\"a\"}", Reason::FieldTwice),
            ("{\"id\":1,\"text\":\"a\",\"id\":2}", Reason::FieldTwice),
            ("{\"source\":\"b\",\"text\":\"a\",\"source\":\"c\"}", Reason::FieldTwice),
            ("{\"category\":1,\"text\":\"a\",\"category\":1}", Reason::FieldTwice),
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
        let mut parser = RecordParser::new(&["text", "content"]);
        for (line, text) in [
            (r#"{"content":"\ud800","text":"two"}"#, Ok("two")),
            (r#"{"content":"\ud800","text":"\ttwo"}"#, Ok("\ttwo")),
            (r#"{"content":"two","text":"\ud800"}"#, Err(Reason::LoneSurrogate)),
            (r#"{"text":"two","content":"\ud800"}"#, Ok("two")),
        ] {
            assert_eq!(parser.parse(line).map(|record| record.text).map_err(|r| r.reason), text, "{line}");
        }
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

    /// The names of an object's fields, those that stand twice, too.
    struct Names(Vec<String>);

    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Names;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                    let mut names = Vec::new();
                    while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        names.push(name);
                    }
                    Ok(Names(names))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }

    fn has_a_wanted_field_twice(line: &str) -> bool {
        let Names(names) = serde_json::from_str(line).expect("an object");
        let times = |wanted: &&str| names.iter().filter(|name| name == wanted).count();
        ["text", "id", "source", "category"].iter().any(|wanted| times(wanted) > 1)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn the_verdict_equals_serde_json(line in line()) {
            let ours = parse(&line);
            // serde_json refuses half a surrogate anywhere; we refuse it in the text alone.
            match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&line) {
                Ok(_) if has_a_wanted_field_twice(&line) => prop_assert_eq!(ours, Err(Reason::FieldTwice)),
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
