//! A shard is the unit of work: where shards begin the input decides, whatever it is packed in and whoever makes them,
//! and an edit makes hardly any of them again.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::inputs::{gzip, zstd};
use crate::project::{Project, assert_same_output};
use crate::shipped;

const ARGUMENTS: &str = "tokenize --tokenizer gpt2 --max-seq-length 128 --shard-size 0.00004 --quiet";

/// Some three hundred kilobytes of records, with all that lines can be: a mark, blank ones, one that is longer than two
/// strides, one that is no record, and no line feed at the end.
fn text() -> String {
    let long = format!("{{\"text\": \"{}\"}}\n", "a long way ".repeat(10_000));
    let gsm8k = shipped::gsm8k();
    let middle = gsm8k.len() / 2 + gsm8k[gsm8k.len() / 2..].find('\n').expect("it has lines") + 1;
    let (half, rest) = gsm8k.split_at(middle);
    format!("\u{feff}{half}\n   \n{long}not a record\n{rest}{}", shipped::nq_open().trim_end())
}

/// The checksums of a split's shards.
fn shards(project: &Project, output: &str) -> Vec<String> {
    let manifest = project.json(&format!("{output}/manifest.json"));
    let list = manifest["splits"]["a"]["shard_list"].as_array().expect("shards").clone();
    list.iter().map(|shard| shard["file"]["checksum"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_same_records_give_the_same_shards_whatever_they_are_packed_in() {
    let project = Project::new();
    let text = text();
    project.write("plain/a.jsonl", &text);
    project.write("gz/a.jsonl.gz", gzip(text.as_bytes()));
    project.write("zst/a.jsonl.zst", zstd(text.as_bytes()));
    for threads in [1, 2, 3, 7] {
        for kind in ["plain", "gz", "zst"] {
            let output = format!("{kind}{threads}");
            // Together, and each shard recorded by itself.
            let tasks = if threads == 2 { "--task-size 1" } else { "" };
            let arguments =
                format!("{ARGUMENTS} --threads {threads} {tasks} --input {kind} --output {output}");
            project.run(&arguments).with_code(0);
            let of = |folder: &str| -> BTreeMap<String, Vec<u8>> {
                let mut files = project.files(folder);
                files.retain(|name, _| name.ends_with(".parquet") || name.ends_with(".documents"));
                files
            };
            assert!(of("plain1").len() > 8, "there are shards");
            assert!(of("plain1") == of(&output), "{output}");
            let list = |folder: &str| {
                project.json(&format!("{folder}/manifest.json"))["splits"]["a"]["shard_list"].clone()
            };
            assert_eq!(list("plain1"), list(&output), "{output}");
        }
    }
    // A line that is longer than a stride leaves stretches without a record behind it.
    let manifest = project.json("plain1/manifest.json");
    let list = manifest["splits"]["a"]["shard_list"].as_array().expect("shards");
    let empty = |shard: &&Value| shard["input"]["bytes"] == 0 && shard.get("file").is_none();
    assert!(list.iter().filter(empty).count() >= 1, "{list:?}");
    project.run("verify plain1 --deep").with_code(0);
    project.run("verify gz1 --deep").with_code(0);
}

/// Numbers that look random and are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below the limit")
    }
}

/// `MASHBILL_LONG=1` edits a hundred times, else ten.
#[test]
fn an_edit_makes_the_shards_again_that_it_touches() {
    let times = if std::env::var_os("MASHBILL_LONG").is_some() { 100 } else { 10 };
    let arguments = ARGUMENTS.replace("0.00004", "0.0002");
    let project = Project::new();
    // Records that are short beside the windows in which borders are looked for, as they are at every usual size.
    let copies =
        (0..60).map(|copy| shipped::nq_open().replace("\"text\": \"", &format!("\"text\": \"{copy}. ")));
    let lines: Vec<String> = copies.collect::<String>().lines().map(str::to_owned).collect();
    project.write("data/a.jsonl", lines.join("\n") + "\n");
    project.run(&format!("{arguments} --input data --output before")).with_code(0);
    let before = shards(&project, "before");
    assert!(before.len() >= 8, "{before:?}");
    let mut draw = Draw(0xED17);
    let mut made = Vec::new();
    for number in 0..times {
        let mut lines = lines.clone();
        let at = draw.below(lines.len());
        match number % 3 {
            0 => lines.insert(at, format!("{{\"text\": \"A record that was added: {number}.\"}}")),
            1 => lines[at] = format!("{{\"text\": \"A record that was changed: {number}.\"}}"),
            _ => drop(lines.remove(at)),
        }
        project.write("data/a.jsonl", lines.join("\n") + "\n");
        for folder in ["out", "afresh"] {
            drop(fs::remove_dir_all(project.path(folder)));
        }
        for (name, contents) in project.files("before") {
            project.write(&format!("out/{name}"), contents);
        }
        let ran = project
            .run(&format!("{} --input data --output out --skip-existing", arguments.replace("--quiet", "")));
        assert!(ran.code == Some(0) && ran.stderr.contains(" compared, to redo: "), "{ran}");
        project.run(&format!("{arguments} --input data --output afresh")).with_code(0);
        assert_same_output(&project.path("afresh"), &project.path("out"));
        let after = shards(&project, "out");
        made.push(after.iter().filter(|checksum| !before.contains(checksum)).count());
    }
    made.sort_unstable();
    println!("shards made again, of {}: {made:?}", before.len());
    assert_eq!(made[made.len() / 2], 1, "{made:?}");
    assert!(made.iter().filter(|&&made| made > 2).count() <= times / 20, "{made:?}");
}

/// Splits that are recorded together are no other splits.
#[test]
fn many_small_files_are_what_each_is_alone() {
    let project = Project::new();
    for (number, line) in shipped::nq_open().lines().take(300).enumerate() {
        project.write(&format!("data/f{number:03}.jsonl"), line);
    }
    project.run(&format!("{ARGUMENTS} --input data --output together")).with_code(0);
    project.run(&format!("{ARGUMENTS} --input data --output alone --task-size 1 --threads 1")).with_code(0);
    assert_same_output(&project.path("together"), &project.path("alone"));
    project.run("verify together").with_code(0);
}
