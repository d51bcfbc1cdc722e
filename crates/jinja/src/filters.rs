//! Filters: what stands behind `|`.

mod sequence;
mod sort;
mod text;

use crate::arguments::{CallArguments, int};
use crate::error::{Error, Result};
use crate::json::JsonOptions;
use crate::machine::Machine;
use crate::text::{MarkedText, TextBuilder};
use crate::value::{Object, TemplateValue, View};

/// The names of all filters that Jinja has.
pub(crate) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

impl<'a> Machine<'a> {
    /// A value with a filter applied to it.
    pub(crate) fn apply(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        let value = match (name, value) {
            ("default" | "d" | "safe" | "string" | "attr", _) => value,
            ("tojson" | "length" | "count" | "replace" | "int" | "float", _) => value.without_safe(),
            (_, TemplateValue::Safe(_)) => return Err(TemplateValue::safe_error()),
            _ => value,
        };
        self.spend_arguments(arguments)?;
        match name {
            "safe" => {
                let [] = arguments.bind(name, [], 0)?;
                self.string(value).map(TemplateValue::Safe)
            }
            "default" | "d" => {
                let [default, boolean] = arguments.bind(name, ["default_value", "boolean"], 0)?;
                let is_missing = matches!(value, TemplateValue::Undefined(_))
                    || boolean.is_some_and(TemplateValue::is_true) && !value.is_true();
                Ok(if is_missing { default.unwrap_or(TemplateValue::text("")) } else { value })
            }
            "tojson" => self.to_json(value, arguments),
            "length" | "count" => {
                let [] = arguments.bind(name, [], 0)?;
                self.length(value).map(TemplateValue::Int)
            }
            "string" => {
                let [] = arguments.bind(name, [], 0)?;
                if matches!(value, TemplateValue::Safe(_)) {
                    return Ok(value);
                }
                self.string(value).map(TemplateValue::Text)
            }
            "items" => {
                let [] = arguments.bind(name, [], 0)?;
                match value {
                    TemplateValue::Undefined(_) => self.iterator(&[]),
                    TemplateValue::Dict(dict) => {
                        let items = self.collect(TemplateValue::Object(Object::View(View::Items, dict)))?;
                        self.iterator(items)
                    }
                    _ => Err(Error::operation(format!("`items` of {}", value.type_name()))),
                }
            }
            "attr" => {
                let [attribute] = arguments.bind(name, ["name"], 1)?;
                let attribute = crate::arguments::text(attribute.unwrap_or(TemplateValue::None))?.as_str();
                match value {
                    TemplateValue::Dict(_)
                        if matches!(
                            crate::methods::of(value, attribute),
                            crate::methods::MethodLookup::Nothing
                        ) =>
                    {
                        Ok(TemplateValue::Undefined(attribute))
                    }
                    _ => self.attribute(value, attribute),
                }
            }
            "int" => self.to_int(value, arguments),
            "float" => self.to_float(value, arguments),
            "abs" => {
                let [] = arguments.bind(name, [], 0)?;
                match value {
                    TemplateValue::Bool(value) => Ok(TemplateValue::Int(value.into())),
                    TemplateValue::Int(value) => {
                        value.checked_abs().map(TemplateValue::Int).ok_or_else(beyond)
                    }
                    TemplateValue::BigInt(digits) => {
                        Ok(TemplateValue::BigInt(digits.strip_prefix('-').unwrap_or(digits)))
                    }
                    TemplateValue::Float(value) => Ok(TemplateValue::Float(value.abs())),
                    _ => Err(Error::operation(format!("`abs` of {}", value.type_name()))),
                }
            }
            "round" => round(value, arguments),
            "upper" | "lower" | "capitalize" | "title" | "trim" | "replace" | "center" | "indent"
            | "truncate" | "wordcount" | "format" => self.text_filter(name, value, arguments),
            "dictsort" | "sort" | "unique" | "groupby" | "min" | "max" => {
                self.sort_filter(name, value, arguments)
            }
            "list" | "first" | "last" | "join" | "reverse" | "map" | "select" | "reject" | "selectattr"
            | "rejectattr" | "sum" | "batch" | "slice" => self.sequence_filter(name, value, arguments),
            _ if FILTERS.contains(&name) => Err(Error::unsupported(format!("the filter `{name}`"))),
            _ => Err(Error::operation(format!("there is no filter `{name}`"))),
        }
    }

