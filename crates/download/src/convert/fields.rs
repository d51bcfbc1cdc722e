//! Fields of a row, by their paths, and what is said where they are not as expected.

use mashbill_records::value::{Text, Value};

use super::refused::RefusedRow;

pub(super) type RowResult<T> = Result<T, RefusedRow>;

/// The field at the top of a row that a path goes through.
pub(crate) fn first_name(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The text at a path.
pub(super) fn text_at<'a>(row: &Value<'a>, path: &str) -> RowResult<Text<'a>> {
    let value = row.at(path).ok_or_else(|| missing(path, row))?;
    value.text().ok_or_else(|| wrong(path, &value, "a string"))
}

/// The text of a value, or the first one in a list that is not blank.
pub(super) fn first_text<'a>(value: &Value<'a>) -> Option<Text<'a>> {
    match value {
        Value::List(items) => items.iter().find_map(first_text),
        other => other.text().filter(|text| !text.is_blank()),
    }
}

pub(super) fn missing(path: &str, row: &Value<'_>) -> RefusedRow {
    RefusedRow::new("no_field", format!("no `{path}` among {}", names(row)))
}

pub(super) fn wrong(path: &str, found: &Value<'_>, expected: &str) -> RefusedRow {
    RefusedRow::new("wrong_type", format!("`{path}` is {}, not {expected}", found.kind()))
}

pub(super) fn no_answer(path: &str) -> RefusedRow {
    RefusedRow::new("no_answer", format!("`{path}` holds none"))
}

/// The names of a row's fields, as far as they were kept.
pub(super) fn names(row: &Value<'_>) -> String {
    let Value::Map(fields) = row else { return row.kind().to_owned() };
    if fields.is_empty() {
        return "no field that is looked for".into();
    }
    fields.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
