//! Shuffled batches of a tokenized folder, and a run that is stopped and goes on.
//!
//! ```text
//! cargo run -p mashbill-load --example batches -- testdata/golden/v2/output
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::sync::Arc;

use mashbill_load::{
    Columns, Dataset, LabelAlignment, LastBatch, Loader, LoaderOptions, LoaderState, OnError, Result,
    Shuffle, StreamOptions,
};

/// Loads a few steps, stops, and goes on with half the batch size: the rows in the order they came.
pub(crate) fn run(folder: &Path) -> Result<Vec<u64>> {
    let dataset = Arc::new(Dataset::open(folder, None)?);
    println!("{} rows of {} tokens in {} splits", dataset.rows, dataset.row_length, dataset.splits.len());

    let mut loader = Loader::new(Arc::clone(&dataset), options(4), None)?;
    let mut rows = Vec::new();
    for _ in 0..2 {
        let batch = loader.next_batch()?.expect("the stream has no end");
        println!("step {}: rows {:?}, first ids {:?}", batch.step, batch.rows, &batch.input_ids[..4]);
        rows.extend(batch.rows);
    }

    let checkpoint = loader.state().to_json();
    println!("checkpoint: {checkpoint}");
    let mut loader = Loader::new(dataset, options(2), Some(&LoaderState::from_json(&checkpoint)?))?;
    for _ in 0..2 {
        let batch = loader.next_batch()?.expect("the stream has no end");
        println!("step {}: rows {:?}", batch.step, batch.rows);
        rows.extend(batch.rows);
    }
    Ok(rows)
}

fn options(batch_size: usize) -> LoaderOptions {
    LoaderOptions {
        stream: StreamOptions {
            batch_size,
            world_size: 1,
            rank: 0,
            seed: 17,
            shuffle: Shuffle::Full,
            last_batch: LastBatch::Wrap,
            mixture: None,
            steps: None,
            lane: None,
        },
        columns: Columns {
            labels: LabelAlignment::Shifted,
            attention_mask: true,
            documents: false,
            mask_borders: false,
        },
        threads: 2,
        prefetch: 4,
        cache: None,
        on_error: OnError::Raise,
    }
}

#[cfg_attr(test, expect(dead_code, reason = "the tests call `run`"))]
fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "testdata/golden/v2/output".into());
    run(Path::new(&folder)).map(drop)
}
