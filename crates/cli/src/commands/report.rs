//! `mashbill report`: a whole dataset on one page that needs nothing else.

mod page;
mod scripts;
mod tokenized;
mod records;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use clap::Args;
use mashbill_format::atomic;
use mashbill_format::verify::{self, FolderKind, Options};

use crate::exit::Exit;
use crate::hints::Usage;
use crate::printer::{Printer, size};

const EXAMPLES: &str = "\
Examples:
  mashbill report tokenized
  mashbill report data/distillation -o raw.html";

/// Put a whole dataset on one HTML page: shares, lengths, vocabulary, refusals, rows to look at
///
/// The page needs no network and no other file, and stays under 3 MB however large the dataset is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// A tokenized folder, or one with JSON Lines
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The page
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// The tokenizer, where the one that the manifest names is elsewhere now
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,
}

pub(crate) fn run(args: &ReportArgs, printer: &Printer) -> Result<Exit> {
    if !args.path.exists() {
        return Err(Usage::NotThere { path: args.path.clone() }.into());
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let nothing = || Usage::NothingToInspect { path: args.path.clone() };
    let report = verify::verify(&args.path, Options { threads }, &AtomicBool::new(false), &mut |_| {})?;
    let report = report.ok_or_else(nothing)?;
    let page = match report.kind {
        FolderKind::Tokenized => tokenized::gather(&args.path, args.tokenizer.as_deref(), &report, printer)?,
        FolderKind::Raw => records::gather(&args.path, &report)?,
    };
    let html = page.to_html()?;
    let temporary = args.output.with_extension(format!("tmp{}", std::process::id()));
    atomic::replace(&args.output, &temporary, html.as_bytes())?;
    printer.good("wrote", format_args!("{} ({})", args.output.display(), size(html.len() as u64)));
    if report.errors > 0 {
        printer.warning("verify found errors: they stand on top of the page");
        return Ok(Exit::Problems);
    }
    Ok(Exit::Done)
}
