//! Ids equal those of the reference, Hugging Face `tokenizers`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails where it panics, and says what it skips"
)]

mod common;

use std::collections::HashSet;

use common::{Random, gpt2, others, string, tokenizers, with_unknown_characters};
use mashbill_subword::{AddedTokens, Error, Scratch, SubwordEngine};
use serde_json::{Value, json};

/// Both engines, the reference with a switch for special tokens.
fn engines(json: &Value) -> (SubwordEngine, tokenizers::Tokenizer) {
    let text = json.to_string();
    let made = SubwordEngine::from_tokenizer_json(&text).unwrap();
    let loaded = SubwordEngine::from_bytes(&made.to_bytes()).unwrap();
    assert_eq!(loaded.to_bytes(), made.to_bytes());
    (loaded, text.parse().unwrap())
}

#[test]
fn ids_are_those_of_the_reference() {
    are_those_of_the_reference(tokenizers());
}

#[test]
fn ids_of_other_models_are_those_of_the_reference() {
    let others = gpt2().map(|gpt2| others(&gpt2)).unwrap_or_default();
    let (taken, refused): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|(_, json)| SubwordEngine::from_tokenizer_json(&json.to_string()).is_ok());
    // Only those are refused whose first characters may be left out before a space is put first.
    assert!(refused.iter().all(|(name, _)| name.contains("metaspace first")), "{refused:?}");
    are_those_of_the_reference(taken);
}

#[test]
fn ids_of_characters_without_a_token_are_those_of_the_reference() {
    are_those_of_the_reference(with_unknown_characters());
}

/// On some hundred texts each; `MASHBILL_LONG=1` takes ten times as many.
fn are_those_of_the_reference(tokenizers: Vec<(String, Value)>) {
    let rounds = if std::env::var_os("MASHBILL_LONG").is_some() { 3_000 } else { 300 };
    for (name, json) in tokenizers {
        let (engine, mut reference) = engines(&json);
        let (mut scratch, mut ids, mut random) = (Scratch::new(), Vec::new(), Random(7));
        for round in 0..rounds {
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
    let spellings = SubwordEngine::from_tokenizer_json(&json.to_string()).unwrap().spellings();
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
    // Behind an added token another space may come first.
    for (name, json) in tokenizers().into_iter().filter(|(name, _)| !name.ends_with("line ends added")) {
        let engine = SubwordEngine::from_tokenizer_json(&json.to_string()).unwrap();
        let spellings = engine.spellings();
        let text = "Bytes of tokens: \u{0}\t naïve 日本語 unbelievableness<|endoftext|>";
        let mut ids = Vec::new();
        engine.encode_into(&mut Scratch::new(), text, AddedTokens::All, &mut ids).unwrap();
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| spellings[id as usize].clone().unwrap()).collect();
        // Some put a space first.
        let spelled = String::from_utf8(bytes).unwrap();
        let spelled = spelled.strip_prefix(' ').unwrap_or(&spelled);
        // Some leave white space or vowels out.
        let mut rest = text.chars();
        let is_same =
            |c: char, other: char| c.eq_ignore_ascii_case(&other) || c == ' ' && other.is_whitespace();
        assert!(spelled.chars().all(|c| rest.any(|other| is_same(c, other))), "{name}: {spelled}");
        let leaves_out = ["clip", "left out", "words", "bert"].iter().any(|kind| name.ends_with(kind));
        assert!(spelled == text || leaves_out, "{name}: {spelled}");
        assert!(spellings.len() < 3_000_000);
    }
}

#[test]
fn without_added_tokens_they_are_ordinary_text() {
    for (_, mut json) in tokenizers() {
        let with = SubwordEngine::from_tokenizer_json(&json.to_string()).unwrap();
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
        .map(|(_, json)| SubwordEngine::from_tokenizer_json(&json.to_string()).unwrap())
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
        ("/normalizer", json!({"type": "ByteLevel"})),
        ("/normalizer", json!({"type": "Replace", "pattern": {"String": ""}, "content": "_"})),
        ("/normalizer", json!({"type": "Replace", "pattern": {"Regex": "("}, "content": "_"})),
        (
            "/normalizer",
            json!({"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "//8="}]}),
        ),
        ("/pre_tokenizer", json!({"type": "UnicodeScripts"})),
        ("/pre_tokenizer/pretokenizers/0/pattern/Regex", json!("(")),
        ("/pre_tokenizer/pretokenizers/1/add_prefix_space", json!(true)),
        ("/model/type", json!("Unigram")),
        ("/model/type", json!("WordPiece")),
        ("/model/type", json!("Other")),
        ("/model/dropout", json!(0.1)),
        ("/model/end_of_word_suffix", json!("</w>")),
        ("/model/continuing_subword_prefix", json!("##")),
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
        let result = SubwordEngine::from_tokenizer_json(&json.to_string());
        assert!(matches!(result, Err(Error::Unsupported { .. })), "{pointer}: {:?}", result.err());
    }
    assert!(matches!(SubwordEngine::from_tokenizer_json("{"), Err(Error::Json { .. })));
}

/// Where spaces are `▁` before added tokens are looked for, the reference finds no white space to take along.
#[test]
fn what_takes_spaces_along_is_refused_where_there_are_none() {
    let texts = ["a<R> x", "a <R>  x", "<R> ", " <R>", "a<R>▁x", "a\n<R>\t x"];
    let (mut refused, mut compared) = (0, 0);
    for (name, mut json) in tokenizers().into_iter().filter(|(name, _)| name.starts_with("sentence pieces")) {
        let id = json["model"]["vocab"].as_object().unwrap().len() + 9;
        json["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": id, "content": "<R>", "single_word": false, "lstrip": true, "rstrip": true,
            "normalized": true, "special": false,
        }));
        let Ok(engine) = SubwordEngine::from_tokenizer_json(&json.to_string()) else {
            refused += 1;
            continue;
        };
        let reference: tokenizers::Tokenizer = json.to_string().parse().unwrap();
        for text in texts {
            let mut ids = Vec::new();
            engine.encode_into(&mut Scratch::new(), text, AddedTokens::All, &mut ids).unwrap();
            assert_eq!(ids, reference.encode_fast(text, false).unwrap().get_ids(), "{name}: {text:?}");
        }
        compared += 1;
    }
    assert!(refused > 0 && compared > 0 || gpt2().is_none(), "{refused} and {compared}");
}

#[test]
fn damaged_table_files_are_refused() {
    let Some((_, json)) = tokenizers().into_iter().next() else { return };
    let file = SubwordEngine::from_tokenizer_json(&json.to_string()).unwrap().to_bytes();
    let mut random = Random(3);
    for _ in 0..200 {
        let mut damaged = file.clone();
        damaged[random.below(file.len())] ^= 1 << random.below(8);
        assert!(matches!(SubwordEngine::from_bytes(&damaged), Err(Error::Tables { .. })));
        assert!(matches!(
            SubwordEngine::from_bytes(&file[..random.below(file.len())]),
            Err(Error::Tables { .. })
        ));
    }
}

#[test]
fn endless_words_take_linear_time() {
    let Some((_, json)) = tokenizers().into_iter().nth(1) else { return };
    let engine = SubwordEngine::from_tokenizer_json(&json.to_string()).unwrap();
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    for unit in [" ", "a", "\n", "ab", "=-", "日", "xyzzyplugh", "\u{301}"] {
        let text = unit.repeat(2_000_000 / unit.len());
        engine.encode_into(&mut scratch, &text, AddedTokens::All, &mut ids).unwrap();
    }
    assert!(ids.len() > 50_000);
}
