//! Which rows each step of a run takes.
//!
//! A schedule is what stays the same over all steps, so it is shared; a cursor is a place in it. Any place is found by
//! arithmetic, or, in a mixture, from the last of some places that are remembered.

use std::sync::Mutex;

use mashbill_format::recipe::{Anchor, LastBatch, LoaderState};
use mashbill_store::checksum::Checksum;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::mix::{Mixer, ONE, Target};
use crate::order::ALGORITHM;
use crate::ordered_rows::{OrderedRows, all_ordered, order_identity};
use crate::stream_options::{ROWS_MAX, StreamOptions};

/// Picks between two places that are remembered when a mixture's past or future is asked about.
const CHECKPOINT_ROWS: u64 = 1 << 20;

/// The rows of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step, from 0.
    pub step: u64,
    /// The epoch its first row belongs to; with a mixture, 0.
    pub epoch: u64,
    /// The dataset's rows that this rank gets.
    pub rows: Vec<u64>,
    /// Whether an epoch ends in or with this step; never with a mixture.
    pub ends_epoch: bool,
}

/// What stays the same over all steps.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) options: StreamOptions,
    pub(crate) sources: Vec<OrderedRows>,
    pub(crate) target: Option<Target>,
    anchor: Anchor,
    dataset: Checksum,
    order: Checksum,
    identity: Checksum,
    /// Places in the schedule, [`CHECKPOINT_ROWS`] apart, that were computed for questions.
    checkpoints: Mutex<Vec<StreamPosition>>,
}

/// A place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamPosition {
    pub(crate) step: u64,
    place: StreamPlace,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamPlace {
    /// Rows taken of the one source.
    Union(u64),
    Mixed(Mixer),
}

impl Schedule {
    /// The schedule of a stream, and where it begins: where `state` is, or at its beginning.
    ///
    /// # Errors
    /// Those of [`Stream::new`](crate::Stream::new).
    pub(crate) fn begin(
        dataset: &Dataset,
        options: StreamOptions,
        state: Option<&LoaderState>,
    ) -> Result<(Self, StreamPosition)> {
        options.check()?;
        let sources = all_ordered(dataset, &options)?;
        let global_batch = (options.batch_size * options.world_size) as u64;
        if options.last_batch == LastBatch::Drop
            && options.mixture.is_none()
            && sources[0].rows < global_batch
        {
            return Err(Error::TooFewRows { rows: sources[0].rows, global_batch });
        }
        let (order, identity) = (order_identity(&sources, &options), options.schedule_identity());
        let fresh = Anchor { step: 0, taken: vec![0; sources.len()], lag: Vec::new() };
        let mut schedule = Self {
            target: None,
            anchor: Anchor::default(),
            dataset: dataset.identity,
            sources,
            order,
            identity,
            options,
            checkpoints: Mutex::new(Vec::new()),
        };
        let cursor = match state {
            None => {
                schedule.set_anchor(fresh);
                schedule.at_anchor()
            }
            Some(state) => {
                schedule.check_state(state)?;
                schedule.resume(state)
            }
        };
        schedule.check_epochs()?;
        Ok((schedule, cursor))
    }

    pub(crate) const fn global_batch(&self) -> u64 {
        (self.options.batch_size * self.options.world_size) as u64
    }

