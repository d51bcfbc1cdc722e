//! One split, from its input file to its finished folder.
//!
//! The thread that makes a split computes nothing: it cuts blocks, puts what workers
//! made of them into order, packs, and says what comes next. Workers write, too, as copying
//! to the system takes a tenth of all the time. The window of blocks that are under way bounds the memory.

use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mashbill_format::atomic;
use mashbill_format::checksum::Hasher;
use mashbill_format::journal::{Counts, Journal, Reject, Tail, UnitRecord, write_records};
use mashbill_format::layout::{REJECTS_SUFFIX, STATS_SUFFIX, Staging, UNITS_SUFFIX};
use mashbill_format::manifest::{self, FORMAT_VERSION, Ledger, Unit};
use mashbill_format::record::{FieldCounts, Reason};
use mashbill_format::row_group::EncodedRowGroup;
use mashbill_format::shard::{RowGroupEncoder, RowLayout};
use mashbill_format::stats::{InputFile, Stats, write_rejects};

use crate::block::{BlockOptions, REJECTS_KEPT, TokenizedBlock, first_of_each, tokenize_block};
use crate::error::{Error, Result};
use crate::grow;
use crate::ordered::Ordered;
use crate::pack::{PackedRows, Packer};
use crate::plan::SplitPlan;
use crate::pool::{Order, Outcome, Pool, Worker};
use crate::read::{Blocks, check_unchanged};
use crate::recorder::Recorder;
use crate::run::{Context, Event};
use crate::shards::{DocumentsFile, Files, Group, Kind, Place, Shards, Written};
use crate::tokenizer::{Engine, FastRefused, Sample, Tokenizer};
use crate::unit::{DocumentTable, OpenUnit};

/// Texts that wait for their comparison with the reference; building what they need of it costs the
/// same for one as for many.
const SAMPLES_PER_CHECK: usize = 64;

/// A comparison takes as much memory as so many row groups.
const CHECK_WEIGHT: usize = 3;

/// How long the thread waits for workers before it looks whether the run was interrupted.
const PATIENCE: Duration = Duration::from_millis(50);

/// A finished split.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) split: manifest::Split,
    pub(crate) stats: Stats,
}

/// Makes the split `plan` with `tokenizer`, or goes on with it where a run was interrupted, and puts it in
/// its place. The manifest is left to the caller.
///
/// # Errors
/// [`Error::Interrupted`] with everything finished kept, [`Error::Changed`], [`Error::Strict`], and errors
/// of reading and writing.
pub(crate) fn make<'env>(
    plan: &'env SplitPlan,
    context: &'env Context<'env>,
    pool: &Pool<'env>,
    tokenizer: &Arc<Tokenizer>,
) -> Result<Made> {
    let staging = context.output.staging(&plan.input.split);
    if let Some(split) = completed(&staging, plan)? {
        return publish(split, &staging, plan, context);
    }
    grow::seed(plan, context)?;
    let journal = Journal::open(&staging, &plan.journal)?;
    let making = match Making::resume(plan, context, pool, tokenizer, journal) {
        // The files are behind the journal, as after a crash of the whole machine: begin again.
        Err(Error::Format(mashbill_format::Error::Damaged { .. } | mashbill_format::Error::Io { .. })) => {
            atomic::remove_folder(staging.root())?;
            Making::resume(plan, context, pool, tokenizer, Journal::open(&staging, &plan.journal)?)?
        }
        made => made?,
    };
    match making.make() {
        Ok(split) => publish(split, &staging, plan, context),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Mismatch { text }) => {
            // What the fast engine made of this split is not trusted, nor what it would make of it.
            context.tell(Event::EngineMismatch { split: plan.input.split.clone(), text: text.clone() });
            atomic::remove_folder(staging.root())?;
            let reference = Arc::new(tokenizer.to_reference(FastRefused::Mismatch { text })?);
            make(plan, context, pool, &reference)
        }
    }
}

fn completed(staging: &Staging, plan: &SplitPlan) -> Result<Option<manifest::Split>> {
    if !Journal::is_under_way(staging, &plan.journal)? {
        return Ok(None);
    }
    Ok(Journal::completed(staging)?)
}

/// Puts the finished files in their place. Each step may have been done by a run that was killed.
fn publish(
    split: manifest::Split,
    staging: &Staging,
    plan: &SplitPlan,
    context: &Context<'_>,
) -> Result<Made> {
    let name = &plan.input.split;
    let place = context.output.split(name);
    if staging.files().exists() {
        if place.exists() {
            atomic::remove_folder(&staging.replaced())?;
            atomic::publish(&place, &staging.replaced())?;
        }
        atomic::publish(&staging.files(), &place)?;
    }
    let path = place.join(format!("{name}{STATS_SUFFIX}"));
    let stats = Stats::read(&path)?.ok_or_else(|| mashbill_format::Error::Damaged {
        path,
        what: "the statistics of a complete split are missing".into(),
    })?;
    Ok(Made { split, stats })
}

