//! `mashbill train`: hands over to the Python package, since trainers live in PyTorch.

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use serde::de::DeserializeOwned;

use crate::environment;
use crate::exit::Exit;
use crate::hints::{INSTALL_TRAINER, Usage};
use crate::out::Out;

/// Train a model from what `tokenize` wrote, as a YAML file says (in Python, with PyTorch)
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct TrainArgs {
    /// What `python -m mashbill.train` takes: --config FILE, --set KEY=VALUE, --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Becomes `python -m mashbill.train`, in the interpreter that this command came with or in one that is found.
pub(crate) fn run(args: &TrainArgs, interpreter: Option<&Path>, quiet: bool) -> Result<Exit> {
    let python = match python(interpreter) {
        Err(_) if args.arguments.iter().any(|argument| argument == "--help" || argument == "-h") => {
            return help();
        }
        found => found?,
    };
    let mut command = trainer(&python);
    command.args(quiet.then_some("--quiet")).args(&args.arguments);
    become_it(&mut command).with_context(|| format!("`{}` could not be started", python.display()))
}

/// What can be said of training where there is nobody to train.
fn help() -> Result<Exit> {
    let mut command = crate::args::Args::command();
    let about = command.find_subcommand_mut("train").map(|train| train.render_long_help().to_string());
    let mut out = Out::new();
    out.lines(about.unwrap_or_default().trim_end())?;
    out.line("")?;
    out.line("The Python package does the work, and has more to say; `python3` does not have it.")?;
    out.line(format_args!("To install it: {INSTALL_TRAINER}."))?;
    out.finish()?;
    Ok(Exit::Done)
}

/// How much memory glibc's allocator keeps. Tensors of a vocabulary's size come and go in every step; by itself it gives
/// their memory back and has the system clear it again, which takes nearly half of a small model's time on a CPU.
const KEPT_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "4294967296"),
    ("MALLOC_TRIM_THRESHOLD_", "8589934592"),
    ("MALLOC_TOP_PAD_", "268435456"),
];

/// `python -m mashbill.train`, without its arguments.
pub(crate) fn trainer(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "mashbill.train"]);
    // What the user has set stays.
    command.envs(KEPT_MEMORY.into_iter().filter(|(name, _)| !environment::has(name)));
    command
}

/// The last checkpoint of the run in `folder`, and the steps that it has behind it.
pub(crate) fn last_checkpoint(folder: &Path) -> Option<(u64, PathBuf)> {
    let entries = fs::read_dir(folder.join("checkpoints")).ok()?;
    entries.flatten().filter_map(|entry| Some((step_of(&entry)?, entry.path()))).max()
}

/// The step of a checkpoint; none where the entry is something else: a copy, a link, or spelled in another way.
fn step_of(entry: &DirEntry) -> Option<u64> {
    let name = entry.file_name();
    let step = name.to_str()?.strip_prefix("step_")?.parse().ok()?;
    let is_ours = *name == *format!("step_{step:08}") && entry.file_type().ok()?.is_dir();
    is_ours.then_some(step)
}

/// The records of a run: what each step and each measurement came to, one a line.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// A line of [`METRICS`]; none where it is no record. Runs of version 0.1 wrote numbers that are not finite as Python's
/// `json` does, `NaN` and `Infinity`, which are no JSON: they are read as null, which stands for them now.
pub(crate) fn record<T: DeserializeOwned>(line: &str) -> Option<T> {
    serde_json::from_str(line).ok().or_else(|| {
        let mut line = line.to_owned();
        for word in ["NaN", "-Infinity", "Infinity"] {
            line = line.replace(&format!(": {word}"), ": null");
        }
        serde_json::from_str(&line).ok()
    })
}

/// Takes this process's place, so that signals and kills meet the training itself.
#[cfg(unix)]
fn become_it(command: &mut Command) -> io::Result<Exit> {
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> io::Result<Exit> {
    let code = command.status()?.code();
    Ok(Exit::Of(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// The Python that has the package: the one that this command came with, or one in the path.
pub(crate) fn python(interpreter: Option<&Path>) -> Result<PathBuf> {
    interpreter.map_or_else(find_package, |python| Ok(python.to_owned()))
}

fn find_package() -> Result<PathBuf> {
    for name in ["python3", "python"] {
        let mut command = Command::new(name);
        command.args([
            "-c",
            "import importlib.util, sys; sys.exit(importlib.util.find_spec('mashbill') is None)",
        ]);
        if command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Ok(PathBuf::from(name));
        }
    }
    Err(Usage::NoPythonPackage.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checkpoint_is_a_folder_that_a_run_named() {
        let run = tempfile::tempdir().expect("a folder");
        assert_eq!(last_checkpoint(run.path()), None);
        let checkpoints = run.path().join("checkpoints");
        let names =
            ["step_00000004", "step_00000005 copy", "step_9", "step_000000009", "step_00000006.damaged"];
        for name in names.into_iter().chain(["step_100000000"]) {
            fs::create_dir_all(checkpoints.join(name)).expect("a folder is made");
        }
        let (file, temporary) = (checkpoints.join("step_900000000"), checkpoints.join("temporary"));
        mashbill_format::atomic::create(&file, &temporary, b"").expect("a file is made");
        assert_eq!(last_checkpoint(run.path()), Some((100_000_000, checkpoints.join("step_100000000"))));
    }
}
