//! Tokenizers that need no file and no network.
//!
//! The ranks of OpenAI's encodings come with the crate `tiktoken-rs`; a Hugging Face
//! `tokenizer.json` is built from them at run time, as the files would add 17 MB. It is
//! the same text each time, since its hash is the tokenizer's identity.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;

use tiktoken_rs::{CoreBPE, Rank};

use super::files::TokenizerFiles;
use super::vocabulary::EntryHasher;

/// How cl100k_base and o200k_base find words, as `tiktoken` has it.
const CL100K: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// The names that [`embedded`] knows.
pub const EMBEDDED: &[&str] = &["gpt2", "cl100k_base", "o200k_base"];

/// Whether a name is that of an embedded tokenizer.
#[must_use]
pub fn is_embedded(name: &str) -> bool {
    EMBEDDED.contains(&name)
}

/// The files of an embedded tokenizer, or `None` for any other name.
#[must_use]
pub fn embedded(name: &str) -> Option<TokenizerFiles> {
    let tokenizer_json = match name {
        "gpt2" => build(
            &tiktoken_rs::r50k_base().ok()?,
            50_256,
            r#"{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"#,
            &[("<|endoftext|>", 50_256)],
        ),
        "cl100k_base" => build(
            &tiktoken_rs::cl100k_base().ok()?,
            100_256,
            &split_on(CL100K),
            &[
                ("<|endoftext|>", 100_257),
                ("<|fim_prefix|>", 100_258),
                ("<|fim_middle|>", 100_259),
                ("<|fim_suffix|>", 100_260),
                ("<|endofprompt|>", 100_276),
            ],
        ),
        "o200k_base" => build(
            &tiktoken_rs::o200k_base().ok()?,
            199_998,
            &split_on(O200K),
            &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)],
        ),
        _ => return None,
    };
    Some(TokenizerFiles {
        name: name.to_owned(),
        tokenizer_json,
        tokenizer_config: None,
        special_tokens_map: None,
        added_tokens: None,
        config: None,
        generation_config: None,
        chat_template: None,
        additional_chat_templates: Vec::new(),
    })
}

fn split_on(pattern: &str) -> String {
    let split = serde_json::json!({
        "type": "Split",
        "pattern": { "Regex": pattern },
        "behavior": "Isolated",
        "invert": false,
    });
    format!(
        r#"{{"type":"Sequence","pretokenizers":[{split},{{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}}]}}"#
    )
}

