//! Files that have to be fetched, and what is kept of them.

use mashbill_hub::{FileOrigin, Proxies, Proxy};

use crate::stand_in::{COMMIT, Fault, GOOD_TOKEN, Reply, Server, contents};
use crate::world::{World, commit};

#[test]
fn the_files_of_a_repository_are_fetched_at_one_commit() {
    let world = World::new();
    let files = world.fetch("org/plain").expect("files");
    assert_eq!(files.commit, commit());
    assert_eq!(Some(files.tokenizer.contents), contents("plain", "tokenizer.json"));
    assert_eq!(files.tokenizer_config.map(|file| file.contents), contents("plain", "tokenizer_config.json"));
    assert_eq!(files.config.map(|file| file.contents), contents("plain", "config.json"));
    assert!(
        files.special_tokens_map.is_none() && files.generation_config.is_none() && files.incomplete.is_none()
    );
    let address = format!("{}/org/plain/resolve/main/tokenizer.json", world.stand_in.hub.url());
    assert_eq!(files.tokenizer.origin, FileOrigin::Endpoint(address));
    let pinned = |file| format!("/org/plain/resolve/{COMMIT}/{file}");
    assert_eq!(
        world.stand_in.hub.paths(),
        [
            "/org/plain/resolve/main/tokenizer.json".to_owned(),
            pinned("tokenizer_config.json"),
            pinned("special_tokens_map.json"),
            pinned("added_tokens.json"),
            pinned("config.json"),
            pinned("generation_config.json"),
            pinned("chat_template.jinja"),
        ]
    );
    assert!(world.pauses().is_empty());
}

#[test]
fn requests_say_who_asks_and_want_plain_bytes() {
    let world = World::new();
    world.fetch("org/large").expect("files");
    for request in world.stand_in.hub.seen().into_iter().chain(world.stand_in.store.seen()) {
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("Accept-Encoding"), Some("identity"));
        let agent = request.header("User-Agent").expect("a user agent");
        assert!(agent.starts_with("mashbill/") && agent.ends_with("; rust"), "{agent}");
        assert_eq!(request.header("Authorization"), None);
    }
}

#[test]
fn a_second_run_asks_nothing() {
    let world = World::new();
    let first = world.fetch("org/large").expect("files");
    let requests = world.stand_in.hub.seen().len();
    let second = world.fetch("org/large").expect("files");
    assert_eq!(world.stand_in.hub.seen().len(), requests);
    assert_eq!(second.commit, first.commit);
    assert_eq!(second.tokenizer.contents, first.tokenizer.contents);
    assert!(second.config.is_some() && second.generation_config.is_none() && second.incomplete.is_none());
    let FileOrigin::Cache(path) = second.tokenizer.origin else { panic!("{:?}", second.tokenizer.origin) };
    assert_eq!(path, world.kept().join("models--org--large/snapshots").join(COMMIT).join("tokenizer.json"));
    // Nor by its commit.
    world.fetch_at("org/large", COMMIT).expect("files");
    assert_eq!(world.stand_in.hub.seen().len(), requests);
}

#[test]
fn what_was_fetched_is_there_offline_and_the_hubs_cache_is_left_alone() {
    let mut world = World::new();
    world.fetch_at("org/plain", "refs/pr/1").expect("files");
    assert!(!world.settings.cache.exists());
    world.settings.offline = true;
    let requests = world.stand_in.hub.seen().len();
    let files = world.fetch_at("org/plain", "refs/pr/1").expect("files");
    assert!(files.incomplete.is_none());
    assert_eq!(world.stand_in.hub.seen().len(), requests);
}

#[test]
fn the_token_goes_to_the_hub_only() {
    let world = World::with_token(GOOD_TOKEN);
    let files = world.fetch("org/private").expect("files");
    assert_eq!(Some(files.tokenizer.contents), contents("private", "tokenizer.json"));
    let bearer = format!("Bearer {GOOD_TOKEN}");
    assert!(world.stand_in.hub.seen().iter().all(|request| request.header("Authorization") == Some(&bearer)));
    let store = world.stand_in.store.seen();
    assert_eq!(store.len(), 1);
    for request in store {
        assert!(!format!("{request:?}").contains(GOOD_TOKEN), "{request:?}");
    }
}

#[test]
fn a_redirect_on_the_same_host_keeps_the_token() {
    let world = World::with_token(GOOD_TOKEN);
    let files = world.fetch("org/old").expect("files");
    assert_eq!(Some(files.tokenizer.contents), contents("private", "tokenizer.json"));
}

#[test]
fn the_same_server_under_another_name_gets_no_token() {
    let world = World::with_token(GOOD_TOKEN);
    let elsewhere = world.stand_in.hub.url().replace("127.0.0.1", "localhost");
    let location = format!("{elsewhere}/org/plain/resolve/main/tokenizer.json");
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(Reply::new(301).header("Location", &location)));
    world.fetch("org/plain").expect("files");
    let tokens =
        world.stand_in.hub.seen().into_iter().map(|request| request.header("Authorization").is_some());
    assert_eq!(tokens.collect::<Vec<_>>(), [true, false, true, true, true, true, true, true]);
}

#[test]
fn the_hash_that_a_store_gives_is_not_taken_for_the_contents() {
    let world = World::new();
    let location = format!("{}/signed/large/tokenizer.json", world.stand_in.store.url());
    let unnamed = Reply::new(302).header("Location", &location).header("X-Repo-Commit", COMMIT);
    world.stand_in.hub.fault("tokenizer.json", Fault::Reply(unnamed));
    world.fetch("org/large").expect("files");
    assert!(world.pauses().is_empty());
}

#[test]
fn a_request_goes_through_the_proxy_of_its_scheme() {
    let mut world = World::with_token(GOOD_TOKEN);
    let proxy = Server::start(|_| Reply::new(407));
    let address = proxy.url().replace("http://", "http://me:Secret@");
    world.settings.proxies = Proxies { http: Proxy::new(&address).ok(), ..Proxies::default() };
    let error = world.fetch("org/plain").expect_err("the proxy refuses");
    let masked = proxy.url().replace("http://", "http://***@");
    assert_eq!(
        error.to_string(),
        format!("cannot reach {} through the proxy {masked}", world.stand_in.hub.url())
    );
    assert!(world.stand_in.hub.seen().is_empty());
    let asked = &proxy.seen()[0];
    assert_eq!((asked.method.as_str(), asked.header("Authorization")), ("CONNECT", None));
    assert!(asked.header("Proxy-Authorization").is_some());

    world.settings.proxies.direct = vec!["127.0.0.1".to_owned()];
    world.fetch("org/plain").expect("reached directly");
}
