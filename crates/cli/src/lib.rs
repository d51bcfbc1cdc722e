//! The `mashbill` command as a library: arguments in, exit code out.
//!
//! Only here are arguments parsed, the environment read and text printed. stdout is
//! data, stderr is talk. Each command is one file in `commands`, which turns its
//! arguments into a stage's options and the stage's events into text.

mod args;
mod commands;
mod environment;
mod interrupt;
mod progress;
mod printer;
mod hints;
mod exit;

use std::ffi::OsString;

use clap::Parser;

use args::{Args, Command};
use exit::Exit;
use printer::Printer;

/// Runs the command that `arguments`, the program's name first, ask for, and gives its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are what was asked for; they go to stdout and are no failure.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let printer = Printer::new(args.quiet);
    let outcome = match &args.command {
        Command::Download(download) => commands::download::run(download, &printer),
        Command::Tokenize(tokenize) => commands::tokenize::run(tokenize, &printer),
        Command::Verify(verify) => commands::verify::run(verify, &printer),
        Command::Inspect(inspect) => commands::inspect::run(inspect, &printer),
        Command::Report(report) => commands::report::run(report, &printer),
        Command::Quickstart(quickstart) => commands::quickstart::run(quickstart, &printer),
        Command::Doctor(doctor) => commands::doctor::run(doctor, &printer),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.error(&error);
            Exit::of(&error).into()
        }
    }
}
