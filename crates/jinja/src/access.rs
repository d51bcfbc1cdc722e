//! Attributes, items and slices, as Jinja's sandbox gives them: what is not there is undefined, and no error.

use crate::arguments::int;
use crate::dict::Dict;
use crate::error::{Error, Result};
use crate::iterate::Iter;
use crate::machine::Machine;
use crate::methods;
use crate::text::{MarkedText, TextBuilder};
use crate::value::{Object, Range, TemplateValue, View};

impl<'a> Machine<'a> {
    /// All items of a value.
    pub(crate) fn collect(&self, value: TemplateValue<'a>) -> Result<&'a [TemplateValue<'a>]> {
        if let TemplateValue::List(items) | TemplateValue::Tuple(items) = value {
            self.spend(items.len() as u64)?;
            return Ok(items);
        }
        let mut iter = Iter::of(value)?;
        let mut items = Vec::new();
        while let Some(item) = self.next(&mut iter)? {
            self.spend(1)?;
            self.push_to(&mut items, item)?;
        }
        self.alloc_values(&items)
    }

    /// `value.name`: an attribute, else an item.
    pub(crate) fn attribute(&self, value: TemplateValue<'a>, name: &'a str) -> Result<TemplateValue<'a>> {
        if let Some(found) = self.own_attribute(value, name)? {
            return Ok(found);
        }
        match value {
            TemplateValue::Dict(dict) => self.key(dict, name),
            _ => Ok(TemplateValue::Undefined(name)),
        }
    }

