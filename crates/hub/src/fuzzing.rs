//! The parsers of a server's bytes, for fuzz targets: they take anything and must come back.

use std::path::PathBuf;
use std::time::Duration;

use ureq::http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::limits::{Limits, retry_after};
use crate::proxy::Proxies;
use crate::repo::{Commit, RepoId};
use crate::settings::Settings;
use crate::token::{AccessToken, TokenSource};
use crate::tree::parse_page;
use crate::url::{Endpoint, follow};

const TOKEN: &str = "hf_secret";

fn settings() -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        endpoint: "https://hub.test".parse().expect("an address"),
        token: AccessToken::new(TOKEN, TokenSource::Variable("HF_TOKEN")).expect("visible letters"),
        cache: PathBuf::new(),
        offline: true,
        proxies: Proxies::default(),
        answer_timeout: second,
        stall_timeout: second,
    }
}

/// A page of a list of files. No error may hold the token or a control character.
///
/// # Panics
/// Where one does.
pub fn page(bytes: &[u8]) {
    let repo = RepoId::dataset("org/name").expect("an id");
    let commit = Commit::parse(&"a".repeat(40)).expect("forty digits");
    if let Err(error) = parse_page(&repo, &commit, bytes, &settings()) {
        let said = error.to_string();
        assert!(!said.contains(TOKEN) && !said.contains(char::is_control), "{said:?}");
    }
}

/// Headers about limits, their values each on a line.
///
/// # Panics
/// Where a wait is longer than a day and two seconds.
pub fn limits(bytes: &[u8]) {
    let names = ["ratelimit", "ratelimit-policy", "retry-after", "date"];
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(bytes.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let address: Uri = "https://hub.test/api/datasets/a".parse().expect("an address");
    let limits = Limits::default();
    let longest = Duration::from_secs(24 * 3600 + 2);
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        limits.learn(&address, status, &headers);
        let waits = [limits.book(&address), limits.book(&address)];
        assert!(waits.iter().all(|wait| *wait <= longest), "{waits:?}");
        assert!(retry_after(&headers).is_none_or(|wait| wait <= longest));
    }
}

/// An address that a redirect or a list goes on at.
///
/// # Panics
/// Where it leads to another scheme than http and https, or from a list past the endpoint.
pub fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let base: Uri = "https://hub.test/a/b".parse().expect("an address");
    if let Some(target) = follow(&base, &text) {
        assert!(matches!(target.scheme_str(), Some("http" | "https")), "{target}");
    }
    let endpoint: Endpoint = "https://hub.test".parse().expect("an address");
    if let Some(next) = endpoint.next_page(&text) {
        assert_eq!(next.host(), Some("hub.test"), "{next}");
    }
}
