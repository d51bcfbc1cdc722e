//! The card is read back as the Hub reads it, whatever splits are called, and the user's text stays.

use proptest::prelude::*;
use saphyr_parser::{Event, Parser};
use serde_json::{Value, json};

use super::*;
use crate::name;

/// A manifest with these splits and as many rows in each.
fn manifest(splits: &[(&str, u64)]) -> Manifest {
    let shard = |rows: u64| {
        json!({
            "input": {"start": 0, "end": 9, "bytes": 9, "checksum": "0".repeat(32)},
            "documents": rows, "tokens": rows * 8, "padding": 0,
            "file": {"name": "shard_0000.parquet", "rows": rows, "bytes": 100, "checksum": "0".repeat(32),
                "tail": {"bytes": 10, "checksum": "0".repeat(32)}},
        })
    };
    let split = |&(name, rows): &(&str, u64)| {
        let split = json!({
            "path": "x", "shards": u64::from(rows > 0), "sequences": rows, "samples": rows, "tokens": rows * 8,
            "identity": "0".repeat(32),
            "source": {"file": "a.jsonl", "bytes": 9, "checksum": "0".repeat(32)},
            "ledger": {"text_tokens": rows * 8, "special_tokens": 0, "padding": 0, "literal_special_tokens": 0},
            "shard_list": if rows > 0 { vec![shard(rows)] } else { vec![] },
            "rejected": {},
        });
        (name.to_owned(), split)
    };
    let mut value: Value =
        serde_json::from_str(include_str!("../../../../testdata/golden/v2/output/manifest.json"))
            .expect("JSON");
    value["splits"] = Value::Object(splits.iter().map(split).collect());
    serde_json::from_value(value).expect("a manifest")
}

fn merged(card: &Card, found: &str) -> String {
    card.merge(Some(found.as_bytes())).expect("it takes a card").text
}

