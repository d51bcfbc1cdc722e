//! Ids equal those of the reference, Hugging Face `tokenizers`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails where it panics, and says what it skips"
)]

mod common;

use std::collections::HashSet;
use std::path::Path;

use common::{Random, string};
use mashbill_bpe::{AddedTokens, BpeEngine, Error, Scratch};
use serde_json::{Value, json};

/// The tokenizers that lie beside the repository, with variations; none if there is no such folder.
fn tokenizers() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|dir| dir.join("shared/data/tokenizers"))
        .find(|dir| dir.is_dir());
    let Some(folder) = folder else {
        println!("skipped: there is no folder shared/data/tokenizers");
        return Vec::new();
    };
    let read = |name| serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    let (gpt2, dolma2): (Value, Value) = (read("gpt2.json"), read("dolma2.tokenizer.json"));
    let with = |base: &Value, changes: &[(&str, Value)]| {
        let mut changed = base.clone();
        for (pointer, value) in changes {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        changed
    };
    let regex = "/pre_tokenizer/pretokenizers/0/pattern/Regex";
    let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let mut deepseek: Vec<Value> = DEEPSEEK.iter().map(|regex| split(regex)).collect();
    deepseek.push(byte_level);
    let mut around = dolma2.clone();
    let tokens = ["<|endofprompt|>", "<L>", "<R>", "<LR>", "word", "\u{e9}t\u{e9}", "  ", " \t", "\n"];
    for (number, content) in tokens.iter().enumerate() {
        let id = json!(100_277 + number);
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
    // Vocabularies that were learned lack the bytes that texts never have.
    let mut holes = gpt2.clone();
    let bytes = ["À", "Á", "õ", "ö", "÷", "ø", "ù", "ú", "û", "ü", "ý", "þ", "ÿ"];
    for byte in bytes {
        holes["model"]["vocab"].as_object_mut().unwrap().remove(byte).unwrap();
    }
    vec![
        ("gpt2".into(), gpt2.clone()),
        ("dolma2".into(), dolma2.clone()),
        (
            "gpt2 with NFC and ignored merges".into(),
            with(&gpt2, &[("/normalizer", json!({"type": "NFC"})), ("/model/ignore_merges", json!(true))]),
        ),
        (
            "dolma2 as qwen2".into(),
            with(&dolma2, &[(regex, json!(QWEN2)), ("/normalizer", json!({"type": "NFC"}))]),
        ),
        (
            "dolma2 as o200k".into(),
            with(&dolma2, &[(regex, json!(O200K)), ("/model/ignore_merges", json!(true))]),
        ),
        ("dolma2 as nanochat".into(), with(&dolma2, &[(regex, json!(NANOCHAT))])),
        ("dolma2 as qwen3.5".into(), with(&dolma2, &[(regex, json!(QWEN35))])),
        ("dolma2 as tekken".into(), with(&dolma2, &[(regex, json!(TEKKEN))])),
        ("dolma2 as kimi".into(), with(&dolma2, &[(regex, json!(KIMI))])),
        ("dolma2 as deepseek".into(), with(&dolma2, &[("/pre_tokenizer/pretokenizers", json!(deepseek))])),
        ("gpt2 without some bytes".into(), holes),
        ("dolma2 with tokens that look around".into(), around),
    ]
    .into_iter()
    .chain(pre_tokenizers().into_iter().map(|(name, steps)| {
        let steps = json!({"type": "Sequence", "pretokenizers": steps});
        (format!("gpt2 with {name}"), with(&gpt2, &[("/pre_tokenizer", steps)]))
    }))
    .chain(sentence_pieces(&gpt2))
    .collect()
}

/// GPT-2's words as SentencePiece has them: characters instead of bytes, and `▁` for spaces.
fn sentence_pieces(gpt2: &Value) -> Vec<(String, Value)> {
    let spellings = BpeEngine::from_tokenizer_json(&gpt2.to_string()).unwrap().spellings();
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
    let special = |content: &str| json!({"id": vocab[content], "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let normalized = json!({"id": tokens.len(), "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false});
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let prepend = json!({"type": "Prepend", "prepend": "▁"});
    let both = json!({"type": "Sequence", "normalizers": [prepend, replace]});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let gemma = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    let kinds = [
        ("llama 2", both, Value::Null),
        ("gemma", replace.clone(), gemma),
        ("spaces alone", replace, Value::Null),
        ("metaspace first", Value::Null, metaspace("first", false)),
        ("metaspace always", json!({"type": "NFC"}), metaspace("always", false)),
        ("metaspace never", Value::Null, metaspace("never", false)),
        ("metaspace split", Value::Null, metaspace("always", true)),
        ("nothing", Value::Null, Value::Null),
    ];
    let made = kinds.map(|(name, normalizer, pre_tokenizer)| {
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [special("<unk>"), special("<s>"), special("</s>"), normalized],
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                      "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                      "vocab": vocab, "merges": merges},
        });
        (format!("sentence pieces, {name}"), json)
    });
    made.into()
}

