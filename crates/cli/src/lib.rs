//! The `mashbill` command as a library: arguments in, exit code out.
//!
//! Only here are arguments parsed, the environment read and text printed. stdout is
//! data, stderr is talk. Each command is one file in `commands`, which turns its
//! arguments into a stage's options and the stage's events into text.

mod args;
mod amount;
mod threads;
mod commands;
mod environment;
mod cache;
mod found_again;
mod interrupt;
mod left_out;
mod incomplete;
mod part;
mod progress;
mod out;
mod watch;
mod printer;
mod shown;
mod shell_word;
mod usage;
mod hints;
mod exit;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use mashbill_tokenizer::{Tokenizer, TokenizerOptions};

use args::{Args, Command};
use commands::tokenize::TokenizeArgs;
use exit::Exit;
use out::Unwritten;
use printer::Printer;

/// Runs the command that `arguments`, the program's name first, ask for, and gives its exit code.
/// `interpreter` is the Python that the command came with, if it came with one.
pub fn run(arguments: impl IntoIterator<Item = OsString>, interpreter: Option<&Path>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => {
            if error.use_stderr() {
                let command = args::named_command(&arguments);
                printer::usage(&error, &hints::arguments_hint(&error, command.as_deref()));
                return Exit::Usage.into();
            }
            // Help and version are what was asked for; they go to stdout and are no failure.
            let written = out::help(&error.render().ansi().to_string());
            return ended(written.map(|()| Exit::Done).map_err(Into::into), &Printer::new(false)).into();
        }
    };
    let printer = Printer::new(args.quiet);
    let outcome = match &args.command {
        Command::Download(download) => commands::download::run(download, &printer),
        Command::Tokenize(tokenize) => commands::tokenize::run(tokenize, &printer),
        Command::Verify(verify) => commands::verify::run(verify, &printer),
        Command::Inspect(inspect) => commands::inspect::run(inspect, &printer),
        Command::Report(report) => commands::report::run(report, &printer),
        Command::Train(train) => {
            commands::train::run(train, interpreter, args.quiet, || args::help_of("train"))
        }
        Command::Quickstart(quickstart) => commands::quickstart::run(quickstart, interpreter, &printer),
        Command::Doctor(doctor) => commands::doctor::run(doctor, interpreter, &printer),
    };
    ended(outcome, &printer).into()
}

/// Makes rows for a training from the text in `input`, as `mashbill tokenize` does: finished splits that are unchanged
/// stay, others are redone. Gives the exit code. `val_fraction` is the share of the documents that are held out.
pub fn tokenize_to_train(
    input: PathBuf,
    output: PathBuf,
    tokenizer: String,
    max_seq_length: usize,
    val_fraction: Option<f64>,
    quiet: bool,
) -> u8 {
    let printer = Printer::new(quiet);
    let args = TokenizeArgs {
        input,
        output: Some(output),
        recursive: true,
        skip_existing: true,
        tokenizer,
        max_seq_length,
        val_fraction,
        ..TokenizeArgs::default()
    };
    ended(commands::tokenize::run(&args, &printer), &printer).into()
}

/// How a command ended; an error is told.
fn ended(outcome: anyhow::Result<Exit>, printer: &Printer) -> Exit {
    outcome.unwrap_or_else(|error| {
        if matches!(error.downcast_ref(), Some(Unwritten::Closed)) {
            return Exit::Done;
        }
        printer.error(&error);
        Exit::of(&error)
    })
}

/// `text` as it can be shown on a terminal: what would steer it is spelled.
pub fn shown(text: &str) -> String {
    shown::Shown(text).to_string()
}

/// The curriculum's categories with the share of tokens that each is to have, in percent.
pub fn curriculum() -> Vec<(String, f64)> {
    let categories = mashbill_download::Catalog::embedded().curriculum.category;
    categories.into_iter().map(|category| (category.name, category.target_percent)).collect()
}

/// The files of the tokenizer that is called `name`, as `--tokenizer` takes it, by name: `tokenizer.json` and those
/// of `tokenizer_config.json` and `special_tokens_map.json` that it has.
///
/// # Errors
/// Where there is no such tokenizer, with the hint that the command gives on a line of its own.
pub fn tokenizer_files(name: &str) -> Result<Vec<(&'static str, String)>, String> {
    let found = environment::find_tokenizer(name, &Printer::new(true)).map_err(|error| told(&error))?;
    let others = [
        ("tokenizer_config.json", found.tokenizer_config),
        ("special_tokens_map.json", found.special_tokens_map),
    ];
    let there = others.into_iter().filter_map(|(name, text)| Some((name, text?)));
    Ok([("tokenizer.json", found.tokenizer_json)].into_iter().chain(there).collect())
}

/// Loads the tokenizer that is called `name`, as `--tokenizer` takes it, to encode texts with it. What fills rows up is
/// `pad_token`, where the files name nothing.
///
/// # Errors
/// Where there is no such tokenizer or it cannot be used, with the hint that the command gives on a line of its own.
pub fn tokenizer(name: &str, pad_token: Option<String>) -> Result<Tokenizer, String> {
    let options = TokenizerOptions { add_bos: true, pad_token, ..TokenizerOptions::NOTHING_ADDED };
    let load = || {
        let files = environment::find_tokenizer(name, &Printer::new(true))?;
        environment::load(&files, &options, cache::cache().ok().as_deref())
    };
    load().map_err(|error| told(&error))
}

/// An error, and its hint on a line of its own, as they can be shown on a terminal.
fn told(error: &anyhow::Error) -> String {
    let hint = hints::hint(error).map(|hint| format!("hint: {hint}"));
    let lines = [format!("{error:#}")].into_iter().chain(hint);
    lines.flat_map(|said| said.split('\n').map(shown).collect::<Vec<_>>()).collect::<Vec<_>>().join("\n")
}
