//! Tokenizers with other models than byte pairs, and with normalizers of all kinds, of GPT-2's words.

use mashbill_subword::SubwordEngine;
use serde_json::{Value, json};

/// Normalizers, by name.
fn normalizers() -> Vec<(&'static str, Value)> {
    let one = |kind: &str| json!({"type": kind});
    let list = |steps: &[Value]| json!({"type": "Sequence", "normalizers": steps});
    let bert = |clean: bool, chinese: bool, strip: Value, lower: bool| json!({"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip, "lowercase": lower});
    let replace =
        |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let strip = |left: bool, right: bool| json!({"type": "Strip", "strip_left": left, "strip_right": right});
    let charsmap = json!({"type": "Precompiled", "precompiled_charsmap": CHARSMAP});
    vec![
        ("nothing", Value::Null),
        ("NFC", one("NFC")),
        ("NFD", one("NFD")),
        ("NFKC", one("NFKC")),
        ("NFKD", one("NFKD")),
        ("lower case", one("Lowercase")),
        ("NFC, lower case", list(&[one("NFC"), one("Lowercase")])),
        ("NFKD, accents, lower case", list(&[one("NFKD"), one("StripAccents"), one("Lowercase")])),
        ("accents", one("StripAccents")),
        ("strip", strip(true, true)),
        ("strip left", strip(true, false)),
        ("strip right, NFD", list(&[strip(false, true), one("NFD")])),
        ("Nmt", one("Nmt")),
        ("uncased BERT", bert(true, true, Value::Null, true)),
        ("cased BERT", bert(true, true, Value::Null, false)),
        ("BERT with accents", bert(false, true, json!(false), true)),
        ("BERT without accents", bert(true, false, json!(true), false)),
        ("BERT that does nothing", bert(false, false, json!(false), false)),
        ("charsmap", charsmap.clone()),
        (
            "ALBERT",
            list(&[
                replace(json!({"String": "``"}), "\""),
                replace(json!({"String": "''"}), "\""),
                one("NFKD"),
                one("StripAccents"),
                one("Lowercase"),
                charsmap.clone(),
            ]),
        ),
        ("spaces to one", list(&[charsmap, replace(json!({"Regex": " {2,}"}), " ")])),
        (
            "white space to one, NFC, lower case",
            list(&[one("NFC"), replace(json!({"Regex": r"\s+"}), " "), one("Lowercase")]),
        ),
        ("a pattern that matches nothing", replace(json!({"Regex": r"x*"}), "-")),
        ("prepend", list(&[json!({"type": "Prepend", "prepend": "_"}), replace(json!({"String": "a"}), "")])),
    ]
}

/// Pre-tokenizers, by name.
fn pre_tokenizers() -> Vec<(&'static str, Value)> {
    let one = |kind: &str| json!({"type": kind});
    let list = |steps: &[Value]| json!({"type": "Sequence", "pretokenizers": steps});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let split = |regex: &str, behavior: &str, invert: bool| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert});
    vec![
        ("BERT", one("BertPreTokenizer")),
        ("white space", one("WhitespaceSplit")),
        ("words", one("Whitespace")),
        ("metaspace", metaspace("always", true)),
        ("white space and metaspace", list(&[one("WhitespaceSplit"), metaspace("always", true)])),
        ("metaspace first", metaspace("first", true)),
        ("metaspace never, whole", metaspace("never", false)),
        (
            "metaspace and digits",
            list(&[
                metaspace("always", true),
                json!({"type": "Digits", "individual_digits": true}),
                json!({"type": "Punctuation", "behavior": "Isolated"}),
            ]),
        ),
        ("nothing", Value::Null),
        ("a character", json!({"type": "CharDelimiterSplit", "delimiter": "e"})),
        ("removed", split(r"\s+|[aeiou]", "Removed", false)),
        ("others removed", split(r"\p{L}+|\p{N}", "Removed", true)),
        (
            "words and digits",
            list(&[
                one("WhitespaceSplit"),
                json!({"type": "Digits", "individual_digits": false}),
                split("[-_]", "Removed", false),
            ]),
        ),
    ]
}

