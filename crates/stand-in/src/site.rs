//! How the stand-in behaves where nothing goes wrong.

use std::time::Duration;

/// How the stand-in behaves.
#[derive(Debug, Clone)]
pub struct Site {
    /// Those who have a token.
    pub users: Vec<User>,
    /// How many files a page of a list has.
    pub page_size: usize,
    /// What the addresses of further pages begin with; the Hub's own address if not set.
    pub link_base: Option<String>,
    /// How long a signed address lives.
    pub signed_for: Duration,
    /// How many requests of the API, and how many for files, are answered in a window.
    pub quota: u64,
    /// How long such a window is.
    pub window: Duration,
    /// Bytes a second that a connection is given; 0: all that go through.
    pub bytes_per_second: u64,
    /// How long each request waits for its answer.
    pub delay: Duration,
    /// Whether it can be controlled by requests to `/_stand-in/…`.
    pub control: bool,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            page_size: 1000,
            link_base: None,
            signed_for: Duration::from_secs(3600),
            quota: 100_000,
            window: Duration::from_secs(300),
            bytes_per_second: 0,
            delay: Duration::ZERO,
            control: false,
        }
    }
}

/// Somebody who has a token.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The token.
    pub token: String,
    /// Whether gated and private repositories are open to them.
    pub trusted: bool,
}
