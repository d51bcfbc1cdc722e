//! How fast batches come: straight from the shards, in blocks, and from the decoded cache.
//!
//! ```text
//! cargo run --release -p mashbill-load --example load_speed -- <tokenized folder> <cache folder> [threads]
//! ```
//!
//! Prints one JSON object a measurement: rows a second of wall time and of processor time, of all three columns, in
//! batches of 32.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement is printed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use mashbill_load::{
    Columns, Dataset, LabelAlignment, LastBatch, Loader, LoaderOptions, LoaderState, OnError, Result,
    Shuffle, StreamOptions, build_cache,
};

const BATCH_SIZE: usize = 32;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, cache, rest @ ..] = arguments.as_slice() else {
        println!("usage: load_speed <tokenized folder> <cache folder> [threads]");
        return Ok(());
    };
    let threads = rest.first().and_then(|threads| threads.parse().ok()).unwrap_or(0);
    let start = Instant::now();
    let dataset = Arc::new(Dataset::open(Path::new(folder), None)?);
    println!("{{\"open_ms\": {:.1}}}", start.elapsed().as_secs_f64() * 1e3);

    for shuffle in [Shuffle::Blocks, Shuffle::Full, Shuffle::Off] {
        measure(&format!("shards, {shuffle:?}"), &dataset, options(shuffle, None, threads), None)?;
    }
    let start = Instant::now();
    build_cache(&dataset, Path::new(cache), threads.max(1), &|| false, &mut |_| {})?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{{\"what\": \"cache made\", \"rows_per_s\": {:.0}}}", dataset.rows as f64 / seconds);
    let cached = || options(Shuffle::Full, Some(PathBuf::from(cache)), threads);
    let state = measure("cache, Full", &dataset, cached(), None)?;
    measure("cache, Full, again", &dataset, cached(), None)?;
    measure("cache, Full, from 90 %", &dataset, cached(), Some(&state))?;
    println!("{{\"peak_memory\": {:?}}}", peak_memory());
    Ok(())
}

/// Loads up to an epoch; the state at nine tenths of it.
fn measure(
    what: &str,
    dataset: &Arc<Dataset>,
    options: LoaderOptions,
    state: Option<&LoaderState>,
) -> Result<LoaderState> {
    let steps = dataset.rows / BATCH_SIZE as u64;
    let (start, processor_start) = (Instant::now(), processor_seconds());
    let mut loader = Loader::new(Arc::clone(dataset), options, state)?;
    let from = loader.state().step;
    let (mut first, mut sum, mut at_nine_tenths) = (None, 0i64, loader.state().clone());
    for step in from..steps {
        let Some(batch) = loader.next_batch()? else { break };
        first.get_or_insert_with(|| start.elapsed());
        sum = sum.wrapping_add(batch.labels[step as usize % batch.labels.len()]);
        if step == steps * 9 / 10 {
            at_nine_tenths = batch.state;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let processor = (processor_seconds() - processor_start).max(0.01);
    let rows = (steps - from) as f64 * BATCH_SIZE as f64;
    let first = first.map_or(0.0, |first| first.as_secs_f64() * 1e3);
    println!(
        "{{\"what\": \"{what}\", \"rows_per_s\": {:.0}, \"rows_per_processor_s\": {:.0}, \"first_batch_ms\": {first:.1}, \"sum\": {sum}}}",
        rows / seconds,
        rows / processor
    );
    Ok(at_nine_tenths)
}

fn options(shuffle: Shuffle, cache: Option<PathBuf>, threads: usize) -> LoaderOptions {
    LoaderOptions {
        stream: StreamOptions {
            batch_size: BATCH_SIZE,
            world_size: 1,
            rank: 0,
            seed: 17,
            shuffle,
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
        threads,
        prefetch: 8,
        cache,
        on_error: OnError::Raise,
    }
}

/// Seconds that the process has computed, to a hundredth, where the system says so.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory the process has had, where the system says so.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
