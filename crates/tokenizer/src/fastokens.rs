//! `fastokens`, some twenty times as fast as the reference, for what our own engine doesn't know.
//!
//! It wants documents of bounded size (see [`super::segments`]), and keeps caches of its
//! own for each thread.

use std::collections::HashSet;

use fastokens::AddedTokenPolicy;
use fastokens::models::Model;
use mashbill_store::door;
use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::definition::{MergeRule, TokenizerJson};
use super::doubt::{CLASSED_DIFFERENTLY, Doubt};
use super::error::Error;
use super::fast_refused::FastRefused;
use super::options::SpecialTokensInText;
use super::patterns::read_alike;
use super::segments::{Cutter, MARGIN, SEGMENT_BYTES};

/// The version of the crate that is checked against the reference.
pub(super) const VERSION: &str = "0.3.5";

/// Appends the ids of a text.
pub(super) type Encode<'f> = &'f dyn Fn(&str, &mut Vec<u32>) -> Result<(), Error>;

/// `fastokens` with a tokenizer loaded.
pub(super) struct Fastokens {
    tokenizer: fastokens::Tokenizer,
    /// `None` where every document has to stay whole.
    cutter: Option<Cutter>,
    /// The texts with which the engine is not trusted.
    doubt: Doubt,
    segment_bytes: usize,
}

impl Fastokens {
    /// Loads a definition, where the engine can take it.
    ///
    /// `added_tokens` have the ids that the reference gives them.
    pub(super) fn new(
        definition: &TokenizerJson<'_>,
        added_tokens: &[(u32, AddedToken)],
    ) -> Result<Self, FastRefused> {
        let doubt = doubt(definition)?;
        lacks_no_byte(definition)?;
        let unused_ids = unused_ids(definition)?;
        let typed = typed(definition, added_tokens, &unused_ids)
            .map_err(|error| FastRefused::Load { why: error.to_string() })?;
        let tokenizer = door::behind(|| fastokens::Tokenizer::from_json(typed))
            .map_err(|_| FastRefused::Load { why: "it breaks down".to_owned() })?
            .map_err(|error| FastRefused::Load { why: error.to_string() })?;
        let cutter = Cutter::new(definition, added_tokens);
        Ok(Self { tokenizer, cutter, doubt, segment_bytes: SEGMENT_BYTES })
    }