    /// The value of a dict by its name, undefined where there is none.
    pub(crate) fn key(&self, dict: &Dict<'a>, name: &'a str) -> Result<TemplateValue<'a>> {
        self.spend_bytes(name.len())?;
        Ok(dict.get_str(name).unwrap_or(TemplateValue::Undefined(name)))
    }

    /// What Python's `getattr` finds.
    fn own_attribute(&self, value: TemplateValue<'a>, name: &'a str) -> Result<Option<TemplateValue<'a>>> {
        match value {
            TemplateValue::Undefined(undefined) => return Err(TemplateValue::undefined_error(undefined)),
            TemplateValue::Safe(_) => return Err(TemplateValue::safe_error()),
            TemplateValue::Object(Object::Namespace(namespace)) => return self.namespaced(namespace, name),
            TemplateValue::Tuple(group @ [key, items]) if self.is_group(group) => match name {
                "grouper" => return Ok(Some(*key)),
                "list" => return Ok(Some(*items)),
                _ => {}
            },
            TemplateValue::Object(Object::Loop(state)) => return self.loop_attribute(state, name),
            TemplateValue::Object(Object::Cycler(items, at)) if name == "current" => {
                return Ok(items.get(at.get()).copied());
            }
            _ => {}
        }
        match methods::of(value, name) {
            methods::MethodLookup::Method(name) => self.method(value, name).map(Some),
            methods::MethodLookup::Nothing => Ok(None),
            methods::MethodLookup::Forbidden => Ok(Some(TemplateValue::Undefined(name))),
            methods::MethodLookup::Unsupported => {
                Err(Error::unsupported(format!("the attribute `{name}` of {}", value.type_name())))
            }
        }
    }

    /// A method of a value.
    pub(crate) fn method(&self, value: TemplateValue<'a>, name: &'static str) -> Result<TemplateValue<'a>> {
        Ok(TemplateValue::Object(Object::Method(self.alloc(value)?, name)))
    }

    /// `value[index]`: an item, else an attribute.
    pub(crate) fn item(
        &self,
        value: TemplateValue<'a>,
        index: TemplateValue<'a>,
    ) -> Result<TemplateValue<'a>> {
        let found = match (value, index) {
            (TemplateValue::Undefined(name), _) => return Err(TemplateValue::undefined_error(name)),
            (TemplateValue::Safe(_), _) => return Err(TemplateValue::safe_error()),
            (TemplateValue::Dict(dict), _) => self.lookup(dict, index)?,
            (TemplateValue::Text(text), TemplateValue::Int(_) | TemplateValue::Bool(_)) => {
                self.spend_bytes(text.as_str().len())?;
                let at = place(int(index)?, characters(text) as i64);
                let found = at.map(|at| self.characters(text, at, at + 1)).transpose()?;
                found.map(TemplateValue::Text)
            }
            (
                TemplateValue::List(items) | TemplateValue::Tuple(items),
                TemplateValue::Int(_) | TemplateValue::Bool(_),
            ) => place(int(index)?, items.len() as i64).map(|at| items[at]),
            (TemplateValue::Object(Object::Range(range)), TemplateValue::Int(_) | TemplateValue::Bool(_)) => {
                place(int(index)?, range.len()).map(|at| TemplateValue::Int(range.at(at as i64)))
            }
            _ => None,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let TemplateValue::Text(name) = index else { return Ok(TemplateValue::Undefined("an item")) };
        let name = name.as_str();
        Ok(self.own_attribute(value, name)?.unwrap_or(TemplateValue::Undefined(name)))
    }

    /// `value[start:stop:step]`, which Jinja leaves to Python: what has no slices is an error.
    pub(crate) fn slice(
        &self,
        value: TemplateValue<'a>,
        bounds: [Option<TemplateValue<'a>>; 3],
    ) -> Result<TemplateValue<'a>> {
        let none = || Error::operation(format!("a slice of {}", value.type_name()));
        match value {
            TemplateValue::Undefined(name) => return Err(TemplateValue::undefined_error(name)),
            TemplateValue::Safe(_) => return Err(TemplateValue::safe_error()),
            TemplateValue::Text(_)
            | TemplateValue::List(_)
            | TemplateValue::Tuple(_)
            | TemplateValue::Object(Object::Range(_)) => {}
            _ => return Err(none()),
        }
        let mut ints = [None; 3];
        for (bound, to) in bounds.into_iter().zip(&mut ints) {
            *to = match bound {
                None | Some(TemplateValue::None) => None,
                Some(value) => Some(int(value)?),
            };
        }
        match value {
            TemplateValue::Text(text) => {
                self.spend_bytes(text.as_str().len())?;
                let range = resolve(ints, characters(text) as i64)?;
                if range.step == 1 {
                    let (start, stop) = (range.start, range.stop.max(range.start));
                    let part = self.characters(text, start as usize, stop as usize);
                    return part.map(TemplateValue::Text);
                }
                self.stepped(text, range).map(TemplateValue::Text)
            }
            TemplateValue::List(items) => self.picked(items, ints).map(TemplateValue::List),
            // All of a group of `groupby` is a tuple, and no group any more.
            TemplateValue::Tuple(items) => {
                self.alloc_values(self.picked(items, ints)?).map(TemplateValue::Tuple)
            }
            TemplateValue::Object(Object::Range(inner)) => {
                let range = resolve(ints, inner.len())?;
                let (start, stop) = (inner.at(range.start), inner.at(range.stop));
                Ok(TemplateValue::Object(Object::Range(Range {
                    start,
                    stop,
                    step: inner.step.saturating_mul(range.step),
                })))
            }
            _ => Err(none()),
        }
    }

    /// The characters at the places of a range.
    fn stepped(&self, text: MarkedText<'a>, places: Range) -> Result<MarkedText<'a>> {
        self.check_values(text.as_str().len())?;
        let all: Vec<(usize, char)> = text.as_str().char_indices().collect();
        let mut out = TextBuilder::default();
        for (at, c) in (0..places.len()).map(|at| all[places.at(at) as usize]) {
            out.push(self.cut(text, at, at + c.len_utf8())?);
            self.check_growth(&out, 0)?;
        }
        self.finish(&mut out)
    }

    fn picked(
        &self,
        items: &'a [TemplateValue<'a>],
        bounds: [Option<i64>; 3],
    ) -> Result<&'a [TemplateValue<'a>]> {
        let range = resolve(bounds, items.len() as i64)?;
        if range.step == 1 {
            return Ok(&items[range.start as usize..range.stop.max(range.start) as usize]);
        }
        self.alloc_all((0..range.len() as usize).map(|at| Ok(items[range.at(at as i64) as usize])))
    }

    /// The characters from `start` to before `stop`, which there are.
    pub(crate) fn characters(
        &self,
        text: MarkedText<'a>,
        start: usize,
        stop: usize,
    ) -> Result<MarkedText<'a>> {
        let string = text.as_str();
        if string.is_ascii() {
            return self.cut(text, start, stop);
        }
        let mut borders = string.char_indices().map(|(at, _)| at).chain([string.len()]);
        let from = borders.nth(start).unwrap_or(string.len());
        let to = if stop > start { borders.nth(stop - start - 1).unwrap_or(string.len()) } else { from };
        self.cut(text, from, to)
    }

    /// `len(value)`.
    pub(crate) fn length(&self, value: TemplateValue<'a>) -> Result<i64> {
        let length = match value {
            TemplateValue::Undefined(_) => 0,
            TemplateValue::Text(text) | TemplateValue::Safe(text) => {
                self.spend_bytes(text.as_str().len())?;
                characters(text)
            }
            TemplateValue::List(items) | TemplateValue::Tuple(items) => items.len(),
            TemplateValue::Dict(dict)
            | TemplateValue::Object(Object::View(View::Items | View::Keys | View::Values, dict)) => {
                dict.len()
            }
            TemplateValue::Object(Object::Range(range)) => return Ok(range.len()),
            TemplateValue::Object(Object::Loop(state)) => return self.loop_length(state),
            _ => return Err(Error::operation(format!("{} has no length", value.type_name()))),
        };
        Ok(i64::try_from(length).unwrap_or(i64::MAX))
    }
}

/// How many characters a text has.
pub(crate) fn characters(text: MarkedText<'_>) -> usize {
    let text = text.as_str();
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// The place of an index that may count from the end.
fn place(index: i64, length: i64) -> Option<usize> {
    let at = if index < 0 { index + length } else { index };
    (0..length).contains(&at).then_some(at as usize)
}

/// The places that a slice means, as Python's `slice.indices`.
fn resolve([start, stop, step]: [Option<i64>; 3], length: i64) -> Result<Range> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::operation("the step of a slice is 0"));
    }
    let (low, high) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let bound = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(bound) if bound < 0 => bound.saturating_add(length).max(low),
        Some(bound) => bound.min(high),
    };
    let (first, last) = if step < 0 { (high, low) } else { (low, high) };
    Ok(Range { start: bound(start, first), stop: bound(stop, last), step })
}
