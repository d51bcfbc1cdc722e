//! What each stage of `mashbill tokenize` costs on one file, and what `fastokens` costs alone.
//!
//! Tokenizers and memory are slower the first time than ever after, and a user's run
//! is always the first time. So every measurement is a process of its own, which
//! prepares what the stage needs, unmeasured, and then runs it once on one thread.
//! The price is that a whole table takes a tokenizer's start for nearly each line.

mod stage;
mod corpus;
mod rows;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::stage::{Job, Measured, Stage};

/// The allocator that mashbill is built with; so the others have no slower one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the stages of `mashbill tokenize` one by one, each in a process of its own.
#[derive(Debug, Parser)]
struct Args {
    /// A .jsonl file whose records have a field `text`
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// A tokenizer.json
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// Tokens in every row
    #[arg(long, value_name = "TOKENS", default_value_t = 1024)]
    max_seq_length: usize,
    /// Run this stage alone, once, in this process, and print a line of JSON
    #[arg(long, value_name = "NAME")]
    stage: Option<Stage>,
    /// How many times each stage is measured
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    rounds: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(stage) = args.stage {
        let job = Job { input: args.input, tokenizer: args.tokenizer, row_length: args.max_seq_length };
        println!("{}", serde_json::to_string(&stage.measure(&job)?)?);
        return Ok(());
    }
    println!("stage          CPU-s: median (min to max)     wall-s   MB of input per CPU-second");
    for &stage in Stage::value_variants() {
        let mut runs = (0..args.rounds.max(1)).map(|_| in_own_process(stage)).collect::<Result<Vec<_>>>()?;
        runs.sort_by(|a, b| a.cpu_seconds.total_cmp(&b.cpu_seconds));
        let (least, most) = (runs[0].cpu_seconds, runs[runs.len() - 1].cpu_seconds);
        let median = &runs[runs.len() / 2];
        let speed = |bytes| format!("{:9.1}", bytes as f64 / 1e6 / median.cpu_seconds);
        println!(
            "{:<14} {:>9.4} ({least:.4} to {most:.4}) {:>9.4}   {}",
            stage.name(),
            median.cpu_seconds,
            median.wall_seconds,
            median.input_bytes.map(speed).unwrap_or_default(),
        );
    }
    Ok(())
}

/// Runs this program again with the same arguments, for one stage on one thread: fastokens would give long texts
/// to more, which costs CPU time.
fn in_own_process(stage: Stage) -> Result<Measured> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let output = Command::new(program)
        .args(std::env::args_os().skip(1))
        .args(["--stage", &stage.name()])
        .env("FASTOKENS_BPE_THREADS", "1")
        .output()
        .context("failed to start a process for the stage")?;
    ensure!(output.status.success(), "stage `{}`: {}", stage.name(), String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
