//! Arithmetic, and what else the operators do.

use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::order::{is_number, small_int};
use crate::percent;
use crate::syntax::Operator;
use crate::value::TemplateValue;

/// Numbers as operators take them.
enum Numbers {
    Ints(i64, i64),
    Floats(f64, f64),
}

impl<'a> Machine<'a> {
    pub(crate) fn negative(&self, value: TemplateValue<'a>) -> Result<TemplateValue<'a>> {
        match value {
            TemplateValue::Bool(value) => Ok(TemplateValue::Int(-i64::from(value))),
            TemplateValue::Int(value) => value.checked_neg().map(TemplateValue::Int).ok_or_else(beyond),
            TemplateValue::Float(value) => Ok(TemplateValue::Float(-value)),
            _ => Err(unary(value, "-")),
        }
    }

    pub(crate) fn positive(&self, value: TemplateValue<'a>) -> Result<TemplateValue<'a>> {
        match value {
            TemplateValue::Bool(value) => Ok(TemplateValue::Int(value.into())),
            TemplateValue::Int(_) | TemplateValue::BigInt(_) | TemplateValue::Float(_) => Ok(value),
            _ => Err(unary(value, "+")),
        }
    }

    /// `left operator right`.
    pub(crate) fn binary(
        &self,
        operator: Operator,
        left: TemplateValue<'a>,
        right: TemplateValue<'a>,
    ) -> Result<TemplateValue<'a>> {
        if matches!(left, TemplateValue::Safe(_)) || matches!(right, TemplateValue::Safe(_)) {
            return Err(TemplateValue::safe_error());
        }
        if let (Operator::Modulo, TemplateValue::Text(format)) = (operator, left) {
            return percent::format(self, format, right).map(TemplateValue::Text);
        }
        if let TemplateValue::Undefined(name) = left {
            return Err(TemplateValue::undefined_error(name));
        }
        if let TemplateValue::Undefined(name) = right {
            return Err(TemplateValue::undefined_error(name));
        }
        match (operator, left, right) {
            (Operator::Add, TemplateValue::Text(left), TemplateValue::Text(right)) => {
                self.joined(&[left, right]).map(TemplateValue::Text)
            }
            (Operator::Add, TemplateValue::List(left), TemplateValue::List(right)) => {
                self.both(left, right).map(TemplateValue::List)
            }
            (Operator::Add, TemplateValue::Tuple(left), TemplateValue::Tuple(right)) => {
                self.both(left, right).map(TemplateValue::Tuple)
            }
            (
                Operator::Multiply,
                TemplateValue::Text(_) | TemplateValue::List(_) | TemplateValue::Tuple(_),
                TemplateValue::Int(_) | TemplateValue::Bool(_),
            ) => self.times(left, crate::arguments::int(right)?),
            (
                Operator::Multiply,
                TemplateValue::Int(_) | TemplateValue::Bool(_),
                TemplateValue::Text(_) | TemplateValue::List(_) | TemplateValue::Tuple(_),
            ) => self.times(right, crate::arguments::int(left)?),
            _ => arithmetic(operator, left, right),
        }
    }

    fn both(
        &self,
        left: &[TemplateValue<'a>],
        right: &[TemplateValue<'a>],
    ) -> Result<&'a [TemplateValue<'a>]> {
        let item = |at| left.get(at).copied().unwrap_or_else(|| right[at - left.len()]);
        self.alloc_all((0..left.len() + right.len()).map(|at| Ok(item(at))))
    }

    fn times(&self, value: TemplateValue<'a>, times: i64) -> Result<TemplateValue<'a>> {
        let times = usize::try_from(times).unwrap_or(0);
        let items = |items: &[TemplateValue<'a>]| {
            let count = items.len().saturating_mul(times);
            self.alloc_all((0..count).map(|at| Ok(items[at % items.len()])))
        };
        match value {
            TemplateValue::Text(text) => self.repeated(text, times).map(TemplateValue::Text),
            TemplateValue::List(list) => items(list).map(TemplateValue::List),
            TemplateValue::Tuple(tuple) => items(tuple).map(TemplateValue::Tuple),
            _ => Err(unary(value, "*")),
        }
    }
}

fn arithmetic<'a>(
    operator: Operator,
    left: TemplateValue<'a>,
    right: TemplateValue<'a>,
) -> Result<TemplateValue<'a>> {
    match numbers(left, right) {
        Some(Numbers::Ints(left, right)) => ints(operator, left, right),
        Some(Numbers::Floats(left, right)) => floats(operator, left, right).map(TemplateValue::Float),
        None if is_number(left) && is_number(right) => Err(beyond()),
        None => {
            let sign = match operator {
                Operator::Add => "+",
                Operator::Subtract => "-",
                Operator::Multiply => "*",
                Operator::Divide => "/",
                Operator::FloorDivide => "//",
                Operator::Modulo => "%",
                Operator::Power => "**",
            };
            Err(Error::operation(format!("`{sign}` of {} and {}", left.type_name(), right.type_name())))
        }
    }
}

fn numbers(left: TemplateValue<'_>, right: TemplateValue<'_>) -> Option<Numbers> {
    match (small_int(left), small_int(right)) {
        (Some(left), Some(right)) => Some(Numbers::Ints(left, right)),
        _ => Some(Numbers::Floats(float(left)?, float(right)?)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "Python rounds to the nearest float, too")]
fn float(value: TemplateValue<'_>) -> Option<f64> {
    match value {
        TemplateValue::Float(value) => Some(value),
        _ => small_int(value).map(|value| value as f64),
    }
}

fn ints<'a>(operator: Operator, left: i64, right: i64) -> Result<TemplateValue<'a>> {
    let by_zero = || Error::operation("a division by zero");
    let value = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => {
            if right == 0 {
                return Err(by_zero());
            }
            const EXACT: u64 = 1 << 53;
            if left.unsigned_abs() > EXACT || right.unsigned_abs() > EXACT {
                return Err(Error::unsupported("`/` of integers beyond 2^53"));
            }
            #[expect(clippy::cast_precision_loss, reason = "they are exact up to 2^53")]
            return Ok(TemplateValue::Float(left as f64 / right as f64));
        }
        Operator::FloorDivide if right == 0 => return Err(by_zero()),
        Operator::Modulo if right == 0 => return Err(by_zero()),
        Operator::FloorDivide => left.checked_div(right).map(|quotient| {
            let is_exact = left.wrapping_rem(right) == 0;
            if is_exact || (left < 0) == (right < 0) { quotient } else { quotient - 1 }
        }),
        Operator::Modulo => left
            .checked_rem(right)
            .map(|rest| if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest }),
        Operator::Power => match u32::try_from(right) {
            Ok(exponent) => left.checked_pow(exponent),
            Err(_) if right < 0 => {
                #[expect(clippy::cast_precision_loss, reason = "Python computes with floats here")]
                return floats(Operator::Power, left as f64, right as f64).map(TemplateValue::Float);
            }
            Err(_) => match left {
                0 | 1 => Some(left),
                _ => None,
            },
        },
    };
    value.map(TemplateValue::Int).ok_or_else(beyond)
}

