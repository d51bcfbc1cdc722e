//! The values of a template: Python's, as far as templates meet them.
//!
//! All that a rendering makes is in one arena and goes with it, so values are copied as they are. Lists and dicts can't be
//! changed, as in the sandbox that `transformers` renders in; a namespace and a loop can.

use std::cell::Cell;

use bumpalo::Bump;

use crate::dict::Dict;
use crate::error::Error;
use crate::frame::Frame;
use crate::iterate::Iter;
use crate::syntax::{For, Macro};
use crate::text::MarkedText;

/// A value.
#[derive(Debug, Clone, Copy)]
pub enum TemplateValue<'a> {
    /// What is not there, by its name. It prints as nothing, and nearly everything else that is done with it is an error.
    Undefined(&'a str),
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer that no `i64` holds, by its decimal digits: it can be printed and compared.
    BigInt(&'a str),
    /// A float.
    Float(f64),
    /// A string.
    Text(MarkedText<'a>),
    /// A string that `safe` was applied to: what is added to it is escaped as HTML, which is refused here.
    Safe(MarkedText<'a>),
    /// A list.
    List(&'a [Self]),
    /// A tuple.
    Tuple(&'a [Self]),
    /// A dict.
    Dict(&'a Dict<'a>),
    /// What else a template meets; only templates make it.
    Object(Object<'a>),
}

/// Values that only templates make.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// What `items()`, `keys()` or `values()` of a dict gives.
    View(View, &'a Dict<'a>),
    /// `range(start, stop, step)`.
    Range(Range),
    /// What can be gone through once.
    Iterator(&'a Cell<Option<Iter<'a>>>),
    /// `namespace()`.
    Namespace(&'a Namespace<'a>),
    /// A macro, or the body of a `call` block.
    Macro(&'a Macro, &'a Frame<'a>),
    /// `loop`.
    Loop(&'a LoopState<'a>),
    /// A function that every template has.
    Function(Function),
    /// A method of a value.
    Method(&'a TemplateValue<'a>, &'static str),
    /// `cycler()`: its items, and how often it was asked.
    Cycler(&'a [TemplateValue<'a>], &'a Cell<usize>),
    /// `joiner()`: its separator, and whether it was asked.
    Joiner(MarkedText<'a>, &'a Cell<bool>),
}

/// What a view of a dict shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Pairs of key and value.
    Items,
    /// The keys.
    Keys,
    /// The values.
    Values,
}

/// A range of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: i64,
    /// Where it ends.
    pub stop: i64,
    /// The difference of neighbors, not 0.
    pub step: i64,
}

/// Functions that every template has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `range`.
    Range,
    /// `dict`.
    Dict,
    /// `namespace`.
    Namespace,
    /// `cycler`.
    Cycler,
    /// `joiner`.
    Joiner,
    /// `raise_exception`.
    RaiseException,
    /// `strftime_now`.
    StrftimeNow,
    /// `lipsum`, which can only be asked for: it prints words at random.
    Lipsum,
}

/// Attributes that can be assigned to.
#[derive(Debug, Default)]
pub struct Namespace<'a> {
    entries: Cell<&'a [(&'a str, Cell<TemplateValue<'a>>)]>,
}

impl<'a> Namespace<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<TemplateValue<'a>> {
        self.entries.get().iter().find(|(other, _)| *other == name).map(|(_, value)| value.get())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.get().len()
    }

    pub(crate) fn set(&self, arena: &'a Bump, name: &'a str, value: TemplateValue<'a>) {
        let entries = self.entries.get();
        match entries.iter().find(|(other, _)| *other == name) {
            Some((_, slot)) => slot.set(value),
            None => {
                let all = entries.iter().map(|(name, value)| (*name, Cell::new(value.get())));
                let all: Vec<_> = all.chain([(name, Cell::new(value))]).collect();
                self.entries.set(arena.alloc_slice_fill_iter(all));
            }
        }
    }
}

/// What `loop` knows.
#[derive(Debug)]
pub struct LoopState<'a> {
    pub(crate) looping: &'a For,
    /// The variables around the loop, where it is recursive.
    pub(crate) frame: &'a Frame<'a>,
    pub(crate) iterated: TemplateValue<'a>,
    pub(crate) rest: Cell<Option<Iter<'a>>>,
    pub(crate) depth: i64,
    pub(crate) index: Cell<i64>,
    pub(crate) before: Cell<Option<TemplateValue<'a>>>,
    pub(crate) current: Cell<Option<TemplateValue<'a>>>,
    /// The item after this one, where somebody looked.
    pub(crate) after: Cell<Option<Option<TemplateValue<'a>>>>,
    pub(crate) length: Cell<Option<i64>>,
    pub(crate) changed: Cell<Option<&'a [TemplateValue<'a>]>>,
}

impl<'a> TemplateValue<'a> {
    /// A string from nowhere in particular.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::Text(MarkedText::new(text))
    }

    /// What Python calls the type.
    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Undefined(_) => "undefined",
            Self::None => "None",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::BigInt(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::Safe(_) => "a string that is safe",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dict",
            Self::Object(Object::View(..)) => "a view of a dict",
            Self::Object(Object::Range(_)) => "a range",
            Self::Object(Object::Iterator(_)) => "an iterator",
            Self::Object(Object::Namespace(_)) => "a namespace",
            Self::Object(Object::Loop(_)) => "a loop",
            Self::Object(_) => "a function",
        }
    }

    /// How many bytes of text it is, or of digits.
    pub(crate) const fn text_bytes(self) -> usize {
        match self {
            Self::Text(text) | Self::Safe(text) => text.as_str().len(),
            Self::BigInt(digits) => digits.len(),
            _ => 0,
        }
    }

    /// Whether it is true, as `if` sees it.
    pub(crate) fn is_true(self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => value,
            Self::Int(value) => value != 0,
            Self::BigInt(_) => true,
            Self::Float(value) => value != 0.0,
            Self::Text(text) | Self::Safe(text) => !text.as_str().is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
            Self::Dict(dict) | Self::Object(Object::View(_, dict)) => !dict.is_empty(),
            Self::Object(Object::Range(range)) => !range.is_empty(),
            Self::Object(_) => true,
        }
    }

    /// The same without what `safe` did to it, where nothing is added to it.
    pub(crate) const fn without_safe(self) -> Self {
        if let Self::Safe(text) = self { Self::Text(text) } else { self }
    }

    /// The error of adding to a string that is safe.
    pub(crate) fn safe_error() -> Error {
        Error::unsupported("more than printing what `safe` was applied to")
    }

    /// The error of using what is undefined.
    pub(crate) fn undefined_error(name: &str) -> Error {
        Error::undefined(format!("`{}` is undefined", name.escape_debug()))
    }
}

impl Range {
    pub(crate) const fn len(self) -> i64 {
        let Self { start, stop, step } = self;
        let span = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
        let step = step.saturating_abs();
        if span <= 0 { 0 } else { (span - 1) / step + 1 }
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn at(self, index: i64) -> i64 {
        self.start.saturating_add(index.saturating_mul(self.step))
    }
}
