//! `mashbill report`: a whole dataset, or a training run, on one page that needs nothing else.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use mashbill_download::Catalog;
use mashbill_format::figures::{counted, size};
use mashbill_format::layout::Output;
use mashbill_format::manifest::Manifest;
use mashbill_format::training_run::is_run;
use mashbill_report::{DatasetPage, Error as ReportError, Pass, Spell, of_records, of_run, of_tokenized};
use mashbill_store::atomic::{self, folder_of};
use mashbill_tokenizer::Tokenizer;
use mashbill_verify::{FolderKind, folder_kind};

use super::verify::{names, showing};
use crate::exit::Exit;
use crate::found_again::tokenizer_of;
use crate::hints::hint;
use crate::interrupt;
use crate::part::check_whole;
use crate::printer::{Printer, error_text};
use crate::threads::threads;
use crate::usage::Usage;

const EXAMPLES: &str = "\
Examples:
  mashbill report tokenized
  mashbill report data/distillation -o raw.html
  mashbill report runs/direct -o run.html";

/// Put a whole dataset on one HTML page: shares, lengths, vocabulary, refusals, sample rows
///
/// The folder is verified in the same pass, and the verdict is at the top. For the folder of a training run, the page
/// shows losses, learning rate, speed, and the tokens seen by split. The page needs no network and no other file, and
/// stays under 3 MB however large the dataset or the run is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// A tokenized folder, a folder with JSON Lines or Parquet, or the folder of a training run
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The file to write the page to
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// The tokenizer, if the one that the manifest names has moved
    #[arg(long, value_name = "NAME")]
    tokenizer: Option<String>,

    /// The field or Parquet column that holds a record's text. May be given several times: the first that a record has
    /// counts. For tokenized folders the manifest names it
    #[arg(long, value_name = "NAME", default_value = "text", value_parser = NonEmptyStringValueParser::new())]
    text_field: Vec<String>,

    /// Worker threads [default: the cores of this machine or container]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub(crate) fn run(args: &ReportArgs, printer: &Printer) -> Result<Exit> {
    if !args.path.exists() {
        return Err(Usage::NotThere { path: args.path.clone() }.into());
    }
    check_whole(&args.path, "report")?;
    check_output(&args.output)?;
    if is_run(&args.path) {
        write(&args.output, &of_run(&args.path)?.html(), printer)?;
        return Ok(Exit::Done);
    }
    let page = page(args, printer)?;
    if page.verify.interrupted {
        printer.line("interrupted: no page was written");
        return Ok(Exit::Interrupted);
    }
    write(&args.output, &page.html(), printer)?;
    if page.verify.errors > 0 {
        printer.warning("verify found errors: see the top of the page");
        return Ok(Exit::Problems);
    }
    if page.verify.warnings > 0 {
        let warnings = counted(page.verify.warnings, "warning");
        printer.warning(format_args!("verify found {warnings}: see the top of the page"));
    }
    Ok(Exit::Done)
}

/// Fails where the page could not be written: before the data are read, which may take long.
fn check_output(output: &Path) -> Result<(), Usage> {
    let folder = folder_of(output);
    if output.is_dir() {
        Err(Usage::PageIsFolder { path: output.to_owned() })
    } else if !folder.exists() {
        Err(Usage::NoFolderForPage { path: output.to_owned(), folder: folder.to_owned() })
    } else {
        Ok(())
    }
}

/// The page of a dataset, from the pass that verifies it.
fn page(args: &ReportArgs, printer: &Printer) -> Result<DatasetPage> {
    let nothing = || ReportError::Nothing { path: args.path.clone() };
    let interrupted = interrupt::flag(printer)?;
    let pass = Pass {
        threads: threads(args.threads)?,
        text_fields: &names(&args.text_field),
        curriculum: &Catalog::embedded().curriculum,
        interrupted: &interrupted,
    };
    match folder_kind(&args.path)?.ok_or_else(nothing)? {
        FolderKind::Tokenized => {
            let no_manifest = || Usage::no_manifest(&args.path);
            let manifest = Manifest::read(&Output::new(&args.path).manifest())?.ok_or_else(no_manifest)?;
            let tokenizer = tokenizer(args, &manifest, printer);
            let spell = tokenizer.as_ref().map(|tokenizer| |ids: &[u32]| tokenizer.spell(ids));
            let spell = spell.as_ref().map(|spell| spell as Spell<'_>);
            let page = showing(printer, |told| of_tokenized(&args.path, &manifest, spell, &pass, told));
            Ok(page?)
        }
        FolderKind::Raw => Ok(showing(printer, |told| of_records(&args.path, &pass, told))?),
    }
}

/// The folder's tokenizer; where it can't be found again, that is said.
fn tokenizer(args: &ReportArgs, manifest: &Manifest, printer: &Printer) -> Option<Tokenizer> {
    let found = tokenizer_of(&args.path, manifest, args.tokenizer.as_deref(), printer);
    found
        .map_err(|error| {
            printer.warning(format_args!("tokens are shown as ids: {}", error_text(error.as_ref())));
            if let Some(hint) = hint(&error) {
                printer.hint(hint);
            }
        })
        .ok()
}

fn write(output: &Path, html: &str, printer: &Printer) -> Result<()> {
    let instead = if output.exists() { ", overwriting the page that was there" } else { "" };
    let temporary = output.with_extension(format!("tmp{}", std::process::id()));
    atomic::replace(output, &temporary, html.as_bytes())?;
    printer.good("wrote", format_args!("{} ({}){instead}", output.display(), size(html.len() as u64)));
    Ok(())
}
