//! Records of every shape as conversations: what is changed on the way, and what is refused.

use proptest::prelude::*;

use super::{Changes, Conversation, ConversationOptions};
use crate::json;
use crate::record::{Reason, Refusal};

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
            r#"{"messages": [{"role": "user", "content": "q", "name": null}, {"role": "assistant", "content": "a", "tool_calls": [], "reasoning": null}], "tools": [], "documents": null}"#,
            Changes::default(),
        ),
        (
            r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": null}], "tools": " ", "system": "", "system_prompt": null}"#,
            Changes::default(),
        ),
        (r#"{"question": "q", "response": "a", "system_prompt": ""}"#, columns(2)),
        (r#"{"instruction": "q", "input": "", "output": "a"}"#, columns(2)),
        (r#"{"question": "q", "answer": "a"}"#, columns(2)),
        (r#"{"question": "q", "answers": ["", "a", "b"]}"#, columns(2)),
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
        (whole(wrapped), flat)
    );
    let both = Changes { arguments_parsed: 1, ..flat };
    assert_eq!(of_call(r#"{"name": "f", "arguments": "{\"x\": 1}"}"#), (whole(wrapped), both));
    let string = r#"{"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}"#;
    assert_eq!(of_call(string), (whole(wrapped), Changes { arguments_parsed: 1, ..Changes::default() }));
    // What else a call has stays, and numbers stay as they are spelled.
    let large = r#"{"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"n": 123456789012345678901234567890, "e": 1e400, "z": -0.0, "no": null}}}"#;
    assert_eq!(of_call(large), (whole(large), Changes::default()));
    // All calls as a string.
    let record = r#"{"messages": [{"role": "assistant", "tool_calls": "[{\"name\": \"f\", \"arguments\": {\"x\": 1}}]"}]}"#;
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
}

#[test]
fn nulls_that_arrow_padded_are_dropped_and_those_in_strings_stay() {
    let options = ConversationOptions { drop_nulls: true, ..ConversationOptions::default() };
    let record = r#"{"messages": [
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1, "b": null, "c": [{"d": null}]}}}]},
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{\"b\": null}"}}]}],
        "tools": [{"name": "f", "g": null}, "{\"name\": \"h\", \"default\": null}"], "documents": [{"t": null}]}"#;
    let conversation = read(record, options).expect("it is understood").expect("a conversation");
    let text = written(&conversation);
    assert!(text.contains(r#""arguments": {"a": 1, "c": [{}]}"#), "{text}");
    assert!(text.contains(r#""arguments": {"b": null}"#), "{text}");
    assert!(
        text.contains(r#""tools": [{"name": "f"}, {"name": "h", "default": null}], "documents": [{}]"#),
        "{text}"
    );
    assert_eq!(conversation.changes.nulls_dropped, 4);
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
        assert!(detail.starts_with("`weight` is ") && detail.contains("not 0 or 1 in message 0"), "{detail}");
    }
    for fields in [
        r#""content": "a", "weight": 1, "train": false"#,
        r#""content": [{"text": "a", "train": true}, {"text": "b", "train": false}]"#,
        r#""content": [{"text": "a", "train": true}], "weight": 0"#,
        r#""content": "a", "train_detail": [{"begin_offset": 0, "end_offset": 1, "train": true}]"#,
    ] {
        assert_eq!(refused(fields).0, Reason::BadWeight, "{fields}");
    }
}

fn assert_refused(cases: &[(&str, Reason, &str)]) {
    for (record, reason, detail) in cases {
        assert_eq!(refused(record), (*reason, (*detail).to_owned()), "{record}");
    }
}

#[test]
fn a_list_of_messages_that_is_none_is_refused() {
    use Reason::{BadConversation, FieldTwice};
    assert_refused(&[
        (r#"{"messages": []}"#, BadConversation, "a conversation without messages"),
        (r#"{"messages": 7}"#, BadConversation, "`messages` is a number, not a list of messages"),
        (
            r#"{"messages": "[{"}"#,
            BadConversation,
            "`messages` is a string that is no JSON: a name in quotes expected at byte 2",
        ),
        (
            r#"{"messages": "[{\"role\": \"\\ud800\"}]"}"#,
            BadConversation,
            "`messages` is a string that is no JSON: half of a surrogate pair at byte 11",
        ),
        (
            r#"{"messages": ["q"]}"#,
            BadConversation,
            "`message` is a string, not an object in message 0 of `messages`",
        ),
        (
            r#"{"messages": [{"content": "q"}]}"#,
            BadConversation,
            "nobody speaks: no `role` and no `from` in message 0 of `messages`",
        ),
        (
            r#"{"messages": [{"role": 7}]}"#,
            BadConversation,
            "`role` is a number, not a string in message 0 of `messages`",
        ),
        (
            r#"{"messages": [{"role": "user", "from": "gpt"}]}"#,
            FieldTwice,
            "`role` and `from` say that two speak in message 0 of `messages`",
        ),
        (r#"{"messages": [], "messages": []}"#, FieldTwice, "`messages` stands twice"),
    ]);
    // Half of a surrogate pair is refused before anybody asks who speaks.
    let lone = json::parse(r#"{"messages": [{"role": "\ud800"}]}"#, &|_| true).expect_err("no character");
    assert_eq!(lone.what, "half of a surrogate pair");
}

#[test]
fn a_content_that_is_no_text_is_refused() {
    use Reason::{BadConversation, FieldTwice, NotText};
    for (fields, reason, detail) in [
        (r#""content": "a", "content": "b""#, FieldTwice, "`content` stands twice"),
        (r#""content": "a", "value": "b""#, FieldTwice, "`content` and `value` are both there"),
        (
            r#""content": {"a": 1}"#,
            BadConversation,
            "`content` is an object, not a string or a list of texts",
        ),
        (r#""content": [7]"#, BadConversation, "a part of `content` is a number, not a text"),
        (
            r#""content": [{"type": "text"}]"#,
            BadConversation,
            "a part of `content` has no `text` that is a string",
        ),
        (
            r#""content": [{"type": "image_url", "image_url": {}}, {"text": "x"}]"#,
            NotText,
            "a part of `content` is of the type `image_url`, not a text",
        ),
        (r#""value": [{"type": "audio"}]"#, NotText, "a part of `value` is of the type `audio`, not a text"),
    ] {
        let record = format!(r#"{{"messages": [{{"role": "user", {fields}}}]}}"#);
        assert_eq!(refused(&record), (reason, format!("{detail} in message 0 of `messages`")), "{record}");
    }
}

#[test]
fn calls_that_are_none_are_refused() {
    use Reason::{BadConversation, BadTools, FieldTwice};
    for (calls, reason, detail) in [
        (r#"{"name": "f"}"#, BadConversation, "`tool_calls` is an object, not a list"),
        ("[7]", BadConversation, "`tool_calls` is a number, not a list of objects"),
        (
            r#"[{"name": "f", "arguments": "{x}"}]"#,
            BadTools,
            "arguments of a call that are no JSON: a name in quotes expected at byte 1",
        ),
        (
            r#"[{"name": "f", "arguments": "7"}]"#,
            BadTools,
            "arguments of a call that are a number, not an object",
        ),
        (
            r#"[{"name": "f", "arguments": [1]}]"#,
            BadTools,
            "arguments of a call that are a list, not an object",
        ),
        (r#"[{"name": "f", "arguments": "{\"a\": 1, \"a\": 2}"}]"#, FieldTwice, "`a` stands twice"),
    ] {
        let record = format!(r#"{{"messages": [{{"role": "assistant", "tool_calls": {calls}}}]}}"#);
        assert_eq!(refused(&record), (reason, format!("{detail} in message 0 of `messages`")), "{record}");
    }
}

#[test]
fn what_stands_beside_the_messages_is_refused_where_it_is_not_understood() {
    use Reason::{BadConversation, BadTools, FieldTwice};
    for (field, reason, detail) in [
        (r#""tools": "no""#, BadTools, "`tools` is a string that is no JSON: a value expected at byte 0"),
        (r#""tools": {"name": "f"}"#, BadTools, "`tools` is an object, not a list of objects"),
        (r#""tools": [7]"#, BadTools, "`tools` is a number, not a list of objects"),
        (r#""tools": [{"a": {"b": 1, "b": 2}}]"#, FieldTwice, "`b` stands twice"),
        (r#""documents": [7]"#, BadConversation, "`documents` is a number, not a list of objects"),
        (r#""documents": [{"a": 1, "a": 2}]"#, FieldTwice, "`a` stands twice"),
        (r#""chat_template_kwargs": []"#, BadConversation, "`chat_template_kwargs` is a list, not an object"),
        (r#""system": []"#, BadConversation, "`system` is a list, not a string"),
    ] {
        let record = format!(r#"{{"messages": [{{"role": "user", "content": "q"}}], {field}}}"#);
        assert_eq!(refused(&record), (reason, detail.to_owned()), "{record}");
    }
    assert_refused(&[
        (r#"{"instruction": " ", "output": "a"}"#, BadConversation, "`instruction` is empty"),
        (r#"{"instruction": "q", "output": "\n"}"#, BadConversation, "`output` is empty"),
        (r#"{"question": 7, "answer": "a"}"#, BadConversation, "`question` is a number, not a string"),
        (
            r#"{"question": "q", "answer": 7}"#,
            BadConversation,
            "`answer` is a number, not a string or a list of messages",
        ),
    ]);
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
            "made_of_columns": 14,
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
