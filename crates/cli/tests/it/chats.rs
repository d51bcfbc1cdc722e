//! `tokenize --chat-template`: which template is taken, what becomes of records, what is learned, and what is said of it.

mod again;
mod refused;
mod told;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mashbill_format::documents::{self, Document};
use mashbill_format::layout::Output;
use mashbill_format::manifest::Manifest;
use mashbill_format::shard::ShardReader;
use parquet::basic::Type;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use crate::project::{Project, Ran, assert_same_output};
use crate::tokenizers;

/// A template as many are: a header with the role, what is said, an end; thoughts, calls and tools in tags of their own.
pub(crate) const TEMPLATE: &str = "\
{%- if tools %}{{ '<|im_start|>system\\n' + (tools | tojson) + '<|im_end|>\\n' }}{% endif -%}
{%- for m in messages %}
    {%- if m.role not in ['system', 'user', 'assistant', 'tool'] %}{{ raise_exception('an odd role: ' + m.role) }}{% endif %}
    {{- '<|im_start|>' + m.role + '\\n' }}
    {%- if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}
    {{- m.content or '' }}
    {%- for call in m.tool_calls or [] %}{{ '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{% endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The tokens that a tokenizer of bytes has besides.
const MORE: [&str; 6] = ["</s>", "so", "me", " w", "<|im_start|>", "<|im_end|>"];

/// A conversation of two.
pub(crate) const ASKED: &str =
    r#"{"messages":[{"role":"user","content":"some?"},{"role":"assistant","content":"some words"}]}"#;

/// A `tokenizer.json` with a token for each byte, and those with which turns begin and end.
pub(crate) fn tokenizer_json() -> String {
    tokenizers::altered(|file| {
        for (id, token) in (260..).zip(&MORE[4..]) {
            let added = json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                                "normalized": false, "special": true });
            file["added_tokens"].as_array_mut().expect("a list").push(added);
        }
    })
}

/// A project with that tokenizer and template in `tok`, and `records` in `data/a.jsonl`.
pub(crate) fn project(records: &str) -> Project {
    Project::with(&[
        ("data/a.jsonl", records),
        ("tok/tokenizer.json", &tokenizer_json()),
        ("tok/chat_template.jinja", TEMPLATE),
    ])
}

/// Runs `tokenize` in that project; `arguments` come after what is usual.
pub(crate) fn tokenize(project: &Project, arguments: &str) -> Ran {
    project
        .run(&format!("tokenize --input data --output out --tokenizer tok --max-seq-length 16 {arguments}"))
}

