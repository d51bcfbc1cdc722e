//! The fast engines against the reference, on generated texts.
//!
//! Texts are made of pieces that tokenizers are known to differ on, from a fixed seed.
//! `MASHBILL_LONG=1` makes eight hundred times as many; `MASHBILL_LLAMA3` names a Llama 3
//! `tokenizer.json` to be tested too. Tokenizers in the folder `shared` beside the
//! repository are tested where it is there.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where it panics, and says what it skips"
)]

use std::path::PathBuf;
use std::{env, fs};

use mashbill_tokenizer::{
    Engine, Sample, Scratch, SpecialTokensInText, Tokenizer, TokenizerFiles, TokenizerOptions, embedded,
    from_path,
};
use serde_json::{Value, json};

#[test]
fn gpt2_agrees() {
    check(&embedded("gpt2").unwrap(), Engine::Own, 1);
}

#[test]
fn cl100k_agrees() {
    check(&embedded("cl100k_base").unwrap(), Engine::Own, 2);
}

#[test]
fn o200k_agrees() {
    check(&embedded("o200k_base").unwrap(), Engine::Own, 3);
}

#[test]
fn dolma2_agrees() {
    let Some(files) = shared("dolma2.tokenizer.json") else { return };
    check(&files, Engine::Own, 4);
}

#[test]
fn dolma2_with_nfc_agrees() {
    let Some(files) = shared("dolma2.tokenizer.json") else { return };
    check(&altered(files, |file| file["normalizer"] = json!({ "type": "NFC" })), Engine::Own, 5);
}

#[test]
fn dolma2_with_added_tokens_that_look_around_agrees() {
    let Some(files) = shared("dolma2.tokenizer.json") else { return };
    let flags = [
        ("<L>", "lstrip"),
        ("<R>", "rstrip"),
        ("word", "single_word"),
        ("\u{e9}t\u{e9}", "single_word"),
        ("two words", "special"),
        ("end\n", "special"),
        ("  ", "none"),
        ("E\u{301}", "normalized"),
        ("caf\u{e9}", "normalized"),
        ("<<", "none"),
        ("<<<", "special"),
    ];
    for normalizer in [Value::Null, json!({ "type": "NFC" })] {
        let files = altered(files.clone(), |file| {
            file["normalizer"] = normalizer.clone();
            for (position, (content, flag)) in flags.iter().enumerate() {
                let id = 100_278 + position;
                file["added_tokens"].as_array_mut().unwrap().push(json!({
                    "id": id, "content": content, "single_word": *flag == "single_word",
                    "lstrip": *flag == "lstrip", "rstrip": *flag == "rstrip",
                    "normalized": *flag == "normalized", "special": *flag == "special",
                }));
            }
        });
        check(&files, Engine::Own, 6);
    }
}

#[test]
fn dolma2_with_ignore_merges_agrees() {
    let Some(files) = shared("dolma2.tokenizer.json") else { return };
    check(&altered(files, |file| file["model"]["ignore_merges"] = json!(true)), Engine::Own, 7);
}

#[test]
fn llama3_agrees() {
    let Some(path) = env::var_os("MASHBILL_LLAMA3") else {
        println!("skipped: MASHBILL_LLAMA3 names no tokenizer.json");
        return;
    };
    check(&from_path(&PathBuf::from(path)).unwrap(), Engine::Own, 8);
}

/// Compares the engines on generated texts, under each policy that changes ids.
fn check(files: &TokenizerFiles, engine: Engine, seed: u64) {
    let added_tokens = added_tokens(files);
    for policy in [SpecialTokensInText::Encode, SpecialTokensInText::Split] {
        let tokenizer = load(files, policy);
        assert_eq!(tokenizer.engine(), engine, "{}: {:?}", files.name, tokenizer.fast_refused());
        let reference = reference(files, policy);
        let (mut random, mut scratch) = (Random(seed), Scratch::new());
        let texts = if long() { 400_000 } else { 500 };
        for number in 0..texts {
            // Every hundredth text is long enough to be cut into segments.
            let pieces = if number % 100 == 99 { 6_000 } else { 1 + random.below(40) };
            let text: String = (0..pieces).map(|_| piece(&mut random, &added_tokens)).collect();
            assert_same(&tokenizer, &reference, &mut scratch, &text);
        }
    }
}

fn assert_same(tokenizer: &Tokenizer, reference: &tokenizers::Tokenizer, scratch: &mut Scratch, text: &str) {
    let mut ids = Vec::new();
    tokenizer.encode(scratch, text, &mut ids).unwrap();
    let expected = reference.encode_fast(text, false).unwrap();
    if ids == expected.get_ids() {
        return;
    }
    let start = text.char_indices().map(|(at, _)| at).filter(|at| {
        let mut ids = Vec::new();
        tokenizer.encode(scratch, &text[*at..], &mut ids).unwrap();
        ids != reference.encode_fast(&text[*at..], false).unwrap().get_ids()
    });
    let shortest = &text[start.last().unwrap()..];
    panic!("the engines differ on {shortest:?}, of a text of {} bytes", text.len());
}

