//! Which bytes of a text its tokens stand for, on random texts.
//!
//! The tokens themselves say it where they are the text's; elsewhere the reference does, which is asked here by itself.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::collections::HashMap;
use std::iter;
use std::ops::Range;
use std::sync::LazyLock;

use mashbill_tokenizer::{Scratch, Tokenizer, TokenizerFiles, TokenizerOptions, embedded};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Added tokens: some special, one that is not.
const ADDED: [(&str, bool); 4] =
    [("<|endoftext|>", true), ("<|im_start|>", true), ("<|im_end|>", true), ("<think>", false)];

/// GPT-2's words, with those tokens.
static BYTES: LazyLock<(Tokenizer, HashMap<u32, Vec<u8>>)> = LazyLock::new(|| {
    let files = embedded("gpt2").unwrap();
    let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
    file["added_tokens"] = ADDED.iter().zip(50_256..).map(|(token, id)| added(*token, id)).collect();
    let tokenizer = load(&TokenizerFiles { tokenizer_json: file.to_string(), ..files });
    let letters: HashMap<char, u8> = (0..=255).zip(letters()).map(|(byte, letter)| (letter, byte)).collect();
    let vocab = file["model"]["vocab"].as_object().unwrap().iter();
    let spelled = vocab.filter_map(|(token, id)| {
        let bytes = token.chars().map(|letter| letters.get(&letter).copied()).collect::<Option<_>>()?;
        Some((u32::try_from(id.as_u64()?).ok()?, bytes))
    });
    let added = ADDED.iter().zip(50_256..).map(|((token, _), id)| (id, token.as_bytes().to_vec()));
    (tokenizer, spelled.chain(added).collect())
});

/// As T5 has it: a space is `▁`, one stands before each text, and the likeliest pieces win.
static PIECES: LazyLock<(Tokenizer, tokenizers::Tokenizer)> = LazyLock::new(|| {
    let mut vocab = vec![json!(["<unk>", 0.0])];
    let letters = ('a'..='z').chain(['▁', 'é', '中', '.', '?', '<', '|']).map(String::from);
    let words = ["▁some", "▁so", "me", "▁words", "中中", "▁▁"].map(str::to_owned);
    vocab.extend(letters.chain(words).zip(1..).map(|(piece, at)| json!([piece, -1.0 - f64::from(at) / 7.0])));
    let first = vocab.len() as u32;
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": ADDED.iter().zip(first..).map(|(token, id)| added(*token, id)).collect::<Vec<_>>(),
        "normalizer": { "type": "NFKC" },
        "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "post_processor": null, "decoder": null,
        "model": { "type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false },
    });
    let text = file.to_string();
    (
        load(&TokenizerFiles { tokenizer_json: text.clone(), ..embedded("gpt2").unwrap() }),
        text.parse().unwrap(),
    )
});

/// GPT-2's words behind what changes a text: for each the tokenizer and the reference.
static CHANGED: LazyLock<Vec<(Tokenizer, tokenizers::Tokenizer)>> = LazyLock::new(|| {
    let files = embedded("gpt2").unwrap();
    let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
    file["added_tokens"] = ADDED.iter().zip(50_256..).map(|(token, id)| added(*token, id)).collect();
    file["post_processor"] = Value::Null;
    let changes: [&dyn Fn(&mut Value); 5] = [
        &|file| file["normalizer"] = json!({ "type": "NFC" }),
        &|file| file["normalizer"] = json!({ "type": "Lowercase" }),
        &|file| file["added_tokens"][3]["lstrip"] = true.into(),
        &|file| file["added_tokens"][1]["rstrip"] = true.into(),
        &|file| file["pre_tokenizer"]["add_prefix_space"] = true.into(),
    ];
    let with = |change: &&dyn Fn(&mut Value)| {
        let mut file = file.clone();
        change(&mut file);
        let text = file.to_string();
        (load(&TokenizerFiles { tokenizer_json: text.clone(), ..files.clone() }), text.parse().unwrap())
    };
    changes.iter().map(with).collect()
});

