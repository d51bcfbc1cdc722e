//! Names that a stranger wrote: in manifests, journals and locks, and as links and pipes where files should be.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::project::{Project, Ran};

const ONE: &str = "{\"text\":\"hello\"}\n";

/// Every command that reads a manifest, with the exit code by which it refuses a bad one.
const READERS: [(&str, i32); 12] = [
    ("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --prune", 2),
    ("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --force", 2),
    ("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --skip-existing", 2),
    ("tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --val-fraction 0.5 --force", 2),
    ("verify out", 4),
    ("verify out --deep", 4),
    ("inspect out", 2),
    ("inspect out --random --json", 2),
    ("inspect out --step 0 --batch-size 1", 2),
    ("inspect out --doc 0 --batch-size 1", 2),
    ("report out --output page.html", 2),
    ("download --output out/../out --status-only --category code --json", 0),
];

/// Names that lead out of the folder, or have a meaning of their own in it.
fn bad_names(project: &Project) -> Vec<String> {
    let outside = project.path("victim").display().to_string();
    let names = ["../victim", "..", ".", "", "a/../../victim", "a\\b", "x\ny", "x\u{1b}[2J", "x\u{9b}y"];
    let reserved = [".mashbill", "_validation", "manifest.json"];
    names.into_iter().chain(reserved).map(str::to_owned).chain([outside, "n".repeat(256)]).collect()
}

fn project() -> Project {
    let project = Project::with(&[("data/a.jsonl", ONE), ("victim/precious", "precious")]);
    project.tokenize("").with_code(0);
    project
}

fn manifest(project: &Project, change: impl FnOnce(&mut Value)) {
    let mut manifest = project.json("out/manifest.json");
    change(&mut manifest);
    project.write("out/manifest.json", manifest.to_string());
}

/// Everything beside the output folder is as it was.
#[track_caller]
fn assert_untouched(project: &Project, ran: &Ran) {
    assert_eq!(project.read("victim/precious"), "precious", "{ran}");
    assert!(!project.path("victim/manifest.json").exists() && !project.path("victim/.mashbill").exists());
}

