//! `mashbill tokenize`: JSONL folders to packed shards.

mod arguments;
pub(crate) mod chat;
mod json;
mod outcome;
mod refused;
pub(crate) mod template_notes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use mashbill_format::figures::{count, counted, duration, size};
use mashbill_format::held_out::{DatasetPart, HeldOut};
use mashbill_format::layout::{Output, ShardId};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{self, Manifest, Packing, ShardFile, Split};
use mashbill_format::shard::{PageScratch, ShardPages};
use mashbill_format::stats::Stats;
use mashbill_parquet::encode::Compression;
use mashbill_records::FileKind;
use mashbill_records::conversation::Changes;
use mashbill_tokenize::input::SplitNames;
use mashbill_tokenize::plan::{FinishedSplits, SplitPlan, Why};
use mashbill_tokenize::{Event, Options, PartReport, Plan, Report, plan};
use mashbill_tokenizer::{Tokenizer, TokenizerOptions};

use arguments::{CompressionArg, SplitNamesArg};
pub(crate) use arguments::{TokenizeArgs, special_tokens};

use crate::environment::{find_tokenizer, load_tokenizer};
use crate::exit::Exit;
use crate::found_again::keep;
use crate::hints::hints_for_failed_splits;
use crate::interrupt;
use crate::left_out::{tell_left_out, tell_not_entered, tell_others};
use crate::printer::{Printer, error_text};
use crate::progress::ProgressView;
use crate::threads::threads;
use crate::usage::Usage;

/// Numbers of shards that are spelled out.
const SHARDS_SPELLED: usize = 12;

/// Seconds that a shard takes from which on that is said.
const SHARD_SECONDS_TOLD: f64 = 120.0;

/// The smallest size of a shard in GB: a kilobyte.
const SHARD_SIZE_MIN: f64 = 1e-6;

/// How labels are to be used, where all tokens are learned and where some are.
const LABELS: &str = "labels are shifted already: labels[i] is the token after input_ids[i]. Hugging Face models shift once more by \
                      themselves: give them input_ids as labels, not this column";
const MASKED_LABELS: &str = "only part of the tokens is learned: labels[i] is the token after input_ids[i], or -100 where that is not \
                             learned. input_ids as labels would train on all, the prompts included";

/// Tokens of the first document that are spelled out at the end.
const TOKENS_SHOWN: usize = 12;

pub(crate) fn run(args: &TokenizeArgs, printer: &Printer) -> Result<Exit> {
    let mut options = options(args)?;
    // A missing input is found out before a second is spent on the tokenizer.
    mashbill_tokenize::input::discover(
        &options.input,
        &options.output,
        options.recursive,
        options.split_names,
    )?;
    let files = find_tokenizer(&args.tokenizer, printer)?;
    let tokenizer = Arc::new(load_tokenizer(&files, &tokenizer_options(args), printer)?);
    keep(&files, &tokenizer.identity().sha256);
    options.bytes.chat = chat::chat(&args.chat, &files, &tokenizer)?;
    if let Some(template) = options.bytes.template() {
        template_notes::tell(template, &tokenizer, printer)?;
    }
    let plan = plan(&options, tokenizer.identity())?;
    announce(&plan, printer);
    announce_shards(plan.seconds_per_shard(tokenizer.engine()), printer);
    let report = with_progress(plan, &tokenizer, printer)?;
    if args.json {
        json::print(&report)?;
    }
    let is_whole = summarize(&report, args, &options, &tokenizer, printer)?;
    Ok(if is_whole { Exit::Done } else { Exit::Incomplete })
}