/// GPT-2's words, and whether a space is before each.
fn words(gpt2: &Value) -> Vec<(bool, String)> {
    let spellings = SubwordEngine::from_tokenizer_json(&gpt2.to_string()).unwrap().spellings();
    let mut words: Vec<(bool, String)> = spellings
        .into_iter()
        .filter_map(|bytes| {
            let text = String::from_utf8(bytes?).ok()?;
            let word = text.strip_prefix(' ').map(str::to_owned);
            Some((word.is_some(), word.unwrap_or(text))).filter(|(_, word)| !word.is_empty())
        })
        .collect();
    let more = [
        "世", "界", "世界", "😀", "𝔘", "😀😀", "é", "ß", "\n\n", "日本", "の", "##", "##s", "[UNK]", "<unk>",
        "e\u{301}", "\u{301}",
    ];
    words.extend(more.iter().flat_map(|word| [(true, (*word).to_owned()), (false, (*word).to_owned())]));
    words.sort_unstable();
    words.dedup();
    words
}

/// Vocabularies of other models: WordPiece of several kinds, whole words, and unigrams with and without bytes.
fn models(gpt2: &Value) -> Vec<(&'static str, Value)> {
    let words = words(gpt2);
    let numbered = |tokens: Vec<String>| -> Value {
        let mut seen = std::collections::HashSet::new();
        let tokens = tokens.into_iter().filter(|token| seen.insert(token.clone()));
        tokens.zip(0..).map(|(token, id)| (token, json!(id))).collect()
    };
    let piece = |unknown: &str, prefix: &str, max: u32, lower: bool| {
        let mut tokens = vec![unknown.to_owned(), "[CLS]".to_owned()];
        tokens.extend(words.iter().map(|(begins, word)| {
            let word = if lower { word.to_lowercase() } else { word.clone() };
            if *begins { word } else { format!("{prefix}{word}") }
        }));
        json!({"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": prefix, "max_input_chars_per_word": max, "vocab": numbered(tokens)})
    };
    let unigram = |spells_bytes: bool, prefix: &str, step: f64| {
        let mut tokens = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned(), prefix.to_owned()];
        tokens.extend((0..=255).filter(|_| spells_bytes).map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend(
            words.iter().map(|(begins, word)| if *begins { format!("{prefix}{word}") } else { word.clone() }),
        );
        let mut seen = std::collections::HashSet::new();
        tokens.retain(|token| seen.insert(token.clone()));
        // Many have the same score, and long ones are worth more.
        let score = |token: &String| {
            let length = token.chars().count() as f64;
            -((token.len() * 7919 % 61) as f64 / 60.0 * step).round() / step - 8.0 - (3.0 / (1.0 + length))
        };
        let vocab: Vec<Value> = tokens.iter().map(|token| json!([token, score(token)])).collect();
        json!({"type": "Unigram", "unk_id": 0, "byte_fallback": spells_bytes, "vocab": vocab})
    };
    let level: Vec<String> = words.iter().map(|(_, word)| word.clone()).collect();
    vec![
        ("WordPiece", piece("[UNK]", "##", 100, true)),
        ("cased WordPiece", piece("<unk>", "@@", 7, false)),
        ("WordPiece without a prefix", piece("[UNK]", "", 100, true)),
        ("whole words", json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": numbered(level)})),
        ("unigrams", unigram(false, "▁", 1000.0)),
        ("unigrams with bytes", unigram(true, "▁", 4.0)),
        ("unigrams with ties", unigram(false, "▁", 1.0)),
        ("plain unigrams", unigram(true, " ", 100.0)),
    ]
}

/// All models with some normalizers and pre-tokenizers, and all of those with some models.
pub(crate) fn others(gpt2: &Value) -> Vec<(String, Value)> {
    let (normalizers, pre_tokenizers, models) = (normalizers(), pre_tokenizers(), models(gpt2));
    let most = normalizers.len().max(pre_tokenizers.len()) * models.len();
    let mut others = Vec::new();
    for number in 0..most / 2 {
        let (model_name, model) = &models[number % models.len()];
        let (normalizer_name, normalizer) = &normalizers[number * 5 / 3 % normalizers.len()];
        let (pre_name, pre_tokenizer) =
            &pre_tokenizers[(number / 2 + number / models.len()) % pre_tokenizers.len()];
        let added = |content: &str, normalized: bool, special: bool| {
            let size = model["vocab"]
                .as_object()
                .map_or_else(|| model["vocab"].as_array().unwrap().len(), serde_json::Map::len);
            json!({"id": size, "content": content, "single_word": false, "lstrip": normalized, "rstrip": false, "normalized": normalized, "special": special})
        };
        let mut added_tokens =
            vec![added("<|endoftext|>", false, true), added("|||EMAIL_ADDRESS|||", true, false)];
        if number % 3 == 0 {
            added_tokens.push(added("\n", false, false));
        }
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": null,
            "model": model,
        });
        others.push((format!("{model_name}, {normalizer_name}, {pre_name}"), json));
    }
    others
}

