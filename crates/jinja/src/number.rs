//! Numbers as Python spells them.

use std::fmt::Write;

/// `repr` of a float: the shortest digits that give it back.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let spelled = format!("{value:e}");
    let (mantissa, exponent) = spelled.split_once('e').unwrap_or((&spelled, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let mut plain = format!("{value}");
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let mut out = mantissa.to_owned();
    // A string takes all that is written to it.
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    out
}