fn floats(operator: Operator, left: f64, right: f64) -> Result<f64> {
    let by_zero = || Error::operation("a division by zero");
    Ok(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide | Operator::FloorDivide | Operator::Modulo if right == 0.0 => return Err(by_zero()),
        Operator::Divide => left / right,
        Operator::FloorDivide => floor_divide(left, right).0,
        Operator::Modulo => floor_divide(left, right).1,
        Operator::Power if left == 0.0 && right < 0.0 => return Err(by_zero()),
        Operator::Power if left < 0.0 && right.fract() != 0.0 => {
            return Err(Error::unsupported("a complex number"));
        }
        Operator::Power => {
            let value = left.powf(right);
            if value.is_infinite() && left.is_finite() && right.is_finite() {
                return Err(Error::operation("a power that is too large"));
            }
            value
        }
    })
}

/// `divmod` of floats as CPython computes it.
fn floor_divide(left: f64, right: f64) -> (f64, f64) {
    let mut rest = left % right;
    let mut quotient = (left - rest) / right;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(right);
    } else if (right < 0.0) != (rest < 0.0) {
        rest += right;
        quotient -= 1.0;
    }
    let mut floor = quotient.floor();
    if quotient == 0.0 {
        floor = 0.0_f64.copysign(left / right);
    } else if quotient - floor > 0.5 {
        floor += 1.0;
    }
    (floor, rest)
}

fn beyond() -> Error {
    Error::unsupported("an integer beyond 2^63")
}

fn unary(value: TemplateValue<'_>, operator: &str) -> Error {
    match value {
        TemplateValue::Undefined(name) => TemplateValue::undefined_error(name),
        TemplateValue::BigInt(_) => beyond(),
        _ => Error::operation(format!("`{operator}` of {}", value.type_name())),
    }
}
