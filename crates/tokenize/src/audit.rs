//! A finished folder against its source: every document is made again and compared, id by id.
//!
//! Decoding the ids would prove nothing, since texts are normalized on their way. So the source is cut and encoded
//! as in a run, without anything being written: all of it by the engine in use, and by the reference, which takes thirty
//! times as long, the documents that a run would compare with it (`sampling`), and a share of the others, chosen by their
//! content.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mashbill_format::documents::{self, Document, DocumentReader, DocumentsEncoder};
use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{Output, STATS_SUFFIX};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{self, Ledger, Manifest, SourceFile, Split};
use mashbill_format::shard::RowGroupEncoder;
use mashbill_format::split_rows::SplitRows;
use mashbill_format::stats::{InputFile, Stats};
use mashbill_records::FileKind;
use mashbill_records::record::RecordParser;
use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_tokenizer::{Engine, MetTraits, Scratch, Tokenizer};
use mashbill_verify::{Problem, ProblemKind, ProblemPlace, Remedy, Severity};

use crate::block::{BlockOptions, tokenize_block};
use crate::chat::{ChatEncoder, ChatMemory};
use crate::documents::BlockPart;
use crate::error::{Error, Result};
use crate::group::{Group, groups};
use crate::input::{Input, SplitNames, discover};
use crate::pack::Packer;
use crate::read::{InputCutting, Reader};
use crate::sampling::{Redoing, Sampling};
use crate::worker::{Memory, Worker};

/// Problems of a split after which it is left: what follows is rarely another cause.
const PROBLEMS_MAX: usize = 5;

/// How an audit is made.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditOptions {
    /// Where the sources are now, a folder or a file; none where they are where they were.
    pub source: Option<PathBuf>,
    /// The share of documents that the reference encodes, 0 to 1, besides those that have what none before them had.
    pub sample: f64,
    /// Splits that are worked on at the same time, 1 or more.
    pub threads: usize,
}

/// What an audit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Documents that were made again and compared.
    pub documents: u64,
    /// Those of them that the reference made.
    pub by_reference: u64,
    /// Documents that the reference gave up, so that they were compared with the fast engine's only.
    pub given_up: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Compares the splits of the folder of `manifest` with their sources. `tokenizer` is the one they were made with.