/// Fails where a value is out of its range.
fn check_ranges(args: &TokenizeArgs) -> std::result::Result<(), Usage> {
    if !(2..=1 << 24).contains(&args.max_seq_length) {
        return Err(Usage::MaxSeqLength { given: args.max_seq_length });
    }
    if !(args.shard_size.is_finite() && args.shard_size >= SHARD_SIZE_MIN) {
        return Err(Usage::ShardSize { given: args.shard_size });
    }
    if !(1..1 << 30).contains(&args.max_document) {
        return Err(Usage::MaxDocument { given: args.max_document });
    }
    if let Some(given) = args.val_fraction.filter(|&fraction| !HeldOut::is_fraction(fraction)) {
        return Err(Usage::ValFraction { given });
    }
    if !(0.0..=1.0).contains(&args.warn_rejected) {
        return Err(Usage::WarnRejected { given: args.warn_rejected });
    }
    Ok(())
}

fn options(args: &TokenizeArgs) -> Result<Options> {
    check_ranges(args)?;
    args.chat.check()?;
    if args.chat.takes_only_chats() && text_fields(args) != ("text".to_owned(), Vec::new()) {
        return Err(Usage::TextFieldUnused.into());
    }
    let (text_field, other_text_fields) = text_fields(args);
    let threads = threads(args.threads)?;
    let compression = match args.compression {
        CompressionArg::Snappy => Compression::Snappy,
        CompressionArg::Zstd => Compression::Zstd,
        CompressionArg::None => Compression::None,
    };
    let shard_bytes = (args.shard_size * 1e9) as u64;
    Ok(Options {
        input: args.input.clone(),
        output: args.output.clone().unwrap_or_else(|| default_output(&args.input)),
        recursive: args.recursive,
        split_names: match args.split_names {
            SplitNamesArg::Stem => SplitNames::Stem,
            SplitNamesArg::Path => SplitNames::Path,
            SplitNamesArg::Parts => SplitNames::Parts,
            SplitNamesArg::Folder => SplitNames::Folder,
        },
        shard_size_gb: args.shard_size,
        bytes: manifest::ShardOptions {
            max_seq_length: args.max_seq_length,
            shard_bytes,
            stride_bytes: manifest::ShardOptions::stride_of(shard_bytes, compression),
            packing: Packing::Concat,
            compression,
            text_field,
            other_text_fields,
            max_document_bytes: args.max_document,
            chat: None,
            held_out: args.val_fraction.map(|fraction| HeldOut { fraction, part: DatasetPart::Train }),
        },
        finished: match (args.force, args.skip_existing) {
            (true, _) => FinishedSplits::RedoAll,
            (false, true) => FinishedSplits::RedoDifferent,
            (false, false) => FinishedSplits::Keep,
        },
        rehash: args.rehash,
        prune: args.prune,
        strict: args.strict,
        threads,
        task_bytes: args.task_size,
    })
}

/// The first text field, and the others, each once.
fn text_fields(args: &TokenizeArgs) -> (String, Vec<String>) {
    let mut fields: Vec<String> = Vec::new();
    for field in &args.text_field {
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }
    let others = fields.split_off(1);
    (fields.swap_remove(0), others)
}

/// `data/chat` becomes `data/chat_preprocessed`, and `chat.jsonl` becomes `chat_preprocessed`.
pub(crate) fn default_output(input: &Path) -> PathBuf {
    let named =
        if input.file_name().is_some() { input.to_owned() } else { crate::environment::absolute(input) };
    let mut name = named.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if named.is_file()
        && let Some((stem, _)) = FileKind::of(&name)
    {
        name = stem.to_owned();
    }
    named.with_file_name(format!("{name}_preprocessed"))
}

fn tokenizer_options(args: &TokenizeArgs) -> TokenizerOptions {
    TokenizerOptions {
        // Nothing is put around what a template makes.
        add_bos: !args.no_bos && !args.chat.takes_only_chats(),
        add_eos: !args.no_eos && !args.chat.takes_only_chats(),
        eos_token: args.eos_token.clone(),
        pad_token: args.pad_token.clone(),
        special_tokens_in_text: args.special_tokens_in_text,
    }
}

