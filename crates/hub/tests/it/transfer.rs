//! Files from the stand-in to the disk: faults on the way, and what the next run finds.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mashbill_hub::{Digest, Error, RemoteFile, partial};
use mashbill_stand_in::{Access, Content, Fault, OriginName, Repo, RepoType, Rule, Site};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::site::{DATASET, Place, noise};

const MIB: usize = 1 << 20;

fn status(status: u16, headers: &[(&str, &str)]) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Answer { status, headers, body: String::new() }
}

/// A place with one file of `size` bytes.
fn place_with(size: usize) -> (Place, RemoteFile, Vec<u8>) {
    let contents = noise(size, 7);
    let place = Place::new();
    place.put(&[("big.parquet", &contents)], Access::Open);
    let file = place.file("big.parquet");
    place.stand_in.clear_log();
    (place, file, contents)
}

/// Fetches a file of one part while these faults befall the store, one a request; it must come out whole.
fn mends(faults: Vec<Fault>) -> (Place, mashbill_hub::Fetched) {
    let (place, file, contents) = place_with(3 * MIB);
    place.fail(place.store_path(), faults);
    let fetched = place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    (place, fetched)
}

#[test]
fn a_small_file_takes_one_request_and_a_large_one_two() {
    let place = Place::new();
    place.put(&[("a.json", b"{}"), ("b.parquet", b"PAR1"), ("empty", b"")], Access::Open);
    for (path, requests) in [("a.json", 1), ("b.parquet", 2), ("empty", 0)] {
        let file = place.file(path);
        place.stand_in.clear_log();
        let fetched = place.fetch(&file).expect("it is fetched");
        assert_eq!((fetched.moved_bytes, fetched.reused_bytes, fetched.retries), (file.size, 0, 0));
        assert_eq!(place.stand_in.log().len(), requests, "{path}");
        // Again: the file is there.
        let again = place.fetch(&file).expect("it is there");
        assert_eq!((again.moved_bytes, again.reused_bytes), (0, file.size));
        assert_eq!(place.stand_in.log().len(), requests, "{path}");
        fs::remove_file(place.destination()).expect("it is there");
    }
}

#[test]
fn a_large_file_comes_in_parts_over_one_signed_address() {
    let (place, file, contents) = place_with(9 * MIB + 5);
    let fetched = place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    assert_eq!((fetched.moved_bytes, fetched.retries), (file.size, 0));
    let log = place.stand_in.log();
    assert_eq!(log.iter().filter(|seen| seen.origin == OriginName::Hub).count(), 1);
    let mut ranges: Vec<_> = log.iter().filter_map(|seen| seen.header("range")).collect();
    ranges.sort_unstable();
    assert_eq!(log.iter().filter(|seen| seen.origin == OriginName::Store).count(), 10);
    assert!(ranges.contains(&"bytes=0-1048575") && ranges.contains(&"bytes=9437184-9437188"), "{ranges:?}");
}

#[test]
fn a_cut_connection_goes_on_where_it_ended() {
    let (place, fetched) = mends(vec![Fault::CutAfter(MIB as u64), Fault::CutAfter(70_000)]);
    assert_eq!(fetched.retries, 2);
    assert!(fetched.moved_bytes <= 3 * MIB as u64, "{fetched:?}");
    let pauses = place.pauses();
    // Bytes came before each cut, so the pauses do not grow.
    assert!(
        pauses.len() == 2 && pauses.iter().all(|pause| pause.as_millis() >= 250 && pause.as_millis() <= 500)
    );
}

#[test]
fn ten_cuts_move_hardly_more_than_the_file() {
    let (place, file, contents) = place_with(20 * MIB);
    place.fail(place.store_path(), (0..10).map(|_| Fault::CutAfter(50_000)));
    let fetched = place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    assert_eq!(fetched.retries, 10);
    assert!(fetched.moved_bytes as f64 <= 1.05 * file.size as f64, "{fetched:?}");
}

#[test]
fn a_server_that_fails_is_asked_again() {
    for failing in [500, 502, 503, 504, 408] {
        let (place, fetched) = mends(vec![status(failing, &[]), status(failing, &[])]);
        assert_eq!(fetched.retries, 2);
        let pauses = place.pauses();
        assert!(pauses[0].as_millis() <= 500 && pauses[1].as_millis() >= 500, "{pauses:?}");
    }
    let (place, _) = mends(vec![Fault::Close, Fault::CutAfter(0)]);
    assert_eq!(place.pauses().len(), 2);
}

