//! Tests of what is put around documents and of the choice of engines, on a tokenizer
//! with a token for each byte.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use sha2::{Digest, Sha256};

use super::start::hex;
use super::verdict::Verdict;
use super::*;

/// A tokenizer whose ids are bytes, and 256 and on for `special`, with a template.
fn bytes(special: &[&str], template: Value) -> TokenizerFiles {
    let plain = |letter: &String| serde_json::from_str(&format!("\"{letter}\"")).unwrap();
    let letters: Vec<String> = embedded::byte_letters().iter().map(plain).collect();
    let vocab: serde_json::Map<String, Value> = letters.into_iter().zip((0..).map(Value::from)).collect();
    let added_tokens: Vec<Value> =
        special.iter().zip(256..).map(|(content, id)| added_token(content, id)).collect();
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added_tokens, "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": template, "decoder": null,
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    });
    files(&file)
}

fn added_token(content: &str, id: u32) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    })
}

fn files(file: &Value) -> TokenizerFiles {
    TokenizerFiles {
        name: "bytes".to_owned(),
        tokenizer_json: file.to_string(),
        tokenizer_config: None,
        special_tokens_map: None,
        added_tokens: None,
        config: None,
        generation_config: None,
        chat_template: None,
        additional_chat_templates: Vec::new(),
    }
}

fn changed(files: &TokenizerFiles, change: impl Fn(&mut Value)) -> TokenizerFiles {
    let mut file = serde_json::from_str(&files.tokenizer_json).unwrap();
    change(&mut file);
    TokenizerFiles { tokenizer_json: file.to_string(), ..files.clone() }
}

/// A template of the pieces, `$A` being the document.
fn template(pieces: &[&str], ids: &[(&str, u32)]) -> Value {
    let piece = |piece: &&str| match *piece {
        "$A" => json!({ "Sequence": { "id": "A", "type_id": 0 } }),
        token => json!({ "SpecialToken": { "id": token, "type_id": 0 } }),
    };
    let special = ids
        .iter()
        .map(|(token, id)| ((*token).to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] })));
    json!({
        "type": "TemplateProcessing", "single": pieces.iter().map(piece).collect::<Vec<_>>(),
        "pair": pieces.iter().map(piece).collect::<Vec<_>>(),
        "special_tokens": special.collect::<serde_json::Map<_, _>>(),
    })
}

const OPTIONS: TokenizerOptions =
    TokenizerOptions { add_bos: true, add_eos: true, ..TokenizerOptions::NOTHING_ADDED };

fn load(files: &TokenizerFiles, options: &TokenizerOptions) -> Tokenizer {
    Tokenizer::load(files, options, None).unwrap()
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    tokenizer.encode(&mut Scratch::new(), text, &mut ids).unwrap();
    ids
}

/// The EOS token and what names it.
fn eos(files: &TokenizerFiles) -> (String, String) {
    let eos = load(files, &OPTIONS).identity().eos.clone().unwrap();
    (eos.token, eos.found_in)
}

fn bos_template() -> Value {
    template(&["<s>", "$A"], &[("<s>", 256)])
}

#[test]
fn documents_begin_as_the_template_has_it_and_end_with_eos() {
    let files = bytes(&["<s>", "</s>"], bos_template());
    let tokenizer = load(&files, &OPTIONS);
    assert_eq!(encode(&tokenizer, "ab"), [256, 97, 98, 257]);
    assert_eq!(encode(&tokenizer, ""), [256, 257]);
    let identity = tokenizer.identity();
    assert_eq!(identity.bos.as_ref().unwrap().token, "<s>");
    assert_eq!(
        (identity.vocabulary_size, &*identity.ids_before, &*identity.ids_after),
        (258, &[256][..], &[257][..])
    );
    let bare = load(&files, &TokenizerOptions { add_bos: false, add_eos: false, ..OPTIONS });
    assert_eq!(encode(&bare, "ab"), [97, 98]);
    assert!(bare.identity().ids_before.is_empty());
    assert!(bare.identity().bos.is_some());
}

