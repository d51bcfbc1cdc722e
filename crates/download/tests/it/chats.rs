//! Conversations of every shape, which stay whole on their way to records.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use mashbill_download::convert::Converted;
use mashbill_format::catalog::{CatalogDataset, Dialogue, Exchange, Render};
use mashbill_format::dataset_stats::Take;
use mashbill_records::conversation::{Changes, Conversation, ConversationOptions};
use mashbill_records::json;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::samples::convert;

fn converted_with(render: Render, rows: &[Value]) -> (Vec<Value>, Converted) {
    let (records, converted) = converted_lines(render, rows);
    (records.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), converted)
}

/// The records as they are written.
fn converted_lines(render: Render, rows: &[Value]) -> (String, Converted) {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(folder.path().join("a.jsonl"), lines.join("\n")).expect("written");
    converted_file(render, folder.path(), "a.jsonl")
}

fn converted_file(render: Render, folder: &Path, file: &str) -> (String, Converted) {
    let dataset = CatalogDataset { name: "d".into(), render, ..CatalogDataset::of_repo("org/d") };
    convert(&dataset, folder, &[file], Take::ALL).expect("some rows are good")
}

/// The record that a row becomes by its usual columns.
fn record(row: Value) -> Value {
    let (mut records, _) = converted_with(Render::Auto, &[row]);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// The record's text, and its conversation.
fn text_and_messages(row: Value) -> (String, Value) {
    let record = record(row);
    (record["text"].as_str().expect("a text").to_owned(), record["messages"].clone())
}

#[test]
fn every_shape_gives_the_turns_of_all() {
    let asked = "Which bird cannot fly?";
    let said = "The ostrich cannot fly.";
    let parts = |text: &str| json!([{"type": "text", "text": text}]);
    let turns = json!([{"role": "user", "content": asked}, {"role": "assistant", "content": said}]);
    let rows = [
        json!({"conversations": turns}),
        json!({"conversation": turns}),
        json!({"messages": [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]}),
        json!({"messages": [{"role": "user", "content": parts(asked)}, {"role": "assistant", "content": parts(said)}]}),
        json!({"messages": turns.to_string()}),
        json!({"messages": [asked, said]}),
        json!({"prompt": [turns[0]], "completion": [turns[1]]}),
        json!({"prompt": [turns[0]], "completion": said}),
        json!({"prompt": asked, "completion": [turns[1]]}),
        json!({"prompt": asked, "response": said}),
        json!({"system_prompt": "", "question": asked, "response": said}),
    ];
    for row in rows {
        let (text, messages) = text_and_messages(row.clone());
        assert_eq!(text, format!("User: {asked}\n\nAssistant: {said}"), "{row}");
        assert_eq!(messages, turns, "{row}");
    }
}

#[test]
fn what_was_lost_on_the_way_arrives() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "rain"}});
    let tools = json!([{"type": "function", "function": {"name": "rain", "parameters": {"default": null}}}]);
    let row = json!({
        "tools": tools,
        "documents": [{"text": "x"}],
        "chat_template_kwargs": {"enable_thinking": true},
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Rain?", "name": "Ada", "weight": 0},
            {"role": "assistant", "content": null, "thinking": "I look.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": {"mm": 3}},
            {"role": "assistant", "content": "Yes.", "train": true},
            {"role": "critic", "content": "Hm."},
        ],
    });
    let (records, converted) = converted_with(Render::Auto, &[row]);
    let record = &records[0];
    assert_eq!(record["tools"], tools);
    assert_eq!(record["documents"], json!([{"text": "x"}]));
    assert_eq!(record["chat_template_kwargs"], json!({"enable_thinking": true}));
    let expected = json!([
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Rain?", "name": "Ada", "weight": 0},
        {"role": "assistant", "reasoning_content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": {"mm": 3}},
        {"role": "assistant", "content": "Yes.", "weight": 1},
        {"role": "critic", "content": "Hm."},
    ]);
    assert_eq!(record["messages"], expected);
    assert_eq!(record["metadata"]["num_messages"], 6);
    let text = record["text"].as_str().expect("a text");
    let rest = "Context: {\"text\": \"x\"}\n\nSystem: Be brief.\n\nUser: Rain?\n\nAssistant: I look.\n\
                {\"name\": \"rain\"}\n\nTool: {\"mm\": 3}\n\nAssistant: Yes.\n\nCritic: Hm.";
    let (tools, found) = text.split_once("\n\n").expect("parts");
    assert!(tools.starts_with("Tools: {") && tools.contains("\"default\": null"), "{tools}");
    assert_eq!(found, rest);
    assert_eq!(record["metadata"]["num_chars"], text.chars().count());
    assert!(converted.untaken_columns.is_empty(), "{:?}", converted.untaken_columns);
}

