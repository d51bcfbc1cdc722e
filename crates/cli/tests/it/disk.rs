//! A disk that is too small or becomes full. It needs a small file system of its own, which only
//! privileged users can mount: elsewhere these tests say that they were skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::project::{Project, assert_same_output};

const ARGUMENTS: &str = "tokenize --input data --tokenizer gpt2 --max-seq-length 128 --shard-size 0.0005 \
    --unit-size 100000 --threads 1";

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
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.path).status());
    }
}

fn project() -> Project {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let lines = |name: &str| fs::read_to_string(shipped.join(name)).expect("it ships");
    let project = Project::new();
    project.write("data/some.jsonl", lines("nq_open.jsonl").repeat(4));
    project.write("data/many.jsonl", lines("gsm8k.jsonl").repeat(36));
    project
}

#[test]
fn what_cannot_fit_is_not_begun() {
    let project = project();
    let Some(_disk) = SmallDisk::mount(project.path("disk"), 4) else { return };
    let ran = project.run(&format!("{ARGUMENTS} --output disk/out")).with_code(3);
    assert!(ran.stderr.contains("bytes are needed in `disk/out`"), "{ran}");
    assert!(ran.stderr.contains("missing: make space, or give an `--output` elsewhere"), "{ran}");
    assert!(!project.path("disk/out").exists(), "nothing was written");
}

#[test]
fn a_disk_that_becomes_full_loses_nothing() {
    let project = project();
    let Some(_disk) = SmallDisk::mount(project.path("disk"), 24) else { return };
    project.run(&format!("{ARGUMENTS} --output reference")).with_code(0);
    let mut command = project.command(&format!("{ARGUMENTS} --output disk/out"));
    command.stdout(Stdio::null()).stderr(fs::File::create(project.path("stderr")).expect("a file"));
    let child = command.spawn().expect("the command starts");
    let ended = fill_once_begun(child, &project);
    let stderr = project.read("stderr");
    assert_eq!(ended, Some(3), "{stderr}");
    assert!(stderr.contains("error: no space left on the disk while writing `disk/out/"), "{stderr}");
    assert!(stderr.contains("hint: make space, then give the same command again"), "{stderr}");
    // With the disk still full the same happens again, and the state stays what it is.
    let again = project.run(&format!("{ARGUMENTS} --output disk/out"));
    assert_eq!(again.code, Some(3), "{again}");
    fs::remove_file(project.path("disk/ballast")).expect("it was there");
    project.run(&format!("{ARGUMENTS} --output disk/out")).with_code(0);
    assert_same_output(&project.path("reference"), &project.path("disk/out"));
}

/// Fills the disk when the check before the start is over; gives the exit code.
fn fill_once_begun(mut child: Child, project: &Project) -> Option<i32> {
    let lock = project.path("disk/out/.mashbill/lock");
    let started = Instant::now();
    while !lock.exists() {
        assert!(child.try_wait().expect("it is our child").is_none(), "{}", project.read("stderr"));
        assert!(started.elapsed() < Duration::from_secs(240), "the run does not get on");
        thread::sleep(Duration::from_millis(1));
    }
    // The last piece is cut off where the disk ends.
    let mut ballast = fs::File::create(project.path("disk/ballast")).expect("a file");
    while ballast.write_all(&[0; 1 << 16]).is_ok() {}
    child.wait().expect("it is our child").code()
}
