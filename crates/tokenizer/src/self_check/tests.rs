//! Engines made wrong on purpose: each has to be found.

use serde_json::{Map, Value, json};

use super::*;
use crate::cache::TokenizerCache;
use crate::definition::TokenizerJson;
use crate::embedded::embedded;
use crate::vocabulary::VocabularyIndex;

/// A tokenizer, and what is changed in it, by pointers, for the engine alone.
struct Mutant {
    name: &'static str,
    base: Value,
    changes: Vec<(&'static str, Value)>,
}

impl Mutant {
    fn wrong(&self) -> Value {
        let mut wrong = self.base.clone();
        for (pointer, value) in &self.changes {
            *wrong.pointer_mut(pointer).unwrap_or_else(|| panic!("{}: {pointer}", self.name)) = value.clone();
        }
        assert!(wrong != self.base, "{} is not wrong", self.name);
        wrong
    }

    /// What the check finds of an engine that is made from `engine`.
    fn check(&self, engine: &Value, is_whole: bool) -> Option<FastRefused> {
        let json = self.base.to_string();
        let definition = TokenizerJson::parse(&json).unwrap();
        let mut outline = Outline::new(&definition, &VocabularyIndex::new(&definition)).unwrap();
        let engine = FastEngine::new(&engine.to_string(), &TokenizerCache::new(None, "")).unwrap();
        if is_whole {
            return self_check(&mut outline, &json, &engine).unwrap();
        }
        let texts = texts(&outline.added_tokens());
        compare_ids(&mut outline, &json, &engine, &texts).unwrap()
    }
}

const PATTERN: &str = "/pre_tokenizer/pretokenizers/0/pattern/Regex";

const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// GPT-2's vocabulary with this pattern.
fn split(pattern: &str) -> Value {
    let mut base: Value = serde_json::from_str(&embedded("gpt2").unwrap().tokenizer_json).unwrap();
    base["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false },
        { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
    ] });
    base
}

/// cl100k's pattern, changed.
fn cl100k(name: &'static str, from: &str, to: &str) -> Mutant {
    assert!(CL100K.contains(from), "{name}: {from}");
    Mutant { name, base: split(CL100K), changes: vec![(PATTERN, CL100K.replacen(from, to, 1).into())] }
}

fn added(id: usize, content: &str) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true })
}

/// GPT-2 with a token of its own.
fn gpt2() -> Value {
    let mut base: Value = serde_json::from_str(&embedded("gpt2").unwrap().tokenizer_json).unwrap();
    base["added_tokens"].as_array_mut().unwrap().push(added(50_257, "<|Wörd|>"));
    base["normalizer"] = json!({ "type": "NFC" });
    base
}

/// The entries of small vocabularies: what is put first, letters, and words that begin with `begin` or go on with `go_on`.
fn entries(first: &[&str], begin: &str, go_on: &str) -> Vec<String> {
    let letters = (b'!'..=b'~').map(char::from).chain("éäß中の。½²".chars()).map(String::from);
    let words =
        ["the", "ing", "word", "Word", "still", "house", "ll", "re", "xml", "iphone", "12", "345", "中々"];
    let mut all: Vec<String> = first.iter().map(|token| (*token).to_owned()).collect();
    all.extend(letters.flat_map(|letter| [format!("{go_on}{letter}"), letter]));
    all.extend(words.iter().flat_map(|word| [format!("{begin}{word}"), format!("{go_on}{word}")]));
    all.extend(["▁", "▁▁"].map(str::to_owned));
    let mut seen = std::collections::HashSet::new();
    all.retain(|token| seen.insert(token.clone()));
    all
}

fn numbered(tokens: Vec<String>) -> Value {
    tokens.into_iter().zip((0..).map(Value::from)).collect::<Map<_, _>>().into()
}

fn small(normalizer: Value, pre_tokenizer: Value, model: Value) -> Value {
    json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(0, "<unk>")],
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": model })
}

