//! Which source the next row is taken from.
//!
//! Nothing is drawn: at every point each source has been taken less than one row more or less than its share
//! of the way so far, whatever the weights and however they change (Tijdeman's bound, `1 - 1/(2k - 2)` of a row for
//! `k` sources). Among the sources that may be taken without getting ahead, the one is taken that would be the
//! first to fall behind. Shares are integers in units of 2^-32, so the schedule is the same everywhere; ramps have a
//! closed form. What has to be remembered is one count a source.
//! Source: R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980.

use std::collections::BTreeSet;

use mashbill_format::recipe::{Anchor, Stage};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One row, in the units of shares.
pub(crate) const ONE: i128 = 1 << 32;

/// Weights over the steps of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The stages in order; the first begins at step 0.
    pub stages: Vec<Stage>,
    /// How many times a source may be seen.
    pub max_epochs: u64,
}

/// How many rows of each source should have been taken at each position, in units of 2^-32 of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    segments: Vec<Segment>,
}

/// Positions in which shares are constant or change linearly.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    start: u64,
    /// Shares at the start.
    shares: Vec<i128>,
    /// The change of the shares over the segment and its positions; none where they are constant.
    ramp: Option<(Vec<i128>, u64)>,
    /// The targets at the start.
    base: Vec<i128>,
}

/// A place in the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mixer {
    /// Rows taken of each source.
    pub(crate) taken: Vec<u64>,
    position: u64,
    /// The first position at which each source may be taken again, and the last at which it must be.
    windows: Vec<(u64, u64)>,
}

impl Mixture {
    /// The names of all sources, sorted.
    pub(crate) fn sources(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.stages.iter().flat_map(|stage| stage.weights.keys()).collect();
        names.into_iter().cloned().collect()
    }

    /// # Errors
    /// [`Error::Weights`].
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Weights { what });
        match self.stages.first() {
            None => return wrong("a mixture needs a stage".into()),
            Some(first) if first.from_step != 0 => {
                return wrong(format!("the first stage begins at step {}, not 0", first.from_step));
            }
            Some(_) => {}
        }
        for pair in self.stages.windows(2) {
            if pair[0].from_step >= pair[1].from_step {
                return wrong(format!(
                    "the stage at step {} does not come after the one before",
                    pair[1].from_step
                ));
            }
        }
        for stage in &self.stages {
            if let Some((name, weight)) =
                stage.weights.iter().find(|(_, weight)| !weight.is_finite() || **weight < 0.0)
            {
                return wrong(format!("the weight of `{name}` is {weight}"));
            }
            let sum: f64 = stage.weights.values().sum();
            if sum <= 0.0 || !sum.is_finite() {
                return wrong(format!("the weights at step {} sum to {sum}", stage.from_step));
            }
        }
        Ok(())
    }

    /// The targets from `anchor` on, where a step takes `global_batch` rows.
    pub(crate) fn target(&self, anchor: &Anchor, global_batch: u64) -> Target {
        let sources = self.sources();
        let shares: Vec<Vec<i128>> = self.stages.iter().map(|stage| shares(stage, &sources)).collect();
        let position: u64 = anchor.taken.iter().sum();
        let lag = anchor.lag.iter().chain(std::iter::repeat(&0));
        let base =
            anchor.taken.iter().zip(lag).map(|(&taken, &lag)| i128::from(taken) * ONE + i128::from(lag));
        let mut target = Target { segments: Vec::new() };
        let mut base: Vec<i128> = base.collect();
        for (index, stage) in self.stages.iter().enumerate() {
            let next = self.stages.get(index + 1);
            if next.is_some_and(|next| next.from_step <= anchor.step) {
                continue;
            }
            let from = stage.from_step.max(anchor.step);
            let start = position + (from - anchor.step) * global_batch;
            let mut segment =
                Segment { start, shares: shares[index].clone(), ramp: None, base: base.clone() };
            if let (true, Some(next)) = (stage.ramp, next) {
                let steps = next.from_step - stage.from_step;
                segment.shares = between(&shares[index], &shares[index + 1], from - stage.from_step, steps);
                let change = shares[index + 1].iter().zip(&segment.shares).map(|(to, from)| to - from);
                segment.ramp = Some((change.collect(), (next.from_step - from) * global_batch));
            }
            if let Some(next) = next {
                let rows = (next.from_step - from) * global_batch;
                base = (0..sources.len()).map(|source| segment.at(source, rows)).collect();
            }
            target.segments.push(segment);
        }
        target
    }
}

