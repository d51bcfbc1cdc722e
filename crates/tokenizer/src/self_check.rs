//! The check that the fast engine gives the reference's ids, at the first start with a tokenizer.
//!
//! Words are compared before ids are: most vocabularies hide where a word ends, since the tokens on both sides are the same
//! either way. What the tokenizer's own normalizer and pre-tokenizer make of texts, with each code point in several
//! surroundings and with pieces of the tokenizer's own patterns ([`super::fragments`]), has to be what the engine makes of
//! them. Then ids are compared, under both policies that change them: of a fixed set of adversarial texts, of each added
//! token in each position that matters, of the texts of the patterns, and of tokens in a row.
//!
//! That proves nothing about texts outside the set; it catches what really goes wrong: a pattern that is spelled a little
//! differently, an added token with a flag, a normalizer, a Unicode table, a vocabulary out of the ordinary. What it can't
//! catch, the samples of the run's own documents are for. A test makes engines wrong on purpose to see that it is found.
//!
//! It takes a second or two of the reference. The set's version is part
//! of the verdict's key, so a change of the set checks every tokenizer again.

use mashbill_store::door;
use tokenizers::AddedToken;

use super::error::Error;
use super::fast::FastEngine;
use super::fast_refused::FastRefused;
use super::fragments;
use super::options::SpecialTokensInText;
use super::reference::{Outline, Reference};
use super::vocabulary::Grams;
use mashbill_subword::Scratch;

/// Compares the engines. `Ok(None)` means that they agreed on every text.
pub(super) fn self_check(
    outline: &mut Outline,
    tokenizer_json: &str,
    engine: &FastEngine,
) -> Result<Option<FastRefused>, Error> {
    let patterns = fragments::of_patterns(&outline.steps());
    outline.set_special_tokens_in_text(SpecialTokensInText::Encode);
    for text in patterns.iter().cloned().chain(fragments::characters()) {
        if !has_same_words(outline, engine, &text)? {
            return Ok(Some(mismatch(&text)));
        }
    }
    let texts = [texts(&outline.added_tokens()), patterns, tokens(engine)].concat();
    compare_ids(outline, tokenizer_json, engine, &texts)
}

fn mismatch(text: &str) -> FastRefused {
    FastRefused::Mismatch { text: text.chars().take(200).collect() }
}

/// Whether both engines make the same words of a text, or both give it up.
fn has_same_words(outline: &Outline, engine: &FastEngine, text: &str) -> Result<bool, Error> {
    let (mut expected, mut found) = (Words::default(), Words::default());
    let defined = door::behind(|| outline.split_into(text, &mut expected.bytes, &mut expected.ends));
    let split = engine.split_into(text, &mut found.bytes, &mut found.ends);
    Ok(match defined {
        Ok(Ok(())) => split && expected.are_alike(&found),
        Ok(Err(Error::Encode { .. })) | Err(_) => !split,
        Ok(Err(error)) => return Err(error),
    })
}

/// Words, one after another.
#[derive(Default)]
struct Words {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Words {
    /// Whether they are the same, but for spaces that stand for `▁`.
    fn are_alike(&self, others: &Self) -> bool {
        let spaced = |word: &[u8]| String::from_utf8_lossy(word).replace('▁', " ");
        let is_same = |(word, other): (&[u8], &[u8])| word == other || spaced(word) == spaced(other);
        self.bytes == others.bytes && self.ends == others.ends
            || self.ends.len() == others.ends.len() && self.each().zip(others.each()).all(is_same)
    }