fn announce(plan: &Plan, printer: &Printer) {
    tell_left_out(&plan.left_out, &plan.options.input, printer);
    tell_others(&plan.others, printer);
    tell_not_entered(&plan.not_entered, printer);
    if let Some(first) = plan.apart.first() {
        let more = match plan.apart.len() - 1 {
            0 => String::new(),
            more => format!(", and {} more,", counted(more as u64, "group")),
        };
        printer.line(format_args!(
            "{first}{more} look like parts of one dataset, but each file is a split of its own"
        ));
        printer.hint("`--split-names parts` makes one split of them");
    }
    if plan.nothing_held_out {
        let folder = Output::new(&plan.options.output).validation();
        printer
            .line(format_args!("nothing is held out any more: {} will be removed", folder.root().display()));
    }
    plan.splits.iter().for_each(|split| announce_split(split, printer));
    for split in &plan.vanished {
        // With `--prune` a line says that it is removed.
        if !plan.options.prune {
            printer.warning(format_args!(
                "the input of the split `{split}` is gone: the manifest lists it as vanished, and readers ignore it"
            ));
        }
    }
    if !plan.vanished.is_empty() && !plan.options.prune {
        printer.hint("`--prune` removes such splits");
    }
    if !plan.kept.is_empty() {
        let kept = counted(plan.kept.len() as u64, "finished split");
        printer.line(format_args!("{kept} unchanged, skipped: {}", plan.kept.join(", ")));
    }
}

/// Says what a kill costs, where that is much.
fn announce_shards(seconds: f64, printer: &Printer) {
    if seconds >= SHARD_SECONDS_TOLD {
        printer.line(format_args!(
            "a shard takes about {}, the most that a kill can cost; a smaller `--shard-size` makes it less",
            duration(seconds)
        ));
    }
}

fn announce_split(split: &SplitPlan, printer: &Printer) {
    let SplitPlan { name, source, why, .. } = split;
    if split.is_many() {
        let files: usize = split.groups.iter().map(|group| group.group.files.len()).sum();
        printer.line(format_args!("{name}: {} ({source})", counted(files as u64, "file")));
    }
    for group in &split.groups {
        let Some(bytes) = group.large_row_group else { continue };
        let file = &group.group.files[0].relative;
        printer.warning(format_args!(
            "{name}: a row group of `{file}` has {} of texts, and row groups are not cut: its shard will be larger than \
             `--shard-size`",
            size(bytes)
        ));
    }
    match why {
        Why::New | Why::Forced => {}
        // How much is finished is told when the run begins.
        Why::Interrupted => {}
        Why::InputChanged(what) => {
            printer.line(format_args!("{name}: compared with its input, because {what}"));
        }
        Why::Different(why) => printer.line(format_args!("{name}: redone, because {why}")),
    }
}

/// Runs the plan, showing how far it is; Ctrl-C ends it with everything finished kept.
pub(crate) fn with_progress(plan: Plan, tokenizer: &Arc<Tokenizer>, printer: &Printer) -> Result<Report> {
    let interrupted = interrupt::flag(printer)?;
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let mut view = ProgressView::new(printer);
    let report = mashbill_tokenize::run(plan, tokenizer, &host, &interrupted, &mut |event| match event {
        Event::Progress(progress) => view.show(&progress),
        event => view.suspend(|| tell(event, printer)),
    });
    view.finish();
    Ok(report?)
}

