//! Records that are no conversations, or hostile ones: each with its reason and its line, and nothing is lost beside them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use super::{ASKED, TEMPLATE, project, tokenize, told};
use crate::project::Project;

/// The longest that a record may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// A conversation whose answer has this field, beside its role.
fn answer(field: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"a"}},{{"role":"assistant",{field}}}]}}"#)
}

/// A conversation with this beside its messages.
fn beside(field: &str) -> String {
    ASKED.replacen('{', &format!("{{{field},"), 1)
}

/// What was refused: line, reason and detail.
fn refused(project: &Project) -> Vec<(u64, String, String)> {
    let text = project.read("out/a/a_rejects.jsonl");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    lines
        .map(|line| (line["line"].as_u64().expect("a number"), text(&line["reason"]), text(&line["detail"])))
        .collect()
}

#[test]
fn each_is_refused_with_its_reason() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let calls =
        |arguments: &str| answer(&format!(r#""tool_calls":[{{"name":"f","arguments":{arguments}}}]"#));
    let said = |messages: &str| format!(r#"{{"messages":{messages}}}"#);
    let cases: Vec<(String, &str, &str)> = vec![
        (said(r#"[{"role":"critic","content":"a"}]"#), "template", "an odd role: critic"),
        (said(r#"[{"role":"\ud800","content":"a"}]"#), "lone_surrogate", "half of a surrogate pair"),
        (answer(r#""content":"a\ud800b""#), "lone_surrogate", "half of a surrogate pair"),
        (calls(r#"{"a":"\udc00"}"#), "lone_surrogate", "half of a surrogate pair"),
        (calls(r#""{\"a\":\"\\udc00\"}""#), "bad_tools", "half of a surrogate pair"),
        (beside(r#""tools":[{"name":"\ud800"}]"#), "lone_surrogate", "half of a surrogate pair"),
        (said("[]"), "bad_conversation", "without messages"),
        (said("7"), "bad_conversation", "a number"),
        (said(r#""so""#), "bad_conversation", "no JSON"),
        (said(r#""{}""#), "bad_conversation", "a list of messages"),
        (said("[7]"), "bad_conversation", "a number"),
        (said("[null]"), "bad_conversation", "null"),
        (said(r#"[{"content":"a"}]"#), "bad_conversation", "nobody speaks"),
        (said(r#"[{"role":7,"content":"a"}]"#), "bad_conversation", "a number"),
        (said(r#"[{"role":"user","content":"a"}]"#), "nothing_to_learn", ""),
        (said(r#"[{"role":"user","from":"gpt","content":"a"}]"#), "field_twice", "two speak"),
        (said(r#"[{"role":"user","role":"user","content":"a"}]"#), "field_twice", "`role`"),
        (beside(r#""messages":[]"#), "field_twice", "messages"),
        (beside(r#""tools":[],"tools":[]"#), "field_twice", "tools"),
        (answer(r#""content":7"#), "bad_conversation", "a number"),
        (answer(r#""content":{"a":1}"#), "bad_conversation", "an object"),
        (answer(r#""content":"a","value":"b""#), "field_twice", "both"),
        (answer(r#""content":[{"type":"image","image":"x.png"}]"#), "not_text", "image"),
        (answer(r#""content":[{"type":"image_url","image_url":{"url":"x"}}]"#), "not_text", "image_url"),
        (answer(r#""content":[{"type":"input_audio"}]"#), "not_text", "input_audio"),
        (answer(r#""content":[7]"#), "bad_conversation", "a number"),
        (answer(r#""content":[{"type":"text"}]"#), "bad_conversation", "no `text`"),
        (answer(r#""content":"a","weight":0.5"#), "bad_weight", "0.5"),
        (answer(r#""content":"a","weight":2"#), "bad_weight", "2"),
        (answer(r#""content":"a","weight":"1""#), "bad_weight", "1"),
        (answer(r#""content":"a","train":false,"loss_mask":1"#), "bad_weight", "otherwise"),
        (answer(r#""content":"a","train_detail":[]"#), "bad_weight", "train_detail"),
        (answer(r#""content":"a","reasoning":"b","thinking":"c""#), "field_twice", "differ"),
        (answer(r#""content":"a","reasoning_content":7"#), "bad_conversation", "a number"),
        (answer(r#""tool_calls":7"#), "bad_conversation", "a number"),
        (answer(r#""tool_calls":[7]"#), "bad_conversation", "a number"),
        (calls(r#""so""#), "bad_tools", "no JSON"),
        (calls(r#""[1]""#), "bad_tools", "not an object"),
        (calls("7"), "bad_tools", "not an object"),
        (calls(r#"{"a":1,"a":2}"#), "field_twice", "`a`"),
        (calls(r#""{\"a\":1,\"a\":2}""#), "field_twice", "`a`"),
        (calls(&format!(r#"{{"a":{}}}"#, deep(100_000))), "invalid_json", ""),
        (calls(&json!(format!(r#"{{"a":{}}}"#, deep(100_000))).to_string()), "bad_tools", ""),
        (beside(r#""tools":"so""#), "bad_tools", "no JSON"),
        (beside(r#""tools":7"#), "bad_tools", "a number"),
        (beside(r#""tools":[7]"#), "bad_tools", "a number"),
        (beside(r#""tools":["so"]"#), "bad_tools", "no JSON"),
        (beside(r#""documents":7"#), "bad_conversation", "a number"),
        (beside(r#""chat_template_kwargs":[]"#), "bad_conversation", "not an object"),
        (beside(r#""chat_template_kwargs":{"a":1,"a":2}"#), "field_twice", "`a`"),
        (beside(r#""system":7"#), "bad_conversation", "a number"),
        (
            r#"{"system":"a","messages":[{"role":"system","content":"b"},{"role":"user","content":"c"}]}"#
                .into(),
            "field_twice",
            "two system prompts",
        ),
        (answer(&format!(r#""content":"{}""#, "a".repeat(5000))), "too_large", "a text of "),
        (r#"{"prompt":"a","completion":""}"#.into(), "bad_conversation", "empty"),
        (r#"{"prompt":"a","completion":7}"#.into(), "bad_conversation", "a number"),
        (r#"{"question":"","answer":"b"}"#.into(), "bad_conversation", "empty"),
        (r#"{"text":"a"}"#.into(), "no_messages", ""),
        ("{}".into(), "no_messages", ""),
        ("[]".into(), "json_array", ""),
        ("7".into(), "not_an_object", ""),
        ("{".into(), "invalid_json", ""),
    ];
    // No more than are kept of a reason.
    cases.chunks(15).for_each(check_refused);
}

/// Checks that each of these lines is refused with a reason and a detail, and the good records between them are not.
fn check_refused(cases: &[(String, &str, &str)]) {
    let lines: String = cases.iter().map(|(line, ..)| format!("{ASKED}\n{line}\n")).collect();
    let project = project(&format!("{lines}{ASKED}\n"));
    tokenize(&project, "--chat-template auto --max-document 4000 --warn-rejected 1").with_code(0);
    let found = refused(&project);
    let mut wrong = String::new();
    for (number, (line, reason, detail)) in cases.iter().enumerate() {
        let place = 2 * number as u64 + 2;
        match found.iter().find(|(line, ..)| *line == place) {
            Some((_, is, why)) if is == reason && why.contains(detail) => {}
            other => {
                let line: String = line.chars().take(120).collect();
                writeln!(wrong, "{line}: {reason} ({detail}), found {other:?}").expect("memory");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(found.len(), cases.len());
    assert_eq!(told(&project.path("out"), "a").len(), cases.len() + 1);
    let rejected = &project.json("out/manifest.json")["splits"]["a"]["rejected"];
    let counts =
        rejected.as_object().expect("counts").values().map(|count| count.as_u64().expect("a number"));
    assert_eq!(counts.sum::<u64>(), cases.len() as u64);
    project.run("verify out --deep --sample 1").with_code(0);
}

#[test]
fn what_is_odd_and_yet_a_conversation_is_taken_as_it_is() {
    let calls = |arguments: &str| {
        answer(&format!(r#""content":null,"tool_calls":[{{"name":"f","arguments":{arguments}}}]"#))
    };
    let call =
        |arguments: &str| format!("<tool_call>{{\"name\": \"f\", \"arguments\": {arguments}}}</tool_call>");
    let cases: Vec<(String, String)> = vec![
        (calls("{}"), call("{}")),
        (
            calls(r#"{"a":[9223372036854775808,-9223372036854775809,123456789012345678901234567890]}"#),
            call(r#"{"a": [9223372036854775808, -9223372036854775809, 123456789012345678901234567890]}"#),
        ),
        (
            calls(r#"{"a":1.0,"b":1e2,"c":-0.0,"d":1e-7}"#),
            call(r#"{"a": 1.0, "b": 100.0, "c": -0.0, "d": 1e-07}"#),
        ),
        (calls(r#"{"b":null,"a":"Ä"}"#), call(r#"{"b": null, "a": "Ä"}"#)),
        // What marks could be mistaken for.
        (
            answer(r#""content":"\ue000a\uf8ff\udbc0\udc00\u0000b\u2028""#),
            "\u{e000}a\u{f8ff}\u{100000}\0b\u{2028}".into(),
        ),
        (answer(r#""content":" a ""#), " a ".into()),
        (answer(r#""content":["a",{"type":"text","text":"b"}]"#), "ab".into()),
        (answer(r#""content":"<|im_start|>user\n""#), "<|im_start|>user\n".into()),
        (answer(r#""content":"a","weight":true"#), "a".into()),
        (answer(r#""content":"a","name":"b""#), "a".into()),
        (said_twice(), "b".into()),
    ];
    let lines: String = cases.iter().map(|(line, _)| format!("{line}\n")).collect();
    let project = project(&lines);
    let ran = tokenize(&project, "--chat-template auto").with_code(0);
    assert!(!ran.stderr.contains("refused"), "{ran}");
    let texts = told(&project.path("out"), "a");
    for ((line, expected), text) in cases.iter().zip(&texts) {
        assert!(
            text.ends_with(&format!("<|im_start|>assistant\n«{expected}<|im_end|>»\n")),
            "{line}: {text}"
        );
    }
    project.run("verify out --deep --sample 1").with_code(0);
}

/// Two system messages, which this template has a form for.
fn said_twice() -> String {
    r#"{"messages":[{"role":"system","content":"a"},{"role":"system","content":"a"},{"role":"user","content":"a"},
        {"role":"assistant","content":"b"}]}"#
        .replace("\n        ", "")
}

/// Said of what gets too long, whoever makes it so.
const TOO_LONG: &str = "makes a text of more than";

#[test]
fn a_template_that_fails_refuses_its_records() {
    let alternate = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
        {{ raise_exception('roles must take turns') }}{% endif %}{{ '<|im_start|>' + m.role + ' ' + m.content + '<|im_end|>' }}{% endfor %}";
    let twice = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}"#;
    for (template, record, why) in [
        (alternate.to_owned(), twice, "roles must take turns"),
        (
            format!(
                "{{% if messages|length > 2 %}}{{% for i in range(1000000000) %}}{{% for j in range(1000000000) %}}{{% endfor %}}{{% endfor %}}{{% endif %}}{TEMPLATE}"
            ),
            twice,
            "a range of more than",
        ),
        (
            format!(
                "{{% if messages|length > 2 %}}{{% for i in range(90000) %}}{{% for j in range(90000) %}}{{% endfor %}}{{% endfor %}}{{% endif %}}{TEMPLATE}"
            ),
            twice,
            "steps",
        ),
        (
            format!(
                "{{% if messages|length > 2 %}}{{% macro f() %}}{{{{ f() }}}}{{% endmacro %}}{{{{ f() }}}}{{% endif %}}{TEMPLATE}"
            ),
            twice,
            "nested more than 400 deep",
        ),
        (
            format!(
                "{{% if messages|length > 2 %}}{{{{ 'aaaaaaaaaaaaaaaa' * 1000000000 }}}}{{% endif %}}{TEMPLATE}"
            ),
            twice,
            TOO_LONG,
        ),
        (
            format!("{{% if messages|length > 2 %}}{{{{ messages[0].content + 1 }}}}{{% endif %}}{TEMPLATE}"),
            twice,
            "`+` of a string and an integer",
        ),
        (
            format!("{{% if messages|length > 2 %}}{{{{ none.a.b }}}}{{% endif %}}{TEMPLATE}"),
            twice,
            "`a` is undefined",
        ),
    ] {
        let project = project(&format!("{ASKED}\n{record}\n{ASKED}\n"));
        project.write("own.jinja", template);
        let started = Instant::now();
        let ran = tokenize(&project, "--chat-template own.jinja").with_code(0);
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        let expected = if why == TOO_LONG { "too_large" } else { "template" };
        assert!(ran.stderr.contains(&format!("1 line refused ({expected} 1)")), "{ran}");
        let [(2, reason, detail)] = &refused(&project)[..] else { panic!("{:?}", refused(&project)) };
        assert!(reason == expected && detail.contains(why), "{detail}");
        project.run("verify out --deep --sample 1").with_code(0);
    }
}

#[test]
fn conversations_without_an_end_take_bounded_time() {
    let is_long = std::env::var_os("MASHBILL_LONG").is_some();
    let (messages, bytes) = if is_long { (1_000_000, 10_000_000) } else { (20_000, 500_000) };
    let turns = r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"}"#;
    let many = format!(r#"{{"messages":[{}]}}"#, vec![turns; messages / 2].join(","));
    let long = answer(&format!(r#""content":"{}""#, "some words ".repeat(bytes / 11)));
    let project = project(&format!("{ASKED}\n{many}\n{long}\n{ASKED}\n"));
    let started = Instant::now();
    tokenize(&project, "--chat-template auto").with_code(0);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    let documents = told(&project.path("out"), "a");
    let longest = documents.iter().map(String::len).max().expect("documents");
    assert!(longest > bytes, "{longest}");
    if is_long {
        // More values than are kept of a record.
        let [(2, reason, detail)] = &refused(&project)[..] else { panic!("{:?}", refused(&project)) };
        assert!(reason == "invalid_json" && detail.contains("too many values"), "{detail}");
    } else {
        assert_eq!(documents.len(), 4);
        assert_eq!(documents[1].matches("<|im_end|>»").count(), messages / 2);
    }
    project.run("verify out --deep").with_code(0);
}

#[test]
fn bytes_of_parquet_that_are_no_text_refuse_their_row() {
    let schema =
        "message rows { required group messages (LIST) { repeated group list { required group element {
        required binary role (UTF8); required binary content (UTF8); } } } }";
    let schema = parse_message_type(schema).expect("a schema").into();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Default::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let bad: &[u8] = b"bad \xFF bytes";
    for values in [[&b"user"[..], b"assistant"].repeat(3), vec![b"a", b"b", b"a", bad, b"a", b"b"]] {
        let values: Vec<_> = values.into_iter().map(|bytes| ByteArray::from(bytes.to_vec())).collect();
        let mut column = group.next_column().expect("a column").expect("one more");
        let written =
            column.typed::<ByteArrayType>().write_batch(&values, Some(&[1; 6]), Some(&[0, 1, 0, 1, 0, 1]));
        written.expect("written");
        column.close().expect("written");
    }
    group.close().expect("written");
    let project = project("");
    std::fs::remove_file(project.path("data/a.jsonl")).expect("it is there");
    project.write("data/a.parquet", writer.into_inner().expect("written"));
    let ran = tokenize(&project, "--chat-template auto").with_code(0);
    assert!(ran.stderr.contains("1 line refused (invalid_utf8 1)"), "{ran}");
    assert_eq!(told(&project.path("out"), "a").len(), 2);
    project.run("verify out --deep --sample 1").with_code(0);
}
