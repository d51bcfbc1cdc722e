//! Going through a value, item by item.

use std::cell::Cell;

use crate::arguments::Applied;
use crate::dict::Dict;
use crate::error::{Error, Result};
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
    /// What somebody else goes through, too; none while nobody else may.
    Shared(&'a Cell<Option<Self>>),
    /// The items that pass a loop's test.
    Filtered(&'a FilteredItems<'a>),
    /// What a filter makes of items.
    Made(&'a MadeItems<'a>),
}

/// Items that have to pass the test of a loop, which is made when they are asked for.
#[derive(Debug)]
pub struct FilteredItems<'a> {
    pub(crate) iter: Cell<Option<Iter<'a>>>,
    pub(crate) filter: &'a LoopFilter,
    pub(crate) frame: &'a Frame<'a>,
}

/// What a filter makes of items, each when it is asked for.
#[derive(Debug)]
pub struct MadeItems<'a> {
    pub(crate) rest: Cell<Iter<'a>>,
    pub(crate) filter: LazyFilter<'a>,
}

/// What becomes of each item.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LazyFilter<'a> {
    /// What `path` names of it, or the default.
    Attribute { path: TemplateValue<'a>, default: Option<TemplateValue<'a>> },
    /// What a filter makes of it.
    Filter(Applied<'a>),
    /// It stays where a test of it, or of what `path` names of it, comes out as `keeps` says.
    Choice { keeps: bool, path: Option<TemplateValue<'a>>, test: Option<Applied<'a>> },
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
}
