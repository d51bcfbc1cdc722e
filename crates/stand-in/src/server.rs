//! One origin: a thread that listens, and one for each connection.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use crate::content::Entry;
use crate::fault::{Fault, Rule, Rules};
use crate::http::{Answer, Request, read_request, write_answer};
use crate::limits::Windows;
use crate::repo::{Kind, Repo};
use crate::site::Site;
use crate::{control, hub, store};

/// Which of the two origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The Hub.
    Hub,
    /// The store of large files.
    Store,
}

/// A request, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Where it arrived.
    pub origin: Origin,
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

impl Seen {
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
    repos: Mutex<BTreeMap<(Kind, String), Arc<Repo>>>,
    rules: Mutex<Rules>,
    windows: Mutex<Windows>,
    seen: Mutex<Vec<(Seen, Arc<AtomicU64>)>>,
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

    pub(crate) fn repo(&self, kind: Kind, id: &str) -> Option<Arc<Repo>> {
        lock(&self.repos).get(&(kind, id.to_owned())).cloned()
    }

    /// A large file of any repository.
    pub(crate) fn large(&self, sha256: &str) -> Option<Entry> {
        lock(&self.repos).values().find_map(|repo| repo.large(sha256))
    }

    pub(crate) fn add_rule(&self, rule: Rule) {
        lock(&self.rules).add(rule);
    }

    pub(crate) fn clear_rules(&self) {
        lock(&self.rules).clear();
    }

    pub(crate) fn windows(&self) -> MutexGuard<'_, Windows> {
        lock(&self.windows)
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        let sent = |sent: &AtomicU64| sent.load(Ordering::Relaxed);
        lock(&self.seen).iter().map(|(seen, bytes)| Seen { sent: sent(bytes), ..seen.clone() }).collect()
    }

    /// Notes a request; the bytes that are sent can be counted later.
    fn note(&self, origin: Origin, request: &Request, status: u16) -> Arc<AtomicU64> {
        let sent = Arc::new(AtomicU64::new(0));
        if !request.target.starts_with(control::PATH) {
            let seen = Seen {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listening port; its connections end when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    open: Arc<Open>,
    listener: Option<JoinHandle<()>>,
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Open {
    stop: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Server {
    pub(crate) fn start(origin: Origin, shared: Arc<Shared>) -> io::Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", 0))?;
        let address = socket.local_addr()?;
        let open = Arc::new(Open::default());
        let of_thread = Arc::clone(&open);
        let listener = thread::spawn(move || {
            for stream in socket.incoming() {
                if of_thread.stop.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    accept(stream, origin, &shared, &of_thread);
                }
            }
        });
        Ok(Self { address, open, listener: Some(listener) })
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.open.stop.store(true, Ordering::SeqCst);
        for stream in lock(&self.open.streams).drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the listener, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn accept(stream: TcpStream, origin: Origin, shared: &Arc<Shared>, open: &Arc<Open>) {
    let Ok(handle) = stream.try_clone() else { return };
    let mut streams = lock(&open.streams);
    // Those that have ended are forgotten now and then.
    streams.retain(|stream| stream.peer_addr().is_ok());
    streams.push(handle);
    drop(streams);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        // A client that hangs up is no concern.
        drop(serve(&stream, origin, &shared));
        drop(stream.shutdown(Shutdown::Both));
    });
}

fn serve(stream: &TcpStream, origin: Origin, shared: &Shared) -> io::Result<()> {
    let mut stream = stream.try_clone()?;
    stream.set_nodelay(true)?;
    let mut rest = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut rest)? {
        let fault = lock(&shared.rules).take(&format!("{} {}", request.method, request.target));
        thread::sleep(shared.site.delay);
        let again = answer(&mut stream, origin, shared, &request, fault.as_ref())?;
        if !again || request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers a request; returns whether the connection can be used again.
fn answer(
    stream: &mut TcpStream,
    origin: Origin,
    shared: &Shared,
    request: &Request,
    fault: Option<&Fault>,
) -> io::Result<bool> {
    let mut answer = match fault {
        Some(Fault::Raw { head, piece, times, every_ms }) => {
            shared.note(origin, request, 0);
            stream.write_all(head.as_bytes())?;
            for _ in 0..*times {
                thread::sleep(Duration::from_millis(*every_ms));
                stream.write_all(piece.as_bytes())?;
            }
            return Ok(false);
        }
        Some(Fault::Close) => {
            shared.note(origin, request, 0);
            return Ok(false);
        }
        Some(Fault::Hang) => {
            shared.note(origin, request, 0);
            while io::Read::read(stream, &mut [0; 1024])? > 0 {}
            return Ok(false);
        }
        Some(Fault::Answer { status, headers, body }) => {
            let mut answer = Answer::new(*status, body.clone().into_bytes());
            answer.headers.clone_from(headers);
            answer
        }
        _ => match origin {
            Origin::Hub if shared.site.control && request.target.starts_with(control::PATH) => {
                control::answer(shared, request)
            }
            Origin::Hub => hub::answer(shared, request, fault),
            Origin::Store => store::answer(shared, request, fault),
        },
    };
    if let Some(Fault::Headers(headers)) = fault {
        let number = lock(&shared.seen).len().to_string();
        for (name, value) in headers {
            answer.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            answer.headers.push((name.clone(), value.replace("{n}", &number)));
        }
    }
    let sent = shared.note(origin, request, answer.status);
    write_answer(stream, request, &answer, fault, shared.site.bytes_per_second, &sent)
}
