//! `loop`: where a loop is.

use std::cell::Cell;

use crate::arguments::CallArguments;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::iterate::Iter;
use crate::machine::Machine;
use crate::syntax::For;
use crate::value::{LoopState, Object, TemplateValue};

impl<'a> LoopState<'a> {
    pub(crate) const fn new(
        looping: &'a For,
        frame: &'a Frame<'a>,
        iterated: TemplateValue<'a>,
        iter: Iter<'a>,
        depth: i64,
    ) -> Self {
        Self {
            looping,
            frame,
            iterated,
            rest: Cell::new(Some(iter)),
            depth,
            index: Cell::new(-1),
            before: Cell::new(None),
            current: Cell::new(None),
            after: Cell::new(None),
            length: Cell::new(None),
            changed: Cell::new(None),
        }
    }
}

impl<'a> Machine<'a> {
    /// The next item of a loop.
    pub(crate) fn advance(&self, state: &'a LoopState<'a>) -> Result<Option<TemplateValue<'a>>> {
        let next = match state.after.take() {
            Some(after) => after,
            None => self.fetch(state)?,
        };
        if let Some(item) = next {
            state.index.set(state.index.get() + 1);
            state.before.set(state.current.get());
            state.current.set(Some(item));
        }
        Ok(next)
    }

    fn fetch(&self, state: &'a LoopState<'a>) -> Result<Option<TemplateValue<'a>>> {
        let Some(mut iter) = state.rest.take() else { return Ok(None) };
        let next = self.next(&mut iter)?;
        if next.is_some() {
            state.rest.set(Some(iter));
        }
        Ok(next)
    }

    /// The item after this one.
    fn peek(&self, state: &'a LoopState<'a>) -> Result<Option<TemplateValue<'a>>> {
        if state.after.get().is_none() {
            state.after.set(Some(self.fetch(state)?));
        }
        Ok(state.after.get().flatten())
    }

    /// How many items the loop has.
    pub(crate) fn loop_length(&self, state: &'a LoopState<'a>) -> Result<i64> {
        if let Some(length) = state.length.get() {
            return Ok(length);
        }
        let length = match self.length(state.iterated) {
            Ok(length) => length,
            Err(_) => {
                let mut rest = Vec::new();
                let mut iter = state.rest.take();
                while let Some(item) = iter.as_mut().map_or(Ok(None), |iter| self.next(iter))? {
                    self.spend(1)?;
                    self.push_to(&mut rest, item)?;
                }
                let peeked = i64::from(state.after.get().flatten().is_some());
                let length = rest.len() as i64 + state.index.get() + 1 + peeked;
                state.rest.set(Some(Iter::Items(self.alloc_values(&rest)?)));
                length
            }
        };
        state.length.set(Some(length));
        Ok(length)
    }

    /// An attribute of `loop`.
    pub(crate) fn loop_attribute(
        &self,
        state: &'a LoopState<'a>,
        name: &'a str,
    ) -> Result<Option<TemplateValue<'a>>> {
        let index = state.index.get();
        Ok(Some(match name {
            "index" => TemplateValue::Int(index + 1),
            "index0" => TemplateValue::Int(index),
            "first" => TemplateValue::Bool(index == 0),
            "last" => TemplateValue::Bool(self.peek(state)?.is_none()),
            "length" => TemplateValue::Int(self.loop_length(state)?),
            "revindex" => TemplateValue::Int(self.loop_length(state)? - index),
            "revindex0" => TemplateValue::Int(self.loop_length(state)? - index - 1),
            "depth" => TemplateValue::Int(state.depth + 1),
            "depth0" => TemplateValue::Int(state.depth),
            "previtem" if index == 0 => TemplateValue::Undefined("loop.previtem"),
            "previtem" => state.before.get().unwrap_or(TemplateValue::Undefined("loop.previtem")),
            "nextitem" => self.peek(state)?.unwrap_or(TemplateValue::Undefined("loop.nextitem")),
            "cycle" => self.method(TemplateValue::Object(Object::Loop(state)), "cycle")?,
            "changed" => self.method(TemplateValue::Object(Object::Loop(state)), "changed")?,
            _ => return Ok(None),
        }))
    }

    /// `loop.cycle(…)` and `loop.changed(…)`.
    pub(crate) fn loop_method(
        &self,
        state: &'a LoopState<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        arguments.no_named(name)?;
        let given = &arguments.positional;
        if name == "cycle" {
            let count = i64::try_from(given.len()).unwrap_or(i64::MAX);
            if count == 0 {
                return Err(Error::operation("`loop.cycle` has no items"));
            }
            let at = usize::try_from(state.index.get().rem_euclid(count)).unwrap_or_default();
            return Ok(given[at]);
        }
        let before = state.changed.get();
        let same = match before {
            Some(before) => self.all_equal(before, given)?,
            None => false,
        };
        if !same {
            state.changed.set(Some(self.alloc_values(given)?));
        }
        Ok(TemplateValue::Bool(!same))
    }
}
