//! Bytes of others, changed at random, into every parser that takes them. A minute with `MASHBILL_LONG=1`.

use std::time::{Duration, Instant};

use mashbill_download::fuzzing as download;
use mashbill_format::catalog::parse_own;
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::lock::Lock;
use mashbill_hub::fuzzing as hub;

/// Bytes that a parser takes, from which others are made.
type Target = (&'static str, fn(&[u8]), &'static [&'static str]);

fn lock(bytes: &[u8]) {
    drop(serde_json::from_slice::<Lock>(bytes));
}

fn stats(bytes: &[u8]) {
    drop(serde_json::from_slice::<DatasetStats>(bytes));
}

fn catalog(bytes: &[u8]) {
    drop(parse_own(&String::from_utf8_lossy(bytes)));
}

const TARGETS: [Target; 9] = [
    (
        "page",
        hub::page,
        &[
            r#"[{"type":"file","path":"a/b.jsonl","size":5,"oid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","lfs":{"oid":"b","size":1}}]"#,
            r#"[{"type":"directory","path":"hf_secret/..","size":-1,"oid":""},{"type":"file","path":"\u001b","size":1e9}]"#,
        ],
    ),
    (
        "limits",
        hub::limits,
        &[
            "\"api\";r=1;t=55\n\"fixed window\";\"api\";q=3000;w=300\n7\nWed, 21 Oct 2026 07:28:30 GMT",
            "r=0;t=18446744073709551615\nq=0\nFri, 31 Dec 9999 23:59:59 GMT\nx",
        ],
    ),
    (
        "address",
        hub::address,
        &["https://cdn.test/x?sig=1", "//a@b:1/c", "</api/datasets/a/tree/b?cursor=%3D>", "../x"],
    ),
    (
        "array",
        download::array,
        &[
            r#"[{"a": [1, "x\"]"], "b": {"c": null}}, {"a": "\ud83d\ude00"}]"#,
            r#"{"v": 1, "data": [{"a": 1e5}], "z": "]"}"#,
        ],
    ),
    ("lines", download::lines, &["{\"a\": 1}\n\n{\"b\": [[], {}]}\r\n", "\u{feff}{\"a\": \"\\u0041\"}"]),
    ("csv", download::csv, &["a,b\r\n1,\"x, \"\"y\"\"\nz\"\n3\n", "\u{feff}\"a\"\n\"unclosed"]),
    (
        "lock",
        lock,
        &[
            r#"{"format_version":1,"datasets":{"d":{"repo":"a/b","revision":"main","commit":"c","license":"mit","gated":false,"globs":[],"files":[{"path":"p","size":1,"hash":"sha256 a"}],"untaken":[{"why":"hidden","files":1,"bytes":2,"examples":["x"]}]}}}"#,
        ],
    ),
    (
        "stats",
        stats,
        &[
            r#"{"format_version":1,"dataset":"d","category":"c","source":{"repo":"a/b","commit":"c","files":[]}}"#,
        ],
    ),
    (
        "catalog",
        catalog,
        &[
            "[[dataset]]\nname = \"n\"\nrepo = \"a/b\"\nfiles = [\"*.json\"]\n[dataset.render.exchange]\nuser = [\"q\"]\nassistant = \"a\"\n",
        ],
    ),
];

/// Pieces that parsers stumble over.
const PIECES: [&str; 20] = [
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    "\\u",
    ",",
    ":",
    "\n",
    "\r",
    "\0",
    "18446744073709551616",
    "-1",
    "1e999",
    "null",
    "..",
    "hf_secret",
    "\u{202e}",
    "%00",
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    fn mutate(&mut self, seed: &str) -> Vec<u8> {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                1 => bytes.truncate(at),
                2 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    let piece = piece.repeat(1 + self.below(3) * self.below(200));
                    bytes.splice(at..at, piece.bytes());
                }
                3 if at < bytes.len() => {
                    let end = at + self.below(bytes.len() - at);
                    let copied = bytes[at..end].to_vec();
                    bytes.splice(at..at, copied);
                }
                _ if at < bytes.len() => {
                    let end = at + self.below(bytes.len() - at);
                    bytes.drain(at..end);
                }
                _ => {}
            }
        }
        bytes
    }
}

#[test]
fn any_bytes_are_parsed_or_refused() {
    let long = std::env::var_os("MASHBILL_LONG").is_some();
    let patience = Duration::from_secs(if long { 60 } else { 1 });
    for (number, (name, target, seeds)) in TARGETS.into_iter().enumerate() {
        let (mut random, began, mut runs) = (Random(number as u64), Instant::now(), 0_u32);
        while runs < 2000 || (long && began.elapsed() < patience) {
            let bytes = random.mutate(seeds[runs as usize % seeds.len()]);
            let done = std::panic::catch_unwind(|| target(&bytes));
            assert!(done.is_ok(), "{name}: {:?}", String::from_utf8_lossy(&bytes));
            runs += 1;
        }
        assert!(began.elapsed() < patience + Duration::from_secs(30), "{name} takes {:?}", began.elapsed());
    }
}
