//! Comparisons, as operators make them.

use std::cmp::Ordering;

use crate::dict::{Dict, check_key};
use crate::error::{Error, Result};
use crate::iterate::Iter;
use crate::machine::Machine;
use crate::order::{is_number, numbers, same_key, same_object};
use crate::syntax::ComparisonOperator;
use crate::value::{Object, TemplateValue, View};

impl<'a> Machine<'a> {
    /// `left comparison right`.
    pub(crate) fn compare(
        &self,
        comparison: ComparisonOperator,
        left: TemplateValue<'a>,
        right: TemplateValue<'a>,
    ) -> Result<bool> {
        let ordered = |accepted: fn(Ordering) -> bool| Ok(self.order(left, right)?.is_some_and(accepted));
        match comparison {
            ComparisonOperator::Equal => self.equal(left, right),
            ComparisonOperator::NotEqual => Ok(!self.equal(left, right)?),
            ComparisonOperator::Less => ordered(Ordering::is_lt),
            ComparisonOperator::LessEqual => ordered(Ordering::is_le),
            ComparisonOperator::Greater => ordered(Ordering::is_gt),
            ComparisonOperator::GreaterEqual => ordered(Ordering::is_ge),
            ComparisonOperator::In => self.contains(right, left),
            ComparisonOperator::NotIn => Ok(!self.contains(right, left)?),
        }
    }

    /// `left == right`.
    pub(crate) fn equal(&self, left: TemplateValue<'a>, right: TemplateValue<'a>) -> Result<bool> {
        match (left.without_safe(), right.without_safe()) {
            (TemplateValue::Text(left), TemplateValue::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                if left.len() != right.len() {
                    return Ok(false);
                }
                self.spend_bytes(left.len())?;
                Ok(left == right)
            }
            (TemplateValue::List(left), TemplateValue::List(right))
            | (TemplateValue::Tuple(left), TemplateValue::Tuple(right)) => self.all_equal(left, right),
            (TemplateValue::Dict(left), TemplateValue::Dict(right)) => {
                self.deeper(|| self.same_entries(left, right))
            }
            (TemplateValue::Object(left), TemplateValue::Object(right)) => self.equal_objects(left, right),
            (left, right) => {
                self.spend_bytes(left.text_bytes().min(right.text_bytes()))?;
                Ok(same_key(left, right))
            }
        }
    }

    /// Views of keys and of items are sets to Python.
    fn equal_objects(&self, left: Object<'a>, right: Object<'a>) -> Result<bool> {
        match (left, right) {
            (Object::View(View::Items, left), Object::View(View::Items, right)) => {
                self.deeper(|| self.same_entries(left, right))
            }
            (Object::View(View::Keys, left), Object::View(View::Keys, right)) => self.same_keys(left, right),
            // They are equal where they are the same one, and it is not known which one it is.
            (Object::View(..), Object::View(..))
            | (Object::Method(..), Object::Method(..))
            | (Object::Cycler(..), Object::Cycler(..))
            | (Object::Joiner(..), Object::Joiner(..)) => {
                let kind = TemplateValue::Object(left).type_name();
                Err(Error::unsupported(format!("whether {kind} equals another")))
            }
            _ => Ok(same_object(left, right)),
        }
    }

    fn same_keys(&self, left: &'a Dict<'a>, right: &'a Dict<'a>) -> Result<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (key, _) in left.entries() {
            self.spend(1)?;
            if self.lookup(right, *key)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there are as many items, each equal to the other at its place.
    pub(crate) fn all_equal(&self, left: &[TemplateValue<'a>], right: &[TemplateValue<'a>]) -> Result<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        self.deeper(|| {
            for (left, right) in left.iter().zip(right) {
                self.spend(1)?;
                if !self.equal(*left, *right)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn same_entries(&self, left: &'a Dict<'a>, right: &'a Dict<'a>) -> Result<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (key, value) in left.entries() {
            self.spend(1)?;
            let Some(other) = self.lookup(right, *key)? else { return Ok(false) };
            if !self.equal(*value, other)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a value is one of some.
    pub(crate) fn is_among(&self, value: TemplateValue<'a>, items: &[TemplateValue<'a>]) -> Result<bool> {
        for item in items {
            self.spend(1)?;
            if self.equal(*item, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The order of two values; none where they are equal to nothing (NaN).
    ///
    /// # Errors
    /// Python has no order of them.
    pub(crate) fn order(
        &self,
        left: TemplateValue<'a>,
        right: TemplateValue<'a>,
    ) -> Result<Option<Ordering>> {
        self.spend(1)?;
        if let Some(name) = undefined(left).or_else(|| undefined(right)) {
            return Err(TemplateValue::undefined_error(name));
        }
        match (left.without_safe(), right.without_safe()) {
            (TemplateValue::Text(left), TemplateValue::Text(right)) => {
                self.spend_bytes(left.as_str().len().min(right.as_str().len()))?;
                Ok(Some(left.as_str().cmp(right.as_str())))
            }
            (TemplateValue::List(left), TemplateValue::List(right))
            | (TemplateValue::Tuple(left), TemplateValue::Tuple(right)) => {
                for (left, right) in left.iter().zip(right) {
                    if !self.equal(*left, *right)? {
                        return self.deeper(|| self.order(*left, *right));
                    }
                }
                Ok(Some(left.len().cmp(&right.len())))
            }
            _ if is_number(left) && is_number(right) => {
                self.spend_bytes(left.text_bytes().min(right.text_bytes()))?;
                Ok(numbers(left, right))
            }
            (TemplateValue::Object(Object::View(..)), _) | (_, TemplateValue::Object(Object::View(..))) => {
                Err(Error::unsupported("the order of views of dicts"))
            }
            _ => {
                Err(Error::operation(format!("{} and {} have no order", left.type_name(), right.type_name())))
            }
        }
    }

    /// `item in value`.
    pub(crate) fn contains(&self, value: TemplateValue<'a>, item: TemplateValue<'a>) -> Result<bool> {
        match (value.without_safe(), item.without_safe()) {
            (TemplateValue::Text(text), TemplateValue::Text(item)) => {
                self.spend_bytes(text.as_str().len() + item.as_str().len())?;
                Ok(text.as_str().contains(item.as_str()))
            }
            (TemplateValue::Text(_), _) => {
                Err(Error::operation(format!("{} can't be in a string", item.type_name())))
            }
            (TemplateValue::Dict(dict) | TemplateValue::Object(Object::View(View::Keys, dict)), _) => {
                check_key(item)?;
                Ok(self.lookup(dict, item)?.is_some())
            }
            (TemplateValue::Undefined(_), _) => Ok(false),
            _ => {
                let mut iter = Iter::of(value)?;
                while let Some(other) = self.next(&mut iter)? {
                    self.spend(1)?;
                    if self.equal(other, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

const fn undefined<'a>(value: TemplateValue<'a>) -> Option<&'a str> {
    if let TemplateValue::Undefined(name) = value { Some(name) } else { None }
}
