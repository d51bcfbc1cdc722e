//! The command line: commands in the order in which the data flows.

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::doctor::DoctorArgs;
use crate::commands::download::DownloadArgs;
use crate::commands::inspect::InspectArgs;
use crate::commands::quickstart::QuickstartArgs;
use crate::commands::report::ReportArgs;
use crate::commands::tokenize::TokenizeArgs;
use crate::commands::train::TrainArgs;
use crate::commands::verify::VerifyArgs;

/// The data pipeline for language-model training and distillation.
///
/// Datasets go in; exact, packed, resumable training batches come out.
#[derive(Debug, Parser)]
#[command(name = "mashbill", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 unexpected error, 2 usage or unusable input, 3 incomplete (fix what it names, then run the \
    same command again), 4 verify or doctor found problems, 130 interrupted (state saved)."
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

/// The command that `arguments`, the program's name first, name.
pub(crate) fn named_command(arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    let first = words.find(|word| !word.starts_with('-'))?;
    Args::command().find_subcommand(first).map(|found| found.get_name().to_owned())
}

/// The help of a command that cannot give it itself.
pub(crate) fn help_of(command: &str) -> String {
    let mut all = Args::command();
    // Only then does its usage begin with the program's name, and have the flags of all commands.
    all.build();
    all.find_subcommand_mut(command).map_or_else(String::new, |found| found.render_long_help().to_string())
}
