//! Weights: which rows come, and that none is lost or repeated when they change.

use std::collections::{BTreeMap, HashMap};

use mashbill_load::{Dataset, Error, LoaderState, Mixture, Stage, Stream, StreamOptions};

use crate::world::{World, stream_options};

fn world() -> World {
    World::new(
        8,
        &[
            ("code/python", vec![vec![8 * 100]]),
            ("code/rust", vec![vec![8 * 60]]),
            ("math", vec![vec![8 * 50]]),
        ],
    )
}

fn stage(from_step: u64, weights: &[(&str, f64)]) -> Stage {
    let weights = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
    Stage { from_step, weights, ramp: false }
}

fn with(stages: Vec<Stage>) -> StreamOptions {
    StreamOptions { mixture: Some(Mixture { stages, max_epochs: 4 }), ..stream_options(5, 1, 0) }
}

fn refused(dataset: &Dataset, options: StreamOptions) -> String {
    Stream::new(dataset, options, None).unwrap_err().to_string()
}

/// How often each split's rows come in the next steps, and that each of its rows comes once an epoch.
fn count(
    stream: &mut Stream,
    dataset: &Dataset,
    steps: u64,
    seen: &mut HashMap<u64, u64>,
) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for _ in 0..steps {
        for row in stream.next_step().unwrap().unwrap().rows {
            *counts.entry(dataset.splits[dataset.split_of(row)].name.clone()).or_default() += 1;
            *seen.entry(row).or_default() += 1;
        }
    }
    counts
}

#[test]
fn splits_and_categories_come_in_their_shares() {
    let world = world();
    let dataset = world.dataset();
    let mut stream =
        Stream::new(&dataset, with(vec![stage(0, &[("code", 3.0), ("math", 1.0)])]), None).unwrap();
    let mut seen = HashMap::new();
    let counts = count(&mut stream, &dataset, 40, &mut seen);
    assert_eq!(counts["math"], 50);
    assert_eq!(counts["python"] + counts["rust"], 150);
    assert!(seen.values().all(|&times| times == 1), "no source has ended its first epoch");
    assert_eq!(stream.epochs_after(80), [("code".to_owned(), 1.875), ("math".to_owned(), 2.0)]);
}

#[test]
fn weights_that_change_in_the_middle_repeat_and_lose_nothing() {
    let world = world();
    let dataset = world.dataset();
    let mut seen = HashMap::new();
    let first = with(vec![stage(0, &[("code", 1.0), ("math", 1.0)])]);
    let mut stream = Stream::new(&dataset, first, None).unwrap();
    count(&mut stream, &dataset, 8, &mut seen);
    let state = LoaderState::from_json(&stream.state().to_json()).unwrap();

    let second = with(vec![stage(0, &[("code", 9.0), ("math", 1.0)])]);
    let mut stream = Stream::new(&dataset, second, Some(&state)).unwrap();
    let counts = count(&mut stream, &dataset, 30, &mut seen);
    assert_eq!(counts["math"], 15, "the new weights hold from here on");
    assert!(seen.values().all(|&times| times == 1));
    // Code has 160 rows and got 20, then 135: two steps more and all its rows have come.
    count(&mut stream, &dataset, 2, &mut seen);
    let code: Vec<u64> =
        (dataset.splits[1].first_row..dataset.rows).filter_map(|row| seen.get(&row).copied()).collect();
    assert_eq!(code.len(), 160);
}

#[test]
fn a_resumed_mixture_goes_on_exactly() {
    let world = world();
    let dataset = world.dataset();
    let mut ramp = stage(3, &[("python", 1.0), ("rust", 2.0), ("math", 0.0)]);
    ramp.ramp = true;
    let stages = vec![
        stage(0, &[("python", 1.0), ("rust", 1.0), ("math", 1.0)]),
        ramp,
        stage(20, &[("python", 1.0), ("rust", 0.5), ("math", 3.0)]),
    ];
    let mut stream = Stream::new(&dataset, with(stages.clone()), None).unwrap();
    let mut states = Vec::new();
    let mut steps = Vec::new();
    for _ in 0..45 {
        states.push(stream.state());
        steps.push(stream.next_step().unwrap().unwrap());
    }
    for (step, state) in states.iter().enumerate() {
        let json = state.to_json();
        assert!(json.len() < 1024, "{json}");
        let mut resumed =
            Stream::new(&dataset, with(stages.clone()), Some(&LoaderState::from_json(&json).unwrap()))
                .unwrap();
        for expected in &steps[step..(step + 3).min(45)] {
            assert_eq!(&resumed.next_step().unwrap().unwrap(), expected);
        }
        assert_eq!(stream.rows_of_step(step as u64).unwrap(), steps[step].rows);
    }
}

