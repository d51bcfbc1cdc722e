//! A small stand-in for the Hub: two origins, one for the Hub and one for its store.
//!
//! It speaks as much of `resolve` as the official Python client needs to download a
//! file from it. Repositories behave by their names, see [`hub_reply`]; faults are
//! queued by a test and each is used once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

pub(crate) const COMMIT: &str = "4e20de362430cd3b72f300e6b0f18e50e7166e08";
pub(crate) const GOOD_TOKEN: &str = "hf_GoodSecret";
pub(crate) const STRANGER_TOKEN: &str = "hf_StrangerSecret";

/// Both origins; they stop when this is dropped.
pub(crate) struct StandIn {
    pub(crate) hub: Server,
    pub(crate) store: Server,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let store = Server::start(store_reply);
        let store_address = store.url();
        Self { hub: Server::start(move |request| hub_reply(request, &store_address)), store }
    }
}

/// One origin.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Vec<Request>>,
    faults: Mutex<Vec<(&'static str, Fault)>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What goes wrong, once.
pub(crate) enum Fault {
    /// Another answer.
    Reply(Reply),
    /// The connection ends after so many bytes of the content.
    Cut(usize),
    /// One byte of the content is another.
    Flip,
    /// The connection ends without an answer.
    Close,
    /// No answer comes until the client hangs up.
    Hang,
    /// Nothing comes after so many bytes of the content until the client hangs up.
    Stall(usize),
}

#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }
}

impl Server {
    pub(crate) fn start(reply: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.stop.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up in the middle is part of the tests.
                let _ = stream.and_then(|stream| serve(stream, &of_thread, &reply));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next request whose path contains `path` go wrong.
    pub(crate) fn fault(&self, path: &'static str, fault: Fault) {
        self.shared.faults.lock().expect("no panic").push((path, fault));
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().expect("no panic").clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|request| request.path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared, reply: &impl Fn(&Request) -> Reply) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some(request) = read_request(&stream)? else { return Ok(()) };
    shared.seen.lock().expect("no panic").push(request.clone());
    let fault = {
        let mut faults = shared.faults.lock().expect("no panic");
        let position = faults.iter().position(|(path, _)| request.path.contains(path));
        position.map(|position| faults.remove(position).1)
    };
    let mut answer = reply(&request);
    let length = answer.body.len();
    let mut sent = length;
    let mut stall = false;
    match fault {
        Some(Fault::Close) => return Ok(()),
        Some(Fault::Hang) => return stream.read(&mut [0]).map(|_| ()),
        Some(Fault::Reply(other)) => {
            sent = other.body.len();
            answer = other;
        }
        Some(Fault::Cut(bytes)) => sent = bytes,
        Some(Fault::Stall(bytes)) => (sent, stall) = (bytes, true),
        Some(Fault::Flip) => answer.body[length / 2] ^= 1,
        None => {}
    }
    let mut head = format!("HTTP/1.1 {} Stand-in\r\nConnection: close\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| name == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body[..sent])?;
    }
    if stall {
        let _ = stream.read(&mut [0])?;
    }
    stream.flush()
}

fn read_request(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(stream).take(64 * 1024).lines();
    let Some(first) = lines.next() else { return Ok(None) };
    let first = first?;
    let mut words = first.split(' ');
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    Ok(Some(Request { method, path, headers }))
}

/// `/{org}/{name}/resolve/{revision}/{file}`, where the name decides: `plain` and `large` are open,
/// `private` and `gated` need the good token, `old` has moved to `private`, `disabled` and
/// `no-tokenizer` are what they say. Each has the revisions `main` and `refs/pr/1`.
fn hub_reply(request: &Request, store: &str) -> Reply {
    let token = request.header("Authorization").map(|value| value.trim_start_matches("Bearer "));
    if token.is_some_and(|token| ![GOOD_TOKEN, STRANGER_TOKEN].contains(&token)) {
        return Reply::new(401).header("X-Error-Message", "Invalid credentials in Authorization header");
    }
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let ["org", name, "resolve", revision, ref file @ ..] = parts[..] else { return repo_not_found() };
    let file = file.join("/");
    let good = token == Some(GOOD_TOKEN);
    match name {
        "old" => {
            return Reply::new(307).header("Location", &format!("/org/private/resolve/{revision}/{file}"));
        }
        "disabled" => {
            return Reply::new(403).header("X-Error-Message", "Access to this resource is disabled.");
        }
        "private" if !good => return repo_not_found(),
        "gated" if !good => {
            let status = if token.is_some() { 403 } else { 401 };
            return Reply::new(status)
                .header("X-Error-Code", "GatedRepo")
                .header("X-Error-Message", "Access is restricted.");
        }
        "plain" | "large" | "private" | "gated" | "no-tokenizer" => {}
        _ => return repo_not_found(),
    }
    if !["main", "refs%2Fpr%2F1", COMMIT].contains(&revision) {
        return Reply::new(404).header("X-Error-Code", "RevisionNotFound");
    }
    let Some(contents) = contents(name, &file) else {
        return Reply::new(404).header("X-Error-Code", "EntryNotFound").header("X-Repo-Commit", COMMIT);
    };
    if is_large(name, &file) {
        return Reply::new(302)
            .header("Location", &format!("{store}/signed/{name}/{file}?X-Amz-Signature=SignatureSecret"))
            .header("X-Repo-Commit", COMMIT)
            .header("X-Linked-Etag", &format!("\"{}\"", sha256(&contents)))
            .header("X-Linked-Size", &contents.len().to_string())
            .body(b"Found. Redirecting".to_vec());
    }
    let tag = format!("\"{}\"", git_sha1(&contents));
    Reply::new(200).header("X-Repo-Commit", COMMIT).header("ETag", &tag).body(contents)
}

fn store_reply(request: &Request) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let found = if let ["signed", name, file] = parts[..] { contents(name, file) } else { None };
    // As the real one's, this ETag is the hash of something else.
    found.map_or_else(
        || Reply::new(404),
        |body| Reply::new(200).header("ETag", &format!("\"{}\"", "0".repeat(64))).body(body),
    )
}

fn repo_not_found() -> Reply {
    Reply::new(401).header("X-Error-Code", "RepoNotFound").header("X-Error-Message", "Repository not found")
}

/// `special_tokens_map.json` and `generation_config.json` exist nowhere.
pub(crate) fn contents(name: &str, file: &str) -> Option<Vec<u8>> {
    match file {
        "tokenizer.json" if name == "no-tokenizer" => None,
        "tokenizer.json" if is_large(name, file) => {
            Some(format!("{{\"repo\": \"{name}\"}}").repeat(20_000).into_bytes())
        }
        "tokenizer.json" | "tokenizer_config.json" | "config.json" => {
            Some(format!("{{\"repo\": \"{name}\", \"file\": \"{file}\"}}").into_bytes())
        }
        _ => None,
    }
}

fn is_large(name: &str, file: &str) -> bool {
    file == "tokenizer.json" && ["large", "private"].contains(&name)
}

pub(crate) fn sha256(contents: &[u8]) -> String {
    Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn git_sha1(contents: &[u8]) -> String {
    let object = [format!("blob {}\0", contents.len()).as_bytes(), contents].concat();
    Sha1::digest(object).iter().map(|byte| format!("{byte:02x}")).collect()
}
