//! `mashbill quickstart`: the whole way, offline, in seconds.

mod training;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Parser};
use mashbill_format::atomic;

use crate::args::{Args as CommandLine, Command};
use crate::commands;
use crate::exit::Exit;
use crate::hints::Usage;
use crate::printer::Printer;

/// The records that ship with the command, with the licences they came under: see `data/README.md`.
const DATA: [(&str, &str); 3] = [
    ("math_reasoning/gsm8k.jsonl", include_str!("../../data/gsm8k.jsonl")),
    ("code/human_eval.jsonl", include_str!("../../data/human_eval.jsonl")),
    ("factual_qa/nq_open.jsonl", include_str!("../../data/nq_open.jsonl")),
];

/// Go the whole way on a few hundred real records that ship with mashbill: offline, in seconds
///
/// Writes the records as JSONL, tokenizes them with the embedded gpt2 tokenizer and says what came out.
#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// The folder to put everything in
    #[arg(long, value_name = "DIR", default_value = "mashbill-quickstart")]
    output: PathBuf,

    /// Then train a small model on them, in under three minutes on two CPU cores; needs the Python package:
    /// pip install 'mashbill[train]'
    #[arg(long)]
    train: bool,
}

pub(crate) fn run(args: &QuickstartArgs, interpreter: Option<&Path>, printer: &Printer) -> Result<Exit> {
    let python = args.train.then(|| commands::train::python(interpreter)).transpose()?;
    let data = args.output.join("data");
    write_data(&data)?;
    printer.good("wrote", format_args!("the records that ship with mashbill to {}", data.display()));
    let output = args.output.join("tokenized");
    let command = [
        "mashbill",
        "tokenize",
        "--recursive",
        "--tokenizer",
        "gpt2",
        "--max-seq-length",
        "512",
        "--input",
        &data.display().to_string(),
        "--output",
        &output.display().to_string(),
    ]
    .map(str::to_owned);
    printer.line(format_args!("running: {}", command.join(" ")));
    let parsed = CommandLine::try_parse_from(command)?;
    let Command::Tokenize(tokenize) = parsed.command else { unreachable!("it is spelled above") };
    let exit = commands::tokenize::run(&tokenize, printer)?;
    match python {
        Some(python) if exit == Exit::Done => training::run(&args.output, &python, printer),
        _ => Ok(exit),
    }
}

/// Writes the records into folders by category. Files that are there already with these contents are left
/// alone, so that a second run finds its splits finished.
fn write_data(folder: &Path) -> Result<()> {
    for (name, contents) in DATA {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(found) if found == contents.as_bytes() => continue,
            Ok(_) => return Err(Usage::NotOurFolder { path }.into()),
            Err(_) => {}
        }
        let parent = path.parent().expect("a name with a folder");
        atomic::create_folder(parent)?;
        atomic::replace(&path, &parent.join(".quickstart.tmp"), contents.as_bytes())?;
    }
    Ok(())
}
