//! `mashbill verify`: whether folders hold what they say they hold.

use std::mem::discriminant;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use mashbill_download::Error as DownloadError;
use mashbill_format::figures::{count, counted, duration, size};
use mashbill_format::find::is_output;
use mashbill_format::layout::{Data, Output};
use mashbill_format::manifest::Manifest;
use mashbill_format::training_run::{CONFIG, is_run};
use mashbill_tokenize::audit;
use mashbill_verify::{
    Event, FolderKind, Problem, ProblemKind, Remedy, Report, Severity, folder_kind, records_below,
};
use serde::Serialize;

use crate::exit::Exit;
use crate::found_again::tokenizer_of;
use crate::hints::{folder_with_lock, remedy_hint, remedy_hints};
use crate::interrupt;
use crate::out;
use crate::part::check_whole;
use crate::printer::Printer;
use crate::progress::ProgressView;
use crate::threads::threads;
use crate::usage::Usage;

const EXAMPLES: &str = "\
Examples:
  mashbill verify data/distillation
  mashbill verify data/distillation_preprocessed
  mashbill verify tokenized --json | jq '.folders[].problems[] | .place.file + \": \" + .detail'";

/// Check that folders hold what they should: records in JSON and Parquet, every byte of tokenized shards
///
/// Records: every line or row is a record, none appears twice, and a download's records match its statistics and
/// curriculum.lock. Tokenized folders: the manifest's sums and identities are recomputed, and every shard is compared
/// with it and with the document table: checksum, rows, lengths, ids, masks, labels, documents. Each problem says
/// where it is, what is wrong, and how to fix it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Folders to check
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Also read the sources again: compare every document of tokenized folders with its source, id by id, and the
    /// fetched files of a download, if they were kept, with the lock
    #[arg(long)]
    pub(crate) deep: bool,

    /// The share of documents that the reference encodes in a deep check, 0 to 1, besides those that have what no document
    /// before them had; a fast engine does the rest
    #[arg(long, value_name = "SHARE", default_value = "0.01", requires = "deep")]
    pub(crate) sample: f64,

    /// Where the sources are now, for a deep check [default: where they were]
    #[arg(long, value_name = "PATH", requires = "deep")]
    pub(crate) source: Option<PathBuf>,

    /// The tokenizer for a deep check, if the one that the manifest names has moved
    #[arg(long, value_name = "NAME", requires = "deep")]
    pub(crate) tokenizer: Option<String>,

    /// The field or Parquet column that holds a record's text. May be given several times: the first that a record has
    /// counts. For tokenized folders the manifest names it
    #[arg(long, value_name = "NAME", default_value = "text", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) text_field: Vec<String>,

    /// Worker threads [default: the cores of this machine or container]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Print the result as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl Default for VerifyArgs {
    /// The command without a flag, and without a folder.
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            deep: false,
            sample: 0.01,
            source: None,
            tokenizer: None,
            text_field: vec!["text".into()],
            threads: None,
            json: false,
        }
    }
}

pub(crate) fn run(args: &VerifyArgs, printer: &Printer) -> Result<Exit> {
    let threads = threads(args.threads)?;
    if !(0.0..=1.0).contains(&args.sample) {
        return Err(Usage::Sample { given: args.sample }.into());
    }
    let named = args.paths.iter().map(|path| check_path(path));
    named.collect::<Result<()>>()?;
    if let Some(path) = args.source.as_ref().filter(|path| !path.exists()) {
        return Err(Usage::NotThere { path: path.clone() }.into());
    }
    let interrupted = interrupt::flag(printer)?;
    let mut reports = Vec::new();
    for path in &with_validation(&args.paths) {
        let started = Instant::now();
        let fields = names(&args.text_field);
        let report = showing(printer, |told| {
            mashbill_verify::gathering(path, &fields, &mut vec![(); threads], &interrupted, told)
        })?;
        let mut report = report.ok_or_else(|| Usage::NothingToVerify { path: path.to_owned() })?;
        if args.deep && !report.interrupted {
            match report.kind {
                FolderKind::Tokenized => deep(args, &mut report, threads, &interrupted, printer)?,
                FolderKind::Raw => deep_raw(&mut report, &interrupted, printer)?,
            }
        }
        say(&report, started.elapsed().as_secs_f64(), printer);
        if report.interrupted {
            return Ok(Exit::Interrupted);
        }
        reports.push(report);
    }
    if args.json {
        print_json(&reports)?;
    }
    Ok(exit_of(&reports))
}