    /// Takes the rows of the step at `cursor`: those of the ranks in `ranks`.
    pub(crate) fn step(&self, cursor: &mut StreamPosition, ranks: std::ops::Range<usize>) -> Result<Step> {
        let (step, world_size) = (cursor.step, self.options.world_size as u64);
        let wanted = |place: u64| ranks.contains(&((place % world_size) as usize));
        cursor.step += 1;
        match &mut cursor.place {
            StreamPlace::Union(taken) => {
                let (start, count) = self.extent(*taken);
                let source = &self.sources[0];
                let mut epoch = None;
                let rows = (0..count)
                    .filter(|place| wanted(*place))
                    .map(|place| source.row(start + place, &mut epoch))
                    .collect();
                *taken = start + count;
                let ends_epoch = match self.options.last_batch {
                    // What is left of the epoch fills no step.
                    LastBatch::Drop => source.rows - (*taken - 1) % source.rows - 1 < self.global_batch(),
                    LastBatch::Wrap | LastBatch::Short => start / source.rows < *taken / source.rows,
                };
                Ok(Step { step, epoch: start / source.rows, rows, ends_epoch })
            }
            StreamPlace::Mixed(mixer) => {
                let target = self.target.as_ref().expect("a mixture has targets");
                let mut rows = Vec::with_capacity(self.options.batch_size);
                let mut epochs = vec![None; self.sources.len()];
                for place in 0..self.global_batch() {
                    let source = mixer.next(target);
                    let taken = mixer.taken[source] - 1;
                    self.check_taken(source, taken, step)?;
                    if wanted(place) {
                        rows.push(self.sources[source].row(taken, &mut epochs[source]));
                    }
                }
                Ok(Step { step, epoch: 0, rows, ends_epoch: false })
            }
        }
    }

    /// Where the step begins at which `taken` rows were taken of the one source, and its rows.
    fn extent(&self, taken: u64) -> (u64, u64) {
        let (rows, global_batch) = (self.sources[0].rows, self.global_batch());
        let left = rows - taken % rows;
        match self.options.last_batch {
            LastBatch::Wrap => (taken, global_batch),
            LastBatch::Short => (taken, global_batch.min(left)),
            LastBatch::Drop if left < global_batch => (taken + left, global_batch),
            LastBatch::Drop => (taken, global_batch),
        }
    }

    /// The cursor before step `step`.
    pub(crate) fn seek(&self, step: u64) -> Result<StreamPosition> {
        if step > ROWS_MAX / self.global_batch() {
            return Err(Error::Option { what: format!("step {step} is too far away") });
        }
        let steps = step.checked_sub(self.anchor.step).ok_or_else(|| Error::Option {
            what: format!(
                "step {step} lies before step {}, where batch size or weights changed",
                self.anchor.step
            ),
        })?;
        if self.target.is_none() {
            return Ok(StreamPosition { step, place: StreamPlace::Union(self.taken_after(steps)) });
        }
        self.seek_mixed(step)
    }

    /// Rows taken of the one source after `steps` steps from the anchor.
    fn taken_after(&self, steps: u64) -> u64 {
        self.taken_since(self.anchor.taken[0], steps)
    }

    /// Rows taken of the one source `steps` steps after `taken` of them were.
    fn taken_since(&self, taken: u64, steps: u64) -> u64 {
        let (rows, global_batch) = (self.sources[0].rows, self.global_batch());
        let steps_in = |rows: u64| match self.options.last_batch {
            LastBatch::Short => rows.div_ceil(global_batch),
            LastBatch::Drop | LastBatch::Wrap => rows / global_batch,
        };
        if self.options.last_batch == LastBatch::Wrap {
            return taken + steps * global_batch;
        }
        let first = steps_in(rows - taken % rows);
        let Some(later) = steps.checked_sub(first) else { return taken + steps * global_batch };
        let next_epoch = (taken / rows + 1) * rows;
        let (epochs, steps) = (later / steps_in(rows), later % steps_in(rows));
        next_epoch + epochs * rows + steps * global_batch
    }

    /// The cursor of a mixture: from the last remembered place on, remembering more.
    fn seek_mixed(&self, step: u64) -> Result<StreamPosition> {
        let steps_between = CHECKPOINT_ROWS.div_ceil(self.global_batch());
        let mut checkpoints = self.checkpoints.lock().expect("no thread panics with the lock");
        if checkpoints.is_empty() {
            checkpoints.push(self.at_anchor());
        }
        let known = checkpoints.partition_point(|cursor| cursor.step <= step) - 1;
        let mut cursor = checkpoints[known].clone();
        while cursor.step < step {
            self.step(&mut cursor, 0..0)?;
            let last = checkpoints.last().expect("the anchor is there");
            if cursor.step == last.step + steps_between {
                checkpoints.push(cursor.clone());
            }
        }
        Ok(cursor)
    }