impl Target {
    /// The target of a source after `position` rows, in units of 2^-32 of a row.
    #[must_use]
    pub fn at(&self, source: usize, position: u64) -> i128 {
        let segment = self.segments.partition_point(|segment| segment.start <= position).max(1) - 1;
        let segment = &self.segments[segment];
        segment.at(source, position.saturating_sub(segment.start))
    }

    /// The first position at which the target of a source is `value` or more; [`u64::MAX`] where it never is.
    fn reaches(&self, source: usize, value: i128) -> u64 {
        let index = self.segments.partition_point(|segment| segment.base[source] < value).max(1) - 1;
        let segment = &self.segments[index];
        let missing = value - segment.base[source];
        if missing <= 0 {
            return segment.start;
        }
        let in_segment = match &segment.ramp {
            None if segment.shares[source] == 0 => return self.next_start(index),
            None => (missing + segment.shares[source] - 1) / segment.shares[source],
            Some((_, rows)) => {
                let (mut low, mut high) = (0, *rows);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if segment.at(source, middle) < value { low = middle + 1 } else { high = middle }
                }
                i128::from(low)
            }
        };
        let position = i128::from(segment.start) + in_segment;
        u64::try_from(position).unwrap_or(u64::MAX).min(self.next_start(index))
    }

    fn next_start(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(u64::MAX, |next| next.start)
    }
}

impl Segment {
    /// The target `rows` rows after the start.
    fn at(&self, source: usize, rows: u64) -> i128 {
        let rows = i128::from(rows);
        let linear = self.base[source] + self.shares[source] * rows;
        match &self.ramp {
            None => linear,
            Some((change, length)) => {
                linear + (change[source] * rows * rows).div_euclid(2 * i128::from(*length))
            }
        }
    }
}

impl Mixer {
    /// The place at which `taken` rows of each source have been taken.
    pub(crate) fn new(target: &Target, taken: Vec<u64>) -> Self {
        let mut mixer = Self { position: taken.iter().sum(), windows: vec![(0, 0); taken.len()], taken };
        (0..mixer.taken.len()).for_each(|source| mixer.open_window(target, source));
        mixer
    }

    /// Takes the next row: its source.
    pub(crate) fn next(&mut self, target: &Target) -> usize {
        self.position += 1;
        let eligible = self.windows.iter().enumerate().filter(|(_, (release, _))| *release <= self.position);
        let first = eligible.min_by_key(|(_, (_, deadline))| *deadline).map(|(source, _)| source);
        let source = first.unwrap_or_else(|| {
            // Shares round down to 2^-32, so with two sources nobody may have quite reached its half.
            let behind =
                |source: &usize| target.at(*source, self.position) - i128::from(self.taken[*source]) * ONE;
            (0..self.taken.len()).max_by_key(behind).expect("a mixture has a source")
        });
        self.taken[source] += 1;
        self.open_window(target, source);
        source
    }

    /// The first position at which the row of a source that comes after `taken` others may be taken, of
    /// `sources` sources.
    pub(crate) fn release(target: &Target, source: usize, taken: u64, sources: usize) -> u64 {
        target.reaches(source, i128::from(taken) * ONE + slack(sources))
    }

    /// Sets when a source may and must be taken next.
    fn open_window(&mut self, target: &Target, source: usize) {
        let (taken, sources) = (self.taken[source], self.taken.len());
        let release = Self::release(target, source, taken, sources);
        let deadline = target.reaches(source, i128::from(taken + 1) * ONE - slack(sources));
        self.windows[source] = (release, deadline);
    }