#[test]
fn where_a_completion_begins_is_told() {
    let user = json!({"role": "user", "content": "q"});
    let rows = [
        (json!({"prompt": [user, {"role": "assistant", "content": "a"}, user], "completion": "b"}), 3),
        (json!({"system": "s", "instruction": "i", "output": "o"}), 2),
        (json!({"prompt": [], "completion": [user, {"role": "assistant", "content": "a"}]}), 0),
    ];
    for (row, prompt) in rows {
        assert_eq!(record(row.clone())["prompt_messages"], prompt, "{row}");
    }
    assert!(record(json!({"messages": [user]})).get("prompt_messages").is_none());
}

#[test]
fn a_text_stays_what_it_is_with_the_conversation_beside_it() {
    let alpaca = json!({"text": "Below is…", "instruction": "i", "input": "", "output": "o", "more": 1});
    let record = record(alpaca);
    assert_eq!(record["text"], "Below is…");
    assert_eq!(
        record["messages"],
        json!([{"role": "user", "content": "i"}, {"role": "assistant", "content": "o"}])
    );
    let (records, converted) =
        converted_with(Render::Auto, &[json!({"text": "t", "prompt": {"a": 1}, "completion": "c"})]);
    assert!(records[0].get("messages").is_none() && records[0]["text"] == "t");
    assert_eq!(converted.untaken_columns.names().collect::<Vec<_>>(), ["completion", "prompt"]);
}

#[test]
fn columns_that_do_not_count_are_listed() {
    let row = json!({"messages": [{"role": "user", "content": "hi", "weight": 1}], "tools": [{"name": "a"}],
        "functions": [{"name": "a"}], "system": "s", "system_prompt": "s", "prompt": "p"});
    // Of two for the same that differ nobody can say which is meant.
    let mut other = row.clone();
    other["system_prompt"] = json!("t");
    let (records, converted) = converted_with(Render::Auto, &[row, other]);
    assert_eq!(records[0]["tools"], json!([{"name": "a"}]));
    let untaken: Vec<_> = converted.untaken_columns.names().collect();
    assert_eq!(untaken, ["functions", "prompt", "system_prompt"]);
    assert_eq!(converted.counts.rejected, BTreeMap::from([("field_twice".to_owned(), 1)]));
}

#[test]
fn what_is_not_understood_is_counted_by_its_reason() {
    let with = |field: &str, value: Value| {
        let mut message = json!({"role": "assistant", "content": "a"});
        message[field] = value;
        json!({"messages": [message]})
    };
    let call = |arguments: &str| json!([{"name": "f", "arguments": arguments}]);
    let rows = [
        with("weight", json!(0.5)),
        with("train", json!("yes")),
        with("tool_calls", call("{")),
        with("tool_calls", call("[1]")),
        with("content", json!([{"type": "image_url", "image_url": {"url": "x"}}])),
        json!({"messages": [{"content": "nobody"}]}),
        json!({"messages": []}),
        json!({"messages": "no JSON"}),
        json!({"messages": [{"role": "user", "content": "q"}], "tools": "none"}),
        json!({"messages": [{"role": "user", "content": "q"}], "tools": ["f"]}),
        json!({"messages": [{"role": "user", "content": " "}]}),
        json!({"prompt": [{"role": "user", "content": "q"}], "completion": {"a": 1}}),
        json!({"messages": [{"role": "user", "content": "q"}], "prompt_messages": 2}),
        with("tool_calls", call(&format!("{{\"a\": {}{}}}", "[".repeat(96), "]".repeat(96)))),
        json!({"messages": [{"role": "user", "content": "good"}]}),
    ];
    let (records, converted) = converted_with(Render::Auto, &rows);
    assert_eq!(records.len(), 1);
    let expected = [
        ("bad_conversation", 5),
        ("bad_tools", 4),
        ("bad_weight", 2),
        ("empty_text", 1),
        ("no_answer", 1),
        ("not_text", 1),
    ];
    let expected: BTreeMap<String, u64> = expected.map(|(reason, rows)| (reason.to_owned(), rows)).into();
    assert_eq!(converted.counts.rejected, expected);
}

