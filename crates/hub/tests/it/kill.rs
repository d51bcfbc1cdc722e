//! A process that is killed at any moment, and the same command given again.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use mashbill_stand_in::{Access, Fault, Rule, Site};

use crate::site::{DATASET, Place, SETTINGS_TOKEN, noise, read};

/// Large enough to be fetched in parts.
const SIZE: usize = 72 << 20;
/// The parts are 16 MiB, so five connections move the file in most of a second.
const BYTES_PER_SECOND: u64 = 20_000_000;

/// The example `fetch`, which cargo builds with the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a program");
    test.parent().and_then(Path::parent).expect("cargo's folders").join("examples/fetch")
}

fn start(place: &Place) -> Child {
    let mut command = Command::new(program());
    command
        .arg(DATASET)
        .arg(place.folder.path().join("raw"))
        .env_clear()
        .env("HF_ENDPOINT", place.stand_in.endpoint())
        .env("HF_HOME", place.folder.path().join("home"))
        .env("HF_TOKEN", SETTINGS_TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{} cannot be started: {error}", program().display()))
}

fn sent(place: &Place) -> u64 {
    place.stand_in.log().iter().map(|seen| seen.sent).sum()
}

/// Kills the process once so many bytes were sent to it, if it lives that long.
fn kill_after(mut child: Child, place: &Place, bytes: u64) -> Output {
    let from = sent(place);
    while child.try_wait().expect("it can be waited for").is_none() {
        if sent(place) - from >= bytes {
            child.kill().expect("it can be killed");
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().expect("it has ended")
}

#[test]
fn a_killed_process_loses_almost_nothing_and_leaves_no_wrong_byte() {
    let kills: u64 = if std::env::var_os("MASHBILL_LONG").is_some() { 30 } else { 5 };
    let contents = noise(SIZE, 5);
    let place = Place::with(Site { bytes_per_second: BYTES_PER_SECOND, ..Site::default() });
    place.put(&[("data/big.parquet", &contents)], Access::Private);
    let destination = place.folder.path().join("raw/data/big.parquet");
    for _ in 0..kills {
        let share = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
        let bytes = share * 1.5 * SIZE as f64 / kills as f64;
        let output = kill_after(start(&place), &place, bytes as u64);
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("Secret"), "{said}");
        if destination.exists() {
            assert!(read(&destination) == contents, "wrong bytes under the final name");
            fs::remove_file(&destination).expect("it is there");
        }
    }
    let output = start(&place).wait_with_output().expect("it has ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(read(&destination) == contents, "wrong bytes under the final name");
    let names: Vec<_> = fs::read_dir(destination.parent().expect("a folder")).expect("a folder").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    println!("{kills} kills: {:.3} times the file's bytes were sent", sent(&place) as f64 / SIZE as f64);
}

#[test]
fn the_program_goes_on_where_it_was_killed() {
    let contents = noise(SIZE, 6);
    let place = Place::with(Site { bytes_per_second: BYTES_PER_SECOND, ..Site::default() });
    place.put(&[("big.parquet", &contents)], Access::Open);
    let half = SIZE as u64 / 2;
    kill_after(start(&place), &place, half);
    let journal =
        fs::read_to_string(place.folder.path().join("raw/big.parquet.part.json")).expect("a journal");
    assert!(!journal.contains("Secret") && !journal.contains("Signature"), "{journal}");
    let before = sent(&place);
    let output = start(&place).wait_with_output().expect("it has ended");
    let said = String::from_utf8_lossy(&output.stdout);
    let number = |name: &str| -> u64 {
        let rest = said.split_once(&format!("\"{name}\": ")).expect(name).1;
        rest.split([',', '}']).next().and_then(|digits| digits.parse().ok()).expect(name)
    };
    assert_eq!(number("moved") + number("reused"), SIZE as u64);
    // What was on the way when it died, and what was not noted yet: here a tenth of the file is plenty.
    let sent_in_all = sent(&place);
    assert!(number("reused") > half * 4 / 5, "{said}");
    assert!(sent_in_all - before <= SIZE as u64 - half * 4 / 5, "{sent_in_all}");
    assert!(read(&place.folder.path().join("raw/big.parquet")) == contents);
}

#[test]
fn the_token_is_in_no_title_and_no_message() {
    let place = Place::new();
    place.put(&[("a.json", b"{}")], Access::Private);
    place.stand_in.fail(Rule { on: "/resolve/".to_owned(), times: 1, fault: Fault::Hang });
    let child = start(&place);
    while place.stand_in.log().len() < 3 {
        thread::sleep(Duration::from_millis(1));
    }
    // The system shows it to everybody, where it has such files.
    if let Ok(title) = fs::read(format!("/proc/{}/cmdline", child.id())) {
        assert!(!title.is_empty() && !String::from_utf8_lossy(&title).contains("Secret"));
    }
    let mut child = child;
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    place.put(&[("a.json", b"{}")], Access::Disabled);
    let output = start(&place).wait_with_output().expect("it has ended");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("disabled") && !said.contains("Secret"), "{said}");
}
