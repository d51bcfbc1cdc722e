//! `mashbill download`: the curriculum from the Hub, only what is missing.

mod changed;
pub(crate) mod untaken;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use mashbill_download::catalog::LeftOut;
use mashbill_download::plan::BudgetPlan;
use mashbill_download::status::{CategoryStatus, DatasetState, DatasetStatus, OwnFile};
use mashbill_download::{
    Budget, Catalog, Error as DownloadError, Event, Options, Plan, Report, Selection, Status,
};
use mashbill_format::catalog::{CatalogDataset, LicenseKind, SchemaStanding};
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::figures::{count, counted, duration, size};
use mashbill_format::layout::{Data, Output};
use mashbill_format::lock::Lock;
use mashbill_format::manifest::Manifest;
use mashbill_hub::{Hub, Settings, Transfer, Wait, sleep};
use mashbill_store::class::Class;
use mashbill_store::open;
use serde::Serialize;
use serde_json::json;

use crate::amount::{budget, bytes, rows};
use crate::environment::hub_settings;
use crate::exit::Exit;
use crate::hints::{download_hint, may_pass};
use crate::incomplete::tell_incomplete_as;
use crate::interrupt;
use crate::out::{self, Out};
use crate::printer::{Printer, error_text};
use crate::progress::ProgressView;
use crate::usage::Usage;
use crate::watch::watched;

/// The largest file of a user's datasets in bytes.
const CATALOG_BYTES_MAX: u64 = 16 << 20;

/// Columns of a bar.
const BAR_WIDTH: usize = 24;

const EXAMPLES: &str = "\
Examples:
  mashbill download --status-only
  mashbill download --category math_reasoning --dry-run
  mashbill download --budget 5B
  mashbill download --dataset gsm8k --dataset some-organization/some-dataset";

/// Fetch datasets from the Hugging Face Hub: only what is missing, as JSON Lines
///
/// By itself it fetches the curriculum: sixteen datasets with target shares of tokens, except those that have to be named
/// because of their licenses.
///
/// Each dataset becomes <output>/<category>/<name>.jsonl with <name>.stats.json beside it. <output>/curriculum.lock
/// records what the datasets were made of: commit it, and everyone gets the same bytes. To resume an interrupted run,
/// run the same command again; a run with nothing to do makes no request.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DownloadArgs {
    /// Only show what is there and what is missing
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) status_only: bool,

    /// Only show what would be fetched
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Only this category; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Vec<String>,

    /// Only this dataset, by name or as organization/name of the Hub; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Vec<String>,

    /// The folder for the categories
    #[arg(long, value_name = "DIR", default_value = "data/distillation")]
    pub(crate) output: PathBuf,

    /// How much to take in total, in the curriculum's shares: 5B or 300M tokens, or 20GB of text
    #[arg(long, value_name = "AMOUNT", value_parser = budget)]
    pub(crate) budget: Option<Budget>,

    /// Refuse to fetch more than this
    #[arg(long, value_name = "SIZE", default_value = "100GB", value_parser = bytes)]
    pub(crate) max_download: u64,

    /// Take at most this many records of each dataset
    #[arg(long, value_name = "ROWS", value_parser = rows)]
    pub(crate) max_rows: Option<u64>,

    /// Only these licenses, by id (mit) or kind (open, terms, non-commercial, unknown)
    #[arg(long, value_name = "LICENSE", value_delimiter = ',')]
    pub(crate) license_allow: Vec<String>,

    /// A file with datasets of your own; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Vec<PathBuf>,

    /// Take the datasets as they are now, not as the lock records them
    #[arg(long)]
    pub(crate) update: bool,

    /// Keep the fetched files after conversion, in <output>/.mashbill/download
    #[arg(long)]
    pub(crate) keep_raw: bool,

    /// Print the result as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl Default for DownloadArgs {
    /// The command without a flag.
    fn default() -> Self {
        Self {
            status_only: false,
            dry_run: false,
            category: Vec::new(),
            dataset: Vec::new(),
            output: "data/distillation".into(),
            budget: None,
            max_download: 100_000_000_000,
            max_rows: None,
            license_allow: Vec::new(),
            catalog: Vec::new(),
            update: false,
            keep_raw: false,
            json: false,
        }
    }
}

pub(crate) fn run(args: &DownloadArgs, printer: &Printer) -> Result<Exit> {
    run_with(args, hub_settings()?, printer)
}