fn dialogue(turns: &str, role: &str, content: &str) -> Render {
    let [turns, role, content] = [turns, role, content].map(str::to_owned);
    Render::Dialogue(Dialogue { turns, role, content, system: Some("about".into()) })
}

#[test]
fn turns_that_the_catalogue_describes_keep_what_else_they_have() {
    let rows = [
        json!({"about": "s", "tools": [{"name": "f"}], "chat": [
            {"who": {"kind": " Human"}, "said": 5, "id": 1, "none": null},
            {"who": {"kind": "gpt"}, "said": null, "tool_calls": [{"name": "f", "arguments": "{\"a\": 1}"}],
             "reasoning": "r", "weight": 1, "content": "other"},
            {"who": {"kind": "observation"}, "said": [{"type": "text", "text": "x"}, "y"]},
            {"who": {"kind": "gpt"}, "said": null},
            {"who": {"kind": "bot"}, "tool_calls": [{"name": "f"}]}]}),
        json!({"chat": [{"who": {"kind": "narrator"}, "said": "x"}]}),
        json!({"chat": [{"who": {"kind": "user"}}]}),
        json!({"chat": []}),
    ];
    let (records, converted) = converted_with(dialogue("chat", "who.kind", "said"), &rows);
    let call = |function: Value| json!([{"type": "function", "function": function}]);
    let expected = json!([
        {"role": "system", "content": "s"},
        {"role": "user", "content": "5", "id": 1},
        {"role": "assistant", "tool_calls": call(json!({"name": "f", "arguments": {"a": 1}})),
         "reasoning_content": "r", "weight": 1},
        {"role": "tool", "content": "xy"},
        {"role": "assistant", "tool_calls": call(json!({"name": "f"}))},
    ]);
    assert_eq!((&records[0]["messages"], &records[0]["tools"]), (&expected, &json!([{"name": "f"}])));
    assert!(records[0].get("prompt_messages").is_none());
    let rejected: Vec<_> = converted.counts.rejected.into_keys().collect();
    assert_eq!(rejected, ["empty_text", "no_field", "unknown_role"]);
    assert_eq!(converted.untaken_columns.names().collect::<Vec<_>>(), ["chat.content"]);
    let expected = Changes {
        roles_renamed: 4,
        parts_joined: 1,
        arguments_parsed: 1,
        calls_wrapped: 2,
        fields_renamed: 1,
        ..Changes::default()
    };
    assert_eq!(converted.changes, expected);
}

