//! From the records of all shards of a split to its finished folder and its entry in the manifest.
//!
//! Everything here may be done twice. A split's folder appears, or takes the place of the old one, when all that it
//! holds is on the disk; the manifest comes last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mashbill_format::atomic::{self, Batch};
use mashbill_format::layout::{REJECTS_SUFFIX, STATS_SUFFIX, State, TABLES_FOLDER};
use mashbill_format::manifest::{self, FORMAT_VERSION, Manifest, Shard, Split};
use mashbill_format::record::FieldCounts;
use mashbill_format::stats::{InputFile, Stats, rejects_text};
use mashbill_format::task::{Counts, MadePart, ShardRecord};

use crate::block::first_of_each;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::license::license_of;
use crate::plan::{Folder, absolute};

/// How long finished splits may wait until they stand in the manifest: so that not each of many small ones is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A split that is finished and in its place.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) split: usize,
    /// Its statistics in each part.
    pub(crate) stats: Vec<Stats>,
}

/// Puts finished splits in their places.
#[derive(Debug)]
pub(crate) struct Committer<'a> {
    context: &'a Context<'a>,
    folders: Vec<Folder>,
    threads: usize,
    /// The records of each split so far.
    records: Vec<BTreeMap<usize, ShardRecord>>,
    /// Splits that are whole and wait.
    waiting: Vec<usize>,
    waiting_since: Instant,
}

impl<'a> Committer<'a> {
    /// A committer into `folders`, which knows of the shards that are made already.
    pub(crate) fn new(context: &'a Context<'a>, folders: Vec<Folder>, threads: usize) -> Self {
        let records = context
            .splits
            .iter()
            .map(|making| making.kept.iter().map(|(&index, record)| (index, record.clone())).collect());
        let mut committer = Self {
            context,
            folders,
            threads,
            records: records.collect(),
            waiting: Vec::new(),
            waiting_since: Instant::now(),
        };
        (0..committer.records.len()).for_each(|split| committer.look_at(split));
        committer
    }

    /// A shard is made.
    pub(crate) fn add(&mut self, split: usize, record: ShardRecord) {
        self.records[split].insert(record.index, record);
        self.look_at(split);
    }

    fn look_at(&mut self, split: usize) {
        let records = &self.records[split];
        let Some((&index, record)) = records.last_key_value() else { return };
        if record.last && records.len() == index + 1 && !self.context.splits[split].has_failed() {
            if self.waiting.is_empty() {
                self.waiting_since = Instant::now();
            }
            self.waiting.push(split);
        }
    }

