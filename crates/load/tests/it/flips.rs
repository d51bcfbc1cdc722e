//! What a run is handed is what was written, or an error: whatever byte of a shard or a document table is damaged.
//!
//! Each injury is one of a kind that disks and hands make: a bit, a byte, a block of zeros, two stretches that change
//! places, an end that is missing. Rows that cannot be read are skipped here, so that all others are looked at, too.
//! `MASHBILL_LONG=1` makes fifty times as many injuries.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mashbill_load::{LastBatch, Loader, LocatedRow, Locator, OnError, Shuffle, Sources};

use crate::world::{PAD, World, options, stream_options};

/// A generator of numbers that is the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn is_long() -> bool {
    std::env::var_os("MASHBILL_LONG").is_some()
}

/// An injury to `bytes`, and what it was.
fn injure(bytes: &mut Vec<u8>, chance: &mut Chance) -> String {
    let length = bytes.len();
    let at = chance.below(length);
    match chance.below(10) {
        0 => {
            let end = (at + 1 + chance.below(200)).min(length);
            bytes[at..end].fill(0);
            format!("zeros from {at} to {end}")
        }
        1 => {
            let span = 1 + chance.below(length / 3);
            let (one, other) = (chance.below(length / 2 - span / 2), length / 2 + chance.below(length / 2));
            let span = span.min(length - other).min(other - one);
            for offset in 0..span {
                bytes.swap(one + offset, other + offset);
            }
            format!("{span} bytes at {one} and {other} swapped")
        }
        2 => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
        3 | 4 => {
            bytes[at] = bytes[at].wrapping_add(1 + chance.below(255) as u8);
            format!("byte {at}")
        }
        _ => {
            let bit = chance.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
    }
}

/// What is right: the sources and the documents of all rows.
struct Right {
    sources: Vec<String>,
    located: Vec<LocatedRow>,
}

fn ask(world: &World) -> Result<Right, mashbill_load::Error> {
    let dataset = world.dataset();
    let mut stream = stream_options(world.rows.len(), 1, 0);
    stream.shuffle = Shuffle::Off;
    stream.last_batch = LastBatch::Short;
    let stream = mashbill_load::Stream::new(&dataset, stream, None)?;
    let located = Locator::new(Arc::clone(&dataset)).locate(&stream, 0, None)?;
    let (mut of, mut sources) = (Sources::new(dataset), Vec::new());
    for (row, part) in located.iter().flat_map(|row| row.documents.iter().map(move |part| (row.row, part))) {
        sources.push(of.of(row, part.doc_id)?.to_owned());
    }
    Ok(Right { sources, located })
}

/// Looks at every row that the loader hands out; rows that it skips.
fn check_rows(world: &World, what: &str) -> u64 {
    let mut stream = stream_options(world.rows.len(), 1, 0);
    stream.shuffle = Shuffle::Off;
    let mut options = options(stream);
    options.on_error = OnError::Skip;
    let mut loader = Loader::new(world.dataset(), options, None).unwrap();
    let batch = loader.next_batch().unwrap().unwrap();
    let documents = batch.documents.as_ref().unwrap();
    let (length, mut piece, mut skipped) = (world.row_length, 0, 0);
    for (index, &row) in batch.rows.iter().enumerate() {
        let here = index * length..(index + 1) * length;
        let pieces = &documents.pieces[piece..piece + documents.pieces_in_row[index] as usize];
        piece += pieces.len();
        if batch.input_ids[here.clone()].iter().all(|&id| id == PAD as i32) && pieces.is_empty() {
            assert!(batch.labels[here].iter().all(|&label| label == -100), "{what}");
            skipped += 1;
            continue;
        }
        let expected = &world.rows[row as usize];
        assert_eq!(batch.input_ids[here.clone()], expected.input_ids, "{what}, row {row}");
        assert_eq!(batch.attention_mask[here.clone()], expected.attention_mask, "{what}, row {row}");
        let labels: Vec<i64> = expected.labels.iter().map(|&label| label.into()).collect();
        assert_eq!(batch.labels[here], labels, "{what}, row {row}");
        assert_eq!(pieces, expected.pieces, "{what}, row {row}");
    }
    assert_eq!(skipped, batch.skipped, "{what}");
    skipped
}

/// Injures each of `files` in turn and looks at what comes out; injuries that were noticed.
fn injure_and_check(world: &World, files: &[PathBuf], injuries: usize, seed: u64) -> usize {
    let right = ask(world).unwrap();
    let mut chance = Chance(seed);
    let mut noticed = 0;
    for injury in 0..injuries {
        let file = &files[injury % files.len()];
        let whole = fs::read(file).unwrap();
        let mut bytes = whole.clone();
        let what = format!("{}: {}", file.display(), injure(&mut bytes, &mut chance));
        fs::write(file, &bytes).unwrap();
        let skipped = check_rows(world, &what);
        match ask(world) {
            Ok(found) => {
                assert_eq!(found.sources, right.sources, "{what}");
                assert_eq!(found.located, right.located, "{what}");
                noticed += usize::from(skipped > 0);
            }
            Err(_) => noticed += 1,
        }
        fs::write(file, whole).unwrap();
    }
    noticed
}

/// The shards and the document tables of the dataset.
fn files(world: &World) -> Vec<PathBuf> {
    let dataset = world.dataset();
    let each = dataset.shards.iter();
    each.flat_map(|shard| [shard.path.clone(), shard.table.path.clone()]).collect()
}

#[test]
fn small_shards_and_tables_are_right_or_refused() {
    let world = World::new(
        16,
        &[("a", vec![vec![5, 40, 3, 16, 100], vec![7; 9]]), ("code/b", vec![vec![30; 12], vec![1; 20]])],
    );
    let injuries = if is_long() { 98_000 } else { 1_900 };
    let noticed = injure_and_check(&world, &files(&world), injuries, 1);
    // Bytes that nothing depends on, such as the mask's: it is made of the labels.
    assert!(noticed > injuries * 8 / 10, "{noticed} of {injuries}");
}

#[test]
fn shards_of_many_pages_are_right_or_refused() {
    let world =
        World::new(8192, &[("a", vec![vec![9000; 9]]), ("b", vec![vec![30_000, 20, 8000, 5, 41_000]])]);
    let injuries = if is_long() { 2_000 } else { 100 };
    let noticed = injure_and_check(&world, &files(&world), injuries, 2);
    assert!(noticed > injuries * 5 / 10, "{noticed} of {injuries}");
}

#[test]
fn a_shard_or_a_table_in_the_place_of_another_is_refused() {
    // The same documents' lengths, so that all sizes are as alike as can be.
    let world = World::new(16, &[("a", vec![vec![48, 16, 32]]), ("b", vec![vec![48, 16, 32]])]);
    let [shard_a, table_a, shard_b, table_b] = files(&world).try_into().unwrap();
    let swap = |one: &Path, other: &Path| {
        let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
        fs::write(one, second).unwrap();
        fs::write(other, first).unwrap();
    };
    swap(&shard_a, &shard_b);
    assert_eq!(check_rows(&world, "swapped shards"), world.rows.len() as u64);
    assert!(ask(&world).is_err());
    swap(&shard_a, &shard_b);
    assert_eq!(check_rows(&world, "as it was"), 0);
    swap(&table_a, &table_b);
    if fs::read(&table_a).unwrap() != fs::read(&table_b).unwrap() {
        let error = ask(&world).err().unwrap();
        assert!(error.to_string().contains("document table"), "{error}");
        assert!(error.to_string().contains("its checksum is"), "{error}");
    }
}