///
/// # Errors
/// [`Error::Tokenizer`], [`Error::Interrupted`]. A source that is gone or cannot be read is a [`Problem`].
pub fn audit(
    output: &Output,
    manifest: &Manifest,
    tokenizer: &Tokenizer,
    options: &AuditOptions,
    interrupted: &AtomicBool,
) -> Result<Audit> {
    let reference = match tokenizer.engine() {
        Engine::Reference => None,
        _ => Some(tokenizer.audited()?),
    };
    let audit = Auditor {
        output,
        manifest,
        tokenizer,
        reference: reference.as_ref(),
        chat: ChatEncoder::of(manifest.options.chat.as_ref(), tokenizer)?,
        options,
        interrupted,
    };
    let splits: Vec<_> = manifest.splits.iter().collect();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Ok(Audit::default()));
    thread::scope(|scope| {
        for _ in 0..options.threads.clamp(1, splits.len().max(1)) {
            scope.spawn(|| {
                while let Some((name, split)) = splits.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let made = audit.split(name, split);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    match (&mut *all, made) {
                        (Ok(all), Ok(made)) => all.add(made),
                        (Ok(_), Err(error)) => *all = Err(error),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    let mut report = all.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    report.given_up = reference.as_ref().map_or(0, Tokenizer::given_up);
    report.by_reference = report.by_reference.saturating_sub(report.given_up);
    report.problems.sort_by(|a, b| (&a.place, &a.detail).cmp(&(&b.place, &b.detail)));
    Ok(report)
}

impl Audit {
    fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.by_reference += other.by_reference;
        self.problems.extend(other.problems);
    }
}

struct Auditor<'a> {
    output: &'a Output,
    manifest: &'a Manifest,
    tokenizer: &'a Tokenizer,
    /// None where it is the engine in use.
    reference: Option<&'a Tokenizer>,
    chat: Option<ChatEncoder>,
    options: &'a AuditOptions,
    interrupted: &'a AtomicBool,
}

/// A split that is compared, up to where.
struct Comparing<'a> {
    name: &'a str,
    split: &'a Split,
    folder: &'a Output,
    rows: SplitRows<'a>,
    row_length: u64,
    /// The shard whose documents come, and its first row in the split.
    shard: usize,
    first_row: u64,
    /// Its document table, where it has one.
    table: Option<DocumentReader>,
    /// Where the next document has to stand.
    packer: Packer,
    /// What was counted so far.
    ledger: Ledger,
    report: Audit,
}

impl Auditor<'_> {
    fn split(&self, name: &str, split: &Split) -> Result<Audit> {
        let problem =
            |detail: String| Audit { problems: vec![source_problem(name, detail)], ..Audit::default() };
        let groups = match self.groups(name, split) {
            Ok(groups) => groups,
            Err(error) => {
                let detail = format!("its source `{}`: {error}", split.source.file);
                let gone = Problem {
                    kind: ProblemKind::SourceGone,
                    remedy: Remedy::NameSource,
                    ..source_problem(name, detail)
                };
                return Ok(Audit { problems: vec![gone], ..Audit::default() });
            }
        };
        let row_length = self.manifest.options.max_seq_length;
        let share = self.options.sample;
        let redoing = self.reference.map(|reference| Redoing { reference, share, state: RefCell::default() });
        let mut comparing = Comparing {
            name,
            split,
            folder: self.output,
            rows: SplitRows::new(&self.output.split(name), split),
            row_length: row_length as u64,
            shard: 0,
            first_row: 0,
            table: None,
            packer: Packer::new(row_length, usize::MAX, Loss::All),
            ledger: Ledger::default(),
            report: Audit::default(),
        };
        let compared = self.compare(&groups, redoing.as_ref(), &mut comparing);
        comparing.report.by_reference =
            redoing.map_or(comparing.report.documents, |redoing| redoing.state.into_inner().documents);
        match compared {
            Ok(()) => Ok(comparing.report),
            Err(error @ (Error::Interrupted | Error::Tokenizer(_))) => Err(error),
            Err(error) => Ok(problem(error.to_string())),
        }
    }

    /// The split's files, in their groups: where the options say, else where the run found them, else where the manifest has
    /// them.
    fn groups(&self, name: &str, split: &Split) -> Result<Vec<Group>> {
        let stats = Stats::read(&self.output.split(name).join(format!("{name}{STATS_SUFFIX}")));
        let found = stats.ok().flatten().map_or_else(Vec::new, |stats| stats.inputs);
        if split.shard_list.iter().all(|shard| shard.group.is_none()) {
            let found = found.first().map(|file| PathBuf::from(&file.path));
            return Ok(vec![Group { files: vec![self.file(&split.source.file, found)?] }]);
        }
        let stride = self.manifest.options.stride_bytes;
        let groups = groups_found(&found, split, stride).unwrap_or_else(|| groups_of_sources(&found, split));
        let group = |files: Vec<SoughtFile>| {
            let files = files.into_iter().map(|SoughtFile { relative, found }| {
                let file = self.file(&relative, found)?;
                Ok(Input { relative, ..file })
            });
            Ok(Group { files: files.collect::<Result<_>>()? })
        };
        groups.into_iter().map(group).collect()
    }

    /// The file that the manifest calls `relative` and that a run found at `found`.
    fn file(&self, relative: &str, found: Option<PathBuf>) -> Result<Input> {
        let path = match &self.options.source {
            Some(source) if source.is_file() => source.clone(),
            Some(source) => source.join(relative),
            None => {
                // A single file was its own input.
                let input = Path::new(&self.manifest.input_path);
                let is_file = !input.is_dir() && input.ends_with(relative);
                let in_manifest = || if is_file { input.to_owned() } else { input.join(relative) };
                found.filter(|path| path.exists()).unwrap_or_else(in_manifest)
            }
        };
        let found = discover(&path, self.output.root(), false, SplitNames::Stem)?;
        let file = found.inputs.into_iter().flat_map(|split| split.files).next();
        file.ok_or(Error::InputUnknown { path })
    }

    /// Makes the split again, block by block.
    fn compare(
        &self,
        groups: &[Group],
        redoing: Option<&Redoing<'_>>,
        comparing: &mut Comparing<'_>,
    ) -> Result<()> {
        let options = &self.manifest.options;
        let tokens = &self.manifest.tokenizer_identity;
        let mut worker = Worker {
            parser: RecordParser::new(&options.text_fields()),
            scratch: Scratch::new(),
            memory: Memory::default(),
            rows: RowGroupEncoder::new(
                options.max_seq_length,
                tokens.vocabulary_size as usize,
                tokens.pad.id,
                options.compression,
            ),
            documents: DocumentsEncoder::new(options.compression),
            chat: ChatMemory::default(),
        };
        let mut shard = 0;
        for group in groups {
            let mut reader = Reader::open(group, InputCutting::of(options))?;
            for index in 0.. {
                reader.begin(index)?;
                if !comparing.begin(shard)
                    || !self.shard(group, redoing, (&mut reader, &mut worker), comparing)?
                {
                    return Ok(());
                }
                shard += 1;
                if reader.end().last {
                    break;
                }
            }
        }
        if shard < comparing.split.shard_list.len() {
            comparing.wrong("the source ends before its last shard".into());
        }
        comparing.end_books();
        Ok(())
    }

    /// Makes a shard again; false where nothing behind it can be compared.
    fn shard(
        &self,
        group: &Group,
        redoing: Option<&Redoing<'_>>,
        (reader, worker): (&mut Reader<'_>, &mut Worker),
        comparing: &mut Comparing<'_>,
    ) -> Result<bool> {
        let (mut hasher, unused) = (Hasher::new(), MetTraits::default());
        while let Some(block) = reader.next()? {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let checksum = block.checksum(group)?;
            hasher.update(&checksum.to_bytes());
            let manifest::ShardOptions { max_document_bytes, held_out, .. } = self.manifest.options;
            let only = held_out.map(|held_out| held_out.part);
            let with = BlockOptions {
                tokenizer: self.tokenizer,
                chat: self.chat.as_ref(),
                max_document_bytes,
                held_out,
                sampling: redoing.map_or(Sampling::Later(&unused), Sampling::AtOnce),
                only,
            };
            let block = tokenize_block(&block, group, worker, with)?;
            let part = &block.parts[usize::from(only == Some(DatasetPart::Validation))];
            comparing.ledger.add(&part.counts.ledger);
            comparing.documents(&block.ids, part);
            if comparing.report.problems.len() >= PROBLEMS_MAX {
                return Ok(false);
            }
        }
        Ok(comparing.end(hasher.finish()))
    }
}

impl Comparing<'_> {
    /// Goes to shard `index`; false where there is none.
    fn begin(&mut self, index: usize) -> bool {
        if index > 0 {
            let before = self.split.shard_list[self.shard].file.as_ref();
            self.first_row += before.map_or(0, |file| file.rows);
        }
        self.shard = index;
        self.packer = Packer::new(self.row_length as usize, usize::MAX, Loss::All);
        let Some(shard) = self.split.shard_list.get(index) else {
            self.wrong("the source continues after its last shard".into());
            return false;
        };
        // What is wrong with a table that cannot be read `verify` tells.
        self.table = match &shard.table {
            Some(table) => documents::read(&self.folder.tables(self.name).join(&table.name)).ok(),
            None => None,
        };
        true
    }

    /// The shard has no more documents, and this checksum; false where nothing behind it can be compared.
    fn end(&mut self, checksum: Checksum) -> bool {
        if self.table.as_mut().is_some_and(|table| table.next().is_some()) {
            self.wrong("the document table has documents that the source does not have".into());
        }
        let is_same = checksum == self.split.shard_list[self.shard].input.checksum;
        if !is_same {
            let shard = self.shard;
            self.wrong(format!("the source has changed: the stretch of shard {shard} has another checksum"));
        }
        is_same
    }

    /// Compares where tokens come from, when all documents are as they should be: ids alone do not say whether a template or
    /// a text spells a control token.
    fn end_books(&mut self) {
        if !self.report.problems.is_empty() {
            return;
        }
        let counts = |ledger: &Ledger| {
            [
                ("text_tokens", ledger.text_tokens),
                ("special_tokens", ledger.special_tokens),
                ("literal_special_tokens", ledger.literal_special_tokens),
                ("template_tokens", ledger.template_tokens),
                ("learned_tokens", ledger.learned_tokens),
            ]
        };
        for ((what, found), (_, made)) in counts(&self.split.ledger).into_iter().zip(counts(&self.ledger)) {
            if found != made {
                self.wrong(format!("its ledger has {found} {what}, and its source gives {made}"));
            }
        }
    }

    fn wrong(&mut self, detail: String) {
        self.report.problems.push(source_problem(self.name, detail));
    }

    /// Compares a block's documents with the table and their ids, among `ids`, with the rows.
    fn documents(&mut self, ids: &Arc<Vec<u32>>, part: &BlockPart) {
        let mut positions = Vec::new();
        for (start, piece, _) in part.documents.pieces() {
            positions.push(self.packer.next_position());
            self.packer.push(ids, start, piece, &[], &mut Vec::new());
        }
        // Only the places are of interest.
        self.packer.forget_rows();
        let starts = part.documents.pieces().map(|(start, ..)| start);
        for (made, start) in part.documents.table_rows(&positions).zip(starts) {
            let Some(table) = &mut self.table else {
                return self
                    .wrong(format!("the source has the document {}, the table does not", made.doc_id));
            };
            let found = match table.next() {
                Some(Ok(found)) => found,
                Some(Err(error)) => return self.wrong(format!("its document table: {error}")),
                None => {
                    return self
                        .wrong(format!("the source has the document {}, the table does not", made.doc_id));
                }
            };
            self.report.documents += 1;
            if let Some(what) = difference(&made, &found) {
                return self.wrong(format!("document {}: {what}", self.key(made.doc_id)));
            }
            let ids = &ids[start..start + made.tokens as usize];
            let token = made.row as u64 * self.row_length + made.position as u64;
            match self.first_other(token, ids) {
                Ok(None) => {}
                Ok(Some((position, id))) => {
                    let (should, document) = (ids[position], self.key(made.doc_id));
                    return self.wrong(format!(
                        "document {document}: its token {position} is {id} and its source gives {should}"
                    ));
                }
                Err(error) => return self.wrong(error.to_string()),
            }
        }
    }

    /// A document's key in the whole input.
    fn key(&self, doc_id: i64) -> u64 {
        self.split.shard_list[self.shard].input.start + doc_id as u64
    }

    /// The first of `ids`, which are tokens of the shard from `token` on, that stands otherwise in the rows: its
    /// position and what stands there.
    fn first_other(
        &mut self,
        token: u64,
        ids: &[u32],
    ) -> mashbill_format::error::Result<Option<(usize, i32)>> {
        let mut at = 0;
        while at < ids.len() {
            let place = token + at as u64;
            let row = self.first_row + place / self.row_length;
            let row = self.rows.input_ids(row)?;
            // A shard of somebody else's may have shorter rows.
            let row = row.and_then(|row| row.get((place % self.row_length) as usize..));
            let Some(row) = row.filter(|row| !row.is_empty()) else { return Ok(Some((at, -1))) };
            let here = (ids.len() - at).min(row.len());
            let other = ids[at..at + here].iter().zip(row).position(|(&id, &found)| id as i32 != found);
            if let Some(other) = other {
                return Ok(Some((at + other, row[other])));
            }
            at += here;
        }
        Ok(None)
    }
}

/// A file of a split of many: its path below the input, and where the run found it, as far as is known.
struct SoughtFile {
    relative: String,
    found: Option<PathBuf>,
}

/// The files of a split of many in the groups in which the run cut them, with empty ones, of which no shard has records;
/// none where the places of the files that it `found` are not below one input.
fn groups_found(found: &[InputFile], split: &Split, stride: u64) -> Option<Vec<Vec<SoughtFile>>> {
    let source = split.shard_list.iter().flat_map(|shard| &shard.sources).next()?;
    let one = found.iter().map(|file| Path::new(&file.path)).find(|path| path.ends_with(&source.file))?;
    let root = one.ancestors().nth(Path::new(&source.file).components().count())?;
    let files = found.iter().map(|file| {
        let path = PathBuf::from(&file.path);
        let relative = path.strip_prefix(root).ok()?.to_str()?.to_owned();
        let (_, kind) = FileKind::of(path.file_name()?.to_str()?)?;
        let InputFile { size, modified_ns, changed_ns, .. } = *file;
        Some(Input { path, relative, kind, size, modified_ns, changed_ns })
    });
    let groups = groups(files.collect::<Option<_>>()?, stride).into_iter();
    let sought = |file: Input| SoughtFile { relative: file.relative, found: Some(file.path) };
    Some(groups.map(|group| group.files.into_iter().map(sought).collect()).collect())
}

/// The files that the shards of a split have records of, in their groups.
fn groups_of_sources(found: &[InputFile], split: &Split) -> Vec<Vec<SoughtFile>> {
    let mut by_name: HashMap<Option<&OsStr>, Vec<&Path>> = HashMap::new();
    for path in found.iter().map(|file| Path::new(&file.path)) {
        by_name.entry(path.file_name()).or_default().push(path);
    }
    let mut groups: Vec<(Option<usize>, Vec<SoughtFile>)> = Vec::new();
    for shard in &split.shard_list {
        if groups.last().is_none_or(|(of, _)| *of != shard.group) {
            groups.push((shard.group, Vec::new()));
        }
        let (_, files) = groups.last_mut().expect("it was pushed");
        for SourceFile { file, .. } in &shard.sources {
            if files.last().is_none_or(|last| last.relative != *file) {
                let alike = by_name.get(&Path::new(file).file_name()).into_iter().flatten();
                let found = alike.copied().find(|path| path.ends_with(file)).map(Path::to_owned);
                files.push(SoughtFile { relative: file.clone(), found });
            }
        }
    }
    groups.into_iter().map(|(_, files)| files).collect()
}

/// What is different between a document as it was made again and as it stands in the table.
fn difference(made: &Document<&str>, found: &Document<String>) -> Option<String> {
    let texts = [
        ("id", made.id, &found.id),
        ("source", made.source, &found.source),
        ("category", made.category, &found.category),
    ];
    if made.doc_id != found.doc_id {
        return Some(format!("the table has the document {} in its place", found.doc_id));
    }
    if made.content_hash != found.content_hash {
        return Some("its text is different".into());
    }
    if made.tokens != found.tokens {
        return Some(format!("it has {} tokens and its source gives {}", found.tokens, made.tokens));
    }
    if made.loss_spans != found.loss_spans {
        return Some("other tokens of it are learned than its source gives".into());
    }
    if (made.row, made.position) != (found.row, found.position) {
        return Some("the table gives it another place".into());
    }
    texts
        .iter()
        .find(|(_, made, found)| *made != found.as_deref())
        .map(|(name, ..)| format!("its {name} is different"))
}

fn source_problem(split: &str, detail: String) -> Problem {
    Problem {
        severity: Severity::Error,
        kind: ProblemKind::Source,
        place: ProblemPlace::file(split),
        detail,
        remedy: Remedy::MakeSplitAgain { split: split.to_owned() },
    }
}
