//! Same bytes, from release to release: what this format's first release wrote is read and written forever.

use std::fs;
use std::path::{Path, PathBuf};

use mashbill_format::documents;
use mashbill_format::layout::{STATS_SUFFIX, TABLES_FOLDER};
use mashbill_format::manifest::Manifest;
use mashbill_format::shard::ShardReader;

use crate::project::{Project, assert_same_output};

const ARGUMENTS: &str = "tokenize --input input --output output --recursive --tokenizer gpt2 --max-seq-length 16 \
    --shard-size 0.00001 --quiet";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/v2")
}

/// A project with the golden input.
fn project() -> Project {
    let project = Project::new();
    for (name, contents) in crate::project::files_below(&golden().join("input")) {
        project.write(&format!("input/{name}"), contents);
    }
    project
}

#[test]
fn the_command_writes_the_golden_bytes() {
    let project = project();
    project.run(ARGUMENTS).with_code(0);
    if std::env::var_os("MASHBILL_WRITE_GOLDEN").is_some() {
        let output = golden().join("output");
        drop(fs::remove_dir_all(&output));
        let here = fs::canonicalize(project.path("")).expect("it is there").display().to_string();
        for (name, mut contents) in project.files("output") {
            if name.ends_with(STATS_SUFFIX) {
                contents = String::from_utf8(contents).expect("JSON").replace(&here, "").into_bytes();
            }
            let path = output.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, contents).expect("a file");
        }
    }
    assert_same_output(&golden().join("output"), &project.path("output"));
}

#[test]
fn the_golden_bytes_are_read() {
    let output = golden().join("output");
    let manifest = Manifest::read(&output.join("manifest.json")).expect("it is ours").expect("it is there");
    assert_eq!(manifest.splits.keys().collect::<Vec<_>>(), ["chat", "code", "empty"]);
    for (name, split) in &manifest.splits {
        let folder = output.join(name);
        let mut tokens = 0;
        let mut rows = 0;
        for shard in split.shard_files() {
            let reader = ShardReader::open(&folder.join(&shard.name)).expect("a shard");
            for group in reader.row_groups() {
                for row in group.expect("rows").iter() {
                    assert_eq!(row.input_ids.len(), manifest.max_seq_length);
                    tokens += row.pieces.iter().map(|piece| u64::from(piece.len.unsigned_abs())).sum::<u64>();
                    rows += 1;
                }
            }
        }
        assert_eq!((tokens, rows), (split.tokens, split.sequences), "{name}");
        let tables = split.tables().map(|table| {
            documents::read(&folder.join(TABLES_FOLDER).join(&table.name)).expect("a table").count_all()
        });
        assert_eq!(tables.sum::<u64>(), split.samples, "{name}");
    }
}

/// A folder that an older mashbill made is kept as it is: none of its files is written again.
#[test]
fn a_golden_folder_is_kept() {
    let project = project();
    for (name, contents) in crate::project::files_below(&golden().join("output")) {
        project.write(&format!("output/{name}"), contents);
    }
    let written = || {
        let files = project.files("output").into_keys().filter(|name| !name.ends_with(".json"));
        let modified =
            |name: &str| fs::metadata(project.path("output").join(name)).expect("a file").modified();
        files.map(|name| (modified(&name).expect("a time"), name)).collect::<Vec<_>>()
    };
    let before = written();
    let ran = project.run(&format!("{} --skip-existing", ARGUMENTS.replace("--quiet", ""))).with_code(0);
    assert!(ran.stderr.contains("chat: unchanged, skipped"), "{ran}");
    assert!(!ran.stderr.contains("redo"), "{ran}");
    assert_eq!(written(), before);
    assert_same_output(&golden().join("output"), &project.path("output"));
}
