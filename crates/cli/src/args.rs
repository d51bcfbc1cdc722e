//! The command line: commands in the order of the data's way.

use clap::{Parser, Subcommand};

use crate::commands::doctor::DoctorArgs;
use crate::commands::download::DownloadArgs;
use crate::commands::inspect::InspectArgs;
use crate::commands::quickstart::QuickstartArgs;
use crate::commands::report::ReportArgs;
use crate::commands::tokenize::TokenizeArgs;
use crate::commands::train::TrainArgs;
use crate::commands::verify::VerifyArgs;
use crate::hints::Usage;

/// The most threads of a run: more than any machine computes with, fewer than a system refuses to start.
pub(crate) const THREADS_MAX: usize = 1024;

/// How many threads compute: those that are asked for, or what this machine or container has.
pub(crate) fn threads(given: Option<usize>) -> Result<usize, Usage> {
    match given {
        Some(given) if !(1..=THREADS_MAX).contains(&given) => Err(Usage::Threads { given }),
        Some(given) => Ok(given),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// The data pipeline for language-model training and distillation.
///
/// Datasets go in, exact, packed, resumable training batches come out.
#[derive(Debug, Parser)]
#[command(name = "mashbill", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 unexpected error, 2 usage, 3 incomplete (it says what; the same command goes on), \
    4 verify or doctor found problems, 130 interrupted (state saved)."
)]
pub(crate) struct Args {
    /// Print nothing but warnings and errors
    #[arg(long, short, global = true, display_order = 900)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Download(DownloadArgs),
    Tokenize(TokenizeArgs),
    Verify(VerifyArgs),
    Inspect(InspectArgs),
    Report(ReportArgs),
    Train(TrainArgs),
    Quickstart(QuickstartArgs),
    Doctor(DoctorArgs),
}
