//! The data of a tokenized folder's page, from the pass that verifies it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use mashbill_format::catalog::Curriculum;
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::figures::{count, size};
use mashbill_format::layout::{DATASET_STATS_SUFFIX, Output, STATS_SUFFIX};
use mashbill_format::loss_spans::{self, Loss};
use mashbill_format::manifest::{Manifest, Split};
use mashbill_format::shard::{Piece, ShardRow};
use mashbill_format::stats::{LengthHistogram, Stats};
use mashbill_records::conversation::Changes;
use mashbill_records::record::Reason;
use mashbill_verify::{DocumentSeen, Event, Gather, Report};
use serde_json::json;

use crate::duplicates::{self, SeenTexts, Texts};
use crate::error::Result;
use crate::names::Names;
use crate::page::{
    CountedToken, DatasetPage, Length, PageSample, PartOfWhole, Run, SamplePiece, Share, VerifyVerdict,
    VocabularyUse, amounts, beginning, buckets, duplicates, longest_first, parts, runs, title, values,
};
use crate::pass::Pass;
use crate::said::changed;
use crate::scripts::Scripts;
use crate::targets::Targets;

/// Rows to look at, in all.
const SAMPLES: usize = 40;

/// Tokens of a row that are shown.
const SAMPLE_TOKENS: usize = 700;

/// Bytes of a token's text that are shown.
const TOKEN_BYTES: usize = 60;

/// Tokens that are listed.
const TOP: usize = 60;

/// Ids as texts that people read, one an id.
pub type Spell<'a> = &'a dyn Fn(&[u32]) -> Vec<String>;

/// The page of a tokenized folder, whose manifest is `manifest`. Without `spell` tokens are shown as ids.
///
/// # Errors
/// [`crate::Error::File`] where the folder cannot be read. What is wrong with what it holds is the page's to say.
pub fn of_tokenized(
    path: &Path,
    manifest: &Manifest,
    spell: Option<Spell<'_>>,
    pass: &Pass<'_>,
    on_event: &mut dyn FnMut(Event),
) -> Result<DatasetPage> {
    let plan = Beforehand::of(manifest);
    let texts = Texts::default();
    let mut threads: Vec<_> = (0..pass.threads).map(|_| TokenCounts::new(&plan, &texts)).collect();
    let report = pass.verify(path, &mut threads, on_event)?;
    let mut counts = TokenCounts::new(&plan, &texts);
    threads.into_iter().for_each(|thread| counts.merge(thread));
    let TokenCounts { found, seen, .. } = counts;
    drop(seen);
    let copies = texts.duplicates(manifest.splits.len());
    Ok(page(path, manifest, pass.curriculum, &report, found, &copies, spell))
}

/// What all threads know beforehand.
struct Beforehand {
    vocabulary_size: usize,
    /// The splits' numbers, and the rows of each that are shown.
    splits: BTreeMap<String, (u32, BTreeSet<u64>)>,
    /// The splits' categories, for documents that name none.
    categories: BTreeMap<String, String>,
}

impl Beforehand {
    fn of(manifest: &Manifest) -> Self {
        let count = manifest.splits.len();
        let every = count.div_ceil(SAMPLES).max(1);
        let each = (SAMPLES / count.clamp(1, SAMPLES)) as u64;
        let splits = (0..).zip(&manifest.splits).map(|(index, (name, split))| {
            let mut rows = BTreeSet::new();
            if (index as usize).is_multiple_of(every) && split.sequences > 0 {
                let step = split.sequences.div_ceil(each.max(1)).max(1);
                rows.extend((0..split.sequences).step_by(usize::try_from(step).unwrap_or(usize::MAX)));
                // The last row has the padding, which people want to see once.
                rows.insert(split.sequences - 1);
            }
            (name.clone(), (index, rows))
        });
        Self {
            vocabulary_size: manifest.tokenizer_identity.vocabulary_size as usize,
            splits: splits.collect(),
            categories: manifest
                .splits
                .iter()
                .filter_map(|(name, split)| Some((name.clone(), split.source.category()?.to_owned())))
                .collect(),
        }
    }
}