/// Lists of pre-tokenizers: of models, and of all kinds.
fn pre_tokenizers() -> Vec<(&'static str, Vec<Value>)> {
    let split = |pattern: Value, behavior: &str, invert: bool| json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert});
    let regex = |regex: &str| split(json!({"Regex": regex}), "Isolated", false);
    let string = |string: &str, behavior: &str| split(json!({"String": string}), behavior, false);
    let digits = |individual: bool| json!({"type": "Digits", "individual_digits": individual});
    let punctuation = |behavior: &str| json!({"type": "Punctuation", "behavior": behavior});
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    vec![
        ("starcoder", vec![digits(true), byte_level(true)]),
        ("bloom", vec![regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level(false)]),
        ("digits in threes", vec![digits(false), regex("[0-9][0-9][0-9]"), byte_level(true)]),
        ("digits after cl100k", vec![regex(QWEN2), digits(true), byte_level(false)]),
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

/// Both engines, the reference with a switch for special tokens.
fn engines(json: &Value) -> (BpeEngine, tokenizers::Tokenizer) {
    let text = json.to_string();
    let made = BpeEngine::from_tokenizer_json(&text).unwrap();
    let loaded = BpeEngine::from_bytes(&made.to_bytes()).unwrap();
    assert_eq!(loaded.to_bytes(), made.to_bytes());
    (loaded, text.parse().unwrap())
}

#[test]
fn ids_are_those_of_the_reference() {
    for (name, json) in tokenizers() {
        let (engine, mut reference) = engines(&json);
        let (mut scratch, mut ids, mut random) = (Scratch::new(), Vec::new(), Random(7));
        for round in 0..600 {
            let text = string(&mut random);
            let skip = round % 4 == 0;
            reference.set_encode_special_tokens(skip);
            let policy = if skip { AddedTokens::SkipSpecial } else { AddedTokens::All };
            ids.clear();
            engine.encode_into(&mut scratch, &text, policy, &mut ids).unwrap();
            let expected = reference.encode_fast(&*text, false).unwrap();
            assert_eq!(ids, expected.get_ids(), "{name}, {policy:?}: {text:?}");
        }
    }
}

/// With `ignore_merges` the vocabulary may have words that merging does not give. Such a word is a token where it
/// stands alone, and others where it is a part of a longer word, whichever comes first.
#[test]
fn words_that_merging_does_not_give_are_tokens_as_a_whole_alone() {
    let Some((_, mut json)) = tokenizers().into_iter().nth(1) else { return };
    let spellings = BpeEngine::from_tokenizer_json(&json.to_string()).unwrap().spellings();
    json["model"]["ignore_merges"] = json!(true);
    let long = |word: &str| (10..32).contains(&word.len()) && !word.is_ascii();
    let tokens: Vec<(String, String)> = json["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(key, id)| {
            let spelled = spellings[id.as_u64().unwrap() as usize].clone()?;
            Some((key.clone(), String::from_utf8(spelled).ok().filter(|word| long(word))?))
        })
        .collect();
    let lost: HashSet<&str> = tokens.iter().map(|(key, _)| key.as_str()).collect();
    json["model"]["merges"]
        .as_array_mut()
        .unwrap()
        .retain(|merge| !lost.contains(merge.as_str().unwrap().replace(' ', "").as_str()));
    let (first, reference) = engines(&json);
    let (second, _) = engines(&json);
    let mut differ = 0;
    for (_, word) in &tokens {
        let texts = [format!("{word}語"), word.clone()];
        let expected =
            texts.clone().map(|text| reference.encode_fast(&*text, false).unwrap().get_ids().to_vec());
        differ += usize::from(!expected[0].starts_with(&expected[1]));
        for (engine, order) in [(&first, [0, 1]), (&second, [1, 0])] {
            for number in order {
                let mut ids = Vec::new();
                engine.encode_into(&mut Scratch::new(), &texts[number], AddedTokens::All, &mut ids).unwrap();
                assert_eq!(ids, expected[number], "{:?}, {order:?}", texts[number]);
            }
        }
    }
    assert!(differ > 100, "{differ} of {} words", tokens.len());
}

