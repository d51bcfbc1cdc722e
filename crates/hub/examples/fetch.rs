//! Fetches a dataset from the Hub, or one file of it: `fetch DATASET[@REVISION] FOLDER [FILE]`.
//!
//! Reads the same environment variables as the official client. Give it the same
//! command again after it was stopped, by whatever: it goes on.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program, not a library"
)]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use mashbill_hub::{Fetched, Hub, RepoId, Revision, Settings, Transfer, Wait, sleep};

fn main() -> ExitCode {
    let Err(error) = fetch() else { return ExitCode::SUCCESS };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    eprintln!("error: {text}");
    ExitCode::FAILURE
}

fn fetch() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (dataset, folder, only) = match &arguments[..] {
        [dataset, folder] => (dataset, Path::new(folder), None),
        [dataset, folder, file] => (dataset, Path::new(folder), Some(file)),
        _ => return Err("usage: fetch DATASET[@REVISION] FOLDER [FILE]".into()),
    };
    let settings = Settings::from_env(&|name| std::env::var(name).ok())?;
    let interrupted = AtomicBool::new(false);
    let wait = |wait: Wait<'_>| sleep(wait.duration, &interrupted);
    let hub = Hub::new(settings, Transfer::default(), &interrupted, &wait);
    let (dataset, revision) = match dataset.split_once('@') {
        Some((dataset, revision)) => (dataset, revision.parse()?),
        None => (dataset.as_str(), Revision::main()),
    };
    let repo = RepoId::dataset(dataset)?;
    let commit = hub.dataset(&repo, &revision)?.commit;
    let mut files = hub.tree(&repo, &commit, "")?;
    files.retain(|file| only.is_none_or(|only| file.path == *only));
    if files.is_empty() {
        return Err(format!("`{dataset}` has no such file").into());
    }

    // As many files at once as there are connections.
    let next = AtomicUsize::new(0);
    let fetch_some = || -> mashbill_hub::Result<Fetched> {
        let mut all = Fetched::default();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let fetched = hub.fetch(file, &folder.join(&file.path), &|_| ())?;
            all.moved_bytes += fetched.moved_bytes;
            all.reused_bytes += fetched.reused_bytes;
            all.retries += fetched.retries;
        }
        Ok(all)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers = files.len().min(Transfer::default().connections);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(fetch_some)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let (mut moved, mut reused, mut retries) = (0, 0, 0);
    for result in results {
        let fetched = result?;
        moved += fetched.moved_bytes;
        reused += fetched.reused_bytes;
        retries += fetched.retries;
    }
    let count = files.len();
    println!(r#"{{"files": {count}, "moved": {moved}, "reused": {reused}, "retries": {retries}}}"#);
    Ok(())
}
