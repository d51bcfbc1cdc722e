//! Filters of sequences. What Jinja makes a generator of can be gone through once here, too.

use std::cell::Cell;

use crate::arguments::{Applied, CallArguments, int};
use crate::error::{Error, Result};
use crate::iterate::{Iter, LazyFilter, MadeItems};
use crate::machine::Machine;
use crate::syntax::Operator;
use crate::text::{MarkedText, TextBuilder};
use crate::value::{Object, TemplateValue};

impl<'a> Machine<'a> {
    pub(super) fn sequence_filter(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        match name {
            "list" => {
                let [] = arguments.bind(name, [], 0)?;
                Ok(TemplateValue::List(self.collect(value)?))
            }
            "first" => {
                let [] = arguments.bind(name, [], 0)?;
                let first = self.next(&mut Iter::of(value)?)?;
                Ok(first.unwrap_or(TemplateValue::Undefined("the first of no items")))
            }
            "last" => {
                let [] = arguments.bind(name, [], 0)?;
                if matches!(value, TemplateValue::Object(Object::Iterator(_))) {
                    return Err(Error::operation("`last` of what can only be gone through"));
                }
                Ok(self
                    .collect(value)?
                    .last()
                    .copied()
                    .unwrap_or(TemplateValue::Undefined("the last of no items")))
            }
            "reverse" => {
                let [] = arguments.bind(name, [], 0)?;
                self.reversed(value)
            }
            "join" => self.join(value, arguments),
            "map" => self.map(value, arguments),
            "select" | "reject" | "selectattr" | "rejectattr" => self.select(name, value, arguments),
            "sum" => {
                let [attribute, start] = arguments.bind(name, ["attribute", "start"], 0)?;
                let mut sum = start.unwrap_or(TemplateValue::Int(0));
                if matches!(sum, TemplateValue::Text(_)) {
                    return Err(Error::operation("`sum` of strings"));
                }
                for item in self.collect(value)? {
                    let item = self.attribute_of(*item, attribute, None)?;
                    sum = self.binary(Operator::Add, sum, item)?;
                }
                Ok(sum)
            }
            "batch" => {
                let [count, fill] = arguments.bind(name, ["linecount", "fill_with"], 1)?;
                let count = int(count.unwrap_or(TemplateValue::None))?;
                let count = usize::try_from(count).ok().filter(|count| *count > 0);
                let Some(count) = count else { return Err(Error::unsupported("`batch` of no items")) };
                let fill = fill.filter(|fill| !matches!(fill, TemplateValue::None));
                let batches = self.taken(value)?.chunks(count).map(|chunk| match fill {
                    Some(fill) => {
                        let filled = (0..count).map(|at| Ok(chunk.get(at).copied().unwrap_or(fill)));
                        self.alloc_all(filled).map(TemplateValue::List)
                    }
                    None => Ok(TemplateValue::List(chunk)),
                });
                self.iterator(self.alloc_all(batches)?)
            }
            _ => self.sliced(value, arguments),
        }
    }

    fn reversed(&self, value: TemplateValue<'a>) -> Result<TemplateValue<'a>> {
        match value {
            TemplateValue::Text(text) => {
                self.spend_bytes(text.as_str().len())?;
                let mut out = TextBuilder::default();
                for (at, character) in text.as_str().char_indices().rev() {
                    out.push(self.cut(text, at, at + character.len_utf8())?);
                    self.check_growth(&out, 0)?;
                }
                self.finish(&mut out).map(TemplateValue::Text)
            }
            TemplateValue::Object(Object::Iterator(_)) => {
                let items = self.collect(value)?.iter().rev();
                self.alloc_all(items.map(|item| Ok(*item))).map(TemplateValue::List)
            }
            _ => self.going(Iter::Reversed(self.collect(value)?)),
        }
    }

    fn join(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [separator, attribute] = arguments.bind("join", ["d", "attribute"], 0)?;
        let separator = separator.map_or(Ok(MarkedText::new("")), |separator| self.string(separator))?;
        let mut texts = Vec::new();
        for item in self.collect(value)? {
            let item = self.attribute_of(*item, attribute, None)?;
            if !texts.is_empty() {
                self.push_to(&mut texts, separator)?;
            }
            self.push_to(&mut texts, self.string(item)?)?;
        }
        self.joined(&texts).map(TemplateValue::Text)
    }

    /// What `attribute` names of an item: names and numbers with dots between them.
    pub(crate) fn attribute_of(
        &self,
        item: TemplateValue<'a>,
        attribute: Option<TemplateValue<'a>>,
        default: Option<TemplateValue<'a>>,
    ) -> Result<TemplateValue<'a>> {
        let or_default = |value| match (value, default) {
            (TemplateValue::Undefined(_), Some(default)) => default,
            _ => value,
        };
        match attribute {
            None | Some(TemplateValue::None) => Ok(item),
            Some(TemplateValue::Text(path)) => path.as_str().split('.').try_fold(item, |item, part| {
                let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                let number = part.parse().ok().filter(|_| is_number);
                self.item(item, number.map_or(TemplateValue::text(part), TemplateValue::Int)).map(or_default)
            }),
            Some(index) => self.item(item, index).map(or_default),
        }
    }

