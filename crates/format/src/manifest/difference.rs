//! What differs between two values, found by walking their serialised form: so nothing that counts can be forgotten.

use serde_json::Value;

/// Fields that follow from others: they are told where nothing else is different.
const FOLLOWING: [&str; 3] = ["stride_bytes", "rows_per_group", "rows_per_page"];

/// The field of documents that are held out.
const HELD_OUT: &str = "held_out";

/// Fields by the flags that set them: who typed one looks for it.
const FLAGS: [(&str, &str); 7] = [
    ("max_seq_length", "--max-seq-length"),
    ("shard_bytes", "the size of --shard-size"),
    ("compression", "--compression"),
    ("text_field", "--text-field"),
    ("other_text_fields", "further --text-field"),
    ("max_document_bytes", "--max-document"),
    (HELD_OUT, "--val-fraction"),
];

/// A fragment for each field in which `is` differs from `was`: `--max-seq-length was 128 and is 64`.
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
        // Of documents held out the share says all.
        (Value::Object(was), Value::Object(is)) if name != HELD_OUT => {
            let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
            for name in names {
                let value = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                walk(name, &value(was), &value(is), changes);
            }
        }
        (was, is) if was != is => {
            let called = FLAGS.iter().find(|(field, _)| *field == name).map_or(name, |(_, flag)| flag);
            let change = format!("{called} was {} and is {}", shown(was), shown(is));
            changes.push((name.to_owned(), change));
        }
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not given".into(),
        Value::String(text) => text.clone(),
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
