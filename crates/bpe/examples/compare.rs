//! Compares ids with those of the reference and of fastokens, on texts of a JSONL file and on
//! strings made to go wrong.
//!
//! `compare TOKENIZER.json STRINGS [TEXTS.jsonl [EVERY]]`

#[path = "../tests/common/mod.rs"]
mod common;

use bpe::{AddedTokens, Engine, Scratch};
use common::{Random, string};

#[derive(serde::Deserialize)]
struct Line {
    text: String,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let json = std::fs::read_to_string(&args[1]).unwrap();
    let engine = Engine::from_bytes(&Engine::from_tokenizer_json(&json).unwrap().to_bytes()).unwrap();
    let mut reference: tokenizers::Tokenizer = json.parse().unwrap();
    let fast = fastokens::Tokenizer::from_json(serde_json::from_str(&json).unwrap()).unwrap();
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    let mut differ = [0; 2];
    let mut tokens = 0;
    let mut check = |text: &str, skip: bool| {
        reference.set_encode_special_tokens(skip);
        let policy = if skip { AddedTokens::SkipSpecial } else { AddedTokens::All };
        ids.clear();
        engine.encode_into(&mut scratch, text, policy, &mut ids);
        tokens += ids.len();
        if ids != reference.encode_fast(text, false).unwrap().get_ids() {
            differ[0] += 1;
            if differ[0] < 10 {
                println!("differs from the reference: {text:?}");
            }
        }
        let fast_ids =
            fast.encode_unpadded::<Vec<u32>>(text, false, fastokens::AddedTokenPolicy::All).unwrap();
        if !skip && ids != fast_ids {
            differ[1] += 1;
            if differ[1] < 4 && text.len() < 300 {
                println!("differs from fastokens: {text:?}");
            }
        }
        [differ[0], differ[1], tokens]
    };
    if let Some(path) = args.get(3) {
        let every = args.get(4).map_or(1, |every| every.parse().unwrap());
        let (mut count, mut result) = (0, [0; 3]);
        for line in std::fs::read_to_string(path).unwrap().lines().step_by(every) {
            result = check(&serde_json::from_str::<Line>(line).unwrap().text, false);
            count += 1;
        }
        println!(
            "{count} texts: {} differ from the reference, {} from fastokens; {} tokens",
            result[0], result[1], result[2]
        );
    }
    let mut random = Random(0xC0FF_EE00_1234_5678);
    let mut result = [0; 3];
    let count: usize = args[2].parse().unwrap();
    for i in 0..count {
        result = check(&string(&mut random), i % 5 == 0);
    }
    println!(
        "{count} strings: in all {} differ from the reference, {} from fastokens; {} tokens",
        result[0], result[1], result[2]
    );
}
