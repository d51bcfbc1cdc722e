//! `str()` and `repr()` of values.

use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::number;
use crate::text::{MarkedText, OriginMark, TextBuilder};
use crate::unicode::is_printable;
use crate::value::{Object, TemplateValue, View};

impl<'a> Machine<'a> {
    /// `str(value)`.
    pub(crate) fn string(&self, value: TemplateValue<'a>) -> Result<MarkedText<'a>> {
        if let TemplateValue::Text(text) | TemplateValue::Safe(text) = value {
            return Ok(text);
        }
        if let Some(constant) = constant(value) {
            return Ok(MarkedText::new(constant));
        }
        let mut out = TextBuilder::default();
        self.show(value, &mut out)?;
        self.finish(&mut out)
    }

    /// Appends `str(value)`.
    pub(crate) fn show(&self, value: TemplateValue<'a>, out: &mut TextBuilder) -> Result<()> {
        match value {
            TemplateValue::Text(text) | TemplateValue::Safe(text) => {
                self.spend_bytes(text.size())?;
                self.check_growth(out, text.size())?;
                out.push(text);
                Ok(())
            }
            TemplateValue::Undefined(_) => Ok(()),
            _ => self.repr_at(value, out, 0),
        }
    }

    /// Appends `repr(value)`.
    pub(crate) fn repr(&self, value: TemplateValue<'a>, out: &mut TextBuilder) -> Result<()> {
        self.repr_at(value, out, 0)
    }

    fn repr_at(&self, value: TemplateValue<'a>, out: &mut TextBuilder, depth: usize) -> Result<()> {
        self.enter_value(out, depth)?;
        let depth = depth + 1;
        match value {
            TemplateValue::Undefined(_) => out.push_str("Undefined"),
            TemplateValue::Int(value) => out.push_str(&value.to_string()),
            TemplateValue::BigInt(digits) => {
                self.spend_bytes(digits.len())?;
                out.push_str(digits);
            }
            TemplateValue::Float(value) => out.push_str(&number::float(value)),
            TemplateValue::Text(text) => {
                self.spend_bytes(text.size())?;
                self.check_growth(out, text.size())?;
                repr_of_text(text, self.limits.output, out);
                self.check_growth(out, 0)?;
            }
            TemplateValue::Safe(_) => return Err(TemplateValue::safe_error()),
            TemplateValue::List(items) => {
                out.push_str("[");
                self.items(items, out, depth)?;
                out.push_str("]");
            }
            TemplateValue::Tuple(items) => {
                out.push_str("(");
                self.items(items, out, depth)?;
                out.push_str(if items.len() == 1 { ",)" } else { ")" });
            }
            TemplateValue::Dict(dict) => {
                out.push_str("{");
                for (number, (key, value)) in dict.entries().iter().enumerate() {
                    out.push_str(if number > 0 { ", " } else { "" });
                    self.repr_at(*key, out, depth)?;
                    out.push_str(": ");
                    self.repr_at(*value, out, depth)?;
                }
                out.push_str("}");
            }
            TemplateValue::Object(object) => return self.repr_of_object(object, out, depth),
            TemplateValue::None | TemplateValue::Bool(_) => out.push_str(constant(value).unwrap_or_default()),
        }
        Ok(())
    }

    fn items(&self, items: &[TemplateValue<'a>], out: &mut TextBuilder, depth: usize) -> Result<()> {
        for (number, item) in items.iter().enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            self.repr_at(*item, out, depth)?;
        }
        Ok(())
    }

    fn repr_of_object(&self, object: Object<'a>, out: &mut TextBuilder, depth: usize) -> Result<()> {
        match object {
            Object::View(view, dict) => {
                out.push_str(match view {
                    View::Items => "dict_items([",
                    View::Keys => "dict_keys([",
                    View::Values => "dict_values([",
                });
                for (number, (key, value)) in dict.entries().iter().enumerate() {
                    out.push_str(if number > 0 { ", " } else { "" });
                    match view {
                        View::Items => self.repr_at(
                            TemplateValue::Tuple(self.alloc_values(&[*key, *value])?),
                            out,
                            depth,
                        )?,
                        View::Keys => self.repr_at(*key, out, depth)?,
                        View::Values => self.repr_at(*value, out, depth)?,
                    }
                }
                out.push_str("])");
                Ok(())
            }
            Object::Range(range) => {
                let step = if range.step == 1 { String::new() } else { format!(", {}", range.step) };
                out.push_str(&format!("range({}, {}{step})", range.start, range.stop));
                Ok(())
            }
            // Python would print where it is in memory.
            _ => Err(Error::unsupported(format!("printing {}", TemplateValue::Object(object).type_name()))),
        }
    }
}

const fn constant(value: TemplateValue<'_>) -> Option<&'static str> {
    match value {
        TemplateValue::Undefined(_) => Some(""),
        TemplateValue::None => Some("None"),
        TemplateValue::Bool(true) => Some("True"),
        TemplateValue::Bool(false) => Some("False"),
        _ => None,
    }
}

/// `repr` of a string: what can't be printed is escaped. What is beyond `most` bytes of output is left out: that is too long.
fn repr_of_text(text: MarkedText<'_>, most: usize, out: &mut TextBuilder) {
    let quote = if text.as_str().contains('\'') && !text.as_str().contains('"') { '"' } else { '\'' };
    let mut buffer = String::new();
    out.push_char(quote, OriginMark::NONE);
    for (character, mark) in text.chars() {
        if out.len() > most {
            break;
        }
        buffer.clear();
        match character {
            '\\' => buffer.push_str("\\\\"),
            '\n' => buffer.push_str("\\n"),
            '\r' => buffer.push_str("\\r"),
            '\t' => buffer.push_str("\\t"),
            _ if character == quote => buffer.extend(['\\', quote]),
            _ if is_printable(character) => buffer.push(character),
            _ => buffer.push_str(&match u32::from(character) {
                code @ 0..=0xFF => format!("\\x{code:02x}"),
                code @ 0x100..=0xFFFF => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
        out.push_marked(&buffer, mark);
    }
    out.push_char(quote, OriginMark::NONE);
}
