//! Filters that put things in order.

use std::cmp::Ordering;

use crate::arguments::CallArguments;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::value::TemplateValue;

impl<'a> Machine<'a> {
    pub(super) fn sort_filter(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let is_true = |value: Option<TemplateValue<'a>>| value.is_some_and(TemplateValue::is_true);
        match name {
            "dictsort" => {
                let [case, by, reverse] = arguments.bind(name, ["case_sensitive", "by", "reverse"], 0)?;
                let place = match by {
                    None => 0,
                    Some(TemplateValue::Text(by)) if by.as_str() == "key" => 0,
                    Some(TemplateValue::Text(by)) if by.as_str() == "value" => 1,
                    Some(_) => return Err(Error::operation("`dictsort` sorts by `key` or `value`")),
                };
                let TemplateValue::Dict(dict) = value else {
                    return Err(Error::operation(format!("`dictsort` of {}", value.type_name())));
                };
                let mut keyed = Vec::new();
                for (key, value) in dict.entries() {
                    let key_of_order = self.cased(if place == 0 { *key } else { *value }, is_true(case))?;
                    let entry = TemplateValue::Tuple(self.alloc_values(&[*key, *value])?);
                    self.push_to(&mut keyed, (key_of_order, entry))?;
                }
                self.sorted(keyed, is_true(reverse)).map(TemplateValue::List)
            }
            "sort" => {
                let [reverse, case, attribute] =
                    arguments.bind(name, ["reverse", "case_sensitive", "attribute"], 0)?;
                let paths = self.paths(attribute);
                let mut keyed = Vec::new();
                for item in self.collect(value)? {
                    let mut key = Vec::new();
                    for path in &paths {
                        self.spend(1)?;
                        key.push(self.cased(self.attribute_of(*item, *path, None)?, is_true(case))?);
                    }
                    self.push_to(&mut keyed, (TemplateValue::List(self.alloc_values(&key)?), *item))?;
                }
                self.sorted(keyed, is_true(reverse)).map(TemplateValue::List)
            }
            "unique" => {
                let [case, attribute] = arguments.bind(name, ["case_sensitive", "attribute"], 0)?;
                let (mut seen, mut kept): (Vec<TemplateValue<'a>>, Vec<TemplateValue<'a>>) =
                    (Vec::new(), Vec::new());
                for item in self.taken(value)? {
                    let key = self.cased(self.attribute_of(*item, attribute, None)?, is_true(case))?;
                    crate::dict::check_key(key)?;
                    if !self.is_among(key, &seen)? {
                        self.push_to(&mut seen, key)?;
                        self.push_to(&mut kept, *item)?;
                    }
                }
                self.iterator(self.alloc_values(&kept)?)
            }
            "groupby" => self.grouped(value, arguments),
            _ => {
                let [case, attribute] = arguments.bind(name, ["case_sensitive", "attribute"], 0)?;
                let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
                let mut best: Option<(TemplateValue<'a>, TemplateValue<'a>)> = None;
                for item in self.collect(value)? {
                    let key = self.cased(self.attribute_of(*item, attribute, None)?, is_true(case))?;
                    let is_better = match best {
                        Some((other, _)) => self.order(key, other)? == Some(wanted),
                        None => true,
                    };
                    if is_better {
                        best = Some((key, *item));
                    }
                }
                Ok(best.map_or(TemplateValue::Undefined("the least or most of no items"), |(_, item)| item))
            }
        }
    }

    fn paths(&self, attribute: Option<TemplateValue<'a>>) -> Vec<Option<TemplateValue<'a>>> {
        match attribute {
            Some(TemplateValue::Text(paths)) => {
                paths.as_str().split(',').map(|path| Some(TemplateValue::text(path))).collect()
            }
            other => vec![other],
        }
    }

    /// A key of order: strings without regard to case, unless that counts.
    fn cased(&self, value: TemplateValue<'a>, is_case_sensitive: bool) -> Result<TemplateValue<'a>> {
        match value {
            TemplateValue::Text(text) if !is_case_sensitive => self.lower(text).map(TemplateValue::Text),
            _ => Ok(value),
        }
    }

    fn sorted(
        &self,
        mut keyed: Vec<(TemplateValue<'a>, TemplateValue<'a>)>,
        is_reversed: bool,
    ) -> Result<&'a [TemplateValue<'a>]> {
        self.spend(keyed.len() as u64)?;
        let mut failed = None;
        keyed.sort_by(|(left, _), (right, _)| match self.order(*left, *right) {
            // After an error all are alike, so that the end is near.
            _ if failed.is_some() => Ordering::Equal,
            Ok(order) => {
                let order = order.unwrap_or(Ordering::Equal);
                if is_reversed { order.reverse() } else { order }
            }
            Err(error) => {
                failed.get_or_insert(error);
                Ordering::Equal
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        self.alloc_all(keyed.iter().map(|(_, item)| Ok(*item)))
    }

    fn grouped(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let names = ["attribute", "default", "case_sensitive"];
        let [attribute, default, case] = arguments.bind("groupby", names, 1)?;
        let default = default.filter(|default| !matches!(default, TemplateValue::None));
        let is_case_sensitive = case.is_some_and(TemplateValue::is_true);
        let key_of = |item| self.attribute_of(item, attribute, default);
        let cased = |item| self.cased(key_of(item)?, is_case_sensitive);
        let mut keyed = Vec::new();
        for item in self.collect(value)? {
            self.push_to(&mut keyed, (cased(*item)?, *item))?;
        }
        let mut rest = self.sorted(keyed, false)?;
        let mut groups = Vec::new();
        while let Some((first, others)) = rest.split_first() {
            let key = cased(*first)?;
            let mut length = 1;
            for other in others {
                if !self.equal(key, cased(*other)?)? {
                    break;
                }
                length += 1;
            }
            let (items, after) = rest.split_at(length);
            rest = after;
            let group = self.alloc_values(&[key_of(*first)?, TemplateValue::List(items)])?;
            self.claim(2 * size_of::<usize>())?;
            self.groups.borrow_mut().insert(group.as_ptr());
            self.push_to(&mut groups, TemplateValue::Tuple(group))?;
        }
        self.alloc_values(&groups).map(TemplateValue::List)
    }

    /// Whether a tuple is a group that `groupby` made.
    pub(crate) fn is_group(&self, tuple: &[TemplateValue<'a>]) -> bool {
        self.groups.borrow().contains(&tuple.as_ptr())
    }
}
