//! The Hub's rate limits, obeyed by all workers together.
//!
//! The Hub counts requests in windows of five minutes, for its API and for files
//! apart, and says with each answer how many are left. When few are, what is left is
//! spread over the rest of the window: better than to run into the wall and lose the
//! whole window to it. All workers ask here before they send.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderMap, StatusCode, Uri};

/// Below this share of a window's requests they are spread.
const FEW: f64 = 0.05;
/// The quota where the server does not name it: the least that the Hub grants.
const QUOTA_DEFAULT: u64 = 500;

/// Longer waits are as good as none, and a clock cannot count them.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What each server said about its limits.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    paces: Mutex<HashMap<String, Pace>>,
}

/// How fast requests may follow one another.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// When the next one may be sent.
    next: Instant,
    /// The time between two.
    interval: Duration,
    /// When the count of requests restarts, and no request has to wait any more.
    end: Instant,
}

impl Limits {
    /// Books a request to `address`; returns how long to wait before it is sent.
    pub(crate) fn book(&self, address: &Uri) -> Duration {
        let now = Instant::now();
        let mut paces = self.lock();
        let Some(pace) = paces.get_mut(&bucket(address)) else { return Duration::ZERO };
        let at = pace.next.max(now);
        pace.next = at + pace.interval;
        at.min(pace.end).saturating_duration_since(now)
    }

    /// Takes note of what an answer says.
    pub(crate) fn learn(&self, address: &Uri, status: StatusCode, headers: &HeaderMap) {
        let window = Window::of(headers);
        let (wait, interval, end) = match &window {
            _ if status == StatusCode::TOO_MANY_REQUESTS => match retry_after(headers) {
                Some(wait) => (wait, Duration::ZERO, wait),
                None => return,
            },
            Some(window) if window.left == 0 => (window.end(), Duration::ZERO, window.end()),
            Some(window) if window.is_low() => {
                let left = u32::try_from(window.left).unwrap_or(u32::MAX).max(1);
                let interval = Duration::from_secs(window.seconds) / left;
                (Duration::ZERO, interval, window.end())
            }
            Some(_) => {
                if let Some(pace) = self.lock().get_mut(&bucket(address)) {
                    pace.interval = Duration::ZERO;
                }
                return;
            }
            None => return,
        };
        let after = |wait: Duration| Instant::now() + wait.min(WAIT_MAX);
        let learned = Pace { next: after(wait), interval, end: after(end) };
        let mut paces = self.lock();
        let pace = paces.entry(bucket(address)).or_insert(learned);
        *pace = Pace { next: pace.next.max(learned.next), end: pace.end.max(learned.end), interval };
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pace>> {
        // No code that holds it can leave it half changed.
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server, and on a Hub whether it is the API or a file that is asked for: they are counted apart.
fn bucket(address: &Uri) -> String {
    let server = address.authority().map_or("", |authority| authority.as_str());
    let kind = if address.path().contains("/api/") { "api" } else { "files" };
    format!("{server} {kind}")
}

/// `RateLimit: "resolvers";r=12;t=55`, with `q=3000` from `RateLimit-Policy`.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// How many requests are left.
    left: u64,
    /// For how many seconds it lasts, a day at the most.
    seconds: u64,
    quota: u64,
}

impl Window {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let limit = text("ratelimit")?;
        let quota = text("ratelimit-policy").and_then(|policy| number(policy, "q="));
        Some(Self {
            left: number(limit, "r=")?,
            seconds: number(limit, "t=")?.min(WAIT_MAX.as_secs()),
            quota: quota.unwrap_or(QUOTA_DEFAULT),
        })
    }

    fn is_low(&self) -> bool {
        (self.left as f64) < self.quota as f64 * FEW
    }

    /// How long until requests are counted anew: one second more, since the seconds are rounded.
    fn end(&self) -> Duration {
        Duration::from_secs(self.seconds + 1)
    }
}

fn number(header: &str, name: &str) -> Option<u64> {
    header.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse().ok())
}