    /// What goes through `items` once.
    pub(crate) fn iterator(&self, items: &'a [TemplateValue<'a>]) -> Result<TemplateValue<'a>> {
        self.going(crate::iterate::Iter::Items(items))
    }

    fn going(&self, iter: crate::iterate::Iter<'a>) -> Result<TemplateValue<'a>> {
        Ok(TemplateValue::Object(Object::Iterator(self.alloc(std::cell::Cell::new(Some(iter)))?)))
    }

    fn to_json(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
        let [ensure_ascii, indent, separators, sort_keys] = arguments.bind("tojson", names, 0)?;
        let indent = match indent {
            None | Some(TemplateValue::None) => None,
            Some(TemplateValue::Text(text)) => Some(text),
            Some(value) => {
                let width = usize::try_from(int(value)?).unwrap_or(0);
                Some(self.repeated(MarkedText::new(" "), width)?)
            }
        };
        let separators = match separators {
            None | Some(TemplateValue::None) => {
                (MarkedText::new(if indent.is_some() { "," } else { ", " }), MarkedText::new(": "))
            }
            Some(value) => match self.collect(value)? {
                [TemplateValue::Text(item), TemplateValue::Text(key)] => (*item, *key),
                _ => return Err(Error::operation("the separators of `tojson` are not two strings")),
            },
        };
        let options = JsonOptions {
            ensure_ascii: ensure_ascii.is_some_and(TemplateValue::is_true),
            indent,
            separators,
            sort_keys: sort_keys.is_some_and(TemplateValue::is_true),
        };
        let mut out = TextBuilder::default();
        self.json(value, &options, &mut out)?;
        self.finish(&mut out).map(TemplateValue::Text)
    }

    fn to_int(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [default, base] = arguments.bind("int", ["default", "base"], 0)?;
        if base.is_some_and(|base| !crate::order::same_key(base, TemplateValue::Int(10))) {
            return Err(Error::unsupported("`int` of another base than 10"));
        }
        let default = default.unwrap_or(TemplateValue::Int(0));
        self.spend_bytes(value.text_bytes())?;
        match value {
            TemplateValue::Undefined(name) => Err(TemplateValue::undefined_error(name)),
            TemplateValue::Bool(value) => Ok(TemplateValue::Int(value.into())),
            TemplateValue::Int(_) | TemplateValue::BigInt(_) => Ok(value),
            TemplateValue::Float(float) if float.is_nan() => Ok(default),
            TemplateValue::Float(float) => truncated(float),
            TemplateValue::Text(text) => {
                let spelled = text.as_str().trim_matches(crate::unicode::is_white_space);
                match plain_number(spelled) {
                    Some(digits) => digits.parse().map(TemplateValue::Int).map_err(|_| beyond()),
                    None => match parsed_float(spelled)? {
                        Some(float) if float.is_finite() => truncated(float),
                        _ => Ok(default),
                    },
                }
            }
            _ => Ok(default),
        }
    }

    fn to_float(&self, value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [default] = arguments.bind("float", ["default"], 0)?;
        let default = default.unwrap_or(TemplateValue::Float(0.0));
        self.spend_bytes(value.text_bytes())?;
        #[expect(clippy::cast_precision_loss, reason = "Python rounds to the nearest float, too")]
        Ok(match value {
            TemplateValue::Undefined(name) => return Err(TemplateValue::undefined_error(name)),
            TemplateValue::Bool(value) => TemplateValue::Float(f64::from(u8::from(value))),
            TemplateValue::Int(value) => TemplateValue::Float(value as f64),
            TemplateValue::BigInt(digits) => match digits.parse() {
                Ok(float) if f64::is_finite(float) => TemplateValue::Float(float),
                _ => return Err(Error::operation("an integer that is too large for a float")),
            },
            TemplateValue::Float(_) => value,
            TemplateValue::Text(text) => {
                let spelled = text.as_str().trim_matches(crate::unicode::is_white_space);
                match parsed_float(spelled)? {
                    // Jinja may have computed it before, and then spells it as a name in the Python that it makes.
                    Some(float) if !float.is_finite() => {
                        return Err(Error::unsupported("a float that is no number"));
                    }
                    float => float.map_or(default, TemplateValue::Float),
                }
            }
            _ => default,
        })
    }
}