    /// How far each source is behind its target.
    pub(crate) fn lag(&self, target: &Target) -> Vec<i64> {
        let each = self.taken.iter().enumerate();
        each.map(|(source, &taken)| (target.at(source, self.position) - i128::from(taken) * ONE) as i64)
            .collect()
    }
}

/// By how much less than a row a source may be ahead or behind, of `sources` sources.
fn slack(sources: usize) -> i128 {
    ONE / (2 * sources as i128 - 2).max(1)
}

/// The shares of all sources in a stage; they sum to [`ONE`].
fn shares(stage: &Stage, sources: &[String]) -> Vec<i128> {
    let sum: f64 = stage.weights.values().sum();
    let exact = sources.iter().map(|name| stage.weights.get(name).map_or(0.0, |weight| weight / sum));
    let exact: Vec<f64> = exact.map(|share| share * ONE as f64).collect();
    rounded(exact.iter().map(|share| (share.floor() as i128, (share.fract() * 1e9) as i128)))
}

/// The shares after `step` of `steps` steps of a ramp.
fn between(from: &[i128], to: &[i128], step: u64, steps: u64) -> Vec<i128> {
    let (step, steps) = (i128::from(step), i128::from(steps));
    let exact = from.iter().zip(to).map(|(from, to)| from * (steps - step) + to * step);
    rounded(exact.map(|share| (share / steps, share % steps)))
}

