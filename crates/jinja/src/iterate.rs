//! Going through a value, item by item.

use std::cell::Cell;

use bumpalo::Bump;

use crate::dict::Dict;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::syntax::LoopFilter;
use crate::text::MarkedText;
use crate::value::{Object, Range, TemplateValue, View};

/// What is left of a value that is gone through.
#[derive(Debug, Clone, Copy)]
pub enum Iter<'a> {
    /// Items.
    Items(&'a [TemplateValue<'a>]),
    /// Items from the last to the first.
    Reversed(&'a [TemplateValue<'a>]),
    /// The characters of a string, and how many of its bytes have been.
    Chars(MarkedText<'a>, usize),
    /// A view of a dict, and how many of its entries have been.
    View(View, &'a Dict<'a>, usize),
    /// A range.
    Range(Range),
    /// What somebody else goes through, too.
    Shared(&'a Cell<Option<Self>>),
    /// Items, and then an error.
    Failing(&'a [TemplateValue<'a>], Failure<'a>),
    /// The items that pass a loop's test.
    Filtered(&'a FilteredItems<'a>),
}

/// Items that have to pass the test of a loop, which is made when they are asked for.
#[derive(Debug)]
pub struct FilteredItems<'a> {
    pub(crate) iter: Cell<Option<Iter<'a>>>,
    pub(crate) filter: &'a LoopFilter,
    pub(crate) frame: &'a Frame<'a>,
}

/// An error that is told when somebody gets to it.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    kind: ErrorKind,
    detail: &'a str,
    line: u32,
}

impl<'a> Failure<'a> {
    pub(crate) fn of(arena: &'a Bump, error: &Error) -> Self {
        Self { kind: error.kind, detail: arena.alloc_str(&error.detail), line: error.line }
    }

    fn error(self) -> Error {
        Error { kind: self.kind, detail: self.detail.to_owned(), line: self.line }
    }
}

impl<'a> Iter<'a> {
    /// The items of a value.
    ///
    /// # Errors
    /// It has none.
    pub(crate) fn of(value: TemplateValue<'a>) -> Result<Self> {
        Ok(match value {
            TemplateValue::Undefined(_) => Self::Items(&[]),
            TemplateValue::Text(text) => Self::Chars(text, 0),
            TemplateValue::Safe(_) => return Err(TemplateValue::safe_error()),
            TemplateValue::List(items) | TemplateValue::Tuple(items) => Self::Items(items),
            TemplateValue::Dict(dict) => Self::View(View::Keys, dict, 0),
            TemplateValue::Object(Object::View(view, dict)) => Self::View(view, dict, 0),
            TemplateValue::Object(Object::Range(range)) => Self::Range(range),
            TemplateValue::Object(Object::Iterator(shared)) => Self::Shared(shared),
            _ => return Err(Error::operation(format!("{} has no items", value.type_name()))),
        })
    }

    /// The next item, of all but filtered ones.
    pub(crate) fn next(&mut self, arena: &'a Bump) -> Result<Option<TemplateValue<'a>>> {
        match self {
            Self::Items(items) => {
                let Some((first, rest)) = items.split_first() else { return Ok(None) };
                *items = rest;
                Ok(Some(*first))
            }
            Self::Reversed(items) => {
                let Some((last, rest)) = items.split_last() else { return Ok(None) };
                *items = rest;
                Ok(Some(*last))
            }
            Self::Chars(text, at) => {
                let Some(next) = text.as_str()[*at..].chars().next() else { return Ok(None) };
                let start = std::mem::replace(at, *at + next.len_utf8());
                Ok(Some(TemplateValue::Text(text.slice(arena, start, *at))))
            }
            Self::View(view, dict, at) => {
                let Some(&(key, value)) = dict.entries().get(*at) else { return Ok(None) };
                *at += 1;
                Ok(Some(match view {
                    View::Keys => key,
                    View::Values => value,
                    View::Items => TemplateValue::Tuple(arena.alloc_slice_copy(&[key, value])),
                }))
            }
            Self::Range(range) => {
                if range.is_empty() {
                    return Ok(None);
                }
                let first = range.start;
                range.start = range.start.saturating_add(range.step);
                Ok(Some(TemplateValue::Int(first)))
            }
            Self::Shared(shared) => {
                let Some(mut iter) = shared.take() else { return Ok(None) };
                let next = iter.next(arena)?;
                shared.set(Some(iter));
                Ok(next)
            }
            Self::Failing(items, failure) => {
                let Some((first, rest)) = items.split_first() else { return Err(failure.error()) };
                *items = rest;
                Ok(Some(*first))
            }
            Self::Filtered(_) => Err(Error::unsupported("a filtered loop within another")),
        }
    }
}