/// As Llama 2 has it.
fn sentence_piece(spells_bytes: bool) -> Value {
    let mut tokens = entries(&["<unk>", "<s>"], "▁", "");
    tokens.extend((0..=255_u8).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(["th", "in", "ab", "▁a", "▁ab"].map(str::to_owned));
    let merges = ["t h", "th e", "i n", "in g", "▁ ▁", "▁ the", "a b", "▁ a", "▁a b", "l l", "r e", "1 2"];
    let normalizer = json!({ "type": "Sequence", "normalizers": [
        { "type": "Prepend", "prepend": "▁" }, { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
    ] });
    small(
        normalizer,
        Value::Null,
        json!({ "type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true,
                "byte_fallback": spells_bytes, "ignore_merges": false, "vocab": numbered(tokens), "merges": merges }),
    )
}

fn unigram() -> Value {
    let score = |token: &String| -2.0 - 6.0 / token.chars().count() as f64 - (token.len() % 5) as f64 / 7.0;
    let tokens = entries(&["<unk>", "<s>"], "▁", "");
    let vocab: Vec<Value> = tokens.iter().map(|token| json!([token, score(token)])).collect();
    let metaspace =
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let normalizer = json!({ "type": "Sequence", "normalizers": [
        { "type": "Nmt" }, { "type": "NFKC" }, { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " },
    ] });
    let model = json!({ "type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": vocab });
    small(normalizer, metaspace, model)
}

fn word_piece() -> Value {
    let tokens = entries(&["<unk>"], "", "##");
    let normalizer = json!({ "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                             "strip_accents": null, "lowercase": true });
    let model = json!({ "type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
                        "max_input_chars_per_word": 100, "vocab": numbered(tokens) });
    small(normalizer, json!({ "type": "BertPreTokenizer" }), model)
}

fn changed(name: &'static str, base: Value, pointer: &'static str, value: Value) -> Mutant {
    Mutant { name, base, changes: vec![(pointer, value)] }
}

fn of_patterns() -> Vec<Mutant> {
    vec![
        cl100k("one more space", r"|\s+(?!\S)", r"|[\s\x{180e}]+(?!\S)"),
        cl100k("one letter less", r"\p{L}+", r"[\p{L}&&[^ª]]+"),
        cl100k("one rare letter less", r"\p{L}+", r"[\p{L}&&[^\x{16f00}]]+"),
        cl100k("one number less", r"\p{N}{1,3}", r"[\p{N}&&[^\x{bf0}]]{1,3}"),
        cl100k("decimal digits alone", r"\p{N}{1,3}", r"\p{Nd}{1,3}"),
        cl100k("marks are letters", r"\p{L}+", r"[\p{L}\p{M}]+"),
        cl100k("two digits", r"\p{N}{1,3}", r"\p{N}{1,2}"),
        cl100k("four digits", r"\p{N}{1,3}", r"\p{N}{1,4}"),
        cl100k("a lookahead less", r"|\s+(?!\S)", ""),
        cl100k("a case fold less", "(?i:'s", "(?:'s"),
        cl100k("a contraction less", "|'ll", ""),
        cl100k("no long s", "(?i:'s|", "'[sS]|(?i:"),
        cl100k("no line ends behind signs", r"+[\r\n]*", "+"),
        cl100k("one space before line ends", r"\s*[\r\n]+", r"\s?[\r\n]+"),
        cl100k("no carriage return", r"\s*[\r\n]+", r"\s*[\n]+"),
        cl100k("no sign before words", r"[^\r\n\p{L}\p{N}]?\p{L}+", r" ?\p{L}+"),
        cl100k("no space before signs", r"| ?[^\s", r"|[^\s"),
    ]
}

fn of_byte_level() -> Vec<Mutant> {
    vec![
        changed("no NFC", gpt2(), "/normalizer", Value::Null),
        changed("NFKC", gpt2(), "/normalizer", json!({ "type": "NFKC" })),
        changed("NFD", gpt2(), "/normalizer", json!({ "type": "NFD" })),
        changed("a space first", gpt2(), "/pre_tokenizer/add_prefix_space", json!(true)),
        changed("an added token takes spaces", gpt2(), "/added_tokens/1/lstrip", json!(true)),
        changed("an added token is a word", gpt2(), "/added_tokens/1/single_word", json!(true)),
        changed("an added token is not special", gpt2(), "/added_tokens/1/special", json!(false)),
        changed("merges of GPT-2 come last", gpt2(), "/model/merges", {
            let mut merges = gpt2()["model"]["merges"].as_array().unwrap().clone();
            merges[40_000..].reverse();
            merges.into()
        }),
    ]
}

fn of_sentence_pieces() -> Vec<Mutant> {
    vec![
        changed("unknown characters one by one", sentence_piece(false), "/model/fuse_unk", json!(false)),
        changed("unknown characters left out", sentence_piece(false), "/model/unk_token", Value::Null),
        changed("no bytes", sentence_piece(true), "/model/byte_fallback", json!(false)),
        changed(
            "no space first",
            sentence_piece(true),
            "/normalizer/normalizers/0",
            json!({ "type": "NFC" }),
        ),
        changed("a merge less", sentence_piece(true), "/model/merges/8", json!("▁ ▁")),
        changed("unigrams without NFKC", unigram(), "/normalizer/normalizers/1", json!({ "type": "NFC" })),
        changed("unigrams without Nmt", unigram(), "/normalizer/normalizers/0", json!({ "type": "NFC" })),
        changed(
            "unigrams with many spaces",
            unigram(),
            "/normalizer/normalizers/2",
            json!({ "type": "NFC" }),
        ),
        changed("a space first, once", unigram(), "/pre_tokenizer/prepend_scheme", json!("never")),
        changed("another score", unigram(), "/model/vocab/104/1", json!(-30.0)),
    ]
}

fn of_word_pieces() -> Vec<Mutant> {
    let bert = word_piece();
    vec![
        changed("accents", bert.clone(), "/normalizer/strip_accents", json!(false)),
        changed(
            "upper case",
            bert.clone(),
            "/normalizer",
            json!({ "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": true, "strip_accents": true, "lowercase": false }),
        ),
        changed("controls", bert.clone(), "/normalizer/clean_text", json!(false)),
        changed("Chinese words", bert.clone(), "/normalizer/handle_chinese_chars", json!(false)),
        changed("no punctuation", bert.clone(), "/pre_tokenizer", json!({ "type": "WhitespaceSplit" })),
        changed("word characters", bert.clone(), "/pre_tokenizer", json!({ "type": "Whitespace" })),
        changed("longer words", bert, "/model/max_input_chars_per_word", json!(200)),
    ]
}

/// `MASHBILL_LONG=1` also tells how many of them the ids of the fixed texts alone would have found.
#[test]
fn each_wrong_engine_is_found_and_no_right_one() {
    let mutants: Vec<Mutant> = [of_patterns(), of_byte_level(), of_sentence_pieces(), of_word_pieces()]
        .into_iter()
        .flatten()
        .collect();
    let found = |is_whole: bool| {
        let is_found = |mutant: &&Mutant| mutant.check(&mutant.wrong(), is_whole).is_some();
        let (found, missed): (Vec<_>, Vec<_>) = mutants.iter().partition(is_found);
        let names = |mutants: Vec<&Mutant>| mutants.iter().map(|mutant| mutant.name).collect::<Vec<_>>();
        (found.len(), names(missed))
    };
    let (count, missed) = found(true);
    assert!(missed.is_empty(), "{missed:?} are not found");
    assert!(count >= 30);
    if std::env::var_os("MASHBILL_LONG").is_some() {
        let (count, missed) = found(false);
        println!("ids alone find {count} of {}, not {missed:?}", mutants.len());
    }
    for base in [split(CL100K), gpt2(), sentence_piece(true), sentence_piece(false), unigram(), word_piece()]
    {
        let mutant = Mutant { name: "none", base, changes: Vec::new() };
        assert_eq!(mutant.check(&mutant.base, true), None);
    }
}
