//! Seeing what a check reads, so that nobody has to read it a second time.

use mashbill_format::shard::ShardRow;
use mashbill_records::conversation::Conversation;
use mashbill_records::record::{Reason, Record};
use mashbill_store::checksum::Checksum;

/// Takes in what a check reads. Each thread has one of its own, so none of them waits for another; what they took in
/// is put together in the end. Nothing that could not be read is told.
pub trait Gather: Send {
    /// A record of JSON Lines: its file, as problems name it, and its line from 1.
    fn record(&mut self, file: &str, line: u64, record: &Record<'_>) {
        let _ = (file, line, record);
    }

    /// What is said in a record without a text, after that record: its text is then what is said, written out plainly.
    fn conversation(&mut self, file: &str, conversation: &Conversation<'_>) {
        let _ = (file, conversation);
    }

    /// A line that is no record.
    fn refused(&mut self, file: &str, reason: Reason) {
        let _ = (file, reason);
    }

    /// A document of a split, as the document table has it.
    fn document(&mut self, split: &str, document: &DocumentSeen<'_>) {
        let _ = (split, document);
    }

    /// Whether it is to be said how many tokens of each document are learned, for which spans are read a second time.
    fn wants_learned_tokens(&self) -> bool {
        false
    }

    /// Whether tokens are to be counted, which costs a fifth of what the check costs.
    fn wants_tokens(&self) -> bool {
        false
    }

    /// How often ids stand in a row group, padding left out; an id may come several times.
    fn tokens(&mut self, split: &str, counts: &mut dyn Iterator<Item = (i32, u64)>) {
        let _ = (split, counts);
    }

    /// The documents in each row of a row group.
    fn pieces(&mut self, split: &str, pieces_in_row: &[u32]) {
        let _ = (split, pieces_in_row);
    }

    /// Whether the row of the split, from 0, is wanted whole.
    fn wants_row(&self, split: &str, row: u64) -> bool {
        let _ = (split, row);
        false
    }

    /// A row that is wanted.
    fn row(&mut self, split: &str, row: u64, content: ShardRow<'_>) {
        let _ = (split, row, content);
    }
}

/// Nobody, who wants to see nothing.
impl Gather for () {}

/// A document as the document table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentSeen<'a> {
    /// The record's `source`.
    pub source: Option<&'a str>,
    /// The record's `category`.
    pub category: Option<&'a str>,
    /// The hash of its text.
    pub content_hash: Checksum,
    /// Its tokens, BOS and EOS included.
    pub tokens: u64,
    /// Those of them on which there is a loss; all where nobody wants to know it.
    pub learned_tokens: u64,
}
