//! Curves over the steps of a run, in a bounded number of points.
//!
//! Steps are put together in buckets, all of the same number of steps; when there are too many buckets, each two
//! neighbors become one. A bucket keeps mean, least and most, so a spike of one step among millions is seen.

use serde::Serialize;

/// Buckets at which neighbors are put together.
const BUCKETS_MAX: usize = 2000;

/// Buckets over the steps, each with `N` curves.
#[derive(Debug)]
pub(crate) struct Steps<const N: usize> {
    /// Steps of a bucket that is full.
    width: u64,
    buckets: Vec<Bucket<N>>,
}

#[derive(Debug, Clone)]
struct Bucket<const N: usize> {
    steps: u64,
    /// The last step.
    step: u64,
    curves: [Sum; N],
    /// What was counted up to the last step, by name.
    so_far: Vec<u64>,
}

/// Values of a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: u64,
    sum: f64,
    least: f64,
    most: f64,
}

/// A curve as the page draws it; none where a bucket has no value.
#[derive(Debug, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) mean: Vec<Option<f64>>,
    /// Left out where each point is one step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) least: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) most: Vec<Option<f64>>,
}

impl<const N: usize> Default for Steps<N> {
    fn default() -> Self {
        Self { width: 1, buckets: Vec::new() }
    }
}

impl<const N: usize> Steps<N> {
    /// Takes in a step. `so_far` is asked only where a bucket becomes full.
    pub(crate) fn add(&mut self, step: u64, values: [Option<f64>; N], so_far: impl FnOnce() -> Vec<u64>) {
        let is_full = self.buckets.last().is_none_or(|bucket| bucket.steps >= self.width);
        if is_full {
            if self.buckets.len() == BUCKETS_MAX {
                self.join();
            }
            let curves = [Sum::default(); N];
            self.buckets.push(Bucket { steps: 0, step, curves, so_far: Vec::new() });
        }
        let width = self.width;
        let bucket = self.buckets.last_mut().expect("there is one with room");
        bucket.steps += 1;
        bucket.step = step;
        for (sum, value) in bucket.curves.iter_mut().zip(values) {
            if let Some(value) = value {
                sum.add(Sum { count: 1, sum: value, least: value, most: value });
            }
        }
        if bucket.steps >= width {
            bucket.so_far = so_far();
        }
    }

    /// What was counted up to the last step, which is in the last bucket though that may not be full.
    pub(crate) fn end(&mut self, so_far: Vec<u64>) {
        if let Some(bucket) = self.buckets.last_mut() {
            bucket.so_far = so_far;
        }
    }

    /// Puts neighbors together.
    fn join(&mut self) {
        self.width *= 2;
        let pairs = std::mem::take(&mut self.buckets);
        self.buckets = pairs
            .chunks(2)
            .map(|pair| {
                let mut joined = pair[pair.len() - 1].clone();
                if let [first, _] = pair {
                    joined.steps += first.steps;
                    joined.curves.iter_mut().zip(&first.curves).for_each(|(sum, first)| sum.add(*first));
                }
                joined
            })
            .collect();
    }

    /// The steps of the points.
    pub(crate) fn at(&self) -> Vec<u64> {
        self.buckets.iter().map(|bucket| bucket.step).collect()
    }

    /// A curve; none where it has no value at all.
    pub(crate) fn curve(&self, index: usize, name: &str) -> Option<Curve> {
        let values = |value: fn(&Sum) -> f64| -> Vec<Option<f64>> {
            let of =
                |bucket: &Bucket<N>| (bucket.curves[index].count > 0).then(|| value(&bucket.curves[index]));
            self.buckets.iter().map(of).map(|value| value.map(rounded)).collect()
        };
        let mean = values(|sum| sum.sum / sum.count as f64);
        let is_there = mean.iter().any(Option::is_some);
        let wide = self.width > 1;
        is_there.then(|| Curve {
            name: name.to_owned(),
            mean,
            least: if wide { values(|sum| sum.least) } else { Vec::new() },
            most: if wide { values(|sum| sum.most) } else { Vec::new() },
        })
    }

    /// The mean of a curve over all steps.
    pub(crate) fn mean(&self, index: usize) -> Option<f64> {
        let mut all = Sum::default();
        self.buckets.iter().for_each(|bucket| all.add(bucket.curves[index]));
        (all.count > 0).then(|| all.sum / all.count as f64)
    }

    /// For each point, what was counted of name `index` since the point before; none where nothing is known.
    pub(crate) fn counted(&self, index: usize) -> Vec<Option<u64>> {
        let mut before = 0;
        self.buckets
            .iter()
            .map(|bucket| {
                // A name that came later was not counted before.
                let so_far = bucket.so_far.get(index).copied();
                let so_far = so_far.or_else(|| (!bucket.so_far.is_empty()).then_some(0))?;
                let more = so_far.saturating_sub(before);
                before = so_far;
                Some(more)
            })
            .collect()
    }
}

impl Sum {
    fn add(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        let first = self.count == 0;
        self.least = if first { other.least } else { self.least.min(other.least) };
        self.most = if first { other.most } else { self.most.max(other.most) };
        self.count += other.count;
        self.sum += other.sum;
    }
}

/// Five digits, which is more than a pixel tells.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_steps_are_points_of_their_own() {
        let mut steps = Steps::<1>::default();
        (0..10).for_each(|step| steps.add(step, [Some(step as f64)], || vec![step + 1]));
        let curve = steps.curve(0, "loss").expect("it has values");
        assert_eq!(curve.mean.len(), 10);
        assert!(curve.least.is_empty());
        assert_eq!(steps.counted(0), vec![Some(1); 10]);
        assert_eq!(steps.mean(0), Some(4.5));
    }

    #[test]
    fn of_a_million_steps_a_spike_stays_and_nothing_is_counted_twice() {
        let mut steps = Steps::<2>::default();
        let count = 1_000_003;
        for step in 0..count {
            let value = if step == 777_777 { 99.0 } else { 1.0 };
            steps.add(step, [Some(value), None], || vec![3 * (step + 1)]);
        }
        steps.end(vec![3 * count]);
        let points = steps.at();
        assert!(points.len() <= BUCKETS_MAX && points.len() > BUCKETS_MAX / 2);
        assert_eq!(points.last(), Some(&(count - 1)));
        let curve = steps.curve(0, "loss").expect("it has values");
        assert_eq!(curve.most.iter().filter(|most| **most == Some(99.0)).count(), 1);
        assert!(curve.least.iter().all(|least| *least == Some(1.0)));
        assert!(steps.curve(1, "none").is_none());
        assert_eq!(steps.counted(0).into_iter().flatten().sum::<u64>(), 3 * count);
    }
}
