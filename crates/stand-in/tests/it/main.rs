//! What the stand-in says, byte by byte. That official clients understand it is tested with them, in Python.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mashbill_stand_in::{Access, Content, Fault, OriginName, Repo, RepoType, Rule, Site, StandIn, User};

const LINES: &str = "{\"text\": \"one\"}\n";

fn stand_in(site: Site) -> StandIn {
    let stand_in = StandIn::start(site).expect("a free port");
    let mut repo = Repo::new(RepoType::Dataset, "org/name");
    repo.put("main", "data.jsonl", Content::from(LINES));
    repo.put("main", "large.parquet", Content::from("0123456789"));
    stand_in.put(repo);
    stand_in
}

/// An answer's status, head and content.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Asks on a connection of its own; `headers` are lines.
fn ask(server: &str, request: &str, headers: &[&str]) -> Answer {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let said =
        talk(server, &format!("{request} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{headers}\r\n"));
    let (head, body) = said.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn talk(server: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(server.trim_start_matches("http://")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers and hangs up");
    said
}

/// The path and query of a large file's signed address.
fn signed(stand_in: &StandIn) -> String {
    let answer = ask(&stand_in.endpoint(), "GET /datasets/org/name/resolve/main/large.parquet", &[]);
    assert_eq!((answer.status, answer.header("X-Linked-Size")), (302, Some("10")));
    let location = answer.header("Location").expect("it redirects");
    location.strip_prefix(&stand_in.store()).expect("to the store").to_owned()
}

#[test]
fn a_file_is_given_whole_or_in_part() {
    let stand_in = stand_in(Site::default());
    let target = format!("GET {}", signed(&stand_in));
    let store = stand_in.store();
    let check = |range: &[&str], status, content_range, body| {
        let answer = ask(&store, &target, range);
        let found = (answer.status, answer.header("Content-Range"), answer.body.as_str());
        assert_eq!(found, (status, content_range, body), "{range:?}");
    };
    check(&[], 200, None, "0123456789");
    check(&["Range: bytes=2-4"], 206, Some("bytes 2-4/10"), "234");
    check(&["Range: bytes=7-"], 206, Some("bytes 7-9/10"), "789");
    check(&["Range: bytes=-2"], 206, Some("bytes 8-9/10"), "89");
    check(&["Range: bytes=4-99"], 206, Some("bytes 4-9/10"), "456789");
    check(&["Range: bytes=10-"], 416, Some("bytes */10"), "");
    check(&["Range: letters=1-2"], 200, None, "0123456789");
}

#[test]
fn a_small_file_comes_from_the_hub_with_gits_hash() {
    let stand_in = stand_in(Site::default());
    for method in ["GET", "HEAD"] {
        let answer =
            ask(&stand_in.endpoint(), &format!("{method} /datasets/org/name/resolve/main/data.jsonl"), &[]);
        // `git hash-object` of the same content.
        assert_eq!(answer.header("ETag"), Some("\"3aa6b319c8c075fce52f373a3cad209a125379ae\""));
        assert_eq!(answer.header("Content-Length"), Some("16"));
        assert_eq!(answer.header("X-Repo-Commit").map(str::len), Some(40));
        assert_eq!(answer.body, if method == "GET" { LINES } else { "" });
    }
}

#[test]
fn an_address_is_refused_when_it_is_forged_or_old() {
    let stand_in = stand_in(Site { signed_for: Duration::ZERO, ..Site::default() });
    let old = signed(&stand_in);
    assert_eq!(ask(&stand_in.store(), &format!("GET {old}"), &[]).status, 403);
    let forged = old.replace("Expires=", "Expires=9");
    assert_eq!(ask(&stand_in.store(), &format!("GET {forged}"), &[]).status, 403);
}

#[test]
fn one_connection_takes_many_requests() {
    let stand_in = stand_in(Site::default());
    let get = "GET /api/datasets/org/name/refs HTTP/1.1\r\nHost: hub\r\n";
    let said = talk(&stand_in.endpoint(), &format!("{get}\r\n{get}\r\n{get}Connection: close\r\n\r\n"));
    assert_eq!(said.matches("HTTP/1.1 200").count(), 3, "{said}");
}

#[test]
fn nonsense_ends_the_connection_and_nothing_else() {
    let stand_in = stand_in(Site::default());
    assert_eq!(talk(&stand_in.endpoint(), "\0\r\n\r\n"), "");
    let endless = format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000));
    // It may hang up before all was written to it.
    drop(
        TcpStream::connect(stand_in.endpoint().trim_start_matches("http://"))
            .and_then(|mut stream| stream.write_all(endless.as_bytes())),
    );
    for path in [
        "/",
        "//",
        "/datasets/resolve/main",
        "/api/datasets",
        "/api/datasets/%zz/tree/%",
        "/api/models//tree/",
    ] {
        let status = ask(&stand_in.endpoint(), &format!("GET {path}"), &[]).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(ask(&stand_in.endpoint(), "GET /api/datasets/org/name", &[]).status, 200);
}

#[test]
fn requests_are_counted_in_windows() {
    let stand_in = stand_in(Site { quota: 2, ..Site::default() });
    let get = || ask(&stand_in.endpoint(), "GET /api/datasets/org/name", &[]);
    let answer = get();
    assert_eq!(answer.header("RateLimit"), Some("\"api\";r=1;t=300"));
    assert_eq!(answer.header("RateLimit-Policy"), Some("\"fixed window\";\"api\";q=2;w=300"));
    assert_eq!((get().status, get().status), (200, 429));
    // Files are counted apart.
    assert_eq!(ask(&stand_in.endpoint(), "GET /datasets/org/name/resolve/main/data.jsonl", &[]).status, 200);
}

#[test]
fn a_token_opens_what_is_closed() {
    let user = |token: &str, trusted| User { name: token.to_owned(), token: token.to_owned(), trusted };
    let stand_in =
        stand_in(Site { users: vec![user("friend", true), user("stranger", false)], ..Site::default() });
    let target = "GET /datasets/org/name/resolve/main/data.jsonl";
    let check = |access, expected: [(u16, Option<&str>); 4]| {
        let mut repo = Repo::new(RepoType::Dataset, "org/name");
        repo.put("main", "data.jsonl", Content::from(LINES));
        repo.access = access;
        stand_in.put(repo);
        let tokens = [None, Some("friend"), Some("stranger"), Some("nobody")];
        for (token, expected) in tokens.into_iter().zip(expected) {
            let header = token.map(|token| format!("Authorization: Bearer {token}"));
            let answer =
                ask(&stand_in.endpoint(), target, &header.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!((answer.status, answer.header("X-Error-Code")), expected, "{access:?} {token:?}");
        }
    };
    let (good, unknown) = ((200, None), (401, None));
    check(Access::Open, [good, good, good, unknown]);
    check(Access::Gated, [(401, Some("GatedRepo")), good, (403, Some("GatedRepo")), unknown]);
    check(Access::Private, [(401, Some("RepoNotFound")), good, (404, Some("RepoNotFound")), unknown]);
    check(Access::Disabled, [(403, None), (403, None), (403, None), unknown]);
}

#[test]
fn a_rule_befalls_so_many_requests_and_the_log_tells_them() {
    let stand_in = stand_in(Site::default());
    let failing = Fault::Answer { status: 503, headers: Vec::new(), body: "busy".to_owned() };
    stand_in.fail(Rule { on: "GET /api/".to_owned(), times: 2, fault: failing });
    let statuses: Vec<_> =
        (0..3).map(|_| ask(&stand_in.endpoint(), "GET /api/datasets/org/name", &[]).status).collect();
    assert_eq!(statuses, [503, 503, 200]);
    let log = stand_in.log();
    assert_eq!(log.iter().map(|seen| seen.status).collect::<Vec<_>>(), [503, 503, 200]);
    assert!(log.iter().all(|seen| seen.origin == OriginName::Hub && seen.header("host") == Some("hub")));
}

#[test]
fn the_program_says_what_it_reads() {
    let ran = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mashbill-stand-in"));
        command.args(arguments).output().expect("it starts")
    };
    let help = ran(&["--help"]);
    let text = String::from_utf8(help.stdout).expect("UTF-8");
    assert!(help.status.success() && text.contains("\"branches\": {\"main\""), "{text}");
    assert!(!ran(&["--port"]).status.success());
}
