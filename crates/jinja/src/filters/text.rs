//! Filters of strings. What is no string is made one first.

use crate::access::characters;
use crate::arguments::{CallArguments, int, text as expect_text};
use crate::error::{Error, Result};
use crate::letters;
use crate::machine::Machine;
use crate::padding::End;
use crate::percent;
use crate::text::MarkedText;
use crate::value::TemplateValue;

impl<'a> Machine<'a> {
    pub(super) fn text_filter(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let text = match (name, value) {
            ("truncate", _) => return self.truncated(value, arguments),
            ("indent", TemplateValue::Text(text)) => text,
            ("indent", _) => {
                return Err(Error::operation(format!("`{name}` of {}", value.type_name())));
            }
            _ => self.string(value)?,
        };
        self.spend_bytes(text.as_str().len())?;
        Ok(TemplateValue::Text(match name {
            "upper" | "lower" | "capitalize" | "title" => {
                let [] = arguments.bind(name, [], 0)?;
                match name {
                    "upper" => self.upper(text)?,
                    "lower" => self.lower(text)?,
                    "capitalize" => letters::capitalized(self, text)?,
                    _ => letters::title_filter(self, text)?,
                }
            }
            "trim" => {
                let [chars] = arguments.bind(name, ["chars"], 0)?;
                match chars {
                    None | Some(TemplateValue::None) => self.strip(text, None, End::Both)?,
                    Some(chars) => self.strip(text, Some(expect_text(chars)?.as_str()), End::Both)?,
                }
            }
            "replace" => {
                let [old, new, count] = arguments.bind(name, ["old", "new", "count"], 2)?;
                let (old, new) = (old.unwrap_or(TemplateValue::None), new.unwrap_or(TemplateValue::None));
                let count = match count {
                    None | Some(TemplateValue::None) => -1,
                    Some(count) => int(count)?,
                };
                self.replaced(text, self.string(old)?.as_str(), self.string(new)?, count)?
            }
            "center" => {
                let [width] = arguments.bind(name, ["width"], 0)?;
                self.padded(text, width.map_or(Ok(80), int)?, MarkedText::new(" "), End::Both)?
            }
            "indent" => self.indented(text, arguments)?,
            "format" => {
                let values = if arguments.named.is_empty() {
                    TemplateValue::Tuple(self.alloc_values(&arguments.positional)?)
                } else if arguments.positional.is_empty() {
                    let entries =
                        arguments.named.iter().map(|(name, value)| (TemplateValue::text(name), *value));
                    self.dict(entries.collect())?
                } else {
                    return Err(Error::operation("`format` with and without names at once"));
                };
                percent::format(self, text, values)?
            }
            _ => {
                let [] = arguments.bind(name, [], 0)?;
                if !text.as_str().is_ascii() {
                    return Err(Error::unsupported("`wordcount` of characters that are no ASCII"));
                }
                let words = text.as_str().split(|c: char| !(c == '_' || c.is_ascii_alphanumeric()));
                return Ok(TemplateValue::Int(words.filter(|word| !word.is_empty()).count() as i64));
            }
        }))
    }

    fn indented(&self, text: MarkedText<'a>, arguments: &CallArguments<'a>) -> Result<MarkedText<'a>> {
        let [width, first, blank] = arguments.bind("indent", ["width", "first", "blank"], 0)?;
        let indention = match width {
            Some(TemplateValue::Text(text)) => text,
            width => {
                let width = usize::try_from(width.map_or(Ok(4), int)?).unwrap_or(0);
                self.repeated(MarkedText::new(" "), width)?
            }
        };
        let is_true = |value: Option<TemplateValue<'a>>| value.is_some_and(TemplateValue::is_true);
        let new_line = MarkedText::new("\n");
        // The line break that is put behind the text keeps a last empty line.
        let text = self.joined(&[text, new_line])?;
        let mut texts = Vec::new();
        for (number, line) in self.lines(text)?.into_iter().enumerate() {
            if number > 0 {
                self.push_to(&mut texts, new_line)?;
            }
            let indents =
                if number == 0 { is_true(first) } else { is_true(blank) || !line.as_str().is_empty() };
            if indents {
                self.push_to(&mut texts, indention)?;
            }
            self.push_to(&mut texts, line)?;
        }
        self.joined(&texts)
    }

    fn truncated(
        &self,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let names = ["length", "killwords", "end", "leeway"];
        let [length, kill_words, end, leeway] = arguments.bind("truncate", names, 0)?;
        let length = length.map_or(Ok(255), int)?;
        let end = end.map_or(Ok(MarkedText::new("...")), expect_text)?;
        let leeway = match leeway {
            None | Some(TemplateValue::None) => 5,
            Some(leeway) => int(leeway)?,
        };
        let kept = length.saturating_sub(characters(end) as i64);
        if kept < 0 || leeway < 0 {
            return Err(Error::operation("`truncate` to less than what it puts behind"));
        }
        // What is short enough is given back whatever it is.
        if self.length(value)? <= length.saturating_add(leeway) {
            return Ok(value);
        }
        let mut cut = self.characters(expect_text(value)?, 0, kept as usize)?;
        if !kill_words.is_some_and(TemplateValue::is_true) {
            let last = cut.as_str().rfind(' ').unwrap_or(cut.as_str().len());
            cut = self.cut(cut, 0, last)?;
        }
        self.joined(&[cut, end]).map(TemplateValue::Text)
    }
}
