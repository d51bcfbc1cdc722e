//! `mashbill inspect` as its users meet it; a test reads a pipe, so there is no color.

use serde_json::Value;

use crate::project::Project;

const TALK: &str = "{\"id\":\"x\",\"source\":\"made\",\"text\":\"hello there, good morning\"}\n\
    {\"id\":\"y\",\"text\":\"one two three four five six seven eight nine ten eleven twelve\"}\n";

fn tokenized() -> Project {
    let project =
        Project::with(&[("data/a.jsonl", TALK), ("data/b.jsonl", "{\"id\":\"z\",\"text\":\"b\"}\n")]);
    project.tokenize("").with_code(0);
    project
}

#[test]
fn a_row_shows_borders_of_tokens_and_documents() {
    let project = tokenized();
    check!(project.run("inspect out"), @r"
    exit: 0
    --- stdout
    a, row 0 (shard_0000.parquet, row group 0, row 0)
    ── document 0, id x, source made: tokens 0–5 of 6
    hello| there|,| good| morning|<\|endoftext\|>
    ── document 62, id y: tokens 0–9 of 13
    one| two| three| four| five| six| seven| eight| nine| ten
    ");
    check!(project.run("inspect out --row 1 --tokens 3"), @r"
    exit: 0
    --- stdout
    a, row 1 (shard_0000.parquet, row group 0, row 1)
    ── document 62, id y: tokens 10–12 of 13
     eleven| twelve|<\|endoftext\|>*
    ── padding: 13 positions
    ");
}

#[test]
fn a_document_is_found_by_its_id_its_key_and_its_text() {
    let project = tokenized();
    let by_id = project.run("inspect out --doc y").with_code(0);
    assert!(by_id.stdout.contains("id y: tokens 0–9 of 13"), "{by_id}");
    assert!(by_id.stdout.contains("id y: tokens 10–12 of 13"), "{by_id}");
    assert!(!by_id.stdout.contains("document 0"), "{by_id}");
    assert_eq!(project.run("inspect out --doc 62").with_code(0).stdout, by_id.stdout);
    let by_text = project.run("inspect out --find twelve").with_code(0);
    assert!(by_text.stdout.starts_with("a, row 1 "), "{by_text}");
    check!(project.run("inspect out --doc nobody"), @r"
    exit: 2
    --- stderr
    error: the document `nobody` was not found in `out`
    hint: `mashbill inspect out --random` shows what there is
    ");
    // What was found is shown, also where it stands far from the row's beginning.
    check!(project.run("inspect out --find eight --tokens 4"), @r"
    exit: 0
    --- stdout
    a, row 0 (shard_0000.parquet, row group 0, row 0)
    … 11 tokens before (`--tokens 0` shows all)
    ── document 62, id y: tokens 0–9 of 13
     six| seven| eight| nine
    … and 1 more token (`--tokens 0` shows all)
    ");
    // Without a split all of them are looked through.
    let in_b = project.run("inspect out --find b --split b").with_code(0);
    assert!(in_b.stdout.starts_with("b, row 0 "), "{in_b}");
    let key = project.run("inspect out --doc z").with_code(0);
    assert!(key.stdout.starts_with("b, row 0 ") && key.stdout.contains("id z"), "{key}");
    let mut splits: Vec<_> = (0..20)
        .map(|seed| {
            project.run(&format!("inspect out --random --seed {seed}")).with_code(0).stdout[..1].to_owned()
        })
        .collect();
    splits.sort();
    splits.dedup();
    assert_eq!(splits, ["a", "b"]);
    check!(project.run("inspect out --row 7 --split b"), @r"
    exit: 2
    --- stderr
    error: row 7 of split `b`, which has 1 row, was not found in `out`
    hint: `mashbill inspect out --random` shows what there is
    ");
}

/// Keys are those of the whole input, wherever its shards begin.
#[test]
fn of_many_shards_only_the_one_concerned_is_opened() {
    let record = |number: usize| {
        format!("{{\"id\":\"n{number}\",\"text\":\"{}\"}}\n", "one two ".repeat(number % 7 * 10 + 1))
    };
    let records: Vec<String> = (0..12).map(record).collect();
    let project = Project::with(&[("data/a.jsonl", &records.concat())]);
    project.tokenize("--shard-size 0.000001").with_code(0);
    let manifest = project.json("out/manifest.json");
    let shards = manifest["splits"]["a"]["shard_list"].as_array().expect("shards");
    assert!(shards.len() > 2, "{manifest}");
    let mut key = 0;
    let mut texts = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let by_key = project.run(&format!("inspect out --doc {key}")).with_code(0).stdout;
        assert!(by_key.contains(&format!("── document {key}, id n{number}: tokens 0–")), "{by_key}");
        if number % 5 == 1 {
            assert_eq!(project.run(&format!("inspect out --doc n{number}")).with_code(0).stdout, by_key);
        }
        texts.push((key, by_key));
        key += record.len();
    }
    // With the second shard's table alone its documents are found by their keys, and rows are shown.
    let input = &shards[1]["input"];
    let range = |name: &str| input[name].as_u64().expect("a number") as usize;
    let (start, end) = (range("start"), range("end"));
    for table in shards.iter().map(|shard| shard["table"]["name"].as_str().expect("a name")) {
        if table != "shard_0001.documents" {
            std::fs::remove_file(project.path("out/a/_documents").join(table)).expect("it is there");
        }
    }
    let second = texts.iter().filter(|(key, _)| (start..end).contains(key));
    for (key, text) in second.clone() {
        assert_eq!(&project.run(&format!("inspect out --doc {key}")).with_code(0).stdout, text);
    }
    let first_row = shards[0]["file"]["rows"].as_u64().expect("a number");
    let row = project.run(&format!("inspect out --row {first_row}")).with_code(0).stdout;
    assert!(
        row.contains(&format!("(shard_0001.parquet, row group 0, row 0)\n── document {start}, id ")),
        "{row}"
    );
    assert!(second.count() > 1);
    // By a record's own id all tables are looked through.
    let ran = project.run("inspect out --doc n11").with_code(2);
    assert!(ran.stderr.contains("_documents/shard_0000.documents"), "{ran}");
}

#[test]
fn json_has_every_token_with_its_label() {
    let project = tokenized();
    let rows: Value =
        serde_json::from_str(&project.run("inspect out --json").with_code(0).stdout).expect("JSON");
    let first = &rows[0]["pieces"][0];
    assert_eq!((&first["id"], &first["doc_tokens"]), (&"x".into(), &6.into()));
    let tokens = first["tokens"].as_array().expect("tokens");
    assert_eq!(tokens[0]["text"], "hello");
    // Labels are the next token.
    assert!(tokens.windows(2).all(|pair| pair[0]["label"] == pair[1]["id"]));
}

#[test]
fn records_are_shown_as_they_are() {
    let project = tokenized();
    check!(project.run("inspect data --row 1"), @r"
    exit: 0
    --- stdout
    data/a.jsonl, line 2
    id: y
    text, 62 bytes:
    one two three four five six seven eight nine ten eleven twelve
    ");
    let found = project.run("inspect data/a.jsonl --find morning --json").with_code(0);
    let record: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!((&record["id"], &record["line"]), (&"x".into(), &1.into()));
    let random =
        |seed: &str| project.run(&format!("inspect data --random --seed {seed}")).with_code(0).stdout;
    assert_eq!(random("3"), random("3"));
    project.run("inspect data --doc nobody").with_code(2);
}

#[test]
fn without_the_tokenizer_ids_are_shown() {
    let project = tokenized();
    let ran = project.run("inspect out --tokenizer nowhere.json").with_code(0);
    assert!(ran.stderr.contains("only ids are shown: no tokenizer at `nowhere.json`"), "{ran}");
    assert!(ran.stdout.contains("31373|612|11|"), "{ran}");
    let ran = project.run("inspect out --tokenizer cl100k_base").with_code(0);
    assert!(ran.stderr.contains("only ids are shown: `cl100k_base` is not the tokenizer"), "{ran}");
}

#[test]
fn a_step_shows_its_documents_and_a_document_its_steps() {
    let project = tokenized();
    check!(project.run("inspect out --step 1 --batch-size 1 --world-size 2 --seed 5"), @r"
    exit: 0
    --- stdout
    step 1
    rank 0, row 0 of its batch: b, row 0
    ── b.jsonl, byte 0, id z: tokens 0–1
    rank 1, row 0 of its batch: a, row 1
    ── a.jsonl, byte 62, id y: tokens 10–12
    ");
    check!(project.run("inspect out --doc y --until 4 --batch-size 1 --world-size 2 --seed 5"), @r"
    exit: 0
    --- stdout
    document `y` of split `a`, steps before 4:
    step 0: rank 0, row 0 of its batch (row 0 of the dataset)
    step 1: rank 1, row 0 of its batch (row 1 of the dataset)
    step 2: rank 0, row 0 of its batch (row 0 of the dataset)
    step 2: rank 1, row 0 of its batch (row 1 of the dataset)
    step 3: rank 0, row 0 of its batch (row 0 of the dataset)
    ");
    let step = |flags: &str| -> Value {
        let ran = project.run(&format!("inspect out --batch-size 1 --world-size 2 --seed 5 --json {flags}"));
        serde_json::from_str(&ran.with_code(0).stdout).expect("JSON")
    };
    let found = step("--doc y --until 4");
    let steps = found["steps"].as_array().expect("steps");
    assert!(!steps.is_empty(), "{found}");
    for each in steps {
        let rows = step(&format!("--step {} --rank {}", each["step"], each["rank"]));
        let documents = rows["rows"][0]["documents"].as_array().expect("documents");
        assert!(documents.iter().any(|document| document["id"] == "y"), "{rows}");
    }
    check!(project.run("inspect out --step 1"), @r"
    exit: 2
    --- stderr
    error: `out` does not say what its loader was made with
    hint: give `--batch-size ROWS` (and `--seed`, `--world-size`), or for a loader with weights a file with the output of `DataLoader.recipe()` as PATH
    ");
    check!(project.run("inspect out --step 1 --batch-size 1 --rank 1"), @r"
    exit: 2
    --- stderr
    error: rank 1 is not one of the run's 1, counted from 0
    hint: without `--rank` the rows of all ranks are shown
    ");
    check!(project.run("inspect out --doc nobody --batch-size 1"), @r"
    exit: 2
    --- stderr
    error: the document `nobody` was not found in `out`
    hint: `mashbill inspect out --step 0` lists the documents of its first batch
    ");
    check!(project.run("inspect out --step 1 --batch-size 100"), @r"
    exit: 2
    --- stderr
    error: an epoch has 3 rows and a step takes 100: with the last batch dropped nothing is left
    hint: give the loader's own `--batch-size`
    ");
    project.write("run/loader.json", "{\"folder\":\"nowhere\"}");
    check!(project.run("inspect run --step 1"), @r"
    exit: 2
    --- stderr
    error: `run/loader.json` does not describe a loader: missing field `batch_size` at line 1 column 20
    hint: give a file with the output of `DataLoader.recipe()`
    ");
}