#[test]
fn an_exchange_may_be_of_lists_of_messages() {
    let render = || {
        let [user, assistant] = ["asked", "answered"].map(str::to_owned);
        Render::Exchange(Exchange { user: vec![user], assistant, assistant_is_json: false, system: None })
    };
    let user = json!({"role": "user", "content": "q"});
    let call = json!({"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}]});
    let rows =
        [json!({"asked": [user], "answered": [call], "tools": "[]"}), json!({"asked": "q", "answered": "a"})];
    let (records, _) = converted_with(render(), &rows);
    assert_eq!((&records[0]["messages"], &records[0]["prompt_messages"]), (&json!([user, call]), &json!(1)));
    assert!(records[1].get("prompt_messages").is_none());
}

/// A row of a conversation with two calls and two tools, whose structs Arrow has padded.
fn padded(path: &Path) {
    let schema = "message rows {
        required group messages (LIST) { repeated group list { required group element {
            required binary role (UTF8); optional binary content (UTF8);
            optional group tool_calls (LIST) { repeated group list { required group element {
                required binary name (UTF8);
                required group arguments { optional binary city (UTF8); optional binary unit (UTF8); } } } } } } }
        required group tools (LIST) { repeated group list { required group element {
            required binary name (UTF8);
            optional group parameters { optional binary city (UTF8); optional binary unit (UTF8); } } } } }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let columns: [(&[&str], &[i16], &[i16]); 8] = [
        (&["user", "assistant"], &[1, 1], &[0, 1]),
        (&["Rain?"], &[2, 1], &[0, 1]),
        (&["rain", "time"], &[1, 3, 3], &[0, 1, 2]),
        (&["Bern"], &[1, 4, 3], &[0, 1, 2]),
        (&["h"], &[1, 3, 4], &[0, 1, 2]),
        (&["rain", "time"], &[1, 1], &[0, 1]),
        (&["string"], &[3, 1], &[0, 1]),
        (&[], &[2, 1], &[0, 1]),
    ];
    for (values, definitions, repetitions) in columns {
        let mut column = group.next_column().expect("a column").expect("one more");
        let values: Vec<ByteArray> = values.iter().map(|value| ByteArray::from(*value)).collect();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&values, Some(definitions), Some(repetitions)).expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    fs::write(path, writer.into_inner().expect("whole")).expect("written");
}

#[test]
fn nulls_that_arrow_padded_are_taken_out() {
    let folder = tempfile::tempdir().expect("a folder");
    padded(&folder.path().join("a.parquet"));
    let (record, converted) = converted_file(Render::Auto, folder.path(), "a.parquet");
    let record: Value = serde_json::from_str(&record).expect("one record");
    let call = |function: Value| json!({"type": "function", "function": function});
    let expected = json!([
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "tool_calls": [
            call(json!({"name": "rain", "arguments": {"city": "Bern"}})),
            call(json!({"name": "time", "arguments": {"unit": "h"}}))]},
    ]);
    assert_eq!(record["messages"], expected);
    assert_eq!(
        record["tools"],
        json!([{"name": "rain", "parameters": {"city": "string"}}, {"name": "time"}])
    );
    assert_eq!(converted.changes, Changes { calls_wrapped: 2, nulls_dropped: 4, ..Changes::default() });
}

/// What somebody says, in one of the shapes that a message has.
fn any_message() -> impl Strategy<Value = Value> {
    let role =
        prop::sample::select(vec!["user", "assistant", "human", "gpt", "System", "tool", "ipython", "judge"]);
    let content = prop_oneof![
        4 => "[a-z \n\"\\\\é😀]{0,12}".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!(1.50)),
        1 => Just(json!({"a": [null, "b"]})),
        1 => "[a-z]{1,3}".prop_map(|text| json!([{"type": "text", "text": text}, {"text": "\n"}])),
    ];
    let more = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({"reasoning": "why", "name": "n"})),
        1 => Just(json!({"tool_calls": [{"name": "f", "arguments": "{\"x\": [1, null]}"}], "thinking": "t"})),
        1 => Just(json!({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}], "train": false})),
        1 => Just(json!({"weight": 1.0, "tool_call_id": "1", "extra": {"deep": [null]}})),
        1 => Just(json!({"loss_mask": 3})),
        1 => Just(json!({"tool_calls": "[]", "reasoning_content": null})),
    ];
    (role, content, more, any::<bool>()).prop_map(|(role, content, more, is_older)| {
        let [speaker, said] = if is_older { ["from", "value"] } else { ["role", "content"] };
        let mut message = json!({speaker: role, said: content});
        message.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        message
    })
}