    /// Appends the ids of `text`, without anything before or after them.
    ///
    /// Segments that the engine is not trusted with go to `doubtful`.
    pub(super) fn encode(
        &self,
        text: &str,
        policy: SpecialTokensInText,
        doubtful: Encode<'_>,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let policy = match policy {
            SpecialTokensInText::Split => AddedTokenPolicy::SkipSpecial,
            SpecialTokensInText::Encode | SpecialTokensInText::Reject => AddedTokenPolicy::All,
        };
        let encode = |segment: &str, ids: &mut Vec<u32>| {
            // What it can't encode the reference may: only that decides what a text's ids are.
            if self.doubt.is_about(segment) || !self.encode_whole(segment, policy, ids) {
                doubtful(segment, ids)
            } else {
                Ok(())
            }
        };
        match &self.cutter {
            Some(cutter) if text.len() > self.segment_bytes => self.encode_cut(text, cutter, &encode, ids),
            _ => encode(text, ids),
        }
    }

    /// The vocabulary's entry for an id.
    pub(super) fn entry(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id).map(str::to_owned)
    }

    /// Encodes a text, unless the engine fails.
    fn encode_whole(&self, text: &str, policy: AddedTokenPolicy, ids: &mut Vec<u32>) -> bool {
        let encode = || -> Option<Vec<u32>> { self.tokenizer.encode_unpadded(text, false, policy).ok() };
        let Ok(Some(text_ids)) = door::behind(encode) else { return false };
        ids.extend_from_slice(&text_ids);
        true
    }

    /// Encodes a long text in segments.
    fn encode_cut(
        &self,
        text: &str,
        cutter: &Cutter,
        encode: Encode<'_>,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let mut rest = text;
        while rest.len() > self.segment_bytes {
            let segment;
            if let Some(border) = cutter.last_border(rest, self.segment_bytes) {
                (segment, rest) = rest.split_at(border);
                encode(segment, ids)?;
            } else {
                let border = cutter.first_border(rest, self.segment_bytes).unwrap_or(rest.len());
                (segment, rest) = rest.split_at(border);
                let start = ids.len();
                if !self.encode_joined(segment, cutter, encode, ids)? {
                    ids.truncate(start);
                    encode(segment, ids)?;
                }
            }
        }
        encode(rest, ids)
    }

    /// Encodes a text without borders in parts that end at joints; `false` where that
    /// can't be done.
    ///
    /// Tokens at a part's end are often other ones when the word goes on, so a part
    /// gives up its last tokens to the next one, and one more each time that the
    /// joint turns out to be none.
    fn encode_joined(
        &self,
        text: &str,
        cutter: &Cutter,
        encode: Encode<'_>,
        ids: &mut Vec<u32>,
    ) -> Result<bool, Error> {
        let (mut done, mut joint) = (0, 0);
        let mut attempts_left = JOINT_ATTEMPTS;
        loop {
            let rest = &text[joint..];
            let is_last = rest.len() <= self.segment_bytes + 4 * MARGIN;
            let end = if is_last { Some(rest.len()) } else { cutter.last_joint(rest, self.segment_bytes) };
            let Some(end) = end else { return Ok(false) };
            let first = ids.len();
            encode(&rest[..end], ids)?;
            let holds = joint == 0 || self.stay_two(text, joint, ids[first - 1], ids[first]);
            if holds && is_last {
                return Ok(true);
            }
            let give_up_bytes = if holds {
                (done, joint, attempts_left) = (joint, joint + end, JOINT_ATTEMPTS);
                (self.segment_bytes / 4).min(GIVEN_UP_BYTES)
            } else {
                ids.truncate(first);
                attempts_left -= 1;
                1
            };
            // The joint goes back to where one of the last tokens begins, inside the
            // run: there, no normalizer changes the length of the text.
            let latest = joint - give_up_bytes.min(joint);
            let earliest = done + cutter.run_start(&text[done..], joint - done);
            while joint > latest || !cutter.is_joint(&text[done..], joint - done) {
                let bytes = ids.pop().map_or(0, |last| self.bytes_of(last));
                if attempts_left == 0 || bytes == 0 || joint <= earliest + bytes {
                    return Ok(false);
                }
                joint -= bytes;
            }
        }
    }

    /// Whether the tokens before and behind `joint` stay two when what they stand for
    /// is encoded as one word.
    fn stay_two(&self, text: &str, joint: usize, before: u32, behind: u32) -> bool {
        let start = joint.checked_sub(self.bytes_of(before));
        let end = joint + self.bytes_of(behind);
        let Some(word) = start.and_then(|start| text.get(start..end)) else { return false };
        let Model::Bpe(model) = self.tokenizer.model();
        let mut ids = Vec::new();
        model.tokenize_into_fused(word, &mut ids).is_ok() && ids == [before, behind]
    }

    /// How many bytes a token stands for, which each have a letter in its spelling.
    fn bytes_of(&self, id: u32) -> usize {
        self.tokenizer.id_to_token(id).map_or(0, |token| token.chars().count())
    }
}

/// The texts that the reference has to encode, where all of the definition's patterns are read alike.
///
/// `ſ`, a case of `s`, is one of them for a reason of its own, too: `'ſ` is a contraction, which 0.3.5 does not always
/// see where a pattern takes it for a part of the word.
fn doubt(definition: &TokenizerJson<'_>) -> Result<Doubt, FastRefused> {
    let mut doubt = Doubt { any_case: false };
    for step in [&definition.normalizer, &definition.pre_tokenizer].into_iter().flatten() {
        each_step(step, &mut |step| {
            let pattern = step["pattern"]["Regex"].as_str();
            let refused = |what: &str, why: String| FastRefused::Pattern { pattern: what.to_owned(), why };
            if let Some(pattern) = pattern {
                doubt.any_case |= read_alike(pattern).map_err(|why| refused(pattern, why))?.any_case;
            }
            // What is put into a text is looked at here, as texts are looked at before that.
            for put in [&step["content"], &step["prepend"], &step["pattern"]["String"]] {
                let text = put.as_str().unwrap_or_default();
                if let Some(c) = text.chars().find(|c| CLASSED_DIFFERENTLY.contains(c)) {
                    return Err(refused(text, format!("U+{:04X}", u32::from(c))));
                }
            }
            match step["pattern"]["String"].as_str() {
                Some("") => Err(refused("", "it may match nothing".to_owned())),
                _ => Ok(()),
            }
        })?;
    }
    Ok(doubt)
}

/// Hands out a normalizer's or pre-tokenizer's steps.
fn each_step(
    step: &Value,
    each: &mut impl FnMut(&Value) -> Result<(), FastRefused>,
) -> Result<(), FastRefused> {
    let steps = ["normalizers", "pretokenizers"].into_iter().filter_map(|list| step[list].as_array());
    for inner in steps.flatten() {
        each_step(inner, each)?;
    }
    each(step)
}