/// What a thread counts.
struct TokenCounts<'a> {
    plan: &'a Beforehand,
    found: TokenSums,
    seen: SeenTexts<'a>,
}

#[derive(Debug, Default)]
struct TokenSums {
    /// Tokens by the documents' category and source.
    categories: Names,
    sources: Names,
    /// Tokens by source on which there is a loss.
    learned: Names,
    lengths: LengthHistogram,
    /// How often each id stands in the rows.
    tokens: Vec<u64>,
    /// Rows by the number of their pieces, as powers of two.
    pieces: BTreeMap<u64, u64>,
    /// Rows to look at, by split and number.
    rows: BTreeMap<(u32, u64), ShownRow>,
}

/// The beginning of a row.
#[derive(Debug)]
struct ShownRow {
    split: String,
    /// Ids and labels, and whether each is learned.
    tokens: Vec<(i32, i32, bool)>,
    has_spans: bool,
    pieces: Vec<Piece>,
    /// Pieces that are not shown.
    more: usize,
    padding: usize,
}

impl<'a> TokenCounts<'a> {
    fn new(plan: &'a Beforehand, texts: &'a Texts) -> Self {
        let found = TokenSums { tokens: vec![0; plan.vocabulary_size], ..TokenSums::default() };
        Self { plan, found, seen: SeenTexts::new(texts) }
    }

    fn merge(&mut self, other: Self) {
        let (found, other) = (&mut self.found, other.found);
        found.categories.merge(other.categories);
        found.sources.merge(other.sources);
        found.learned.merge(other.learned);
        found.lengths.add(&other.lengths);
        found.tokens.iter_mut().zip(&other.tokens).for_each(|(sum, count)| *sum += count);
        other.pieces.iter().for_each(|(&pieces, count)| *found.pieces.entry(pieces).or_default() += count);
        found.rows.extend(other.rows);
    }
}

impl Gather for TokenCounts<'_> {
    fn document(&mut self, split: &str, document: &DocumentSeen<'_>) {
        let found = &mut self.found;
        let of_split = || self.plan.categories.get(split).map(String::as_str);
        found.categories.add(document.category.or_else(of_split), document.tokens);
        found.sources.add(document.source, document.tokens);
        found.learned.add(document.source, document.learned_tokens);
        found.lengths.count(document.tokens);
        if let Some((index, _)) = self.plan.splits.get(split) {
            self.seen.add(document.content_hash.low64(), *index);
        }
    }

    fn wants_learned_tokens(&self) -> bool {
        true
    }

    fn wants_tokens(&self) -> bool {
        true
    }

    fn tokens(&mut self, _: &str, counts: &mut dyn Iterator<Item = (i32, u64)>) {
        for (id, count) in counts {
            if let Some(sum) = usize::try_from(id).ok().and_then(|id| self.found.tokens.get_mut(id)) {
                *sum += count;
            }
        }
    }

    fn pieces(&mut self, _: &str, pieces_in_row: &[u32]) {
        for &pieces in pieces_in_row {
            *self.found.pieces.entry(u64::from(pieces).next_power_of_two()).or_default() += 1;
        }
    }

    fn wants_row(&self, split: &str, row: u64) -> bool {
        self.plan.splits.get(split).is_some_and(|(_, rows)| rows.contains(&row))
    }

    fn row(&mut self, split: &str, row: u64, content: ShardRow<'_>) {
        let Some((index, _)) = self.plan.splits.get(split) else { return };
        let lens = content.pieces.iter().map(|piece| usize::try_from(piece.len).unwrap_or(0));
        let real = lens.sum::<usize>().min(content.input_ids.len());
        let shown = real.min(SAMPLE_TOKENS);
        let (mut at, mut pieces) = (0, Vec::new());
        for piece in content.pieces {
            if at >= shown {
                break;
            }
            at += usize::try_from(piece.len).unwrap_or(0);
            pieces.push(*piece);
        }
        let is_learned = loss_spans::runs(content.loss_spans, shown)
            .flat_map(|(is_learned, run)| std::iter::repeat_n(is_learned, run.len()))
            .chain(std::iter::repeat(false));
        let row_shown = ShownRow {
            split: split.to_owned(),
            tokens: content
                .input_ids
                .iter()
                .copied()
                .zip(content.labels.iter().copied())
                .zip(is_learned)
                .map(|((id, label), is_learned)| (id, label, is_learned))
                .take(shown)
                .collect(),
            has_spans: !content.loss_spans.is_empty(),
            more: content.pieces.len() - pieces.len(),
            pieces,
            padding: content.input_ids.len() - real,
        };
        self.found.rows.insert((*index, row), row_shown);
    }
}

