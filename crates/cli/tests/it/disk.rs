//! A disk that is too small or becomes full. It needs a small file system of its own, which only
//! privileged users can mount: elsewhere these tests say that they were skipped.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::project::{Project, assert_same_output};
use crate::shipped;

const ARGUMENTS: &str = "tokenize --input data --tokenizer gpt2 --max-seq-length 128 --shard-size 0.0005 \
    --threads 1";

/// A file system in memory, of a few megabytes.
#[derive(Debug)]
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts it at `path`; none where that is not permitted.
    fn mount(path: PathBuf, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(&path).expect("a folder");
        let size = format!("size={megabytes}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            println!("skipped: this user may not mount a tmpfs");
            return None;
        }
        Some(Self { path })
    }

    fn grow(&self, megabytes: u32) {
        let size = format!("remount,size={megabytes}m");
        let status = Command::new("mount").args(["-o", &size]).arg(&self.path).status();
        assert!(status.expect("it was mounted by the same command").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.path).status());
    }
}

fn project() -> Project {
    let project = Project::new();
    project.write("data/some.jsonl", shipped::nq_open().repeat(4));
    project.write("data/many.jsonl", shipped::gsm8k().repeat(36));
    project
}

#[test]
fn what_cannot_fit_is_not_begun() {
    let project = project();
    let Some(_disk) = SmallDisk::mount(project.path("disk"), 4) else { return };
    let ran = project.run(&format!("{ARGUMENTS} --output disk/out")).with_code(3);
    assert!(ran.stderr.contains(" MB are needed in `disk/out`, "), "{ran}");
    assert!(ran.stderr.contains("missing: make space, or give an `--output` elsewhere"), "{ran}");
    assert!(!project.path("disk/out").exists(), "nothing was written");
}

/// Compressed text that repeats itself becomes far more than what the check before the start expects of
/// it, so this run begins on the small disk and cannot end there.
#[test]
fn a_disk_that_becomes_full_loses_nothing() {
    let project = Project::new();
    let lines = shipped::gsm8k();
    let few: String = lines.lines().take(40).flat_map(|line| [line, "\n"]).collect();
    let mut many = GzEncoder::new(Vec::new(), Compression::best());
    many.write_all(few.repeat(30_000_000 / few.len()).as_bytes()).expect("memory takes it");
    project.write("data/few.jsonl", few);
    project.write("data/many.jsonl.gz", many.finish().expect("memory takes it"));
    let Some(disk) = SmallDisk::mount(project.path("disk"), 20) else { return };
    let arguments = "tokenize --input data --tokenizer gpt2 --max-seq-length 128 --shard-size 0.005 \
        --compression none --threads 2";
    project.run(&format!("{arguments} --output reference")).with_code(0);
    let ran = project.run(&format!("{arguments} --output disk/out")).with_code(3);
    assert!(ran.stderr.contains("error: no space left on the disk while writing `disk/out/"), "{ran}");
    assert!(ran.stderr.contains("hint: make space, then run the same command again"), "{ran}");
    // With the disk still full the run is not begun, and the state stays what it is.
    let ran = project.run(&format!("{arguments} --output disk/out")).with_code(3);
    assert!(ran.stderr.contains("hint: 16.8 MB are missing: make space"), "{ran}");
    disk.grow(80);
    project.run(&format!("{arguments} --output disk/out")).with_code(0);
    assert_same_output(&project.path("reference"), &project.path("disk/out"));
}
