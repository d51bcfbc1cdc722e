//! From a step to its documents and back.

use std::collections::{BTreeMap, BTreeSet};

use mashbill_load::{LastBatch, Locator, Mixture, Stage, Stream};
use proptest::prelude::*;

use crate::world::{World, stream_options};

const UNTIL: u64 = 30;

fn any_units() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(1..70usize, 1..20), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_locate_finds_in_the_steps_is_what_steps_of_says_of_the_documents(
        (a, b) in (any_units(), any_units()),
        (batch_size, world_size) in (1..4usize, 1..4usize),
        last_batch in prop::sample::select(vec![LastBatch::Drop, LastBatch::Wrap, LastBatch::Short]),
        mixed in any::<bool>(),
    ) {
        let world = World::new(16, &[("a", a), ("b", b)]);
        let dataset = world.dataset();
        prop_assume!(dataset.rows >= (batch_size * world_size) as u64);
        let mut options = stream_options(batch_size, world_size, 0);
        options.last_batch = last_batch;
        if mixed {
            let weights = BTreeMap::from([("a".to_owned(), 2.0), ("b".to_owned(), 1.0)]);
            let stages = vec![Stage { from_step: 0, weights, ramp: false }];
            options.mixture = Some(Mixture { stages, max_epochs: 1000 });
        }
        let stream = Stream::new(&dataset, options.clone(), None).unwrap();
        let locator = Locator::new(world.dataset());
        let mut ranks: Vec<Stream> = (0..world_size).map(|rank| {
            let mut options = options.clone();
            options.rank = rank;
            Stream::new(&dataset, options, None).unwrap()
        }).collect();
        let mut appearances = BTreeMap::<(String, String), BTreeSet<(u64, usize, usize, u64)>>::new();
        for step in 0..UNTIL {
            let rows = locator.locate(&stream, step, None).unwrap();
            for (rank, stream) in ranks.iter_mut().enumerate() {
                let expected = stream.next_step().unwrap().unwrap().rows;
                let found: Vec<u64> = rows.iter().filter(|row| row.rank == rank).map(|row| row.row).collect();
                prop_assert_eq!(found, expected);
            }
            for row in rows {
                let expected = &world.rows[row.row as usize];
                let pieces: Vec<_> = row.documents.iter().map(|part| (part.doc_id, part.doc_offset, part.len)).collect();
                let expected: Vec<_> = expected.pieces.iter().map(|piece| (piece.doc_id, piece.doc_offset, piece.len)).collect();
                prop_assert_eq!(pieces, expected);
                for part in row.documents {
                    prop_assert_eq!(part.file, format!("{}.jsonl", row.split));
                    prop_assert_eq!(part.source.as_deref(), Some("source"));
                    let key = (row.split.clone(), part.id.unwrap());
                    appearances.entry(key).or_default().insert((step, row.rank, row.index, row.row));
                }
            }
        }
        for split in &dataset.splits {
            for document in 0..split.units.iter().map(|unit| unit.documents).sum::<u64>() {
                let id = format!("id-{}", document * 100);
                let by_id = locator.steps_of(&stream, &split.name, &id, UNTIL).unwrap();
                let by_key = locator.steps_of(&stream, &split.name, &(document * 100).to_string(), UNTIL).unwrap();
                prop_assert_eq!(&by_id, &by_key);
                let found: BTreeSet<_> = by_id.iter().map(|at| (at.step, at.rank, at.index, at.row)).collect();
                let expected = appearances.remove(&(split.name.clone(), id)).unwrap_or_default();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn a_document_that_is_not_there_is_named() {
    let world = World::of_rows(10);
    let stream = Stream::new(&world.dataset(), stream_options(2, 1, 0), None).unwrap();
    let locator = Locator::new(world.dataset());
    let error = locator.steps_of(&stream, "all", "nobody", 5).unwrap_err();
    assert_eq!(error.to_string(), "split `all` has no document `nobody`");
    let error = locator.steps_of(&stream, "none", "0", 5).unwrap_err();
    assert_eq!(error.to_string(), "there is no split `none`; there are `all`");
}