impl ShownRow {
    /// The row for the page. Rows of thousands of tiny documents are cut like those of long ones.
    fn sample(&self, row: u64, spell: Option<Spell<'_>>) -> PageSample {
        let mut tokens = self.tokens.as_slice();
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let len = usize::try_from(piece.len).unwrap_or(0);
            let (here, rest) = tokens.split_at(len.min(tokens.len()));
            tokens = rest;
            let ids: Vec<u32> = here.iter().map(|&(id, ..)| id as u32).collect();
            let mut texts = spell.map(|spell| spell(&ids).into_iter());
            let mut text =
                || texts.as_mut().and_then(Iterator::next).map(|text| beginning(&text, TOKEN_BYTES));
            let last = i64::from(piece.doc_offset) + i64::from(piece.len);
            pieces.push(SamplePiece {
                title: format!("document {}, tokens {} to {last}", piece.doc_id, piece.doc_offset),
                tokens: here.iter().map(|&(id, label, is_learned)| (text(), id, label, is_learned)).collect(),
                hidden: len - here.len(),
            });
        }
        let name = format!("{}, row {row}", self.split);
        PageSample {
            name,
            text: None,
            pieces: Some(pieces),
            spans: self.has_spans,
            more: self.more,
            padding: self.padding,
        }
    }
}

