//! The same records, whatever they are packed in and encoded with, against what they were made of.

#![expect(clippy::disallowed_methods, reason = "tests make and change files as they like")]

use std::fs;
use std::io::Write;
use std::path::Path;

use mashbill_records::record::RecordParser;
use mashbill_records::{BlockLines, Blocks, Container, FileKind, LineCutting, Lines, read_range};
use proptest::prelude::*;
use serde_json::{Value, json};

/// How the records are written one after another.
#[derive(Debug, Clone, Copy)]
enum Form {
    Lines,
    CrLfLines,
    Array,
    PrettyArray,
}

/// How their text is encoded.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Utf8,
    MarkedUtf8,
    Utf16Little,
    Utf16Big,
}

fn written(records: &[Value], form: Form) -> String {
    let compact = |end: &str| records.iter().map(|record| format!("{record}{end}")).collect::<String>();
    match form {
        Form::Lines => compact("\n"),
        Form::CrLfLines => compact("\r\n\r\n"),
        Form::Array => Value::from(records).to_string(),
        Form::PrettyArray => serde_json::to_string_pretty(records).expect("JSON"),
    }
}

fn encoded(text: &str, encoding: Encoding) -> Vec<u8> {
    let marked = format!("\u{feff}{text}");
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::MarkedUtf8 => marked.into_bytes(),
        Encoding::Utf16Little => marked.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Big => marked.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    }
}

/// The bytes in so many members one after another.
fn packed(bytes: &[u8], container: Container, members: usize) -> Vec<u8> {
    let size = bytes.len().div_ceil(members).max(1);
    let mut chunks: Vec<&[u8]> = bytes.chunks(size).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    chunks.into_iter().flat_map(|chunk| member(chunk, container)).collect()
}

fn member(bytes: &[u8], container: Container) -> Vec<u8> {
    match container {
        Container::Plain => bytes.to_vec(),
        Container::Zstd => zstd::encode_all(bytes, 1).expect("memory"),
        Container::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        Container::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        Container::Xz => xz(bytes),
    }
}

/// A stream of xz that stores its bytes, after the specification of the format.
fn xz(bytes: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let number = |mut value: u64| {
        let mut spelled = Vec::new();
        while value >= 0x80 {
            spelled.push(value as u8 | 0x80);
            value >>= 7;
        }
        spelled.push(value as u8);
        spelled
    };
    let with_crc = |mut part: Vec<u8>| {
        part.extend(crc(&part));
        part
    };
    let flags = [0, 1];
    let mut stream = b"\xFD7zXZ\0".to_vec();
    stream.extend(with_crc(flags.to_vec()));
    let mut index = vec![0];
    if bytes.is_empty() {
        index.push(0);
    } else {
        let mut block = with_crc(vec![2, 0, 0x21, 1, 0x16, 0, 0, 0]);
        for (position, chunk) in bytes.chunks(1 << 16).enumerate() {
            block.push(if position == 0 { 1 } else { 2 });
            block.extend((chunk.len() as u16).wrapping_sub(1).to_be_bytes());
            block.extend(chunk);
        }
        block.push(0);
        let unpadded = block.len() as u64 + 4;
        block.resize(block.len().next_multiple_of(4), 0);
        block.extend(crc(bytes));
        stream.extend(block);
        index.push(1);
        index.extend(number(unpadded));
        index.extend(number(bytes.len() as u64));
    }
    index.resize(index.len().next_multiple_of(4), 0);
    let index = with_crc(index);
    stream.extend(&index);
    let mut footer = ((index.len() as u32 / 4) - 1).to_le_bytes().to_vec();
    footer.extend(flags);
    stream.extend(crc(&footer));
    stream.extend(footer);
    stream.extend(b"YZ");
    stream
}

fn name(form: Form, container: Container) -> &'static str {
    match (container, form) {
        (Container::Plain, Form::Lines) => "a.jsonl",
        (Container::Plain, _) => "a.json",
        (Container::Gzip, _) => "a.json.gz",
        (Container::Bzip2, _) => "a.ndjson.bz2",
        (Container::Xz, _) => "a.jsonl.xz",
        (Container::Zstd, _) => "a.jsonl.zst",
    }
}

/// The texts of a file's records, and where each begins.
fn read(path: &Path) -> Vec<(String, u64)> {
    let file = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let Some((_, FileKind::Json(container))) = FileKind::of(file) else { panic!("{file}") };
    let mut parser = RecordParser::new(&["text"]);
    let mut lines = Lines::open(path, container).expect("it is read");
    let mut records = Vec::new();
    while let Some(line) = lines.read().expect("it is read") {
        let text = std::str::from_utf8(line.bytes.expect("it is short")).expect("UTF-8");
        records.push((parser.parse(text).expect("a record").text.to_owned(), line.start));
        assert_eq!(
            records.len() as u64,
            if text.ends_with('\r') { line.number.div_ceil(2) } else { line.number }
        );
    }
    records
}

