//! Tokenizers made to break whoever loads them, and the commands that load one.
//!
//! No command may panic, die of a signal, take more memory than a few times what a good tokenizer takes, or say nothing
//! for a minute. The default form takes every sixth tokenizer and two commands; `MASHBILL_LONG=1` takes all.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Project, Ran};
use crate::tokenizers::{altered, bytes};

/// No command may take longer; the command gives a tokenizer up after 50 s.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Address space of a command in kB: what the allocator and stacks reserve, and a gigabyte.
const ADDRESSES_MAX: u64 = 4_000_000;

fn split(pattern: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
}

/// Words found by this pattern, then spelled in bytes.
fn words(pattern: &str) -> String {
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    altered(|file| {
        file["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [split(pattern), bytes] });
    })
}

fn with(part: &str, value: Value) -> String {
    altered(|file| file[part] = value)
}

fn in_model(part: &str, value: Value) -> String {
    altered(|file| file["model"][part] = value)
}

fn model(value: Value) -> String {
    altered(|file| {
        file["model"] = value;
        file["pre_tokenizer"] = Value::Null;
    })
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({ "type": "Replace", "pattern": pattern, "content": content })
}

fn token(content: &str) -> Value {
    json!({ "id": 256, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": true, "special": false })
}

fn nested(depth: usize, kind: &str, list: &str, innermost: Value) -> Value {
    (0..depth).fold(innermost, |inner, _| json!({ "type": kind, list: [inner] }))
}

fn charsmap(base64: &str) -> String {
    with("normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": base64 }))
}

/// Patterns that take forever, are too deep, or mean nothing.
fn patterns() -> Vec<String> {
    let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    let many: String = (0..20_000).map(|number| format!("w{number}|")).collect();
    let mut all: Vec<String> = [
        r"(a+)+$",
        r"(a*)*b",
        r"(a|a)*c",
        r"(?:(?:a+)+)+b",
        r"(\s+)+x",
        r"(.*)*X",
        r"(x+x+)+y",
        r"(?:.|\s)*?(?:.|\s)*?(?:.|\s)*?Q",
        r"(?:[^Q]*[^Q]*[^Q]*)*Q",
        r"((a{1000}){1000}){1000}",
        "a{100001}",
        r"(?:(?:(?:a?){50}){50}){50}b",
        "(",
        "[",
        "",
        "a|",
        r"(a)\1*",
        r"(?<=a+)b",
        r"(?<n>a\g<n>?b)",
        r"(?<n>\g<n>)",
        r"\G",
        r"\p{Nonsense}",
        "(?i:ﬆ|ß|ŉ)+",
    ]
    .map(words)
    .into();
    all.extend(
        [deep(4_000), deep(100_000), many + "x", format!("[{}]", "a-zA-Z".repeat(20_000))].map(|p| words(&p)),
    );
    all.push(with(
        "pre_tokenizer",
        json!({ "type": "Split", "pattern": { "String": "" }, "behavior": "Isolated", "invert": false }),
    ));
    all.push(with("pre_tokenizer", nested(100, "Sequence", "pretokenizers", split("a"))));
    // Deeper than a test could write it from a tree.
    let (open, close) = (r#"{"type":"Sequence","pretokenizers":["#.repeat(4_000), "]}".repeat(4_000));
    all.push(with("pre_tokenizer", "here".into()).replace("\"here\"", &format!("{open}{close}")));
    all.push(with("pre_tokenizer", json!({ "type": "FixedLength", "length": 0 })));
    all.push(with(
        "pre_tokenizer",
        json!({ "type": "Metaspace", "replacement": "", "prepend_scheme": "always" }),
    ));
    all
}

/// Normalizers that insert without end, grow texts, or are damaged.
fn normalizers() -> Vec<String> {
    let grow = |times: usize| {
        let doubling: Vec<Value> = (0..times).map(|_| replace(json!({ "String": "o" }), "oo")).collect();
        with("normalizer", json!({ "type": "Sequence", "normalizers": doubling }))
    };
    vec![
        with("normalizer", replace(json!({ "Regex": "" }), "x")),
        with("normalizer", replace(json!({ "String": "" }), "x")),
        with("normalizer", replace(json!({ "Regex": "o*" }), "")),
        with("normalizer", replace(json!({ "Regex": "(?=o)" }), "oo")),
        with("normalizer", replace(json!({ "Regex": "(s+)+x" }), "y")),
        with("normalizer", replace(json!({ "String": "o" }), &"long ".repeat(200_000))),
        with("normalizer", replace(json!({ "Regex": "[\\s\\S]" }), "")),
        with("normalizer", json!({ "type": "Prepend", "prepend": "p".repeat(5_000_000) })),
        grow(12),
        grow(40),
        with("normalizer", nested(100, "Sequence", "normalizers", json!({ "type": "NFC" }))),
        charsmap(""),
        charsmap("!!!"),
        charsmap("AAAA"),
        charsmap("/////w=="),
        charsmap("AAQAAP////////////////8="),
        charsmap(&"gAAAAQCA".repeat(200)),
        with("normalizer", json!({ "type": "Strip", "strip_left": 1 })),
        with("normalizer", json!({ "type": "Nonsense" })),
    ]
}

/// Vocabularies and merges with ids and entries out of the ordinary.
fn models() -> Vec<String> {
    let id = |id: Value| altered(|file| file["model"]["vocab"]["me"] = id);
    let bpe = |vocab: Value, merges: Value| json!({ "type": "BPE", "vocab": vocab, "merges": merges });
    let unigram = |vocab: Value, unk: Value, fallback: bool| {
        model(json!({ "type": "Unigram", "vocab": vocab, "unk_id": unk, "byte_fallback": fallback }))
    };
    let many: serde_json::Map<String, Value> = (0..60_000).map(|n| (format!("t{n}"), n.into())).collect();
    vec![
        id(u64::from(u32::MAX).into()),
        id((u64::from(u32::MAX) + 1).into()),
        id((1_u64 << 31).into()),
        id((1_u64 << 24).into()),
        id((-1).into()),
        id(1.5.into()),
        id(7.into()),
        id("7".into()),
        model(bpe(json!({}), json!([]))),
        model(bpe(json!([]), json!([]))),
        model(bpe(json!({ "": 0, "a": 1 }), json!([["", "a"]]))),
        model(bpe(many.into(), json!([]))),
        in_model("merges", json!(["s"])),
        in_model("merges", json!([["s", "o", "m"]])),
        in_model("merges", json!(["s nothing"])),
        in_model("merges", json!(vec!["s o"; 50_000])),
        in_model("continuing_subword_prefix", "éé".into()),
        in_model("end_of_word_suffix", "</w>".into()),
        in_model("unk_token", "nowhere".into()),
        in_model("dropout", 0.5.into()),
        in_model("dropout", (-1).into()),
        in_model("byte_fallback", true.into()),
        model(json!({ "type": "WordPiece", "vocab": { "a": 0 }, "unk_token": "[UNK]",
                      "continuing_subword_prefix": "##", "max_input_chars_per_word": 0 })),
        model(json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "[UNK]" })),
        unigram(json!([]), Value::Null, false),
        unigram(json!([["a", -1.0]]), 9.into(), false),
        unigram(json!([["", 0.0], ["a", -1e308]]), 0.into(), true),
        unigram(json!([["a", 1e308], ["aa", 1e308]]), Value::Null, false),
        model(json!({ "type": "Nonsense" })),
        model(Value::Null),
    ]
}

