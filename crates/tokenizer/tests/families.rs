//! Tokenizers of many families, over all code points, against the reference.
//!
//! Each character stands in the surroundings that patterns look at. The default form takes the characters below U+0600
//! and some of the others; `MASHBILL_LONG=1` takes all.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it panics")]

use std::env;

use mashbill_tokenizer::{
    Engine, FastRefused, Scratch, Tokenizer, TokenizerFiles, TokenizerOptions, embedded,
};
use serde_json::{Map, Value, json};

/// nanochat's, which libraries of regular expressions read differently.
const NANOCHAT: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

fn split(pattern: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
}

fn byte_level(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
}

/// GPT-2's vocabulary with words found in other ways.
fn gpt2_with(steps: &[Value]) -> TokenizerFiles {
    let files = embedded("gpt2").unwrap();
    let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
    file["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": steps });
    TokenizerFiles { tokenizer_json: file.to_string(), ..files }
}

/// As Llama 2 has it: spaces are `▁`, and what has no entry is spelled in bytes.
fn sentence_piece(lacks: Option<u8>) -> TokenizerFiles {
    let mut entries = vec!["<unk>".to_owned(), "<s>".to_owned(), "<|endoftext|>".to_owned()];
    entries.extend((0..=255_u8).filter(|byte| Some(*byte) != lacks).map(|byte| format!("<0x{byte:02X}>")));
    entries.extend(['▁', 'é', '中', '。'].map(String::from));
    entries.extend((b'!'..=b'~').map(|byte| char::from(byte).to_string()));
    let merges = [("▁", "a"), ("a", "b"), ("▁a", "b"), ("'", "s"), ("▁", "▁"), ("中", "中")];
    entries.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let vocab: Map<String, Value> = entries.into_iter().zip((0..).map(Value::from)).collect();
    let special = |id: u32, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "<|endoftext|>")],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        ] },
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                   "vocab": vocab, "merges": merges.map(|(left, right)| format!("{left} {right}")) },
    });
    TokenizerFiles { tokenizer_json: file.to_string(), ..embedded("gpt2").unwrap() }
}

/// As CLIP has it: lower case, one space for many, and letters that end a word have entries of their own.
fn clip() -> TokenizerFiles {
    let files = embedded("gpt2").unwrap();
    let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
    let letters: Vec<String> = file["model"]["vocab"].as_object().unwrap().keys().cloned().collect();
    let letters = letters.into_iter().filter(|token| token.chars().count() == 1);
    let both: Vec<String> = letters.flat_map(|letter| [format!("{letter}</w>"), letter]).collect();
    let mut vocab: Map<String, Value> = both.into_iter().zip((0..).map(Value::from)).collect();
    let merges = ["a b", "ab 1</w>", "' s</w>", "a b</w>"];
    for merge in merges {
        vocab.insert(merge.replace(' ', ""), vocab.len().into());
    }
    vocab.insert("<|endoftext|>".to_owned(), vocab.len().into());
    file["added_tokens"][0]["id"] = vocab["<|endoftext|>"].clone();
    file["model"]["vocab"] = vocab.into();
    file["model"]["merges"] = json!(merges);
    file["model"]["unk_token"] = "<|endoftext|>".into();
    file["model"]["end_of_word_suffix"] = "</w>".into();
    file["normalizer"] = json!({ "type": "Sequence", "normalizers": [
        { "type": "NFC" },
        { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
        { "type": "Lowercase" },
    ] });
    let words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    file["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": words }, "behavior": "Removed", "invert": true }, byte_level(true),
    ] });
    TokenizerFiles { tokenizer_json: file.to_string(), ..files }
}

fn load(files: &TokenizerFiles) -> Tokenizer {
    let options = TokenizerOptions::NOTHING_ADDED;
    Tokenizer::load(files, &options, None).unwrap()
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    tokenizer.encode(&mut Scratch::new(), text, &mut ids).unwrap();
    ids
}

