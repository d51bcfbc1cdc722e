//! What is said of chats: how their labels are used, what a template does not do, and what to do about what was refused.

use std::fs;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::{ASKED, TEMPLATE, conversation, parquet, project, tokenize};
use crate::project::Ran;

/// A template whose turns end with no control token.
const HEADINGS: &str = "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n\n{% endfor %}";

/// That `ran` says these lines, in this order.
#[track_caller]
fn assert_told(ran: &Ran, lines: &[&str]) {
    let mut said = ran.stderr.lines();
    for line in lines {
        assert!(said.any(|found| found == *line), "{line}: {ran}");
    }
}

const ALL_LEARNED: &str = "labels are shifted already";
const PART_LEARNED: &str = "input_ids as labels would train on all, the prompts included";

#[test]
fn nobody_is_told_to_train_on_the_prompts() {
    let project = project(ASKED);
    let ran = tokenize(&project, "--chat-template auto").with_code(0);
    assert!(ran.stderr.contains(PART_LEARNED) && !ran.stderr.contains(ALL_LEARNED), "{ran}");
    assert!(
        ran.stderr.contains("label_convention=\"aligned\"") && !ran.stderr.contains("load_dataset"),
        "{ran}"
    );
    let card = project.read("out/README.md");
    for part in [
        "by the chat template chat\\_template.jinja",
        "What is learned is the turns of the assistant: `loss_spans`",
        "`input_ids` as labels would train on all of it",
        "label_convention=\"aligned\")",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains("give them `input_ids` as labels"), "{card}");
    tokenize(
        &project,
        "--chat-template auto --force --loss-on last-assistant --no-loss-on reasoning,tool-calls --mixed",
    )
    .with_code(0);
    let card = project.read("out/README.md");
    let learned = "the last turn of the assistant, without their reasoning and their tool calls, and all of what is no conversation:";
    assert!(card.contains(learned), "{card}");
    // Where all is learned, and without a template, it is as it was.
    for arguments in ["--chat-template auto --loss-on all", "--render plain"] {
        let ran = tokenize(&project, &format!("{arguments} --force")).with_code(0);
        assert!(ran.stderr.contains(ALL_LEARNED) && !ran.stderr.contains(PART_LEARNED), "{ran}");
    }
    assert!(project.read("out/README.md").contains("give them `input_ids` as labels"));
}

#[test]
fn a_template_that_ends_no_turn_is_told() {
    let project = project(ASKED);
    project.write("headings.jinja", HEADINGS);
    let note = "note: no end of a turn is learned: behind an answer the chat template has \"\\n\\n### user:\\n\", and no token that is \
                known to end a turn, so a model does not learn to stop";
    let hint = "hint: take a template that ends turns with a control token; one that the tokenizer does not call an end is named \
                with `--eos-token TOKEN`";
    assert_told(&tokenize(&project, "--chat-template headings.jinja").with_code(0), &[note, hint]);
    let doctor = |arguments: &str| project.run(&format!("doctor {arguments}"));
    let warning = note.replace("note: ", "warning: chat template: ");
    let ok =
        "ok chat template: `headings.jinja`: marks in the text say what is learned; no token ends a turn";
    assert_told(&doctor("--tokenizer tok --chat-template headings.jinja"), &[ok, &warning, hint]);
    let warning = warning.replace("chat template:", "output's chat template:");
    assert_told(&doctor("--output out"), &[&warning, hint]);
    // A token that is not called an end may be named, and blocks say by themselves what ends a turn.
    project.write("stop.jinja", HEADINGS.replace("\n\n{% endfor", "<|im_start|>{% endfor"));
    let ran = tokenize(&project, "--force --chat-template stop.jinja").with_code(0);
    assert!(
        ran.stderr.contains("behind an answer the chat template has \"<|im_start|>### user:\\n\""),
        "{ran}"
    );
    let ran = tokenize(&project, "--force --chat-template stop.jinja --eos-token <|im_start|>").with_code(0);
    assert!(!ran.stderr.contains("note:"), "{ran}");
    let block = |end: &str| {
        format!(
            "{{% for m in messages %}}{{% generation %}}{{{{ m.content }}}}{end}{{% endgeneration %}}<|im_end|>{{% endfor %}}"
        )
    };
    for (end, is_told) in [("<|im_end|>", false), ("", true)] {
        project.write("blocks.jinja", block(end));
        let ran = tokenize(&project, "--force --chat-template blocks.jinja").with_code(0);
        assert_eq!(ran.stderr.contains("note: no end of a turn is learned"), is_told, "{ran}");
    }
}

