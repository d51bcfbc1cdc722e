//! Threads: the ring is bounded, and dropping a loader ends them.

use mashbill_load::{Loader, LoaderOptions};

use crate::world::{World, options, stream_options};

fn threaded(threads: usize, prefetch: usize) -> LoaderOptions {
    LoaderOptions { threads, prefetch, ..options(stream_options(2, 1, 0)) }
}

#[test]
fn a_loader_that_is_dropped_at_any_moment_ends_its_threads() {
    let world = World::of_rows(100);
    for taken in 0..20 {
        let mut loader = Loader::new(world.dataset(), threaded(4, 3), None).unwrap();
        (0..taken).for_each(|_| drop(loader.next_batch().unwrap()));
    }
}

#[test]
fn the_state_is_that_of_the_last_batch_delivered() {
    let world = World::of_rows(100);
    let mut loader = Loader::new(world.dataset(), threaded(4, 16), None).unwrap();
    for step in 0..20 {
        assert_eq!(loader.state().step, step);
        assert_eq!(loader.state().taken, [2 * step]);
        let batch = loader.next_batch().unwrap().unwrap();
        assert_eq!((batch.step, batch.state.step), (step, step + 1));
    }
}

#[test]
fn a_ring_without_room_is_refused() {
    let world = World::of_rows(10);
    assert!(Loader::new(world.dataset(), threaded(2, 0), None).is_err());
}