/// Compares a tokenizer with the reference over the code points.
fn check(files: &TokenizerFiles, engine: Engine) {
    let tokenizer = load(files);
    assert_eq!(tokenizer.engine(), engine, "{:?}", tokenizer.fast_refused());
    let reference: tokenizers::Tokenizer = files.tokenizer_json.parse().unwrap();
    let long = env::var_os("MASHBILL_LONG").is_some();
    // These send all of a text to the reference: each stands in a text of its own, the others far from them.
    let doubtful = ['\u{180e}', '\u{17f}', '\u{212a}'];
    let last = if long { 0x11_0000 } else { 0x3_4000 };
    let some = |code: &u32| long || *code < 0x600 || code.is_multiple_of(if *code < 0x3400 { 5 } else { 61 });
    let all = (0..last).filter(some).filter_map(char::from_u32).filter(|c| !doubtful.contains(c));
    let all: Vec<char> = all.collect();
    for some in all.chunks(500).chain(doubtful.chunks(1)) {
        let around = |c: &char| format!("a{c}b {c} {c}'s '{c}1{c}2.{c}\n{c} \n{c}{c}it'{c}");
        let text: String = some.iter().map(around).collect();
        if encode(&tokenizer, &text) == reference.encode_fast(&*text, false).unwrap().get_ids() {
            continue;
        }
        let differs = |c: &&char| {
            let text = around(c);
            encode(&tokenizer, &text) != reference.encode_fast(text, false).unwrap().get_ids()
        };
        panic!("the engines differ on {:?}", some.iter().filter(differs).collect::<Vec<_>>());
    }
}

#[test]
fn words_of_nanochat() {
    let files = gpt2_with(&[split(NANOCHAT), byte_level(false)]);
    assert_eq!(encode(&load(&files), "\u{180e}'s"), [157, 254, 236, 6, 82]);
    check(&files, Engine::Own);
}

#[test]
fn words_of_bloom() {
    check(&gpt2_with(&[split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level(false)]), Engine::Own);
}

#[test]
fn words_of_digits_apart() {
    let digits = json!({ "type": "Digits", "individual_digits": true });
    check(&gpt2_with(&[split(NANOCHAT), digits.clone(), byte_level(false)]), Engine::Own);
    check(&gpt2_with(&[digits, byte_level(true)]), Engine::Own);
}

#[test]
fn words_of_known_patterns() {
    for patterns in mashbill_subword::known_patterns() {
        let steps: Vec<Value> =
            patterns.iter().map(|pattern| split(pattern)).chain([byte_level(false)]).collect();
        check(&gpt2_with(&steps), Engine::Own);
    }
}

#[test]
fn words_that_are_spelled_in_bytes_where_they_have_no_entry() {
    check(&sentence_piece(None), Engine::Own);
    let lacking = load(&sentence_piece(Some(0xe9)));
    let why = "\"<0xE9>\" is not in the vocabulary".to_owned();
    assert_eq!(lacking.fast_refused(), Some(&FastRefused::Unsupported { why }));
}

#[test]
fn words_of_clip() {
    check(&clip(), Engine::Own);
}

#[test]
fn words_of_a_rare_pattern() {
    let rare = r"[\p{L}\p{M}]+|\p{N}{1,4}|[^\s\p{L}\p{M}\p{N}]+|\s+";
    check(&gpt2_with(&[split(rare), byte_level(false)]), Engine::Own);
}

/// What no matcher is made for the reference's library runs.
#[test]
fn words_of_patterns_that_libraries_read_differently() {
    for pattern in [
        r"(?i)straße|\s+|\S+",
        r"\b\p{L}+|\s+|.",
        r"\w+|\W+",
        r"\h+|\H+",
        r"\p{Han}+|\s+|[^\s]",
        "[^(\\s|[.,!?…。])]+",
        "(?<=a)b|.|\\s",
    ] {
        check(&gpt2_with(&[split(pattern), byte_level(false)]), Engine::Own);
    }
    let files = gpt2_with(&[split(r"(?i)straße|\s+|\S+"), byte_level(false)]);
    let reference: tokenizers::Tokenizer = files.tokenizer_json.parse().unwrap();
    for text in ["STRASSE straße Straẞe strasse", "\u{180e}'s"] {
        assert_eq!(
            encode(&load(&files), text),
            reference.encode_fast(text, false).unwrap().get_ids(),
            "{text}"
        );
    }
}

#[test]
fn pieces_of_patterns_between_characters() {
    let mut file: Value = serde_json::from_str(&sentence_piece(None).tokenizer_json).unwrap();
    for pattern in [r"\s+|\S+", r"\b|\s+"] {
        file["pre_tokenizer"] = split(pattern);
        let files = TokenizerFiles { tokenizer_json: file.to_string(), ..embedded("gpt2").unwrap() };
        check(&files, Engine::Own);
    }
}
