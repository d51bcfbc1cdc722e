//! `verify` of downloaded datasets: what statistics and lock say of the records is held against them. A new injury is
//! a line.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use mashbill_store::checksum::Checksum;
use mashbill_verify::{Options, ProblemKind, Report, Severity, verify};
use serde_json::{Value, json};

use crate::download::{ALL_LICENSES, TOKEN, download, hub, run};
use crate::project::{Project, Ran};

const RECORDS: &str = "math_reasoning/gsm8k.jsonl";
const STATS: &str = "math_reasoning/gsm8k.stats.json";
/// A dataset of which rows were refused.
const REJECTS: &str = "code/apps_rejects.jsonl";
const LOCK: &str = "curriculum.lock";

/// What is done, and what `verify` has to call it: as it is, and with the statistics' size and checksum made those
/// of the injured file. Nothing stands there where size and checksum are all that can tell.
type Injury = (&'static str, ProblemKind, Option<ProblemKind>, fn(&Folder));

const INJURIES: &[Injury] = &[
    // The records.
    ("a letter is another one", ProblemKind::Checksum, None, |f| f.replace("Weng", "Wong")),
    ("a text is longer", ProblemKind::Size, Some(ProblemKind::Stats), |f| f.replace("Weng", "Wengg")),
    ("a character is another one of more bytes", ProblemKind::Size, Some(ProblemKind::Stats), |f| {
        f.replace("Weng", "Wéng")
    }),
    ("a letter has moved from a text to another", ProblemKind::Checksum, Some(ProblemKind::Stats), |f| {
        f.move_letters()
    }),
    ("two records are swapped", ProblemKind::Checksum, None, |f| f.lines(|lines| lines.swap(0, 1))),
    ("a record is gone", ProblemKind::Size, Some(ProblemKind::Stats), |f| {
        f.lines(|lines| drop(lines.remove(1)))
    }),
    ("a record stands twice", ProblemKind::Duplicate, Some(ProblemKind::Duplicate), |f| {
        f.lines(|lines| lines.push(lines[0].clone()));
    }),
    ("a record is added", ProblemKind::Size, Some(ProblemKind::Stats), |f| {
        f.lines(|lines| lines.push(lines[0].replace("gsm8k/0", "gsm8k/9")));
    }),
    ("a blank line is added", ProblemKind::Size, None, |f| f.lines(|lines| lines.push(String::new()))),
    ("a line is no JSON", ProblemKind::Line, Some(ProblemKind::Line), |f| {
        f.lines(|lines| lines[1].insert(0, 'x'))
    }),
    ("the file is cut off", ProblemKind::Line, Some(ProblemKind::Line), |f| {
        f.bytes(RECORDS, |b| b.truncate(b.len() - 20))
    }),
    ("the file is empty", ProblemKind::Size, Some(ProblemKind::Stats), |f| f.bytes(RECORDS, Vec::clear)),
    ("the file is gone", ProblemKind::Missing, Some(ProblemKind::Missing), |f| f.remove(RECORDS)),
    ("the file is another dataset's", ProblemKind::Size, Some(ProblemKind::Stats), |f| {
        f.copy("code/apps.jsonl", RECORDS)
    }),
    ("a record is of another category", ProblemKind::Size, Some(ProblemKind::Stats), |f| {
        f.replace("\"math_reasoning\"", "\"code\"");
    }),
    ("a record is of another dataset", ProblemKind::Size, Some(ProblemKind::Stats), |f| {
        f.replace("\"gsm8k\"", "\"apps\"")
    }),
    // The statistics.
    ("the statistics are gone", ProblemKind::Missing, Some(ProblemKind::Missing), |f| f.remove(STATS)),
    ("the statistics are cut off", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.bytes(STATS, |bytes| bytes.truncate(bytes.len() / 2));
    }),
    ("the statistics are another dataset's", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.copy("code/apps.stats.json", STATS);
    }),
    ("the statistics are not complete", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| s["complete"] = json!(false));
    }),
    ("they are of another category", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| s["category"] = json!("code"))
    }),
    ("rows_out is off by one", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| add(&mut s["counts"]["rows_out"]))
    }),
    ("rows_in is off by one", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| add(&mut s["counts"]["rows_in"]))
    }),
    ("rows are called not sampled", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| add(&mut s["counts"]["rows_not_sampled"]));
    }),
    ("jsonl_bytes is off by one", ProblemKind::Size, None, |f| {
        f.stats(|s| add(&mut s["counts"]["jsonl_bytes"]))
    }),
    ("the checksum is another one", ProblemKind::Checksum, None, |f| {
        f.stats(|s| s["jsonl_checksum"] = json!("0".repeat(32)));
    }),
    ("text_bytes is off by one", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| add(&mut s["counts"]["text_bytes"]));
    }),
    ("chars is off by one", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| add(&mut s["counts"]["chars"]))
    }),
    ("the longest text is longer", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| add(&mut s["text_len"]["max"]))
    }),
    ("a refused row is not counted", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.json("code/apps.stats.json", |s| s["counts"]["rejected"] = json!({}));
    }),
    ("more records than were to be taken", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| s["take"]["max_rows"] = json!(1));
    }),
    ("more bytes than were to be taken", ProblemKind::Stats, Some(ProblemKind::Stats), |f| {
        f.stats(|s| s["take"]["max_bytes"] = json!(10));
    }),
    // The refused rows.
    ("the refused rows are gone", ProblemKind::Rejects, Some(ProblemKind::Rejects), |f| f.remove(REJECTS)),
    ("a refused row is cut off", ProblemKind::Rejects, Some(ProblemKind::Rejects), |f| {
        f.bytes(REJECTS, |b| b.truncate(20))
    }),
    ("a refused row more", ProblemKind::Rejects, Some(ProblemKind::Rejects), |f| {
        f.bytes(REJECTS, |b| b.extend_from_within(..))
    }),
    ("a row is refused for another reason", ProblemKind::Rejects, Some(ProblemKind::Rejects), |f| {
        f.json(REJECTS, |row| row["reason"] = json!("mood"));
    }),
    // The lock.
    ("the lock is cut off", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.bytes(LOCK, |bytes| bytes.truncate(bytes.len() / 2))
    }),
    ("the lock names a dataset more", ProblemKind::Missing, Some(ProblemKind::Missing), |f| {
        f.lock(|lock| lock["squad"] = lock["gsm8k"].clone());
    }),
    ("the lock does not name the dataset", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| drop(lock.as_object_mut().expect("datasets").remove("gsm8k")));
    }),
    ("another commit is locked", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| lock["gsm8k"]["commit"] = json!("0".repeat(40)));
    }),
    ("another commit was downloaded", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.stats(|s| s["source"]["commit"] = json!("0".repeat(40)));
    }),
    ("another repository is locked", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| lock["gsm8k"]["repo"] = json!("some/other"));
    }),
    ("another hash is locked", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| lock["gsm8k"]["files"][0]["hash"] = json!(format!("sha256:{}", "0".repeat(64))));
    }),
    ("another size is locked", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| add(&mut lock["gsm8k"]["files"][0]["size"]));
    }),
    ("a file is locked no more", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| lock["gsm8k"]["files"] = json!([]))
    }),
    ("another license is locked", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| lock["gsm8k"]["license"] = json!("unknown"));
    }),
    ("whether it is gated is locked otherwise", ProblemKind::Lock, Some(ProblemKind::Lock), |f| {
        f.lock(|lock| lock["gsm8k"]["gated"] = json!(true));
    }),
];