#[test]
fn a_state_of_as_many_sources_as_the_curriculum_has_datasets_is_small() {
    let names: Vec<String> = (0..25).map(|number| format!("dataset_{number}")).collect();
    let splits: Vec<_> = names.iter().map(|name| (name.as_str(), vec![vec![8 * 10]])).collect();
    let world = World::new(8, &splits);
    let dataset = world.dataset();
    let weights = |step: usize| {
        let each = names.iter().enumerate();
        let weights: Vec<_> = each.map(|(at, name)| (name.as_str(), 1.0 + (at * step % 7) as f64)).collect();
        let mut options = with(vec![stage(0, &weights)]);
        options.mixture.as_mut().unwrap().max_epochs = u64::MAX;
        options.batch_size = 1024;
        options
    };
    // A trillion tokens in rows of 8,192, then the weights are changed.
    let mut state = Stream::new(&dataset, weights(0), None).unwrap().state();
    state.step = 25 * 4768;
    state.taken = vec![1024 * 4768; 25];
    for step in [0, 1] {
        let mut stream = Stream::new(&dataset, weights(step), Some(&state)).unwrap();
        (0..3).for_each(|_| drop(stream.next_step().unwrap()));
        state = stream.state();
    }
    let json = state.to_json();
    assert!(json.len() < 1024, "{} bytes: {json}", json.len());
    assert_eq!(LoaderState::from_json(&json).unwrap(), state);
}

#[test]
fn a_source_is_not_seen_more_than_four_times_unasked() {
    let world = world();
    let dataset = world.dataset();
    let mut options = with(vec![stage(0, &[("code", 1.0), ("math", 1.0)])]);
    options.steps = Some(100);
    assert_eq!(
        refused(&dataset, options.clone()),
        "`math` would be seen 5.0 times by step 100, but at most 4 epochs of a source are allowed"
    );
    options.steps = None;
    let mut stream = Stream::new(&dataset, options.clone(), None).unwrap();
    let error = (0..100).find_map(|_| stream.next_step().err()).unwrap();
    assert!(matches!(error, Error::TooManyEpochs { step: 80, .. }), "{error}");
    options.mixture.as_mut().unwrap().max_epochs = 5;
    options.steps = Some(100);
    Stream::new(&dataset, options, None).unwrap();
}

#[test]
fn weights_that_make_no_sense_are_refused() {
    let world = world();
    let dataset = world.dataset();
    let of = |stages| refused(&dataset, with(stages));
    assert_eq!(
        of(vec![stage(0, &[("cod", 1.0)])]),
        "`cod` in the weights is neither a split nor a category; there are `code`, `math`, `python`, `rust`"
    );
    assert_eq!(
        of(vec![stage(0, &[("code", 1.0)])]),
        "split `math` has no weight: a weight of 0 leaves it out"
    );
    assert_eq!(
        of(vec![stage(0, &[("code", 1.0), ("rust", 1.0), ("math", 1.0)])]),
        "split `rust` belongs to two of the weights, `code` and `rust`"
    );
    assert_eq!(of(vec![stage(0, &[("code", -1.0), ("math", 1.0)])]), "the weight of `code` is -1");
    assert_eq!(of(vec![stage(0, &[("code", 0.0), ("math", 0.0)])]), "the weights at step 0 sum to 0");
    assert_eq!(of(vec![stage(1, &[("code", 1.0)])]), "the first stage begins at step 1, not 0");
    let twice = vec![stage(0, &[("code", 1.0)]), stage(0, &[("math", 1.0)])];
    assert_eq!(of(twice), "the stage at step 0 does not come after the one before");
    assert_eq!(of(Vec::new()), "a mixture needs a stage");
}
