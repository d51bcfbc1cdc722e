//! The data of a tokenized folder's page, from one pass over its document tables and its shards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use mashbill_format::documents;
use mashbill_format::layout::{DOCUMENTS, Output, STATS_SUFFIX};
use mashbill_format::manifest::{Manifest, Split};
use mashbill_format::record::Reason;
use mashbill_format::shard::{Row, ShardReader};
use mashbill_format::stats::{LengthHistogram, Stats};
use mashbill_format::verify::Report;
use mashbill_tokenize::tokenizer::Tokenizer;
use serde_json::json;

use super::page::{
    Page, Run, Sample, SamplePiece, Token, Verdict, Vocabulary, amounts, buckets, timeline, values,
};
use super::scripts::Scripts;
use crate::environment::tokenizer_of;
use crate::hints::Usage;
use crate::printer::{Printer, error_text, size};

/// Rows to look at, in all.
const SAMPLES: usize = 40;

/// Tokens of a row that are shown.
const SAMPLE_TOKENS: usize = 700;

/// Documents whose contents are compared; 8 bytes each.
const HASHES_MAX: usize = 16 << 20;

/// Names of categories and sources that are told apart.
const NAMES_MAX: usize = 10_000;

/// Tokens that are listed.
const TOP: usize = 60;

pub(super) fn gather(
    path: &Path,
    tokenizer: Option<&str>,
    report: &Report,
    printer: &Printer,
) -> Result<Page> {
    let output = Output::new(path);
    let nothing = || Usage::NothingToInspect { path: path.to_owned() };
    let manifest = Manifest::read(&output.manifest())?.ok_or_else(nothing)?;
    let tokenizer = tokenizer_of(&manifest, tokenizer, printer)
        .map_err(|error| {
            printer.warning(format_args!("tokens are shown as ids: {}", error_text(error.as_ref())))
        })
        .ok();
    let mut counts = Counts::new(manifest.tokenizer_identity.vocabulary_size as usize);
    let every = manifest.splits.len().div_ceil(SAMPLES).max(1);
    for (index, (name, split)) in manifest.splits.iter().enumerate() {
        let samples = if index % every == 0 { SAMPLES / manifest.splits.len().min(SAMPLES) } else { 0 };
        // What cannot be read has been told by `verify`; the page shows the rest.
        let folder = output.split(name);
        for (what, read) in [
            ("document table", counts.documents(&folder.join(DOCUMENTS))),
            ("shards", counts.shards(&folder, name, split, samples, tokenizer.as_ref())),
        ] {
            if let Err(error) = read {
                printer.warning(format_args!(
                    "the {what} of {name} are left out: {}",
                    error_text(error.as_ref())
                ));
            }
        }
    }
    Ok(page(path, &manifest, &output, report, counts, tokenizer.as_ref()))
}

/// What is counted in the pass.
struct Counts {
    /// Tokens by the documents' category and source.
    categories: HashMap<String, u64>,
    sources: HashMap<String, u64>,
    lengths: LengthHistogram,
    hashes: HashSet<u64>,
    duplicates: u64,
    /// How often each id stands in the rows.
    tokens: Vec<u64>,
    /// Rows by the number of their pieces, as powers of two.
    pieces: BTreeMap<u64, u64>,
    samples: Vec<Sample>,
}