/// A download that is good: one dataset of math, and one of which rows were refused.
static GOOD: LazyLock<Project> = LazyLock::new(|| {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset gsm8k --dataset apps").with_code(0);
    project
});

#[test]
fn each_is_found_as_it_is_and_sealed_again() {
    let mut missed = Vec::new();
    for (name, kind, sealed, injure) in INJURIES {
        let folder = Folder::of_good();
        injure(&folder);
        let is_found = |found: &Report, kind: ProblemKind| {
            !found.is_good() && found.problems.iter().any(|problem| problem.kind == kind)
        };
        let found = folder.verify();
        if !is_found(&found, *kind) {
            missed.push(format!("{name}: it is not found as {kind:?} but as {:#?}", found.problems));
        }
        folder.seal();
        let found = folder.verify();
        match sealed {
            Some(kind) if !is_found(&found, *kind) => {
                missed.push(format!("{name}: sealed again not as {kind:?} but as {:#?}", found.problems));
            }
            None if !found.is_good() => {
                missed.push(format!("{name}: sealed again it is found: {:#?}", found.problems));
            }
            _ => {}
        }
        if found
            .problems
            .iter()
            .any(|problem| matches!(problem.kind, ProblemKind::Checksum | ProblemKind::Size))
        {
            missed.push(format!("{name}: it was not sealed"));
        }
    }
    assert!(missed.is_empty(), "{} of {}\n{}", missed.len(), INJURIES.len(), missed.join("\n"));
}

