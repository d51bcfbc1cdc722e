//! Every row of `docs/troubleshooting.md` is true: the trouble is made, and what is said of it is said.

use std::fs;
use std::path::Path;

use mashbill_store::folder_lock::FolderLock;

use crate::chats;
use crate::download::{download, hub as hub_of_datasets};
use crate::hub;
use crate::project::{Project, Ran};

const RECORD: &str = "{\"id\":\"a\",\"text\":\"hello world\"}\n";

/// The troubles by their names in the table, and what makes them.
const TROUBLES: &[Trouble] = &[
    ("No token for the Hub", || Project::new().run("doctor --tokenizer gpt2")),
    ("The tokenizer is gated", || from_hub(&hub::answering(401, "X-Error-Code: GatedRepo\r\n"))),
    ("The Hub cannot be reached", || from_hub("http://127.0.0.1:9")),
    ("No network, and the tokenizer is not in the cache", || {
        records(RECORD).run("tokenize --input data --tokenizer no/such")
    }),
    ("A dataset is gated", || download(&Project::new(), &hub_of_datasets(), "--dataset starcoder")),
    ("A download would be too large", || {
        download(&Project::new(), &hub_of_datasets(), "--dataset gsm8k --max-download 1kB")
    }),
    ("A downloaded file was changed", || {
        let project = downloaded();
        let path = project.path("data/math_reasoning/gsm8k.jsonl");
        let records = fs::read_to_string(&path).expect("it is there");
        fs::write(path, records.replace("Weng", "Wong")).expect("a file");
        project.run("verify data")
    }),
    ("A dataset of the lock is not there", || {
        let project = downloaded();
        fs::remove_dir_all(project.path("data/math_reasoning")).expect("it is there");
        project.run("verify data")
    }),
    ("The data is in folders below the input", || {
        Project::with(&[("data/chat/a.jsonl", RECORD)]).tokenize("")
    }),
    ("The file is one JSON object", || records("{\n\"data\": [\n{\"text\":\"a\"}\n]\n}\n").tokenize("")),
    ("Lines are not JSON", || records(&format!("not json\n{RECORD}")).tokenize("")),
    ("Which line is it?", || records(&format!("{RECORD}not json\n")).run("verify data")),
    ("A record appears twice", || records(&format!("{RECORD}{RECORD}")).run("verify data")),
    ("A shard is damaged", || {
        let project = tokenized();
        let path = project.path("out/a/shard_0000.parquet");
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[300] ^= 1;
        fs::write(path, bytes).expect("a file");
        project.run("verify out")
    }),
    ("Shards of another run lie in the folder", || {
        let project = tokenized();
        fs::copy(project.path("out/a/shard_0000.parquet"), project.path("out/a/shard_0099.parquet"))
            .expect("a file");
        project.run("verify out")
    }),
    ("The run was interrupted", || {
        let project = tokenized();
        fs::create_dir(project.path("out/.mashbill")).expect("a folder");
        project.run("verify out")
    }),
    ("Other options than last time", || {
        tokenized().run("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 8")
    }),
    ("The manifest is cut off", || {
        let project = tokenized();
        project.write("out/manifest.json", "{");
        project.run("verify out")
    }),
    ("The model trains on the wrong token", || records(RECORD).tokenize("")),
    ("The model trains on the prompts", || {
        chats::tokenize(&chats::project(chats::ASKED), "--chat-template auto")
    }),
    ("The model never stops", || {
        let project = chats::project(chats::ASKED);
        project.write("own.jinja", "{% for m in messages %}{{ m.content }}\n{% endfor %}");
        chats::tokenize(&project, "--chat-template own.jinja")
    }),
    ("Conversations are refused", || {
        let alone = r#"{"messages":[{"role":"user","content":"so?"}]}"#;
        chats::tokenize(&chats::project(alone), "--chat-template auto")
    }),
    ("There is no Python package to train with", || {
        let project = Project::new();
        let mut command = project.command("train --config train.yaml");
        project.finish(command.env("PATH", project.path("nothing")))
    }),
    ("Only one process may write", || {
        let project = tokenized();
        fs::create_dir(project.path("out/.mashbill")).expect("a folder");
        let _held =
            FolderLock::take(&project.path("out/.mashbill/lock"), "still-house").expect("nobody holds it");
        project.tokenize("--force")
    }),
];

/// A trouble's name and what makes it.
type Trouble = (&'static str, fn() -> Ran);

fn downloaded() -> Project {
    let project = Project::new();
    download(&project, &hub_of_datasets(), "--dataset gsm8k").with_code(0);
    project
}

fn records(text: &str) -> Project {
    Project::with(&[("data/a.jsonl", text)])
}

fn tokenized() -> Project {
    let project = records(RECORD);
    project.tokenize("").with_code(0);
    project
}

fn from_hub(endpoint: &str) -> Ran {
    let project = records(RECORD);
    let mut command = project.command("tokenize --input data --tokenizer meta-llama/Llama-3.2-1B");
    command
        .env_remove("HF_HUB_OFFLINE")
        .env("HF_ENDPOINT", endpoint)
        .env("XDG_CACHE_HOME", project.path("cache"));
    project.finish(&mut command)
}

/// Whether a line says this; `…` stands for names and numbers of another machine.
fn is_said(said: &str, stderr: &str) -> bool {
    let parts = || said.split('…');
    stderr.lines().any(|line| {
        parts().try_fold(line, |rest, part| Some(&rest[rest.find(part)? + part.len()..])).is_some()
    })
}

#[test]
fn every_row_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/troubleshooting.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').trim()).collect()
        })
        .collect();
    let named: Vec<&str> = rows.iter().skip(1).map(|row| row[0]).collect();
    let made: Vec<&str> = TROUBLES.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, made);
    let mut wrong = Vec::new();
    for (row, (name, make)) in rows.iter().skip(1).zip(TROUBLES) {
        let ran = make();
        for said in &row[1..] {
            if !is_said(said, &ran.stderr) {
                wrong.push(format!("{name}: `{said}` is not in\n{ran}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