    fn each(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

/// Compares the ids of texts.
fn compare_ids(
    outline: &mut Outline,
    tokenizer_json: &str,
    engine: &FastEngine,
    texts: &[String],
) -> Result<Option<FastRefused>, Error> {
    let (mut scratch, mut expected, mut found) = (Scratch::new(), Vec::new(), Vec::new());
    let policies = [SpecialTokensInText::Encode, SpecialTokensInText::Split];
    let mut grams = Grams::new();
    let part = door::behind(|| {
        for policy in policies {
            outline.set_special_tokens_in_text(policy);
            outline.add_words(texts.iter().map(String::as_str), &mut grams)?;
        }
        outline.reference_of(tokenizer_json, &grams)
    });
    // Where it breaks down over a text, the reference as a whole says so of that text.
    let mut reference = match part.unwrap_or(Ok(None))? {
        Some(part) => part,
        None => Reference::whole(tokenizer_json, policies[0])?,
    };
    for policy in policies {
        outline.set_special_tokens_in_text(policy);
        reference.set_special_tokens_in_text(policy);
        for text in texts {
            expected.clear();
            found.clear();
            let defined = reference.encode(text, &mut expected);
            let doubtful = |text: &str, ids: &mut Vec<u32>| reference.encode(text, ids);
            let encoded = engine.encode(&mut scratch, text, policy, &doubtful, &mut found);
            // Where the reference has no ids for a text, no engine may have any.
            if defined.is_ok() != encoded.is_ok() || found != expected {
                return Ok(Some(mismatch(text)));
            }
        }
    }
    Ok(None)
}

/// Tokens of the vocabulary, evenly spread: those of a text in a row, and with spaces between.
fn tokens(engine: &FastEngine) -> Vec<String> {
    let spellings: Vec<String> = engine.spellings().into_iter().flatten().collect();
    let some: Vec<&str> =
        spellings.iter().step_by(spellings.len() / TOKENS + 1).map(String::as_str).collect();
    some.chunks(TOKENS_IN_A_TEXT).flat_map(|some| [some.concat(), some.join(" ")]).collect()
}

/// Most tokens that are taken from a vocabulary.
const TOKENS: usize = 4_000;

/// How many of them are put together.
const TOKENS_IN_A_TEXT: usize = 40;

/// Encodes texts on which patterns have to work, and lets go what comes of it.
pub(super) fn try_out(reference: &Reference) {
    let mut ids = Vec::new();
    for text in FIXED.iter().map(|text| (*text).to_owned()).chain(runs()) {
        ids.clear();
        drop(reference.encode(&text, &mut ids));
    }
}

/// The texts of the check for a tokenizer with these added tokens.
fn texts(added_tokens: &[(u32, AddedToken)]) -> Vec<String> {
    let mut texts: Vec<String> = FIXED.iter().map(|text| (*text).to_owned()).collect();
    texts.extend(runs());
    texts.extend(planes());
    texts.extend(around_added_tokens(added_tokens));
    texts
}

/// Texts on which tokenizers are known to differ.
const FIXED: &[&str] = &[
    "",
    " ",
    "\n",
    "The quick brown fox jumps over the lazy dog. It's 10:45, isn't it? THEY'LL say WE'VE won; I'd've gone.",
    "don't DON'T Don'T y'all'd've 'tis 'S 's'T'rE'vE'M'lL'd ''s 's''t I'm I'M I\u{2019}m o'clock",
    "'\u{17f} '\u{17f}a it'\u{17f} K\u{212a} 'LL 'Ll \u{130}stanbul \u{131}i\u{307} STRASSE stra\u{df}e \u{1c5}ungla",
    "fn main() {\n    let x = vec![1, 22, 333, 4444, 55555, 666666];\n\tif x[0] != -1.5e-10 { println!(\"{:?}\", x); }\n}\n",
    "https://example.org/a/b?c=d&e=f#g user@example.org C:\\Users\\me \u{20ac}1.234,56 $3.50 50% #tag @name",
    "  two  three   four    \t tab\t\ttabs \t mixed \n newline\n\nblank\n \n \n\n  indent\r\nwindows\r\n\r\n\rmac\r\r end  ",
    "a\n\n\n   b\n   \n   c \n\td\u{a0}e \u{3000}f\u{2003}\u{2003}g\u{85}h\u{2028}i\u{2029}j\u{b}k\u{c}l\u{1680}m\u{202f}n\u{205f}o",
    ".\n/ a//b\n// ...\n\n/x\n/'s !?\r\n/ )\n\n) \"\n' /\n/\n //\r\r/",
    "caf\u{e9} cafe\u{301} \u{c5} A\u{30a} \u{212b} \u{1e9b}\u{323} q\u{307}\u{323} \u{1100}\u{1161}\u{11a8} \u{ac01} \u{f900} \u{fb01} \u{958}\u{301}",
    "\u{301}\u{302}leading marks e\u{301}\u{302}\u{303}\u{323}\u{327} \u{915}\u{94d}\u{937}\u{93f} \u{e01}\u{e33}\u{e48} \u{5d0}\u{5b8}\u{5bc} \u{628}\u{650}\u{633}\u{652}\u{645}",
    "\u{4f60}\u{597d}\u{ff0c}\u{4e16}\u{754c}\u{ff01}\u{65e5}\u{672c}\u{8a9e}\u{306e}\u{30c6}\u{30b9}\u{30c8}\u{3002}\u{d55c}\u{ad6d}\u{c5b4} \u{30ab}\u{3099} \u{ff21}\u{ff11}\u{ff5e} \u{3007}\u{3021} \u{4e00}1\u{4e8c}2",
    "\u{1f600}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466} \u{1f3f3}\u{fe0f}\u{200d}\u{1f308} \u{1f1e9}\u{1f1ea} \u{1f44d}\u{1f3fd} #\u{fe0f}\u{20e3} \u{2764}\u{fe0f}\u{200d}\u{1f525} \u{1fae0}\u{1fae8}\u{1fadc}",
    "\u{0}\u{1}\u{2}\u{7}\u{8}\u{1b}[0m\u{7f}\u{80}\u{9f}\u{ad}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{fff9}\u{fffd}\u{fffe}\u{ffff}\u{10ffff}\u{e000}\u{f8ff}",
    "\u{660}\u{661}\u{662}\u{663}\u{664} \u{966}\u{967} \u{2160}\u{2161} \u{b2}\u{b3}\u{b9} \u{bd}\u{2153} \u{2460}\u{2461} \u{1d7d8}\u{1d7d9} \u{bf0} x\u{b2}+y\u{b2} H\u{2082}O 1\u{2044}2 12\u{966}34",
    "\u{1d400}\u{1d401} \u{1d4d0} \u{10400}\u{10428} \u{13000} \u{12000} \u{16a0} \u{20000}\u{2a6df}\u{30000}\u{31350} \u{1f1e6}x \u{e0041}\u{e007f} \u{1d173}",
    "\u{18d0b}\u{18d00} \u{18cff} \u{16d40} \u{105c0} \u{10d4a} \u{1e5d0} \u{11bc0} \u{a7cb}\u{a7dc}\u{a7f1} \u{1c89}\u{1c8a} \u{323b0} \u{2ebf0} \u{1c80} \u{10ec2} \u{88f} \u{c5c} \u{cdc} \u{a7ce} \u{a7d2}",
    "iPhone XMLHttpRequest snake_case kebab-case camelCase PascalCase SCREAMING_CASE McDonald's USAs NASA\u{2019}s \u{1c5}\u{1c8}\u{1cb} \u{2b0}\u{2b1} \u{aa}\u{ba} aB\u{301}c A\u{301}b",
    "1234567890 12 123 1234 1,234,567.89 0x1F 1e10 3.14159 2026-11-22T10:45:00Z +1-800-555-0199 a1b22c333d4444",
    "Pneumonoultramicroscopicsilicovolcanoconiosis Donaudampfschifffahrtsgesellschaftskapit\u{e4}n llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch viec \u{1ec7}u vi\u{1ec7}c",
    "<|endoftext|> <s></s> [INST] <<SYS>> <|im_start|>user\n<|eot_id|> <unk> [MASK] <0x0A> <pad>\u{2581}\u{2581}a \u{120}b \u{10a}",
    "!!!???...,,,;;;:::---___===+++***&&&%%%$$$###@@@~~~```|||\\\\\\///\"\"\"'''()()[]{}<><> \u{2014}\u{2026}\u{201c}\u{201d}\u{ab}\u{bb}\u{bf}\u{a1}\u{2022}\u{2192}\u{2500}\u{2588}",
];

/// Long runs of one character, of lengths around powers of two and above the sizes at
/// which the engines change their method.
fn runs() -> Vec<String> {
    let mut runs = Vec::new();
    for run in [
        " ",
        "\n",
        "\t",
        "a",
        "A",
        "0",
        "-",
        "=",
        "'",
        "\u{e9}",
        "\u{4e00}",
        "\u{1f600}",
        "\u{301}",
        "\u{a0}",
        "\r\n",
        " \n",
        "ab",
        "/",
    ] {
        for times in [3, 16, 33, 127, 260] {
            runs.push(format!("x{}y {}", run.repeat(times), run.repeat(times + 1)));
        }
    }
    runs
}

/// Characters of all planes, alone and between letters, evenly spread.
fn planes() -> Vec<String> {
    let every = |step: usize| (0u32..0x11_0000).step_by(step).filter_map(char::from_u32);
    let letters = |step| every(step).flat_map(|c| ['a', c, 'b', ' ', c, '1']).collect::<String>();
    vec![every(1_009).collect(), letters(2_003), (0x80..0x600).filter_map(char::from_u32).collect()]
}

/// Every added token whole, doubled, cut, with white space around it, inside a word.
fn around_added_tokens(added_tokens: &[(u32, AddedToken)]) -> Vec<String> {
    let mut texts = Vec::new();
    for (position, (_, token)) in added_tokens.iter().enumerate() {
        let token = &*token.content;
        let cut: String = token.chars().skip(1).collect();
        let mut cut_end = token.to_owned();
        cut_end.pop();
        // Tokenizers have hundreds of tokens of one kind: the first ones and each
        // eighth are tried in every way, the others in one text.
        if position < 24 || position.is_multiple_of(8) {
            texts.push(format!(
                "a {token} b{token}{token}c  {token}  \n{token}\n\n{token} {cut} {cut_end}{token}{cut}"
            ));
            texts.push(format!("{token} x"));
            texts.push(format!("x{token}"));
            texts.push(format!("{token}'s \u{e9}{token}\u{301}1{token}_{}", token.to_uppercase()));
        } else {
            texts.push(format!("a {token}b{token} \n{cut_end} {cut}"));
        }
    }
    texts
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where it panics, and says what it counts"
)]
mod tests;