#[test]
fn clean_downloads_have_no_problem() {
    let (project, hub) = (Project::new(), hub());
    run(&project, &hub, ALL_LICENSES, Some(TOKEN)).with_code(0);
    project.write("data/custom/mine.jsonl", "{\"text\": \"of my own\"}\n");
    let folder = Folder { project };
    let whole = folder.verify();
    assert_eq!(whole.problems, []);
    assert_eq!(whole.files, 17);
    // A category and a file of it are held against the same lock.
    for part in ["data/math_reasoning", "data/math_reasoning/gsm8k.jsonl"] {
        assert_eq!(folder.verify_at(part).problems, [], "{part}");
    }
    folder.lock(|lock| lock["gsm8k"]["commit"] = json!("0".repeat(40)));
    for part in ["data", "data/math_reasoning", "data/math_reasoning/gsm8k.jsonl"] {
        assert_eq!(folder.verify_at(part).errors, 1, "{part}");
    }
    assert_eq!(folder.verify_at("data/code").problems, []);

    // Some of each, and from a limit on.
    for arguments in
        ["--dataset gsm8k --max-rows 2", "--dataset apps --budget 500tokens", "--dataset squad --keep-raw"]
    {
        let project = Project::new();
        download(&project, &hub, arguments).with_code(0);
        assert_eq!((Folder { project }).verify().problems, [], "{arguments}");
    }

    // Compressed by hand, it holds the same.
    let folder = Folder::of_good();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(folder.path(RECORDS)).expect("it is there")).expect("memory");
    folder.bytes(&format!("{RECORDS}.gz"), |bytes| *bytes = packed.finish().expect("memory"));
    folder.remove(RECORDS);
    assert_eq!(folder.verify().problems, []);
}

#[test]
fn a_download_that_has_not_ended_is_a_warning() {
    let folder = Folder::of_good();
    folder.remove(RECORDS);
    folder.remove(STATS);
    let checkpoint = folder.path(".mashbill/download/gsm8k/checkpoint.json");
    fs::create_dir_all(checkpoint.parent().expect("a folder")).expect("a folder");
    fs::write(checkpoint, "{}").expect("a file");
    let found = folder.verify();
    assert!(found.is_good());
    let problem = &found.problems[0];
    assert_eq!((problem.severity, problem.kind), (Severity::Warning, ProblemKind::Unfinished));
}

#[test]
fn a_lock_without_any_records_is_a_folder_to_verify() {
    let folder = Folder::of_good();
    for name in ["math_reasoning", "code"] {
        fs::remove_dir_all(folder.path(name)).expect("it is there");
    }
    assert_eq!(folder.verify().errors, 2);
}

