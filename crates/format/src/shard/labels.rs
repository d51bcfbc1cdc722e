//! Labels of a row as they stand in a page, held against the ids.

use std::ops::Range;

use mashbill_parquet::decode::Decoded;

use crate::loss_spans::{labels_of_runs, sum};

/// Whether the labels of a row are the next ids where those are learned, and ignored elsewhere: all but that of the last
/// position, if that is no padding. `labels` and `ids` are the indices of the row's positions, of `width` bytes each, and
/// index 0 is that of the ignored label; the first `tokens` are no padding, and of those the ones are learned that `spans`
/// say.
pub(super) fn follow(labels: &[u8], ids: &[u8], width: usize, tokens: usize, spans: &[i32]) -> bool {
    let bytes = |positions: Range<usize>| positions.start * width..positions.end * width;
    let are_ignored = |positions| are_zero(&labels[bytes(positions)]);
    let length = labels.len() / width;
    labels_of_runs(spans, tokens).all(|(is_learned, at, next)| {
        if is_learned { labels[bytes(at)] == ids[bytes(next)] } else { are_ignored(at) }
    }) && (tokens == length || are_ignored(tokens.saturating_sub(1)..length))
}

/// Whether all bytes are 0: many are looked at together.
fn are_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

/// The tokens before the padding in a row of whose tokens those are learned that `spans` say: as many as they sum to.
pub(super) fn tokens_of_spans(ids: &[u8], labels: &[u8], width: usize, spans: &[i32]) -> Decoded<u32> {
    let sum = sum(spans).map_err(|_| "its loss_spans are not valid")?;
    let tokens = u32::try_from(sum).ok().filter(|&tokens| tokens > 0 && tokens as usize <= ids.len() / width);
    let tokens = tokens.ok_or("its loss_spans and its rows contradict each other")?;
    if follow(labels, ids, width, tokens as usize, spans) {
        Ok(tokens)
    } else {
        Err("its labels and its loss_spans contradict each other")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::loss_spans::check;

    const IDS: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn the_tokens_are_those_of_the_spans_and_labels_are_held_against_them() {
        // Of the six tokens 2, 3 and 5 are learned; at the end is padding.
        let (spans, labels) = ([1, 2, 1, 1, 1], [2, 3, 0, 5, 0, 0, 0, 0]);
        assert_eq!(tokens_of_spans(&IDS, &labels, 1, &spans), Ok(6));
        for at in 0..IDS.len() {
            let mut other = labels;
            other[at] = 9;
            assert!(tokens_of_spans(&IDS, &other, 1, &spans).is_err(), "{at}");
        }
        // Where there is no padding, the last label is that of another row.
        assert_eq!(tokens_of_spans(&IDS, &[2, 3, 4, 5, 6, 7, 8, 9], 1, &[0, 8]), Ok(8));
    }

    proptest! {
        #[test]
        fn spans_of_anybody_are_refused(spans in prop::collection::vec(prop_oneof![-2..9i32, any::<i32>()], 0..6)) {
            let tokens = tokens_of_spans(&IDS, &[0; 8], 1, &spans);
            if let Ok(tokens) = tokens {
                prop_assert_eq!(check(&spans, tokens.into()), Ok(()));
            }
        }
    }
}