/// How long a server asks to wait: to the end of a used-up window, else what `Retry-After` says in seconds
/// or as a date, which is held against the server's own clock where it sends one.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(window) = Window::of(headers).filter(|window| window.left == 0) {
        return Some(window.end());
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text("retry-after")?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than 64 bits hold are a long time, too.
        let seconds = asked.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(WAIT_MAX));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let now = text("date").and_then(date).unwrap_or_else(SystemTime::now);
    // A date that has passed says nothing.
    Some(date(asked)?.duration_since(now).ok()?.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    fn address(text: &str) -> Uri {
        text.parse().expect("an address")
    }

    #[test]
    fn a_server_says_how_long_to_wait() {
        let check = |pairs: &[(&'static str, &str)], expected: Option<u64>| {
            assert_eq!(retry_after(&headers(pairs)), expected.map(Duration::from_secs), "{pairs:?}");
        };
        check(&[("ratelimit", r#""resolvers";r=0;t=55"#)], Some(56));
        check(&[("ratelimit", r#""api"; r=0; t=3"#), ("retry-after", "9")], Some(4));
        check(&[("ratelimit", r#""resolvers";r=7;t=55"#)], None);
        check(&[("ratelimit", r#""resolvers";r=7;t=55"#), ("retry-after", "9")], Some(9));
        check(&[("ratelimit", r#""resolvers";r=0"#)], None);
        check(&[("ratelimit", r#""x";r=0;t=99999999999999999999999"#)], None);
        for asked in ["soon", "-5", "1.5", "", "+7", "0x10", "NaN", "Wed, 99 Oct 2026 07:28:30 GMT"] {
            check(&[("retry-after", asked)], None);
        }
        for asked in ["18446744073709551615", "99999999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            check(&[("retry-after", asked)], Some(24 * 3600));
        }
        check(&[("ratelimit", r#""x";r=0;t=18446744073709551615"#)], Some(24 * 3600 + 1));
        let (date, now) = ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT");
        check(&[("retry-after", date), ("date", now)], Some(30));
        check(&[("retry-after", now), ("date", date)], None);
        check(&[], None);
    }

    #[test]
    fn a_used_up_window_holds_everybody_up_to_its_end() {
        let limits = Limits::default();
        let (api, file) =
            (address("http://h:1/api/datasets/a/b"), address("http://h:1/datasets/a/b/resolve/x/y"));
        assert_eq!(limits.book(&api), Duration::ZERO);
        limits.learn(&api, StatusCode::OK, &headers(&[("ratelimit", r#""api";r=0;t=55"#)]));
        for _ in 0..2 {
            assert!(limits.book(&api) > Duration::from_secs(55));
        }
        // What is counted apart is not held up.
        assert_eq!(limits.book(&file), Duration::ZERO);
        limits.learn(&file, StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "7")]));
        assert!(limits.book(&file) > Duration::from_secs(6));
    }

    #[test]
    fn no_number_of_a_servers_overflows_a_clock() {
        let huge =
            ["18446744073709551615", "9223372036854775808", "4294967296", "1", "0", "-1", "1.5", "x", ""];
        for (left, seconds, quota) in huge
            .iter()
            .flat_map(|left| huge.iter().map(move |seconds| (left, seconds)))
            .flat_map(|(left, seconds)| huge.iter().map(move |quota| (left, seconds, quota)))
        {
            let limits = Limits::default();
            let file = address("http://h:1/datasets/a/b/resolve/x/y");
            let policy = format!("\"fixed window\";q={quota};w=300");
            let limit = format!("\"resolvers\";r={left};t={seconds}");
            let said = headers(&[("ratelimit-policy", &policy), ("ratelimit", &limit)]);
            for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::OK] {
                limits.learn(&file, status, &said);
                let waits = [limits.book(&file), limits.book(&file), limits.book(&file)];
                assert!(
                    waits.iter().all(|wait| *wait <= WAIT_MAX + Duration::from_secs(1)),
                    "{limit} {waits:?}"
                );
            }
        }
    }

    #[test]
    fn the_last_requests_of_a_window_are_spread() {
        let limits = Limits::default();
        let file = address("http://h:1/datasets/a/b/resolve/x/y");
        let policy = ("ratelimit-policy", r#""fixed window";"resolvers";q=3000;w=300"#);
        limits.learn(&file, StatusCode::OK, &headers(&[policy, ("ratelimit", r#""resolvers";r=100;t=200"#)]));
        let waits: Vec<u64> = (0..3).map(|_| limits.book(&file).as_millis() as u64).collect();
        assert!(
            waits[0] == 0 && (1500..=2000).contains(&waits[1]) && (3500..=4000).contains(&waits[2]),
            "{waits:?}"
        );
        // However many ask: when the window ends, all may.
        let longest = (0..200).map(|_| limits.book(&file)).max();
        assert!(longest <= Some(Duration::from_secs(201)), "{longest:?}");
        limits.learn(
            &file,
            StatusCode::OK,
            &headers(&[policy, ("ratelimit", r#""resolvers";r=2990;t=300"#)]),
        );
        let waits: Vec<u64> = (0..2).map(|_| limits.book(&file).as_millis() as u64).collect();
        assert!(waits[1].abs_diff(waits[0]) < 100, "{waits:?}");
    }
}
