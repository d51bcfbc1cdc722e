//! Tokenizers of many kinds, made of those that lie beside the repository.

use std::path::Path;

use mashbill_subword::SubwordEngine;
use serde_json::{Value, json};

/// A tokenizer that lies beside the repository; none if there is no such folder.
fn read(name: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join("shared/data/tokenizers"))
        .find(|dir| dir.is_dir());
    let Some(folder) = folder else {
        println!("skipped: there is no folder shared/data/tokenizers");
        return None;
    };
    Some(serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap())
}

pub(crate) fn gpt2() -> Option<Value> {
    read("gpt2.json")
}

/// The tokenizers that lie beside the repository, with variations; none if there is no such folder.
pub(crate) fn tokenizers() -> Vec<(String, Value)> {
    let (Some(gpt2), Some(dolma2)) = (gpt2(), read("dolma2.tokenizer.json")) else { return Vec::new() };
    let regex = "/pre_tokenizer/pretokenizers/0/pattern/Regex";
    let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let mut deepseek: Vec<Value> = DEEPSEEK.iter().map(|regex| split(regex)).collect();
    deepseek.push(byte_level);
    vec![
        ("gpt2".into(), gpt2.clone()),
        ("dolma2".into(), dolma2.clone()),
        (
            "gpt2 with NFC and ignored merges".into(),
            changed(&gpt2, &[("/normalizer", json!({"type": "NFC"})), ("/model/ignore_merges", json!(true))]),
        ),
        (
            "dolma2 as qwen2".into(),
            changed(&dolma2, &[(regex, json!(QWEN2)), ("/normalizer", json!({"type": "NFC"}))]),
        ),
        (
            "dolma2 as o200k".into(),
            changed(&dolma2, &[(regex, json!(O200K)), ("/model/ignore_merges", json!(true))]),
        ),
        ("dolma2 as nanochat".into(), changed(&dolma2, &[(regex, json!(NANOCHAT))])),
        ("dolma2 as qwen3.5".into(), changed(&dolma2, &[(regex, json!(QWEN35))])),
        ("dolma2 as tekken".into(), changed(&dolma2, &[(regex, json!(TEKKEN))])),
        ("dolma2 as kimi".into(), changed(&dolma2, &[(regex, json!(KIMI))])),
        ("dolma2 as deepseek".into(), changed(&dolma2, &[("/pre_tokenizer/pretokenizers", json!(deepseek))])),
        ("gpt2 without some bytes".into(), with_holes(&gpt2)),
        ("gpt2 with ends of words, its words".into(), with_ends_of_words(&gpt2)),
        ("dolma2 with tokens that look around".into(), looking_around(&dolma2)),
    ]
    .into_iter()
    .chain(pre_tokenizers().into_iter().chain(unusual_pre_tokenizers()).map(|(name, steps)| {
        let steps = json!({"type": "Sequence", "pretokenizers": steps});
        (format!("gpt2 with {name}"), changed(&gpt2, &[("/pre_tokenizer", steps)]))
    }))
    .chain(sentence_pieces(&gpt2))
    .collect()
}

/// With other values where the pointers lead to.
fn changed(base: &Value, changes: &[(&str, Value)]) -> Value {
    let mut changed = base.clone();
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    changed
}

/// With added tokens that look at their surroundings in all ways, inside of the vocabulary and beside it.
fn looking_around(dolma2: &Value) -> Value {
    let mut around = dolma2.clone();
    let tokens = ["<|endofprompt|>", "<L>", "<R>", "<LR>", "word", "\u{e9}t\u{e9}", "  ", " \t", "\n"];
    let mut next = 100_278;
    for (number, content) in tokens.iter().enumerate() {
        let flags = [
            [1, 0, 0],
            [1, 0, 0],
            [0, 1, 0],
            [1, 1, 0],
            [0, 0, 1],
            [1, 0, 1],
            [0, 0, 0],
            [0, 1, 0],
            [0, 1, 1],
        ];
        let [lstrip, rstrip, single_word] = flags[number].map(|flag| flag == 1);
        let known = around["model"]["vocab"].get(*content).cloned();
        let id = known.unwrap_or_else(|| {
            next += 1;
            json!(next - 1)
        });
        let token = json!({"id": id, "content": content, "single_word": single_word, "lstrip": lstrip,
                           "rstrip": rstrip, "normalized": number % 3 == 2, "special": number % 2 == 0});
        let added = around["added_tokens"].as_array_mut().unwrap();
        match added.iter_mut().find(|known| known["content"] == *content) {
            Some(known) => {
                (known["lstrip"], known["rstrip"]) = (json!(lstrip), json!(true));
            }
            None => added.push(token),
        }
    }
    around
}