/// A row in one of the shapes that hold a conversation.
fn any_row() -> impl Strategy<Value = Value> {
    let messages = || prop::collection::vec(any_message(), 0..4).prop_map(Value::from);
    let text = "[a-z\n]{1,6}";
    let lists =
        (messages(), prop::sample::select(vec!["messages", "conversations", "conversation"]), any::<bool>());
    let said = prop_oneof![
        4 => lists.prop_map(|(messages, name, is_string)| {
            json!({name: if is_string { messages.to_string().into() } else { messages }})
        }),
        1 => (messages(), messages()).prop_map(|(prompt, completion)| json!({"prompt": prompt, "completion": completion})),
        1 => (messages(), text).prop_map(|(prompt, completion)| json!({"prompt": prompt, "completion": completion})),
        1 => (text, text, text).prop_map(|(a, b, c)| json!({"instruction": a, "input": b, "output": c})),
        1 => (text, text).prop_map(|(a, b)| json!({"question": a, "answer": b})),
        1 => (text, text).prop_map(|(a, b)| json!({"question": a, "answers": {"text": ["", b]}})),
        1 => (text, text).prop_map(|(a, b)| json!({"problem": a, "solution": b, "text": "t"})),
        1 => (text, text).prop_map(|(a, b)| json!({"question": a, "response": b})),
    ];
    let tools = json!([{"name": "f", "parameters": {"p": null}}]);
    let beside = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"tools": tools, "system": "s"})),
        1 => Just(json!({"tools": tools.to_string(), "functions": [], "system_prompt": " "})),
        1 => Just(json!({"functions": [tools[0].to_string()], "documents": [{"d": 1}]})),
        1 => Just(json!({"chat_template_kwargs": {"k": [1, null]}, "documents": "[]"})),
        1 => Just(json!({"tools": {"no": "list"}})),
    ];
    (said, beside).prop_map(|(mut row, beside)| {
        row.as_object_mut().expect("one").extend(beside.as_object().expect("one").clone());
        row
    })
}

/// The conversation in a record, with what its written form does not show.
fn normal(line: &str) -> Result<(String, Vec<bool>, Changes), &'static str> {
    let row = json::parse(line, &|_| true).expect("JSON");
    let found = Conversation::of(&row, ConversationOptions::default());
    let conversation = found.map_err(|refusal| refusal.reason.name())?.ok_or("none")?;
    let mut written = Vec::new();
    conversation.write(&mut written);
    let is_completion = conversation.messages.iter().map(|message| message.is_completion);
    Ok((String::from_utf8(written).expect("UTF-8"), is_completion.collect(), conversation.changes))
}

fn has_no_answer(row: &Value) -> bool {
    let is_blank = |value: &Value| match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => {
            items.iter().all(|item| item.as_str().is_some_and(|text| text.trim().is_empty()))
        }
        _ => false,
    };
    let answers = ["completion", "output", "answer", "response"].iter().filter_map(|name| row.get(name));
    answers.chain(row.pointer("/answers/text")).any(is_blank)
}

/// Whether nothing of a written conversation is a text: blank contents, no calls, no tools, no documents.
fn says_nothing(written: &str) -> bool {
    let conversation: Value = serde_json::from_str(written).expect("JSON");
    let is_empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    };
    let texts = ["content", "reasoning_content", "tool_calls"];
    let lists = ["messages", "prompt", "completion"].map(|name| conversation[name].as_array());
    let mut messages = lists.into_iter().flatten().flatten();
    ["tools", "documents"].iter().all(|name| is_empty(conversation.get(name)))
        && messages.all(|message| texts.iter().all(|name| is_empty(message.get(name))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MASHBILL_LONG").is_some() { 4096 } else { 64 }))]

    #[test]
    fn a_record_has_the_conversation_of_its_row(rows in prop::collection::vec(any_row(), 1..40)) {
        // One row that is always good: rows that are all refused are an error.
        let rows: Vec<Value> = rows.into_iter().chain([json!({"text": "good"})]).collect();
        let (records, converted) = converted_lines(Render::Auto, &rows);
        let id = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["id"].to_string();
        let mut records: BTreeMap<String, &str> = records.lines().map(|line| (id(line), line)).collect();
        let mut rejected: BTreeMap<String, u64> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate() {
            let record = records.remove(&format!("\"d/{number}\""));
            match (normal(&row.to_string()), record) {
                (Ok((written, is_completion, _)), Some(record)) => {
                    let again = normal(record).expect("it is normal");
                    prop_assert_eq!((written, is_completion, Changes::default()), again, "{}", row);
                }
                (Ok((written, ..)), None) => {
                    prop_assert!(says_nothing(&written), "{}", row);
                    *rejected.entry("empty_text".into()).or_default() += 1;
                }
                (Err(_), Some(record)) => prop_assert!(row.get("text").is_some(), "{} {}", row, record),
                (Err(_), None) if has_no_answer(row) => *rejected.entry("no_answer".into()).or_default() += 1,
                (Err(reason), None) => *rejected.entry(reason.into()).or_default() += 1,
            }
        }
        prop_assert_eq!(rejected, converted.counts.rejected);
    }
}