/// The command refused the manifest by its name, and says what to do.
#[track_caller]
fn assert_refused(ran: &Ran, name: &str) {
    assert!(ran.stderr.contains("manifest.json"), "{name:?}: {ran}");
    assert!(ran.stderr.contains("is refused: ") || ran.stderr.contains("line "), "{name:?}: {ran}");
    assert!(ran.stderr.contains("\nhint: "), "{name:?}: {ran}");
    assert!(ran.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{name:?}: {ran}");
}

#[test]
fn a_split_named_elsewhere_is_refused_by_every_command_and_prune_stays_inside() {
    let project = project();
    let good = project.read("out/manifest.json");
    for (index, name) in bad_names(&project).into_iter().enumerate() {
        let place = if index % 2 == 0 { "splits" } else { "vanished" };
        project.write("out/manifest.json", &good);
        manifest(&project, |manifest| {
            let split = manifest["splits"]["a"].clone();
            manifest[place][&name] = split;
        });
        // Every command meets every third name, and every name some commands.
        let some = READERS.iter().enumerate().filter(|(at, (_, code))| *code != 0 && (at + index) % 3 == 0);
        for (_, (command, code)) in some {
            let ran = project.run(command).with_code(*code);
            assert_refused(&ran, &name);
            assert_untouched(&project, &ran);
        }
    }
}

#[test]
fn files_of_a_split_that_are_named_elsewhere_are_refused_by_every_command() {
    let project = project();
    let good = project.read("out/manifest.json");
    let places: [fn(&mut Value, Value); 3] = [
        |split, name| split["shard_list"][0]["file"]["name"] = name,
        |split, name| split["shard_list"][0]["table"]["name"] = name,
        |split, name| split["source"]["file"] = name,
    ];
    for (index, name) in bad_names(&project).into_iter().enumerate() {
        for (at, place) in places.iter().enumerate() {
            // Below the input there may be files and folders of those names.
            if at == 2 && [".mashbill", "_validation", "manifest.json"].contains(&name.as_str()) {
                continue;
            }
            project.write("out/manifest.json", &good);
            manifest(&project, |manifest| place(&mut manifest["splits"]["a"], json!(name)));
            let (command, code) = READERS[(index * places.len() + at) % (READERS.len() - 1)];
            let ran = project.run(command).with_code(code);
            assert_refused(&ran, &name);
            assert_untouched(&project, &ran);
        }
    }
}

#[test]
fn a_name_that_stands_twice_is_no_manifest() {
    let project = project();
    let text = project.read("out/manifest.json").replacen("\"splits\": {", "\"splits\": {\"a\": null, ", 1);
    project.write("out/manifest.json", text);
    let ran = project.run("inspect out").with_code(2);
    assert!(ran.stderr.contains("damaged"), "{ran}");
    let mut manifest: Value = project.json("out/manifest.json");
    manifest["splits"]["a"] = json!(1);
    project.write("out/manifest.json", manifest.to_string());
    project.run("inspect out").with_code(2);
}

#[test]
fn the_manifest_of_what_is_held_out_is_checked_like_the_other() {
    let project = Project::with(&[("data/a.jsonl", ONE), ("victim/precious", "precious")]);
    project.tokenize("--val-fraction 0.5").with_code(0);
    let mut manifest = project.json("out/_validation/manifest.json");
    let split = manifest["splits"]["a"].clone();
    manifest["vanished"] = json!({ "../../victim": split });
    project.write("out/_validation/manifest.json", manifest.to_string());
    for (command, code) in [
        (
            "tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --val-fraction 0.5 --prune",
            2,
        ),
        ("verify out", 4),
        ("report out/_validation --output page.html", 2),
    ] {
        let ran = project.run(command).with_code(code);
        assert_refused(&ran, command);
        assert_untouched(&project, &ran);
    }
}

#[test]
fn an_input_that_could_not_stand_in_a_manifest_is_refused_before_anything_is_made() {
    for name in
        ["_validation.jsonl", "manifest.json.jsonl", ".mashbill.jsonl.gz", "a\u{1b}b.jsonl", "a\\b.jsonl"]
    {
        let project = Project::new();
        project.write(&format!("data/{name}"), ONE);
        let ran = project.tokenize("");
        assert!(matches!(ran.code, Some(2 | 3)), "{name:?}: {ran}");
        assert!(ran.stderr.contains("hint: "), "{name:?}: {ran}");
        assert!(!project.path("out/manifest.json").exists(), "{name:?}: {ran}");
    }
}

#[test]
fn a_lock_with_a_path_that_leads_out_is_refused() {
    let pin = |path: &str| {
        json!({ "format_version": 1, "datasets": { "x": {
            "repo": "o/x", "revision": "main", "commit": "0".repeat(40), "license": "mit", "gated": false,
            "globs": [], "files": [{ "path": path, "size": 1, "hash": "sha256 00" }],
        }}})
    };
    for path in ["../../victim/precious", "/etc/passwd", "a/../../b", "x\ny"] {
        let project = Project::with(&[("data/code/a.jsonl", ONE)]);
        project.write("data/curriculum.lock", pin(path).to_string());
        for command in ["download --output data --status-only", "download --output data --dry-run"] {
            let ran = project.run(command).with_code(2);
            assert!(
                ran.stderr.contains("curriculum.lock") && ran.stderr.contains("is refused: "),
                "{path}: {ran}"
            );
            assert!(ran.stderr.contains("hint: "), "{path}: {ran}");
        }
        let ran = project.run("verify data").with_code(4);
        assert!(ran.stderr.contains("is refused: "), "{path}: {ran}");
    }
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn of_a_split_that_is_a_link_only_the_link_is_pruned() {
        let project = project();
        fs::rename(project.path("out/a"), project.path("victim/a")).expect("moved");
        symlink("../victim/a", project.path("out/a")).expect("a link");
        fs::remove_file(project.path("data/a.jsonl")).expect("it is there");
        project.write("data/b.jsonl", ONE);
        let ran = project.tokenize("--prune").with_code(0);
        assert!(fs::symlink_metadata(project.path("out/a")).is_err(), "{ran}");
        assert!(project.path("victim/a/shard_0000.parquet").is_file(), "{ran}");
    }

    #[test]
    fn a_split_that_is_a_link_is_made_again_in_its_own_place() {
        let project = project();
        fs::rename(project.path("out/a"), project.path("victim/a")).expect("moved");
        symlink("../victim/a", project.path("out/a")).expect("a link");
        let before = project.files("victim");
        project.tokenize("--force").with_code(0);
        assert!(fs::symlink_metadata(project.path("out/a")).expect("it is there").is_dir());
        assert_eq!(project.files("victim"), before);
    }

    #[test]
    fn nothing_is_made_or_removed_behind_a_link_in_the_place_of_a_runs_state() {
        for (link, target) in [
            ("out/.mashbill", "../victim"),
            ("out/_validation", "../victim"),
            ("out/.mashbill/lock", "../../victim/precious"),
        ] {
            let project = project();
            fs::create_dir_all(project.path(link).parent().expect("it has one")).expect("a folder");
            symlink(target, project.path(link)).expect("a link");
            let before = project.files("victim");
            let ran = project.tokenize("--force --val-fraction 0.5").with_code(2);
            assert!(ran.stderr.contains("it is a link"), "{link}: {ran}");
            assert!(ran.stderr.contains("hint: remove"), "{link}: {ran}");
            assert_eq!(project.files("victim"), before, "{link}");
        }
    }

    #[test]
    fn a_download_makes_nothing_behind_a_link() {
        let project = Project::with(&[("victim/precious", "precious"), ("data/code/a.jsonl", ONE)]);
        symlink("../victim", project.path("data/.mashbill")).expect("a link");
        let ran = project.run("download --output data --dataset gsm8k");
        assert_ne!(ran.code, Some(0), "{ran}");
        assert_eq!(project.files("victim").len(), 1, "{ran}");
    }
}

/// A pipe waits for a writer for ever: a test that hangs has found one that is opened.
#[cfg(unix)]
mod pipes {
    use std::process::Command;

    use super::*;

    fn make_pipe(path: &Path) {
        drop(fs::remove_file(path));
        let made = Command::new("mkfifo").arg(path).status().expect("it is in every system");
        assert!(made.success(), "{}", path.display());
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_without_being_opened() {
        let files = [
            "out/manifest.json",
            "out/a/shard_0000.parquet",
            "out/a/_documents/shard_0000.documents",
            "out/a/a_stats.json",
            "out/a/a_rejects.jsonl",
        ];
        for file in files {
            let project = project();
            make_pipe(&project.path(file));
            let ran = project.run("verify out");
            assert!(matches!(ran.code, Some(2 | 4)), "{file}: {ran}");
            assert!(
                ran.stderr.contains("it is a pipe") || ran.stderr.contains("it is no file"),
                "{file}: {ran}"
            );
            for (command, _) in READERS {
                let ran = project.run(command);
                assert!(matches!(ran.code, Some(0..=4)), "{file}: {command}: {ran}");
                assert!(!ran.stderr.contains("panicked"), "{file}: {command}: {ran}");
            }
        }
    }

    #[test]
    fn what_is_named_by_hand_is_refused_too() {
        let project = Project::with(&[("data/a.jsonl", ONE)]);
        for name in
            ["pipe.jsonl", "tokenizer.json", "catalog.toml", "loader.json", "run/metrics.jsonl", "in/x.jsonl"]
        {
            fs::create_dir_all(project.path(name).parent().expect("it has one")).expect("a folder");
            make_pipe(&project.path(name));
        }
        for command in [
            "tokenize --input pipe.jsonl --output out --tokenizer gpt2 --max-seq-length 16",
            "tokenize --input in --output out --tokenizer gpt2 --max-seq-length 16",
            "tokenize --input data --output out --tokenizer tokenizer.json --max-seq-length 16",
            "download --catalog catalog.toml --output data --dry-run",
            "inspect loader.json --step 0",
            "inspect pipe.jsonl",
            "inspect in",
            "verify in",
            "verify pipe.jsonl",
            "report run --output page.html",
        ] {
            let ran = project.run(command);
            assert!(matches!(ran.code, Some(1..=4)), "{command}: {ran}");
            assert!(ran.stderr.contains("hint: "), "{command}: {ran}");
        }
    }
}
