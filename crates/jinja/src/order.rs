//! Which keys are the same, and which number comes first, as Python has it: numbers and truth values by what they count.

use std::cmp::Ordering;

use crate::value::{Object, TemplateValue};

/// Whether two keys of a dict are the same; lists and dicts are none.
pub(crate) fn same_key(left: TemplateValue<'_>, right: TemplateValue<'_>) -> bool {
    match (left.without_safe(), right.without_safe()) {
        (TemplateValue::Text(left), TemplateValue::Text(right)) => left.as_str() == right.as_str(),
        (TemplateValue::None, TemplateValue::None)
        | (TemplateValue::Undefined(_), TemplateValue::Undefined(_)) => true,
        (TemplateValue::Tuple(left), TemplateValue::Tuple(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_key(*left, *right))
        }
        (TemplateValue::BigInt(left), TemplateValue::BigInt(right)) => left == right,
        (TemplateValue::Object(left), TemplateValue::Object(right)) => same_object(left, right),
        _ => numbers(left, right) == Some(Ordering::Equal),
    }
}

pub(crate) fn same_object(left: Object<'_>, right: Object<'_>) -> bool {
    match (left, right) {
        (Object::Range(left), Object::Range(right)) => {
            let len = left.len();
            len == right.len()
                && (len == 0 || left.start == right.start)
                && (len <= 1 || left.step == right.step)
        }
        (Object::Function(left), Object::Function(right)) => left == right,
        _ => address(left).is_some_and(|left| address(right) == Some(left)),
    }
}

/// Where what is only equal to itself is.
fn address(object: Object<'_>) -> Option<[*const u8; 2]> {
    fn of<T>(value: &T) -> *const u8 {
        std::ptr::from_ref(value).cast()
    }
    match object {
        Object::Namespace(namespace) => Some([of(namespace); 2]),
        Object::Macro(called, frame) => Some([of(called), of(frame)]),
        Object::Loop(state) => Some([of(state); 2]),
        Object::Iterator(shared) => Some([of(shared); 2]),
        _ => None,
    }
}

/// The order of two numbers; none where one is no number, or not one that there is an order with.
pub(crate) fn numbers(left: TemplateValue<'_>, right: TemplateValue<'_>) -> Option<Ordering> {
    match (left, right) {
        (TemplateValue::Float(left), TemplateValue::Float(right)) => left.partial_cmp(&right),
        (TemplateValue::BigInt(digits), TemplateValue::Float(float)) => big_and_float(digits, float),
        (TemplateValue::Float(float), TemplateValue::BigInt(digits)) => {
            big_and_float(digits, float).map(Ordering::reverse)
        }
        (TemplateValue::Float(float), other) => {
            small_int(other).and_then(|int| int_and_float(int, float)).map(Ordering::reverse)
        }
        (other, TemplateValue::Float(float)) => small_int(other).and_then(|int| int_and_float(int, float)),
        (TemplateValue::BigInt(left), TemplateValue::BigInt(right)) => Some(big(left).cmp(&big(right))),
        (TemplateValue::BigInt(left), other) if small_int(other).is_some() => Some(sign(left)),
        (other, TemplateValue::BigInt(right)) if small_int(other).is_some() => Some(sign(right).reverse()),
        _ => Some(small_int(left)?.cmp(&small_int(right)?)),
    }
}

/// Where integers end that an `i64` holds.
const LIMIT: f64 = 9_223_372_036_854_775_808.0;

fn big_and_float(digits: &str, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    if float.abs() < LIMIT {
        return Some(sign(digits));
    }
    // Such a float is an integer, of which all digits are written.
    Some(big(digits).cmp(&big(&format!("{float:.0}"))))
}

fn int_and_float(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    // What is left of the point is exact now.
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range")]
    let whole = float.trunc() as i64;
    let rest = || 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
    Some(int.cmp(&whole).then_with(rest))
}

fn sign(digits: &str) -> Ordering {
    if digits.starts_with('-') { Ordering::Less } else { Ordering::Greater }
}

/// What big integers are ordered by.
fn big(digits: &str) -> (bool, i64, std::borrow::Cow<'_, str>) {
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    match digits.strip_prefix('-') {
        // Of negative ones the longer is the smaller, and among equally long ones the one with the larger digits.
        Some(digits) => {
            let turned = digits.bytes().map(|digit| char::from(b'0' + b'9' - digit)).collect::<String>();
            (false, -length, turned.into())
        }
        None => (true, length, digits.into()),
    }
}

/// An integer that an `i64` holds; a truth value is one, too.
pub(crate) fn small_int(value: TemplateValue<'_>) -> Option<i64> {
    match value {
        TemplateValue::Int(value) => Some(value),
        TemplateValue::Bool(value) => Some(i64::from(value)),
        _ => None,
    }
}

pub(crate) const fn is_number(value: TemplateValue<'_>) -> bool {
    matches!(
        value,
        TemplateValue::Bool(_) | TemplateValue::Int(_) | TemplateValue::BigInt(_) | TemplateValue::Float(_)
    )
}
