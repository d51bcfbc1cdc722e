//! The rows of each step.
//!
//! A step takes the next rows of the global order, and rank `r` of `W` gets those at places `r`, `r + W`, … in it. So
//! the global order is the same for every number of ranks, and what a run is at does not depend on it.

use std::sync::{Arc, Mutex};

use mashbill_format::checksum::{Checksum, Hasher};
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::mix::{Anchor, Mixer, Mixture, ONE, Target};
use crate::order::{ALGORITHM, EpochOrder, Order, Shuffle};
use crate::state::State;

/// Picks between two places that are remembered when a mixture's past or future is asked about.
const CHECKPOINT_ROWS: u64 = 1 << 20;

/// Rows that a run may take, and that a step of a stage or a run may lie away from its beginning: whatever is computed of
/// such numbers fits into 64 bits.
const ROWS_MAX: u64 = 1 << 56;

/// What becomes of the rows that fill no step at an epoch's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastBatch {
    /// They are left out; every epoch has the same number of steps.
    Drop,
    /// The next epoch's first rows fill the step.
    Wrap,
    /// The step has fewer rows, on some ranks perhaps none.
    Short,
}

/// What decides on the rows of each step.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Rows a rank takes a step; 1 or more.
    pub batch_size: usize,
    /// Ranks; 1 or more.
    pub world_size: usize,
    /// This rank, from 0.
    pub rank: usize,
    /// What the order depends on, besides the rows.
    pub seed: u64,
    /// How rows are shuffled.
    pub shuffle: Shuffle,
    /// What becomes of an epoch's last rows. With a mixture every source has its own epochs, which always wrap.
    pub last_batch: LastBatch,
    /// Weights; none: all rows once an epoch.
    pub mixture: Option<Mixture>,
    /// Steps after which the stream ends; none: never.
    pub steps: Option<u64>,
    /// Only every `n`th step, `(i, n, s)`: those that come `i`, `i + n`, … steps after step `s`. For `n` worker processes that
    /// take turns.
    pub lane: Option<(u64, u64, u64)>,
}

/// The steps of one rank.
#[derive(Debug, Clone)]
pub struct Stream {
    plan: Arc<Plan>,
    cursor: Cursor,
}

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
struct Plan {
    options: StreamOptions,
    sources: Vec<Source>,
    target: Option<Target>,
    anchor: Anchor,
    dataset: Checksum,
    order: Checksum,
    schedule: Checksum,
    /// Places in the schedule, [`CHECKPOINT_ROWS`] apart, that were computed for questions.
    checkpoints: Mutex<Vec<Cursor>>,
}

/// Rows that have one order and one count.
#[derive(Debug)]
struct Source {
    name: String,
    order: Order,
    /// The splits' first rows in the source and in the dataset.
    parts: Vec<(u64, u64)>,
    /// The source's number of rows.
    rows: u64,
}

/// A place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cursor {
    step: u64,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Rows taken of the one source.
    Union(u64),
    Mixed(Mixer),
}

impl Stream {
    /// The stream over `dataset`, from its beginning or from `state`.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::TooFewRows`], [`Error::UnknownSource`], [`Error::SplitWeight`], [`Error::Weights`],
    /// [`Error::TooManyEpochs`], and [`Error::State`] where the state is of another dataset, order or set of
    /// sources. Another batch size, world size or other weights are no error: the stream goes on with them.
    pub fn new(dataset: &Dataset, options: StreamOptions, state: Option<&State>) -> Result<Self> {
        check(&options)?;
        let sources = sources(dataset, &options)?;
        let global_batch = (options.batch_size * options.world_size) as u64;
        if options.last_batch == LastBatch::Drop
            && options.mixture.is_none()
            && sources[0].rows < global_batch
        {
            return Err(Error::TooFewRows { rows: sources[0].rows, global_batch });
        }
        let (order, schedule) = (order_identity(&sources, &options), schedule_identity(&options));
        let fresh = Anchor { step: 0, taken: vec![0; sources.len()], lag: Vec::new() };
        let mut plan = Plan {
            target: None,
            anchor: Anchor::default(),
            dataset: dataset.identity,
            sources,
            order,
            schedule,
            options,
            checkpoints: Mutex::new(Vec::new()),
        };
        let cursor = match state {
            None => {
                plan.set_anchor(fresh);
                plan.at_anchor()
            }
            Some(state) => {
                plan.check_state(state)?;
                plan.resume(state)
            }
        };
        plan.check_epochs()?;
        Ok(Self { plan: Arc::new(plan), cursor })
    }

