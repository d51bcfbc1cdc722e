//! How fast an array of dialogues is converted, and in how much memory.
//!
//! `cargo run --release -p mashbill-download --example convert_speed -- make FOLDER [MB]` writes an
//! array shaped like OpenHermes; `… -- run FOLDER` converts it and prints CPU seconds and peak memory as
//! the kernel counted them.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "this is a program for measuring")]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mashbill_download::convert::Conversion;
use mashbill_format::catalog::{CatalogDataset, Dialogue, Render};
use mashbill_format::dataset_stats::{DatasetSource, Making, Take};
use mashbill_format::layout::Data;
use mashbill_format::lock::PinnedFile;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["make", folder] => make(Path::new(folder), 500),
        ["make", folder, megabytes] => make(Path::new(folder), megabytes.parse().expect("a number")),
        ["run", folder] => run(Path::new(folder)),
        _ => println!("usage: convert_speed make FOLDER [MB] | run FOLDER"),
    }
}

/// Words for prose; a row has some hundred of them, with quotes, line ends and characters beyond ASCII.
const WORDS: [&str; 16] = [
    "the", "model", "answers", "a", "question", "about", "rivers\n", "and", "\"mash\"", "bills", "in",
    "naïve", "détail", "where", "tokens", "flow.",
];

fn make(folder: &Path, megabytes: u64) {
    fs::create_dir_all(folder).expect("a folder");
    let mut file = BufWriter::new(File::create(folder.join("array.json")).expect("a file"));
    let mut state = 1_u64;
    let mut prose = |words: u64| {
        let mut text = String::new();
        for _ in 0..words {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(WORDS[(state >> 60) as usize]);
            text.push(' ');
        }
        text
    };
    let mut written = 2_u64;
    file.write_all(b"[\n").expect("written");
    while written < megabytes * 1_000_000 {
        let row = serde_json::json!({
            "system_prompt": null, "source": "airoboros", "category": "orca", "id": written, "model": null,
            "skip_prompt_formatting": false, "title": null, "hash": prose(4),
            "conversations": [
                {"from": "human", "value": prose(60), "weight": 0.0},
                {"from": "gpt", "value": prose(230), "weight": 1.0},
            ],
        });
        let text = serde_json::to_string_pretty(&row).expect("JSON");
        let between = if written > 2 { ",\n" } else { "" };
        write!(file, "{between}{text}").expect("written");
        written += (text.len() + between.len()) as u64;
    }
    file.write_all(b"\n]\n").expect("written");
    file.flush().expect("written");
    println!("{written} bytes at {}", folder.join("array.json").display());
}

fn run(folder: &Path) {
    let array = folder.join("array.json");
    let size = fs::metadata(&array).expect("made before").len();
    let dataset = CatalogDataset {
        name: "array".into(),
        render: Render::Dialogue(Dialogue {
            turns: "conversations".into(),
            role: "from".into(),
            content: "value".into(),
            system: Some("system_prompt".into()),
        }),
        ..CatalogDataset::of_repo("org/array")
    };
    let source = DatasetSource {
        repo: "org/array".into(),
        commit: "0".repeat(40),
        files: vec![PinnedFile { path: "array.json".into(), size, hash: String::new() }],
    };
    let data = Data::new(&folder.join("out"));
    let making = Making { catalog_checksum: dataset.checksum(), source, take: Take::ALL };
    let started = Instant::now();
    let mut conversion = Conversion::open(&data, &dataset, making).expect("a folder to write to");
    conversion.file(&array, &AtomicBool::new(false), &mut |_| {}).expect("it converts");
    let converted = conversion.finish().expect("it converts");
    let wall = started.elapsed().as_secs_f64();
    fs::remove_dir_all(data.root()).expect("it is ours");
    let megabytes = size as f64 / 1e6;
    println!(
        "{megabytes:.0} MB in, {:.0} MB out, {} records",
        converted.counts.jsonl_bytes as f64 / 1e6,
        converted.counts.rows_out
    );
    println!("{wall:.2} s wall, {:.0} MB/s", megabytes / wall);
    if let (Some((user, system)), Some(peak)) = (cpu_seconds(), peak_kilobytes()) {
        let cpu = user + system;
        println!("{user:.2} s user + {system:.2} s system, {:.0} MB per CPU second", megabytes / cpu);
        println!("{:.1} MB peak memory", peak / 1e3);
    }
}

/// User and system seconds of this process, on Linux.
fn cpu_seconds() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    // A tick is a hundredth of a second on Linux.
    let mut ticks = || Some(fields.next()?.parse::<f64>().ok()? / 100.0);
    Some((ticks()?, ticks()?))
}

fn peak_kilobytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}
