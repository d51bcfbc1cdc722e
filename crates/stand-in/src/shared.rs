//! What both origins know: repositories, rules, and the requests that were seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;

use crate::content::HashedContent;
use crate::fault::{Fault, Rule, Rules};
use crate::http::Request;
use crate::limits::Windows;
use crate::repo::{Repo, RepoType};
use crate::site::Site;

pub(crate) const CONTROL_PATH: &str = "/_stand-in/";

/// Which of the two origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginName {
    /// The Hub.
    Hub,
    /// The store of large files.
    Store,
}

/// A request, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct SeenRequest {
    /// Where it arrived.
    pub origin: OriginName,
    /// `GET`, `HEAD` or `POST`.
    pub method: String,
    /// Path and query, quoted as they came.
    pub target: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// The answer's status; 0 where there was none.
    pub status: u16,
    /// The bytes of content that were sent.
    pub sent: u64,
}

impl SeenRequest {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What both origins know.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) site: Site,
    hub: OnceLock<String>,
    store: OnceLock<String>,
    repos: Mutex<BTreeMap<(RepoType, String), Arc<Repo>>>,
    rules: Mutex<Rules>,
    windows: Mutex<Windows>,
    seen: Mutex<Vec<(SeenRequest, Arc<AtomicU64>)>>,
}

impl Shared {
    pub(crate) fn new(site: Site) -> Self {
        Self {
            site,
            hub: OnceLock::new(),
            store: OnceLock::new(),
            repos: Mutex::default(),
            rules: Mutex::default(),
            windows: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn set_hub(&self, address: &str) {
        self.hub.get_or_init(|| address.to_owned());
    }

    pub(crate) fn set_store(&self, address: &str) {
        self.store.get_or_init(|| address.to_owned());
    }

    pub(crate) fn hub_address(&self) -> &str {
        self.hub.get().map_or("", String::as_str)
    }

    pub(crate) fn store_address(&self) -> &str {
        self.store.get().map_or("", String::as_str)
    }

    pub(crate) fn put(&self, mut repo: Repo) {
        repo.commit();
        let mut repos = lock(&self.repos);
        let key = (repo.kind, repo.id.clone());
        if let Some(older) = repos.get(&key) {
            repo.keep_commits_of(older);
        }
        repos.insert(key, Arc::new(repo));
    }

    pub(crate) fn repo(&self, kind: RepoType, id: &str) -> Option<Arc<Repo>> {
        lock(&self.repos).get(&(kind, id.to_owned())).cloned()
    }

    /// A large file of any repository.
    pub(crate) fn large(&self, sha256: &str) -> Option<HashedContent> {
        lock(&self.repos).values().find_map(|repo| repo.large(sha256))
    }

    pub(crate) fn add_rule(&self, rule: Rule) {
        lock(&self.rules).add(rule);
    }

    pub(crate) fn clear_rules(&self) {
        lock(&self.rules).clear();
    }

    /// What goes wrong with a request, by the next rule for it.
    pub(crate) fn fault(&self, request: &str) -> Option<Fault> {
        lock(&self.rules).take(request)
    }

    /// How many requests were noted.
    pub(crate) fn requests(&self) -> usize {
        lock(&self.seen).len()
    }

    pub(crate) fn windows(&self) -> MutexGuard<'_, Windows> {
        lock(&self.windows)
    }

    pub(crate) fn log(&self) -> Vec<SeenRequest> {
        let sent = |sent: &AtomicU64| sent.load(Ordering::Relaxed);
        lock(&self.seen)
            .iter()
            .map(|(seen, bytes)| SeenRequest { sent: sent(bytes), ..seen.clone() })
            .collect()
    }

    /// Notes a request; the bytes that are sent can be counted later.
    pub(crate) fn note(&self, origin: OriginName, request: &Request, status: u16) -> Arc<AtomicU64> {
        let sent = Arc::new(AtomicU64::new(0));
        if !request.target.starts_with(CONTROL_PATH) {
            let seen = SeenRequest {
                origin,
                method: request.method.clone(),
                target: request.target.clone(),
                headers: request.headers.clone(),
                status,
                sent: 0,
            };
            lock(&self.seen).push((seen, Arc::clone(&sent)));
        }
        sent
    }

    pub(crate) fn clear_log(&self) {
        lock(&self.seen).clear();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
