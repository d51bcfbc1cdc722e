//! A value of a row: none is turned into null because of its type.
//!
//! Numbers are spelled as they are, decimals with all digits of their scale, floats with as few as give the same float
//! again; truth values are `true` and `false`. Dates, times and timestamps are ISO 8601 with as many digits behind the
//! second as the column's unit has, none where they are all 0, and a `Z` where the column says UTC. UUIDs have hyphens.

use std::borrow::Cow;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Field, TimeUnit};

use super::schema::Mark;
use crate::value::{Text, Value};

const SECONDS_A_DAY: i64 = 86_400;

/// The value at a row of a column.
pub(super) fn value_at<'a>(field: &'a Field, column: &'a dyn Array, row: usize) -> Value<'a> {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::BinaryView => text_or_bytes(column.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => {
            let bytes = column.as_fixed_size_binary().value(row);
            match Mark::of(field) {
                Some(Mark::Uuid) => text(uuid(bytes)),
                Some(Mark::Interval) => text(interval(bytes)),
                None => text_or_bytes(bytes),
            }
        }
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Date32 => text(date(at::<Date32Type>(column, row).into())),
        DataType::Time32(_) => text(time(at::<Time32MillisecondType>(column, row).into(), 3)),
        DataType::Time64(TimeUnit::Microsecond) => text(time(at::<Time64MicrosecondType>(column, row), 6)),
        DataType::Time64(_) => text(time(at::<Time64NanosecondType>(column, row), 9)),
        DataType::Timestamp(unit, zone) => {
            let (value, digits) = match unit {
                TimeUnit::Millisecond => (at::<TimestampMillisecondType>(column, row), 3),
                TimeUnit::Microsecond => (at::<TimestampMicrosecondType>(column, row), 6),
                _ => (at::<TimestampNanosecondType>(column, row), 9),
            };
            text(timestamp(value, digits) + if zone.is_some() { "Z" } else { "" })
        }
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let offsets = list.value_offsets();
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            Value::List(range.map(|index| value_at(item, list.values().as_ref(), index)).collect())
        }
        DataType::Map(..) => map(column, row),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            let named = |(field, column): (&'a std::sync::Arc<Field>, &'a arrow_array::ArrayRef)| {
                (Cow::Borrowed(field.name().as_str()), value_at(field, column.as_ref(), row))
            };
            Value::Map(columns.map(named).collect())
        }
        _ => number_at(column, row),
    }
}

/// The number at a row of a column of numbers; the stock reader has no other types for what stands in a file.
fn number_at(column: &dyn Array, row: usize) -> Value<'static> {
    match column.data_type() {
        DataType::Int8 => number(at::<Int8Type>(column, row)),
        DataType::Int16 => number(at::<Int16Type>(column, row)),
        DataType::Int32 => number(at::<Int32Type>(column, row)),
        DataType::Int64 => number(at::<Int64Type>(column, row)),
        DataType::UInt8 => number(at::<UInt8Type>(column, row)),
        DataType::UInt16 => number(at::<UInt16Type>(column, row)),
        DataType::UInt32 => number(at::<UInt32Type>(column, row)),
        DataType::UInt64 => number(at::<UInt64Type>(column, row)),
        DataType::Float16 => float32(at::<Float16Type>(column, row).to_f32()),
        DataType::Float32 => float32(at::<Float32Type>(column, row)),
        DataType::Float64 => {
            let value = at::<Float64Type>(column, row);
            float(serde_json::Number::from_f64(value), value.is_nan(), value > 0.0)
        }
        DataType::Decimal128(..) => number(column.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => number(column.as_primitive::<Decimal256Type>().value_as_string(row)),
        _ => Value::Null,
    }
}

fn at<T: ArrowPrimitiveType>(column: &dyn Array, row: usize) -> T::Native {
    column.as_primitive::<T>().value(row)
}

