//! The next item of what is gone through.

use std::cell::Cell;

use crate::error::{Error, Result};
use crate::iterate::{FilteredItems, Iter, LazyFilter, MadeItems};
use crate::machine::Machine;
use crate::value::{TemplateValue, View};

impl<'a> Machine<'a> {
    /// The next item.
    pub(crate) fn next(&self, iter: &mut Iter<'a>) -> Result<Option<TemplateValue<'a>>> {
        Ok(match iter {
            Iter::Items(items) => items.split_off_first().copied(),
            Iter::Reversed(items) => items.split_off_last().copied(),
            Iter::Chars(text, at) => {
                let Some(next) = text.as_str()[*at..].chars().next() else { return Ok(None) };
                let start = std::mem::replace(at, *at + next.len_utf8());
                Some(TemplateValue::Text(self.cut(*text, start, *at)?))
            }
            Iter::View(view, dict, at) => {
                let Some(&(key, value)) = dict.entries().get(*at) else { return Ok(None) };
                *at += 1;
                Some(match view {
                    View::Keys => key,
                    View::Values => value,
                    View::Items => TemplateValue::Tuple(self.alloc_values(&[key, value])?),
                })
            }
            Iter::Range(range) => {
                if range.is_empty() {
                    return Ok(None);
                }
                let next = range.start.saturating_add(range.step);
                Some(TemplateValue::Int(std::mem::replace(&mut range.start, next)))
            }
            Iter::Shared(shared) => return self.next_shared(shared),
            Iter::Filtered(filtered) => return self.next_filtered(filtered),
            Iter::Made(made) => return self.next_made(made),
        })
    }

    fn next_shared(&self, shared: &'a Cell<Option<Iter<'a>>>) -> Result<Option<TemplateValue<'a>>> {
        let Some(mut iter) = shared.take() else {
            return Err(Error::unsupported("an iterator that something else goes through"));
        };
        let next = self.deeper(|| self.next(&mut iter));
        shared.set(Some(iter));
        next
    }

    fn next_filtered(&self, filtered: &'a FilteredItems<'a>) -> Result<Option<TemplateValue<'a>>> {
        let Some(mut inner) = filtered.iter.take() else { return Ok(None) };
        let FilteredItems { filter, frame, .. } = *filtered;
        while let Some(item) = self.next(&mut inner)? {
            self.spend(1)?;
            self.enter(&filter.scope, frame)?;
            self.assign(&filter.target, item, frame)?;
            if self.evaluate(&filter.test, frame)?.is_true() {
                filtered.iter.set(Some(inner));
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn next_made(&self, made: &'a MadeItems<'a>) -> Result<Option<TemplateValue<'a>>> {
        let mut rest = made.rest.get();
        while let Some(item) = self.next(&mut rest)? {
            self.spend(1)?;
            made.rest.set(rest);
            if let Some(item) = self.made_of(&made.filter, item)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// What a filter makes of an item; none where it leaves it out.
    fn made_of(&self, filter: &LazyFilter<'a>, item: TemplateValue<'a>) -> Result<Option<TemplateValue<'a>>> {
        match *filter {
            LazyFilter::Attribute { path, default } => self.attribute_of(item, Some(path), default).map(Some),
            LazyFilter::Filter(filter) => self.apply(filter.name, item, &filter.arguments()).map(Some),
            LazyFilter::Choice { keeps, path, test } => {
                let looked_at = self.attribute_of(item, path, None)?;
                let passed = match test {
                    Some(test) => self.test(test.name, looked_at, &test.arguments())?,
                    None => looked_at.is_true(),
                };
                Ok((passed == keeps).then_some(item))
            }
        }
    }
}
