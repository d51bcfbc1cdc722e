//! From the records of all shards of a split to its finished folder and its entry in the manifest.
//!
//! Everything here may be done twice. A split's folder appears, or takes the place of the old one, when all that it
//! holds is on the disk; the manifest comes last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mashbill_format::layout::{Output, REJECTS_SUFFIX, STATS_SUFFIX, StateFolder, TABLES_FOLDER};
use mashbill_format::manifest::{self, FORMAT_VERSION, Shard, Split};
use mashbill_format::stats::{RejectedLine, Stats, rejects_text};
use mashbill_format::task::{DocumentCounts, MadePart, Reject, RunPlan, ShardRecord};
use mashbill_records::record::FieldCounts;
use mashbill_store::atomic::{self, SyncBatch};
use mashbill_store::checksum::Checksum;
use mashbill_store::folder_lock::FolderLock;

use crate::card::{self, CardReport};
use crate::context::{GroupMaking, RunWork, parts_of};
use crate::documents::first_of_each;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::folder::Folder;
use crate::license::licenses_of;
use crate::made::{are_all, recorded, whole};
use crate::place::Place;
use crate::report::Report;
use crate::split_plan::SplitPlan;

/// How long finished splits may wait until they stand in the manifest: so that not each of many small ones is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// They wait so many times as long as it takes to list them: the more splits are listed, the longer that takes.
const TIMES_AS_LONG: u32 = 20;

/// Ends a run of which [`crate::begin()`] gave the `plan`: puts the splits whose shards are all recorded in their places and
/// lists them. It may be done twice. When all of them have their places, nothing is left of the run.
///
/// Splits of which shards are missing stand in [`Report::failed`]; their records stay for another [`crate::begin()`].
///
/// # Errors
/// [`mashbill_store::Error::InUse`], [`Error::OutputChanged`] where `plan` is not what the output folder's state says, a
/// full disk, errors of the output folder.
pub fn commit(
    plan: &RunPlan,
    place: Place<'_>,
    host: &str,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report> {
    let started = Instant::now();
    let state = Output::new(place.output).state();
    atomic::create_own_folder(state.root())?;
    let lock = FolderLock::take(&state.lock(), host)?;
    if RunPlan::read(&state)?.is_some_and(|found| found != *plan) {
        return Err(Error::OutputChanged { path: place.output.to_owned() });
    }
    let parts = parts_of(&plan.manifest.options).iter();
    let folders = parts.map(|&part| Folder::of_plan(part, place, plan)).collect::<Result<Vec<_>>>()?;
    let splits = SplitPlan::all_of(plan, place.input)?;
    let mut recorded = recorded(&state)?;
    let work = RunWork::new(plan, &splits, |planned, _, id| {
        whole(recorded.remove(&id).unwrap_or_default(), &folders, &state, &planned.split)
    });
    let mut failed = Vec::new();
    for (split, making) in work.splits.iter().enumerate() {
        let groups = work.groups_of(split);
        let made = groups.iter().map(|group| group.kept.len()).sum();
        let is_there = |folder: &Folder| folder.has(making.plan);
        let is_done = groups.iter().all(GroupMaking::is_whole) || (made == 0 && all(&folders, is_there)?);
        if !is_done {
            failed.push((making.plan.name.clone(), Error::ShardsMissing { made, of: making.plan.count() }));
        }
    }
    let mut committer = Committer::new(&work, &state, folders, 0);
    let committed = committer.commit()?;
    committer.write_manifests()?;
    let mut made = vec![Vec::new(); parts_of(&plan.manifest.options).len()];
    for Committed { split, stats } in committed {
        on_event(Event::finished(&splits[split].name, &stats));
        made.iter_mut().zip(stats).for_each(|(made, stats)| made.push(stats));
    }
    let (folders, card) = committer.end();
    let card = card.map_or_else(|| card::write(&folders, &state), Ok)?;
    if failed.is_empty() {
        atomic::remove_folder(state.root())?;
    }
    drop(lock);
    Ok(Report { card, ..Report::new(folders, made, failed, started) })
}

fn all(folders: &[Folder], is: impl Fn(&Folder) -> Result<bool>) -> Result<bool> {
    folders.iter().try_fold(true, |all, folder| Ok(all && is(folder)?))
}

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
    work: &'a RunWork<'a>,
    state: &'a StateFolder,
    folders: Vec<Folder>,
    threads: usize,
    /// The records of each group so far.
    records: Vec<BTreeMap<usize, ShardRecord>>,
    /// Splits that are whole and wait.
    waiting: Vec<usize>,
    waiting_since: Instant,
    /// How long it took to list splits the last time.
    took: Duration,
    /// What became of the card when it was written last.
    card: Option<CardReport>,
}