#[test]
fn nothing_is_added_twice() {
    let tokenizer = load(&bytes(&["<s>", "</s>"], bos_template()), &OPTIONS);
    assert_eq!(encode(&tokenizer, "<s>a</s>"), [256, 97, 257]);
    assert_eq!(encode(&tokenizer, "<s>"), [256, 257]);
    assert_eq!(encode(&tokenizer, "</s>"), [256, 257]);
    assert_eq!(encode(&tokenizer, "</s><s>"), [256, 257, 256, 257]);
    let mut ids = vec![1, 2];
    let encoded = tokenizer.encode(&mut Scratch::new(), "<s>a", &mut ids).unwrap();
    assert_eq!(ids, [1, 2, 256, 97, 257]);
    assert_eq!(encoded, Encoded { text_tokens: 2, added_tokens: 1, literal_special_tokens: 1 });

    let ends_too = template(&["<s>", "$A", "</s>"], &[("<s>", 256), ("</s>", 257)]);
    let tokenizer = load(&bytes(&["<s>", "</s>"], ends_too), &OPTIONS);
    assert_eq!(encode(&tokenizer, "a"), [256, 97, 257]);

    let both = template(&["<e>", "$A"], &[("<e>", 256)]);
    let files = TokenizerFiles {
        tokenizer_config: Some(r#"{"eos_token":"<e>"}"#.to_owned()),
        ..bytes(&["<e>"], both)
    };
    let tokenizer = load(&files, &OPTIONS);
    assert_eq!(encode(&tokenizer, ""), [256, 256]);
    assert_eq!(encode(&tokenizer, "a<e>"), [256, 97, 256]);
}

#[test]
fn a_template_that_repeats_the_document_is_refused() {
    let files = bytes(&["</s>"], template(&["$A", "</s>", "$A"], &[("</s>", 256)]));
    assert!(matches!(Tokenizer::load(&files, &OPTIONS, None), Err(Error::Template)));
}

#[test]
fn eos_is_what_the_nearest_file_says() {
    let files = bytes(&["<a>", "<b>", "<|endoftext|>", "</s>", "<|im_end|>"], Value::Null);
    assert_eq!(eos(&files), ("<|endoftext|>".to_owned(), "well-known name".to_owned()));
    let files =
        TokenizerFiles { generation_config: Some(r#"{"eos_token_id":[260,257]}"#.to_owned()), ..files };
    assert_eq!(eos(&files), ("<|im_end|>".to_owned(), "generation_config.json".to_owned()));
    let files =
        TokenizerFiles { config: Some(r#"{"text_config":{"eos_token_id":[260,259]}}"#.to_owned()), ..files };
    assert_eq!(eos(&files), ("</s>".to_owned(), "config.json".to_owned()));
    let files =
        TokenizerFiles { special_tokens_map: Some(r#"{"eos_token":{"content":"<b>"}}"#.to_owned()), ..files };
    assert_eq!(eos(&files), ("<b>".to_owned(), "special_tokens_map.json".to_owned()));
    let files = TokenizerFiles { tokenizer_config: Some(r#"{"eos_token":"<a>"}"#.to_owned()), ..files };
    assert_eq!(eos(&files), ("<a>".to_owned(), "tokenizer_config.json".to_owned()));
    let option = TokenizerOptions { eos_token: Some("<b>".to_owned()), ..OPTIONS };
    assert_eq!(load(&files, &option).identity().eos.as_ref().unwrap().found_in, "option");
    let files = TokenizerFiles { tokenizer_config: Some(r#"{"eos_token":null}"#.to_owned()), ..files };
    assert_eq!(eos(&files).0, "<b>");
}

#[test]
fn an_end_of_turn_is_taken_only_where_nothing_else_ends_documents() {
    let only_turns = bytes(&["<|eot_id|>", "<|im_end|>"], Value::Null);
    assert_eq!(eos(&only_turns).0, "<|im_end|>");
    let both = bytes(&["<|im_end|>", "<|end_of_text|>"], Value::Null);
    assert_eq!(eos(&both).0, "<|end_of_text|>");
    let config = Some(r#"{"eos_token":"<|im_end|>"}"#.to_owned());
    let tokenizer = load(&TokenizerFiles { tokenizer_config: config, ..both }, &OPTIONS);
    assert_eq!(tokenizer.identity().eos.as_ref().unwrap().token, "<|im_end|>");
    assert_eq!(tokenizer.identity().notes.len(), 1);
}

#[test]
fn tokens_that_only_side_files_add_are_refused_by_name() {
    let files = bytes(&["</s>", "<|im_start|>"], Value::Null);
    let check = |files: &TokenizerFiles, expected: Option<(&str, &[&str])>| match (
        Tokenizer::load(files, &OPTIONS, None),
        expected,
    ) {
        (Ok(_), None) => {}
        (Err(Error::NotAdded { tokens, file }), Some((named, missing))) => {
            assert_eq!(
                (file, tokens.iter().map(String::as_str).collect::<Vec<_>>()),
                (named, missing.to_vec())
            );
        }
        (other, _) => panic!("{:?} where {expected:?} is right", other.err()),
    };
    let config = |text: &str| TokenizerFiles { tokenizer_config: Some(text.to_owned()), ..files.clone() };
    let added = |text: &str| TokenizerFiles { added_tokens: Some(text.to_owned()), ..files.clone() };
    let decoder = r#"{"added_tokens_decoder":{"7":{"content":"<|im_start|>"},"8":{"content":"<|im_end|>"}}}"#;
    check(&config(decoder), Some(("tokenizer_config.json", &["<|im_end|>"])));
    check(&config(r#"{"added_tokens_decoder":{"7":{"content":"<|im_start|>"}}}"#), None);
    check(&added(r#"{"<|im_start|>":7,"<|im_end|>":8}"#), Some(("added_tokens.json", &["<|im_end|>"])));
    check(&added(r#"{"<|im_start|>":7}"#), None);
    check(
        &config(r#"{"additional_special_tokens":["<a>",{"content":"<b>"},"</s>"]}"#),
        Some(("tokenizer_config.json", &["<a>", "<b>"])),
    );
    let map = Some(r#"{"additional_special_tokens":["<a>"]}"#.to_owned());
    let mapped = TokenizerFiles { special_tokens_map: map, ..files.clone() };
    check(&mapped, Some(("special_tokens_map.json", &["<a>"])));
    // The newer place has the say where both are there.
    let both = r#"{"added_tokens_decoder":{"7":{"content":"<|im_start|>"}}}"#;
    check(&TokenizerFiles { tokenizer_config: Some(both.to_owned()), ..added(r#"{"<old>":9}"#) }, None);
    for odd in [r#"{"added_tokens_decoder":[],"additional_special_tokens":"x"}"#, "[]", "null", "7"] {
        check(&config(odd), None);
    }
    for odd in ["[]", "null", "7"] {
        check(&added(odd), None);
    }
}

#[test]
fn eos_is_never_guessed() {
    let files = bytes(&["<x>"], Value::Null);
    assert!(matches!(Tokenizer::load(&files, &OPTIONS, None), Err(Error::NoEos { .. })));
    let option = TokenizerOptions { eos_token: Some("</s>".to_owned()), ..OPTIONS };
    assert!(matches!(Tokenizer::load(&files, &option, None), Err(Error::NotInVocabulary { .. })));
    let config = Some(r#"{"eos_token":"<|end|>"}"#.to_owned());
    let wrong = TokenizerFiles { tokenizer_config: config, ..files.clone() };
    assert!(matches!(Tokenizer::load(&wrong, &OPTIONS, None), Err(Error::NotInVocabulary { .. })));
    let broken = TokenizerFiles { config: Some("{".to_owned()), ..files.clone() };
    assert!(matches!(Tokenizer::load(&broken, &OPTIONS, None), Err(Error::Json { file: "config.json", .. })));
    let without = TokenizerOptions { add_eos: false, ..OPTIONS };
    assert!(matches!(Tokenizer::load(&files, &without, None), Err(Error::NoPad { .. })));
}

#[test]
fn rows_are_filled_with_a_pad_token_else_eos_else_bos() {
    let pad = |files: &TokenizerFiles, options: &TokenizerOptions| {
        let pad = load(files, options).identity().pad.clone();
        (pad.id, pad.found_in)
    };
    let files = bytes(&["<s>", "</s>", "<x>", "<pad>"], bos_template());
    assert_eq!(pad(&files, &OPTIONS), (259, "well-known name".to_owned()));
    let named = TokenizerFiles { tokenizer_config: Some(r#"{"pad_token":"<x>"}"#.to_owned()), ..files };
    assert_eq!(pad(&named, &OPTIONS), (258, "tokenizer_config.json".to_owned()));
    let files = bytes(&["<s>", "</s>"], bos_template());
    assert_eq!(pad(&files, &OPTIONS), (257, "eos".to_owned()));
    let files = bytes(&["<s>"], bos_template());
    assert_eq!(pad(&files, &TokenizerOptions { add_eos: false, ..OPTIONS }), (256, "bos".to_owned()));
}

#[test]
fn special_tokens_in_a_text_are_encoded_split_or_refused() {
    let files = bytes(&["<s>", "</s>"], Value::Null);
    let with = |special_tokens_in_text| {
        load(&files, &TokenizerOptions { add_eos: false, special_tokens_in_text, ..OPTIONS })
    };
    let mut ids = vec![7];
    let encoded = with(SpecialTokensInText::Encode).encode(&mut Scratch::new(), "a<s>", &mut ids).unwrap();
    assert_eq!((&*ids, encoded.literal_special_tokens), (&[7, 97, 256][..], 1));
    let split = with(SpecialTokensInText::Split);
    assert_eq!(encode(&split, "a<s>"), [97, 60, 115, 62]);
    assert_eq!(split.identity().special_tokens_in_text, SpecialTokensInText::Split);
    let reject = with(SpecialTokensInText::Reject);
    assert!(matches!(
        reject.encode(&mut Scratch::new(), "<s></s>", &mut ids),
        Err(Error::LiteralSpecialTokens { count: 2 })
    ));
    assert_eq!(ids, [7, 97, 256]);
    assert_eq!(encode(&reject, "<s"), [60, 115]);
}

#[test]
fn truncation_and_padding_are_cleared() {
    let files = changed(&bytes(&["</s>"], Value::Null), |file| {
        file["truncation"] =
            json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
        file["padding"] = json!({
            "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "x",
        });
    });
    let tokenizer = load(&files, &OPTIONS);
    assert_eq!(encode(&tokenizer, "abcd"), [97, 98, 99, 100, 256]);
    assert!(tokenizer.identity().truncation_cleared && tokenizer.identity().padding_cleared);
    let reference = tokenizer.to_reference(FastRefused::Mismatch { text: String::new() }).unwrap();
    assert_eq!(encode(&reference, "abcd"), [97, 98, 99, 100, 256]);
}

#[test]
fn a_verdict_is_kept_for_the_tokenizer_and_the_engines_it_is_about() {
    let files = bytes(&["</s>"], Value::Null);
    let folder = tempfile::tempdir().unwrap();
    let load = || Tokenizer::load(&files, &OPTIONS, Some(folder.path())).unwrap();
    assert_eq!(load().engine(), Engine::Own);
    let path = only_file(&folder.path().join("verdicts"));
    let passed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(load().engine(), Engine::Own);

    let why = FastRefused::Mismatch { text: "x".to_owned() };
    let sha256 = load().identity().sha256.clone();
    let against = serde_json::to_string(&Verdict::new(&sha256, Some(why.clone()))).unwrap();
    std::fs::write(&path, &against).unwrap();
    let tokenizer = load();
    assert_eq!((tokenizer.engine(), tokenizer.fast_refused()), (Engine::Reference, Some(&why)));
    assert_eq!(encode(&tokenizer, "ab"), [97, 98, 256]);

    for useless in
        [against.replace(&sha256, "0"), against.replace(", set ", ", another set "), "{".to_owned()]
    {
        std::fs::write(&path, useless).unwrap();
        assert_eq!(load().engine(), Engine::Own);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), passed);
    }
}

#[test]
fn kept_tables_give_the_same_ids_and_damaged_ones_are_made_again() {
    let files = embedded("gpt2").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let load = |files| Tokenizer::load(files, &OPTIONS, Some(folder.path())).unwrap();
    let text = "Kept tables: naïve antidisestablishmentarianism 日本語 <|endoftext|>";
    let expected = encode(&load(&files), text);
    let path = only_file(&folder.path().join("tables"));
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(encode(&load(&files), text), expected);

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    let other = hex(&Sha256::digest(bytes(&["</s>"], Value::Null).tokenizer_json));
    let of_another = [other.as_bytes(), &whole[64..]].concat();
    for useless in [damaged, whole[..whole.len() / 3].to_vec(), Vec::new(), of_another] {
        std::fs::write(&path, useless).unwrap();
        let tokenizer = load(&files);
        assert_eq!((tokenizer.engine(), encode(&tokenizer, text)), (Engine::Own, expected.clone()));
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    // A cache that can't be written is no reason to stop.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(encode(&Tokenizer::load(&files, &OPTIONS, Some(&file)).unwrap(), text), expected);
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[test]
fn models_of_all_kinds_are_the_fast_engines_and_a_part_that_it_lacks_is_named() {
    let files = changed(&bytes(&["</s>"], Value::Null), |file| {
        file["pre_tokenizer"] = json!({ "type": "WhitespaceSplit" });
        file["model"] =
            json!({ "type": "WordLevel", "vocab": { "[UNK]": 0, "a": 1, "</s>": 2 }, "unk_token": "[UNK]" });
    });
    let tokenizer = load(&files, &OPTIONS);
    assert_eq!((tokenizer.engine(), tokenizer.fast_refused()), (Engine::Own, None));
    assert_eq!(encode(&tokenizer, "a b"), [1, 0, 2]);

    let files = changed(&files, |file| file["pre_tokenizer"] = json!({ "type": "UnicodeScripts" }));
    let tokenizer = load(&files, &OPTIONS);
    assert_eq!(tokenizer.engine(), Engine::Reference);
    let why = "its pre-tokenizer is UnicodeScripts".to_owned();
    assert_eq!(tokenizer.fast_refused(), Some(&FastRefused::Unsupported { why }));
    assert_eq!(encode(&tokenizer, "a b"), [0, 2]);
}

#[test]
fn dropout_is_cleared_whichever_engine_encodes() {
    let plain = changed(&bytes(&["</s>"], Value::Null), |file| {
        file["model"]["vocab"]["</s>"] = 256.into();
        file["model"]["vocab"]["ab"] = 257.into();
        file["model"]["merges"] = json!(["a b"]);
    });
    let files = changed(&plain, |file| file["model"]["dropout"] = json!(0.9));
    let tokenizer = load(&files, &OPTIONS);
    assert!(tokenizer.identity().dropout_cleared && !load(&plain, &OPTIONS).identity().dropout_cleared);
    assert_ne!(tokenizer.identity().sha256, load(&plain, &OPTIONS).identity().sha256);
    let text = "ab".repeat(100);
    let expected: Vec<u32> = [257; 100].into_iter().chain([256]).collect();
    assert_eq!((tokenizer.engine(), encode(&tokenizer, &text)), (Engine::Own, expected.clone()));
    let reference = tokenizer.to_reference(FastRefused::Mismatch { text: String::new() }).unwrap();
    assert_eq!(encode(&reference, &text), expected);
    let ids = encode(&tokenizer, &text);
    assert_eq!(tokenizer.check_samples(&[Sample { text: &text, ids: &ids, is_bare: false }]).unwrap(), None);
    let beyond = changed(&plain, |file| file["model"]["dropout"] = json!(7));
    assert!(matches!(Tokenizer::load(&beyond, &OPTIONS, None), Err(Error::Refused { .. })));
}

#[test]
fn a_text_without_ids_is_an_error_and_leaves_what_was_there() {
    let pattern = json!({ "Regex": r"(?:q|qq)+[!?]|\b.|.|\s" });
    let split = json!({ "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false });
    let files = changed(&bytes(&["</s>"], Value::Null), |file| {
        file["pre_tokenizer"]["use_regex"] = false.into();
        let last = file["pre_tokenizer"].take();
        file["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [split, last] });
    });
    let tokenizer = load(&files, &OPTIONS);
    let mut ids = vec![7];
    let failed = tokenizer.encode(&mut Scratch::new(), &"q".repeat(60), &mut ids);
    assert!(matches!(failed, Err(Error::Encode { .. })), "{failed:?}");
    assert_eq!(ids, [7]);
    assert_eq!(encode(&tokenizer, "a"), [97, 256]);
}

#[test]
fn ids_beyond_the_largest_vocabulary_are_refused() {
    for id in [VOCABULARY_MAX, u32::MAX] {
        let files = changed(&bytes(&["</s>"], Value::Null), |file| file["model"]["vocab"]["far"] = id.into());
        let refused = Tokenizer::load(&files, &OPTIONS, None);
        assert!(matches!(refused, Err(Error::IdTooLarge { id: found, .. }) if found == id), "{refused:?}");
    }
}

#[test]
fn a_pad_token_that_is_asked_for_fills_rows_up() {
    let files = bytes(&["<x>", "<pad>"], Value::Null);
    let options = |pad: &str| TokenizerOptions { add_eos: false, pad_token: Some(pad.to_owned()), ..OPTIONS };
    assert_eq!(load(&files, &options("<x>")).identity().pad.id, 256);
    assert_eq!(load(&files, &options("a")).identity().pad.id, 97);
    let missing = Tokenizer::load(&files, &options("nowhere"), None);
    assert!(matches!(missing, Err(Error::NotInVocabulary { .. })), "{missing:?}");
}

#[test]
fn the_reference_gives_added_tokens_their_ids() {
    // A token that the vocabulary has keeps its id from there, whatever the file says.
    let files = changed(&bytes(&["</s>"], Value::Null), |file| {
        file["added_tokens"].as_array_mut().unwrap().push(added_token("a", 1_000));
        file["added_tokens"].as_array_mut().unwrap().push(added_token("<new>", 2_000));
    });
    let tokenizer = load(&files, &OPTIONS);
    assert_eq!(tokenizer.engine(), Engine::Own);
    assert_eq!(encode(&tokenizer, "a<new>"), [97, 257, 256]);
    assert_eq!(tokenizer.identity().vocabulary_size, 258);
}

#[test]
fn files_that_are_no_tokenizers_are_refused() {
    let files = bytes(&["</s>"], Value::Null);
    let broken = TokenizerFiles { tokenizer_json: "{}".to_owned(), ..files.clone() };
    assert!(matches!(
        Tokenizer::load(&broken, &OPTIONS, None),
        Err(Error::Json { file: "tokenizer.json", .. })
    ));
    let unknown = changed(&files, |file| file["pre_tokenizer"] = json!({ "type": "Nonsense" }));
    assert!(Tokenizer::load(&unknown, &OPTIONS, None).is_err());
}

#[test]
fn a_long_s_after_an_apostrophe_is_the_reference_s_to_encode() {
    let options = TokenizerOptions::NOTHING_ADDED;
    for name in ["o200k_base", "cl100k_base"] {
        let files = embedded(name).unwrap();
        let tokenizer = load(&files, &options);
        let reference = Reference::whole(&files.tokenizer_json, SpecialTokensInText::Encode).unwrap();
        for text in ["각'ſ'S're", "Waſſer'ſ", "don'ſ x'ſ'ſ", "ǅ'ſa 'ſ", "日本'ſ're", "a'ſ\u{301}b"]
        {
            let mut expected = Vec::new();
            reference.encode(text, &mut expected).unwrap();
            assert_eq!(encode(&tokenizer, text), expected, "{name}: {text:?}");
        }
    }
}