    /// The next step; none after the last.
    ///
    /// # Errors
    /// [`Error::TooManyEpochs`] where a source would be seen more often than allowed.
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        let ranks = self.plan.options.rank..self.plan.options.rank + 1;
        loop {
            if self.plan.options.steps.is_some_and(|steps| self.cursor.step >= steps) {
                return Ok(None);
            }
            if self.is_own_step() {
                return self.plan.step(&mut self.cursor, ranks).map(Some);
            }
            // Where somebody else has the epoch's last step, one without rows says that the epoch is over.
            let skipped = self.plan.step(&mut self.cursor, 0..0)?;
            if skipped.ends_epoch {
                return Ok(Some(skipped));
            }
        }
    }

    /// Whether the next step is one of this stream's lane.
    fn is_own_step(&self) -> bool {
        let step = self.cursor.step;
        self.plan
            .options
            .lane
            .is_none_or(|(index, count, start)| step >= start && (step - start) % count.max(1) == index)
    }

    /// The state before the next step.
    #[must_use]
    pub fn state(&self) -> State {
        self.plan.state(&self.cursor)
    }

    /// The state before step `step`, which is none before the last change of batch size or weights.
    ///
    /// # Errors
    /// As [`Stream::rows_of_step`].
    pub fn state_at(&self, step: u64) -> Result<State> {
        Ok(self.plan.state(&self.plan.seek(step)?))
    }

    /// The rows of all ranks in step `step`, in the global order: the row at place `p` is rank `p % W`'s.
    ///
    /// # Errors
    /// [`Error::Option`] where the step lies before the last change of batch size or weights, and
    /// [`Error::TooManyEpochs`].
    pub fn rows_of_step(&self, step: u64) -> Result<Vec<u64>> {
        let mut cursor = self.plan.seek(step)?;
        let ranks = 0..self.plan.options.world_size;
        Ok(self.plan.step(&mut cursor, ranks)?.rows)
    }

    /// The steps before `until` that a row of the dataset stands in, with its place in the global batch; those
    /// since the last change of batch size or weights.
    ///
    /// # Errors
    /// [`Error::TooManyEpochs`].
    pub fn steps_of_row(&self, row: u64, until: u64) -> Result<Vec<(u64, u64)>> {
        self.plan.steps_of_row(row, until)
    }

    /// How many times each source will have been seen after `steps` steps, by name.
    #[must_use]
    pub fn epochs_after(&self, steps: u64) -> Vec<(String, f64)> {
        self.plan.epochs_after(steps)
    }

    /// Steps in an epoch that begins with a full step; none with a mixture or where that differs between epochs.
    #[must_use]
    pub fn steps_per_epoch(&self) -> Option<u64> {
        let rows = self.plan.sources[0].rows;
        match self.plan.options.last_batch {
            _ if self.plan.target.is_some() => None,
            LastBatch::Drop => Some(rows / self.plan.global_batch()),
            LastBatch::Short => Some(rows.div_ceil(self.plan.global_batch())),
            LastBatch::Wrap => None,
        }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &StreamOptions {
        &self.plan.options
    }
}

impl Plan {
    const fn global_batch(&self) -> u64 {
        (self.options.batch_size * self.options.world_size) as u64
    }