#[test]
fn what_a_template_has_for_rare_conversations_or_does_not_look_at_is_a_note() {
    let project = project(ASKED);
    project.write(
        "rare.jinja",
        format!("{{% if tools %}}<|tool_list|>{{% endif %}}{{{{ '<|' + '|>' }}}}{TEMPLATE}"),
    );
    let note = "note: the chat template spells `<|tool_list|>`, which the tokenizer does not have as a token: in conversations for which the \
                template writes it, it becomes letters";
    assert_told(&tokenize(&project, "--chat-template rare.jinja").with_code(0), &[note]);
    let arguments = "--chat-template auto --force --date 2026-01-02 --template-args {\"enable_thinking\":false,\"role\":1}";
    let ran = tokenize(&project, arguments).with_code(0);
    let date = "note: `--date` changes nothing: the chat template does not look at it";
    let argument = "note: the chat template does not look at `enable_thinking` of `--template-args`";
    assert_told(
        &ran,
        &[date, "hint: leave out `--date`", argument, "hint: correct the name, or leave it out"],
    );
    project.write("string.jinja", format!("{{{{ date_string }}}}{TEMPLATE}"));
    let ran = tokenize(&project, "--chat-template string.jinja --force --date 2026-01-02").with_code(0);
    let hint = "hint: it looks at `date_string`: --template-args '{\"date_string\": \"26 Jul 2024\"}'";
    assert_told(&ran, &[date, hint]);
    project.write("dated.jinja", format!("{{{{ strftime_now('%Y') }}}}{TEMPLATE}"));
    let ran = tokenize(&project, "--chat-template dated.jinja --force --date 2026-01-02").with_code(0);
    assert!(!ran.stderr.contains("note:"), "{ran}");
    let ran = tokenize(&project, "--chat-template rare.jinja --force --quiet").with_code(0);
    assert_eq!(ran.stderr, "");
}

/// A run over these records, and what `verify` says of its folder.
fn refused(records: &str, arguments: &str, code: i32) -> (Ran, Ran) {
    let project = project(records);
    let ran = tokenize(&project, &format!("--chat-template auto {arguments}")).with_code(code);
    assert!(!ran.stderr.contains("--text-field"), "{ran}");
    (ran, project.run("verify out").with_code(0))
}

