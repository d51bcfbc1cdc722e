//! Faults that another try mends, and the end of patience where none does.

use std::net::TcpListener;
use std::time::Duration;

use mashbill_hub::{Error, Unreachable};

use crate::stand_in::{COMMIT, Fault, GOOD_TOKEN, Reply, contents};
use crate::world::World;

#[derive(Clone, Copy)]
enum At {
    Hub,
    Store,
}

/// The faults befall `tokenizer.json` of `org/large`, one a try; then all is well, after these pauses in milliseconds.
fn mends(at: At, faults: Vec<Fault>, expected_pauses: &[u128]) {
    let world = World::with_token(GOOD_TOKEN);
    for fault in faults {
        match at {
            At::Hub => world.stand_in.hub.fault("tokenizer.json", fault),
            At::Store => world.stand_in.store.fault("tokenizer.json", fault),
        }
    }
    let files = world.fetch("org/large").expect("files");
    assert_eq!(Some(files.tokenizer.contents), contents("large", "tokenizer.json"));
    assert_eq!(world.pauses(), expected_pauses);
}

#[test]
fn rate_limits_are_obeyed() {
    let limited = |name: &str, value: &str| Fault::Reply(Reply::new(429).header(name, value));
    mends(At::Hub, vec![limited("RateLimit", r#""resolvers";r=0;t=55"#)], &[56_000]);
    mends(At::Hub, vec![limited("Retry-After", "7"), limited("Retry-After", "9")], &[7_000, 9_000]);
    mends(At::Hub, vec![limited("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")], &[500]);
    mends(At::Store, vec![limited("Retry-After", "2")], &[2_000]);
}

#[test]
fn a_wait_longer_than_a_window_is_given_up_at_once() {
    let world = World::new();
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(Reply::new(429).header("Retry-After", "3600")));
    let error = world.fetch("org/plain").expect_err("too long");
    let expected =
        format!("{} limits the rate of requests; it asks to wait 3600 s", world.stand_in.hub.url());
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, Error::RateLimited { .. }) && world.pauses().is_empty());
}

#[test]
fn failures_of_the_servers_are_tried_again() {
    let failures =
        |statuses: &[u16]| statuses.iter().map(|status| Fault::Reply(Reply::new(*status))).collect();
    mends(At::Hub, failures(&[500, 502, 503, 504, 408]), &[500, 1000, 2000, 4000, 8000]);
    mends(At::Store, failures(&[503, 503]), &[500, 1000]);
    // A signed address that has expired: the Hub is asked for a new one.
    mends(At::Store, failures(&[403]), &[500]);
}

#[test]
fn broken_connections_are_tried_again() {
    mends(At::Hub, vec![Fault::Close, Fault::Close], &[500, 1000]);
    mends(At::Store, vec![Fault::Close, Fault::Cut(0), Fault::Cut(1000)], &[500, 1000, 2000]);
}

#[test]
fn silence_ends_with_the_timeout_and_is_tried_again() {
    let mut world = World::new();
    world.settings.answer_timeout = Duration::from_millis(300);
    world.settings.stall_timeout = Duration::from_millis(300);
    world.stand_in.hub.fault("tokenizer.json", Fault::Hang);
    world.stand_in.store.fault("tokenizer.json", Fault::Stall(1000));
    let files = world.fetch("org/large").expect("files");
    assert_eq!(Some(files.tokenizer.contents), contents("large", "tokenizer.json"));
    // On a busy machine another answer may be late too.
    assert!(world.pauses().len() >= 2);
    assert!(
        world.reasons().iter().all(|reason| reason == "it did not answer in time"),
        "{:?}",
        world.reasons()
    );
}

#[test]
fn content_with_the_wrong_hash_is_fetched_again_twice() {
    mends(At::Store, vec![Fault::Flip, Fault::Flip], &[500, 1000]);
    let world = World::new();
    for _ in 0..3 {
        world.stand_in.store.fault("tokenizer.json", Fault::Flip);
    }
    let error = world.fetch("org/large").expect_err("never right");
    assert!(matches!(error, Error::Checksum { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("`tokenizer.json` of `org/large` arrived damaged: expected sha256 "),
        "{error}"
    );
    assert_eq!(world.pauses(), [500, 1000]);
    assert!(!world.kept().exists());
}

#[test]
fn small_files_are_checked_by_their_git_hash() {
    let world = World::new();
    world.stand_in.hub.fault("tokenizer_config.json", Fault::Flip);
    let files = world.fetch("org/plain").expect("files");
    assert_eq!(files.tokenizer_config.map(|file| file.contents), contents("plain", "tokenizer_config.json"));
    assert_eq!(world.pauses(), [500]);
}

#[test]
fn a_cut_without_any_hash_is_noticed_too() {
    let world = World::new();
    let short =
        Reply::new(200).header("X-Repo-Commit", COMMIT).header("Content-Length", "100").body(b"{}".to_vec());
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(short));
    let chunked = Reply::new(200)
        .header("X-Repo-Commit", COMMIT)
        .header("Transfer-Encoding", "chunked")
        .body(b"5\r\n{\"a\":\r\n".to_vec());
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(chunked));
    let files = world.fetch("org/plain").expect("files");
    assert_eq!(Some(files.tokenizer.contents), contents("plain", "tokenizer.json"));
    assert_eq!(world.pauses(), [500, 1000]);
}

#[test]
fn a_server_that_keeps_failing_is_named_with_its_request() {
    let world = World::new();
    for _ in 0..6 {
        world
            .stand_in
            .hub
            .fault("tokenizer.json", Fault::Reply(Reply::new(503).header("X-Request-Id", "Root=1-2")));
    }
    let error = world.fetch("org/plain").expect_err("never answers");
    assert_eq!(
        error.to_string(),
        format!("{} answered with status 503 (request Root=1-2)", world.stand_in.hub.url())
    );
    assert_eq!(world.pauses().len(), 5);
}

#[test]
fn a_port_where_nobody_listens() {
    let mut world = World::with_token(GOOD_TOKEN);
    let free =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    world.settings.endpoint = format!("http://{free}").parse().expect("an endpoint");
    let error = world.fetch("org/plain").expect_err("nobody there");
    assert_eq!(error.to_string(), format!("cannot reach http://{free}"));
    assert!(matches!(error, Error::Unreachable { source: Unreachable::Refused, .. }), "{error:?}");
    assert_eq!(world.pauses().len(), 2);
}

#[test]
fn a_failure_in_the_middle_goes_on_at_the_same_commit() {
    let world = World::new();
    world.stand_in.hub.fault("config.json", Fault::Reply(Reply::new(400)));
    world.fetch("org/plain").expect_err("the second file fails");
    let requests = world.stand_in.hub.seen().len();
    let files = world.fetch("org/plain").expect("files");
    assert!(files.config.is_some() && files.incomplete.is_none());
    let paths = world.stand_in.hub.paths();
    assert!(
        paths[requests..].iter().all(|path| path.contains(COMMIT) && !path.ends_with("/tokenizer.json")),
        "{paths:?}"
    );
}
