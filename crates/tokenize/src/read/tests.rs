//! What is no part of a packed file is counted once, in the stretch that the file ends in.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;
use std::io::Write;

use mashbill_format::manifest::{Packing, ShardOptions};
use mashbill_parquet::encode::Compression;
use mashbill_records::DOCUMENT_BYTES_MAX;

use super::*;
use crate::input::{SplitNames, discover};

const GARBAGE: &[u8] = b"no gzip";

fn options() -> ShardOptions {
    ShardOptions {
        max_seq_length: 64,
        shard_bytes: 20_000,
        stride_bytes: 20_000,
        packing: Packing::Concat,
        compression: Compression::Snappy,
        text_field: "text".into(),
        other_text_fields: Vec::new(),
        max_document_bytes: DOCUMENT_BYTES_MAX,
        chat: None,
        held_out: None,
    }
}

/// Packed files in one group, with this many lines each.
fn group(root: &Path, lines: &[usize]) -> Group {
    let folder = &root.join("data");
    fs::create_dir_all(folder).unwrap();
    for (number, &lines) in lines.iter().enumerate() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all("{\"text\": \"hello world\"}\n".repeat(lines).as_bytes()).unwrap();
        let mut bytes = packed.finish().unwrap();
        bytes.extend_from_slice(GARBAGE);
        fs::write(folder.join(format!("{number}.jsonl.gz")), bytes).unwrap();
    }
    let names = if lines.len() > 1 { SplitNames::Folder } else { SplitNames::Stem };
    let found = discover(folder, &root.join("out"), false, names).unwrap();
    Group { files: found.inputs.into_iter().flat_map(|split| split.files).collect() }
}

/// The stretches from number `from` on, after those before it were passed over.
fn stretches(group: &Group, options: &ShardOptions, before: &[Stretch]) -> Vec<Stretch> {
    let mut reader = Reader::open(group, InputCutting::of(options)).unwrap();
    before.iter().for_each(|stretch| reader.pass_over(stretch.end).unwrap());
    let mut stretches = before.to_vec();
    while !stretches.last().is_some_and(|stretch| stretch.last) {
        reader.begin(stretches.len() as u64).unwrap();
        while reader.next().unwrap().is_some() {}
        stretches.push(reader.end());
    }
    stretches
}

#[test]
fn bytes_behind_the_end_of_packed_files_are_counted_once_also_by_a_run_that_resumes() {
    let options = options();
    for lines in [&[5000][..], &[1000, 0, 900, 100, 0]] {
        let folder = tempfile::tempdir().unwrap();
        let group = group(folder.path(), lines);
        let all = stretches(&group, &options, &[]);
        assert!(all.len() > 1, "{all:?}");
        let counted: Vec<u64> = all.iter().map(|stretch| stretch.ignored_bytes).collect();
        assert_eq!(counted.iter().sum::<u64>(), (lines.len() * GARBAGE.len()) as u64, "{counted:?}");
        for made in 1..all.len() {
            assert_eq!(stretches(&group, &options, &all[..made]), all);
        }
    }
}
