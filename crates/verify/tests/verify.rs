//! Verify finds nothing in folders that are sound, whatever their documents are, and sees their rows; what only shards of
//! several row groups can suffer is found. All other injuries are in the command's tests, on what `tokenize` writes.

#![expect(clippy::disallowed_methods, reason = "tests make and change files as they like")]
#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

mod world;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use mashbill_format::manifest::Manifest;
use mashbill_format::shard::{IGNORED, ShardReader, ShardRow};
use mashbill_format::stats::Stats;
use mashbill_parquet::encode::Compression;
use mashbill_verify::{Gather, Options, ProblemKind, Report, gathering, verify};
use proptest::prelude::*;

use world::{Packed, Row, World};

/// Rows by split and number, as they are seen.
#[derive(Default)]
struct Seen {
    rows: BTreeMap<(String, u64), Row>,
    documents: u64,
    tokens: u64,
}

impl Gather for Seen {
    fn document(&mut self, _: &str, document: &mashbill_verify::DocumentSeen<'_>) {
        self.documents += 1;
        self.tokens += document.tokens;
    }

    fn wants_row(&self, _: &str, _: u64) -> bool {
        true
    }

    fn row(&mut self, split: &str, row: u64, content: ShardRow<'_>) {
        let real: i32 = content.pieces.iter().map(|piece| piece.len).sum();
        assert_eq!(content.attention_mask.iter().sum::<i32>(), real);
        let seen = Row {
            input_ids: content.input_ids.to_vec(),
            labels: content.labels.to_vec(),
            pieces: content.pieces.to_vec(),
        };
        assert!(self.rows.insert((split.to_owned(), row), seen).is_none(), "a row is seen once");
    }
}

