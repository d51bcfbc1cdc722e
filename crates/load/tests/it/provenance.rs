//! From a step to its documents and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mashbill_format::documents::{Document, DocumentKey};
use mashbill_load::{Appearance, Error, LastBatch, Locator, Mixture, Shuffle, Sources, Stage, Stream};
use mashbill_store::checksum::Checksum;
use proptest::prelude::*;

use crate::world::{World, stream_options};

const UNTIL: u64 = 30;

fn of_file(offset: i64) -> DocumentKey {
    DocumentKey { group: None, offset: offset.unsigned_abs() }
}

/// The lengths of the documents of a split's shards, of which some have none.
fn any_shards() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let shard = prop_oneof![4 => prop::collection::vec(1..70usize, 1..20), 1 => Just(Vec::new())];
    let shards = prop::collection::vec(shard, 1..5);
    shards.prop_filter("a split has rows", |shards| shards.iter().any(|lengths| !lengths.is_empty()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_locate_finds_in_the_steps_is_what_steps_of_says_of_the_documents(
        (a, b) in (any_shards(), any_shards()),
        (batch_size, world_size) in (1..4usize, 1..4usize),
        last_batch in prop::sample::select(vec![LastBatch::Drop, LastBatch::Wrap, LastBatch::Short]),
        (mixed, grouped) in (any::<bool>(), any::<bool>()),
    ) {
        let mut world = World::new(16, &[("a", a), ("b", b)]);
        if grouped {
            world.cut_as_groups("b");
        }
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
        let (locator, mut sources) = (Locator::new(world.dataset()), Sources::new(world.dataset()));
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
                    let number = part.group.map_or_else(String::new, |group| format!("-{group}"));
                    prop_assert_eq!(part.file, format!("{}{number}.jsonl", row.split));
                    prop_assert_eq!(&part.source, &part.id);
                    prop_assert_eq!(sources.of(row.row, part.doc_id).unwrap(), part.id.as_deref().unwrap());
                    let key = (row.split.clone(), part.id.unwrap());
                    appearances.entry(key).or_default().insert((step, row.rank, row.index, row.row));
                }
            }
        }
        for split in &dataset.splits {
            for (id, key) in world.documents(&split.name) {
                let by_id = locator.steps_of(&stream, &split.name, &id, UNTIL).unwrap();
                prop_assert_eq!(&by_id, &locator.steps_of(&stream, &split.name, &key.to_string(), UNTIL).unwrap());
                prop_assert_eq!(&by_id, &locator.steps_of_key(&stream, &split.name, key, UNTIL).unwrap());
                let found: BTreeSet<_> = by_id.iter().map(|at| (at.step, at.rank, at.index, at.row)).collect();
                let expected = appearances.remove(&(split.name.clone(), id)).unwrap_or_default();
                prop_assert_eq!(found, expected);
            }
        }
        prop_assert!(appearances.is_empty(), "documents that no table has: {appearances:?}");
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
    assert_eq!(error.to_string(), "there is no split `none`; there is `all`");
    // Before the first document, between shards, behind the last one, and numbers that are no keys.
    let [first, last] = world.keys["all"][..] else { panic!("two documents") };
    for key in [0, first - 1, first + 1, last - 1, last + 1, 1_000_000, i64::MAX] {
        let error = locator.steps_of_key(&stream, "all", of_file(key), 5).unwrap_err();
        assert_eq!(error.to_string(), format!("split `all` has no document `{key}`"));
    }
    let error = locator.steps_of_key(&stream, "none", of_file(0), 5).unwrap_err();
    assert_eq!(error.to_string(), "there is no split `none`; there is `all`");
}

#[test]
fn a_record_s_own_id_comes_before_a_key_of_the_same_digits() {
    let world = World::new(8, &[("a", vec![vec![8], vec![16]])]);
    let [first, second] = world.keys["a"][..] else { panic!("two documents") };
    let row = |locate: &dyn Fn(&Locator, &Stream) -> Vec<Appearance>| {
        let dataset = world.dataset();
        let stream = Stream::new(&dataset, stream_options(3, 1, 0), None).unwrap();
        locate(&Locator::new(dataset), &stream).iter().map(|at| at.row).collect::<BTreeSet<_>>()
    };
    let text = first.to_string();
    let by_text = |locator: &Locator, stream: &Stream| locator.steps_of(stream, "a", &text, 1).unwrap();
    assert_eq!(row(&by_text), BTreeSet::from([0]));
    // The second document now has an id that is the first one's key.
    let document = Document {
        doc_id: second - world.dataset().shards[1].input.start as i64,
        id: Some(text.as_str()),
        source: None,
        category: None,
        content_hash: Checksum(0),
        tokens: 16,
        row: 0,
        position: 0,
        loss_spans: Vec::new(),
    };
    world.replace_table("a", 1, &[document]);
    assert_eq!(row(&by_text), BTreeSet::from([1, 2]));
    let by_key =
        |locator: &Locator, stream: &Stream| locator.steps_of_key(stream, "a", of_file(first), 1).unwrap();
    assert_eq!(row(&by_key), BTreeSet::from([0]));
}