/// A conversation of many kinds, which `number` decides.
pub(crate) fn conversation(number: usize) -> Value {
    let words = "some words, and so on ".repeat(number * 7 % 5);
    let mut messages = Vec::new();
    if number.is_multiple_of(3) {
        messages.push(json!({"role": "system", "content": format!("You are number {number}.")}));
    }
    for turn in 0..=number % 3 {
        messages.push(json!({"role": "user", "content": format!("Question {number} {turn}? {words}")}));
        let mut answer = json!({"role": "assistant", "content": format!("{words}Ä日本 {turn}.")});
        if number.is_multiple_of(4) {
            answer["reasoning_content"] = json!("Well …");
        }
        messages.push(answer);
    }
    if number.is_multiple_of(5) {
        let call = json!({"type": "function", "function": {"name": "look", "arguments": {"at": number}}});
        messages.push(json!({"role": "user", "content": "Look."}));
        messages.push(json!({"role": "assistant", "content": "", "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "content": "<seen>"}));
        messages.push(json!({"role": "assistant", "content": "Seen.", "weight": number % 2}));
    }
    json!({"id": format!("c{number}"), "messages": messages})
}

/// So many of them, a line each.
pub(crate) fn conversations(count: usize) -> String {
    (0..count).map(|number| format!("{}\n", conversation(number))).collect()
}

/// The documents of a split, with the ids of each.
fn documents_of(folder: &Path, split: &str) -> Vec<(Document<String>, Vec<i32>)> {
    let output = Output::new(folder);
    let manifest = Manifest::read(&output.manifest()).expect("it is ours").expect("it is there");
    let mut all = Vec::new();
    for shard in &manifest.splits[split].shard_list {
        let Some((file, table)) = shard.file.as_ref().zip(shard.table.as_ref()) else { continue };
        let reader = ShardReader::open(&output.split(split).join(&file.name)).expect("a shard");
        let groups = reader.row_groups().map(|rows| rows.expect("rows").input_ids);
        let mut ids = groups.flatten().collect::<Vec<_>>().into_iter();
        for document in documents::read(&output.tables(split).join(&table.name)).expect("a table") {
            let document = document.expect("a document");
            let own = ids.by_ref().take(document.tokens as usize).collect();
            all.push((document, own));
        }
    }
    all
}

/// The text of each document, with what is learned in guillemets.
pub(crate) fn told(folder: &Path, split: &str) -> Vec<String> {
    let spelled = |id: i32| match u8::try_from(id) {
        Ok(byte) => vec![byte],
        Err(_) => MORE[id as usize - 256].as_bytes().to_vec(),
    };
    let text = |(document, ids): (Document<String>, Vec<i32>)| {
        let (mut bytes, mut ids) = (Vec::new(), ids.into_iter());
        let spans = match &document.loss_spans[..] {
            [] => vec![document.tokens as i32],
            spans => spans.to_vec(),
        };
        for (at, &length) in spans.iter().enumerate() {
            let run: Vec<u8> = ids.by_ref().take(length as usize).flat_map(spelled).collect();
            let (open, close) = if at % 2 == 1 { ("«", "»") } else { ("", "") };
            bytes.extend([open.as_bytes(), &run, close.as_bytes()].concat());
        }
        assert_eq!(ids.count(), 0, "spans cover a document");
        String::from_utf8(bytes).expect("a text")
    };
    documents_of(folder, split).into_iter().map(text).collect()
}

#[test]
fn a_template_is_taken_from_where_its_name_says() {
    let letter = |letter: &str| TEMPLATE.replacen("{%- for", &format!("{{{{- '{letter}' }}}}{{%- for"), 1);
    let with_tools = ASKED.replacen('{', r#"{"tools":[{"name":"a"}],"#, 1);
    let project = project(&format!("{ASKED}\n{with_tools}\n"));
    project.write("own.jinja", letter("F"));
    let list = json!({"chat_template": [
        {"name": "default", "template": letter("D")}, {"name": "rag", "template": letter("R")},
        {"name": "tool_use", "template": letter("T")},
    ]});
    project.write("list/tokenizer.json", tokenizer_json());
    project.write("list/tokenizer_config.json", list.to_string());
    project.write("files/tokenizer.json", tokenizer_json());
    project.write("files/tokenizer_config.json", r#"{"chat_template": "{{ 'not this one' }}"}"#);
    for (file, text) in [
        ("chat_template", "D"),
        ("additional_chat_templates/rag", "R"),
        ("additional_chat_templates/tool_use", "T"),
    ] {
        project.write(&format!("files/{file}.jinja"), letter(text));
    }
    project.write("one/tokenizer.json", tokenizer_json());
    project.write("one/tokenizer_config.json", json!({"chat_template": letter("D")}).to_string());
    let body = "<|im_start|>user\nsome?<|im_end|>\n<|im_start|>assistant\n«some words<|im_end|>»\n";
    let tools = "<|im_start|>system\n[{\"name\": \"a\"}]<|im_end|>\n";
    for (tokenizer, template, letters, name) in [
        ("list", "auto", ["D", "T"], "tokenizer_config.json"),
        ("list", "rag", ["R", "R"], "rag in tokenizer_config.json"),
        ("list", "tool_use", ["T", "T"], "tool_use in tokenizer_config.json"),
        ("files", "auto", ["D", "T"], "chat_template.jinja"),
        ("files", "rag", ["R", "R"], "rag in chat_template.jinja"),
        ("one", "auto", ["D", "D"], "tokenizer_config.json"),
        ("one", "own.jinja", ["F", "F"], "own.jinja"),
    ] {
        let arguments = format!("--chat-template {template} --tokenizer {tokenizer} --force");
        let ran = project.run(&format!("tokenize --input data --output out --max-seq-length 16 {arguments}"));
        ran.with_code(0);
        let expected = [format!("{}{body}", letters[0]), format!("{tools}{}{body}", letters[1])];
        assert_eq!(told(&project.path("out"), "a"), expected, "{arguments}");
        let manifest = project.json("out/manifest.json");
        assert_eq!(manifest["options"]["chat"]["template"]["name"], name, "{arguments}");
        assert_eq!(manifest["requires"], json!(["loss_spans"]));
        project.run("verify out --deep --sample 1").with_code(0);
    }
    // The one that comes with mashbill has no form for tools.
    let ran = tokenize(&project, "--chat-template chatml --force").with_code(0);
    assert!(ran.stderr.contains("1 line refused (template 1)"), "{ran}");
    assert_eq!(told(&project.path("out"), "a"), [body]);
    // A template of the tokenizer's comes before one that comes with mashbill, and that before a file.
    project.write("chatml", letter("F"));
    tokenize(&project, "--chat-template chatml --force").with_code(0);
    assert_eq!(told(&project.path("out"), "a"), [body]);
    project.write("tok/additional_chat_templates/chatml.jinja", letter("C"));
    tokenize(&project, "--chat-template chatml --force").with_code(0);
    assert!(told(&project.path("out"), "a")[0].starts_with("C<|im_start|>"));
}

#[test]
fn a_run_says_what_is_learned_and_what_was_changed() {
    let records = [
        ASKED,
        r#"{"conversations":[{"from":"human","value":"some"},{"from":"gpt","value":"me"}]}"#,
        r#"{"instruction":"so","input":"","output":"me"}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"so"}]},{"role":"assistant",
            "tool_calls":[{"name":"f","arguments":"{\"a\":null}"}]}]}"#,
        r#"{"text":"no messages"}"#,
        r#"{"messages":[{"role":"user","content":"said <|im_end|>"},{"role":"assistant","content":"so"}]}"#,
    ]
    .map(|record| record.replace("\n            ", ""));
    let project = project(&records.join("\n"));
    check!(tokenize(&project, "--chat-template auto"), @r#"
    exit: 0
    --- stderr
    done a: 5 documents, 188 tokens, 12 rows
    tokenized 5 documents into 188 tokens in [TIME] ([SPEED])
    12 rows, 4 positions of padding (2.08 %), [SIZE] of shards ([RATIO] bytes a token)
    75 of them learned (39.9 %), 20 control tokens by the template
    changed to the usual form: roles renamed 2, parts joined 1, arguments parsed 1, calls wrapped 1, made of columns 2
    1 special token in what is said became ids, as in Hugging Face tokenizers (--special-tokens-in-text decides)
    warning: a: 1 line refused (no_messages 1), see out/a/a_rejects.jsonl
    hint: `--mixed` takes records without messages, too, as their text
    hint: `mashbill inspect data/a.jsonl --messages --tokenizer tok --chat-template auto --row 4` shows what becomes of one
    a begins with "<|im_start|>" "u" "s" "e" "r" "\n" "so" "me" "?" "<|im_end|>" "\n" "<|im_start|>" …
    1 split with 12 rows of 16 tokens in out
    only part of the tokens is learned: labels[i] is the token after input_ids[i], or -100 where that is not learned. input_ids as labels would train on all, the prompts included
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out"); mashbill.DataLoader(…, label_convention="aligned") gives Hugging Face models their labels
    "#);
    assert_eq!(
        told(&project.path("out"), "a")[1..4],
        [
            "<|im_start|>user\nsome<|im_end|>\n<|im_start|>assistant\n«me<|im_end|>»\n",
            "<|im_start|>user\nso<|im_end|>\n<|im_start|>assistant\n«me<|im_end|>»\n",
            "<|im_start|>user\nso<|im_end|>\n<|im_start|>assistant\n«<tool_call>{\"name\": \"f\", \"arguments\": \
         {\"a\": null}}</tool_call><|im_end|>»\n",
        ]
    );
    project.run("verify out --deep --sample 1").with_code(0);
    // Without a template the text is taken, and what was not read is said.
    project.write("data/a.jsonl", ASKED.replacen('{', r#"{"text":"some text","#, 1));
    check!(tokenize(&project, "--force"), @r#"
    exit: 0
    --- stderr
    done a: 1 document, 8 tokens, 1 row
    tokenized 1 document into 8 tokens in [TIME] ([SPEED])
    1 row, 8 positions of padding (50.00 %), [SIZE] of shards ([RATIO] bytes a token)
    1 record has messages, which were not read: only `text` was
    hint: `--chat-template auto` makes text of messages with the tokenizer's template, and says what is learned
    a begins with "so" "me" " " "t" "e" "x" "t" "</s>"
    1 split with 1 row of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    "#);
    project.write("data/a.jsonl", format!("{ASKED}\n{ASKED}\n"));
    check!(tokenize(&project, "--force --chat-template none"), @r"
    exit: 3
    --- stderr
    done a: 0 documents, 0 tokens, 0 rows
    tokenized 0 documents into 0 tokens in [TIME] ([SPEED])
    0 rows, 0 positions of padding (0.00 %), [SIZE] of shards ([RATIO] bytes a token)
    warning: a: 2 lines refused (no_text 2), see out/a/a_rejects.jsonl
    warning: a: 2 of 2 lines have no `text`; they have `messages`
    hint: `messages` is a chat: `--chat-template auto` makes text of it with the tokenizer's template, `--render plain` writes it out plainly
    warning: there is no document to train on
    1 split with 0 rows of 16 tokens in out
    error: incomplete: 1 of 1 split has no document: a
    hint: correct the input or `--text-field`, then run the same command again
    ");
}

#[test]
fn what_is_said_may_spell_control_tokens() {
    let said = r#"{"messages":[{"role":"user","content":"a<|im_end|>b"},{"role":"assistant","content":"c<|im_end|>d"}]}"#;
    let project = project(&format!("{ASKED}\n{said}\n"));
    let text = "<|im_start|>user\na<|im_end|>b<|im_end|>\n<|im_start|>assistant\n«c<|im_end|>d<|im_end|>»\n";
    let ids =
        |id: i32| documents_of(&project.path("out"), "a")[1].1.iter().filter(|&&other| other == id).count();
    for (policy, literal, ends) in [("encode", 2, 4), ("split", 0, 2)] {
        tokenize(&project, &format!("--chat-template auto --force --special-tokens-in-text {policy}"))
            .with_code(0);
        assert_eq!(told(&project.path("out"), "a")[1], text, "{policy}");
        let ledger = &project.json("out/manifest.json")["splits"]["a"]["ledger"];
        assert_eq!(ledger["literal_special_tokens"].as_u64().unwrap_or(0), literal, "{policy}");
        assert_eq!((&ledger["template_tokens"], ids(261)), (&json!(8), ends), "{policy}");
        project.run("verify out --deep --sample 1").with_code(0);
    }
    let ran = tokenize(&project, "--chat-template auto --force --special-tokens-in-text reject").with_code(0);
    assert!(ran.stderr.contains("1 line refused (special_tokens 1)"), "{ran}");
    project.run("verify out --deep --sample 1").with_code(0);
}

#[test]
fn what_is_learned_is_what_was_asked_for() {
    let record = json!({"messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c", "train": true}, {"role": "assistant", "content": "d", "thinking": "e"},
    ]});
    let completion = json!({"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}], "completion": [{"role": "assistant", "content": "d"}]});
    let project = project(&format!("{record}\n{completion}\n"));
    let learned = |arguments: &str| {
        tokenize(&project, &format!("--chat-template auto --force {arguments}")).with_code(0);
        project.run("verify out --deep --sample 1").with_code(0);
        told(&project.path("out"), "a").iter().map(|text| of_guillemets(text)).collect::<Vec<_>>()
    };
    let end = "<|im_end|>";
    let thought = format!("<think>e</think>d{end}");
    assert_eq!(
        learned(""),
        [vec![format!("c{end}"), thought.clone()], vec![format!("b{end}"), format!("d{end}")]]
    );
    assert_eq!(learned("--loss-on last-assistant"), [vec![thought.clone()], vec![format!("d{end}")]]);
    assert_eq!(learned("--loss-on completion"), [vec![format!("d{end}")]]);
    let all = learned("--loss-on all");
    assert_eq!(all[1].len(), 1, "{all:?}");
    assert!(all[1][0].starts_with("<|im_start|>user\na") && all[1][0].ends_with("<|im_end|>\n"));
    assert!(all[0].len() == 2 && !all[0].concat().contains('b'), "{all:?}");
    let without = learned("--no-loss-on reasoning,tool-calls,generation-prompt");
    assert_eq!(without[0].concat(), format!("c{end}<think></think>d{end}"));
}

/// What stands in guillemets.
fn of_guillemets(text: &str) -> Vec<String> {
    text.split('«').skip(1).map(|part| part.split('»').next().expect("the end").to_owned()).collect()
}

/// As in transformers, where arguments are what Python reads of JSON.
#[test]
fn a_template_sees_its_arguments_as_they_were_written() {
    let project = project(ASKED);
    project.write("own.jinja", format!("{{{{ shown | tojson }}}}{TEMPLATE}"));
    let written =
        r#"{"shown":{"z":1,"a":[1.0,1e2,123456789012345678901234567890,-0,-0.0],"m":{"c":null,"b":"Ä"}}}"#;
    let shown =
        r#"{"z": 1, "a": [1.0, 100.0, 123456789012345678901234567890, 0, -0.0], "m": {"c": null, "b": "Ä"}}"#;
    let arguments = "--chat-template own.jinja --skip-existing --template-args";
    tokenize(&project, &format!("{arguments} {written}")).with_code(0);
    assert!(told(&project.path("out"), "a")[0].starts_with(&format!("{shown}<|im_start|>user")));
    project.run("verify out --deep --sample 1").with_code(0);
    // How they are spaced makes no difference, their order does.
    let mut command =
        project.command("tokenize --input data --output out --tokenizer tok --max-seq-length 16");
    command.args(arguments.split(' ')).arg(written.replace(',', ",\n "));
    let ran = project.finish(&mut command).with_code(0);
    assert!(ran.stderr.contains("1 finished split unchanged, skipped: a"), "{ran}");
    let other = written.replace(r#""c":null,"b":"Ä""#, r#""b":"Ä","c":null"#);
    let ran = tokenize(&project, &format!("{arguments} {other}")).with_code(0);
    assert!(ran.stderr.contains("a: redone, because --template-args is written otherwise"), "{ran}");
    assert!(told(&project.path("out"), "a")[0].contains(r#"{"b": "Ä", "c": null}"#));
    for (wrong, why) in [(r#"{"a":{"b":1,"b":2}}"#, "`b` stands twice"), (r#"{"a":"\ud800"}"#, "hex escape")]
    {
        let ran = tokenize(&project, &format!("{arguments} {wrong}")).with_code(2);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("hint: "), "{ran}");
    }
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let project = project(&conversations(150));
    project.write("data/b.jsonl", format!("{}nothing\n", conversations(20)));
    let arguments = "--chat-template auto --shard-size 0.00001 --val-fraction 0.2 --quiet";
    tokenize(&project, &format!("{arguments} --threads 1")).with_code(0);
    let shards = project.json("out/manifest.json")["splits"]["a"]["shards"].as_u64();
    assert!(shards > Some(3), "{shards:?}");
    std::fs::rename(project.path("out"), project.path("one")).expect("it is there");
    for threads in [2, 3, 7] {
        tokenize(&project, &format!("{arguments} --force --threads {threads}")).with_code(0);
        assert_same_output(&project.path("one"), &project.path("out"));
    }
    project.run("verify out --deep --sample 1").with_code(0);
}

/// Each record's role and content, and each tool's name and arguments, of which Arrow gives each the fields of all.
const MESSAGE: &str = "message rows {
    optional binary id (UTF8);
    optional group messages (LIST) { repeated group list { optional group element {
        optional binary role (UTF8); optional binary content (UTF8); optional int32 weight; } } }
    optional group tools (LIST) { repeated group list { optional group element {
        optional binary name (UTF8); optional group parameters {
            optional binary a (UTF8); optional binary b (UTF8); } } } }
}";

/// The column of a leaf: where it is in a record's lists, what it is within an element, and how deep.
const LEAVES: [(&str, &[&str], i16); 7] = [
    ("id", &[], 1),
    ("messages", &["role"], 4),
    ("messages", &["content"], 4),
    ("messages", &["weight"], 4),
    ("tools", &["name"], 4),
    ("tools", &["parameters", "a"], 5),
    ("tools", &["parameters", "b"], 5),
];

/// Those records as a Parquet file with nulls where they have nothing.
pub(crate) fn parquet(records: &[Value]) -> Vec<u8> {
    let schema = parse_message_type(MESSAGE).expect("a schema").into();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Default::default()).expect("a writer");
    let types: Vec<Type> =
        writer.schema_descr().columns().iter().map(|column| column.physical_type()).collect();
    let mut group = writer.next_row_group().expect("a row group");
    for ((field, path, depth), kind) in LEAVES.into_iter().zip(types) {
        let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            let found = &record[field];
            let items = match found {
                Value::Array(items) => items.as_slice(),
                other => std::slice::from_ref(other),
            };
            for (at, item) in items.iter().enumerate() {
                let leaf = path.iter().fold(item, |value, name| &value[name]);
                definitions.push(match (found, leaf) {
                    (Value::Null, _) => 0,
                    (_, Value::Null) => depth - 1,
                    _ => depth,
                });
                repetitions.push(i16::from(at > 0));
                values.extend(Some(leaf).filter(|leaf| !leaf.is_null()).cloned());
            }
        }
        let repetitions = (depth > 1).then_some(&repetitions[..]);
        let mut column = group.next_column().expect("a column").expect("one more");
        let written = if kind == Type::INT32 {
            let numbers: Vec<i32> =
                values.iter().map(|value| value.as_i64().expect("a number") as i32).collect();
            column.typed::<Int32Type>().write_batch(&numbers, Some(&definitions), repetitions)
        } else {
            let texts: Vec<_> =
                values.iter().map(|value| ByteArray::from(value.as_str().expect("a text"))).collect();
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&definitions), repetitions)
        };
        written.expect("written");
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.into_inner().expect("written")
}

#[test]
fn parquet_and_json_lines_of_the_same_conversations_give_the_same() {
    let record = |number: usize| {
        let mut messages =
            vec![json!({"role": "user", "content": format!("Question {number} <|im_end|> Ä")})];
        for turn in 0..=number % 3 {
            messages
                .push(json!({"role": "assistant", "content": format!("Answer {turn}"), "weight": turn % 2 }));
            messages.push(json!({"role": "assistant", "content": format!("So {number}")}));
        }
        let mut record = json!({"id": format!("{number}"), "messages": messages});
        if number.is_multiple_of(2) {
            record["tools"] =
                json!([{"name": "f", "parameters": {"a": "x"}}, {"name": "g", "parameters": {"b": "y"}}]);
        }
        record
    };
    let records: Vec<Value> = (0..40).map(record).collect();
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let project = project(&lines);
    project.write("data/b.parquet", parquet(&records));
    let ran = tokenize(&project, "--chat-template auto").with_code(0);
    assert!(ran.stderr.contains("nulls dropped 40"), "{ran}");
    let [a, b] = ["a", "b"].map(|split| documents_of(&project.path("out"), split));
    let of = |documents: &[(Document<String>, Vec<i32>)]| -> Vec<_> {
        documents
            .iter()
            .map(|(d, ids)| (d.id.clone(), d.content_hash, d.loss_spans.clone(), ids.clone()))
            .collect()
    };
    assert_eq!(a.len(), 40);
    assert_eq!(of(&a), of(&b));
    project.run("verify out --deep --sample 1").with_code(0);
}

#[test]
fn records_without_messages_are_taken_where_both_are_wanted() {
    let project = project(&format!("{ASKED}\n{{\"text\":\"so much\"}}\n{{\"body\":\"x\"}}\n"));
    let ran = tokenize(&project, "--chat-template auto").with_code(0);
    assert!(ran.stderr.contains("2 lines refused (no_messages 2)"), "{ran}");
    let ran = tokenize(&project, "--chat-template auto --mixed --force").with_code(0);
    assert!(ran.stderr.contains("1 line refused (no_text 1)"), "{ran}");
    let body = "<|im_start|>user\nsome?<|im_end|>\n<|im_start|>assistant\n«some words<|im_end|>»\n";
    // What is put around texts is not put around what a template makes.
    assert_eq!(told(&project.path("out"), "a"), [body, "«so much</s>»"]);
    project.run("verify out --deep --sample 1").with_code(0);
    project.write("data/a.jsonl", "{\"text\":\"so much\"}\n");
    let ran = tokenize(&project, "--chat-template auto --force").with_code(3);
    assert!(ran.stderr.contains("warning: a: 1 of 1 line has no messages; they have `text`\n"), "{ran}");
    assert!(
        ran.stderr.contains(
            "hint: without `--chat-template` texts are taken, and with `--mixed` texts and messages\n"
        ),
        "{ran}"
    );
}

/// An added token that is no special one is a control token where the template spells it, in texts beside it, too.
#[test]
fn texts_beside_conversations_may_spell_what_a_template_does() {
    let said = ASKED.replace("some words", "<think> <|im_end|>");
    let project = project(&format!("{said}\n{{\"text\":\"a <think> <|im_end|></s>\"}}\n"));
    let mut file: Value = serde_json::from_str(&tokenizer_json()).expect("JSON");
    let thinks = json!({ "id": 262, "content": "<think>", "single_word": false, "lstrip": false, "rstrip": false,
                         "normalized": false, "special": false });
    file["added_tokens"].as_array_mut().expect("a list").push(thinks);
    project.write("tok/tokenizer.json", file.to_string());
    for (policy, documents, literal) in [("encode", 2, 5), ("split", 1, 1)] {
        let arguments = format!("--chat-template auto --mixed --special-tokens-in-text {policy} --force");
        tokenize(&project, &arguments).with_code(0);
        let split = &project.json("out/manifest.json")["splits"]["a"];
        assert_eq!(
            (&split["samples"], &split["ledger"]["literal_special_tokens"]),
            (&json!(documents), &json!(literal))
        );
        project.run("verify out --deep --sample 1").with_code(0);
    }
}

#[test]
fn conversations_become_plain_text_on_request() {
    let records = [
        ASKED.to_owned(),
        json!({"question": "so?", "answer": "me", "system_prompt": "be brief"}).to_string(),
        json!({"text": "a text"}).to_string(),
        json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "weight": 0}]})
            .to_string(),
    ];
    let project = project(&records.join("\n"));
    let ran = tokenize(&project, "--render plain").with_code(0);
    assert!(ran.stderr.contains("changed to the usual form: roles renamed 2, made of columns 3"), "{ran}");
    assert_eq!(
        told(&project.path("out"), "a"),
        [
            "User: some?\n\nAssistant: some words</s>",
            "System: be brief\n\nUser: so?\n\nAssistant: me</s>",
            "a text</s>",
            "User: a\n\nAssistant: b</s>",
        ]
    );
    let manifest = project.json("out/manifest.json");
    assert!(manifest["requires"].is_null() && manifest["splits"]["a"]["ledger"]["learned_tokens"].is_null());
    assert_eq!(manifest["options"]["chat"], json!({"normal_form": 2}));
    project.run("verify out --deep --sample 1").with_code(0);
    // What is held out goes by the text.
    tokenize(&project, "--render plain --val-fraction 0.5 --force").with_code(0);
    project.run("verify out --deep --sample 1").with_code(0);
    tokenize(&project, "--render plain --force").with_code(0);
    // The texts are those of a file with them.
    let texts = [
        "User: some?\n\nAssistant: some words",
        "System: be brief\n\nUser: so?\n\nAssistant: me",
        "a text",
        "User: a\n\nAssistant: b",
    ];
    project.write("data/a.jsonl", texts.map(|text| json!({"text": text}).to_string()).join("\n"));
    let rendered = documents_of(&project.path("out"), "a");
    tokenize(&project, "--force").with_code(0);
    let plain = documents_of(&project.path("out"), "a");
    let of = |all: Vec<(Document<String>, Vec<i32>)>| {
        all.into_iter().map(|(d, ids)| (d.content_hash, ids)).collect::<Vec<_>>()
    };
    assert_eq!(of(rendered), of(plain));
}

#[test]
fn answers_to_one_question_are_on_one_side() {
    let record = |number: usize| {
        let system = json!({"role": "system", "content": format!("{number}")});
        let asked = json!({"role": "user", "content": format!("Question {}", number % 40)});
        json!({"messages": [system, asked, {"role": "assistant", "content": format!("Answer {number}")},
            {"role": "user", "content": format!("{number}")}, {"role": "assistant", "content": "so"}]})
    };
    let lines: String = (0..200).map(|number| format!("{}\n", record(number))).collect();
    let project = project(&lines);
    tokenize(&project, "--chat-template auto --val-fraction 0.3").with_code(0);
    let asked = |folder: &str| -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for text in told(&project.path(folder), "a") {
            let question = text.split("user\n").nth(1).expect("a user").split('<').next().expect("an end");
            *counts.entry(question.to_owned()).or_default() += 1;
        }
        counts
    };
    let (train, held_out) = (asked("out"), asked("out/_validation"));
    let keys = |counts: &BTreeMap<String, usize>| counts.keys().cloned().collect::<BTreeSet<_>>();
    assert!(keys(&train).is_disjoint(&keys(&held_out)));
    assert_eq!(train.len() + held_out.len(), 40);
    assert!(held_out.len() > 4 && train.values().chain(held_out.values()).all(|&count| count == 5));
    let ran = project.run("verify out --deep --sample 1").with_code(0);
    assert!(ran.stderr.contains("verified out/_validation: "), "{ran}");
}
