//! Each error says what, where and why, and on a line of its own what to type next.

use std::fs;

use mashbill_store::folder_lock::FolderLock;

use crate::hub;
use crate::project::{Project, Ran};

const RECORD: &str = "{\"text\":\"hello world\"}\n";
const SECRET: &str = "hf_TheSecretThatNobodyMaySee";

/// A project with one file of one document.
fn one_file() -> Project {
    Project::with(&[("data/a.jsonl", RECORD)])
}

/// Asks for a tokenizer of the hub at `endpoint`, with or without a token.
fn from_hub(endpoint: &str, token: Option<&str>) -> Ran {
    let project = one_file();
    let mut command = project.command("tokenize --input data --tokenizer meta-llama/Llama-3.2-1B");
    command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", endpoint);
    command.env("XDG_CACHE_HOME", project.path("cache"));
    if let Some(token) = token {
        command.env("HF_TOKEN", token);
    }
    let ran = project.finish(&mut command);
    assert!(!ran.stderr.contains(SECRET) && !ran.stdout.contains(SECRET), "{ran}");
    assert!(!project.path("data_preprocessed").exists(), "nothing was written");
    ran
}

#[test]
fn an_input_that_is_not_there() {
    check!(Project::new().run("tokenize --input nope --tokenizer gpt2"), @r"
    exit: 2
    --- stderr
    error: `nope` does not exist
    hint: `--input` takes a file or a folder that exists
    ");
}

#[test]
fn a_folder_without_input() {
    let project = Project::with(&[("data/notes.txt", "")]);
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: no input files found in `data`, only `notes.txt`, which is not read
    hint: if it is one document: jq -Rs '{text: .}' data/notes.txt > data/notes.jsonl; supported are .jsonl, .ndjson and .json, also with .gz, .bz2, .xz, .zst or .zstd added, and .parquet
    ");
}

#[test]
fn a_folder_whose_input_is_deeper() {
    let project = Project::with(&[("data/code/a.jsonl", RECORD), ("data/chat/b.jsonl", RECORD)]);
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: no input files found in `data`
    hint: `--recursive` finds 2 files in the folders below
    ");
}

#[test]
fn a_file_of_another_kind() {
    let project = Project::with(&[("a.csv", "text\na\n")]);
    check!(project.run("tokenize --input a.csv --tokenizer gpt2"), @r#"
    exit: 2
    --- stderr
    error: `a.csv` is a file of a kind that is not read
    hint: if it has a column `text`: python3 -c "import csv, json; csv.field_size_limit(1 << 30); [print(json.dumps(row)) for row in csv.DictReader(open('a.csv', newline=''))]" > a.jsonl
    "#);
}

#[test]
fn two_files_of_the_same_name() {
    let project = Project::with(&[("data/code/a.jsonl", RECORD), ("data/chat/a.jsonl", RECORD)]);
    check!(project.tokenize("--recursive"), @r"
    exit: 2
    --- stderr
    error: two files would become the split `a`: `data/chat/a.jsonl` and `data/code/a.jsonl`
    hint: `--split-names path` names splits after their folders, too
    ");
    let project = Project::with(&[("data/a.jsonl", RECORD), ("data/a.jsonl.zst", "")]);
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: two files would become the split `a`: `data/a.jsonl` and `data/a.jsonl.zst`
    hint: give one of them another name
    ");
}

#[test]
fn an_output_given_as_input() {
    let project = one_file();
    project.tokenize("").with_code(0);
    check!(project.run("tokenize --input out --tokenizer gpt2"), @r"
    exit: 2
    --- stderr
    error: `out` is already tokenized
    hint: give the folder with the JSONL files as `--input`
    ");
}

#[test]
fn a_tokenizer_file_that_is_not_there() {
    check!(one_file().run("tokenize --input data --tokenizer ./llama3/tokenizer.json"), @r"
    exit: 2
    --- stderr
    error: no tokenizer at `./llama3/tokenizer.json`
    hint: check the path; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_folder_without_a_tokenizer() {
    let project = one_file();
    check!(project.run("tokenize --input data --tokenizer data"), @r"
    exit: 2
    --- stderr
    error: no tokenizer at `data/tokenizer.json`
    hint: check the path; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_tokenizer_file_that_is_damaged() {
    let project = one_file();
    project.write("tokenizer.json", "{\"model\":");
    check!(project.run("tokenize --input data --tokenizer tokenizer.json"), @r"
    exit: 2
    --- stderr
    error: tokenizer `tokenizer.json` cannot be used: its tokenizer.json is malformed: EOF while parsing a value at line 1 column 9
    hint: get the tokenizer's files again; Hugging Face tokenizers 0.23 must be able to load them
    ");
}

#[test]
fn a_tokenizer_that_is_not_in_the_cache_without_a_network() {
    check!(one_file().run("tokenize --input data"), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: `meta-llama/Llama-3.2-1B` at `main` is not in the cache `[TARGET]/cache/huggingface/hub`, and the network is switched off
    hint: unset HF_HUB_OFFLINE to fetch it, or give a tokenizer.json; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_hub_that_cannot_be_reached() {
    // Nobody listens on port 9; it takes two more tries to give up.
    check!(from_hub("http://127.0.0.1:9", Some(SECRET)), @r"
    exit: 2
    --- stderr
    cannot reach http://[HUB]; retrying in 1 s
    cannot reach http://[HUB]; retrying in 1 s
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: cannot reach http://[HUB]: the connection was refused
    hint: check the network, HTTPS_PROXY and HF_ENDPOINT, or give a tokenizer.json; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_gated_tokenizer() {
    let hub = hub::answering(401, "X-Error-Code: GatedRepo\r\n");
    check!(from_hub(&hub, None), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: `meta-llama/Llama-3.2-1B` is gated and without a token there is no access
    hint: ask for access at http://[HUB]/meta-llama/Llama-3.2-1B, then set HF_TOKEN or run `hf auth login`; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
    let hub = hub::answering(403, "X-Error-Code: GatedRepo\r\n");
    check!(from_hub(&hub, Some(SECRET)), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: `meta-llama/Llama-3.2-1B` is gated and the token from HF_TOKEN gives no access
    hint: ask for access at http://[HUB]/meta-llama/Llama-3.2-1B with that account; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_tokenizer_that_the_hub_does_not_know() {
    let hub = hub::answering(404, "X-Error-Code: RepoNotFound\r\n");
    check!(from_hub(&hub, Some(SECRET)), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: `meta-llama/Llama-3.2-1B` is not on http://[HUB], or it is private and the token from HF_TOKEN gives no access
    hint: check the name, and that the token's account may see it; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
    let hub = hub::answering(401, "X-Error-Code: RepoNotFound\r\n");
    check!(from_hub(&hub, None), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: `meta-llama/Llama-3.2-1B` is not on http://[HUB], or it is private and without a token there is no access
    hint: check the name; if it is private, set HF_TOKEN or run `hf auth login`; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_repository_without_a_tokenizer() {
    let hub = hub::answering(404, "X-Error-Code: EntryNotFound\r\n");
    check!(from_hub(&hub, None), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: `meta-llama/Llama-3.2-1B` has no file `tokenizer.json` at `main`
    hint: `meta-llama/Llama-3.2-1B` has no tokenizer.json: give one that has, or a file; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_token_that_is_not_accepted() {
    let hub = hub::answering(401, "X-Error-Message: Invalid credentials in Authorization header\r\n");
    check!(from_hub(&hub, Some(SECRET)), @r"
    exit: 2
    --- stderr
    error: tokenizer `meta-llama/Llama-3.2-1B` not found: http://[HUB] does not accept the token from HF_TOKEN
    hint: make a new token and set HF_TOKEN or run `hf auth login`; these tokenizers need no file and no network: gpt2, cl100k_base, o200k_base (`--tokenizer gpt2`)
    ");
}

#[test]
fn a_tokenizer_that_does_not_say_what_ends_a_document() {
    let project = one_file();
    let tokenizer = r#"{"version":"1.0","added_tokens":[],
        "model":{"type":"WordLevel","vocab":{"hello":0,"world":1,"[UNK]":2},"unk_token":"[UNK]"},
        "pre_tokenizer":{"type":"Whitespace"}}"#;
    project.write("tokenizer.json", tokenizer);
    check!(project.run("tokenize --input data --tokenizer tokenizer.json"), @r"
    exit: 2
    --- stderr
    error: the tokenizer `tokenizer.json` doesn't say which token ends a document
    hint: name it with `--eos-token TOKEN`, or put none after documents with `--no-eos`
    ");
    project.run("tokenize --input data --tokenizer tokenizer.json --eos-token [UNK]").with_code(0);
}

#[test]
fn an_eos_token_that_is_none() {
    check!(one_file().tokenize("--eos-token <|end|>"), @r"
    exit: 2
    --- stderr
    error: the token `<|end|>`, given with `--eos-token`, is not in the vocabulary
    hint: `--eos-token` takes a token of the vocabulary as it is spelled
    ");
}

#[test]
fn values_that_make_no_sense() {
    let project = one_file();
    let run = |arguments: &str| project.run(&format!("tokenize --input data --tokenizer gpt2 {arguments}"));
    check!(run("--max-seq-length 1"), @r"
    exit: 2
    --- stderr
    error: --max-seq-length 1 is out of range: 2 to 16777216 are possible
    hint: the default is --max-seq-length 8192
    ");
    check!(run("--max-seq-length 8k"), @r"
    exit: 2
    --- stderr
    error: invalid value '8k' for '--max-seq-length <TOKENS>': invalid digit found in string
    hint: `mashbill tokenize --help` says what it takes
    ");
    check!(run("--shard-size 0"), @r"
    exit: 2
    --- stderr
    error: --shard-size 0 is out of range: it is a size in GB, at least 0.000001
    hint: the default is --shard-size 2
    ");
    check!(run("--shard-size -1"), @r"
    exit: 2
    --- stderr
    error: --shard-size -1 is out of range: it is a size in GB, at least 0.000001
    hint: the default is --shard-size 2
    ");
    check!(run("--threads 0"), @r"
    exit: 2
    --- stderr
    error: --threads 0 is out of range: 1 to 1024 are possible
    hint: leave out --threads to use all cores
    ");
    check!(run("--threads 20000"), @r"
    exit: 2
    --- stderr
    error: --threads 20000 is out of range: 1 to 1024 are possible
    hint: leave out --threads to use all cores
    ");
    check!(run("--max-document 0"), @r"
    exit: 2
    --- stderr
    error: --max-document 0 is out of range: 1 to 1073741823 bytes are possible
    hint: the default is --max-document 256000000
    ");
    check!(run("--skip-existing --force"), @r"
    exit: 2
    --- stderr
    error: the argument '--skip-existing' cannot be used with '--force'

    Usage: mashbill tokenize --input <PATH> --tokenizer <NAME> --skip-existing
    hint: `mashbill tokenize --help` says what it takes
    ");
    check!(run("--tokeniser gpt2"), @r"
    exit: 2
    --- stderr
    error: unexpected argument '--tokeniser' found

      tip: a similar argument exists: '--tokenizer'

    Usage: mashbill tokenize --input <PATH> --tokenizer <NAME>
    hint: `mashbill tokenize --help` says what it takes
    ");
}

#[test]
fn an_output_that_is_a_file() {
    let project = one_file();
    project.write("out", "mine");
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: `out` is a file, but an output is a folder
    hint: give another folder as `--output`
    ");
    assert_eq!(project.read("out"), "mine");
}

#[cfg(unix)]
#[test]
fn an_output_that_may_not_be_written_to() {
    use std::os::unix::fs::PermissionsExt;
    let project = one_file();
    let folder = project.path("locked");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("it is ours");
    if fs::write(folder.join("probe"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    check!(project.run("tokenize --input data --tokenizer gpt2 --output locked/out"), @r"
    exit: 2
    --- stderr
    error: cannot create the folder `locked/out`: Permission denied (os error 13)
    hint: choose an `--output` that you can write to; `locked/out` is not one
    ");
}

#[test]
fn an_output_that_another_process_writes_to() {
    let project = one_file();
    fs::create_dir_all(project.path("out/.mashbill")).expect("a folder");
    let lock = FolderLock::take(&project.path("out/.mashbill/lock"), "still-house").expect("nobody holds it");
    check!(project.tokenize(""), @r"
    exit: 3
    --- stderr
    error: `out` is in use by process [PID] on [HOST]
    hint: wait for process [PID] on [HOST], or give another `--output`
    ");
    drop(lock);
    project.tokenize("").with_code(0);
}

#[test]
fn a_finished_split_that_is_different() {
    let project = one_file();
    project.tokenize("").with_code(0);
    let before = project.files("out");
    check!(project.run("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 32"), @r"
    exit: 2
    --- stderr
    error: the finished split `a` in `out` is different: --max-seq-length was 16 and is 32
    hint: `--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both
    ");
    project.write("data/a.jsonl", "{\"text\":\"something else\"}\n");
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    a: compared with its input, because its input had 23 bytes and has 26
    error: the finished split `a` in `out` is different: its input has changed
    hint: `--skip-existing` redoes those that differ, `--force` redoes all, another `--output` keeps both
    ");
    assert!(project.files("out") == before, "nothing was touched");
}

#[test]
fn finished_splits_of_another_input_that_are_different() {
    let project = Project::with(&[("data/a.jsonl", RECORD), ("other/b.jsonl", RECORD)]);
    project.tokenize("").with_code(0);
    let other = "tokenize --input other --output out --tokenizer gpt2";
    check!(project.run(other), @r"
    exit: 2
    --- stderr
    error: the finished split `a`, which is not in this input, is different: --max-seq-length was 16 and is 8192
    hint: give another `--output`, or give the input of all splits with `--force`
    ");
    fs::remove_file(project.path("data/a.jsonl")).expect("it was there");
    check!(project.run(other), @r"
    exit: 2
    --- stderr
    error: the finished split `a`, which is not in this input, is different: --max-seq-length was 16 and is 8192
    hint: `--prune` removes splits whose input is gone
    ");
}

#[test]
fn a_folder_with_files_of_somebody_else() {
    let project = one_file();
    project.write("out/a/thesis.txt", "years of work");
    check!(project.tokenize("--force"), @r"
    exit: 2
    --- stderr
    error: `out/a` holds `thesis.txt`, which is not mashbill's
    hint: give another `--output`, or move that folder away
    ");
    assert_eq!(project.read("out/a/thesis.txt"), "years of work");
}

#[test]
fn a_manifest_that_is_newer() {
    let project = one_file();
    project.tokenize("").with_code(0);
    let manifest = project.read("out/manifest.json");
    project.write("out/manifest.json", manifest.replace("\"format_version\": 2", "\"format_version\": 9"));
    check!(project.tokenize("--force"), @r"
    exit: 2
    --- stderr
    error: `out/manifest.json` has format_version 9, this mashbill reads 2
    hint: update mashbill
    ");
}

#[test]
fn a_manifest_that_is_damaged() {
    let project = one_file();
    project.tokenize("").with_code(0);
    project.write("out/manifest.json", "{");
    check!(project.tokenize(""), @r"
    exit: 2
    --- stderr
    error: `out/manifest.json` is damaged: it is cut off at line 1
    hint: `mv out/manifest.json out/manifest.json.bad`, then run the `mashbill tokenize` command that made it with `--force`; or copy the folder again from a good copy
    ");
    fs::remove_file(project.path("out/manifest.json")).expect("it was there");
    project.tokenize("--force").with_code(0);
}

#[test]
fn the_first_bad_line_with_strict() {
    let project = Project::with(&[("data/a.jsonl", "{\"text\":\"one\"}\n\n{\"txt\":\"two\"}\n{\n")]);
    check!(project.tokenize("--strict"), @r"
    exit: 2
    --- stderr
    error: `data/a.jsonl`, line 3: no field `text` (no_text)
    hint: without `--strict`, bad lines are set aside and the run continues
    ");
    assert!(!project.path("out/a").exists(), "an unfinished split has no final name");
}

#[test]
fn a_quickstart_that_trains_without_the_python_package() {
    let project = Project::new();
    check!(project.finish(project.command("quickstart --train").env("PATH", "")), @r"
    exit: 2
    --- stderr
    error: training needs mashbill's Python package, which `python3` does not have
    hint: pip install './python[train]' in mashbill's source tree, with the Python environment active; then run the command again
    ");
    assert!(!project.path("mashbill-quickstart").exists());
}

#[test]
fn data_of_a_quickstart_that_was_changed() {
    let project = Project::new();
    project.write("mashbill-quickstart/data/code/human_eval.jsonl", "mine");
    let ran = project.run("quickstart").with_code(3);
    let path = "`mashbill-quickstart/data/code/human_eval.jsonl`";
    let said = format!(
        "warning: human_eval is not downloaded: {path} already exists, and no download made it\nhint: rename that"
    );
    assert!(ran.stderr.contains(&said) && !project.path("mashbill-quickstart/tokenized").exists(), "{ran}");
    assert_eq!(project.read("mashbill-quickstart/data/code/human_eval.jsonl"), "mine");
}