    /// Whether splits have waited long enough.
    pub(crate) fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.waiting_since.elapsed() >= PATIENCE
    }

    /// Puts all splits that are whole in their places and into the manifests.
    ///
    /// # Errors
    /// Errors of writing.
    pub(crate) fn commit(&mut self) -> Result<Vec<Committed>> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut batch = Batch::default();
        let mut committed = Vec::new();
        let mut entries = Vec::new();
        for split in waiting {
            let records: Vec<_> = std::mem::take(&mut self.records[split]).into_values().collect();
            let mut stats = Vec::new();
            for place in 0..self.folders.len() {
                let (entry, of_part) = self.prepare(split, place, &records, &mut batch)?;
                entries.push((split, place, entry));
                stats.push(of_part);
            }
            committed.push(Committed { split, stats });
        }
        batch.sync()?;
        self.publish(entries)?;
        Ok(committed)
    }

    /// Writes what lies beside a split's shards, unless the split has its place already.
    fn prepare(
        &self,
        split: usize,
        place: usize,
        records: &[ShardRecord],
        batch: &mut Batch,
    ) -> Result<(Split, Stats)> {
        let folder = &self.folders[place];
        let making = &self.context.splits[split];
        let input = &making.plan.input;
        let sum = Sum::of(records, folder);
        let mut entry =
            sum.entry(input, &folder.manifest, folder.output.split(&input.split).display().to_string());
        entry.license = license_of(input, &entry.source)?;
        let mut stats = sum.stats(&entry, records, self.threads);
        stats.split.clone_from(&input.split);
        stats.input = InputFile {
            path: absolute(&input.path),
            size: input.size,
            modified_ns: input.modified_ns,
            changed_ns: making.plan.changed_ns,
        };
        stats.seconds = making.begun.get().map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        let made = self.context.state.made(folder.part, &input.split);
        let name = |suffix: &str| format!("{}{suffix}", input.split);
        if !made.exists() {
            // A run that was killed has given it its place.
            return Ok((entry, stats));
        }
        batch.write(&made.join(name(STATS_SUFFIX)), &stats.to_text())?;
        if !sum.rejects.is_empty() {
            batch.write(&made.join(name(REJECTS_SUFFIX)), &rejects_text(&input.relative, &sum.rejects))?;
        }
        remove_others(&made, &entry, &[name(STATS_SUFFIX), name(REJECTS_SUFFIX)])?;
        Ok((entry, stats))
    }

    /// Gives the folders their places, then lists them.
    fn publish(&mut self, entries: Vec<(usize, usize, Split)>) -> Result<()> {
        let state = &self.context.state;
        let mut batch = Batch::default();
        for (number, (split, place, _)) in entries.iter().enumerate() {
            let folder = &self.folders[*place];
            let name = &self.context.splits[*split].plan.input.split;
            let (made, target) = (state.made(folder.part, name), folder.output.split(name));
            if !made.exists() {
                continue;
            }
            atomic::create_folder(folder.output.root())?;
            if target.exists() {
                let replaced = state.replaced();
                atomic::create_folder(&replaced)?;
                let old = replaced.join(number.to_string());
                atomic::remove_folder(&old)?;
                batch.rename(&target, &old)?;
            }
            batch.rename(&made, &target)?;
        }
        batch.sync()?;
        for (split, place, entry) in entries {
            let name = self.context.splits[split].plan.input.split.clone();
            self.folders[place].manifest.vanished.remove(&name);
            self.folders[place].manifest.splits.insert(name, entry);
        }
        self.write_manifests()?;
        atomic::remove_folder(&state.replaced()).map_err(Error::from)
    }

    /// Writes the manifests that have changed. What is held out comes first: a split that is in the manifest to train on
    /// never lacks its other part.
    ///
    /// # Errors
    /// Errors of writing.
    pub(crate) fn write_manifests(&mut self) -> Result<()> {
        write_manifests(&mut self.folders, &self.context.state)
    }

    /// The folders with their manifests as they are now.
    pub(crate) fn into_folders(self) -> Vec<Folder> {
        self.folders
    }
}

/// Writes the manifests of `folders` that have changed, the last folder's first.
///
/// # Errors
/// Errors of writing.
pub(crate) fn write_manifests(folders: &mut [Folder], state: &State) -> Result<()> {
    for folder in folders.iter_mut().rev() {
        folder.manifest.files_processed = folder.manifest.splits.len() as u64;
        // An unchanged folder keeps its manifest, modification time included.
        if folder.written.as_ref() != Some(&folder.manifest) {
            atomic::create_folder(folder.output.root())?;
            atomic::create_own_folder(&state.temporary())?;
            folder.manifest.write(&folder.output, &state.temporary().join("manifest.json"))?;
            folder.written = Some(folder.manifest.clone());
        }
    }
    Ok(())
}

/// What the records of a split come to in one part.
struct Sum {
    shards: Vec<Shard>,
    counts: Vec<Counts>,
    totals: Counts,
    rejects: Vec<mashbill_format::task::Reject>,
    ignored_bytes: u64,
}

