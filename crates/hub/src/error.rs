//! What can go wrong on the way to a file of the Hub, in terms a caller can act on.
//!
//! Every text here is safe to show and to log: tokens are not in it, user names
//! and passwords in addresses are masked, and of a redirect's target only scheme,
//! host and port are named, because the rest may be a signature that opens the file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mashbill_store::Error as StoreError;
use mashbill_store::class::Class;

use crate::digest::Digest;
use crate::repo::{RepoId, Revision};
use crate::token::TokenSource;
use crate::url::{Endpoint, Origin};
use crate::words::escaped;

/// An error of resolving the settings, reading the cache or asking the Hub.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A repository id that the Hub would not accept.
    #[error("`{}` is not a repository id: {why}", escaped(id))]
    InvalidRepoId {
        /// What was given.
        id: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A revision that is no branch, tag or commit name.
    #[error("`{}` is not a revision: {why}", escaped(revision))]
    InvalidRevision {
        /// What was given.
        revision: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// An environment variable has a value that cannot be used.
    #[error("{variable}: {why}")]
    InvalidSetting {
        /// The variable.
        variable: &'static str,
        /// What is wrong; user names and passwords are masked.
        why: String,
    },
    /// The token holds characters that cannot stand in a request.
    #[error("the token from {source_of_token} holds characters that no token has")]
    InvalidToken {
        /// Where the token came from.
        source_of_token: TokenSource,
    },
    /// The repository does not exist, or is private and the token (or its absence) gives no access.
    #[error("`{repo}` is not on {endpoint}, or it is private and {} no access", access(token))]
    RepoNotFound {
        /// The repository.
        repo: RepoId,
        /// The endpoint that was asked.
        endpoint: Endpoint,
        /// Where the token that was sent came from; `None`: no token was sent.
        token: Option<TokenSource>,
    },
    /// The repository's terms have to be accepted first.
    #[error("`{repo}` is gated and {} no access", access(token))]
    Gated {
        /// The repository.
        repo: RepoId,
        /// The page on which access is asked for.
        ask_at: String,
        /// Where the token that was sent came from; `None`: no token was sent.
        token: Option<TokenSource>,
    },
    /// The Hub does not know the token: mistyped, expired or revoked.
    #[error("{endpoint} does not accept the token from {source_of_token}")]
    BadToken {
        /// The endpoint that was asked.
        endpoint: Endpoint,
        /// Where the token came from.
        source_of_token: TokenSource,
    },
    /// The repository has no such branch, tag or commit.
    #[error("`{repo}` has no revision `{revision}`")]
    RevisionNotFound {
        /// The repository.
        repo: RepoId,
        /// The revision.
        revision: Revision,
    },
    /// The repository has no such file.
    #[error("`{repo}` has no file `{}` at `{revision}`", escaped(file))]
    EntryNotFound {
        /// The repository.
        repo: RepoId,
        /// The revision that was looked at.
        revision: Revision,
        /// The file.
        file: String,
    },
    /// The Hub has taken the repository offline.
    #[error("access to `{repo}` has been disabled by {endpoint}")]
    Disabled {
        /// The repository.
        repo: RepoId,
        /// The endpoint that was asked.
        endpoint: Endpoint,
    },
    /// The file is not on this machine and the settings forbid asking the Hub.
    #[error("`{repo}` at `{revision}` is not in the cache `{}`, and the network is switched off", cache.display())]
    NotCached {
        /// The repository.
        repo: RepoId,
        /// The revision that was looked for.
        revision: Revision,
        /// The Hub's cache folder that was searched.
        cache: PathBuf,
    },
    /// The settings forbid asking the Hub, and what is wanted is not on this machine.
    #[error("{what} of `{repo}` must be asked for, and the network is switched off")]
    Offline {
        /// The repository.
        repo: RepoId,
        /// What was wanted: `the commit`, `the list of files`, or a file's path.
        what: String,
    },
    /// No answer could be had from a server.
    #[error("cannot reach {origin}{}", through(proxy))]
    Unreachable {
        /// Scheme, host and port of the server.
        origin: Origin,
        /// The proxy that was used, user name and password masked.
        proxy: Option<String>,
        /// What happened.
        source: Unreachable,
    },
    /// The Hub asks to slow down, and for longer than it is sensible to wait.
    #[error("{origin} limits the rate of requests{}", wait_of(retry_after))]
    RateLimited {
        /// Scheme, host and port of the server.
        origin: Origin,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server failed, or refused for a reason the Hub's protocol has no name for.
    #[error("{origin} answered with status {status}{}{}", told(message), request(request_id))]
    Status {
        /// Scheme, host and port of the server.
        origin: Origin,
        /// The HTTP status.
        status: u16,
        /// What the Hub says about it.
        message: Option<String>,
        /// The Hub's name for this request, to be quoted when asking for help.
        request_id: Option<String>,
        /// How long the server asks to wait before another try.
        retry_after: Option<Duration>,
    },
    /// The answer is not what a Hub would say: a wrong endpoint, or a login page in between.
    #[error("{origin} does not answer like a Hugging Face Hub: {why}")]
    NotAHub {
        /// Scheme, host and port of the server.
        origin: Origin,
        /// What is missing or wrong.
        why: String,
    },
    /// The Hub's list of a repository's files cannot be one.
    #[error("the list of files of `{repo}` cannot be used: {why}")]
    Listing {
        /// The repository.
        repo: RepoId,
        /// What is wrong with it.
        why: String,
    },
    /// The bytes that arrived are not the bytes that the Hub announced.
    #[error("`{}` of `{repo}` arrived damaged: expected {expected}, received {received}", escaped(file))]
    Checksum {
        /// The repository.
        repo: RepoId,
        /// The file.
        file: String,
        /// The hash that the Hub announced.
        expected: Digest,
        /// The hash of what arrived.
        received: Digest,
    },
    /// The Hub announces another file than the one that was asked for by size and hash.
    #[error("`{}` of `{repo}` has changed: {announced} is announced, not {expected}", escaped(file))]
    Changed {
        /// The repository.
        repo: RepoId,
        /// The file.
        file: String,
        /// The size or hash that was asked for.
        expected: String,
        /// The size or hash that the Hub announces.
        announced: String,
    },
    /// Another process fetches the same file to the same place.
    #[error("another process{} is fetching `{}`", with_id(*pid), path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The other process, if its journal could be read.
        pid: Option<u32>,
    },
    /// The disk has no room for what would be fetched.
    #[error("{} are needed in `{}`, {} are free", megabytes(*needed), path.display(), megabytes(*free))]
    TooLittleSpace {
        /// The folder.
        path: PathBuf,
        /// The bytes to write.
        needed: u64,
        /// The bytes that are free.
        free: u64,
    },
    /// The caller's flag was raised. What has arrived is kept.
    #[error("interrupted")]
    Interrupted,
    /// A file is larger than it can sensibly be.
    #[error("`{}` of `{repo}` is larger than {limit} bytes", escaped(file))]
    TooLarge {
        /// The repository.
        repo: RepoId,
        /// The file.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file in a cache folder is not what its name promises.
    #[error("`{}` is damaged: {what}", path.display())]
    DamagedCache {
        /// The file; it can be deleted.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The disk is full, or refused an operation.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What it means for the caller of the command.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Interrupted => Class::Interrupted,
            Self::Unreachable { .. }
            | Self::RateLimited { .. }
            | Self::Status { .. }
            | Self::InUse { .. } => Class::Incomplete,
            Self::InvalidRepoId { .. }
            | Self::InvalidRevision { .. }
            | Self::InvalidSetting { .. }
            | Self::InvalidToken { .. }
            | Self::RepoNotFound { .. }
            | Self::Gated { .. }
            | Self::BadToken { .. }
            | Self::RevisionNotFound { .. }
            | Self::EntryNotFound { .. }
            | Self::Disabled { .. }
            | Self::NotCached { .. }
            | Self::Offline { .. }
            | Self::NotAHub { .. }
            | Self::Listing { .. }
            | Self::Checksum { .. }
            | Self::Changed { .. }
            | Self::TooLittleSpace { .. }
            | Self::TooLarge { .. }
            | Self::DamagedCache { .. } => Class::Usage,
            Self::Store(error) => error.class(),
        }
    }
}

/// Why no answer could be had from a server.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The host's name has no address.
    #[error("no address is known for the host name")]
    Dns,
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// Nothing was heard in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// What it sends comes too slowly, or frames content without end.
    #[error("it sends too little: content has to come at 1 kB a second")]
    Slow,
    /// The proxy did not make the connection.
    #[error("the proxy did not let it through: {0}")]
    Proxy(String),
    /// No secure connection could be made.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// The connection ended before the answer was complete, or the answer is not HTTP.
    #[error("the connection broke off: {0}")]
    Broken(String),
}

impl Error {
    /// An I/O error with the action and the path it befell.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        StoreError::io(action, path, source).into()
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

fn access(token: &Option<TokenSource>) -> String {
    match token {
        Some(source) => format!("the token from {source} gives"),
        None => "without a token there is".to_owned(),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn with_id(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (id {pid})"))
}

fn through(proxy: &Option<String>) -> String {
    proxy.as_ref().map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"))
}

fn wait_of(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!("; it asks to wait {} s", wait.as_secs()))
}

fn told(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |message| format!(": {message}"))
}

fn request(id: &Option<String>) -> String {
    id.as_ref().map_or_else(String::new, |id| format!(" (request {id})"))
}
