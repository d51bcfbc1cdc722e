//! The global order depends on no number of ranks, threads or restarts.

use std::collections::HashSet;
use std::sync::Arc;

use mashbill_load::{LastBatch, Loader, LoaderState, Shuffle, Stream};
use proptest::prelude::*;

use crate::world::{World, options, stream_options, take};

const ROWS: usize = 389;

/// The global order of `steps` steps of all ranks, with `threads` each.
fn global_order(
    world: &World,
    global_batch: usize,
    world_size: usize,
    threads: usize,
    steps: u64,
) -> Vec<u64> {
    let mut ranks: Vec<Loader> = (0..world_size)
        .map(|rank| {
            let mut options = options(stream_options(global_batch / world_size, world_size, rank));
            options.threads = threads;
            Loader::new(world.dataset(), options, None).unwrap()
        })
        .collect();
    let mut order = Vec::new();
    for _ in 0..steps {
        let rows: Vec<Vec<u64>> = ranks.iter_mut().map(|rank| take(rank, 1).remove(0)).collect();
        for index in 0..global_batch / world_size {
            order.extend(rows.iter().map(|rows| rows[index]));
        }
    }
    order
}

#[test]
fn all_world_sizes_and_thread_counts_have_the_same_order() {
    let world = World::of_rows(ROWS);
    let expected = global_order(&world, 24, 1, 0, 34);
    let first_epoch: HashSet<u64> = expected[..ROWS].iter().copied().collect();
    assert_eq!(first_epoch.len(), ROWS, "each row once an epoch");
    let second_epoch: HashSet<u64> = expected[ROWS..2 * ROWS].iter().copied().collect();
    assert_eq!(second_epoch.len(), ROWS);
    assert_ne!(expected[..ROWS], expected[ROWS..2 * ROWS], "another epoch, another order");
    for world_size in [1, 2, 3, 8] {
        for threads in [0, 1, 4] {
            let order = global_order(&world, 24, world_size, threads, 34);
            assert_eq!(order, expected, "{world_size} ranks, {threads} threads");
        }
    }
}

/// Goes on from a state that went through JSON with other numbers, as after a crash.
fn resume(
    world: &World,
    state: &LoaderState,
    world_size: usize,
    batch_size: usize,
    threads: usize,
) -> Vec<Loader> {
    let state = LoaderState::from_json(&state.to_json()).unwrap();
    let ranks = (0..world_size).map(|rank| {
        let mut options = options(stream_options(batch_size, world_size, rank));
        options.threads = threads;
        Loader::new(world.dataset(), options, Some(&state)).unwrap()
    });
    ranks.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_run_that_is_cut_anywhere_and_goes_on_otherwise_loses_and_repeats_nothing(
        legs in prop::collection::vec(
            (prop::sample::select(vec![1, 2, 3, 8]), 1..7usize, prop::sample::select(vec![0, 1, 4]), 1..12u64),
            1..6,
        ),
    ) {
        let world = World::of_rows(ROWS);
        let plain = Stream::new(&world.dataset(), stream_options(1, 1, 0), None).unwrap();
        let mut state = plain.state();
        let mut order = Vec::new();
        for (world_size, batch_size, threads, steps) in legs {
            let mut ranks = resume(&world, &state, world_size, batch_size, threads);
            for _ in 0..steps {
                let rows: Vec<Vec<u64>> = ranks.iter_mut().map(|rank| take(rank, 1).remove(0)).collect();
                (0..batch_size).for_each(|index| order.extend(rows.iter().map(|rows| rows[index])));
            }
            // Every rank's state is the same, however far its threads had read ahead.
            for rank in &ranks {
                prop_assert_eq!(rank.state(), ranks[0].state());
            }
            state = ranks[0].state().clone();
        }
        prop_assert!(state.to_json().len() < 1024);
        let mut straight = plain;
        for row in order {
            prop_assert_eq!(straight.next_step().unwrap().unwrap().rows, vec![row]);
        }
    }

    #[test]
    fn an_epoch_has_each_row_once_whatever_the_last_batch(
        rows in 30..200usize,
        (world_size, batch_size) in (1..4usize, 1..9usize),
        last_batch in prop::sample::select(vec![LastBatch::Drop, LastBatch::Wrap, LastBatch::Short]),
        shuffle in prop::sample::select(vec![Shuffle::Full, Shuffle::Blocks, Shuffle::Off]),
    ) {
        let world = World::of_rows(rows);
        let dataset = world.dataset();
        let mut ranks: Vec<Stream> = (0..world_size).map(|rank| {
            let mut options = stream_options(batch_size, world_size, rank);
            (options.last_batch, options.shuffle) = (last_batch, shuffle);
            Stream::new(&dataset, options, None).unwrap()
        }).collect();
        let global_batch = world_size * batch_size;
        for epoch in 0..3 {
            let mut seen = Vec::new();
            loop {
                let steps: Vec<_> = ranks.iter_mut().map(|rank| rank.next_step().unwrap().unwrap()).collect();
                prop_assert!(steps.iter().all(|step| step.epoch == epoch || last_batch == LastBatch::Wrap));
                seen.extend(steps.iter().flat_map(|step| step.rows.clone()));
                if steps[0].ends_epoch {
                    break;
                }
            }
            let distinct: HashSet<u64> = seen.iter().copied().collect();
            match last_batch {
                LastBatch::Drop => {
                    prop_assert_eq!(seen.len(), rows / global_batch * global_batch);
                    prop_assert_eq!(distinct.len(), seen.len());
                }
                LastBatch::Short => {
                    prop_assert_eq!(seen.len(), rows);
                    prop_assert_eq!(distinct.len(), rows);
                }
                LastBatch::Wrap => prop_assert!(epoch > 0 || distinct.len() == rows),
            }
        }
    }
}

