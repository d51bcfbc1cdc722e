//! Tests: what stands behind `is`.

use crate::arguments::CallArguments;
use crate::error::{Error, Result};
use crate::filters::FILTERS;
use crate::letters;
use crate::machine::Machine;
use crate::order::{self, same_key};
use crate::syntax::{ComparisonOperator, Operator};
use crate::value::{Object, TemplateValue};

/// The names of all tests that Jinja has.
pub(crate) const TESTS: &[&str] = &[
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

impl<'a> Machine<'a> {
    /// Whether a value passes a test.
    pub(crate) fn test(
        &self,
        name: &str,
        value: TemplateValue<'a>,
        arguments: &CallArguments<'a>,
    ) -> Result<bool> {
        self.spend_arguments(arguments)?;
        let comparison = match name {
            "eq" | "equalto" | "==" => Some(ComparisonOperator::Equal),
            "ne" | "!=" => Some(ComparisonOperator::NotEqual),
            "lt" | "lessthan" | "<" => Some(ComparisonOperator::Less),
            "le" | "<=" => Some(ComparisonOperator::LessEqual),
            "gt" | "greaterthan" | ">" => Some(ComparisonOperator::Greater),
            "ge" | ">=" => Some(ComparisonOperator::GreaterEqual),
            "in" => Some(ComparisonOperator::In),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let [other] = arguments.bind(name, [if name == "in" { "seq" } else { "" }], 1)?;
            return self.compare(comparison, value, other.unwrap_or(TemplateValue::None));
        }
        match name {
            "divisibleby" => {
                let [divisor] = arguments.bind(name, ["num"], 1)?;
                let rest = self.binary(Operator::Modulo, value, divisor.unwrap_or(TemplateValue::None))?;
                return Ok(same_key(rest, TemplateValue::Int(0)));
            }
            "sameas" => {
                let [other] = arguments.bind(name, ["other"], 1)?;
                return same(value, other.unwrap_or(TemplateValue::None));
            }
            _ => {}
        }
        let [] = arguments.bind(name, [], 0)?;
        self.simple_test(name, value)
    }

    fn simple_test(&self, name: &str, value: TemplateValue<'a>) -> Result<bool> {
        let is_undefined = matches!(value, TemplateValue::Undefined(_));
        let value = if matches!(name, "sequence" | "iterable") { value.without_safe() } else { value };
        Ok(match name {
            "defined" => !is_undefined,
            "undefined" => is_undefined,
            "none" => matches!(value, TemplateValue::None),
            "boolean" => matches!(value, TemplateValue::Bool(_)),
            "true" => matches!(value, TemplateValue::Bool(true)),
            "false" => matches!(value, TemplateValue::Bool(false)),
            "integer" => matches!(value, TemplateValue::Int(_) | TemplateValue::BigInt(_)),
            "float" => matches!(value, TemplateValue::Float(_)),
            "number" => order::is_number(value),
            "string" => matches!(value, TemplateValue::Text(_) | TemplateValue::Safe(_)),
            "mapping" => matches!(value, TemplateValue::Dict(_)),
            "iterable" => is_iterable(value),
            "sequence" => {
                let items = matches!(
                    value,
                    TemplateValue::Text(_)
                        | TemplateValue::List(_)
                        | TemplateValue::Tuple(_)
                        | TemplateValue::Dict(_)
                );
                items || is_undefined || matches!(value, TemplateValue::Object(Object::Range(_)))
            }
            // Undefined has a method that is run when it is called, if only to fail.
            "callable" => is_undefined || is_function(value),
            "escaped" => matches!(value, TemplateValue::Safe(_)),
            "odd" | "even" => {
                let rest = self.binary(Operator::Modulo, value, TemplateValue::Int(2))?;
                same_key(rest, TemplateValue::Int(i64::from(name == "odd")))
            }
            "lower" | "upper" => {
                let text = self.string(value)?.as_str();
                self.spend_letters(text.len())?;
                if name == "lower" { letters::is_lower(text) } else { letters::is_upper(text) }
            }
            "filter" => matches!(value, TemplateValue::Text(text) if FILTERS.contains(&text.as_str())),
            "test" => matches!(value, TemplateValue::Text(text) if TESTS.contains(&text.as_str())),
            _ => return Err(Error::operation(format!("there is no test `{name}`"))),
        })
    }
}

const fn is_function(value: TemplateValue<'_>) -> bool {
    matches!(
        value,
        TemplateValue::Object(
            Object::Function(_)
                | Object::Method(..)
                | Object::Macro(..)
                | Object::Joiner(..)
                | Object::Loop(_)
        )
    )
}

const fn is_iterable(value: TemplateValue<'_>) -> bool {
    match value {
        TemplateValue::Undefined(_)
        | TemplateValue::Text(_)
        | TemplateValue::List(_)
        | TemplateValue::Tuple(_)
        | TemplateValue::Dict(_) => true,
        TemplateValue::Object(object) => {
            matches!(object, Object::View(..) | Object::Range(_) | Object::Iterator(_) | Object::Loop(_))
        }
        _ => false,
    }
}

/// `left is right`, where it does not depend on how Python keeps values.
fn same<'a>(left: TemplateValue<'a>, right: TemplateValue<'a>) -> Result<bool> {
    let same_kind = std::mem::discriminant(&left) == std::mem::discriminant(&right);
    let is_single = |value: TemplateValue<'_>| matches!(value, TemplateValue::None | TemplateValue::Bool(_));
    if !same_kind || is_single(left) {
        return Ok(same_kind && same_key(left, right));
    }
    match (left, right) {
        (TemplateValue::Int(left), TemplateValue::Int(right)) if (-5..=256).contains(&left.min(right)) => {
            Ok(left == right)
        }
        _ => Err(Error::unsupported(format!("whether {} is the same one as another", left.type_name()))),
    }
}