fn tell(event: Event, printer: &Printer) {
    match event {
        Event::Resumed { split, shards, of } => {
            let of = of.map_or_else(String::new, |of| format!(" of {}", count(of)));
            let shards = counted(shards as u64, "shard");
            printer.line(format_args!("{split}: {shards}{of} already finished, resuming"));
        }
        Event::Compared { split, made, of } => {
            let (of, made) = (counted(of as u64, "shard"), numbers(&made));
            printer.line(format_args!("{split}: {of} compared, to redo: {made}"));
        }
        Event::Unchanged { split } => printer.line(format_args!("{split}: unchanged, skipped")),
        Event::EngineMismatch { split, text } => {
            let start: String = text.chars().take(60).collect();
            printer.warning(format_args!(
                "{split}: the fast engine disagrees with the reference about {start:?}; \
                 the reference encodes the rest of this split, and redoes what was under way"
            ));
        }
        Event::Finished { split, stats, held_out } => {
            let rows = |stats: &Stats| {
                let (documents, rows) = (counted(stats.samples, "document"), counted(stats.sequences, "row"));
                format!("{split}: {documents}, {} tokens, {rows}", count(stats.tokens))
            };
            if let Some(held_out) = held_out {
                printer.good("held out", rows(&held_out));
            }
            printer.good("done", rows(&stats));
        }
        Event::Finishing { split, shard } => {
            printer.line(format_args!("{split}: finishing shard {shard}, which needs a few more seconds"));
        }
        Event::Dropped { split, shard, time } => {
            let time = time.map_or_else(String::new, |time| {
                format!(", which needs about {} more,", duration(time.as_secs_f64()))
            });
            printer.line(format_args!("{split}: shard {shard}{time} is dropped; the next run makes it"));
        }
        // The bar shows the first two, and the end of the run the last.
        Event::Started { .. } | Event::Progress(_) | Event::Failed { .. } => {}
    }
}

/// Shards, of which the first are spelled.
fn numbers(shards: &[ShardId]) -> String {
    let spelled: Vec<_> = shards.iter().take(SHARDS_SPELLED).map(ShardId::to_string).collect();
    let noun = if shards.len() == 1 { "shard" } else { "shards" };
    match shards.len().saturating_sub(SHARDS_SPELLED) {
        0 if spelled.is_empty() => "none".into(),
        0 => format!("{noun} {}", spelled.join(", ")),
        more => format!("{noun} {} and {} more", spelled.join(", "), count(more as u64)),
    }
}

/// Says what came out, and gives whether that is all that was asked for.
fn summarize(
    report: &Report,
    args: &TokenizeArgs,
    options: &Options,
    tokenizer: &Tokenizer,
    printer: &Printer,
) -> Result<bool> {
    let output = Output::new(&options.output);
    let (made, manifest) = (&report.train.made, &report.train.manifest);
    removed(&report.pruned, &output, printer);
    if !made.is_empty() {
        totals(made, report.seconds, options, printer);
    }
    outcome::refusals(&report.train, &output, args.warn_rejected, printer);
    refused::tell(report, args, &output, printer);
    if !made.is_empty() && !printer.is_quiet() {
        first_document(&report.train, &output, tokenizer, printer)?;
    }
    let lacking = outcome::without_documents(report, &output, printer);
    let splits = &manifest.splits;
    let rows: u64 = splits.values().map(|split| split.sequences).sum();
    if !splits.is_empty() {
        printer.line(format_args!(
            "{} with {} of {} tokens in {}",
            counted(splits.len() as u64, "split"),
            counted(rows, "row"),
            count(options.bytes.max_seq_length as u64),
            options.output.display(),
        ));
    }
    if let Some(validation) = &report.validation {
        removed(&report.pruned, &output.validation(), printer);
        summarize_validation(validation, &output.validation(), args.warn_rejected, printer);
        other_share(manifest, &validation.manifest, printer);
    }
    if !made.is_empty() && rows > 0 {
        printer.line(if is_masked(manifest) { MASKED_LABELS } else { LABELS });
    }
    outcome::card(&report.card, &output, printer);
    for (split, error) in &report.failed {
        printer.warning(format_args!("{split} was not made: {}", error_text(error)));
    }
    hints_for_failed_splits(report.failed.iter().map(|(_, error)| error))
        .iter()
        .for_each(|hint| printer.hint(hint));
    // What was made can be used, whatever was not.
    if rows > 0 && !printer.is_quiet() {
        how_to_load(report, &output, printer);
    }
    let is_whole = report.failed.is_empty() && lacking.is_empty();
    if !is_whole {
        outcome::incomplete(report, &lacking, printer);
    }
    Ok(is_whole)
}