fn page(
    path: &Path,
    manifest: &Manifest,
    curriculum: &Curriculum,
    report: &Report,
    found: TokenSums,
    copies: &duplicates::Duplicates,
    spell: Option<Spell<'_>>,
) -> DatasetPage {
    let stats = stats_of(path, manifest);
    let wanted = targets(manifest, &stats, curriculum);
    let sum = |value: fn(&Split) -> u64| manifest.splits.values().map(value).sum::<u64>();
    let (tokens, sequences) = (sum(|split| split.tokens), sum(|split| split.sequences));
    let padding = sum(|split| split.ledger.padding);
    let positions = sequences * manifest.max_seq_length as u64;
    let text_bytes: u64 = stats.iter().map(|stats| stats.text_bytes).sum();
    let mut rejects: BTreeMap<Reason, u64> = BTreeMap::new();
    for (&reason, &count) in manifest.splits.values().flat_map(|split| &split.rejected) {
        *rejects.entry(reason).or_default() += count;
    }
    let share = |part: u64, whole: u64| format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64);
    let held_out = manifest.options.held_out.map(|held_out| {
        let share = format!("{} % of all texts", 100.0 * held_out.fraction);
        ("Held out", json!(format!("{share}; this is the {} part", held_out.part.name())))
    });
    let none = HashMap::new();
    let has_spans = manifest.loss() == Loss::Spans;
    let sources = found.sources.into_named();
    let mut changes = Changes::default();
    stats.iter().for_each(|stats| changes.add(&stats.changes));
    let copies = duplicates(
        copies,
        manifest.splits.iter().map(|(name, split)| (name.clone(), split.samples)),
        sum(|split| split.samples),
    );
    let splits = || manifest.splits.iter();
    DatasetPage {
        kind: "tokenized",
        title: title(path),
        subtitle: format!(
            "{}, rows of {} tokens, made by {}",
            manifest.tokenizer,
            manifest.max_seq_length,
            stats.first().map_or_else(
                || "mashbill".to_owned(),
                |stats| format!("mashbill {}", stats.mashbill_version)
            ),
        ),
        verify: VerifyVerdict::of(report),
        facts: [
            ("Tokens", json!(tokens)),
            ("Documents", json!(sum(|split| split.samples))),
            ("Rows", json!(sequences)),
            ("Splits", json!(manifest.splits.len())),
            (
                "Size of shards",
                json!(size(manifest.splits.values().flat_map(Split::shard_files).map(|f| f.bytes).sum())),
            ),
            ("Padding", json!(share(padding, positions))),
            ("BOS and EOS", json!(share(sum(|split| split.ledger.special_tokens), tokens))),
            ("Repeated texts", json!(copies.label())),
            ("Refused lines", json!(rejects.values().sum::<u64>())),
            ("Bytes per token", json!(format!("{:.2}", text_bytes as f64 / tokens.max(1) as f64))),
        ]
        .into_iter()
        .chain(chat_facts(manifest, &rejects))
        .chain(held_out)
        .collect(),
        amount: "Tokens",
        categories: amounts(found.categories.into_named(), wanted.categories()),
        datasets: amounts(splits().map(|(name, split)| (name.clone(), split.tokens)), &wanted.datasets()),
        learned: if has_spans { learned_by_split(manifest) } else { Vec::new() },
        learned_by_source: if has_spans { learned_of(&sources, found.learned) } else { Vec::new() },
        changes: amounts(changed(&changes), &none),
        roles: Vec::new(),
        turns: Vec::new(),
        sources: amounts(sources, &none),
        lengths: buckets(&found.lengths.below),
        lengths_by: longest_first(stats.iter().filter(|stats| stats.samples > 0).map(length_of)),
        pieces: buckets(&found.pieces),
        padding: parts(splits().map(|(name, split)| PartOfWhole {
            name: name.clone(),
            part: split.ledger.padding,
            whole: split.sequences * manifest.max_seq_length as u64,
        })),
        density: values(
            stats
                .iter()
                .filter(|stats| stats.tokens > 0)
                .map(|stats| (stats.split.clone(), stats.text_bytes as f64 / stats.tokens as f64)),
        ),
        scripts: scripts(&found.tokens, spell),
        rejects: amounts(rejects.iter().map(|(reason, &count)| (reason.name().to_owned(), count)), &none),
        fetched_rejects: Vec::new(),
        duplicates: Some(copies),
        vocabulary: Some(vocabulary(&found.tokens, spell)),
        timeline: runs(stats.iter().map(run_of)),
        speed: "tokens/s",
        samples: found.rows.iter().map(|((_, row), shown)| shown.sample(*row, spell)).collect(),
    }
}

/// What is said at the top of a folder that was made with a chat template.
fn chat_facts(
    manifest: &Manifest,
    rejects: &BTreeMap<Reason, u64>,
) -> Vec<(&'static str, serde_json::Value)> {
    if manifest.options.template().is_none() {
        return Vec::new();
    }
    let sum = |value: fn(&Split) -> u64| manifest.splits.values().map(value).sum::<u64>();
    let of_all = |tokens: u64| {
        let share = 100.0 * tokens as f64 / sum(|split| split.tokens).max(1) as f64;
        json!(format!("{} ({share:.2} %)", count(tokens)))
    };
    let learned = (manifest.loss() == Loss::Spans)
        .then(|| ("Learned tokens", of_all(sum(|split| split.ledger.learned_tokens))));
    let refused: u64 = WITHOUT_LOSS.iter().filter_map(|reason| rejects.get(reason)).sum();
    let always = [
        ("Template tokens", of_all(sum(|split| split.ledger.template_tokens))),
        ("Records without loss", json!(refused)),
    ];
    learned.into_iter().chain(always).collect()
}

/// Why a conversation is refused of which nothing can be learned.
const WITHOUT_LOSS: [Reason; 3] = [Reason::NothingToLearn, Reason::NoSpans, Reason::Template];

/// The learned tokens of each split.
fn learned_by_split(manifest: &Manifest) -> Vec<PartOfWhole> {
    parts(manifest.splits.iter().map(|(name, split)| PartOfWhole {
        name: name.clone(),
        part: split.ledger.learned_tokens,
        whole: split.tokens,
    }))
}