#[test]
fn the_bytes_of_the_tokens_are_the_text() {
    for (name, json) in tokenizers() {
        let engine = BpeEngine::from_tokenizer_json(&json.to_string()).unwrap();
        let spellings = engine.spellings();
        let text = "Bytes of tokens: \u{0}\t naïve 日本語 unbelievableness<|endoftext|>.";
        let mut ids = Vec::new();
        engine.encode_into(&mut Scratch::new(), text, AddedTokens::All, &mut ids).unwrap();
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| spellings[id as usize].clone().unwrap()).collect();
        // Some put a space first.
        let spelled = String::from_utf8(bytes).unwrap();
        assert_eq!(spelled.strip_prefix(' ').unwrap_or(&spelled), text, "{name}");
        assert!(spellings.len() < 3_000_000);
    }
}

#[test]
fn without_added_tokens_they_are_ordinary_text() {
    for (_, mut json) in tokenizers() {
        let with = BpeEngine::from_tokenizer_json(&json.to_string()).unwrap();
        json["added_tokens"] = json!([]);
        let (without, reference) = engines(&json);
        let text = "a<|endoftext|> b |||IP_ADDRESS|||";
        let expected = reference.encode_fast(text, false).unwrap();
        for (engine, policy) in
            [(&with, AddedTokens::None), (&without, AddedTokens::None), (&without, AddedTokens::All)]
        {
            let mut ids = Vec::new();
            engine.encode_into(&mut Scratch::new(), text, policy, &mut ids).unwrap();
            assert_eq!(ids, expected.get_ids());
        }
    }
}

#[test]
fn a_scratch_serves_one_engine_after_another() {
    let engines: Vec<_> = tokenizers()
        .iter()
        .map(|(_, json)| BpeEngine::from_tokenizer_json(&json.to_string()).unwrap())
        .collect();
    let mut scratch = Scratch::new();
    for engine in engines.iter().chain(&engines) {
        let text = "antidisestablishmentarianism unbelievableness 日本語のテキスト";
        let (mut ids, mut fresh) = (Vec::new(), Vec::new());
        engine.encode_into(&mut scratch, text, AddedTokens::All, &mut ids).unwrap();
        engine.encode_into(&mut Scratch::new(), text, AddedTokens::All, &mut fresh).unwrap();
        assert_eq!(ids, fresh);
    }
}

#[test]
fn what_is_not_reproduced_is_refused() {
    let Some((_, base)) = tokenizers().into_iter().nth(1) else { return };
    let changes = [
        ("/normalizer", json!({"type": "NFKC"})),
        ("/normalizer", json!({"type": "Replace", "pattern": {"String": " "}, "content": "_"})),
        ("/normalizer", json!({"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})),
        ("/pre_tokenizer", json!(null)),
        ("/pre_tokenizer", json!({"type": "Whitespace"})),
        ("/pre_tokenizer/pretokenizers/0/invert", json!(false)),
        ("/pre_tokenizer/pretokenizers/0/pattern/Regex", json!(r"\s+")),
        ("/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("(")),
        ("/pre_tokenizer/pretokenizers/1/add_prefix_space", json!(true)),
        ("/added_tokens/0/id", json!(7)),
        ("/model/type", json!("Unigram")),
        ("/model/dropout", json!(0.1)),
        ("/model/end_of_word_suffix", json!("</w>")),
        ("/model/vocab/zzzz", json!(5)),
        ("/model/merges/0", json!("no such")),
        ("/model/vocab", json!([["a", 0.5]])),
    ];
    for (pointer, value) in changes {
        let mut json = base.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = json.pointer_mut(parent).unwrap();
        match field.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[field] = value,
        }
        let result = BpeEngine::from_tokenizer_json(&json.to_string());
        assert!(matches!(result, Err(Error::Unsupported { .. })), "{pointer}: {:?}", result.err());
    }
    assert!(matches!(BpeEngine::from_tokenizer_json("{"), Err(Error::Json { .. })));
}

#[test]
fn damaged_table_files_are_refused() {
    let Some((_, json)) = tokenizers().into_iter().next() else { return };
    let file = BpeEngine::from_tokenizer_json(&json.to_string()).unwrap().to_bytes();
    let mut random = Random(3);
    for _ in 0..200 {
        let mut damaged = file.clone();
        damaged[random.below(file.len())] ^= 1 << random.below(8);
        assert!(matches!(BpeEngine::from_bytes(&damaged), Err(Error::Tables { .. })));
        assert!(matches!(
            BpeEngine::from_bytes(&file[..random.below(file.len())]),
            Err(Error::Tables { .. })
        ));
    }
}

#[test]
fn endless_words_take_linear_time() {
    let Some((_, json)) = tokenizers().into_iter().nth(1) else { return };
    let engine = BpeEngine::from_tokenizer_json(&json.to_string()).unwrap();
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    for unit in [" ", "a", "\n", "ab", "=-", "日", "xyzzyplugh", "\u{301}"] {
        let text = unit.repeat(2_000_000 / unit.len());
        engine.encode_into(&mut scratch, &text, AddedTokens::All, &mut ids).unwrap();
    }
    assert!(ids.len() > 50_000);
}