    pub(crate) fn steps_of_row(&self, row: u64, until: u64) -> Result<Vec<(u64, u64)>> {
        let Some((source, local)) = self.find(row) else { return Ok(Vec::new()) };
        let source_rows = self.sources[source].rows;
        let end = self.seek(until.max(self.anchor.step))?;
        let (from, to) = (self.anchor.taken[source], end.taken()[source]);
        let mut found = Vec::new();
        for epoch in from / source_rows..to.div_ceil(source_rows) {
            let taken = epoch * source_rows + self.sources[source].order.index(epoch, local);
            if (from..to).contains(&taken)
                && let Some(appearance) = self.step_of(source, taken, until)?
            {
                found.push(appearance);
            }
        }
        Ok(found)
    }

    /// The step and the place in its global batch at which a source's row number `taken` is taken, before step
    /// `until`; none where it is left out.
    fn step_of(&self, source: usize, taken: u64, until: u64) -> Result<Option<(u64, u64)>> {
        let Some(target) = &self.target else { return Ok(self.step_of_union(taken, until)) };
        let start: u64 = self.anchor.taken.iter().sum();
        let release = Mixer::release(target, source, taken, self.sources.len());
        let step = self.anchor.step + release.saturating_sub(start + 1) / self.global_batch();
        let mut cursor = self.seek_mixed(step.min(until))?;
        while cursor.step < until {
            let StreamPlace::Mixed(mixer) = &mut cursor.place else { return Ok(None) };
            for place in 0..self.global_batch() {
                if mixer.next(target) == source && mixer.taken[source] == taken + 1 {
                    return Ok(Some((cursor.step, place)));
                }
            }
            cursor.step += 1;
        }
        Ok(None)
    }

