//! `mashbill quickstart`: the whole pipeline, offline, in seconds.
//!
//! It runs the commands that a user would, from option values, and prints each as it could be typed, so that a user can
//! repeat everything. Only the Hub is a stand-in, which the command serves to itself.

mod folders;
mod typed;
mod hub;
mod training;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::commands;
use crate::exit::Exit;
use crate::printer::Printer;
use folders::Folders;
use typed::say;

/// Run the whole pipeline on a few hundred real records that ship with mashbill: offline, in seconds
///
/// Downloads the records from a stand-in for the Hub on this machine, converts them to JSON Lines, tokenizes them with
/// the embedded gpt2 tokenizer, verifies both folders, and prints each command. A second run finds everything done.
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
    let folders = Folders::of(&args.output);
    let mut exit = hub::download(&folders, printer)?;
    if exit == Exit::Done {
        let args = folders.tokenize();
        say(&typed::tokenize(&args), printer);
        exit = commands::tokenize::run(&args, printer)?;
    }
    if exit == Exit::Done {
        let args = folders.verify();
        say(&typed::verify(&args), printer);
        exit = commands::verify::run(&args, printer)?;
    }
    match python {
        Some(python) if exit == Exit::Done => training::run(&folders, &python, printer),
        _ => Ok(exit),
    }
}
