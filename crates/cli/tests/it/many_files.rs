//! Many files that are one split: `--split-names parts` and `folder`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::inputs::{gzip, zstd};
use crate::project::{Project, assert_same_output};
use crate::shipped;

const ARGUMENTS: &str = "tokenize --recursive --tokenizer gpt2 --max-seq-length 64";

/// Records in parts, each of so many lines.
fn parts(lines: usize) -> Vec<String> {
    let text = shipped::nq_open();
    let all: Vec<&str> = text.lines().collect();
    all.chunks(lines).map(|part| part.join("\n") + "\n").collect()
}

fn split<'a>(manifest: &'a Value, name: &str) -> &'a Value {
    let found = &manifest["splits"][name];
    assert!(
        found.is_object(),
        "{name} is among {:?}",
        manifest["splits"].as_object().expect("splits").keys()
    );
    found
}

fn files(split: &Value) -> Vec<(String, String)> {
    let list = split["shard_list"].as_array().expect("shards");
    let file = |shard: &Value| {
        let [name, checksum] =
            ["name", "checksum"].map(|what| shard["file"][what].as_str().map(str::to_owned));
        Some((name?, checksum?))
    };
    list.iter().filter_map(file).collect()
}

#[test]
fn parts_are_one_split_which_is_that_of_the_whole() {
    let project = Project::new();
    let parts = parts(40);
    for (number, part) in parts.iter().enumerate() {
        project.write(&format!("data/nq/part-{number:05}-of-{:05}.jsonl", parts.len()), part);
    }
    project.write("data/nq/train-00000-of-00001.jsonl", &parts[0]);
    project.write("data/gsm8k.jsonl", shipped::gsm8k());
    project.write("whole/whole.jsonl", parts.concat());
    let ran = project.run(&format!("{ARGUMENTS} --input data --output out --split-names parts")).with_code(0);
    let told = format!("nq: {} files (nq/part-0000*", parts.len());
    assert!(ran.stderr.contains(&told), "{ran}");
    project.run(&format!("{ARGUMENTS} --input whole --output one")).with_code(0);
    let manifest = project.json("out/manifest.json");
    let names: Vec<_> = manifest["splits"].as_object().expect("splits").keys().collect();
    assert_eq!(names, ["gsm8k", "nq", "nq__train"]);
    let nq = split(&manifest, "nq");
    let one = project.json("one/manifest.json");
    // Small files are cut as one stream, so keys and all bytes are those of one file.
    let checksums =
        |split: &Value| files(split).into_iter().map(|(_, checksum)| checksum).collect::<Vec<_>>();
    assert_eq!(checksums(nq), checksums(split(&one, "whole")));
    assert_eq!(files(nq)[0].0, "shard_0000_0000.parquet");
    assert_eq!(files(split(&manifest, "gsm8k"))[0].0, "shard_0000.parquet");
    for what in ["samples", "tokens", "sequences", "shards"] {
        assert_eq!(nq[what], split(&one, "whole")[what], "{what}");
    }
    let sources = nq["shard_list"][0]["sources"].as_array().expect("files");
    assert_eq!(sources.len(), parts.len());
    assert_eq!(sources[1]["start"], parts[0].len());
    assert_eq!(sources[1]["line"], 40);
    project.run("verify out --deep --source data").with_code(0);
    project.run("verify out --deep").with_code(0);
}

#[test]
fn the_smallest_case_has_three_rows_and_not_four() {
    let project = Project::new();
    for (number, part) in parts(3).iter().take(4).enumerate() {
        project.write(&format!("books/part-0000{number}-of-00004.jsonl"), part);
    }
    let rows = |names: &str| {
        project
            .run(&format!("{ARGUMENTS} --input books --output {names} --split-names {names}"))
            .with_code(0);
        let manifest = project.json(&format!("{names}/manifest.json"));
        let splits = manifest["splits"].as_object().expect("splits").clone();
        let rows: u64 = splits.values().map(|split| split["sequences"].as_u64().expect("a number")).sum();
        (splits.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), rows)
    };
    let (names, apart) = rows("stem");
    assert_eq!(names.len(), 4);
    let told = project.run(&format!("{ARGUMENTS} --input books --output stem --split-names stem")).stderr;
    assert!(
        told.contains("part-0000*-of-00004.jsonl look like parts of one dataset, but each file is a split of its own\nhint: `--split-names parts`"),
        "{told}"
    );
    for how in ["parts", "folder"] {
        let (names, together) = rows(how);
        assert_eq!(names, ["books"]);
        assert!(together < apart, "{together} and {apart}");
    }
}