impl Counts {
    fn new(vocabulary_size: usize) -> Self {
        Self {
            categories: HashMap::new(),
            sources: HashMap::new(),
            lengths: LengthHistogram::default(),
            hashes: HashSet::new(),
            duplicates: 0,
            tokens: vec![0; vocabulary_size],
            pieces: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    fn documents(&mut self, path: &Path) -> Result<()> {
        for document in documents::read(path)? {
            let document = document?;
            let tokens = u64::try_from(document.tokens).unwrap_or(0);
            add(&mut self.categories, document.category, tokens);
            add(&mut self.sources, document.source, tokens);
            self.lengths.count(tokens);
            let hash = document.content_hash.low64();
            if self.hashes.contains(&hash) {
                self.duplicates += 1;
            } else if self.hashes.len() < HASHES_MAX {
                self.hashes.insert(hash);
            }
        }
        Ok(())
    }

    fn shards(
        &mut self,
        folder: &Path,
        name: &str,
        split: &Split,
        samples: usize,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<()> {
        let step = split.sequences.div_ceil(samples.max(1) as u64).max(1);
        let mut number = 0;
        for shard in &split.shard_files {
            for rows in ShardReader::open(&folder.join(&shard.name))?.row_groups() {
                for row in rows?.iter() {
                    self.row(&row);
                    // The last row has the padding, which people want to see once.
                    if samples > 0 && (number % step == 0 || number + 1 == split.sequences) {
                        self.samples.push(sample(name, number, &row, tokenizer));
                    }
                    number += 1;
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) {
        for (&id, &mask) in row.input_ids.iter().zip(row.attention_mask) {
            if let Some(count) = usize::try_from(id).ok().and_then(|id| self.tokens.get_mut(id)) {
                *count += u64::from(mask == 1);
            }
        }
        *self.pieces.entry((row.pieces.len() as u64).next_power_of_two()).or_default() += 1;
    }
}

fn add(counts: &mut HashMap<String, u64>, name: Option<String>, amount: u64) {
    let name = name.unwrap_or_else(|| "(none)".to_owned());
    let known = counts.len() < NAMES_MAX || counts.contains_key(&name);
    *counts.entry(if known { name } else { "(others)".to_owned() }).or_default() += amount;
}

fn sample(split: &str, number: u64, row: &Row<'_>, tokenizer: Option<&Tokenizer>) -> Sample {
    let mut left = SAMPLE_TOKENS;
    let mut at = 0;
    let mut pieces = Vec::new();
    for piece in row.pieces {
        let end = (at + usize::try_from(piece.len).unwrap_or(0)).min(row.input_ids.len());
        let shown = (end - at).min(left);
        left -= shown;
        let ids: Vec<u32> = row.input_ids[at..at + shown].iter().map(|&id| id as u32).collect();
        let mut texts = tokenizer.map(|tokenizer| tokenizer.spell(&ids).into_iter());
        let tokens = row.input_ids[at..at + shown].iter().zip(&row.labels[at..]);
        let tokens =
            tokens.map(|(&id, &label)| (texts.as_mut().and_then(Iterator::next), id, label)).collect();
        // Rows of thousands of tiny documents are cut like those of long ones.
        if shown > 0 {
            let last = piece.doc_offset + piece.len;
            let title = format!("document {}, tokens {} to {last}", piece.doc_id, piece.doc_offset);
            pieces.push(SamplePiece { title, tokens, hidden: end - at - shown });
        }
        at = end;
    }
    let name = format!("{split}, row {number}");
    Sample { name, text: None, pieces: Some(pieces), padding: row.input_ids.len() - at }
}

fn page(
    path: &Path,
    manifest: &Manifest,
    output: &Output,
    report: &Report,
    counts: Counts,
    tokenizer: Option<&Tokenizer>,
) -> Page {
    let stats: Vec<Stats> = manifest
        .splits
        .keys()
        .filter_map(|name| {
            Stats::read(&output.split(name).join(format!("{name}{STATS_SUFFIX}"))).ok().flatten()
        })
        .collect();
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
    let targets = HashMap::new();
    let run = |stats: &Stats| Run {
        completed: stats.completed_unix_s,
        seconds: stats.seconds,
        speed: stats.tokens as f64 / stats.seconds.max(1e-3),
    };
    Page {
        kind: "tokenized",
        title: path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()),
        subtitle: format!(
            "{}, rows of {} tokens, made by {}",
            manifest.tokenizer,
            manifest.max_seq_length,
            stats.first().map_or_else(
                || "mashbill".to_owned(),
                |stats| format!("mashbill {}", stats.mashbill_version)
            ),
        ),
        verify: Verdict::of(report),
        facts: [
            ("Tokens", json!(tokens)),
            ("Documents", json!(sum(|split| split.samples))),
            ("Rows", json!(sequences)),
            ("Splits", json!(manifest.splits.len())),
            (
                "Size of shards",
                json!(size(manifest.splits.values().flat_map(|s| &s.shard_files).map(|f| f.bytes).sum())),
            ),
            ("Padding", json!(share(padding, positions))),
            ("BOS and EOS", json!(share(sum(|split| split.ledger.special_tokens), tokens))),
            ("Documents that stand twice", json!(counts.duplicates)),
            ("Refused lines", json!(rejects.values().sum::<u64>())),
            ("Bytes per token", json!(format!("{:.2}", text_bytes as f64 / tokens.max(1) as f64))),
        ]
        .into_iter()
        .chain(held_out)
        .collect(),
        amount: "Tokens",
        categories: named(counts.categories, &targets),
        datasets: amounts(manifest.splits.iter().map(|(name, split)| (name.clone(), split.tokens)), &targets),
        sources: named(counts.sources, &targets),
        lengths: buckets(&counts.lengths.below),
        pieces: buckets(&counts.pieces),
        density: values(
            stats
                .iter()
                .filter(|stats| stats.tokens > 0)
                .map(|stats| (stats.split.clone(), stats.text_bytes as f64 / stats.tokens as f64)),
        ),
        scripts: scripts(&counts.tokens, tokenizer),
        rejects: amounts(rejects.iter().map(|(reason, &count)| (reason.name().to_owned(), count)), &targets),
        vocabulary: Some(vocabulary(&counts.tokens, tokenizer)),
        timeline: timeline(stats.iter().map(run).collect()),
        samples: counts.samples,
    }
}

/// Amounts by name; none where nothing has a name.
fn named(counts: HashMap<String, u64>, targets: &HashMap<String, f64>) -> Vec<super::page::Amount> {
    if counts.keys().all(|name| name == "(none)") { Vec::new() } else { amounts(counts, targets) }
}

/// The letters of all tokens, each as often as it stands in the rows; a letter that tokens share is not seen.
fn scripts(tokens: &[u64], tokenizer: Option<&Tokenizer>) -> Vec<super::page::Share> {
    let Some(tokenizer) = tokenizer else { return Vec::new() };
    let used: Vec<u32> = (0..).zip(tokens).filter(|(_, count)| **count > 0).map(|(id, _)| id).collect();
    let mut scripts = Scripts::new();
    for (id, text) in used.iter().zip(tokenizer.spell(&used)) {
        scripts.count(&text, tokens[*id as usize]);
    }
    scripts.shares()
}

fn vocabulary(counts: &[u64], tokenizer: Option<&Tokenizer>) -> Vocabulary {
    let mut used: Vec<(u64, u32)> =
        (0..).zip(counts).filter(|(_, n)| **n > 0).map(|(id, &n)| (n, id)).collect();
    used.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let top: Vec<u32> = used.iter().take(TOP).map(|(_, id)| *id).collect();
    let mut texts = tokenizer.map(|tokenizer| tokenizer.spell(&top).into_iter());
    // Ranks a tenth apart are as near as the eye can tell them on a logarithmic axis.
    let mut ranks: Vec<(u64, u64)> = Vec::new();
    for (rank, (count, _)) in (1u64..).zip(&used) {
        let far = ranks.last().is_none_or(|(last, _)| rank as f64 >= *last as f64 * 1.1);
        if far || rank == used.len() as u64 {
            ranks.push((rank, *count));
        }
    }
    Vocabulary {
        size: counts.len() as u64,
        used: used.len() as u64,
        tokens: counts.iter().sum(),
        ranks,
        top: used
            .iter()
            .take(TOP)
            .map(|&(count, id)| Token { id, text: texts.as_mut().and_then(Iterator::next), count })
            .collect(),
    }
}