fn how_to_load(report: &Report, output: &Output, printer: &Printer) {
    printer.line(format_args!("manifest: {}", output.manifest().display()));
    let output = output.root().display();
    if is_masked(&report.train.manifest) {
        printer.hint(format_args!(
            "load it with mashbill.Dataset(\"{output}\"); mashbill.DataLoader(…, label_convention=\"aligned\") gives Hugging \
             Face models their labels"
        ));
        return;
    }
    let with_datasets = match report.card.unfit {
        None => format!("datasets.load_dataset(\"{output}\")"),
        Some(_) => {
            format!("datasets.load_dataset(\"parquet\", data_files=\"{output}/*/shard_*.parquet\")")
        }
    };
    printer.hint(format_args!("load it with mashbill.Dataset(\"{output}\") or {with_datasets}"));
}

/// Whether some tokens are not learned.
fn is_masked(manifest: &Manifest) -> bool {
    let mut splits = manifest.splits.values();
    manifest.loss() == Loss::Spans && splits.any(|split| split.ledger.learned_tokens < split.tokens)
}

/// What is held out, over all splits.
fn summarize_validation(report: &PartReport, output: &Output, share: f64, printer: &Printer) {
    outcome::refusals(report, output, share, printer);
    let sum = |value: fn(&Split) -> u64| report.manifest.splits.values().map(value).sum::<u64>();
    let documents = sum(|split| split.samples);
    if documents == 0 {
        printer.warning("no document is held out: there are too few for that fraction");
        printer.hint("give a larger `--val-fraction`, with `--skip-existing`");
        return;
    }
    printer.line(format_args!(
        "held out: {}, {} tokens, {} in {}",
        counted(documents, "document"),
        count(sum(|split| split.tokens)),
        counted(sum(|split| split.sequences), "row"),
        output.root().display()
    ));
}

/// Says why another share of conversations is held out than was asked for, where it differs by more than a fifth.
fn other_share(train: &Manifest, held_out: &Manifest, printer: &Printer) {
    let documents =
        |manifest: &Manifest| manifest.splits.values().map(|split| split.samples).sum::<u64>() as f64;
    let Some(asked) = train.options.held_out.filter(|_| train.options.template().is_some()) else { return };
    let share = documents(held_out) / (documents(train) + documents(held_out)).max(1.0);
    if share > 0.0 && (share / asked.fraction - 1.0).abs() > 0.2 {
        printer.line(format_args!(
            "these are {:.1} % of the documents, and --val-fraction asked for {:.1} %: conversations with the same first question \
             stay together",
            100.0 * share,
            100.0 * asked.fraction
        ));
    }
}

fn removed(pruned: &[String], output: &Output, printer: &Printer) {
    for split in pruned {
        printer.line(format_args!("removed {}", output.split(split).display()));
    }
}

fn totals(made: &[Stats], seconds: f64, options: &Options, printer: &Printer) {
    let sum = |value: fn(&Stats) -> u64| made.iter().map(value).sum::<u64>();
    let (tokens, padding) = (sum(|stats| stats.tokens), sum(|stats| stats.ledger.padding));
    let positions = sum(|stats| stats.sequences) * options.bytes.max_seq_length as u64;
    let bytes = sum(|stats| stats.inputs.iter().map(|file| file.size).sum());
    printer.good(
        "tokenized",
        format_args!(
            "{} into {} tokens in {} ({:.1} MB/s, {} tokens/s)",
            counted(sum(|stats| stats.samples), "document"),
            count(tokens),
            duration(seconds),
            bytes as f64 / 1e6 / seconds.max(1e-9),
            count((tokens as f64 / seconds.max(1e-9)) as u64),
        ),
    );
    printer.line(format_args!(
        "{}, {} of padding ({:.2} %), {} of shards ({:.2} bytes a token)",
        counted(sum(|stats| stats.sequences), "row"),
        counted(padding, "position"),
        100.0 * padding as f64 / positions.max(1) as f64,
        size(sum(|stats| stats.shard_bytes)),
        sum(|stats| stats.shard_bytes) as f64 / tokens.max(1) as f64,
    ));
    tell_chats(made, options, printer);
    let literal = sum(|stats| stats.ledger.literal_special_tokens);
    if literal > 0 {
        let place = if options.bytes.template().is_some() { "what is said" } else { "texts" };
        printer.line(format_args!(
            "{} in {place} became ids, as in Hugging Face tokenizers (--special-tokens-in-text decides)",
            counted(literal, "special token")
        ));
    }
}

