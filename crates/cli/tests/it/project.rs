//! A folder with data, the command run in it, and what came of that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// What differs from run to run or between machines, and what stands in its place in a snapshot.
pub(crate) const FILTERS: [(&str, &str); 5] = [
    (r"\d+\.\d s \(\d+\.\d MB/s, [\d,]+ tokens/s\)", "[TIME] ([SPEED])"),
    (r"\d[\d.]* k?M?B of shards \(\d+\.\d+ bytes a token\)", "[SIZE] of shards ([RATIO] bytes a token)"),
    (r"127\.0\.0\.1:\d+", "[HUB]"),
    (r"mashbill(?:\.exe)? 0\.\d+\.\d+", "mashbill [VERSION]"),
    (r"process \d+ on [\w.-]+", "process [PID] on [HOST]"),
];

/// Compares what a command did with a snapshot of its exit code and its output.
macro_rules! check {
    ($ran:expr, @$expected:literal) => {
        insta::with_settings!({ filters => $crate::project::FILTERS.to_vec(), omit_expression => true }, {
            insta::assert_snapshot!($ran.to_string(), @$expected)
        })
    };
}

/// A folder that ends with the test.
#[derive(Debug)]
pub(crate) struct Project {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let project = Self::new();
        for (name, contents) in files {
            project.write(name, contents);
        }
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a name in the folder")).expect("a folder");
        fs::write(path, contents).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The command with these arguments, split at spaces. It sees no network, no home and no token;
    /// only the verdicts on embedded tokenizers are shared with other tests, since they take a second.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mashbill"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("HF_") || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        command.env("XDG_CACHE_HOME", cache).env("HOME", self.folder.path()).env("HF_HUB_OFFLINE", "1");
        command.env("NO_COLOR", "1").env("COLUMNS", "100");
        command
    }

    /// Runs the command with these arguments, split at spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.finish(&mut self.command(arguments))
    }

    /// Runs `tokenize` on `data` with gpt2, rows of 16 and one thread; `arguments` come after that.
    pub(crate) fn tokenize(&self, arguments: &str) -> Ran {
        let fixed = "tokenize --input data --output out --tokenizer gpt2 --max-seq-length 16 --threads 1";
        self.run(&format!("{fixed} {arguments}"))
    }

    /// Runs a command to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        let Output { status, stdout, stderr } = command.output().expect("the command starts");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("output is UTF-8");
            let folder = self.folder.path();
            let canonical = fs::canonicalize(folder).expect("the folder is there");
            text.replace(&canonical.display().to_string(), "[PROJECT]")
                .replace(&folder.display().to_string(), "[PROJECT]")
                .replace(env!("CARGO_TARGET_TMPDIR"), "[TARGET]")
        };
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Every file below `folder`, with its bytes, by its path.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        files_below(&self.path(folder))
    }
}

impl Ran {
    /// The same, where the command ended with this code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit: {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}")?;
                text.trim_end().lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))?;
            }
        }
        Ok(())
    }
}

/// Every file below `folder`, with its bytes, by its path with `/` between folders.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is below").display().to_string();
                files.insert(name.replace('\\', "/"), fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

/// Two output folders hold the same: files of the same names with the same bytes, but for the names of
/// folders in the manifest and for what the statistics say of the run.
#[track_caller]
pub(crate) fn assert_same_output(expected: &Path, found: &Path) {
    let (expected, found) = (files_below(expected), files_below(found));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&expected), names(&found));
    for (name, bytes) in &expected {
        match promised(name, bytes) {
            Some(promised_bytes) => {
                assert_eq!(Some(promised_bytes), promised(name, &found[name]), "{name} differs");
            }
            None => assert!(*bytes == found[name], "{name} differs"),
        }
    }
}

/// What is promised of a JSON file that also tells about its run; none of other files, whose bytes are.
fn promised(name: &str, bytes: &[u8]) -> Option<Value> {
    let forget: &[&str] = if name == "manifest.json" || name == "_validation/manifest.json" {
        &["input_path", "output_path"]
    } else if name.ends_with("_stats.json") {
        &["inputs", "seconds", "threads", "completed_unix_s", "engine"]
    } else {
        return None;
    };
    let mut value: Value = serde_json::from_slice(bytes).expect("a JSON file");
    let object = value.as_object_mut().expect("an object");
    for field in forget {
        assert!(object.remove(*field).is_some(), "{name} has {field}");
    }
    if let Some(splits) = object.get_mut("splits").and_then(Value::as_object_mut) {
        for split in splits.values_mut() {
            split.as_object_mut().expect("an object").remove("path").expect("a path");
        }
    }
    Some(value)
}