    /// What a filter makes of the items of a value, when somebody asks for them.
    fn made(&self, value: TemplateValue<'a>, filter: LazyFilter<'a>) -> Result<TemplateValue<'a>> {
        // As in Jinja, what is not true is not gone through, whatever it is.
        let rest = Cell::new(if value.is_true() { Iter::of(value)? } else { Iter::Items(&[]) });
        self.going(Iter::Made(self.alloc(MadeItems { rest, filter })?))
    }

    fn map(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        if arguments.positional.is_empty() && arguments.named.iter().any(|(name, _)| *name == "attribute") {
            let [path, default] = arguments.bind("map", ["attribute", "default"], 1)?;
            let path = path.unwrap_or(TemplateValue::None);
            let default = default.filter(|default| !matches!(default, TemplateValue::None));
            return self.made(value, LazyFilter::Attribute { path, default });
        }
        let filter = self.applied("map", arguments)?;
        self.made(value, LazyFilter::Filter(filter))
    }

    fn select(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let keeps = name.starts_with("select");
        let mut arguments = arguments.clone();
        let path = if name.ends_with("attr") {
            if arguments.positional.is_empty() {
                return Err(Error::operation(format!("`{name}` needs the name of an attribute")));
            }
            Some(arguments.positional.remove(0))
        } else {
            None
        };
        let test = if arguments.positional.is_empty() { None } else { Some(self.applied(name, &arguments)?) };
        self.made(value, LazyFilter::Choice { keeps, path, test })
    }

    /// The filter or test that the first argument names, with the other arguments.
    fn applied(&self, function: &str, arguments: &CallArguments<'a>) -> Result<Applied<'a>> {
        let Some((TemplateValue::Text(name), rest)) = arguments.positional.split_first() else {
            return Err(Error::operation(format!("`{function}` needs the name of a filter or a test")));
        };
        self.claim(size_of_val(&arguments.named[..]))?;
        let named = self.arena.alloc_slice_copy(&arguments.named);
        Ok(Applied { name: name.as_str(), positional: self.alloc_values(rest)?, named })
    }

    /// All items of a value, for a filter that takes them in Jinja only when it is asked: from an iterator nobody may take
    /// any then.
    pub(super) fn taken(&self, value: TemplateValue<'a>) -> Result<&'a [TemplateValue<'a>]> {
        let items = self.collect(value)?;
        if let TemplateValue::Object(Object::Iterator(shared)) = value {
            shared.set(None);
        }
        Ok(items)
    }

    fn sliced(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [slices, fill] = arguments.bind("slice", ["slices", "fill_with"], 1)?;
        let slices = usize::try_from(int(slices.unwrap_or(TemplateValue::None))?).unwrap_or(0);
        let fill = fill.filter(|fill| !matches!(fill, TemplateValue::None));
        let items = self.taken(value)?;
        if slices == 0 {
            return Err(Error::operation("`slice` into no parts"));
        }
        let (each, longer) = (items.len() / slices, items.len() % slices);
        let mut at = 0;
        let parts = (0..slices).map(|number| {
            let end = at + each + usize::from(number < longer);
            let part = &items[std::mem::replace(&mut at, end)..end];
            let Some(fill) = fill.filter(|_| number >= longer) else { return Ok(TemplateValue::List(part)) };
            let filled = (0..part.len() + 1).map(|at| Ok(part.get(at).copied().unwrap_or(fill)));
            self.alloc_all(filled).map(TemplateValue::List)
        });
        self.iterator(self.alloc_all(parts)?)
    }
}