const WORDS: &[&str] = &[
    "the",
    "The",
    "THE",
    " of",
    " and",
    "Hello",
    "world",
    " int",
    "return",
    "XMLHttp",
    "camelCase",
    "_x",
    "don't",
    "I'LL",
    "we'Re",
    "'s",
    "'S",
    "'\u{17f}",
    "\u{2019}t",
    "it's",
    "''",
    "'d've",
    "na\u{ef}ve",
    "stra\u{df}e",
    "\u{130}",
    "\u{1c5}a",
    "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}",
    "\u{4f60}\u{597d}",
    "\u{3053}\u{3093}",
    "\u{30c6}\u{30b9}\u{30c8}",
    "\u{c548}\u{b155}",
    "\u{e2a}\u{e27}\u{e31}\u{e2a}",
    "\u{10400}\u{10428}",
    "\u{18d0b}",
    "\u{16d40}",
    "\u{1e5d0}",
];
const SPACES: &[&str] = &[
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    " \n",
    "\n ",
    "\n  ",
    "\n\t",
    " \n \n",
    "\u{a0}",
    "\u{3000}",
    "\u{2003}",
    "\u{85}",
    "\u{2028}",
    "\u{b}",
    "\u{c}",
    "\u{1680}",
    "\u{180e}",
    "\u{200b}",
    "\u{feff}",
    "\n\u{a0}",
    " \u{3000}",
    "\u{a0} ",
];
const MARKS: &[&str] = &[
    "\u{301}",
    "\u{308}\u{301}",
    "\u{323}\u{307}",
    "\u{344}",
    "e\u{301}",
    "\u{212b}",
    "\u{1100}\u{1161}",
    "\u{ac00}\u{11a8}",
    "\u{f900}",
    "\u{958}",
    "\u{93c}",
    "\u{3099}",
    "\u{304b}\u{3099}",
    "\u{fb1d}",
    "\u{1d15e}",
    "\u{2126}",
    "\u{37e}",
    "\u{1fef}",
    "\u{200d}",
    "\u{fe0f}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f466}",
    "\u{1f1e9}\u{1f1ea}",
    "\u{1f44d}\u{1f3fd}",
];
const SIGNS: &[&str] = &[
    ".", ",", "!", "?", "...", "/", "//", "\\", "-", "--", "=>", "==", "{", "}", "();", "<", ">", "</", "<|",
    "|>", "\"", "``", "\u{3002}", "\u{ff0c}", "\u{2014}", "\u{ab}", "$", "\u{20ac}", "%", "#", "@", "~", "^",
    "*", "+", "|", "_", ":", ";", ".\n/", "/\n/", ")\n", "}\r\n",
];

/// A piece of a text: mostly short, sometimes a long run.
fn piece(random: &mut Random, added_tokens: &[String]) -> String {
    match random.below(16) {
        0..=3 => (*random.of(WORDS)).to_owned(),
        4..=6 => (*random.of(SPACES)).to_owned(),
        7 => (*random.of(MARKS)).to_owned(),
        8 | 9 => (*random.of(SIGNS)).to_owned(),
        10 => random.next().to_string()[..1 + random.below(9)].to_owned(),
        11 => any_character(random).to_string(),
        12 => (0..random.below(12)).map(|_| any_character(random)).collect(),
        13 if !added_tokens.is_empty() => {
            let token = random.of(added_tokens);
            match random.below(6) {
                0 => token.chars().skip(1).collect(),
                1 => token.chars().take(token.chars().count() - 1).collect(),
                2 => format!("{token}{token}"),
                3 => format!(" {token}\n"),
                _ => token.clone(),
            }
        }
        14 if random.below(8) == 0 => {
            let unit = match random.below(4) {
                0 => any_character(random).to_string(),
                1 => (*random.of(SPACES)).to_owned(),
                2 => (*random.of(SIGNS)).to_owned(),
                _ => (*random.of(WORDS)).to_owned(),
            };
            unit.repeat(1 + random.below(300))
        }
        _ => char::from(b' ' + random.below(95) as u8).to_string(),
    }
}

/// A character of any plane; the lower ones, which hold nearly all, more often.
fn any_character(random: &mut Random) -> char {
    let limit = *random.of(&[0x100, 0x600, 0x3000, 0x1_0000, 0x2_0000, 0x3_4000, 0x11_0000]);
    char::from_u32(random.below(limit) as u32).unwrap_or('\u{fffd}')
}