/// Why a split was not finished.
enum Stop {
    Failed(Error),
    /// The engines disagree about a text.
    Mismatch {
        text: String,
    },
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<mashbill_format::Error> for Stop {
    fn from(error: mashbill_format::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What workers send back.
enum Reply {
    Block { sequence: u64, block: Result<Box<TokenizedBlock>> },
    Encoded { sequence: u64, group: Group },
    Appended(Result<Box<Appended>>),
    Checked(Result<Option<String>>),
}

/// Row groups that were written, and the files they were written to.
struct Appended {
    files: Files,
    groups: Vec<(Group, Option<Place>)>,
}

/// A split that is being made.
struct Making<'env, 'run> {
    plan: &'env SplitPlan,
    context: &'env Context<'env>,
    pool: &'run Pool<'env>,
    tokenizer: Arc<Tokenizer>,
    journal: Journal,
    recorder: Recorder,
    /// None while a worker writes to them.
    files: Option<Files>,
    writing: bool,
    /// Row groups that wait for the files, in order.
    ready: Vec<Group>,
    packer: Packer,
    /// Units that are not recorded yet, in order.
    open: VecDeque<OpenUnit>,
    /// Units that are recorded.
    units: Vec<Unit>,
    /// The key after the units that were recorded at the start.
    key: u64,
    totals: Counts,
    rejects: Vec<Reject>,
    kept: BTreeMap<Reason, u64>,
    /// Bytes behind the end of a packed input.
    ignored_bytes: u64,
    samples: Vec<(String, Vec<u32>)>,
    sender: Sender<Outcome<Reply>>,
    replies: Receiver<Outcome<Reply>>,
    groups_sent: u64,
    /// Blocks whose replies have not come.
    blocks_pending: usize,
    /// Row groups that are not written, and other tasks whose replies have not come.
    others_pending: usize,
    started: Instant,
}

impl<'env, 'run> Making<'env, 'run> {
    fn resume(
        plan: &'env SplitPlan,
        context: &'env Context<'env>,
        pool: &'run Pool<'env>,
        tokenizer: &Arc<Tokenizer>,
        journal: Journal,
    ) -> Result<Self> {
        let options = &context.options;
        let files = context.output.staging(&plan.input.split).files();
        let (sender, replies) = mpsc::channel();
        let mut totals = Counts::default();
        let mut rejects = Vec::new();
        let mut kept = BTreeMap::new();
        let mut units = Vec::new();
        let mut written = Written::default();
        let mut key = 0;
        for record in journal.units() {
            let record = record?;
            key = record.next_key;
            totals.add(&record.counts);
            rejects.extend(first_of_each(record.rejects.clone(), &mut kept));
            units.push(summary(&record, units.last()));
            written.add(record);
        }
        if !units.is_empty() {
            context.tell(Event::Resumed { split: plan.input.split.clone(), units: units.len(), key });
            context.progress.add(&totals);
        }
        Ok(Self {
            plan,
            context,
            pool,
            tokenizer: Arc::clone(tokenizer),
            recorder: Recorder::new(journal.clone()),
            journal,
            files: Some(Files {
                shards: Shards::resume(&files, options.compression, options.shard_bytes, &mut written)?,
                documents: DocumentsFile::resume(&files, options.compression, &mut written)?,
            }),
            writing: false,
            ready: Vec::new(),
            packer: Packer::new(options.max_seq_length, RowLayout::of(options.max_seq_length).rows_per_group),
            open: VecDeque::new(),
            units,
            key,
            totals,
            rejects,
            kept,
            ignored_bytes: 0,
            samples: Vec::new(),
            sender,
            replies,
            groups_sent: 0,
            blocks_pending: 0,
            others_pending: 0,
            started: Instant::now(),
        })
    }

    fn make(mut self) -> std::result::Result<manifest::Split, Stop> {
        if let Err(stop) = self.tokenize() {
            self.await_writer();
            return Err(stop);
        }
        check_unchanged(&self.plan.input)?;
        self.finish().map_err(Stop::Failed)
    }

    /// Waits until no worker writes to the split's folder, which may be removed next.
    fn await_writer(&mut self) {
        while self.writing {
            let reply = self.replies.recv().expect("this thread keeps a sender");
            self.writing = !matches!(reply, Ok(Reply::Appended(_)) | Err(_));
        }
    }

    /// Reads the input to its end; afterwards every unit is written and recorded.
    fn tokenize(&mut self) -> std::result::Result<(), Stop> {
        let cutting = self.context.cutting();
        let mut blocks = Blocks::open(&self.plan.input, &cutting, self.units.len(), self.key)?;
        let mut ordered_blocks = Ordered::default();
        let mut ordered_groups = Ordered::default();
        let mut sent = 0;
        let mut ended = false;
        loop {
            // Row groups are larger than blocks, and some wait for the disk: fewer are under way.
            while !ended
                && self.blocks_pending + ordered_blocks.len() < self.context.window
                && self.others_pending <= self.context.window / 2
            {
                match blocks.next()? {
                    Some(block) => {
                        self.send_block(sent, block);
                        sent += 1;
                    }
                    None => {
                        ended = true;
                        self.ignored_bytes = blocks.ignored_bytes();
                    }
                }
            }
            if ended && self.blocks_pending == 0 {
                // The last samples are compared while the last rows are encoded.
                self.check_samples();
                self.close_unit();
                self.record_units()?;
            }
            if self.blocks_pending == 0 && self.others_pending == 0 {
                if ended {
                    return Ok(self.recorder.finish()?);
                }
                continue;
            }
            match self.receive()? {
                Reply::Block { sequence, block } => {
                    self.blocks_pending -= 1;
                    ordered_blocks.put(sequence, block?);
                    while let Some(block) = ordered_blocks.take() {
                        self.add_block(*block)?;
                    }
                }
                Reply::Encoded { sequence, group } => {
                    ordered_groups.put(sequence, group);
                    while let Some(group) = ordered_groups.take() {
                        self.ready.push(group);
                    }
                    self.send_ready();
                }
                Reply::Appended(appended) => {
                    self.writing = false;
                    let Appended { files, groups } = *appended?;
                    for file in files.unsynced()? {
                        self.recorder.appended(file)?;
                    }
                    self.files = Some(files);
                    for (group, place) in groups {
                        self.others_pending -= 1;
                        self.unit(group.unit).written(group.encoded.meta, place);
                        if group.kind == Kind::Rows {
                            self.pool.give_back(group.encoded.bytes);
                        }
                    }
                    self.send_ready();
                }
                Reply::Checked(outcome) => {
                    self.others_pending -= CHECK_WEIGHT;
                    if let Some(text) = outcome? {
                        return Err(Stop::Mismatch { text });
                    }
                }
            }
            self.record_units()?;
        }
    }

    /// Waits for a reply, or for the interruption of the run.
    fn receive(&self) -> std::result::Result<Reply, Stop> {
        loop {
            if self.context.is_interrupted() {
                return Err(Stop::Failed(Error::Interrupted));
            }
            match self.replies.recv_timeout(PATIENCE) {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(panic)) => resume_unwind(panic),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("this thread keeps a sender"),
            }
        }
    }

    fn send_block(&mut self, sequence: u64, block: crate::read::Block) {
        self.blocks_pending += 1;
        let (plan, tokenizer) = (self.plan, Arc::clone(&self.tokenizer));
        let manifest::Options { max_document_bytes, held_out, .. } = self.context.options;
        self.pool.submit(Order::Later, &self.sender, move |worker| {
            let options = BlockOptions { tokenizer: &tokenizer, max_document_bytes, held_out };
            let block = tokenize_block(&block, &plan.input, worker, options);
            Reply::Block { sequence, block: block.map(Box::new) }
        });
    }

    fn add_block(&mut self, mut block: TokenizedBlock) -> Result<()> {
        if self.open.back().is_none_or(|unit| unit.index != block.unit) {
            self.close_unit();
            self.open.push_back(OpenUnit::new(block.unit, block.key));
        }
        for reject in &mut block.rejects {
            reject.line += self.totals.lines;
        }
        if let (true, Some(reject)) = (self.context.strict, block.rejects.first()) {
            return Err(Error::Strict {
                path: self.plan.input.path.clone(),
                line: reject.line,
                reason: reject.reason.name(),
                detail: reject.detail.clone(),
            });
        }
        self.totals.add(&block.counts);
        self.context.progress.add(&block.counts);
        self.context.progress.read(block.disk_bytes);
        self.rejects.extend(first_of_each(block.rejects.clone(), &mut self.kept));
        block.rejects.truncate(usize::try_from(REJECTS_KEPT).expect("a small number") * Reason::ALL.len());
        self.samples.append(&mut block.samples);
        let groups = self.packer.push(&block.ids, block.documents.pieces());
        let unit = block.unit;
        for group in groups {
            self.send_rows(unit, group);
        }
        if let Some(documents) = self.unit(unit).add(block) {
            self.send_documents(unit, documents);
        }
        if self.samples.len() >= SAMPLES_PER_CHECK {
            self.check_samples();
        }
        Ok(())
    }

    /// Ends the unit that blocks come in for, if there is one.
    fn close_unit(&mut self) -> bool {
        let Some(unit) = self.open.back() else { return false };
        if unit.is_closed() {
            return false;
        }
        let (index, tokens) = (unit.index, unit.tokens());
        let (rows, tail) = self.packer.end_unit();
        if let Some(rows) = rows {
            self.send_rows(index, rows);
        }
        let full_rows = tokens / self.context.options.max_seq_length as u64;
        if let Some(documents) = self.unit(index).close(full_rows, tail) {
            self.send_documents(index, documents);
        }
        true
    }

    fn send_rows(&mut self, unit: usize, rows: PackedRows) {
        let bytes = self.pool.take_back();
        self.send_group(unit, Kind::Rows, move |worker| {
            let group = rows.with_rows(|rows| worker.rows.encode_into(rows, bytes));
            rows.into_ids().for_each(|ids| worker.memory.recycle(ids));
            group
        });
    }

    fn send_documents(&mut self, unit: usize, table: DocumentTable) {
        let row_length = self.context.options.max_seq_length;
        self.send_group(unit, Kind::Documents, move |worker| table.encode(row_length, &mut worker.documents));
    }

    fn send_group(
        &mut self,
        unit: usize,
        kind: Kind,
        encode: impl FnOnce(&mut Worker) -> EncodedRowGroup + Send + 'env,
    ) {
        let sequence = self.groups_sent;
        self.groups_sent += 1;
        self.others_pending += 1;
        self.unit(unit).pending += 1;
        self.pool.submit(Order::First, &self.sender, move |worker| Reply::Encoded {
            sequence,
            group: Group { unit, kind, encoded: encode(worker) },
        });
    }

    /// Has the row groups that are ready appended, unless a worker is at it.
    fn send_ready(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let Some(mut files) = self.files.take() else { return };
        self.writing = true;
        let ready = std::mem::take(&mut self.ready);
        self.pool.submit(Order::First, &self.sender, move |_| {
            let groups = ready.into_iter().map(|group| files.append(&group).map(|place| (group, place)));
            let groups: Result<Vec<_>> = groups.collect();
            Reply::Appended(groups.map(|groups| Box::new(Appended { files, groups })))
        });
    }

    /// Has the documents that were sampled compared with the reference.
    fn check_samples(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        if samples.is_empty() || self.tokenizer.engine() == Engine::Reference {
            return;
        }
        self.others_pending += CHECK_WEIGHT;
        let tokenizer = Arc::clone(&self.tokenizer);
        self.pool.submit(Order::First, &self.sender, move |_| {
            let borrowed: Vec<_> = samples.iter().map(|(text, ids)| Sample { text, ids }).collect();
            let differing = tokenizer.check_samples(&borrowed);
            Reply::Checked(match differing {
                Ok(position) => Ok(position.map(|position| samples[position].0.clone())),
                Err(error) => Err(error.into()),
            })
        });
    }

    fn unit(&mut self, index: usize) -> &mut OpenUnit {
        let first = self.open.front().map_or(0, |unit| unit.index);
        &mut self.open[index - first]
    }

    /// Has the units that are written recorded, in order.
    fn record_units(&mut self) -> Result<()> {
        while self.open.front().is_some_and(OpenUnit::is_written) {
            let unit = self.open.pop_front().expect("it was just seen");
            let index = unit.index;
            let record = unit.into_record();
            self.units.push(summary(&record, self.units.last()));
            self.recorder.record(index, record)?;
        }
        Ok(())
    }

    /// Writes the units' tails as the last rows, finishes the files and declares them complete.
    fn finish(mut self) -> Result<manifest::Split> {
        let options = &self.context.options;
        let full_rows: u64 = self.units.iter().map(|unit| unit.rows).sum();
        let mut last_rows = 0;
        let mut encoder = self.context.row_group_encoder();
        let Files { mut shards, documents } = self.files.take().expect("no worker has them any more");
        for unit in 0..self.units.len() {
            let Tail { tokens, pieces } = self.recorded(unit)?.tail;
            for rows in self.packer.push(&Arc::new(tokens), pieces) {
                last_rows += append_last(&rows, &mut encoder, &mut shards)?;
            }
        }
        if let Some(rows) = self.packer.end_split() {
            last_rows += append_last(&rows, &mut encoder, &mut shards)?;
        }
        let sequences = full_rows + last_rows;
        let tokens = self.totals.ledger.tokens();
        let positions = sequences * options.max_seq_length as u64;
        assert!(
            positions >= tokens && positions - tokens < options.max_seq_length as u64,
            "rows hold the split's tokens and less than a row of padding"
        );
        let ledger = Ledger { padding: positions - tokens, ..self.totals.ledger.clone() };
        let mut hasher = Hasher::new();
        self.units.iter().for_each(|unit| hasher.update(&unit.checksum.to_bytes()));
        let source = manifest::Source {
            file: self.plan.input.relative.clone(),
            bytes: self.units.iter().map(|unit| unit.bytes).sum(),
            checksum: hasher.finish(),
        };
        let shard_files = shards.finish()?;
        let documents = documents.finish()?;
        let split = manifest::Split {
            path: self.context.output.split(&self.plan.input.split).display().to_string(),
            shards: shard_files.len() as u64,
            sequences,
            samples: self.totals.documents,
            tokens,
            identity: manifest::split_identity(self.plan.journal.identity, source.checksum),
            source,
            // Whoever lists the split looks it up: it may change while the split does not.
            license: None,
            ledger,
            shard_files,
            documents,
            units: self.units,
            rejected: self.totals.rejected.clone(),
        };
        let shard_bytes = split.shard_files.iter().map(|shard| shard.bytes).sum();
        let stats = Stats {
            format_version: FORMAT_VERSION,
            split: self.plan.input.split.clone(),
            input: InputFile {
                path: crate::plan::absolute(&self.plan.input.path),
                size: self.plan.input.size,
                modified_ns: self.plan.input.modified_ns,
                changed_ns: self.plan.journal.changed_ns,
            },
            lines: self.totals.lines,
            blank_lines: self.totals.blank_lines,
            byte_order_marks: self.totals.byte_order_marks,
            ignored_bytes: self.ignored_bytes,
            other_part: self.totals.other_part,
            samples: split.samples,
            sequences,
            tokens,
            text_bytes: self.totals.text_bytes,
            ledger: split.ledger.clone(),
            rejected: split.rejected.clone(),
            // Where there are documents, the refused lines say enough.
            without_text: match split.samples {
                0 => self.totals.without_text.clone(),
                _ => FieldCounts::default(),
            },
            document_tokens: self.totals.document_tokens.clone(),
            shard_bytes,
            engine: self.tokenizer.engine().name(),
            seconds: self.started.elapsed().as_secs_f64(),
            threads: self.context.threads,
            completed_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            mashbill_version: env!("CARGO_PKG_VERSION").into(),
        };
        let staging = self.context.output.staging(&self.plan.input.split);
        let name = &self.plan.input.split;
        stats.write(&staging.files().join(format!("{name}{STATS_SUFFIX}")), &staging.temporary())?;
        if !self.rejects.is_empty() {
            let path = staging.files().join(format!("{name}{REJECTS_SUFFIX}"));
            write_rejects(&path, &staging.temporary(), &self.plan.input.relative, &self.rejects)?;
        }
        let units = staging.files().join(format!("{name}{UNITS_SUFFIX}"));
        write_records(&units, &staging.temporary(), self.journal.units())?;
        self.journal.complete(&split)?;
        Ok(split)
    }

    /// The record of a unit that was recorded.
    fn recorded(&self, unit: usize) -> Result<UnitRecord> {
        let path = self.context.output.staging(&self.plan.input.split).unit(unit);
        let missing = mashbill_format::Error::Damaged { path, what: "the record is gone".into() };
        Ok(self.journal.unit(unit)?.ok_or(missing)?)
    }
}

fn append_last(rows: &PackedRows, encoder: &mut RowGroupEncoder, shards: &mut Shards) -> Result<u64> {
    let group = rows.with_rows(|rows| encoder.encode(rows));
    shards.append(&group)?;
    Ok(rows.count() as u64)
}

/// What the manifest says of a unit, which follows `before`.
fn summary(record: &UnitRecord, before: Option<&Unit>) -> Unit {
    Unit {
        first_key: record.first_key,
        bytes: record.bytes,
        checksum: record.checksum,
        documents: record.counts.documents,
        first_row: before.map_or(0, |unit| unit.first_row + unit.rows),
        rows: record.counts.rows,
        tail_tokens: record.tail.tokens.len() as u64,
    }
}
