//! The documents of a block, of each part that documents are divided into, with what was counted and refused.

use std::collections::BTreeMap;
use std::ops::Range;

use mashbill_format::documents::Document;
use mashbill_format::manifest::Ledger;
use mashbill_format::shard::Piece;
use mashbill_format::stats::REJECTS_KEPT;
use mashbill_format::task::{DocumentCounts, Reject};
use mashbill_records::EXCERPT_BYTES;
use mashbill_records::record::Reason;
use mashbill_store::checksum::Checksum;

use crate::pack::Position;

/// The part of a block that is in one of the parts that documents are divided into.
#[derive(Debug, Default)]
pub(crate) struct BlockPart {
    pub(crate) documents: BlockDocuments,
    pub(crate) counts: DocumentCounts,
    /// Line numbers count from 1 within the block; keys from the beginning of its stretch.
    pub(crate) rejects: Vec<Reject>,
}

/// The documents of a block: their columns, and the text that labels them.
#[derive(Debug, Default)]
pub(crate) struct BlockDocuments {
    rows: Vec<DocumentRow>,
    labels: String,
    /// Which tokens are learned, of one document after another; nothing where all are.
    spans: Vec<i32>,
}

/// What labels a document.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DocumentLabels<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) category: Option<&'a str>,
}

/// A document to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewDocument<'a> {
    pub(crate) key: u64,
    /// Where its first token stands among the block's.
    pub(crate) first: usize,
    pub(crate) tokens: usize,
    pub(crate) content_hash: Checksum,
    pub(crate) labels: DocumentLabels<'a>,
    /// Which of its tokens are learned; nothing where all are, in a folder without such a column.
    pub(crate) spans: &'a [i32],
}

#[derive(Debug)]
struct DocumentRow {
    key: u64,
    /// Where its first token stands among the block's.
    first: u32,
    tokens: u32,
    content_hash: Checksum,
    id: Option<Range<u32>>,
    source: Option<Range<u32>>,
    category: Option<Range<u32>>,
    spans: Range<u32>,
}

impl BlockDocuments {
    /// Appends a document.
    pub(crate) fn push(&mut self, document: NewDocument<'_>) {
        let NewDocument { key, first, tokens, content_hash, labels, spans } = document;
        let place = |range: Range<usize>| {
            let end = |at: usize| u32::try_from(at).expect("what a block has fits in 32 bits");
            end(range.start)..end(range.end)
        };
        let mut label = |text: Option<&str>| {
            text.map(|text| {
                let start = self.labels.len();
                self.labels.push_str(text);
                place(start..self.labels.len())
            })
        };
        let (id, source, category) = (label(labels.id), label(labels.source), label(labels.category));
        let start = self.spans.len();
        self.spans.extend_from_slice(spans);
        self.rows.push(DocumentRow {
            key,
            first: u32::try_from(first).expect("a block has fewer than 2^32 tokens"),
            tokens: u32::try_from(tokens).expect("documents have fewer than 2^32 tokens"),
            content_hash,
            id,
            source,
            category,
            spans: place(start..self.spans.len()),
        });
    }

    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of the text that labels them, and of their spans.
    pub(crate) const fn label_bytes(&self) -> usize {
        self.labels.len() + size_of::<i32>() * self.spans.len()
    }

    fn spans_of(&self, row: &DocumentRow) -> &[i32] {
        &self.spans[row.spans.start as usize..row.spans.end as usize]
    }

    /// The documents whole, each as a piece with where its first token stands among the block's and its spans.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (usize, Piece, &[i32])> {
        self.rows.iter().map(|row| {
            let piece = Piece {
                doc_id: i64::try_from(row.key).expect("files are smaller than 2^63 bytes"),
                doc_offset: 0,
                len: i32::try_from(row.tokens).expect("documents have fewer than 2^31 tokens"),
            };
            (row.first as usize, piece, self.spans_of(row))
        })
    }

    /// The documents as rows of the document table: their first tokens stand at `positions`.
    pub(crate) fn table_rows<'a>(
        &'a self,
        positions: &'a [Position],
    ) -> impl Iterator<Item = Document<&'a str>> {
        let label = |range: &Option<Range<u32>>| {
            range.as_ref().map(|range| &self.labels[range.start as usize..range.end as usize])
        };
        self.rows.iter().zip(positions).map(move |(row, &Position { row: row_in_shard, position })| {
            Document {
                doc_id: i64::try_from(row.key).expect("files are smaller than 2^63 bytes"),
                id: label(&row.id),
                source: label(&row.source),
                category: label(&row.category),
                content_hash: row.content_hash,
                tokens: row.tokens.into(),
                row: row_in_shard,
                position,
                loss_spans: self.spans_of(row).to_vec(),
            }
        })
    }
}

impl BlockPart {
    /// Counts a document of `text_bytes` bytes whose tokens are those of `ledger`.
    pub(crate) fn count(&mut self, text_bytes: usize, ledger: &Ledger) {
        let counts = &mut self.counts;
        counts.documents += 1;
        counts.text_bytes += text_bytes as u64;
        counts.ledger.add(ledger);
        counts.document_tokens.count(ledger.tokens());
    }

    pub(crate) fn reject(&mut self, key: u64, reason: Reason, detail: String, raw: &[u8]) {
        let line = self.counts.lines;
        let count = self.counts.rejected.entry(reason).or_default();
        *count += 1;
        if *count <= REJECTS_KEPT {
            let head = &raw[..raw.len().min(EXCERPT_BYTES)];
            let excerpt = String::from_utf8_lossy(head).trim_end().to_owned();
            self.rejects.push(Reject { line, key, reason, detail, excerpt });
        }
    }
}

/// Keeps of `rejects` the first of each reason, `kept` having been kept before.
pub(crate) fn first_of_each(
    rejects: impl IntoIterator<Item = Reject>,
    kept: &mut BTreeMap<Reason, u64>,
) -> Vec<Reject> {
    let mut first = Vec::new();
    for reject in rejects {
        let count = kept.entry(reject.reason).or_default();
        if *count < REJECTS_KEPT {
            *count += 1;
            first.push(reject);
        }
    }
    first
}