/// Vocabularies that were learned lack the bytes that texts never have.
fn with_holes(gpt2: &Value) -> Value {
    let mut holes = gpt2.clone();
    let bytes = ["À", "Á", "õ", "ö", "÷", "ø", "ù", "ú", "û", "ü", "ý", "þ", "ÿ"];
    for byte in bytes {
        holes["model"]["vocab"].as_object_mut().unwrap().remove(byte).unwrap();
    }
    holes
}

/// As CLIP has it: lower case, one space for many, and tokens of their own for what ends a word.
fn with_ends_of_words(gpt2: &Value) -> Value {
    let mut clip = gpt2.clone();
    let tokens: Vec<String> = gpt2["model"]["vocab"].as_object().unwrap().keys().cloned().collect();
    let tokens = tokens.iter().filter(|token| *token != "<|endoftext|>");
    let mut vocab: serde_json::Map<String, Value> =
        tokens.zip(0..).map(|(token, id)| (token.clone(), json!(id))).collect();
    let ends: Vec<String> = vocab.keys().map(|token| format!("{token}</w>")).collect();
    for end in ends {
        let id = vocab.len();
        vocab.insert(end, json!(id));
    }
    vocab.insert("<|endoftext|>".to_owned(), json!(vocab.len()));
    clip["added_tokens"][0]["id"] = vocab["<|endoftext|>"].clone();
    let mut merges = Vec::new();
    for merge in gpt2["model"]["merges"].as_array().unwrap() {
        let merge = merge.as_str().unwrap();
        let end = format!("{merge}</w>");
        // Now one of them comes first, now the other.
        merges.extend(if merge.len() % 2 == 0 {
            [json!(merge), json!(end)]
        } else {
            [json!(end), json!(merge)]
        });
    }
    clip["model"]["vocab"] = vocab.into();
    clip["model"]["merges"] = merges.into();
    clip["model"]["unk_token"] = "<|endoftext|>".into();
    clip["model"]["end_of_word_suffix"] = "</w>".into();
    clip["normalizer"] = json!({ "type": "Sequence", "normalizers": [
        { "type": "NFC" },
        { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
        { "type": "Lowercase" },
    ] });
    let words =
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    clip["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": words }, "behavior": "Removed", "invert": true },
        { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
    ] });
    clip
}