    /// Takes the rows of the step at `cursor`: those of the ranks in `ranks`.
    fn step(&self, cursor: &mut Cursor, ranks: std::ops::Range<usize>) -> Result<Step> {
        let (step, world_size) = (cursor.step, self.options.world_size as u64);
        let wanted = |place: u64| ranks.contains(&((place % world_size) as usize));
        cursor.step += 1;
        match &mut cursor.place {
            Place::Union(taken) => {
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
            Place::Mixed(mixer) => {
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
    fn seek(&self, step: u64) -> Result<Cursor> {
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
            return Ok(Cursor { step, place: Place::Union(self.taken_after(steps)) });
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
    fn seek_mixed(&self, step: u64) -> Result<Cursor> {
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

    fn steps_of_row(&self, row: u64, until: u64) -> Result<Vec<(u64, u64)>> {
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
            let Place::Mixed(mixer) = &mut cursor.place else { return Ok(None) };
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

    fn state(&self, cursor: &Cursor) -> State {
        State {
            version: ALGORITHM,
            dataset: self.dataset,
            order: self.order,
            schedule: self.schedule,
            step: cursor.step,
            taken: cursor.taken().to_vec(),
            lag: match (&cursor.place, &self.target) {
                (Place::Mixed(mixer), Some(target)) => mixer.lag(target),
                _ => Vec::new(),
            },
            anchor: self.anchor.clone(),
        }
    }

    fn check_state(&self, state: &State) -> Result<()> {
        let differs = |what: &str| Err(Error::State { what: what.to_owned() });
        if state.version != ALGORITHM {
            return differs(&format!("it is of version {}, this is version {ALGORITHM}", state.version));
        }
        if state.dataset != self.dataset {
            return differs("it belongs to another dataset or other splits");
        }
        if state.order != self.order {
            return differs("its seed, shuffling or sources are other ones");
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
        if state.schedule != self.schedule {
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
    fn resume(&mut self, state: &State) -> Cursor {
        if state.schedule == self.schedule {
            self.set_anchor(state.anchor.clone());
            return Cursor { step: state.step, place: self.place(state.taken.clone()) };
        }
        self.set_anchor(Anchor { step: state.step, taken: state.taken.clone(), lag: state.lag.clone() });
        self.at_anchor()
    }

    fn set_anchor(&mut self, anchor: Anchor) {
        let mixture = self.options.mixture.as_ref();
        self.target = mixture.map(|mixture| mixture.target(&anchor, self.global_batch()));
        self.anchor = anchor;
    }

    fn at_anchor(&self) -> Cursor {
        Cursor { step: self.anchor.step, place: self.place(self.anchor.taken.clone()) }
    }

    fn place(&self, taken: Vec<u64>) -> Place {
        match &self.target {
            Some(target) => Place::Mixed(Mixer::new(target, taken)),
            None => Place::Union(taken[0]),
        }
    }

    fn epochs_after(&self, steps: u64) -> Vec<(String, f64)> {
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

impl Cursor {
    fn taken(&self) -> &[u64] {
        match &self.place {
            Place::Union(taken) => std::slice::from_ref(taken),
            Place::Mixed(mixer) => &mixer.taken,
        }
    }
}

impl Source {
    /// The dataset's row that is taken after `taken` others; `known` keeps what the rows of an epoch have in common.
    fn row<'a>(&'a self, taken: u64, known: &mut Option<(u64, EpochOrder<'a>)>) -> u64 {
        let epoch = taken / self.rows;
        if known.as_ref().is_none_or(|(known, _)| *known != epoch) {
            *known = Some((epoch, self.order.in_epoch(epoch)));
        }
        let (_, order) = known.as_mut().expect("it was just set");
        let local = order.row(taken % self.rows);
        let part = self.parts.partition_point(|(start, _)| *start <= local) - 1;
        self.parts[part].1 + local - self.parts[part].0
    }

    /// The number in the source of a row of the dataset, if it is one of the source's.
    fn local(&self, row: u64) -> Option<u64> {
        let ends = self.parts.iter().skip(1).map(|(start, _)| *start).chain([self.rows]);
        let mut parts = self.parts.iter().zip(ends);
        parts.find_map(|((start, first), end)| {
            let local = row.checked_sub(*first)? + start;
            (local < end).then_some(local)
        })
    }
}

fn check(options: &StreamOptions) -> Result<()> {
    let wrong = |what: String| Err(Error::Option { what });
    if options.batch_size == 0 || options.world_size == 0 {
        return wrong("the batch size and the world size are 1 or more".into());
    }
    if options.rank >= options.world_size {
        return wrong(format!(
            "rank {} is not one of {} ranks, counted from 0",
            options.rank, options.world_size
        ));
    }
    let Some(global_batch) =
        options.batch_size.checked_mul(options.world_size).filter(|rows| *rows <= 1 << 32)
    else {
        return wrong("a step takes more than 2^32 rows".into());
    };
    let stages = options.mixture.iter().flat_map(|mixture| &mixture.stages);
    let steps = stages.map(|stage| stage.from_step).chain(options.steps);
    if let Some(step) = steps.into_iter().find(|step| *step > ROWS_MAX / global_batch as u64) {
        return wrong(format!("step {step} is too far away"));
    }
    options.mixture.as_ref().map_or(Ok(()), Mixture::check)
}

/// The sources: those of the mixture by name, or one with all rows.
fn sources(dataset: &Dataset, options: &StreamOptions) -> Result<Vec<Source>> {
    let Some(mixture) = &options.mixture else {
        return Ok(vec![source(dataset, options, String::new(), (0..dataset.splits.len()).collect())]);
    };
    let mut named = vec![None::<String>; dataset.splits.len()];
    let mut sources = Vec::new();
    for name in mixture.sources() {
        let splits = dataset.source(&name)?;
        for &split in &splits {
            if let Some(other) = named[split].replace(name.clone()) {
                let what = format!("belongs to two of the weights, `{other}` and `{name}`");
                return Err(Error::SplitWeight { split: dataset.splits[split].name.clone(), what });
            }
        }
        sources.push(source(dataset, options, name, splits));
    }
    if let Some(split) = named.iter().position(Option::is_none) {
        let what = "has no weight: a weight of 0 leaves it out".to_owned();
        return Err(Error::SplitWeight { split: dataset.splits[split].name.clone(), what });
    }
    Ok(sources)
}

fn source(dataset: &Dataset, options: &StreamOptions, name: String, splits: Vec<usize>) -> Source {
    let mut rows = 0;
    let parts = splits.iter().map(|&split| {
        let start = rows;
        rows += dataset.splits[split].rows;
        (start, dataset.splits[split].first_row)
    });
    let parts: Vec<(u64, u64)> = parts.collect();
    let names: Vec<&str> = splits.iter().map(|&split| dataset.splits[split].name.as_str()).collect();
    let stream = Checksum::of(names.join("\0").as_bytes()).low64();
    let (block_rows, row_length) = (dataset.layout.rows_per_group, dataset.row_length);
    let order = Order::new(options.shuffle, options.seed, stream, rows, block_rows, row_length);
    Source { name, order, parts, rows }
}

/// What has to be the same for counts of rows taken to mean the same rows.
fn order_identity(sources: &[Source], options: &StreamOptions) -> Checksum {
    let mut identity = Hasher::new();
    let plain = serde_json::to_vec(&(ALGORITHM, options.seed, options.shuffle)).expect("numbers and names");
    identity.update(&plain);
    if sources.iter().any(|source| source.order.has_few()) {
        // Few rows are shuffled in another way than by the first version.
        identity.update(b"list");
    }
    for source in sources {
        let parts =
            serde_json::to_vec(&(&source.name, &source.parts, source.rows)).expect("numbers and names");
        identity.update(&parts);
    }
    identity.finish()
}

fn schedule_identity(options: &StreamOptions) -> Checksum {
    let stages = options.mixture.as_ref().map(|mixture| &mixture.stages);
    let global_batch = options.batch_size * options.world_size;
    let last_batch = options.last_batch as u8;
    let plain = serde_json::to_vec(&(stages, global_batch, last_batch)).expect("weights are finite");
    Checksum::of(&plain)
}
