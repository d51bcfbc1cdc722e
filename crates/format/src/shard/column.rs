//! The columns of a shard by their place in the schema.

pub(super) const INPUT_IDS: usize = 0;
pub(super) const ATTENTION_MASK: usize = 1;
pub(super) const LABELS: usize = 2;
pub(super) const SEQ_LENS: usize = 3;
pub(super) const DOC_IDS: usize = 4;
pub(super) const DOC_OFFSETS: usize = 5;
/// How many there are.
pub(super) const COLUMNS: usize = 6;