/// How the command ends: problems weigh more than a folder of which nothing is finished yet.
fn exit_of(reports: &[Report]) -> Exit {
    if reports.iter().all(Report::is_good) {
        Exit::Done
    } else if reports.iter().all(|report| report.is_good() || report.is_unfinished()) {
        Exit::Incomplete
    } else {
        Exit::Problems
    }
}

/// Fails where there is nothing to verify at `path`: of several paths each is looked at before the first is read.
fn check_path(path: &Path) -> Result<()> {
    if !path.exists() {
        return Err(Usage::NotThere { path: path.to_owned() }.into());
    }
    check_whole(path, "verify")?;
    let is_of_training = is_run(path) && path.join(CONFIG).exists() && !is_output(path);
    if is_of_training || folder_kind(path)?.is_none() {
        return Err(Usage::NothingToVerify { path: path.to_owned() }.into());
    }
    Ok(())
}

/// The folders, and after each the one with the documents that are held out of it.
fn with_validation(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    for path in paths {
        let output = Output::new(path);
        let manifest = Manifest::read(&output.manifest()).ok().flatten();
        let held_out = manifest.and_then(|manifest| manifest.options.held_out);
        let validation = held_out.map(|_| output.validation()).filter(|other| other.manifest().exists());
        for path in
            [Some(path.clone()), validation.map(|other| other.root().to_owned())].into_iter().flatten()
        {
            // Somebody may name both.
            if !all.contains(&path) {
                all.push(path);
            }
        }
    }
    all
}

/// Shows how far a pass over a folder is, while `act` makes it and tells what happens.
pub(super) fn showing<T>(printer: &Printer, act: impl FnOnce(&mut dyn FnMut(Event)) -> T) -> T {
    let started = Instant::now();
    let mut view = ProgressView::new(printer);
    let done = act(&mut |event| {
        if let Event::Progress(progress) = event {
            let seconds = started.elapsed().as_secs_f64().max(1e-9);
            let mut message = format!("{:.0} MB/s", progress.bytes as f64 / 1e6 / seconds);
            if progress.problems > 0 {
                message.push_str(&format!("  {}", counted(progress.problems, "problem")));
            }
            view.show_bytes(progress.bytes, progress.bytes_total, message);
        }
    });
    view.finish();
    done
}

/// Names as the libraries take them.
pub(super) fn names(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Whether nothing is wrong but that a source is not there.
fn is_only_gone(report: &Report) -> bool {
    let mut errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.all(|problem| problem.kind == ProblemKind::SourceGone)
}

/// Compares a tokenized folder with its sources.
fn deep(
    args: &VerifyArgs,
    report: &mut Report,
    threads: usize,
    interrupted: &AtomicBool,
    printer: &Printer,
) -> Result<()> {
    let output = Output::new(&report.path);
    // Without a manifest that has been told.
    let Ok(Some(manifest)) = Manifest::read(&output.manifest()) else { return Ok(()) };
    let tokenizer = tokenizer_of(output.root(), &manifest, args.tokenizer.as_deref(), printer)?;
    let options = audit::AuditOptions { source: args.source.clone(), sample: args.sample, threads };
    let audited = audit::audit(&output, &manifest, &tokenizer, &options, interrupted)?;
    let documents = counted(audited.documents, "document");
    let share = 100.0 * audited.by_reference as f64 / audited.documents.max(1) as f64;
    printer.line(format_args!(
        "{documents} encoded again from the source, {} of them ({share:.1} %) by the reference",
        count(audited.by_reference)
    ));
    if audited.given_up > 0 {
        printer.warning(format_args!(
            "{} more than the reference can encode: encoded again by the engine in use only",
            if audited.given_up == 1 {
                "1 document is".into()
            } else {
                format!("{} documents are", count(audited.given_up))
            }
        ));
    }
    report.add(audited.problems);
    Ok(())
}

/// Compares the fetched files of downloaded datasets with the lock, where they were kept.
fn deep_raw(report: &mut Report, interrupted: &AtomicBool, printer: &Printer) -> Result<()> {
    let Some(folder) = folder_with_lock(&report.path) else {
        printer.line("there is no curriculum.lock: a deep check has nothing to compare with");
        return Ok(());
    };
    let records = records_below(&report.path)?.files;
    let is_below = |name: &str| folder == report.path || records.iter().any(|file| file.stem == name);
    let audited = match mashbill_download::audit::audit(&Data::new(&folder), &is_below, interrupted) {
        Err(DownloadError::Interrupted) => {
            report.interrupted = true;
            return Ok(());
        }
        // That the lock cannot be read was told.
        Err(DownloadError::Format(_)) => return Ok(()),
        audited => audited?,
    };
    printer.line(format_args!(
        "{} hashed again and compared with the lock",
        counted(audited.files, "fetched file")
    ));
    if audited.not_kept > 0 {
        printer.line(format_args!(
            "{} not kept (`mashbill download --keep-raw` keeps them)",
            counted(audited.not_kept, "other")
        ));
    }
    report.bytes += audited.bytes;
    report.add(audited.problems);
    Ok(())
}

/// Whether a problem of this kind means that bytes are others than those that were written.
const fn is_damage(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::Checksum | ProblemKind::Size)
}

