//! What a rendering makes in memory, counted.
//!
//! The arena's own count won't do: it depends on what was rendered before, and whether a conversation is refused must not.

use crate::dict::{Dict, check_key};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::text::{MarkedText, TextBuilder, concat};
use crate::value::{Namespace, TemplateValue};

/// How deep values that are written may be nested.
const DEPTH_MAX: usize = 200;

impl<'a> Machine<'a> {
    /// Counts so many bytes as made.
    pub(crate) fn claim(&self, bytes: usize) -> Result<()> {
        self.spend_bytes(bytes)?;
        self.check_room(bytes)?;
        self.claimed.set(self.claimed.get() + bytes);
        Ok(())
    }

    /// Checks that so many bytes may be made, and counts nothing.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<()> {
        if self.claimed.get().saturating_add(self.held.get()).saturating_add(bytes) > self.limits.memory {
            let detail = format!("it takes more than {} bytes of memory", self.limits.memory);
            return Err(Error::new(ErrorKind::Limit, detail));
        }
        Ok(())
    }

    /// Checks that a text may have so many bytes more: none needs to be longer than the output may be.
    pub(crate) fn check_growth(&self, out: &TextBuilder, bytes: usize) -> Result<()> {
        if out.len().saturating_add(bytes) > self.limits.output {
            let detail = format!("it makes a text of more than {} bytes", self.limits.output);
            return Err(Error::new(ErrorKind::TooLong, detail));
        }
        self.check_room(out.size().saturating_add(bytes))
    }

    /// Counts a value that is about to be written, within `depth` others.
    pub(crate) fn enter_value(&self, out: &TextBuilder, depth: usize) -> Result<()> {
        self.spend(1)?;
        if depth == DEPTH_MAX {
            let detail = format!("a value that is nested more than {DEPTH_MAX} deep");
            return Err(Error::new(ErrorKind::Limit, detail));
        }
        self.check_growth(out, 0)
    }

    /// A value in the arena.
    pub(crate) fn alloc<T>(&self, value: T) -> Result<&'a T> {
        self.claim(size_of::<T>())?;
        Ok(self.arena.alloc(value))
    }

    /// Values in the arena.
    pub(crate) fn alloc_values(&self, values: &[TemplateValue<'a>]) -> Result<&'a [TemplateValue<'a>]> {
        self.claim(size_of_val(values))?;
        Ok(self.arena.alloc_slice_copy(values))
    }

    /// Values in the arena, made one after another in their places.
    pub(crate) fn alloc_all(
        &self,
        values: impl ExactSizeIterator<Item = Result<TemplateValue<'a>>>,
    ) -> Result<&'a [TemplateValue<'a>]> {
        self.claim(values.len().saturating_mul(size_of::<TemplateValue<'_>>()))?;
        let values = self.arena.alloc_slice_try_fill_iter(values)?;
        Ok(values)
    }

    /// Appends to what is being made outside of the arena.
    pub(crate) fn push_to<T>(&self, all: &mut Vec<T>, item: T) -> Result<()> {
        if all.len() == all.capacity() {
            // It becomes twice as large, beside what it was, and is copied to the arena in the end.
            self.check_room(4 * size_of_val(&all[..]))?;
        }
        all.push(item);
        Ok(())
    }

    /// The bytes of a text from `start` to before `end`, which are at borders of characters.
    pub(crate) fn cut(&self, text: MarkedText<'a>, start: usize, end: usize) -> Result<MarkedText<'a>> {
        let part = text.slice(self.arena, start, end);
        self.claim(part.size() - part.as_str().len())?;
        Ok(part)
    }

    /// A string in the arena.
    pub(crate) fn alloc_str(&self, text: &str) -> Result<&'a str> {
        self.claim(text.len())?;
        Ok(self.arena.alloc_str(text))
    }

    /// Checks that there may be so many values more, before they are made.
    pub(crate) fn check_values(&self, count: usize) -> Result<()> {
        self.check_room(count.saturating_mul(size_of::<TemplateValue<'_>>()))
    }

    /// The variables of a call.
    pub(crate) fn frame(&self, slots: usize, around: Option<&'a Frame<'a>>) -> Result<&'a Frame<'a>> {
        self.claim(slots * size_of::<TemplateValue<'_>>() + size_of::<Frame<'_>>())?;
        Ok(Frame::new(self.arena, slots, around))
    }

    /// A dict.
    pub(crate) fn dict(
        &self,
        entries: Vec<(TemplateValue<'a>, TemplateValue<'a>)>,
    ) -> Result<TemplateValue<'a>> {
        entries.iter().try_for_each(|(key, _)| check_key(*key))?;
        let bytes: usize = entries.iter().map(|(key, _)| key_bytes(*key)).sum();
        self.spend_bytes(bytes)?;
        // Keys that are no strings are looked through one by one.
        let others = entries.iter().filter(|(key, _)| !matches!(key, TemplateValue::Text(_))).count();
        self.spend(entries.len() as u64 * (1 + others as u64 / 8))?;
        self.claim(2 * size_of_val(&entries[..]))?;
        self.alloc(Dict::new(self.arena, entries)?).map(TemplateValue::Dict)
    }

    /// The value of a key of a dict.
    pub(crate) fn lookup(
        &self,
        dict: &Dict<'a>,
        key: TemplateValue<'a>,
    ) -> Result<Option<TemplateValue<'a>>> {
        match key {
            TemplateValue::Text(text) => self.spend_bytes(text.as_str().len())?,
            _ => self.spend(dict.len() as u64 * (1 + key_bytes(key) as u64 / 64))?,
        }
        Ok(dict.get(key))
    }

    /// An attribute of a namespace, whose names are looked through one by one.
    pub(crate) fn namespaced(
        &self,
        namespace: &Namespace<'a>,
        name: &str,
    ) -> Result<Option<TemplateValue<'a>>> {
        self.spend_bytes(namespace.len() * (8 + name.len()))?;
        Ok(namespace.get(name))
    }

    /// Gives a namespace an attribute.
    pub(crate) fn set_attribute(
        &self,
        namespace: &Namespace<'a>,
        name: &'a str,
        value: TemplateValue<'a>,
    ) -> Result<()> {
        if self.namespaced(namespace, name)?.is_none() {
            self.claim((namespace.len() + 1) * size_of::<(&str, TemplateValue<'_>)>())?;
        }
        namespace.set(self.arena, name, value);
        Ok(())
    }

    /// A text that is made, in the arena.
    pub(crate) fn finish(&self, out: &mut TextBuilder) -> Result<MarkedText<'a>> {
        self.check_growth(out, 0)?;
        self.claim(out.size())?;
        Ok(out.finish(self.arena))
    }

    /// Texts one after another.
    pub(crate) fn joined(&self, texts: &[MarkedText<'a>]) -> Result<MarkedText<'a>> {
        self.spend(texts.len() as u64 / 8)?;
        let is_nothing = |text: &MarkedText<'_>| text.as_str().is_empty() && text.is_plain();
        match texts {
            [text, nothing] | [nothing, text] if is_nothing(nothing) => return Ok(*text),
            _ => {}
        }
        self.concat(texts.iter().copied())
    }

    /// A text so many times.
    pub(crate) fn repeated(&self, text: MarkedText<'a>, times: usize) -> Result<MarkedText<'a>> {
        if times == 0 {
            return Ok(MarkedText::new(""));
        }
        if text.as_str().is_empty() {
            return Ok(text);
        }
        self.check_length(text.as_str().len().saturating_mul(times))?;
        self.check_room(text.size().saturating_mul(times))?;
        self.concat(std::iter::repeat_n(text, times))
    }

    fn check_length(&self, bytes: usize) -> Result<()> {
        self.check_growth(&TextBuilder::default(), bytes)
    }

    fn concat(&self, texts: impl Iterator<Item = MarkedText<'a>> + Clone) -> Result<MarkedText<'a>> {
        self.check_length(texts.clone().map(|text| text.as_str().len()).sum())?;
        self.claim(texts.clone().map(MarkedText::size).sum())?;
        Ok(concat(self.arena, texts))
    }
}

/// How much of a key is looked at to compare it: keys have no tuples in tuples.
fn key_bytes(key: TemplateValue<'_>) -> usize {
    let TemplateValue::Tuple(items) = key else { return key.text_bytes() };
    items.iter().map(|item| 16 + item.text_bytes()).sum()
}