#[test]
fn only_the_tables_of_the_shards_concerned_are_read() {
    let world = World::new(8, &[("a", vec![vec![8], vec![16, 8], vec![24]])]);
    let dataset = world.dataset();
    let mut options = stream_options(1, 1, 0);
    options.shuffle = Shuffle::Off;
    let stream = Stream::new(&dataset, options, None).unwrap();
    let tables: Vec<_> = dataset.shards.iter().map(|shard| shard.table.path.clone()).collect();
    std::fs::remove_file(&tables[0]).unwrap();
    std::fs::remove_file(&tables[2]).unwrap();
    let locator = Locator::new(dataset);
    // Rows 1 to 3 are of the second shard.
    for step in 1..4 {
        let rows = locator.locate(&stream, step, None).unwrap();
        let key = world.keys["a"][if step == 3 { 2 } else { 1 }];
        assert_eq!(rows[0].documents[0].doc_id, key);
        let found = locator.steps_of_key(&stream, "a", of_file(key), 7).unwrap();
        assert!(found.iter().any(|at| at.row == step), "{found:?}");
    }
    for (step, table) in [(0, &tables[0]), (4, &tables[2])] {
        let expected = format!("document table `{}` of split `a` cannot be opened: ", table.display());
        for error in [
            locator.locate(&stream, step, None).unwrap_err(),
            locator
                .steps_of_key(&stream, "a", of_file(world.keys["a"][step as usize / 4 * 3]), 7)
                .unwrap_err(),
        ] {
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
    // By its own id it may be in any of them.
    assert!(matches!(locator.steps_of(&stream, "a", "id-0", 7), Err(Error::Table { .. })));
}

/// A table that the manifest knows, checksum and all, and that leads out of its shard.
#[test]
fn a_table_that_contradicts_its_shard_is_damaged_whatever_its_checksum() {
    let world = World::new(8, &[("a", vec![vec![8], vec![16, 4]])]);
    let dataset = world.dataset();
    let stretch = dataset.shards[1].input.clone();
    let first = (world.keys["a"][1] - stretch.start as i64, 16, 0, 0);
    let second = (first.0 + 100, 4, 2, 0);
    let length = (stretch.end - stretch.start) as i64;
    let cases = [
        ([(-1, 16, 0, 0), second], "it has a document -1 of a stretch of 270"),
        ([first, (length, 4, 2, 0)], "it has a document 270 of a stretch of 270"),
        ([first, (i64::MAX, 4, 2, 0)], "it has a document 9223372036854775807 of a stretch of 270"),
        ([second, first], "its documents are not in order"),
        ([first, first], "its documents are not in order"),
        ([(first.0, -1, 0, 0), second], "its document 35 is in no row of the shard"),
        ([(first.0, 16, -1, 0), second], "its document 35 is in no row of the shard"),
        ([(first.0, 16, 0, -1), second], "its document 35 is in no row of the shard"),
        ([(first.0, 16, 0, 8), second], "its document 35 is in no row of the shard"),
        ([(first.0, 25, 0, 0), second], "its document 35 is in no row of the shard"),
        ([(first.0, i64::MAX, 0, 7), second], "its document 35 is in no row of the shard"),
        ([(first.0, 16, i64::MAX, 7), second], "its document 35 is in no row of the shard"),
        ([(first.0, 16, 0, 0), (second.0, 4, 3, 0)], "its document 135 is in no row of the shard"),
    ];
    for (documents, expected) in cases {
        let documents = documents.map(|(doc_id, tokens, row, position)| Document {
            doc_id,
            id: None,
            source: None,
            category: None,
            content_hash: Checksum(0),
            tokens,
            row,
            position,
            loss_spans: Vec::new(),
        });
        world.replace_table("a", 1, &documents);
        let dataset = world.dataset();
        let mut options = stream_options(4, 1, 0);
        options.shuffle = Shuffle::Off;
        let stream = Stream::new(&dataset, options, None).unwrap();
        let locator = Locator::new(Arc::clone(&dataset));
        for error in [
            Sources::new(Arc::clone(&dataset)).of(1, first.0).map(drop).unwrap_err(),
            locator.locate(&stream, 0, None).unwrap_err(),
            locator.steps_of(&stream, "a", "nobody", 1).unwrap_err(),
        ] {
            let path = dataset.shards[1].table.path.display();
            assert_eq!(
                error.to_string(),
                format!("document table `{path}` of split `a` is damaged: {expected}")
            );
        }
    }
}
