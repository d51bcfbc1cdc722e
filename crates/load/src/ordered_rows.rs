//! The rows of a source of a mixture, or of all splits, in their order.

use mashbill_store::checksum::{Checksum, Hasher};

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::order::{ALGORITHM, EpochOrder, Order};
use crate::stream_options::StreamOptions;

/// Rows that have one order and one count.
#[derive(Debug)]
pub(crate) struct OrderedRows {
    pub(crate) name: String,
    pub(crate) order: Order,
    /// The splits' first rows in the source and in the dataset.
    parts: Vec<(u64, u64)>,
    /// The source's number of rows.
    pub(crate) rows: u64,
}

impl OrderedRows {
    /// The dataset's row that is taken after `taken` others; `known` keeps what the rows of an epoch have in common.
    pub(crate) fn row<'a>(&'a self, taken: u64, known: &mut Option<(u64, EpochOrder<'a>)>) -> u64 {
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
    pub(crate) fn local(&self, row: u64) -> Option<u64> {
        let ends = self.parts.iter().skip(1).map(|(start, _)| *start).chain([self.rows]);
        let mut parts = self.parts.iter().zip(ends);
        parts.find_map(|((start, first), end)| {
            let local = row.checked_sub(*first)? + start;
            (local < end).then_some(local)
        })
    }
}

/// The sources: those of the mixture by name, or one with all rows.
pub(crate) fn all_ordered(dataset: &Dataset, options: &StreamOptions) -> Result<Vec<OrderedRows>> {
    let Some(mixture) = &options.mixture else {
        return Ok(vec![ordered(dataset, options, String::new(), (0..dataset.splits.len()).collect())]);
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
        sources.push(ordered(dataset, options, name, splits));
    }
    if let Some(split) = named.iter().position(Option::is_none) {
        let what = "has no weight: a weight of 0 leaves it out".to_owned();
        return Err(Error::SplitWeight { split: dataset.splits[split].name.clone(), what });
    }
    Ok(sources)
}

fn ordered(dataset: &Dataset, options: &StreamOptions, name: String, splits: Vec<usize>) -> OrderedRows {
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
    OrderedRows { name, order, parts, rows }
}

/// What has to be the same for counts of rows taken to mean the same rows.
pub(crate) fn order_identity(sources: &[OrderedRows], options: &StreamOptions) -> Checksum {
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
