//! A Hub that does what no Hub should, while a dataset is downloaded and while a tokenizer is fetched from it.
//!
//! Of each behaviour it is asked that it ends, with an error or with the right bytes: no panic, nothing outside of the
//! output, no control character in what is said, the token seen by nobody else and found in no file. The plain suite
//! tries each third; with `MASHBILL_LONG=1` all are.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mashbill_download::{Catalog, Options, Selection};
use mashbill_hub::{
    AccessToken, Hub, Proxies, Revision, Settings, TokenSource, Transfer, Wait, Waiting, tokenizer_files,
};
use mashbill_stand_in::{Content, Fault, OriginName, Repo, RepoType, Rule, Site, StandIn, User};

const TOKEN: &str = "hf_TokenThatNobodyElseMaySee";

/// The longest that one behaviour may hold a command up, its pauses left out.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most memory that all of them may take at once, in kB.
const MEMORY_MAX_KB: u64 = 1_000_000;

const ALWAYS: u32 = u32::MAX;

const SMALL: &str = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";

/// What a Hub does to the requests whose `METHOD path` contain a text.
struct Behaviour {
    name: String,
    on: &'static str,
    times: u32,
    fault: Fault,
}

/// Requests for a description, for a list, for a file, to the store; and all of them.
const PLACES: [&str; 5] = ["/revision/", "/tree/", "/resolve/", "Signature=", "GET "];

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Fault::Answer { status, headers, body: body.to_owned() }
}

