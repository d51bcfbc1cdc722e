//! `mashbill train`: hands over to the Python package, since trainers live in PyTorch.

use std::ffi::OsString;
use std::io;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::environment;
use crate::exit::Exit;
use crate::hints::INSTALL_TRAINER;
use crate::out::Out;
use crate::usage::Usage;

/// Train a model on what `tokenize` wrote, as a YAML file describes (in Python, with PyTorch)
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct TrainArgs {
    /// What `python -m mashbill.train` takes: --config FILE, --set KEY=VALUE, --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Becomes `python -m mashbill.train`, in the interpreter that this command came with or in one that is found. `help` is what
/// can be said of it without.
pub(crate) fn run(
    args: &TrainArgs,
    interpreter: Option<&Path>,
    quiet: bool,
    help: impl FnOnce() -> String,
) -> Result<Exit> {
    let python = match python(interpreter) {
        Err(_) if args.arguments.iter().any(|argument| argument == "--help" || argument == "-h") => {
            return without_trainer(&help());
        }
        found => found?,
    };
    let mut command = trainer(&python);
    command.args(quiet.then_some("--quiet")).args(&args.arguments);
    become_it(&mut command).with_context(|| format!("`{}` could not be started", python.display()))
}

/// The help for training where there is no trainer.
fn without_trainer(help: &str) -> Result<Exit> {
    let mut out = Out::new();
    out.lines(help.trim_end())?;
    out.line("")?;
    out.line("The Python package does the work and has more help; `python3` does not have it.")?;
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