fn beyond() -> Error {
    Error::unsupported("an integer beyond 2^63")
}

/// A float without what is behind its point.
fn truncated<'a>(float: f64) -> Result<TemplateValue<'a>> {
    if float.trunc().abs() >= 9.2e18 {
        return Err(beyond());
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    Ok(TemplateValue::Int(float.trunc() as i64))
}

/// Digits with a sign, without the single `_` that Python allows between them; none if it is no integer.
fn plain_number(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let good =
        digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    good.then(|| text.strip_prefix('+').unwrap_or(text).replace('_', ""))
}

/// What Python's `float` makes of a string; none where that is an error.
fn parsed_float(text: &str) -> Result<Option<f64>> {
    if !text.is_ascii() {
        return Err(Error::unsupported("a number of digits that are no ASCII"));
    }
    if text.contains('_') {
        return Err(Error::unsupported("a float with `_` between its digits"));
    }
    Ok(text.parse().ok())
}

/// The largest power of ten that is a float, and all below it are.
const EXACT_POWER: i32 = 22;

fn round<'a>(value: TemplateValue<'a>, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
    let [precision, method] = arguments.bind("round", ["precision", "method"], 0)?;
    let precision = precision.map_or(Ok(0), int)?;
    let method = method.map_or(Ok(MarkedText::new("common")), crate::arguments::text)?;
    let places = usize::try_from(precision).ok().filter(|places| *places <= 300);
    let Some(places) = places else { return Err(Error::unsupported("`round` to such a precision")) };
    #[expect(clippy::cast_precision_loss, reason = "Python computes with floats here")]
    let float = match value {
        TemplateValue::Bool(value) => f64::from(u8::from(value)),
        TemplateValue::Int(value) => value as f64,
        TemplateValue::Float(value) => value,
        TemplateValue::BigInt(_) if method.as_str() == "common" => return Ok(value),
        _ => return Err(Error::operation(format!("`round` of {}", value.type_name()))),
    };
    match method.as_str() {
        "common" => match value {
            TemplateValue::Float(float) if float.is_finite() => {
                // Rust writes the nearest decimal, of two the even one, as Python rounds.
                Ok(TemplateValue::Float(format!("{float:.places$}").parse().unwrap_or(float)))
            }
            TemplateValue::Float(_) => Ok(value),
            TemplateValue::Bool(value) => Ok(TemplateValue::Int(value.into())),
            _ => Ok(value),
        },
        method @ ("ceil" | "floor") => {
            if !matches!(value, TemplateValue::Float(_)) {
                return Ok(TemplateValue::Float(float));
            }
            let exponent = i32::try_from(places).ok().filter(|exponent| *exponent <= EXACT_POWER);
            let Some(exponent) = exponent else {
                return Err(Error::unsupported("`round` to such a precision"));
            };
            let scale = 10f64.powi(exponent);
            let scaled = float * scale;
            if !scaled.is_finite() {
                return Err(Error::operation("`round` of a number without end"));
            }
            let whole = if method == "ceil" { scaled.ceil() } else { scaled.floor() };
            // It is an integer in Python, of which none is -0.
            Ok(TemplateValue::Float((whole + 0.0) / scale))
        }
        _ => Err(Error::operation("the method of `round` is `common`, `ceil` or `floor`")),
    }
}