/// Normalizers and pre-tokenizers that go with SentencePiece's encodings.
fn metaspaces() -> [(&'static str, Value, Value); 8] {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let prepend = json!({"type": "Prepend", "prepend": "▁"});
    let both = json!({"type": "Sequence", "normalizers": [prepend, replace]});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let gemma = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    [
        ("llama 2", both, Value::Null),
        ("gemma", replace.clone(), gemma),
        ("spaces alone", replace, Value::Null),
        ("metaspace first", Value::Null, metaspace("first", false)),
        ("metaspace always", json!({"type": "NFC"}), metaspace("always", false)),
        ("metaspace never", Value::Null, metaspace("never", false)),
        ("metaspace split", Value::Null, metaspace("always", true)),
        ("nothing", Value::Null, Value::Null),
    ]
}

/// GPT-2's words as SentencePiece has them: characters instead of bytes, and `▁` for spaces.
fn sentence_pieces(gpt2: &Value) -> Vec<(String, Value)> {
    let spellings = SubwordEngine::from_tokenizer_json(&gpt2.to_string()).unwrap().spellings();
    let ids = gpt2["model"]["vocab"].as_object().unwrap();
    let spelled = |token: &str| {
        let bytes = spellings[ids.get(token)?.as_u64()? as usize].clone()?;
        Some(String::from_utf8(bytes).ok()?.replace(' ', "▁"))
    };
    let mut tokens = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned()];
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    // Some characters of ASCII are bytes only, and some of other planes are tokens.
    let has_token = |token: &String| {
        !matches!(&**token, "\n" | "\t" | "\0" | "~" | "<|endoftext|>") && !token.contains("\r")
    };
    tokens.extend(ids.keys().filter_map(|token| spelled(token)).filter(has_token));
    tokens.extend(
        ["世", "界", "世界", "😀", "𝔘", "😀😀", "▁世界", "\n\n", "a▁b", "▁b", "▁▁", "▁▁▁"].map(str::to_owned),
    );
    tokens.sort_unstable();
    tokens.dedup();
    let vocab: Value = tokens.iter().zip(0..).map(|(token, id)| (token.clone(), json!(id))).collect();
    let has = |token: &str| tokens.binary_search_by(|known| (**known).cmp(token)).is_ok();
    let mut merges: Vec<Value> = Vec::new();
    for merge in gpt2["model"]["merges"].as_array().unwrap() {
        let (left, right) = match merge.as_str() {
            Some(merge) => merge.split_once(' ').unwrap(),
            None => (merge[0].as_str().unwrap(), merge[1].as_str().unwrap()),
        };
        if let (Some(left), Some(right)) = (spelled(left), spelled(right))
            && [&*left, &*right, &*format!("{left}{right}")].into_iter().all(has)
        {
            merges.push(json!([left, right]));
        }
    }
    for (left, right) in
        [("😀", "😀"), ("世", "界"), ("▁", "▁"), ("▁", "世界"), ("▁▁", "▁"), ("a", "▁b"), ("▁", "▁▁")]
    {
        merges.push(json!([left, right]));
    }
    let all = added_to_sentence_pieces(&vocab, tokens.len())
        .into_iter()
        .flat_map(|added| metaspaces().map(|steps| (steps, added.clone())));
    let made = all.map(|((name, normalizer, pre_tokenizer), added_tokens)| {
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                      "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                      "vocab": vocab, "merges": merges},
        });
        let ends = if json["added_tokens"].as_array().unwrap().len() > 4 { ", line ends added" } else { "" };
        (format!("sentence pieces, {name}{ends}"), json)
    });
    made.collect()
}