fn check(world: &World, threads: usize) -> Report {
    verify(world.root(), Options { threads }, &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap()
}

/// Checks a sound folder, by several threads, and that they see the rows that were packed.
fn check_sound(world: &World, threads: usize) {
    let mut seen: Vec<Seen> = (0..threads).map(|_| Seen::default()).collect();
    let never = AtomicBool::new(false);
    let report = gathering(world.root(), &["text"], &mut seen, &never, &mut |_| {}).unwrap().unwrap();
    let problems: Vec<_> =
        report.problems.iter().filter(|problem| problem.kind != ProblemKind::Empty).collect();
    assert!(report.is_good() && problems.is_empty(), "{problems:#?}");
    let manifest = world.manifest();
    let sum = |value: fn(&mashbill_format::manifest::Split) -> u64| -> u64 {
        manifest.splits.values().map(value).sum()
    };
    assert_eq!((report.rows, report.documents), (sum(|split| split.sequences), sum(|split| split.samples)));
    assert_eq!(seen.iter().map(|seen| seen.documents).sum::<u64>(), report.documents);
    assert_eq!(seen.iter().map(|seen| seen.tokens).sum::<u64>(), report.tokens);
    let rows: BTreeMap<_, _> = seen.into_iter().flat_map(|seen| seen.rows).collect();
    let expected = world.rows.iter().flat_map(|(split, rows)| {
        (0..).zip(rows).map(|(number, row)| ((split.clone(), number), row.clone()))
    });
    assert!(rows == expected.collect(), "the rows that were seen are other ones");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sound_folder_has_no_problem(
        row_length in 2..40usize,
        a in prop::collection::vec(prop::collection::vec(1..150usize, 0..20), 0..5),
        b in prop::collection::vec(prop::collection::vec(1..4usize, 0..20), 0..3),
        compression in prop::sample::select(Compression::ALL.to_vec()),
        threads in 1..4usize,
    ) {
        check_sound(&World::new(row_length, compression, &[("a", a), ("b", b)]), threads);
    }
}

/// A row is as long as a row group may be at most, so a shard of four rows has four groups.
const LONG: usize = (1 << 19) + 1;

/// Shards of several row groups: in the first a document fills two rows, another one ends with the third.
static LONG_ROWS: LazyLock<Vec<Vec<usize>>> =
    LazyLock::new(|| vec![vec![9, 2 * LONG, LONG - 9, 40, 5], vec![LONG + 3]]);

fn long_rows() -> World {
    World::new(LONG, Compression::Snappy, &[("a", LONG_ROWS.clone())])
}

#[test]
fn row_groups_are_checked_by_all_threads_and_their_borders_too() {
    let world = long_rows();
    assert_eq!(ShardReader::open(&world.path("a/shard_0000.parquet")).unwrap().row_group_count(), 4);
    check_sound(&world, 1);
    check_sound(&world, 4);
}

/// What is done to the row groups of the first shard, and what it has to be called.
type Injury = (&'static str, ProblemKind, fn(&mut Vec<Packed>));

const INJURIES: &[Injury] = &[
    ("the last label of a group is another token", ProblemKind::Labels, |groups| {
        groups[0].last_labels[0] ^= 1
    }),
    ("the last label of a group is ignored, and its document goes on", ProblemKind::Labels, |groups| {
        groups[1].last_labels[0] = IGNORED;
    }),
    ("the last label of a group is a token, and its document ends", ProblemKind::Labels, |groups| {
        groups[2].last_labels[0] = 7;
    }),
    ("the first token of a group is another one", ProblemKind::Labels, |groups| groups[1].tokens[0] ^= 1),
    ("a row group is gone", ProblemKind::Rows, |groups| drop(groups.remove(1))),
    ("a row group stands twice", ProblemKind::Rows, |groups| groups.insert(1, groups[1].clone())),
    ("two row groups are swapped", ProblemKind::Pieces, |groups| groups.swap(0, 1)),
];

#[test]
fn what_row_groups_can_suffer_is_found_where_all_checksums_fit() {
    let world = long_rows();
    let good = world.manifest();
    let groups = Packed::of(&LONG_ROWS[0], LONG, 1).groups(LONG);
    for (name, kind, injure) in INJURIES {
        let mut groups = groups.clone();
        injure(&mut groups);
        let file = world.write_shard("a", 0, &groups);
        let mut manifest: Manifest = good.clone();
        let shard = &mut manifest.splits.get_mut("a").unwrap().shard_list[0];
        // How many rows there are is told by the manifest.
        let rows = shard.file.as_ref().unwrap().rows;
        shard.file = Some(mashbill_format::manifest::ShardFile { rows, ..file });
        world.write_json("manifest.json", &manifest);
        for threads in [1, 3] {
            let found = check(&world, threads).problems;
            assert!(found.iter().any(|problem| problem.kind == *kind), "{name}: {found:#?}");
            let other = found
                .iter()
                .find(|problem| matches!(problem.kind, ProblemKind::Checksum | ProblemKind::Size));
            assert_eq!(other, None, "{name}: it was not sealed");
        }
    }
}

/// A table speaks of its own shard only.
#[test]
fn a_damaged_table_leaves_the_other_shards_checked() {
    let shards = || vec![vec![20, 30, 7], Vec::new(), vec![5; 30], vec![64; 4]];
    let world = World::new(16, Compression::Snappy, &[("a", shards())]);
    let manifest = world.manifest();
    std::fs::write(world.path("a/_documents/shard_0000.documents"), "no table").unwrap();
    // A border of documents of the third shard is moved: only its document table knows.
    let mut groups = Packed::of(&shards()[2], 16, 2 * 31 + 1).groups(16);
    groups[0].pieces[0].len += 1;
    groups[0].pieces[1].len -= 1;
    let file = world.write_shard("a", 2, &groups);
    let mut changed = manifest.clone();
    changed.splits.get_mut("a").unwrap().shard_list[2].file = Some(file);
    world.write_json("manifest.json", &changed);
    let found = check(&world, 2).problems;
    let places: Vec<_> = found.iter().map(|problem| (problem.place.file.as_str(), problem.kind)).collect();
    for expected in [
        ("a/_documents/shard_0000.documents", ProblemKind::Checksum),
        ("a/_documents/shard_0000.documents", ProblemKind::Unreadable),
        ("a/shard_0002.parquet", ProblemKind::Pieces),
    ] {
        assert!(places.contains(&expected), "{expected:?} is not in {found:#?}");
    }
    assert!(!places.iter().any(|(file, _)| *file == "a/shard_0000.parquet"), "{found:#?}");
}

/// Every reader would read them, but they are not the bytes that are promised.
#[test]
fn rows_in_other_row_groups_are_found() {
    let lengths = vec![7; 60];
    let world = World::new(16, Compression::Snappy, &[("a", vec![lengths.clone()])]);
    let groups = Packed::of(&lengths, 16, 1).groups_of(16, 10);
    assert_eq!(groups.len(), 3);
    let mut manifest = world.manifest();
    manifest.splits.get_mut("a").unwrap().shard_list[0].file = Some(world.write_shard("a", 0, &groups));
    world.write_json("manifest.json", &manifest);
    let problems = check(&world, 2).problems;
    // The statistics know the file's size, and so does the card.
    let others = problems.iter().filter(|problem| problem.kind != ProblemKind::Card);
    let (stats, told): (Vec<_>, Vec<_>) = others.partition(|problem| problem.kind == ProblemKind::Stats);
    let [regrouped] = told[..] else { panic!("{problems:#?}") };
    assert_eq!((regrouped.kind, regrouped.place.row_group), (ProblemKind::Encoding, Some(0)));
    assert_eq!(regrouped.detail, "it has 10 rows, and all row groups but the last have 65536");
    assert!(stats.len() == 1 && stats[0].detail.starts_with("shard_bytes and the manifest's: "));
}

#[test]
fn lengths_of_documents_that_are_in_no_table_are_found() {
    let world = World::new(16, Compression::Snappy, &[("a", vec![vec![5, 6], Vec::new(), vec![7]])]);
    let path = world.path("a/a_stats.json");
    let good = Stats::read(&path).unwrap().unwrap();
    for shard in 0..3 {
        let mut stats = good.clone();
        stats.shards[shard].document_tokens.count(6);
        stats.document_tokens.count(6);
        world.write_json("a/a_stats.json", &stats);
        let [problem] = &check(&world, 1).problems[..] else { panic!("one problem") };
        assert_eq!(problem.kind, ProblemKind::Stats);
        let told = format!("document_tokens of shard {shard} is not what its document table gives");
        assert_eq!(problem.detail, told);
    }
}
