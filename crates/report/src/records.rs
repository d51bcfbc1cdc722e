//! The data of a raw folder's page, from the pass that verifies it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::figures::{counted, size};
use mashbill_format::find::RecordFile;
use mashbill_format::layout::DATASET_STATS_SUFFIX;
use mashbill_records::conversation::Conversation;
use mashbill_records::record::{Reason, Record};
use mashbill_store::checksum::Checksum;
use mashbill_verify::{Event, Gather, records_below};
use serde_json::json;

use crate::duplicates::{SeenTexts, Texts};
use crate::error::Result;
use crate::names::Names;
use crate::page::{
    Amount, DatasetPage, Length, PageSample, PartOfWhole, Run, VerifyVerdict, amounts, beginning, buckets,
    duplicates, longest_first, runs, title,
};
use crate::pass::Pass;
use crate::said::SaidCounts;
use crate::scripts::Scripts;
use crate::targets::Targets;

/// Records to look at, in all.
const SAMPLES: usize = 60;

/// Bytes of a record that are shown.
const SAMPLE_BYTES: usize = 4000;

/// The page of a folder with records.
///
/// # Errors
/// [`crate::Error::Nothing`] where there are none, [`crate::Error::File`] where the folder cannot be read. What is wrong with the
/// records is the page's to say.
pub fn of_records(path: &Path, pass: &Pass<'_>, on_event: &mut dyn FnMut(Event)) -> Result<DatasetPage> {
    let files = FolderFiles::below(path)?;
    let texts = Texts::default();
    let mut threads: Vec<_> = (0..pass.threads).map(|_| RecordCounts::new(&files, &texts)).collect();
    let report = pass.verify(path, &mut threads, on_event)?;
    let mut counts = RecordCounts::new(&files, &texts);
    threads.into_iter().for_each(|thread| counts.merge(thread));
    let RecordCounts {
        by_file,
        categories,
        sources,
        lengths,
        rejects,
        scripts,
        samples,
        said,
        texts: seen,
        ..
    } = counts;
    drop(seen);

    let stats: Vec<&DatasetStats> = files.stats.iter().flatten().collect();
    let by_file: Vec<(&String, &FileCounts)> = files.names.iter().zip(&by_file).collect();
    let mut wanted = Targets::default();
    for (name, stats) in files.names.iter().zip(&files.stats) {
        if let Some(stats) = stats {
            wanted.add(&stats.category, name, stats.target_percent);
        }
    }
    if wanted.is_empty() {
        wanted = Targets::of_curriculum(
            pass.curriculum,
            files.names.iter().map(|name| (name.as_str(), name.as_str())),
        );
    }
    let mut fetched_rejects: BTreeMap<String, u64> = BTreeMap::new();
    for (reason, count) in stats.iter().flat_map(|stats| &stats.counts.rejected) {
        *fetched_rejects.entry(reason.clone()).or_default() += count;
    }
    let none = HashMap::new();
    let text_bytes: u64 = by_file.iter().map(|(_, file)| file.bytes).sum();
    let found = texts.duplicates(files.names.len());
    let copies = duplicates(
        &found,
        by_file.iter().map(|(name, file)| ((*name).clone(), file.records)),
        report.documents,
    );
    let mut facts = vec![
        ("Records", json!(report.documents)),
        ("Lines", json!(report.rows)),
        ("Files", json!(report.files)),
        ("Size", json!(size(report.bytes))),
        ("Bytes of text", json!(size(text_bytes))),
        ("Repeated texts", json!(copies.label())),
        ("Refused lines", json!(rejects.values().sum::<u64>())),
    ];
    if said.conversations > 0 {
        facts.push(("Conversations", json!(said.conversations)));
        facts.push(("Messages", json!(said.roles.values().sum::<u64>())));
        facts.push(("Nothing to learn", json!(said.nothing_to_learn)));
    }
    if !stats.is_empty() {
        facts.push(("Downloaded datasets", json!(stats.len())));
        facts.push(("Tokens, estimated", json!(stats.iter().map(|stats| stats.est_tokens).sum::<u64>())));
    }
    Ok(DatasetPage {
        kind: "raw",
        title: title(path),
        subtitle: format!("records, {}", counted(report.files, "file")),
        verify: VerifyVerdict::of(&report),
        facts,
        amount: "Bytes",
        categories: amounts(categories.into_named(), wanted.categories()),
        datasets: amounts(
            by_file.iter().map(|(name, file)| ((*name).clone(), file.bytes)),
            &wanted.datasets(),
        ),
        sources: amounts(sources.into_named(), &none),
        lengths: buckets(&lengths),
        lengths_by: longest_first(by_file.iter().filter(|(_, file)| file.records > 0).map(|(name, file)| {
            Length {
                name: (*name).clone(),
                documents: file.records,
                mean: file.bytes as f64 / file.records as f64,
                longest: file.longest,
            }
        })),
        pieces: Vec::new(),
        padding: Vec::<PartOfWhole>::new(),
        learned: Vec::new(),
        learned_by_source: Vec::new(),
        changes: by_reason(said.changed()),
        roles: by_reason(said.roles.clone()),
        turns: buckets(&said.turns),
        density: Vec::new(),
        scripts: scripts.shares(),
        rejects: by_reason(rejects.into_iter().map(|(reason, count)| (reason.name().to_owned(), count))),
        fetched_rejects: by_reason(fetched_rejects),
        duplicates: Some(copies),
        vocabulary: None,
        timeline: runs(stats.iter().map(|stats| Run {
            name: stats.dataset.clone(),
            completed: stats.completed_unix_s,
            seconds: stats.seconds,
            speed: stats.counts.rows_out as f64 / stats.seconds.max(1e-3),
        })),
        speed: "records/s",
        samples: samples.into_samples(&files),
    })
}