/// Where characters without an entry are spelled in bytes, each byte has to have one: what becomes of a character
/// otherwise is each engine's own.
fn lacks_no_byte(definition: &TokenizerJson<'_>) -> Result<(), FastRefused> {
    if !definition.model.byte_fallback.unwrap_or(false) {
        return Ok(());
    }
    let is_byte = |token: &&str| token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
    let entries = definition.model.vocab.0.iter().map(|(token, _)| &**token).filter(is_byte);
    let bytes: HashSet<u8> = entries.filter_map(|token| u8::from_str_radix(&token[3..5], 16).ok()).collect();
    if bytes.len() == 256 { Ok(()) } else { Err(FastRefused::Bytes) }
}

/// So many times a joint is moved before a text is encoded whole.
const JOINT_ATTEMPTS: usize = 64;

/// So many bytes at a part's end are given up at once, as they seldom stay as they are.
const GIVEN_UP_BYTES: usize = 256;

/// The definition as the engine reads it: without what it doesn't need, and with each
/// merge in one string, which takes a third of the memory of two.
fn typed(
    definition: &TokenizerJson<'_>,
    added_tokens: &[(u32, AddedToken)],
    unused_ids: &[u32],
) -> Result<Value, serde_json::Error> {
    let model = &definition.model;
    let mut merges = Vec::new();
    definition.each_merge(|rule| merges.push(merge(&rule)))?;
    let mut vocab: Map<String, Value> =
        model.vocab.0.iter().map(|(token, id)| (token.clone().into_owned(), (*id).into())).collect();
    for id in unused_ids {
        vocab.insert(format!("{NO_WORD}{id}"), (*id).into());
    }
    let mut typed_model = Map::new();
    let mut set = |key: &str, value: Value| typed_model.insert(key.to_owned(), value);
    set("type", "BPE".into());
    set("vocab", vocab.into());
    set("merges", merges.into());
    set("unk_token", model.unk_token.clone().into());
    set("continuing_subword_prefix", model.continuing_subword_prefix.clone().into());
    set("end_of_word_suffix", model.end_of_word_suffix.clone().into());
    set("fuse_unk", model.fuse_unk.unwrap_or(false).into());
    set("byte_fallback", model.byte_fallback.unwrap_or(false).into());
    set("ignore_merges", model.ignore_merges.unwrap_or(false).into());
    let mut typed = Map::new();
    let mut set = |key: &str, value: Value| typed.insert(key.to_owned(), value);
    set("added_tokens", added_tokens.iter().map(added_token).collect());
    set("normalizer", definition.normalizer.clone().unwrap_or_default());
    set("pre_tokenizer", definition.pre_tokenizer.clone().unwrap_or_default());
    set("model", typed_model.into());
    Ok(typed.into())
}

/// Begins the entries that stand for unused ids. Words in byte letters never hold it.
const NO_WORD: &str = "\u{10fffe}";

/// The ids below the highest that no entry has. The engine wants there to be none, so
/// entries are put there, which is harmless where words are spelled in byte letters.
fn unused_ids(definition: &TokenizerJson<'_>) -> Result<Vec<u32>, FastRefused> {
    let entries = &definition.model.vocab.0;
    let size = entries.iter().map(|(_, id)| *id as usize + 1).max().unwrap_or(0);
    let few = size <= entries.len() + entries.len() / 8 + 1_000;
    let mut used = vec![false; if few { size } else { 0 }];
    for (_, id) in entries.iter().filter(|_| few) {
        used[*id as usize] = true;
    }
    let unused: Vec<u32> = (0..).zip(used).filter(|(_, used)| !used).map(|(id, _)| id).collect();
    if !few || (!unused.is_empty() && !definition.spells_words_in_bytes()) {
        return Err(FastRefused::UnusedIds);
    }
    Ok(unused)
}

fn merge(merge: &MergeRule<'_>) -> Value {
    if merge.left.contains(' ') || merge.right.contains(' ') {
        json!([merge.left, merge.right])
    } else {
        Value::String([&*merge.left, " ", &*merge.right].concat())
    }
}