/// The learned tokens of each source, of which it has so many tokens.
fn learned_of(sources: &HashMap<String, u64>, learned: Names) -> Vec<PartOfWhole> {
    let learned = learned.into_named();
    parts(sources.iter().map(|(name, &whole)| PartOfWhole {
        name: name.clone(),
        part: learned.get(name).copied().unwrap_or(0),
        whole,
    }))
}

/// How long the documents of a split are.
fn length_of(stats: &Stats) -> Length {
    Length {
        name: stats.split.clone(),
        documents: stats.samples,
        mean: stats.tokens as f64 / stats.samples.max(1) as f64,
        longest: stats.document_tokens.max,
    }
}

/// The run that completed a split.
fn run_of(stats: &Stats) -> Run {
    Run {
        name: stats.split.clone(),
        completed: stats.completed_unix_s,
        seconds: stats.seconds,
        speed: stats.tokens as f64 / stats.seconds.max(1e-3),
    }
}

/// The statistics of the splits that have some which can be read.
fn stats_of(path: &Path, manifest: &Manifest) -> Vec<Stats> {
    let output = Output::new(path);
    let file = |name: &String| output.split(name).join(format!("{name}{STATS_SUFFIX}"));
    manifest.splits.keys().filter_map(|name| Stats::read(&file(name)).ok().flatten()).collect()
}

/// The shares that categories and splits are to have: by the download that their sources came from, where that is
/// still at hand, else by the curriculum, where all categories are its own.
fn targets(manifest: &Manifest, stats: &[Stats], curriculum: &Curriculum) -> Targets {
    let mut targets = Targets::default();
    for stats in stats {
        let Some(source) = stats.inputs.first().map(|file| PathBuf::from(&file.path)) else { continue };
        let download = source.with_file_name(format!("{}{DATASET_STATS_SUFFIX}", stats.split));
        if let Ok(Some(download)) = DatasetStats::read(&download) {
            targets.add(&download.category, &stats.split, download.target_percent);
        }
    }
    if targets.is_empty() {
        let files = manifest.splits.iter().map(|(name, split)| (name.as_str(), split.source.file.as_str()));
        targets = Targets::of_curriculum(curriculum, files);
    }
    targets
}

/// The letters of all tokens, each as often as it stands in the rows; a letter that tokens share is not seen.
fn scripts(tokens: &[u64], spell: Option<Spell<'_>>) -> Vec<Share> {
    let Some(spell) = spell else { return Vec::new() };
    let used: Vec<u32> = (0..).zip(tokens).filter(|(_, count)| **count > 0).map(|(id, _)| id).collect();
    let mut scripts = Scripts::new();
    for (id, text) in used.iter().zip(spell(&used)) {
        scripts.count(&text, tokens[*id as usize]);
    }
    scripts.shares()
}

fn vocabulary(counts: &[u64], spell: Option<Spell<'_>>) -> VocabularyUse {
    let mut used: Vec<(u64, u32)> =
        (0..).zip(counts).filter(|(_, n)| **n > 0).map(|(id, &n)| (n, id)).collect();
    used.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let top: Vec<u32> = used.iter().take(TOP).map(|(_, id)| *id).collect();
    let mut texts = spell.map(|spell| spell(&top).into_iter());
    let mut text = || texts.as_mut().and_then(Iterator::next).map(|text| beginning(&text, TOKEN_BYTES));
    // Ranks a tenth apart are as near as the eye can tell them on a logarithmic axis.
    let mut ranks: Vec<(u64, u64)> = Vec::new();
    for (rank, (count, _)) in (1u64..).zip(&used) {
        let far = ranks.last().is_none_or(|(last, _)| rank as f64 >= *last as f64 * 1.1);
        if far || rank == used.len() as u64 {
            ranks.push((rank, *count));
        }
    }
    VocabularyUse {
        size: counts.len() as u64,
        used: used.len() as u64,
        tokens: counts.iter().sum(),
        ranks,
        top: used.iter().take(TOP).map(|&(count, id)| CountedToken { id, text: text(), count }).collect(),
    }
}