fn by_reason(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Amount> {
    amounts(counts, &HashMap::new())
}

/// The files of the folder, by the names that problems have for them, and what a download says of them.
struct FolderFiles {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    stats: Vec<Option<DatasetStats>>,
    /// How many records of each file are looked at; of many files only of every so many.
    wanted: Vec<usize>,
}

impl FolderFiles {
    fn below(path: &Path) -> Result<Self> {
        let files = records_below(path)?.files;
        let every = files.len().div_ceil(SAMPLES).max(1);
        let each = (SAMPLES / files.len().clamp(1, SAMPLES)).max(1);
        let name = |file: &RecordFile| mashbill_verify::name_below(&file.path, path);
        let names: Vec<String> = files.iter().map(name).collect();
        Ok(Self {
            by_name: names.iter().cloned().zip(0..).collect(),
            names,
            stats: files.iter().map(stats_of).collect(),
            wanted: (0..files.len())
                .map(|index| if index.is_multiple_of(every) { each } else { 0 })
                .collect(),
        })
    }
}

/// What a download says of a file of records, where it says something that can be read.
fn stats_of(file: &RecordFile) -> Option<DatasetStats> {
    let path = file.path.with_file_name(format!("{}{DATASET_STATS_SUFFIX}", file.stem));
    DatasetStats::read(&path).ok().flatten()
}

/// What a thread counts.
struct RecordCounts<'a> {
    files: &'a FolderFiles,
    /// The file of the last record: the next one is mostly of the same.
    current: usize,
    by_file: Vec<FileCounts>,
    categories: Names,
    sources: Names,
    /// Texts by the power of two that their bytes are below.
    lengths: BTreeMap<u64, u64>,
    rejects: BTreeMap<Reason, u64>,
    scripts: Scripts,
    samples: Samples,
    said: SaidCounts,
    texts: SeenTexts<'a>,
}

#[derive(Debug, Default, Clone, Copy)]
struct FileCounts {
    records: u64,
    /// Bytes of text.
    bytes: u64,
    longest: u64,
}

