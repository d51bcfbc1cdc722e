//! `mashbill download` that is killed at any moment, and given again.
//!
//! A kill lands when a drawn share of the bytes was sent, or a drawn number of records' bytes was written, and a drawn
//! moment later: in the lists, the transfers, the conversions and what lies between them. `MASHBILL_LONG=1` kills more
//! often, and has a dataset that is long enough for checkpoints within a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mashbill_stand_in::{Access, Content, Fault, Repo, RepoType, Rule, Site, StandIn, User};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use crate::inputs::{gzip, zstd};
use crate::project::{Project, files_below};

/// A token that must be seen nowhere.
const TOKEN: &str = "hf_theTokenOfATrustedUser";

const ARGUMENTS: &str = "download --catalog own.toml --category custom --output";

const CATALOG: &str = "[[dataset]]\nname = \"mixed\"\nrepo = \"org/mixed\"\n\
    [[dataset]]\nname = \"rows\"\nrepo = \"org/rows\"\nid = \"prompt\"\n\
    [[dataset]]\nname = \"array\"\nrepo = \"org/array\"\nmetadata = [\"response\"]\n";

const DATASETS: [&str; 3] = ["mixed", "rows", "array"];

/// The longest that any run here may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a kill may cost at the most: four files under way, each a megabyte since its journal was written and what
/// lay in the buffers of its connection.
const LOST_BYTES: u64 = 4 * (3 << 20);

fn is_long() -> bool {
    std::env::var_os("MASHBILL_LONG").is_some()
}