/// Writes the `tokenizer.json` of an encoding with ranks from 0 to `ranks`.
fn build(encoding: &CoreBPE, ranks: Rank, pre_tokenizer: &str, special: &[(&str, Rank)]) -> String {
    let entries: Vec<Vec<u8>> =
        (0..ranks).map(|rank| encoding.decode_bytes(&[rank]).expect("each rank has its bytes")).collect();
    let letters = byte_letters();
    let spell = |bytes: &[u8]| bytes.iter().map(|byte| &*letters[usize::from(*byte)]).collect::<String>();

    let mut json = String::with_capacity(entries.len() * 48);
    json.push_str(r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":["#);
    for (position, (token, id)) in special.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        let _ = write!(
            json,
            r#"{comma}{{"id":{id},"content":"{token}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
        );
    }
    let byte_level = r#"{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"#;
    let _ = write!(
        json,
        r#"],"normalizer":null,"pre_tokenizer":{pre_tokenizer},"post_processor":null,"decoder":{byte_level},"model":{{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":{{"#
    );
    for (rank, bytes) in entries.iter().enumerate() {
        let comma = if rank == 0 { "" } else { "," };
        let _ = write!(json, r#"{comma}"{}":{rank}"#, spell(bytes));
    }
    for (token, id) in special {
        let _ = write!(json, r#","{token}":{id}"#);
    }
    json.push_str(r#"},"merges":["#);
    for (position, (left, right)) in merges(&entries).into_iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        let _ = write!(json, r#"{comma}"{} {}""#, spell(left), spell(right));
    }
    json.push_str("]}}");
    json
}

/// For each entry of more than a byte, in the order of ranks, the two entries whose
/// merge makes it: what is left of it when all that has a lower rank was
/// merged, lowest rank first.
fn merges(entries: &[Vec<u8>]) -> Vec<(&[u8], &[u8])> {
    let mut ranks: HashMap<&[u8], usize, BuildHasherDefault<EntryHasher>> = HashMap::default();
    ranks.extend(entries.iter().enumerate().map(|(rank, bytes)| (&**bytes, rank)));
    let mut merges = Vec::with_capacity(entries.len());
    let (mut ends, mut joins) = (Vec::new(), Vec::new());
    for (rank, bytes) in entries.iter().enumerate() {
        // `joins[i]` is the rank of the two parts between `ends[i]` and `ends[i + 2]`.
        let join = |ends: &[usize], at: usize| match ends.get(at + 2) {
            Some(end) => ranks.get(&bytes[ends[at]..*end]).copied().filter(|lower| *lower < rank),
            None => None,
        };
        ends.clear();
        ends.extend(0..=bytes.len());
        joins.clear();
        joins.extend((0..bytes.len()).map(|at| join(&ends, at)));
        while let Some((_, at)) = (0..joins.len()).filter_map(|at| Some((joins[at]?, at))).min() {
            ends.remove(at + 1);
            joins.remove(at + 1);
            joins[at] = join(&ends, at);
            if at > 0 {
                joins[at - 1] = join(&ends, at - 1);
            }
        }
        if let [_, middle, _] = ends[..] {
            merges.push(bytes.split_at(middle));
        }
    }
    merges
}

/// The letters that stand for bytes in a `tokenizer.json`, escaped for JSON: visible
/// Latin-1 characters stand for themselves, the others for U+0100 and on in order.
pub(super) fn byte_letters() -> Vec<String> {
    let mut next = 0x100;
    (0..=255u8)
        .map(|byte| match byte {
            b'"' => r#"\""#.to_owned(),
            b'\\' => r"\\".to_owned(),
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte).to_string(),
            _ => {
                next += 1;
                char::from_u32(next - 1).expect("below U+0200").to_string()
            }
        })
        .collect()
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where it panics, and says what it skips"
)]
mod tests {
    use super::*;

    fn load(name: &str) -> tokenizers::Tokenizer {
        embedded(name).unwrap().tokenizer_json.parse().unwrap()
    }

    /// Texts with the line ends and spaces that encodings differ on, and others.
    fn texts() -> Vec<String> {
        let mut texts: Vec<String> =
            vec![include_str!("embedded.rs").to_owned(), include_str!("reference.rs").to_owned()];
        texts.extend(include_str!("self_check.rs").lines().map(str::to_owned));
        texts.extend(
            (0..0x3_4000).step_by(97).filter_map(char::from_u32).map(|c| format!("a{c} {c}{c}b1{c}'s")),
        );
        texts.extend(
            ["a  b", "a \n b", "a\n\n  b", "\n \n\t x", "a   ", "a\n\n", " ", "\n", "", "it's IT'S 12345"]
                .map(str::to_owned),
        );
        texts
    }

    #[test]
    fn gpt2_has_the_ids_of_tiktoken() {
        let (tokenizer, encoding) = (load("gpt2"), tiktoken_rs::r50k_base().unwrap());
        for text in texts() {
            let ids = tokenizer.encode_fast(text.as_str(), false).unwrap();
            assert_eq!(ids.get_ids(), encoding.encode_with_special_tokens(&text), "{text:?}");
        }
    }

    #[test]
    fn cl100k_has_the_ids_of_tiktoken() {
        let (tokenizer, encoding) = (load("cl100k_base"), tiktoken_rs::cl100k_base().unwrap());
        for text in texts() {
            let ids = tokenizer.encode_fast(text.as_str(), false).unwrap();
            assert_eq!(ids.get_ids(), encoding.encode_with_special_tokens(&text), "{text:?}");
        }
    }

    #[test]
    fn o200k_has_the_ids_of_tiktoken() {
        let (tokenizer, encoding) = (load("o200k_base"), tiktoken_rs::o200k_base().unwrap());
        for text in texts() {
            let ids = tokenizer.encode_fast(text.as_str(), false).unwrap();
            assert_eq!(ids.get_ids(), encoding.encode_with_special_tokens(&text), "{text:?}");
        }
    }

    #[test]
    fn special_tokens_have_the_ids_of_tiktoken() {
        for (name, encoding) in [
            ("gpt2", tiktoken_rs::r50k_base().unwrap()),
            ("cl100k_base", tiktoken_rs::cl100k_base().unwrap()),
            ("o200k_base", tiktoken_rs::o200k_base().unwrap()),
        ] {
            let tokenizer = load(name);
            let text = "a<|endoftext|> <|endofprompt|>\n<|fim_prefix|>b<|fim_middle|><|fim_suffix|><|endof";
            let ids = tokenizer.encode_fast(text, false).unwrap();
            assert_eq!(ids.get_ids(), encoding.encode_with_special_tokens(text), "{name}");
        }
    }

    /// `tiktoken` takes the white space at the end of a text as one word, line ends
    /// included, and the pattern used here as two, cut behind the last line end. No
    /// merge crosses that cut, so the ids are the same.
    #[test]
    fn no_entry_ends_with_spaces_behind_a_line_end() {
        for (encoding, ranks) in
            [(tiktoken_rs::cl100k_base().unwrap(), 100_256), (tiktoken_rs::o200k_base().unwrap(), 199_998)]
        {
            for rank in 0..ranks {
                let bytes = encoding.decode_bytes(&[rank]).unwrap();
                let behind =
                    bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map(|at| &bytes[at + 1..]);
                let split = behind.is_some_and(|behind| {
                    !behind.is_empty()
                        && String::from_utf8_lossy(behind)
                            .chars()
                            .all(|c| c.is_whitespace() || c == '\u{fffd}')
                });
                assert!(!split, "{bytes:?}");
            }
        }
        let (tokenizer, encoding) = (load("cl100k_base"), tiktoken_rs::cl100k_base().unwrap());
        for text in ["a\n  ", "a\n \n  ", "a.\n\n  "] {
            let ids = tokenizer.encode_fast(text, false).unwrap();
            assert_eq!(ids.get_ids(), encoding.encode_with_special_tokens(text), "{text:?}");
        }
    }

    #[test]
    fn gpt2_has_the_vocabulary_and_merges_of_the_published_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/tokenizers/gpt2.json");
        let Ok(published) = std::fs::read_to_string(path) else {
            println!("skipped: there is no {path}");
            return;
        };
        let published: serde_json::Value = serde_json::from_str(&published).unwrap();
        let own: serde_json::Value = serde_json::from_str(&embedded("gpt2").unwrap().tokenizer_json).unwrap();
        assert_eq!(own["model"]["vocab"], published["model"]["vocab"]);
        assert_eq!(own["model"]["merges"], published["model"]["merges"]);
        assert_eq!(own["pre_tokenizer"], published["pre_tokenizer"]);
    }

    #[test]
    fn the_files_are_always_the_same() {
        let hashes = EMBEDDED.iter().map(|name| {
            use sha2::Digest as _;
            let digest = sha2::Sha256::digest(embedded(name).unwrap().tokenizer_json.as_bytes());
            digest[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        assert_eq!(hashes.collect::<Vec<_>>(), ["de98a140", "a1eeb0e9", "71ea8dec"]);
        assert!(embedded("gpt3").is_none());
    }
}