impl Sum {
    fn of(records: &[ShardRecord], folder: &Folder) -> Self {
        let mut sum = Self {
            shards: Vec::new(),
            counts: Vec::new(),
            totals: Counts::default(),
            rejects: Vec::new(),
            ignored_bytes: 0,
        };
        let mut kept = BTreeMap::new();
        for record in records {
            let part = record.parts.iter().find(|part| part.part == folder.part);
            let MadePart { file, table, counts, rejects, .. } = part.expect("a record has all parts");
            let lines = sum.totals.lines;
            let absolute = rejects.iter().map(|reject| {
                let (line, key) = (reject.line + lines, reject.key + record.input.start);
                mashbill_format::task::Reject { line, key, ..reject.clone() }
            });
            sum.rejects.extend(first_of_each(absolute, &mut kept));
            sum.totals.add(counts);
            sum.ignored_bytes += record.ignored_bytes;
            sum.counts.push(counts.clone());
            sum.shards.push(Shard {
                input: record.input.clone(),
                documents: counts.documents,
                tokens: counts.ledger.tokens(),
                padding: counts.ledger.padding,
                file: file.clone(),
                table: table.clone(),
            });
        }
        sum
    }

    /// The manifest's entry.
    fn entry(&self, input: &Input, manifest: &Manifest, path: String) -> Split {
        let files = || self.shards.iter().filter_map(|shard| shard.file.as_ref());
        let source = manifest::Source {
            file: input.relative.clone(),
            bytes: self.shards.iter().map(|shard| shard.input.bytes).sum(),
            checksum: manifest::source_checksum(self.shards.iter().map(|shard| &shard.input)),
        };
        Split {
            path,
            shards: files().count() as u64,
            sequences: files().map(|file| file.rows).sum(),
            samples: self.totals.documents,
            tokens: self.totals.ledger.tokens(),
            identity: manifest::split_identity(manifest.run_identity(), source.checksum),
            source,
            // Whoever lists the split looks it up: it may change while the split does not.
            license: None,
            ledger: self.totals.ledger.clone(),
            shard_list: self.shards.clone(),
            rejected: self.totals.rejected.clone(),
        }
    }

    /// The statistics, but for what the records do not say.
    fn stats(&self, entry: &Split, records: &[ShardRecord], threads: usize) -> Stats {
        let engines: BTreeSet<_> = records.iter().map(|record| record.engine.as_str()).collect();
        Stats {
            format_version: FORMAT_VERSION,
            split: String::new(),
            input: InputFile { path: String::new(), size: 0, modified_ns: 0, changed_ns: 0 },
            lines: self.totals.lines,
            blank_lines: self.totals.blank_lines,
            byte_order_marks: self.totals.byte_order_marks,
            ignored_bytes: self.ignored_bytes,
            other_part: self.totals.other_part,
            samples: entry.samples,
            sequences: entry.sequences,
            tokens: entry.tokens,
            text_bytes: self.totals.text_bytes,
            ledger: entry.ledger.clone(),
            rejected: entry.rejected.clone(),
            // Where there are documents, the refused lines say enough.
            without_text: match entry.samples {
                0 => self.totals.without_text.clone(),
                _ => FieldCounts::default(),
            },
            document_tokens: self.totals.document_tokens.clone(),
            shard_bytes: entry.shard_files().map(|file| file.bytes).sum(),
            shards: self.counts.clone(),
            engine: engines.into_iter().collect::<Vec<_>>().join(", "),
            seconds: 0.0,
            threads,
            completed_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            mashbill_version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// Removes what a run that was killed has left of shards that were cut in another way.
fn remove_others(made: &Path, entry: &Split, beside: &[String]) -> Result<()> {
    let rows: BTreeSet<_> = entry.shard_files().map(|file| file.name.as_str()).collect();
    let tables: BTreeSet<_> = entry.tables().map(|table| table.name.as_str()).collect();
    let beside = beside.iter().map(String::as_str).chain([TABLES_FOLDER]).collect::<BTreeSet<_>>();
    atomic::remove_files_but(made, |name| rows.contains(name) || beside.contains(name))?;
    let folder = made.join(TABLES_FOLDER);
    if tables.is_empty() {
        atomic::remove_folder(&folder)?;
    } else {
        atomic::remove_files_but(&folder, |name| tables.contains(name))?;
    }
    Ok(())
}
