//! What differs between two values, found by walking their serialised form: so nothing that counts can be forgotten.

use serde_json::Value;

/// Fields that follow from others: they are told where nothing else is different.
const FOLLOWING: [&str; 3] = ["stride_bytes", "rows_per_group", "rows_per_page"];

/// A fragment for each field in which `is` differs from `was`: `max_seq_length was 128 and is 64`.
pub(super) fn between(was: &Value, is: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    walk("", was, is, &mut changes);
    let follows = |(name, _): &(String, String)| FOLLOWING.contains(&name.as_str());
    if !changes.iter().all(follows) {
        changes.retain(|change| !follows(change));
    }
    changes.into_iter().map(|(_, change)| change).collect()
}

fn walk(name: &str, was: &Value, is: &Value, changes: &mut Vec<(String, String)>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
            for name in names {
                let value = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                walk(name, &value(was), &value(is), changes);
            }
        }
        (was, is) if was != is => {
            let change = format!("{name} was {} and is {}", shown(was), shown(is));
            changes.push((name.to_owned(), change));
        }
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not given".into(),
        Value::String(text) => text.clone(),
        // Of documents held out the share says all.
        Value::Object(fields) => match fields.get("fraction") {
            Some(fraction) => fraction.to_string(),
            None => {
                let each = fields.iter().map(|(name, value)| format!("{name} {}", shown(value)));
                each.collect::<Vec<_>>().join(", ")
            }
        },
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