    fn step_of_union(&self, taken: u64, until: u64) -> Option<(u64, u64)> {
        // The last step before which no more than `taken` rows were taken.
        let (mut low, mut high) = (self.anchor.step, until);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.taken_after(middle - self.anchor.step) <= taken { low = middle } else { high = middle }
        }
        let (start, count) = self.extent(self.taken_after(low - self.anchor.step));
        (low < until && (start..start + count).contains(&taken)).then(|| (low, taken - start))
    }

    /// The source of a row of the dataset and its number there.
    fn find(&self, row: u64) -> Option<(usize, u64)> {
        self.sources.iter().enumerate().find_map(|(index, source)| Some((index, source.local(row)?)))
    }

    pub(crate) fn state(&self, cursor: &StreamPosition) -> LoaderState {
        LoaderState {
            version: ALGORITHM,
            dataset: self.dataset,
            order: self.order,
            schedule: self.identity,
            step: cursor.step,
            taken: cursor.taken().to_vec(),
            lag: match (&cursor.place, &self.target) {
                (StreamPlace::Mixed(mixer), Some(target)) => mixer.lag(target),
                _ => Vec::new(),
            },
            anchor: self.anchor.clone(),
        }
    }

    fn check_state(&self, state: &LoaderState) -> Result<()> {
        let differs = |what: &str| Err(Error::State { what: what.to_owned() });
        if state.version != ALGORITHM {
            return differs(&format!("it is of version {}, this is version {ALGORITHM}", state.version));
        }
        if state.dataset != self.dataset {
            return differs("it belongs to another dataset or other splits");
        }
        if state.order != self.order {
            return differs("its seed, shuffling or sources are different");
        }
        let sources = self.sources.len();
        let anchor = &state.anchor;
        let in_range = |taken: &[u64]| {
            let sum = taken.iter().try_fold(0u64, |sum, taken| sum.checked_add(*taken));
            sum.is_some_and(|sum| sum <= ROWS_MAX)
        };
        if state.step > ROWS_MAX / self.global_batch() || !in_range(&state.taken) || !in_range(&anchor.taken)
        {
            return differs("its counts are out of range");
        }
        let lag_fits = |lag: &[i64]| {
            (lag.is_empty() || lag.len() == sources)
                && lag.iter().all(|lag| i128::from(lag.unsigned_abs()) < 2 * ONE)
        };
        let lag_fits = lag_fits(&anchor.lag) && lag_fits(&state.lag);
        let in_order =
            anchor.step <= state.step && anchor.taken.iter().zip(&state.taken).all(|(a, b)| a <= b);
        if state.taken.len() != sources || anchor.taken.len() != sources || !lag_fits || !in_order {
            return differs("its counts contradict one another");
        }
        if state.schedule != self.identity {
            return Ok(());
        }
        // With the same schedule the step says how many rows were taken.
        let steps = state.step - anchor.step;
        let (taken, before) = (state.taken.iter().sum::<u64>(), anchor.taken.iter().sum::<u64>());
        let expected = if self.options.mixture.is_some() {
            before + steps * self.global_batch()
        } else {
            self.taken_since(anchor.taken[0], steps)
        };
        // An epoch's rows that fill no step count as taken or not: the next step begins behind them.
        let next = |taken| if self.options.mixture.is_some() { taken } else { self.extent(taken).0 };
        if next(taken) == next(expected) { Ok(()) } else { differs("its counts contradict one another") }
    }

    /// Goes on at a state. Where batch size or weights are other ones than the state's, they hold from here on.
    fn resume(&mut self, state: &LoaderState) -> StreamPosition {
        if state.schedule == self.identity {
            self.set_anchor(state.anchor.clone());
            return StreamPosition { step: state.step, place: self.place(state.taken.clone()) };
        }
        self.set_anchor(Anchor { step: state.step, taken: state.taken.clone(), lag: state.lag.clone() });
        self.at_anchor()
    }

    fn set_anchor(&mut self, anchor: Anchor) {
        let mixture = self.options.mixture.as_ref();
        self.target = mixture.map(|mixture| mixture.target(&anchor, self.global_batch()));
        self.anchor = anchor;
    }

    fn at_anchor(&self) -> StreamPosition {
        StreamPosition { step: self.anchor.step, place: self.place(self.anchor.taken.clone()) }
    }

    fn place(&self, taken: Vec<u64>) -> StreamPlace {
        match &self.target {
            Some(target) => StreamPlace::Mixed(Mixer::new(target, taken)),
            None => StreamPlace::Union(taken[0]),
        }
    }

    pub(crate) fn epochs_after(&self, steps: u64) -> Vec<(String, f64)> {
        let steps = steps.min(ROWS_MAX / self.global_batch());
        let taken: Vec<f64> = match &self.target {
            None => vec![self.taken_after(steps.saturating_sub(self.anchor.step)) as f64],
            Some(target) => {
                let start: u64 = self.anchor.taken.iter().sum();
                let position = start + steps.saturating_sub(self.anchor.step) * self.global_batch();
                (0..self.sources.len())
                    .map(|source| target.at(source, position) as f64 / ONE as f64)
                    .collect()
            }
        };
        let each = self.sources.iter().zip(taken);
        each.map(|(source, taken)| (source.name.clone(), taken / source.rows as f64)).collect()
    }

    fn check_epochs(&self) -> Result<()> {
        let (Some(mixture), Some(steps)) = (&self.options.mixture, self.options.steps) else { return Ok(()) };
        for (source_name, epochs) in self.epochs_after(steps) {
            if epochs > mixture.max_epochs as f64 {
                return Err(Error::TooManyEpochs {
                    source_name,
                    epochs,
                    step: steps,
                    max: mixture.max_epochs,
                });
            }
        }
        Ok(())
    }

    fn check_taken(&self, source: usize, taken: u64, step: u64) -> Result<()> {
        let (max, source) =
            (self.options.mixture.as_ref().map_or(u64::MAX, |mix| mix.max_epochs), &self.sources[source]);
        if taken / source.rows < max {
            return Ok(());
        }
        let epochs = (taken + 1) as f64 / source.rows as f64;
        Err(Error::TooManyEpochs { source_name: source.name.clone(), epochs, step, max })
    }
}

impl StreamPosition {
    fn taken(&self) -> &[u64] {
        match &self.place {
            StreamPlace::Union(taken) => std::slice::from_ref(taken),
            StreamPlace::Mixed(mixer) => &mixer.taken,
        }
    }
}