/// The same where the Hub is reached as `settings` say.
pub(crate) fn run_with(args: &DownloadArgs, settings: Settings, printer: &Printer) -> Result<Exit> {
    let mut catalog = Catalog::embedded();
    let built_in = catalog.datasets.len();
    for path in &args.catalog {
        let text = open::read_text(path, CATALOG_BYTES_MAX)
            .map_err(|source| Usage::CatalogNotRead { path: path.clone(), source })?;
        catalog.add(path, &text)?;
    }
    let own: BTreeSet<String> = catalog.datasets[built_in..].iter().map(|own| own.repo.clone()).collect();
    let selected = catalog.select(&Selection {
        categories: args.category.clone(),
        datasets: args.dataset.clone(),
        licenses: args.license_allow.clone(),
    })?;
    tell_of_unknown_licenses(&selected.unknown_licenses, printer);
    let exact_tokens = exact_tokens(&args.output)?;
    if args.status_only {
        let data = Data::new(&args.output);
        let lock = Lock::read(&data.pins())?;
        let mut status = mashbill_download::status(&catalog, &data, &lock, &exact_tokens)?;
        let asked_for = selected.datasets.iter().map(|dataset| dataset.name.as_str());
        narrow(&mut status, args, &asked_for.collect());
        return print_status(&status, args.json);
    }
    let options = Options {
        output: args.output.clone(),
        budget: args.budget,
        max_download: args.max_download,
        max_rows: args.max_rows,
        update: args.update,
        keep_raw: args.keep_raw,
        exact_tokens,
    };
    let is_own = |dataset: &&CatalogDataset| own.contains(&dataset.repo);
    tell_of_token(&settings, selected.datasets.iter().filter(is_own), printer);
    let interrupted = interrupt::flag(printer)?;
    let wait = |wait: Wait<'_>| {
        let seconds = wait.duration.as_secs_f64().ceil();
        printer.line(format_args!("{}; retrying in {seconds:.0} s", wait.why));
        sleep(wait.duration, &interrupted);
    };
    let hub = Hub::new(settings, Transfer::default(), &interrupted, &wait);
    let plan = match watched(hub.waiting(), printer, || {
        mashbill_download::plan(&catalog, selected, options, &hub)
    }) {
        // Nothing was begun that could resume.
        Err(error) if error.class() == Class::Incomplete => {
            printer.error(&error.into());
            return Ok(Exit::Usage);
        }
        plan => plan?,
    };
    if args.dry_run {
        return print_plan(&plan, args.json, printer);
    }
    announce(&plan, printer);
    plan.check()?;
    let report = with_progress(&plan, &hub, &interrupted, printer)?;
    if args.json {
        print_json(&plan, &report)?;
    }
    summarize(&plan, &report, &args.output, printer);
    Ok(if plan.skipped.is_empty() && report.failed.is_empty() { Exit::Done } else { Exit::Incomplete })
}

fn tell_of_unknown_licenses(licenses: &[String], printer: &Printer) {
    for license in licenses {
        let kinds = LicenseKind::ALL.map(LicenseKind::name).join(", ");
        printer.warning(format_args!(
            "no dataset has the license `{}` given with --license-allow",
            license.escape_debug()
        ));
        printer
            .hint(format_args!("it takes ids such as apache-2.0, which `--status-only` shows, and {kinds}"));
    }
}

/// Says that the token is sent along for repositories that a file names, which may be a stranger's.
fn tell_of_token<'a>(settings: &Settings, own: impl Iterator<Item = &'a CatalogDataset>, printer: &Printer) {
    let repos: Vec<&str> = own.map(|dataset| dataset.repo.as_str()).collect();
    if let Some(token) = settings.token.as_ref().filter(|_| !repos.is_empty() && !settings.offline) {
        let (source, endpoint) = (token.source(), &settings.endpoint);
        printer.line(format_args!(
            "the token from {source} is also sent to {endpoint} for what `--catalog` names: {}",
            repos.join(", ")
        ));
    }
}

/// Tokens by split, where the folder was tokenized to the place that `tokenize` takes by itself.
fn exact_tokens(output: &Path) -> Result<BTreeMap<String, u64>> {
    let tokenized = super::tokenize::default_output(output);
    let manifest = Manifest::read(&Output::new(&tokenized).manifest())?;
    let splits = manifest.into_iter().flat_map(|manifest| manifest.splits);
    Ok(splits.map(|(name, split)| (name, split.tokens)).collect())
}

