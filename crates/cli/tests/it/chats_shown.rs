//! Chats as people look at them: `inspect --messages`, the page of `report`, and what `doctor` says of templates.

use std::fs;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use crate::inputs::gzip;
use crate::project::{Project, Ran};
use crate::tokenizers::altered;

const TEMPLATE: &str = "{%- for m in messages %}{% if m.role == 'judge' %}{{ raise_exception('no judges') }}{% endif %}\
    {{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}";

const CHATS: &str = r#"{"id":"a","source":"web","messages":[{"role":"system","content":"Be nice."},{"role":"user","content":"é?"},{"role":"assistant","content":"é!"}]}
{"id":"b","source":"book","conversations":[{"from":"human","value":"one\ntwo"},{"from":"gpt","value":"three"},{"from":"human","value":"q"},{"from":"gpt","value":"z","weight":0}]}
{"id":"c","messages":[{"role":"user","content":"alone"}]}
{"id":"d","messages":[{"role":"judge","content":"x"},{"role":"assistant","content":"y"}]}
{"id":"e","text":"plain"}
{"id":"f","messages":[{"role":"user","content":"t"}],"tools":"{"}
not json
"#;

/// A tokenizer of bytes with the tokens of `ChatML`, and `template` as its own where there is one.
fn with_tokenizer(project: &Project, folder: &str, template: Option<&str>) {
    let tokens = ["<|im_start|>", "<|im_end|>"];
    let file = altered(|file| {
        for (id, token) in (260..).zip(tokens) {
            let added = json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                                "normalized": false, "special": true });
            file["added_tokens"].as_array_mut().expect("a list").push(added);
        }
    });
    project.write(&format!("{folder}/tokenizer.json"), file);
    let config = json!({ "eos_token": "<|im_end|>", "chat_template": template });
    project.write(&format!("{folder}/tokenizer_config.json"), config.to_string());
}

fn project() -> Project {
    let project = Project::with(&[("data/chats.jsonl", CHATS)]);
    with_tokenizer(&project, "tok", Some(TEMPLATE));
    project
}

fn tokenized() -> Project {
    let project = project();
    tokenize(&project, "--mixed");
    project
}

fn tokenize(project: &Project, flags: &str) -> Ran {
    project
        .run(&format!(
            "tokenize --input data --output out --tokenizer tok --max-seq-length 32 --threads 1 --chat-template auto {flags}"
        ))
        .with_code(0)
}

fn shown(project: &Project, flags: &str) -> Ran {
    project.run(&format!("inspect data --messages --tokenizer tok --chat-template auto {flags}"))
}

fn json_of(ran: Ran) -> Value {
    serde_json::from_str(&ran.with_code(0).stdout).expect("JSON")
}

/// The text of a view with its learned parts in brackets.
fn marked(view: &Value) -> String {
    let parts = view["text"]["parts"].as_array().expect("a text");
    let text = |part: &Value| part["text"].as_str().expect("a text").to_owned();
    parts
        .iter()
        .map(|part| if part["learned"] == true { format!("[{}]", text(part)) } else { text(part) })
        .collect()
}