/// Tokenizers of characters: for each its name, itself and the reference.
static CHARACTERS: LazyLock<Vec<(&str, Tokenizer, tokenizers::Tokenizer)>> = LazyLock::new(|| {
    let kind = |name: &str| json!({ "type": name });
    let normalizers = |steps: &[Value]| json!({ "type": "Sequence", "normalizers": steps });
    let pre_tokenizers = |steps: &[Value]| json!({ "type": "Sequence", "pretokenizers": steps });
    let metaspace = |scheme: &str| json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true });
    let prepend = json!({ "type": "Prepend", "prepend": "▁" });
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let join = json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " });
    let split = json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false });
    let bert = json!({ "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true });
    let definitions = [
        ("Llama 2", pairs(), normalizers(&[prepend, replace.clone()]), Value::Null),
        ("Gemma", pairs(), replace, split),
        ("Mistral", pairs(), Value::Null, metaspace("first")),
        ("never", pairs(), Value::Null, metaspace("never")),
        ("T5", pieces(), kind("NFKC"), metaspace("always")),
        (
            "XLM-R",
            pieces(),
            normalizers(&[kind("NFKC"), join.clone()]),
            pre_tokenizers(&[kind("WhitespaceSplit"), metaspace("always")]),
        ),
        (
            "ALBERT",
            pieces(),
            normalizers(&[kind("NFKD"), kind("StripAccents"), kind("Lowercase"), join]),
            metaspace("always"),
        ),
        ("BERT", word_pieces(), bert, kind("BertPreTokenizer")),
        ("words", whole_words(), kind("Lowercase"), kind("Whitespace")),
    ];
    definitions
        .map(|(name, model, normalizer, pre_tokenizer)| {
            let file = json!({
                "version": "1.0", "truncation": null, "padding": null, "post_processor": null, "decoder": null,
                "added_tokens": ADDED.iter().zip(500..).map(|(token, id)| added(*token, id)).collect::<Vec<_>>(),
                "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": model,
            });
            let text = file.to_string();
            let files = TokenizerFiles { tokenizer_json: text.clone(), ..embedded("gpt2").unwrap() };
            (name, load(&files), text.parse().unwrap())
        })
        .into()
});

const WORDS: [&str; 7] = ["▁s", "so", "▁so", "me", "some", "▁some", "▁▁"];

/// An unknown token, and single characters.
fn entries() -> impl Iterator<Item = String> {
    let letters = ('a'..='z').chain(['▁', 'é', '中', '.', '?', '<', '|']).map(String::from);
    iter::once("<unk>".to_owned()).chain(letters)
}

fn model(kind: &str, entries: impl Iterator<Item = String>, mut rest: Value) -> Value {
    let vocab = entries.zip(0..).map(|(entry, id)| (entry, json!(id))).collect();
    rest["vocab"] = Value::Object(vocab);
    (rest["type"], rest["unk_token"]) = (kind.into(), "<unk>".into());
    rest
}

fn pairs() -> Value {
    let bytes = (0..=255_u8).map(|byte| format!("<{byte:#04X}>"));
    let merges = ["▁ s", "s o", "▁ so", "m e", "so me", "▁ some", "▁ ▁"];
    let rest = json!({ "merges": merges, "byte_fallback": true, "fuse_unk": true, "dropout": null });
    model("BPE", entries().chain(bytes).chain(WORDS.map(str::to_owned)), rest)
}

fn pieces() -> Value {
    let pieces = entries().chain(WORDS.map(str::to_owned)).zip(1..);
    let vocab: Vec<_> = pieces.map(|(piece, at)| json!([piece, -1.0 - f64::from(at) / 7.0])).collect();
    json!({ "type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false })
}

fn word_pieces() -> Value {
    let parts = entries().skip(1).map(|letter| format!("##{letter}"));
    let words = ["some", "##me"].map(str::to_owned);
    let rest = json!({ "continuing_subword_prefix": "##", "max_input_chars_per_word": 100 });
    model("WordPiece", entries().chain(parts).chain(words), rest)
}

fn whole_words() -> Value {
    model("WordLevel", ["<unk>", "some", "words", ".", "me"].map(str::to_owned).into_iter(), json!({}))
}

fn added((content, special): (&str, bool), id: u32) -> Value {
    json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special })
}

fn load(files: &TokenizerFiles) -> Tokenizer {
    let options = TokenizerOptions::NOTHING_ADDED;
    Tokenizer::load(files, &options, None).unwrap()
}

/// The letters that stand for bytes, as GPT-2 has them.
fn letters() -> impl Iterator<Item = char> {
    let mut moved = 0xFF;
    (0..=255_u8).map(move |byte| match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
        _ => {
            moved += 1;
            char::from_u32(moved).unwrap()
        }
    })
}

/// Pieces of a text, and for each whether it is plain.
fn text() -> impl Strategy<Value = (String, Vec<Range<usize>>)> {
    let token = prop::sample::select(ADDED.map(|(token, _)| token).to_vec()).prop_map(str::to_owned);
    let words = prop::sample::select(vec![
        "some words",
        " so",
        "\n\n",
        "me. ",
        "中中é",
        "e\u{301}",
        "🦀",
        "\u{e000}",
        "<|",
        "ﬁ",
    ]);
    let piece =
        prop_oneof![3 => token, 3 => words.prop_map(str::to_owned), 1 => ".{0,8}", 1 => "[ \\t\\n]{1,4}"];
    prop::collection::vec((piece, any::<bool>()), 0..12).prop_map(|pieces| {
        let (mut text, mut plain) = (String::new(), Vec::new());
        for (piece, is_plain) in pieces {
            let start = text.len();
            text.push_str(&piece);
            if is_plain && ADDED.iter().any(|(token, is_special)| *token == piece && *is_special) {
                plain.push(start..text.len());
            }
        }
        (text, plain)
    })
}

