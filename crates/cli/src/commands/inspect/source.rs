//! The records that documents of a tokenized folder were made of, as long as they are where they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mashbill_format::layout::{Output, STATS_SUFFIX};
use mashbill_format::manifest::Manifest;
use mashbill_format::stats::Stats;
use mashbill_records::conversation::FIELDS;
use mashbill_records::{DOCUMENT_BYTES_MAX, FileKind, Lines, ReadError, RowBlocks, RowCutting, open_regular};

use super::view::ShownPiece;

/// The inputs of a folder.
pub(super) struct SourceRecords<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    /// Where files are, by their split and their name in the manifest.
    paths: BTreeMap<(String, String), PathBuf>,
    /// The file that was read last: a row's documents follow one another in it.
    open: Option<OpenSource>,
}

struct OpenSource {
    path: PathBuf,
    lines: Lines,
    /// Lines that begin before it were read.
    next: u64,
}

/// The record of a document.
pub(super) struct FoundRecord {
    /// Its JSON.
    pub(super) line: String,
    /// Whether it is a row of a Parquet file.
    pub(super) is_row: bool,
    pub(super) file: PathBuf,
    /// Its line, or row, from 1.
    pub(super) number: u64,
}

impl<'a> SourceRecords<'a> {
    pub(super) const fn new(folder: &'a Path, manifest: &'a Manifest) -> Self {
        Self { folder, manifest, paths: BTreeMap::new(), open: None }
    }

    /// The record that stands where the document's record stood, or why none does, for people.
    pub(super) fn record_of(&mut self, split: &str, piece: &ShownPiece) -> Result<FoundRecord, String> {
        let Some(listed) = self.manifest.splits.get(split) else {
            return Err("its split is not listed".into());
        };
        let file = self.file(split, piece.file.as_ref().unwrap_or(&listed.source.file));
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some((_, kind)) = FileKind::of(&name).filter(|_| file.is_file()) else {
            return Err(format!("`{}` is not there any more", file.display()));
        };
        let key = piece.doc_id.cast_unsigned().wrapping_sub(piece.file_start);
        let (found, is_row) = match kind {
            FileKind::Json(_) => (self.line(&file, kind, key), false),
            FileKind::Parquet => (row(&file, self.manifest, key), true),
        };
        match found {
            Ok(Some((line, number))) => Ok(FoundRecord { line, is_row, file, number }),
            Ok(None) => Err(has_changed(&file)),
            Err(error) => Err(format!("`{}` is not read: {error}", file.display())),
        }
    }

    /// Where the file called `relative` is: where the run found it, else where the manifest has it.
    fn file(&mut self, split: &str, relative: &str) -> PathBuf {
        let key = (split.to_owned(), relative.to_owned());
        if let Some(path) = self.paths.get(&key) {
            return path.clone();
        }
        let stats = Output::new(self.folder).split(split).join(format!("{split}{STATS_SUFFIX}"));
        let inputs = Stats::read(&stats).ok().flatten().map_or_else(Vec::new, |stats| stats.inputs);
        let found = inputs.iter().map(|file| Path::new(&file.path)).find(|path| path.ends_with(relative));
        let input = Path::new(&self.manifest.input_path);
        let in_manifest = || if input.is_dir() { input.join(relative) } else { input.to_owned() };
        let path = found.filter(|path| path.exists()).map_or_else(in_manifest, Path::to_owned);
        self.paths.insert(key, path.clone());
        path
    }

    /// The line that begins at `key` of the file's content, and its number.
    fn line(&mut self, file: &Path, kind: FileKind, key: u64) -> Result<Option<(String, u64)>, ReadError> {
        let FileKind::Json(container) = kind else { return Ok(None) };
        let before = self.open.take().filter(|open| open.path == file && open.next <= key);
        let mut open = match before {
            Some(open) => open,
            None => OpenSource { path: file.to_owned(), lines: Lines::open(file, container)?, next: 0 },
        };
        while let Some(line) = open.lines.read()? {
            open.next = line.start + 1;
            if line.start >= key {
                let bytes = line.bytes.filter(|_| line.start == key);
                let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
                let found = text.map(|text| (text.to_owned(), line.number));
                self.open = Some(open);
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The row `key` of a Parquet file as JSON, and its number.
fn row(path: &Path, manifest: &Manifest, key: u64) -> Result<Option<(String, u64)>, ReadError> {
    let texts = manifest.options.text_fields().into_iter().filter(|field| !FIELDS.contains(field));
    let text_fields: Vec<_> = FIELDS.iter().copied().chain(texts).collect();
    let cutting = RowCutting {
        block_bytes: 1,
        text_bytes_max: DOCUMENT_BYTES_MAX,
        text_fields: &text_fields,
        is_whole: true,
    };
    let (file, metadata) = open_regular(path)?;
    let rows = key..key.saturating_add(1);
    let block = RowBlocks::new(path, file, metadata.len(), cutting, rows)?.next()?;
    let row = block.as_ref().and_then(|block| block.rows().next());
    Ok(row.and_then(|row| row.record().ok()).map(|record| (record.text.to_owned(), key + 1)))
}

/// That a file does not have a document's record where that stood.
pub(super) fn has_changed(file: &Path) -> String {
    format!("`{}` has changed since", file.display())
}