fn headers(headers: &[(&str, &str)]) -> Fault {
    Fault::Headers(headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn raw(head: &str, piece: &str, times: u64, every_ms: u64) -> Fault {
    Fault::Raw { head: head.to_owned(), piece: piece.to_owned(), times, every_ms }
}

/// A list with one file.
fn listed(path: &str, size: &str, oid: &str) -> Fault {
    let path = serde_json::to_string(path).expect("a string");
    answer(200, &[], &format!("[{{\"type\":\"file\",\"path\":{path},\"size\":{size},\"oid\":\"{oid}\"}}]"))
}

fn behaviours(elsewhere: &str) -> Vec<Behaviour> {
    let mut all = Vec::new();
    let mut add = |name: &str, on: &'static str, times: u32, fault: Fault| {
        all.push(Behaviour { name: format!("{name} on {on}"), on, times, fault });
    };
    for on in PLACES {
        broken_answers(on, &mut add);
        odd_answers(on, elsewhere, &mut add);
    }
    lists(elsewhere, &mut add);
    descriptions(&mut add);
    files_of_it(&mut add);
    all
}

/// Takes a behaviour: its name, where it shows, how often, and what it is.
type Add<'a> = &'a mut dyn FnMut(&str, &'static str, u32, Fault);

/// Answers that are no HTTP, or without an end.
fn broken_answers(on: &'static str, add: Add<'_>) {
    let endless = u64::MAX;
    add("a byte now and then", on, ALWAYS, Fault::Drip { bytes: 1, every_ms: 60 });
    add("a head without an end", on, ALWAYS, raw("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n", endless, 0));
    add("a head that comes slowly", on, ALWAYS, raw("HTTP/1.1 200 OK\r\n", "X", endless, 60));
    add(
        "interim answers without an end",
        on,
        ALWAYS,
        raw("", "HTTP/1.1 103 Early Hints\r\n\r\n", endless, 0),
    );
    add("no HTTP", on, ALWAYS, raw("\u{1b}[2J\u{7}hello\r\n\r\n", "", 0, 0));
    add("an old HTTP", on, ALWAYS, raw("<html>\n", "no more\n", 10, 0));
    add(
        "a body without an end",
        on,
        ALWAYS,
        raw("HTTP/1.1 200 OK\r\n\r\n", &"[".repeat(1 << 16), 100_000, 0),
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailers = format!("{chunked}2\r\n[]\r\n0\r\n");
    add("trailers without an end", on, 3, raw(&trailers, "X-More: and more\r\n", endless, 0));
    add("chunks of nothing", on, 3, raw(chunked, "1;a=b\r\n[\r\n", 100_000, 1));
    add("a chunk of all numbers", on, ALWAYS, raw(chunked, "FFFFFFFFFFFFFFFF\r\n", 1, 0));
    add("a chunk's size without an end", on, ALWAYS, raw(chunked, "0", 1_000, 0));
    add("a length of all numbers", on, ALWAYS, headers(&[("Content-Length", "18446744073709551615")]));
    add("a negative length", on, ALWAYS, headers(&[("Content-Length", "-1")]));
    add("a length that is too short", on, 2, headers(&[("Content-Length", "3")]));
    add("compressed content", on, ALWAYS, headers(&[("Content-Encoding", "gzip")]));
    add("no answer", on, 2, Fault::Hang);
    add("a closed connection", on, ALWAYS, Fault::Close);
}

/// Redirects, refusals and limits that make no sense.
fn odd_answers(on: &'static str, elsewhere: &str, add: Add<'_>) {
    add("a redirect to itself", on, ALWAYS, answer(302, &[("Location", "?")], ""));
    add("a redirect to nowhere", on, ALWAYS, answer(302, &[], ""));
    add("a redirect to a file", on, ALWAYS, answer(302, &[("Location", "file:///etc/passwd")], ""));
    add("a redirect elsewhere", on, ALWAYS, answer(302, &[("Location", elsewhere)], ""));
    let echo = format!("http://127.0.0.1:9/?token={TOKEN}");
    add("a redirect with the token", on, ALWAYS, answer(302, &[("Location", &echo)], ""));
    let host = format!("http://{TOKEN}.test/");
    add("a redirect to the token", on, ALWAYS, answer(302, &[("Location", &host)], ""));
    let said = format!("\u{9b}31m no such token: {TOKEN}");
    let quoted = [("X-Error-Message", said.as_str()), ("X-Request-Id", TOKEN)];
    add("a refusal that quotes the token", on, ALWAYS, answer(400, &quoted, &said));
    add("a failure that quotes the token", on, ALWAYS, answer(500, &quoted, &said));
    for seconds in ["18446744073709551615", "99999999999999999999", "-1", "0.5", "soon", "0"] {
        add("a wait of odd length", on, 2, answer(429, &[("Retry-After", seconds)], ""));
    }
    for limit in ["r=1;t=18446744073709551615", "r=0;t=18446744073709551615", "r=-1;t=x", "r=0;t=0"] {
        let limit = format!("\"api\";{limit}");
        add(
            "a window of odd length",
            on,
            ALWAYS,
            headers(&[("RateLimit", &limit), ("RateLimit-Policy", "q=x")]),
        );
    }
}

fn lists(elsewhere: &str, add: Add<'_>) {
    let oid = "a".repeat(40);
    for path in [
        "../../outside.jsonl",
        "/tmp/outside.jsonl",
        "a/../../outside.jsonl",
        "..",
        "",
        "a//b.jsonl",
        "a\\..\\b.jsonl",
        "a\u{1b}[2J.jsonl",
        "a\u{0}.jsonl",
        "a\u{9b}31m.jsonl",
        "\u{202e}lnosj.a.jsonl",
    ] {
        add(&format!("the path {path:?}"), "/tree/", ALWAYS, listed(path, "1", &oid));
    }
    add("a path of a megabyte", "/tree/", ALWAYS, listed(&("a/".repeat(1 << 19) + "b.jsonl"), "1", &oid));
    add("a name of 255 bytes", "/tree/", ALWAYS, listed(&("a".repeat(249) + ".jsonl"), "1", &oid));
    add("a path with the token", "/tree/", ALWAYS, listed(&format!("{TOKEN}.jsonl"), "1", &oid));
    for size in
        ["9223372036854775808", "18446744073709551615", "17592186044416", "-1", "1e300", "null", "\"1\""]
    {
        add(&format!("a size of {size}"), "/tree/", ALWAYS, listed("a.jsonl", size, &oid));
    }
    add("no hash", "/tree/", ALWAYS, listed("a.jsonl", "1", "abc"));
    let one = format!("{{\"type\":\"file\",\"path\":\"a.jsonl\",\"size\":1,\"oid\":\"{oid}\"}}");
    add("a file twice", "/tree/", ALWAYS, answer(200, &[], &format!("[{one},{one}]")));
    let both = one.replace("a.jsonl", "a.jsonl/b.jsonl");
    add("a file that is a folder", "/tree/", ALWAYS, answer(200, &[], &format!("[{one},{both}]")));
    add("deep brackets", "/tree/", ALWAYS, answer(200, &[], &"[".repeat(1 << 20)));
    add("a page of 20 MB", "/tree/", ALWAYS, answer(200, &[], &format!("[{}]", " ".repeat(20 << 20))));
    add("a login page", "/tree/", ALWAYS, answer(200, &[], "<html>"));
    let next = format!("<{elsewhere}/api/datasets/org/data/tree/x?cursor=1>; rel=\"next\"");
    add("a next page elsewhere", "/tree/", ALWAYS, headers(&[("Link", &next)]));
    add(
        "a next page that was read",
        "/tree/",
        ALWAYS,
        headers(&[("Link", "</api/datasets/org/data/tree/main?x=1>; rel=\"next\"")]),
    );
    add(
        "next pages without an end",
        "/tree/",
        ALWAYS,
        headers(&[("Link", "</api/datasets/org/data/tree/main?c={n}>; rel=\"next\"")]),
    );
    add("a next page of nothing", "/tree/", ALWAYS, headers(&[("Link", "<\u{7f}>; rel=\"next\"")]));
}

fn descriptions(add: Add<'_>) {
    let sha = "b".repeat(40);
    for body in [
        "[]".to_owned(),
        "{\"sha\": \"../..\"}".to_owned(),
        format!("{{\"sha\": \"{sha}\", \"gated\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{{\"sha\": \"{sha}\", \"tags\": [\"license:\u{1b}[2J{TOKEN}\"]}}"),
        format!("{{\"sha\": \"{TOKEN}\"}}"),
        format!("{{\"sha\": \"{sha}\", \"private\": \"{TOKEN}\"}}"),
    ] {
        let start: String = body.chars().take(30).collect();
        add(&format!("the description {start:?}"), "/revision/", ALWAYS, answer(200, &[], &body));
    }
}

fn files_of_it(add: Add<'_>) {
    let sha = "b".repeat(40);
    add("a changed hash", "/resolve/", ALWAYS, headers(&[("X-Linked-Etag", &sha), ("ETag", &sha)]));
    add("a changed size", "/resolve/", ALWAYS, headers(&[("X-Linked-Size", "18446744073709551615")]));
    add("a commit that is none", "/resolve/", ALWAYS, headers(&[("X-Repo-Commit", "../../outside")]));
    for on in ["/resolve/", "Signature="] {
        add("another range", on, ALWAYS, Fault::WrongRange);
        add("a byte that is wrong", on, ALWAYS, Fault::FlipByte(3));
        add("a byte a try", on, ALWAYS, Fault::CutAfter(1));
        add("a cut", on, 3, Fault::CutAfter(10));
        let range = [("Content-Range", "bytes 18446744073709551615-0/18446744073709551615")];
        add("a range of all numbers", on, ALWAYS, answer(206, &range, "x"));
        add("no range", on, ALWAYS, answer(206, &[], "x"));
        add("a range behind the end", on, ALWAYS, answer(416, &[("Content-Range", "bytes */0")], ""));
    }
}

/// A port that notes what arrives, and answers nothing of use.
struct Elsewhere {
    address: String,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Elsewhere {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        // The thread ends with the test's process.
        thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            for mut stream in listener.incoming().flatten() {
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap_or(0);
                noted.lock().expect("no panic").extend_from_slice(&bytes[..length]);
                drop(
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"),
                );
            }
        });
        Self { address, seen }
    }
}

/// A place of its own for one behaviour.
struct Place {
    stand_in: StandIn,
    folder: tempfile::TempDir,
    settings: Settings,
    said: Mutex<Vec<String>>,
}

impl Place {
    fn new(behaviour: &Behaviour) -> Self {
        let users = vec![User { name: "somebody".into(), token: TOKEN.into(), trusted: true }];
        let stand_in = StandIn::start(Site { users, ..Site::default() }).expect("a free port");
        let mut data = Repo::new(RepoType::Dataset, "org/data");
        data.put("main", "data/a.jsonl", Content::from(SMALL));
        data.put("main", "data/b.jsonl.zst", Content::from(compressed(SMALL)));
        stand_in.put(data);
        let mut model = Repo::new(RepoType::Model, "org/model");
        model.put("main", "tokenizer.json", Content::from(tokenizer()));
        model.put("main", "config.json", Content::from("{}"));
        stand_in.put(model);
        let Behaviour { on, times, fault, .. } = behaviour;
        stand_in.fail(Rule { on: (*on).to_owned(), times: *times, fault: fault.clone() });
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("out")).expect("a folder");
        let settings = Settings {
            endpoint: stand_in.endpoint().parse().expect("an endpoint"),
            token: AccessToken::new(TOKEN, TokenSource::Variable("HF_TOKEN")).expect("a token"),
            cache: folder.path().join("out/hub"),
            offline: false,
            proxies: Proxies::default(),
            answer_timeout: Duration::from_millis(500),
            stall_timeout: Duration::from_millis(100),
        };
        Self { stand_in, folder, settings, said: Mutex::default() }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn note(&self, text: impl std::fmt::Display) {
        self.said.lock().expect("no panic").push(text.to_string());
    }

    fn wait(&self, wait: &Wait<'_>) {
        assert!(wait.duration <= Duration::from_secs(301), "{:?}", wait.duration);
        self.note(chain(wait.why));
    }

    fn download(&self) {
        let interrupted = AtomicBool::new(false);
        let wait = |wait: Wait<'_>| self.wait(&wait);
        let hub = Hub::new(self.settings.clone(), Transfer::default(), &interrupted, &wait);
        let mut catalog = Catalog::embedded();
        let selection = Selection { datasets: vec!["org/data".into()], ..Selection::default() };
        let selected = catalog.select(&selection).expect("a repository's name");
        let options = Options {
            output: self.out(),
            budget: None,
            max_download: 1 << 30,
            max_rows: None,
            update: false,
            keep_raw: false,
            exact_tokens: Default::default(),
        };
        let failed = match mashbill_download::plan(&catalog, selected, options, &hub) {
            Err(error) => vec![error],
            Ok(plan) => {
                let mut failed: Vec<_> = Vec::new();
                match mashbill_download::run(&plan, &hub, "here", &interrupted, &mut |_| ()) {
                    Ok(report) => failed.extend(report.failed.into_iter().map(|(_, error)| error)),
                    Err(error) => failed.push(error),
                }
                failed.extend(plan.skipped.into_iter().map(|(_, error)| error));
                failed
            }
        };
        failed.iter().for_each(|error| self.note(chain(error)));
        match fs::read_to_string(self.out().join("custom/org__data.jsonl")) {
            Ok(records) => assert_eq!((records.lines().count(), failed.len()), (4, 0), "{failed:?}"),
            Err(_) => assert!(!failed.is_empty(), "neither records nor an error"),
        }
    }

    fn fetch_tokenizer(&self) {
        let (repo, waiting) = ("org/model".parse().expect("an id"), Waiting::default());
        let wait = |wait: Wait<'_>| self.wait(&wait);
        let kept = self.out().join("kept");
        match tokenizer_files(&repo, &Revision::main(), &self.settings, Some(&kept), &wait, &waiting) {
            Ok(files) => assert!(files.tokenizer.contents == tokenizer(), "wrong bytes"),
            Err(error) => self.note(chain(&error)),
        }
        assert!(waiting.now().is_none());
    }

    /// Checks what was said, written and sent.
    fn check(&self, elsewhere: &Elsewhere) {
        for text in self.said.lock().expect("no panic").iter() {
            assert!(!text.to_lowercase().contains(&TOKEN.to_lowercase()), "the token is said: {text:?}");
            let moves = |c: char| {
                c.is_control()
                    || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!text.contains(moves), "control characters: {text:?}");
        }
        for seen in self.stand_in.log() {
            assert!(seen.origin == OriginName::Hub || seen.header("authorization").is_none(), "{seen:?}");
        }
        let noted = elsewhere.seen.lock().expect("no panic");
        assert!(!String::from_utf8_lossy(&noted).contains(TOKEN), "the token went elsewhere");
        let entries = fs::read_dir(self.folder.path()).expect("the folder").count();
        assert_eq!(entries, 1, "something lies beside the output");
        for path in files(&self.out()) {
            let bytes = fs::read(&path).expect("a file");
            let found = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!found && !path.to_string_lossy().contains(TOKEN), "{} holds the token", path.display());
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).expect("compressed")
}

/// As large as what lies in the store.
fn tokenizer() -> Vec<u8> {
    (0..(1_u32 << 20)).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn peak_memory_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[test]
fn ends_in_an_error_or_in_the_right_bytes() {
    let elsewhere = Elsewhere::start();
    let mut behaviours = behaviours(&elsewhere.address);
    assert!(behaviours.len() >= 60, "{}", behaviours.len());
    if std::env::var_os("MASHBILL_LONG").is_none() {
        behaviours = behaviours.into_iter().step_by(3).collect();
    }
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(behaviour) = behaviours.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for (what, act) in
                        [("download", Place::download as fn(&Place)), ("tokenizer", Place::fetch_tokenizer)]
                    {
                        let place = Place::new(behaviour);
                        let began = Instant::now();
                        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            act(&place);
                            assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
                            place.check(&elsewhere);
                        }));
                        if checked.is_err() {
                            failures.lock().expect("no panic").push(format!("{what}: {}", behaviour.name));
                        }
                    }
                }
            });
        }
    });
    assert!(failures.lock().expect("no panic").is_empty(), "{failures:#?}");
    let peak = peak_memory_kb().unwrap_or(0);
    assert!(peak < MEMORY_MAX_KB, "{peak} kB");
}
