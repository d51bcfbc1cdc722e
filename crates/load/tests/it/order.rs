//! The order is a permutation, its inverse is one, and neither has structure.

use std::collections::HashSet;

use mashbill_load::{Order, Permutation, Shuffle};
use proptest::prelude::*;

const SEEDS: u64 = 20;

fn any_shuffle() -> impl Strategy<Value = Shuffle> {
    prop::sample::select(vec![Shuffle::Full, Shuffle::Blocks, Shuffle::Off])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_row_has_one_place_and_every_place_one_row(
        shuffle in any_shuffle(),
        rows in 1..3000u64,
        block_rows in 1..200usize,
        // Long rows make small windows.
        row_length in prop_oneof![Just(16usize), Just(1 << 16), Just(1 << 22)],
        (seed, stream, epoch) in any::<(u64, u64, u64)>(),
    ) {
        let order = Order::new(shuffle, seed, stream, rows, block_rows, row_length);
        let mut seen = HashSet::new();
        for place in 0..rows {
            let row = order.row(epoch, place);
            prop_assert!(row < rows);
            prop_assert!(seen.insert(row));
            prop_assert_eq!(order.index(epoch, row), place);
        }
    }

    #[test]
    fn large_permutations_have_inverses(count in 1..u64::MAX / 2, key in any::<u64>(), place in any::<u64>()) {
        let permutation = Permutation::new(count, key);
        let element = permutation.at(place % count);
        prop_assert!(element < count);
        prop_assert_eq!(permutation.index_of(element), place % count);
    }
}

/// Pearson's statistic of counts that should all be equal, in standard deviations from what chance gives.
fn chi_square(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let statistic: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
    let degrees = (counts.len() - 1) as f64;
    (statistic - degrees) / (2.0 * degrees).sqrt()
}

fn correlation(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = pairs.clone().count() as f64;
    let (mean_x, mean_y) =
        pairs.clone().fold((0.0, 0.0), |(x, y), pair| (x + pair.0 / count, y + pair.1 / count));
    let (mut both, mut x, mut y) = (0.0, 0.0, 0.0);
    for pair in pairs {
        both += (pair.0 - mean_x) * (pair.1 - mean_y);
        x += (pair.0 - mean_x).powi(2);
        y += (pair.1 - mean_y).powi(2);
    }
    both / (x * y).sqrt()
}

#[test]
fn places_and_rows_are_independent_for_twenty_seeds() {
    // Sizes around powers of two, where the network walks least and most.
    for rows in [1000u64, 4095, 4096, 4097, 30_011] {
        for seed in 0..SEEDS {
            let order = Order::new(Shuffle::Full, seed, 7, rows, 64, 1024);
            let row = |place| order.row(0, place);
            let all: Vec<u64> = (0..rows).map(row).collect();

            // Which tenth of the rows stands in which tenth of the places.
            let mut counts = vec![0; 100];
            for (place, row) in (0..).zip(&all) {
                counts[(place * 10 / rows * 10 + row * 10 / rows) as usize] += 1;
            }
            // Two margins are fixed, which lowers the statistic; too high is what structure looks like.
            let off = chi_square(&counts);
            assert!(off < 5.0, "{rows} rows, seed {seed}: chi-square is {off} deviations off");

            for lag in [1, 2, 7, 32] {
                let pairs = all.iter().zip(&all[lag..]).map(|(&x, &y)| (x as f64, y as f64));
                let off = correlation(pairs) * ((rows as usize - lag) as f64).sqrt();
                assert!(off.abs() < 4.5, "{rows} rows, seed {seed}, lag {lag}: {off} deviations");
            }
            let pairs = all.iter().enumerate().map(|(place, &row)| (place as f64, row as f64));
            let off = correlation(pairs) * (rows as f64).sqrt();
            assert!(off.abs() < 4.5, "{rows} rows, seed {seed}: places and rows correlate, {off} deviations");
        }
    }
}

#[test]
fn the_same_row_stands_anywhere_over_seeds_and_epochs() {
    let rows = 50;
    for row in [0, 1, 25, 49] {
        let mut counts = vec![0u64; rows as usize];
        for seed in 0..SEEDS {
            let order = Order::new(Shuffle::Full, seed, 7, rows, 64, 1024);
            (0..500).for_each(|epoch| counts[order.index(epoch, row) as usize] += 1);
        }
        let off = chi_square(&counts);
        assert!(off.abs() < 5.0, "row {row}: {off} deviations");
    }
}

/// How many seeds are looked at: a small preference is seen only with many.
fn seeds(short: u64) -> u64 {
    if std::env::var_os("MASHBILL_LONG").is_some() { 20 * short } else { short }
}

#[test]
fn every_order_of_a_few_rows_is_as_likely_as_any_other() {
    for rows in 2..=6u64 {
        let kinds: u64 = (1..=rows).product();
        for shuffle in [Shuffle::Full, Shuffle::Blocks] {
            let mut counts = std::collections::HashMap::new();
            for seed in 0..seeds(40) * kinds {
                let order = Order::new(shuffle, seed, 7, rows, 64, 1024);
                let all: Vec<u64> = (0..rows).map(|place| order.row(3, place)).collect();
                assert!((0..rows).all(|place| order.index(3, all[place as usize]) == place));
                *counts.entry(all).or_insert(0u64) += 1;
            }
            let mut counts: Vec<u64> = counts.into_values().collect();
            counts.resize(kinds as usize, 0);
            let off = chi_square(&counts);
            assert!(off.abs() < 5.0, "{rows} rows, {shuffle:?}: {off} deviations");
        }
    }
}

#[test]
fn every_row_of_a_small_epoch_is_as_likely_at_every_place() {
    for rows in (2..=64u64).chain([65, 96, 127, 128, 129, 200]) {
        let mut counts = vec![0u64; (rows * rows) as usize];
        let seeds = seeds(if rows < 10 { 20_000 } else { 2_000 });
        for seed in 0..seeds {
            let order = Order::new(Shuffle::Full, seed, 7, rows, 64, 1024);
            (0..rows).for_each(|place| counts[(place * rows + order.row(seed % 5, place)) as usize] += 1);
        }
        // Each place has each row once in the sum of all rows, and each row each place.
        let expected = seeds as f64 / rows as f64;
        let statistic: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        let degrees = ((rows - 1) * (rows - 1)) as f64;
        let off = (statistic - degrees) / (2.0 * degrees).sqrt();
        assert!(off.abs() < 5.0, "{rows} rows: {off} deviations");
    }
}
