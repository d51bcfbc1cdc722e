//! The Hub's own cache, prepared as the official client leaves it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use mashbill_hub::{Error, FileOrigin};

use crate::stand_in::{COMMIT, Fault, Reply, git_sha1, sha256};
use crate::world::{World, commit};

const OTHER_COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const REPO: &str = "org/plain";
const OPTIONAL: [&str; 6] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "generation_config.json",
    "chat_template.jinja",
];

/// The folder of the repository in the Hub's cache.
struct Cache(PathBuf);

impl Cache {
    fn new(world: &World) -> Self {
        let folder = world.settings.cache.join("models--org--plain");
        fs::create_dir_all(&folder).expect("created");
        Self(folder)
    }

    /// A small file: `snapshots/<commit>/<file>` → `../../blobs/<git sha1>`.
    fn small(&self, commit: &str, file: &str, contents: &[u8]) -> PathBuf {
        let blob = self.0.join("blobs").join(git_sha1(contents));
        self.write(&blob, contents);
        self.link(commit, file, &git_sha1(contents));
        blob
    }

    /// A large file of the shared store: the blob is itself a link to `../../blobs/<2 hex>/<xet hash>`.
    fn shared(&self, commit: &str, file: &str, contents: &[u8]) {
        let xet = "ab".repeat(32);
        let store = self.0.parent().expect("the cache").join("blobs/ab").join(&xet);
        self.write(&store, contents);
        fs::create_dir_all(self.0.join("blobs")).expect("created");
        symlink(format!("../../blobs/ab/{xet}"), self.0.join("blobs").join(sha256(contents)))
            .expect("linked");
        self.link(commit, file, &sha256(contents));
    }

    fn reference(&self, revision: &str, commit: &str) {
        self.write(&self.0.join("refs").join(revision), commit.as_bytes());
    }

    fn no_exist(&self, commit: &str, file: &str) {
        self.write(&self.0.join(".no_exist").join(commit).join(file), b"");
    }

    fn link(&self, commit: &str, file: &str, blob: &str) {
        let path = self.0.join("snapshots").join(commit).join(file);
        fs::create_dir_all(path.parent().expect("a snapshot")).expect("created");
        let up = "../".repeat(2 + file.matches('/').count());
        symlink(format!("{up}blobs/{blob}"), path).expect("linked");
    }

    fn write(&self, path: &std::path::Path, contents: &[u8]) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, contents).expect("written");
    }

    /// A snapshot of which everything is known.
    fn whole(&self, commit: &str) {
        self.shared(commit, "tokenizer.json", b"{\"cached\": 1}");
        self.small(commit, "tokenizer_config.json", b"{\"cached\": 2}");
        for file in &OPTIONAL[1..] {
            self.no_exist(commit, file);
        }
    }
}

#[test]
fn a_cached_tokenizer_needs_no_network() {
    let world = World::new();
    let cache = Cache::new(&world);
    cache.whole(COMMIT);
    cache.reference("main", COMMIT);
    cache.reference("refs/pr/1", COMMIT);
    for revision in ["main", "refs/pr/1", COMMIT] {
        let files = world.fetch_at(REPO, revision).expect("files");
        assert_eq!(files.commit, commit());
        assert_eq!(files.tokenizer.contents, b"{\"cached\": 1}");
        let path = cache.0.join("snapshots").join(COMMIT).join("tokenizer.json");
        assert_eq!(files.tokenizer.origin, FileOrigin::Cache(path));
        assert_eq!(
            files.tokenizer_config.map(|file| file.contents).as_deref(),
            Some(&b"{\"cached\": 2}"[..])
        );
        assert!(files.config.is_none() && files.incomplete.is_none());
    }
    assert!(world.stand_in.hub.seen().is_empty() && !world.kept().exists());
}

#[test]
fn files_that_the_cache_does_not_know_are_fetched_at_its_commit_and_kept() {
    let world = World::new();
    let cache = Cache::new(&world);
    cache.small(COMMIT, "tokenizer.json", b"{\"cached\": 1}");
    cache.no_exist(COMMIT, "config.json");
    cache.reference("main", COMMIT);
    let files = world.fetch(REPO).expect("files");
    assert_eq!(files.tokenizer.contents, b"{\"cached\": 1}");
    assert!(matches!(files.tokenizer_config.expect("fetched").origin, FileOrigin::Endpoint(_)));
    assert!(files.config.is_none() && files.incomplete.is_none());
    let expected = OPTIONAL.into_iter().filter(|file| *file != "config.json");
    assert_eq!(
        world.stand_in.hub.paths(),
        expected.map(|file| format!("/org/plain/resolve/{COMMIT}/{file}")).collect::<Vec<_>>()
    );

    let again = world.fetch(REPO).expect("files");
    assert!(
        matches!(again.tokenizer_config.expect("kept").origin, FileOrigin::Cache(_))
            && again.incomplete.is_none()
    );
    assert_eq!(world.stand_in.hub.seen().len(), 5);
}

#[test]
fn a_cached_tokenizer_is_used_where_the_rest_cannot_be_asked_for() {
    let mut world = World::new();
    let cache = Cache::new(&world);
    cache.small(COMMIT, "tokenizer.json", b"{}");
    cache.reference("main", COMMIT);
    let gated = Reply::new(403).header("X-Error-Code", "GatedRepo");
    world.stand_in.hub.fault("tokenizer_config.json", Fault::Reply(gated));
    let incomplete = world.fetch(REPO).expect("files").incomplete.expect("not all known");
    assert_eq!(incomplete.files, OPTIONAL);
    assert!(matches!(incomplete.why, Some(Error::Gated { .. })) && world.stand_in.hub.seen().len() == 1);

    world.settings.offline = true;
    let incomplete = world.fetch(REPO).expect("files").incomplete.expect("not all known");
    assert_eq!(incomplete.files, OPTIONAL);
    assert!(incomplete.why.is_none() && world.stand_in.hub.seen().len() == 1);
}