/// A few added tokens, and, as Gemma has them, line ends among them, so that what is between two of them is short. `next` is the
/// id of the first that is not in the vocabulary.
fn added_to_sentence_pieces(vocab: &Value, next: usize) -> [Vec<Value>; 2] {
    let special = |content: &str| json!({"id": vocab[content], "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let normalized = json!({"id": next, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false});
    let few = vec![special("<unk>"), special("<s>"), special("</s>"), normalized];
    let behind = |number: usize, content: &str, strips: bool| json!({"id": next + number, "content": content, "single_word": false, "lstrip": strips, "rstrip": strips, "normalized": false, "special": false});
    let mut many = few.clone();
    many.extend(["\n\n", "▁▁"].map(special));
    many.extend([behind(1, "\n", false), behind(2, "\t", false), behind(3, "<L>", true)]);
    [few, many]
}

/// The same vocabulary where characters without a token are not spelled in bytes, but become an unknown token each or
/// together, or nothing; and as users train it, on words.
pub(crate) fn with_unknown_characters() -> Vec<(String, Value)> {
    let pieces: Vec<_> = gpt2().iter().flat_map(sentence_pieces).collect();
    let words = pieces.last().map(|(_, json)| {
        let json = changed(json, &[("/pre_tokenizer", json!({"type": "Whitespace"}))]);
        ("words".to_owned(), json)
    });
    let kinds = [
        ("one by one", json!("<unk>"), false),
        ("together", json!("<unk>"), true),
        ("left out", Value::Null, true),
    ];
    let made = pieces.iter().chain(&words).flat_map(|(name, json)| {
        kinds.iter().map(move |(kind, unknown, fuses)| {
            let changes = [
                ("/model/byte_fallback", json!(false)),
                ("/model/unk_token", unknown.clone()),
                ("/model/fuse_unk", json!(fuses)),
            ];
            (format!("{name}, unknown characters {kind}"), changed(json, &changes))
        })
    });
    made.collect()
}

/// Lists of pre-tokenizers of models.
fn pre_tokenizers() -> Vec<(&'static str, Vec<Value>)> {
    let split = |pattern: Value, behavior: &str, invert: bool| json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert});
    let regex = |regex: &str| split(json!({"Regex": regex}), "Isolated", false);
    let digits = |individual: bool| json!({"type": "Digits", "individual_digits": individual});
    let punctuation = |behavior: &str| json!({"type": "Punctuation", "behavior": behavior});
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    vec![
        ("starcoder", vec![digits(true), byte_level(true)]),
        ("bloom", vec![regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level(false)]),
        (
            "a space first",
            vec![
                json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            ],
        ),
        (
            "clip",
            vec![
                split(
                    json!({"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"}),
                    "Removed",
                    true,
                ),
                byte_level(true),
            ],
        ),
        ("white space left out", vec![json!({"type": "WhitespaceSplit"}), byte_level(true)]),
        ("vowels left out", vec![split(json!({"Regex": "[aeiou]+"}), "Removed", false), byte_level(false)]),
        ("words", vec![json!({"type": "Whitespace"}), byte_level(false)]),
        ("bert", vec![json!({"type": "BertPreTokenizer"}), digits(true), byte_level(false)]),
        (
            "falcon",
            vec![punctuation("Contiguous"), byte_level(true), digits(false), regex("[0-9][0-9][0-9]")],
        ),
        ("digits behind bytes", vec![byte_level(true), digits(true)]),
        ("digits in threes", vec![digits(false), regex("[0-9][0-9][0-9]"), byte_level(true)]),
        ("digits after cl100k", vec![regex(QWEN2), digits(true), byte_level(false)]),
    ]
}

/// Lists of pre-tokenizers that no model has.
fn unusual_pre_tokenizers() -> Vec<(&'static str, Vec<Value>)> {
    let split = |pattern: Value, behavior: &str, invert: bool| json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert});
    let regex = |regex: &str| split(json!({"Regex": regex}), "Isolated", false);
    let string = |string: &str, behavior: &str| split(json!({"String": string}), behavior, false);
    let digits = |individual: bool| json!({"type": "Digits", "individual_digits": individual});
    let punctuation = |behavior: &str| json!({"type": "Punctuation", "behavior": behavior});
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    vec![
        ("word borders", vec![regex(r"\b"), byte_level(false)]),
        ("a pattern that matches nothing", vec![regex(r"x*|\d"), byte_level(false)]),
        ("folded letters", vec![regex(r"(?i)straße|(?i:ss)|'s"), byte_level(true)]),
        (
            "unusual behaviors",
            vec![
                split(json!({"Regex": r"[aeiou]|\s\s"}), "MergedWithPrevious", false),
                split(json!({"Regex": r"[b-m]"}), "MergedWithNext", true),
                split(json!({"Regex": r"\p{L}"}), "Contiguous", false),
                byte_level(false),
            ],
        ),
        (
            "strings",
            vec![
                string("a", "Isolated"),
                string("  ", "MergedWithNext"),
                string("?!", "Contiguous"),
                string("(", "MergedWithPrevious"),
                byte_level(false),
            ],
        ),
        ("punctuation", vec![punctuation("Contiguous"), byte_level(true)]),
        (
            "punctuation alone",
            vec![punctuation("Isolated"), punctuation("MergedWithNext"), byte_level(false)],
        ),
        (
            "looking behind",
            vec![regex(r"(?<=[a-z])(?=[A-Z])|(?<!\d)\d{1,3}(?=(?:\d{3})*\b)"), byte_level(false)],
        ),
        (
            "nested",
            vec![
                json!({"type": "Sequence", "pretokenizers": [digits(true), regex(r"\s+")]}),
                regex(KIMI),
                byte_level(false),
            ],
        ),
    ]
}

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const NANOCHAT: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const KIMI: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As its files have them, with line ends as they are.
const DEEPSEEK: [&str; 3] = [
    r"\p{N}{1,3}",
    "[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];