fn encoded(tokenizer: &Tokenizer, text: &str, plain: &[Range<usize>]) -> (Vec<u32>, Vec<Range<usize>>) {
    // What was there before stays as it was.
    let (mut ids, mut ranges) = (vec![7], iter::repeat_n(3..4, 1).collect::<Vec<_>>());
    tokenizer.encode_bare(&mut Scratch::new(), text, plain, &mut ids).unwrap();
    tokenizer.token_ranges(text, plain, &ids[1..], &mut ranges).unwrap();
    assert_eq!((ids.remove(0), ranges.remove(0)), (7, 3..4));
    assert_eq!(ids.len(), ranges.len());
    (ids, ranges)
}

proptest! {
    #[test]
    fn tokens_of_bytes_stand_for_their_bytes_one_after_another((text, plain) in text()) {
        let (tokenizer, bytes) = &*BYTES;
        for plain in [&[][..], &plain] {
            let (ids, ranges) = encoded(tokenizer, &text, plain);
            let mut at = 0;
            for (id, range) in ids.iter().zip(&ranges) {
                prop_assert_eq!(range.start, at);
                prop_assert_eq!(&text.as_bytes()[range.clone()], &bytes[id][..]);
                // A plain place is never the token that it spells.
                prop_assert!(!(plain.contains(range) && *id >= 50_256), "{} at {:?}", id, range);
                at = range.end;
            }
            prop_assert_eq!(at, text.len());
            // Every other place that spells one is.
            for (start, spelled) in text.match_indices("<|im_end|>") {
                let range = start..start + spelled.len();
                if !plain.contains(&range) {
                    let found = ranges.iter().position(|other| *other == range);
                    prop_assert_eq!(found.map(|found| ids[found]), Some(50_258));
                }
            }
        }
    }

    #[test]
    fn tokens_of_a_changed_text_stand_where_the_reference_has_them((text, _) in text()) {
        for (tokenizer, reference) in CHANGED.iter() {
            let (ids, ranges) = encoded(tokenizer, &text, &[]);
            let expected = reference.encode(&*text, false).unwrap();
            prop_assert_eq!(&ids[..], expected.get_ids());
            for (range, (start, end)) in ranges.iter().zip(expected.get_offsets()) {
                // The reference has whole characters, of which tokens may be a part.
                let is_within = *start <= range.start && range.end <= *end;
                let is_same = *range == (*start..*end);
                prop_assert!(if text[*start..*end].is_ascii() { is_same } else { is_within },
                    "{:?} in {:?}, not {}..{}", range, text, start, end);
            }
        }
    }

    #[test]
    fn tokens_of_characters_stand_where_the_reference_has_them((text, _) in text()) {
        for (name, tokenizer, reference) in CHARACTERS.iter() {
            let (ids, ranges) = encoded(tokenizer, &text, &[]);
            let expected = reference.encode(&*text, false).unwrap();
            prop_assert_eq!(&ids[..], expected.get_ids(), "{}", name);
            for (range, (start, end)) in ranges.iter().zip(expected.get_offsets()) {
                // Of a character that is spelled in bytes each is the whole character there.
                let is_part = text.get(range.clone()).is_none();
                let is_same = *range == (*start..*end);
                prop_assert!(is_same || is_part && *start <= range.start && range.end <= *end,
                    "{}: {:?} in {:?}, not {}..{}", name, range, text, start, end);
            }
        }
    }

    #[test]
    fn tokens_of_pieces_stand_where_the_reference_has_them((text, plain) in text()) {
        let (tokenizer, reference) = &*PIECES;
        let (ids, ranges) = encoded(tokenizer, &text, &[]);
        let expected = reference.encode(&*text, false).unwrap();
        prop_assert_eq!(&ids[..], expected.get_ids());
        let offsets: Vec<_> = expected.get_offsets().iter().map(|(start, end)| *start..*end).collect();
        prop_assert_eq!(&ranges, &offsets);
        // With plain places: in order, within the text, and no token reaches over the border of one.
        let (_, ranges) = encoded(tokenizer, &text, &plain);
        let mut at = 0;
        for range in &ranges {
            prop_assert!(range.start >= at && range.end >= range.start && text.get(range.clone()).is_some());
            at = range.start;
            for place in &plain {
                prop_assert!(range.end <= place.start || range.start >= place.end
                    || (range.start >= place.start && range.end <= place.end), "{:?} over {:?}", range, place);
            }
        }
    }
}
