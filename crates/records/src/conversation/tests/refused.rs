//! What is not understood, and what is said of it.

use super::refused;
use crate::json;
use crate::record::Reason;

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
        (r#"{"messages": ["q"]}"#, BadConversation, "message 1 of `messages`: it is a string, not an object"),
        (
            r#"{"messages": [{"content": "q"}]}"#,
            BadConversation,
            "message 1 of `messages`: nobody speaks: no `role` and no `from`",
        ),
        (
            r#"{"messages": [{"role": 7}]}"#,
            BadConversation,
            "message 1 of `messages`: `role` is a number, not a string",
        ),
        (
            r#"{"messages": [{"role": "user", "from": "gpt"}]}"#,
            FieldTwice,
            "message 1 of `messages`: `role` and `from` say that two speak",
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
        assert_eq!(refused(&record), (reason, format!("message 1 of `messages`: {detail}")), "{record}");
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
        assert_eq!(refused(&record), (reason, format!("message 1 of `messages`: {detail}")), "{record}");
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
        (
            r#""chat_template_kwargs": {"messages": []}"#,
            BadConversation,
            "`chat_template_kwargs` has `messages`, which is no argument of a template",
        ),
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
