//! Tokenizers that others made: with chance in them, with files as Python writes them, without an end, moved away.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::project::{Project, Ran};

/// A tokenizer with a token for each byte, and `</s>` with the id 256.
pub(crate) fn bytes() -> Value {
    let mut moved = 0x100;
    let letters = (0..=255_u8).map(|byte| match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
        _ => {
            moved += 1;
            char::from_u32(moved - 1).expect("68 letters from U+0100 on")
        }
    });
    let mut vocab: Map<String, Value> = letters.map(String::from).zip((0..).map(Value::from)).collect();
    vocab.insert("</s>".to_owned(), 256.into());
    for (id, pair) in (257..).zip(["so", "me", "Ġw"]) {
        vocab.insert(pair.to_owned(), id.into());
    }
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{ "id": 256, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                           "normalized": false, "special": true }],
        "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": null, "decoder": null,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                   "vocab": vocab, "merges": ["s o", "m e", "Ġ w"] },
    })
}

/// That tokenizer with a change.
pub(crate) fn altered(change: impl FnOnce(&mut Value)) -> String {
    let mut file = bytes();
    change(&mut file);
    file.to_string()
}

/// That tokenizer under other names than those that are well known, so that nothing says what ends a document.
fn without_end() -> String {
    altered(|file| {
        file["added_tokens"] = json!([]);
        file["model"]["vocab"].as_object_mut().expect("a vocabulary").remove("</s>");
        for (id, pair) in (256..).zip(["so", "me", "Ġw"]) {
            file["model"]["vocab"][pair] = id.into();
        }
    })
}

/// Words found by this pattern, then spelled in bytes.
pub(crate) fn words(pattern: &str) -> Value {
    json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false },
        { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
    ] })
}

fn project(tokenizer_json: &str) -> Project {
    let text = "{\"text\":\"some words, some more\"}\n{\"text\":\"and others\"}\n";
    let project = Project::with(&[("data/a.jsonl", text), ("tok/tokenizer.json", tokenizer_json)]);
    fs::create_dir(project.path("elsewhere")).expect("a folder");
    project
}

fn tokenize(project: &Project, arguments: &str) -> Ran {
    own_cache(
        project,
        &format!("tokenize --input data --output out --tokenizer tok --max-seq-length 16 {arguments}"),
    )
}

/// Runs the command with a cache of its own.
fn own_cache(project: &Project, arguments: &str) -> Ran {
    in_folder(project, arguments, "", "cache")
}

fn in_folder(project: &Project, arguments: &str, folder: &str, cache: &str) -> Ran {
    let mut command = project.command(arguments);
    command.env("XDG_CACHE_HOME", project.path(cache)).current_dir(project.path(folder));
    project.finish(&mut command)
}

#[test]
fn dropout_is_cleared_and_named() {
    let project = project(&altered(|file| file["model"]["dropout"] = 0.5.into()));
    let ran = tokenize(&project, "").with_code(0);
    assert!(ran.stderr.contains("note: the tokenizer's `dropout` is cleared"), "{ran}");
    let manifest = project.json("out/manifest.json");
    assert_eq!(manifest["tokenizer_identity"]["cleared"], json!(["dropout"]));
    let shard = fs::read(project.path("out/a/shard_0000.parquet")).expect("a shard");
    tokenize(&project, "--force").with_code(0);
    assert_eq!(fs::read(project.path("out/a/shard_0000.parquet")).expect("a shard"), shard);
    own_cache(&project, "verify out --deep --sample 1").with_code(0);
}