/// Says what is wrong, and under problems that are mended in the same way how.
fn say_problems(report: &Report, printer: &Printer) {
    let mut told: Vec<String> = Vec::new();
    let alike = |one: &Problem, other: &Problem| discriminant(&one.remedy) == discriminant(&other.remedy);
    for problems in report.problems.chunk_by(alike) {
        problems.iter().for_each(|problem| say_problem(problem, printer));
        let remedies: Vec<&Remedy> = problems.iter().map(|Problem { remedy, .. }| remedy).collect();
        for hint in remedy_hints(&remedies, &report.path) {
            if !told.contains(&hint) {
                printer.hint(&hint);
                told.push(hint);
            }
        }
    }
    let kept =
        |severity| report.problems.iter().filter(|problem| problem.severity == severity).count() as u64;
    let more = |all: u64, severity, noun: &str| {
        let more = all.saturating_sub(kept(severity));
        (more > 0).then(|| format!("and {} of the same kinds", counted(more, noun)))
    };
    more(report.errors, Severity::Error, "more error").iter().for_each(|line| printer.problem(line));
    more(report.warnings, Severity::Warning, "more warning").iter().for_each(|line| printer.warning(line));
}

fn say_problem(problem: &Problem, printer: &Printer) {
    let Problem { place, detail, kind, severity, .. } = problem;
    // Why a line is none is a word of its own at the end.
    let kind = if *kind == ProblemKind::Line { String::new() } else { format!(" ({})", kind.name()) };
    match severity {
        Severity::Error => printer.problem(format_args!("{place}: {detail}{kind}")),
        Severity::Warning => printer.warning(format_args!("{place}: {detail}{kind}")),
    }
}

fn say(report: &Report, seconds: f64, printer: &Printer) {
    say_problems(report, printer);
    let path = report.path.display();
    let counts = match report.kind {
        FolderKind::Tokenized => format!(
            "{}, {}, {} tokens",
            counted(report.documents, "document"),
            counted(report.rows, "row"),
            count(report.tokens)
        ),
        FolderKind::Raw => {
            let files = counted(report.files, "file");
            format!("{files}, {}, {}", counted(report.rows, "line"), counted(report.documents, "record"))
        }
    };
    let what = format!("{counts}, {} in {}", size(report.bytes), duration(seconds));
    if report.interrupted {
        printer.line(format_args!("{path}: interrupted before everything was checked"));
    } else if report.errors > 0 && is_only_gone(report) {
        printer.line(format_args!("{path} is good, but its source is not there to compare it with: {what}"));
    } else if report.errors > 0 {
        let is_damaged = report.problems.iter().any(|problem| is_damage(problem.kind));
        let has = if is_damaged { "is damaged:" } else { "has" };
        printer.line(format_args!("{path} {has} {} ({what})", counted(report.errors, "error")));
    } else if report.is_unfinished() {
        printer.line(format_args!("{path}: nothing is finished yet, so nothing was checked"));
    } else if report.warnings > 0 {
        let warnings = counted(report.warnings, "warning");
        printer.good("verified", format_args!("{path}, with {warnings}: {what}"));
    } else {
        printer.good("verified", format_args!("{path}: {what}"));
    }
}

/// The result for programs.
#[derive(Serialize)]
struct Json<'a> {
    good: bool,
    folders: Vec<JsonFolder<'a>>,
}

#[derive(Serialize)]
struct JsonFolder<'a> {
    #[serde(flatten)]
    report: &'a Report,
    good: bool,
    /// What mends each problem, as it is typed.
    hints: Vec<String>,
}

fn print_json(reports: &[Report]) -> Result<()> {
    let folders = reports.iter().map(|report| JsonFolder {
        report,
        good: report.is_good(),
        hints: report.problems.iter().map(|problem| remedy_hint(&problem.remedy, &report.path)).collect(),
    });
    let json = Json { good: reports.iter().all(Report::is_good), folders: folders.collect() };
    out::json(&json)
}
