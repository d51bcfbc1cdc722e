//! Records of every shape as conversations: what is changed on the way, and what is refused.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{Changes, Conversation, ConversationFields, ConversationOptions};
use crate::json;
use crate::record::{Reason, Refusal};

mod refused;

fn read(record: &str, options: ConversationOptions) -> Result<Option<Conversation<'static>>, Refusal> {
    let value = json::parse(record, &|_| true).unwrap_or_else(|invalid| panic!("{invalid:?}: {record}"));
    Conversation::of(&value.into_owned(), options)
}

fn of(record: &str) -> Conversation<'static> {
    let conversation = read(record, ConversationOptions::default());
    conversation.expect("it is understood").unwrap_or_else(|| panic!("nothing is said in {record}"))
}

fn written(conversation: &Conversation<'_>) -> String {
    let mut out = Vec::new();
    conversation.write(&mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// The normal form, and what was changed; the normal form of that is itself.
fn normal(record: &str) -> (String, Changes) {
    let conversation = of(record);
    let text = written(&conversation);
    let again = of(&text);
    assert_eq!(written(&again), text);
    assert_eq!(again.changes, Changes::default(), "{text}");
    (text, conversation.changes)
}

fn refused(record: &str) -> (Reason, String) {
    let refusal = read(record, ConversationOptions::default()).expect_err(record);
    (refusal.reason, refusal.detail)
}

const ONE: &str =
    r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#;

#[test]
fn every_shape_has_the_same_normal_form() {
    let columns = |count| Changes { made_of_columns: count, ..Changes::default() };
    let renamed = Changes { roles_renamed: 2, ..Changes::default() };
    let parsed = Changes { strings_parsed: 1, ..Changes::default() };
    let joined = Changes { parts_joined: 2, ..Changes::default() };
    for (record, changes) in [
        (ONE, Changes::default()),
        (r#"{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}"#, renamed),
        (
            r#"{"conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#,
            Changes::default(),
        ),
        (
            r#"{"conversation": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "a"}]}"#,
            Changes::default(),
        ),
        (
            r#"{"messages": [{"from": "Human", "role": "user", "value": "q"}, {"from": "model", "content": "a"}], "id": 7}"#,
            Changes { roles_renamed: 2, ..Changes::default() },
        ),
        (
            r#"{"messages": "[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}]"}"#,
            parsed,
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, {"role": "assistant", "content": ["", {"text": "a"}]}]}"#,
            joined,
        ),
        (
            r#"{"messages": [{"role": "user", "content": "q", "name": null}, {"role": "assistant", "content": "a", "tool_calls": null, "reasoning": null}], "documents": null}"#,
            Changes::default(),
        ),
        (
            r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": null}], "tools": " ", "system": "", "system_prompt": null}"#,
            Changes::default(),
        ),
        (r#"{"question": "q", "response": "a", "system_prompt": ""}"#, columns(2)),
        (r#"{"instruction": "q", "input": "", "output": "a"}"#, columns(2)),
        (r#"{"question": "q", "answer": "a"}"#, columns(2)),
        (r#"{"question": "q", "answers": ["", "a", "b"]}"#, Changes { answers_left_out: 1, ..columns(2) }),
        (r#"{"question": "q", "answers": {"text": ["a"], "answer_start": [3]}}"#, columns(2)),
        (r#"{"problem": "q", "solution": "a"}"#, columns(2)),
        (r#"{"query": "q", "response": "a"}"#, columns(2)),
    ] {
        let (text, found) = normal(record);
        if changes.made_of_columns > 0 {
            let as_completion = r#"{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}"#;
            assert_eq!((text.as_str(), found), (as_completion, changes), "{record}");
        } else {
            assert_eq!((text.as_str(), found), (ONE, changes), "{record}");
        }
    }
}

#[test]
fn prompt_and_completion_are_strings_or_messages() {
    let expected = r#"{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}"#;
    for (record, made) in [
        (r#"{"prompt": "q", "completion": "a"}"#, 2),
        (r#"{"prompt": [{"role": "user", "content": "q"}], "completion": "a"}"#, 1),
        (r#"{"prompt": "q", "completion": [{"role": "assistant", "content": "a"}]}"#, 1),
        (expected, 0),
    ] {
        let (text, changes) = normal(record);
        assert_eq!((text.as_str(), changes.made_of_columns), (expected, made), "{record}");
        let completion: Vec<bool> = of(record).messages.iter().map(|message| message.is_completion).collect();
        assert_eq!(completion, [false, true]);
    }
}

#[test]
fn columns_beside_become_messages() {
    let (text, changes) = normal(r#"{"system_prompt": "s", "question": "q", "response": "a"}"#);
    assert!(
        text.starts_with(r#"{"prompt": [{"role": "system", "content": "s"}, {"role": "user", "#),
        "{text}"
    );
    assert_eq!(changes.made_of_columns, 3);
    let (text, changes) = normal(r#"{"system": "s", "conversations": [{"from": "human", "value": "q"}]}"#);
    assert_eq!(
        text,
        r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]}"#
    );
    assert_eq!((changes.made_of_columns, changes.roles_renamed), (1, 1));
    // The same twice is once, and two that differ can't both be meant.
    let (text, _) = normal(r#"{"system": "s", "messages": [{"role": "system", "content": "s"}]}"#);
    assert_eq!(text, r#"{"messages": [{"role": "system", "content": "s"}]}"#);
    let (reason, detail) = refused(r#"{"system": "s", "messages": [{"role": "system", "content": "t"}]}"#);
    assert_eq!(reason, Reason::FieldTwice);
    assert_eq!(detail, "`system` and the first message are two system prompts, which differ");
    let (text, _) = normal(r#"{"instruction": "i", "input": "n", "output": "o"}"#);
    assert!(text.contains(r#""content": "i\n\nn""#), "{text}");
}

#[test]
fn what_was_said_before_stands_before_the_question() {
    let expected = r#"{"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q0"}, {"role": "assistant", "content": "a0"}, {"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}"#;
    for (history, strings) in [(r#"[["q0", "a0"]]"#, 0), (r#""[[\"q0\", \"a0\"]]""#, 1)] {
        let record = format!(r#"{{"instruction": "q", "output": "a", "system": "s", "history": {history}}}"#);
        let (text, changes) = normal(&record);
        assert_eq!((text.as_str(), changes.made_of_columns), (expected, 5));
        assert_eq!(changes.strings_parsed, strings);
    }
    let without = normal(r#"{"instruction": "q", "output": "a"}"#);
    for history in ["null", "[]", "\"\"", "\" \""] {
        let record = format!(r#"{{"instruction": "q", "output": "a", "history": {history}}}"#);
        assert_eq!(normal(&record), without);
    }
    for (history, detail) in [
        ("7", "`history` is a number, not a list of questions with answers"),
        (r#"["q", "a"]"#, "exchange 0 of `history` is not two strings, what was asked and answered"),
        (r#"[["q", "a"], ["q"]]"#, "exchange 1 of `history` is not two strings, what was asked and answered"),
        (r#"[["q", null]]"#, "exchange 0 of `history` is not two strings, what was asked and answered"),
    ] {
        let record = format!(r#"{{"instruction": "q", "output": "a", "history": {history}}}"#);
        assert_eq!(refused(&record), (Reason::BadConversation, detail.to_owned()));
    }
}

#[test]
fn what_is_asked_comes_with_its_context() {
    for record in [
        r#"{"instruction": "q", "context": "c", "response": "a"}"#,
        r#"{"context": "c", "question": "q", "answers": {"text": ["a", "b"]}}"#,
    ] {
        let (text, _) = normal(record);
        assert!(text.starts_with(r#"{"prompt": [{"role": "user", "content": "q\n\nc"}]"#), "{text}");
    }
}

#[test]
fn of_two_names_for_the_same_the_one_that_says_something_counts() {
    let with = |fields: &str| format!(r#"{{"messages": [{{"role": "user", "content": "q"}}], {fields}}}"#);
    let (text, _) = normal(&with(r#""system": "", "system_prompt": "s""#));
    assert!(text.contains(r#"{"role": "system", "content": "s"}"#), "{text}");
    let (text, _) = normal(&with(r#""tools": "", "functions": [{"name": "f"}]"#));
    assert!(text.ends_with(r#""tools": [{"name": "f"}]}"#), "{text}");
    let (text, _) = normal(&with(r#""system": "s", "system_prompt": "s""#));
    assert_eq!(text.matches("system").count(), 1);
    for fields in [r#""system": "s", "system_prompt": "t""#, r#""tools": [], "functions": [{"name": "f"}]"#] {
        let (reason, detail) = refused(&with(fields));
        assert_eq!(reason, Reason::FieldTwice);
        assert!(detail.ends_with("are two for the same, which differ"), "{detail}");
    }
    // No tools are something else than no field.
    assert!(normal(&with(r#""tools": []"#)).0.ends_with(r#""tools": []}"#));
    // A list without messages is what a column is where there are none.
    let (text, _) = normal(r#"{"messages": [], "conversations": [{"from": "human", "value": "q"}]}"#);
    assert_eq!(text, r#"{"messages": [{"role": "user", "content": "q"}]}"#);
}

#[test]
fn a_role_may_be_a_call_and_so_may_an_old_field() {
    let call = r#"{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}"#;
    let expected = format!(r#"{{"messages": [{{"role": "assistant", "tool_calls": [{call}]}}]}}"#);
    let wrapped = Changes { calls_wrapped: 1, ..Changes::default() };
    let unfolded = Changes { roles_renamed: 1, strings_parsed: 1, ..wrapped };
    for (message, changes) in [
        (r#"{"role": "assistant", "function_call": {"name": "f", "arguments": {"x": 1}}}"#, wrapped),
        (r#"{"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"}"#, unfolded),
        (r#"{"from": "tool_call", "value": "[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]"}"#, unfolded),
    ] {
        assert_eq!(normal(&format!(r#"{{"messages": [{message}]}}"#)), (expected.clone(), changes));
    }
    let (reason, detail) = refused(r#"{"messages": [{"from": "function_call", "value": "7"}]}"#);
    assert_eq!(
        (reason, detail.as_str()),
        (Reason::BadTools, "message 1 of `messages`: a `function_call` that is no call")
    );
    let (reason, _) = refused(r#"{"messages": [{"role": "assistant", "tool_calls": [{"function": "f"}]}]}"#);
    assert_eq!(reason, Reason::BadTools);
    // In Arrow flat calls have the fields of those that are wrapped.
    let flat = r#"{"messages": [{"role": "assistant", "tool_calls": [{"function": null, "name": "f", "arguments": "{\"x\": 1}"}]}]}"#;
    assert_eq!(normal(flat).0, expected);
}

#[test]
fn a_message_that_says_nothing_is_refused() {
    for message in
        [r#"{"role": "user"}"#, r#"{"from": "human", "name": "q"}"#, r#"{"role": "user", "content": null}"#]
    {
        let (reason, detail) = refused(&format!(r#"{{"messages": [{message}]}}"#));
        let expected = "message 1 of `messages`: nothing is said: it has no `content`";
        assert_eq!((reason, detail.as_str()), (Reason::BadConversation, expected), "{message}");
    }
}

/// What stands in strings has one budget a record, since in memory it takes many times the bytes that spell it.
#[test]
fn values_in_strings_are_counted_together() {
    let calls = serde_json::to_string(&format!("[{}{{}}]", "{},".repeat(600_000))).expect("JSON");
    let message = format!(r#"{{"role": "assistant", "tool_calls": {calls}}}"#);
    assert!(read(&format!(r#"{{"messages": [{message}]}}"#), ConversationOptions::default()).is_ok());
    let (reason, detail) = refused(&format!(r#"{{"messages": [{message}, {message}]}}"#));
    assert_eq!(reason, Reason::BadConversation);
    assert!(detail.contains("more than 1,048,576 values"), "{detail}");
}

#[test]
fn labels_are_no_reason_to_lose_what_is_said() {
    let line = r#"{"id": "a\ud800b", "source": "s", "messages": [{"role": "user", "content": "q"}]}"#;
    let fields = ConversationFields::parse(line).expect("a record");
    assert_eq!(
        fields.labels().map(|label| label.map(Cow::into_owned)),
        [Some("a\u{fffd}b".to_owned()), Some("s".to_owned()), None]
    );
    assert!(fields.conversation(ConversationOptions::default()).is_ok_and(|found| found.is_some()));
    let said = line.replace("\"q\"", r#""\ud800""#);
    assert_eq!(ConversationFields::parse(&said).expect_err("half a pair").reason, Reason::LoneSurrogate);
}

#[test]
fn what_says_nothing_is_no_conversation() {
    for record in [
        r#"{"text": "t"}"#,
        r#"{"messages": null}"#,
        r#"{"prompt": "only"}"#,
        r#"{"answer": "only"}"#,
        "{}",
        "[]",
        "7",
    ] {
        assert_eq!(read(record, ConversationOptions::default()), Ok(None), "{record}");
    }
}

#[test]
fn calls_are_wrapped_and_their_arguments_parsed() {
    let of_call = |call: &str| {
        normal(&format!(
            r#"{{"messages": [{{"role": "assistant", "content": null, "tool_calls": [{call}]}}]}}"#
        ))
    };
    let whole = |call: &str| format!(r#"{{"messages": [{{"role": "assistant", "tool_calls": [{call}]}}]}}"#);
    let wrapped = r#"{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}"#;
    assert_eq!(of_call(wrapped), (whole(wrapped), Changes::default()));
    let flat = Changes { calls_wrapped: 1, ..Changes::default() };
    assert_eq!(of_call(r#"{"name": "f", "arguments": {"x": 1}}"#), (whole(wrapped), flat));
    assert_eq!(
        of_call(r#"{"name": "f", "parameters": {"x": 1}, "arguments": null}"#),
        (whole(wrapped), Changes { nulls_dropped: 1, ..flat })
    );
    let both = Changes { arguments_parsed: 1, ..flat };
    assert_eq!(of_call(r#"{"name": "f", "arguments": "{\"x\": 1}"}"#), (whole(wrapped), both));
    let string = r#"{"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}"#;
    assert_eq!(of_call(string), (whole(wrapped), Changes { arguments_parsed: 1, ..Changes::default() }));
    // What else a call has stays, and numbers stay as they are spelled.
    let large = r#"{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"n": 123456789012345678901234567890, "e": 1e400, "z": -0.0, "no": null}}}"#;
    assert_eq!(of_call(large), (whole(large), Changes::default()));
    // All calls as a string.
    let record = r#"{"messages": [{"role": "assistant", "content": null, "tool_calls": "[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]"}]}"#;
    assert_eq!(normal(record), (whole(wrapped), Changes { strings_parsed: 1, ..flat }));
}

#[test]
fn arguments_stay_strings_where_that_is_asked_for() {
    let options = ConversationOptions { keep_tool_arguments: true, ..ConversationOptions::default() };
    let record = r#"{"messages": [{"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "no JSON"}}]}]}"#;
    let conversation = read(record, options).expect("it is understood").expect("a conversation");
    assert_eq!((written(&conversation).as_str(), conversation.changes), (record, Changes::default()));
}

#[test]
fn tools_are_a_list_or_json_in_strings() {
    let expected = r#"{"messages": [{"role": "user", "content": "q"}], "tools": [{"name": "f", "n": 18446744073709551616}]}"#;
    for (tools, parsed) in [
        (r#"[{"name": "f", "n": 18446744073709551616}]"#, 0),
        (r#"["{\"name\": \"f\", \"n\": 18446744073709551616}"]"#, 1),
        (r#""[{\"name\": \"f\", \"n\": 18446744073709551616}]""#, 1),
    ] {
        for field in ["tools", "functions"] {
            let record =
                format!(r#"{{"messages": [{{"role": "user", "content": "q"}}], "{field}": {tools}}}"#);
            let (text, changes) = normal(&record);
            assert_eq!((text.as_str(), changes.strings_parsed), (expected, parsed), "{record}");
        }
    }
}

#[test]
fn documents_and_arguments_of_the_template_stay() {
    let record = r#"{"messages": [{"role": "user", "content": "q"}], "documents": [{"title": "t", "text": "x"}], "chat_template_kwargs": {"enable_thinking": false}}"#;
    assert_eq!(normal(record), (record.to_owned(), Changes::default()));
    let in_string = record.replace(r#"{"enable_thinking": false}"#, r#""{\"enable_thinking\": false}""#);
    assert_eq!(normal(&in_string), (record.to_owned(), Changes { strings_parsed: 1, ..Changes::default() }));
}

#[test]
fn nulls_that_arrow_padded_are_dropped_and_those_in_strings_stay() {
    let options = ConversationOptions { drop_nulls: true, ..ConversationOptions::default() };
    let record = r#"{"messages": [
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": null, "c": [{"d": null}]}}}]},
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{\"b\": null}"}}]}],
        "tools": [{"name": "f", "g": null}, "{\"name\": \"h\", \"default\": null}"], "documents": [{"t": null}],
        "chat_template_kwargs": {"a": null, "b": {"c": null}}}"#;
    let conversation = read(record, options).expect("it is understood").expect("a conversation");
    let text = written(&conversation);
    assert!(text.contains(r#""arguments": {"a": 1, "c": [{}]}"#), "{text}");
    assert!(text.contains(r#""arguments": {"b": null}"#), "{text}");
    assert!(
        text.contains(r#""tools": [{"name": "f"}, {"name": "h", "default": null}], "documents": [{}]"#),
        "{text}"
    );
    assert!(text.ends_with(r#""chat_template_kwargs": {"b": {}}}"#), "{text}");
    assert_eq!(conversation.changes.nulls_dropped, 6);
}

#[test]
fn reasoning_has_three_names() {
    let expected = r#"{"messages": [{"role": "assistant", "content": "a", "reasoning_content": "r"}]}"#;
    for field in ["reasoning_content", "thinking", "reasoning"] {
        let record = format!(r#"{{"messages": [{{"role": "assistant", "content": "a", "{field}": "r"}}]}}"#);
        assert_eq!(normal(&record).0, expected);
    }
    let twice = |other: &str| {
        format!(
            r#"{{"messages": [{{"role": "assistant", "content": "a", "thinking": "r", "reasoning": "{other}"}}]}}"#
        )
    };
    assert_eq!(normal(&twice("r")).0, expected);
    assert_eq!(refused(&twice("s")).0, Reason::FieldTwice);
}

#[test]
fn flags_of_the_loss_are_0_or_1() {
    for (flag, loss) in
        [("0", false), ("1", true), ("1.0", true), ("0e5", false), ("true", true), ("false", false)]
    {
        for name in ["weight", "train", "loss_mask"] {
            let on_message =
                format!(r#"{{"messages": [{{"role": "assistant", "content": "a", "{name}": {flag}}}]}}"#);
            let on_part = format!(
                r#"{{"messages": [{{"role": "assistant", "content": [{{"type": "text", "text": "a", "{name}": {flag}}}]}}]}}"#
            );
            for record in [on_message, on_part] {
                assert_eq!(of(&record).messages[0].loss, Some(loss), "{record}");
                let (text, _) = normal(&record);
                assert!(
                    text.ends_with(if loss { r#""weight": 1}]}"# } else { r#""weight": 0}]}"# }),
                    "{text}"
                );
            }
        }
    }
    assert_eq!(
        of(r#"{"messages": [{"role": "user", "content": "a", "weight": null}]}"#).messages[0].loss,
        None
    );
    let refused = |fields: &str| refused(&format!(r#"{{"messages": [{{"role": "assistant", {fields}}}]}}"#));
    for value in ["0.5", "2", "-1", "\"1\"", "[1]", "NaN", "Infinity", "{}"] {
        let (reason, detail) = refused(&format!(r#""content": "a", "weight": {value}"#));
        assert_eq!(reason, Reason::BadWeight, "{value}");
        assert!(
            detail.starts_with("message 1 of `messages`: `weight` is ") && detail.ends_with("not 0 or 1"),
            "{detail}"
        );
    }
    for fields in [
        r#""content": "a", "weight": 1, "train": false"#,
        r#""content": [{"text": "a", "train": true}, {"text": "b", "train": false}]"#,
        r#""content": [{"text": "a", "train": true}], "weight": 0"#,
        r#""content": [{"text": "a", "weight": 0}, {"text": "b"}]"#,
        r#""content": "a", "train_detail": [{"begin_offset": 0, "end_offset": 1, "train": true}]"#,
    ] {
        assert_eq!(refused(fields).0, Reason::BadWeight, "{fields}");
    }
}

#[test]
fn what_a_tool_answers_may_be_an_object() {
    let record = r#"{"messages": [{"role": "tool", "content": {"ok": true, "x": null}}]}"#;
    assert_eq!(normal(record), (record.to_owned(), Changes::default()));
    let observed = r#"{"messages": [{"from": "observation", "value": {"ok": true, "x": null}}]}"#;
    assert_eq!(normal(observed), (record.to_owned(), Changes { roles_renamed: 1, ..Changes::default() }));
}

#[test]
fn changes_add_up() {
    let one = Changes {
        fields_renamed: 8,
        answers_left_out: 9,
        messages_unprinted: 10,
        roles_renamed: 1,
        parts_joined: 2,
        arguments_parsed: 3,
        calls_wrapped: 4,
        strings_parsed: 5,
        nulls_dropped: 6,
        made_of_columns: 7,
    };
    let mut sum = one;
    sum.add(&one);
    assert_eq!(
        serde_json::to_value(sum).expect("JSON"),
        serde_json::json!({
            "roles_renamed": 2, "parts_joined": 4, "arguments_parsed": 6, "calls_wrapped": 8, "strings_parsed": 10, "nulls_dropped": 12,
            "made_of_columns": 14, "fields_renamed": 16, "answers_left_out": 18, "messages_unprinted": 20,
        })
    );
    assert_eq!(serde_json::to_value(Changes::default()).expect("JSON"), serde_json::json!({}));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z ]{0,6}", any::<String>(), Just("\u{e000}\"\\\n\u{2028}".to_owned())]
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..3)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_message() -> impl Strategy<Value = serde_json::Value> {
    let role =
        prop::sample::select(vec!["user", "human", "gpt", "assistant", "system", "tool", "GPT", "narrator"]);
    let content = prop_oneof![
        4 => text().prop_map(serde_json::Value::from),
        1 => prop::collection::vec(text(), 0..3).prop_map(|texts| {
            texts.into_iter().map(|text| serde_json::json!({"type": "text", "text": text})).collect()
        }),
        1 => any_value(),
    ];
    let arguments = prop::collection::btree_map("[a-c]{1,2}", any_value(), 0..3);
    let call = (arguments, any::<bool>(), any::<bool>()).prop_map(|(arguments, as_string, is_flat)| {
        let arguments = serde_json::json!(arguments);
        let arguments = if as_string { arguments.to_string().into() } else { arguments };
        let function = serde_json::json!({"name": "f", "arguments": arguments});
        if is_flat {
            function
        } else {
            serde_json::json!({"type": "function", "function": function, "id": null})
        }
    });
    let calls = prop::option::of(prop::collection::vec(call, 0..3));
    let weight = prop::option::weighted(0.2, any::<bool>());
    (role, content, calls, weight, any::<bool>(), prop::option::of(text())).prop_map(
        |(role, content, calls, weight, old_names, thinking)| {
            let (who, what) = if old_names { ("from", "value") } else { ("role", "content") };
            serde_json::json!({who: role, what: content, "tool_calls": calls, "train": weight, "thinking": thinking, "name": null})
        },
    )
}

proptest! {
    /// Whatever a record's shape is, its normal form is that of itself, and nothing is changed on the way there.
    #[test]
    fn the_normal_form_of_a_normal_form_is_itself(
        messages in prop::collection::vec(any_message(), 0..4),
        completion in prop::option::of(prop::collection::vec(any_message(), 1..3)),
        tools in prop::option::of(prop::collection::vec(any_value(), 0..3)),
        system in prop::option::of(text()),
        drop_nulls in any::<bool>(),
        as_string in any::<bool>(),
    ) {
        let list = serde_json::json!(messages);
        let list = if as_string { list.to_string().into() } else { list };
        let mut record = serde_json::json!({"tools": tools, "system": system, "chat_template_kwargs": {"k": null}});
        match completion {
            Some(completion) if !as_string => {
                record["prompt"] = list;
                record["completion"] = completion.into();
            }
            _ => record["conversations"] = list,
        }
        let options = ConversationOptions { drop_nulls, ..ConversationOptions::default() };
        // What is refused has no normal form; it must not panic.
        if let Ok(Some(conversation)) = read(&record.to_string(), options) {
            let text = written(&conversation);
            // It is JSON, in which no null is there for Arrow's sake.
            let again = read(&text, ConversationOptions::default());
            let again = again.map_err(|refusal| TestCaseError::fail(format!("{refusal:?}: {text}")))?;
            let again = again.ok_or_else(|| TestCaseError::fail(format!("nothing is said in {text}")))?;
            prop_assert_eq!(again.changes, Changes::default());
            prop_assert_eq!(written(&again), text);
            let said = |conversation: &Conversation<'_>| -> Vec<_> {
                conversation.messages.iter().map(|m| (m.role.to_string(), m.loss, m.is_completion)).collect()
            };
            prop_assert_eq!(said(&again), said(&conversation));
        }
    }
}
