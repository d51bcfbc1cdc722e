//! What differs between two values, found by walking their serialised form: so nothing that counts can be forgotten.

use serde_json::Value;

/// Fields that follow from others: they are told where nothing else is different.
const FOLLOWING: [&str; 6] =
    ["requires", "stride_bytes", "rows_per_group", "rows_per_page", "control_ids", "span_rule"];

/// What is put around documents, and the fields that it follows from: nothing is put around what a template makes.
const AROUND: [&str; 2] = ["ids_before", "ids_after"];
const WITHOUT_AROUND: [&str; 3] = [CHAT, TEMPLATE, MIXED];

/// The field of documents that are held out.
const HELD_OUT: &str = "held_out";

/// The field of conversations, and those of the texts of templates, which are too long to be told.
const CHAT: &str = "chat";
const TEMPLATE: &str = "template";
const TEMPLATES: [&str; 2] = ["text", "text_with_tools"];

/// Fields whose value is told as a whole.
const ARGS: &str = "args";
const LOSS_ON: &str = "loss_on";
const NO_LOSS_ON: &str = "no_loss_on";
const KEEPS_ARGUMENTS: &str = "keep_tool_arguments";
const SPECIAL: [&str; 3] = ["bos", "eos", "pad"];

/// The field of a flag that has no value.
const MIXED: &str = "mixed";

/// Fields by the flags that set them, since who typed one looks for it, or by what they are.
const FLAGS: [(&str, &str); 22] = [
    ("max_seq_length", "--max-seq-length"),
    ("shard_bytes", "the size of --shard-size"),
    ("compression", "--compression"),
    ("text_field", "--text-field"),
    ("other_text_fields", "further --text-field"),
    ("max_document_bytes", "--max-document"),
    (HELD_OUT, "--val-fraction"),
    ("name", "--chat-template"),
    (ARGS, "--template-args"),
    ("date", "--date"),
    (LOSS_ON, "--loss-on"),
    (NO_LOSS_ON, "--no-loss-on"),
    (MIXED, "--mixed"),
    (KEEPS_ARGUMENTS, "--tool-arguments"),
    ("turn_ends", "what ends a turn"),
    ("special_tokens_in_text", "--special-tokens-in-text"),
    ("bos", "the token for the beginning of documents"),
    ("eos", "--eos-token"),
    ("pad", "--pad-token"),
    ("ids_before", "what is put before documents"),
    ("ids_after", "what is put after documents"),
    ("cleared", "what is cleared of the tokenizer"),
];

/// A fragment for each field in which `is` differs from `was`: `--max-seq-length was 128 and is 64`.
pub(super) fn between(was: &Value, is: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    walk("", was, is, &mut changes);
    let follows = |(name, _): &(String, String)| FOLLOWING.contains(&name.as_str());
    if !changes.iter().all(follows) {
        changes.retain(|change| !follows(change));
    }
    if changes.iter().any(|(name, _)| WITHOUT_AROUND.contains(&name.as_str())) {
        changes.retain(|(name, _)| !AROUND.contains(&name.as_str()));
    }
    changes.into_iter().map(|(_, change)| change).collect()
}

fn walk(name: &str, was: &Value, is: &Value, changes: &mut Vec<(String, String)>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) if !is_whole(name) => {
            let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
            for name in names {
                let value = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                walk(name, &value(was), &value(is), changes);
            }
        }
        (Value::String(_), Value::String(_)) if was != is && TEMPLATES.contains(&name) => {
            changes.push((name.to_owned(), "the chat template has another text".to_owned()));
        }
        (was, is) if was != is => {
            changes.push((name.to_owned(), change(name, was, is)));
        }
        _ => {}
    }
}

/// Whether a field is told as a whole, whatever it has: of documents held out the share says all.
fn is_whole(name: &str) -> bool {
    [HELD_OUT, ARGS, NO_LOSS_ON].contains(&name) || SPECIAL.contains(&name)
}

/// What makes text of conversations: a template, or what does without one.
fn rendering(template: &Value) -> String {
    match template {
        Value::Null => "--render plain".into(),
        template => format!("--chat-template {}", shown(&template["name"])),
    }
}

/// The fragment for a field in which the two differ.
fn change(name: &str, was: &Value, is: &Value) -> String {
    let called = FLAGS.iter().find(|(field, _)| *field == name).map_or(name, |(_, flag)| flag);
    let shown = match name {
        CHAT if was.is_null() => return format!("{} was not given before", rendering(&is[TEMPLATE])),
        CHAT => return format!("{} is not given any more", rendering(&was[TEMPLATE])),
        TEMPLATE => return format!("{} has become {}", rendering(was), rendering(is)),
        MIXED if is == &Value::Bool(true) => return format!("{called} was not given before"),
        MIXED => return format!("{called} is not given any more"),
        LOSS_ON | NO_LOSS_ON => typed,
        KEEPS_ARGUMENTS => kept,
        _ => shown,
    };
    format!("{called} was {} and is {}", shown(was), shown(is))
}

/// What `--tool-arguments` says.
fn kept(value: &Value) -> String {
    if value == &Value::Bool(true) { "keep".into() } else { "parse".into() }
}

/// A value, or what an object has that is true, as it is typed.
fn typed(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| **value == Value::Bool(true));
            given.map(|(name, _)| name.replace('_', "-")).collect::<Vec<_>>().join(",")
        }
        other => shown(other).replace('_', "-"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not given".into(),
        Value::String(text) => text.clone(),
        // Documents that are held out by their share, a token by its text.
        Value::Object(fields) => match fields.get("fraction").or_else(|| fields.get("token")) {
            Some(value) => shown(value),
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