/// Added tokens, templates and lengths.
fn around() -> Vec<String> {
    let template = |pieces: Value, special: Value| json!({ "type": "TemplateProcessing", "single": pieces, "pair": [], "special_tokens": special });
    let a = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let s = json!({ "SpecialToken": { "id": "</s>", "type_id": 0 } });
    let far = json!({ "</s>": { "id": "</s>", "ids": [4_294_967_295_u32], "tokens": ["</s>"] } });
    let many: Vec<Value> = (0..5_000).map(|number| token(&format!("<|{number}|>"))).collect();
    vec![
        with("added_tokens", json!([token("")])),
        with("added_tokens", json!([token(&"x".repeat(1_000_000))])),
        with("added_tokens", many.into()),
        with("added_tokens", json!([token(" "), token("  "), token("\u{301}")])),
        with("added_tokens", json!([{ "id": 4_294_967_295_u32, "content": "y" }])),
        with("post_processor", template(json!([a, a]), json!({}))),
        with("post_processor", template(json!([]), json!({}))),
        with("post_processor", template(json!([s, a]), json!({}))),
        with("post_processor", template(json!([s, a]), far)),
        with(
            "post_processor",
            json!({ "type": "BertProcessing", "sep": ["</s>", 4_294_967_295_u32], "cls": ["</s>", 0] }),
        ),
        with(
            "truncation",
            json!({ "direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 9 }),
        ),
        with(
            "padding",
            json!({ "strategy": { "Fixed": 1_u64 << 40 }, "direction": "Right", "pad_to_multiple_of": 0,
                                "pad_id": 0, "pad_type_id": 0, "pad_token": "x" }),
        ),
        with("decoder", json!({ "type": "Nonsense" })),
        with("version", "9".into()),
    ]
}

/// Files that are something else.
fn files() -> Vec<Vec<u8>> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let good = bytes().to_string();
    let utf16 = [0xff, 0xfe].into_iter().chain(good.encode_utf16().flat_map(u16::to_le_bytes));
    vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\0\0\0\0".to_vec(),
        deep.into_bytes(),
        utf16.collect(),
        good.as_bytes()[..good.len() / 2].to_vec(),
        good.replace("\"so\"", "\"\\ud83d\"").into_bytes(),
    ]
}

