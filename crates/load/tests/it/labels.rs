//! What a batch holds, against the rows as they were packed.

use mashbill_load::{Batch, Dataset, LabelAlignment, Loader, Shuffle, build_cache};
use proptest::prelude::*;

use crate::world::{Row, World, options, stream_options};

/// The labels a batch should have, by their definition.
fn labels(row: &Row, convention: LabelAlignment, mask_borders: bool) -> Vec<i64> {
    let mut starts = vec![false; row.labels.len() + 1];
    let mut at = 0;
    for piece in &row.pieces {
        starts[at] = true;
        at += piece.len as usize;
    }
    let each = row.labels.iter().enumerate().map(|(at, &label)| match convention {
        LabelAlignment::Shifted if mask_borders && at + 1 < row.labels.len() && starts[at + 1] => -100,
        LabelAlignment::Shifted => i64::from(label),
        LabelAlignment::Aligned if row.attention_mask[at] == 0 => -100,
        LabelAlignment::Aligned if mask_borders && at > 0 && starts[at] => -100,
        LabelAlignment::Aligned => i64::from(row.input_ids[at]),
    });
    each.collect()
}

fn check(batch: &Batch, world: &World, convention: LabelAlignment, mask_borders: bool) {
    let documents = batch.documents.as_ref().unwrap();
    let (mut cu_seqlens, mut longest) = (vec![0], 0);
    let mut pieces = documents.pieces.iter();
    for (index, &row) in batch.rows.iter().enumerate() {
        let expected = &world.rows[row as usize];
        let here = index * world.row_length..(index + 1) * world.row_length;
        assert_eq!(batch.input_ids[here.clone()], expected.input_ids);
        assert_eq!(batch.attention_mask[here.clone()], expected.attention_mask);
        assert_eq!(batch.labels[here.clone()], labels(expected, convention, mask_borders), "row {row}");
        let own: Vec<_> = pieces.by_ref().take(documents.pieces_in_row[index] as usize).copied().collect();
        assert_eq!(own, expected.pieces);
        let real: i32 = own.iter().map(|piece| piece.len).sum();
        let padding = world.row_length as i32 - real;
        let mut positions = Vec::new();
        for length in own.iter().map(|piece| piece.len).chain((padding > 0).then_some(padding)) {
            positions.extend(0..length);
            cu_seqlens.push(cu_seqlens.last().unwrap() + length);
            longest = longest.max(length);
        }
        assert_eq!(documents.position_ids[here], positions);
    }
    assert_eq!(documents.cu_seqlens, cu_seqlens);
    assert_eq!(documents.max_seqlen, longest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_hold_the_rows_in_both_conventions(
        row_length in prop_oneof![2..40usize, Just(4096usize)],
        shards in prop::collection::vec(prop::collection::vec(1..60usize, 1..30), 1..5),
        convention in prop::sample::select(vec![LabelAlignment::Shifted, LabelAlignment::Aligned]),
        (mask_borders, cached) in any::<(bool, bool)>(),
        shuffle in prop::sample::select(vec![Shuffle::Full, Shuffle::Blocks]),
    ) {
        let world = World::new(row_length, &[("a", shards.clone()), ("b", shards)]);
        let dataset = world.dataset();
        let mut stream = stream_options(5, 1, 0);
        stream.shuffle = shuffle;
        let mut options = options(stream);
        options.columns.labels = convention;
        options.columns.mask_borders = mask_borders;
        if cached {
            let cache = world.folder.path().join("cache");
            build_cache(&dataset, &cache, 2, &|| false, &mut |_| {}).unwrap();
            options.cache = Some(cache);
        }
        let mut loader = Loader::new(dataset, options, None).unwrap();
        for _ in 0..=world.rows.len() / 5 {
            check(&loader.next_batch().unwrap().unwrap(), &world, convention, mask_borders);
        }
    }
}

#[test]
fn arrays_that_are_not_wanted_are_empty() {
    let world = World::of_rows(20);
    let mut options = options(stream_options(4, 1, 0));
    options.columns.attention_mask = false;
    options.columns.documents = false;
    let batch = Loader::new(world.dataset(), options, None).unwrap().next_batch().unwrap().unwrap();
    assert!(batch.attention_mask.is_empty() && batch.documents.is_none());
}

#[test]
fn splits_are_chosen_by_name_and_a_moved_folder_is_read_where_it_is() {
    let world = World::new(8, &[("x/a", vec![vec![80]]), ("x/b", vec![vec![160]]), ("c", vec![vec![8]])]);
    let chosen = Dataset::open(world.folder.path(), Some(&["b".into(), "c".into()])).unwrap();
    let names: Vec<&str> = chosen.splits.iter().map(|split| split.name.as_str()).collect();
    assert_eq!((names, chosen.rows), (vec!["b", "c"], 21));
    assert_eq!(chosen.splits[0].category.as_deref(), Some("x"));
    let error = Dataset::open(world.folder.path(), Some(&["d".into()])).unwrap_err();
    assert_eq!(error.to_string(), "there is no split `d`; there are `a`, `b`, `c`");

    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("moved");
    std::fs::rename(world.folder.path(), &moved).unwrap();
    let dataset = Dataset::open(&moved, None).unwrap();
    dataset.check_shards().unwrap();
    assert!(dataset.shards.iter().all(|shard| shard.path.starts_with(&moved)));
}