/// Leaves only what was asked for.
fn narrow(status: &mut Status, args: &DownloadArgs, asked_for: &BTreeSet<&str>) {
    if !args.category.is_empty() {
        status.categories.retain(|category| args.category.contains(&category.name));
    }
    if !args.dataset.is_empty() {
        for category in &mut status.categories {
            category.datasets.retain(|dataset| asked_for.contains(dataset.name.as_str()));
            category.by_name.clear();
        }
        status.categories.retain(|category| !category.datasets.is_empty());
    }
}

fn print_status(status: &Status, json: bool) -> Result<Exit> {
    if json {
        out::json(status)?;
        return Ok(Exit::Done);
    }
    let mut out = Out::new();
    for category in &status.categories {
        out.line(category_line(category))?;
        for dataset in &category.datasets {
            out.line(format_args!("  {}", dataset_line(dataset, &category.own).trim_end()))?;
        }
        let is_dataset = |file: &&OwnFile| category.datasets.iter().any(|dataset| dataset.name == file.name);
        for file in category.own.iter().filter(|file| !is_dataset(file)) {
            out.line(format_args!("  {}", own_line(file)))?;
        }
        if !category.by_name.is_empty() {
            out.line(format_args!("  taken only when named: {}", category.by_name.join(", ")))?;
        }
    }
    out.line(format_args!(
        "{} tokens in all{}",
        count(status.tokens),
        if status.tokens > 0 { "" } else { ": nothing is there yet" }
    ))?;
    out.finish()?;
    Ok(Exit::Done)
}

fn own_line(file: &OwnFile) -> String {
    let (word, from) = match &file.repo {
        Some(repo) => ("downloaded", format!(", from {repo}")),
        None => ("your own", String::new()),
    };
    format!("{:<18} {word:<9} {}{from}", file.name, own_size(file))
}

fn own_size(file: &OwnFile) -> String {
    let about = if file.tokens_are_exact { "" } else { "about " };
    format!("{}, {about}{} tokens", size(file.bytes), count(file.tokens))
}

fn category_line(category: &CategoryStatus) -> String {
    let filled = |percent: f64| ((percent / 100.0 * BAR_WIDTH as f64).round() as usize).min(BAR_WIDTH);
    let mut bar = vec!['#'; filled(category.percent)];
    bar.resize(BAR_WIDTH, '.');
    // Where the bar should end.
    let target = filled(category.target_percent).clamp(1, BAR_WIDTH) - 1;
    bar[target] = '|';
    format!(
        "{:<18} [{}] {:>5.1} % of tokens, target {} %",
        category.name,
        bar.into_iter().collect::<String>(),
        category.percent,
        category.target_percent
    )
}