#[test]
fn a_second_template_is_looked_for_beside_the_first() {
    const TOOLS: &str = "additional_chat_templates/tool_use.jinja";
    let mut world = World::new();
    let cache = Cache::new(&world);
    cache.shared(COMMIT, "tokenizer.json", b"{}");
    OPTIONAL[..5].iter().for_each(|file| cache.no_exist(COMMIT, file));
    cache.small(COMMIT, "chat_template.jinja", b"{{ messages }}");
    cache.reference("main", COMMIT);
    let files = world.fetch(REPO).expect("files");
    assert_eq!(files.chat_template.map(|file| file.contents).as_deref(), Some(&b"{{ messages }}"[..]));
    assert!(files.chat_template_with_tools.is_none() && files.incomplete.is_none());
    assert_eq!(world.stand_in.hub.paths(), [format!("/org/plain/resolve/{COMMIT}/{TOOLS}")]);

    // That there is none is kept.
    world.fetch(REPO).expect("files");
    assert_eq!(world.stand_in.hub.seen().len(), 1);

    world.settings.offline = true;
    cache.small(COMMIT, TOOLS, b"{{ tools }}");
    let files = world.fetch(REPO).expect("files");
    assert_eq!(
        files.chat_template_with_tools.map(|file| file.contents).as_deref(),
        Some(&b"{{ tools }}"[..])
    );
}

#[test]
fn a_branch_that_the_cache_does_not_have_is_fetched() {
    let world = World::new();
    let cache = Cache::new(&world);
    cache.whole(OTHER_COMMIT);
    cache.reference("old", OTHER_COMMIT);
    let files = world.fetch(REPO).expect("files");
    assert_eq!(files.commit, commit());
    assert!(matches!(files.tokenizer.origin, FileOrigin::Endpoint(_)));
}

#[test]
fn a_branch_that_lacked_a_tokenizer_is_asked_again_but_a_commit_is_not() {
    let world = World::new();
    let cache = Cache::new(&world);
    cache.reference("main", OTHER_COMMIT);
    cache.no_exist(OTHER_COMMIT, "tokenizer.json");
    assert!(matches!(world.fetch_at(REPO, OTHER_COMMIT), Err(Error::EntryNotFound { .. })));
    assert!(world.stand_in.hub.seen().is_empty());
    assert_eq!(world.fetch(REPO).expect("files").commit, commit());
}

#[test]
fn offline_the_only_snapshot_stands_for_the_main_branch() {
    let mut world = World::new();
    world.settings.offline = true;
    let cache = Cache::new(&world);
    cache.whole(COMMIT);
    fs::create_dir_all(cache.0.join("snapshots").join(OTHER_COMMIT)).expect("created");
    assert_eq!(world.fetch(REPO).expect("files").commit, commit());
    assert!(matches!(world.fetch_at(REPO, "v1"), Err(Error::NotCached { .. })));
    cache.small(OTHER_COMMIT, "tokenizer.json", b"{}");
    assert!(matches!(world.fetch(REPO), Err(Error::NotCached { .. })));
    assert!(world.stand_in.hub.seen().is_empty());
}

#[test]
fn offline_without_a_cache_says_what_was_looked_for() {
    let mut world = World::new();
    world.settings.offline = true;
    let error = world.fetch(REPO).expect_err("nothing here");
    let cache = world.settings.cache.display();
    assert_eq!(
        error.to_string(),
        format!("`org/plain` at `main` is not in the cache `{cache}`, and the network is switched off")
    );
    let cache = Cache::new(&world);
    cache.reference("main", COMMIT);
    cache.no_exist(COMMIT, "tokenizer.json");
    assert!(matches!(world.fetch(REPO), Err(Error::EntryNotFound { .. })));
    assert!(world.stand_in.hub.seen().is_empty());
}

#[test]
fn a_damaged_cache_is_named_and_not_used() {
    let world = World::new();
    let cache = Cache::new(&world);
    let blob = cache.small(COMMIT, "tokenizer.json", b"{\"cached\": 1}");
    cache.reference("main", COMMIT);
    fs::write(&blob, b"{\"cached\": 7}").expect("written");
    let error = world.fetch(REPO).expect_err("a flipped byte");
    let Error::DamagedCache { path, .. } = &error else { panic!("{error:?}") };
    assert_eq!(path.canonicalize().expect("it exists"), blob.canonicalize().expect("it exists"));
    assert!(error.to_string().contains("is damaged: its name says git sha1 "), "{error}");

    cache.reference("main", "");
    assert!(
        matches!(world.fetch(REPO), Err(Error::DamagedCache { path, .. }) if path.ends_with("refs/main"))
    );
}

#[test]
fn a_link_that_leads_nowhere_is_no_file() {
    let world = World::new();
    let cache = Cache::new(&world);
    let blob = cache.small(COMMIT, "tokenizer.json", b"{}");
    cache.reference("main", COMMIT);
    fs::remove_file(blob).expect("removed");
    assert!(matches!(world.fetch(REPO).expect("files").tokenizer.origin, FileOrigin::Endpoint(_)));
}

#[test]
fn a_kept_folder_that_cannot_be_written_is_an_error() {
    let world = World::new();
    fs::write(world.kept(), b"a file where a folder should be").expect("written");
    let error = world.fetch(REPO).expect_err("no folder");
    assert!(matches!(error, Error::Store(mashbill_store::Error::Io { action: "create", .. })), "{error:?}");
}