impl<'a> Committer<'a> {
    /// A committer into `folders`, which knows of the shards that are made already.
    pub(crate) fn new(
        work: &'a RunWork<'a>,
        state: &'a StateFolder,
        folders: Vec<Folder>,
        threads: usize,
    ) -> Self {
        let records = work
            .groups
            .iter()
            .map(|group| group.kept.iter().map(|(&index, record)| (index, record.clone())).collect());
        let mut committer = Self {
            work,
            state,
            folders,
            threads,
            records: records.collect(),
            waiting: Vec::new(),
            waiting_since: Instant::now(),
            took: Duration::ZERO,
            card: None,
        };
        (0..work.splits.len()).for_each(|split| committer.look_at(split));
        committer
    }

    /// A shard of a group is made.
    pub(crate) fn add(&mut self, group: usize, record: ShardRecord) {
        let is_last = record.last || self.records[group].values().any(|record| record.last);
        self.records[group].insert(record.id.index, record);
        if is_last {
            self.look_at(self.work.groups[group].split);
        }
    }

    fn look_at(&mut self, split: usize) {
        let making = &self.work.splits[split];
        let mut groups = self.records[making.groups.clone()].iter();
        if !making.has_failed() && groups.all(|records| are_all(records.values())) {
            if self.waiting.is_empty() {
                self.waiting_since = Instant::now();
            }
            self.waiting.push(split);
        }
    }

    /// Whether splits have waited long enough.
    pub(crate) fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.waiting_since.elapsed() >= PATIENCE.max(self.took * TIMES_AS_LONG)
    }

    /// Puts all splits that are whole in their places and into the manifests.
    ///
    /// # Errors
    /// Errors of writing.
    pub(crate) fn commit(&mut self) -> Result<Vec<Committed>> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let runs: Vec<_> = self.folders.iter().map(|folder| folder.manifest.run_identity()).collect();
        let mut batch = SyncBatch::default();
        let mut committed = Vec::new();
        let mut entries = Vec::new();
        for split in waiting {
            let groups = self.records[self.work.splits[split].groups.clone()].iter_mut();
            let records: Vec<_> = groups.flat_map(std::mem::take).map(|(_, record)| record).collect();
            let mut stats = Vec::new();
            for (place, &run) in runs.iter().enumerate() {
                let (entry, of_part) = self.prepare(split, (place, run), &records, &mut batch)?;
                entries.push((split, place, entry));
                stats.push(of_part);
            }
            committed.push(Committed { split, stats });
        }
        batch.sync()?;
        self.publish(entries)?;
        self.took = started.elapsed();
        Ok(committed)
    }

    /// Writes what lies beside a split's shards in a folder of a run with that identity, unless the split has its place
    /// already.
    fn prepare(
        &self,
        split: usize,
        (place, run): (usize, Checksum),
        records: &[ShardRecord],
        batch: &mut SyncBatch,
    ) -> Result<(Split, Stats)> {
        let folder = &self.folders[place];
        let making = &self.work.splits[split];
        let plan = making.plan;
        let sum = Sum::of(records, folder, plan);
        let mut entry = sum.entry(plan, run, folder.output.split(&plan.name).display().to_string());
        entry.license = licenses_of(plan, &entry)?;
        let mut stats = sum.stats(&entry, records, self.threads);
        stats.split.clone_from(&plan.name);
        stats.inputs = plan.found_files();
        stats.seconds = making.begun.get().map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        let made = self.state.made(folder.part, &plan.name);
        let name = |suffix: &str| format!("{}{suffix}", plan.name);
        let was_begun = making.was_begun.load(Ordering::Relaxed);
        if was_begun && !made.exists() {
            // A run that was killed has given it its place.
            return Ok((entry, stats));
        }
        batch.write(&made.join(name(STATS_SUFFIX)), &stats.to_text())?;
        if !sum.rejects.is_empty() {
            batch.write(&made.join(name(REJECTS_SUFFIX)), &rejects_text(&sum.rejects))?;
        }
        if was_begun {
            remove_others(&made, &entry, &[name(STATS_SUFFIX), name(REJECTS_SUFFIX)])?;
        }
        Ok((entry, stats))
    }

    /// Gives the folders their places, then lists them.
    fn publish(&mut self, entries: Vec<(usize, usize, Split)>) -> Result<()> {
        let state = self.state;
        let mut batch = SyncBatch::default();
        self.folders.iter().try_for_each(|folder| atomic::create_folder(folder.output.root()))?;
        for (number, (split, place, _)) in entries.iter().enumerate() {
            let folder = &self.folders[*place];
            let name = &self.work.splits[*split].plan.name;
            let (made, target) = (state.made(folder.part, name), folder.output.split(name));
            let Err(error) = batch.rename(&made, &target) else { continue };
            if !made.exists() {
                // A run that was killed has given it its place.
                continue;
            }
            if !target.exists() {
                return Err(error.into());
            }
            let replaced = state.replaced();
            atomic::create_folder(&replaced)?;
            let old = replaced.join(number.to_string());
            atomic::remove_folder(&old)?;
            batch.rename(&target, &old)?;
            batch.rename(&made, &target)?;
        }
        batch.sync()?;
        for (split, place, entry) in entries {
            let name = self.work.splits[split].plan.name.clone();
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
        if let Some(card) = write_manifests(&mut self.folders, self.state)? {
            self.card = Some(card);
        }
        Ok(())
    }

    /// The folders with their manifests as they are now, and what became of the card, where it was written.
    pub(crate) fn end(self) -> (Vec<Folder>, Option<CardReport>) {
        (self.folders, self.card)
    }
}