/// Numbers that look random and are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// A row's two texts.
fn texts(row: u64) -> (String, String) {
    let mut draw = Draw(row.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let words = ["malt", "\"mash\"", "still\n", "cask", "naïve", "\\", "peat", "oak"];
    let mut text =
        |count: u64| (0..count).map(|_| words[draw.below(8) as usize]).collect::<Vec<_>>().join(" ");
    (format!("{row}: {}", text(20)), text(120))
}

fn json(row: u64) -> String {
    let (prompt, response) = texts(row);
    serde_json::json!({"prompt": prompt, "response": response}).to_string()
}

fn array(rows: std::ops::Range<u64>) -> Vec<u8> {
    format!("[\n{}\n]", rows.map(json).collect::<Vec<_>>().join(",\n")).into_bytes()
}

/// Lines, one of them bad.
fn lines(rows: std::ops::Range<u64>) -> Vec<u8> {
    let bad = rows.start + 7;
    rows.map(|row| if row == bad { "{\"prompt\": \"cut".to_owned() } else { json(row) } + "\n")
        .collect::<String>()
        .into()
}

fn parquet(rows: std::ops::Range<u64>) -> Vec<u8> {
    let schema = "message rows { required binary prompt (UTF8); required binary response (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default()))
        .expect("a writer");
    let rows: Vec<_> = rows.map(texts).collect();
    for rows in rows.chunks(2000) {
        let mut group = writer.next_row_group().expect("a row group");
        let columns =
            [rows.iter().map(|row| &row.0).collect::<Vec<_>>(), rows.iter().map(|row| &row.1).collect()];
        for values in columns {
            let mut column = group.next_column().expect("a column").expect("one more");
            let values: Vec<ByteArray> = values.into_iter().map(|text| text.as_str().into()).collect();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
            column.close().expect("written");
        }
        group.close().expect("written");
    }
    writer.into_inner().expect("written")
}

/// A Hub with three datasets, behind a token, and the bytes of their files.
fn hub() -> (StandIn, u64) {
    let users = vec![User { name: "friend".into(), token: TOKEN.into(), trusted: true }];
    let stand_in =
        StandIn::start(Site { users, bytes_per_second: 10_000_000, ..Site::default() }).expect("a free port");
    let mut size = 0;
    let mut put = |id: &str, files: Vec<(&str, Vec<u8>)>| {
        let mut repo = Repo::new(RepoType::Dataset, id);
        repo.access = Access::Private;
        for (path, bytes) in files {
            size += bytes.len() as u64;
            repo.put("main", path, Content::from(bytes));
        }
        stand_in.put(repo);
    };
    let mixed: Vec<(&str, Vec<u8>)> = vec![
        ("a.jsonl", lines(0..2000)),
        ("b.jsonl.gz", gzip(&lines(2000..6000))),
        ("c.jsonl.zst", zstd(&lines(6000..9000))),
        ("d.jsonl", lines(9000..12_000)),
    ];
    put("org/mixed", mixed);
    put("org/rows", vec![("data/0.parquet", parquet(0..4000)), ("data/1.parquet", parquet(4000..8000))]);
    // 64 MiB of records are the distance between two checkpoints.
    put("org/array", vec![("array.json", array(0..if is_long() { 120_000 } else { 8000 }))]);
    (stand_in, size)
}

fn start(project: &Project, hub: &StandIn, output: &str) -> Child {
    let mut command = project.command(&format!("{ARGUMENTS} {output}"));
    command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", TOKEN);
    command.stdout(Stdio::null()).stderr(File::create(project.path("stderr")).expect("a file"));
    command.spawn().expect("the command starts")
}

fn finish(project: &Project, hub: &StandIn, output: &str) {
    let mut child = start(project, hub, output);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
        assert!(started.elapsed() < PATIENCE, "the run does not get on");
        thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(status.code(), Some(0), "{}", project.read("stderr"));
}

/// Of a dataset of which enough rows are there no file is waited for.
#[test]
fn files_that_are_not_needed_any_more_are_left() {
    let project = Project::with(&[("own.toml", "[[dataset]]\nname = \"mixed\"\nrepo = \"org/mixed\"\n")]);
    let (hub, size) = hub();
    let slow = Fault::Drip { bytes: 10_000, every_ms: 200 };
    for file in ["b.jsonl.gz", "c.jsonl.zst", "d.jsonl"] {
        hub.fail(Rule { on: format!("/{file}"), times: u32::MAX, fault: slow.clone() });
    }
    for keep in ["", "--keep-raw"] {
        hub.clear_log();
        let mut command = project.command(&format!("{ARGUMENTS} out{keep} --max-rows 100 {keep}"));
        command.env_remove("HF_HUB_OFFLINE").env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", TOKEN);
        project.finish(&mut command).with_code(0);
        assert!(sent(&hub) < size / 2, "{} of {size} bytes", sent(&hub));
        let left = files_below(&project.path(&format!("out{keep}"))).into_keys();
        let left: Vec<_> = left.filter(|path| path.contains(".part")).collect();
        assert_eq!(left, [""; 0]);
    }
}

fn sent(hub: &StandIn) -> u64 {
    hub.log().iter().map(|seen| seen.sent).sum()
}

/// Bytes of records that are written, finished ones included.
fn written(output: &Path) -> u64 {
    let size = |path: std::path::PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let growing = |name| output.join(".mashbill/download").join(name).join("records.jsonl");
    let named = |name| output.join("custom").join(format!("{name}.jsonl"));
    DATASETS.iter().map(|name| size(growing(name)).max(size(named(name)))).sum()
}

/// What must not be done again: files that are fetched or converted, records up to the checkpoint, finished datasets.
#[derive(Debug, Default)]
struct Finished {
    files: BTreeSet<String>,
    records: BTreeMap<&'static str, u64>,
    datasets: BTreeMap<&'static str, (u64, i64, i64)>,
}

impl Finished {
    fn at(output: &Path) -> Self {
        let mut finished = Self::default();
        for name in DATASETS {
            let making = output.join(".mashbill/download").join(name);
            if output.join(format!("custom/{name}.stats.json")).exists() {
                let metadata = fs::metadata(output.join(format!("custom/{name}.jsonl"))).expect("records");
                finished.datasets.insert(name, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
                continue;
            }
            let raw = making.join("raw");
            if raw.exists() {
                let there = files_below(&raw).into_keys().filter(|path| !path.contains(".part"));
                finished.files.extend(there.map(|path| format!("org/{name}/resolve/{path}")));
            }
            if let Ok(text) = fs::read(making.join("checkpoint.json")) {
                // It is replaced, never written over: it is whole.
                let checkpoint: Value = serde_json::from_slice(&text).expect("a whole checkpoint");
                let done = checkpoint["files_done"].as_u64().expect("a number") as usize;
                let files = checkpoint["making"]["source"]["files"].as_array().expect("files");
                let done = files[..done].iter().map(|file| file["path"].as_str().expect("a path"));
                finished.files.extend(done.map(|path| format!("org/{name}/resolve/{path}")));
                finished
                    .records
                    .insert(name, checkpoint["counts"]["jsonl_bytes"].as_u64().expect("a number"));
            }
        }
        finished
    }

    /// Holds a later state and the requests that led to it against this one.
    fn check(&self, later: &Self, hub: &StandIn) {
        for seen in hub.log() {
            let again = self.files.iter().find(|file| {
                let (repo, path) = file.split_once("/resolve/").expect("made above");
                seen.target.contains(&format!("{repo}/resolve/"))
                    && seen.target.ends_with(&format!("/{path}"))
            });
            assert_eq!(again, None, "it was fetched already");
        }
        for (name, bytes) in &self.records {
            let now = later.records.get(name).copied();
            assert!(
                later.datasets.contains_key(name) || now >= Some(*bytes),
                "{name}: {bytes}, then {now:?}"
            );
        }
        for (name, file) in &self.datasets {
            assert_eq!(later.datasets.get(name), Some(file), "{name} was finished");
        }
    }
}

/// What is promised of a folder: every file's bytes, but for what the statistics tell of the runs.
fn promised(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files_below(folder);
    for (name, bytes) in &mut files {
        if name.ends_with(".stats.json") {
            let mut stats: Value = serde_json::from_slice(bytes).expect("JSON");
            for field in ["completed_unix_s", "seconds", "downloaded_bytes", "reused_bytes", "retries"] {
                assert!(stats.as_object_mut().expect("an object").remove(field).is_some(), "{field}");
            }
            *bytes = stats.to_string().into_bytes();
        }
    }
    files
}

#[test]
fn a_download_that_is_killed_again_and_again_gives_the_same_bytes() {
    let wanted: u64 = if is_long() { 60 } else { 8 };
    let project = Project::with(&[("own.toml", CATALOG)]);
    let (hub, size) = hub();
    finish(&project, &hub, "reference");
    let expected = promised(&project.path("reference"));
    let records = written(&project.path("reference"));
    let output = project.path("out");
    let mut draw = Draw(0x5EED);
    let (mut kills, mut converting, mut sent_in_all, mut series) = (0_u64, 0, 0, 0);
    while kills < wanted {
        series += 1;
        let in_this_series = kills + wanted.div_ceil(3).max(4);
        let mut finished = Finished::default();
        loop {
            hub.clear_log();
            let before = written(&output);
            // By what was sent, or by what was written: a share of what is left, so that a series has several.
            let by_records = draw.below(2) == 0;
            let goal = if by_records { before + draw.below(records / 3) } else { draw.below(size / 3) };
            let mut child = start(&project, &hub, "out");
            let started = Instant::now();
            let ended = loop {
                if let Some(status) = child.try_wait().expect("it is our child") {
                    break Some(status);
                }
                if if by_records { written(&output) >= goal } else { sent(&hub) >= goal } {
                    break None;
                }
                assert!(started.elapsed() < PATIENCE, "the run does not get on");
                thread::sleep(Duration::from_micros(500));
            };
            thread::sleep(Duration::from_micros(draw.below(20_000)));
            let title = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&title).contains(TOKEN), "the token is in the process's title");
            child.kill().expect("it is our child");
            let status = child.wait().expect("it is our child");
            sent_in_all += sent(&hub);
            let now = Finished::at(&output);
            finished.check(&now, &hub);
            finished = now;
            for (name, bytes) in files_below(&output) {
                assert!(!String::from_utf8_lossy(&bytes).contains(TOKEN), "{name} holds the token");
            }
            if ended.is_none() && status.signal() == Some(9) {
                kills += 1;
                converting += u64::from(written(&output) > before);
            } else {
                assert_eq!(status.code(), Some(0), "{}", project.read("stderr"));
                break;
            }
            if kills >= in_this_series {
                hub.clear_log();
                finish(&project, &hub, "out");
                sent_in_all += sent(&hub);
                finished.check(&Finished::at(&output), &hub);
                break;
            }
        }
        assert!(promised(&output) == expected, "{}", differences(&expected, &promised(&output)));
        fs::remove_dir_all(&output).expect("it was there");
    }
    let ratio = sent_in_all as f64 / (series * size) as f64;
    println!(
        "killed {kills} times in {series} downloads, {converting} of them after records were written; {ratio:.2} times their bytes were sent"
    );
    assert!(converting > 0, "no kill landed in a conversion");
    assert!(sent_in_all <= series * size + kills * LOST_BYTES, "{sent_in_all} of {series} times {size}");
}

