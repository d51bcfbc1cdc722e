//! A split without a document is no success: what its lines have instead is said, in every run, with what to type.

use std::process::Command;

use serde_json::Value;

use crate::project::{Project, Ran};

const GOOD: &str = "{\"text\":\"hello world\"}\n";

/// A project whose file `a.jsonl` has this line twelve times.
fn of_lines(line: &str) -> Project {
    Project::with(&[("data/a.jsonl", &format!("{line}\n").repeat(12))])
}

/// The lines of talk that begin with `warning:` or `hint:`.
fn said(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.starts_with("warning:") || line.starts_with("hint:")).collect()
}

/// Published shapes, and what is said of them.
const SHAPES: &[(&str, &str, &str)] = &[
    (
        r#"{"messages":[{"role":"user","content":"hi"}]}"#,
        "they have `messages`",
        "hint: `messages` is a chat: `--chat-template auto` makes text of it with the tokenizer's template",
    ),
    (
        r#"{"id":"1","conversations":[{"from":"human","value":"hi"}]}"#,
        "they have `conversations`, `id`",
        "hint: `conversations` is a chat",
    ),
    (
        r#"{"question":"q","answer":"a"}"#,
        "they have `answer`, `question`",
        "hint: `question` and `answer` are a chat of one question: `--chat-template auto`",
    ),
    (
        r#"{"instruction":"i","input":"","output":"o"}"#,
        "they have `input`, `instruction`, `output`",
        "hint: `instruction` and `output` are a chat of one question",
    ),
    (r#"{"prompt":"p","completion":"c"}"#, "they have", "hint: `prompt` and `completion` are a chat of one"),
    (
        r#"{"dialogue":[{"role":"user","content":"hi"}]}"#,
        "they have `dialogue`",
        "hint: `dialogue` is a chat under a name that is not read; this makes a text of each: jq -c",
    ),
    (
        r#"{"problem":"p","answer":"a"}"#,
        "they have `answer`, `problem`",
        "hint: pairs of `problem` and `answer` under these names are not read; this makes a text of each: jq -c",
    ),
    (
        r#"{"content":"c","url":"u"}"#,
        "they have `content`, `url`",
        "hint: `--text-field content` takes the texts",
    ),
    (
        r#"{"text":["a","b"]}"#,
        "the value of `text` is null or not a string",
        "warning: there is no document to train on",
    ),
    (r#"{"a":1,"b":2}"#, "they have `a`, `b`", "warning: there is no document to train on"),
];

#[test]
fn lines_without_a_text_say_what_they_have_in_every_run() {
    for (line, have, hint) in SHAPES {
        let project = of_lines(line);
        for again in ["", "", "--skip-existing", "--force"] {
            let ran = project.tokenize(again).with_code(3);
            let said = said(&ran).join("\n");
            let wanted = format!("warning: a: 12 of 12 lines have no `text`; {have}");
            assert!(said.contains(&wanted) && said.contains(hint), "{line}: {ran}");
        }
    }
}

/// What the hints say to type makes documents of published shapes, packed and in one array, too.
#[test]
fn what_the_hints_say_to_type_makes_texts() {
    if Command::new("jq").arg("--version").output().is_err() {
        println!("SKIPPED: there is no jq");
        return;
    }
    for (record, text) in [
        (
            r#"{"dialogue":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#,
            "user: hi\n\nassistant: ho",
        ),
        (r#"{"turns":[{"from":"human","value":"hi"}]}"#, "human: hi"),
        (r#"{"problem":"q","answer":"a"}"#, "q\n\na"),
        (r#"{"instruction":"i","input":"","answer":"o"}"#, "i\n\no"),
        (r#"{"instruction":"i","input":"x","answer":"o"}"#, "i\n\nx\n\no"),
    ] {
        for (name, content) in
            [("a.jsonl", format!("{record}\n{record}\n")), ("a.json", format!("[{record}, {record}]"))]
        {
            let project = Project::with(&[(&format!("data/{name}"), &content)]);
            let ran = project.tokenize("").with_code(3);
            let (_, command) =
                ran.stderr.split_once("this makes a text of each: ").expect("a command to type");
            let folder = project.path("").display().to_string();
            let command =
                command.lines().next().expect("a line").replace("[PROJECT]", folder.trim_end_matches('/'));
            let typed = Command::new("sh").args(["-c", &command]).current_dir(project.path("")).status();
            assert!(typed.expect("a shell").success(), "{command}");
            let lines = project.read("a_text.jsonl");
            assert_eq!(lines.lines().count(), 2, "{command}");
            for line in lines.lines() {
                let made: Value = serde_json::from_str(line).expect("a record");
                assert_eq!(made["text"], text, "{command}");
            }
            project
                .run("tokenize --input a_text.jsonl --output made --tokenizer gpt2 --max-seq-length 16")
                .with_code(0);
        }
    }
}

/// What is read as a chat becomes text by the flags of the hint, without another program.
#[test]
fn what_the_hints_say_of_chats_makes_documents() {
    for (record, text) in [
        (r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}"#, "User: hi"),
        (r#"{"conversations":[{"from":"human","value":"hi"}]}"#, "User: hi"),
        (r#"{"question":"q","answer":"a"}"#, "Assistant: a"),
        (r#"{"instruction":"i","input":"x","output":"o"}"#, "User: i"),
        (r#"{"prompt":"p","response":"r"}"#, "Assistant: r"),
    ] {
        let project = of_lines(record);
        let ran = project.tokenize("").with_code(3);
        assert!(ran.stderr.contains("`--render plain` writes it out plainly"), "{ran}");
        project.tokenize("--render plain").with_code(0);
        let shown = project.run("inspect out --messages --tokens 0").with_code(0);
        assert!(shown.stdout.contains(text), "{record}: {shown}");
    }
}

#[test]
fn texts_in_fields_of_two_names_are_all_named() {
    let lines = "{\"content\":\"c\"}\n{\"body\":\"b\"}\n".repeat(6);
    let project = Project::with(&[("data/a.jsonl", &lines)]);
    let ran = project.tokenize("").with_code(3);
    assert!(ran.stderr.contains("hint: `--text-field content --text-field body` takes the texts"), "{ran}");
    // Where nothing was made nothing is in the way.
    let ran = project.tokenize("--text-field content --text-field body").with_code(0);
    assert!(ran.stderr.contains("12 documents"), "{ran}");
}

#[test]
fn one_split_of_refused_lines_is_no_success_and_an_empty_file_is_told_apart() {
    let project = Project::with(&[
        ("data/a.jsonl", GOOD),
        ("data/b.jsonl", "not json\nat all\n"),
        ("data/c.jsonl", ""),
    ]);
    check!(project.tokenize(""), @r#"
    exit: 3
    --- stderr
    done a: 1 document, 3 tokens, 1 row
    done b: 0 documents, 0 tokens, 0 rows
    done c: 0 documents, 0 tokens, 0 rows
    tokenized 1 document into 3 tokens in [TIME] ([SPEED])
    1 row, 13 positions of padding (81.25 %), [SIZE] of shards ([RATIO] bytes a token)
    warning: b: 2 lines refused (invalid_json 2), see out/b/b_rejects.jsonl
    a begins with "hello" " world" "<|endoftext|>"
    warning: b: all 2 lines were refused (invalid_json 2)
    c: its file has no record
    hint: head -n 5 out/b/b_rejects.jsonl
    3 splits with 1 row of 16 tokens in out
    labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by themselves: give them input_ids as labels, not this column
    manifest: out/manifest.json
    hint: load it with mashbill.Dataset("out") or datasets.load_dataset("out")
    error: incomplete: 1 of 3 splits has no document: b
    hint: correct the input or `--text-field`, then run the same command again
    "#);
    let ran = project.run("verify out").with_code(0);
    for told in [
        "warning: b: it has no document: all of its 2 lines were refused (invalid_json 2) (refused)",
        "warning: c: it has no document: its file has no record (empty)",
        "warning: the folder: 2 of 3 splits have no document (empty)",
        "verified out, with 3 warnings:",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran}");
    }
    let ran = project.run("report out").with_code(0);
    assert!(ran.stderr.contains("warning: verify found 3 warnings"), "{ran}");
    project.write("data/b.jsonl", GOOD);
    project.tokenize("--skip-existing").with_code(0);
}

#[test]
fn nothing_at_all_is_no_success() {
    let project = Project::with(&[("data/a.jsonl", "")]);
    let ran = project.tokenize("").with_code(3);
    let expected = [
        "warning: there is no document to train on",
        "hint: correct the input or `--text-field`, then run the same command again",
    ];
    assert_eq!(said(&ran), expected, "{ran}");
    assert!(ran.stderr.contains("error: incomplete: 1 of 1 split has no document: a\nhint: "), "{ran}");
    let ran = project.tokenize("--skip-existing").with_code(3);
    assert_eq!(said(&ran), expected, "{ran}");
}

#[test]
fn documents_that_are_all_held_out_are_not_missing() {
    let project = Project::with(&[("data/a.jsonl", GOOD)]);
    project.tokenize("--val-fraction 0.999999").with_code(0);
}

#[test]
fn a_warning_comes_above_the_share_that_is_asked_for() {
    let content = format!("{}not json\n", GOOD.repeat(9));
    let project = Project::with(&[("data/a.jsonl", &content)]);
    let refused = "a: 1 line refused (invalid_json 1), see out/a/a_rejects.jsonl";
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains(&format!("warning: {refused}")), "{ran}");
    let ran = project.tokenize("--force --warn-rejected 0.2").with_code(0);
    assert!(ran.stderr.contains(&format!("\n{refused}")), "{ran}");
    // Of a finished split a later run says it again, where it is much.
    let ran = project.tokenize("--warn-rejected 0.2").with_code(0);
    assert!(!ran.stderr.contains(refused), "{ran}");
    let ran = project.tokenize("").with_code(0);
    assert!(ran.stderr.contains(&format!("warning: {refused}")), "{ran}");
    check!(project.tokenize("--warn-rejected 2"), @r"
    exit: 2
    --- stderr
    error: --warn-rejected 2 is not a share: 0 to 1 are possible
    hint: `--warn-rejected 0.05` warns where more than one line in twenty was refused
    ");
}

#[test]
fn the_text_is_in_the_first_field_that_a_record_has() {
    let lines = [
        r#"{"content":"from content"}"#,
        r#"{"content":"not this","text":"from text"}"#,
        r#"{"text":"from te\u0078t","content":"not\nthis"}"#,
        r#"{"text":null,"content":"from content"}"#,
        r#"{"content":"from content","text":null}"#,
        r#"{"text":7,"content":"a number is there, so it is refused"}"#,
        r#"{"text":null,"content":null}"#,
        r#"{"body":"nothing"}"#,
    ];
    let project = Project::with(&[("data/a.jsonl", &(lines.join("\n") + "\n"))]);
    project.tokenize("--text-field text --text-field content --text-field text").with_code(0);
    let manifest = project.json("out/manifest.json");
    assert_eq!(manifest["options"]["text_field"], "text");
    assert_eq!(manifest["options"]["other_text_fields"], serde_json::json!(["content"]));
    assert_eq!(
        manifest["splits"]["a"]["rejected"],
        serde_json::json!({ "no_text": 1, "text_not_string": 2 })
    );
    let expected = ["from content", "from text", "from text", "from content", "from content"];
    let same = expected.map(|text| format!("{{\"text\":\"{text}\"}}\n")).concat();
    let other = Project::with(&[("data/a.jsonl", &same)]);
    other.tokenize("").with_code(0);
    assert!(other.json("out/manifest.json")["options"].get("other_text_fields").is_none());
    let hashes = |project: &Project| -> Vec<u128> {
        let documents =
            mashbill_format::documents::read(&project.path("out/a/_documents/shard_0000.documents"));
        documents
            .expect("it is there")
            .map(|document| document.expect("it is whole").content_hash.0)
            .collect()
    };
    assert_eq!(hashes(&project), hashes(&other));
    project.run("verify out --deep").with_code(0);
    let ran = project.tokenize("").with_code(2);
    assert!(ran.stderr.contains("further --text-field was content and is not given"), "{ran}");
}

#[test]
fn the_other_commands_take_the_field_too() {
    let project = of_lines(r#"{"content":"from content"}"#);
    project.run("verify data").with_code(4);
    project.run("verify data --text-field content").with_code(0);
    project.run("verify data --text-field text --text-field content").with_code(0);
    let ran = project.run("inspect data --text-field content --json").with_code(0);
    let shown: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(shown["text"], "from content");
    project.run("report data --text-field content").with_code(0);
}