/// The front matter as a value; of scalars the text.
fn front(text: &str) -> Value {
    fn value<'a>(event: Event<'a>, events: &mut dyn Iterator<Item = Event<'a>>) -> Value {
        match event {
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut list = Vec::new();
                loop {
                    match events.next().expect("an end") {
                        Event::SequenceEnd => return Value::Array(list),
                        event => list.push(value(event, events)),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut map = serde_json::Map::new();
                loop {
                    match events.next().expect("an end") {
                        Event::MappingEnd => return Value::Object(map),
                        Event::Scalar(key, ..) => {
                            let event = events.next().expect("a value");
                            let old = map.insert(key.into_owned(), value(event, events));
                            assert_eq!(old, None, "a key stands once");
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let range = front_matter_of(text).expect("front matter");
    let events = Parser::new_from_str(&text[range]).map(|event| event.expect("YAML").0);
    let mut events = events.filter(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_)));
    let first = events.next().expect("a value");
    value(first, &mut events)
}

/// What a pattern of `fsspec`'s that has no wildcard but in brackets, and `*` in the file's name, finds.
fn folder_of(pattern: &str) -> String {
    let pattern = pattern.strip_suffix("/shard_*.parquet").expect("shards");
    let mut folder = String::new();
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        assert!(!"*?:".contains(character), "{pattern}");
        if character == '[' {
            folder.push(rest.next().expect("a character"));
            assert_eq!(rest.next(), Some(']'));
        } else {
            folder.push(character);
        }
    }
    folder
}

/// The names of a card's configurations, each with the folders of its rows by part.
fn configs(text: &str) -> Vec<(String, BTreeMap<String, Vec<String>>)> {
    let string = |value: &Value| value.as_str().expect("a text").to_owned();
    let front = front(text);
    let configs = front["configs"].as_array().expect("a list").iter().map(|config| {
        let files = config["data_files"].as_array().expect("a list").iter().map(|files| {
            let paths = files["path"].as_array().expect("a list");
            (string(&files["split"]), paths.iter().map(|path| folder_of(&string(path))).collect())
        });
        (string(&config["config_name"]), files.collect())
    });
    configs.collect()
}

#[test]
fn names_that_configurations_cannot_have_get_others_and_no_two_are_the_same() {
    let long = "l".repeat(200);
    let splits = ["a", "A", "default", "Default", "x*y", "x?y", "x_y", "true", "über", &long];
    let names = config_names(splits.iter().copied());
    assert_eq!(
        (&*names["a"], &*names["true"], &*names["über"], &*names["x_y"]),
        ("a", "true", "über", "x_y")
    );
    assert!(names["A"].starts_with("A-") && names["default"].starts_with("default-"));
    assert!(names["x*y"].starts_with("x_y-") && names["x*y"] != names["x?y"]);
    assert!(names[&*long].len() < 180);
    // One that looks like another's.
    let twin = names["x*y"].clone();
    let names = config_names(["x*y", &*twin].into_iter());
    assert!(names[&*twin] == twin && names["x*y"] != twin);
}

#[test]
fn empty_splits_have_no_configuration_and_what_is_held_out_is_validation() {
    let train = manifest(&[("a", 3), ("b", 0), ("c", 0), ("d::e", 2)]);
    let validation = manifest(&[("a", 1), ("b", 2), ("c", 0), ("d::e", 2)]);
    let card = Card::of(&train, Some(&validation));
    assert_eq!(card.unloadable(), ["d::e"]);
    let text = card.merge(None).expect("nothing is there").text;
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let parts = |parts: &[(&str, &[&str])]| -> BTreeMap<_, _> {
        parts.iter().map(|&(part, names)| (part.to_owned(), list(names))).collect()
    };
    let expected = vec![
        (
            "default".to_owned(),
            parts(&[("train", &["a"]), ("validation", &["_validation/a", "_validation/b"])]),
        ),
        ("a".to_owned(), parts(&[("train", &["a"]), ("validation", &["_validation/a"])])),
        ("b".to_owned(), parts(&[("validation", &["_validation/b"])])),
    ];
    assert_eq!(configs(&text), expected);
    let info = &front(&text)["dataset_info"];
    assert_eq!(info[0]["splits"][0]["num_examples"], "3");
    assert_eq!(info[0]["splits"][1]["num_examples"], "3");
    assert!(text.contains("| **all** | 5 | 5 | 40 | 0 | | |"), "{text}");
}

#[test]
fn the_user_s_text_stays_and_the_card_is_written_once() {
    let one = Card::of(&manifest(&[("a", 3)]), None);
    let two = Card::of(&manifest(&[("a", 3), ("b", 4)]), None);
    for found in [
        "",
        "\n",
        "# Mine\n",
        "# Mine\nno end",
        "---\nlanguage: en\n---\n# Mine\n",
        "---\nlanguage: en # a note\nnames: |\n  one\n  two\n---\n\ntext\n---\nmore",
        "---\r\nlanguage: en\r\n---\r\n# Mine\r\n",
        "# Mine\r\nmore",
        "---\nnever closed\n",
        "\n---\nlanguage: en\n---\n",
        "---\n---\n",
        "---\n# only a note\n---\n",
    ] {
        let first = merged(&one, found);
        assert_eq!(merged(&one, &first), first, "{found:?}");
        let second = merged(&two, &first);
        assert_eq!(merged(&one, &second), first, "{found:?}");
        assert_eq!(configs(&second).len(), 3, "{found:?}");
        // Without our lines it is what it was, but for the fences and the line ends before a block.
        let mut rest = second.clone();
        for marks in [FRONT_MARKS, BODY_MARKS] {
            let place = marked(&rest, marks).expect("one of each").expect("it is there");
            rest.replace_range(place, "");
        }
        let rest = rest.trim_end();
        assert!(rest.ends_with(found.trim_end()), "{found:?}: {rest:?}");
        if found.contains("\r\n") {
            assert!(!second.replace("\r\n", "").contains('\n'), "{second:?}");
        }
    }
    // Text on all sides of both blocks.
    let around = merged(&one, "").replace("---\n# mash", "---\nlanguage: en\n# mash").replace(
        &format!("{}\n---\n", FRONT_MARKS[1]),
        &format!("{}\npretty_name: Mine\n---\nBefore\n", FRONT_MARKS[1]),
    ) + "Behind\n";
    let other = merged(&two, &around);
    for mine in ["---\nlanguage: en\n#", "pretty_name: Mine\n---\nBefore\n\n<!--", "-->\nBehind\n"] {
        assert!(other.contains(mine), "{other}");
    }
}

#[test]
fn keys_of_the_user_s_stay_and_stand_once() {
    let card = Card::of(&manifest(&[("a", 3)]), None);
    let found = "---\nlicense: mit\nconfigs:\n- config_name: x\n  data_files: x/*\n---\n";
    let merged = card.merge(Some(found.as_bytes())).expect("it takes a card");
    assert_eq!(merged.theirs, ["configs", "dataset_info"]);
    let front = front(&merged.text);
    assert_eq!((&front["license"], &front["configs"][0]["config_name"]), (&json!("mit"), &json!("x")));
    assert_eq!(front.get("dataset_info"), None);
    assert_eq!(front["tags"], json!(["mashbill", "tokenized"]));
}

#[test]
fn what_cannot_take_a_card_is_refused() {
    let card = Card::of(&manifest(&[("a", 3)]), None);
    let refused = |found: &[u8]| card.merge(Some(found)).expect_err("it takes none");
    assert!(matches!(refused(b"\xff"), Unfit::NotUtf8));
    assert!(matches!(refused("\u{feff}---\n".as_bytes()), Unfit::ByteOrderMark));
    for front in
        ["{license: mit}", "- a", "text", "a: 1\na: 2", "a: [", "a: 1\n...\nb: 2", "? [a]\n: b", "a: 'open"]
    {
        let found = format!("---\n{front}\n---\n");
        assert!(matches!(refused(found.as_bytes()), Unfit::FrontMatter), "{front}");
    }
    let [begin, end] = BODY_MARKS;
    for body in
        [begin.to_owned(), end.to_owned(), format!("{end}\n{begin}"), format!("{begin}\n{begin}\n{end}")]
    {
        assert!(matches!(refused(body.as_bytes()), Unfit::Marks { .. }), "{body}");
    }
    let large = "x".repeat(usize::try_from(CARD_BYTES_MAX).expect("it fits"));
    assert!(matches!(refused(large.as_bytes()), Unfit::TooLarge));
}

#[test]
fn names_and_licenses_of_others_are_only_text() {
    let mut train = manifest(&[("<script>|`a`", 3), ("<!-- mashbill: end -->", 1)]);
    for split in train.splits.values_mut() {
        let id = "x\n---\n<!-- mashbill: end --> | [a](b)".to_owned();
        split.license = vec![crate::manifest::License { id, kind: crate::catalog::LicenseKind::Open }];
    }
    train.tokenizer = "/home/somebody/tok/tokenizer.json".into();
    let card = Card::of(&train, None);
    let text = merged(&card, "");
    assert_eq!(merged(&card, &text), text);
    let body = &text[front_matter_of(&text).expect("front matter").end..];
    assert!(!body.contains("<script") && body.contains("&lt;script&gt;\\|\\`a\\`"), "{body}");
    assert!(!text.contains("somebody") && body.contains("the tokenizer tok "), "{body}");
    assert_eq!(front(&text)["license"], json!(["other"]));
    let rows = body.lines().filter(|line| line.starts_with('|') && !line.contains("column"));
    assert_eq!(rows.count(), 5, "{body}");
}

#[test]
fn two_thousand_splits_are_written_at_once() {
    let names: Vec<_> = (0..2000).map(|number| format!("split {number}")).collect();
    let splits: Vec<_> = names.iter().map(|name| (name.as_str(), 3)).collect();
    let train = manifest(&splits);
    let started = std::time::Instant::now();
    let text = merged(&Card::of(&train, Some(&train)), "");
    assert_eq!(merged(&Card::of(&train, Some(&train)), &text), text);
    // Some hundred times what it takes.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    assert_eq!(configs(&text).len(), 2001);
    assert!(text.len() < 2_000_000, "{}", text.len());
}

fn names() -> impl Strategy<Value = String> {
    let odd = proptest::sample::select(vec![
        "a[b]",
        "x*y",
        "q?",
        "col:on",
        "http:x",
        "train",
        "default",
        "true",
        "ha#sh",
        "- dash",
        "über",
        "it's",
        "qu\"ote",
        ".dot",
        "null",
        "~",
        "1",
        "@x",
        "&a",
        "!b",
        "%c",
        "a: b",
        " #",
        "{a}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{10ffff}",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "\\PC{1,12}", "[a-b*?:\\[\\] ]{1,4}"]
}

proptest! {
    #[test]
    fn the_front_matter_finds_each_split_s_folder(splits in proptest::collection::btree_set(names(), 1..8)) {
        let splits: Vec<_> = splits.into_iter().filter(|split| name::check(split).is_ok()).collect();
        let rows: Vec<_> = splits.iter().map(|split| (split.as_str(), 2)).collect();
        let train = manifest(&rows);
        let text = merged(&Card::of(&train, None), "");
        let listed: Vec<_> = splits.iter().filter(|split| !split.contains("::")).cloned().collect();
        if listed.is_empty() {
            prop_assert!(front(&text).get("configs").is_none());
            return Ok(());
        }
        let configs = configs(&text);
        prop_assert_eq!(&configs[0].0, "default");
        prop_assert_eq!(&configs[0].1["train"], &listed);
        for (config, split) in configs[1..].iter().zip(&listed) {
            prop_assert_eq!(&config.1["train"], &vec![split.clone()]);
            prop_assert!(!config.0.contains(['<', '>', ':', '/', '\\', '|', '?', '*']));
        }
        let names: std::collections::BTreeSet<_> = configs.iter().map(|(name, _)| name.to_lowercase()).collect();
        prop_assert_eq!(names.len(), listed.len() + 1);
    }
}