fn any_records() -> impl Strategy<Value = Vec<Value>> {
    let text = prop_oneof![
        "[a-z \\[\\]{},:\"\\\\\n\r\té日𝄞]{0,20}",
        any::<String>(),
        // Longer than what is looked at first.
        (60_000..70_000_usize).prop_map(|length| "word\\ \"é".repeat(length / 8)),
    ];
    prop::collection::vec(
        (text, any::<i64>()).prop_map(|(text, n)| json!({"n": [n, {"x": n}], "text": text})),
        1..6,
    )
}

fn any_form() -> impl Strategy<Value = (Form, Encoding, Container)> {
    let forms =
        prop_oneof![Just(Form::Lines), Just(Form::CrLfLines), Just(Form::Array), Just(Form::PrettyArray)];
    let encodings = prop_oneof![
        Just(Encoding::Utf8),
        Just(Encoding::MarkedUtf8),
        Just(Encoding::Utf16Little),
        Just(Encoding::Utf16Big)
    ];
    let containers = prop_oneof![
        Just(Container::Plain),
        Just(Container::Gzip),
        Just(Container::Bzip2),
        Just(Container::Xz),
        Just(Container::Zstd)
    ];
    (forms, encodings, containers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MASHBILL_LONG").is_some() { 4096 } else { 96 }))]

    #[test]
    fn records_are_those_that_were_written(
        records in any_records(), (form, encoding, container) in any_form(), members in 1..4_usize,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name(form, container));
        let text = written(&records, form);
        let marked = if matches!(encoding, Encoding::Utf8) { text.clone() } else { format!("\u{feff}{text}") };
        fs::write(&path, packed(&encoded(&text, encoding), container, members)).expect("a file");
        let found = read(&path);
        let texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
        let expected: Vec<_> = records.iter().map(|record| record["text"].as_str().expect("a text")).collect();
        prop_assert_eq!(texts, expected);
        // A record is found again at its place in the content, by another parser.
        for ((_, start), record) in found.iter().zip(&records) {
            let rest = marked[*start as usize..].trim_start_matches(['[', ',', ' ', '\n', '\r']);
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            let value = values.next().expect("a value").map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(&value, record);
        }
    }

    #[test]
    fn blocks_follow_one_another_and_begin_anywhere_in_between(
        records in any_records(), (form, encoding, container) in any_form(), block_bytes in 1..300_u64,
        longer in 0..200_u64,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name(form, container));
        fs::write(&path, packed(&encoded(&written(&records, form), encoding), container, 2)).expect("a file");
        let size = fs::metadata(&path).expect("a file").len();
        let line_bytes_max = block_bytes + longer;
        let cutting = LineCutting { block_bytes, line_bytes_max };
        let blocks = |start| {
            let file = fs::File::open(&path).expect("a file");
            let mut blocks = Blocks::new(file, container, size, cutting, start).expect("it is read");
            let mut all = Vec::new();
            while let Some(block) = blocks.next().expect("it is read") {
                let checksum = block.checksum().expect("it is read");
                let bytes = match block.content {
                    BlockLines::Range(file) => Some(read_range(&file, block.start, block.end).expect("it is read")),
                    BlockLines::Bytes(bytes) => Some(bytes),
                    BlockLines::TooLong { .. } => None,
                };
                all.push((block.start, block.end, checksum, bytes));
            }
            all
        };
        let all = blocks(0);
        let mut at = 0;
        for (index, (start, end, _, bytes)) in all.iter().enumerate() {
            prop_assert_eq!(*start, at);
            at = *end;
            let length = end - start;
            match bytes {
                Some(bytes) => {
                    prop_assert_eq!(bytes.len() as u64, length);
                    let is_last = index + 1 == all.len();
                    prop_assert!(is_last || bytes.ends_with(b"\n"));
                }
                None => prop_assert!(length > line_bytes_max),
            }
        }
        for index in 0..all.len().min(4) {
            prop_assert_eq!(&blocks(all[index].0), &all[index..]);
        }
    }

    #[test]
    fn foreign_bytes_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300), records in any_records(),
        (form, encoding, container) in any_form(), flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        from_scratch in any::<bool>(),
    ) {
        if !from_scratch {
            bytes = packed(&encoded(&written(&records, form), encoding), container, 2);
            for (at, mask) in flips {
                let length = bytes.len();
                bytes[at % length] ^= mask;
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, bytes).expect("a file");
        if let Ok(mut lines) = Lines::open(&path, container) {
            while let Ok(Some(_)) = lines.read() {}
        }
    }
}