#[test]
fn a_record_is_shown_with_what_becomes_of_it() {
    let project = project();
    check!(shown(&project, ""), @r#"
    exit: 0
    --- stdout
    data/chats.jsonl, line 1
    id: a
    source: web
    ── record, 146 bytes
    {"id":"a","source":"web","messages":[{"role":"system","content":"Be nice."},{"role":"user","content":"é?"},{"role":"assistant","content":"é!"}]}
    ── normal form, nothing changed
    1 system
      content: Be nice.
    2 user
      content: é?
    3 assistant
      content: é!
    ── text, 45 tokens: ⟦4 learned⟧, 6 of the template
    <|im_start|>system
    Be nice.<|im_end|>
    <|im_start|>user
    é?<|im_end|>
    <|im_start|>assistant
    ⟦é!<|im_end|>⟧
    "#);
    check!(shown(&project, "--doc b"), @r#"
    exit: 0
    --- stdout
    data/chats.jsonl, line 2
    id: b
    source: book
    ── record, 178 bytes
    {"id":"b","source":"book","conversations":[{"from":"human","value":"one\ntwo"},{"from":"gpt","value":"three"},{"from":"human","value":"q"},{"from":"gpt","value":"z","weight":0}]}
    ── normal form, changed: roles renamed 4
    1 user
      content: one
        two
    2 assistant
      content: three
    3 user
      content: q
    4 assistant, weight 0
      content: z
    ── text, 56 tokens: ⟦6 learned⟧, 8 of the template
    <|im_start|>user
    one
    two<|im_end|>
    <|im_start|>assistant
    ⟦three<|im_end|>⟧
    <|im_start|>user
    q<|im_end|>
    <|im_start|>assistant
    z<|im_end|>
    "#);
    // Without a tokenizer there is what is said.
    check!(project.run("inspect data --messages --row 1"), @r#"
    exit: 0
    --- stdout
    data/chats.jsonl, line 2
    id: b
    source: book
    ── record, 178 bytes
    {"id":"b","source":"book","conversations":[{"from":"human","value":"one\ntwo"},{"from":"gpt","value":"three"},{"from":"human","value":"q"},{"from":"gpt","value":"z","weight":0}]}
    ── normal form, changed: roles renamed 4
    1 user
      content: one
        two
    2 assistant
      content: three
    3 user
      content: q
    4 assistant, weight 0
      content: z
    --- stderr
    hint: `--tokenizer NAME --chat-template auto` shows its text, too, and what of it is learned
    "#);
    check!(project.run("inspect data --messages --row 1 --render plain --tokenizer gpt2"), @r#"
    exit: 0
    --- stdout
    data/chats.jsonl, line 2
    id: b
    source: book
    ── record, 178 bytes
    {"id":"b","source":"book","conversations":[{"from":"human","value":"one\ntwo"},{"from":"gpt","value":"three"},{"from":"human","value":"q"},{"from":"gpt","value":"z","weight":0}]}
    ── normal form, changed: roles renamed 4
    1 user
      content: one
        two
    2 assistant
      content: three
    3 user
      content: q
    4 assistant, weight 0
      content: z
    ── text, 21 tokens: ⟦21 learned⟧
    ⟦User: one
    two

    Assistant: three

    User: q

    Assistant: z⟧
    "#);
}

#[test]
fn a_refused_line_says_why_in_the_same_view() {
    let project = project();
    for (row, said) in [
        (2, "── refused, nothing_to_learn: no message is the assistant's"),
        (3, "── refused, template: no judges"),
        (4, "── refused, no_messages: no field that a conversation is made of"),
        (5, "── refused, bad_tools: "),
        (6, "── refused, invalid_json: "),
    ] {
        let ran = shown(&project, &format!("--row {row}")).with_code(0);
        assert!(ran.stdout.starts_with(&format!("data/chats.jsonl, line {}\n", row + 1)), "{ran}");
        assert!(ran.stdout.lines().any(|line| line.starts_with(said)), "{said}: {ran}");
        assert!(!ran.stdout.contains("── text"), "{ran}");
        // The same as in a run.
        let view = json_of(shown(&project, &format!("--row {row} --json")));
        tokenize(&project, "--force");
        let rejects = project.read("out/chats/chats_rejects.jsonl");
        let line = rejects.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let line = line.into_iter().find(|line| line["line"] == row + 1).expect("it is set aside");
        assert_eq!(
            (&view["refused"]["reason"], &view["refused"]["detail"]),
            (&line["reason"], &line["detail"])
        );
    }
    check!(shown(&project, "--row 7"), @r"
    exit: 2
    --- stderr
    error: record 7 was not found in `data`
    hint: `mashbill inspect data --random` shows what there is
    ");
    check!(shown(&project, "--find nothing"), @r#"
    exit: 2
    --- stderr
    error: the text "nothing" was not found in `data`
    hint: `mashbill inspect data --random` shows what there is
    "#);
}

/// What users spell like control tokens is shown as the run takes it.
#[test]
fn spelled_control_tokens_are_shown_as_a_run_takes_them() {
    let project = project();
    project.write(
        "data/chats.jsonl",
        r#"{"id":"s","messages":[{"role":"user","content":"<|im_end|>"},{"role":"assistant","content":"a"}]}"#,
    );
    let mut lengths = Vec::new();
    for how in ["encode", "split"] {
        let flags = format!("--special-tokens-in-text {how}");
        let before = json_of(shown(&project, &format!("{flags} --json")));
        tokenize(&project, &format!("{flags} --force"));
        let after = json_of(project.run("inspect out --messages --doc s --json"));
        for field in ["ids", "loss_spans", "learned_tokens"] {
            assert_eq!(before["text"][field], after[0]["text"][field], "{how}, {field}");
        }
        lengths.push(before["text"]["ids"].as_array().expect("ids").len());
    }
    // Ten bytes in the place of one token.
    assert_eq!(lengths[1], lengths[0] + "<|im_end|>".len() - 1);
    let ran = shown(&project, "--special-tokens-in-text reject").with_code(0);
    assert!(ran.stdout.contains("── refused, special_tokens: "), "{ran}");
    check!(project.run("inspect out --messages --special-tokens-in-text split"), @r"
    exit: 2
    --- stderr
    error: --special-tokens-in-text says what would become of records, and `out` is tokenized
    hint: without it the folder's manifest counts
    ");
}

/// What is shown before a run is what the run makes, token by token, and what is shown of its folder is what stands in it.
#[test]
fn a_document_is_shown_as_its_record_was() {
    let project = tokenized();
    for id in ["a", "b", "e"] {
        let before = json_of(shown(&project, &format!("--doc {id} --mixed --json")));
        let after = json_of(project.run(&format!("inspect out --messages --doc {id} --json")));
        let after = &after[0];
        for field in ["record", "normal_form", "changes", "id", "source", "line"] {
            assert_eq!(before[field], after[field], "{id}, {field}");
        }
        for field in ["ids", "loss_spans", "learned_tokens"] {
            assert_eq!(before["text"][field], after["text"][field], "{id}, {field}");
        }
    }
    let view = json_of(project.run("inspect out --messages --doc b --json"));
    let text = "<|im_start|>user\none\ntwo<|im_end|>\n<|im_start|>assistant\n[three<|im_end|>]\n\
                <|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nz<|im_end|>\n";
    assert_eq!(marked(&view[0]), text);
    check!(project.run("inspect out --messages --row 1 --tokens 12"), @r#"
    exit: 0
    --- stdout
    chats, row 1, document 0: tokens 32–44 of 45
    id: a
    source: web
    ── record, 146 bytes
    {"id":"a","source":"web","messages":[{"role":"system","content":"Be nice."},{"role":"user","content":"é?"},{"role":"assistant","content":"é!"}]}
    ── normal form, nothing changed
    1 system
      content: Be nice.
    2 user
      content: é?
    3 assistant
      content: é!
    ── text, 13 tokens: ⟦4 learned⟧
    sistant
    ⟦é!<|im_end|>⟧
    … and 1 more token (`--tokens 0` shows all)
    chats, row 1, document 147: tokens 0–18 of 56
    id: b
    source: book
    ── record, 178 bytes
    {"id":"b","source":"book","conversations":[{"from":"human","value":"one\ntwo"},{"from":"gpt","value":"three"},{"from":"human","value":"q"},{"from":"gpt","value":"z","weight":0}]}
    ── normal form, changed: roles renamed 4
    1 user
      content: one
        two
    2 assistant
      content: three
    3 user
      content: q
    4 assistant, weight 0
      content: z
    ── text, 19 tokens: ⟦0 learned⟧
    <|im_start|>user
    one
    tw
    … and 7 more tokens (`--tokens 0` shows all)
    "#);
}

/// Records are found again in every kind of file: by the row, by the place in what is unpacked, by the file of many.
#[test]
fn records_are_found_again_wherever_they_were() {
    let lines: Vec<String> =
        (0..12).map(|at| format!(r#"{{"id":"p{at}","prompt":"q{at}","completion":"a{at}"}}"#)).collect();
    let project = Project::new();
    with_tokenizer(&project, "tok", Some(TEMPLATE));
    project.write("data/rows.parquet", pairs(&["q0", "q1", "q2"], &["a0", "a1", "a2"]));
    project.write("data/packed.jsonl.gz", gzip((lines.join("\n") + "\n").as_bytes()));
    project.write("data/list.json", format!("[\n{}\n]", lines.join(",\n")));
    project.write("data/part-0-of-2.jsonl", format!("{}\n", lines[3]));
    project.write("data/part-1-of-2.jsonl", format!("{}\n\n{}\n", lines[7], lines[8]));
    tokenize(&project, "--split-names parts");
    let mut seen = 0;
    for split in project.json("out/manifest.json")["splits"].as_object().expect("splits").keys() {
        for row in 0.. {
            let ran = project.run(&format!("inspect out --messages --split {split} --row {row} --json"));
            if ran.code != Some(0) {
                break;
            }
            for view in json_of(ran).as_array().expect("documents") {
                let record = view["record"].as_str().unwrap_or_else(|| panic!("{split}: {view}"));
                let record: Value = serde_json::from_str(record).expect("JSON");
                let id = &record["prompt"].as_str().expect("a text")[1..];
                assert_eq!(record["completion"], format!("a{id}"));
                let text = marked(view).replace(['[', ']'], "");
                let whole =
                    format!("<|im_start|>user\nq{id}<|im_end|>\n<|im_start|>assistant\na{id}<|im_end|>\n");
                assert!(whole.contains(&text), "{split}: {text}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 3 + 12 + 12 + 3, "{seen}");
    let row =
        json_of(project.run(
            "inspect data/rows.parquet --messages --find q2 --tokenizer tok --chat-template auto --json",
        ));
    assert_eq!((&row["line"], &row["text"]["learned_tokens"]), (&json!(3), &json!(3)));
}

/// Rows without a text column are records where something is said in them, to `verify` and `report`, too.
#[test]
fn rows_of_what_is_said_are_records() {
    let project = Project::new();
    project.write("data/rows.parquet", pairs(&["q0", "q1", "q2"], &["a0", "a1", " "]));
    let found = page(&project, "data");
    assert_eq!((fact(&found, "Records"), fact(&found, "Conversations")), (&json!(2), &json!(2)), "{found}");
    let told = &found["verify"]["problems"];
    assert_eq!((&told[0]["where"], &told[1]), (&json!("rows.parquet, line 3"), &Value::Null), "{told}");
    project.write("data/rows.parquet", pairs(&["q0"], &["a0"]));
    project.run("verify data").with_code(0);
}

/// A Parquet file with the columns `prompt` and `completion`.
fn pairs(prompts: &[&str], completions: &[&str]) -> Vec<u8> {
    let schema = "message rows { required binary prompt (UTF8); required binary completion (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    for texts in [prompts, completions] {
        let mut column = group.next_column().expect("a column").expect("one more");
        let values: Vec<_> = texts.iter().map(|text| ByteArray::from(*text)).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.into_inner().expect("written")
}

#[test]
fn a_source_that_is_gone_or_was_changed_is_not_shown_for_another() {
    let project = tokenized();
    let record = |project: &Project| {
        let ran = project.run("inspect out --messages --doc b").with_code(0);
        assert!(ran.stdout.contains("⟦three<|im_end|>⟧"), "{ran}");
        let lines: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("── record")).collect();
        lines.join("\n")
    };
    assert!(record(&project).starts_with("── record, 1"), "{}", record(&project));
    project.write("data/chats.jsonl", CHATS.replace("three", "thred"));
    assert!(record(&project).ends_with("data/chats.jsonl` has changed since"), "{}", record(&project));
    project.write("data/chats.jsonl", &CHATS[10..]);
    assert!(record(&project).ends_with("data/chats.jsonl` has changed since"), "{}", record(&project));
    fs::remove_file(project.path("data/chats.jsonl")).expect("it is there");
    assert!(record(&project).ends_with("` is not there any more"), "{}", record(&project));
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    let project = tokenized();
    check!(project.run("inspect data --chat-template auto"), @r"
    exit: 2
    --- stderr
    error: --chat-template says how `--messages` shows records, which is not asked for
    hint: add `--messages`
    ");
    check!(project.run("inspect out --messages --loss-on all"), @r"
    exit: 2
    --- stderr
    error: --loss-on says what would become of records, and `out` is tokenized
    hint: without it the folder's manifest counts
    ");
    check!(project.run("inspect data --messages --mixed"), @r"
    exit: 2
    --- stderr
    error: --mixed needs --chat-template
    hint: give `--chat-template auto`, which takes the tokenizer's own
    ");
}

/// Whatever others wrote reaches the terminal spelled, and no text looks learned that is not.
#[test]
fn nothing_in_a_record_steers_the_terminal_or_forges_a_mark() {
    let project = Project::new();
    with_tokenizer(&project, "tok", Some(TEMPLATE));
    let record = json!({ "id": "\u{1b}[2J", "messages": [
        { "role": "us\u{1b}]er", "content": "⟦no⟧\u{1b}[31m\r\u{202e}", "na\u{9b}me": "x" },
        { "role": "assistant", "content": "\u{7f}yes" },
    ]});
    project.write("data/a.jsonl", format!("{record}\n"));
    let ran = shown(&project, "").with_code(0);
    assert!(ran.stdout.chars().all(|one| one == '\n' || !one.is_control() && one != '\u{202e}'), "{ran:?}");
    assert_eq!(ran.stdout.matches('⟧').count(), 4, "{ran}");
    assert!(
        ran.stdout.contains("\\u{27e6}no\\u{27e7}\\u{1b}[31m") && ran.stdout.contains("⟦\\u{7f}yes"),
        "{ran}"
    );
}

/// What the page's data say.
fn page(project: &Project, path: &str) -> Value {
    project.run(&format!("report {path} -o page.html"));
    let html = project.read("page.html");
    let (_, rest) = html.split_once("id=\"data\">").expect("data");
    serde_json::from_str(rest.split_once("</script>").expect("an end").0).expect("JSON")
}

fn fact<'a>(page: &'a Value, name: &str) -> &'a Value {
    let facts = page["facts"].as_array().expect("facts");
    facts.iter().find(|fact| fact[0] == name).map_or(&Value::Null, |fact| &fact[1])
}

#[test]
fn the_page_of_a_folder_shows_what_is_learned() {
    let project = tokenized();
    let found = page(&project, "out");
    let split = &project.json("out/manifest.json")["splits"]["chats"];
    let (learned, tokens) = (&split["ledger"]["learned_tokens"], &split["tokens"]);
    assert_eq!(found["learned"], json!([{ "name": "chats", "part": learned, "whole": tokens }]));
    let by_source = found["learned_by_source"].as_array().expect("sources");
    let sum = |field: &str| by_source.iter().map(|one| one[field].as_u64().expect("a number")).sum::<u64>();
    assert_eq!((json!(sum("part")), json!(sum("whole"))), (learned.clone(), tokens.clone()));
    let names: Vec<_> = by_source.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["(none)", "book", "web"]);
    for source in by_source.iter().filter(|one| one["name"] != "(none)") {
        let id = if source["name"] == "web" { "a" } else { "b" };
        let view = json_of(project.run(&format!("inspect out --messages --doc {id} --json")));
        assert_eq!(source["part"], view[0]["text"]["learned_tokens"], "{source}");
    }
    assert_eq!(found["changes"], json!([{ "name": "roles renamed", "amount": 4, "target": null }]));
    assert_eq!(fact(&found, "Records without loss"), 2);
    assert!(fact(&found, "Learned tokens").as_str().expect("a text").starts_with(&format!("{learned} (")));
    // A folder of texts has nothing of it.
    project.write("texts/a.jsonl", "{\"text\":\"hello\"}\n");
    project.run("tokenize --input texts --output plain --tokenizer gpt2 --max-seq-length 16").with_code(0);
    let plain = page(&project, "plain");
    assert_eq!((&plain["learned"], fact(&plain, "Learned tokens")), (&json!([]), &Value::Null));
}

#[test]
fn the_page_of_records_shows_who_speaks() {
    let project = project();
    let found = page(&project, "data");
    let roles = json!([
        { "name": "user", "amount": 4, "target": null }, { "name": "assistant", "amount": 4, "target": null },
        { "name": "judge", "amount": 1, "target": null }, { "name": "system", "amount": 1, "target": null },
    ]);
    let sorted = |list: &Value| {
        let mut list = list.as_array().expect("a list").clone();
        list.sort_by_key(|one| one["name"].as_str().map(str::to_owned));
        list
    };
    assert_eq!(sorted(&found["roles"]), sorted(&roles));
    assert_eq!(fact(&found, "Conversations"), 4);
    assert_eq!(fact(&found, "Messages"), 10);
    assert_eq!(fact(&found, "Nothing to learn"), 1);
    assert_eq!(found["changes"], json!([{ "name": "roles renamed", "amount": 4, "target": null }]));
    // Two lines are none: one that is no JSON, and one whose tools are none.
    assert_eq!(found["verify"]["errors"], 2);
}

fn findings(project: &Project, arguments: &str) -> Vec<String> {
    let ran = project.run(&format!("doctor --json {arguments}"));
    let all: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let chat = all.iter().filter(|one| one["what"].as_str().is_some_and(|what| what.contains("chat")));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    chat.map(|one| {
        format!(
            "{} {}: {} [{}]",
            text(&one["state"]),
            text(&one["what"]),
            text(&one["text"]),
            text(&one["hint"])
        )
    })
    .collect()
}

#[test]
fn doctor_says_what_a_template_does() {
    let project = tokenized();
    insta::assert_snapshot!(findings(&project, "--tokenizer tok").join("\n"), @r"
    ok chat template: `tokenizer_config.json`: marks in the text say what is learned; a turn ends with `<|im_end|>` []
    ok chat records: taken: system messages; left out of the text: tools, tool calls, reasoning []
    ");
    insta::assert_snapshot!(findings(&project, "--tokenizer gpt2 --output out").join("\n"), @r"
    ok chat template: none, which only records with messages need [take a chat model's tokenizer (`--tokenizer`): this one does not have the control tokens of `chatml` either]
    ok output's chat template: `tokenizer_config.json`: marks in the text say what is learned; a turn ends with `<|im_end|>` (made with --loss-on assistant) []
    ok output's chat records: taken: system messages; left out of the text: tools, tool calls, reasoning []
    ");
    for (folder, template) in [
        ("blocks", "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"),
        ("dated", "{{ strftime_now('%Y') }}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"),
        ("broken", "{% for m in messages %}"),
        ("missing", "{% for m in messages %}<|start_header_id|>{{ m.content }}{% endfor %}"),
    ] {
        with_tokenizer(&project, folder, Some(template));
    }
    let all: Vec<_> = ["blocks", "dated", "broken", "missing"]
        .into_iter()
        .flat_map(|folder| findings(&project, &format!("--tokenizer {folder}")))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    ok chat template: `tokenizer_config.json`: its generation blocks say what is learned; no token ends a turn []
    warning chat template: no end of a turn is learned: behind an answer the chat template has nothing, and no token that is known to end a turn, so a model does not learn to stop [take a template that ends turns with a control token; one that the tokenizer does not call an end is named with `--eos-token TOKEN`]
    ok chat records: taken: system messages; left out of the text: tools, tool calls, reasoning []
    ok chat template: `tokenizer_config.json`: marks in the text say what is learned; a turn ends with `<|im_end|>`; it asks for the date [give `mashbill tokenize` the date that the model is to see: `--date YYYY-MM-DD`]
    ok chat records: taken: system messages; left out of the text: tools, tool calls, reasoning []
    warning chat template: the chat template `tokenizer_config.json` cannot be used: `endfor` or `else` is expected, and the template ends (line 1 of the template) [give another one: `--chat-template FILE`, or `chatml`]
    warning chat template: the chat template `tokenizer_config.json` writes `<|start_header_id|>`, which the tokenizer does not have as a token [take the tokenizer of a chat model (`--tokenizer`), or a template of this tokenizer's own]
    ");
}