/// Some replacements, as SentencePiece writes them.
const CHARSMAP: &str = "AAQAAAAMAAAAAACAAQ0AAMw8AgABAACAAQAAgIoFAAA7AACAAwAAgAo1AAAJOQAAYh0AACIAAIDMcAIADS0AAAotAACBBQAAJAAAgDkAAICFXQAABwAAgKkRAAAXAACAMAAAgIUFAAATAACAgW0AAOCAAgAfdQAAlZgDAKUwAgCN+QAApKACACwAAIAuAACAn9EAALMFAAA+AACAhAQCAIC4AwDhEAIAhYgCAKEZAAC9/QAARQAAgBkAAICgBQAABQAAgLhJAACicQAAgQUAAB4AAICAwQAAiY0AAKDJAACCOQAAq/0AACAAAICAOAIAgTgCALisAgC4VAIAlgUAADMAAICACAIAgxUBAEE0AgCwGAIAhFwDAIANAAApAACArDACACYAAICLIQEAgQkAAL8pAQCRjQEADgAAgJRkAgCYdQAAu5ACAJF8AwAcAACAqdwDAPB4AgCfKAIAlpQDALwoAgCHoAIAnQwCAKoZAACf8AIAEAAAgAsAAICADQAAXQAAAIdoAgBjAAAAYSwAAGCtAQBmAAAAZwAAAGWcAgBlAAAAagAAAGsAAACouQEAaQAAAG4AAABvAAAAbAAAAG0AAAByAAAAcwAAAHAAAABxAAAAdgAAAHcAAAB0AAAAdQAAAHoAAAB7AAAAeAAAAHilAQChxQAAfvEBAHwAAACYhAIAggAAAIMAAACAAAAAgQAAAIYAAACHAAAAhAAAAIUAAACKAAAAiwAAAIgAAACJAAAAjgAAAI8AAACMAAAAjQAAAJIAAACTAAAAkAAAAJEAAACWAAAAlwAAAJQAAACVAAAAmgAAAJsAAACYAAAAmQAAAJ4AAACfAAAAnAAAAJ0AAACiAAAAowAAAKAAAAChAAAApgAAAKcAAACkAAAApQAAAKoAAACrAAAAqAAAAKkAAACuAAAArwAAAKwAAACtAAAAsgAAALMAAACwAAAAsQAAALYAAAC3AAAAtAAAALUAAAC6AAAAuwAAALgAAAC5AAAAvgAAAL8AAAC8AAAAvQAAAMPwAQDCXAEAwAAAAMEAAADHZAEAxwAAAMQAAADFAAAAygAAAMsAAADIAAAAyQAAAM4AAADPAAAAzAAAAMxQAQDSAAAA0wAAANAAAADRAAAA1gAAANcAAADUAAAA1QAAANoAAADbAAAA2AAAANkAAADeAAAA3wAAANwAAADdAAAA42gBAOKEAADhAAEA4JwBAOYAAADnAAAA5AAAAOSIAQDqAAAA6mgAAOgAAADpAAAA7xwAAO8AAADsAAAA7QAAAPIAAADzAAAA8AAAAPDcAAD2AAAA9wAAAPQAAAD1AAAA+gAAAPsAAAD4AAAA+QAAAP4AAAD/AAAA/AAAAP0AAAAAIAAnADEAMS8yADopAEEAREUARMW+AEUAVE0AVQBfAGEAYwBlAGZpAGdhAGsAcwBzcwB3b3JsZAB5AMOFAOC5jeC4sgDqsIAA";