#[test]
fn lanes_take_turns_and_all_see_the_end_of_the_epoch() {
    let world = World::of_rows(50);
    let dataset = world.dataset();
    for lanes in 1..5 {
        let mut plain = Stream::new(&dataset, stream_options(4, 1, 0), None).unwrap();
        // Two epochs of 12 or 13 steps: the second one's turns begin anew.
        let mut state = plain.state();
        for _ in 0..2 {
            let start = state.step;
            let open = |lane| {
                let mut options = stream_options(4, 1, 0);
                options.lane = Some((lane, lanes, start));
                Stream::new(&dataset, options, Some(&state)).unwrap()
            };
            let mut streams: Vec<Stream> = (0..lanes).map(open).collect();
            let mut ended = vec![false; lanes as usize];
            for turn in 0.. {
                let lane = turn % lanes as usize;
                if ended.iter().all(|ended| *ended) {
                    break;
                }
                if ended[lane] {
                    continue;
                }
                let step = streams[lane].next_step().unwrap().unwrap();
                ended[lane] = step.ends_epoch;
                if !step.rows.is_empty() {
                    assert_eq!(step.rows, plain.next_step().unwrap().unwrap().rows, "{lanes} lanes");
                }
            }
            for stream in &streams {
                assert_eq!(stream.state(), plain.state());
            }
            state = plain.state();
        }
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    let world = World::of_rows(50);
    let dataset = world.dataset();
    let state = Stream::new(&dataset, stream_options(4, 1, 0), None).unwrap().state();
    let other = World::new(8, &[("other", vec![vec![400]])]).dataset();
    let refused = Stream::new(&other, stream_options(4, 1, 0), Some(&state)).unwrap_err();
    assert_eq!(refused.to_string(), "the state does not fit: it belongs to another dataset or other splits");
    let mut options = stream_options(4, 1, 0);
    options.seed = 43;
    let refused = Stream::new(&dataset, options, Some(&state)).unwrap_err();
    assert_eq!(refused.to_string(), "the state does not fit: its seed, shuffling or sources are different");
    let mut newer = state;
    newer.version += 1;
    let refused = Stream::new(&dataset, stream_options(4, 1, 0), Some(&newer)).unwrap_err();
    assert_eq!(refused.to_string(), "the state does not fit: it is of version 2, this is version 1");
}

#[test]
fn a_loader_ends_with_its_steps_and_says_so_again() {
    let world = World::of_rows(50);
    for threads in [0, 2] {
        let mut options = options(stream_options(4, 1, 0));
        options.stream.steps = Some(5);
        options.threads = threads;
        let mut loader = Loader::new(Arc::clone(&world.dataset()), options, None).unwrap();
        take(&mut loader, 5);
        assert!(loader.next_batch().unwrap().is_none());
        assert!(loader.next_batch().unwrap().is_none());
    }
}
