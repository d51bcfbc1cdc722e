//! `json.dumps`, which `tojson` is in chat templates.

use crate::dict::Dict;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::number;
use crate::text::{MarkedText, OriginMark, TextBuilder};
use crate::value::TemplateValue;

/// The options of `json.dumps` that `tojson` has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonOptions<'a> {
    pub(crate) ensure_ascii: bool,
    /// What a level is indented with; without it all is in one line.
    pub(crate) indent: Option<MarkedText<'a>>,
    /// What stands between items, and between key and value.
    pub(crate) separators: (MarkedText<'a>, MarkedText<'a>),
    pub(crate) sort_keys: bool,
}

impl<'a> Machine<'a> {
    /// Appends a value as JSON.
    ///
    /// # Errors
    /// JSON has no such value.
    pub(crate) fn json(
        &self,
        value: TemplateValue<'a>,
        options: &JsonOptions<'a>,
        out: &mut TextBuilder,
    ) -> Result<()> {
        self.json_at(value, options, out, 0)
    }

    fn json_at(
        &self,
        value: TemplateValue<'a>,
        options: &JsonOptions<'a>,
        out: &mut TextBuilder,
        depth: usize,
    ) -> Result<()> {
        self.enter_value(out, depth)?;
        match value {
            TemplateValue::None => out.push_str("null"),
            TemplateValue::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            TemplateValue::Int(value) => out.push_str(&value.to_string()),
            TemplateValue::BigInt(digits) => {
                self.spend_bytes(digits.len())?;
                out.push_str(digits);
            }
            TemplateValue::Float(value) => out.push_str(&float(value)),
            TemplateValue::Text(text) | TemplateValue::Safe(text) => self.json_text(text, options, out)?,
            TemplateValue::List(items) | TemplateValue::Tuple(items) => {
                let write =
                    |at: usize, out: &mut TextBuilder| self.json_at(items[at], options, out, depth + 1);
                self.enclosed(("[", "]"), items.len(), options, out, depth, write)?;
            }
            TemplateValue::Dict(dict) => {
                let sorted = if options.sort_keys { Some(self.sorted_entries(dict)?) } else { None };
                let entries = sorted.as_deref().unwrap_or(dict.entries());
                let write = |at: usize, out: &mut TextBuilder| {
                    let (key, value) = entries[at];
                    self.json_text(self.json_key(key)?, options, out)?;
                    self.check_growth(out, options.separators.1.size())?;
                    out.push(options.separators.1);
                    self.json_at(value, options, out, depth + 1)
                };
                self.enclosed(("{", "}"), entries.len(), options, out, depth, write)?;
            }
            TemplateValue::Undefined(_) | TemplateValue::Object(_) => {
                return Err(Error::operation(format!("{} is nothing that JSON has", value.type_name())));
            }
        }
        Ok(())
    }

    fn json_key(&self, key: TemplateValue<'a>) -> Result<MarkedText<'a>> {
        match key {
            TemplateValue::Text(text) => Ok(text),
            TemplateValue::None => Ok(MarkedText::new("null")),
            TemplateValue::Bool(value) => Ok(MarkedText::new(if value { "true" } else { "false" })),
            TemplateValue::Float(value) => self.alloc_str(&float(value)).map(MarkedText::new),
            TemplateValue::Int(_) | TemplateValue::BigInt(_) => self.string(key),
            _ => Err(Error::operation(format!("{} can't be a key in JSON", key.type_name()))),
        }
    }

    fn json_text(
        &self,
        text: MarkedText<'_>,
        options: &JsonOptions<'a>,
        out: &mut TextBuilder,
    ) -> Result<()> {
        self.spend_bytes(text.size())?;
        self.check_growth(out, text.size())?;
        string(text, options.ensure_ascii, self.limits.output, out);
        self.check_growth(out, 0)
    }

    /// Writes items between brackets.
    fn enclosed(
        &self,
        brackets: (&str, &str),
        count: usize,
        options: &JsonOptions<'_>,
        out: &mut TextBuilder,
        depth: usize,
        mut write: impl FnMut(usize, &mut TextBuilder) -> Result<()>,
    ) -> Result<()> {
        let new_line = |out: &mut TextBuilder, depth: usize| {
            if let Some(indent) = options.indent {
                self.spend_bytes(indent.size() * depth)?;
                self.check_growth(out, indent.size() * depth)?;
                out.push_str("\n");
                (0..depth).for_each(|_| out.push(indent));
            }
            Ok(())
        };
        out.push_str(brackets.0);
        for at in 0..count {
            if at > 0 {
                self.check_growth(out, options.separators.0.size())?;
                out.push(options.separators.0);
            }
            new_line(out, depth + 1)?;
            write(at, out)?;
        }
        if count > 0 {
            new_line(out, depth)?;
        }
        out.push_str(brackets.1);
        Ok(())
    }

    /// Entries by their keys, as Python's `sorted` has pairs whose keys differ.
    fn sorted_entries(&self, dict: &Dict<'a>) -> Result<Vec<(TemplateValue<'a>, TemplateValue<'a>)>> {
        self.check_values(3 * dict.len())?;
        let mut entries = dict.entries().to_vec();
        let mut failed = None;
        entries.sort_by(|(left, _), (right, _)| match self.order(*left, *right) {
            Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
            Err(error) => {
                failed.get_or_insert(error);
                std::cmp::Ordering::Equal
            }
        });
        failed.map_or(Ok(entries), Err)
    }
}

fn float(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ => number::float(value),
    }
}

/// A string between quotes. Marks stay with what a character becomes. What is beyond `most` bytes of output is left out:
/// that is too long.
fn string(text: MarkedText<'_>, ensure_ascii: bool, most: usize, out: &mut TextBuilder) {
    out.push_str("\"");
    for (start, end, mark) in text.runs() {
        escaped(&text.as_str()[start..end], mark, ensure_ascii, most, out);
    }
    out.push_str("\"");
}

fn escaped(text: &str, mark: OriginMark, ensure_ascii: bool, most: usize, out: &mut TextBuilder) {
    let is_plain = |c: char| !(c < ' ' || matches!(c, '"' | '\\') || ensure_ascii && !matches!(c, ' '..='~'));
    let mut rest = text;
    loop {
        let plain = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
        out.push_marked(&rest[..plain], mark);
        rest = &rest[plain..];
        let Some(character) = rest.chars().next().filter(|_| out.len() <= most) else { return };
        rest = &rest[character.len_utf8()..];
        let escape = match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\x08' => "\\b".to_owned(),
            '\x0C' => "\\f".to_owned(),
            _ => character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        out.push_marked(&escape, mark);
    }
}