/// Says what became of messages: how much is learned and what was changed, or that they were not taken.
fn tell_chats(made: &[Stats], options: &Options, printer: &Printer) {
    let sum = |value: fn(&Stats) -> u64| made.iter().map(value).sum::<u64>();
    let (tokens, learned) = (sum(|stats| stats.tokens), sum(|stats| stats.ledger.learned_tokens));
    if learned > 0 {
        printer.line(format_args!(
            "{} of them learned ({:.1} %), {} by the template",
            count(learned),
            100.0 * learned as f64 / tokens.max(1) as f64,
            counted(sum(|stats| stats.ledger.template_tokens), "control token"),
        ));
    }
    let mut changes = Changes::default();
    made.iter().for_each(|stats| changes.add(&stats.changes));
    let told: Vec<_> = changes.named().into_iter().filter(|(_, number)| *number > 0).collect();
    if !told.is_empty() {
        let told: Vec<_> =
            told.into_iter().map(|(what, number)| format!("{what} {}", count(number))).collect();
        printer.line(format_args!("changed to the usual form: {}", told.join(", ")));
    }
    // Where there is no document at all, more is said of what the lines have.
    let unread = made.iter().filter(|stats| stats.samples > 0).map(|stats| stats.with_messages).sum::<u64>();
    if unread > 0 && options.bytes.chat.is_none() && !printer.is_quiet() {
        let have = if unread == 1 { "has" } else { "have" };
        printer.line(format_args!(
            "{} {have} messages, which were not read: only `{}` was",
            counted(unread, "record"),
            options.bytes.text_fields().join("` or `"),
        ));
        printer.hint("`--chat-template auto` makes text of messages with the tokenizer's template, and says what is learned");
    }
}

/// Spells the beginning of the first document, so that a wrong tokenizer shows.
fn first_document(
    report: &PartReport,
    output: &Output,
    tokenizer: &Tokenizer,
    printer: &Printer,
) -> Result<()> {
    let PartReport { manifest, made } = report;
    let made = made.iter().filter(|stats| stats.sequences > 0);
    let Some(stats) = made.min_by_key(|stats| &stats.split) else { return Ok(()) };
    let split = manifest.splits.get(&stats.split);
    let Some(ShardFile { name, tail, .. }) = split.and_then(|split| split.shard_files().next()) else {
        return Ok(());
    };
    let path = output.split(&stats.split).join(name);
    let shard = ShardPages::open(&path, manifest.max_seq_length, manifest.layout, manifest.loss(), *tail)?;
    let scratch = &mut PageScratch::default();
    let group = shard.token_group(0, scratch)?;
    let pieces = shard.piece_page(&group, 0, scratch)?.pieces;
    let tokens = shard.token_page(&group, 0, scratch)?.input_ids;
    let length = pieces.first().map_or(0, |piece| piece.len.max(0) as usize);
    let ids: Vec<u32> = tokens.iter().take(length.min(TOKENS_SHOWN)).map(|&id| id as u32).collect();
    let spelled: Vec<_> = tokenizer.spell(&ids).iter().map(|token| format!("{token:?}")).collect();
    let more = if length > ids.len() { " …" } else { "" };
    printer.line(format_args!("{} begins with {}{more}", stats.split, spelled.join(" ")));
    Ok(())
}
