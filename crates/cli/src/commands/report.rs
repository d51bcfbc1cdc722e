//! `mashbill report`: a whole dataset, or a training run, on one page that needs nothing else.

mod pass;
mod page;
mod names;
mod duplicates;
mod scripts;
mod targets;
mod tokenized;
mod records;
mod curve;
mod yaml;
pub(crate) mod training;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use mashbill_store::atomic;
use mashbill_verify::{FolderKind, folder_kind};

use self::pass::Pass;
use super::verify::names;
use crate::exit::Exit;
use crate::figures::{counted, size};
use crate::interrupt;
use crate::printer::Printer;
use crate::threads::threads;
use crate::training_run::is_run;
use crate::usage::Usage;

const EXAMPLES: &str = "\
Examples:
  mashbill report tokenized
  mashbill report data/distillation -o raw.html
  mashbill report runs/direct -o run.html";

/// Put a whole dataset on one HTML page: shares, lengths, vocabulary, refusals, rows to look at
///
/// The folder is verified in the same pass, and the verdict stands on top. Of the folder of a training run the page
/// shows losses, learning rate, speed, and the tokens seen by split. The page needs no network and no other file, and
/// stays under 3 MB however large the dataset or the run is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// A tokenized folder, one with JSON Lines or Parquet, or that of a training run
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The page
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// The tokenizer, where the one that the manifest names is elsewhere now
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,

    /// The field, or Parquet column, that holds the text of a record; given several times, the first that a record has. Of tokenized
    /// folders the manifest knows it
    #[arg(long, value_name = "NAME", default_value = "text", value_parser = NonEmptyStringValueParser::new())]
    text_field: Vec<String>,

    /// Threads that compute [default: what this machine or container has]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub(crate) fn run(args: &ReportArgs, printer: &Printer) -> Result<Exit> {
    if !args.path.exists() {
        return Err(Usage::NotThere { path: args.path.clone() }.into());
    }
    if is_run(&args.path) {
        let page = training::gather(&args.path)?;
        write(&args.output, &page::html(&page)?, printer)?;
        return Ok(Exit::Done);
    }
    let pass = Pass {
        threads: threads(args.threads)?,
        text_fields: names(&args.text_field),
        interrupted: interrupt::flag(printer)?,
        printer,
    };
    let page = match folder_kind(&args.path)? {
        Some(FolderKind::Tokenized) => {
            tokenized::gather(&args.path, args.tokenizer.as_deref(), &pass, printer)?
        }
        Some(FolderKind::Raw) => records::gather(&args.path, &pass)?,
        None => return Err(Usage::NothingToReport { path: args.path.clone() }.into()),
    };
    if page.verify.interrupted {
        printer.line("interrupted: no page was written");
        return Ok(Exit::Interrupted);
    }
    write(&args.output, &page::html(&page)?, printer)?;
    if page.verify.errors > 0 {
        printer.warning("verify found errors: they stand on top of the page");
        return Ok(Exit::Problems);
    }
    if page.verify.warnings > 0 {
        let warnings = counted(page.verify.warnings, "warning");
        printer.warning(format_args!("verify has {warnings}: see the top of the page"));
    }
    Ok(Exit::Done)
}

fn write(output: &Path, html: &str, printer: &Printer) -> Result<()> {
    let instead = if output.exists() { ", in place of the page that was there" } else { "" };
    let temporary = output.with_extension(format!("tmp{}", std::process::id()));
    atomic::replace(output, &temporary, html.as_bytes())?;
    printer.good("wrote", format_args!("{} ({}){instead}", output.display(), size(html.len() as u64)));
    Ok(())
}