#[test]
fn files_beside_the_tokenizer_are_read_as_python_writes_them() {
    let project = project(&altered(|file| file["added_tokens"][0]["content"] = "<over>".into()));
    let over = 260;
    for (name, eos, contents) in [
        (
            "config.json",
            256,
            r#"{"eos_token_id":256,"time_step_limit":[0.0,Infinity],"x":[NaN,-Infinity,1e999]}"#,
        ),
        ("generation_config.json", 256, "\u{feff}{\"eos_token_id\":[256],\"max_length\":Infinity}"),
        ("special_tokens_map.json", over, r#"{"eos_token":"</s>","eos_token":{"content":"<over>"},"x":NaN}"#),
        ("tokenizer_config.json", over, r#"{"eos_token":"<over>","model_max_length":Infinity,"x":"\ud83d"}"#),
    ] {
        project.write(&format!("tok/{name}"), contents);
        tokenize(&project, "--force").with_code(0);
        assert_eq!(project.json("out/manifest.json")["tokenizer_identity"]["eos"]["id"], eos, "{name}");
        fs::remove_file(project.path("tok").join(name)).expect("it was written");
    }
}

#[test]
fn a_malformed_file_beside_the_tokenizer_stops_only_what_needs_it() {
    let project = project(&altered(|file| file["added_tokens"][0]["content"] = "<over>".into()));
    project.write("tok/config.json", "{\"eos_token_id\":");
    let ran = tokenize(&project, "").with_code(2);
    assert!(
        ran.stderr.contains("error: tokenizer `tok` cannot be used: its config.json is malformed: EOF"),
        "{ran}"
    );
    assert!(
        ran.stderr.contains("hint: correct `config.json`, or override it with `--eos-token TOKEN`"),
        "{ran}"
    );
    for instead in ["--eos-token <over>", "--no-eos --pad-token a"] {
        let ran = tokenize(&project, &format!("--force {instead}")).with_code(0);
        assert!(
            ran.stderr.contains("note: `config.json` of the tokenizer is malformed and was not needed"),
            "{ran}"
        );
    }
}

#[test]
fn what_is_missing_is_named_with_the_option_that_helps() {
    let project = project(&without_end());
    let ran = tokenize(&project, "").with_code(2);
    assert!(ran.stderr.contains("doesn't say which token ends a document"), "{ran}");
    assert!(ran.stderr.contains("`--eos-token TOKEN`, or put none after documents with `--no-eos`"), "{ran}");
    let ran = tokenize(&project, "--no-eos").with_code(2);
    assert!(ran.stderr.contains("has no token to pad with"), "{ran}");
    assert!(ran.stderr.contains("hint: name any token of the vocabulary with `--pad-token TOKEN`"), "{ran}");
    let ran = tokenize(&project, "--no-eos --pad-token nowhere").with_code(2);
    assert!(
        ran.stderr.contains("the token `nowhere`, given with `--pad-token`, is not in the vocabulary"),
        "{ran}"
    );
    tokenize(&project, "--no-eos --pad-token !").with_code(0);
    assert_eq!(project.json("out/manifest.json")["tokenizer_identity"]["pad"]["token"], "!");
    own_cache(&project, "verify out --deep --sample 1").with_code(0);
}

#[test]
fn what_the_reference_cannot_load_says_why_instead_of_what_is_missing() {
    for (broken, why) in [
        (altered(|file| file["model"]["merges"] = json!(["s nothing"])), "`nothing` out of vocabulary"),
        (altered(|file| file["model"]["dropout"] = 7.into()), "ropout"),
        (altered(|file| file["decoder"] = json!({ "type": "Nonsense" })), "can't load the tokenizer: "),
        (altered(|file| file["version"] = "2.0".into()), "Unknown tokenizer version '2.0'"),
        ("\u{feff}{}".to_owned(), "tokenizer `tok` cannot be used: its tokenizer.json is malformed"),
    ] {
        for without_end in [false, true] {
            let broken = if without_end { broken.replace("</s>", "<over>") } else { broken.clone() };
            let project = project(&broken);
            let ran = tokenize(&project, "").with_code(2);
            assert!(ran.stderr.contains(why), "{why}: {ran}");
            assert!(ran.stderr.contains("hint: "), "{ran}");
        }
    }
}

#[test]
fn the_tokenizer_is_found_again_from_anywhere() {
    let project = project(&altered(|_| {}));
    tokenize(&project, "").with_code(0);
    let shown = |folder: &str, path: &str, cache: &str| {
        let ran = in_folder(&project, &format!("inspect {path}"), folder, cache).with_code(0);
        assert!(!ran.stderr.contains("only ids are shown"), "{ran}");
        in_folder(
            &project,
            &format!("verify {path} --deep --source {}", project.path("data").display()),
            folder,
            cache,
        )
        .with_code(0);
        let ran = in_folder(&project, &format!("report {path} -o page.html"), folder, cache).with_code(0);
        assert!(!ran.stderr.contains("tokens are shown as ids"), "{ran}");
    };
    // From another working folder, where nothing is kept: beside the output folder.
    shown("elsewhere", "../out", "no-cache-1");
    // Moved away from its tokenizer: kept under its hash.
    fs::create_dir(project.path("far")).expect("a folder");
    fs::rename(project.path("out"), project.path("far/moved")).expect("it is there");
    fs::rename(project.path("tok"), project.path("elsewhere/renamed")).expect("it is there");
    shown("elsewhere", "../far/moved", "cache");
    // Another one under the name is not taken for it; beside the data it is.
    project.write("tok/tokenizer.json", altered(|file| file["normalizer"] = json!({ "type": "NFC" })));
    fs::copy(project.path("elsewhere/renamed/tokenizer.json"), project.path("far/moved/tokenizer.json"))
        .expect("a copy");
    shown("", "far/moved", "no-cache-2");
    fs::remove_file(project.path("far/moved/tokenizer.json")).expect("it is there");
    let ran = in_folder(&project, "verify far/moved --deep", "", "no-cache-3").with_code(2);
    assert!(
        ran.stderr.contains("the tokenizer `tok` that the folder was made with was not found; looked at ")
    );
    assert!(ran.stderr.contains("tok (another one)"), "{ran}");
    let sha256 = project.json("far/moved/manifest.json")["tokenizer_identity"]["sha256"].to_string();
    let hint = format!(
        "hint: name it with `--tokenizer PATH`: its tokenizer.json has the SHA-256 {}",
        sha256.trim_matches('"')
    );
    assert!(ran.stderr.contains(&hint), "{ran}");
    let ran = in_folder(&project, "verify far/moved --deep --tokenizer tok", "", "no-cache-4").with_code(2);
    assert!(ran.stderr.contains("`tok` is not the tokenizer that the folder was made with"), "{ran}");
    let named = "verify far/moved --deep --tokenizer elsewhere/renamed --source data";
    in_folder(&project, named, "", "no-cache-5").with_code(0);
}

/// Twelve megabytes of spaces are more than the reference can encode, by a pattern that looks for a line's end in them.
#[test]
fn a_text_that_the_reference_gives_up_is_checked_by_the_engine_only() {
    let cl100k = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let project = project(&altered(|file| file["pre_tokenizer"] = words(cl100k)));
    let spaces = " ".repeat(12_000_000);
    project.write("data/a.jsonl", format!("{{\"text\":\"some words\"}}\n{{\"text\":\"{spaces}\"}}\n"));
    tokenize(&project, "").with_code(0);
    let ran = own_cache(&project, "verify out --deep --sample 1").with_code(0);
    assert!(
        ran.stderr.contains("2 documents encoded again from the source, 1 of them (50.0 %) by the reference"),
        "{ran}"
    );
    assert!(ran.stderr.contains("1 document is more than the reference can encode"), "{ran}");
    assert!(!ran.stderr.contains("panicked"), "{ran}");
}

/// A pattern that tries every way to divide a run of `q`.
#[test]
fn a_text_that_the_reference_cannot_encode_is_refused_and_counted() {
    let project = project(&altered(|file| file["pre_tokenizer"] = words(r"(?:q|qq)+[!?]|\b.|.|\s")));
    project.write(
        "data/a.jsonl",
        format!("{{\"text\":\"some\"}}\n{{\"text\":\"{}\"}}\n{{\"text\":\"more\"}}\n", "q".repeat(60)),
    );
    let ran = tokenize(&project, "").with_code(0);
    assert!(ran.stderr.contains("1 line refused (not_encoded 1)"), "{ran}");
    assert!(!ran.stderr.contains("panicked"), "{ran}");
    let reject: Value = serde_json::from_str(&project.read("out/a/a_rejects.jsonl")).expect("one line");
    assert_eq!((&reject["line"], &reject["reason"]), (&2.into(), &"not_encoded".into()));
    own_cache(&project, "verify out --deep --sample 1").with_code(0);
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_can_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project(&altered(|_| {}));
    let folder = project.path("cache/mashbill");
    tokenize(&project, "").with_code(0);
    assert!(folder.join("verdicts").exists());
    assert_eq!(fs::metadata(&folder).expect("a folder").permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(folder.join("verdicts")).expect("it is there");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let ran = tokenize(&project, "--force").with_code(0);
    assert!(ran.stderr.contains("is not used: everybody can write to "), "{ran}");
    assert!(ran.stderr.contains("hint: chmod go-w "), "{ran}");
    assert!(!folder.join("verdicts").exists());
    let ran = own_cache(&project, "doctor --tokenizer tok").with_code(0);
    assert!(ran.stderr.contains("warning: cache: the cache in "), "{ran}");
}

#[test]
fn doctor_says_which_engine_a_tokenizer_gets_and_why() {
    let project = project(&altered(|_| {}));
    let ran = own_cache(&project, "doctor --tokenizer tok");
    assert!(ran.stderr.contains("ok tokenizer: `tok` found; mashbill-subword "), "{ran}");
    project.write(
        "tok/tokenizer.json",
        altered(|file| file["pre_tokenizer"] = json!({ "type": "UnicodeScripts" })),
    );
    let ran = own_cache(&project, "doctor --tokenizer tok");
    let why = "the fast engine is not used: its pre-tokenizer is UnicodeScripts";
    assert!(ran.stderr.contains(why), "{ran}");
    let why = "its pre-tokenizer is UnicodeScripts";
    assert!(ran.stderr.contains(why), "{ran}");
    let ran = tokenize(&project, "").with_code(0);
    assert!(ran.stderr.contains(why), "{ran}");
    project.write("tok/tokenizer.json", "{");
    let ran = own_cache(&project, "doctor --tokenizer tok").with_code(4);
    assert!(
        ran.stderr.contains("error: tokenizer: `tok` cannot be used: its tokenizer.json is malformed"),
        "{ran}"
    );
    assert!(Path::new(&project.path("tok")).exists());
}
