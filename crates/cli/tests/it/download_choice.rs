//! What `download` leaves, and that it says so; amounts and counts that are what they say.

use std::fs;
use std::path::Path;

use mashbill_stand_in::{Content, Fault, Repo, RepoType, Rule, StandIn};
use serde_json::json;

use crate::download::{TOKEN, download, hub, run};
use crate::project::{Project, Ran};

/// A download to another folder than `data`.
fn download_to(project: &Project, hub: &StandIn, output: &str, arguments: &str) -> Ran {
    let mut command = project.command(&format!("download --output {output} {arguments}"));
    project.finish(command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", hub.endpoint()))
}

/// A dataset with these files on the Hub.
fn put(hub: &StandIn, id: &str, files: &[(&str, &[u8])]) {
    let mut repo = Repo::new(RepoType::Dataset, id);
    for (path, bytes) in files {
        repo.put("main", path, Content::from(bytes.to_vec()));
    }
    hub.put(repo);
}

fn parquet() -> Vec<u8> {
    let file = "../../testdata/catalog/gsm8k/files/main/train-00000-of-00001.parquet";
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a sample")
}

const ROW: &[u8] = b"{\"text\": \"a row of JSON Lines\"}\n";

#[test]
fn one_of_two_formats_is_taken_with_a_word_and_the_other_when_it_is_asked_for() {
    let (project, hub) = (Project::new(), hub());
    put(&hub, "org/two", &[("data/train.jsonl", ROW), ("data/train.parquet", &parquet())]);
    let ran = download(&project, &hub, "--dataset org/two").with_code(0);
    for said in [
        "not taken: 1 file in another format (data/train.jsonl)",
        "warning: org__two has rows in several formats: its 1 file of .parquet is taken, 1 file in another format is not \
         (data/train.jsonl)",
        "hint: choose with `files`: give `--catalog own.toml` with `[[dataset]]`, `repo = \"org/two\"` and \
         `files = [\"**.jsonl\"]`",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
    let stats = project.json("data/custom/org__two.stats.json");
    assert_eq!(stats["untaken_files"][0]["why"], "other_format");
    assert_eq!(stats["untaken_files"][0]["examples"][0], "data/train.jsonl");
    // What the hint says to type.
    project.write("own.toml", "[[dataset]]\nrepo = \"org/two\"\nfiles = [\"**.jsonl\"]\n");
    let other = download_to(&project, &hub, "other", "--catalog own.toml --dataset org/two").with_code(0);
    assert!(!other.stderr.contains("several formats"), "{other}");
    assert!(project.read("other/custom/org__two.jsonl").contains("a row of JSON Lines"));
    // The lock knows it, so another machine is told, too.
    let elsewhere = Project::with(&[("data/curriculum.lock", &project.read("data/curriculum.lock"))]);
    let ran = download(&elsewhere, &hub, "--dataset org/two --dry-run --json").with_code(0);
    assert!(ran.stdout.contains("\"other_format\"") && ran.stderr.contains("several formats"), "{ran}");
}

#[test]
fn no_file_and_no_column_is_left_without_a_line() {
    let (project, hub) = (Project::new(), hub());
    let rows = b"{\"messages\": [{\"role\": \"user\", \"content\": \"hi\", \"weight\": 1}], \"prompt\": \"p\", \"id\": 7, \
                 \"score\": {\"a\": 1}}\n{\"messages\": [{\"role\": \"user\", \"content\": \"ho\"}], \"more\": 1}\n";
    let files: [(&str, &[u8]); 9] = [
        ("train.JSONL", rows),
        ("test.jsonl", ROW),
        ("README.md", b"# words"),
        (".gitattributes", b"x"),
        ("load.py", b"x"),
        ("all.zip", b"PK"),
        ("old.arrow", b"x"),
        ("train.tsv", b"x"),
        ("extra.csv", b"text\nx\n"),
    ];
    put(&hub, "org/many", &files);
    let ran = download(&project, &hub, "--dataset org/many").with_code(0);
    for said in [
        "not taken: 1 file in another format (extra.csv); 1 file for testing (test.jsonl); 3 files with an ending that is \
         not read (all.zip, old.arrow, train.tsv); 1 file of code (load.py); 1 file hidden by a dot (.gitattributes); \
         1 file about the dataset (README.md)",
        "4 columns of its rows not taken: id, more, prompt, score",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
    put(&hub, "org/twice", &[("a.jsonl", ROW), ("b.jsonl", ROW), ("c.jsonl", rows)]);
    let twice = download(&project, &hub, "--dataset org/twice --dry-run").with_code(0);
    assert!(twice.stdout.contains("the same bytes in 1 file, so the same rows twice: "), "{twice}");
    let limited = download_to(&project, &hub, "limited", "--dataset org/many --max-rows 1").with_code(0);
    assert!(limited.stderr.contains("stopped at the limit of 1 record"), "{limited}");
}

#[test]
fn what_was_changed_in_conversations_is_told_and_kept() {
    let (project, hub) = (Project::new(), hub());
    let rows = b"{\"conversations\": [{\"from\": \"human\", \"value\": \"hi\"}, {\"from\": \"gpt\", \"value\": null, \
                 \"tool_calls\": [{\"name\": \"f\", \"arguments\": \"{}\"}]}], \"tools\": \"[{}]\"}\n\
                 {\"conversations\": [{\"from\": \"human\", \"value\": \"hi\", \"weight\": 0.5}]}\n";
    put(&hub, "org/chat", &[("train.jsonl", rows)]);
    let ran = download(&project, &hub, "--dataset org/chat").with_code(0);
    let told = "changed: 2 roles renamed, 1 string of arguments read as JSON, 1 call put into `function`, \
                1 string of messages or tools read as JSON";
    assert!(ran.stderr.contains(told) && !ran.stderr.contains("not taken: "), "{ran}");
    let stats: serde_json::Value =
        serde_json::from_str(&project.read("data/custom/org__chat.stats.json")).expect("JSON");
    let changes = serde_json::json!({"roles_renamed": 2, "arguments_parsed": 1, "calls_wrapped": 1, "strings_parsed": 1});
    assert_eq!(stats["changes"], changes);
    assert_eq!(stats["counts"]["rejected"], serde_json::json!({"bad_weight": 1}));
    assert!(project.read("data/custom/org__chat_rejects.jsonl").contains("`weight` is 0.5, not 0 or 1"));
}

#[test]
fn a_budget_without_a_clear_unit_is_refused_with_those_that_are() {
    let (project, hub) = (Project::new(), hub());
    let plan = |budget: &str| {
        download(&project, &hub, &format!("--category factual_qa --dry-run --budget {budget}"))
    };
    let tokens = plan("300tokens").with_code(0).stdout;
    for same in ["300e0tokens", "0.0000003B", "0.0003m", "0.3K"] {
        assert_eq!(plan(same).with_code(0).stdout, tokens, "{same}");
    }
    for unclear in ["300", "5e9", "5G", "5X"] {
        let refused = plan(unclear).with_code(2);
        assert!(refused.stderr.contains("is not clear") && refused.stderr.contains("5Btokens"), "{refused}");
    }
    hub.clear_log();
    plan("5").with_code(2);
    assert!(hub.log().is_empty());
}

/// The tokens in a line, behind the last `about`.
fn about(text: &str, line: &str) -> u64 {
    let line = text.lines().find(|found| found.contains(line)).unwrap_or_else(|| panic!("{line}: {text}"));
    let number =
        line.split("about ").last().and_then(|rest| rest.split_whitespace().next()).expect("a number");
    number.replace(',', "").parse().expect("digits")
}

/// `1,234`.
fn with_commas(number: u64) -> String {
    assert!((1000..1_000_000).contains(&number), "{number}");
    format!("{},{:03}", number / 1000, number % 1000)
}

#[test]
fn about_so_many_tokens_is_one_number() {
    let (project, hub) = (Project::new(), hub());
    let rows: String = (0..200)
        .map(|n| {
            format!("{{\"prompt\": \"question {n}?\", \"response\": \"{}\"}}\n", "answer ".repeat(n % 9 + 1))
        })
        .collect();
    put(&hub, "org/talk", &[("train.jsonl", rows.as_bytes())]);
    let made = download(&project, &hub, "--dataset org/talk").with_code(0);
    let tokens = about(&made.stderr, "done org__talk");
    let stats = project.json("data/custom/org__talk.stats.json");
    assert_eq!(stats["est_tokens"], tokens);
    let named = download(&project, &hub, "--status-only --dataset org/talk").with_code(0);
    assert_eq!(about(&named.stdout, "org__talk "), tokens, "{named}");
    let shown = with_commas(tokens);
    // Where the catalogue doesn't know it any more, it is the same file.
    let unnamed = download(&project, &hub, "--status-only --category custom").with_code(0);
    assert!(
        unnamed.stdout.contains("downloaded ") && unnamed.stdout.contains(", from org/talk"),
        "{unnamed}"
    );
    let line = unnamed.stdout.lines().find(|line| line.contains("org__talk ")).expect("it is listed");
    assert!(line.contains(&format!("about {shown} tokens")), "{unnamed}");
    let budget = download(&project, &hub, "--dataset org/talk --budget 1B --dry-run").with_code(0);
    assert!(budget.stdout.contains(&format!("comes to {shown}")), "{shown}: {budget}");
    let budget = download(&project, &hub, "--category custom --budget 1B --dry-run").with_code(0);
    assert!(budget.stdout.contains(&format!("comes to {shown}")), "{shown}: {budget}");
}

#[test]
fn requests_are_as_many_as_it_says() {
    let (project, hub) = (Project::new(), hub());
    let ran = download(&project, &hub, "--category factual_qa --category math_reasoning").with_code(0);
    let line = ran.stderr.lines().find(|line| line.contains(" besides the ")).expect("a count");
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let counted: usize = numbers[numbers.len() - 2..].iter().sum();
    assert_eq!(hub.log().len(), counted, "{ran}");
}

#[test]
fn what_would_fail_again_is_not_said_to_be_tried_again() {
    let (project, hub) = (Project::new(), hub());
    put(&hub, "org/broken", &[("train.json", b"[{\"text\": \"a\"} oops")]);
    put(&hub, "org/empty", &[("README.md", b"nothing else")]);
    put(&hub, "org/other", &[("train.jsonl", b"{\"a\": 1}\n")]);
    let datasets = "--dataset org/broken --dataset org/empty --dataset org/other";
    let ran = download(&project, &hub, &format!("{datasets} --dataset gsm8k")).with_code(3);
    assert!(ran.stderr.contains("error: incomplete: 3 of 4 datasets were not downloaded: "), "{ran}");
    assert!(!ran.stderr.contains("to retry") && !ran.stderr.contains("again\n"), "{ran}");
    assert!(ran.stderr.contains("hint: it is like that on the Hub"), "{ran}");
    assert!(project.path("data/math_reasoning/gsm8k.jsonl").exists(), "the others go on");
    // What may be mended by itself is tried again.
    hub.fail(Rule { on: "MathInstruct.json".into(), times: 1000, fault: Fault::FlipByte(20) });
    let ran = download(&project, &hub, "--dataset org/other --dataset mathinstruct").with_code(3);
    assert!(ran.stderr.contains("\nhint: run the same command again to retry: mathinstruct\n"), "{ran}");
}

#[test]
fn where_the_token_goes_for_a_catalogue_of_somebodys_is_said() {
    let (project, hub) = (Project::new(), hub());
    put(&hub, "org/two", &[("train.jsonl", ROW)]);
    project.write("own.toml", "[[dataset]]\nrepo = \"org/two\"\n");
    let arguments = "--catalog own.toml --dataset org__two";
    let ran = run(&project, &hub, arguments, Some(TOKEN)).with_code(0);
    let said = "the token from HF_TOKEN is also sent to http://127.0.0.1:";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("for what `--catalog` names: org/two"), "{ran}");
    let ran = download_to(&project, &hub, "other", arguments).with_code(0);
    assert!(!ran.stderr.contains("the token"), "{ran}");
}

/// A Hub that sends what no Hub would, met by the whole command: it ends in time, with a line, and says nothing that
/// moves a terminal's cursor.
#[test]
fn a_hostile_hub_is_given_up_with_a_line() {
    let oid = "a".repeat(40);
    let listed = |path: &str, size: &str| {
        let path = serde_json::to_string(path).expect("a string");
        let body = format!("[{{\"type\":\"file\",\"path\":{path},\"size\":{size},\"oid\":\"{oid}\"}}]");
        Fault::Answer { status: 200, headers: Vec::new(), body }
    };
    let link = vec![("Link".to_owned(), "</api/again>; rel=\"next\"".to_owned())];
    let circle = Fault::Answer { status: 200, headers: link, body: "[]".to_owned() };
    for (fault, said) in [
        (listed("../../evil.jsonl", "1"), "that is not a path within a folder"),
        (listed("a\u{1b}[2J.jsonl", "1"), "that is not a path within a folder"),
        (listed("a.jsonl", "9223372036854775808"), "no file is as large as that"),
        (circle, "it leads back to a page that was read"),
    ] {
        let (project, hub) = (Project::new(), hub());
        put(&hub, "org/two", &[("train.jsonl", ROW)]);
        hub.fail(Rule { on: "org/two/tree/".into(), times: 1000, fault: fault.clone() });
        hub.fail(Rule { on: "/api/again".into(), times: 1000, fault });
        let ran = run(&project, &hub, "--dataset org/two --dataset gsm8k", Some(TOKEN)).with_code(3);
        assert!(
            ran.stderr.contains(said) && ran.stderr.contains("org__two is not downloaded"),
            "{said}: {ran}"
        );
        assert!(!ran.stderr.contains(['\u{1b}', '\u{9b}']) && !ran.stderr.contains(TOKEN), "{ran:?}");
        assert!(project.path("data/math_reasoning/gsm8k.jsonl").exists(), "the others go on");
    }
}

/// A dataset whose card has these configurations.
fn put_with_card(hub: &StandIn, id: &str, configs: serde_json::Value, files: &[&str]) {
    let mut repo = Repo::new(RepoType::Dataset, id);
    for path in files {
        repo.put("main", path, Content::from(format!("{{\"text\": \"{path}\"}}\n").into_bytes()));
    }
    repo.configs = Some(configs);
    hub.put(repo);
}

fn texts(project: &Project, name: &str) -> Vec<String> {
    let records = project.read(&format!("data/custom/{name}.jsonl"));
    let text =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("a record")["text"].to_string();
    records.lines().map(|line| text(line).trim_matches('"').to_owned()).collect()
}

#[test]
fn configurations_of_a_card_are_not_mixed_and_its_splits_are_not_trained_on() {
    let (project, hub) = (Project::new(), hub());
    let config = |name: &str, default: bool, splits: &[(&str, &str)]| {
        let files: Vec<_> =
            splits.iter().map(|(split, path)| json!({"split": split, "path": path})).collect();
        json!({"config_name": name, "default": default, "data_files": files})
    };
    let two = |default| {
        json!([
            config("main", default, &[("train", "main/train-*"), ("test", "main/test-*")]),
            config("socratic", false, &[("train", "socratic/*.jsonl")]),
        ])
    };
    let files = ["main/train-0.jsonl", "main/test-0.jsonl", "socratic/train-0.jsonl", "loose.jsonl"];
    put_with_card(&hub, "org/default", two(true), &files);
    let ran = download(&project, &hub, "--dataset org/default").with_code(0);
    for said in [
        "not taken: 2 files of another configuration (loose.jsonl, socratic/train-0.jsonl); 1 file for testing \
         (main/test-0.jsonl)",
        "warning: org__default has several configurations: 1 file is taken from its default one, 2 files of others are not \
         (loose.jsonl)",
        "`repo = \"org/default\"` and `files = [\"loose.jsonl\"]`",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
    assert_eq!(texts(&project, "org__default"), ["main/train-0.jsonl"]);

    put_with_card(&hub, "org/none", two(false), &files);
    let ran = download(&project, &hub, "--dataset org/none").with_code(3);
    for said in [
        "`org/none` has several configurations and no default: `main`, `socratic`",
        "`repo = \"org/none\"` and `files = [\"main/train-0.jsonl\"]`",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
    project.write("own.toml", "[[dataset]]\nrepo = \"org/none\"\nfiles = [\"socratic/**\"]\n");
    download(&project, &hub, "--catalog own.toml --dataset org/none").with_code(0);
    assert_eq!(texts(&project, "org__none"), ["socratic/train-0.jsonl"]);

    let splits =
        [("train_sft", "data/train_sft-*"), ("train_gen", "data/train_gen-*"), ("other", "data/other-*")];
    put_with_card(
        &hub,
        "org/splits",
        json!([config("default", false, &splits)]),
        &["data/train_sft-0.jsonl", "data/train_gen-0.jsonl", "data/other-0.jsonl"],
    );
    let ran = download(&project, &hub, "--dataset org/splits").with_code(0);
    let said = "not taken: 1 file of a split other than `train` (data/other-0.jsonl)";
    assert!(ran.stderr.contains(said) && !ran.stderr.contains("several configurations"), "{ran}");
    let mut found = texts(&project, "org__splits");
    found.sort();
    assert_eq!(found, ["data/train_gen-0.jsonl", "data/train_sft-0.jsonl"]);

    // A card that speaks of other files, as of those of another branch, says nothing.
    put_with_card(&hub, "org/elsewhere", two(false), &["a/train.jsonl", "b/more.jsonl", "b/dev-0.jsonl"]);
    let ran = download(&project, &hub, "--dataset org/elsewhere").with_code(0);
    assert!(ran.stderr.contains("not taken: 1 file for testing (b/dev-0.jsonl)"), "{ran}");
}

#[test]
fn a_card_cannot_keep_a_run_busy() {
    let (project, hub) = (Project::new(), hub());
    let names: Vec<String> = (0..400).map(|file| format!("{}{file}.jsonl", "a/".repeat(300))).collect();
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let patterns = vec!["**a".repeat(400); 300];
    put_with_card(&hub, "org/busy", json!([{"config_name": "default", "data_files": patterns}]), &paths);
    let ran = download(&project, &hub, "--dataset org/busy --dry-run").with_code(3);
    assert!(ran.stderr.contains("the card of `org/busy` has too many patterns for its files"), "{ran}");
}

#[test]
fn a_repository_without_a_file_to_train_on_says_what_it_has() {
    let (project, hub) = (Project::new(), hub());
    put(&hub, "org/test", &[("test.jsonl", ROW), ("rows.tsv", b"a\tb\n")]);
    let ran = download(&project, &hub, "--dataset org/test").with_code(3);
    for said in [
        "`org/test` has no file to train on whose name ends with .parquet, .jsonl, .json or .csv",
        "it has 1 file for testing (test.jsonl); 1 file with an ending that is not read (rows.tsv)",
        "`files = [\"test.jsonl\"]`",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran}");
    }
}
