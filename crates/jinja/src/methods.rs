//! Methods of Python's values.

mod text;

use crate::arguments::{CallArguments, int};
use crate::dict::{Dict, check_key};
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::value::{Object, TemplateValue, View};

/// What there is by a name.
pub(crate) enum MethodLookup {
    Method(&'static str),
    Nothing,
    /// There is something that the sandbox does not let templates use.
    Forbidden,
    /// There is something that this engine does not have.
    Unsupported,
}

const TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const TEXT_UNSUPPORTED: &[&str] = &["encode", "format_map", "isidentifier", "maketrans", "translate"];
const DICT: &[&str] = &["copy", "get", "items", "keys", "values"];
const DICT_FORBIDDEN: &[&str] = &["clear", "pop", "popitem", "setdefault", "update"];
const LIST: &[&str] = &["copy", "count", "index"];
const LIST_FORBIDDEN: &[&str] = &["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const TUPLE: &[&str] = &["count", "index"];
const NUMBER: &[&str] = &[
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "fromhex",
    "hex",
    "imag",
    "is_integer",
    "numerator",
    "real",
    "to_bytes",
];
const CYCLER: &[&str] = &["next", "reset"];

/// Whether Python's dicts have something by this name.
pub(crate) fn is_of_dicts(name: &str) -> bool {
    !matches!(of(TemplateValue::Dict(&Dict::EMPTY), name), MethodLookup::Nothing)
}

/// What a value has by `name`, dunder names aside, which the sandbox hides.
pub(crate) fn of(value: TemplateValue<'_>, name: &str) -> MethodLookup {
    let pick = |names: &'static [&'static str]| names.iter().find(|other| **other == name).copied();
    let (methods, forbidden, unsupported): (&'static [&str], &[&str], &[&str]) = match value {
        TemplateValue::Text(_) => (TEXT, &[], TEXT_UNSUPPORTED),
        TemplateValue::Dict(_) => (DICT, DICT_FORBIDDEN, &["fromkeys"]),
        TemplateValue::List(_) => (LIST, LIST_FORBIDDEN, &[]),
        TemplateValue::Tuple(_) => (TUPLE, &[], &[]),
        TemplateValue::Bool(_)
        | TemplateValue::Int(_)
        | TemplateValue::BigInt(_)
        | TemplateValue::Float(_) => (&[], &[], NUMBER),
        TemplateValue::Object(Object::Cycler(..)) => (CYCLER, &[], &[]),
        TemplateValue::Object(Object::Range(_)) => (&[], &[], &["start", "stop", "step", "count", "index"]),
        TemplateValue::Object(Object::Macro(..)) => {
            (&[], &[], &["name", "arguments", "caller", "catch_kwargs", "catch_varargs"])
        }
        TemplateValue::Object(Object::Function(_)) => (&[], &[], &["fromkeys"]),
        TemplateValue::Object(Object::View(..)) => (&[], &[], &["mapping", "isdisjoint"]),
        _ => (&[], &[], &[]),
    };
    match pick(methods) {
        Some(method) => MethodLookup::Method(method),
        None if forbidden.contains(&name) || (name.starts_with("__") && name.ends_with("__")) => {
            MethodLookup::Forbidden
        }
        None if unsupported.contains(&name) => MethodLookup::Unsupported,
        None => MethodLookup::Nothing,
    }
}

impl<'a> Machine<'a> {
    /// Calls a method.
    pub(crate) fn call_method(
        &self,
        receiver: TemplateValue<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        self.spend_arguments(arguments)?;
        match receiver {
            TemplateValue::Text(text) => self.text_method(text, name, arguments),
            TemplateValue::Dict(dict) => self.dict_method(dict, name, arguments),
            TemplateValue::List(items) | TemplateValue::Tuple(items) => {
                self.list_method(receiver, items, name, arguments)
            }
            TemplateValue::Object(Object::Loop(state)) => self.loop_method(state, name, arguments),
            TemplateValue::Object(Object::Cycler(items, at)) => {
                let [] = arguments.bind(name, [], 0)?;
                let current = at.get();
                at.set(if name == "reset" { 0 } else { (current + 1) % items.len() });
                Ok(if name == "reset" { TemplateValue::None } else { items[current] })
            }
            _ => Err(Error::unsupported(format!("the method `{name}`"))),
        }
    }

    fn dict_method(
        &self,
        dict: &'a Dict<'a>,
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let view = match name {
            "items" => View::Items,
            "keys" => View::Keys,
            "values" => View::Values,
            "copy" => {
                let [] = arguments.bind(name, [], 0)?;
                return Ok(TemplateValue::Dict(dict));
            }
            _ => {
                let [key, default] = arguments.bind(name, ["", ""], 1)?;
                let key = key.unwrap_or(TemplateValue::None);
                check_key(key)?;
                return Ok(self.lookup(dict, key)?.or(default).unwrap_or(TemplateValue::None));
            }
        };
        let [] = arguments.bind(name, [], 0)?;
        Ok(TemplateValue::Object(Object::View(view, dict)))
    }

    fn list_method(
        &self,
        receiver: TemplateValue<'a>,
        items: &'a [TemplateValue<'a>],
        name: &'static str,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        self.spend(items.len() as u64)?;
        match name {
            "copy" => {
                let [] = arguments.bind(name, [], 0)?;
                Ok(receiver)
            }
            "count" => {
                let [wanted] = arguments.bind(name, [""], 1)?;
                let wanted = wanted.unwrap_or(TemplateValue::None);
                let mut count = 0;
                for item in items {
                    count += i64::from(self.equal(*item, wanted)?);
                }
                Ok(TemplateValue::Int(count))
            }
            _ => {
                let [wanted, start, stop] = arguments.bind(name, ["", "", ""], 1)?;
                let bound = |bound: Option<TemplateValue<'a>>, default: i64| match bound {
                    None => Ok(default),
                    Some(value) => {
                        let at = int(value)?;
                        let length = items.len() as i64;
                        Ok(if at < 0 { (at + length).max(0) } else { at.min(length) })
                    }
                };
                let (start, stop) = (bound(start, 0)? as usize, bound(stop, items.len() as i64)? as usize);
                let wanted = wanted.unwrap_or(TemplateValue::None);
                for (at, item) in items.get(start..stop).unwrap_or_default().iter().enumerate() {
                    if self.equal(*item, wanted)? {
                        return Ok(TemplateValue::Int((start + at) as i64));
                    }
                }
                Err(Error::operation("`index` of what is not there"))
            }
        }
    }
}
