//! The columns of a shard by their place in the schema.

use crate::loss_spans::Loss;

pub(super) const INPUT_IDS: usize = 0;
pub(super) const ATTENTION_MASK: usize = 1;
pub(super) const LABELS: usize = 2;
pub(super) const SEQ_LENS: usize = 3;
pub(super) const DOC_IDS: usize = 4;
pub(super) const DOC_OFFSETS: usize = 5;
pub(super) const LOSS_SPANS: usize = 6;

/// How many there are at the most, and without `loss_spans`.
pub(super) const COLUMNS_MAX: usize = 7;
const COLUMNS_PLAIN: usize = 6;

/// The number of columns.
pub(super) const fn column_count(loss: Loss) -> usize {
    match loss {
        Loss::All => COLUMNS_PLAIN,
        Loss::Spans => COLUMNS_MAX,
    }
}