/// Between a dataset's statistics and the removal of what it was made with: the next run has nothing else to do.
#[test]
fn what_a_kill_after_the_last_record_leaves_behind_goes() {
    let project = Project::with(&[("own.toml", CATALOG)]);
    let (hub, _) = hub();
    finish(&project, &hub, "out");
    let expected = promised(&project.path("out"));
    project.write("out/.mashbill/download/rows/checkpoint.json", "{}");
    project.write("out/.mashbill/download/rows/raw/rows.jsonl", "");
    project.write("out/.mashbill/lock", "1 elsewhere\n");
    finish(&project, &hub, "out");
    assert!(
        promised(&project.path("out")) == expected,
        "{}",
        differences(&expected, &promised(&project.path("out")))
    );
}

fn differences(expected: &BTreeMap<String, Vec<u8>>, found: &BTreeMap<String, Vec<u8>>) -> String {
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differ = names.into_iter().filter(|name| expected.get(*name) != found.get(*name));
    format!("other bytes in {:?}", differ.collect::<Vec<_>>())
}

#[test]
fn ctrl_c_keeps_what_is_there() {
    let project = Project::with(&[("own.toml", CATALOG)]);
    let (hub, size) = hub();
    let child = start(&project, &hub, "out");
    let started = Instant::now();
    while sent(&hub) < size / 2 {
        assert!(started.elapsed() < PATIENCE, "the run does not get on");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("kill is there")
            .success()
    );
    let status = child.wait_with_output().expect("it is our child").status;
    let said = project.read("stderr");
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted\nhint: run the same command again to resume"), "{said}");
    let before = Finished::at(&project.path("out"));
    hub.clear_log();
    finish(&project, &hub, "out");
    before.check(&Finished::at(&project.path("out")), &hub);
    finish(&project, &hub, "reference");
    assert!(promised(&project.path("out")) == promised(&project.path("reference")));
}