#[test]
fn bytes_are_the_same_for_any_threads_and_packing_and_large_parts_stand_alone() {
    let project = Project::new();
    let parts = parts(60);
    let large = shipped::gsm8k();
    for (folder, packed) in [("plain", false), ("packed", true)] {
        for (number, part) in parts.iter().enumerate() {
            let name = format!("{folder}/a/p-{number}.jsonl");
            match (packed, number % 3) {
                (true, 1) => project.write(&format!("{name}.gz"), gzip(part.as_bytes())),
                (true, 2) => project.write(&format!("{name}.zst"), zstd(part.as_bytes())),
                _ => project.write(&name, part),
            }
        }
        project.write(&format!("{folder}/a/p-2-large.jsonl"), &large);
    }
    project.write("alone/large.jsonl", &large);
    let arguments = format!("{ARGUMENTS} --shard-size 0.00005 --quiet");
    for threads in [1, 2, 3, 7] {
        let output = format!("out{threads}");
        let tasks = if threads == 3 { "--task-size 1" } else { "" };
        let named = "--split-names folder --val-fraction 0.1";
        project
            .run(&format!("{arguments} {named} {tasks} --threads {threads} --input plain --output {output}"))
            .with_code(0);
        assert_same_output(&project.path("out1"), &project.path(&output));
    }
    project.run("verify out1 --deep").with_code(0);
    project.run(&format!("{arguments} --split-names folder --input packed --output packed_out")).with_code(0);
    project.run("verify packed_out --deep").with_code(0);
    project.run(&format!("{arguments} --split-names folder --input plain --output plain_out")).with_code(0);
    project.run(&format!("{arguments} --input alone --output alone_out")).with_code(0);
    let manifest = project.json("plain_out/manifest.json");
    let a = split(&manifest, "a");
    let of_large: Vec<String> = a["shard_list"]
        .as_array()
        .expect("shards")
        .iter()
        .filter(|shard| shard["sources"][0]["file"] == "a/p-2-large.jsonl")
        .filter_map(|shard| Some(shard["file"]["checksum"].as_str()?.to_owned()))
        .collect();
    let alone = project.json("alone_out/manifest.json");
    let alone: Vec<String> =
        files(split(&alone, "large")).into_iter().map(|(_, checksum)| checksum).collect();
    assert!(alone.len() >= 2 && of_large == alone, "{of_large:?} and {alone:?}");
    // Whatever they are packed in, the documents are the same and in the same order.
    for what in ["samples", "tokens"] {
        assert_eq!(a[what], split(&project.json("packed_out/manifest.json"), "a")[what]);
    }
}

#[test]
fn refused_lines_and_documents_name_the_part() {
    let project = Project::new();
    let parts = parts(10);
    project.write("data/a/part-0.jsonl", parts[0].trim_end());
    project.write("data/a/part-1.jsonl", format!("{}not a record\n{}", parts[1], parts[2]));
    project.write("data/a/part-2.jsonl", "");
    project.write("data/a/part-3.jsonl", "{\"text\": \"The last one.\", \"id\": \"last\"}\n{\"no\": 1}\n");
    project.run(&format!("{ARGUMENTS} --input data --output out --split-names parts")).with_code(0);
    let rejects = project.read("out/a/a_rejects.jsonl");
    let rejects: Vec<Value> =
        rejects.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let found: Vec<_> = rejects
        .iter()
        .map(|line| (line["file"].as_str().expect("a file"), line["line"].as_u64(), line["key"].as_u64()))
        .collect();
    let key = parts[1].len() as u64;
    assert_eq!(
        found,
        [("a/part-1.jsonl", Some(11), Some(key)), ("a/part-3.jsonl", Some(2), Some(40))],
        "{rejects:?}"
    );
    let start = parts[0].trim_end().len() + parts[1].len() + "not a record\n".len() + parts[2].len();
    for wanted in ["last".to_owned(), format!("0/{start}")] {
        let ran = project.run(&format!("inspect out --doc {wanted}")).with_code(0);
        assert!(ran.stdout.contains(&format!("document 0/{start} in a/part-3.jsonl, id last")), "{ran}");
    }
    // Without a group a key is none of a split that is many files.
    project.run(&format!("inspect out --doc {start}")).with_code(2);
    let strict =
        project.run(&format!("{ARGUMENTS} --input data --output strict --split-names parts --strict"));
    assert!(strict.code == Some(2) && strict.stderr.contains("part-1.jsonl`, line 11:"), "{strict}");
    project.run("verify out --deep").with_code(0);
}