fn dataset_line(dataset: &DatasetStatus, own: &[OwnFile]) -> String {
    let about = if dataset.tokens_are_exact { "" } else { "about " };
    let there = || {
        format!(
            "{}, {}, {about}{} tokens",
            counted(dataset.rows, "row"),
            size(dataset.bytes),
            count(dataset.tokens)
        )
    };
    let missing = || {
        let fetch = dataset.expected_download_bytes.map(|bytes| format!("{} to fetch", size(bytes)));
        let rows = dataset.expected_rows.map(|rows| counted(rows, "row"));
        let parts: Vec<String> = [rows, fetch].into_iter().flatten().collect();
        if parts.is_empty() { "size unknown".to_owned() } else { parts.join(", ") }
    };
    let (word, what) = match &dataset.state {
        DatasetState::Complete => ("complete", there()),
        DatasetState::Outdated(why) => ("outdated", format!("{}: {why}", there())),
        DatasetState::Partial => ("partial", missing()),
        DatasetState::Missing => ("missing", missing()),
        DatasetState::Foreign => {
            let size = own.iter().find(|file| file.name == dataset.name).map(own_size);
            let what = "a file of your own has that name, and is left alone";
            ("foreign", size.map_or_else(|| what.to_owned(), |size| format!("{size}: {what}")))
        }
    };
    let mut notes = Vec::new();
    if dataset.state != DatasetState::Complete {
        if dataset.gated {
            notes.push("gated: needs a token".to_owned());
        }
        if matches!(dataset.license_kind, LicenseKind::NonCommercial | LicenseKind::Unknown) {
            let license = license(&dataset.license, dataset.license_kind);
            notes.push(format!("taken only when named: license {license}"));
        }
        if dataset.schema == SchemaStanding::Unconfirmed {
            notes.push("columns unconfirmed".to_owned());
        }
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!("{:<18} {word:<9} {what}{notes}", dataset.name)
}

fn license(id: &str, kind: LicenseKind) -> String {
    if kind == LicenseKind::Unknown { id.to_owned() } else { format!("{id}, {}", kind.name()) }
}

fn print_plan(plan: &Plan, json: bool, printer: &Printer) -> Result<Exit> {
    if json {
        out::json(plan)?;
    } else {
        let mut out = Out::new();
        plan_lines(plan).iter().try_for_each(|line| out.line(line))?;
        out.finish()?;
    }
    tell_of_others(plan, printer);
    plan.check()?;
    tell_missing(plan, &[], printer);
    Ok(if plan.skipped.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// What a run does, line by line.
fn plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.budget.iter().flat_map(budget_lines).collect();
    for dataset in &plan.datasets {
        let part = match dataset.take.rows_per_million {
            1_000_000 => String::new(),
            rows => format!(", {:.1} % of the rows", f64::from(rows) / 1e4),
        };
        let why = match &dataset.why {
            DatasetState::Outdated(why) => format!("; redone: {why}"),
            DatasetState::Partial => "; resumes".to_owned(),
            _ => String::new(),
        };
        lines.push(format!(
            "{:<18} {} from {} at {}: {} to fetch{part}, {} tokens expected{why}",
            dataset.name,
            counted(dataset.files.len() as u64, "file"),
            dataset.repo,
            &dataset.commit[..dataset.commit.len().min(8)],
            size(dataset.download_bytes),
            count(dataset.est_tokens),
        ));
        let more = [untaken::files_line(&dataset.untaken), untaken::same_line(&dataset.files)];
        lines.extend(more.into_iter().flatten().map(|line| format!("  {line}")));
    }
    if !plan.kept.is_empty() {
        lines.push(format!(
            "{} already there: {}",
            counted(plan.kept.len() as u64, "dataset"),
            plan.kept.join(", ")
        ));
    }
    if plan.datasets.is_empty() {
        lines.push("nothing to fetch".into());
    } else {
        lines.push(format!(
            "{} to fetch: {}, about {} of disk, {}{}",
            counted(plan.datasets.len() as u64, "dataset"),
            size(plan.download_bytes),
            size(plan.disk_bytes),
            counted(plan.requests, "request"),
            match plan.requests_made {
                0 => String::new(),
                made => format!(" besides the {} for this plan", count(made)),
            },
        ));
    }
    lines
}

fn budget_lines(budget: &BudgetPlan) -> Vec<String> {
    let total: u64 = budget.categories.iter().map(|category| category.tokens).sum();
    let mut lines =
        vec![format!("a budget of about {} tokens comes to {}", count(budget.budget_tokens), count(total))];
    for category in budget.categories.iter().filter(|category| category.tokens > 0) {
        let percent = category.tokens as f64 / total.max(1) as f64 * 100.0;
        lines.push(format!(
            "  {:<18} {percent:>5.1} % (target {} %), {} tokens",
            category.name,
            category.target_percent,
            count(category.tokens)
        ));
    }
    if !budget.empty.is_empty() {
        lines.push(format!(
            "nothing is taken of these, so the others take their share: {}",
            budget.empty.join(", ")
        ));
    }
    if let Some(binding) = &budget.binding {
        lines.push(format!(
            "{binding} limits the total: all of it is taken, and more of the others would miss the shares"
        ));
    }
    lines
}

fn announce(plan: &Plan, printer: &Printer) {
    plan_lines(plan).iter().for_each(|line| printer.line(line));
    tell_of_others(plan, printer);
}

/// Says what is not taken, and how it could be.
fn tell_of_others(plan: &Plan, printer: &Printer) {
    if !plan.left_out.is_empty() {
        let names = plan.left_out.iter().map(|LeftOut { dataset, license: id, license_kind }| {
            format!("{dataset} (license {})", license(id, *license_kind))
        });
        printer.warning(format_args!(
            "left out because of their license: {}",
            names.collect::<Vec<_>>().join(", ")
        ));
        let flags = plan.left_out.iter().map(|left| format!("--dataset {}", left.dataset));
        printer.hint(format_args!("if you may use them, name them: {}", flags.collect::<Vec<_>>().join(" ")));
    }
    for (warning, hint) in plan.datasets.iter().flat_map(untaken::choices) {
        printer.warning(warning);
        printer.hint(hint);
    }
    for (name, error) in &plan.skipped {
        tell_of_failure(name, error, printer);
    }
}

fn tell_of_failure(name: &str, error: &DownloadError, printer: &Printer) {
    printer.warning(format_args!("{name} is not downloaded: {}", error_text(error)));
    if let Some(hint) = download_hint(error) {
        printer.hint(hint);
    }
}

fn with_progress(
    plan: &Plan,
    hub: &Hub<'_>,
    interrupted: &std::sync::atomic::AtomicBool,
    printer: &Printer,
) -> Result<Report> {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let mut view = ProgressView::new(printer);
    let report = mashbill_download::run(plan, hub, &host, interrupted, &mut |event| match event {
        Event::Progress(progress) => {
            let message = format!("{}: {}", progress.dataset, counted(progress.rows, "record"));
            view.show_bytes(progress.bytes, progress.bytes_total, message);
        }
        Event::Finished(stats) => view.suspend(|| {
            printer.good("done", finished(stats));
            let lines = [changed::changes_line(stats), untaken::columns_line(stats)];
            lines.iter().flatten().for_each(|line| printer.line(format_args!("  {line}")));
        }),
        Event::Failed { dataset, error } => view.suspend(|| tell_of_failure(dataset, error, printer)),
        _ => {}
    });
    view.finish();
    Ok(report?)
}

fn finished(stats: &DatasetStats) -> String {
    let counts = &stats.counts;
    let mut line = format!(
        "{}: {}, {}, about {} tokens",
        stats.dataset,
        counted(counts.rows_out, "record"),
        size(counts.jsonl_bytes),
        count(stats.est_tokens)
    );
    if let Some(max) = stats.take.max_rows.filter(|max| *max == counts.rows_out) {
        line.push_str(&format!("; stopped at the limit of {}", counted(max, "record")));
    }
    if counts.rows_not_sampled > 0 {
        line.push_str(&format!("; {} beyond the budget or limit", counted(counts.rows_not_sampled, "row")));
    }
    if counts.rejected_total() > 0 {
        let reasons = counts.rejected.iter().map(|(reason, rows)| format!("{reason} {}", count(*rows)));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        line.push_str(&format!("; {} refused ({reasons})", counted(counts.rejected_total(), "row")));
    }
    line
}

/// The result for programs.
fn print_json(plan: &Plan, report: &Report) -> Result<()> {
    #[derive(Serialize)]
    struct Failed<'a> {
        dataset: &'a str,
        error: String,
    }
    let failed = plan.skipped.iter().chain(&report.failed);
    let failed: Vec<_> =
        failed.map(|(dataset, error)| Failed { dataset, error: error_text(error) }).collect();
    let json = json!({
        "made": report.made,
        "kept": plan.kept,
        "failed": failed,
        "left_out": plan.left_out,
        "seconds": report.seconds,
    });
    out::json(&json)
}

fn summarize(plan: &Plan, report: &Report, output: &Path, printer: &Printer) {
    if !report.made.is_empty() {
        let records = report.made.iter().map(|stats| stats.counts.rows_out).sum();
        let moved = report.made.iter().map(|stats| stats.downloaded_bytes).sum();
        printer.line(format_args!(
            "{} with {} in {}: {} fetched in {}",
            counted(report.made.len() as u64, "dataset"),
            counted(records, "record"),
            output.display(),
            size(moved),
            duration(report.seconds),
        ));
    }
    tell_missing(plan, &report.failed, printer);
}

/// Tells at the end which datasets are not there.
fn tell_missing(plan: &Plan, failed: &[(String, DownloadError)], printer: &Printer) {
    let all_failed = || plan.skipped.iter().chain(failed);
    let missing: Vec<&str> = all_failed().map(|(name, _)| name.as_str()).collect();
    if missing.is_empty() {
        return;
    }
    let all = plan.datasets.len() + plan.kept.len() + plan.skipped.len();
    let were = if missing.len() == 1 { "was" } else { "were" };
    tell_incomplete_as("dataset", &format!("{were} not downloaded"), &missing, all, printer);
    let again = all_failed().filter(|(_, error)| may_pass(error)).map(|(name, _)| name.as_str());
    let again: Vec<&str> = again.collect();
    match again.len() {
        0 => printer.hint("each warning above says what to do"),
        some if some == missing.len() => printer.hint("run the same command again to retry"),
        _ => printer.hint(format_args!("run the same command again to retry: {}", again.join(", "))),
    }
}