fn all() -> Vec<Vec<u8>> {
    let texts = [patterns(), normalizers(), models(), around()].into_iter().flatten();
    texts.map(String::into_bytes).chain(files()).collect()
}

/// Runs the command in bounded memory, and holds it to what is promised.
fn run(project: &Project, arguments: &str, what: &str) -> Ran {
    let command = project.command(arguments);
    let mut bounded = Command::new("sh");
    let script = format!("ulimit -v {ADDRESSES_MAX} 2>/dev/null; exec \"$0\" \"$@\"");
    bounded.arg("-c").arg(script).arg(command.get_program()).args(command.get_args());
    bounded.current_dir(project.path(""));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    bounded.env("XDG_CACHE_HOME", project.path("cache"));
    let started = Instant::now();
    let ran = project.finish(&mut bounded);
    let is_known = matches!(ran.code, Some(0 | 2..=4));
    assert!(is_known && !ran.stderr.contains("panicked"), "{arguments}: {ran}\n{what}");
    assert!(started.elapsed() < TIME_MAX, "{arguments}: {:?}\n{what}", started.elapsed());
    if ran.code != Some(0) {
        assert!(
            ["error: ", "warning: "].iter().any(|told| ran.stderr.contains(told))
                && ran.stderr.contains("hint: "),
            "{arguments}: {ran}\n{what}"
        );
    }
    ran
}

/// A folder that says to have been made with this tokenizer.
fn claim(project: &Project, sha256: &str) {
    let mut manifest = project.json("out/manifest.json");
    manifest["tokenizer"] = "tok".into();
    manifest["tokenizer_identity"]["sha256"] = sha256.into();
    project.write("out/manifest.json", manifest.to_string());
}

#[test]
fn no_tokenizer_breaks_a_command() {
    let text =
        "some words, some more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa xxxxxxxxxxxxxxxxxxxxxxxxxxxx\\n\\n 你好 1234";
    let project = Project::with(&[("data/a.jsonl", &format!("{{\"text\":\"{text}\"}}\n"))]);
    project.write("tok/tokenizer.json", bytes().to_string());
    let tokenize = "tokenize --input data --tokenizer tok --max-seq-length 64 --threads 1 --force --output";
    assert_eq!(run(&project, &format!("{tokenize} out"), "a good one").code, Some(0));
    let long = std::env::var_os("MASHBILL_LONG").is_some();
    let all = all();
    assert!(all.len() > 90);
    for (number, file) in all.iter().enumerate().filter(|(number, _)| long || number % 6 == 0) {
        let what = format!("tokenizer {number}: {}", String::from_utf8_lossy(&file[..file.len().min(2_000)]));
        project.write("tok/tokenizer.json", file);
        run(&project, &format!("{tokenize} made{number}"), &what);
        run(&project, "doctor --tokenizer tok", &what);
        if !long {
            continue;
        }
        claim(&project, &sha256(file));
        run(&project, "verify out --deep --sample 1", &what);
        run(&project, "inspect out", &what);
    }
}

fn sha256(file: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect()
}