#[test]
fn an_edit_of_a_part_makes_its_group_again_and_says_which_part_it_was() {
    let project = Project::new();
    let parts = parts(20);
    for (number, part) in parts.iter().enumerate() {
        project.write(&format!("data/a/part-{number:05}.jsonl"), part);
    }
    project.write("data/a/part-00001.jsonl", format!("{}\"bad\"\n", parts[1]));
    let arguments = format!("{ARGUMENTS} --input data --split-names parts --shard-size 0.00003");
    project.run(&format!("{arguments} --output out")).with_code(0);
    let before = files(split(&project.json("out/manifest.json"), "a"));
    assert!(before.len() >= 5, "{before:?}");
    let edits: [(&str, &dyn Fn()); 4] = [
        ("part-00003.jsonl` had ", &|| project.write("data/a/part-00003.jsonl", &parts[0])),
        ("part-00004.jsonl` is gone", &|| {
            fs::remove_file(project.path("data/a/part-00004.jsonl")).expect("it was there")
        }),
        ("part-000005.jsonl` is new", &|| project.write("data/a/part-000005.jsonl", &parts[4])),
        ("part-00001.jsonl` had ", &|| {
            project.write("data/a/part-00001.jsonl", format!("{}\"bad\"\n\"worse\"\n", parts[1]))
        }),
    ];
    for (why, edit) in edits {
        edit();
        let ran = project.run(&format!("{arguments} --output out --skip-existing")).with_code(0);
        assert!(ran.stderr.contains(why) && ran.stderr.contains(" compared, to redo: "), "{why}: {ran}");
        drop(fs::remove_dir_all(project.path("afresh")));
        project.run(&format!("{arguments} --output afresh")).with_code(0);
        assert_same_output(&project.path("afresh"), &project.path("out"));
        project.run("verify out --deep").with_code(0);
    }
    let after: BTreeMap<String, String> =
        files(split(&project.json("out/manifest.json"), "a")).into_iter().map(|(a, b)| (b, a)).collect();
    assert!(before.iter().filter(|(_, checksum)| after.contains_key(checksum)).count() >= before.len() / 3);
    let ran = project.run(&format!("{arguments} --output out --skip-existing")).with_code(0);
    assert!(ran.stderr.contains("1 finished split unchanged"), "{ran}");
}

#[test]
fn a_folder_with_data_to_train_on_beside_data_that_is_not_is_refused() {
    let project = Project::new();
    let parts = parts(10);
    for (name, part) in
        ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"].iter().zip(&parts)
    {
        project.write(&format!("data/squad/{name}.jsonl"), part);
    }
    let ran =
        project.run(&format!("{ARGUMENTS} --input data --output out --split-names folder")).with_code(2);
    let told = "is beside `data/squad/test-00000-of-00001.jsonl`: they must not be trained on together\n\
                hint: `--split-names parts` makes them splits of their own";
    assert!(ran.stderr.contains(told), "{ran}");
    assert!(!project.path("out").exists());
    project.run(&format!("{ARGUMENTS} --input data --output out --split-names parts")).with_code(0);
    let manifest = project.json("out/manifest.json");
    let names: Vec<_> = manifest["splits"].as_object().expect("splits").keys().collect();
    assert_eq!(names, ["squad__test", "squad__train"]);
}

/// One bad file ends its split, and only that: nothing of it is there, and what was there stays.
#[test]
fn a_part_that_cannot_be_read_ends_its_split_alone() {
    let project = Project::new();
    let parts = parts(10);
    project.write("data/a/part-0.jsonl", &parts[0]);
    project.write("data/a/part-1.jsonl.gz", &gzip(parts[1].as_bytes())[..100]);
    project.write("data/b.jsonl", &parts[2]);
    let ran = project.run(&format!("{ARGUMENTS} --input data --output out --split-names parts")).with_code(3);
    assert!(ran.stderr.contains("part-1.jsonl.gz`: incomplete deflate stream"), "{ran}");
    assert!(project.path("out/b").exists() && !project.path("out/a").exists());
    project.write("data/a/part-1.jsonl.gz", gzip(parts[1].as_bytes()));
    project.run(&format!("{ARGUMENTS} --input data --output out --split-names parts")).with_code(0);
    project.run("verify out --deep").with_code(0);
}

#[test]
fn an_empty_file_of_a_group_is_part_of_it_for_a_deep_check() {
    let project = Project::new();
    // Packed it is small, so that it is gathered with the empty one; unpacked it is more than a stride.
    let line = "{\"text\":\"the same words again and again\"}\n".repeat(60_000);
    project.write("data/a/0.jsonl.gz", gzip(b""));
    project.write("data/a/1.jsonl.gz", gzip(line.as_bytes()));
    project
        .run(&format!("{ARGUMENTS} --input data --output out --split-names folder --shard-size 0.001"))
        .with_code(0);
    let manifest = project.json("out/manifest.json");
    let shards = split(&manifest, "a")["shard_list"].as_array().expect("shards").len();
    assert_eq!(shards, 1, "a file of several is not cut");
    project.run("verify out --deep").with_code(0);
}