/// Writes the manifests of `folders` that have changed, the last folder's first, and the dataset card after them: what
/// became of it, where one has changed.
///
/// # Errors
/// Errors of writing.
pub(crate) fn write_manifests(folders: &mut [Folder], state: &StateFolder) -> Result<Option<CardReport>> {
    let mut is_changed = false;
    for folder in folders.iter_mut().rev() {
        folder.manifest.files_processed = folder.manifest.splits.len() as u64;
        // An unchanged folder keeps its manifest, modification time included.
        if folder.written.as_ref() != Some(&folder.manifest) {
            atomic::create_folder(folder.output.root())?;
            atomic::create_own_folder(&state.temporary())?;
            folder.manifest.write(&folder.output, &state.temporary().join("manifest.json"))?;
            folder.written = Some(folder.manifest.clone());
            is_changed = true;
        }
    }
    is_changed.then(|| card::write(folders, state)).transpose()
}

/// What the records of a split come to in one part.
struct Sum {
    shards: Vec<Shard>,
    counts: Vec<DocumentCounts>,
    totals: DocumentCounts,
    rejects: Vec<RejectedLine>,
    ignored_bytes: u64,
}

impl Sum {
    fn of(records: &[ShardRecord], folder: &Folder, plan: &SplitPlan) -> Self {
        let mut sum = Self {
            shards: Vec::new(),
            counts: Vec::new(),
            totals: DocumentCounts::default(),
            rejects: Vec::new(),
            ignored_bytes: 0,
        };
        let mut kept = BTreeMap::new();
        let (mut group, mut lines) = (None, 0);
        for record in records {
            if record.id.group != group {
                (group, lines) = (record.id.group, 0);
            }
            let part = record.parts.iter().find(|part| part.part == folder.part);
            let MadePart { file, table, counts, rejects, .. } = part.expect("a record has all parts");
            let first = first_of_each(rejects.iter().cloned(), &mut kept).into_iter();
            sum.rejects.extend(first.map(|reject| in_file(reject, record, lines, plan)));
            lines += counts.lines;
            sum.totals.add(counts);
            sum.ignored_bytes += record.ignored_bytes;
            sum.counts.push(counts.clone());
            sum.shards.push(Shard {
                group: record.id.group,
                input: record.input.clone(),
                sources: record.sources.clone(),
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
    fn entry(&self, plan: &SplitPlan, run: Checksum, path: String) -> Split {
        let files = || self.shards.iter().filter_map(|shard| shard.file.as_ref());
        let source = manifest::SplitSource {
            file: plan.source.clone(),
            bytes: self.shards.iter().map(|shard| shard.input.bytes).sum(),
            checksum: manifest::source_checksum(self.shards.iter().map(|shard| &shard.input)),
        };
        Split {
            path,
            shards: files().count() as u64,
            sequences: files().map(|file| file.rows).sum(),
            samples: self.totals.documents,
            tokens: self.totals.ledger.tokens(),
            identity: manifest::split_identity(run, source.checksum),
            source,
            // Whoever lists the split looks it up: it may change while the split does not.
            license: Vec::new(),
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
            inputs: Vec::new(),
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
            with_messages: self.totals.with_messages,
            // Where there are documents, the refused lines say enough.
            without_text: match entry.samples {
                0 => self.totals.without_text.clone(),
                _ => FieldCounts::default(),
            },
            changes: self.totals.changes,
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

/// A refused line of a shard as it stands in its file, `lines` lines of which, or of its group, stand before the shard.
fn in_file(reject: Reject, record: &ShardRecord, lines: u64, plan: &SplitPlan) -> RejectedLine {
    let key = reject.key + record.input.start;
    let (file, line, key) = match manifest::source_of(&record.sources, key) {
        None => (plan.source.clone(), reject.line + lines, key),
        Some(source) if source.start < record.input.start => {
            (source.file.clone(), reject.line + lines, key - source.start)
        }
        Some(source) => (source.file.clone(), reject.line - source.line, key - source.start),
    };
    RejectedLine { file, reject: Reject { line, key, ..reject } }
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
