//! Filters of sequences. What Jinja makes a generator of can be gone through once here, too.

use crate::arguments::{CallArguments, int};
use crate::error::{Error, ErrorKind, Result};
use crate::iterate::{Failure, Iter};
use crate::machine::Machine;
use crate::syntax::Operator;
use crate::text::MarkedText;
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
                let first = match value {
                    TemplateValue::Object(Object::Iterator(shared)) => {
                        Iter::Shared(shared).next(self.arena)?
                    }
                    _ => Iter::of(value)?.next(self.arena)?,
                };
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
                let items = self.collect(value)?;
                let batches = items.chunks(count).map(|chunk| {
                    let missing = if fill.is_some() { count - chunk.len() } else { 0 };
                    self.check_values(missing)?;
                    let mut chunk = chunk.to_vec();
                    chunk.extend(fill.iter().cycle().take(missing));
                    self.alloc_values(&chunk).map(TemplateValue::List)
                });
                let batches: Vec<_> = batches.collect::<Result<_>>()?;
                self.iterator(self.alloc_values(&batches)?)
            }
            _ => self.sliced(value, arguments),
        }
    }

    fn reversed(&self, value: TemplateValue<'a>) -> Result<TemplateValue<'a>> {
        match value {
            TemplateValue::Text(text) => {
                self.check_values(text.as_str().len())?;
                let characters: Vec<MarkedText<'a>> = text
                    .as_str()
                    .char_indices()
                    .map(|(at, c)| text.slice(self.arena, at, at + c.len_utf8()))
                    .rev()
                    .collect();
                self.joined(&characters).map(TemplateValue::Text)
            }
            TemplateValue::Object(Object::Iterator(_)) => {
                let mut items = self.collect(value)?.to_vec();
                items.reverse();
                self.alloc_values(&items).map(TemplateValue::List)
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
                texts.push(separator);
            }
            texts.push(self.string(item)?);
        }
        self.joined(&texts).map(TemplateValue::Text)
    }

    /// What `attribute` names of an item: names and numbers with dots between them.
    pub(super) fn attribute_of(
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

    /// Items made of items, up to the first that fails.
    fn made(
        &self,
        value: TemplateValue<'a>,
        make: impl Fn(TemplateValue<'a>) -> Result<Option<TemplateValue<'a>>>,
    ) -> Result<TemplateValue<'a>> {
        if !value.is_true() {
            return self.iterator(&[]);
        }
        let mut iter = Iter::of(value)?;
        let mut items = Vec::new();
        let failed = loop {
            self.spend(1)?;
            self.check_values(items.len())?;
            match self.next(&mut iter).and_then(|item| item.map(&make).transpose()) {
                Ok(Some(item)) => items.extend(item),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let items = self.alloc_values(&items)?;
        match failed {
            None => self.iterator(items),
            // What is beyond the limits is so for all that follows.
            Some(error) if error.kind == ErrorKind::Limit => Err(error),
            Some(error) => self.going(Iter::Failing(items, Failure::of(self.arena, &error))),
        }
    }

    fn map(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let named =
            |name: &str| arguments.named.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        if let (true, Some(attribute)) = (arguments.positional.is_empty(), named("attribute")) {
            let [_, default] = arguments.bind("map", ["attribute", "default"], 0)?;
            let default = default.filter(|default| !matches!(default, TemplateValue::None));
            return self.made(value, |item| self.attribute_of(item, Some(attribute), default).map(Some));
        }
        let (filter, rest) = named_first("map", arguments)?;
        self.made(value, |item| self.apply(filter, item, &rest).map(Some))
    }

    fn select(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let keeps = name.starts_with("select");
        let mut arguments = arguments.clone();
        let attribute = if name.ends_with("attr") {
            if arguments.positional.is_empty() {
                return Err(Error::operation(format!("`{name}` needs the name of an attribute")));
            }
            Some(arguments.positional.remove(0))
        } else {
            None
        };
        let test = if arguments.positional.is_empty() { None } else { Some(named_first(name, &arguments)?) };
        self.made(value, |item| {
            let looked_at = self.attribute_of(item, attribute, None)?;
            let passed = match &test {
                Some((test, rest)) => self.test(test, looked_at, rest)?,
                None => looked_at.is_true(),
            };
            Ok((passed == keeps).then_some(item))
        })
    }

    fn sliced(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [slices, fill] = arguments.bind("slice", ["slices", "fill_with"], 1)?;
        let slices = usize::try_from(int(slices.unwrap_or(TemplateValue::None))?).unwrap_or(0);
        let fill = fill.filter(|fill| !matches!(fill, TemplateValue::None));
        let items = self.collect(value)?;
        if slices == 0 {
            return Err(Error::operation("`slice` into no parts"));
        }
        self.spend(slices as u64)?;
        self.check_values(slices.saturating_mul(3).saturating_add(items.len()))?;
        let (each, longer) = (items.len() / slices, items.len() % slices);
        let mut at = 0;
        let parts = (0..slices)
            .map(|number| {
                let end = at + each + usize::from(number < longer);
                let mut part = items[std::mem::replace(&mut at, end)..end].to_vec();
                part.extend(fill.filter(|_| number >= longer));
                self.alloc_values(&part).map(TemplateValue::List)
            })
            .collect::<Result<Vec<_>>>()?;
        self.iterator(self.alloc_values(&parts)?)
    }
}

/// The name that comes first, and the other arguments.
fn named_first<'a>(function: &str, arguments: &CallArguments<'a>) -> Result<(&'a str, CallArguments<'a>)> {
    let mut rest = arguments.clone();
    if rest.positional.is_empty() {
        return Err(Error::operation(format!("`{function}` needs the name of a filter")));
    }
    let TemplateValue::Text(name) = rest.positional.remove(0) else {
        return Err(Error::operation(format!("`{function}` needs a name")));
    };
    Ok((name.as_str(), rest))
}
