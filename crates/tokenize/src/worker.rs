//! What a worker thread keeps, and the memory that is used again.
//!
//! All splits share one set of workers. Encoding goes before tokenizing: it frees memory.

use std::sync::{Arc, Mutex, PoisonError};

use mashbill_format::documents::DocumentsEncoder;
use mashbill_format::shard::RowGroupEncoder;
use mashbill_records::record::RecordParser;
use mashbill_tokenizer::Scratch;

use crate::chat::ChatMemory;

/// What a worker keeps from task to task.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) parser: RecordParser,
    pub(crate) scratch: Scratch,
    pub(crate) chat: ChatMemory,
    pub(crate) memory: Memory,
    pub(crate) rows: RowGroupEncoder,
    pub(crate) documents: DocumentsEncoder,
}

/// Memory for blocks that is used again: to get new pages from the system for each would take a twentieth of
/// all the time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    ids: Vec<Vec<u32>>,
}

/// Most elements of a buffer that is kept: what an enormous document needed is given back.
const KEPT_ELEMENTS_MAX: usize = 4 << 20;

/// Most buffers for ids that a worker keeps.
const KEPT_IDS_MAX: usize = 4;

/// Most row groups whose bytes are kept: some three megabytes each.
const KEPT_GROUPS_MAX: usize = 4;

impl Memory {
    /// Room for a block's bytes.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() > KEPT_ELEMENTS_MAX {
            self.bytes = Vec::new();
        }
        &mut self.bytes
    }

    /// Empty room for a block's ids.
    pub(crate) fn ids(&mut self) -> Vec<u32> {
        self.ids.pop().unwrap_or_default()
    }

    /// Takes ids that nobody needs any more, if this was the last to hold them.
    pub(crate) fn recycle(&mut self, ids: Arc<Vec<u32>>) {
        if let Some(mut ids) = Arc::into_inner(ids)
            && self.ids.len() < KEPT_IDS_MAX
            && ids.capacity() <= KEPT_ELEMENTS_MAX
        {
            ids.clear();
            self.ids.push(ids);
        }
    }
}

/// The bytes of row groups that are written, for the next ones.
#[derive(Debug, Default)]
pub(crate) struct WrittenGroups(Mutex<Vec<Vec<u8>>>);

impl WrittenGroups {
    /// Takes the bytes of a row group that is written.
    pub(crate) fn give_back(&self, bytes: Vec<u8>) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() < KEPT_GROUPS_MAX {
            written.push(bytes);
        }
    }

    /// The bytes of a row group that is written, to be used again.
    pub(crate) fn take_back(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}