/// Shares that sum to [`ONE`], given as whole parts and remainders: the largest remainders are rounded up.
fn rounded(parts: impl Iterator<Item = (i128, i128)>) -> Vec<i128> {
    let parts: Vec<(i128, i128)> = parts.collect();
    let mut shares: Vec<i128> = parts.iter().map(|(whole, _)| *whole).collect();
    let mut by_remainder: Vec<usize> = (0..parts.len()).filter(|&source| parts[source] != (0, 0)).collect();
    by_remainder.sort_by_key(|&source| std::cmp::Reverse(parts[source].1));
    let missing = ONE - shares.iter().sum::<i128>();
    for &source in by_remainder.iter().cycle().take(usize::try_from(missing).unwrap_or(0)) {
        shares[source] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("s{index:02}")).collect()
    }

    fn any_mixture() -> impl Strategy<Value = (Mixture, u64)> {
        (1..12usize).prop_flat_map(|count| {
            let weight = prop_oneof![1 => Just(0.0), 6 => 0.001..10.0, 1 => Just(100.0)];
            let weights = prop::collection::vec(weight, count)
                .prop_filter("something has to be taken", |weights| weights.iter().sum::<f64>() > 0.0);
            let stage = (1..60u64, weights, any::<bool>());
            (prop::collection::vec(stage, 1..5), 1..40u64).prop_map(move |(stages, batch)| {
                let mut from_step = 0;
                let stages = stages.into_iter().map(|(steps, weights, ramp)| {
                    let weights = names(count).into_iter().zip(weights).collect();
                    let stage = Stage { from_step, weights, ramp };
                    from_step += steps;
                    stage
                });
                (Mixture { stages: stages.collect(), max_epochs: 4 }, batch)
            })
        })
    }

    fn start(mixture: &Mixture) -> Anchor {
        Anchor { step: 0, taken: vec![0; mixture.sources().len()], lag: Vec::new() }
    }

    /// The weights that a reader of the documentation expects at each position, summed up plainly.
    fn plain_targets(mixture: &Mixture, batch: u64, positions: u64) -> Vec<Vec<f64>> {
        let sources = mixture.sources();
        let share = |stage: &Stage, name: &String| stage.weights[name] / stage.weights.values().sum::<f64>();
        let mut sums = vec![0.0; sources.len()];
        let mut targets = Vec::new();
        for position in 0..positions {
            let stage =
                mixture.stages.iter().rposition(|stage| stage.from_step * batch <= position).unwrap_or(0);
            for (sum, name) in sums.iter_mut().zip(&sources) {
                let here = share(&mixture.stages[stage], name);
                *sum += match mixture.stages.get(stage + 1) {
                    Some(next) if mixture.stages[stage].ramp => {
                        let from = mixture.stages[stage].from_step * batch;
                        let rows = (next.from_step - mixture.stages[stage].from_step) * batch;
                        let way = (position as f64 + 0.5 - from as f64) / rows as f64;
                        here + (share(next, name) - here) * way
                    }
                    _ => here,
                };
            }
            targets.push(sums.clone());
        }
        targets
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn every_prefix_is_within_a_row_of_its_target_and_every_window_within_two((mixture, batch) in any_mixture()) {
            mixture.check().expect("the strategy makes sense");
            let positions = 6000;
            let target = mixture.target(&start(&mixture), batch);
            let plain = plain_targets(&mixture, batch, positions);
            let mut mixer = Mixer::new(&target, vec![0; mixture.sources().len()]);
            let sources = mixer.taken.len();
            let mut ahead = vec![(0.0f64, 0.0f64); sources];
            for plain in plain {
                let picked = mixer.next(&target);
                prop_assert!(plain[picked] > 0.0, "a source without weight is never taken");
                for source in 0..sources {
                    let difference = mixer.taken[source] as f64 - plain[source];
                    prop_assert!(difference.abs() < 1.0, "{difference} at {}", mixer.position);
                    // A window's error is the difference of two prefixes' errors.
                    let (least, most) = &mut ahead[source];
                    *least = least.min(difference);
                    *most = most.max(difference);
                    prop_assert!(*most - *least < 2.0);
                }
            }
        }

        #[test]
        fn a_schedule_that_is_anchored_anew_goes_on_within_its_bound(
            (mixture, batch) in any_mixture(),
            (_, other_batch) in any_mixture(),
            steps in 0..200u64,
        ) {
            let target = mixture.target(&start(&mixture), batch);
            let mut mixer = Mixer::new(&target, vec![0; mixture.sources().len()]);
            (0..steps * batch).for_each(|_| { mixer.next(&target); });
            let anchor = Anchor { step: steps, taken: mixer.taken.clone(), lag: mixer.lag(&target) };
            let anew = mixture.target(&anchor, other_batch);
            let mut mixer = Mixer::new(&anew, anchor.taken);
            for _ in 0..2000 {
                mixer.next(&anew);
                for lag in mixer.lag(&anew) {
                    prop_assert!(lag.abs() < ONE as i64);
                }
            }
        }

        #[test]
        fn a_mixer_needs_nothing_but_the_counts((mixture, batch) in any_mixture(), rows in 0..3000u64) {
            let target = mixture.target(&start(&mixture), batch);
            let mut straight = Mixer::new(&target, vec![0; mixture.sources().len()]);
            (0..rows).for_each(|_| { straight.next(&target); });
            let mut resumed = Mixer::new(&target, straight.taken.clone());
            prop_assert_eq!(&resumed, &straight);
            for _ in 0..500 {
                prop_assert_eq!(resumed.next(&target), straight.next(&target));
            }
        }
    }

    #[test]
    fn a_break_is_exact() {
        let stage = |from_step, weights: &[(&str, f64)]| Stage {
            from_step,
            weights: weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect(),
            ramp: false,
        };
        let mixture = Mixture {
            stages: vec![
                stage(0, &[("a", 1.0)]),
                stage(7, &[("b", 1.0)]),
                stage(9, &[("a", 1.0), ("b", 3.0)]),
            ],
            max_epochs: 4,
        };
        let target = mixture.target(&start(&mixture), 5);
        let mut mixer = Mixer::new(&target, vec![0, 0]);
        let picks: Vec<usize> = (0..85).map(|_| mixer.next(&target)).collect();
        assert!(picks[..35].iter().all(|&source| source == 0));
        assert!(picks[35..45].iter().all(|&source| source == 1));
        assert_eq!(picks[45..85].iter().filter(|&&source| source == 0).count(), 10);
    }
}