fn added_token((id, token): &(u32, AddedToken)) -> Value {
    json!({
        "id": id,
        "content": token.content,
        "single_word": token.single_word,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": token.normalized,
        "special": token.special,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use super::super::reference::{Outline, Reference};
    use super::super::vocabulary::VocabularyIndex;
    use super::super::{TokenizerFiles, embedded};
    use super::*;

    /// Documents that are cut into tiny segments have the reference's ids.
    fn check_cuts(files: &TokenizerFiles, pieces: &[&str]) {
        let policy = SpecialTokensInText::Encode;
        let definition = TokenizerJson::parse(&files.tokenizer_json).unwrap();
        let outline = Outline::new(&definition, &VocabularyIndex::new(&definition)).unwrap();
        let mut engine = Fastokens::new(&definition, &outline.added_tokens()).unwrap();
        assert!(engine.cutter.is_some());
        let reference = Reference::whole(&files.tokenizer_json, policy).unwrap();
        let mut state = 7_u64;
        let mut random = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        for round in 0..800 {
            engine.segment_bytes = [24, 40, 100, 400][round % 4];
            let mut text = String::new();
            for _ in 0..1 + random(8) {
                let piece = pieces[random(pieces.len())];
                let most = if random(3) == 0 { 300 } else { 4 };
                text.push_str(&piece.repeat(1 + random(most)));
            }
            expected.clear();
            found.clear();
            reference.encode(&text, &mut expected).unwrap();
            let doubtful = |text: &str, ids: &mut Vec<u32>| reference.encode(text, ids);
            engine.encode(&text, policy, &doubtful, &mut found).unwrap();
            assert_eq!(found, expected, "{text:?} in segments of {} bytes", engine.segment_bytes);
        }
    }

    const PIECES: &[&str] = &[
        "a",
        "A",
        "ab",
        "aB",
        "the",
        "xyz",
        "Zz",
        "-",
        "=-",
        "/",
        "'",
        "'s",
        "!",
        ".",
        "(",
        "0",
        "12",
        "7x",
        " ",
        "  ",
        "\t",
        "\n",
        " \n",
        "\n ",
        "\n\n\t",
        "\r\n",
        "\r",
        "a ",
        " a",
        "é",
        "中",
        "中。",
        "は、",
        "한",
        "😀",
        "\u{301}",
        "\u{3000}",
        "\u{a0}",
        "\u{2003}\n",
        "<|endoftext|>",
        "<|endoftext",
        "|>",
        "_",
        "don't",
        "I'LL",
        "\u{85}",
        "ſ",
        "─",
        "→—",
        "…",
        "😀🙂",
        "'ſ",
    ];

    /// Letters with case, without, and marks, which patterns with case join in many ways.
    const LETTERS: &[&str] = &["A", "B", "a", "b", "中", "ʰ", "ǅ", "\u{301}", "é", "É", "'s", " "];

    #[test]
    fn cuts_change_nothing_for_gpt2() {
        check_cuts(&embedded("gpt2").unwrap(), PIECES);
    }

    #[test]
    fn cuts_change_nothing_for_cl100k() {
        check_cuts(&embedded("cl100k_base").unwrap(), PIECES);
    }

    #[test]
    fn cuts_change_nothing_for_o200k() {
        let files = embedded("o200k_base").unwrap();
        check_cuts(&files, PIECES);
        check_cuts(&files, LETTERS);
    }

    #[test]
    fn cuts_change_nothing_for_other_patterns() {
        let files = embedded("cl100k_base").unwrap();
        for pattern in [
            fastokens::tiktoken::QWEN2_PATTERN,
            fastokens::tiktoken::QWEN35_PATTERN,
            fastokens::tiktoken::TEKKEN_PATTERN,
        ] {
            let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
            file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern.into();
            check_cuts(&TokenizerFiles { tokenizer_json: file.to_string(), ..files.clone() }, PIECES);
        }
    }

    #[test]
    fn cuts_change_nothing_beside_added_tokens_that_look_around() {
        let files = embedded("cl100k_base").unwrap();
        let mut file: Value = serde_json::from_str(&files.tokenizer_json).unwrap();
        let tokens = [
            ("<L>", "lstrip"),
            ("<R>", "rstrip"),
            ("word", "single_word"),
            ("a b", ""),
            ("--\n", ""),
            ("zz", ""),
        ];
        for (position, (content, flag)) in tokens.iter().enumerate() {
            file["added_tokens"].as_array_mut().unwrap().push(json!({
                "id": 100_277 + position, "content": content, "single_word": *flag == "single_word",
                "lstrip": *flag == "lstrip", "rstrip": *flag == "rstrip", "normalized": true, "special": false,
            }));
        }
        for normalizer in [Value::Null, json!({ "type": "NFC" })] {
            file["normalizer"] = normalizer;
            let files = TokenizerFiles { tokenizer_json: file.to_string(), ..files.clone() };
            let more = ["<L>", "<R>", "word", "a b", "-", "z", "zz", "\n"];
            let pieces: Vec<&str> = PIECES.iter().copied().chain(more.repeat(4)).collect();
            check_cuts(&files, &pieces);
        }
    }
}