#[test]
fn each_reason_has_a_hint_of_its_own() {
    let said = |role: &str, content: &str| {
        let messages = json!([{"role": role, "content": "a"}, {"role": "assistant", "content": content}]);
        json!({ "messages": messages }).to_string()
    };
    for (record, arguments, hint) in [
        (
            said("critic", "b"),
            "",
            "another template may take what this one refuses: `--chat-template NAME|FILE`",
        ),
        (
            r#"{"messages":[{"role":"user","content":"a"}]}"#.to_owned(),
            "",
            "something is learned of records in which an assistant speaks, unless its `weight` is 0; `--loss-on all` learns all that \
             is said",
        ),
        (
            ASKED.to_owned(),
            "--loss-on completion",
            "`--loss-on completion` learns only what a record has as `completion`, or behind its `prompt_messages`: `--loss-on assistant` \
             learns all answers",
        ),
        (
            said("user", "<|im_end|>"),
            "--special-tokens-in-text reject",
            "`--special-tokens-in-text encode` makes tokens of control tokens in what is said, `split` leaves them text",
        ),
        (said("user", &"b".repeat(500)), "--max-document 400", "`--max-document BYTES` takes longer ones"),
        (r#"{"messages":7}"#.to_owned(), "", "docs/chat.md has the forms of records that are read"),
    ] {
        let (ran, verified) = refused(&record, arguments, 3);
        let spaced = if arguments.is_empty() { String::new() } else { format!(" {arguments}") };
        let spaced = if spaced.starts_with(" --loss-on") { spaced } else { String::new() };
        let shows = format!(
            "hint: `mashbill inspect data/a.jsonl --messages --tokenizer tok --chat-template auto{spaced} --row 0` shows what becomes of one"
        );
        let last = "hint: correct the input or the flags for chats, then run the same command again";
        assert_told(&ran, &[&format!("hint: {hint}"), &shows, last]);
        let told = format!("hint: out/a/a_rejects.jsonl lists the first of them; {hint}");
        assert_told(&verified, &[&told]);
    }
}

#[test]
fn the_command_in_a_hint_shows_the_record_that_was_refused() {
    let alone = r#"{"messages":[{"role":"user","content":"alone"}]}"#;
    let project = project(&format!("{ASKED}\n{alone}\n"));
    let ran = tokenize(&project, "--chat-template auto").with_code(0);
    let hint = ran.stderr.lines().find(|line| line.contains("mashbill inspect")).expect("a hint");
    let command = hint.split('`').nth(1).expect("a command").strip_prefix("mashbill ").expect("ours");
    let shown = project.run(command).with_code(0).stdout;
    assert!(shown.contains("line 2\n") && shown.contains("── refused, nothing_to_learn"), "{shown}");
}

#[test]
fn messages_that_are_null_are_called_so() {
    let texts = r#"{"messages":null,"text":"so"}"#;
    let (ran, _) = refused(texts, "", 3);
    assert_told(
        &ran,
        &[
            "warning: a: 1 of 1 line has no messages; `messages` is null; they have `text`",
            "hint: `--mixed` takes records without messages, too, as their `text`",
        ],
    );
    let project = project(texts);
    tokenize(&project, "--chat-template auto --mixed").with_code(0);
    let (ran, _) = refused(r#"{"messages":null}"#, "", 3);
    let hint = "hint: give each record its messages: where they should be, it has null";
    assert_told(&ran, &["warning: a: 1 of 1 line has no messages; `messages` is null", hint]);
}

#[test]
fn another_share_than_was_asked_for_is_explained() {
    let record = |number: usize| {
        let question = format!("Question {}", number % 3);
        json!({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": format!("{number}")}]})
    };
    let project = project(&(0..90).map(|number| format!("{}\n", record(number))).collect::<String>());
    let ran = tokenize(&project, "--chat-template auto --val-fraction 0.6").with_code(0);
    let note = "of the documents, and --val-fraction asked for 60.0 %: conversations with the same first question stay together";
    assert!(ran.stderr.contains(note), "{ran}");
    let ran = tokenize(&project, "--render plain --val-fraction 0.6 --force").with_code(0);
    assert!(!ran.stderr.contains("stay together"), "{ran}");
}

#[test]
fn conversations_are_looked_at_as_such() {
    let project = project(ASKED);
    check!(project.run("inspect data/a.jsonl"), @r"
    exit: 2
    --- stderr
    error: no line in `data/a.jsonl` is a record with a text
    hint: its records are conversations: `mashbill inspect data/a.jsonl --messages`
    ");
    let ran = project.run("inspect data --messages --tokenizer tok").with_code(0);
    assert_told(&ran, &["hint: `--chat-template auto` shows its text, too, and what of it is learned"]);
    project.write("rows.parquet", parquet(&[conversation(0)]));
    let ran = project.run("inspect rows.parquet").with_code(2);
    let hints: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("hint: ")).collect();
    assert_eq!(
        hints,
        ["hint: its records are conversations: `mashbill inspect rows.parquet --messages`"],
        "{ran}"
    );
}

#[test]
fn a_column_under_another_name_is_to_be_renamed() {
    let project = project(ASKED);
    fs::remove_file(project.path("data/a.jsonl")).expect("it is there");
    for (name, hint) in [
        ("Messages", "rename the column `Messages` to `messages`"),
        (
            "turns",
            "rename the column with the conversations to `messages`; without `--chat-template` texts are taken",
        ),
    ] {
        let schema = format!("message rows {{ required binary {name} (UTF8); }}");
        let schema = parse_message_type(&schema).expect("a schema").into();
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Default::default()).expect("a writer");
        let mut group = writer.next_row_group().expect("a row group");
        let mut column = group.next_column().expect("a column").expect("one more");
        column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("[]")], None, None).expect("written");
        column.close().expect("written");
        group.close().expect("written");
        project.write("data/a.parquet", writer.into_inner().expect("written"));
        let ran = tokenize(&project, "--chat-template auto").with_code(3);
        let told = format!(
            "data/a.parquet`: it has no column that a conversation is made of: `messages`, `conversations`, `prompt`, `instruction`, \
             `question`, `problem` or `query`; its columns are: {name} (string)\nhint: {hint}\n"
        );
        assert!(ran.stderr.contains(&told), "{ran}");
    }
}

#[test]
fn doctor_takes_the_tokenizer_of_the_folder_and_the_template_that_is_named() {
    let project = project(ASKED);
    tokenize(&project, "--chat-template auto").with_code(0);
    let ran = project.run("doctor --output out").with_code(0);
    assert!(ran.stderr.contains("ok tokenizer: `tok` found"), "{ran}");
    fs::rename(project.path("tok"), project.path("moved")).expect("it is there");
    project.run("doctor --output out").with_code(0);
    let doctor = |arguments: &str| project.run(&format!("doctor --tokenizer moved {arguments}"));
    assert_told(
        &doctor("--chat-template chatml").with_code(0),
        &["ok chat template: `chatml`: marks in the text say what is learned; a turn ends with `<|im_end|>`"],
    );
    project.write("dated.jinja", format!("{{{{ strftime_now('%Y') }}}}{TEMPLATE}"));
    let ran = doctor("--chat-template dated.jinja").with_code(0);
    assert!(ran.stderr.contains("`dated.jinja`") && ran.stderr.contains("it asks for the date"), "{ran}");
    let ran = doctor("--chat-template dated.jinja --date 2026-01-02").with_code(0);
    assert!(!ran.stderr.contains("it asks for the date"), "{ran}");
    // A template that is asked for and cannot be used is a problem.
    project.write("odd.jinja", TEMPLATE.replace("<|im_start|>", "<|odd_start|>"));
    for (template, why) in
        [("odd.jinja", "writes `<|odd_start|>`"), ("nowhere", "no chat template is called `nowhere`")]
    {
        let ran = doctor(&format!("--chat-template {template}")).with_code(4);
        assert!(ran.stderr.contains("error: chat template: ") && ran.stderr.contains(why), "{ran}");
    }
}