#[test]
fn the_command_says_what_to_type_and_that_mends_it() {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset gsm8k --dataset squad").with_code(0);
    let records = project.read(&format!("data/{RECORDS}"));
    project.write(&format!("data/{RECORDS}"), records.replace("Weng", "Wong"));
    fs::remove_file(project.path("data/factual_qa/squad.jsonl")).expect("it is there");
    fs::remove_file(project.path("data/factual_qa/squad.stats.json")).expect("it is there");
    check!(timeless(project.run("verify data").with_code(4)), @r"
    exit: 4
    --- stderr
    error: curriculum.lock: it names squad, but there are no records of it (missing)
    error: math_reasoning/gsm8k.jsonl: its bytes are not those that were written (checksum)
    hint: mashbill download --output data --dataset squad
    hint: rm data/math_reasoning/gsm8k.jsonl; then `mashbill download --output data --dataset gsm8k` makes it again
    data is damaged: 2 errors (1 file, 3 lines, 3 records, 2.5 kB
    ");
    // Beside the file, what is typed names this file and these downloads, too: never one at the root of the disk.
    let mut beside = project.command("verify gsm8k.jsonl");
    let ran = project.finish(beside.current_dir(project.path("data/math_reasoning"))).with_code(4);
    let hint =
        "rm ./gsm8k.jsonl; then `mashbill download --output [PROJECT]/data --dataset gsm8k` makes it again";
    assert!(ran.stderr.contains(hint), "{ran}");
    fs::remove_file(project.path(&format!("data/{RECORDS}"))).expect("it is there");
    download(&project, &hub, "--dataset gsm8k").with_code(0);
    download(&project, &hub, "--dataset squad").with_code(0);
    project.run("verify data --quiet").with_code(0);
    assert_eq!(project.read(&format!("data/{RECORDS}")), records);
}

#[test]
fn a_deep_check_hashes_the_files_that_were_kept() {
    let (project, hub) = (Project::new(), hub());
    download(&project, &hub, "--dataset gsm8k --keep-raw").with_code(0);
    download(&project, &hub, "--dataset squad").with_code(0);
    let ran = project.run("verify data --deep").with_code(0);
    assert!(ran.stderr.contains("1 fetched file hashed again and compared with the lock"), "{ran}");
    assert!(ran.stderr.contains("1 other not kept"), "{ran}");

    let kept = |name: &String| name.contains("/raw/");
    let raw = project.files("data").into_keys().find(kept).expect("a fetched file");
    let mut bytes = project.files("data")[&raw].clone();
    bytes[50] ^= 1;
    project.write(&format!("data/{raw}"), bytes);
    project.run("verify data").with_code(0);
    for path in ["data", "data/math_reasoning/gsm8k.jsonl"] {
        let ran = project.run(&format!("verify --deep {path}")).with_code(4);
        assert!(ran.stderr.contains(&format!("error: {raw}: its hash is ")), "{ran}");
        assert!(ran.stderr.contains(&format!("hint: rm data/{raw}; then `mashbill download ")), "{ran}");
    }
    project.run("verify --deep data/factual_qa").with_code(0);
}

/// What was said without how long it took.
fn timeless(mut ran: Ran) -> Ran {
    let lines = ran.stderr.lines().map(|line| line.split(" in ").next().unwrap_or(line));
    ran.stderr = lines.collect::<Vec<_>>().join("\n");
    ran
}

fn add(value: &mut Value) {
    *value = json!(value.as_u64().expect("a number") + 1);
}

/// A copy of the download that may be injured.
struct Folder {
    project: Project,
}

impl Folder {
    fn of_good() -> Self {
        let project = Project::new();
        for (name, bytes) in GOOD.files("data") {
            project.write(&format!("data/{name}"), bytes);
        }
        Self { project }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path(&format!("data/{name}"))
    }

    fn verify(&self) -> Report {
        self.verify_at("data")
    }

    fn verify_at(&self, path: &str) -> Report {
        verify(&self.project.path(path), Options { threads: 2 }, &AtomicBool::new(false), &mut |_| {})
            .expect("it can be read")
            .expect("it is a folder of records")
    }

    /// Makes size and checksum in the statistics those of the records.
    fn seal(&self) {
        let Ok(records) = fs::read(self.path(RECORDS)) else { return };
        let Ok(stats) = fs::read(self.path(STATS)) else { return };
        if serde_json::from_slice::<Value>(&stats).is_ok() {
            self.stats(|stats| {
                stats["counts"]["jsonl_bytes"] = json!(records.len());
                stats["jsonl_checksum"] = json!(Checksum::of(&records));
            });
        }
    }

    fn bytes(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap_or_default();
        change(&mut bytes);
        fs::write(self.path(name), bytes).expect("a file");
    }

    fn json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.bytes(name, |bytes| {
            let mut value = serde_json::from_slice(bytes).expect("JSON");
            change(&mut value);
            *bytes = format!("{value}\n").into_bytes();
        });
    }

    fn stats(&self, change: impl FnOnce(&mut Value)) {
        self.json(STATS, change);
    }

    fn lock(&self, change: impl FnOnce(&mut Value)) {
        self.json(LOCK, |lock| change(&mut lock["datasets"]));
    }

    /// Replaces the first `text` of the records.
    fn replace(&self, text: &str, other: &str) {
        self.bytes(RECORDS, |bytes| {
            let records = String::from_utf8(bytes.clone()).expect("UTF-8");
            assert!(records.contains(text), "{text} is not in {records}");
            *bytes = records.replacen(text, other, 1).into_bytes();
        });
    }

    fn lines(&self, change: impl FnOnce(&mut Vec<String>)) {
        self.bytes(RECORDS, |bytes| {
            let records = String::from_utf8(bytes.clone()).expect("UTF-8");
            let mut lines: Vec<String> = records.lines().map(str::to_owned).collect();
            change(&mut lines);
            *bytes = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        });
    }

    /// Makes the shortest text longer and the longest shorter.
    fn move_letters(&self) {
        self.lines(|lines| {
            lines.sort_by_key(String::len);
            let last = lines.len() - 1;
            lines[0] = lines[0].replacen("Question: ", "Question: x", 1);
            lines[last] = lines[last].replacen("Question: ", "Question:", 1);
        });
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("it is there");
    }

    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("a file");
    }
}
