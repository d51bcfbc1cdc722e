//! Answers that are final, and the error that each stands for.

use mashbill_hub::{Error, TokenSource};

use crate::stand_in::{Fault, GOOD_TOKEN, Reply, STRANGER_TOKEN};
use crate::world::World;

const HF_TOKEN: TokenSource = TokenSource::Variable("HF_TOKEN");

/// The repository fails with the text, `HUB` standing for the endpoint, after one request and no pause.
fn check(world: &World, repo: &str, expected: &str) -> Error {
    let error = world.fetch(repo).expect_err(repo);
    assert_eq!(error.to_string(), expected.replace("HUB", &world.stand_in.hub.url()));
    assert_eq!((world.stand_in.hub.seen().len(), world.pauses().len()), (1, 0));
    assert!(!world.kept().exists());
    error
}

#[test]
fn a_repository_that_is_missing_or_private() {
    let expected = "`org/private` is not on HUB, or it is private and without a token there is no access";
    let error = check(&World::new(), "org/private", expected);
    assert!(matches!(error, Error::RepoNotFound { token: None, .. }));
    let expected =
        "`org/missing` is not on HUB, or it is private and the token from HF_TOKEN gives no access";
    let error = check(&World::with_token(GOOD_TOKEN), "org/missing", expected);
    assert!(matches!(error, Error::RepoNotFound { token: Some(HF_TOKEN), .. }));
}

#[test]
fn a_gated_repository_says_where_to_ask() {
    let world = World::new();
    let error = check(&world, "org/gated", "`org/gated` is gated and without a token there is no access");
    let Error::Gated { ask_at, token: None, .. } = error else { panic!("{error:?}") };
    assert_eq!(ask_at, format!("{}/org/gated", world.stand_in.hub.url()));
    let expected = "`org/gated` is gated and the token from HF_TOKEN gives no access";
    check(&World::with_token(STRANGER_TOKEN), "org/gated", expected);
    World::with_token(GOOD_TOKEN).fetch("org/gated").expect("files");
}

#[test]
fn a_token_that_the_hub_does_not_know() {
    let world = World::with_token("hf_ExpiredSecret");
    let error = check(&world, "org/plain", "HUB does not accept the token from HF_TOKEN");
    assert!(matches!(error, Error::BadToken { source_of_token: HF_TOKEN, .. }));
}

#[test]
fn a_disabled_repository() {
    check(&World::new(), "org/disabled", "access to `org/disabled` has been disabled by HUB");
}

#[test]
fn a_repository_without_a_tokenizer() {
    let expected =
        "`org/no-tokenizer` has no file `tokenizer.json` at `4e20de362430cd3b72f300e6b0f18e50e7166e08`";
    check(&World::new(), "org/no-tokenizer", expected);
}

#[test]
fn a_revision_that_is_missing() {
    let error = World::new().fetch_at("org/plain", "v9").expect_err("no such tag");
    assert_eq!(error.to_string(), "`org/plain` has no revision `v9`");
}

#[test]
fn an_answer_that_no_hub_gives() {
    let check_reply = |reply: Reply, expected: &str| {
        let world = World::new();
        world.stand_in.hub.fault("tokenizer.json", Fault::Reply(reply));
        check(&world, "org/plain", expected)
    };
    let not_a_hub = "HUB does not answer like a Hugging Face Hub: ";
    check_reply(
        Reply::new(200).body(b"<html>Please log in</html>".to_vec()),
        &format!("{not_a_hub}its answer names no commit, or another than the one asked for"),
    );
    for location in ["ftp://127.0.0.1/x", "http://", "http://a b/"] {
        let reply = Reply::new(302).header("Location", location);
        check_reply(reply, &format!("{not_a_hub}it redirects to an invalid address"));
    }
    check_reply(Reply::new(302), &format!("{not_a_hub}it redirects to an invalid address"));
    check_reply(
        Reply::new(451).header("X-Error-Message", "Not here").header("X-Request-Id", "Root=1-2"),
        "HUB answered with status 451: Not here (request Root=1-2)",
    );
    check_reply(
        Reply::new(404),
        "`org/plain` is not on HUB, or it is private and without a token there is no access",
    );
}

#[test]
fn a_server_that_quotes_the_token_is_quoted_without_it() {
    let world = World::with_token(GOOD_TOKEN);
    let reply = Reply::new(400).header("X-Error-Message", &format!("{GOOD_TOKEN} is no good"));
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(reply));
    check(&world, "org/plain", "HUB answered with status 400: *** is no good");
}

#[test]
fn redirects_in_a_circle_end() {
    let world = World::new();
    for _ in 0..20 {
        let reply = Reply::new(302).header("Location", "/org/plain/resolve/main/tokenizer.json");
        world.stand_in.hub.fault("tokenizer.json", Fault::Reply(reply));
    }
    let error = world.fetch("org/plain").expect_err("a circle");
    let expected = "HUB does not answer like a Hugging Face Hub: it redirects more than 10 times";
    assert_eq!(error.to_string(), expected.replace("HUB", &world.stand_in.hub.url()));
    assert_eq!(world.stand_in.hub.seen().len(), 11);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let world = World::new();
    let reply = Reply::new(200)
        .header("X-Repo-Commit", crate::stand_in::COMMIT)
        .header("Content-Length", "200000001")
        .body(b"{".to_vec());
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(reply));
    check(&world, "org/plain", "`tokenizer.json` of `org/plain` is larger than 200000000 bytes");
}

#[test]
fn names_are_checked_before_anything_is_asked() {
    let world = World::new();
    assert!(matches!(world.fetch("org/plain/.."), Err(Error::InvalidRepoId { .. })));
    assert!(matches!(world.fetch_at("org/plain", "../main"), Err(Error::InvalidRevision { .. })));
    assert!(world.stand_in.hub.seen().is_empty());
}
