//! When a request is tried again, and after which pause.
//!
//! What a second try can change is retried: lost connections, time-outs, 408, 429,
//! 5xx, a signed address that has expired, and content with the wrong hash. The
//! pauses double from half a second, 15.5 s in all, and 1.5 s where nobody is there
//! to answer; a server that names a time is obeyed up to one window of the Hub's rate
//! limits.

use std::time::Duration;

use crate::error::{Error, Result, Unreachable};

const RETRIES_MAX: u32 = 5;
const RETRIES_AFTER_CHECKSUM_MAX: u32 = 2;
/// A name without an address and a port without a listener are wrong settings more often than hiccups.
const RETRIES_NOBODY_THERE_MAX: u32 = 2;
/// Each try of what comes too slowly takes a while by itself.
const RETRIES_SLOW_MAX: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The Hub counts requests in windows of five minutes.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(5 * 60 + 1);

/// A pause that is due before the next try. Whoever receives it sleeps, and may tell why.
#[derive(Debug)]
pub struct Wait<'a> {
    /// How long the pause is.
    pub duration: Duration,
    /// How many tries have failed, from 1.
    pub failures: u32,
    /// Why the last try failed.
    pub why: &'a Error,
}

/// Runs `attempt` until it succeeds, fails for good, or has been tried often enough.
pub(crate) fn with_retries<T>(wait: &dyn Fn(Wait<'_>), mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut failures = 0;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => {
                failures += 1;
                let Some(duration) = pause(&error, failures) else { return Err(error) };
                wait(Wait { duration, failures, why: &error });
            }
        }
    }
}

/// The pause after the given number of failures; `None`: give up.
fn pause(error: &Error, failures: u32) -> Option<Duration> {
    let (retries_max, asked) = match error {
        // A certificate that is not trusted now will not be in a second.
        Error::Unreachable { source: Unreachable::Tls(_), .. } => return None,
        Error::Unreachable { source: Unreachable::Dns | Unreachable::Refused, .. } => {
            (RETRIES_NOBODY_THERE_MAX, None)
        }
        Error::Unreachable { source: Unreachable::Slow, .. } => (RETRIES_SLOW_MAX, None),
        Error::Unreachable { .. } => (RETRIES_MAX, None),
        Error::RateLimited { retry_after, .. } => (RETRIES_MAX, *retry_after),
        // 403 without a code of the Hub's is a store's answer to an expired signature.
        Error::Status { status: 403 | 408 | 500..=599, retry_after, .. } => (RETRIES_MAX, *retry_after),
        Error::Checksum { .. } => (RETRIES_AFTER_CHECKSUM_MAX, None),
        _ => return None,
    };
    let pause = asked.unwrap_or(FIRST_PAUSE * 2_u32.pow(failures - 1));
    (failures <= retries_max && pause <= PAUSE_MAX).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::Origin;
    use std::cell::RefCell;

    fn hub() -> Origin {
        Origin::of(&"https://hub.test".parse().expect("an address")).expect("an origin")
    }

    fn status(status: u16, retry_after: Option<u64>) -> Error {
        let origin =
            crate::url::Origin::of(&"https://hub.test".parse().expect("an address")).expect("an origin");
        let retry_after = retry_after.map(Duration::from_secs);
        match status {
            429 => Error::RateLimited { origin, retry_after },
            _ => Error::Status { origin, status, message: None, request_id: None, retry_after },
        }
    }

    fn unreachable(source: Unreachable) -> Error {
        Error::Unreachable { origin: hub(), proxy: None, source }
    }

    fn check(error: impl Fn() -> Error, expected_milliseconds: &[u128]) {
        let pauses = RefCell::new(Vec::new());
        let wait = |wait: Wait<'_>| pauses.borrow_mut().push(wait.duration.as_millis());
        let result: Result<()> = with_retries(&wait, || Err(error()));
        assert_eq!(result.expect_err("never succeeds").to_string(), error().to_string());
        assert_eq!(pauses.into_inner(), expected_milliseconds, "{:?}", error());
    }

    #[test]
    fn pauses_double_unless_the_server_names_them() {
        check(|| status(503, None), &[500, 1000, 2000, 4000, 8000]);
        check(|| status(408, None), &[500, 1000, 2000, 4000, 8000]);
        check(|| status(429, Some(3)), &[3000; 5]);
        check(|| status(429, Some(0)), &[0; 5]);
        check(|| status(503, Some(301)), &[301_000; 5]);
        check(|| status(429, Some(302)), &[]);
        check(|| status(400, None), &[]);
        check(|| unreachable(Unreachable::TimedOut), &[500, 1000, 2000, 4000, 8000]);
        check(|| unreachable(Unreachable::Slow), &[500, 1000]);
        check(|| unreachable(Unreachable::Dns), &[500, 1000]);
        check(|| unreachable(Unreachable::Refused), &[500, 1000]);
        check(|| unreachable(Unreachable::Tls("not trusted".to_owned())), &[]);
    }

    #[test]
    fn a_success_ends_the_retries() {
        let tries = RefCell::new(0);
        let result = with_retries(&|_| (), || {
            *tries.borrow_mut() += 1;
            if *tries.borrow() < 3 { Err(status(500, None)) } else { Ok("done") }
        });
        assert_eq!((result.expect("succeeds"), tries.into_inner()), ("done", 3));
    }
}
