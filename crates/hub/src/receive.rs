//! One worker: asks for a stretch of the file, writes what comes, and asks for the rest if it breaks off.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ureq::http::StatusCode;

use crate::client::{FinalAnswer, RATE_MIN};
use crate::error::{Error, Result, Unreachable};
use crate::fetch::FetchJob;
use crate::retry::{PAUSE_MAX, Wait};
use crate::url::Endpoint;

/// Bytes that are new from a try, for its failure not to count as one more in a row.
const FRESH_BYTES_MIN: u64 = 1 << 10;
/// How often a server in a row may be too slow.
const SLOW_MAX: u32 = 3;
/// What a broken connection may cost at the most.
const BUFFER_SIZE: usize = 128 << 10;

impl FetchJob<'_> {
    /// Works until nothing is left to begin, or the whole transfer is stopped.
    pub(crate) fn work(&self) -> Result<()> {
        let mut buffer = vec![0; BUFFER_SIZE.min(usize::try_from(self.file.size).unwrap_or(BUFFER_SIZE))];
        loop {
            let next = self.lock().queue.pop_front();
            let Some(stretch) = next else { return Ok(()) };
            self.fetch_stretch(stretch, &mut buffer)?;
        }
    }

    /// Fetches `[start, end)`, trying again as long as bytes come or patience lasts.
    fn fetch_stretch(&self, stretch: (u64, u64), buffer: &mut [u8]) -> Result<()> {
        let mut attempt = Attempt { job: self, stretch, only_one: false, fresh: 0 };
        let mut failures = 0;
        loop {
            if attempt.only_one {
                self.wait_until_alone();
            }
            if attempt.is_over() || attempt.missing().is_none() {
                return Ok(());
            }
            attempt.fresh = 0;
            let began = Instant::now();
            let result = {
                let _connection = self.hub.connections.take();
                self.go_on().and_then(|()| attempt.run(buffer))
            };
            // A byte now and then is no progress: a file would take for ever.
            let least = (RATE_MIN as f64 * began.elapsed().as_secs_f64()).max(FRESH_BYTES_MIN as f64);
            if attempt.fresh as f64 >= least || attempt.missing().is_none() {
                failures = 0;
            }
            let Err(error) = result else { continue };
            failures += 1;
            let Some(duration) = self.pause_after(&error, failures) else { return Err(error) };
            self.retries.fetch_add(1, Ordering::Relaxed);
            self.hub.pause(Wait { duration, failures, why: &error })?;
        }
    }

    /// The pause after so many failures without a byte between them; `None`: give up.
    fn pause_after(&self, error: &Error, failures: u32) -> Option<Duration> {
        let transfer = &self.hub.transfer;
        if failures >= transfer.failures_max {
            return None;
        }
        let pause = transfer.first_pause.saturating_mul(2_u32.saturating_pow(failures - 1));
        let pause = jittered(pause.min(transfer.longest_pause));
        let pause = match error {
            // A certificate that is not trusted now will not be in a second.
            Error::Unreachable { source: Unreachable::Tls(_), .. } => return None,
            Error::Unreachable { source: Unreachable::Slow, .. } if failures >= SLOW_MAX => return None,
            Error::Unreachable { .. } => pause,
            // The limits are kept before the next request, by all workers.
            Error::RateLimited { retry_after: Some(wait), .. } if *wait <= PAUSE_MAX => Duration::ZERO,
            Error::RateLimited { retry_after: None, .. } => pause,
            Error::Status { origin, status, retry_after, .. } => {
                let stores = origin != self.endpoint().origin();
                match (status, retry_after) {
                    (_, Some(wait)) if *wait > PAUSE_MAX => return None,
                    (408 | 429 | 500..=599, wait) => wait.unwrap_or(pause),
                    (400..=499, _) if stores => pause,
                    (403 | 416, _) => pause,
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(pause)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.hub.settings().endpoint
    }
}

/// One worker's stretch, and how it goes.
struct Attempt<'a, 'j> {
    job: &'a FetchJob<'j>,
    stretch: (u64, u64),
    /// Whether this worker reads the whole file, because the server gives only that.
    only_one: bool,
    /// The bytes that are new since the last request.
    fresh: u64,
}

impl Attempt<'_, '_> {
    /// One request, and what comes of it.
    fn run(&mut self, buffer: &mut [u8]) -> Result<()> {
        let Some(start) = self.missing() else { return Ok(()) };
        let size = self.job.file.size;
        let bytes = (start, self.stretch.1);
        let answer = self.job.source.open((bytes != (0, size)).then_some(bytes))?;
        let at = match answer.status {
            StatusCode::PARTIAL_CONTENT => self.check_range(&answer, start)?,
            StatusCode::OK => {
                self.check_length(&answer)?;
                if bytes != (0, size) && !self.only_one {
                    // The server disregards what was asked for.
                    self.only_one = self.job.claim_the_whole();
                    self.stretch = (0, size);
                    if !self.only_one || !self.job.is_alone() {
                        return Ok(());
                    }
                }
                0
            }
            status => return Err(broken(&answer, format!("it answers with status {status}"))),
        };
        self.receive(answer, at, buffer)
    }

    /// Writes the content of `answer`, which begins at byte `at` of the file.
    fn receive(&mut self, answer: FinalAnswer, mut at: u64, buffer: &mut [u8]) -> Result<()> {
        let job = self.job;
        let end = self.stretch.1;
        let (origin, begin) = (answer.origin.clone(), at);
        answer.read(buffer, |piece| {
            job.moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
            job.go_on()?;
            if self.is_over() {
                return Ok(false);
            }
            let piece = &piece[..usize::try_from(end - at).map_or(piece.len(), |rest| rest.min(piece.len()))];
            let piece_end = at + piece.len() as u64;
            // What is there may be hashed already, and must stay as it is.
            let missing = job.lock().done.missing(at, piece_end);
            for (from, to) in missing {
                job.part.write_at(&piece[(from - at) as usize..(to - at) as usize], from)?;
            }
            self.fresh += job.lock().done.insert(at, piece_end);
            at = piece_end;
            Ok(at < end)
        })?;
        if at == begin && !self.is_over() {
            let source = Unreachable::Broken("it sends nothing".to_owned());
            return Err(Error::Unreachable { origin, proxy: None, source });
        }
        Ok(())
    }

    /// Whether this worker has to end with its stretch unfinished.
    fn is_over(&self) -> bool {
        self.job.stopped.load(Ordering::Relaxed) || (!self.only_one && self.job.lock().whole)
    }

    /// The first byte of the stretch that is not there.
    fn missing(&self) -> Option<u64> {
        let missing = self.job.lock().done.missing(self.stretch.0, self.stretch.1);
        missing.first().map(|range| range.0)
    }

    /// Where the content of a partial answer begins, which must be where it was asked for.
    fn check_range(&self, answer: &FinalAnswer, start: u64) -> Result<u64> {
        let text = answer.header("content-range").unwrap_or_default();
        let range = text.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
        let first = range.and_then(|(bytes, _)| bytes.split_once('-')?.0.parse::<u64>().ok());
        let total = range.and_then(|(_, total)| total.parse::<u64>().ok());
        if total.is_some_and(|total| total != self.job.file.size) {
            return Err(self.job.source.changed_size(total.unwrap_or_default()));
        }
        if first != Some(start) {
            let text = self.job.hub.settings().shown(text);
            return Err(broken(answer, format!("it sends `{text}` instead of what begins at {start}")));
        }
        Ok(start)
    }

    fn check_length(&self, answer: &FinalAnswer) -> Result<()> {
        match answer.content_length() {
            Some(length) if length != self.job.file.size => {
                Err(broken(answer, format!("it sends {length} bytes instead of {}", self.job.file.size)))
            }
            _ => Ok(()),
        }
    }
}

fn broken(answer: &FinalAnswer, why: String) -> Error {
    Error::Unreachable { origin: answer.origin.clone(), proxy: None, source: Unreachable::Broken(why) }
}

/// A pause between half of `pause` and all of it, so that workers which failed together do not come back
/// together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    pause.mul_f64(0.5 + random / 2.0)
}