impl<'a> RecordCounts<'a> {
    fn new(files: &'a FolderFiles, texts: &'a Texts) -> Self {
        Self {
            files,
            current: 0,
            by_file: vec![FileCounts::default(); files.names.len()],
            categories: Names::default(),
            sources: Names::default(),
            lengths: BTreeMap::new(),
            rejects: BTreeMap::new(),
            scripts: Scripts::new(),
            samples: Samples(vec![BTreeMap::new(); files.names.len()]),
            said: SaidCounts::default(),
            texts: SeenTexts::new(texts),
        }
    }

    fn merge(&mut self, other: Self) {
        for (sum, file) in self.by_file.iter_mut().zip(&other.by_file) {
            sum.records += file.records;
            sum.bytes += file.bytes;
            sum.longest = sum.longest.max(file.longest);
        }
        self.categories.merge(other.categories);
        self.sources.merge(other.sources);
        other.lengths.iter().for_each(|(&below, count)| *self.lengths.entry(below).or_default() += count);
        other.rejects.iter().for_each(|(&reason, count)| *self.rejects.entry(reason).or_default() += count);
        self.scripts.merge(&other.scripts);
        self.samples.merge(other.samples, &self.files.wanted);
        self.said.merge(other.said);
    }
}

impl Gather for RecordCounts<'_> {
    fn record(&mut self, file: &str, line: u64, record: &Record<'_>) {
        let is_current = self.files.names.get(self.current).is_some_and(|name| name == file);
        if !is_current {
            // A file that came while the others were read is not on the page.
            let Some(&index) = self.files.by_name.get(file) else { return };
            self.current = index;
        }
        let length = record.text.len() as u64;
        let counts = &mut self.by_file[self.current];
        counts.records += 1;
        counts.bytes += length;
        counts.longest = counts.longest.max(length);
        self.categories.add(record.category, length);
        self.sources.add(record.source, length);
        *self.lengths.entry((length + 1).next_power_of_two()).or_default() += 1;
        self.scripts.count(record.text, 1);
        self.texts.add(Checksum::of(record.text.as_bytes()).low64(), self.current as u32);
        self.samples.offer(self.current, self.files.wanted[self.current], line, record.text);
    }

    fn conversation(&mut self, _: &str, conversation: &Conversation<'_>) {
        self.said.count(conversation);
    }

    fn refused(&mut self, _: &str, reason: Reason) {
        *self.rejects.entry(reason).or_default() += 1;
    }
}

/// Records of each file: those whose lines have the smallest hashes, so that threads agree without a word.
#[derive(Debug)]
struct Samples(Vec<BTreeMap<(u64, u64), String>>);

impl Samples {
    fn offer(&mut self, file: usize, wanted: usize, line: u64, text: &str) {
        let key = (Checksum::of(&line.to_le_bytes()).low64(), line);
        let kept = &mut self.0[file];
        let is_wanted = kept.len() < wanted || kept.last_key_value().is_some_and(|(last, _)| key < *last);
        if wanted > 0 && is_wanted {
            kept.insert(key, beginning(text, SAMPLE_BYTES));
            if kept.len() > wanted {
                kept.pop_last();
            }
        }
    }

    fn merge(&mut self, other: Self, wanted: &[usize]) {
        for ((kept, other), &wanted) in self.0.iter_mut().zip(other.0).zip(wanted) {
            kept.extend(other);
            while kept.len() > wanted {
                kept.pop_last();
            }
        }
    }

    fn into_samples(self, files: &FolderFiles) -> Vec<PageSample> {
        let mut samples = Vec::new();
        for (name, kept) in files.names.iter().zip(self.0) {
            let mut of_file: Vec<(u64, String)> =
                kept.into_iter().map(|((_, line), text)| (line, text)).collect();
            of_file.sort_unstable();
            samples.extend(of_file.into_iter().map(|(line, text)| PageSample {
                name: format!("{name}, line {line}"),
                text: Some(text),
                pieces: None,
                spans: false,
                more: 0,
                padding: 0,
            }));
        }
        samples
    }
}