#[test]
fn an_expired_address_is_replaced_at_once() {
    let (place, fetched) = mends(vec![Fault::CutAfter(MIB as u64), status(403, &[])]);
    assert_eq!(fetched.retries, 2);
    let hub = place.stand_in.log().iter().filter(|seen| seen.origin == OriginName::Hub).count();
    assert_eq!((hub, place.pauses().len()), (2, 1));
    // The store's own clock decides, and all parts.
    let contents = noise(9 * MIB, 3);
    let place = Place::with(Site { signed_for: Duration::ZERO, ..Site::default() });
    place.put(&[("big.parquet", &contents)], Access::Open);
    let error = place.fetch(&place.file("big.parquet")).expect_err("every address has expired");
    assert!(matches!(error, Error::Status { status: 403, .. }), "{error}");
}

#[test]
fn rate_limits_hold_all_workers() {
    let (place, _) = mends(vec![status(429, &[("Retry-After", "2")])]);
    let pauses = place.pauses();
    assert!(pauses.len() == 1 && pauses[0] > Duration::from_secs(1) && pauses[0] <= Duration::from_secs(2));
    let (place, file, _) = place_with(100);
    place.fail("GET /datasets", [status(429, &[("RateLimit", r#""resolvers";r=0;t=55"#)])]);
    place.fetch(&file).expect("it is fetched");
    assert!(place.pauses().iter().any(|pause| *pause > Duration::from_secs(50)));
    // A wait that is longer than the Hub's windows is not sat out.
    let (place, file, _) = place_with(100);
    place.fail(place.store_path(), [status(429, &[("Retry-After", "3600")])]);
    let error = place.fetch(&file).expect_err("too long");
    assert!(matches!(error, Error::RateLimited { .. }) && place.pauses().is_empty(), "{error}");
}

#[test]
fn a_server_without_ranges_gives_the_whole_file() {
    // The connection breaks off, and the next answer begins at the first byte again.
    let (_, fetched) = mends(vec![Fault::CutAfter(MIB as u64), Fault::IgnoreRange]);
    assert_eq!(fetched.moved_bytes, 4 * MIB as u64);
    // All parts are asked for at once, and each answer is the whole file.
    let (place, file, contents) = place_with(9 * MIB);
    place.stand_in.fail(Rule { on: place.store_path().into(), times: 100, fault: Fault::IgnoreRange });
    let fetched = place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    assert_eq!(fetched.retries, 0);
}

#[test]
fn files_that_come_whole_do_not_wait_for_one_another() {
    let contents = noise(9 * MIB, 4);
    let mut place = Place::new();
    // As few connections as there are files, and more workers on each.
    place.transfer.connections = 2;
    place.put(&[("a.parquet", &contents), ("b.parquet", &contents[1..])], Access::Open);
    let files = place.files().expect("a list");
    place.stand_in.fail(Rule { on: place.store_path().into(), times: 100, fault: Fault::IgnoreRange });
    let fetched = place.on_hub(|hub| {
        let fetch = |file: &RemoteFile| hub.fetch(file, &place.folder.path().join(&file.path), &|_| ());
        std::thread::scope(|scope| {
            let other = scope.spawn(|| fetch(&files[1]));
            fetch(&files[0])?;
            other.join().expect("no panic")
        })
    });
    fetched.expect("both are fetched");
    for (file, contents) in files.iter().zip([&contents[..], &contents[1..]]) {
        assert!(fs::read(place.folder.path().join(&file.path)).expect("it is there") == contents);
    }
}

/// Faults of every kind, in any order.
fn any_fault() -> impl Strategy<Value = Fault> {
    let place = 0..6 * MIB as u64;
    prop_oneof![
        place.clone().prop_map(Fault::CutAfter),
        place.prop_map(Fault::FlipByte),
        prop::sample::select(vec![400, 403, 404, 408, 416, 429, 500, 503]).prop_map(|code| status(code, &[])),
        Just(Fault::IgnoreRange),
        Just(Fault::WrongRange),
        Just(Fault::NoLength),
        Just(Fault::Close),
    ]
}

#[test]
fn no_order_of_faults_gives_a_file_with_wrong_bytes() {
    let (place, file, contents) = place_with(6 * MIB);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&prop::collection::vec(any_fault(), 0..12), |faults| {
        place.fail(place.store_path(), faults);
        match place.fetch(&file) {
            Ok(_) => place.assert_whole(&contents),
            Err(error) => {
                prop_assert!(!place.destination().exists(), "{}", error);
                place.stand_in.mend();
                // What it left is of use or in nobody's way.
                place.fetch(&file).expect("nothing goes wrong");
                place.assert_whole(&contents);
            }
        }
        place.stand_in.mend();
        fs::remove_file(place.destination()).expect("it is there");
        Ok(())
    });
    checked.expect("every order");
}

#[test]
fn answers_that_do_not_fit_are_not_written() {
    let (_, fetched) = mends(vec![Fault::CutAfter(MIB as u64), Fault::WrongRange, status(416, &[])]);
    assert_eq!(fetched.retries, 3);
    let (_, fetched) = mends(vec![status(200, &[("Content-Type", "text/html")])]);
    assert_eq!(fetched.retries, 1);
    let (place, file, _) = place_with(2 * MIB);
    place.fail(
        place.store_path(),
        [Fault::CutAfter(MIB as u64), status(206, &[("Content-Range", "bytes 1048576-9/10")])],
    );
    let error = place.fetch(&file).expect_err("the file has another size");
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    mends(vec![Fault::NoLength]);
}

#[test]
fn silence_is_ended_by_the_watchdog() {
    let (mut place, file, contents) = place_with(3 * MIB);
    place.settings.stall_timeout = Duration::from_millis(300);
    place.settings.answer_timeout = Duration::from_millis(300);
    place.fail(place.store_path(), [Fault::StallAfter(MIB as u64), Fault::Hang]);
    let fetched = place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    assert!(fetched.retries >= 2 && fetched.moved_bytes < 4 * MIB as u64, "{fetched:?}");
}

#[test]
fn a_flipped_byte_is_found_and_the_file_fetched_again() {
    let (_, fetched) = mends(vec![Fault::FlipByte(MIB as u64), Fault::FlipByte(0)]);
    assert_eq!((fetched.retries, fetched.moved_bytes), (2, 9 * MIB as u64));
    let (place, file, _) = place_with(3 * MIB);
    place.stand_in.fail(Rule { on: place.store_path().into(), times: 100, fault: Fault::FlipByte(99) });
    let error = place.fetch(&file).expect_err("it is never right");
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(place.beside().is_empty(), "{:?}", place.beside());
}

#[test]
fn a_server_that_never_answers_is_given_up_and_the_bytes_are_kept() {
    let (place, file, contents) = place_with(3 * MIB);
    place.fail(place.store_path(), [Fault::CutAfter(MIB as u64)]);
    place.stand_in.fail(Rule { on: place.store_path().into(), times: 100, fault: Fault::Close });
    let error = place.fetch(&file).expect_err("nobody answers");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(partial(&place.destination(), &file).expect("a part").done, MIB as u64);
    // The next run goes on there, on a new address.
    place.stand_in.mend();
    let fetched = place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    assert_eq!((fetched.reused_bytes, fetched.moved_bytes), (MIB as u64, 2 * MIB as u64));
}

#[test]
fn an_interrupted_transfer_goes_on_in_the_next_run() {
    let (place, file, contents) = place_with(9 * MIB);
    place.fail(place.store_path(), (0..12).map(|_| Fault::CutAfter(400_000)));
    let stop_in_the_middle = |done: u64| {
        if done > 0 {
            place.interrupted.store(true, Ordering::Relaxed);
        }
    };
    let error = place.on_hub(|hub| {
        // Pauses are where the flag is seen first, since nothing is slept through here.
        hub.fetch(&file, &place.destination(), &stop_in_the_middle)
    });
    let kept = partial(&place.destination(), &file).map_or(0, |part| part.done);
    place.interrupted.store(false, Ordering::Relaxed);
    place.stand_in.mend();
    match error {
        Ok(_) => assert_eq!(kept, 0),
        Err(error) => {
            assert!(matches!(error, Error::Interrupted), "{error}");
            let fetched = place.fetch(&file).expect("it is fetched");
            assert_eq!((fetched.reused_bytes, fetched.moved_bytes), (kept, file.size - kept));
        }
    }
    place.assert_whole(&contents);
}

#[test]
fn another_content_does_not_go_on_with_the_old_bytes() {
    let (place, file, _) = place_with(3 * MIB);
    place.fail(place.store_path(), [Fault::CutAfter(MIB as u64)]);
    place.stand_in.fail(Rule { on: place.store_path().into(), times: 100, fault: Fault::Close });
    place.fetch(&file).expect_err("nobody answers");
    place.stand_in.mend();
    let contents = noise(3 * MIB, 8);
    place.put(&[("big.parquet", &contents)], Access::Open);
    let newer = place.file("big.parquet");
    assert_ne!(newer.commit, file.commit);
    assert_eq!(partial(&place.destination(), &newer), None);
    let fetched = place.fetch(&newer).expect("it is fetched");
    place.assert_whole(&contents);
    assert_eq!((fetched.reused_bytes, fetched.moved_bytes), (0, newer.size));
}

#[test]
fn what_the_hub_announces_must_be_what_was_listed() {
    let (place, mut file, _) = place_with(3 * MIB);
    file.hash = Digest::Sha256("0".repeat(64));
    let error = place.fetch(&file).expect_err("another hash");
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert!(place.beside().is_empty());
}

#[test]
fn the_token_goes_to_the_hub_alone_and_stands_in_no_file() {
    let place = Place::with_token();
    let contents = noise(6 * MIB, 9);
    place.put(&[("big.parquet", &contents), ("a.json", b"{}")], Access::Private);
    let file = place.file("big.parquet");
    place.fail(place.store_path(), [Fault::CutAfter(MIB as u64)]);
    place.stand_in.fail(Rule { on: place.store_path().into(), times: 100, fault: Fault::Close });
    place.fetch(&file).expect_err("nobody answers");
    let part = fs::read_to_string(place.destination().with_extension("part.json")).expect("a journal");
    assert!(!part.contains("Secret") && !part.contains("Signature"), "{part}");
    place.stand_in.mend();
    place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
    for seen in place.stand_in.log() {
        assert_eq!(seen.header("authorization").is_some(), seen.origin == OriginName::Hub, "{}", seen.target);
    }
}

#[test]
fn two_that_fetch_the_same_file_do_not_mix() {
    let (place, file, contents) = place_with(3 * MIB);
    place.fail(place.store_path(), [Fault::CutAfter(MIB as u64)]);
    let mut place = place;
    place.transfer.failures_max = 1;
    place.fetch(&file).expect_err("patience is at its end");
    let part = fs::File::open(place.destination().with_extension("part")).expect("a part");
    part.try_lock().expect("nobody holds it");
    let error = place.fetch(&file).expect_err("it is held");
    assert!(matches!(error, Error::InUse { pid: Some(_), .. }), "{error}");
    drop(part);
    place.fetch(&file).expect("it is fetched");
    place.assert_whole(&contents);
}

#[test]
fn the_cache_is_used_if_its_bytes_are_right() {
    let (place, file, contents) = place_with(2 * MIB);
    let blobs = place.settings.cache.join("datasets--org--data/blobs");
    fs::create_dir_all(&blobs).expect("a folder");
    let blob = blobs.join(file.hash.digits());
    fs::write(&blob, &contents).expect("written");
    let fetched = place.fetch(&file).expect("it is there");
    assert_eq!((fetched.moved_bytes, fetched.reused_bytes), (0, file.size));
    place.assert_whole(&contents);
    assert!(place.stand_in.log().is_empty());
    // A blob with wrong bytes is not believed, and stays as it is.
    fs::remove_file(place.destination()).expect("it is there");
    fs::write(&blob, noise(2 * MIB, 1)).expect("written");
    let fetched = place.fetch(&file).expect("it is fetched");
    assert_eq!(fetched.moved_bytes, file.size);
    place.assert_whole(&contents);
    assert!(fs::read(&blob).expect("it is there") == noise(2 * MIB, 1));
}

#[test]
fn offline_nothing_is_asked() {
    let (mut place, file, _) = place_with(100);
    place.settings.offline = true;
    let error = place.fetch(&file).expect_err("it must be asked for");
    assert_eq!(
        error.to_string(),
        "`big.parquet` of `org/data` must be asked for, and the network is switched off"
    );
    assert!(matches!(place.files(), Err(Error::Offline { .. })));
    assert!(place.stand_in.log().is_empty() && place.beside().is_empty());
}

#[test]
fn a_file_that_is_gated_says_where_to_ask() {
    let place = Place::new();
    place.put(&[("a.json", b"{}")], Access::Gated);
    let error = place.fetch(&place.file("a.json")).expect_err("terms are to be accepted");
    let ask = format!("{}/datasets/{DATASET}", place.stand_in.endpoint());
    assert!(matches!(error, Error::Gated { ask_at, token: None, .. } if ask_at == ask));
    assert!(place.beside().is_empty());
}

#[test]
fn a_renamed_dataset_is_followed_with_the_token() {
    let place = Place::with_token();
    place.put(&[("a.json", b"{}")], Access::Private);
    let mut old = Repo::new(RepoType::Dataset, "org/old");
    old.put("main", "a.json", Content::from("{}"));
    old.moved_to = Some(DATASET.to_owned());
    place.stand_in.put(old);
    let mut file = place.file("a.json");
    file.repo = mashbill_hub::RepoId::dataset("org/old").expect("an id");
    place.fetch(&file).expect("it is fetched");
    place.assert_whole(b"{}");
}