#[test]
fn characters_beside_added_tokens_that_look_around() {
    let Some(files) = shared("dolma2.tokenizer.json") else { return };
    let files = altered(files, |file| {
        for (position, flag) in ["lstrip", "rstrip", "single_word"].iter().enumerate() {
            file["added_tokens"].as_array_mut().unwrap().push(json!({
                "id": 100_278 + position, "content": format!("<{flag}>"), "single_word": *flag == "single_word",
                "lstrip": *flag == "lstrip", "rstrip": *flag == "rstrip", "normalized": false, "special": true,
            }));
        }
    });
    let tokenizer = load(&files, SpecialTokensInText::Encode);
    assert_eq!(tokenizer.engine(), Engine::Own);
    let reference = reference(&files, SpecialTokensInText::Encode);
    // All characters in the long run; else the first planes' lower part, and of the rest
    // some. (Planes 4 to 13 have no characters, 15 and 16 only private ones.)
    let last = if long() { 0x11_0000 } else { 0x3_4000 };
    let some = |code: &u32| long() || *code < 0x3400 || code.is_multiple_of(13);
    let all: Vec<char> = (0..last).filter(some).filter_map(char::from_u32).collect();
    for some in all.chunks(2_000) {
        let text: String = some
            .iter()
            .map(|c| format!("a{c}<lstrip>b<rstrip>{c}c {c}<single_word> <single_word>{c} "))
            .collect();
        assert_same(&tokenizer, &reference, &mut Scratch::new(), &text);
    }
}

#[test]
fn samples_are_compared_with_the_part_of_the_reference_they_need() {
    let files = embedded("gpt2").unwrap();
    let options = TokenizerOptions { add_bos: true, add_eos: true, ..TokenizerOptions::NOTHING_ADDED };
    let tokenizer = Tokenizer::load(&files, &options, None).unwrap();
    let reference = reference(&files, SpecialTokensInText::Encode);
    let mut random = Random(9);
    let (mut scratch, mut encoded) = (Scratch::new(), Vec::new());
    for _ in 0..200 {
        let text: String =
            (0..1 + random.below(60)).map(|_| piece(&mut random, &["<|endoftext|>".to_owned()])).collect();
        let mut ids = Vec::new();
        tokenizer.encode(&mut scratch, &text, &mut ids).unwrap();
        // The whole reference says the same as the part that `check_samples` builds.
        let mut expected = reference.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
        if expected.last() != Some(&50_256) {
            expected.push(50_256);
        }
        assert_eq!(ids, expected);
        encoded.push((text, ids));
    }
    let samples = |encoded: &[(String, Vec<u32>)]| -> Option<usize> {
        let samples: Vec<Sample<'_>> =
            encoded.iter().map(|(text, ids)| Sample { text, ids, is_bare: false }).collect();
        tokenizer.check_samples(&samples).unwrap()
    };
    assert_eq!(samples(&encoded), None);
    encoded[130].1[0] ^= 1;
    assert_eq!(samples(&encoded), Some(130));
}

fn load(files: &TokenizerFiles, special_tokens_in_text: SpecialTokensInText) -> Tokenizer {
    let options = TokenizerOptions {
        add_bos: false,
        add_eos: false,
        eos_token: None,
        pad_token: None,
        special_tokens_in_text,
    };
    Tokenizer::load(files, &options, None).unwrap()
}

fn reference(files: &TokenizerFiles, policy: SpecialTokensInText) -> tokenizers::Tokenizer {
    let mut reference: tokenizers::Tokenizer = files.tokenizer_json.parse().unwrap();
    reference.set_encode_special_tokens(policy == SpecialTokensInText::Split);
    reference
}

fn added_tokens(files: &TokenizerFiles) -> Vec<String> {
    let file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
    let tokens = file["added_tokens"].as_array().unwrap();
    tokens.iter().map(|token| token["content"].as_str().unwrap().to_owned()).collect()
}

/// A tokenizer with its file changed.
fn altered(files: TokenizerFiles, change: impl Fn(&mut Value)) -> TokenizerFiles {
    let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
    change(&mut file);
    TokenizerFiles { tokenizer_json: file.to_string(), ..files }
}

/// A tokenizer of the folder `shared`, which not every checkout has beside it.
fn shared(name: &str) -> Option<TokenizerFiles> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tokenizers").join(name);
    if fs::exists(&path).unwrap() {
        return Some(from_path(&path).unwrap());
    }
    println!("skipped: there is no {}", path.display());
    None
}

fn long() -> bool {
    env::var_os("MASHBILL_LONG").is_some()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}
