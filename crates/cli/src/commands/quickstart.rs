//! `mashbill quickstart`: the whole way, offline, in seconds.
//!
//! It runs the commands that a user would, and says them, so that nothing happens here which they could
//! not repeat. Only the Hub is a stand-in, which the command serves to itself.

mod spoken;
mod hub;
mod training;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::commands;
use crate::exit::Exit;
use crate::printer::Printer;
use spoken::spoken;

/// Go the whole way on a few hundred real records that ship with mashbill: offline, in seconds
///
/// Downloads the records from a stand-in of the Hub on this machine, converts them to JSON Lines, tokenizes them with
/// the embedded gpt2 tokenizer, verifies both folders, and says each command. A second run finds everything done.
#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// The folder to put everything in
    #[arg(long, value_name = "DIR", default_value = "mashbill-quickstart")]
    output: PathBuf,

    /// Then train a small model on them, in under three minutes on two CPU cores; needs the Python package: in mashbill's
    /// source tree, pip install './python[train]'
    #[arg(long)]
    train: bool,
}

pub(crate) fn run(args: &QuickstartArgs, interpreter: Option<&Path>, printer: &Printer) -> Result<Exit> {
    let python = args.train.then(|| commands::train::python(interpreter)).transpose()?;
    let [data, tokenized] = ["data", "tokenized"].map(|name| args.output.join(name).display().to_string());
    let mut exit = hub::download(&args.output, &data, printer)?;
    if exit == Exit::Done {
        exit = tokenize(&data, &tokenized, printer)?;
    }
    if exit == Exit::Done {
        exit = verify(&data, &tokenized, printer)?;
    }
    match python {
        Some(python) if exit == Exit::Done => training::run(&args.output, &python, printer),
        _ => Ok(exit),
    }
}

fn tokenize(data: &str, tokenized: &str, printer: &Printer) -> Result<Exit> {
    let fixed = ["--recursive", "--tokenizer", "gpt2", "--max-seq-length", "512"];
    let words = [fixed.as_slice(), &["--input", data, "--output", tokenized]].concat();
    commands::tokenize::run(&spoken("tokenize", &words, printer)?, printer)
}

fn verify(data: &str, tokenized: &str, printer: &Printer) -> Result<Exit> {
    commands::verify::run(&spoken("verify", &[data, tokenized], printer)?, printer)
}