/// A map, whose keys are spelled as labels are.
fn map(column: &dyn Array, row: usize) -> Value<'_> {
    let map = column.as_map();
    let offsets = map.value_offsets();
    let DataType::Struct(fields) = map.entries().data_type() else { return Value::Null };
    let [key_field, value_field] = fields.as_ref() else { return Value::Null };
    let entries = (offsets[row] as usize..offsets[row + 1] as usize).map(|index| {
        let key = value_at(key_field, map.keys().as_ref(), index);
        let name = Cow::Owned(key.label().unwrap_or_default().into_owned());
        (name, value_at(value_field, map.values().as_ref(), index))
    });
    Value::Map(entries.collect())
}

fn text_or_bytes(bytes: &[u8]) -> Value<'_> {
    // Old writers mark text as bytes, and some mark bytes as text.
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Value::Text(Text::Plain(Cow::Borrowed(text))),
        Err(_) => Value::Bytes(bytes),
    }
}

fn text(text: String) -> Value<'static> {
    Value::Text(Text::Plain(Cow::Owned(text)))
}

fn number(number: impl ToString) -> Value<'static> {
    Value::Number(Cow::Owned(number.to_string()))
}

/// The digits that give the same float again, though twice as many would be exact.
fn float32(value: f32) -> Value<'static> {
    let short = value.is_finite().then(|| value.to_string().parse().ok()).flatten();
    float(short.and_then(serde_json::Number::from_f64), value.is_nan(), value > 0.0)
}

/// A float as JSON spells it, and as Python's `json` spells those that JSON does not have.
fn float(number: Option<serde_json::Number>, is_nan: bool, is_positive: bool) -> Value<'static> {
    Value::Number(match number {
        Some(number) => Cow::Owned(number.to_string()),
        None if is_nan => Cow::Borrowed("NaN"),
        None if is_positive => Cow::Borrowed("Infinity"),
        None => Cow::Borrowed("-Infinity"),
    })
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Months, days and milliseconds, in four bytes each.
fn interval(bytes: &[u8]) -> String {
    let mut numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let mut next = || numbers.next().unwrap_or(0);
    let (months, days, milliseconds) = (next(), next(), next());
    format!("P{months}M{days}DT{}.{:03}S", milliseconds / 1000, milliseconds % 1000)
}

/// A day counted from 1970-01-01, in the Gregorian calendar before and after it.
fn date(days: i64) -> String {
    // Years begin in March here, so that a leap day is a year's last; 400 of them have the same days.
    const DAYS_AN_ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(DAYS_AN_ERA), days.rem_euclid(DAYS_AN_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    if (0..=9999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+05}-{month:02}-{day:02}")
    }
}

/// A time of day in units of which a second has ten to the power of `digits`.
fn time(value: i64, digits: u32) -> String {
    let unit = 10i64.pow(digits);
    let (seconds, fraction) = (value.div_euclid(unit), value.rem_euclid(unit));
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        text.push_str(&format!(".{fraction:0width$}", width = digits as usize));
    }
    text
}

fn timestamp(value: i64, digits: u32) -> String {
    let day = SECONDS_A_DAY * 10i64.pow(digits);
    format!("{}T{}", date(value.div_euclid(day)), time(value.rem_euclid(day), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (20_785, "2026-11-28"),
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (-719_529, "-0001-12-31"),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        assert_eq!(timestamp(-1, 3), "1969-12-31T23:59:59.999");
        assert_eq!(timestamp(1_000_000, 6), "1970-01-01T00:00:01");
        assert_eq!(timestamp(i64::MIN, 9).len(), "1677-09-21T00:12:43.145224192".len());
        assert_eq!(time(45_296_000_000_001, 9), "12:34:56.000000001");
        assert_eq!(interval(&[1, 0, 0, 0, 2, 0, 0, 0, 0xdc, 5, 0, 0]), "P1M2DT1.500S");
    }

    #[test]
    fn floats_have_as_few_digits_as_give_them_again() {
        assert_eq!(float32(0.1), Value::Number("0.1".into()));
        assert_eq!(float32(f32::NAN), Value::Number("NaN".into()));
        assert_eq!(float32(f32::NEG_INFINITY), Value::Number("-Infinity".into()));
        assert_eq!(float32(1.0), Value::Number("1.0".into()));
    }
}
